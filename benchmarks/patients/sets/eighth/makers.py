"""Autoencoders, diffusion, flows, generators and codes by contrast."""

import keras
import numpy as np
from data import digits, pictures
from keras import layers, ops
from nets import BCE, adam, mlp, net, sgd
from program import Program, Training, explained, register

from sets.eighth.scenes import nearest, noised, scenes

BROKEN: dict[str, Program] = {}
program = register(BROKEN, "ours")

Dense, Input, Conv, Flatten = layers.Dense, keras.Input, layers.Conv2D, layers.Flatten


class Sample(layers.Layer):
    """Draws a code, and adds the weighted divergence of its normal law from N(0, 1)."""

    def __init__(self, weight):
        super().__init__()
        self.weight = weight
        self.seeds = keras.random.SeedGenerator(3)

    def call(self, moments):
        """Returns a code."""
        mean, log_var = moments
        divergence = ops.exp(log_var) + ops.square(mean) - 1 - log_var
        self.add_loss(self.weight * ops.mean(ops.sum(divergence, -1)) / 2)
        noise = keras.random.normal(ops.shape(mean), seed=self.seeds)
        return mean + ops.exp(log_var / 2) * noise


def _vae(features, weight, end="sigmoid"):
    given = Input((features,))
    h = Dense(64, "relu")(given)
    code = Sample(weight)([Dense(8, name="mean")(h), Dense(8, name="log_var")(h)])
    return keras.Model(given, Dense(features, end)(Dense(64, "relu")(code)))


def _small_digits(rng, n, classes=4):
    x, y = digits(rng, n, classes)
    return x.reshape(n, 14, 2, 14, 2).mean((2, 4)).reshape(n, 196), y


@program(
    "shoes-vae-divergence-of-the-wrong-sign",
    "loss@loss, loss@4, regularization@loss, regularization@4, loss@2, loss@3",
    "a slip that is often asked about",
)
def _(rng):
    x, _ = _small_digits(rng, 400)
    x = x / 255
    broken = Training(_vae(196, -0.01), x, x, "mse", adam(0.003), explained(x), 32, 400)
    return broken, broken.but(model=_vae(196, 0.001))


@program(
    "faces-vae-of-bytes-exponential-overflows",
    "input@input, target scale@targets, gradient@4, initialization@3",
    "questions on VAE and NaN",
)
def _(rng):
    x, _ = _small_digits(rng, 400)
    broken = Training(_vae(196, 0.001, None), x, x / 255, "mse", sgd(0.01), explained(x / 255))
    broken = broken.but(steps=300)
    return broken, broken.but(model=_vae(196, 0.001, None), x=x / 255, optimizer=adam(0.003))


def _denoiser(end, scale, size=12):
    image, step = Input((size, size, 1)), Input((1,))
    h = Conv(24, 3, padding="same", activation="swish")(image)
    shift = Dense(24)(Dense(24, "swish")(scale * step))
    for _ in range(2):
        h = h + shift[:, None, None]
        h = Conv(24, 3, padding="same", activation="swish")(h)
    return keras.Model([image, step], Conv(1, 3, padding="same", activation=end)(h))


def _small(rng, n):
    x, _ = pictures(rng, n, 12, 1, 4, noise=0.0)
    return 2 * (x - 0.5)


@program("diffusion-noise-behind-a-sigmoid", "output@output", "threads on diffusion from scratch")
def _(rng):
    seen, step, noise = noised(rng, _small(rng, 500))
    x = [seen, step[:, None] / 100]
    broken = Training(_denoiser("sigmoid", 1.0), x, noise, "mse", adam(0.003), explained(noise))
    broken = broken.but(steps=300)
    return broken, broken.but(model=_denoiser(None, 1.0))


@program("diffusion-number-of-the-step-as-it-is", "input@input, rate too high@optimizer")
def _(rng):
    seen, step, noise = noised(rng, _small(rng, 500), 1000)
    x = [seen, step[:, None].astype("float32")]
    broken = Training(_denoiser(None, 1.0), x, noise, "mse", adam(0.003), explained(noise))
    broken = broken.but(steps=300)
    return broken, broken.but(model=_denoiser(None, 1 / 1000))


