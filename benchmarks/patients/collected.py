"""Programs that people asked about, as collected by DeepLocalize, DeepFD and deepmufl.

The keys are the numbers of the questions on Stack Overflow. Nets, losses, optimizers and faults are
those that were reported; data are generated at the reported shapes and scales, since most
questions give none. Where the accepted answer alone does not make the program learn, the repair
holds what does.

References:
    Wardat, Le, Rajan 2021, DeepLocalize, https://doi.org/10.1109/ICSE43902.2021.00034
    Cao et al. 2022, DeepFD, https://doi.org/10.1145/3510003.3510099
    Ghanbari et al. 2023, deepmufl, https://doi.org/10.1109/ASE56229.2023.00079
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
    standardized,
    waves,
)
from keras import layers
from nets import (
    BCE,
    CCE,
    NARROW,
    NORMAL_05,
    NORMAL_1,
    SPARSE,
    adam,
    conv_blocks,
    mlp,
    nesterov,
    net,
    sgd,
)
from program import Program, Training, accuracy, explained, register

COLLECTED: dict[str, Program] = {}
DL, DFD, MUFL = "DeepLocalize", "DeepFD", "deepmufl"
program = register(COLLECTED)

Dense, Flatten, Dropout, Normalized = (
    layers.Dense,
    layers.Flatten,
    layers.Dropout,
    layers.BatchNormalization,
)
TRUTH = np.array([[1, 1], [1, 0], [0, 0], [0, 1.0]])


# --- of DeepLocalize and DeepFD


@program("48385830", "output@output, loss@loss, hidden activation@0", DL, DFD, MUFL)
def _(rng):
    x, y = digits(rng, 2000)
    x = x.reshape(-1, 784) / 255
    m = mlp(784, [30], 10, None, None, **NORMAL_1)
    broken = Training(m, x, one_hot(y), "mse", sgd(3.0), accuracy(y), 10, 2000)
    good = mlp(784, [30], 10, "softmax", "sigmoid", **NORMAL_1)
    return broken, broken.but(model=good, loss=CCE)


@program("31556268", "loss@loss, rate too low@optimizer, epochs@optimizer", DL, DFD)
def _(rng):
    y = np.array([0, 1, 0, 1])
    m = mlp(2, [4], 1, "sigmoid", "sigmoid")
    broken = Training(m, TRUTH, y, "mae", nesterov(0.05, 0.11), accuracy(y), 4, 1000)
    good = mlp(2, [4], 1, "sigmoid", "sigmoid")
    return broken, broken.but(model=good, loss="mse", optimizer=adam(0.01), steps=5000)


@program("48251943", "output@output", DL, DFD, MUFL)
def _(rng):
    x = np.array([0.8, 0.6]) + [0.9, 0.8] * rng.standard_normal((200, 2))
    y = 0.9 * x[:, 0] - 0.8 * np.abs(x[:, 1]) + 0.1 * rng.standard_normal(200)
    broken = Training(mlp(2, [4], 1, "relu"), x, y, "mse", sgd(), explained(y), 10, 2000)
    return broken, broken.but(model=mlp(2, [4], 1))


@program("33969059", "output@output, input@input, target scale@targets, dropout@1", DL, DFD, MUFL)
def _(rng):
    x = 1e4 * rng.random((3000, 3))
    y = x @ [2.0, 1.0, 0.5] + 2.2
    m = net(
        (3,),
        Dense(3, "tanh", **NARROW),
        Dropout(0.5),
        Dense(2, "tanh", **NARROW),
        Dropout(0.5),
        Dense(1, "softmax", **NARROW),
    )
    broken = Training(m, x, y, "mse", nesterov(0.1, 0.9), explained(y), steps=1500)
    return broken, broken.but(
        model=mlp(3, [3, 2], 1, None, "tanh"),
        x=standardized(x),
        y=standardized(y),
        optimizer=nesterov(0.01, 0.9),
        score=explained(y, y.std(), y.mean()),
    )


@program(
    "34311586",
    "output@output, rate too low@optimizer, initialization@0, epochs@optimizer",
    DL,
    DFD,
    MUFL,
)
def _(rng):
    x = np.array([[1, 1], [0, 0], [1, 0], [0, 1], [1, 1], [0, 0.0]])
    y = np.array([0, 0, 1, 1, 0, 0])
    m = mlp(2, [2, 3], 1, "softmax", "sigmoid", **NARROW)
    broken = Training(m, x, y, "mse", nesterov(0.001, 0.9), accuracy(y), 4, 100)
    good = mlp(2, [2, 3], 1, "sigmoid", "sigmoid")
    return broken, broken.but(model=good, optimizer=nesterov(0.5, 0.9), steps=8000)


@program("39525358", "input@input, rate too low@optimizer, initialization@0", DL, DFD)
def _(rng):
    rows = np.array([[65, 66, 67, 0], [68, 69, 70, 1], [65, 66, 70, 0], [68, 69, 67, 1.0]])
    rows = rows[rng.choice(4, 21, p=[0.5, 0.3, 0.1, 0.1])]
    x, y = rows[:, :3], rows[:, 3].astype(int)
    m = mlp(3, [12, 3], 1, "sigmoid", **NARROW)
    broken = Training(m, x, y, BCE, adam(), accuracy(y), 1, 2000)
    good = mlp(3, [12, 3], 1, "sigmoid", **NARROW)
    return broken, broken.but(
        model=good, x=standardized(x), optimizer=adam(0.1), batch=10, steps=300
    )


@program("48934338", "rate too high@optimizer", DL, DFD)
def _(rng):
    x = np.arange(0, 5, 0.1)[:, None]
    y = 5 * x[:, 0] ** 2 + rng.standard_normal(50) ** 3

    def m():
        return net((1,), Dense(50, "relu"), Dense(30, "relu", **NARROW), Dense(1))

    broken = Training(m(), x, y, "mse", sgd(0.1), explained(y), steps=2000)
    return broken, broken.but(model=m(), optimizer=sgd(1e-4), steps=6000)


@program("59325381", "labels@targets", DL, DFD)
def _(rng):
    x, y = digits(rng, 1000)
    x = x[..., None] / 255

    def m():
        return net(
            (28, 28, 1),
            *conv_blocks([8, 8], hidden=None, padding="same"),
            Flatten(),
            Dense(64, "relu"),
            Dense(10, "softmax"),
        )

    broken = Training(m(), x, y / 255, SPARSE, adam(), accuracy(y), steps=250)
    return broken, broken.but(model=m(), y=y)


@program("34673164", "input@input, output@output, loss@loss, initialization@0", DL, DFD, MUFL)
def _(rng):
    y = rng.integers(0, 2, 200)
    center = [9e4, 37, 37, 15, 15, 15, 3e4, 3e4, 2.5, 57, 17, 20, 8e4, 0, 0, 0.6]
    width = [1e5, 2, 2, 6, 4, 4, 4e4, 4e4, 0.07, 8, 3, 7, 3e4, 0.5, 0.5, 0.15]
    x = np.array(center) + np.array(width) * rng.standard_normal((200, 16))
    x[:, 13:15] += np.where(y, 1.2, -0.5)[:, None]
    x[:, 9] += 8 * y

    def m(end, *first):
        hidden = [Dense(64, "tanh", **NARROW), Dropout(0.5), Dense(64, "tanh", **NARROW)]
        return net((16,), *first, *hidden, Dropout(0.5), Dense(2, end, **NARROW))

    rate = nesterov(0.1, 0.9)
    broken = Training(m("softmax"), x, one_hot(y), "mse", rate, accuracy(y), 16)
    return broken, broken.but(model=m("sigmoid", Normalized()), loss=BCE)


@program("50079585", "output@output, loss@loss, labels@targets, layers@output", DL, DFD)
def _(rng):
    x, y = pictures(rng, 500, 32, 3, 3)

    def m(units, end):
        return net(
            (32, 32, 3),
            *conv_blocks([16, 16, 32]),
            Flatten(),
            Dense(64, "relu"),
            Dropout(0.5),
            Dense(units, end),
        )

    broken = Training(m(1, "sigmoid"), x, y, BCE, "rmsprop", accuracy(y), 16, 400)
    return broken, broken.but(model=m(3, "softmax"), y=one_hot(y), loss=CCE)


@program("44066044", "input@input, output@output", DL, DFD)
def _(rng):
    n = 40  # addresses, ports and flags of packets, as whole numbers
    y = (np.arange(n) % 5 > 1).astype(int)
    x = np.stack(
        [
            3232235773 + np.where(y, 8, 5 * rng.integers(0, 2, n)),
            np.full(n, 3232235779),
            np.full(n, 6),
            524032 + 256 * rng.integers(0, 8, n) * (1 - y) + 1500 * y,
            rng.choice([502, 55924], n),
            12 * rng.integers(0, 2, n),
            rng.choice([0, 61, 65280], n),
            5 + (1 - y),
            np.zeros(n),
        ],
        1,
    ).astype(float)
    m = mlp(9, [12, 12], 1, "relu", **NORMAL_05)
    broken = Training(m, x, y, BCE, adam(), accuracy(y), 5, 1000)
    good = mlp(9, [12, 12], 1, "sigmoid", **NORMAL_05)
    return broken, broken.but(model=good, x=standardized(x))


@program("45442843", "input@input, output@output, loss@loss", DL, DFD, MUFL)
def _(rng):
    x = rng.integers(15041, 24988, (1000, 1)).astype(float)
    y = (x[:, 0] < 20000).astype(int)

    def m(end):
        return net((1,), Dense(1, "sigmoid"), Dense(1, end, **NORMAL_05))

    broken = Training(m("softmax"), x, y, "mae", "rmsprop", accuracy(y), 200, 500)
    return broken, broken.but(model=m("sigmoid"), x=standardized(x), loss=BCE, steps=4000)


@program("31627380", "input@input", DL, DFD)
def _(rng):
    n = 800  # passengers: class, name, sex, age, relatives, ticket, fare, cabin, port
    sex, rank = rng.integers(0, 2, n), rng.integers(1, 4, n)
    age, fare = rng.normal(30, 13, n).clip(0.5), np.exp(rng.normal(2.9, 1, n))
    codes = [rng.integers(0, most, n) for most in (1300, 3, 3, 930, 187, 4)]
    x = np.stack([rank, codes[0], sex, age, *codes[1:4], fare, *codes[4:]], 1).astype(float)
    y = (2.5 * (1 - sex) - 0.9 * (rank - 2) - 1 + 0.7 * rng.standard_normal(n) > 0).astype(int)

    def m():
        return net((10,), Dense(512, "relu"), Dropout(0.5), Dense(2, "softmax"))

    broken = Training(m(), x, one_hot(y), CCE, adam(), accuracy(y), 4, 1500)
    return broken, broken.but(model=m(), x=standardized(x))


@program("42514960", "output@output, hidden activation@0", DFD)
def _(rng):
    a, c = 0.5 * rng.random(1000), 0.5 * rng.random(1000) + 0.02
    x = np.stack([a, c, a + c, a * c, a / c, a - c], 1)
    wide = [12, 12, 2, 12, 12]
    rate = keras.optimizers.Adadelta(1.0)
    m = mlp(6, wide, 6, "sigmoid")
    broken = Training(m, x, x, "mse", rate, explained(x), steps=2000)
    return broken, broken.but(
        model=mlp(6, wide, 6),
        x=standardized(x),
        y=standardized(x),
        optimizer=keras.optimizers.Adadelta(1.0),
        score=explained(x, x.std(0), x.mean(0)),
    )


@program("game-of-life", "rate too low@optimizer, epochs@optimizer, loss@loss", DL, DFD)
def _(rng):
    now = (rng.random((600, 10, 10)) < 0.5).astype(float)
    x = np.pad(now, ((0, 0), (1, 1), (1, 1)), mode="wrap")
    around = sum(x[:, i : i + 10, j : j + 10] for i in range(3) for j in range(3)) - now
    y = ((around == 3) | ((now == 1) & (around == 2))).astype(float)[..., None]

    def m():
        conv = layers.Conv2D
        hidden = [conv(10, 3, activation="relu"), conv(20, 1, activation="relu")]
        return net((12, 12, 1), *hidden, conv(1, 1, activation="sigmoid"))

    broken = Training(m(), x[..., None], y, BCE, adam(), accuracy(y), 64, 60)
    return broken, broken.but(model=m(), loss="mse", optimizer=adam(0.01), steps=600)


# --- of deepmufl: softmax over one unit, the commonest


def one_softmax(key, shape, hidden, data, also="", repair=(), **training):
    """Enters a program whose one output unit has a softmax; its repair has a sigmoid.

    `repair` holds what else changes.
    """

    @program(key, f"output@output, {also}", MUFL)
    def _(rng):
        x, y = data(rng)
        options = {"loss": BCE, "optimizer": "adam", **training}
        m = net(shape, *hidden(), Dense(1, "softmax"))
        broken = Training(m, x.reshape(-1, *shape), y, score=accuracy(y), **options)
        return broken, broken.but(model=net(shape, *hidden(), Dense(1, "sigmoid")), **dict(repair))


def _leaky_blocks():
    for filters in (16, 8):
        yield layers.Conv1D(filters, 4, padding="same")
        yield Normalized()
        yield layers.LeakyReLU()
        yield Dropout(0.2)
    yield from (Flatten(), Dense(64), Normalized(), layers.LeakyReLU())


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
        yield Normalized()
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
    lambda: [Dense(30, "relu"), Normalized(), Dense(60, "relu"), Normalized()],
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


@program("52983831", "output@output", MUFL)
def _(rng):
    x = np.array([0, 0, 0, 1, 1, 0, 1, 1.0]).reshape(1, 8, 1)
    y = np.array([0, 0, 0, 1, 0, 1, 1, 0]).reshape(1, 8, 1)

    def m(end):
        return net((8, 1), *[layers.GRU(10, return_sequences=True) for _ in "12"], Dense(1, end))

    broken = Training(m("softmax"), x, y, BCE, "adam", accuracy(y), 1, 1500)
    return broken, broken.but(model=m("sigmoid"))


@program("68321264", "output@output, loss@loss, input@input, labels@targets", MUFL)
def _(rng):
    x, y = digits(rng, 1200, 3)

    def m(units):
        hidden = [*conv_blocks([8, 8]), Flatten(), Dense(64)]
        return net((28, 28, 1), *hidden, Dense(units, "softmax"))

    broken = Training(m(1), x[..., None], y, BCE, "adam", accuracy(y), 24, 200)
    return broken, broken.but(model=m(3), x=x[..., None] / 255, y=one_hot(y), loss=CCE)


# --- of deepmufl: regressions with the wrong end


def regression(key, shape, hidden, end, data, also="", scaled=False, repair=(), **training):
    """Enters a regression whose last activation does not fit; its repair has none.

    Where `scaled`, the repair standardizes the targets, too.
    """

    @program(key, f"output@output, {also}", MUFL)
    def _(rng):
        x, y = data(rng)
        units = y.shape[-1] if y.ndim > 1 else 1
        options = {"loss": "mse", "optimizer": "adam", "steps": 1500, **training}
        m = net(shape, *hidden(), Dense(units, end))
        broken = Training(m, x.reshape(-1, *shape), y, score=explained(y), **options)
        changes = dict(repair)
        inner = changes.pop("hidden", hidden)
        if scaled:
            changes |= {"y": standardized(y), "score": explained(y, y.std(0), y.mean(0))}
        return broken, broken.but(model=net(shape, *inner(), Dense(units)), **changes)


def _grades(rng):
    """Returns 5 whole numbers of each of 60 rows, and 4 numbers that follow from them."""
    x = rng.integers(1, 11, (60, 5)).astype(float)
    x[:, 0] = np.ceil(x[:, 0] / 2)
    three = np.full(60, 3.0)
    return x, np.stack([three, three - (x[:, 1] > 5), 1 + 0.6 * x[:, 0], 0.3 * x[:, 2]], 1)


def _context(rng):
    x, _ = blobs(rng, 100, 60)
    x = (1.92 * x / np.abs(x).max(0)).reshape(-1, 20, 3)
    return x, x


def _dense(*widths, hidden="relu"):
    return lambda: [Dense(width, hidden) for width in widths]


regression(
    "52566823",
    (5,),
    _dense(5, 4, hidden="sigmoid"),
    "sigmoid",
    lambda r: linear(r, 1000, 5),
    "target scale@targets",
    scaled=True,
    repair={"optimizer": sgd(0.05), "steps": 12000},
    optimizer=sgd(0.1),
)
regression(
    "54738769",
    (18,),
    lambda: [Dense(18, "tanh"), *_dense(36, 72, 72, 32, 16)()],
    "softmax",
    lambda r: linear(r, 100, 18),
    batch=35,
)
regression(
    "56774954",
    (10,),
    _dense(100, 80, hidden="sigmoid"),
    "softmax",
    lambda r: linear(r, 1000, 10, 3),
    "loss@loss",
    repair={"loss": "mse", "optimizer": adam(0.01), "steps": 5000},
    loss="poisson",
)
regression(
    "60574843",
    (1, 12),
    lambda: [
        layers.GRU(64, return_sequences=True),
        layers.GRU(32, return_sequences=True),
        layers.GRU(32),
    ],
    "sigmoid",
    lambda r: linear(r, 1000, 12),
    "target scale@targets",
    scaled=True,
    batch=256,
    steps=500,
)
regression(
    "68458462",
    (5,),
    _dense(2, 2),
    "sigmoid",
    _grades,
    "capacity@0",
    repair={"hidden": _dense(16, 16)},
    steps=3000,
)
regression("60801900", (20, 3), _dense(64, 32, 16, 32, 64), "relu", _context, batch=2, steps=750)


@program("62313327", "output@output, capacity@0", MUFL)
def _(rng):
    x = rng.uniform(-1, 1, (3000, 30))
    y = x[:, 1]
    broken = Training(mlp(30, [1], 1, "sigmoid"), x, y, "mse", adam(0.01), explained(y), steps=1500)
    return broken, broken.but(model=mlp(30, [16], 1))


@program("46869312", "output@output, loss@loss, labels@targets", MUFL)
def _(rng):
    x, y = linear(rng, 2000, 64)
    y = 2 * (y - y.min()) / np.ptp(y) - 1

    def m(end):
        wide = [(64, 129), (32, 97), (1, 33)]
        draws = [
            keras.initializers.RandomUniform(-v, v) for v in [(3.5 / n) ** 0.5 for _, n in wide]
        ]
        ends = ["relu", "relu", end]
        return net(
            (64,),
            *[
                Dense(units, act, kernel_initializer=draw)
                for (units, _), act, draw in zip(wide, ends, draws, strict=True)
            ],
        )

    broken = Training(m("sigmoid"), x, y, BCE, "adam", explained(y), 200, 600)
    return broken, broken.but(model=m("tanh"), loss="mse")


# --- of deepmufl: classifiers with the wrong end or loss


def classifier(key, shape, hidden, ends, data, also="", **training):
    """Enters a classifier whose end does not fit.

    Args:
        key: of the program.
        shape: of the input.
        hidden: returns the layers between; of the repair, if it is a pair.
        ends: units and activation of the broken program, and of its repair.
        data: returns inputs and class numbers.
        also: further faults.
        **training: of both; with the suffix `_repaired` of the repair alone. Targets are one-hot
            under categorical cross-entropy and for several units under binary cross-entropy.
    """

    @program(key, f"output@output, {also}", MUFL)
    def _(rng):
        x, y = data(rng)
        first, second = ends
        before, after = hidden if isinstance(hidden, tuple) else (hidden, hidden)
        base = {"loss": CCE, "optimizer": "adam"}
        base |= {k: v for k, v in training.items() if not k.endswith("_repaired")}
        changes = {
            k.removesuffix("_repaired"): v for k, v in training.items() if k.endswith("_repaired")
        }

        def goal(units, loss):
            several = units > 1 and getattr(loss, "name", loss) in (CCE, BCE)
            return one_hot(y, units) if several else y

        m = net(shape, *before(), Dense(*first))
        broken = Training(
            m, x.reshape(-1, *shape), goal(first[0], base["loss"]), score=accuracy(y), **base
        )
        good = net(shape, *after(), Dense(*second))
        loss = changes.get("loss", base["loss"])
        return broken, broken.but(model=good, y=goal(second[0], loss), **changes)


def _dropped(*widths, rate=0.2, **options):
    return lambda: [la for w in widths for la in (Dense(w, "relu", **options), Dropout(rate))]


def _image(*filters, dense=64, drop=0.0, size=3):
    more = [Dropout(drop)] if drop else []
    return lambda: [*conv_blocks(filters, size), Flatten(), Dense(dense, "relu"), *more]


classifier(
    "41999686",
    (283,),
    _dropped(100, 150, 200, 200, 200, **NORMAL_05),
    ((4, "sigmoid"), (4, "softmax")),
    lambda r: blobs(r, 1000, 283, 4),
    "epochs@optimizer",
    optimizer=nesterov(0.01, 0.9),
    steps=160,
    steps_repaired=1500,
)
classifier(
    "53700537",
    (200, 1),
    lambda: [
        layers.Conv1D(20, 20, activation="relu"),
        layers.MaxPooling1D(3),
        layers.Conv1D(20, 10, activation="relu"),
        layers.GlobalAveragePooling1D(),
    ],
    ((3, "relu"), (3, "softmax")),
    lambda r: waves(r, 600, 200, 3),
)
classifier(
    "55198221",
    (32, 32, 3),
    _image(8, 8, 16, size=2),
    ((5, "sigmoid"), (5, "softmax")),
    lambda r: pictures(r, 500, 32, 3, 5),
    optimizer=adam(1e-4),
    optimizer_repaired=adam(1e-3),
    steps=500,
)
classifier(
    "58572274",
    (2,),
    (_dense(2, 2), _dense(8, 8)),
    ((1, "relu"), (1, "sigmoid")),
    lambda r: (np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]]), np.array([1, 0, 0, 1])),
    "capacity@0, epochs@optimizer",
    loss=BCE,
    steps=10,
    steps_repaired=3000,
    optimizer_repaired=adam(0.01),
)
classifier(
    "69787272",
    (31,),
    (_dense(31, 1), _dense(31, 16)),
    ((1, "relu"), (1, "sigmoid")),
    lambda r: blobs(r, 1000, 31),
    "capacity@1",
    loss=BCE,
    optimizer=sgd(),
    optimizer_repaired=sgd(0.1),
    batch=500,
    steps=20,
    steps_repaired=2000,
)
classifier(
    "58333926",
    (32, 32, 3),
    _image(16, 16, dense=128),
    ((10, "sigmoid"), (10, "softmax")),
    lambda r: pictures(r, 800, 32, 3, 10),
    "loss@loss",
    loss=BCE,
    loss_repaired=CCE,
    batch=50,
    steps=60,
    steps_repaired=400,
)
classifier(
    "62068109",
    (32, 32, 1),
    _image(16, 16, drop=0.5),
    ((1, "sigmoid"), (4, "softmax")),
    lambda r: pictures(r, 500, 32, 1, 4),
    "loss@loss, labels@targets",
    loss=BCE,
    loss_repaired=SPARSE,
    steps=400,
)
classifier(
    "66602662",
    (5,),
    lambda: [Dense(32, "relu"), *_dropped(16, 8)()],
    ((1, "sigmoid"), (5, "softmax")),
    lambda r: blobs(r, 1000, 5, 5),
    "loss@loss, labels@targets",
    loss=keras.losses.CategoricalCrossentropy(from_logits=True),
    loss_repaired=SPARSE,
    batch=24,
    steps=800,
    steps_repaired=2500,
)
classifier(
    "70650848",
    (4,),
    lambda: [la for _ in "12" for la in (Dense(4, "relu"), Normalized(), Dropout(0.3))],
    ((1, "sigmoid"), (3, "softmax")),
    flowers,
    "loss@loss, labels@targets",
    loss_repaired=SPARSE,
    optimizer=sgd(),
    optimizer_repaired=sgd(0.1),
    batch=16,
    steps=1000,
)


@program("57326611", "labels@targets, loss@loss", MUFL)
def _(rng):
    x, y = blobs(rng, 2000, 5)
    m = mlp(5, [50], 2, "softmax")
    broken = Training(m, x, y, BCE, "adam", accuracy(y), steps=800)
    return broken, broken.but(model=mlp(5, [50], 2, "softmax"), loss=SPARSE)


@program("68773774", "labels@targets, output@output, loss@loss, layers@output", MUFL)
def _(rng):
    x, y = blobs(rng, 400, 600, 20, 30)
    x = x.reshape(-1, 20, 30)
    m = net((20, 30), Dense(300, "relu"), Dense(20, "relu"), Dense(1, "sigmoid"))
    broken = Training(m, x, one_hot(y)[..., None], CCE, "adam", accuracy(y), 16, 400)
    good = net((20, 30), Flatten(), Dense(300, "relu"), Dense(64, "relu"), Dense(20, "softmax"))
    return broken, broken.but(model=good, y=one_hot(y))


# --- of deepmufl: hidden layers, scales, rates


@program("48486598", "hidden activation@0", MUFL)
def _(rng):
    x = np.arange(0, 10, 0.05)[:, None]
    powers = x ** np.arange(1, 6)
    y = 0.05 * powers @ [15.72807, -7.273893, 1.4912, -0.1384615, 0.00474359]
    broken = Training(mlp(1, [1, 5], 1, None, None), x, y, "mae", "adam", explained(y), 10, 2000)
    return broken, broken.but(model=mlp(1, [30, 30], 1), optimizer=adam(0.01))


@program("56888491", "hidden activation@0, hidden activation@1", MUFL)
def _(rng):
    x, y = moons(rng, 1500)
    x = np.concatenate([x, 0.3 * rng.standard_normal((1500, 3))], 1)
    m = mlp(5, [15, 15, 15], 2, "softmax", None)
    broken = Training(m, x, y, SPARSE, "adam", accuracy(y), 20, 2000)
    return broken, broken.but(model=mlp(5, [15, 15, 15], 2, "softmax"))


@program("62957334", "hidden activation@0, loss@loss", MUFL)
def _(rng):
    x, y = pictures(rng, 160, 12, 6, 2)

    def m(hidden):
        inner = []
        for index in range(3):
            inner.append(layers.Conv3D(8, 3, activation=hidden, padding="same"))
            inner += [layers.MaxPooling3D(2, padding="same")] if index < 2 else []
        return net((12, 12, 3, 2), *inner, Flatten(), Dense(10, hidden), Dense(1, "sigmoid"))

    x = x.reshape(160, 12, 12, 3, 2)
    broken = Training(m(None), x, y, "mape", "nadam", accuracy(y), 20, 200)
    return broken, broken.but(model=m("relu"), loss=BCE)


@program("69901379", "input@input, target scale@targets, rate too low@optimizer", MUFL)
def _(rng):
    x = rng.integers(50, 2000, (200, 10)).astype(float)
    y = 600 + 1700 * (x[:, 0] / 2000 + (x[:, 1] > x[:, 2]))
    broken = Training(mlp(10, [16] * 4, 1), x, y, "mse", adam(1e-4), explained(y), steps=2500)
    return broken, broken.but(
        model=mlp(10, [16] * 4, 1),
        x=standardized(x),
        y=standardized(y),
        score=explained(y, y.std(), y.mean()),
        optimizer=adam(1e-3),
    )


@program(
    "60831731",
    "rate too low@optimizer, epochs@optimizer, hidden activation@0, output@output",
    MUFL,
)
def _(rng):
    x = np.stack(np.meshgrid(np.arange(1, 11), np.arange(1, 11)), -1).reshape(-1, 2) / 10
    m = mlp(2, [2], 2, "sigmoid", "sigmoid")
    broken = Training(m, x, x, "mse", sgd(), explained(x), 10, 200)
    return broken, broken.but(model=mlp(2, [16], 2), optimizer=adam(0.01), steps=1000)
