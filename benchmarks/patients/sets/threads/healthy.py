"""Programs of tutorials and accepted answers that train well.

Ported before `diagnose` was run on any of them, and trained; narrower where the net was large.
"""

import keras
import numpy as np
from data import blobs, digits, linear, one_hot, pictures, series, standardized, words
from keras import layers, ops
from nets import BCE, CCE, NORMAL_1, adam, conv_blocks, mlp, net, sgd
from program import Program, Training, accuracy, explained, healthy

HEALTHY: dict[str, Program] = {}
program = healthy(HEALTHY, "tutorials and answers")

Dense, Input, Conv, LSTM = layers.Dense, keras.Input, layers.Conv2D, layers.LSTM


@program("answer-more-than-one-of-three-bits")  # stats.SE 511722
def _(rng):
    x = rng.integers(0, 2, (200, 3))
    y = x.sum(1) > 1
    return Training(mlp(3, (10,), 1, "sigmoid"), x, y, BCE, "rmsprop", accuracy(y), 20, 1000)


@program("answer-bits-or-by-a-linear-lstm")  # keras-team/keras#4303
def _(rng):
    x = rng.integers(0, 2, (600, 5, 2))
    y = (x.max(-1, keepdims=True)).astype("float32")
    m = net((5, 2), LSTM(5, return_sequences=True), layers.TimeDistributed(Dense(1)))
    return Training(m, x, y, "mse", "rmsprop", explained(y), 32, 1500)


@program("answer-one-lstm-unit-and-ten-pulses")  # SO, by pullrequest.ru/13233417
def _(rng):
    x = np.eye(10)[..., None]
    y = np.eye(10)[:, :1]
    return Training(net((10, 1), LSTM(1)), x, y, "mse", adam(0.01), explained(y), 10, 1200)


@program("answer-two-lstm-next-value-of-sines")  # SO, by geek-answers 1267675
def _(rng):
    time = np.linspace(0, np.pi / 2, 31) + 2 * np.pi * rng.random((400, 1))
    whole = np.sin(time)[..., None]
    m = net(
        (30, 1), LSTM(32, return_sequences=True), LSTM(32, return_sequences=True),
        layers.TimeDistributed(Dense(1)),
    )  # fmt: skip
    y = whole[:, 1:]
    return Training(m, whole[:, :-1], y, "mse", "adam", explained(y), 32, 200)


@program("answer-xor-eight-relu")  # SO, by pullrequest.ru/10478105
def _(rng):
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]])
    y = np.array([[0], [1], [1], [0.0]])
    return Training(mlp(2, (8,), 1, "sigmoid"), x, y, BCE, "adam", accuracy(y), 1, 4000)


@program("tutorial-higgs-elu-inverse-time-decay")  # TensorFlow: overfit and underfit
def _(rng):
    x, y = blobs(rng, 800, 28, 2)
    m = mlp(28, (64, 64), 1, None, "elu")
    slower = keras.optimizers.schedules.InverseTimeDecay(0.001, 1000, 1)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    return Training(m, x, y, loss, adam(slower), lambda made: accuracy(y)(made + 0.5), 50, 600)


@program("tutorial-miles-per-gallon-normalized-inside")  # TensorFlow: regression
def _(rng):
    z = rng.standard_normal((390, 7))
    weight, cylinders = 3000 + 800 * z[:, 0], np.clip(np.round(5.5 + 1.5 * z[:, 1]), 3, 8)
    year = np.round(76 + 3.6 * z[:, 2])
    y = np.clip(23 - 6 * z[:, 0] - 2 * z[:, 1] + 2.5 * z[:, 2] + z[:, 0] ** 2, 9, 46)
    x = np.stack([weight, cylinders, year, 104 + 38 * z[:, 3], 15.5 + 2.7 * z[:, 4]], 1)
    x = np.concatenate([x, one_hot(rng.integers(0, 3, 390), 3)], 1)
    normalize = layers.Normalization()
    normalize.adapt(x)
    m = net((8,), normalize, Dense(64, "relu"), Dense(64, "relu"), Dense(1))
    return Training(m, x, y[:, None], "mae", adam(0.001), explained(y), 32, 1200)


@program("tutorial-boston-few-samples-thousands-of-dollars")  # Chollet's book
def _(rng):
    x = standardized(np.exp(rng.standard_normal((400, 13)) / 2))
    y = 22 + 5 * x[:, 0] - 4 * np.abs(x[:, 1]) + 2 * x[:, 2] * x[:, 3]
    return Training(mlp(13, (64, 64), 1), x, y[:, None], "mse", "rmsprop", explained(y), 16, 2000)


