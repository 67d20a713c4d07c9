"""Weights of samples, losses of the user's own, and label smoothing, each beside what is right."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from versions import ON_TORCH

import keras_inits
from keras_inits._diagnose.setting.end import asked, output, own_loss
from keras_inits._diagnose.setting.plain import End, loss_kind, targets_of
from keras_inits._diagnose.setting.run import examine
from keras_inits._diagnose.setting.target import sample_weights
from keras_inits._diagnose.setting.target.guess import guess

takes_all = pytest.mark.skipif(ON_TORCH, reason="torch refuses targets outside of 0 to 1")
RNG = np.random.default_rng(5)
RARE = (np.arange(256) < 8).astype(int)
MASKS = (RNG.random((32, 6, 6, 1)) < 0.3).astype("float32")
MEASURED = RNG.standard_normal((32, 1)).astype("float32")
FRACTIONS = RNG.random((32, 4)).astype("float32")
KINDS = np.eye(4, dtype="float32")[np.arange(32) % 4]
PAIRS = (np.arange(32) % 2).astype("float32")[:, None]
TIMES = RNG.exponential(size=(32, 2)).astype("float32")  # of one output: when, and whether
REFERENCE = 'model.get_layer("last")'


def _balanced(y):
    return np.where(y == 1, y.size / 2 / y.sum(), y.size / 2 / (1 - y).sum())


@pytest.mark.parametrize(
    ("weights", "wrong"),
    [
        (np.zeros(256), True),
        (-np.ones(256), True),
        (np.where(np.arange(256) == 3, 1e9, 1.0), True),
        (np.where(RARE == 1, 9999.0, 1.0), True),
        (np.ones(256), False),
        (_balanced(RARE), False),
        (10 * _balanced(RARE), False),
        (np.where(RARE == 1, 0.0, 1.0), False),  # a class left out on purpose
        (RNG.exponential(size=256), False),
    ],
)
def test_weights_that_leave_nothing_of_the_loss_are_found(weights, wrong):
    assert bool(sample_weights.check(weights, targets_of(RARE))) == wrong


def test_the_guess_counts_samples_as_their_weights_do():
    kind = loss_kind("binary_crossentropy")
    assert guess(targets_of(RARE), kind, _balanced(RARE)) == pytest.approx(np.log(2))
    assert guess(targets_of(RARE), kind) < 0.2
    repeated = guess(targets_of(np.repeat([1.0, 4.0], [3, 1])), loss_kind("mse"))
    assert guess(targets_of([1.0, 4.0]), loss_kind("mse"), np.array([1.5, 0.5])) == repeated


def dice(truth, made):
    return (2 * ops.sum(truth * made) + 1) / (ops.sum(truth) + ops.sum(made) + 1)


def square(truth, made):
    return ops.mean(ops.square(truth - made))


class Square(keras.losses.Loss):
    def call(self, truth, made):
        return square(truth, made)


def contrastive(same, distance):
    return ops.mean(same * distance**2 + (1 - same) * ops.maximum(1 - distance, 0) ** 2)


def clipped(y, p):
    return keras.losses.binary_crossentropy(y, p)


def deaf(y, p):
    return square(y, ops.stop_gradient(p)) + 0.1 * square(0.1, p)


def of_logits(y, z):
    return ops.mean(ops.maximum(z, 0) - z * y + ops.log1p(ops.exp(-ops.abs(z))))


def ramp(y, z):
    return ops.mean(ops.clip(1 - (2 * y - 1) * z, 0, 2))


def critic(sign, score):
    return ops.mean(sign * score)


def pinball(share):
    def loss(y, p):
        return ops.mean(ops.maximum(share * (y - p), (share - 1) * (y - p)))

    return loss


def focal(weight):
    def loss(y, p):
        right = y * p + (1 - y) * (1 - p)
        return -ops.mean(weight(right) * ops.log(ops.clip(right, 1e-6, 1)))

    return loss


def risk_of_rows(y, p):
    return ops.mean(ops.log(ops.cumsum(ops.exp(p[:, 0]))) - p[:, 0])


def risk_by_time(y, p):
    later = ops.cast(y[None, :, 0] >= y[:, None, 0], p.dtype)
    return ops.mean(ops.log(ops.sum(later * ops.exp(p[None, :, 0]), 1)) - p[:, 0])


def of_weighed(y, p):
    return clipped(y, ops.clip(p * (1 + 9 * y), 1e-6, 1 - 1e-6))


def cost_weighed(y, p):
    return (1 + 9 * y[..., 0]) * clipped(y, p)


def of_scores(y, z):
    return -ops.mean(ops.sum(y * ops.log_softmax(z), -1))


@pytest.mark.parametrize(
    ("y", "activation", "loss", "inputs", "kind"),
    [
        (MASKS, "sigmoid", focal(lambda right: right**4), 1, "loss"),
        (MASKS, "sigmoid", focal(lambda right: right), 1, "loss"),
        (MASKS, "sigmoid", focal(lambda right: (1 - right) ** 4), 1, None),
        (MASKS, "sigmoid", lambda y, p: ops.mean(ops.abs(y - p)), 1, None),
        (KINDS, "softmax", focal(lambda right: right**2), 1, "loss"),
        (KINDS, "softmax", focal(lambda right: (1 - right) ** 2), 1, None),
        (MASKS, "sigmoid", of_weighed, 1, "loss"),
        (MASKS, "sigmoid", cost_weighed, 1, None),
        (MASKS, "linear", lambda y, p: 1 - dice(y, p), 1, "output activation"),
        (MASKS, "linear", lambda y, z: 1 - dice(y, ops.sigmoid(z)), 1, None),
        (MASKS, "linear", of_logits, 1, None),
        (FRACTIONS, "sigmoid", lambda y, p: -square(y, p), 1, "loss"),
        (FRACTIONS, "sigmoid", square, 1, None),
        (MEASURED, "sigmoid", square, 1, "output activation"),
        pytest.param(MEASURED, "sigmoid", clipped, 1, "output activation", marks=takes_all),
        (MEASURED, "tanh", square, 1, "output activation"),
        (MEASURED, "sigmoid", lambda y, p: square(y, 8 * p - 4), 1, None),
        (MEASURED, "sigmoid", lambda y, p: -ops.mean(y * ops.log(p)), 1, None),  # advantages
        (FRACTIONS, "sigmoid", lambda y, p: ops.mean(p), 1, "loss"),  # of the targets nothing
        (MEASURED, "linear", deaf, 1, "loss"),
        (MEASURED, "linear", lambda y, p: square(y, p) + square(0, ops.stop_gradient(p)), 1, None),
        (1000 + MEASURED, "linear", lambda y, p: ops.mean(ops.abs(y - p)), 1, None),
        (KINDS, "softmax", deaf, 1, "loss"),
        (MASKS, "sigmoid", dice, 1, "loss"),
        (MASKS, "sigmoid", lambda y, p: 1 - dice(y, p), 1, None),
        (MEASURED, "linear", lambda y, p: -square(y, p), 1, "loss"),
        (MEASURED, "linear", square, 1, None),
        (MEASURED, "linear", critic, 1, None),
        (PAIRS, "sigmoid", contrastive, 2, None),
        (PAIRS, "linear", clipped, 1, "output activation"),
        (PAIRS, "sigmoid", clipped, 1, None),
        (PAIRS, "linear", of_logits, 1, None),
        (PAIRS, "sigmoid", of_logits, 1, "output activation"),
        (MASKS, "sigmoid", of_logits, 1, "output activation"),
        (KINDS, "softmax", of_scores, 1, "output activation"),
        (KINDS, "linear", of_scores, 1, None),
        (KINDS, "softmax", lambda y, p: -ops.mean(ops.log(ops.sum(y * p, -1))), 1, None),
        (KINDS, "softmax", lambda y, p: 1 - dice(y, p), 1, None),
        (KINDS, "softmax", square, 1, None),
        (PAIRS, "linear", ramp, 1, None),
        (PAIRS, "linear", square, 1, None),
        (PAIRS, "linear", lambda y, d: contrastive(y, ops.abs(d)), 2, None),
        (MEASURED, "linear", lambda y, p: ops.mean(p**2), 1, "loss"),
        (np.zeros((32, 1), "float32"), "linear", lambda y, p: ops.mean(p**2), 1, None),
        (MEASURED[:, 0], "linear", Square(), 1, "target shape"),
        (MEASURED[:, 0], "linear", square, 1, None),  # a function gets them aligned
        (MEASURED, "linear", Square(), 1, None),
        (MEASURED, "linear", pinball(90), 1, "loss"),
        (MEASURED, "linear", lambda y, p: -pinball(0.9)(y, p), 1, "loss"),
        (MEASURED, "linear", pinball(0.9), 1, None),
        (MEASURED, "linear", pinball(0.01), 1, None),
        (MEASURED, "linear", lambda y, p: ops.mean(ops.log(ops.cosh(y - p))), 1, None),
        (MEASURED, "linear", risk_of_rows, 1, "loss"),
        (TIMES, "linear", risk_of_rows, 1, "loss"),
        (TIMES, "linear", risk_by_time, 1, None),
    ],
)  # fmt: skip
def test_own_losses_are_tried(y, activation, loss, inputs, kind):
    shape = y.shape if y.ndim > 1 and y is not TIMES else (len(y), 1)
    end = End(activation, shape, "last", reference=REFERENCE)
    found = own_loss.check(asked.Asked(y, targets_of(y), end, asked.Loss(loss), inputs))
    assert [f.kind for f in found] == ([kind] if kind else [])


def triplet(anchor, near, far):
    near, far = (ops.sum(ops.square(anchor - other), -1) for other in (near, far))
    return ops.maximum(near - far + 0.5, 0)


def of_positives(y, p):
    return ops.sum(y * ops.square(ops.mean(p, (1, 2)))[:, None]) / (ops.sum(y) + 1)


@pytest.mark.parametrize(
    ("loss", "kinds"),
    [
        (lambda y, p: triplet(p[0], p[1], p[2]), ["loss"]),
        (lambda y, p: ops.mean(ops.square(p[-1])), ["loss"]),
        (lambda y, p: triplet(p[:, 0], p[:, 1], p[:, 2]), []),
        (lambda y, p: triplet(p[:, 0] - 9, p[:, 1] - 9, p[:, 2]), []),  # a hinge, mostly at 0
        (of_positives, []),
    ],
)
def test_a_loss_that_hears_but_some_places_of_a_batch_is_found(loss, kinds):
    y = (np.arange(32) < 8).astype("float32")[:, None]  # sorted
    end = End("unknown", (32, 3, 8), "last", reference=REFERENCE)
    found = own_loss.check(asked.Asked(y, targets_of(y), end, asked.Loss(loss), 1))
    assert [f.kind for f in found] == kinds


@pytest.mark.parametrize(("share", "kinds"), [(1.0, ["loss"]), (0.3, [])])
def test_label_smoothing_that_leaves_no_label_is_found(share, kinds):
    loss = loss_kind(keras.losses.CategoricalCrossentropy(label_smoothing=share))
    goal = targets_of(np.eye(4)[np.arange(32) % 4])
    found = output.check(goal, End("softmax", (32, 4), "last"), loss)
    assert [f.kind for f in found] == kinds


@pytest.mark.parametrize(
    ("before", "activation", "loss", "wrong"),
    [
        ("relu", "sigmoid", "binary_crossentropy", True),
        ("tanh", "sigmoid", "binary_crossentropy", True),
        ("linear", "sigmoid", "binary_crossentropy", False),
        ("sigmoid", "softmax", "categorical_crossentropy", True),
        ("relu", "softmax", "categorical_crossentropy", True),
        ("linear", "softmax", "categorical_crossentropy", False),
        ("unknown", "softmax", "categorical_crossentropy", False),  # such as tanh times 10
        ("relu", "tanh", "mse", True),
        ("linear", "tanh", "mse", False),
    ],
)
def test_two_activations_in_a_row_are_judged_by_what_they_can_give(before, activation, loss, wrong):
    y = np.eye(2)[np.arange(32) % 2]
    if loss == "mse":
        y = 1.8 * y - 0.9
    end = End(activation, (32, 2), "last", before)
    found = output.check(targets_of(y), end, loss_kind(loss))
    assert [f.kind for f in found] == (["output activation"] if wrong else [])


def _two_headed(trainable=True, own=True):
    x = keras.Input((6,), name="x")
    body = layers.Dense(8, "relu", name="body")(x)
    mood = layers.Dense(1, name="mood", trainable=trainable) if own else layers.ReLU(name="mood")
    return keras.Model(x, [mood(body), layers.Dense(1, name="size")(body)])


@pytest.mark.parametrize(
    ("options", "weights", "where"),
    [
        ({}, [0.0, 1.0], ("loss", "mood")),
        ({}, {"mood": 0}, ("loss", "mood")),
        ({}, [0.0, 0.0], ("loss", "body", "mood", "size")),
        ({}, [0.1, 1.0], None),
        ({}, None, None),
        ({"trainable": False}, [0.0, 1.0], None),  # watched alone
        ({"own": False}, [0.0, 1.0], None),
    ],
)
def test_outputs_without_a_weight_that_have_layers_of_their_own_are_found(options, weights, where):
    model = _two_headed(**options)
    model.compile("adam", ["mse", "mae"], loss_weights=weights, metrics=[["mae"], ["mse"]])
    x = np.random.default_rng(0).normal(size=(32, 6)).astype("float32")
    y = [np.abs(x[:, :1]), x[:, 1:2]]
    found = [f for f in examine(model, x, y, trials=False).findings if "loss" in f.where]
    assert [f.where for f in found] == ([where] if where else [])
    for finding in found:
        exec(finding.remedy, {"model": model, "keras": keras})
        assert not examine(model, x, y, trials=False).findings


@pytest.mark.parametrize(
    ("options", "loss", "where"),
    [
        ({}, {"size": "mae"}, ("loss", "mood")),
        ({}, [None, "mae"], ("loss", "mood")),
        ({}, {"size": "mae", "mood": "mse"}, None),
        ({"trainable": False}, {"size": "mae"}, None),
        ({"own": False}, {"size": "mae"}, None),  # what it is made of learns all the same
    ],
)
def test_outputs_without_a_loss_that_have_a_target_and_layers_are_found(options, loss, where):
    model = _two_headed(**options)
    model.compile("adam", loss)
    x = np.random.default_rng(0).normal(size=(32, 6)).astype("float32")
    mood = np.repeat(np.abs(x[:, :1]), 1 if options.get("own", True) else 8, 1)
    y = {"mood": mood, "size": x[:, 1:2]} if isinstance(loss, dict) else [mood, x[:, 1:2]]
    found = examine(model, x, y, trials=False)
    assert not found.notes
    assert [f.where for f in found.findings] == ([where] if where else [])


@pytest.mark.parametrize(
    ("activation", "y", "wrong"),
    [
        ("relu", [0, 1, 1, 0], True),
        ("sigmoid", [-1, 1, 1, -1], True),
        ("linear", [0, 1, 1, 0], False),
        ("tanh", [-1, 1, 1, -1], False),
        ("unknown", [0, 1, 1, 0], False),
        ("relu", [1, 1, 1, 1], False),
    ],
)
def test_a_hinge_needs_both_signs(activation, y, wrong):
    end = End(activation, (4, 1), "last", reference=REFERENCE)
    found = output.check(targets_of(y), end, loss_kind("hinge"))
    assert [f.kind for f in found] == (["output activation"] if wrong else [])


@pytest.mark.parametrize("sign", [-1, 1])
def test_losses_of_the_users_own_are_asked_of_each_output(sign):
    def own(y_true, y_pred):
        return sign * ops.mean(ops.square(y_true - y_pred), -1)

    given = keras.Input((6,))
    h = layers.Dense(16, "relu")(given)
    model = keras.Model(given, [layers.Dense(1, "sigmoid")(h), layers.Dense(1, name="b")(h)])
    model.compile("adam", ["binary_crossentropy", own])
    x = np.random.default_rng(0).normal(size=(128, 6)).astype("float32")
    found = keras_inits.diagnose(model, x, [(x[:, :1] > 0).astype("float32"), x[:, 1:2]]).findings
    assert [f.where for f in found] == [("loss", "b")] * (sign < 0)
