"""Regressions."""

import numpy as np
from data import linear, standardized
from keras import layers
from nets import BCE, NARROW, NORMAL_05, adam, mlp, nesterov, net
from program import Program

from sets.published.common import entering

BROKEN: dict[str, Program] = {}
enter = entering(BROKEN, "values")

Dense, Dropout = layers.Dense, layers.Dropout


def _squares(rng):
    x = np.arange(-10, 10, 0.1)[:, None]
    return x, x[:, 0] ** 2 + 3


def _cars(rng):
    x = rng.random((900, 5))
    return x, 2000 + 20000 * x[:, 3] + 8000 * x[:, 0] * x[:, 4]


def _shares(rng):
    x = rng.standard_normal((1000, 28))
    parts = np.exp(x[:, :6] + x[:, 6:12])
    return x, parts / parts.sum(1, keepdims=True)


def _pictures(rng):
    x = rng.standard_normal((1000, 1024))
    return x, 100 * x[:, :3]


def _meters(rng):
    x = rng.integers([5, 0, 15, 7], [10, 2, 32, 13], (64, 3, 4)).astype(float)
    return x, x[..., 3:]


def _rain(rng):
    x = rng.standard_normal((2000, 4))
    rain = x[:, 2] + 0.7 * x[:, 3] - 0.5 * x[:, 0] > 0.9
    return np.clip(x / 3, -1, 1), np.where(rain, 1.0, -1.0)


def _halves(rng):
    x = np.array([[0.5], [1.0], [0.4], [5], [25]])
    return x, x[:, 0] / 2


def _sine(rng):
    x = rng.uniform(0, 1, (2000, 1))
    return x, 0.5 + 0.5 * np.sin(20 * x[:, 0] - 10)


def _windows(rng):
    x, y = linear(rng, 500, 50)
    return x[..., None], y


def _sounds(rng):
    y = rng.uniform(1, 4, 200)
    x = np.sin(np.arange(600) * 0.05 * y[:, None]) + 0.1 * rng.standard_normal((200, 600))
    return x[..., None], y


enter(
    "48221692",
    "output@output, target scale@targets, rate too low@optimizer",
    _squares,
    (lambda: mlp(1, [5], 1, "sigmoid", "sigmoid"), lambda: mlp(1, [16], 1, None, "tanh")),
    "DeepLocalize",
    "deepmufl",
    loss="mse",
    optimizer="sgd",
    batch=200,
    steps=1000,
    inputs_repaired=standardized,
    targets_repaired=standardized,
    optimizer_repaired=adam(0.01),
    batch_repaired=32,
)
enter(
    "48976413",
    "output@output, target scale@targets, initialization@0",
    _cars,
    (
        lambda: net((5,), Dense(12, "relu", **NORMAL_05), Dense(8, "relu"), Dense(1, "sigmoid")),
        lambda: net((5,), Dense(12, "relu", **NORMAL_05), Dense(8, "relu"), Dense(1)),
    ),
    loss="mse",
    batch=50,
    steps=2500,
    targets_repaired=standardized,
)
enter(
    "50555434",
    "output@output, loss@loss, initialization@0, capacity@2",
    _shares,
    (
        lambda: mlp(28, [20, 15, 6], 6, "sigmoid", **NORMAL_05),
        lambda: mlp(28, [32, 32], 6, "softmax"),
    ),
    loss="mae",
    steps=1500,
    loss_repaired="kl_divergence",
)
enter(
    "53749895",
    "output@output, target scale@targets",
    _pictures,
    (lambda: mlp(1024, [32], 3, "softmax"), lambda: mlp(1024, [32], 3)),
    loss="mse",
    optimizer=nesterov(0.01, 0.9),
    steps=500,
    targets_repaired=standardized,
)
enter(
    "54811239",
    "output@output, target scale@targets, input@input, rate too low@optimizer, epochs@optimizer",
    _meters,
    (
        lambda: net(
            (3, 4), layers.LSTM(10, return_sequences=True), Dense(50, "tanh"), Dense(1, "tanh")
        ),
        lambda: net((3, 4), layers.LSTM(10, return_sequences=True), Dense(50, "tanh"), Dense(1)),
    ),
    loss="mse",
    steps=50,
    inputs_repaired=standardized,
    optimizer_repaired=adam(0.01),
    steps_repaired=1500,
)


