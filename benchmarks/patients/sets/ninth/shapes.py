"""Axes, positions and losses that are taken wrongly."""

import keras
import numpy as np
from data import blobs, linear, one_hot, pictures, standardized
from keras import layers, ops
from nets import CCE, SPARSE, adam, mlp, net
from program import Program, Training, accuracy, explained, register

BROKEN: dict[str, Program] = {}
program = register(BROKEN, "ours")

Dense, Input, Conv = layers.Dense, keras.Input, layers.Conv2D


@program("tags-several-at-once-behind-a-softmax", "output@output, loss@loss")
def _(rng):
    x, _ = linear(rng, 500, 10)
    y = (x[:, :6] + 0.2 * x[:, 1:7] > -0.3).astype("float32")

    def model(end):
        return mlp(10, [48], 6, end)

    def score(made):
        return float(((made > 0.5) == (y > 0.5)).mean())

    broken = Training(model("softmax"), x, y, "binary_crossentropy", adam(0.005), score, steps=400)
    return broken, broken.but(model=model("sigmoid"))


@program("diffusion-that-is-not-told-the-time", "input@input, capacity@0, capacity@1")
def _(rng):
    clean = np.sign(rng.standard_normal((800, 1))) * [1.0, -1.0]
    time = rng.random((800, 1))
    noise = rng.standard_normal(clean.shape)
    x = np.concatenate([(1 - time) * clean + time * noise, 1000 * time], 1)
    y = clean * time

    def scaled(column):
        return np.concatenate([x[:, :2], column], 1)

    broken = Training(
        mlp(3, [48, 48], 2), scaled(0 * time), y, "mse", adam(0.003), explained(y), steps=500
    )
    return broken, broken.but(model=mlp(3, [48, 48], 2), x=scaled(time))


@program("grids-normalized-over-the-one-channel", "layers@0, layers@1, input@input")
def _(rng):
    x = rng.standard_normal((500, 12, 1)) + rng.standard_normal((500, 1, 1))
    y = standardized(np.abs(x[:, :4, 0]).sum(1))[:, None]

    def model(axis):
        inner = [layers.LayerNormalization(axis=axis), layers.Flatten(), Dense(48, "relu")]
        return net((12, 1), *inner, Dense(24, "relu"), Dense(1))

    broken = Training(model(-1), x, y, "mse", adam(0.005), explained(y), steps=400)
    return broken, broken.but(model=model(1))


@program("kinds-one-hot-along-the-wrong-axis", "loss@loss, output@output, output@-1")
def _(rng):
    x, y = blobs(rng, 600, 16, 5)

    def model(axis):
        return net((16,), Dense(48, "relu"), Dense(5), layers.Softmax(axis=axis))

    goal = one_hot(y, 5)
    broken = Training(model(0), x, goal, CCE, adam(0.003), accuracy(y), steps=300)
    return broken, broken.but(model=model(-1))


@program("weights-of-a-layer-made-and-not-used", "gradient@0, capacity@0, capacity@1")
def _(rng):
    class Mix(layers.Layer):
        """Multiplies by its matrix, or by that of its start alone."""

        def __init__(self, used):
            super().__init__()
            self.used = used

        def build(self, shape):
            """Makes the matrix."""
            self.matrix = self.add_weight(shape=(shape[-1], 4), initializer="glorot_uniform")

        def call(self, h):
            """Returns what is mixed."""
            matrix = self.matrix if self.used else ops.stop_gradient(self.matrix)
            return ops.tanh(ops.matmul(h, matrix))

    x, y = linear(rng, 500, 60, informative=6)
    y = standardized(y)[:, None]

    def model(used):
        return net((60,), Mix(used), Dense(24, "relu"), Dense(1))

    broken = Training(model(False), x, y, "mse", adam(0.005), explained(y), steps=500)
    return broken, broken.but(model=model(True))


@program("volumes-a-reshape-in-place-of-a-transpose", "input@input, capacity@0, layers@0")
def _(rng):
    x, y = pictures(rng, 400, 16, 3, 6)
    planes = x.transpose(0, 3, 1, 2)

    def model(turn):
        given = Input((3, 16, 16))
        h = turn(given)
        for width in (16, 32):
            h = Conv(width, 3, strides=2, activation="relu")(h)
        h = layers.GlobalAveragePooling2D()(h)
        return keras.Model(given, Dense(6, "softmax")(h))

    broken = Training(
        model(layers.Reshape((16, 16, 3))), planes, y, SPARSE, adam(0.003), accuracy(y), steps=200
    )
    return broken, broken.but(model=model(layers.Permute((2, 3, 1))))
