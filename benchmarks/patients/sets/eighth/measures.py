"""Values for each pixel: depth, direction, finer and cleaner pictures."""

import keras
import numpy as np
from data import pictures
from keras import layers, ops
from nets import adam
from program import Program, Training, explained, register

from sets.eighth.masks import u_net
from sets.eighth.scenes import scenes

BROKEN: dict[str, Program] = {}
program = register(BROKEN, "ours")

Dense, Input, Conv = layers.Dense, keras.Input, layers.Conv2D


def _rooms(rng, n):
    """Returns pictures and how far away each pixel is, in meters."""
    x, mask, place = scenes(rng, n)
    far = 3 + 1.5 * np.linspace(-1, 1, 16)[None, :, None, None]
    return x, far - mask * (0.2 + 0.2 * place[:, 2])[:, None, None, None]


@program(
    "rooms-logarithm-of-depths-not-measured",
    "loss@loss, labels@targets, gradient@loss",
    "threads on depth from one picture",
)
def _(rng):
    x, depth = _rooms(rng, 240)
    lost = rng.random(depth.shape) < 0.1
    y = np.where(lost, 0.0, depth)

    def invariant(masked):
        def loss(truth, made):
            seen = ops.cast(truth > 0, "float32") if masked else ops.ones_like(truth)
            gap = made - ops.log(ops.maximum(truth, 0.1) if masked else truth)
            gap = ops.where(seen > 0, gap, 0.0)
            many = ops.sum(seen, (1, 2, 3))
            mean = ops.sum(gap, (1, 2, 3)) / many
            return ops.sum(ops.square(gap), (1, 2, 3)) / many - 0.5 * ops.square(mean)

        return loss

    score = explained(np.log(depth))
    broken = Training(u_net(16, None), x, y, invariant(False), adam(0.003), score, 16, 250)
    return broken, broken.but(model=u_net(16, None), loss=invariant(True))


@program(
    "stairs-depth-in-millimeters-absolute-error", "target scale@targets, rate too low@optimizer"
)
def _(rng):
    x, depth = _rooms(rng, 240)
    score = explained(1000 * depth)
    broken = Training(u_net(16, None), x, 1000 * depth, "mae", adam(0.001), score, 16, 250)
    return broken, broken.but(model=u_net(16, None), y=depth, score=explained(depth))


class Unit(layers.Layer):
    """Brings the vector of each pixel to length 1."""

    def __init__(self, epsilon):
        super().__init__()
        self.epsilon = epsilon

    def call(self, h):
        """Returns vectors of length 1."""
        return h / ops.sqrt(ops.sum(ops.square(h), -1, keepdims=True) + self.epsilon)


@program(
    "walls-directions-divided-by-a-length-of-none",
    "gradient@-1, gradient@-2, initialization@-2, output@-1, output@output, hidden activation@-2",
    "threads on l2_normalize and NaN",
)
def _(rng):
    x, _, place = scenes(rng, 300)
    x = np.where(x > 0.5, x, 0.0)
    turned = place[:, :2] - 8
    y = (
        np.zeros((300, 16, 16, 2))
        + (turned / np.linalg.norm(turned, axis=1, keepdims=True))[:, None, None]
    )

    def model(epsilon):
        h = image = Input((16, 16, 1))
        for filters in (16, 24, 24):
            h = Conv(filters, 5, padding="same", activation="relu", use_bias=False)(h)
        h = Conv(2, 7, padding="same", use_bias=False)(h)
        return keras.Model(image, Unit(epsilon)(h))

    broken = Training(model(0.0), x, y, "mse", adam(0.002), explained(y), 16, 250)
    return broken, broken.but(model=model(1e-4))


def _fine(rng, n):
    """Returns pictures of half the size, and the pictures."""
    y, _ = pictures(rng, n, 24, 1, 4, noise=0.02)
    return y.reshape(n, 12, 2, 12, 2, 1).mean((2, 4)), y


