"""Masks, boxes and keypoints: heads and losses of one's own."""

import keras
import numpy as np
from keras import layers, ops
from nets import BCE, SPARSE, adam, sgd
from program import Program, Training, explained, register

from sets.eighth.scenes import overlapping, scenes

BROKEN: dict[str, Program] = {}
program = register(BROKEN, "ours")

Dense, Input, Conv, Flatten = layers.Dense, keras.Input, layers.Conv2D, layers.Flatten


def u_net(size, end, channels=1, width=16):
    """Returns a small U-Net of one level."""
    same = {"padding": "same", "activation": "relu"}
    image = Input((size, size, 1))
    skip = Conv(width, 3, **same)(image)
    h = Conv(2 * width, 3, strides=2, **same)(skip)
    h = layers.UpSampling2D()(Conv(2 * width, 3, **same)(h))
    h = Conv(width, 3, **same)(layers.Concatenate()([h, skip]))
    return keras.Model(image, Conv(channels, 1, activation=end)(h))


def _dice(truth, made):
    shared = ops.sum(truth * made, (1, 2, 3))
    return 1 - (2 * shared + 1) / (ops.sum(truth, (1, 2, 3)) + ops.sum(made, (1, 2, 3)) + 1)


@program(
    "polyps-dice-of-raw-scores",
    "output@output, loss@loss",
    "threads on Dice losses and logits",
)
def _(rng):
    x, y, _ = scenes(rng, 240, 16)
    broken = Training(u_net(16, None), x, y, _dice, adam(0.002), overlapping(y), 16, 200)
    return broken, broken.but(model=u_net(16, "sigmoid"))


def _encoder(size=16, channels=1):
    h = image = Input((size, size, channels))
    for filters in (16, 24):
        h = Conv(filters, 3, strides=2, padding="same", activation="relu")(h)
    return image, Dense(48, "relu")(Flatten()(h))


@program("cars-offsets-of-boxes-behind-a-relu", "output@output, output@-1", "threads on SSD heads")
def _(rng):
    x, _, place = scenes(rng, 400)
    offset = (place[:, :2] - 8) / 4
    large = (place[:, 2] > 3).astype(int)

    def model(end):
        image, h = _encoder()
        return keras.Model(
            image, [Dense(2, end, name="box")(h), Dense(2, "softmax", name="kind")(h)]
        )

    losses = ["mse", SPARSE]
    broken = Training(model("relu"), x, [offset, large], losses, adam(0.003), explained(offset))
    broken = broken.but(steps=300)
    return broken, broken.but(model=model(None))


@program(
    "yolo-roots-of-widths-below-zero",
    "loss@loss, output@output, gradient@loss",
    "threads on YOLO losses and NaN",
)
def _(rng):
    x, _, place = scenes(rng, 400)
    y = np.concatenate([place[:, :2] / 16, place[:, 2:] / 4, place[:, 2:] / 4], 1)

    def loss(truth, made):
        center = ops.sum(ops.square(truth[:, :2] - made[:, :2]), -1)
        sides = ops.sum(ops.square(ops.sqrt(truth[:, 2:]) - ops.sqrt(made[:, 2:])), -1)
        return 5 * center + sides

    def model(end):
        image, h = _encoder()
        return keras.Model(image, Dense(4, end)(h))

    broken = Training(model(None), x, y, loss, adam(0.003), explained(y), steps=250)
    return broken, broken.but(model=model("sigmoid"))


def _overlap(truth, made):
    low = ops.maximum(truth[:, :2], made[:, :2])
    high = ops.minimum(truth[:, 2:], made[:, 2:])
    shared = ops.prod(ops.relu(high - low), -1)
    area = ops.prod(truth[:, 2:] - truth[:, :2], -1)
    mine = ops.prod(ops.relu(made[:, 2:] - made[:, :2]), -1)
    return shared / (area + mine - shared + 1e-6)


@program(
    "drones-overlap-of-boxes-that-never-meet",
    "loss@loss, gradient@loss, target scale@targets, gradient@output, output@output",
    "AlexeyAB/darknet#5429, altered",
)
def _(rng):
    x, _, place = scenes(rng, 400)
    y = np.concatenate([place[:, :2] - place[:, 2:], place[:, :2] + place[:, 2:]], 1)

    def loss(truth, made):
        return 1 - _overlap(truth, made)

    def mixed(truth, made):
        return loss(truth, made) + ops.mean(ops.abs(truth - made), -1)

    def model():
        image, h = _encoder()
        return keras.Model(image, Dense(4)(h))

    broken = Training(model(), x, y, loss, adam(0.003), explained(y), steps=300)
    return broken, broken.but(model=model(), loss=mixed)


