"""Programs of our own, of the kinds that people ask about; none of them is in a collection.

The limits of `diagnose` were chosen without these, but after some of the collected ones.
"""

import keras
import numpy as np
from data import (
    blobs,
    digits,
    flowers,
    linear,
    moons,
    one_hot,
    pictures,
    series,
    standardized,
    waves,
    words,
)
from keras import layers
from nets import BCE, CCE, SPARSE, adam, cnn, mlp, net, normal, sgd
from program import Program, Training, accuracy, explained, register

FURTHER: dict[str, Program] = {}
program = register(FURTHER, "ours")

Dense, Input, Flatten = layers.Dense, keras.Input, layers.Flatten
XOR = np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]])


# --- the end of the net


@program("softmax-one-unit-text", "output@output")
def _(rng):
    x, y = words(rng, 400, 20, 500)

    def text(end):
        return net((20,), layers.Embedding(500, 16), layers.LSTM(16), Dense(1, end))

    broken = Training(text("softmax"), x, y, BCE, adam(0.01), accuracy(y), steps=400)
    return broken, broken.but(model=text("sigmoid"))


@program("softmax-one-unit-functional", "output@output")
def _(rng):
    x, y = pictures(rng, 300, 24, 3, 2)

    def functional(end):
        given = Input((24, 24, 3))
        h = layers.Conv2D(16, 3, activation="relu")(given)
        h = layers.GlobalAveragePooling2D()(layers.Conv2D(16, 3, activation="relu")(h))
        return keras.Model(given, layers.Activation(end)(Dense(1)(h)))

    broken = Training(functional("softmax"), x, y, BCE, adam(0.003), accuracy(y), steps=500)
    return broken, broken.but(model=functional("sigmoid"))


class Subclassed(keras.Model):
    """A perceptron written as a class, with an activation called in `call`."""

    def __init__(self, units, end=None, width=32):
        super().__init__()
        self.hidden = Dense(width, "relu")
        self.last = Dense(units)
        self.end = keras.activations.get(end)

    def call(self, x):
        """Returns the outputs."""
        return self.end(self.last(self.hidden(x)))


@program("softmax-one-unit-subclassed", "output@output")
def _(rng):
    x, y = blobs(rng, 400, 10)
    broken = Training(Subclassed(1, "softmax"), x, y, BCE, "adam", accuracy(y))
    return broken, broken.but(model=Subclassed(1, "sigmoid"))


@program("sigmoid-regression-subclassed", "output@output")
def _(rng):
    x, y = linear(rng, 400, 8)
    y = standardized(y)
    broken = Training(Subclassed(1, "sigmoid"), x, y, "mse", adam(0.01), explained(y))
    return broken, broken.but(model=Subclassed(1))


@program("relu-logits-subclassed", "output@output")
def _(rng):
    x, y = blobs(rng, 500, 10, 4)
    broken = Training(Subclassed(4, "relu"), x, y, SPARSE, "adam", accuracy(y))
    return broken, broken.but(model=Subclassed(4, "softmax"))


@program("no-activation-crossentropy", "output@output")
def _(rng):
    x, y = blobs(rng, 600, 20, 5)
    m = mlp(20, [32], 5)
    broken = Training(m, x, y, SPARSE, "adam", accuracy(y))
    logits = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return broken, broken.but(model=mlp(20, [32], 5), loss=logits)


@program("no-activation-binary", "output@output")
def _(rng):
    x, y = words(rng, 400, 16, 300)

    def text(end=None):
        return net((16,), layers.Embedding(300, 16), layers.GRU(16), Dense(1, end))

    broken = Training(text(), x, y, BCE, adam(0.01), accuracy(y), steps=300)
    return broken, broken.but(model=text("sigmoid"))


@program("tanh-binary", "output@output")
def _(rng):
    x, y = blobs(rng, 400, 12)
    broken = Training(mlp(12, [24, 12], 1, "tanh"), x, y, BCE, "adam", accuracy(y))
    return broken, broken.but(model=mlp(12, [24, 12], 1, "sigmoid"))


