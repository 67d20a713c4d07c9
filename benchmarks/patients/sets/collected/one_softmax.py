"""Of deepmufl: a softmax over one unit, the commonest."""

import numpy as np
from data import blobs, digits, one_hot, pictures
from keras import layers
from nets import BCE, CCE, adam, conv_blocks, net, sgd
from program import Program, Training, accuracy, register

BROKEN: dict[str, Program] = {}
program = register(BROKEN, "deepmufl")

Dense, Flatten, Dropout = layers.Dense, layers.Flatten, layers.Dropout


def one_softmax(key, shape, hidden, data, also="", repair=(), **training):
    """Enters a program whose one output unit has a softmax; its repair has a sigmoid.

    `repair` holds what else changes.
    """

    @program(key, f"output@output, {also}")
    def _(rng):
        x, y = data(rng)
        options = {"loss": BCE, "optimizer": "adam", **training}
        m = net(shape, *hidden(), Dense(1, "softmax"))
        broken = Training(m, x.reshape(-1, *shape), y, score=accuracy(y), **options)
        return broken, broken.but(model=net(shape, *hidden(), Dense(1, "sigmoid")), **dict(repair))


def _leaky_blocks():
    for filters in (16, 8):
        yield layers.Conv1D(filters, 4, padding="same")
        yield layers.BatchNormalization()
        yield layers.LeakyReLU()
        yield Dropout(0.2)
    yield from (Flatten(), Dense(64), layers.BatchNormalization(), layers.LeakyReLU())


def _penalized():
    for filters, size in ((16, 5), (32, 3), (32, 3)):
        yield layers.Conv2D(
            filters, size, activation="relu", padding="same", kernel_regularizer="l2"
        )
        yield layers.MaxPooling2D()
        yield Dropout(0.5)
    yield Flatten()


def _small_squares():
    for filters, padding in ((32, "same"), (32, "valid")):
        yield layers.Conv2D(filters, 3, activation="relu", padding=padding)
    yield layers.MaxPooling2D(padding="same")
    for _ in range(2):
        yield layers.Conv2D(64, 3, activation="relu", padding="same")
    yield from (layers.MaxPooling2D(padding="same"), Flatten())
    yield from (Dense(128, "relu"), Dense(64, "relu"), Dense(32, "relu"))


def _volumes():
    for _ in range(2):
        yield layers.Conv3D(16, 3, activation="relu", padding="same")
        yield layers.MaxPooling3D()
        yield layers.BatchNormalization()
    yield from (Flatten(), Dense(64, "relu"), Dropout(0.5), Dense(64, "sigmoid"))


def _tumors(rng):
    """Returns 30 sizes of cells as measured, 0.001 to 3,000, and two kinds (as breast cancer)."""
    x, y = blobs(rng, 500, 10)
    scale = np.array([14, 19, 92, 655, 0.1, 0.1, 0.09, 0.05, 0.2, 0.06])
    x = np.concatenate([scale * (1 + 0.15 * x), 0.1 * scale * (1 + 0.1 * x), 1.3 * scale + x], 1)
    return np.abs(x), y


one_softmax("45378493", (10, 4), _leaky_blocks, lambda r: blobs(r, 400, 40), batch=128)
one_softmax("47704695", (32, 32, 3), _penalized, lambda r: pictures(r, 300, 32, 3, 2), steps=400)
one_softmax(
    "51749207",
    (100, 1),
    lambda: [
        layers.Conv1D(20, 4, activation="relu", padding="same"),
        layers.MaxPooling1D(),
        Dropout(0.3),
        Flatten(),
        Dense(50, "relu"),
    ],
    lambda r: blobs(r, 400, 100),
    optimizer="nadam",
    batch=8,
)
one_softmax(
    "57397440",
    (30,),
    lambda: [
        Dense(30, "relu"),
        layers.BatchNormalization(),
        Dense(60, "relu"),
        layers.BatchNormalization(),
    ],
    _tumors,
    steps=300,
)
one_softmax(
    "58392266",
    (24, 24, 3),
    lambda: [
        *conv_blocks([16, 32], trainable=False),
        Flatten(),
        Dense(128, "relu"),
        Dense(64, "relu"),
    ],
    lambda r: pictures(r, 300, 24, 3, 2),
    optimizer=adam(1e-4),
    steps=800,
)
one_softmax("60355380", (5, 5, 1), _small_squares, lambda r: blobs(r, 670, 25))
one_softmax(
    "66087653",
    (10, 150),
    lambda: [
        Dense(32, "relu"),
        Flatten(),
        Dense(128, "relu"),
        Dropout(0.2),
        Dense(128, "relu"),
        Flatten(),
    ],
    lambda r: blobs(r, 300, 1500, informative=100),
    batch=2,
)
one_softmax(
    "68751439",
    (14,),
    lambda: [Dense(64, "relu"), Dense(128, "relu"), Dense(64, "relu")],
    lambda r: blobs(r, 80, 14),
    "loss@loss",
    {"loss": BCE},
    loss=CCE,
    steps=300,
)
one_softmax(
    "63212385",
    (8, 8, 8, 1),
    _volumes,
    lambda r: blobs(r, 200, 512, informative=60),
    "loss@loss, rate too low@optimizer",
    {"loss": BCE, "optimizer": "adam"},
    loss="poisson",
    optimizer=sgd(1e-6),
    batch=64,
    steps=200,
)


@program("52983831", "output@output")
def _(rng):
    x = np.array([0, 0, 0, 1, 1, 0, 1, 1.0]).reshape(1, 8, 1)
    y = np.array([0, 0, 0, 1, 0, 1, 1, 0]).reshape(1, 8, 1)

    def m(end):
        return net((8, 1), *[layers.GRU(10, return_sequences=True) for _ in "12"], Dense(1, end))

    broken = Training(m("softmax"), x, y, BCE, "adam", accuracy(y), 1, 1500)
    return broken, broken.but(model=m("sigmoid"))


@program("68321264", "output@output, loss@loss, input@input, labels@targets")
def _(rng):
    x, y = digits(rng, 1200, 3)

    def m(units):
        hidden = [*conv_blocks([8, 8]), Flatten(), Dense(64)]
        return net((28, 28, 1), *hidden, Dense(units, "softmax"))

    broken = Training(m(1), x[..., None], y, BCE, "adam", accuracy(y), 24, 200)
    return broken, broken.but(model=m(3), x=x[..., None] / 255, y=one_hot(y), loss=CCE)
