"""Of DeepLocalize and DeepFD."""

import keras
import numpy as np
from data import digits, one_hot, pictures, standardized
from keras import layers
from nets import (
    BCE,
    CCE,
    NARROW,
    NORMAL_05,
    NORMAL_1,
    SPARSE,
    adam,
    conv_blocks,
    mlp,
    nesterov,
    net,
    sgd,
)
from program import Program, Training, accuracy, explained, register

BROKEN: dict[str, Program] = {}
DL, DFD, MUFL = "DeepLocalize", "DeepFD", "deepmufl"
program = register(BROKEN)

Dense, Flatten, Dropout = layers.Dense, layers.Flatten, layers.Dropout
TRUTH = np.array([[1, 1], [1, 0], [0, 0], [0, 1.0]])


@program("48385830", "output@output, loss@loss, hidden activation@0", DL, DFD, MUFL)
def _(rng):
    x, y = digits(rng, 2000)
    x = x.reshape(-1, 784) / 255
    m = mlp(784, [30], 10, None, None, **NORMAL_1)
    broken = Training(m, x, one_hot(y), "mse", sgd(3.0), accuracy(y), 10, 2000)
    good = mlp(784, [30], 10, "softmax", "sigmoid", **NORMAL_1)
    return broken, broken.but(model=good, loss=CCE)


@program("31556268", "loss@loss, rate too low@optimizer, epochs@optimizer", DL, DFD)
def _(rng):
    y = np.array([0, 1, 0, 1])
    m = mlp(2, [4], 1, "sigmoid", "sigmoid")
    broken = Training(m, TRUTH, y, "mae", nesterov(0.05, 0.11), accuracy(y), 4, 1000)
    good = mlp(2, [4], 1, "sigmoid", "sigmoid")
    return broken, broken.but(model=good, loss="mse", optimizer=adam(0.01), steps=5000)


@program("48251943", "output@output", DL, DFD, MUFL)
def _(rng):
    x = np.array([0.8, 0.6]) + [0.9, 0.8] * rng.standard_normal((200, 2))
    y = 0.9 * x[:, 0] - 0.8 * np.abs(x[:, 1]) + 0.1 * rng.standard_normal(200)
    broken = Training(mlp(2, [4], 1, "relu"), x, y, "mse", sgd(), explained(y), 10, 2000)
    return broken, broken.but(model=mlp(2, [4], 1))


@program("33969059", "output@output, input@input, target scale@targets, dropout@1", DL, DFD, MUFL)
def _(rng):
    x = 1e4 * rng.random((3000, 3))
    y = x @ [2.0, 1.0, 0.5] + 2.2
    m = net(
        (3,),
        Dense(3, "tanh", **NARROW),
        Dropout(0.5),
        Dense(2, "tanh", **NARROW),
        Dropout(0.5),
        Dense(1, "softmax", **NARROW),
    )
    broken = Training(m, x, y, "mse", nesterov(0.1, 0.9), explained(y), steps=1500)
    return broken, broken.but(
        model=mlp(3, [3, 2], 1, None, "tanh"),
        x=standardized(x),
        y=standardized(y),
        optimizer=nesterov(0.01, 0.9),
        score=explained(y, y.std(), y.mean()),
    )


@program(
    "34311586",
    "output@output, rate too low@optimizer, initialization@0, epochs@optimizer",
    DL,
    DFD,
    MUFL,
)
def _(rng):
    x = np.array([[1, 1], [0, 0], [1, 0], [0, 1], [1, 1], [0, 0.0]])
    y = np.array([0, 0, 1, 1, 0, 0])
    m = mlp(2, [2, 3], 1, "softmax", "sigmoid", **NARROW)
    broken = Training(m, x, y, "mse", nesterov(0.001, 0.9), accuracy(y), 4, 100)
    good = mlp(2, [2, 3], 1, "sigmoid", "sigmoid")
    return broken, broken.but(model=good, optimizer=nesterov(0.5, 0.9), steps=8000)


