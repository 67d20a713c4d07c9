"""More programs of tutorials and accepted answers that train well.

Ported before `diagnose` was run on any of them, and trained; narrower where the net was large.
"""

import keras
import numpy as np
from data import words
from keras import layers
from nets import BCE, adam, conv_blocks, mlp, net, normal, sgd, uniform
from program import Program, Training, accuracy, explained, healthy

HEALTHY: dict[str, Program] = {}
program = healthy(HEALTHY, "tutorials and answers")

Dense, Input = layers.Dense, keras.Input
BITS = np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]])
XOR = np.array([[0], [1], [1], [0.0]])


@program("tutorial-xor-two-softplus")  # agill.xyz
def _(rng):
    m = mlp(2, (2,), 1, "sigmoid", "softplus")
    return Training(m, BITS, XOR, BCE, sgd(0.1), accuracy(XOR), 1, 6000)


@program("tutorial-sine-two-tanh")  # codemia.io
def _(rng):
    x = np.linspace(-np.pi, np.pi, 1000)[:, None]
    y = np.sin(x)
    return Training(
        mlp(1, (32, 32), 1, None, "tanh"), x, y, "mse", adam(0.01), explained(y), 32, 600
    )


@program("answer-xor-eight-tanh-sgd")  # SO, by geek-tips 631334
def _(rng):
    m = mlp(2, (8,), 1, "sigmoid", "tanh")
    return Training(m, BITS, XOR, BCE, sgd(0.1), accuracy(XOR), 1, 4000)


@program("answer-news-two-ways-lstm")  # SO, by pullrequest.ru 14365752
def _(rng):
    x, y = words(rng, 500, 25, 400, 6)
    inner = [layers.Embedding(400, 16), layers.Bidirectional(layers.LSTM(16)), Dense(32, "relu")]
    m = net((25,), *inner, Dense(6, "softmax"))
    sparse = "sparse_categorical_crossentropy"
    return Training(m, x, y, sparse, adam(0.003), accuracy(y), 32, 600)


@program("tutorial-steering-elu-dropout")  # coldvision.io
def _(rng):
    grid, where = np.arange(24), rng.uniform(4, 20, (400, 1, 1))
    lane = np.exp(-((grid - where - 0.2 * grid[::-1, None]) ** 2) / 4)
    x = np.round(255 * np.clip(0.6 * lane + 0.2 + 0.05 * rng.standard_normal(lane.shape), 0, 1))
    y = (where[:, :, 0] - 12) / 16
    inner = [layers.Rescaling(1 / 127.5, -1), *conv_blocks([8, 16], hidden="elu"), layers.Flatten()]
    m = net((24, 24, 1), *inner, layers.Dropout(0.2), Dense(32, "elu"), Dense(1))
    return Training(m, x[..., None], y, "mse", adam(0.001), explained(y), 32, 400)


@program("answer-sine-of-whole-numbers-wide")  # datascience.SE 19365
def _(rng):
    x = np.arange(100)[:, None] / 50 - 1
    y = np.sin(50 * (x + 1))
    m = net(
        (1,),
        Dense(300, "tanh", kernel_initializer=normal(50), bias_initializer=uniform(50)),
        Dense(1),
    )
    return Training(m, x, y, "mse", adam(0.003), explained(y), 20, 2500)


@program("answer-eleven-labels-by-sigmoids")  # SO 44164749
def _(rng):
    z = rng.standard_normal((600, 30))
    y = (z[:, :11] + 0.5 * z[:, 11:22] > 0.9).astype("float32")
    inner = [Dense(128, "relu"), layers.Dropout(0.1), Dense(60, "relu"), layers.Dropout(0.1)]
    return Training(net((30,), *inner, Dense(11, "sigmoid")), z, y, BCE, adam(0.003), accuracy(y))
