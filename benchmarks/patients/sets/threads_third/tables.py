"""A third set of programs of real threads: numbers, toys and tables.

Nets, losses and optimizers as they were posted, on data of the reported shape and scale; where a
post does not say, the usual. Written before `diagnose` was run on any of them; both sides were
trained, and kept are those whose repair ends clearly better.
"""

import numpy as np
from data import blobs, digits, linear, one_hot, standardized
from keras import layers, ops
from nets import BCE, CCE, SPARSE, adam, mlp, nesterov, net, normal, sgd, uniform
from program import Program, Training, accuracy, explained, register

BROKEN: dict[str, Program] = {}
program = register(BROKEN)

Dense, Dropout = layers.Dense, layers.Dropout


@program(
    "price-by-binary-crossentropy",
    "loss@loss, output@output, labels@targets, target scale@targets",
    "SO, by openillumi.com 113698",
)
def _(rng):
    x, y = linear(rng, 1600, 12)
    y = 20_000 + 40 * (y - y.min())
    broken = Training(mlp(12, (64, 32), 1, "sigmoid"), x, y, BCE, adam(), explained(y), 32, 600)
    repaired = broken.but(model=mlp(12, (64, 32), 1), y=standardized(y), loss="mse")
    return broken, repaired.but(score=explained(y, y.std(), y.mean()))


@program(
    "mass-of-a-sphere-through-one-unit",
    "target scale@targets, capacity@0, output@output, input@input, rate too low@optimizer",
    "ai.SE 28842",
)
def _(rng):
    x = np.arange(20.0)[:, None]
    y = 4 / 3 * np.pi * x**3

    def model(end):
        return net((1,), Dense(1), Dense(128, "relu"), Dense(1, end))

    broken = Training(model("relu"), x, y, "mse", "rmsprop", explained(y), 20, 300)
    repaired = broken.but(model=mlp(1, (128,), 1), x=standardized(x), y=standardized(y))
    return broken, repaired.but(score=explained(y, y.std(), y.mean()), optimizer=adam(0.03))


@program(
    "three-points-of-a-sine",
    "rate too low@optimizer, epochs@optimizer, hidden activation@0",
    "stats.SE 387150",
)
def _(rng):
    x = np.array([[-1.0], [0], [1]])
    y = np.array([[-0.2445248], [0.1232554], [0.1713998]])

    def model(hidden):
        return mlp(1, (10,), 1, None, hidden)

    broken = Training(model(None), x, y, "mse", adam(1e-5), explained(y), 32, 300)
    return broken, broken.but(model=model("tanh"), optimizer=adam(0.03))


@program(
    "logarithm-from-weights-of-zero-to-one",
    "initialization@0, initialization@1, initialization@2, rate too high@optimizer",
    "SO, by techfeed 436673",
)
def _(rng):
    x = rng.uniform(0.001, 1, (1000, 1))
    y = np.log(x)

    def model(**options):
        return mlp(1, (50, 10), 1, None, "relu", **options)

    def positive(shape, dtype=None):
        return 0.5 + uniform(0.5)(shape, dtype)

    start = {"kernel_initializer": positive, "bias_initializer": positive}
    broken = Training(model(**start), x, y, "mse", sgd(0.01), explained(y), 50, 600)
    return broken, broken.but(model=model(), optimizer=adam(0.01))


@program(
    "tenfold-through-a-tanh", "output@output, target scale@targets, input@input", "SO 77588498"
)
def _(rng):
    x = np.linspace(-20, 20, 1000)[:, None]
    y = 10 * x

    def model(end):
        return mlp(1, (16, 8, 4), 1, end, "tanh")

    broken = Training(model("tanh"), x, y, "mse", "adam", explained(y), 32, 600)
    repaired = broken.but(model=model(None), x=x / 20, y=y / 200, optimizer=adam(0.01))
    return broken, repaired.but(score=explained(y, 200))