@program("39525358", "input@input, rate too low@optimizer, initialization@0", DL, DFD)
def _(rng):
    rows = np.array([[65, 66, 67, 0], [68, 69, 70, 1], [65, 66, 70, 0], [68, 69, 67, 1.0]])
    rows = rows[rng.choice(4, 21, p=[0.5, 0.3, 0.1, 0.1])]
    x, y = rows[:, :3], rows[:, 3].astype(int)
    m = mlp(3, [12, 3], 1, "sigmoid", **NARROW)
    broken = Training(m, x, y, BCE, adam(), accuracy(y), 1, 2000)
    good = mlp(3, [12, 3], 1, "sigmoid", **NARROW)
    return broken, broken.but(
        model=good, x=standardized(x), optimizer=adam(0.1), batch=10, steps=300
    )


@program("48934338", "rate too high@optimizer", DL, DFD)
def _(rng):
    x = np.arange(0, 5, 0.1)[:, None]
    y = 5 * x[:, 0] ** 2 + rng.standard_normal(50) ** 3

    def m():
        return net((1,), Dense(50, "relu"), Dense(30, "relu", **NARROW), Dense(1))

    broken = Training(m(), x, y, "mse", sgd(0.1), explained(y), steps=2000)
    return broken, broken.but(model=m(), optimizer=sgd(1e-4), steps=6000)


@program("59325381", "labels@targets", DL, DFD)
def _(rng):
    x, y = digits(rng, 1000)
    x = x[..., None] / 255

    def m():
        return net(
            (28, 28, 1),
            *conv_blocks([8, 8], hidden=None, padding="same"),
            Flatten(),
            Dense(64, "relu"),
            Dense(10, "softmax"),
        )

    broken = Training(m(), x, y / 255, SPARSE, adam(), accuracy(y), steps=250)
    return broken, broken.but(model=m(), y=y)


@program("34673164", "input@input, output@output, loss@loss, initialization@0", DL, DFD, MUFL)
def _(rng):
    y = rng.integers(0, 2, 200)
    center = [9e4, 37, 37, 15, 15, 15, 3e4, 3e4, 2.5, 57, 17, 20, 8e4, 0, 0, 0.6]
    width = [1e5, 2, 2, 6, 4, 4, 4e4, 4e4, 0.07, 8, 3, 7, 3e4, 0.5, 0.5, 0.15]
    x = np.array(center) + np.array(width) * rng.standard_normal((200, 16))
    x[:, 13:15] += np.where(y, 1.2, -0.5)[:, None]
    x[:, 9] += 8 * y

    def m(end, *first):
        hidden = [Dense(64, "tanh", **NARROW), Dropout(0.5), Dense(64, "tanh", **NARROW)]
        return net((16,), *first, *hidden, Dropout(0.5), Dense(2, end, **NARROW))

    rate = nesterov(0.1, 0.9)
    broken = Training(m("softmax"), x, one_hot(y), "mse", rate, accuracy(y), 16)
    return broken, broken.but(model=m("sigmoid", layers.BatchNormalization()), loss=BCE)


@program("50079585", "output@output, loss@loss, labels@targets, layers@output", DL, DFD)
def _(rng):
    x, y = pictures(rng, 500, 32, 3, 3)

    def m(units, end):
        return net(
            (32, 32, 3),
            *conv_blocks([16, 16, 32]),
            Flatten(),
            Dense(64, "relu"),
            Dropout(0.5),
            Dense(units, end),
        )

    broken = Training(m(1, "sigmoid"), x, y, BCE, "rmsprop", accuracy(y), 16, 400)
    return broken, broken.but(model=m(3, "softmax"), y=one_hot(y), loss=CCE)


