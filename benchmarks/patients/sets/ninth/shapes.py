"""Axes, losses and weights that are taken wrongly."""

import numpy as np
from data import linear, standardized
from keras import layers, ops
from nets import adam, mlp, net
from program import Program, Training, explained, register

BROKEN: dict[str, Program] = {}
program = register(BROKEN, "ours")

Dense = layers.Dense


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


@program("grids-normalized-over-the-one-channel", "layers@0, layers@1, input@input")
def _(rng):
    x = rng.standard_normal((500, 12, 1)) + rng.standard_normal((500, 1, 1))
    y = standardized(np.abs(x[:, :4, 0]).sum(1))[:, None]

    def model(axis):
        inner = [layers.LayerNormalization(axis=axis), layers.Flatten(), Dense(48, "relu")]
        return net((12, 1), *inner, Dense(24, "relu"), Dense(1))

    broken = Training(model(-1), x, y, "mse", adam(0.005), explained(y), steps=400)
    return broken, broken.but(model=model(1))


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