@program("relu-binary", "output@output")
def _(rng):
    x, y = blobs(rng, 400, 12)
    broken = Training(mlp(12, [24, 12], 1, "relu"), x, y, BCE, "adam", accuracy(y))
    return broken, broken.but(model=mlp(12, [24, 12], 1, "sigmoid"))


@program("double-softmax", "output@output")
def _(rng):
    x, y = pictures(rng, 500, 20, 1, 6)
    twice = cnn((20, 20, 1), 6, "softmax")
    twice = keras.Sequential([Input((20, 20, 1)), *twice.layers, layers.Softmax()])
    broken = Training(twice, x, y, SPARSE, sgd(0.05), accuracy(y), steps=500)
    return broken, broken.but(model=cnn((20, 20, 1), 6, "softmax"))


@program("softmax-from-logits", "output@output")
def _(rng):
    x, y = blobs(rng, 500, 10, 8)
    logits = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    given = mlp(10, [32], 8, "softmax")
    clipped = net((10,), *given.layers, layers.Reshape((8,)))
    broken = Training(clipped, x, y, logits, sgd(0.02), accuracy(y), steps=500)
    return broken, broken.but(model=mlp(10, [32], 8))


@program("softmax-over-time", "output@output")
def _(rng):
    x, y = waves(rng, 300, 30, 3)

    def over(axis):
        return net(
            (30, 1),
            layers.Conv1D(16, 5, activation="relu", padding="same"),
            layers.Conv1D(3, 5, padding="same"),
            layers.Softmax(axis=axis),
        )

    goal = np.repeat(one_hot(y)[:, None], 30, 1)
    many = np.repeat(y[:, None], 30, 1)
    broken = Training(over(1), x, goal, CCE, adam(0.003), accuracy(many), steps=400)
    return broken, broken.but(model=over(-1))


@program("softmax-regression", "output@output")
def _(rng):
    x, y = linear(rng, 400, 10, 3)
    y = standardized(y)
    broken = Training(mlp(10, [32], 3, "softmax"), x, y, "mse", adam(0.01), explained(y))
    return broken, broken.but(model=mlp(10, [32], 3))


@program("relu-regression-standardized", "output@output")
def _(rng):
    x, y = linear(rng, 400, 10)
    y = standardized(y)
    broken = Training(mlp(10, [32, 16], 1, "relu"), x, y, "mae", adam(0.01), explained(y))
    return broken, broken.but(model=mlp(10, [32, 16], 1))


@program("tanh-stock-prices", "output@output")
def _(rng):
    x, y = series(rng, 300, 20, 0.0, 1.0)
    y = 3 * y + 4

    def lstm(end=None):
        return net((20, 1), layers.LSTM(16), Dense(1, end))

    broken = Training(lstm("tanh"), x, y, "mse", adam(0.01), explained(y), steps=800)
    return broken, broken.but(model=lstm())


@program("sigmoid-autoencoder-standardized", "output@output")
def _(rng):
    z = rng.standard_normal((500, 4))
    x = standardized(np.tanh(z @ rng.standard_normal((4, 20))))
    broken = Training(mlp(20, [10, 10], 20, "sigmoid"), x, x, "mse", adam(0.003), explained(x))
    return broken, broken.but(model=mlp(20, [10, 10], 20), steps=1500)


@program("sigmoid-autoencoder-pixels", "input@input, output@output, target scale@targets")
def _(rng):
    x, _ = digits(rng, 500)
    x = x.reshape(-1, 784)
    broken = Training(mlp(784, [64], 784, "sigmoid"), x, x, "mse", "adam", explained(x))
    good = x / 255
    return broken, broken.but(
        model=mlp(784, [64], 784, "sigmoid"), x=good, y=good, loss=BCE, score=explained(good)
    )


@program("sigmoid-age", "output@output")
def _(rng):
    x, _ = pictures(rng, 300, 24, 3, 4)
    y = 20 + 60 * x.mean((1, 2))[:, 0]
    m = cnn((24, 24, 3), 1, "sigmoid")
    broken = Training(m, x, y, "mae", adam(0.003), explained(y), steps=400)
    return broken, broken.but(model=cnn((24, 24, 3), 1))


