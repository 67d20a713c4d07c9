"""Of deepmufl: hidden layers, scales, rates."""

import numpy as np
from data import moons, pictures, standardized
from keras import layers
from nets import BCE, SPARSE, adam, mlp, net, sgd
from program import Program, Training, accuracy, explained, register

BROKEN: dict[str, Program] = {}
program = register(BROKEN, "deepmufl")

Dense, Flatten, Dropout = layers.Dense, layers.Flatten, layers.Dropout


@program("48486598", "hidden activation@0")
def _(rng):
    x = np.arange(0, 10, 0.05)[:, None]
    powers = x ** np.arange(1, 6)
    y = 0.05 * powers @ [15.72807, -7.273893, 1.4912, -0.1384615, 0.00474359]
    broken = Training(mlp(1, [1, 5], 1, None, None), x, y, "mae", "adam", explained(y), 10, 2000)
    return broken, broken.but(model=mlp(1, [30, 30], 1), optimizer=adam(0.01))


@program("56888491", "hidden activation@0, hidden activation@1")
def _(rng):
    x, y = moons(rng, 1500)
    x = np.concatenate([x, 0.3 * rng.standard_normal((1500, 3))], 1)
    m = mlp(5, [15, 15, 15], 2, "softmax", None)
    broken = Training(m, x, y, SPARSE, "adam", accuracy(y), 20, 2000)
    return broken, broken.but(model=mlp(5, [15, 15, 15], 2, "softmax"))


@program("62957334", "hidden activation@0, loss@loss")
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


@program("69901379", "input@input, target scale@targets, rate too low@optimizer")
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
)
def _(rng):
    x = np.stack(np.meshgrid(np.arange(1, 11), np.arange(1, 11)), -1).reshape(-1, 2) / 10
    m = mlp(2, [2], 2, "sigmoid", "sigmoid")
    broken = Training(m, x, x, "mse", sgd(), explained(x), 10, 200)
    return broken, broken.but(model=mlp(2, [16], 2), optimizer=adam(0.01), steps=1000)
