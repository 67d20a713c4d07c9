"""Rates, initial weights, hidden activations and what holds a net back."""

import keras
import numpy as np
from data import blobs, digits, one_hot, pictures, series, standardized
from keras import layers
from nets import BCE, CCE, SPARSE, adam, mlp, net, normal, sgd
from pretrained import pretrained
from program import Program, Training, accuracy, explained, register

BROKEN: dict[str, Program] = {}
program = register(BROKEN, "Humbatova et al. 2020 (taxonomy)")

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


@program("rings-four-dense-without-activation", "hidden activation@0", "ours")
def _(rng):
    radius = rng.choice([0.5, 1.5], 500)
    angle = rng.uniform(0, 2 * np.pi, 500)
    x = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    x += 0.12 * rng.standard_normal((500, 2))
    y = (radius > 1).astype(int)

    def model(hidden):
        inner = []
        for width in (64, 32, 16):
            inner += [Dense(width, hidden), layers.Dropout(0.1)]
        return net((2,), *inner, Dense(1, "sigmoid"))

    broken = Training(model(None), x, y, BCE, adam(0.005), accuracy(y), steps=400)
    return broken, broken.but(model=model("relu"))


@program("tables-l1-by-name-on-wide-layers", "regularization@loss", "ours")
def _(rng):
    x, y = blobs(rng, 500, 20, 4)

    def model(kept):
        return mlp(20, (256, 256), 4, "softmax", kernel_regularizer=kept)

    weak = keras.regularizers.L1(1e-6)
    broken = Training(model("l1"), x, one_hot(y), CCE, adam(0.001), accuracy(y), steps=400)
    return broken, broken.but(model=model(weak))


@program("films-factors-of-deviation-one", "initialization@2, initialization@3", "ours")
def _(rng):
    user, film = rng.integers(0, 60, 900), rng.integers(0, 50, 900)
    taste, kind = rng.standard_normal((60, 3)), rng.standard_normal((50, 3))
    stars = standardized((taste[user] * kind[film]).sum(1))

    def model(std):
        users, films = Input((1,), dtype="int32"), Input((1,), dtype="int32")
        options = {"embeddings_initializer": normal(std)}
        u = layers.Flatten()(layers.Embedding(60, 64, **options)(users))
        f = layers.Flatten()(layers.Embedding(50, 64, **options)(films))
        return keras.Model([users, films], layers.Dot(-1)([u, f]))

    x = [user[:, None], film[:, None]]
    broken = Training(model(1.0), x, stars, "mse", adam(0.003), explained(stars), steps=300)
    return broken, broken.but(model=model(0.1))