@program("sigmoid-categorical", "output@output")
def _(rng):
    x, y = blobs(rng, 600, 16, 6)
    goal = one_hot(y)
    m = mlp(16, [32], 6, "sigmoid")
    broken = Training(m, x, goal, CCE, sgd(0.05), accuracy(y))
    return broken, broken.but(model=mlp(16, [32], 6, "softmax"))


@program("softmax-several-labels", "output@output")
def _(rng):
    x = rng.standard_normal((600, 12))
    y = (x[:, :5] + x[:, 5:10] > 0).astype(float)
    m = mlp(12, [64], 5, "softmax")
    broken = Training(m, x, y, BCE, adam(0.01), accuracy(y))
    return broken, broken.but(model=mlp(12, [64], 5, "sigmoid"))


@program("one-sigmoid-five-classes", "output@output, labels@targets, loss@loss")
def _(rng):
    x, y = pictures(rng, 400, 24, 1, 5)
    m = cnn((24, 24, 1), 1, "sigmoid")
    broken = Training(m, x, y, "mse", "adam", accuracy(y), steps=400)
    return broken, broken.but(model=cnn((24, 24, 1), 5, "softmax"), loss=SPARSE)


@program("one-unit-sparse", "output@output, loss@loss")
def _(rng):
    x, y = blobs(rng, 400, 10)
    m = mlp(10, [16], 1, "sigmoid")
    broken = Training(m, x, y, SPARSE, "adam", accuracy(y))
    return broken, broken.but(model=mlp(10, [16], 1, "sigmoid"), loss=BCE)


@program("sigmoid-steering", "output@output")
def _(rng):
    x, _ = pictures(rng, 300, 24, 1, 6)
    y = standardized((x[:, :, :12] - x[:, :, 12:]).mean((1, 2))[:, 0])
    m = cnn((24, 24, 1), 1, "sigmoid")
    broken = Training(m, x, y, "mse", adam(0.003), explained(y), steps=500)
    return broken, broken.but(model=cnn((24, 24, 1), 1))


@program("leaky-end-binary", "output@output")
def _(rng):
    x, y = blobs(rng, 400, 30)
    m = net((30,), Dense(32, "relu"), Dense(1), layers.LeakyReLU())
    broken = Training(m, x, y, BCE, adam(0.003), accuracy(y))
    good = mlp(30, [32], 1, "sigmoid")
    return broken, broken.but(model=good)


# --- loss and labels


@program("binary-loss-ten-classes", "loss@loss")
def _(rng):
    x, y = digits(rng, 600)
    x = x.reshape(-1, 784) / 255
    goal = one_hot(y)
    broken = Training(
        mlp(784, [64], 10, "softmax"), x, goal, BCE, sgd(0.05), accuracy(y), steps=400
    )
    return broken, broken.but(model=mlp(784, [64], 10, "softmax"), loss=CCE)


@program("binary-loss-class-numbers", "labels@targets, loss@loss")
def _(rng):
    x, y = flowers(rng)
    x = standardized(x)
    broken = Training(mlp(4, [16], 3, "softmax"), x, y, BCE, adam(0.01), accuracy(y))
    return broken, broken.but(model=mlp(4, [16], 3, "softmax"), loss=SPARSE)


@program("categorical-class-numbers", "labels@targets, loss@loss")
def _(rng):
    x, y = pictures(rng, 400, 20, 3, 4)
    m = cnn((20, 20, 3), 4, "softmax")
    broken = Training(m, x, y, CCE, "adam", accuracy(y), steps=300)
    return broken, broken.but(model=cnn((20, 20, 3), 4, "softmax"), loss=SPARSE)


@program("sparse-one-hot", "labels@targets, loss@loss")
def _(rng):
    x, y = blobs(rng, 400, 8, 3)
    broken = Training(mlp(8, [16], 3, "softmax"), x, one_hot(y), SPARSE, "adam", accuracy(y))
    return broken, broken.but(model=mlp(8, [16], 3, "softmax"), loss=CCE)


