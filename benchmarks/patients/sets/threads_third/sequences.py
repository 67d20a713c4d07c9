"""A third set of programs of real threads: texts, series, signals and codes.

As those of `tables`: ported before `diagnose` was run on them, and trained.
"""

import numpy as np
from data import blobs, standardized, waves, words
from keras import layers, ops
from nets import BCE, CCE, adam, nesterov, net
from program import Program, Training, accuracy, explained, register

from sets.threads_second.sequences import variational

BROKEN: dict[str, Program] = {}
program = register(BROKEN)

Dense, Conv1D, LSTM, Embedding = layers.Dense, layers.Conv1D, layers.LSTM, layers.Embedding


@program(
    "windows-of-ten-all-near-minus-one",
    "output@output, input@input",
    "SO, by geek-questions 1270335",
)
def _(rng):
    x, y = waves(rng, 600, 10, 2)
    x = np.concatenate([x, np.roll(x, 1, 1), x[:, ::-1], x**2], -1)
    x = -1.062 + 0.002 * x

    def model(end):
        inner = [Conv1D(16, 4, padding="same"), layers.BatchNormalization(), layers.LeakyReLU()]
        inner += [layers.Dropout(0.2), Conv1D(8, 4, padding="same"), layers.BatchNormalization()]
        inner += [layers.LeakyReLU(), layers.Dropout(0.2), layers.Flatten(), Dense(64)]
        inner += [layers.BatchNormalization(), layers.LeakyReLU()]
        return net((10, 4), *inner, Dense(1, end))

    broken = Training(model("softmax"), x, y, BCE, adam(), accuracy(y), 64, 400)
    return broken, broken.but(model=model("sigmoid"), x=standardized(x))


def _(rng):
    saw = 1 + np.arange(1010) % 10
    whole = np.stack([saw, 11 - saw], 1).astype(float)
    x = np.stack([whole[i : i + 10] for i in range(1000)])
    y = whole[10:1010]

    def model(end):
        return net((10, 2), LSTM(50), Dense(2, end))

    broken = Training(model("softmax"), x, y, "mse", "rmsprop", explained(y), 64, 400)
    repaired = broken.but(model=model(None), x=(x - 5.5) / 3, y=(y - 5.5) / 3)
    return broken, repaired.but(optimizer=adam(0.01), score=explained(y, 3, 5.5))


@program(
    "reviews-filled-behind-without-a-mask",
    "input@input, layers@0, layers@1",
    "keras-team/keras#20898",
)
def _(rng):
    x, y = words(rng, 500, 20, 200)
    length = rng.integers(10, 21, (500, 1))
    x = np.where(np.arange(20) < length, x + 1, 0)
    y = ((x == 3) | (x == 4)).any(1).astype(int)
    x = np.concatenate([x, np.zeros((500, 100), int)], 1)

    def model(masked):
        first = Embedding(202, 16, mask_zero=masked)
        return net((120,), first, LSTM(16), Dense(1, "sigmoid"))

    broken = Training(model(False), x, y, BCE, adam(0.003), accuracy(y), 32, 250)
    return broken, broken.but(model=model(True))


@program(
    "letters-relu-lstm-of-many-steps",
    "hidden activation@1, gradient@1, layers@3, rate too high@optimizer, input@input",
    "keras-team/keras#2194",
)
def _(rng):
    x, y = waves(rng, 300, 150, 4)
    x = np.concatenate([10 * x, 10 * np.roll(x, 3, 1)], -1)
    tags = np.repeat(y[:, None], 150, 1)

    def model(hidden):
        inner = [layers.Masking(), LSTM(32, hidden), layers.Dropout(0.2)]
        return net((150, 2), *inner, layers.RepeatVector(150), Dense(4, "softmax"))

    sparse = "sparse_categorical_crossentropy"
    broken = Training(model("relu"), x, tags, sparse, adam(0.01), accuracy(tags), 32, 200)
    return broken, broken.but(model=model("tanh"), x=x / 10)