@program("tutorial-reuters-words-there-or-not")  # Chollet's book
def _(rng):
    tokens, y = words(rng, 500, 40, 1000, 12)
    x = np.zeros((500, 1000), "float32")
    np.put_along_axis(x, tokens, 1, 1)
    m = mlp(1000, (64, 64), 12, "softmax")
    return Training(m, x, one_hot(y), CCE, "rmsprop", accuracy(y), 64, 300)


@program("tutorial-jena-gru-with-recurrent-dropout")  # Chollet's book
def _(rng):
    x, y = series(rng, 420, 24)
    x = np.concatenate([x, np.roll(x, 3, 1) + 0.3 * rng.standard_normal(x.shape)], -1)
    inner = [layers.GRU(24, recurrent_dropout=0.25, return_sequences=True)]
    inner += [layers.GRU(24, recurrent_dropout=0.25), layers.Dropout(0.25)]
    m = net((24, 2), *inner, Dense(1))
    return Training(m, x, y[:, None], "mse", "rmsprop", explained(y), 32, 500)


@program("book-california-wide-and-deep")  # Géron's book
def _(rng):
    z = rng.standard_normal((600, 8))
    y = 2 + z[:, 0] + 0.5 * z[:, 1] * z[:, 2] - 0.3 * np.abs(z[:, 3])
    wide, deep = Input((5,)), Input((6,))
    h = Dense(30, "relu")(Dense(30, "relu")(deep))
    m = keras.Model([wide, deep], Dense(1)(layers.Concatenate()([wide, h])))
    z[:, 5:] = z[:, :3]  # the deep side sees the first three as well
    return Training(m, [z[:, :5], z[:, 2:]], y[:, None], "mse", adam(0.005), explained(y), 32, 500)


@program("example-two-bidirectional-lstm-reviews")  # keras.io: bidirectional_lstm_imdb
def _(rng):
    x, y = words(rng, 300, 30, 500)
    inner = [layers.Embedding(500, 32), layers.Bidirectional(LSTM(24, return_sequences=True))]
    m = net((30,), *inner, layers.Bidirectional(LSTM(24)), Dense(1, "sigmoid"))
    return Training(m, x, y, BCE, adam(0.003), accuracy(y), 32, 200)


@program("blog-deep-autoencoder-of-digits")  # blog.keras.io: autoencoders
def _(rng):
    x, _ = digits(rng, 400, 4)
    x = x.reshape(400, 784) / 255
    m = mlp(784, (128, 64, 32, 64, 128), 784, "sigmoid")
    return Training(m, x, x, BCE, "adam", explained(x), 50, 500)


@program("book-nielsens-net-of-normal-weights")  # Nielsen's book, chapter 1
def _(rng):
    x, y = digits(rng, 500)
    m = mlp(784, (30,), 10, "sigmoid", "sigmoid", **NORMAL_1)

    def quadratic(y, made):
        return 0.5 * ops.sum(ops.square(y - made), -1)

    x = x.reshape(500, 784) / 255
    return Training(m, x, one_hot(y), quadratic, sgd(3.0), accuracy(y), 10, 1500)


@program("example-convolutions-of-digits")  # keras.io: mnist_convnet
def _(rng):
    x, y = digits(rng, 400)
    m = net(
        (28, 28, 1), *conv_blocks([16, 32]), layers.Flatten(), layers.Dropout(0.5),
        Dense(10, "softmax"),
    )  # fmt: skip
    return Training(m, x[..., None] / 255, one_hot(y), CCE, "adam", accuracy(y), 40, 300)


@program("example-super-resolution-sub-pixels")  # keras.io: super_resolution_sub_pixel
def _(rng):
    fine, _ = pictures(rng, 160, 24, 1, 6, noise=0.02)
    coarse = fine.reshape(160, 12, 2, 12, 2, 1).mean((2, 4))
    same = {"padding": "same", "activation": "relu", "kernel_initializer": "orthogonal"}
    small = Input((12, 12, 1))
    h = Conv(16, 3, **same)(Conv(24, 3, **same)(Conv(24, 5, **same)(small)))
    h = ops.reshape(Conv(4, 3, **same)(h), (-1, 12, 12, 2, 2))
    h = ops.reshape(ops.transpose(h, (0, 1, 3, 2, 4)), (-1, 24, 24, 1))
    m = keras.Model(small, h)
    return Training(m, coarse, fine, "mse", adam(0.001), explained(fine), 8, 400)


@program("answer-one-layer-of-regression-standardized")  # stats.SE 284189
def _(rng):
    x, y = linear(rng, 300, 5)
    x, y = standardized(x), standardized(y)
    return Training(net((5,), Dense(1)), x, y[:, None], "mse", "sgd", explained(y), 10, 600)
