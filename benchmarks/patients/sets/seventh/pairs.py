"""Tastes, pairs, actions and equations."""

import keras
import numpy as np
from data import blobs, one_hot, standardized
from keras import layers, ops
from nets import adam, mlp
from program import Program, Training, explained, register

from sets.seventh.common import measured

BROKEN: dict[str, Program] = {}
program = register(BROKEN, "ours")

Dense, Input = layers.Dense, keras.Input


def _chain(inner):
    """Returns what applies layers one after another."""

    def u(x):
        for layer in inner:
            x = layer(x)
        return x

    return u


def _ratings(rng, n, people, things):
    """Returns who rates what, and how high: of two factors."""
    who, what = rng.integers(0, people, n), rng.integers(0, things, n)
    taste, theme = rng.standard_normal((people, 2)), rng.standard_normal((things, 2))
    return [who[:, None], what[:, None]], (taste[who] * theme[what]).sum(1)


@program("films-cosine-for-stars", "output@output", "SO: Dot(normalize=True)")
def _(rng):
    x, liking = _ratings(rng, 1200, 30, 25)
    stars = np.clip(np.round(3 + 1.2 * liking), 1, 5)

    def model(normalized, *end):
        two = [Input((1,), dtype="int32"), Input((1,), dtype="int32")]
        codes = [layers.Embedding(n, 8)(one) for n, one in zip((30, 25), two, strict=True)]
        made = layers.Flatten()(layers.Dot(-1, normalize=normalized)(codes))
        for layer in end:
            made = layer(made)
        return keras.Model(two, made)

    broken = Training(model(True), x, stars[:, None], "mse", adam(0.01), explained(stars))
    return broken, broken.but(model=model(False, Dense(8, "relu"), Dense(1)))


@program(
    "songs-cosines-times-the-temperature",
    "output@output, layers@-1, loss@loss",
    "tensorflow/recommenders#633, altered",
)
def _(rng):
    x, y = blobs(rng, 700, 16, 30, 16)

    def model(temperature):
        given = Input((16,))
        h = layers.UnitNormalization()(Dense(24)(Dense(64, "relu")(given)))
        item = Dense(30, use_bias=False, kernel_constraint=keras.constraints.UnitNorm())
        return keras.Model(given, temperature * item(h))

    def likely(truth, made):
        shares = np.exp(made - made.max(-1, keepdims=True))
        return (shares / shares.sum(-1, keepdims=True))[np.arange(len(truth)), truth].mean()

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    score = measured(y, likely)
    broken = Training(model(0.05), standardized(x), y, loss, adam(0.003), score, steps=600)
    return broken, broken.but(model=model(20.0))


@program("clubs-factors-penalized-to-nothing", "regularization@loss", "forum")
def _(rng):
    x, liking = _ratings(rng, 1500, 30, 25)
    y = standardized(liking)

    def model(penalty):
        two = [Input((1,), dtype="int32"), Input((1,), dtype="int32")]
        start = keras.initializers.RandomNormal(stddev=0.3)
        codes = []
        for n, one in zip((30, 25), two, strict=True):
            options = {"embeddings_regularizer": keras.regularizers.L2(penalty)}
            codes.append(layers.Embedding(n, 6, embeddings_initializer=start, **options)(one))
        return keras.Model(two, layers.Flatten()(layers.Dot(-1)(codes)))

    broken = Training(model(0.1), x, y[:, None], "mse", adam(0.01), explained(y))
    return broken, broken.but(model=model(1e-5))


def _pairs(rng, n, kinds, features):
    """Returns two samples each, and whether they are of one kind."""
    center = 1.5 * rng.standard_normal((kinds, features))
    one = rng.integers(0, kinds, n)
    same = rng.integers(0, 2, n)
    other = np.where(same == 1, one, (one + rng.integers(1, kinds, n)) % kinds)
    return [center[k] + 0.5 * rng.standard_normal((n, features)) for k in (one, other)], same


def _contrastive(alike, far):
    apart = ops.square(ops.maximum(1.0 - far, 0.0))
    return ops.mean(alike * ops.square(far) + (1 - alike) * apart, -1)


