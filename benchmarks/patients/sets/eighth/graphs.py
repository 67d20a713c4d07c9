"""Graphs and sets of neighbours."""

import keras
import numpy as np
from data import standardized
from keras import layers, ops
from nets import SPARSE, adam
from program import Program, Training, accuracy, register

BROKEN: dict[str, Program] = {}
program = register(BROKEN, "ours")

Dense, Input = layers.Dense, keras.Input


def _graph(rng, n=30, reach=0.12):
    place = rng.random((n, 2))
    return (((place[:, None] - place) ** 2).sum(-1) < reach).astype("float32")


def _told(rng, near, graphs, classes=3):
    """Returns features of nodes and classes that the sums of neighbours decide."""
    x = rng.standard_normal((graphs, len(near), 4))
    around = np.einsum("ij,gjf->gif", near / near.sum(1, keepdims=True), x)
    y = standardized(around[..., :classes].reshape(-1, classes)).reshape(graphs, -1, classes)
    return x, y.argmax(-1)


def _passing(near, depth, units=24, skip=False):
    given = Input((len(near), 4))
    h = Dense(units, "relu")(given)
    for _ in range(depth):
        mixed = Dense(units, "relu", kernel_initializer="he_normal")(ops.matmul(near, h))
        h = h + mixed if skip else mixed
    return keras.Model(given, Dense(3, "softmax")(h))


def _every(layers):
    return ", ".join(f"initialization@{i}, gradient@{i}" for i in range(1, layers))


@program(
    "papers-neighbors-summed-and-never-divided",
    _every(7) + ", rate too high@optimizer",
    "threads on graph convolutions and normalization",
)
def _(rng):
    near = _graph(rng, 30, 0.3)
    x, y = _told(rng, near, 200)
    mean = near / near.sum(1, keepdims=True)
    broken = Training(_passing(near, 4, skip=True), x, y, SPARSE, adam(0.003), accuracy(y), 16, 400)
    return broken, broken.but(model=_passing(mean, 4, skip=True))


@program("stations-smoothed-by-fourteen-layers", _every(17), "threads on over-smoothing")
def _(rng):
    near = _graph(rng, 24, 0.2)
    x, y = _told(rng, near, 240)
    mean = near / near.sum(1, keepdims=True)
    broken = Training(_passing(mean, 14), x, y, SPARSE, adam(0.003), accuracy(y), 16, 300)
    return broken, broken.but(model=_passing(mean, 1))


class Neighbors(layers.Layer):
    """Attention over the neighbours in a graph; others get `low` in place of a score."""

    def __init__(self, near, units, low):
        super().__init__()
        self.near, self.low = near, low
        self.parts = [Dense(units) for _ in range(3)]

    def call(self, h):
        """Returns what the neighbours say."""
        query, key, value = [part(h) for part in self.parts]
        scores = ops.matmul(query, ops.transpose(key, (0, 2, 1)))
        scores = ops.where(self.near > 0, scores, self.low)
        return ops.matmul(ops.softmax(scores), value)


@program(
    "friends-attention-over-no-neighbors",
    "gradient@1, gradient@2, gradient@3, initialization@1, layers@1, layers@2, input@2",
    "threads on softmax over masked rows",
)
def _(rng):
    near = _graph(rng, 24, 0.02) - np.eye(24, dtype="float32")
    x = rng.standard_normal((240, 24, 4))
    y = (x[..., 0] + np.abs(x[..., 1]) > 0.8).astype(int)

    def model(low):
        given = Input((24, 4))
        h = Dense(24, "relu")(given)
        h = layers.Concatenate()([h, Neighbors(near, 16, low)(h)])
        return keras.Model(given, Dense(2, "softmax")(Dense(24, "relu")(h)))

    broken = Training(model(-np.inf), x, y, SPARSE, adam(0.003), accuracy(y), 16, 250)
    return broken, broken.but(model=model(-1e9))


@program(
    "molecules-sum-of-atoms-behind-a-softmax-of-one",
    "output@output, output@-1, hidden activation@-2",
)
def _(rng):
    atoms = rng.integers(4, 20, 400)
    x = rng.standard_normal((400, 20, 5)) * (np.arange(20) < atoms[:, None])[..., None]
    y = (np.abs(x[..., 0]).sum(1) > 8).astype(int)

    def model(units, end):
        given = Input((20, 5))
        h = ops.sum(Dense(32, "relu", use_bias=False)(given), 1)
        return keras.Model(given, Dense(units, end)(layers.LayerNormalization()(h) + 0.1 * h))

    broken = Training(
        model(1, "softmax"), x, y[:, None], "binary_crossentropy", adam(0.01), accuracy(y[:, None])
    )
    broken = broken.but(steps=300)
    return broken, broken.but(model=model(1, "sigmoid"))