def _finer(end, start="glorot_uniform", last=None):
    h = image = Input((12, 12, 1))
    for _ in range(2):
        h = Conv(24, 3, padding="same", activation="relu")(h)
    h = layers.Conv2DTranspose(24, 3, strides=2, padding="same", activation="relu")(h)
    h = Conv(1, 3, padding="same", activation=last, kernel_initializer=start)(h)
    return keras.Model(image, end(h))


@program("prints-signal-to-noise-as-loss", "loss@loss", "questions on PSNR as a loss")
def _(rng):
    x, y = _fine(rng, 240)

    def ratio(sign):
        def loss(truth, made):
            error = ops.mean(ops.square(truth - made), (1, 2, 3)) + 1e-6
            return sign * 10 * ops.log(1.0 / error) / np.log(10.0)

        return loss

    broken = Training(_finer(lambda h: h), x, y, ratio(1), adam(0.001), explained(y), 16, 250)
    return broken, broken.but(model=_finer(lambda h: h), loss=ratio(-1))


@program(
    "stars-difference-that-can-only-brighten",
    "output@output, output@-1, hidden activation@-2, gradient@-2",
)
def _(rng):
    clean, _ = pictures(rng, 240, 16, 1, 4, noise=0.0)
    burnt = rng.random(clean.shape) < 0.15
    x = clean + burnt * rng.uniform(0.3, 0.6, clean.shape)

    def model(end):
        h = image = Input((16, 16, 1))
        for _ in range(3):
            h = Conv(24, 3, padding="same", activation="relu")(h)
        return keras.Model(
            image, layers.Add()([image, Conv(1, 3, padding="same", activation=end)(h)])
        )

    broken = Training(model("relu"), x, clean, "mse", adam(0.002), explained(clean), 16, 300)
    return broken, broken.but(model=model(None))


@program(
    "photos-colors-around-128-from-a-tanh",
    "output@output, target scale@targets",
    "threads on colorization in Lab",
)
def _(rng):
    color, _ = pictures(rng, 240, 16, 3, 6, noise=0.03)
    x = color.mean(-1, keepdims=True)
    y = 128 + 127 * (color[..., :2] - x)

    def model():
        h = image = Input((16, 16, 1))
        for _ in range(3):
            h = Conv(24, 5, padding="same", activation="relu")(h)
        h = layers.Concatenate()([h, h * 0 + ops.mean(h, (1, 2), keepdims=True)])
        return keras.Model(image, Conv(2, 1, activation="tanh")(h))

    broken = Training(model(), x, y, "mse", adam(0.003), explained(y), 16, 300)
    goal = (y - 128) / 64
    return broken, broken.but(model=model(), y=goal, score=explained(goal))


@program("noise-taken-off-by-a-structure-index-of-sums", "loss@loss", "questions on SSIM as a loss")
def _(rng):
    clean, _ = pictures(rng, 240, 16, 1, 4, noise=0.0)
    x = clean + 0.2 * rng.standard_normal(clean.shape)

    def index(truth, made):
        axes = (1, 2, 3)
        mean, other = ops.mean(truth, axes, keepdims=True), ops.mean(made, axes, keepdims=True)
        both = ops.mean((truth - mean) * (made - other), axes)
        spread = ops.var(truth, axes) + ops.var(made, axes)
        bright = ops.squeeze((2 * mean * other + 1e-4) / (mean**2 + other**2 + 1e-4), axes)
        return bright * (2 * both + 9e-4) / (spread + 9e-4)

    def model():
        h = image = Input((16, 16, 1))
        for _ in range(2):
            h = Conv(24, 3, padding="same", activation="relu")(h)
        return keras.Model(image, Conv(1, 3, padding="same", activation="sigmoid")(h))

    def unlike(truth, made):
        return 1 - index(truth, made)

    broken = Training(model(), x, clean, index, adam(0.002), explained(clean), 16, 250)
    return broken, broken.but(model=model(), loss=unlike)
