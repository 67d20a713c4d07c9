"""What keeps a net from learning although its layers and its data are sound one by one."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_inits as ki
from keras_inits._diagnose.setting.rate import rates
from keras_inits._diagnose.setting.run import examine
from keras_inits._diagnose.setting.trials import starts
from keras_inits._diagnose.setting.trials.steps import Trial

RNG = np.random.default_rng(3)
X = RNG.normal(size=(192, 8)).astype("float32")
PRODUCT = (X[:, :1] * X[:, 1:2] + X[:, 2:3]).astype("float32")
PRODUCT = (PRODUCT - PRODUCT.mean()) / PRODUCT.std()
SPARSE = "sparse_categorical_crossentropy"
KINDS = 2 * (X[:, 0] > 0) + (X[:, 1] > 0)


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(0)


def _net(*rest, shape=(8,)):
    return keras.Sequential([keras.Input(shape), *rest])


def _mlp(*widths, units=1, end=None, **options):
    inner = [layers.Dense(width, "relu", **options) for width in widths]
    return _net(*inner, layers.Dense(units, end))


def _found(model, x, y, loss, optimizer):
    model.compile(optimizer, loss)
    return [(f.kind, f.where) for f in examine(model, x, y).findings]


def _deep(trainable):
    inner = [layers.Dense(32, "tanh") for _ in range(5)]
    base = _net(*inner)
    model = _net(base, layers.Dense(1, "sigmoid"))
    ki.initialize(model, ki.RandomInit(stddev=0.12), seed=0)  # the same on every backend
    base.trainable = trainable
    return model


@pytest.mark.parametrize(("trainable", "kinds"), [(False, ["no gradient"]), (True, [])])
def test_a_base_that_was_frozen_as_it_was_drawn(trainable, kinds):
    model = _deep(trainable)
    y = ((X[:, :1] * X[:, 1:2] > 0) ^ (X[:, 2:3] > 0)).astype("float32")
    found = _found(model, X, y, "binary_crossentropy", keras.optimizers.Adam(0.005))
    assert found == [(kind, (model.layers[0].name,)) for kind in kinds]


def test_random_features_that_are_meant_to_stay_teach_enough():
    features = layers.Dense(256, "relu", trainable=False)
    model = _net(features, layers.Dense(4, "softmax"))
    assert _found(model, X, KINDS, SPARSE, keras.optimizers.Adam(0.01)) == []


@pytest.mark.parametrize("trainable", [False, True])
def test_a_batch_normalization_that_keeps_the_statistics_it_was_made_with(trainable):
    start = keras.initializers.RandomNormal(stddev=0.01, seed=1)
    inner, names = [], []
    for _ in range(2):
        norm = layers.BatchNormalization(trainable=trainable)
        names.append(norm.name)
        inner += [layers.Dense(32, kernel_initializer=start), norm, layers.ReLU()]
    model = _net(*inner, layers.Dense(4, "softmax", kernel_initializer=start))
    found = _found(model, X, KINDS, SPARSE, keras.optimizers.SGD(0.05))
    assert found == ([] if trainable else [("moving statistics", tuple(names))])


@pytest.mark.parametrize(("units", "kinds"), [(1, ["hidden units"]), (2, []), (16, [])])
def test_classes_that_are_told_by_one_number(units, kinds):
    model = _mlp(32, units, units=8, end="softmax")
    octants = (X[:, :3] > 0) @ [1, 2, 4]
    found = _found(model, X, octants, SPARSE, keras.optimizers.Adam(0.01))
    assert found == [(kind, (model.layers[1].name,)) for kind in kinds]


@pytest.mark.parametrize(("clear", "kinds"), [(1.7, ["class imbalance"]), (6.0, [])])
def test_a_rare_class_that_is_never_answered(clear, kinds):
    y = (RNG.random((64, 10, 10, 1)) < 0.02).astype("float32")
    x = (clear * y + RNG.normal(size=y.shape)).astype("float32")
    convolution = layers.Conv2D(8, 3, padding="same", activation="relu")
    model = _net(convolution, layers.Conv2D(1, 1, activation="sigmoid"), shape=(10, 10, 1))
    found = _found(model, x, y, "binary_crossentropy", keras.optimizers.Adam(0.004))
    assert [kind for kind, _ in found] == kinds


def test_a_rare_class_that_little_tells_apart_is_left_alone():
    y = (RNG.random((192, 1)) < 0.06).astype("float32")
    x = (X + 0.2 * y).astype("float32")
    model = _mlp(16, end="sigmoid")
    assert _found(model, x, y, "binary_crossentropy", keras.optimizers.Adam(0.003)) == []


def _contrastive(other, far):
    apart = ops.square(ops.maximum(1.5 - far, 0.0))
    return ops.mean((1 - other) * ops.square(far) + other * apart, -1)


def _triplet_free(same, near):
    return ops.mean(same * ops.square(1 - near) + (1 - same) * ops.square(ops.relu(near)), -1)


@pytest.mark.parametrize("distance", [True, False])
@pytest.mark.parametrize("head", [True, False])
def test_labels_of_pairs_that_the_loss_takes_the_other_way_round(distance, head):
    styles = RNG.normal(size=(8, 12))
    first = RNG.integers(0, 8, 128)
    same = RNG.integers(0, 2, (128, 1)).astype("float32")
    second = np.where(same[:, 0] == 1, first, (first + RNG.integers(1, 8, 128)) % 8)
    x = [(styles[who] + 0.4 * RNG.normal(size=(128, 12))).astype("float32")
         for who in (first, second)]  # fmt: skip
    right = 1 - same if distance else same

    def found(y):
        encoder = _net(layers.Dense(24, "relu"), layers.Dense(6), shape=(12,))
        two = [keras.Input((12,)), keras.Input((12,))]
        a, b = map(encoder, two)
        if distance:
            made = ops.sqrt(ops.sum(ops.square(a - b), -1, keepdims=True) + 1e-6)
        else:
            made = layers.Dot(1, normalize=True)([a, b])
        if head:  # which learns what a distance means
            made = layers.Dense(1, "sigmoid")(layers.BatchNormalization()(made))
        loss = _contrastive if distance else _triplet_free
        return _found(keras.Model(two, made), x, y, loss, keras.optimizers.Adam(0.003))

    labels = ("labels", ("targets", "loss"))
    assert (labels in found(1 - right)) is not head
    assert labels not in found(right)


@pytest.mark.parametrize(("bias", "kinds"), [(-30.0, ["output activation"]), (0.5, [])])
def test_a_relu_at_the_end_that_is_dead(bias, kinds):
    last = layers.Dense(1, "relu", bias_initializer=keras.initializers.Constant(bias))
    model = _net(layers.Dense(16, "relu"), last)
    y = np.maximum(0.2, X[:, :1] + X[:, 1:2])
    found = _found(model, X, y, "mse", keras.optimizers.Adam(0.005))
    assert [kind for kind, _ in found] == kinds


@pytest.mark.parametrize(("rate", "kinds"), [(0.1, ["learning rate too high"]), (2e-4, [])])
def test_steps_of_a_summed_loss(rate, kinds):
    loss = keras.losses.SparseCategoricalCrossentropy(reduction="sum")
    model = _mlp(32, 32, units=4, end="softmax")
    found = _found(model, X, KINDS, loss, keras.optimizers.SGD(rate, 0.9))
    assert [kind for kind, _ in found] == kinds


def test_a_rate_that_keeps_the_loss_where_it_was_and_a_tenth_of_it_does_not():
    model = _mlp(48, 24)
    found = _found(model, X, PRODUCT, "mse", keras.optimizers.SGD(1.0, 0.5))
    assert found == [("learning rate too high", ("optimizer",))]


@pytest.mark.parametrize(("rate", "kinds"), [(0.001, ["learning rate too low"]), (0.1, [])])
def test_ftrl_puts_kernels_where_its_rate_says(rate, kinds):
    found = _found(_mlp(32, 32), X, PRODUCT, "mse", keras.optimizers.Ftrl(rate))
    assert [kind for kind, _ in found] == kinds


def test_small_noisy_targets_of_small_inputs():
    change = np.zeros(300)
    for t in range(2, 300):
        change[t] = 0.7 * change[t - 1] - 0.5 * change[t - 2] + 0.004 * RNG.normal()
    x = np.stack([change[i : i + 10] for i in range(256)]).astype("float32")[..., None]
    y = change[10:266].astype("float32")[:, None]

    def found(size):
        model = _net(layers.GRU(24), layers.Dense(1), shape=(10, 1))
        return _found(model, x / size, y / size, "mse", keras.optimizers.SGD(0.05))

    assert found(1) == [("input scale", ("input",))]
    assert found(change.std()) == []


def _trial(start, end, peak=None):
    return Trial(0.1, (start, peak or start), start, end, (), (), 1.0)


def test_what_kernels_drawn_anew_lose_of_their_own_start_does_not_excuse_a_rate():
    assert not rates.is_of_weights(_trial(0.69, 0.70), _trial(0.94, 0.69))
    assert rates.is_of_weights(_trial(0.69, 0.70), _trial(0.94, 0.40))


@pytest.mark.parametrize(("after", "found"), [(0.35, True), (0.45, False)])
def test_the_way_down_to_a_guess_is_not_what_a_small_rate_has_learned(after, found):
    own = _trial(1.0, 0.9)
    finding = rates.too_low(own, lambda rate: _trial(1.0, after if rate else 1.0), "SGD", best=0.5)
    assert (finding is not None) == found


@pytest.mark.parametrize(
    ("own", "still", "found"),
    [(1.01, 1.01, True), (1.01, 1.0, False), (0.98, 0.98, True), (0.98, 1.0, False)],
)
def test_what_is_drawn_in_each_step_hides_no_rate_that_is_too_low(own, still, found):
    def attempt(rate):
        return _trial(1.0, 0.7 if rate else still)  # at larger rates, and without a step

    assert bool(rates.too_low(_trial(1.0, own), attempt, "SGD", best=0.9)) == found


@pytest.mark.parametrize(("rate", "found"), [(0.001, True), (1.0, False)])
def test_a_rate_that_moves_nothing_is_found_behind_a_dropout(rate, found):
    inner = [layers.Dropout(0.5), layers.Dense(32, "relu"), layers.Dropout(0.5)]
    model = _net(*inner, layers.Dense(4, "softmax"), shape=(8,))
    given = _found(model, X, KINDS, SPARSE, keras.optimizers.Adadelta(rate))
    assert given == [("learning rate too low", ("optimizer",))] * found


def test_a_layer_with_an_initializer_of_the_user_s_own_is_copied():
    model = _net(
        layers.LSTM(4, activation="relu", kernel_initializer=_drawn), layers.Dense(1), shape=(5, 2)
    )
    other = starts.with_settings(model, {model.layers[0].name: {"activation": "tanh"}})
    assert other.layers[0].activation is keras.activations.tanh
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def _drawn(shape, dtype=None):
    return keras.random.normal(shape, dtype=dtype)


@pytest.mark.parametrize(("rate", "kinds"), [(0.78, ["dropout"]), (0.4, [])])
def test_dropouts_that_leave_nothing_together(rate, kinds):
    inner = [each for _ in range(4) for each in (layers.Dense(12, "relu"), layers.Dropout(rate))]
    model = _net(*inner, layers.Dense(4, "softmax"))
    found = _found(model, X, KINDS, SPARSE, keras.optimizers.Adam(0.01))
    assert [kind for kind, _ in found] == kinds
    assert all(len(where) == 4 for _, where in found)