@program("classes-from-one", "labels@targets")
def _(rng):
    x, y = blobs(rng, 400, 8, 4)
    broken = Training(mlp(8, [16], 4, "softmax"), x, y + 1, SPARSE, adam(0.01), accuracy(y))
    return broken, broken.but(model=mlp(8, [16], 4, "softmax"), y=y)


@program("labels-minus-one", "labels@targets")
def _(rng):
    x, y = blobs(rng, 400, 8)
    broken = Training(mlp(8, [16], 1, "sigmoid"), x, 2 * y - 1, BCE, "adam", accuracy(y))
    return broken, broken.but(model=mlp(8, [16], 1, "sigmoid"), y=y)


@program("several-labels-softmax", "labels@targets, output@output, loss@loss")
def _(rng):
    x = rng.standard_normal((600, 12))
    y = (x[:, :4] - x[:, 4:8] > 0).astype(float)
    broken = Training(mlp(12, [64], 4, "softmax"), x, y, CCE, adam(0.01), accuracy(y))
    return broken, broken.but(model=mlp(12, [64], 4, "sigmoid"), loss=BCE)


@program("mape-on-classes", "loss@loss")
def _(rng):
    x, y = blobs(rng, 400, 10)
    m = mlp(10, [16], 1, "sigmoid")
    broken = Training(m, x, y, "mape", "adam", accuracy(y))
    return broken, broken.but(model=mlp(10, [16], 1, "sigmoid"), loss=BCE)


@program("mae-on-rare-class", "loss@loss")
def _(rng):
    x, y = blobs(rng, 600, 10)
    keep = (y == 0) | (rng.random(600) < 0.25)
    x, y = x[keep], y[keep]
    m = mlp(10, [16], 1, "sigmoid")
    balanced = y + 0
    broken = Training(m, x, y, "mae", adam(0.01), accuracy(balanced), steps=300)
    return broken, broken.but(model=mlp(10, [16], 1, "sigmoid"), loss=BCE)


@program("msle-negative", "loss@loss")
def _(rng):
    x, y = linear(rng, 400, 6)
    y = standardized(y) - 1.5
    m = mlp(6, [32], 1)
    broken = Training(m, x, y, "mean_squared_logarithmic_error", adam(0.01), explained(y))
    return broken, broken.but(model=mlp(6, [32], 1), loss="mse")


@program("sequence-against-one", "labels@targets, layers@output")
def _(rng):
    x, y = series(rng, 300, 24)

    def lstm(whole):
        return net((24, 1), layers.LSTM(16, return_sequences=whole), Dense(1))

    broken = Training(lstm(True), x, y, "mse", adam(0.01), explained(y))
    return broken, broken.but(model=lstm(False))


@program("no-flatten", "labels@targets, layers@output")
def _(rng):
    x, y = pictures(rng, 400, 12, 1, 3)
    x = x[..., 0]
    goal = one_hot(y)

    def dense(flat):
        return net((12, 12), *([Flatten()] if flat else []), Dense(64, "relu"), Dense(3, "softmax"))

    broken = Training(dense(False), x, y, SPARSE, adam(0.003), accuracy(y))
    return broken, broken.but(model=dense(True), y=goal, loss=CCE)


@program("column-against-three", "labels@targets, output@output")
def _(rng):
    x, y = linear(rng, 400, 6)
    y = standardized(y)
    broken = Training(mlp(6, [16], 3), x, y[:, None], "mse", adam(0.01), explained(y))
    return broken, broken.but(model=mlp(6, [16], 1))


@program("scaled-labels", "labels@targets")
def _(rng):
    x, y = digits(rng, 500)
    x = x[..., None] / 255
    m = cnn((28, 28, 1), 10, "softmax")
    broken = Training(m, x, y / 9, SPARSE, "adam", accuracy(y), steps=300)
    return broken, broken.but(model=cnn((28, 28, 1), 10, "softmax"), y=y)


