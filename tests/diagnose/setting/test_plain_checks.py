"""The checks on plain values: data, targets, the end of a net, dropout, a linear chain."""

import keras
import numpy as np
import pytest

from keras_inits._diagnose.setting.between import dropouts, regularizers
from keras_inits._diagnose.setting.end import linearity, output, reach
from keras_inits._diagnose.setting.entrance import data
from keras_inits._diagnose.setting.plain import End, LossKind, loss_kind, targets_of
from keras_inits._diagnose.setting.target import targets
from keras_inits._diagnose.setting.target.guess import guess

RNG = np.random.default_rng(0)
BINARY = LossKind("binary_crossentropy")
SHARES = LossKind("categorical_crossentropy")
SPARSE = LossKind("sparse_categorical_crossentropy")
SQUARE = LossKind("mean_squared_error")
CLASSES = np.arange(32) % 4
ONE_HOT = np.eye(4)[CLASSES]
MEASURED = RNG.normal(size=(32, 1))


def _kinds(y, activation, units, loss, shape=None):
    end = End(activation, shape or (len(y), units), "dense")
    goal = targets_of(y)
    return [f.kind for f in (*targets.check(goal, end, loss), *output.check(goal, end, loss))]


@pytest.mark.parametrize(
    "loss",
    [
        "mse",
        "MeanSquaredError",
        keras.losses.mean_squared_error,
        keras.losses.MeanSquaredError(),
    ],
)
def test_a_loss_has_one_kind_however_it_is_written(loss):
    assert loss_kind(loss) == SQUARE


def test_a_function_named_like_a_loss_is_not_taken_for_it():
    def mean_squared_error(y, p):
        return y * p

    assert loss_kind(mean_squared_error).name == "other"


@pytest.mark.parametrize(
    ("y", "activation", "units", "loss"),
    [
        (ONE_HOT, "softmax", 4, SHARES),
        (CLASSES, "softmax", 4, SPARSE),
        (CLASSES[:, None], "softmax", 4, SPARSE),
        (CLASSES, "linear", 4, LossKind(SPARSE.name, from_logits=True)),
        (CLASSES, "exponential", 4, LossKind(SPARSE.name, from_logits=True)),
        (CLASSES > 1, "sigmoid", 1, BINARY),
        (CLASSES > 1, "linear", 1, LossKind(BINARY.name, from_logits=True)),
        (np.eye(2)[CLASSES % 2], "sigmoid", 2, BINARY),  # two exclusive classes: workable
        (np.eye(2)[CLASSES % 2], "softmax", 2, BINARY),
        (RNG.integers(0, 2, (32, 4)), "sigmoid", 4, BINARY),  # several labels a sample
        (RNG.random((32, 4)), "sigmoid", 4, BINARY),  # an autoencoder
        (0.9 * ONE_HOT + 0.025, "softmax", 4, SHARES),  # smoothed
        (MEASURED, "linear", 1, SQUARE),
        (MEASURED[:, 0], "linear", 1, SQUARE),
        (np.clip(MEASURED, -1, 1), "tanh", 1, SQUARE),
        (np.abs(MEASURED), "softplus", 1, SQUARE),
        (CLASSES > 1, "sigmoid", 1, SQUARE),
        (CLASSES > 1, "linear", 1, SQUARE),  # a discriminator of least squares
        (RNG.poisson(3, 32), "exponential", 1, LossKind("poisson")),
        (ONE_HOT, "linear", 4, LossKind("other")),
        (np.where(CLASSES == 3, -1, CLASSES), "softmax", 3, LossKind(SPARSE.name, ignored=-1)),
        (ONE_HOT, "softmax", 4, LossKind("kl_divergence")),
        (ONE_HOT, "unknown", 4, LossKind("kl_divergence")),  # divided by its sum, say
        (np.hstack([MEASURED, -MEASURED]), "linear", 2, LossKind("cosine_similarity")),
    ],
)
def test_fitting_ends_are_left_in_peace(y, activation, units, loss):
    assert _kinds(np.asarray(y, float), activation, units, loss) == []


