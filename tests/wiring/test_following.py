"""What follows a kernel."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_inits import wiring

RELU = {
    "argument": lambda x: layers.Dense(8, "relu")(x),
    "layer": lambda x: layers.ReLU()(layers.Dense(8)(x)),
    "activation layer": lambda x: layers.Activation("relu")(layers.Dense(8)(x)),
    "operation": lambda x: ops.relu(layers.Dense(8)(x)),
    "function": lambda x: keras.activations.relu(layers.Dense(8)(x)),
    "lambda": lambda x: layers.Lambda(ops.relu)(layers.Dense(8)(x)),
    "maximum": lambda x: ops.maximum(layers.Dense(8)(x), 0.0),
    "after dropout": lambda x: layers.ReLU()(layers.Dropout(0.5)(layers.Dense(8)(x))),
    "after reshaping": lambda x: ops.relu(ops.reshape(layers.Dense(8)(x), (-1, 2, 4))),
    "after a nested model": lambda x: layers.ReLU()(
        keras.Sequential([keras.Input((4,)), layers.Dense(8)])(x)
    ),
    "in a nested model": lambda x: keras.Sequential([keras.Input((8,)), layers.ReLU()])(
        layers.Dense(8)(x)
    ),
    "after spectral normalization": lambda x: ops.relu(
        layers.SpectralNormalization(layers.Dense(8))(x)
    ),
    "after concatenation": lambda x: ops.relu(ops.concatenate([layers.Dense(8)(x), x], axis=-1)),
    "before pooling": lambda x: ops.relu(
        layers.MaxPooling1D(2)(layers.Reshape((4, 2))(layers.Dense(8)(x)))
    ),
}
OTHERS = {
    "swish": (lambda t: t * ops.sigmoid(t), lambda t: t / (1 + np.exp(-t))),
    "leaky": (lambda t: ops.maximum(t, 0.1 * t), lambda t: np.maximum(t, 0.1 * t)),
    "gelu": (
        lambda t: 0.5 * t * (1.0 + ops.erf(t / 2**0.5)),
        lambda t: ops.convert_to_numpy(keras.activations.gelu(t)),
    ),
    "siren": (lambda t: ops.sin(30.0 * t), lambda t: np.sin(30 * t)),
    "square": (lambda t: t**2, np.square),
    "squared relu": (lambda t: ops.relu(t) ** 2, lambda t: np.maximum(t, 0) ** 2),
    "half": (lambda t: (t + ops.abs(t)) / 2, lambda t: np.maximum(t, 0)),
    "where": (lambda t: ops.where(t > 0, t, ops.zeros_like(t)), lambda t: np.maximum(t, 0)),
    "mask": (lambda t: t * ops.cast(t > 0, "float32"), lambda t: np.maximum(t, 0)),
    "elu": (lambda t: ops.elu(t, 0.5), lambda t: np.where(t > 0, t, 0.5 * np.expm1(t))),
    "prelu": (layers.PReLU(keras.initializers.Constant(0.2)), lambda t: np.maximum(t, 0.2 * t)),
}
Z = np.linspace(-3, 3, 24, dtype="float32").reshape(3, 8)


def first(outputs, inputs):
    found = wiring(keras.Model(inputs, outputs))
    return found, found.maps[0]


@pytest.mark.parametrize("way", RELU)
def test_a_relu_is_a_relu_however_it_is_written(way):
    inputs = keras.Input((4,))
    found, kernel = first(RELU[way](inputs), inputs)
    function = found.activation_function(kernel)
    np.testing.assert_array_equal(ops.convert_to_numpy(function(Z)), np.maximum(Z, 0))
    # control: no activation, and none is invented
    found, kernel = first(layers.Dense(8)(inputs), inputs)
    assert found.activation_after(kernel).activation == "linear"
    assert found.activation_function(kernel) is None


@pytest.mark.parametrize("name", OTHERS)
def test_a_function_made_of_operations_can_be_run(name):
    written, expected = OTHERS[name]
    inputs = keras.Input((4,))
    found, kernel = first(layers.Dense(2)(written(layers.Dense(8)(inputs))), inputs)
    result = ops.convert_to_numpy(found.activation_function(kernel)(Z))
    np.testing.assert_allclose(result, expected(Z), atol=2e-5)


def test_what_lies_between_is_named():
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Conv2D(4, 3),
            layers.MaxPooling2D(),
            layers.BatchNormalization(),
            layers.Dropout(0.1),
            layers.Activation("tanh"),
        ]
    )
    found = wiring(model)
    following = found.activation_after(found.maps[0])
    assert following.activation == "tanh"
    assert [str(found.calls[i].kind) for i in following.between] == [
        "pooling", "normalization", "noise"
    ]  # fmt: skip


def test_what_is_not_known_is_named_and_never_linear():
    inputs = keras.Input((4,))
    hidden = layers.Dense(4)(inputs)
    for outputs, met in [
        (ops.fft2((ops.reshape(hidden, (-1, 2, 2)),) * 2)[0], "fft2 (unknown)"),
        (hidden * layers.Dense(4)(inputs), "multiply (product)"),
        (ops.concatenate([hidden, inputs]), "concatenate (concatenation)"),
        (layers.Add()([hidden, inputs]), "Add (sum)"),
    ]:
        found, kernel = first(outputs, inputs)
        following = found.activation_after(kernel)
        assert (following.activation, following.met) == ("", met)


def test_two_ways_with_two_answers_are_both_named():
    inputs = keras.Input((4,))
    hidden = layers.Dense(4)(inputs)
    found, kernel = first([ops.relu(hidden), ops.tanh(hidden)], inputs)
    following = found.activation_after(kernel)
    assert following.activation == ""
    assert set(following.met.split(" and ")) == {"relu (activation)", "tanh (activation)"}


def conv(x, **kwargs):
    return layers.Conv2D(4, 3, padding="same", **kwargs)(x)


@pytest.mark.parametrize(
    ("net", "undone"),
    [
        (lambda x: layers.BatchNormalization()(conv(x)), True),
        (lambda x: layers.BatchNormalization()(ops.relu(conv(x))), True),
        (lambda x: layers.LayerNormalization()(layers.MaxPooling2D()(conv(x))), True),
        (lambda x: layers.BatchNormalization()(conv(conv(x), use_bias=False)), True),
        (lambda x: layers.BatchNormalization()(conv(conv(x))), False),  # beside a bias
        (lambda x: layers.BatchNormalization()(ops.tanh(conv(x))), False),
        (lambda x: layers.BatchNormalization()(layers.ReLU()(conv(x))), True),
        (lambda x: layers.BatchNormalization()(layers.ReLU(6.0)(conv(x))), False),
        (lambda x: layers.BatchNormalization()(ops.leaky_relu(conv(x), 0.3)), True),
        (lambda x: layers.BatchNormalization()(conv(x) + x), False),
        (lambda x: conv(x), False),
        (lambda x: ops.concatenate([layers.BatchNormalization()(y := conv(x)), y]), False),
    ],
)
def test_a_normalization_undoes_the_scale_where_it_alone_decides(net, undone):
    inputs = keras.Input((8, 8, 4))
    model = keras.Model(inputs, net(inputs))
    found = wiring(model)
    kernel = found.maps[0]
    assert bool(found.normalized_after(kernel)) == undone
    # the claim itself: three times the kernel, the same output
    # (large, so that the normalizations' epsilon does not matter)
    x = 30 * np.random.default_rng(0).normal(size=(4, 8, 8, 4)).astype("float32")
    layer = found.subjects[kernel.index]
    before = ops.convert_to_numpy(model(x, training=True))
    layer.kernel.assign(3 * layer.kernel)
    after = ops.convert_to_numpy(model(x, training=True))
    if undone:
        np.testing.assert_allclose(after, before, atol=0.02)
    elif "bias" not in "".join(found.maps[-1].weights) or len(found.maps) == 1:
        assert np.abs(after - before).max() > 0.02


def written_norm(y):
    centred = y - ops.mean(y, -1, keepdims=True)
    return centred / ops.sqrt(ops.mean(centred**2, -1, keepdims=True) + 1e-6)


@pytest.mark.parametrize(
    ("function", "takes"),
    [
        (written_norm, True),
        (lambda y: y / ops.norm(y, axis=-1, keepdims=True), True),
        (lambda y: y * ops.rsqrt(ops.mean(ops.square(y), -1, keepdims=True)), True),
        (lambda y: y * ops.mean(y, -1, keepdims=True), False),
        (lambda y: y / ops.mean(ops.square(y), -1, keepdims=True), False),
    ],
)
def test_a_normalization_written_out_is_known(function, takes):
    inputs = keras.Input((4,))
    found, _ = first(function(layers.Dense(8, use_bias=False)(inputs)), inputs)
    assert found.normalizes(found.calls[-1]) is takes
    y = np.random.default_rng(0).normal(size=(3, 8)).astype("float32")
    one, ten = (ops.convert_to_numpy(function(ops.convert_to_tensor(a * y))) for a in (1, 10))
    assert np.allclose(one, ten, rtol=1e-3, atol=1e-4) is takes
