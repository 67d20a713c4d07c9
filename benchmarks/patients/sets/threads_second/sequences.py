"""More programs of real threads: texts, series and codes.

As those of `tables`: ported before `diagnose` was run on them, and trained.
"""

import keras
import numpy as np
from data import digits, one_hot, waves, words
from keras import layers, ops
from nets import BCE, CCE, adam, mlp, net
from program import Program, Training, accuracy, explained, register

BROKEN: dict[str, Program] = {}
program = register(BROKEN)

Dense, Conv1D, LSTM, Embedding = layers.Dense, layers.Conv1D, layers.LSTM, layers.Embedding


@program(
    "next-letter-by-one-softmax",
    "output@output, loss@loss, target scale@targets, labels@targets",
    "keras-team/keras#500",
)
def _(rng):
    letters = np.zeros(1020, int)
    follows = rng.permutation(20)
    for t in range(1, 1020):
        letters[t] = follows[letters[t - 1]] if rng.random() < 0.85 else rng.integers(0, 20)
    x = np.stack([letters[i : i + 10] for i in range(1000)])
    y = letters[10:1010]

    def model(units, end):
        return net((10, 20), LSTM(32), Dense(units, end))

    def right(made):
        made = made.argmax(-1) if made.shape[-1] > 1 else np.round(made[:, 0])
        return float((made == y).mean())

    broken = Training(model(1, "softmax"), one_hot(x, 20), y[:, None], "mse", "rmsprop", right)
    return broken, broken.but(
        model=model(20, "softmax"), y=one_hot(y, 20), loss=CCE, optimizer=adam(0.01)
    )


@program(
    "sentences-by-means-of-squares",
    "loss@loss, hidden activation@3, output@output, rate too low@optimizer",
    "keras-team/keras#1762",
)
def _(rng):
    kinds, y = words(rng, 500, 30, 300, 5)
    vectors = rng.standard_normal((300, 24))

    def model(hidden):
        inner = [Conv1D(32, 3, activation="relu"), layers.MaxPooling1D(2), layers.Flatten()]
        return net((30, 24), *inner, Dense(32, hidden), Dense(5, "softmax"))

    broken = Training(
        model(None), vectors[kinds], one_hot(y), "mse", "adadelta", accuracy(y), 32, 300
    )
    return broken, broken.but(model=model("relu"), loss=CCE, optimizer=adam(0.002))


@program("sixteen-actions-from-joints-in-pixels", "input@input", "keras-team/keras#8190")
def _(rng):
    x, y = waves(rng, 640, 24, 16)
    turns = rng.standard_normal((1, 12))
    x = 640 + 200 * (x * turns + 0.2 * rng.standard_normal((640, 24, 12)))

    def model():
        return net((24, 12), LSTM(48), Dense(16, "softmax"))

    broken = Training(model(), x, one_hot(y), CCE, adam(0.001), accuracy(y), 32, 600)
    return broken, broken.but(model=model(), x=(x - 640) / 200, optimizer=adam(0.005))


class Divergence(layers.Layer):
    """Draws a code of a mean and a logarithm of the variance, and adds what that costs.

    Args:
        weight: of the cost.
    """

    def __init__(self, weight, **options):
        super().__init__(**options)
        self.weight = weight
        self.noise = keras.random.SeedGenerator(0)

    def call(self, inputs):
        """Returns the code."""
        mean, log = inputs
        cost = -0.5 * ops.sum(1 + log - ops.square(mean) - ops.exp(log), -1)
        self.add_loss(self.weight * ops.mean(cost))
        drawn = keras.random.normal(ops.shape(mean), seed=self.noise)
        return mean + ops.exp(0.5 * log) * drawn


def variational(features, width, code, weight, end):
    """Returns a variational autoencoder of vectors."""
    inputs = keras.Input((features,))
    hidden = Dense(width, "relu")(inputs)
    drawn = Divergence(weight)([Dense(code)(hidden), Dense(code)(hidden)])
    return keras.Model(inputs, Dense(features, end)(Dense(width, "relu")(drawn)))


@program(
    "code-of-digits-for-a-mean-of-pixels", "loss@loss, regularization@loss", "keras-team/keras#3373"
)
def _(rng):
    x, _ = digits(rng, 600)
    x = x.reshape(600, 784) / 255

    def summed(y, made):
        return 784 * keras.losses.binary_crossentropy(y, made)

    broken = Training(
        variational(784, 64, 2, 1, "sigmoid"), x, x, BCE, "rmsprop", explained(x), 50, 500
    )
    repaired = broken.but(model=variational(784, 64, 8, 1, "sigmoid"), loss=summed)
    return broken, repaired.but(optimizer=adam(0.003))


