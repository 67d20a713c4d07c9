"""Columns that are lost beside others, products of codes, and steps that change nothing."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_inits import diagnose
from keras_inits._diagnose.setting.end import output
from keras_inits._diagnose.setting.plain import End, loss_kind, targets_of
from keras_inits._diagnose.setting.run import examine

RNG = np.random.default_rng(12)
X = RNG.normal(size=(192, 6)).astype("float32")
Y = (X[:, 0] + X[:, 1] > 0).astype("float32")
BCE = "binary_crossentropy"


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(0)


def _kinds(model, x, y, optimizer="adam", loss=BCE):
    model.compile(optimizer, loss)
    setting = examine(model, x, y)
    assert not [note for note in setting.notes if "Error" in note]
    return [finding.kind for finding in setting.findings]


def _net(*first):
    inner = [layers.Dense(32, "relu"), layers.Dense(1, "sigmoid")]
    return keras.Sequential([keras.Input((6,)), *first, *inner])


def _spiked():
    x = X.copy()
    x[np.arange(4) * 7, np.arange(4)] = 1e5  # more would be taken for a mark
    return (x - x.min(0)) / (x.max(0) - x.min(0))


@pytest.mark.parametrize(
    ("x", "kinds"),
    [
        (X * [1e-30, 1e-38, 1, 1, 1, 1], ["input scale"]),  # what tells classes apart is lost
        (X * [1, 1, 1, 1, 1e-30, 1e-38], []),  # what says nothing may be
        (X * [0.1, 1, 1, 1, 1, 1], []),
        (_spiked(), ["input scale"]),
        (np.sinh(2 * X) / 4, []),  # tails alone
    ],
    ids=["lost", "not needed", "smaller", "spiked", "tails"],
)
def test_columns_that_the_others_leave_nothing_of_are_found(x, kinds):
    adam = keras.optimizers.Adam(0.003)
    assert _kinds(_net(), x.astype("float32"), Y, adam) == kinds


@pytest.mark.parametrize("first", [layers.LayerNormalization, layers.UnitNormalization])
@pytest.mark.parametrize(
    ("sizes", "found"), [([1, 10, 1e4, 1e4, 10, 1], True), ([1, 2, 3, 1, 2, 3], False)]
)
def test_raw_columns_that_are_normalized_by_sample_are_found(first, sizes, found):
    y = (X[:, 0] > 0).astype("float32")
    kinds = _kinds(_net(first()), X * np.float32(sizes), y, keras.optimizers.Adam(0.005))
    assert ("input scale" in kinds) == found


class Shift(keras.layers.Layer):
    def call(self, x):
        return (x - 5000.0) / 1000.0


@pytest.mark.parametrize(
    ("first", "found"),
    [
        (lambda x: 1.0 * x, True),
        (lambda x: (x - 5000.0) / 1000.0, False),
        (Shift(), False),
        (lambda x: ops.sin(x), False),
    ],
)
def test_inputs_that_operations_meet_first_are_judged_by_what_scaling_brings(first, found):
    given = keras.Input((6,))
    h = layers.Dense(16, "relu")(first(given))
    model = keras.Model(given, layers.Dense(1, "sigmoid")(h))
    kinds = _kinds(model, 1000 * X + 5000, Y, keras.optimizers.Adam(0.01))
    assert ("input scale" in kinds) == found


@pytest.mark.parametrize(
    ("y", "loss", "wrong"),
    [
        (np.arange(32) % 5 + 1.0, "mse", True),
        (np.arange(32) % 5 + 1.0, "huber", True),
        (np.linspace(-0.9, 0.9, 32), "mse", False),
        (np.arange(32) % 2, BCE, False),  # perhaps of codes without negative numbers
        (np.arange(32) % 2, "mse", False),
    ],
)
def test_cosines_reach_from_minus_one_to_one(y, loss, wrong):
    end = End("cosine", (32, 1), "dot")
    found = output.check(targets_of(y[:, None]), end, loss_kind(loss))
    assert [f.kind for f in found] == (["output activation"] if wrong else [])


def _factors(penalty, normalize=False):
    two = [keras.Input((1,), dtype="int32") for _ in range(2)]
    options = {"embeddings_regularizer": keras.regularizers.L2(penalty)}
    start = keras.initializers.RandomNormal(stddev=0.3)
    codes = [layers.Embedding(12, 4, start, **options)(one) for one in two]
    return keras.Model(two, layers.Flatten()(layers.Dot(-1, normalize=normalize)(codes)))


def _ratings():
    who, what = RNG.integers(0, 12, (2, 192, 1))
    taste, theme = RNG.standard_normal((2, 12, 2))
    return [who, what], (taste[who[:, 0]] * theme[what[:, 0]]).sum(1)


@pytest.mark.parametrize(("penalty", "found"), [(0.3, True), (1e-4, False)])
def test_a_penalty_under_which_all_products_become_one_is_found(penalty, found):
    x, y = _ratings()
    kinds = _kinds(_factors(penalty), x, y / y.std(), keras.optimizers.Adam(0.02), "mse")
    assert ("regularization" in kinds) == found


def test_the_end_of_normalized_products_is_read():
    x, y = _ratings()
    kinds = _kinds(_factors(0.0, normalize=True), x, 3 + y, loss="mse")
    assert kinds == ["output activation"]


def test_an_output_without_a_loss_is_not_taken_for_a_loss_without_a_gradient():
    given = keras.Input((1,))
    inner = [layers.Dense(16, "tanh"), layers.Dense(1)]

    def u(x):
        return inner[1](inner[0](x))

    model = keras.Model(given, [u(given), u(given + 0.1) - u(given - 0.1)])
    model.compile("adam", [None, "mse"])
    x = X[:, :1]
    report = diagnose(model, x, [np.sin(x), 0.2 * np.cos(x)])
    assert "no gradient" not in [finding.kind for finding in report.findings]


def test_a_loss_without_a_gradient_is_still_found_beside_such_an_output():
    given = keras.Input((6,))
    h = layers.Dense(16, "relu")(given)
    end = ops.round(layers.Dense(1)(h))
    model = keras.Model(given, [ops.mean(h, -1, keepdims=True), end])
    model.compile("adam", [None, "mse"])
    report = diagnose(model, X, [Y[:, None], Y[:, None]])
    assert "no gradient" in [finding.kind for finding in report.findings]


def _texts(unknown=0.0, filling=0, between=False, length=12):
    words = RNG.integers(2, 200, (160, length))
    y = RNG.integers(0, 2, 160)
    words[np.arange(160), RNG.integers(0, length, 160)] = 200 + y
    words = np.where(RNG.random(words.shape) < unknown, 0 if between else 1, words)
    return np.pad(words, ((0, 0), (0, filling))), y.astype("float32")


def _reader(steps, rows=202, **options):
    inner = [layers.GlobalAveragePooling1D(), layers.Dense(16, "relu"), layers.Dense(1, "sigmoid")]
    return keras.Sequential([keras.Input((steps,)), layers.Embedding(rows, 16, **options), *inner])


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        ({"unknown": 0.95}, True),
        ({"unknown": 0.95, "filling": 30}, True),
        ({"unknown": 0.4}, False),
        ({"filling": 60}, False),
        ({"unknown": 0.95, "between": True}, False),  # 0 may stand for no event
    ],
)
def test_texts_of_unknown_words_are_found(texts, found):
    x, y = _texts(**texts)
    model = _reader(x.shape[1])
    model.compile("adam", BCE)
    kinds = [f.kind for f in examine(model, x, y, trials=False).findings]
    assert ("input values" in kinds) == found


@pytest.mark.parametrize(
    ("filling", "options", "found"),
    [(400, {}, True), (400, {"mask_zero": True}, False), (2, {}, False)],
)
@pytest.mark.parametrize("front", [False, True])
def test_means_over_filling_are_found(filling, options, front, found):
    x, y = _texts(filling=filling, length=4)
    x = np.roll(x, filling, 1) if front else x
    kinds = _kinds(_reader(x.shape[1], **options), x, y, keras.optimizers.Adam(0.005))
    assert ("input padding" in kinds) == found


@pytest.mark.parametrize(("spread", "found"), [(2.0, True), (0.5, False)])
def test_targets_whose_logarithms_alone_are_learned_are_found(spread, found):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(256, 6)).astype("float32")
    y = np.exp(spread * (x[:, :1] + np.abs(x[:, 1:2])) + 0.1 * rng.normal(size=(256, 1)))
    model = keras.Sequential([keras.Input((6,)), layers.Dense(16, "relu"), layers.Dense(1)])
    model.compile("adam", "mse")
    told = [f for f in diagnose(model, x, y).findings if "logarithms" in f.numbers]
    assert len(told) == found


def test_targets_of_many_magnitudes_that_noise_makes_are_left_in_peace():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(256, 6)).astype("float32")
    model = keras.Sequential([keras.Input((6,)), layers.Dense(16, "relu"), layers.Dense(1)])
    model.compile("adam", "mse")
    found = diagnose(model, x, np.exp(2 * rng.normal(size=(256, 1)))).findings
    assert not [f for f in found if "logarithms" in f.numbers]
