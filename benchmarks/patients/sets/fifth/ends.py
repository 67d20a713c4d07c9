"""The end of the net, the loss and the labels, as people post them."""

import keras
import numpy as np
from data import blobs, pictures, series, standardized, waves
from keras import layers, ops
from nets import BCE, CCE, SPARSE, adam, conv_blocks, mlp, net
from program import Program, Training, accuracy, explained, register

BROKEN: dict[str, Program] = {}
program = register(BROKEN, "ours")

Dense, Input, Conv = layers.Dense, keras.Input, layers.Conv2D


def _balanced(labels):
    """Returns the score of a yes or no: the mean of both classes' hits."""
    labels = np.asarray(labels)

    def score(made):
        made = made.reshape(labels.shape) > 0.5
        return float((made[labels == 1].mean() + (~made)[labels == 0].mean()) / 2)

    return score


@program("rooms-depth-in-meters-behind-a-sigmoid", "output@output")
def _(rng):
    x, _ = pictures(rng, 160, 20, 3, 4)
    depth = 1 + 8 * np.clip(x.mean(-1, keepdims=True) + 0.5 * x[..., :1] - 0.4, 0, 1)

    def model(end):
        same = {"padding": "same", "activation": "relu"}
        inner = [Conv(12, 3, strides=2, **same), Conv(24, 3, **same)]
        inner += [layers.Conv2DTranspose(12, 3, strides=2, **same)]
        return net((20, 20, 3), *inner, Conv(1, 3, padding="same", activation=end))

    broken = Training(model("sigmoid"), x, depth, "mae", adam(0.003), explained(depth), 16, 300)
    return broken, broken.but(model=model("linear"))


@program("birds-several-at-once-sigmoids-categorical-loss", "loss@loss, output@output")
def _(rng):
    calls = rng.standard_normal((12, 20))
    y = (rng.random((500, 12)) < 0.2).astype("float32")
    y[np.arange(500), rng.integers(0, 12, 500)] = 1
    x = y @ calls + 0.5 * rng.standard_normal((500, 20))

    def model():
        return mlp(20, (64, 32), 12, "sigmoid")

    broken = Training(model(), standardized(x), y, CCE, adam(0.003), _balanced(y), steps=400)
    return broken, broken.but(model=model(), loss=BCE)


@program("chests-findings-unsure-as-minus-one", "labels@targets", "CheXpert: uncertain labels")
def _(rng):
    x, _ = pictures(rng, 240, 20, 1, 4)
    cells = x.reshape(240, 2, 10, 2, 10).mean((2, 4)).reshape(240, 4)
    truth = (cells > np.median(cells, 0)).astype("float32")
    noted = np.where(rng.random(truth.shape) < 0.45, -1.0, truth).astype("float32")

    def model():
        return net(
            (20, 20, 1), *conv_blocks([12, 24]), layers.Flatten(), Dense(32, "relu"), Dense(4)
        )

    def right(made):
        return float(((made > 0) == truth).mean())

    def noted_alone(y, made):
        each = ops.binary_crossentropy(ops.maximum(y, 0.0), made, from_logits=True)
        return ops.mean(ops.where(y < 0, 0.0, each), -1)

    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    broken = Training(model(), x, noted, loss, adam(0.003), right, 16, 300)
    return broken, broken.but(model=model(), loss=noted_alone)


@program("grades-scaled-along-with-the-columns", "labels@targets")
def _(rng):
    x, y = blobs(rng, 500, 9, 5)
    table = standardized(np.concatenate([x, y[:, None]], 1))  # the grade is a column like others

    def model():
        inner = [Dense(32, "relu"), layers.Dropout(0.2), Dense(16, "relu")]
        return net((9,), *inner, Dense(5, "softmax"))

    broken = Training(model(), table[:, :9], table[:, 9], SPARSE, adam(0.003), accuracy(y), 25, 400)
    return broken, broken.but(model=model(), y=y)


