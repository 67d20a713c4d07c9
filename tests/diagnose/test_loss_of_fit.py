"""Loss and gradients of `diagnose` are those of one step of `fit`, whatever `compile` was given."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops
from versions import of_tensorflow

import keras_inits as ki
from keras_inits._diagnose.seen.objective import gradients_of_steps
from keras_inits._errors import InputError

rng = np.random.default_rng(0)
X = rng.standard_normal((16, 6), dtype="float32")
CLASSES = rng.integers(0, 3, 16)
WEIGHTS = rng.uniform(0.1, 3, 16).astype("float32")


OF_TENSORFLOW = of_tensorflow("a tf.GradientTape, or a loss per sample")


def step_of_fit(model, *args, **kwargs):
    """The loss, and the gradient of each weight: what one step of rate 1 moves it by."""
    before = [w.numpy() for w in model.trainable_weights]
    loss = model.train_on_batch(*args, **kwargs)
    loss = loss[0] if isinstance(loss, list | tuple) else loss
    after = [w.numpy() for w in model.trainable_weights]
    return float(loss), [a - b for a, b in zip(before, after, strict=True)]


def gradient_norms(report):
    return {w.path: w.gradient_norm for layer in report.layers for w in layer.weights}


def assert_same_as_fit(model, report, *args, tolerance=1e-5, **kwargs):
    paths = [w.path for w in model.trainable_weights]
    loss, steps = step_of_fit(model, *args, **kwargs)
    assert report.loss == pytest.approx(loss, rel=tolerance)
    norms = [float(np.linalg.norm(step)) for step in steps]
    measured = [gradient_norms(report)[path] for path in paths]
    # A float32 weight of size 1 shows a step to 6e-8.
    np.testing.assert_allclose(measured, norms, rtol=tolerance, atol=2e-6)
    assert max(norms) > 1e-3


def net(last, **compiled):
    keras.utils.set_random_seed(1)
    hidden = layers.Dense(8, "tanh", kernel_regularizer=compiled.pop("penalty", None))
    model = keras.Sequential([keras.Input((6,)), hidden, last])
    model.compile(keras.optimizers.SGD(1.0), **compiled)
    return model


# At 50 outputs are so sure that probabilities would be cut off.
@pytest.mark.parametrize("scale", [pytest.param(1, marks=pytest.mark.slow), 50])
@pytest.mark.parametrize(
    ("last", "loss", "y"),
    [
        (lambda: layers.Dense(3, "softmax"), "sparse_categorical_crossentropy", CLASSES),
        (lambda: layers.Dense(3, "softmax"), "categorical_crossentropy", np.eye(3)[CLASSES]),
        (lambda: layers.Dense(1, "sigmoid"), "binary_crossentropy", CLASSES[:, None] > 1),
        (
            lambda: layers.Dense(1, "sigmoid"),
            "binary_crossentropy",
            (CLASSES > 1).astype("float32"),
        ),
        (lambda: layers.Dense(1), "mse", X[:, 0]),  # (n,) for (n, 1)
        (lambda: layers.Dense(1), keras.losses.Huber(reduction="sum"), X[:, :1]),
    ],
)
def test_cross_entropy_from_logits_and_targets_of_any_rank(last, loss, y, scale):
    model = net(last(), loss=loss)
    report = ki.diagnose(model, scale * X, y, jacobian_samples=0)
    assert_same_as_fit(model, report, scale * X, y)


def test_penalties_count():
    model = net(layers.Dense(1, activity_regularizer="l2"), loss="mse", penalty="l2")
    bare = ki.diagnose(net(layers.Dense(1), loss="mse"), X, X[:, :1], jacobian_samples=0)
    report = ki.diagnose(model, X, X[:, :1], jacobian_samples=0)
    assert report.loss > bare.loss + 0.01
    assert_same_as_fit(model, report, X, X[:, :1])


@pytest.mark.parametrize(
    "weights", [{"sample_weight": WEIGHTS}, {"class_weight": {0: 5.0, 1: 1.0, 2: 0.2}}]
)
def test_weights_of_samples_and_classes_count(weights):
    model = net(layers.Dense(3, "softmax"), loss="sparse_categorical_crossentropy")
    plain = ki.diagnose(model, X, CLASSES, jacobian_samples=0)
    report = ki.diagnose(model, X, CLASSES, jacobian_samples=0, **weights)
    assert abs(report.loss - plain.loss) > 1e-3
    assert_same_as_fit(model, report, X, CLASSES, **weights)


@pytest.mark.parametrize("form", ["list", "dict"])
def test_several_outputs_have_their_weights(form):
    inputs = keras.Input((6,))
    hidden = layers.Dense(8, "tanh")(inputs)
    a = layers.Dense(1, name="a")(hidden)
    b = layers.Dense(3, "softmax", name="b")(hidden)
    y = {"a": X[:, :1], "b": CLASSES}
    loss = {"a": "mse", "b": "sparse_categorical_crossentropy"}
    weights = {"a": 0.3, "b": 2.0}
    if form == "list":
        y, loss, weights = (list(d.values()) for d in (y, loss, weights))
    model = keras.Model(inputs, [a, b] if form == "list" else {"a": a, "b": b})
    model.compile(keras.optimizers.SGD(1.0), loss, loss_weights=weights)
    assert_same_as_fit(model, ki.diagnose(model, X, y, jacobian_samples=0), X, y)


@OF_TENSORFLOW
def test_loss_scaling_of_mixed_precision_counts_where_gradients_underflow():
    keras.utils.set_random_seed(0)
    dense = [layers.Dense(8, "tanh", dtype="mixed_float16") for _ in range(2)]
    head = layers.Dense(1, dtype="float32")
    model = keras.Sequential([keras.Input((6,)), *dense, head])
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(1.0), initial_scale=1024.0)
    small = lambda y, p: 1e-6 * ops.mean(ops.square(y - p), -1)  # noqa: E731
    model.compile(optimizer, small)
    report = ki.diagnose(model, X, X[:, :1], jacobian_samples=0)
    norms = gradient_norms(report)
    with tf.GradientTape() as tape:
        loss = 1024 * tf.reduce_mean(small(X[:, :1], model(X)))
    for weight, gradient in zip(
        model.trainable_weights,
        tape.gradient(loss, [w.value for w in model.trainable_weights]),
        strict=True,
    ):
        assert norms[weight.path] == pytest.approx(float(tf.norm(gradient)) / 1024, rel=1e-3)
    assert min(norms.values()) > 0


def test_a_mask_counts():
    inputs = keras.Input((5,), dtype="int32")
    x = layers.Embedding(9, 4, mask_zero=True)(inputs)
    model = keras.Model(inputs, layers.Dense(2, "softmax")(layers.LSTM(6)(x)))
    model.compile(keras.optimizers.SGD(1.0), "sparse_categorical_crossentropy")
    tokens, y = rng.integers(0, 9, (16, 5)), CLASSES % 2
    assert_same_as_fit(model, ki.diagnose(model, tokens, y), tokens, y)


class OwnLoss(keras.Model):
    def __init__(self, **options):
        super().__init__(**options)
        self.dense = layers.Dense(2)

    def call(self, x):
        return self.dense(x)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
        return 3 * ops.mean(ops.abs(ops.subtract(y, y_pred))) + ops.sum(
            ops.square(self.dense.kernel)
        )


class LossOfEachSample(OwnLoss):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
        return ops.mean(ops.abs(ops.subtract(y, y_pred)), axis=-1) / 8


class OwnStep(OwnLoss):
    def train_step(self, data):
        x, y = data[:2]
        with tf.GradientTape() as tape:
            loss = 7 * tf.reduce_mean((self(x, training=True) - y) ** 2)
        weights = self.trainable_weights
        self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return {"loss": loss}


@pytest.mark.parametrize(
    "kind", [OwnLoss, *(pytest.param(k, marks=OF_TENSORFLOW) for k in (LossOfEachSample, OwnStep))]
)
def test_a_loss_and_a_step_of_the_models_own_count(kind):
    model = kind()
    model.compile(keras.optimizers.SGD(1.0))
    report = ki.diagnose(model, X, X[:, :2], jacobian_samples=0)
    assert [layer.name for layer in report.layers] == ["dense"] or report.layers[0].weights
    assert_same_as_fit(model, report, X, X[:, :2])


def test_an_optimizer_that_does_not_know_its_weights_is_to_be_built():
    # As on JAX, where an own step hands values to the optimizers of a generator and a critic.
    model = keras.Sequential([keras.Input((3,)), layers.Dense(4), layers.Dense(1)])
    model.critic = keras.optimizers.SGD(0.1)
    some = model.trainable_variables[2:]
    values = [v + 0.0 for v in some]
    with gradients_of_steps(model) as found:
        with pytest.raises(InputError, match="call optimizer") as raised:
            model.critic.stateless_apply([], values, values)
        assert "2 of 4 weights" in str(raised.value)
        assert not found
    model.critic.build(some)
    with gradients_of_steps(model) as found:
        model.critic.stateless_apply([], values, values)
    assert found.keys() == {id(v) for v in some}


class Pairs(keras.utils.PyDataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        part = slice(8 * index, 8 * index + 8)
        return X[part], CLASSES[part], WEIGHTS[part]


def torch_loader():
    torch = pytest.importorskip("torch")
    data = torch.utils.data.TensorDataset(*map(torch.as_tensor, (X, CLASSES, WEIGHTS)))
    return torch.utils.data.DataLoader(data, batch_size=8)


@pytest.mark.parametrize(
    "data",
    [
        lambda: tf.data.Dataset.from_tensor_slices((X, CLASSES, WEIGHTS)).batch(8),
        lambda: Pairs(),
        torch_loader,
    ],
)
def test_the_first_batch_of_a_dataset_is_taken(data):
    model = net(layers.Dense(3, "softmax"), loss="sparse_categorical_crossentropy")
    expected = ki.diagnose(model, X[:8], CLASSES[:8], sample_weight=WEIGHTS[:8])
    report = ki.diagnose(model, data())
    assert report.batch == 8
    assert report.loss == pytest.approx(expected.loss, rel=1e-6)
    with pytest.raises(ki._errors.InputError, match="come with the batches"):
        ki.diagnose(model, data(), CLASSES)


def test_a_generator_is_left_alone():
    batches = iter([(X, CLASSES)])
    model = net(layers.Dense(3, "softmax"), loss="sparse_categorical_crossentropy")
    with pytest.raises(TypeError, match=r"next\(batches\)"):
        ki.diagnose(model, (batch for batch in batches))
    assert next(batches)[0] is X


class AddsItsLoss(keras.Model):
    """An autoencoder that adds its loss in `call`, and is compiled without one."""

    def __init__(self):
        super().__init__()
        self.code = layers.Dense(3, "tanh", kernel_regularizer="l2")
        self.back = layers.Dense(4)

    def call(self, x):
        made = self.back(self.code(x))
        self.add_loss(ops.mean((x - made) ** 2))
        return made


@pytest.mark.parametrize("targets", [False, True])
def test_a_loss_that_a_model_adds_itself_is_the_loss_where_it_was_compiled_without_one(targets):
    x = np.random.default_rng(0).normal(size=(32, 4)).astype("float32")
    model = AddsItsLoss()
    assert ki.diagnose(model, x).loss is None  # not compiled: what trains it is not known
    model.compile("adam")
    report = ki.diagnose(model, x, x if targets else None)
    expected = model.evaluate(x, x if targets else None, batch_size=32, verbose=0)
    assert report.loss == pytest.approx(expected, rel=1e-5)
    assert all(np.isfinite(w.gradient_norm) for la in report.layers for w in la.weights)


def test_penalties_alone_are_no_loss_and_targets_need_one():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2, kernel_regularizer="l2")])
    model.compile("adam")
    x = np.ones((8, 4), "float32")
    assert ki.diagnose(model, x).loss is None
    with pytest.raises(ValueError, match="`y` needs a loss"):
        ki.diagnose(model, x, x[:, :2])
