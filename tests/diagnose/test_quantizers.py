"""Codes of a codebook, signs and straight-through estimates have sizes of their own."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from versions import of_tensorflow

import keras_inits as ki

x = np.random.default_rng(0).standard_normal((64, 6), dtype="float32")
x = np.tile(x, 4)


class Quantizer(layers.Layer):
    """The nearest codes, as in Keras's example of a VQ-VAE; its codebook has Keras's default."""

    def build(self, shape):
        uniform = keras.initializers.RandomUniform(-0.05, 0.05, seed=1)
        self.book = self.add_weight(shape=(shape[-1], 32), initializer=uniform)

    def call(self, z):
        distances = ops.sum(z**2, 1, keepdims=True) + ops.sum(self.book**2, 0)
        nearest = ops.argmin(distances - 2 * ops.matmul(z, self.book), 1)
        codes = ops.matmul(ops.one_hot(nearest, 32), ops.transpose(self.book))
        self.add_loss(ops.mean((codes - ops.stop_gradient(z)) ** 2))
        self.add_loss(0.25 * ops.mean((ops.stop_gradient(codes) - z) ** 2))
        return z + ops.stop_gradient(codes - z)


class Residual(layers.Layer):
    def __init__(self):
        super().__init__()
        self.parts = [Quantizer(), Quantizer()]

    def call(self, z):
        first = self.parts[0](z)
        return first + self.parts[1](z - first)


class Signs(layers.Layer):
    def call(self, z):
        return z + ops.stop_gradient(0.02 * ops.sign(z) - z)


def net(middle, scale=1.0):
    def dense(units, seed):
        spread = keras.initializers.VarianceScaling(2.0 * scale, seed=seed)
        return layers.Dense(units, "relu", kernel_initializer=spread)

    parts = [dense(32, 1), dense(16, 2), middle, dense(32, 3), layers.Dense(24)]
    return keras.Sequential([keras.Input((24,)), *parts])


@of_tensorflow("gradients that run in compiled functions alone")
def test_a_gradient_that_does_not_run_eagerly_ends_in_a_sentence():
    model = keras.Sequential([keras.Input((24,)), layers.Dense(16, "relu"), layers.Dense(24)])
    for layer in model.layers:
        layer.quantize("float8")
    model.compile("sgd", "mse")
    model.fit(x, x, verbose=0)
    with pytest.raises(ki.InputError, match=r"diagnosed eagerly.*`compile\(run_eagerly=True\)`"):
        ki.diagnose(model, x, x)


@pytest.mark.parametrize("make", [Quantizer, Residual, Signs])
def test_the_path_of_the_signal_begins_anew_behind_a_quantizer(make):
    assert ki.diagnose(net(make()), x, jacobian_samples=0).ok
    # The same change of size by a kernel is a fault, and so are small kernels around a quantizer.
    small = layers.Dense(16, kernel_initializer=keras.initializers.RandomNormal(0, 0.01, seed=4))
    assert ki.diagnose(net(small), x, jacobian_samples=0).verdict == "vanishing"
    assert ki.diagnose(net(make(), 1e-3), x, jacobian_samples=0).verdict == "vanishing"


def test_the_distance_of_codes_that_rises_at_first_is_no_sign_of_a_rate():
    model = net(Quantizer())
    model.compile(keras.optimizers.Adam(0.01), "mse")
    kinds = {f.kind for f in ki.diagnose(model, x, x, jacobian_samples=0).findings}
    assert "learning rate too high" not in kinds
    model.compile(keras.optimizers.Adam(10.0), "mse")
    kinds = {f.kind for f in ki.diagnose(model, x, x, jacobian_samples=0).findings}
    assert kinds & {"learning rate too high", "regularization"}  # the distance explodes, too


class Codes(Quantizer):
    """The same for each place of an image."""

    def call(self, z):
        return ops.reshape(super().call(ops.reshape(z, (-1, z.shape[-1]))), ops.shape(z))


def convolutional(seed):
    """The autoencoder of Keras's example, narrower."""
    keras.utils.set_random_seed(seed)

    def pair(layer, *filters):
        return [layer(f, 3, 2, padding="same", activation="relu") for f in filters]

    inner = [*pair(layers.Conv2D, 32, 64), layers.Conv2D(16, 1), Codes()]
    inner += [*pair(layers.Conv2DTranspose, 64, 32), layers.Conv2DTranspose(1, 3, padding="same")]
    model = keras.Sequential([keras.Input((28, 28, 1)), *inner])
    model.compile(keras.optimizers.Adam(1e-3), "mse")
    return model


def strokes(count):
    """Digits as of MNIST, more or less: bright bars on a dark ground, from -0.5 to 0.5."""
    rng = np.random.default_rng(0)
    images = np.full((count, 28, 28, 1), -0.5, "float32")
    for image in images:
        for _ in range(3):
            at, length, down = rng.integers(4, 12, 2), rng.integers(6, 14), rng.integers(2)
            rows, columns = (length, 2) if down else (2, length)
            image[at[0] : at[0] + rows, at[1] : at[1] + columns] = 0.5
    return images


@of_tensorflow("three diagnoses of some seconds each")
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_codes_that_are_few_at_first_are_no_sign_of_a_rate_or_of_sizes(seed):
    images = strokes(256)
    report = ki.diagnose(convolutional(seed), images, images, jacobian_samples=0)
    assert [f.kind for f in report.findings] == []
