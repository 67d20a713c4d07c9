"""Classes of pictures and waves."""

import keras
import numpy as np
from data import digits, one_hot, pictures, waves
from keras import layers, regularizers
from nets import BCE, CCE, SPARSE, adam, cnn, conv_blocks, mlp, net, sgd
from program import Program

from sets.published.common import entering

BROKEN: dict[str, Program] = {}
enter = entering(BROKEN, "classes")

Dense, Dropout, Flatten, Conv2D = layers.Dense, layers.Dropout, layers.Flatten, layers.Conv2D
Normalization = layers.BatchNormalization


def of(size, channels, classes, n=400, scale=1):
    """Returns a function that returns pictures in 0..`scale` and their classes."""

    def data(rng):
        x, y = pictures(rng, n, size, channels, classes)
        return scale * x, y

    return data


def _digits(rng):
    x, y = digits(rng, 1500)
    return x.reshape(-1, 784), y


def scaled(x):
    """Returns bytes in 0..1."""
    return x / 255


enter(
    "55328966",
    "input@input, output@output, hidden activation@0, rate too low@optimizer",
    _digits,
    (
        lambda: net((784,), Dense(784), Dense(50, "relu"), Dense(10, "sigmoid")),
        lambda: mlp(784, [50], 10, "softmax"),
    ),
    "DeepLocalize",
    "deepmufl",
    loss=CCE,
    targets=one_hot,
    optimizer=sgd(1e-4),
    steps=500,
    inputs_repaired=scaled,
    optimizer_repaired=adam(0.001),
)
enter(
    "65777704",
    "hidden activation@0, hidden activation@1, hidden activation@2, hidden activation@3,"
    "hidden activation@4, capacity@0, input@input",
    lambda r: (lambda x, y: (x.reshape(len(y), -1), y))(*pictures(r, 800, 16, 3, 9)),
    (
        lambda: mlp(768, [8, 16, 32, 64, 128], 9, "softmax", "sigmoid"),
        lambda: mlp(768, [128, 64], 9, "softmax"),
    ),
    inputs=lambda x: x / np.linalg.norm(x, axis=1, keepdims=True),
    loss=CCE,
    targets=one_hot,
    batch=200,
    steps=600,
    inputs_repaired=lambda x: x - x.mean(0),
)


def _relu_end(end):
    start = {"bias_initializer": keras.initializers.Constant(0.1)}
    inner = []
    for filters in (8, 16):
        inner.append(Conv2D(filters, 5, padding="same", activation="relu", **start))
        inner.append(layers.MaxPooling2D(padding="same"))
    wide = Dense(128, "relu", **start)
    return net(
        (784,), layers.Reshape((28, 28, 1)), *inner, Flatten(), wide, Dropout(0.5), Dense(10, end)
    )


enter(
    "47352366",
    "output@output",
    _digits,
    (lambda: _relu_end("relu"), lambda: _relu_end("softmax")),
    "DeepLocalize",
    inputs=scaled,
    loss=CCE,
    targets=one_hot,
    batch=50,
    steps=300,
)


def _he(wide=16):
    he = {"kernel_initializer": "he_normal"}
    inner = conv_blocks([wide, 2 * wide], **he)
    return net((32, 32, 3), *inner, Flatten(), Dense(64, "relu"), Dropout(0.3), Dense(9, "softmax"))


enter(
    "48594888",
    "input@input",
    of(32, 3, 9, 600, 255),
    (_he, _he),
    "DeepLocalize",
    loss=CCE,
    targets=one_hot,
    batch=100,
    steps=60,
    inputs_repaired=scaled,
    steps_repaired=200,
)


def _frozen(end):
    base = keras.Sequential([keras.Input((32, 32, 3)), *conv_blocks([16, 32, 32])], trainable=False)
    return net((32, 32, 3), base, Flatten(), Dense(64, "relu"), Dropout(0.5), Dense(1, end))


enter(
    "51581521",
    "output@output",
    of(32, 3, 2),
    (lambda: _frozen("softmax"), lambda: _frozen("sigmoid")),
    loss=BCE,
    batch=64,
    steps=300,
)


def _deep(end):
    inner = []
    for filters in (16, 16, 32):
        inner += [Conv2D(filters, 3, padding="same", activation="relu") for _ in "12"]
        inner.append(layers.MaxPooling2D())
    inner += [Flatten(), Dropout(0.5), Dense(128, "relu"), Dropout(0.5), Dense(9, end)]
    return net((32, 32, 3), *inner)


enter(
    "51901386",
    "output@output, rate too low@optimizer, epochs@optimizer",
    of(32, 3, 9),
    (lambda: _deep("relu"), lambda: _deep("softmax")),
    loss=CCE,
    targets=one_hot,
    optimizer=adam(1e-4),
    batch=24,
    steps=85,
    optimizer_repaired=adam(1e-3),
    steps_repaired=400,
)
enter(
    "54282951",
    "output@output, hidden activation@0, hidden activation@2",
    of(24, 3, 2),
    (
        lambda: net((24, 24, 3), Conv2D(16, 1), Flatten(), Dense(64), Dropout(0.5), Dense(1)),
        lambda: cnn((24, 24, 3), 1, "sigmoid"),
    ),
    loss=BCE,
    optimizer="rmsprop",
    steps=200,
    steps_repaired=300,
)