@program("44066044", "input@input, output@output", DL, DFD)
def _(rng):
    n = 40  # addresses, ports and flags of packets, as whole numbers
    y = (np.arange(n) % 5 > 1).astype(int)
    x = np.stack(
        [
            3232235773 + np.where(y, 8, 5 * rng.integers(0, 2, n)),
            np.full(n, 3232235779),
            np.full(n, 6),
            524032 + 256 * rng.integers(0, 8, n) * (1 - y) + 1500 * y,
            rng.choice([502, 55924], n),
            12 * rng.integers(0, 2, n),
            rng.choice([0, 61, 65280], n),
            5 + (1 - y),
            np.zeros(n),
        ],
        1,
    ).astype(float)
    m = mlp(9, [12, 12], 1, "relu", **NORMAL_05)
    broken = Training(m, x, y, BCE, adam(), accuracy(y), 5, 1000)
    good = mlp(9, [12, 12], 1, "sigmoid", **NORMAL_05)
    return broken, broken.but(model=good, x=standardized(x))


@program("45442843", "input@input, output@output, loss@loss", DL, DFD, MUFL)
def _(rng):
    x = rng.integers(15041, 24988, (1000, 1)).astype(float)
    y = (x[:, 0] < 20000).astype(int)

    def m(end):
        return net((1,), Dense(1, "sigmoid"), Dense(1, end, **NORMAL_05))

    broken = Training(m("softmax"), x, y, "mae", "rmsprop", accuracy(y), 200, 500)
    return broken, broken.but(model=m("sigmoid"), x=standardized(x), loss=BCE, steps=4000)


@program("31627380", "input@input", DL, DFD)
def _(rng):
    n = 800  # passengers: class, name, sex, age, relatives, ticket, fare, cabin, port
    sex, rank = rng.integers(0, 2, n), rng.integers(1, 4, n)
    age, fare = rng.normal(30, 13, n).clip(0.5), np.exp(rng.normal(2.9, 1, n))
    codes = [rng.integers(0, most, n) for most in (1300, 3, 3, 930, 187, 4)]
    x = np.stack([rank, codes[0], sex, age, *codes[1:4], fare, *codes[4:]], 1).astype(float)
    y = (2.5 * (1 - sex) - 0.9 * (rank - 2) - 1 + 0.7 * rng.standard_normal(n) > 0).astype(int)

    def m():
        return net((10,), Dense(512, "relu"), Dropout(0.5), Dense(2, "softmax"))

    broken = Training(m(), x, one_hot(y), CCE, adam(), accuracy(y), 4, 1500)
    return broken, broken.but(model=m(), x=standardized(x))


@program("42514960", "output@output, hidden activation@0", DFD)
def _(rng):
    a, c = 0.5 * rng.random(1000), 0.5 * rng.random(1000) + 0.02
    x = np.stack([a, c, a + c, a * c, a / c, a - c], 1)
    wide = [12, 12, 2, 12, 12]
    rate = keras.optimizers.Adadelta(1.0)
    m = mlp(6, wide, 6, "sigmoid")
    broken = Training(m, x, x, "mse", rate, explained(x), steps=2000)
    return broken, broken.but(
        model=mlp(6, wide, 6),
        x=standardized(x),
        y=standardized(x),
        optimizer=keras.optimizers.Adadelta(1.0),
        score=explained(x, x.std(0), x.mean(0)),
    )


@program("game-of-life", "rate too low@optimizer, epochs@optimizer, loss@loss", DL, DFD)
def _(rng):
    now = (rng.random((600, 10, 10)) < 0.5).astype(float)
    x = np.pad(now, ((0, 0), (1, 1), (1, 1)), mode="wrap")
    around = sum(x[:, i : i + 10, j : j + 10] for i in range(3) for j in range(3)) - now
    y = ((around == 3) | ((now == 1) & (around == 2))).astype(float)[..., None]

    def m():
        conv = layers.Conv2D
        hidden = [conv(10, 3, activation="relu"), conv(20, 1, activation="relu")]
        return net((12, 12, 1), *hidden, conv(1, 1, activation="sigmoid"))

    broken = Training(m(), x[..., None], y, BCE, adam(), accuracy(y), 64, 60)
    return broken, broken.but(model=m(), loss="mse", optimizer=adam(0.01), steps=600)
