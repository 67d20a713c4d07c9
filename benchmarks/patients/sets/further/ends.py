"""The end of the net."""

import keras
import numpy as np
from data import blobs, digits, linear, one_hot, pictures, series, standardized, waves, words
from keras import layers
from nets import BCE, CCE, SPARSE, adam, cnn, mlp, net, sgd
from program import Program, Training, accuracy, explained, register

BROKEN: dict[str, Program] = {}
program = register(BROKEN, "ours")

Dense, Input = layers.Dense, keras.Input


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