@pytest.mark.parametrize(
    ("y", "activation", "units", "loss", "kind"),
    [
        (CLASSES > 1, "softmax", 1, BINARY, "output activation"),
        (CLASSES > 1, "softmax", 1, SQUARE, "output activation"),
        (CLASSES, "sigmoid", 1, BINARY, "labels"),
        (CLASSES, "softmax", 4, BINARY, "labels"),
        (CLASSES % 2 * 2 - 1, "sigmoid", 1, BINARY, "labels"),
        (MEASURED, "sigmoid", 1, BINARY, "labels"),
        (CLASSES % 2, "softmax", 2, BINARY, "labels"),
        (ONE_HOT, "sigmoid", 4, BINARY, "output activation"),
        (CLASSES > 1, "relu", 1, BINARY, "output activation"),
        (CLASSES > 1, "linear", 1, BINARY, "output activation"),
        (CLASSES > 1, "sigmoid", 1, LossKind(BINARY.name, True), "output activation"),
        (CLASSES, "relu", 4, LossKind(SPARSE.name, True), "output activation"),
        (ONE_HOT, "sigmoid", 4, SHARES, "output activation"),
        (ONE_HOT, "linear", 4, SHARES, "output activation"),
        (ONE_HOT, "softmax", 4, LossKind(SHARES.name, True), "output activation"),
        (CLASSES, "softmax", 4, SHARES, "labels"),
        (np.eye(5)[CLASSES], "softmax", 4, SHARES, "labels"),
        (RNG.integers(0, 2, (32, 4)), "softmax", 4, SHARES, "labels"),
        (CLASSES > 1, "sigmoid", 1, SHARES, "output units"),
        (CLASSES / 255, "softmax", 4, SPARSE, "labels"),
        (CLASSES + 1, "softmax", 4, SPARSE, "labels"),
        (ONE_HOT, "softmax", 4, SPARSE, "labels"),
        (MEASURED, "sigmoid", 1, SQUARE, "output activation"),
        (MEASURED, "relu", 1, SQUARE, "output activation"),
        (3 * MEASURED, "tanh", 1, SQUARE, "output activation"),
        (np.hstack([MEASURED, MEASURED]), "softmax", 2, SQUARE, "output activation"),
        (MEASURED, "linear", 3, SQUARE, "target shape"),
        (MEASURED[:, 0], "linear", 3, SQUARE, "target shape"),
        (ONE_HOT, "softmax", 4, LossKind("mean_absolute_error"), "loss"),
        (ONE_HOT, "linear", 4, SQUARE, "output activation"),
        (CLASSES > 1, "linear", 1, LossKind("mean_absolute_percentage_error"), "loss"),
        (MEASURED, "linear", 1, LossKind("mean_squared_logarithmic_error"), "loss"),
        (np.ones(32), "sigmoid", 1, BINARY, "labels"),
        (np.full(32, np.nan), "linear", 1, SQUARE, "labels"),
        (RNG.integers(0, 2, (32, 4)), "softmax", 4, BINARY, "output activation"),
        (ONE_HOT, "softmax", 4, BINARY, "loss"),
        (CLASSES > 1, "sigmoid", 1, LossKind("kl_divergence"), "loss"),
        (ONE_HOT, "relu", 4, LossKind("kl_divergence"), "output activation"),
        (RNG.random((32, 4)), "sigmoid", 4, LossKind("kl_divergence"), "loss"),
        (MEASURED, "linear", 1, LossKind("cosine_similarity"), "loss"),
        (np.where(CLASSES == 3, -1, CLASSES), "softmax", 3, SPARSE, "labels"),
    ],
)
def test_an_end_that_does_not_fit_is_found(y, activation, units, loss, kind):
    assert kind in _kinds(np.asarray(y, float), activation, units, loss)


def test_a_sequence_of_outputs_against_one_target_a_sample_is_found():
    assert _kinds(MEASURED, "linear", 1, SQUARE, shape=(32, 6, 1)) == ["target shape"]


@pytest.mark.parametrize(
    ("y", "shape", "loss", "kind"),
    [
        (CLASSES, (32, 6, 4), SPARSE, "target shape"),
        (ONE_HOT, (32, 6, 4), SHARES, "target shape"),
        (RNG.integers(0, 4, (32, 6)), (32, 6, 4), SPARSE, None),
        (RNG.integers(0, 4, (32, 6, 1)), (32, 6, 4), SPARSE, None),
    ],
)
def test_classes_are_compared_place_by_place(y, shape, loss, kind):
    assert _kinds(np.asarray(y, float), "softmax", 4, loss, shape) == ([kind] if kind else [])


