"""What the net is given and what it has to reach."""

import keras
import numpy as np
from data import blobs, linear, one_hot, pictures, series, standardized, waves
from keras import layers
from nets import BCE, CCE, adam, mlp, net, sgd
from program import Program, Training, accuracy, explained, register

BROKEN: dict[str, Program] = {}
program = register(BROKEN, "Humbatova et al. 2020 (taxonomy)")

Dense, Input, Conv = layers.Dense, keras.Input, layers.Conv2D


@program("california-blocks-unscaled-sgd", "input@input", "ageron/handson-ml2#17")
def _(rng):
    z = rng.standard_normal((500, 8))
    mean = np.array([3.9, 28.6, 5.4, 1.1, 1425.0, 3.1, 35.6, -119.6])
    x = mean + z * [1.9, 12.6, 2.5, 0.5, 1132.0, 10.4, 2.1, 2.0]
    y = 2.07 + 0.8 * z[:, 0] - 0.4 * np.tanh(z[:, 6] + z[:, 7]) + 0.3 * z[:, 1] * (z[:, 4] > 0)

    def model():
        return mlp(8, (30,), 1)

    broken = Training(model(), x, y, "mse", sgd(0.01), explained(y), steps=600)
    return broken, broken.but(model=model(), x=standardized(x))


@program("sequences-lstm-mae-of-thousands", "target scale@targets", "keras-team/keras#4563")
def _(rng):
    x, _ = series(rng, 400, 20)
    more = rng.standard_normal((400, 20, 3))
    x = np.concatenate([x, more], -1)
    y = 42000 + 9000 * (x[:, -6:, 0].mean(1) + 0.5 * x[:, -1, 1])

    def model():
        return net((20, 4), layers.LSTM(48), layers.Dropout(0.3), Dense(1))

    slow = keras.optimizers.SGD(0.0008, momentum=0.9, nesterov=True)
    broken = Training(model(), x, y, "mae", slow, explained(y), steps=400)
    goal = standardized(y)
    repaired = broken.but(model=model(), y=goal, score=explained(goal), optimizer=adam(0.005))
    return broken, repaired


@program(
    "no-hidden-layer-targets-of-thousands",
    "target scale@targets, rate too low@optimizer",
    "keras-team/keras#2576",
)
def _(rng):
    x, y = linear(rng, 600, 100, informative=100)
    y = 3 * y + 100 * rng.standard_normal(600)

    def model():
        return net((100,), Dense(1))

    broken = Training(model(), x, y, "mse", "rmsprop", explained(y), 16, 380)
    goal = standardized(y)
    return broken, broken.but(model=model(), y=goal, score=explained(goal), optimizer=adam(0.01))


@program(
    "line-through-two-hundred-points",
    "input@input, rate too high@optimizer, target scale@targets",
    "keras-team/keras#3040",
)
def _(rng):
    x = np.arange(200.0)
    y = 2 * x

    def model():
        return net((1,), Dense(1))

    broken = Training(model(), x[:, None], y, "mse", sgd(0.001), explained(y), 1, 200)
    goal = standardized(y)
    repaired = broken.but(model=model(), x=standardized(x)[:, None], y=goal, optimizer=sgd(0.01))
    return broken, repaired.but(score=explained(goal))


@program("pima-columns-as-they-are", "input@input", "keras-team/keras#7659, altered")
def _(rng):
    z, y = blobs(rng, 400, 8, 2, informative=6)
    size = np.array([3.4, 32.0, 19.0, 16.0, 115.0, 7.9, 0.33, 11.8])
    x = [3.8, 121.0, 69.0, 20.5, 80.0, 32.0, 0.47, 33.0] + z * size

    def model():
        return mlp(8, (12, 8), 1, "sigmoid")

    broken = Training(model(), x, y, BCE, sgd(0.05), accuracy(y), 10, 500)
    return broken, broken.but(model=model(), x=standardized(x))


@program("eeg-epochs-in-volts", "input@input", "vlawhern/arl-eegmodels: scale of the ERP example")
def _(rng):
    x, y = waves(rng, 300, 64, 4)
    mixing = rng.standard_normal((1, 6))
    volts = 2e-5 * (x @ mixing + 0.4 * rng.standard_normal((300, 64, 6)))

    def model():
        inner = [layers.Conv1D(16, 9, use_bias=False), layers.ELU(), layers.AveragePooling1D(2)]
        inner += [layers.SeparableConv1D(24, 7), layers.ELU(), layers.Flatten()]
        return net((64, 6), *inner, Dense(4, "softmax"))

    broken = Training(model(), volts, one_hot(y), CCE, adam(0.002), accuracy(y), steps=250)
    return broken, broken.but(model=model(), x=volts / volts.std())


@program(
    "super-resolution-of-bytes-sgd",
    "input@input, target scale@targets, rate too high@optimizer",
    "keras-team/keras#2530",
)
def _(rng):
    sharp, _ = pictures(rng, 160, 18, 3, 5, noise=0.05)
    sharp = np.round(255 * sharp)
    soft = (
        sharp + np.roll(sharp, 1, 1) + np.roll(sharp, 1, 2) + np.roll(sharp, (1, 1), (1, 2))
    ) / 4

    def model():
        same = {"padding": "same", "activation": "relu"}
        inner = [Conv(32, 5, **same, kernel_initializer="glorot_normal"), Conv(16, 1, **same)]
        return net((18, 18, 3), *inner, Conv(3, 5, padding="same"))

    broken = Training(model(), soft, sharp, "mse", sgd(0.001), explained(sharp), 16, 250)
    share = sharp / 255
    repaired = broken.but(model=model(), x=soft / 255, y=share, score=explained(share))
    return broken, repaired.but(optimizer=adam(0.002))


@program("weather-kelvins-and-pascals-gru", "input@input", "ours")
def _(rng):
    wave, y = series(rng, 400, 24)
    kelvin = 285 + 8 * wave
    pascal = 101325 - 400 * np.roll(wave, 2, 1) + 150 * rng.standard_normal(wave.shape)
    x = np.concatenate([kelvin, pascal, 60 + 15 * rng.standard_normal(wave.shape)], -1)

    def model():
        return net((24, 3), layers.GRU(32), Dense(16, "relu"), Dense(1))

    broken = Training(model(), x, y, "mse", adam(0.003), explained(y), steps=300)
    scaled = (x - x.mean((0, 1))) / x.std((0, 1))
    return broken, broken.but(model=model(), x=scaled)


@program("diode-currents-in-amperes", "target scale@targets", "ours")
def _(rng):
    x = rng.standard_normal((500, 4))
    y = 3e-6 * np.exp(0.7 * x[:, 0] - 0.3 * x[:, 1]) + 1e-6 * x[:, 2] * x[:, 3]

    def model():
        return mlp(4, (48, 48), 1)

    broken = Training(model(), x, y, "mse", adam(0.003), explained(y), steps=700)
    goal = 1e6 * y
    return broken, broken.but(model=model(), y=goal, score=explained(goal))