@program("pets-outlines-one-two-three", "labels@targets, output@output", "TensorFlow tutorials")
def _(rng):
    place, radius = rng.uniform(7, 17, (150, 2)), rng.uniform(4, 6, 150)
    grid = np.arange(24)
    far = (
        np.hypot(grid[:, None] - place[:, :1, None], (grid[None] - place[:, 1:, None]))
        - radius[:, None, None]
    )
    part = np.where(far < -1, 1, np.where(far > 1, 2, 3))[..., None]  # pet, ground, outline
    x = np.clip(0.7 - 0.1 * far[..., None] + 0.1 * rng.standard_normal(part.shape), 0, 1)

    def model():
        same = {"padding": "same", "activation": "relu"}
        image = Input((24, 24, 1))
        fine = Conv(12, 3, **same)(image)
        h = layers.UpSampling2D()(Conv(24, 3, strides=2, **same)(fine))
        h = Conv(16, 3, **same)(layers.Concatenate()([h, fine]))
        return keras.Model(image, Conv(3, 1)(h))

    def right(goal):
        return lambda made: float((made.argmax(-1)[..., None] == goal).mean())

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    broken = Training(model(), x, part, loss, adam(0.003), right(part), 16, 250)
    return broken, broken.but(model=model(), y=part - 1, score=right(part - 1))


@program("defects-own-focal-loss-on-a-linear-end", "output@output, loss@loss")
def _(rng):
    x, y = pictures(rng, 240, 20, 1, 2)

    def focal(truth, made):
        hit = truth * made + (1 - truth) * (1 - made)
        return -ops.mean((1 - hit) ** 2 * ops.log(hit + 1e-7), -1)

    def model(end):
        return net((20, 20, 1), *conv_blocks([12, 16]), layers.Flatten(), Dense(1, end))

    goal = y[:, None].astype("float32")
    broken = Training(model(None), x, goal, focal, adam(0.003), accuracy(y), 16, 250)
    return broken, broken.but(model=model("sigmoid"))


@program("energy-share-explained-as-loss", "loss@loss")
def _(rng):
    x = rng.standard_normal((500, 8))
    y = standardized(x[:, 0] * x[:, 1] + np.abs(x[:, 2]) + x[:, 3])

    def share(truth, made):
        rest = ops.sum(ops.square(truth - made))
        return 1 - rest / (ops.sum(ops.square(truth - ops.mean(truth))) + 1e-7)

    def unexplained(truth, made):
        return 1 - share(truth, made)

    def model():
        return mlp(8, (48, 24), 1)

    broken = Training(model(), x, y[:, None], share, adam(0.003), explained(y), 50, 500)
    return broken, broken.but(model=model(), loss=unexplained)


@program("load-percentage-error-of-standardized", "loss@loss")
def _(rng):
    x, y = series(rng, 450, 20)

    def model():
        return net((20, 1), layers.GRU(24), Dense(1))

    broken = Training(model(), x, standardized(y), "mape", adam(0.005), explained(standardized(y)))
    broken = broken.but(steps=300)
    return broken, broken.but(model=model(), loss="mae")


def _pairs(rng, n, size):
    """Returns signatures of twelve writers, two by two, and whether both are of one writer."""
    styles = rng.standard_normal((12, size))
    first = rng.integers(0, 12, n)
    same = rng.integers(0, 2, n)
    second = np.where(same == 1, first, (first + rng.integers(1, 12, n)) % 12)
    drawn = [styles[who] + 0.6 * rng.standard_normal((n, size)) for who in (first, second)]
    return drawn, same


def _distance(size, inner):
    """Returns a net of two branches that share weights, and their distance."""
    encoder = net((size,), *inner)
    two = [Input((size,)), Input((size,))]
    gap = layers.Subtract()([encoder(one) for one in two])
    far = ops.sqrt(ops.sum(ops.square(gap), -1, keepdims=True) + 1e-6)
    return keras.Model(two, far)