class Couple(layers.Layer):
    """An affine coupling: one half of the features moves and stretches the other."""

    def __init__(self, flip, squash):
        super().__init__()
        self.flip, self.squash = flip, squash
        self.inner = Dense(32, "relu")
        self.outer = Dense(4)

    def call(self, state):
        """Returns values with the sum of the log-stretches in the last column."""
        z, total = state[:, :4], state[:, 4:]
        kept, moved = (z[:, 2:], z[:, :2]) if self.flip else (z[:, :2], z[:, 2:])
        shift, stretch = ops.split(self.outer(self.inner(kept)), 2, -1)
        stretch = self.squash(stretch)
        moved = moved * ops.exp(stretch) + shift
        parts = [moved, kept] if self.flip else [kept, moved]
        return ops.concatenate([*parts, total + ops.sum(stretch, -1, keepdims=True)], -1)


def _flow(squash=ops.tanh):
    given = Input((4,))
    h = layers.Concatenate()([given, 0 * given[:, :1]])
    for flip in (0, 1, 0, 1):
        h = Couple(flip, squash)(h)
    return keras.Model(given, h)


def _bent(rng, n):
    a, b = rng.standard_normal((2, n, 2))
    return np.concatenate([a, 0.3 * b + a**2 - 1], 1)


def _likelier(x):
    """Returns the score of a flow: nats a sample gained over normal columns, at most 1."""

    def score(made):
        mine = x[-len(made) :]
        plain = -0.5 * (mine**2 / x.var(0) + np.log(x.var(0))).sum(1)
        flow = -0.5 * (made[:, :4] ** 2).sum(1) + made[:, 4]
        gain = np.clip(flow - plain, -1e3, 1e3).mean()
        return float(np.clip(gain, -1, 1))

    return score


def _likelihood(sign):
    def loss(_, made):
        return 0.5 * ops.sum(ops.square(made[:, :4]), -1) - sign * made[:, 4]

    return loss


@program("flow-log-determinant-of-the-wrong-sign", "loss@loss", "threads on normalizing flows")
def _(rng):
    x = _bent(rng, 800)
    broken = Training(_flow(), x, x, _likelihood(-1), adam(0.005), _likelier(x), 64, 400)
    return broken, broken.but(model=_flow(), loss=_likelihood(1))


@program(
    "flow-columns-of-hundreds-stretched-without-bound",
    "input@input, rate too high@optimizer, gradient@2, initialization@2, gradient@3, "
    "initialization@3, gradient@4, initialization@4, gradient@5, initialization@5",
    "threads on RealNVP and NaN",
)
def _(rng):
    x = _bent(rng, 800)
    free = _flow(lambda stretch: stretch)
    broken = Training(free, 150 * x, 150 * x, _likelihood(1), adam(0.005), _likelier(150 * x))
    broken = broken.but(batch=64, steps=400)
    return broken, broken.but(model=_flow(), x=x, y=x, score=_likelier(x))


def _codes(shape):
    inner = [Conv(16, 3, strides=2, activation="relu"), Conv(24, 3, strides=2, activation="relu")]
    return net(shape, *inner, Flatten(), Dense(24), layers.UnitNormalization())


@program(
    "views-contrast-by-exponentials-that-overflow",
    "loss@loss, gradient@loss",
    "threads on InfoNCE and NaN",
)
def _(rng):
    x, y = pictures(rng, 400, 16, 3, 6)

    def contrast(temperature, safe):
        def loss(labels, codes):
            labels = ops.reshape(labels, (-1, 1))
            alike = ops.cast(ops.equal(labels, ops.transpose(labels)), "float32")
            other = 1 - ops.eye(ops.shape(codes)[0])
            scores = ops.matmul(codes, ops.transpose(codes)) / temperature
            if safe:
                share = scores - ops.logsumexp(scores - 1e9 * (1 - other), 1, keepdims=True)
                return -ops.sum(alike * other * share, 1) / (ops.sum(alike * other, 1) + 1e-6)
            powers = ops.exp(scores) * other
            near = ops.sum(powers * alike, 1)
            return -ops.log(near / ops.sum(powers, 1))

        return loss

    m = _codes((16, 16, 3))
    broken = Training(m, x, y, contrast(0.005, False), adam(0.002), nearest(y), 32, 250)
    return broken, broken.but(model=_codes((16, 16, 3)), loss=contrast(0.2, True))