def _(rng):
    z = rng.standard_normal((400, 20, 6))
    x, y = 10 + 5 * z, np.maximum(0, np.cumsum(z[..., :1], 1) / 3 + z[..., 1:2])

    def model(hidden, end):
        inner = [LSTM(64, hidden, return_sequences=True), LSTM(32, hidden, return_sequences=True)]
        return net((20, 6), *inner, layers.TimeDistributed(Dense(1, end)))

    step = nesterov(0.01, 0.99)
    broken = Training(model("relu", "relu"), x, y, "mse", step, explained(y), 32, 200)
    return broken, broken.but(model=model("tanh", None), x=z, optimizer=adam(0.01))


@program(
    "connections-some-columns-not-numbers",
    "input@input, labels@targets, target scale@targets",
    "keras-team/keras#12371",
)
def _(rng):
    mixed, _ = blobs(rng, 600, 42, informative=6)
    x = 1 / (1 + np.exp(-mixed @ rng.standard_normal((42, 42)) / 3))
    hurt = x.copy()
    hurt[rng.random(600) < 0.2, 19] = np.nan

    def model():
        return variational(42, 32, 8, 0.001, "sigmoid")

    broken = Training(model(), hurt, hurt, BCE, adam(0.003), explained(x), 32, 500)
    return broken, broken.but(model=model(), x=x, y=x)


@program(
    "columns-standardized-for-a-sigmoid-of-codes",
    "loss@loss, labels@targets, output@output, target scale@targets",
    "tensorflow/models#23",
)
def _(rng):
    mixed = rng.standard_normal((700, 6)) @ rng.standard_normal((6, 60))
    x = standardized(mixed)
    shares = 1 / (1 + np.exp(-1.5 * x))

    def cost(y, made):
        each = y * ops.log(1e-10 + made) + (1 - y) * ops.log(1e-10 + 1 - made)
        return -ops.sum(each, -1)

    def model():
        return variational(60, 64, 8, 1, "sigmoid")

    broken = Training(model(), x, x, cost, adam(0.001), explained(x), 32, 500)
    repaired = broken.but(model=model(), x=shares, y=shares, optimizer=adam(0.003))
    return broken, repaired.but(score=explained(shares))


@program(
    "sounds-relu-lstm-behind-convolutions",
    "hidden activation@2, gradient@2, input@input",
    "AlexanderVNikitin/tsgm#59",
)
def _(rng):
    x, y = waves(rng, 300, 120, 3)
    x = 40 * np.concatenate([x, x**2], -1)

    def model(hidden):
        inner = [Conv1D(32, 3, activation="relu"), layers.Dropout(0.2), LSTM(32, hidden)]
        return net((120, 2), *inner, Dense(32, "relu"), Dense(3, "softmax"))

    hot = np.eye(3)[y]
    broken = Training(model("relu"), x, hot, CCE, adam(0.003), accuracy(y), 32, 200)
    return broken, broken.but(model=model("tanh"), x=x / 40)


@program(
    "trades-share-of-right-ones-as-the-loss",
    "loss@loss, gradient@loss, output@output",
    "keras-team/keras#9712",
)
def _(rng):
    x, y = waves(rng, 500, 20, 2)
    y = np.eye(2, dtype="float32")[y]

    def right(y, made):
        same = ops.equal(ops.round(made), y)
        return 100 * ops.mean(ops.cast(same, "float32"), -1)

    def model(rate, end):
        inner = [layers.Dropout(rate), LSTM(30, dropout=rate, recurrent_dropout=rate)]
        return net((20, 1), *inner, Dense(2, end))

    broken = Training(model(0.4, None), x, y, right, adam(), accuracy(y.argmax(1)), 64, 200)
    return broken, broken.but(model=model(0.1, "softmax"), loss=CCE, optimizer=adam(0.01))


@program(
    "demands-rounded-inside-the-loss",
    "loss@loss, gradient@loss",
    "keras-team/keras#4175",
)
def _(rng):
    x = rng.standard_normal((600, 8, 3))
    y = np.round(5 + 2 * x[:, -1, :1] + x[:, -2, :1])

    def by_whole_numbers(y, made):
        return ops.mean(ops.square(y - ops.round(made)), -1)

    def model():
        return net((8, 3), Conv1D(16, 3, activation="relu"), layers.Flatten(), Dense(1))

    broken = Training(model(), x, y, by_whole_numbers, adam(), explained(y), 32, 400)
    return broken, broken.but(model=model(), loss="mse", optimizer=adam(0.01))