@program(
    "frames-of-bytes-their-code-explodes",
    "input@input, target scale@targets, initialization@3, rate too high@optimizer, output@output",
    "AppliedDataSciencePartners/WorldModels#9",
)
def _(rng):
    x, _ = digits(rng, 400)
    x = x.reshape(400, 28, 28)[:, ::2, ::2].reshape(400, 196)
    broken = Training(
        variational(196, 64, 8, 1, None), x, x, "mse", "rmsprop", explained(x), 32, 400
    )
    repaired = broken.but(model=variational(196, 64, 8, 0.001, "sigmoid"), x=x / 255, y=x / 255)
    return broken, repaired.but(optimizer=adam(0.003), score=explained(x, 255))


def people(rng, n, kinds=8, features=24):
    """Returns vectors about the center of their kind, more noise along some, and the kinds."""
    y = rng.integers(0, kinds, n)
    noise = np.where(np.arange(features) < 4, 4.0, 0.5) * rng.standard_normal((n, features))
    return 0.5 * (rng.standard_normal((kinds, features))[y] + noise), y


def nearest(y):
    """Returns the score of codes: the share whose nearest neighbour is of the same kind."""

    def score(made):
        far = ((made[:, None] - made[None]) ** 2).sum(-1) + 1e9 * np.eye(len(made))
        return float((y[far.argmin(1)] == y).mean())

    return score


@program("first-three-samples-as-the-triplet", "loss@loss, gradient@loss", "keras-team/keras#8335")
def _(rng):
    anchors, y = people(rng, 400)
    same = np.array([rng.choice(np.flatnonzero(y == kind)) for kind in y])
    other = np.array([rng.choice(np.flatnonzero(y != kind)) for kind in y])
    x = [anchors, anchors[same], anchors[other]]

    def model():
        code = mlp(24, (32,), 8, None, "relu")
        inputs = [keras.Input((24,)) for _ in range(3)]
        return keras.Model(inputs, ops.stack([code(one) for one in inputs], 1))

    def first_three(y, made):
        near, far = ops.sum(ops.square(made[0] - made[1])), ops.sum(ops.square(made[0] - made[2]))
        return ops.maximum(near - far + 0.5, 0)

    def triplets(y, made):
        near = ops.sum(ops.square(made[:, 0] - made[:, 1]), -1)
        far = ops.sum(ops.square(made[:, 0] - made[:, 2]), -1)
        return ops.maximum(near - far + 0.5, 0)

    def closer(made):
        near, far = made[:, 0] - made[:, 1], made[:, 0] - made[:, 2]
        return float(((near**2).sum(-1) < (far**2).sum(-1)).mean())

    broken = Training(model(), x, np.zeros((400, 1)), first_three, adam(0.001), closer, 32, 200)
    return broken, broken.but(model=model(), loss=triplets, optimizer=adam(0.003))


@program(
    "speakers-all-in-one-point", "rate too high@optimizer", "omoindrot/tensorflow-triplet-loss#18"
)
def _(rng):
    x, y = people(rng, 320, 8, 24)

    def hardest(y, made):
        far = ops.sum(ops.square(made[:, None] - made[None]), -1)
        same = ops.cast(ops.equal(y, ops.transpose(y)), "float32")
        far = ops.sqrt(ops.maximum(far, 1e-12))
        return ops.relu(ops.max(far * same, 1) - ops.min(far + 1e6 * same, 1) + 0.5)

    def model():
        return mlp(24, (64,) * 6, 16)

    broken = Training(model(), x, y[:, None], hardest, adam(0.1), nearest(y), 32, 300)
    return broken, broken.but(model=model(), optimizer=adam(0.0005))


@program(
    "two-faces-behind-one-normalization",
    "layers@-2, gradient@-2, layers@-1",
    "keras-team/keras#12450",
)
def _(rng):
    faces, kinds = people(rng, 400)
    second = np.array(
        [rng.choice(np.flatnonzero((kinds == k) == (i % 2 == 0))) for i, k in enumerate(kinds)]
    )
    y = (np.arange(400) % 2 == 0).astype("float32")[:, None]

    def model(last):
        code = mlp(24, (32,), 16)
        pair = [keras.Input((24,)), keras.Input((24,))]
        gap = ops.abs(code(pair[0]) - code(pair[1]))
        return keras.Model(pair, Dense(1, "sigmoid")(last(gap)))

    frozen = layers.BatchNormalization(momentum=0.9999)
    broken = Training(
        model(frozen), [faces, faces[second]], y, BCE, adam(0.001), accuracy(y), 32, 300
    )
    return broken, broken.but(model=model(layers.Identity()), optimizer=adam(0.003))
