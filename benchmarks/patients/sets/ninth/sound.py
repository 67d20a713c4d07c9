"""Nets that look odd and train well."""

import keras
import numpy as np
from data import blobs, linear, pictures, standardized, words
from keras import layers, ops
from nets import BCE, SPARSE, adam, mlp, net, sgd
from program import Program, Training, accuracy, explained, healthy

HEALTHY: dict[str, Program] = {}
program = healthy(HEALTHY, "ours")

Dense, Input, Conv = layers.Dense, keras.Input, layers.Conv2D


@program("lion-at-a-few-ten-thousandths")
def _(rng):
    x, y = blobs(rng, 600, 20, 5)
    rate = keras.optimizers.Lion(0.0005, weight_decay=0.1)
    m = mlp(20, [64, 64], 5, "softmax")
    return Training(m, x, y, SPARSE, rate, accuracy(y), steps=400)


@program("selu-twelve-deep")
def _(rng):
    x, y = blobs(rng, 600, 16, 4)
    m = mlp(16, [48] * 12, 4, "softmax", "selu", kernel_initializer="lecun_normal")
    return Training(m, x, y, SPARSE, adam(0.001), accuracy(y), steps=400)


@program("features-random-frozen-and-read-by-one-layer")
def _(rng):
    x, y = blobs(rng, 600, 8, 4)
    inner = Dense(400, "relu", trainable=False)
    return Training(
        net((8,), inner, Dense(4, "softmax")), x, y, SPARSE, adam(0.003), accuracy(y), steps=400
    )


@program("precision-mixed-and-the-end-in-full")
def _(rng):
    x, y = pictures(rng, 400, 16, 3, 5)
    inner = [Conv(n, 3, strides=2, activation="relu", dtype="mixed_bfloat16") for n in (16, 32)]
    m = net((16, 16, 3), *inner, layers.Flatten(), Dense(5, "softmax", dtype="float32"))
    return Training(m, x, y, SPARSE, adam(0.003), accuracy(y), steps=300)


@program("bottleneck-of-one-unit-that-suffices")
def _(rng):
    x, y = linear(rng, 500, 10)
    y = np.tanh(standardized(y))[:, None]
    m = net((10,), Dense(1), Dense(24, "tanh"), Dense(1))
    return Training(m, x, y, "mse", adam(0.01), explained(y), steps=500)


@program("quantile-of-the-median-on-heavy-tails")
def _(rng):
    x, y = linear(rng, 600, 8)
    goal = standardized(y)[:, None]
    seen = goal + 0.2 * rng.standard_t(2, goal.shape)

    def pinball(true, made):
        gap = true - made
        return ops.mean(ops.maximum(0.5 * gap, -0.5 * gap), -1)

    m = mlp(8, [32, 32], 1)
    return Training(m, x, seen, pinball, adam(0.003), explained(goal), steps=500)


class Gain(layers.Layer):
    """Multiplies by one number that starts at zero."""

    def build(self, shape):
        """Makes the number."""
        self.gain = self.add_weight(shape=(), initializer="zeros")

    def call(self, h):
        """Returns the product."""
        return self.gain * h


@program("branches-from-a-gain-of-zero-ten-deep")
def _(rng):
    x, y = blobs(rng, 600, 16, 5)
    given = Input((16,))
    h = Dense(48)(given)
    for _ in range(10):
        h = h + Gain()(Dense(48, "relu", kernel_initializer="he_normal")(h))
    m = keras.Model(given, Dense(5, "softmax")(h))
    return Training(m, x, y, SPARSE, adam(0.003), accuracy(y), steps=400)


@program("vocabulary-of-fifty-thousand-mostly-unseen")
def _(rng):
    x, y = words(rng, 500, 20, 50_000)
    goal = y[:, None]
    inner = [layers.Embedding(50_000, 8), layers.GlobalMaxPooling1D(), Dense(1, "sigmoid")]
    return Training(net((20,), *inner), x, goal, BCE, adam(0.01), accuracy(goal), steps=300)


@program("rate-of-a-half-behind-normalization")
def _(rng):
    x, y = blobs(rng, 600, 20, 5)
    block = [
        part
        for _ in range(2)
        for part in (
            Dense(48, use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
        )
    ]
    m = net((20,), *block, Dense(5, "softmax"))
    return Training(m, x, y, SPARSE, sgd(0.5), accuracy(y), 64, 400)


@program("dropout-of-seven-tenths-on-a-wide-layer")
def _(rng):
    x, y = blobs(rng, 600, 20, 4)
    m = net((20,), Dense(256, "relu"), layers.Dropout(0.7), Dense(4, "softmax"))
    return Training(m, x, y, SPARSE, adam(0.003), accuracy(y), steps=400)
