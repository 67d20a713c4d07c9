"""Classes of rows, words and short sequences."""

import numpy as np
from data import blobs, flowers, one_hot, standardized, words
from keras import layers
from nets import BCE, CCE, NARROW, NORMAL_05, SPARSE, adam, mlp, nesterov, net, sgd
from program import Program

from sets.published.common import entering

BROKEN: dict[str, Program] = {}
enter = entering(BROKEN, "classes")

Dense, Dropout = layers.Dense, layers.Dropout
BITS = np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]])


def rows(n, features, classes=2, informative=None):
    """Returns a function that returns rows and their classes."""
    return lambda rng: blobs(rng, n, features, classes, informative)


def dropped(features, widths, end, rate=0.2):
    """Returns a perceptron of one output with dropout behind each layer."""
    inner = [la for width in widths for la in (Dense(width, "relu"), Dropout(rate))]
    return net((features,), *inner, Dense(1, end))


def _constant(rng):
    y = rng.permutation(np.repeat([1, 0], 1000))
    return np.repeat(y[:, None], 128, 1).astype(float), y


def _eleven(rng):
    x = [[5, 1, 1], [9, 1, 2], [8, 0, 1], [3, 1, 1], [6, 1, 2], [4, 0, 1], [9, 1, 7], [5, 1, 4]]
    x = np.array([*x, [1, 0, 1], [6, 1, 0], [10, 0, 0]]) * [0.1, 1, 1]
    return x, np.array([1, 1, 1, 2, 2, 2, 3, 3, 3, 0, 0])


def _two_squares(rng):
    y = np.tile([0, 1], 100)
    low = np.where(y, 0.5, 0.2)[:, None]
    return low + 0.2 * rng.random((200, 2)), y


def _xor(rng):
    return BITS[:, None], np.array([0, 1, 1, 0])


def _levels(rng):
    y = rng.integers(0, 3, 300)
    x = (y[:, None] + rng.random((300, 6))) / 3
    x[np.arange(6) >= rng.integers(2, 6, 300)[:, None]] = -100
    return x[..., None], y


def _topics(rng):
    counts = rng.poisson(2.5, (3000, 20)).astype(float)
    return counts, (counts @ rng.standard_normal((20, 3)) > 0).astype(int)


def _bytes(rng):
    x = (np.arange(256)[:, None] >> np.arange(8) & 1).astype(float)
    return x, x.astype(int)


def _waves(rng):
    x = np.stack([rng.uniform(-6, 6, 800), rng.uniform(-1, 1, 800)], 1)
    return x, (x[:, 1] > np.sin(x[:, 0])).astype(int)


def _adults(rng):
    n = 1500
    age, hours = rng.normal(38, 13, n).clip(17, 90), rng.normal(40, 12, n).clip(1, 99)
    gain = np.where(rng.random(n) < 0.08, rng.exponential(12000, n), 0)
    weight, years = np.exp(rng.normal(12, 0.5, n)), rng.integers(1, 17, n)
    codes = rng.integers(0, 2, (n, 8))
    x = np.column_stack(
        [age, codes[:, :1], weight, codes[:, 1:2], years, codes[:, 2:], gain, hours]
    )
    y = (
        0.04 * (age - 38)
        + 0.5 * (years - 9)
        + 1.5 * codes[:, 3]
        + gain / 4000
        + 0.03 * (hours - 40)
    )
    return np.column_stack([x, np.zeros(n)]), (y > 1).astype(int)


def _pregnancies(rng):
    n = 768
    x = np.column_stack(
        [
            rng.poisson(3.8, n),
            rng.normal(121, 32, n),
            rng.normal(69, 19, n),
            rng.normal(20, 16, n).clip(0),
            rng.exponential(80, n),
            rng.normal(32, 8, n),
            rng.exponential(0.47, n),
            21 + rng.exponential(12, n),
        ]
    )
    return x, (standardized(x) @ [0.6, 1.6, -0.2, 0, 0, 1, 1, 0.6] > 0.6).astype(int)


def _texts(rng):
    return words(rng, 600, 40, 400)