@program(
    "digits-softmax-twice-from-zeros",
    "initialization@0, initialization@1, hidden activation@0",
    "SO, by pullrequest.ru 11818227",
)
def _(rng):
    x, y = digits(rng, 800)
    x = x.reshape(800, 784) / 255
    zeros = {"kernel_initializer": "zeros"}
    flat = net((784,), Dense(10, "softmax", **zeros), Dense(10, "softmax", **zeros))
    broken = Training(flat, x, one_hot(y), CCE, sgd(0.5), accuracy(y), 100, 600)
    small = {"kernel_initializer": normal(0.1), "bias_initializer": normal(0.1)}
    return broken, broken.but(model=mlp(784, (10,), 10, "softmax", "sigmoid", **small))


def _(rng):
    x, y = blobs(rng, 560, 30)
    x = standardized(x)

    def model():
        uneven = {"kernel_initializer": uniform(0.05)}
        inner = [Dense(16, "relu", **uneven), Dropout(0.1), Dense(16, "relu", **uneven)]
        return net((30,), *inner, Dropout(0.1), Dense(1, "sigmoid", **uneven))

    broken = Training(model(), x, y[:, None], CCE, adam(), accuracy(y), 100, 500)
    return broken, broken.but(model=model(), loss=BCE)


@program(
    "packets-behind-a-relu",
    "output@output, input@input",
    "keras-team/keras#6688",
)
def _(rng):
    x, y = blobs(rng, 900, 11)
    raw = x * [4e8, 4e8, 2e4, 2e4, 1, 60, 700, 1, 4e3, 1, 1] + [3e9, 3e9, *[0] * 9]

    def model(end):
        small = {"kernel_initializer": normal(0.05)}
        return mlp(11, (12, 12), 1, end, "relu", **small)

    broken = Training(model("relu"), raw, y, BCE, "adam", accuracy(y), 5, 900)
    return broken, broken.but(model=model("sigmoid"), x=standardized(raw))


def _(rng):
    z, y = blobs(rng, 700, 5)
    female = (z[:, 0] > z[:, 0].mean()).astype(float)
    rank, age, fare = 1 + rng.integers(0, 3, 700), 30 + 12 * z[:, 1], np.exp(3 + z[:, 2])
    x = np.stack([rank, age, fare, female, 1 - female], 1)

    def model(end):
        he = {"kernel_initializer": "he_normal", "use_bias": False}
        inner = [Dense(32, "relu"), Dense(64, "relu", **he), layers.BatchNormalization()]
        inner += [Dense(128, "relu", **he), Dropout(0.1), Dense(64, "relu", **he), Dropout(0.1)]
        inner += [Dense(32, "relu"), Dropout(0.15), Dense(16, "relu"), Dense(8, "relu", **he)]
        return net((5,), *inner, Dense(1, end))

    broken = Training(model("softmax"), x, y, BCE, sgd(0.1), accuracy(y), 32, 600)
    scaled = standardized(x)
    return broken, broken.but(model=model("sigmoid"), x=scaled, optimizer=sgd(0.03))


@program("columns-of-hundreds-nan-in-a-small-net", "input@input", "keras-team/keras#510")
def _(rng):
    x, y = blobs(rng, 800, 20)
    x = 300 + 200 * x

    def model():
        return net((20,), Dense(64, "relu"), Dense(64, "relu"), Dense(2, "softmax"))

    broken = Training(model(), x, one_hot(y), CCE, nesterov(0.01, 0.9), accuracy(y), 32, 500)
    return broken, broken.but(model=model(), x=standardized(x))


