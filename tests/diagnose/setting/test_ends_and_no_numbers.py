"""Noise on the answers, means out of reach, and losses or penalties that are no number."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_inits
from keras_inits._diagnose.setting.between import dropouts
from keras_inits._diagnose.setting.run import examine

RNG = np.random.default_rng(8)
X = RNG.normal(size=(128, 6)).astype("float32")
Y = np.tanh(X[:, :1] + X[:, 1:2] * X[:, 2:3]).astype("float32")


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(0)


def _net(*last, hidden="relu", **first):
    inner = [layers.Dense(32, hidden, **first), layers.Dense(32, hidden)]
    return keras.Sequential([keras.Input((6,)), *inner, layers.Dense(1), *last])


def _found(model, x, y, loss, optimizer):
    model.compile(optimizer, loss)
    setting = examine(model, x, y)
    assert not [note for note in setting.notes if "Error" in note]
    return setting.findings


@pytest.mark.parametrize(
    ("last", "found"),
    [
        (layers.Dropout(0.5), True),
        (layers.GaussianDropout(0.3), True),
        (layers.Dropout(0.05), False),
        (layers.Activation("tanh"), False),
    ],
)
def test_a_dropout_of_the_answers_is_found(last, found):
    findings = _found(_net(last), X, Y, "mse", keras.optimizers.Adam(0.01))
    assert [f.kind for f in findings] == ["dropout"] * found
    assert all(f.where == (last.name, "output") for f in findings)


def test_a_dropout_between_layers_or_of_codes_that_an_own_loss_compares_is_left_in_peace():
    ending = _net(layers.Dropout(0.3))
    inside = keras.Sequential([*_net().layers[:2], layers.Dropout(0.3), layers.Dense(1)])
    inside.build((None, 6))
    assert len(dropouts.at_end(ending, ["mean_squared_error"])) == 1
    assert not dropouts.at_end(ending, ["other"])
    assert not dropouts.at_end(inside, ["mean_squared_error"])


@pytest.mark.parametrize(
    ("level", "rate", "kinds"),
    [(20.0, 3e-4, ["target scale"]), (20.0, 0.02, []), (2.0, 3e-4, [])],
)
def test_a_mean_of_targets_that_is_not_reached_is_found(level, rate, kinds):
    y = level + 3 * Y
    findings = _found(_net(), X, y, "mse", keras.optimizers.Adam(rate))
    assert [f.kind for f in findings] == kinds


def test_outputs_that_are_large_by_their_weights_are_no_fault_of_the_targets():
    large = keras.initializers.RandomNormal(stddev=30.0)
    findings = _found(
        _net(kernel_initializer=large), X, 20 + 3 * Y, "mse", keras.optimizers.Adam(3e-4)
    )
    assert [f.kind for f in findings] == ["loss at the start"]


@pytest.mark.parametrize("seed", [0, 2])  # of 2 some is learned without a scale, of 0 nothing
@pytest.mark.parametrize(("spread", "kinds"), [(0.02, ["input scale"]), (0.5, [])])
def test_columns_that_differ_little_beside_their_mean_are_found_with_targets_alike(
    spread, kinds, seed
):
    keras.utils.set_random_seed(seed)
    x, y = 0.9 + spread * X, 0.9 + spread * Y
    model = keras.Sequential([keras.Input((6,)), layers.Dense(16, "tanh"), layers.Dense(1)])
    findings = _found(model, x, y, "mse", keras.optimizers.SGD(0.05, momentum=0.9))
    assert [f.kind for f in findings] == kinds


def _exponential(y, made):
    return ops.log(ops.sum(ops.exp(made))) - ops.sum(y * made) / len(X)


@pytest.mark.parametrize(("size", "kinds"), [(3000.0, ["input scale"]), (1.0, [])])
def test_a_scale_at_which_an_own_loss_overflows_is_to_blame_and_not_the_loss(size, kinds):
    findings = _found(_net(), size * X, Y, _exponential, keras.optimizers.Adam(0.01))
    assert [f.kind for f in findings] == kinds


def _sparse(made):
    mean = ops.mean(made, 0)
    return 1e-3 * ops.sum(0.05 * ops.log(0.05 / mean) + 0.95 * ops.log(0.95 / (1 - mean)))


@pytest.mark.parametrize(("hidden", "found"), [("tanh", True), ("sigmoid", False)])
def test_a_penalty_that_is_no_number_is_told_from_a_loss_that_is_none(hidden, found):
    model = _net(hidden=hidden, activity_regularizer=_sparse)
    findings = _found(model, X, Y, "mse", keras.optimizers.Adam(0.01))
    assert [f.kind for f in findings] == ["regularization"] * found
    assert all(f.where == ("loss", model.layers[0].name) for f in findings)


@pytest.mark.parametrize(("epsilon", "found"), [(0.0, True), (1e-6, False)])
def test_a_gradient_that_the_loss_makes_no_number_is_said_of_the_loss(epsilon, found):
    model = keras.Sequential([keras.Input((6,)), layers.Dense(4, "relu"), layers.Dense(3, "relu")])

    def root(y, made):
        return ops.sqrt(ops.mean(ops.square(made - y), -1) + epsilon)

    model.compile("adam", root)
    x = np.concatenate([X, 0 * X[:8]])  # of zeros the outputs are exactly 0, as their targets
    report = keras_inits.diagnose(model, x, np.zeros((len(x), 3), "float32"))
    broken = [f for f in report.findings if f.kind == "not finite"]
    assert [f.where for f in broken] == [(model.layers[-1].name, "loss")] * found


@pytest.mark.parametrize(
    ("temperature", "head", "found"),
    [
        (0.05, {"kernel_constraint": keras.constraints.UnitNorm()}, True),
        (20.0, {"kernel_constraint": keras.constraints.UnitNorm()}, False),
        (1.0, {"kernel_initializer": "zeros"}, False),
    ],
)
def test_logits_that_no_weights_make_differ_are_found(temperature, head, found):
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 20, 128)
    x = (rng.normal(size=(20, 8))[kinds] + 0.1 * rng.normal(size=(128, 8))).astype("float32")
    if temperature == 1:  # next to nothing is learned, and nothing has a bound
        kinds = rng.permutation(kinds)
    given = keras.Input((8,))
    code = layers.UnitNormalization()(layers.Dense(16)(given))
    model = keras.Model(given, temperature * layers.Dense(20, use_bias=False, **head)(code))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    told = [f for f in keras_inits.diagnose(model, x, kinds).findings if "differ" in f.numbers]
    assert len(told) == found
    assert not told or told[0].numbers["least"] > 0.9 * np.log(20)


def test_logits_of_weights_that_a_decay_makes_small_have_no_bound():
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(256, 20)).astype("float32")
    model = keras.Sequential(
        [keras.Input((20,)), layers.Dense(64, "relu"), layers.Dense(4, "softmax")]
    )
    heavy = keras.optimizers.AdamW(0.001, weight_decay=100.0)
    model.compile(heavy, "sparse_categorical_crossentropy")
    told = keras_inits.diagnose(model, x, x[:, :4].argmax(1)).findings
    assert [f.kind for f in told] == ["regularization"]