@program(
    "hands-heat-of-one-pixel-behind-a-sigmoid",
    "target scale@targets, loss@loss, labels@targets, output@output",
    "discuss.pytorch.org 101103, SO 50415450",
)
def _(rng):
    x, _, place = scenes(rng, 240, 24)
    grid = np.arange(24)
    gap = (grid[None, :, None] - place[:, 0, None, None]) ** 2
    gap = gap + (grid[None, None] - place[:, 1, None, None]) ** 2
    heat = np.exp(-gap / (2 * 0.8**2))[..., None]

    def near(made):
        flat = made.reshape(len(made), -1).argmax(1)
        found = np.stack(np.unravel_index(flat, (24, 24)), 1)
        return float((np.abs(found - place[-len(made) :, :2]).max(1) < 2).mean())

    rate = sgd(0.1, 0.9)
    broken = Training(u_net(24, "sigmoid"), x, heat, "mse", rate, near, 16, 250)
    return broken, broken.but(model=u_net(24, None), y=30 * heat, optimizer=adam(0.002))


@program(
    "lesions-focal-weights-turned-round",
    "loss@loss",
    "threads on focal losses",
)
def _(rng):
    x, y, _ = scenes(rng, 240)

    def focal(easy):
        def loss(truth, made):
            made = ops.clip(made, 1e-6, 1 - 1e-6)
            right = truth * made + (1 - truth) * (1 - made)
            weight = right if easy else 1 - right
            return -ops.mean(weight**4 * ops.log(right), (1, 2, 3))

        return loss

    broken = Training(u_net(16, "sigmoid"), x, y, focal(True), adam(0.002), overlapping(y), 16, 200)
    return broken, broken.but(model=u_net(16, "sigmoid"), loss=focal(False))


@program(
    "faces-keypoints-out-of-sight-as-minus-one",
    "labels@targets, target scale@targets, loss@loss",
    "questions on facial keypoints",
)
def _(rng):
    x, _, place = scenes(rng, 500)
    y = place[:, :2] / 16
    hidden = rng.random(500) < 0.45
    marked = np.where(hidden[:, None], -1.0, y)

    def error(truth, made):
        seen = ops.cast(truth > -0.5, "float32")
        return ops.sum(seen * ops.square(truth - made), -1) / 2

    def model():
        image, h = _encoder()
        return keras.Model(image, Dense(2)(h))

    broken = Training(model(), x, marked, "mse", adam(0.003), explained(y), steps=300)
    return broken, broken.but(model=model(), loss=error)


@program(
    "organs-three-kinds-each-pixel-softmax-over-rows",
    "output@output, output@-1",
)
def _(rng):
    x, mask, place = scenes(rng, 240)
    kinds = (mask[..., 0] * (1 + (place[:, 2] > 3)[:, None, None])).astype(int)

    def model(axis):
        h = u_net(16, None, 3)
        return keras.Model(h.input, layers.Softmax(axis)(h.output))

    def found(made):
        known = kinds[-len(made) :]
        return float((made.argmax(-1) == known)[known > 0].mean())

    broken = Training(model(1), x, kinds, SPARSE, adam(0.003), found, 16, 250)
    return broken, broken.but(model=model(-1))


@program(
    "cracks-mask-weighs-the-answer-not-the-error",
    "loss@loss",
    "threads on weighted pixel losses",
)
def _(rng):
    x, y, _ = scenes(rng, 240)

    def weighted(truth, made):
        scaled = ops.clip(made * (1 + 9 * truth), 1e-6, 1 - 1e-6)
        return ops.mean(keras.losses.binary_crossentropy(truth, scaled), (1, 2))

    broken = Training(u_net(16, "sigmoid"), x, y, weighted, adam(0.002), overlapping(y), 16, 200)
    return broken, broken.but(model=u_net(16, "sigmoid"), loss=BCE)


@program("counts-of-blobs-by-a-softmax-of-places", "output@output, layers@-1, target scale@targets")
def _(rng):
    many = rng.integers(1, 6, 400)
    x = 0.05 * rng.standard_normal((400, 16, 16, 1))
    for row, count in enumerate(many):
        for i, j in rng.integers(1, 15, (count, 2)):
            x[row, i - 1 : i + 2, j - 1 : j + 2] += 0.5

    def model(end):
        h = image = Input((16, 16, 1))
        for _ in range(2):
            h = Conv(16, 3, padding="same", activation="relu")(h)
        places = end(Flatten()(Conv(1, 1)(h)))
        return keras.Model(image, ops.sum(places, -1, keepdims=True))

    y = many[:, None].astype("float32")
    broken = Training(model(ops.softmax), x, y, "mse", adam(0.003), explained(y), 32, 300)
    return broken, broken.but(model=model(ops.relu))
