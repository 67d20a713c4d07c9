"""Weights, axes, normalization, statistics and shapes."""

import keras
import numpy as np
from data import blobs, moons, pictures, standardized, words
from keras import layers, ops
from nets import BCE, SPARSE, adam, mlp, net
from program import Program, Training, accuracy, explained, register

BROKEN: dict[str, Program] = {}
program = register(BROKEN, "Humbatova et al. 2020 (taxonomy)")

Dense, Input, Conv = layers.Dense, keras.Input, layers.Conv2D


def _balanced(y):
    """Returns the mean of the two classes' accuracies."""

    def score(made):
        hit = (made.reshape(-1) > 0.5) == y
        return float((hit[y == 0].mean() + hit[y == 1].mean()) / 2)

    return score


@program("defaults-class-weights-turned-round", "loss@loss", "keras-team/keras#4246, altered")
def _(rng):
    x, y = blobs(rng, 1200, 12, 2)
    keep = (y == 0) | (rng.random(1200) < 0.15)
    x, y = x[keep], y[keep]
    share = y.mean()
    common, rare = 1 / (2 * (1 - share)), 1 / (2 * share)

    def model():
        return mlp(12, (32, 16), 1, "sigmoid")

    broken = Training(model(), x, y, BCE, adam(0.002), _balanced(y), steps=150)
    broken = broken.but(weights={"class_weight": {0: 10 * rare, 1: common / 10}})
    return broken, broken.but(model=model(), weights={"class_weight": {0: common, 1: rare}})


@program("plants-batch-norm-momentum-four-nines", "layers@1, layers@5", "ours")
def _(rng):
    x, y = pictures(rng, 300, 20, 3, 5)

    def model(momentum):
        inner = []
        for filters in (16, 24):
            inner += [Conv(filters, 3), layers.BatchNormalization(momentum=momentum)]
            inner += [layers.ReLU(), layers.MaxPooling2D()]
        return net((20, 20, 3), *inner, layers.Flatten(), Dense(5, "softmax"))

    bytes_ = 255 * x
    broken = Training(model(0.9999), bytes_, y, SPARSE, adam(0.002), accuracy(y), steps=200)
    return broken, broken.but(model=model(0.9))


@program("summaries-encoder-rate-of-1e-6", "rate too low@optimizer", "ours")
def _(rng):
    x, y = words(rng, 400, 20, 600, 4)

    def model():
        tokens = Input((20,), dtype="int32")
        h = layers.Embedding(600, 32)(tokens)
        a = layers.MultiHeadAttention(4, 8)(layers.LayerNormalization()(h), h)
        h = h + a
        h = h + Dense(32)(Dense(64, "gelu")(layers.LayerNormalization()(h)))
        h = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(h))
        return keras.Model(tokens, Dense(4, "softmax")(h))

    slow = keras.optimizers.AdamW(1e-6, weight_decay=0.01)
    broken = Training(model(), x, y, SPARSE, slow, accuracy(y), steps=350)
    return broken, broken.but(model=model(), optimizer=keras.optimizers.AdamW(0.002))


@program("moons-rmsprop-rate-of-a-half", "rate too high@optimizer", "ours")
def _(rng):
    x, y = moons(rng, 500)

    def model():
        return mlp(2, (48, 48, 24), 1, "sigmoid")

    fast = keras.optimizers.RMSprop(0.5)
    broken = Training(model(), x, y, BCE, fast, accuracy(y), steps=400)
    return broken, broken.but(model=model(), optimizer=keras.optimizers.RMSprop(0.003))


class Residual(keras.Model):
    """A residual perceptron whose branches start with a given initializer."""

    def __init__(self, units, depth, start):
        super().__init__()
        self.first = Dense(units)
        self.branches = [
            keras.Sequential([Dense(units, "relu", kernel_initializer=start), Dense(units)])
            for _ in range(depth)
        ]
        self.end = Dense(1)

    def call(self, x):
        """Returns one number for each sample."""
        h = self.first(x)
        for branch in self.branches:
            h = h + branch(h)
        return self.end(h)