@pytest.mark.parametrize(
    ("axes", "axis", "right"), [((2,), -1, True), ((1,), -1, False), ((1,), 1, True)]
)
def test_a_softmax_has_to_go_along_the_classes(axes, axis, right):
    end = End("softmax", (32, 6, 4), "probabilities", axes=axes)
    loss = LossKind(SPARSE.name, axis=axis)
    found = output.check(targets_of(RNG.integers(0, 4, (32, 6))), end, loss)
    assert [f.kind for f in found] == ([] if right else ["output activation"])


@pytest.mark.parametrize(
    ("optimizer", "decays"),
    [
        (keras.optimizers.AdamW(1e-3, weight_decay=0.05), False),
        (keras.optimizers.SGD(0.1, weight_decay=5e-4), False),
        (keras.optimizers.AdamW(1e-2, weight_decay=10.0), True),
    ],
)
def test_a_decay_that_leaves_nothing_is_found(optimizer, decays):
    assert bool(regularizers.decay(optimizer, float(optimizer.learning_rate))) == decays


def test_an_absolute_penalty_counts_for_more_than_a_square():
    assert regularizers.penalty(1.0, 5.0, 1.0) is None
    assert regularizers.penalty(1.0, 5.0, 1.0, l1=True)


def test_shares_are_the_nearest_ones():
    rows = RNG.normal(size=(50, 3))
    nearest = reach._to_shares(rows)
    np.testing.assert_allclose(nearest.sum(1), 1)
    others = RNG.dirichlet(np.ones(3), (500, 1))
    distance = ((rows - nearest) ** 2).sum(1)
    assert (distance <= ((rows - others) ** 2).sum(-1).min(0) + 1e-12).all()


@pytest.mark.parametrize(
    ("x", "suspicion"),
    [
        (RNG.normal(size=(64, 8)), None),
        (RNG.random((16, 8, 8, 3)), None),
        (RNG.random((64, 8)) < 0.1, None),
        (RNG.integers(1, 11, (64, 5)), None),
        (RNG.integers(0, 256, (16, 8, 8, 3)), "strong"),
        (RNG.normal(2000, 10, (64, 1)), "strong"),
        (RNG.normal(size=(64, 3)) * [1, 1, 5000], "strong"),
        (RNG.normal(size=(64, 3)) * 1e-5, "strong"),
        (RNG.normal(20, 8, (64, 3)), "weak"),
        (RNG.normal(0.9, 0.03, (64, 3)), "small"),
        (RNG.normal(0.9, 0.3, (64, 3)), None),
        (RNG.normal(0, 60, (4, 8, 8, 3)).clip(-120, 150), "weak"),
    ],
)
def test_suspicion_goes_by_the_size_of_features(x, suspicion):
    scale = data.scale_of(np.asarray(x, float))
    assert (scale and scale.suspicion) == suspicion


def test_standardized_features_have_unit_size_and_constant_ones_vanish():
    x = RNG.normal(500, 3, (64, 4))
    x[:, 2] = 7
    made = data.standardized(x)
    np.testing.assert_allclose(made.std(0), [1, 1, 0, 1], atol=1e-4)
    np.testing.assert_allclose(made.mean(0), 0, atol=1e-3)


def test_padding_is_found_and_a_flag_is_not():
    x = RNG.random((64, 10))
    assert data.padding(x) is None
    x[:, 7:][RNG.random((64, 3)) < 0.5] = -100
    found = data.padding(x)
    assert found is not None
    assert found.numbers["value"] == -100
    assert data.padding(np.where(x < 0, 1.0, x)) is None


def test_equal_samples_are_found():
    assert data.constant(np.ones((16, 3))) is not None
    assert data.constant(RNG.normal(size=(16, 3))) is None


@pytest.mark.parametrize("loss", [keras.losses.Huber(0.5), keras.losses.Huber(20.0), "log_cosh"])
def test_the_guess_of_robust_losses_is_their_least_cost_of_one_number(loss):
    y = 3 * RNG.exponential(size=(64, 1)).astype("float32")
    cost = keras.losses.get(loss)
    costs = [float(keras.ops.mean(cost(y, np.full_like(y, c)))) for c in np.linspace(0, 8, 401)]
    assert guess(targets_of(y), loss_kind(loss)) == pytest.approx(min(costs), rel=1e-3)
    assert guess(targets_of(1.1 * y), loss_kind(loss)) > 1.01 * min(costs)