@program("one-class-alone", "labels@targets")
def _(rng):
    x, y = blobs(rng, 600, 10)
    order = np.argsort(y, kind="stable")
    m = mlp(10, [16], 1, "sigmoid")
    first = order[:256]
    broken = Training(m, x[first], y[first], BCE, "adam", lambda made: 0.5, steps=300)
    mixed = rng.permutation(600)[:256]
    return broken, broken.but(
        model=mlp(10, [16], 1, "sigmoid"), x=x[mixed], y=y[mixed], score=accuracy(y[mixed])
    )


@program("nan-targets", "labels@targets")
def _(rng):
    x, y = linear(rng, 300, 5)
    y = standardized(y)
    bad = y.copy()
    bad[17] = np.nan
    broken = Training(mlp(5, [16], 1), x, bad, "mse", adam(0.01), explained(y))
    return broken, broken.but(model=mlp(5, [16], 1), y=y)


@program("kld-class-numbers", "labels@targets, loss@loss")
def _(rng):
    x, y = blobs(rng, 400, 8)
    m = mlp(8, [16], 1, "sigmoid")
    broken = Training(m, x, y, "kl_divergence", adam(0.01), accuracy(y))
    return broken, broken.but(model=mlp(8, [16], 1, "sigmoid"), loss=BCE)


@program("cosine-regression", "loss@loss")
def _(rng):
    x, y = linear(rng, 400, 5)
    y = standardized(y)
    broken = Training(mlp(5, [16], 1), x, y, "cosine_similarity", adam(0.01), explained(y))
    return broken, broken.but(model=mlp(5, [16], 1), loss="mse")


@program("hinge-sigmoid", "output@output, loss@loss")
def _(rng):
    x, y = blobs(rng, 400, 8)
    broken = Training(mlp(8, [16], 1, "relu"), x, y, "hinge", adam(0.003), accuracy(y))
    return broken, broken.but(model=mlp(8, [16], 1, "sigmoid"), loss=BCE)


# --- the data


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


# --- activations and capacity


@program("linear-moons", "hidden activation@0")
def _(rng):
    x, y = moons(rng, 500)
    m = mlp(2, [16, 16], 1, "sigmoid", None)
    broken = Training(m, x, y, BCE, adam(0.01), accuracy(y), steps=1000)
    return broken, broken.but(model=mlp(2, [16, 16], 1, "sigmoid"))


@program("linear-parabola", "hidden activation@0")
def _(rng):
    x = rng.uniform(-2, 2, (300, 1))
    y = x[:, 0] ** 2
    m = mlp(1, [10, 10], 1, None, None)
    broken = Training(m, x, y, "mse", adam(0.01), explained(y))
    return broken, broken.but(model=mlp(1, [10, 10], 1))


@program("linear-cnn", "hidden activation@0")
def _(rng):
    x, y = pictures(rng, 300, 12, 1, 2, noise=0.05)
    x = x - x.mean((1, 2), keepdims=True)

    def conv(hidden):
        return net(
            (12, 12, 1),
            layers.Conv2D(8, 3, activation=hidden),
            layers.Conv2D(8, 3, activation=hidden),
            Flatten(),
            Dense(16, hidden),
            Dense(1, "sigmoid"),
        )

    broken = Training(conv(None), x, y, BCE, adam(0.003), accuracy(y), steps=300)
    return broken, broken.but(model=conv("relu"))


@program("hidden-softmax", "hidden activation@0")
def _(rng):
    x, y = blobs(rng, 500, 16, 4)
    m = mlp(16, [64, 64], 4, "softmax", "softmax")
    broken = Training(m, x, y, SPARSE, "adam", accuracy(y), steps=300)
    return broken, broken.but(model=mlp(16, [64, 64], 4, "softmax"))


@program("deep-sigmoid", "gradient@6, gradient@0, hidden activation@0")
def _(rng):
    x, y = blobs(rng, 500, 16, 4)
    m = mlp(16, [64] * 8, 4, "softmax", "sigmoid")
    broken = Training(m, x, y, SPARSE, sgd(0.1), accuracy(y), steps=500)
    return broken, broken.but(model=mlp(16, [64] * 8, 4, "softmax"))


