"""A third set of programs of real threads: pictures and masks.

As those of `tables`: ported before `diagnose` was run on them, and trained.
"""

import keras
import numpy as np
from data import digits, one_hot, pictures
from keras import layers, ops
from nets import BCE, CCE, adam, conv_blocks, mlp, net, sgd
from pretrained import pretrained
from program import Program, Training, accuracy, explained, register

from sets.threads_second.pictures import overlap, scenes

BROKEN: dict[str, Program] = {}
program = register(BROKEN)

Dense, Conv, Flatten, Dropout = layers.Dense, layers.Conv2D, layers.Flatten, layers.Dropout
Pool = layers.MaxPooling2D


def _(rng):
    x, _ = pictures(rng, 300, 16, 3, 6, 0.05)
    x = (x - x.mean(0)) / x.std()

    def model(end):
        inner = [Conv(16, 3, padding="same", activation="relu"), Pool()]
        inner += [Conv(8, 3, padding="same", activation="relu"), layers.UpSampling2D()]
        return net((16, 16, 3), *inner, Conv(3, 3, padding="same", activation=end))

    broken = Training(model("sigmoid"), x, x, BCE, "adam", explained(x), 20, 400)
    return broken, broken.but(model=model(None), loss="mse", optimizer=adam(0.003))


def _(rng):
    x, _ = digits(rng, 1000)
    x = x.reshape(1000, 784) / 255

    def model():
        return net((784,), Dense(100), Dense(784))

    broken = Training(model(), x, x, "mse", sgd(0.001, 0.1), explained(x), 128, 300)
    return broken, broken.but(model=model(), optimizer=adam(0.003))


def _(rng):
    x, masks = scenes(rng, 300)
    y = np.clip(masks.reshape(300, 24, 24)[:, ::2, ::2], 0, 1).reshape(300, 144)

    def model(end):
        inner = [Conv(16, 5, padding="same", activation="relu"), Pool()]
        inner += [Conv(16, 5, padding="same", activation="relu")]
        return net((24, 24, 1), *inner, Conv(1, 5, padding="same", activation=end), Flatten())

    kld = "kl_divergence"
    broken = Training(model("relu"), x, y, kld, adam(1e-3), overlap(y), 16, 400)
    return broken, broken.but(model=model("sigmoid"), loss=BCE, optimizer=adam(0.003))


def _(rng):
    x, y = pictures(rng, 400, 24, 3, 7)
    x = 2 * x - 1

    def model():
        end = [Flatten(), Dense(64, "relu"), Dense(64, "relu"), Dense(7, "softmax")]
        return net((24, 24, 3), pretrained(), *end)

    broken = Training(model(), x, one_hot(y), CCE, sgd(1e-5, 0.9), accuracy(y), 32, 150)
    return broken, broken.but(model=model(), optimizer=sgd(0.003, 0.9))


def _by_logits(y, made):
    """Returns the cross-entropy of logits, as TensorFlow's own losses take them."""
    return -ops.sum(y * ops.log_softmax(made), -1)


@program(
    "digits-softmax-before-a-loss-of-logits",
    "output@output, loss@loss, input@input",
    "tensorflow/tensorflow#14405",
)
def _(rng):
    x, y = digits(rng, 600)
    x = x[..., None]

    def model(end):
        inner = [*conv_blocks([16, 16]), Flatten(), Dense(64, "relu")]
        return net((28, 28, 1), *inner, Dense(10, end))

    broken = Training(model("softmax"), x, one_hot(y), _by_logits, adam(0.01), accuracy(y), 32, 250)
    return broken, broken.but(model=model(None), x=x / 255, optimizer=adam(0.003))


def _(rng):
    x, y = pictures(rng, 400, 32, 1, 2)
    x = np.round(255 * x)

    def model(hidden):
        inner = [Conv(16, 10, padding="same", activation=hidden), Flatten()]
        return net((32, 32, 1), *inner, Dense(2, "softmax"))

    step = sgd(keras.optimizers.schedules.InverseTimeDecay(0.1, 1, 0.01), 0.9)
    broken = Training(model(None), x, one_hot(y), CCE, step, accuracy(y), 64, 200)
    return broken, broken.but(model=model("relu"), x=x / 255 - 0.5, optimizer=adam(0.003))