def _per_row(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


enter(
    "31880720",
    "output@output",
    _constant,
    (lambda: dropped(128, (128, 50), "softmax"), lambda: dropped(128, (128, 50), "sigmoid")),
    "DeepLocalize",
    "deepmufl",
    loss=BCE,
    optimizer="rmsprop",
    batch=24,
    steps=400,
)
enter(
    "41596619",
    "output@output, loss@loss, labels@targets, rate too low@optimizer, initialization@0",
    _eleven,
    (lambda: mlp(3, [3], 1, "sigmoid", **NARROW), lambda: mlp(3, [16], 4, "softmax")),
    loss=BCE,
    optimizer=sgd(0.001),
    batch=11,
    steps=150,
    loss_repaired=SPARSE,
    optimizer_repaired=adam(0.02),
    steps_repaired=1500,
)
enter(
    "42472447",
    "output@output, initialization@0, initialization@1, initialization@2, initialization@3",
    rows(3000, 33, 122, 20),
    (
        lambda: mlp(33, [50, 33, 33, 33], 122, "sigmoid", **NARROW),
        lambda: mlp(33, [50, 33], 122, "softmax"),
    ),
    loss=CCE,
    targets=one_hot,
    batch=20,
    steps=1500,
)
enter(
    "46359741",
    "rate too low@optimizer, epochs@optimizer, capacity@0, hidden activation@0",
    lambda _: (np.array([[1.0], [2]]), np.array([1, 0])),
    (lambda: mlp(1, [1], 1, "sigmoid", "sigmoid"), lambda: mlp(1, [8], 1, "sigmoid", "tanh")),
    loss=BCE,
    optimizer=nesterov(0.009, 0.9),
    batch=2,
    steps=20,
    optimizer_repaired=adam(0.05),
    steps_repaired=1000,
)
enter(
    "50306988",
    "rate too low@optimizer, epochs@optimizer, hidden activation@0",
    _two_squares,
    (
        lambda: mlp(2, [2], 2, "softmax", "sigmoid"),
        lambda: mlp(2, [2], 2, "softmax", "sigmoid"),
    ),
    "DeepLocalize",
    "deepmufl",
    loss=CCE,
    targets=one_hot,
    steps=600,
    optimizer_repaired=adam(0.05),
)
enter(
    "50338865",
    "output@output, loss@loss, rate too low@optimizer, epochs@optimizer",
    _xor,
    (
        lambda: net((1, 2), layers.LSTM(10, return_sequences=True), layers.LSTM(10), Dense(2)),
        lambda: net(
            (1, 2), layers.LSTM(10, return_sequences=True), layers.LSTM(10), Dense(2, "softmax")
        ),
    ),
    loss="mae",
    targets=one_hot,
    batch=4,
    steps=50,
    loss_repaired=CCE,
    optimizer_repaired=adam(0.02),
    steps_repaired=800,
)


def _asleep(hidden, end, rate, **options):
    inner = [Dense(28, hidden, **options)]
    inner += [la for w in (64, 96, 96, 48) for la in (Dense(w, hidden, **options), Dropout(rate))]
    return net((28,), *inner, Dense(1, end, **options))


enter(
    "57407973",
    "output@output, hidden activation@0, hidden activation@1, initialization@0, initialization@1,"
    "dropout@2, dropout@4, dropout@6",
    rows(1000, 28),
    (
        lambda: _asleep("sigmoid", None, 0.5, **NORMAL_05),
        lambda: _asleep("relu", "sigmoid", 0.2),
    ),
    loss=BCE,
    steps=800,
)
enter(
    "58055105",
    "output@output, rate too low@optimizer",
    rows(1000, 22),
    (lambda: dropped(22, [48], "softmax", 0.5), lambda: dropped(22, [48], "sigmoid", 0.5)),
    loss=BCE,
    optimizer=adam(1e-4),
    batch=5,
    steps=2500,
    optimizer_repaired=adam(1e-3),
)
enter(
    "61234347",
    "epochs@optimizer, layers@0, input@input",
    flowers,
    (
        lambda: mlp(4, [256, 128, 64, 64, 32, 32, 9], 3, "softmax", "tanh"),
        lambda: mlp(4, [64, 32], 3, "softmax", "tanh"),
    ),
    loss=CCE,
    targets=one_hot,
    steps=4,
    steps_repaired=400,
)


def _averaged(end):
    inner = [layers.Embedding(400, 24), layers.GlobalAveragePooling1D(), Dense(24, "relu")]
    return net((40,), *inner, Dense(1, end))


enter(
    "65669308",
    "output@output",
    _texts,
    (lambda: _averaged("softmax"), lambda: _averaged("sigmoid")),
    loss=BCE,
    steps=800,
)


def _recurrent(activation, end):
    return net((10, 1), layers.LSTM(40, activation, "hard_sigmoid"), Dense(1, end))


enter(
    "68938619",
    "output@output, loss@loss, hidden activation@0",
    rows(1000, 10),
    (lambda: _recurrent("sigmoid", "softmax"), lambda: _recurrent("tanh", "sigmoid")),
    inputs=lambda x: _per_row(x)[..., None],
    loss="mse",
    optimizer="rmsprop",
    steps=300,
    loss_repaired=BCE,
    optimizer_repaired=adam(0.005),
    steps_repaired=1200,
)
enter(
    "56218256",
    "output@output, loss@loss",
    rows(600, 500),
    (lambda: mlp(500, [200, 64, 32], 1, "softmax"), lambda: mlp(500, [200, 64, 32], 1, "sigmoid")),
    loss=CCE,
    batch=100,
    steps=100,
    loss_repaired=BCE,
)


def _masked(cells, end):
    return net((6, 1), layers.Masking(-100), layers.LSTM(cells), Dense(3, end))


enter(
    "64413907",
    "output@output, capacity@1, epochs@optimizer",
    _levels,
    (lambda: _masked(1, "relu"), lambda: _masked(8, "softmax")),
    loss=CCE,
    targets=one_hot,
    batch=1,
    steps=500,
    optimizer_repaired=adam(0.01),
    batch_repaired=16,
    steps_repaired=1000,
)
enter(
    "66407123",
    "output@output",
    rows(1000, 5),
    (lambda: mlp(5, [32, 32], 1, "softmax"), lambda: mlp(5, [32, 32], 1, "sigmoid")),
    loss=BCE,
    optimizer="sgd",
    batch=64,
    steps=1500,
)


enter(
    "68701979",
    "labels@targets, loss@loss",
    rows(2000, 5),
    (lambda: mlp(5, [32], 2, "softmax", "sigmoid"), lambda: mlp(5, [32], 2, "softmax", "sigmoid")),
    loss=CCE,
    optimizer="sgd",
    loss_repaired=SPARSE,
    optimizer_repaired=adam(0.01),
)


def _tagged(end):
    return net(
        (20,), Dense(20, "relu"), Dropout(0.5), Dense(20, "relu"), Dropout(0.5), Dense(3, end)
    )


enter(
    "38648195",
    "output@output, loss@loss",
    _topics,
    (lambda: _tagged("softmax"), lambda: _tagged("sigmoid")),
    "DeepLocalize",
    loss="mse",
    optimizer="sgd",
    batch=20,
    steps=1500,
    loss_repaired=BCE,
)
enter(
    "39217567",
    "hidden activation@0, hidden activation@1, initialization@0, initialization@1,"
    "initialization@2, loss@loss, rate too low@optimizer",
    _bytes,
    (
        lambda: mlp(8, [8, 8], 8, "sigmoid", "sigmoid", **NORMAL_05),
        lambda: mlp(8, [16, 16], 8, "sigmoid", "relu"),
    ),
    "DeepLocalize",
    loss="mse",
    optimizer="sgd",
    batch=50,
    steps=3000,
    loss_repaired=BCE,
    optimizer_repaired=adam(0.01),
)
enter(
    "41372874",
    "capacity@0, capacity@1, initialization@0, initialization@1",
    _waves,
    (lambda: mlp(2, [2, 2], 1, "sigmoid", **NARROW), lambda: mlp(2, [32, 32], 1, "sigmoid")),
    "DeepLocalize",
    loss=BCE,
    batch=2,
    steps=2000,
    optimizer_repaired=adam(0.01),
    batch_repaired=32,
)
enter(
    "45337371",
    "output@output",
    rows(600, 5),
    (lambda: mlp(5, [60, 50], 1, "softmax"), lambda: mlp(5, [60, 50], 1, "sigmoid")),
    "DeepLocalize",
    loss=BCE,
)
enter(
    "47724077",
    "input@input",
    _adults,
    (lambda: mlp(14, [21], 2, "softmax"), lambda: mlp(14, [21], 2, "softmax")),
    "DeepLocalize",
    loss=CCE,
    targets=one_hot,
    batch=100,
    steps=700,
    inputs_repaired=standardized,
)
enter(
    "kerasma",
    "input@input",
    _pregnancies,
    (lambda: mlp(8, [12, 8], 1, "sigmoid"), lambda: mlp(8, [12, 8], 1, "sigmoid")),
    "DeepLocalize",
    loss=BCE,
    batch=10,
    steps=2000,
    inputs_repaired=standardized,
)


def _embedded(drop):
    inner = [layers.Embedding(400, 32), Dropout(drop), layers.LSTM(32, dropout=drop), Dropout(drop)]
    return net((40,), *inner, Dense(32), Dropout(drop), Dense(1, "sigmoid"))


enter(
    "61274792",
    "input@input, dropout@1, dropout@3",
    _texts,
    (lambda: _embedded(0.6), lambda: _embedded(0.1)),
    inputs=_per_row,
    loss=BCE,
    optimizer="rmsprop",
    steps=400,
    inputs_repaired=lambda x: x,
    optimizer_repaired=adam(0.005),
    steps_repaired=800,
)