@program("xor-two-relu", "capacity@0, rate too low@optimizer, hidden activation@0")
def _(rng):
    y = np.array([0, 1, 1, 0])
    broken = Training(mlp(2, [2], 1, "sigmoid"), XOR, y, "mse", sgd(0.01), accuracy(y), 4, 1000)
    good = mlp(2, [16], 1, "sigmoid", "tanh")
    return broken, broken.but(model=good, optimizer=adam(0.05))


@program("sine-few-relu", "capacity@0, rate too low@optimizer")
def _(rng):
    x = rng.uniform(-np.pi, np.pi, (400, 1))
    y = np.sin(2 * x[:, 0])
    broken = Training(mlp(1, [3], 1), x, y, "mse", sgd(0.001), explained(y), steps=1500)
    return broken, broken.but(model=mlp(1, [32, 32], 1), optimizer=adam(0.01))


# --- initializers


@program("all-zeros", "initialization@0")
def _(rng):
    x, y = blobs(rng, 500, 12, 3)
    zeros = {"kernel_initializer": "zeros"}
    m = mlp(12, [32, 32], 3, "softmax", **zeros)
    broken = Training(m, x, y, SPARSE, "adam", accuracy(y))
    return broken, broken.but(model=mlp(12, [32, 32], 3, "softmax"))


@program("all-ones", "initialization@0")
def _(rng):
    x, y = blobs(rng, 500, 12, 3)
    m = mlp(12, [32, 32], 3, "softmax", kernel_initializer="ones")
    broken = Training(m, x, y, SPARSE, "adam", accuracy(y))
    return broken, broken.but(model=mlp(12, [32, 32], 3, "softmax"))


@program("normal-one-tanh", "initialization@0")
def _(rng):
    x, y = blobs(rng, 600, 64, 4)
    draw = normal(1.0)
    m = mlp(64, [128] * 4, 4, "softmax", "tanh", kernel_initializer=draw)
    broken = Training(m, x, y, SPARSE, sgd(0.01), accuracy(y))
    return broken, broken.but(model=mlp(64, [128] * 4, 4, "softmax", "tanh"), optimizer=sgd(0.05))


@program("normal-one-relu", "initialization@0, initialization@1")
def _(rng):
    x, y = blobs(rng, 600, 32, 4)
    draw = normal(1.0)
    m = mlp(32, [128] * 5, 4, "softmax", kernel_initializer=draw)
    broken = Training(m, x, y, SPARSE, sgd(0.01), accuracy(y))
    return broken, broken.but(model=mlp(32, [128] * 5, 4, "softmax"), optimizer=sgd(0.05))


@program("tiny-normal-deep", "initialization@0")
def _(rng):
    x, y = blobs(rng, 600, 32, 4)
    draw = normal(0.01)
    m = mlp(32, [64] * 8, 4, "softmax", kernel_initializer=draw)
    broken = Training(m, x, y, SPARSE, sgd(0.05), accuracy(y), steps=800)
    return broken, broken.but(model=mlp(32, [64] * 8, 4, "softmax"))


@program("negative-bias-relu", "initialization@0")
def _(rng):
    x, y = blobs(rng, 500, 12, 3)
    low = {"bias_initializer": keras.initializers.Constant(-10.0)}
    broken = Training(mlp(12, [32], 3, "softmax", **low), x, y, SPARSE, "adam", accuracy(y))
    return broken, broken.but(model=mlp(12, [32], 3, "softmax"))


# --- the optimizer


@program("dying-adam-tenth", "rate too high@optimizer")
def _(rng):
    x, y = digits(rng, 600)
    x = x.reshape(-1, 784) / 255
    m = mlp(784, [128, 128, 64], 10, "softmax")
    broken = Training(m, x, y, SPARSE, adam(0.1), accuracy(y), steps=400)
    return broken, broken.but(model=mlp(784, [128, 128, 64], 10, "softmax"), optimizer="adam")


