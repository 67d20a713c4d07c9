"""Third set written blind: rates, initial weights, hidden activations and what holds a net back.

Written from reports, without a look at how `diagnose` decides and before its verdicts were seen.
Both sides of each program were trained; kept are those whose repair learns and ends clearly better.
"""

import keras
import numpy as np
from blind_second_base import pretrained
from data import digits, one_hot, pictures, series, standardized
from keras import layers
from nets import CCE, SPARSE, adam, net, normal, sgd
from program import Program, Training, accuracy, explained, register

THIRD_TRAINING: dict[str, Program] = {}
program = register(THIRD_TRAINING, "Humbatova et al. 2020 (taxonomy)")

Dense, Input, Conv = layers.Dense, keras.Input, layers.Conv2D


@program("digits-linear-autoencoder-slow-sgd", "rate too low@optimizer", "keras-team/keras#1604")
def _(rng):
    bytes_, _ = digits(rng, 400, 6)
    x = bytes_.reshape(-1, 784) / 255

    def model():
        return net((784,), Dense(100), Dense(784))

    slow = keras.optimizers.SGD(0.001, momentum=0.1)
    broken = Training(model(), x, x, "mse", slow, explained(x), steps=400)
    return broken, broken.but(model=model(), optimizer=adam(0.002))


@program(
    "many-to-many-relu-lstm-momentum-99",
    "output@output, rate too high@optimizer, hidden activation@0, hidden activation@1",
    "keras-team/keras#3687",
)
def _(rng):
    x, _ = series(rng, 300, 30)
    x = np.concatenate([x, rng.standard_normal((300, 30, 4))], -1)
    y = np.tanh(x[..., :1] + np.roll(x[..., :1], 1, 1) * x[..., 1:2])

    def model(hidden, end):
        both = [layers.LSTM(width, activation=hidden, return_sequences=True) for width in (48, 24)]
        return net((30, 5), *both, layers.TimeDistributed(Dense(1, end)))

    heavy = keras.optimizers.SGD(0.01, momentum=0.99, nesterov=True)
    broken = Training(model("relu", "relu"), x, y, "mse", heavy, explained(y), steps=250)
    return broken, broken.but(model=model("tanh", None), optimizer=adam(0.01))


@program(
    "patches-l2-of-half-dropout-of-seventy",
    "regularization@loss, dropout@4, dropout@6, rate too low@optimizer",
    "keras-team/keras#2134",
)
def _(rng):
    x, _ = pictures(rng, 300, 20, 1, 5)
    y = standardized(x[:, 5:15, 5:15].std((1, 2, 3)) + x[:, :8].mean((1, 2, 3)))

    def model(penalty, drop):
        inner = [Conv(16, 7, activation="relu"), layers.MaxPooling2D(), layers.Flatten()]
        for _ in range(2):
            kept = keras.regularizers.L2(penalty)
            inner += [Dense(64, "relu", kernel_regularizer=kept), layers.Dropout(drop)]
        return net((20, 20, 1), *inner, Dense(1))

    slow = keras.optimizers.SGD(1e-5, momentum=0.9, nesterov=True, clipnorm=100)
    broken = Training(model(0.5, 0.7), x, y, "mse", slow, explained(y), steps=350)
    return broken, broken.but(model=model(1e-4, 0.1), optimizer=adam(0.002))


@program(
    "cars-base-thawed-rate-of-a-tenth", "rate too high@optimizer", "keras-team/keras#2163, altered"
)
def _(rng):
    x, y = pictures(rng, 300, 24, 3, 6)

    def model():
        inner = [layers.Flatten(), Dense(64, "relu"), Dense(6, "softmax")]
        return net((24, 24, 3), pretrained(trainable=True), *inner)

    fast = sgd(0.3, 0.9)
    broken = Training(model(), 2 * x - 1, one_hot(y), CCE, fast, accuracy(y), steps=150)
    return broken, broken.but(model=model(), optimizer=sgd(0.001, 0.9))


@program(
    "faces-six-convolutions-narrow-normal",
    "initialization@0, initialization@1, initialization@3",
    "keras-team/keras#12707, altered",
)
def _(rng):
    x, y = pictures(rng, 300, 20, 3, 4)

    def model(start):
        inner = []
        for filters in (16, 16, 24):
            for _ in range(2):
                options = {"padding": "same", "kernel_initializer": start}
                inner.append(Conv(filters, 3, activation="relu", **options))
            inner.append(layers.MaxPooling2D())
        inner += [layers.Flatten(), Dense(48, "relu", kernel_initializer=start)]
        return net((20, 20, 3), *inner, Dense(4, "softmax", kernel_initializer=start))

    broken = Training(model(normal(0.005)), x, y, SPARSE, sgd(0.02, 0.9), accuracy(y), steps=200)
    return broken, broken.but(model=model("he_normal"), optimizer=sgd(0.01, 0.9))