def test_guesses_are_entropy_and_variance():
    assert guess(targets_of(CLASSES), SPARSE) == pytest.approx(np.log(4))
    assert guess(targets_of(ONE_HOT), SHARES) == pytest.approx(np.log(4))
    assert guess(targets_of(CLASSES > 1), BINARY) == pytest.approx(np.log(2))
    assert guess(targets_of(MEASURED), SQUARE) == pytest.approx(MEASURED.var())


@pytest.mark.parametrize(
    ("y", "made", "loss"),
    [
        (CLASSES, np.full((32, 4), 0.25), keras.losses.SparseCategoricalCrossentropy),
        (MEASURED, np.full((32, 1), MEASURED.mean()), keras.losses.MeanSquaredError),
    ],
)
def test_the_guess_of_a_sum_is_what_the_loss_gives_for_it(y, made, loss):
    summed = loss(reduction="sum")
    assert guess(targets_of(y), loss_kind(summed)) == pytest.approx(
        float(summed(y, made)), rel=1e-4
    )


def test_percentages_of_targets_that_pass_zero_are_found_and_of_others_left_in_peace():
    def said(y):
        return _kinds(y[:, None], "linear", 1, LossKind("mean_absolute_percentage_error"))

    draws = np.random.default_rng(4).normal(size=300)
    assert said(20 * draws + 3) == ["loss"]
    assert said(np.exp(draws)) == []  # prices
    assert said(np.sign(draws) * (1 + np.abs(draws))) == []  # of both signs, and none near 0


def test_dropout_of_a_few_units_or_of_nearly_all_is_found():
    drop = keras.layers.Dropout
    model = keras.Sequential(
        [keras.Input((64,)), drop(0.5, name="many"), drop(0.95, name="strong")]
    )
    model.add(keras.layers.Dense(3))
    model.add(drop(0.5, name="few"))
    found = sorted(dropouts.by_rate(model), key=lambda finding: finding.where)
    assert [finding.where for finding in found] == [("few",), ("strong",)]


@pytest.mark.parametrize(
    ("layer", "shape", "silent"),
    [
        (keras.layers.Dropout(0.25), (40, 1), False),  # one by one, in each of 40 steps
        (keras.layers.Dropout(0.25), (None, 1), False),
        (keras.layers.Dropout(0.25), (1,), True),
        (keras.layers.Dropout(0.25, noise_shape=(None, 1, 1)), (40, 1), True),
        (keras.layers.SpatialDropout1D(0.25), (40, 1), True),
        (keras.layers.SpatialDropout1D(0.25), (40, 16), False),
    ],
)
def test_a_dropout_is_counted_by_what_it_draws_one_by_one(layer, shape, silent):
    layer = type(layer).from_config(layer.get_config())
    inputs = keras.Input(shape)
    model = keras.Model(inputs, layer(inputs))
    assert bool(dropouts.by_rate(model)) is silent


def test_affine_functions_are_told_from_rectified_ones():
    kernel = RNG.normal(size=(5, 2))
    x = np.abs(RNG.normal(size=(32, 5)))
    assert linearity.is_affine(lambda v: v @ kernel + 3, x, np.random.default_rng(0))
    assert not linearity.is_affine(lambda v: np.maximum(v, 0) @ kernel, x, np.random.default_rng(0))


def test_a_curved_task_is_told_from_a_linear_one():
    x = RNG.uniform(-1, 1, (200, 3))
    line = x @ [1.0, 2, 3] + 0.1 * RNG.normal(size=200)
    linear, curved = linearity.explained(x, line)
    assert linear > 0.95
    assert curved - linear < linearity.GAP
    linear, curved = linearity.explained(x, np.sin(4 * x[:, 0]) * x[:, 1])
    assert curved - linear > linearity.GAP


TAKEN = np.where(np.eye(4)[CLASSES] > 0, RNG.normal(size=(32, 4)), 0.0)


@pytest.mark.parametrize(
    ("y", "wrong"),
    [
        (TAKEN, True),
        (TAKEN + 0.1 * (TAKEN == 0), False),
        (np.abs(np.eye(4)[CLASSES]), False),  # one-hot
        (3.0 * np.eye(4)[CLASSES], False),  # one number alone is a mark
        (np.where(np.arange(4) == 2, TAKEN.sum(1, keepdims=True), 0.0), False),  # one column
        (TAKEN[:, :2] + TAKEN[:, 2:], False),  # two columns
        (TAKEN[:8], False),  # few samples
    ],
)
def test_numbers_of_one_action_among_zeros_are_found(y, wrong):
    assert ("labels" in _kinds(y, "linear", y.shape[1], SQUARE)) == wrong