@program("strengths-residual-branches-of-normal-one", "initialization@1, initialization@2", "ours")
def _(rng):
    x = rng.standard_normal((500, 8))
    y = standardized(np.sin(x[:, 0]) + x[:, 1] * x[:, 2] + 0.5 * x[:, 3])

    def model(start):
        return Residual(48, 5, start)

    wide = keras.initializers.RandomNormal(stddev=1.0, seed=None)
    broken = Training(model(wide), x, y, "mse", adam(0.002), explained(y), steps=400)
    return broken, broken.but(model=model("he_normal"))


@program(
    "stores-log-error-of-a-linear-end",
    "output@output, loss@loss, gradient@loss",
    "ours",
)
def _(rng):
    x = rng.standard_normal((500, 8))
    y = np.round(np.exp(1 + 0.7 * x[:, 0] + 0.4 * np.sin(2 * x[:, 1])))

    def log_error(truth, made):
        return ops.sqrt(ops.mean((ops.log1p(made) - ops.log1p(truth)) ** 2))

    def score(made):
        with np.errstate(invalid="ignore"):
            return explained(np.log1p(y))(np.log1p(np.maximum(made, 0)))

    def model(end):
        return mlp(8, (48, 24), 1, end, kernel_initializer="he_normal")

    broken = Training(model(None), x, y[:, None], log_error, adam(0.003), score, steps=500)
    return broken, broken.but(model=model("softplus"))


@program("boxes-overlap-loss-of-rounded-corners", "gradient@loss, loss@loss", "ours")
def _(rng):
    n, size = 300, 20
    corner, side = rng.uniform(1, 9, (n, 2)), rng.uniform(5, 10, (n, 1))
    grid = np.arange(size)
    inside = [(grid >= c[:, None]) & (grid < (c + side[:, 0])[:, None]) for c in corner.T]
    x = (inside[0][:, :, None] & inside[1][:, None, :])[..., None] * 0.7
    x = x + 0.1 * rng.standard_normal((n, size, size, 1))
    y = np.concatenate([corner, corner + side], 1) / size

    def overlap(corners):
        def loss(truth, made):
            made = corners(made)
            low = ops.maximum(truth[:, :2], made[:, :2])
            high = ops.minimum(truth[:, 2:], made[:, 2:])
            common = ops.prod(ops.maximum(high - low, 0.0), -1)
            first = ops.prod(truth[:, 2:] - truth[:, :2], -1)
            second = ops.prod(ops.maximum(made[:, 2:] - made[:, :2], 1e-3), -1)
            return 1 - common / (first + second - common) + ops.mean(ops.abs(truth - made), -1)

        return loss

    def pixels(made):
        return ops.round(size * made) / size

    def model():
        inner = [Conv(16, 3, activation="relu"), layers.MaxPooling2D(), layers.Flatten()]
        return net((size, size, 1), *inner, Dense(48, "relu"), Dense(4, "sigmoid"))

    broken = Training(model(), x, y, overlap(pixels), adam(0.003), explained(y), steps=300)
    return broken, broken.but(model=model(), loss=overlap(lambda made: made))


@program("machines-error-codes-as-classes", "labels@targets", "ours")
def _(rng):
    x, y = blobs(rng, 500, 10, 4)
    codes = np.array([3, 17, 42, 96])[y]  # error codes as the machine prints them

    def model(units):
        return mlp(10, (48, 24), units, "softmax")

    broken = Training(model(4), x, codes, SPARSE, adam(0.005), accuracy(codes), steps=300)
    return broken, broken.but(model=model(4), y=y, score=accuracy(y))


@program(
    "tickets-two-layers-from-zero",
    "initialization@1, initialization@2, gradient@0, gradient@1",
    "ours",
)
def _(rng):
    x, y = blobs(rng, 500, 12, 3)

    def model(start):
        inner = [Dense(48, "relu"), Dense(32, "relu", kernel_initializer=start)]
        return net((12,), *inner, Dense(3, "softmax", kernel_initializer=start))

    broken = Training(model("zeros"), x, y, SPARSE, adam(0.003), accuracy(y), steps=300)
    return broken, broken.but(model=model("he_normal"))
