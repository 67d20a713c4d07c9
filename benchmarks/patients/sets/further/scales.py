"""The data."""

import keras
import numpy as np
from data import blobs, linear, pictures, series, standardized, words
from keras import layers
from nets import BCE, SPARSE, adam, cnn, mlp, net, sgd
from program import Program, Training, accuracy, explained, register

BROKEN: dict[str, Program] = {}
program = register(BROKEN, "ours")

Dense, Input = layers.Dense, keras.Input


@program("pixels-cnn-sgd", "input@input")
def _(rng):
    x, y = pictures(rng, 400, 24, 3, 4)
    m = cnn((24, 24, 3), 4, "softmax")
    broken = Training(m, np.round(255 * x), y, SPARSE, sgd(0.01), accuracy(y), steps=500)
    return broken, broken.but(model=cnn((24, 24, 3), 4, "softmax"), x=x, optimizer=sgd(0.05))


@program("salary-and-age", "input@input")
def _(rng):
    age, salary = rng.uniform(18, 60, 400), rng.uniform(15000, 150000, 400)
    x = np.stack([rng.integers(0, 2, 400), age, salary], 1)
    y = (age / 60 + salary / 150000 + 0.1 * rng.standard_normal(400) > 1.2).astype(int)
    broken = Training(mlp(3, [6, 6], 1, "sigmoid"), x, y, BCE, "adam", accuracy(y), 10, 800)
    good = mlp(3, [16, 16], 1, "sigmoid")
    return broken, broken.but(model=good, x=standardized(x), optimizer=adam(0.01))


@program("timestamps", "input@input")
def _(rng):
    time = 1.6e9 + 3600.0 * np.arange(400)
    x = np.stack([time, rng.standard_normal(400)], 1)
    y = x[:, 1] + standardized(time)
    broken = Training(mlp(2, [32], 1), x, y, "mse", adam(0.01), explained(y))
    return broken, broken.but(model=mlp(2, [32], 1), x=standardized(x))


@program("years", "input@input, target scale@targets")
def _(rng):
    x = np.stack([rng.integers(1950, 2020, 300), rng.integers(1, 13, 300)], 1).astype(float)
    y = 0.2 * (x[:, 0] - 1950) + np.cos(x[:, 1] / 2)
    broken = Training(mlp(2, [16], 1), x, y, "mse", sgd(0.001), explained(y), steps=1500)
    s, m = y.std(), y.mean()
    return broken, broken.but(
        model=mlp(2, [16], 1),
        x=standardized(x),
        y=(y - m) / s,
        optimizer=adam(0.01),
        score=explained(y, s, m),
    )


@program("missing-as-minus-999", "input@input")
def _(rng):
    x, y = linear(rng, 400, 8)
    y = standardized(y)
    gone = rng.random(x.shape) < 0.05
    m = mlp(8, [32], 1)
    broken = Training(m, np.where(gone, -999, x), y, "mse", sgd(0.01), explained(y))
    return broken, broken.but(model=mlp(8, [32], 1), x=np.where(gone, 0, x))


@program("nan-inputs", "input@input")
def _(rng):
    x, y = blobs(rng, 300, 6)
    bad = x.copy()
    bad[5, 2] = np.nan
    broken = Training(mlp(6, [16], 1, "sigmoid"), bad, y, BCE, "adam", accuracy(y))
    return broken, broken.but(model=mlp(6, [16], 1, "sigmoid"), x=x)


@program("divided-twice", "input@input")
def _(rng):
    x, y = pictures(rng, 400, 20, 1, 4)
    m = cnn((20, 20, 1), 4, "softmax")
    broken = Training(m, x / 255, y, SPARSE, "adam", accuracy(y), steps=300)
    return broken, broken.but(model=cnn((20, 20, 1), 4, "softmax"), x=x)


@program("embedding-of-fractions", "input@input")
def _(rng):
    x, y = words(rng, 400, 12, 200)

    def text():
        return net(
            (12,), layers.Embedding(200, 16), layers.GlobalAveragePooling1D(), Dense(1, "sigmoid")
        )

    broken = Training(text(), x / 200, y, BCE, adam(0.01), accuracy(y))
    return broken, broken.but(model=text(), x=x)


@program("embedding-too-small", "input@input")
def _(rng):
    x, y = words(rng, 400, 12, 200)

    def text(size):
        return net(
            (12,), layers.Embedding(size, 16), layers.GlobalAveragePooling1D(), Dense(1, "sigmoid")
        )

    broken = Training(text(100), x, y, BCE, adam(0.01), accuracy(y))
    return broken, broken.but(model=text(200))


@program("sine-of-degrees", "input@input")
def _(rng):
    x = rng.uniform(0, 360, (500, 1))
    y = np.sin(np.radians(x[:, 0]))
    m = mlp(1, [32, 32], 1)
    broken = Training(m, x, y, "mse", sgd(0.01), explained(y), steps=1500)
    return broken, broken.but(
        model=mlp(1, [32, 32], 1, None, "tanh"), x=standardized(x), optimizer=adam(0.01)
    )


@program("house-prices", "target scale@targets")
def _(rng):
    x, y = linear(rng, 400, 12)
    y = 2e5 + 500 * y
    broken = Training(mlp(12, [16, 16], 1), x, y, "mse", "adam", explained(y), steps=1000)
    s, m = y.std(), y.mean()
    return broken, broken.but(model=mlp(12, [16, 16], 1), y=(y - m) / s, score=explained(y, s, m))


@program("passengers-lstm", "target scale@targets, input@input")
def _(rng):
    x, y = series(rng, 200, 12, 300.0, 80.0)

    def lstm():
        return net((12, 1), layers.LSTM(8), Dense(1))

    broken = Training(lstm(), x, y, "mse", "adam", explained(y), steps=800)
    return broken, broken.but(
        model=lstm(),
        x=(x - 300) / 80,
        y=(y - 300) / 80,
        score=explained(y, 80, 300),
        optimizer=adam(0.01),
    )


@program("prices-gru-sgd", "target scale@targets, input@input")
def _(rng):
    x, y = series(rng, 200, 12, 5000.0, 900.0)

    def gru():
        return net((12, 1), layers.GRU(16), Dense(1))

    broken = Training(gru(), x, y, "mse", sgd(0.01), explained(y), steps=800)
    return broken, broken.but(
        model=gru(),
        x=(x - 5000) / 900,
        y=(y - 5000) / 900,
        score=explained(y, 900, 5000),
        optimizer=adam(0.01),
    )


@program("two-outputs", "target scale@targets")
def _(rng):
    x, y = blobs(rng, 400, 10)
    price = 3e4 + 1e4 * x[:, 3] + 5e3 * x[:, 4]

    def both():
        given = Input((10,))
        h = Dense(32, "relu")(given)
        return keras.Model(given, [Dense(1, name="price")(h), Dense(1, "sigmoid", name="sold")(h)])

    s, m = price.std(), price.mean()
    broken = Training(both(), x, [price, y], ["mse", BCE], adam(0.01), explained(price))
    return broken, broken.but(model=both(), y=[(price - m) / s, y], score=explained(price, s, m))