@program("sgd-rate-ten", "rate too high@optimizer")
def _(rng):
    x, y = blobs(rng, 500, 20, 4)
    m = mlp(20, [32, 32], 4, "softmax")
    broken = Training(m, x, y, SPARSE, sgd(10.0), accuracy(y))
    return broken, broken.but(model=mlp(20, [32, 32], 4, "softmax"), optimizer=sgd(0.1))


@program("sgd-regression-diverges", "rate too high@optimizer")
def _(rng):
    x, y = linear(rng, 400, 20)
    y = standardized(y)
    broken = Training(mlp(20, [64, 64], 1), x, y, "mse", sgd(1.0), explained(y))
    return broken, broken.but(model=mlp(20, [64, 64], 1), optimizer=sgd(0.01))


@program("adam-rate-one-cnn", "rate too high@optimizer")
def _(rng):
    x, y = pictures(rng, 400, 20, 3, 4)
    m = cnn((20, 20, 3), 4, "softmax")
    broken = Training(m, x, y, SPARSE, adam(1.0), accuracy(y), steps=400)
    return broken, broken.but(model=cnn((20, 20, 3), 4, "softmax"), optimizer="adam")


@program("momentum-99", "rate too high@optimizer")
def _(rng):
    x, y = linear(rng, 400, 20)
    y = standardized(y)
    m = mlp(20, [64, 64], 1)
    broken = Training(m, x, y, "mse", sgd(0.1, 0.99), explained(y), steps=300)
    return broken, broken.but(model=mlp(20, [64, 64], 1), optimizer=sgd(0.01, 0.9))


@program("rate-schedule-high", "rate too high@optimizer")
def _(rng):
    x, y = blobs(rng, 500, 20, 4)
    decay = keras.optimizers.schedules.ExponentialDecay(5.0, 1000, 0.96)
    m = mlp(20, [64, 64], 4, "softmax")
    broken = Training(m, x, y, SPARSE, sgd(decay), accuracy(y), steps=300)
    return broken, broken.but(model=mlp(20, [64, 64], 4, "softmax"), optimizer=sgd(0.1))


@program("adam-rate-1e-7", "rate too low@optimizer")
def _(rng):
    x, y = pictures(rng, 400, 20, 1, 4)
    m = cnn((20, 20, 1), 4, "softmax")
    broken = Training(m, x, y, SPARSE, adam(1e-7), accuracy(y), steps=400)
    return broken, broken.but(model=cnn((20, 20, 1), 4, "softmax"), optimizer="adam")


@program("sgd-rate-1e-6", "rate too low@optimizer")
def _(rng):
    x, y = blobs(rng, 500, 20, 4)
    m = mlp(20, [32], 4, "softmax")
    broken = Training(m, x, y, SPARSE, sgd(1e-6), accuracy(y))
    return broken, broken.but(model=mlp(20, [32], 4, "softmax"), optimizer=sgd(0.1))


@program("sgd-decay-text", "rate too low@optimizer")
def _(rng):
    x, y = words(rng, 400, 12, 200)

    def text():
        return net((12,), layers.Embedding(200, 16), layers.GRU(16), Dense(1, "sigmoid"))

    broken = Training(text(), x, y, BCE, sgd(1e-5), accuracy(y), steps=500)
    return broken, broken.but(model=text(), optimizer=adam(0.01))


@program("adadelta-rate", "rate too low@optimizer")
def _(rng):
    x, y = pictures(rng, 400, 20, 1, 4)
    m = cnn((20, 20, 1), 4, "softmax")
    slow = keras.optimizers.Adadelta()  # 0.001; the paper's is 1.0
    broken = Training(m, x, y, SPARSE, slow, accuracy(y), steps=500)
    return broken, broken.but(
        model=cnn((20, 20, 1), 4, "softmax"), optimizer=keras.optimizers.Adadelta(1.0)
    )


@program("clipped-to-nothing", "rate too low@optimizer")
def _(rng):
    x, y = blobs(rng, 500, 20, 4)
    m = mlp(20, [32], 4, "softmax")
    broken = Training(m, x, y, SPARSE, sgd(0.1, clipnorm=1e-5), accuracy(y))
    return broken, broken.but(model=mlp(20, [32], 4, "softmax"), optimizer=sgd(0.1))