@program(
    "genes-through-nothing-but-relu",
    "input@input, target scale@targets, output@output, capacity@2, hidden activation@2",
    "ai.SE 24910",
)
def _(rng):
    z = rng.standard_normal((500, 6)) @ rng.standard_normal((6, 200)) / 2
    x = np.exp(3 + 1.5 * z)

    def model(code, end):
        inner = [Dense(96, "relu"), Dense(32, "relu"), Dense(8, code), Dense(32, "relu")]
        return net((200,), *inner, Dense(96, "relu"), Dense(200, end))

    scaled = standardized(np.log(x))

    def by_ratio(made):
        return explained(scaled)(
            (np.log(np.maximum(made, 1e-3)) - np.log(x).mean(0)) / np.log(x).std(0)
        )

    broken = Training(model("relu", "relu"), x, x, "mae", "adam", by_ratio, 32, 600)
    repaired = broken.but(model=model(None, None), x=scaled, y=scaled, optimizer=adam(0.003))
    return broken, repaired.but(score=explained(scaled))


class Round(layers.Layer):
    """Rounds what it is given."""

    def call(self, inputs):
        """Returns whole numbers."""
        return ops.round(inputs)


@program(
    "whole-numbers-by-a-layer-that-rounds", "gradient@-1, output@output", "keras-team/keras#2221"
)
def _(rng):
    x = rng.standard_normal((800, 12))
    y = np.round(6 + x[:, :3] + 2 * x[:, 3:6])

    def model(*last):
        return net((12,), Dense(20, "relu"), Dense(20, "relu"), Dense(3), *last)

    broken = Training(model(Round()), x, y, "mae", "adam", explained(y), 32, 600)
    return broken, broken.but(model=model(), optimizer=adam(0.01))


@program(
    "values-of-actions-errors-cut-at-one",
    "loss@loss, gradient@loss, target scale@targets",
    "devsisters/DQN-tensorflow#16",
)
def _(rng):
    x = rng.standard_normal((800, 8))
    y = 30 + 12 * np.tanh(x @ rng.standard_normal((8, 4)))

    def cut(y, made):
        return ops.mean(ops.square(ops.clip(y - made, -1, 1)), -1)

    def model():
        return mlp(8, (64, 64), 4)

    broken = Training(model(), x, y, cut, adam(0.001), explained(y), 32, 600)
    repaired = broken.but(model=model(), y=(y - 30) / 12, loss="huber", optimizer=adam(0.003))
    return broken, repaired.but(score=explained(y, 12, 30))


@program("xor-two-sigmoids-softmax-of-one", "output@output, capacity@0", "keras-team/keras#112")
def _(rng):
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]])
    y = np.array([[0], [1], [1], [0.0]])

    def model(width, hidden, end):
        return mlp(2, (width,), 1, end, hidden)

    broken = Training(model(2, "sigmoid", "softmax"), x, y, CCE, "sgd", accuracy(y), 4, 300)
    repaired = broken.but(model=model(16, "tanh", "sigmoid"), loss=BCE)
    return broken, repaired.but(optimizer=adam(0.03))


@program(
    "xor-two-sigmoids-five-hundred-steps",
    "rate too low@optimizer, epochs@optimizer, capacity@0",
    "keras-team/keras#1295",
)
def _(rng):
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]])
    y = np.array([[0], [1], [1], [0.0]])

    def model(width, hidden):
        return mlp(2, (width,), 1, "sigmoid", hidden)

    broken = Training(model(2, "sigmoid"), x, y, BCE, "sgd", accuracy(y), 4, 500)
    return broken, broken.but(model=model(16, "tanh"), optimizer=sgd(1.0), steps=500)


@program(
    "cepstra-squeezed-into-four",
    "input@input, target scale@targets, capacity@4, output@output, "
    "hidden activation@4, regularization@loss, regularization@0",
    "keras-team/keras#5028",
)
def _(rng):
    mixed = rng.standard_normal((800, 12)) @ rng.standard_normal((12, 143))
    clean = 12 * mixed / mixed.std() * np.linspace(2, 0.5, 143)
    noisy = clean + 2 * rng.standard_normal(clean.shape)

    def model(widths, end):
        return mlp(143, widths, 143, end)

    narrow = (143, 64, 32, 16, 8, 4, 8, 16, 32, 64)
    broken = Training(model(narrow, "sigmoid"), noisy, clean, "mse", "adam", explained(clean))
    repaired = broken.but(model=model((64, 24, 64), None), x=noisy / 12, y=clean / 12)
    return broken, repaired.but(optimizer=adam(0.003), score=explained(clean, 12))