@program("signatures-contrastive-labels-turned-round", "loss@loss, labels@targets", "DS.SE 45629")
def _(rng):
    drawn, same = _pairs(rng, 500, 24)

    def contrastive(other, far):
        apart = ops.square(ops.maximum(1.5 - far, 0.0))
        return ops.mean((1 - other) * ops.square(far) + other * apart, -1)

    def model():
        return _distance(24, [Dense(48, "relu"), Dense(8)])

    def right(made):
        return float(((made[:, 0] < 0.75) == (same == 1)).mean())

    alike = same[:, None].astype("float32")
    broken = Training(model(), drawn, alike, contrastive, adam(0.003), right, steps=300)
    return broken, broken.but(model=model(), y=1 - alike)


@program("payments-fraud-of-three-percent", "labels@targets, loss@loss")
def _(rng):
    fraud = (rng.random(900) < 0.03).astype("float32")
    x = rng.standard_normal((900, 12))
    x[:, :4] += 1.0 * fraud[:, None]

    def model():
        inner = [Dense(8, "relu"), layers.Dropout(0.5)]
        return net((12,), *inner, Dense(1, "sigmoid"))

    broken = Training(model(), x, fraud[:, None], BCE, adam(0.002), _balanced(fraud), steps=300)
    return broken, broken.but(model=model(), weights={"class_weight": {0: 1.0, 1: 32.0}})


@program("roads-cracks-of-one-pixel-in-fifty", "labels@targets, loss@loss")
def _(rng):
    mask = np.zeros((120, 24, 24, 1), "float32")
    for one in mask:
        row, slope = rng.integers(6, 18), rng.choice([-1, 0, 1])
        for column in range(8, 20):
            one[np.clip(row + slope * (column - 14) // 3, 0, 23), column] = 1
    x = 0.5 - 0.18 * mask + 0.13 * rng.standard_normal(mask.shape)

    def dice(truth, made):
        both, all_ = ops.sum(truth * made), ops.sum(truth) + ops.sum(made)
        return 1 - (2 * both + 1) / (all_ + 1)

    def model():
        same = {"padding": "same", "activation": "relu"}
        return net(
            (24, 24, 1), Conv(12, 3, **same), Conv(12, 3, **same), Conv(1, 1, activation="sigmoid")
        )

    def overlap(made):
        made = made > 0.5
        return float(2 * (made * mask).sum() / (made.sum() + mask.sum()))

    broken = Training(model(), x, mask, BCE, adam(0.003), overlap, 16, 150)
    return broken, broken.but(model=model(), loss=dice)


@program("discriminator-tanh-end-zeros-and-ones", "output@output")
def _(rng):
    real, _ = pictures(rng, 160, 16, 1, 3, noise=0.03)
    fake = np.clip(real.mean() + 0.25 * rng.standard_normal(real.shape), 0, 1)
    x = 2 * np.concatenate([real, fake]) - 1
    y = np.repeat([0, 1], 160)
    order = rng.permutation(320)

    def model(end):
        inner = []
        for filters in (12, 24):
            inner += [Conv(filters, 4, strides=2, padding="same"), layers.LeakyReLU(0.2)]
        return net((16, 16, 1), *inner, layers.Flatten(), layers.Dropout(0.3), Dense(1, end))

    slow = adam(0.0002, beta_1=0.5)
    broken = Training(model("tanh"), x[order], y[order], BCE, slow, accuracy(y[order]), steps=300)
    return broken, broken.but(model=model("sigmoid"))


@program("phonemes-frames-none-of-which-is-silence", "labels@targets, output@output")
def _(rng):
    x, kind = waves(rng, 300, 48, 6)
    frames = x.reshape(300, 6, 8)
    named = 10 * (1 + kind)  # codes of a table: 10, 20 ... 60

    def model(units):
        return net((6, 8), layers.Conv1D(24, 3, activation="relu"), layers.GRU(24), Dense(units))

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    broken = Training(model(6), frames, named, loss, adam(0.005), accuracy(named), steps=300)
    return broken, broken.but(model=model(6), y=kind, score=accuracy(kind))