# --- regularization


@program("l2-of-one", "regularization@loss")
def _(rng):
    x, y = pictures(rng, 400, 20, 1, 4)

    def conv(weight):
        penalty = keras.regularizers.L2(weight)
        return net(
            (20, 20, 1),
            layers.Conv2D(16, 3, activation="relu", kernel_regularizer=penalty),
            layers.MaxPooling2D(),
            Flatten(),
            Dense(64, "relu", kernel_regularizer=penalty),
            Dense(4, "softmax", kernel_regularizer=penalty),
        )

    broken = Training(conv(1.0), x, y, SPARSE, "adam", accuracy(y), steps=500)
    return broken, broken.but(model=conv(1e-4))


@program("l1-mlp", "regularization@loss")
def _(rng):
    x, y = blobs(rng, 500, 20, 4)

    def dense(weight):
        return mlp(20, [64, 64], 4, "softmax", kernel_regularizer=keras.regularizers.L1(weight))

    broken = Training(dense(0.1), x, y, SPARSE, adam(0.003), accuracy(y))
    return broken, broken.but(model=dense(1e-5))


@program("weight-decay-optimizer", "regularization@optimizer")
def _(rng):
    x, y = blobs(rng, 500, 20, 4)
    m = mlp(20, [64, 64], 4, "softmax")
    heavy = keras.optimizers.AdamW(0.001, weight_decay=100.0)
    broken = Training(m, x, y, SPARSE, heavy, accuracy(y))
    good = keras.optimizers.AdamW(0.001, weight_decay=0.01)
    return broken, broken.but(model=mlp(20, [64, 64], 4, "softmax"), optimizer=good)


@program("dropout-90", "dropout@1")
def _(rng):
    x, y = blobs(rng, 500, 20, 4)

    def drop(rate):
        inner = [Dense(32, "relu"), layers.Dropout(rate)] * 1
        more = [Dense(32, "relu"), layers.Dropout(rate)]
        return net((20,), *inner, *more, Dense(4, "softmax"))

    broken = Training(drop(0.9), x, y, SPARSE, "adam", accuracy(y), steps=400)
    return broken, broken.but(model=drop(0.2))


@program("dropout-keep-probability", "dropout@5")
def _(rng):
    x, y = pictures(rng, 400, 20, 1, 4)
    m = cnn((20, 20, 1), 4, "softmax", inner=[layers.Dropout(0.95)])
    broken = Training(m, x, y, SPARSE, "adam", accuracy(y), steps=200)
    return broken, broken.but(model=cnn((20, 20, 1), 4, "softmax", inner=[layers.Dropout(0.05)]))


# --- gradients that are lost


@program("rounded-output", "gradient@2")
def _(rng):
    x, y = blobs(rng, 400, 10)

    def rounded(cut):
        given = Input((10,))
        out = Dense(1, "sigmoid")(Dense(16, "relu")(given))
        return keras.Model(given, keras.ops.round(out) if cut else out)

    broken = Training(rounded(True), x, y, "mse", adam(0.01), accuracy(y))
    return broken, broken.but(model=rounded(False), loss=BCE)


@program("argmax-inside", "gradient@1")
def _(rng):
    x, y = blobs(rng, 400, 10)

    def picked(cut):
        given = Input((10,))
        h = Dense(8)(given)
        h = keras.ops.one_hot(keras.ops.argmax(h, -1), 8) if cut else keras.ops.softmax(h)
        return keras.Model(given, Dense(1, "sigmoid")(h))

    broken = Training(picked(True), x, y, BCE, adam(0.01), accuracy(y), steps=500)
    return broken, broken.but(model=picked(False))


@program("frozen-by-mistake", "gradient@model")
def _(rng):
    x, y = blobs(rng, 500, 20, 4)
    m = mlp(20, [32], 4, "softmax")
    m.trainable = False
    broken = Training(m, x, y, SPARSE, "adam", accuracy(y))
    return broken, broken.but(model=mlp(20, [32], 4, "softmax"))
