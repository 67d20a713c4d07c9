"""Of deepmufl: regressions and classifiers with the wrong end or loss."""

import keras
import numpy as np
from data import blobs, flowers, linear, one_hot, pictures, standardized, waves
from keras import layers
from nets import BCE, CCE, NORMAL_05, SPARSE, adam, conv_blocks, mlp, nesterov, net, sgd
from program import Program, Training, accuracy, explained, register

BROKEN: dict[str, Program] = {}
program = register(BROKEN, "deepmufl")

Dense, Flatten, Dropout = layers.Dense, layers.Flatten, layers.Dropout


# --- of deepmufl: regressions with the wrong end


def regression(key, shape, hidden, end, data, also="", scaled=False, repair=(), **training):
    """Enters a regression whose last activation does not fit; its repair has none.

    Where `scaled`, the repair standardizes the targets, too.
    """

    @program(key, f"output@output, {also}")
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


@program("62313327", "output@output, capacity@0")
def _(rng):
    x = rng.uniform(-1, 1, (3000, 30))
    y = x[:, 1]
    broken = Training(mlp(30, [1], 1, "sigmoid"), x, y, "mse", adam(0.01), explained(y), steps=1500)
    return broken, broken.but(model=mlp(30, [16], 1))


@program("46869312", "output@output, loss@loss, labels@targets")
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

    @program(key, f"output@output, {also}")
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
    lambda: [
        la for _ in "12" for la in (Dense(4, "relu"), layers.BatchNormalization(), Dropout(0.3))
    ],
    ((1, "sigmoid"), (3, "softmax")),
    flowers,
    "loss@loss, labels@targets",
    loss_repaired=SPARSE,
    optimizer=sgd(),
    optimizer_repaired=sgd(0.1),
    batch=16,
    steps=1000,
)


@program("57326611", "labels@targets, loss@loss")
def _(rng):
    x, y = blobs(rng, 2000, 5)
    m = mlp(5, [50], 2, "softmax")
    broken = Training(m, x, y, BCE, "adam", accuracy(y), steps=800)
    return broken, broken.but(model=mlp(5, [50], 2, "softmax"), loss=SPARSE)


@program("68773774", "labels@targets, output@output, loss@loss, layers@output")
def _(rng):
    x, y = blobs(rng, 400, 600, 20, 30)
    x = x.reshape(-1, 20, 30)
    m = net((20, 30), Dense(300, "relu"), Dense(20, "relu"), Dense(1, "sigmoid"))
    broken = Training(m, x, one_hot(y)[..., None], CCE, "adam", accuracy(y), 16, 400)
    good = net((20, 30), Flatten(), Dense(300, "relu"), Dense(64, "relu"), Dense(20, "softmax"))
    return broken, broken.but(model=good, y=one_hot(y))
