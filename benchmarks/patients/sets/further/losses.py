"""Loss and labels."""

import numpy as np
from data import blobs, digits, flowers, linear, one_hot, pictures, series, standardized
from keras import layers
from nets import BCE, CCE, SPARSE, adam, cnn, mlp, net, sgd
from program import Program, Training, accuracy, explained, register

BROKEN: dict[str, Program] = {}
program = register(BROKEN, "ours")

Dense, Flatten = layers.Dense, layers.Flatten


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