def _drops(end):
    inner = [layers.BatchNormalization()]
    for _ in range(3):
        inner += [Dense(4, "relu"), Dropout(0.5), layers.BatchNormalization()]
    return net((4,), *inner[:-1], Dense(1, end))


enter(
    "56317174",
    "output@output, labels@targets, loss@loss, dropout@2, dropout@5, dropout@8",
    _rain,
    (lambda: _drops("sigmoid"), lambda: mlp(4, [16, 16], 1, "tanh")),
    loss="mse",
    optimizer="rmsprop",
    batch=1024,
    steps=400,
    batch_repaired=64,
)
enter(
    "56452176",
    "output@output, capacity@0, epochs@optimizer",
    _halves,
    (lambda: mlp(1, [1, 9], 1, "relu"), lambda: mlp(1, [16], 1)),
    loss="mse",
    optimizer=adam(0.01),
    steps=10,
    batch=5,
    steps_repaired=1500,
)
enter(
    "59758722",
    "output@output, target scale@targets, rate too low@optimizer, epochs@optimizer",
    lambda r: linear(r, 1000, 4),
    (lambda: mlp(4, [30, 30], 1, "relu"), lambda: mlp(4, [30, 30], 1)),
    loss="mse",
    optimizer="rmsprop",
    batch=128,
    steps=100,
    targets_repaired=standardized,
    steps_repaired=500,
)


def _sigmoids(hidden, end, drop):
    inner = [la for w in (32, 20, 15) for la in (Dense(w, hidden), Dropout(drop))]
    return net((8,), *inner, Dense(4, end))


enter(
    "60766775",
    "output@output, target scale@targets",
    lambda r: linear(r, 1000, 8, 4),
    (lambda: _sigmoids("sigmoid", "softmax", 0.1), lambda: _sigmoids("tanh", None, 0.0)),
    loss="mse",
    optimizer=nesterov(0.01, 0.87),
    batch=1,
    steps=2000,
    targets_repaired=standardized,
    optimizer_repaired=nesterov(0.003, 0.87),
    batch_repaired=8,
)
enter(
    "49583466",
    "hidden activation@0, hidden activation@1, initialization@0, initialization@1,"
    "initialization@2, rate too low@optimizer, epochs@optimizer",
    _sine,
    (
        lambda: mlp(1, [20, 20, 20], 1, None, "sigmoid", **NARROW),
        lambda: mlp(1, [64, 64, 64], 1, None, "relu"),
    ),
    loss="mse",
    optimizer="sgd",
    steps=300,
    inputs_repaired=standardized,
    optimizer_repaired=adam(0.005),
    steps_repaired=3000,
)


def _convolved(end):
    conv = [layers.Conv1D(n, 3, activation="relu") for n in (8, 8, 16)]
    inner = [Dense(width, "relu") for width in (128, 64, 32)]
    return net((50, 1), *conv, layers.Flatten(), *inner, Dense(1, end))


enter(
    "46247619",
    "output@output, target scale@targets",
    _windows,
    (lambda: _convolved("relu"), lambda: _convolved(None)),
    loss="mse",
    steps=400,
    targets_repaired=standardized,
)
enter(
    "59078187",
    "output@output, labels@targets, dropout@1",
    _squares,
    (
        lambda: net((1,), Dense(128, "relu"), Dropout(0.2), Dense(10, "softmax")),
        lambda: mlp(1, [128], 1),
    ),
    loss="mse",
    steps=1500,
    optimizer_repaired=adam(0.01),
)


def _heard(end):
    conv = [
        layers.Conv1D(16, 60, 30, activation="relu"),
        layers.Conv1D(16, 5, 2, activation="relu"),
    ]
    return net((600, 1), *conv, layers.LSTM(32), Dense(32, "relu"), Dense(1, end))


enter(
    "62440336",
    "output@output, loss@loss, labels@targets",
    _sounds,
    (lambda: _heard("softmax"), lambda: _heard(None)),
    loss=BCE,
    steps=600,
    loss_repaired="mse",
    targets_repaired=standardized,
)