@program(
    "moods-from-minus-six-to-six",
    "labels@targets",
    "tplusone/hanser_ml_zeitreihen#3",
)
def _(rng):
    x = rng.standard_normal((1500, 10))
    y = np.clip(np.round(3 * x[:, 0] - 2 * x[:, 1]), -6, 6).astype(int)

    def model():
        return mlp(10, (64, 64), 13, "softmax")

    broken = Training(model(), x, y, SPARSE, adam(0.003), accuracy(y + 6), 32, 600)
    return broken, broken.but(model=model(), y=y + 6)


def _weibull(epsilon):
    """Returns the log likelihood of days until something breaks, from scale and shape."""

    def loss(y, made):
        scale, shape = made[:, 0], made[:, 1]
        days, seen = y[:, 0], y[:, 1]
        before = ops.power((days + 1e-35) / scale, shape)
        after = ops.power((days + 1) / scale, shape)
        return after - seen * ops.log(ops.exp(after - before) - 1 + epsilon)

    return loss


class Ends(layers.Layer):
    """Makes a scale and a shape of two numbers.

    Args:
        scale: where the scale begins.
    """

    def __init__(self, scale, **options):
        super().__init__(**options)
        self.scale = scale

    def call(self, inputs):
        """Returns them, both above 0."""
        return ops.stack([self.scale * ops.exp(inputs[:, 0]), ops.softplus(inputs[:, 1])], 1)


@program(
    "breakdowns-logarithm-of-no-hazard",
    "loss@loss, gradient@loss, target scale@targets, gradient@-1, initialization@-1, "
    "hidden activation@-1, output@output",
    "ragulpr/wtte-rnn#39",
)
def _(rng):
    x = rng.standard_normal((600, 8))
    mean = np.exp(6 + x[:, 0] - 0.5 * x[:, 1])
    days = np.floor(mean * rng.weibull(1.5, 600))
    y = np.stack([days, rng.random(600) < 0.8], 1).astype("float32")

    def ranked(made):
        return explained(np.log(mean))(np.log(np.maximum(made[:, 0], 1e-9)))

    def model(scale):
        return net((8,), Dense(32, "tanh"), Dense(2), Ends(scale))

    broken = Training(model(1.0), x, y, _weibull(0), adam(0.01), ranked, 32, 600)
    return broken, broken.but(model=model(400.0), loss=_weibull(1e-6))


def _(rng):
    x = rng.standard_normal((800, 4))
    best = (x[:, 0] + x[:, 1] * x[:, 2] > 0).astype(int)
    taken = rng.integers(0, 2, 800)
    y = one_hot(taken, 2) * np.where(taken == best, 1.2, 0)[:, None]

    def model():
        return mlp(4, (32, 32), 2, "softmax")

    def exchanged(made, y):
        return -ops.sum(ops.log(made) * y, -1)

    def policy(y, made):
        return -ops.sum(ops.log(made + 1e-7) * y, -1)

    broken = Training(model(), x, y, exchanged, adam(0.003), accuracy(best), 32, 600)
    return broken, broken.but(model=model(), loss=policy)


@program(
    "eight-tenths-dropped-as-the-paper-keeps",
    "dropout@0, dropout@2, dropout@4",
    "keras-team/keras#1715",
)
def _(rng):
    x, y = blobs(rng, 1000, 24, 4)

    def model(rate):
        inner = [Dropout(rate), Dense(32, "relu"), Dropout(rate), Dense(16, "relu")]
        return net((24,), *inner, Dropout(rate), Dense(4, "softmax"))

    broken = Training(model(0.8), standardized(x), y, SPARSE, adam(0.003), accuracy(y), 32, 500)
    return broken, broken.but(model=model(0.2))
