"""Ends, labels, losses, scales, rates and weights, as they are asked of."""

import keras
import numpy as np
from data import blobs, digits, standardized, waves, words
from keras import layers, ops
from nets import SPARSE, adam, mlp, net
from program import Program, Training, accuracy, explained, register

BROKEN: dict[str, Program] = {}
program = register(BROKEN, "Humbatova et al. 2020 (taxonomy)")

Dense, Input = layers.Dense, keras.Input


@program("headlines-gru-tanh-end-of-eight", "output@output, loss@loss", "ours")
def _(rng):
    x, y = words(rng, 400, 20, 300, 8)

    def model(end):
        return net((20,), layers.Embedding(300, 24), layers.GRU(32), Dense(8, end))

    broken = Training(model("tanh"), x, y, SPARSE, adam(0.005), accuracy(y), steps=300)
    return broken, broken.but(model=model("softmax"))


@program("incomes-classes-one-and-two-as-logits", "labels@targets", "ours")
def _(rng):
    x, y = blobs(rng, 500, 12, 2)
    x = standardized(x)

    def right(made):
        return float(((made[:, 0] > 0) == y).mean())

    def model():
        return mlp(12, (32, 16), 1)

    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    broken = Training(model(), x, y + 1, loss, adam(0.003), right, steps=400)
    return broken, broken.but(model=model(), y=y)


@program("vibrations-tanh-variance-scaling-of-300", "initialization@0, initialization@1", "ours")
def _(rng):
    x, y = waves(rng, 500, 32, 6)

    def model(scale):
        start = keras.initializers.VarianceScaling
        inner = [Dense(16, "tanh", kernel_initializer=start(scale)) for _ in range(4)]
        return net((32,), *inner, Dense(6, "softmax"))

    sgd = keras.optimizers.SGD(0.1, 0.9)
    broken = Training(model(300.0), x[..., 0], y, SPARSE, sgd, accuracy(y), steps=500)
    return broken, broken.but(model=model(1.0))


@program("recordings-samples-of-sixteen-bits-gru", "input@input", "ours")
def _(rng):
    sound, y = waves(rng, 300, 60, 4)
    samples = np.round(9000 * sound).astype("int16")

    def model():
        return net((60, 1), layers.GRU(24), Dense(4, "softmax"))

    broken = Training(model(), samples, y, SPARSE, adam(0.005), accuracy(y), steps=250)
    return broken, broken.but(model=model(), x=samples / 9000)


@program("machines-constant-column-standardized", "input@input", "ours")
def _(rng):
    x, y = blobs(rng, 400, 10, 3)
    x[:, 7] = 20.0  # a sensor that was switched off: its deviation is zero
    with np.errstate(invalid="ignore"):
        scaled = (x - x.mean(0)) / x.std(0)

    def model():
        return mlp(10, (32, 16), 3, "softmax")

    broken = Training(model(), scaled, y, SPARSE, adam(0.003), accuracy(y), steps=300)
    return broken, broken.but(model=model(), x=standardized(x))


@program("digits-lion-rate-of-a-tenth", "rate too high@optimizer", "ours")
def _(rng):
    x, y = digits(rng, 500)

    def model():
        return net((28, 28), layers.Flatten(), *[Dense(64, "relu") for _ in range(3)], Dense(10))

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    broken = Training(model(), x / 255, y, loss, keras.optimizers.Lion(0.1), accuracy(y))
    broken = broken.but(steps=300)
    return broken, broken.but(model=model(), optimizer=keras.optimizers.Lion(0.0003))


@program("sales-percentage-error-with-days-of-none", "loss@loss", "ours")
def _(rng):
    x = rng.standard_normal((600, 6))
    rate = np.exp(0.3 + 0.9 * x[:, 0] - 0.6 * np.abs(x[:, 1]))
    y = rng.poisson(rate)

    def model():
        return mlp(6, (32, 32), 1, "softplus")

    broken = Training(model(), x, y[:, None], "mape", adam(0.003), explained(rate), steps=400)
    return broken, broken.but(model=model(), loss="poisson")


@program("accounts-loss-of-signed-errors", "loss@loss", "ours")
def _(rng):
    x = rng.standard_normal((500, 8))
    y = x[:, 0] + np.abs(x[:, 1]) - 0.5 * x[:, 2]

    def signed(truth, made):
        return ops.mean(truth - made, axis=-1)

    def squared(truth, made):
        return ops.mean(ops.square(truth - made), axis=-1)

    def model():
        return mlp(8, (32, 16), 1)

    broken = Training(model(), x, y[:, None], signed, adam(0.003), explained(y), steps=400)
    return broken, broken.but(model=model(), loss=squared)


@program("digits-cosine-decay-over-ten-epochs-as-steps", "rate too low@optimizer", "ours")
def _(rng):
    x, y = digits(rng, 500)

    def model():
        return net((28, 28), layers.Flatten(), Dense(64, "relu"), Dense(10, "softmax"))

    def sgd(steps):
        schedule = keras.optimizers.schedules.CosineDecay(0.05, decay_steps=steps)
        return keras.optimizers.SGD(schedule)

    broken = Training(model(), x / 255, y, SPARSE, sgd(10), accuracy(y), steps=400)
    return broken, broken.but(model=model(), optimizer=sgd(400))
