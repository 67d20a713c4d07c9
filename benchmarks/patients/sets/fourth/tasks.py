"""Targets, weights of samples, losses and steps, less often asked of."""

import keras
import numpy as np
from data import blobs, digits, pictures, series, standardized
from keras import layers, ops
from nets import BCE, SPARSE, adam, conv_blocks, mlp, net, sgd
from program import Program, Training, accuracy, explained, register

BROKEN: dict[str, Program] = {}
program = register(BROKEN, "ours")

Dense, Input = layers.Dense, keras.Input


@program(
    "flats-kind-beside-price-in-euros-clipped",
    "target scale@targets, rate too low@optimizer",
)
def _(rng):
    x, kind = blobs(rng, 500, 10, 4)
    x = standardized(x)
    price = 250_000 + 90_000 * (x[:, 0] + np.abs(x[:, 1]))

    def model():
        facts = Input((10,))
        h = Dense(32, "relu")(Dense(48, "relu")(facts))
        return keras.Model(facts, [Dense(4, "softmax", name="kind")(h), Dense(1, name="price")(h)])

    clipped = sgd(0.1, 0.9, global_clipnorm=1.0)
    broken = Training(
        model(), x, [kind, price[:, None]], [SPARSE, "mse"], clipped, accuracy(kind), steps=400
    )
    return broken, broken.but(model=model(), y=[kind, standardized(price)[:, None]])


@program("claims-one-class-weighs-nothing", "loss@loss, labels@targets")
def _(rng):
    x, y = blobs(rng, 500, 12, 2)

    def model():
        return mlp(12, (32, 16), 1, "sigmoid")

    broken = Training(
        model(), standardized(x), y[:, None], BCE, adam(0.003), accuracy(y), steps=300
    )
    broken = broken.but(weights={"class_weight": {0: 0.0, 1: 1.0}})
    return broken, broken.but(model=model(), weights={"class_weight": {0: 1.0, 1: 1.0}})


@program("demand-exponential-end-for-zscores", "output@output, target scale@targets")
def _(rng):
    x, y = series(rng, 450, 24)
    y = standardized(y) - 1.2

    def model(end):
        inner = [layers.Conv1D(24, 5, activation="relu"), layers.Flatten(), Dense(32, "relu")]
        return net((24, 1), *inner, Dense(1, end))

    broken = Training(model("exponential"), x, y[:, None], "mse", adam(0.003), explained(y))
    broken = broken.but(steps=300)
    return broken, broken.but(model=model("linear"))


@program("houses-huber-delta-of-a-ten-thousandth-sgd", "rate too low@optimizer, loss@loss")
def _(rng):
    x = rng.standard_normal((500, 8))
    y = standardized(x[:, 0] + np.abs(x[:, 1]) - 0.5 * x[:, 2])

    def model():
        return mlp(8, (32, 16), 1)

    loss = keras.losses.Huber(1e-4)
    broken = Training(model(), x, y[:, None], loss, sgd(0.05, 0.9), explained(y), steps=400)
    return broken, broken.but(model=model(), loss=keras.losses.Huber(1.0))


@program("frogs-pictures-shuffled-without-their-labels", "labels@targets")
def _(rng):
    x, y = pictures(rng, 400, 20, 3, 4)
    order = rng.permutation(400)

    def model():
        inner = [*conv_blocks([8, 16]), layers.GlobalAveragePooling2D()]
        return net((20, 20, 3), *inner, Dense(4, "softmax"))

    broken = Training(model(), x[order], y, SPARSE, adam(0.005), accuracy(y), steps=350)
    return broken, broken.but(model=model(), y=y[order], score=accuracy(y[order]))


@program("digits-ftrl-penalty-of-one", "regularization@optimizer, rate too low@optimizer")
def _(rng):
    x, y = digits(rng, 500)

    def model():
        return net((28, 28), layers.Flatten(), Dense(64, "relu"), Dense(10, "softmax"))

    def ftrl(penalty):
        return keras.optimizers.Ftrl(0.1, l1_regularization_strength=penalty)

    broken = Training(model(), x / 255, y, SPARSE, ftrl(1.0), accuracy(y), steps=400)
    return broken, broken.but(model=model(), optimizer=adam(0.003))


@program("bandit-policy-product-over-the-batch", "loss@loss", "keras-team/keras#5733, altered")
def _(rng):
    x, best = blobs(rng, 500, 8, 4)
    taken = rng.integers(0, 4, 500)
    gain = np.where(taken == best, 1.0, -0.3)
    baseline = gain[:, None] * np.eye(4)[taken]

    def crossed(truth, made):
        return -ops.mean(ops.matmul(ops.log(made + 1e-7), ops.transpose(truth)), -1)

    def matched(truth, made):
        return -ops.sum(truth * ops.log(ops.clip(made, 0.01, 1.0)), -1)

    def model():
        return mlp(8, (32,), 4, "softmax")

    broken = Training(model(), standardized(x), baseline, crossed, adam(0.005), accuracy(best))
    return broken, broken.but(model=model(), loss=matched)
