"""Third set written blind: the end of the net, the loss and the labels.

Written from reports, without a look at how `diagnose` decides and before its verdicts were seen.
Both sides of each program were trained; kept are those whose repair learns and ends clearly better.
"""

import keras
import numpy as np
from data import linear, one_hot, pictures, series, standardized, words
from keras import layers, ops
from nets import BCE, CCE, SPARSE, adam, conv_blocks, mlp, net
from program import Program, Training, accuracy, explained, register

THIRD_ENDS: dict[str, Program] = {}
program = register(THIRD_ENDS, "Humbatova et al. 2020 (taxonomy)")

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
    "bits-next-of-three-softmax-adagrad", "output@output, rate too low@optimizer", "SO 46620813"
)
def _(rng):
    bits = list(rng.integers(0, 2, 3))
    while len(bits) < 603:
        follows = (bits[-1] ^ bits[-3]) if rng.random() > 0.05 else rng.integers(0, 2)
        bits.append(int(follows))
    x = np.stack([bits[i : i + 3] for i in range(600)])[..., None]
    y = np.array(bits[3:])

    def model(end):
        return net((3, 1), layers.LSTM(16), Dense(1, end))

    broken = Training(model("softmax"), x, y, BCE, "adagrad", accuracy(y), steps=600)
    return broken, broken.but(model=model("sigmoid"), optimizer=adam(0.02))


def _discs(rng, n, size, kinds=1):
    """Returns noisy pictures with a bright disc, and the masks with the kind of the disc."""
    place, radius = rng.uniform(5, size - 5, (n, 2)), rng.uniform(3, 6, n)
    kind = rng.integers(1, kinds + 1, n)
    grid = np.arange(size)
    far = (grid[:, None] - place[:, :1, None]) ** 2 + (grid[None] - place[:, 1:, None]) ** 2
    mask = (far < radius[:, None, None] ** 2) * kind[:, None, None]
    x = 0.25 + 0.5 * mask / kinds + 0.1 * rng.standard_normal(mask.shape)
    return np.clip(x, 0, 1)[..., None], mask[..., None]


def _u_net(size, units, end):
    same = {"padding": "same", "activation": "relu"}
    image = Input((size, size, 1))
    fine = Conv(12, 3, **same)(image)
    h = Conv(24, 3, **same)(layers.MaxPooling2D()(fine))
    h = layers.Conv2DTranspose(12, 2, strides=2, **same)(h)
    h = Conv(12, 3, **same)(layers.Concatenate()([h, fine]))
    return keras.Model(image, Conv(units, 1, activation=end)(h))


def _overlap(mask):
    """Returns the score of a mask: Dice's."""
    mask = np.asarray(mask) > 0

    def score(made):
        made = made[..., 1:].sum(-1, keepdims=True) > 0.5 if made.shape[-1] > 1 else made > 0.5
        return float(2 * (made & mask).sum() / (made.sum() + mask.sum() + 1e-9))

    return score


@program(
    "nerve-mask-softmax-over-one-channel",
    "output@output, loss@loss",
    "jocicmarko/ultrasound-nerve-segmentation#18",
)
def _(rng):
    x, mask = _discs(rng, 160, 24)

    def model(end):
        inner = _u_net(24, 1, "linear")
        flat = layers.Reshape((576, 1))(inner.output)
        return keras.Model(inner.input, layers.Activation(end)(flat))

    flat = mask.reshape(-1, 576, 1).astype("float32")
    broken = Training(model("softmax"), x, flat, CCE, adam(0.003), _overlap(flat), 16, 250)
    return broken, broken.but(model=model("sigmoid"), loss=BCE)


@program(
    "organs-three-numbers-one-sigmoid-channel",
    "labels@targets, output@output, loss@loss",
    "divamgupta/image-segmentation-keras#131, altered",
)
def _(rng):
    x, mask = _discs(rng, 160, 24, kinds=2)

    def right(made):
        made = made.argmax(-1) if made.shape[-1] > 1 else np.round(made[..., 0])
        hits = [(made == kind)[mask[..., 0] == kind].mean() for kind in range(3)]
        return float(np.mean(hits))

    broken = Training(_u_net(24, 1, "sigmoid"), x, mask, BCE, adam(0.01), right, 16, 400)
    return broken, broken.but(model=_u_net(24, 3, "softmax"), loss=SPARSE)


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


@program("reviews-minus-one-to-one-sigmoid", "output@output, labels@targets", "ours")
def _(rng):
    x, topic = words(rng, 500, 20, 800, 3)
    feeling = topic - 1.0

    def model(end):
        inner = [layers.Embedding(800, 24), layers.Bidirectional(layers.GRU(16))]
        return net((20,), *inner, Dense(1, end))

    broken = Training(model("sigmoid"), x, feeling, "mse", adam(0.005), explained(feeling))
    broken = broken.but(steps=300)
    return broken, broken.but(model=model("tanh"))


@program("scenes-of-five-labels-relu-end", "output@output", "keras-team/keras#741, altered")
def _(rng):
    x, _ = pictures(rng, 300, 20, 3, 6)
    part = np.concatenate([x[:, :10].mean((1, 2)), x[:, 10:, :, :2].mean((1, 2))], -1)
    y = (part > np.median(part, 0)).astype("float32")

    def model(end):
        inner = [*conv_blocks([16, 24]), layers.Flatten(), Dense(48, "relu")]
        return net((20, 20, 3), *inner, Dense(5, end))

    broken = Training(model("relu"), x, y, BCE, adam(0.002), accuracy(y), steps=300)
    return broken, broken.but(model=model("sigmoid"))


@program(
    "entities-tags-from-one", "labels@targets, output@output", "keras-team/keras#1539, altered"
)
def _(rng):
    x, _ = words(rng, 400, 14, 60, 2)
    tags = 1 + (x % 5 + np.roll(x, 1, 1) % 2) % 5  # the words before count as well

    def model(units):
        recurrent = layers.Bidirectional(layers.LSTM(24, return_sequences=True))
        end = layers.TimeDistributed(Dense(units, "softmax"))
        return net((14,), layers.Embedding(60, 24), recurrent, end)

    def right(made):
        return float((made.argmax(-1) == tags).mean())

    broken = Training(model(5), x, tags, SPARSE, adam(0.01), right, steps=350)
    return broken, broken.but(model=model(6))


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