@program(
    "speakers-normalized-over-the-whole-batch",
    "layers@4, gradient@4, output@output",
    "forum: l2_normalize without an axis",
)
def _(rng):
    x, same = _pairs(rng, 600, 8, 16)

    def model(axis):
        def unit(h):
            return h / ops.sqrt(ops.sum(ops.square(h), axis, keepdims=True) + 1e-9)

        coder = _chain([Dense(48, "relu"), Dense(12), layers.Lambda(unit)])
        two = [Input((16,)), Input((16,))]
        gap = layers.Subtract()([coder(one) for one in two])
        return keras.Model(two, ops.sqrt(ops.sum(ops.square(gap), -1, keepdims=True) + 1e-6))

    def right(truth, made):
        return ((made[:, 0] < 0.5) == (truth == 1)).mean()

    y = same[:, None].astype("float32")
    broken = Training(model(None), x, y, _contrastive, adam(0.003), measured(same, right), 32, 400)
    return broken, broken.but(model=model(-1))


@program(
    "mazes-actions-not-taken-taught-zero",
    "labels@targets, loss@loss, target scale@targets",
    "kuz/DeepMind-Atari-Deep-Q-Learner#22",
)
def _(rng):
    x = rng.standard_normal((900, 6))
    values = 3 + np.stack([np.tanh(x[:, i]) + x[:, i + 1] for i in range(4)], 1)
    taken = one_hot(rng.integers(0, 4, 900), 4)

    def of_taken(y, made):
        known = ops.cast(ops.not_equal(y, 0), made.dtype)
        return ops.sum(known * ops.square(y - made), -1)

    def model():
        return mlp(6, (64, 32), 4)

    broken = Training(model(), x, taken * values, "mse", adam(0.003), explained(values), steps=500)
    return broken, broken.but(model=model(), loss=of_taken)


@program(
    "carts-observations-divided-by-their-limits", "input@input", "forum: observation_space.high"
)
def _(rng):
    limit = np.array([4.8, 3.4e38, 0.418, 3.4e38])
    x = rng.standard_normal((700, 4)) * [1.5, 1.0, 0.1, 1.2]
    values = np.stack([x[:, 1] + 2 * x[:, 3], np.abs(x[:, 3]) - x[:, 1]], 1)

    def model():
        return mlp(4, (48, 48), 2)

    scaled = (x / limit).astype("float32")
    broken = Training(model(), scaled, values, "huber", adam(0.003), explained(values), steps=500)
    return broken, broken.but(model=model(), x=standardized(x))


@program("lakes-number-of-the-square-as-it-is", "input@input", "SO: FrozenLake and a net")
def _(rng):
    square = rng.integers(0, 64, 900)
    values = rng.standard_normal((64, 4))[square]

    def model(features):
        return mlp(features, (64, 32), 4)

    given = square[:, None].astype("float32")
    broken = Training(model(1), given, values, "mse", adam(0.003), explained(values), steps=600)
    return broken, broken.but(model=model(64), x=one_hot(square, 64))


@program(
    "strings-bent-by-relu",
    "hidden activation@1, gradient@1, hidden activation@2, gradient@2, hidden activation@3",
    "lululxvi/deepxde#80",
)
def _(rng):
    x = rng.random((400, 1))
    truth = np.sin(np.pi * x[:, 0])

    def model(hidden):
        given = Input((1,))
        u = _chain([Dense(32, hidden), Dense(32, hidden), Dense(1)])
        h = 0.002
        bend = (u(given + h) - 2 * u(given) + u(given - h)) / h**2
        ends = ops.concatenate([u(0 * given), u(0 * given + 1)], -1)
        return keras.Model(given, [u(given), bend / 10, ends])

    y = [truth[:, None], -(np.pi**2) / 10 * truth[:, None], np.zeros((400, 2))]
    score = explained(truth)
    broken = Training(model("relu"), x, y, [None, "mse", "mse"], adam(0.003), score, steps=800)
    return broken, broken.but(model=model("tanh"))


@program("coffee-cooling-in-seconds", "input@input", "forum: PINN, scale the time")
def _(rng):
    t = 36000 * rng.random((400, 1))
    truth = np.exp(-t[:, 0] / 9000)

    def model(life):
        given = Input((1,))
        u = _chain([Dense(32, "tanh"), Dense(32, "tanh"), Dense(1)])
        h = 0.02 * life
        rest = life * (u(given + h) - u(given - h)) / (2 * h) + u(given)
        return keras.Model(given, [u(given), rest, u(0 * given)])

    y = [truth[:, None], np.zeros((400, 1)), np.ones((400, 1))]
    score = explained(truth)
    broken = Training(model(9000.0), t, y, [None, "mse", "mse"], adam(0.003), score, steps=800)
    return broken, broken.but(model=model(1.0), x=t / 9000)
