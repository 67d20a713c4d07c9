"""Activations, capacity and initializers."""

import keras
import numpy as np
from data import blobs, moons, pictures
from keras import layers
from nets import BCE, SPARSE, adam, mlp, net, normal, sgd
from program import Program, Training, accuracy, explained, register

BROKEN: dict[str, Program] = {}
program = register(BROKEN, "ours")

Dense, Flatten = layers.Dense, layers.Flatten
XOR = np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]])


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
