"""What is said once, in the finding that explains it, and causes that trials tell from others."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_inits
from keras_inits._diagnose.setting import order, remedies
from keras_inits._diagnose.setting.end import asked, own_loss
from keras_inits._diagnose.setting.plain import End, targets_of
from keras_inits._diagnose.setting.run import examine
from keras_inits._reporting import Finding

RNG = np.random.default_rng(11)
X = RNG.normal(size=(128, 8)).astype("float32")
CLASSES = X[:, :3].argmax(1)
SPARSE = "sparse_categorical_crossentropy"


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(0)


def _found(model, x, y, optimizer, loss=SPARSE):
    model.compile(optimizer, loss)
    setting = examine(model, x, y)
    assert not [note for note in setting.notes if "Error" in note]
    return setting.findings


@pytest.mark.filterwarnings("ignore:You are using a softmax")
def test_an_end_without_a_gradient_is_one_finding():
    y = (X[:, :1] > 0).astype("float32")
    model = keras.Sequential(
        [keras.Input((8,)), layers.Dense(8, "relu"), layers.Dense(1, "softmax", name="last")]
    )
    model.compile("adam", "mse")
    report = keras_inits.diagnose(model, X, y)
    assert [f.kind for f in report.findings if f.kind == "no gradient"] == []
    assert report.findings[0].where == ("output", "last")
    assert "no gradient comes through last" in report.findings[0].evidence
    assert report["last"].verdict == "no gradient"


def test_a_gradient_that_is_lost_elsewhere_is_a_finding_of_its_own():
    end = Finding("output activation", ("output",), "sigmoid gives 0 to 1")
    zero = Finding("no gradient", ("last",), "0 to its weights", numbers={"gradient": 0.0})
    none = Finding("no gradient", ("loss",), "the loss hands no gradient back")
    setting = order.Setting((end,))
    assert [f.kind for f in order.with_signal(setting, (zero,), ["last"])] == [end.kind]
    for signal, ends in ((none, ["last"]), (zero, ["other"])):
        assert order.with_signal(setting, (signal,), ends) == (end, signal)


def test_dead_units_of_a_kernel_of_zeros_are_one_finding():
    zeros = {"kernel_initializer": "zeros"}
    model = keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(16, "relu"),
            layers.Dense(16, "relu", name="first", **zeros),
            layers.Dense(3, "softmax", name="second", **zeros),
        ]
    )
    (found,) = keras_inits.diagnose(model, X, jacobian_samples=0).findings
    assert (found.kind, found.where) == ("symmetric", ("first",))
    exec(found.remedy, {"model": model, "keras_inits": keras_inits})
    assert keras_inits.diagnose(model, X, jacobian_samples=0).ok


def _penalties(model):
    return float(ops.convert_to_numpy(sum(model.losses)))


def test_code_that_weakens_penalties_and_constraints_runs():
    strong = {
        "kernel_regularizer": keras.regularizers.L1(5.0),
        "kernel_constraint": keras.constraints.MaxNorm(0.01),
    }
    model = keras.Sequential([keras.Input((8,)), layers.Dense(4, **strong), layers.Dense(1)])
    model.compile("adam", "mse")
    before = _penalties(model)
    path = model.layers[0].kernel.path
    exec(remedies.weaker_regularizers(), {"model": model, "keras": keras})
    exec(remedies.on_weights(f"w.path in {(path,)}", "constraint", "None"), {"model": model})
    assert 0 < _penalties(model) < 1e-3 * before
    assert model.layers[0].kernel.constraint is None


@pytest.mark.parametrize(
    ("activation", "optimizer", "kinds"),
    [
        ("exponential", keras.optimizers.SGD(0.05, momentum=0.9), ["hidden activation"]),
        pytest.param("exponential", keras.optimizers.Adam(0.01), [], marks=pytest.mark.slow),
        pytest.param("elu", keras.optimizers.Adam(0.01), [], marks=pytest.mark.slow),
    ],
)
def test_exponentials_between_layers_are_found_where_others_teach(activation, optimizer, kinds):
    inner = [layers.Dense(16, activation) for _ in range(2)]
    model = keras.Sequential([keras.Input((8,)), *inner, layers.Dense(3, "softmax")])
    found = _found(model, X, CLASSES, optimizer)
    assert [f.kind for f in found] == kinds
    for finding in found:
        exec(finding.remedy, {"model": model, "keras": keras})
        assert all(layer.activation is keras.activations.elu for layer in model.layers[:2])


def _product(truth, made):
    return -ops.mean(ops.matmul(ops.log(made + 1e-7), ops.transpose(truth)), -1)


def _of_mean(truth, made):
    return ops.mean(ops.square(made - ops.mean(truth, 0)))


def _own(truth, made):
    return -ops.sum(truth * ops.log(made + 1e-7), -1)


def _proportions(truth, made):
    shares = ops.mean(truth, 0)
    return ops.sum(shares * ops.log((shares + 1e-7) / (ops.mean(made, 0) + 1e-7)))


@pytest.mark.parametrize(
    ("loss", "wrong"), [(_product, True), (_of_mean, True), (_own, False), (_proportions, False)]
)
def test_a_loss_that_compares_each_sample_with_the_targets_of_all_is_found(loss, wrong):
    y = (np.eye(4)[np.arange(32) % 4] * RNG.uniform(0.2, 1, (32, 1))).astype("float32")
    end = End("softmax", (32, 4), "last", reference='model.get_layer("last")')
    found = own_loss.check(asked.Asked(y, targets_of(y), end, asked.Loss(loss), 1))
    assert [f.kind for f in found] == (["loss"] if wrong else [])


def _reader(placed):
    tokens = keras.Input((8,), dtype="int32")
    h = layers.Embedding(6, 16, name="words")(tokens)
    if placed:
        h = h + layers.Embedding(8, 16)(ops.cumsum(ops.ones_like(tokens), 1) - 1)
    h = h + layers.MultiHeadAttention(2, 8)(h, h)
    h = layers.LayerNormalization()(h + layers.Dense(16)(layers.Dense(32, "relu")(h)))
    return keras.Model(tokens, layers.Dense(1, "sigmoid")(layers.GlobalMaxPooling1D()(h)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("placed", "ordered", "kinds"),
    [(False, True, ["missing positions"]), (True, True, []), (False, False, [])],
)
def test_a_net_that_cannot_see_the_order_that_matters_is_found(placed, ordered, kinds):
    tokens = RNG.integers(2, 6, (256, 8))
    y = RNG.integers(0, 2, (256, 1))
    tokens[:, [1, 5]] = np.concatenate([y, 1 - y], 1) if ordered else np.concatenate([y, y], 1)
    found = _found(_reader(placed), tokens, y, keras.optimizers.Adam(0.003), "binary_crossentropy")
    assert [f.kind for f in found] == kinds