@program(
    "membranes-two-relu-before-the-last-channel",
    "capacity@-2, hidden activation@-2",
    "zhixuhao/unet#148",
)
def _(rng):
    x, masks = scenes(rng, 200)

    def model(*last):
        he = {"padding": "same", "activation": "relu", "kernel_initializer": "he_normal"}
        inputs = keras.Input((24, 24, 1))
        first = Conv(16, 3, **he)(inputs)
        low = Dropout(0.5)(Conv(32, 3, **he)(Pool()(first)))
        up = layers.Concatenate()([first, Conv(16, 2, **he)(layers.UpSampling2D()(low))])
        out = Conv(16, 3, **he)(up)
        for filters in last:
            out = Conv(filters, 3, **he)(out)
        return keras.Model(inputs, Conv(1, 1, activation="sigmoid")(out))

    broken = Training(model(2), x, masks, BCE, adam(1e-4), overlap(masks), 8, 300)
    return broken, broken.but(model=model(), optimizer=adam(0.003))


@program(
    "seven-kinds-counted-from-one",
    "labels@targets, input@input",
    "keras-team/keras#11786",
)
def _(rng):
    x, y = pictures(rng, 350, 24, 3, 7)
    x = np.round(255 * x)

    def model():
        inner = [Conv(8, 3, activation="relu"), Conv(8, 3, activation="relu", padding="same")]
        inner += [Pool(), Flatten(), Dropout(0.6), Dense(100, "relu")]
        return net((24, 24, 3), *inner, Dense(7, "softmax"))

    sparse = "sparse_categorical_crossentropy"
    broken = Training(model(), x, y + 1, sparse, adam(0.001), accuracy(y), 32, 250)
    return broken, broken.but(model=model(), x=x / 255, y=y)


@program(
    "cells-focal-loss-of-a-certain-answer",
    "loss@loss, gradient@loss, input@input",
    "mkocabas/focal-loss-keras#17",
)
def _(rng):
    x, y = pictures(rng, 400, 20, 3, 2)
    y = y.astype("float32")[:, None]

    def focal(epsilon):
        def loss(y, made):
            right = ops.where(y == 1, made, ops.ones_like(made))
            wrong = ops.where(y == 0, made, ops.zeros_like(made))
            found = 0.25 * ops.power(1 - right, 2.0) * ops.log(right + epsilon)
            return -ops.sum(found + 0.75 * ops.power(wrong, 2.0) * ops.log(1 - wrong + epsilon))

        return loss

    def model():
        inner = [*conv_blocks([16, 16]), Flatten(), Dense(32, "relu")]
        return net((20, 20, 3), *inner, Dense(1, "sigmoid"))

    broken = Training(model(), np.round(255 * x), y, focal(0), adam(0.001), accuracy(y), 32, 250)
    return broken, broken.but(model=model(), x=x, loss=focal(1e-7))


@program(
    "digits-logarithm-of-no-chance",
    "loss@loss, gradient@loss, input@input, rate too high@optimizer",
    "aymericdamien/TensorFlow-Examples#383",
)
def _(rng):
    x, y = digits(rng, 800)
    x = x.reshape(800, 784)

    def entropy(epsilon):
        def loss(y, made):
            return -ops.sum(y * ops.log(made + epsilon), -1)

        return loss

    def model():
        return net((784,), Dense(10, "softmax", kernel_initializer="zeros"))

    broken = Training(model(), x, one_hot(y), entropy(0), sgd(0.01), accuracy(y), 100, 400)
    return broken, broken.but(model=model(), x=x / 255, loss=entropy(1e-10), optimizer=sgd(0.1))


@program(
    "scenes-nine-tenths-dropped-before-the-mask",
    "dropout@-2",
    "bonlime/keras-deeplab-v3-plus#4",
)
def _(rng):
    x, masks = scenes(rng, 200)

    def model(rate):
        inner = [Conv(f, 3, padding="same", activation="relu") for f in (8, 16, 16)]
        return net((24, 24, 1), *inner, Dropout(rate), Conv(1, 1, activation="sigmoid"))

    broken = Training(model(0.9), x, masks, BCE, adam(0.001), overlap(masks), 8, 200)
    return broken, broken.but(model=model(0.1), optimizer=adam(0.003))


@program(
    "patterns-two-hundred-units-twice-no-activation",
    "hidden activation@0, hidden activation@1",
    "aymericdamien/TensorFlow-Examples#207",
)
def _(rng):
    x, y = pictures(rng, 1500, 12, 1, 8, 0.1)
    x = x.reshape(1500, 144)

    def model(hidden):
        return mlp(144, (128, 128), 8, None, hidden)

    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    broken = Training(model(None), x, one_hot(y), loss, adam(0.003), accuracy(y), 64, 600)
    return broken, broken.but(model=model("relu"))
