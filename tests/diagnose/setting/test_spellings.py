"""An activation is judged by what it does, however it is written."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_inits
from keras_inits._diagnose.setting.between import noise
from keras_inits._diagnose.setting.reading import bends, drawn
from keras_inits._layers.activations import plain_name

RNG = np.random.default_rng(0)
X = RNG.normal(size=(128, 10)).astype("float32")
CURVE = X[:, :1] * X[:, 1:2] + X[:, 2:3]
SIDE = (X[:, :1] > 0).astype("float32")


def _attribute(h, units, name):
    return layers.Dense(units, name)(h)


def _layer(h, units, name):
    return layers.Activation(name)(layers.Dense(units)(h))


def _operation(h, units, name):
    operation = {"linear": lambda x: x, "exponential": ops.exp}.get(name) or getattr(ops, name)
    return operation(layers.Dense(units)(h))


def _in_lambda(h, units, name):
    return layers.Lambda(lambda x: keras.activations.get(name)(x))(layers.Dense(units)(h))


def _by_function(h, units, name):
    return layers.Dense(units, activation=lambda x: keras.activations.get(name)(x))(h)


SPELLINGS = [_attribute, _layer, _operation, _in_lambda, _by_function]
spelled = pytest.mark.parametrize("spelling", SPELLINGS)


def spelled_and_other(wrong, other):
    """Parametrizes a test with one activation in every spelling, and another one in one."""
    cases = [*((each, wrong) for each in SPELLINGS), (_operation, other)]
    return pytest.mark.parametrize(("spelling", "name"), cases)


def _diagnosed(outputs, given, y, loss, optimizer="adam", x=X):
    model = keras.Model(given, outputs)
    model.compile(optimizer, loss)
    return model, keras_inits.diagnose(model, x, y).findings


def _kernels(model):
    return [la.name for la in model.layers if isinstance(la, layers.Dense)]


def _behind(place, model):
    """Returns the kernel that a place is, or stands behind."""
    names = [la.name for la in model.layers if not isinstance(la, layers.InputLayer)]
    return next(n for n in reversed(names[: names.index(place) + 1]) if n in _kernels(model))


@pytest.fixture(autouse=True)
def _seeded():
    keras.utils.set_random_seed(0)


@pytest.mark.filterwarnings("ignore:.*You are using a softmax over axis -1 of a tensor of shape")
@spelled
@pytest.mark.parametrize(
    ("units", "name", "y", "loss", "wrong"),
    [
        (1, "sigmoid", 3 * CURVE, "mse", True),
        (1, "linear", 3 * CURVE, "mse", False),
        (1, "softmax", SIDE, "binary_crossentropy", True),
        (1, "sigmoid", SIDE, "binary_crossentropy", False),
        (1, "linear", SIDE, "binary_crossentropy", True),
    ],
)
def test_ends_are_judged_alike(spelling, units, name, y, loss, wrong):
    given = keras.Input((10,))
    outputs = spelling(layers.Dense(32, "relu")(given), units, name)
    _, found = _diagnosed(outputs, given, y, loss)
    assert [f.kind for f in found[:1]] == ["output activation"] * wrong


@pytest.mark.parametrize("spelling", [each for each in SPELLINGS if each is not _operation])
@pytest.mark.parametrize("name", ["softmax", "relu"])
def test_softmax_between_kernels_in_a_row_is_found(spelling, name):
    given = keras.Input((10,))
    row = keras.Model(given, layers.Dense(1)(spelling(given, 16, name))).layers
    model = keras.Sequential(row)
    model.compile("adam", "mse")
    found = keras_inits.diagnose(model, X, CURVE).findings
    told = [_behind(f.where[0], model) for f in found if f.kind == "hidden activation"]
    assert told == _kernels(model)[:1] * (name == "softmax")


@spelled_and_other("linear", "relu")
def test_a_linear_chain_is_found(spelling, name):
    given = h = keras.Input((10,))
    for _ in range(2):
        h = spelling(h, 32, name)
    _, found = _diagnosed(layers.Dense(1)(h), given, CURVE, "mse")
    assert [f.kind for f in found] == ["missing activation"] * (name == "linear")


@spelled_and_other("sigmoid", "tanh")
def test_sigmoids_in_a_row_are_what_fades(spelling, name):
    given = h = keras.Input((10,))
    for _ in range(4):
        h = spelling(h, 64, name)
    outputs = layers.Dense(1, "sigmoid")(h)
    descent = keras.optimizers.SGD(0.1)
    model, found = _diagnosed(outputs, given, SIDE, "binary_crossentropy", descent)
    told = [[_behind(place, model) for place in f.where] for f in found if f.kind == "vanishing"]
    assert told == [_kernels(model)[:4]] * (name == "sigmoid")


@spelled_and_other("sigmoid", "tanh")
def test_sigmoids_that_nothing_gets_through_are_named(spelling, name):
    x = np.linspace(0, 1, 128, dtype="float32")[:, None]
    narrow = keras.initializers.RandomUniform(-0.05, 0.05, seed=1)
    given = h = keras.Input((1,))
    for _ in range(3):
        h = spelling(h, 20, name)
    model = keras.Model(given, layers.Dense(1)(h))
    for layer in model.layers[1:]:
        if layer.weights:
            layer.kernel.assign(narrow(layer.kernel.shape))
    model.compile("sgd", "mse")
    found = keras_inits.diagnose(model, x, 0.5 + 0.5 * np.sin(20 * x - 10)).findings
    told = [f.where for f in found if f.kind == "hidden activation"]
    told = [[_behind(place, model) for place in where] for where in told]
    assert told == [_kernels(model)[:3]] * (name == "sigmoid")


class Draws(layers.Layer):
    def call(self, inputs):
        mean, log_variance = inputs
        noise = keras.random.normal(ops.shape(mean), seed=keras.random.SeedGenerator(1))
        return mean + ops.exp(0.5 * log_variance) * noise


@spelled_and_other("relu", "linear")
def test_noise_that_cannot_become_small_is_found(spelling, name):
    given = keras.Input((10,))
    code = Draws()([layers.Dense(4, name="mean")(given), spelling(given, 4, name)])
    model = keras.Model(given, layers.Dense(10, name="decoder")(code))
    found = noise.check(model)
    assert [f.numbers["low"] for f in found] == [0.0] * (name == "relu")
    assert all(f.where[0] not in ("mean", "decoder") for f in found)


@pytest.mark.parametrize("activation", [ops.sigmoid, layers.ReLU()])
def test_an_activation_behind_a_sum_over_places_is_that_of_the_one_kernel_before(activation):
    near = (np.eye(6) + np.eye(6, k=1)).astype("float32") / 2
    given = keras.Input((6, 4))
    first, second = layers.Dense(8), layers.Dense(8)
    one = activation(ops.matmul(near, first(given)))
    two = activation(ops.matmul(near, first(given)) + second(given))
    for h, kernels in ((one, [first]), (two, [])):
        model = keras.Model(given, layers.Dense(1)(h))
        found = bends(drawn(model, np.zeros((2, 6, 4), "float32")))
        name = "relu" if isinstance(activation, layers.ReLU) else "sigmoid"
        assert [(bend.name, bend.kernel) for bend in found] == [(name, la) for la in kernels]


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda x: 1 / (1 + ops.exp(-x)), "sigmoid"),
        (lambda x: ops.maximum(x, 0.0), "relu"),
        (lambda x: x, "linear"),
        (layers.ReLU(), "relu"),
        (lambda x: ops.exp(x) / ops.sum(ops.exp(x), -1, keepdims=True), "softmax"),
        (lambda x: 1.1 / (1 + ops.exp(-x)), "<lambda>"),
        (lambda x: ops.sin(x), "<lambda>"),
    ],
)
def test_functions_are_named_by_what_they_compute(function, name):
    assert plain_name(function) == name