def _triplets(rng, y):
    rows = np.arange(len(y))
    same = np.array([rng.choice(np.flatnonzero((y == y[i]) & (rows != i))) for i in rows])
    other = np.array([rng.choice(np.flatnonzero(y != y[i])) for i in rows])
    return same, other


@program(
    "portraits-triplets-distances-over-the-batch",
    "loss@loss, loss@-1, labels@targets, target shape@targets",
    "keras-team/keras#9498, altered",
)
def _(rng):
    x, y = pictures(rng, 400, 16, 3, 6)
    same, other = _triplets(rng, y)

    def model(axis):
        three = [Input((16, 16, 3)) for _ in range(3)]
        encoder = _codes((16, 16, 3))
        return keras.Model(three, ops.stack([encoder(one) for one in three], 1))

    def hinge(axis):
        def loss(_, codes):
            a, p, n = codes[:, 0], codes[:, 1], codes[:, 2]
            near = ops.sum(ops.square(a - p), axis)
            far = ops.sum(ops.square(a - n), axis)
            return ops.mean(ops.maximum(near - far + 0.4, 0.0))

        return loss

    def right(made):
        known = nearest(y)
        return known(made[:, 0])

    three = [x, x[same], x[other]]
    zeros = np.zeros(400)
    broken = Training(model(0), three, zeros, hinge(0), adam(0.002), right, 32, 250)
    return broken, broken.but(model=model(1), loss=hinge(-1))


@program(
    "coats-positive-and-negative-in-each-others-place",
    "loss@loss",
    "threads on triplet losses",
)
def _(rng):
    x, y = pictures(rng, 400, 16, 3, 6)
    same, other = _triplets(rng, y)

    def model():
        three = [Input((16, 16, 3)) for _ in range(3)]
        encoder = _codes((16, 16, 3))
        return keras.Model(three, ops.stack([encoder(one) for one in three], 1))

    def hinge(sign):
        def loss(_, codes):
            near = ops.sum(ops.square(codes[:, 0] - codes[:, 1]), -1)
            far = ops.sum(ops.square(codes[:, 0] - codes[:, 2]), -1)
            return ops.maximum(sign * (near - far) + 0.5, 0.0)

        return loss

    def right(made):
        known = nearest(y)
        return known(made[:, 0])

    three = [x, x[same], x[other]]
    broken = Training(model(), three, np.zeros(400), hinge(-1), adam(0.002), right, 32, 250)
    return broken, broken.but(model=model(), loss=hinge(1))


@program(
    "cards-code-of-two-behind-relus",
    "hidden activation@1, capacity@1, hidden activation@2, capacity@2",
    "threads on codes that are all zero",
)
def _(rng):
    x, _, _ = scenes(rng, 500, 12, noise=0.02)
    flat = x.reshape(500, -1)

    def model(end):
        inner = [Dense(64, "relu"), Dense(2, end), Dense(64, "relu")]
        return net((144,), *inner, Dense(144, "sigmoid"))

    broken = Training(model("relu"), flat, flat, BCE, adam(0.003), explained(flat), 32, 500)
    return broken, broken.but(model=model("linear"))


@program(
    "generator-judged-by-a-judge-that-saturates",
    "output@output, hidden activation@2, gradient@1, initialization@2, gradient@2",
    "threads on GANs whose generator has no gradient",
)
def _(rng):
    target = rng.uniform(-0.5, 0.5, 16)

    def model(gain):
        noise = Input((6,))
        generator = mlp(6, (32,), 16)
        judge = Dense(1, "sigmoid", trainable=False, name="judge")
        made = generator(noise)
        gap = ops.mean(ops.square(made - target.astype("float32")), -1, keepdims=True)
        judge.build((None, 1))
        judge.set_weights([np.array([[-gain]]), np.array([0.0])])
        return keras.Model(noise, judge(gap - 0.05))

    def fooled(made):
        return float((made > 0.5).mean())

    noise = rng.standard_normal((400, 6))
    ones = np.ones((400, 1))
    broken = Training(model(3000.0), noise, ones, "mse", adam(0.003), fooled, steps=300)
    return broken, broken.but(model=model(10.0))
