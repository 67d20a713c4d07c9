"""Arguments of layers that take the signal away, and its like."""

import keras
import numpy as np
from data import blobs, digits, standardized
from keras import layers
from nets import BCE, SPARSE, adam, net
from program import Program, Training, accuracy, register

BROKEN: dict[str, Program] = {}
program = register(BROKEN, "ours")

Dense, Input, Conv = layers.Dense, keras.Input, layers.Conv2D


@program("digits-relu-threshold-of-ten", "hidden activation@2, hidden activation@4")
def _(rng):
    x, y = digits(rng, 500)

    def model(threshold):
        inner = [layers.Flatten()]
        for _ in range(2):
            inner += [Dense(64), layers.ReLU(threshold=threshold)]
        return net((28, 28), *inner, Dense(10, "softmax"))

    broken = Training(model(10.0), x / 255, y, SPARSE, adam(0.002), accuracy(y), steps=300)
    return broken, broken.but(model=model(0.0))


@program("rings-leaky-relu-slope-of-one", "hidden activation@1, capacity@1, hidden activation@3")
def _(rng):
    x = rng.standard_normal((600, 2))
    y = (np.hypot(*x.T) > 1.18).astype(int)

    def model(slope):
        inner = []
        for _ in range(2):
            inner += [Dense(32), layers.LeakyReLU(negative_slope=slope)]
        return net((2,), *inner, Dense(1, "sigmoid"))

    broken = Training(model(1.0), x, y[:, None], BCE, adam(0.01), accuracy(y), steps=500)
    return broken, broken.but(model=model(0.1))


@program("moves-zero-is-a-move-and-masked", "input@input, layers@0, input@0")
def _(rng):
    x = rng.integers(0, 2, (500, 16))  # down and up
    y = x[:, -1] ^ x[:, -3]

    def model(mask):
        inner = [layers.Embedding(2, 8, mask_zero=mask), layers.LSTM(24)]
        return net((16,), *inner, Dense(1, "sigmoid"))

    broken = Training(model(True), x, y[:, None], BCE, adam(0.01), accuracy(y), steps=500)
    return broken, broken.but(model=model(False))


@program("tables-gaussian-dropout-of-98-at-each-layer", "dropout@0, dropout@2, dropout@4")
def _(rng):
    x, y = blobs(rng, 500, 12, 4)

    def model(rate):
        inner = []
        for _ in range(2):
            inner += [layers.GaussianDropout(rate), Dense(48, "relu")]
        return net((12,), *inner, layers.GaussianDropout(rate), Dense(4, "softmax"))

    x = standardized(x)
    broken = Training(model(0.98), x, y, SPARSE, adam(0.003), accuracy(y), steps=400)
    return broken, broken.but(model=model(0.02))


@program(
    "digits-pooled-by-their-whole-size-first",
    "capacity@0, initialization@0, input@0, input@input, layers@0",
)
def _(rng):
    x, y = digits(rng, 500)

    def model(pool):
        inner = [layers.MaxPooling2D(pool), Conv(16, 2, padding="same", activation="relu")]
        return net((28, 28, 1), *inner, layers.Flatten(), Dense(32, "relu"), Dense(10, "softmax"))

    pictures = x[..., None] / 255
    broken = Training(model(28), pictures, y, SPARSE, adam(0.003), accuracy(y), steps=300)
    return broken, broken.but(model=model(2))


@program("tables-group-norm-a-group-for-each-feature", "gradient@1, initialization@1, layers@1")
def _(rng):
    x, y = blobs(rng, 500, 12, 4)

    def model(groups):
        inner = []
        for _ in range(2):
            inner += [Dense(32), layers.GroupNormalization(groups), layers.ReLU()]
        return net((12,), *inner, Dense(4, "softmax"))

    broken = Training(model(32), standardized(x), y, SPARSE, adam(0.003), accuracy(y), steps=300)
    return broken, broken.but(model=model(4))
