"""More programs of real threads: numbers, toys and tables.

Nets, losses and optimizers as they were posted, on data of the reported shape and scale; where a
post does not say, the usual. Written before `diagnose` was run on any of them; both sides were
trained, and kept are those whose repair ends clearly better.
"""

import numpy as np
from data import flowers, one_hot, standardized
from keras import layers
from nets import BCE, CCE, adam, mlp, net, normal, sgd, uniform
from program import Program, Training, accuracy, explained, register

BROKEN: dict[str, Program] = {}
program = register(BROKEN)

Dense, LSTM = layers.Dense, layers.LSTM


@program(
    "above-a-threshold-of-fifty-thousand", "output@output, input@input", "geeksmental.com: accuracy"
)
def _(rng):
    x = rng.integers(0, 100_000, (2000, 1))
    y = x[:, 0] >= 50_000
    broken = Training(mlp(1, (3, 5), 1, "relu"), x, y, BCE, "adam", accuracy(y), 5, 1200)
    return broken, broken.but(model=mlp(1, (3, 5), 1, "sigmoid", "tanh"), x=standardized(x))


@program("sine-of-whole-numbers", "output@output, input@input, capacity@0", "datascience.SE 19365")
def _(rng):
    x = np.arange(100)[:, None]
    y = np.sin(x)
    broken = Training(
        mlp(1, (10,), 1, "sigmoid", "sigmoid"), x, y, "mse", "sgd", explained(y), 1, 2000
    )
    wide = net(
        (1,),
        Dense(300, "tanh", kernel_initializer=normal(50), bias_initializer=uniform(50)),
        Dense(1),
    )
    return broken, broken.but(model=wide, x=x / 50 - 1, optimizer=adam(0.003), batch=20, steps=2500)


@program(
    "square-by-two-linear-units",
    "target scale@targets, hidden activation@0, rate too high@optimizer",
    "stats.SE 418955",
)
def _(rng):
    x = np.arange(100)[:, None]
    y = x**2 + 3.0
    x = standardized(x)
    broken = Training(net((1,), Dense(1), Dense(1)), x, y, "mse", "sgd", explained(y), 32, 900)
    repaired = broken.but(model=mlp(1, (16,), 1), y=standardized(y), optimizer=sgd(0.1))
    return broken, repaired.but(score=explained(y, y.std(), y.mean()))


@program(
    "two-steps-ago-from-windows-of-one", "input@input, target scale@targets", "stats.SE 329619"
)
def _(rng):
    whole = rng.integers(0, 100, 1002).astype(float)
    y = whole[:-2, None]
    windows = np.stack([whole[:-2], whole[1:-1], whole[2:]], 1)[..., None]

    def model(units):
        return net((None, 1), layers.SimpleRNN(units), Dense(1))

    broken = Training(model(2), windows[:, 2:], y, "mse", "adam", explained(y), 5, 1500)
    repaired = broken.but(model=model(16), x=(windows - 50) / 29, y=(y - 50) / 29)
    return broken, repaired.but(optimizer=adam(0.005), score=explained(y, 29, 50))


@program("xor-of-a-thousand-draws", "capacity@0", "stats.SE 320672")
def _(rng):
    x = rng.integers(0, 2, (1000, 2))
    y = (x[:, :1] != x[:, 1:]).astype(int)
    broken = Training(mlp(2, (2,), 1, "sigmoid"), x, y, BCE, "rmsprop", accuracy(y), 4, 3000)
    return broken, broken.but(model=mlp(2, (12,), 1, "sigmoid"))


@program(
    "xnor-four-points",
    "capacity@0",
    "SO, by pullrequest.ru 13148192",
)
def _(rng):
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]])
    y = np.array([[1], [0], [0], [1.0]])
    broken = Training(mlp(2, (2,), 1, "sigmoid"), x, y, BCE, adam(0.01), accuracy(y), 4, 300)
    return broken, broken.but(model=mlp(2, (20, 20), 1, "sigmoid"))


@program("lengths-of-flowers-as-words", "input@input, layers@0", "keras-team/keras#274")
def _(rng):
    x, y = flowers(rng)

    def model(*first):
        return net((4, *(() if first else (1,))), *first, LSTM(32), Dense(3, "softmax"))

    broken = Training(
        model(layers.Embedding(4, 64)), x, one_hot(y), CCE, "rmsprop", accuracy(y), 10, 600
    )
    return broken, broken.but(model=model(), x=standardized(x)[..., None], optimizer=adam(0.01))


@program("three-relu-before-the-last", "capacity@0, hidden activation@0", "keras-team/keras#13891")
def _(rng):
    x = rng.standard_normal((500, 12))
    y = 30 + 4 * (x[:, :1] + x[:, 1:2] - 0.5 * x[:, 2:3])

    def model(hidden):
        return net((12,), Dense(3, hidden), Dense(1))

    broken = Training(model("relu"), x, y, "mse", sgd(0.05), explained(y), 32, 600)
    return broken, broken.but(model=mlp(12, (32,), 1, None, "tanh"), optimizer=adam(0.02))


@program("values-of-a-line-a-third-wide", "input@input", "stats.SE 280318")
def _(rng):
    x = rng.uniform(0, 0.01, (500, 2))
    y = 0.35 + 0.3 * (100 * x[:, :1] - 50 * x[:, 1:] + 0.5) / 1.5

    def model():
        return mlp(2, (16, 16), 1, None, "tanh")

    broken = Training(model(), x, y, "mse", sgd(0.01), explained(y), 32, 800)
    return broken, broken.but(model=model(), x=standardized(x), optimizer=sgd(0.1))


@program(
    "sine-by-four-layers-of-five",
    "capacity@0, capacity@1, capacity@2, capacity@3, rate too low@optimizer",
    "philipzucker.com",
)
def _(rng):
    x = rng.uniform(-np.pi, np.pi, (2000, 1))
    y = np.sin(x)
    broken = Training(mlp(1, (5, 5, 5, 5), 1), x, y, "mse", "sgd", explained(y), 32, 600)
    return broken, broken.but(model=mlp(1, (64,), 1), optimizer=adam(0.01))


@program("labels-one-to-five", "labels@targets, output@output", "SO, by pullrequest.ru 13662601")
def _(rng):
    kinds = rng.integers(0, 5, 600)
    x = rng.integers(6, 200, (600, 30))
    x[np.arange(600), rng.integers(0, 30, 600)] = kinds + 1

    def model():
        return net(
            (30,),
            layers.Embedding(200, 16),
            layers.GlobalMaxPooling1D(),
            Dense(24, "relu"),
            Dense(5, "softmax"),
        )

    sparse = "sparse_categorical_crossentropy"
    broken = Training(model(), x, kinds + 1, sparse, adam(0.005), accuracy(kinds), 32, 600)
    return broken, broken.but(model=model(), y=kinds)


@program(
    "chances-from-one-of-thirty",
    "rate too low@optimizer, epochs@optimizer, "
    "hidden activation@0, hidden activation@1, hidden activation@2",
    "keras-team/keras#6447",
)
def _(rng):
    first, second = rng.integers(0, 30, (2, 800))
    chance = rng.random((2, 30))
    x = np.concatenate([one_hot(first, 30), one_hot(second, 30)], 1)
    y = (chance[0][first] * chance[1][second])[:, None]

    def model(hidden):
        return mlp(60, (32, 32, 32), 1, "sigmoid", hidden)

    broken = Training(model("sigmoid"), x, y, "mse", "sgd", explained(y), 32, 600)
    return broken, broken.but(model=model("relu"), optimizer=adam(0.003))
