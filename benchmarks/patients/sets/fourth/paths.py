"""What happens to the signal on its way through the net."""

import keras
import numpy as np
from data import blobs, digits, pictures, standardized, waves, words
from keras import layers, ops
from nets import BCE, SPARSE, adam, conv_blocks, net, sgd
from program import Program, Training, accuracy, explained, register

BROKEN: dict[str, Program] = {}
program = register(BROKEN, "ours")

Dense, Input = layers.Dense, keras.Input


@program("digits-binarized-by-sign", "gradient@2, gradient@4")
def _(rng):
    x, y = digits(rng, 500)

    def straight(h):
        return h + ops.stop_gradient(ops.sign(h) - h)

    def model(binarize):
        inner = [layers.Flatten()]
        for units in (48, 8):
            inner += [Dense(units), layers.Lambda(binarize)]
        return net((28, 28), *inner, Dense(10, "softmax"))

    broken = Training(model(ops.sign), x / 255, y, SPARSE, adam(0.003), accuracy(y), steps=500)
    return broken, broken.but(model=model(straight))


@program("reviews-attention-mask-true-for-padding", "layers@2, input@input, input@2, gradient@2")
def _(rng):
    x, y = words(rng, 400, 24, 200, 3)
    x = np.where(np.arange(24) < rng.integers(8, 20, 400)[:, None], x + 1, 0)
    # the two words that tell the class are moved to the front, where nothing is padded
    tell = np.stack([1 + 2 * y + rng.integers(0, 2, 400) for _ in range(2)], 1)
    x[:, 1:3] = tell

    def model(real):
        tokens = Input((24,), dtype="int32")
        h = layers.Embedding(201, 24)(tokens)
        # in PyTorch True means: left out
        mask = ops.not_equal(tokens, 0) if real else ops.equal(tokens, 0)
        a = layers.MultiHeadAttention(2, 12)(h[:, :1], h, attention_mask=mask[:, None, :])
        return keras.Model(tokens, Dense(3, "softmax")(Dense(32, "relu")(a[:, 0])))

    broken = Training(model(False), x, y, SPARSE, adam(0.003), accuracy(y), steps=300)
    return broken, broken.but(model=model(True))


@program("leaves-rescaled-by-255-instead-of-its-inverse", "input@input, input@0")
def _(rng):
    x, y = pictures(rng, 300, 20, 3, 5)

    def model(scale):
        inner = [layers.Rescaling(scale), *conv_blocks([16, 24]), layers.Flatten()]
        return net((20, 20, 3), *inner, Dense(5, "softmax"))

    rate = keras.optimizers.SGD(0.03)
    broken = Training(model(255.0), 255 * x, y, SPARSE, rate, accuracy(y), steps=300)
    return broken, broken.but(model=model(1 / 255))


@program("signals-gates-shut-by-a-bias-of-minus-thirty", "initialization@2, gradient@2, gradient@3")
def _(rng):
    x, y = waves(rng, 400, 32, 3)

    def model(bias):
        given = Input((32,))
        start = keras.initializers.Constant(bias)
        gate = Dense(48, "sigmoid", bias_initializer=start)(given)
        h = layers.Multiply()([Dense(48, "tanh")(given), gate])
        h = Dense(48, "relu")(h)
        return keras.Model(given, Dense(3, "softmax")(h))

    broken = Training(model(-30.0), x[..., 0], y, SPARSE, adam(0.003), accuracy(y), steps=400)
    return broken, broken.but(model=model(-1.0))


@program("wines-exponential-as-hidden-activation", "hidden activation@0, hidden activation@1")
def _(rng):
    x, y = blobs(rng, 400, 12, 3)

    def model(hidden):
        return net((12,), Dense(48, hidden), Dense(48, hidden), Dense(3, "softmax"))

    broken = Training(model("exponential"), x, y, SPARSE, sgd(0.02), accuracy(y), steps=400)
    return broken, broken.but(model=model("elu"))


@program("order-of-two-marks-no-positions", "capacity@1, layers@1, layers@2")
def _(rng):
    x = rng.integers(2, 5, (500, 12))
    y = rng.integers(0, 2, 500)
    where = np.sort(np.argsort(rng.random((500, 12)), 1)[:, :2], 1)
    np.put_along_axis(x, where, np.stack([y, 1 - y], 1), 1)  # which is first

    def model(positions):
        tokens = Input((12,), dtype="int32")
        h = layers.Embedding(5, 24)(tokens)
        if positions:
            h = h + layers.Embedding(12, 24)(ops.cumsum(ops.ones_like(tokens), 1) - 1)
        for _ in range(2):
            h = h + layers.MultiHeadAttention(2, 12)(h, h)
            h = layers.LayerNormalization()(h + Dense(24)(Dense(48, "relu")(h)))
        return keras.Model(tokens, Dense(1, "sigmoid")(layers.GlobalAveragePooling1D()(h)))

    broken = Training(model(False), x, y[:, None], BCE, adam(0.003), accuracy(y), steps=400)
    return broken, broken.but(model=model(True))


@program(
    "tables-max-norm-of-a-hundredth",
    "regularization@0, regularization@1, initialization@0, gradient@0",
)
def _(rng):
    x, y = blobs(rng, 500, 12, 4)

    def model(limit):
        narrow = keras.constraints.MaxNorm(limit)
        inner = [Dense(48, "tanh", kernel_constraint=narrow) for _ in range(3)]
        return net((12,), *inner, Dense(4, "softmax"))

    broken = Training(model(0.01), standardized(x), y, SPARSE, adam(0.002), accuracy(y), steps=300)
    return broken, broken.but(model=model(3.0))


@program(
    "tracks-lstm-softmax-inside-raw-degrees",
    "hidden activation@0, target scale@targets, input@input",
    "keras-team/keras#2050",
)
def _(rng):
    start = [44.0, 27.0] + 2 * rng.standard_normal((400, 1, 2))
    heading = 0.3 * rng.standard_normal((400, 1, 2))
    track = start + heading * np.arange(7)[None, :, None]
    x, y = track[:, :6], track[:, 6]

    def model(activation):
        return net((6, 2), layers.LSTM(32, activation=activation), Dense(2))

    broken = Training(model("softmax"), x, y, "mse", sgd(0.01), explained(y), steps=500)
    mean, std = y.mean(0), y.std(0)
    goal = (y - mean) / std
    repaired = broken.but(model=model("tanh"), x=(x - mean) / std, y=goal, optimizer=adam(0.005))
    return broken, repaired.but(score=explained(goal))


@program(
    "cells-batch-norm-epsilon-of-ten-thousand",
    "gradient@1, gradient@4, gradient@7, initialization@1, initialization@4, initialization@7",
)
def _(rng):
    x, y = blobs(rng, 500, 12, 4)

    def model(epsilon):
        inner = []
        for _ in range(3):
            inner += [Dense(32), layers.BatchNormalization(momentum=0.9, epsilon=epsilon)]
            inner.append(layers.ReLU())
        return net((12,), *inner, Dense(4, "softmax"))

    broken = Training(model(1e4), standardized(x), y, SPARSE, sgd(0.05), accuracy(y), steps=300)
    return broken, broken.but(model=model(1e-3))
