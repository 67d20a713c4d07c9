"""Ends and losses of nets that give values."""

import keras
import numpy as np
from data import linear, one_hot, pictures, series, standardized
from keras import layers, ops
from nets import BCE, CCE, adam, mlp, net
from program import Program, Training, explained, register

BROKEN: dict[str, Program] = {}
program = register(BROKEN, "Humbatova et al. 2020 (taxonomy)")

Dense, Input, Conv = layers.Dense, keras.Input, layers.Conv2D


@program(
    "saw-of-two-columns-softmax", "output@output, target scale@targets", "keras-team/keras#321"
)
def _(rng):
    time = np.arange(420) + rng.integers(0, 10)
    saw = np.stack([1 + time % 10, 10 - time % 10], 1).astype(float)
    saw += 0.1 * rng.standard_normal(saw.shape)
    x = np.stack([saw[i : i + 12] for i in range(400)])
    y = saw[12:412]

    def model(end):
        return net((12, 2), layers.LSTM(32), Dense(2, end))

    broken = Training(model("softmax"), x, y, "mse", "rmsprop", explained(y), steps=300)
    goal = (y - 5.5) / 3
    repaired = broken.but(model=model(None), x=(x - 5.5) / 3, y=goal, score=explained(goal))
    return broken, repaired.but(optimizer=adam(0.01))


@program(
    "saliency-divergence-of-unnormalized-maps", "loss@loss, output@output", "keras-team/keras#1917"
)
def _(rng):
    x, _ = pictures(rng, 250, 16, 3, 5)
    blurred = x.mean(-1)
    blurred = sum(np.roll(blurred, (i, j), (1, 2)) for i in (-1, 0, 1) for j in (-1, 0, 1)) / 9
    blurred = (blurred - blurred.min()) / (blurred.max() - blurred.min())
    y = blurred.reshape(len(x), -1)

    def model(end):
        image = Input((16, 16, 3))
        h = Conv(16, 3, padding="same", activation="relu")(image)
        h = Conv(8, 3, padding="same", activation="relu")(h)
        h = Conv(1, 3, padding="same", activation=end)(h)
        return keras.Model(image, layers.Flatten()(h))

    broken = Training(model("relu"), x, y, "kl_divergence", adam(0.003), explained(y), steps=250)
    return broken, broken.but(model=model("sigmoid"), loss="mse")


@program(
    "color-autoencoder-crossentropy-of-zscores",
    "loss@loss, labels@targets, output@output, target scale@targets",
    "keras-team/keras#2841, altered",
)
def _(rng):
    x, _ = pictures(rng, 200, 16, 3, 6)
    x = (x - x.mean()) / x.std()

    def model():
        same = {"padding": "same", "activation": "relu"}
        inner = [Conv(24, 3, **same), layers.MaxPooling2D(), Conv(16, 3, **same)]
        inner += [layers.UpSampling2D(), Conv(24, 3, **same)]
        return net((16, 16, 3), *inner, Conv(3, 3, padding="same"))

    broken = Training(model(), x, x, BCE, adam(0.003), explained(x), 16, 300)
    return broken, broken.but(model=model(), loss="mse")


@program("house-price-and-kind-losses-swapped", "loss@loss, output@output", "ours")
def _(rng):
    x, price = linear(rng, 500, 10)
    price = standardized(price + 60 * np.abs(x[:, 0]))
    kind = np.digitize(x[:, 1] + x[:, 2], [-0.6, 0.6])

    def model():
        facts = Input((10,))
        h = Dense(32, "relu")(Dense(48, "relu")(facts))
        return keras.Model(facts, [Dense(1, name="price")(h), Dense(3, "softmax", name="kind")(h)])

    y = [price, one_hot(kind)]
    broken = Training(model(), x, y, [CCE, "mse"], adam(0.003), explained(price), steps=500)
    return broken, broken.but(model=model(), loss=["mse", CCE])


@program("pendulum-q-values-behind-relu", "output@output", "keras-team/keras#5761, altered")
def _(rng):
    angle, speed = rng.uniform(-np.pi, np.pi, 600), rng.uniform(-4, 4, 600)
    state = np.stack([np.cos(angle), np.sin(angle), speed / 4], 1)
    cost = angle**2 + 0.1 * speed**2  # each reward is a cost with its sign turned
    pushes = np.array([-1.0, 0.0, 1.0])
    q = -cost[:, None] - 0.5 * pushes**2 - 0.6 * pushes * np.sin(angle)[:, None]

    def model(end):
        return mlp(3, (48, 48), 3, end)

    broken = Training(model("relu"), state, q, "huber", adam(0.003), explained(q), steps=600)
    return broken, broken.but(model=model("linear"))


class Sample(layers.Layer):
    """Draws around the mean, and adds the divergence from N(0, 1) to the loss."""

    def __init__(self, weight):
        super().__init__()
        self.weight, self.noise = weight, keras.random.SeedGenerator(3)

    def call(self, mean, log_var):
        """Returns a draw for each sample."""
        spread = ops.exp(0.5 * log_var)
        divergence = 0.5 * ops.sum(spread**2 + mean**2 - 1 - log_var, -1)
        self.add_loss(self.weight * ops.mean(divergence))
        return mean + spread * keras.random.normal(ops.shape(mean), seed=self.noise)


@program(
    "sensors-vae-crossentropy-of-standardized",
    "output@output, loss@loss, labels@targets",
    "keras-team/keras#12513, altered",
)
def _(rng):
    x = standardized(rng.standard_normal((500, 3)) @ rng.standard_normal((3, 20)))

    def model(end):
        given = Input((20,))
        h = Dense(48, "relu")(given)
        z = Sample(0.01)(Dense(4)(h), Dense(4)(h))
        return keras.Model(given, Dense(20, end)(Dense(48, "relu")(z)))

    broken = Training(model("sigmoid"), x, x, BCE, adam(0.003), explained(x), steps=500)
    return broken, broken.but(model=model(None), loss="mse")


@program("load-day-ahead-one-unit", "labels@targets, layers@output, output@output", "ours")
def _(rng):
    x, _ = series(rng, 450, 24)
    y = x[12:, :, 0][:, -12:]  # the coming twelve hours
    x = x[:-12, :, :]

    def model(units):
        inner = [layers.Conv1D(24, 5, activation="relu"), layers.Flatten(), Dense(32, "relu")]
        return net((24, 1), *inner, Dense(units))

    def right(made):
        return explained(y)(made + 0 * y)

    broken = Training(model(1), x, y, "mse", adam(0.003), right, steps=400)
    return broken, broken.but(model=model(12))
