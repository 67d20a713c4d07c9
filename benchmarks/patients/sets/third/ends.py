"""The end of the net, the loss and the labels."""

import keras
import numpy as np
from data import pictures, words
from keras import layers
from nets import BCE, CCE, SPARSE, adam, conv_blocks, net
from program import Program, Training, accuracy, explained, register

BROKEN: dict[str, Program] = {}
program = register(BROKEN, "Humbatova et al. 2020 (taxonomy)")

Dense, Input, Conv = layers.Dense, keras.Input, layers.Conv2D


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