def _axes(axis, end):
    inner = []
    for filters, times in ((8, 1), (16, 2)):
        for _ in range(times):
            inner += [Conv2D(filters, 3, padding="same"), layers.ReLU(), Normalization(axis=axis)]
        inner += [layers.MaxPooling2D(), Dropout(0.25)]
    inner += [Flatten(), Dense(64), layers.ReLU(), Normalization(), Dropout(0.5), Dense(2, end)]
    return net((12, 12, 1), *inner)


enter(
    "57943425",
    "output@output, layers@2, rate too low@optimizer, epochs@optimizer",
    of(12, 1, 2, 100),
    (lambda: _axes(1, "sigmoid"), lambda: _axes(-1, "softmax")),
    loss=SPARSE,
    optimizer=sgd(0.001),
    steps=20,
    optimizer_repaired=sgd(0.05),
    steps_repaired=800,
)


def _pooled(end):
    inner = [Conv2D(16, 11, padding="same", activation="relu"), layers.MaxPooling2D(3, 2)]
    for _ in "12":
        inner += [Conv2D(16, 3, padding="same", activation="relu"), layers.MaxPooling2D()]
    return net(
        (30, 30, 1),
        *inner,
        Flatten(),
        Dense(64, "relu"),
        Dropout(0.2),
        Dense(1),
        layers.Activation(end),
    )


enter(
    "58844149",
    "output@output",
    of(30, 1, 2),
    (lambda: _pooled("softmax"), lambda: _pooled("sigmoid")),
    loss=BCE,
    steps=200,
    steps_repaired=300,
)
enter(
    "60874661",
    "output@output, loss@loss, labels@targets, input@input",
    of(32, 3, 9, 500, 255),
    (lambda: cnn((32, 32, 3), 1, "sigmoid"), lambda: cnn((32, 32, 3), 9, "softmax")),
    loss=BCE,
    optimizer="rmsprop",
    steps=300,
    inputs_repaired=scaled,
    loss_repaired=SPARSE,
)


def _strips(hidden, end):
    inner = []
    for filters in (16, 32, 16):
        inner += [layers.Conv1D(filters, 6, activation=hidden), layers.MaxPooling1D(3)]
    return net((200, 1), *inner, Flatten(), Dense(16, "relu"), Dense(2, end))


enter(
    "61763616",
    "output@output, loss@loss, labels@targets, hidden activation@0, hidden activation@2",
    lambda r: waves(r, 500, 200, 2),
    (lambda: _strips(None, "sigmoid"), lambda: _strips("relu", "softmax")),
    loss="log_cosh",
    steps=80,
    loss_repaired=SPARSE,
    steps_repaired=400,
)


def _sparse(penalty):
    first = Conv2D(16, 3, activation="relu", kernel_regularizer=penalty)
    rest = conv_blocks([16], padding="same")
    return net((32, 32, 1), first, *rest, Dropout(0.5), Flatten(), Dense(64, "relu"), Dense(7))


enter(
    "62055783",
    "labels@targets, loss@loss",
    of(32, 1, 7),
    (lambda: _sparse(regularizers.L1(0.01)), lambda: _sparse(None)),
    loss=keras.losses.CategoricalCrossentropy(from_logits=True),
    batch=64,
    steps=300,
    loss_repaired=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
)


def _skin(units, end, hidden):
    inner = conv_blocks([16, 16])
    return net((28, 28, 3), *inner, Flatten(), Dense(64, hidden), Dense(units, end))


enter(
    "66235657",
    "output@output, loss@loss, labels@targets, hidden activation@5",
    of(28, 3, 7),
    (lambda: _skin(1, "sigmoid", None), lambda: _skin(7, "softmax", "relu")),
    loss=BCE,
    steps=300,
    loss_repaired=SPARSE,
)
enter(
    "70589997",
    "output@output, loss@loss, labels@targets",
    of(32, 3, 9),
    (
        lambda: net((32, 32, 3), *conv_blocks([16, 32, 32]), Flatten(), Dense(1, "sigmoid")),
        lambda: net((32, 32, 3), *conv_blocks([16, 32, 32]), Flatten(), Dense(9, "softmax")),
    ),
    loss=CCE,
    steps=300,
    loss_repaired=SPARSE,
)


def _heard(end):
    inner = [layers.Conv1D(32, 8, activation="relu"), Dense(64, "relu"), Dropout(0.6)]
    inner += [Dense(32, "relu"), Dropout(0.6), layers.GlobalMaxPooling1D(), Dense(1, end)]
    return net((60, 1), *inner)


enter(
    "70148149",
    "output@output, rate too low@optimizer",
    lambda r: waves(r, 300, 60, 2),
    (lambda: _heard("softmax"), lambda: _heard("sigmoid")),
    loss=BCE,
    optimizer=adam(1e-5),
    batch=150,
    steps=50,
    optimizer_repaired=adam(0.003),
    batch_repaired=32,
    steps_repaired=400,
)
enter(
    "60508218",
    "output@output, rate too low@optimizer",
    of(32, 3, 2, 200),
    (
        lambda: cnn((32, 32, 3), 2, "sigmoid", inner=[Dropout(0.25)]),
        lambda: cnn((32, 32, 3), 2, "softmax"),
    ),
    loss=BCE,
    targets=one_hot,
    optimizer=adam(3e-5),
    batch=10,
    steps=180,
    loss_repaired=CCE,
    optimizer_repaired=adam(1e-3),
)
