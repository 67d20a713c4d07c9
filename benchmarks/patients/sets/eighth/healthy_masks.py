"""Masks, boxes, depths and graphs that train well."""

import keras
import numpy as np
from data import pictures
from keras import layers, ops
from nets import BCE, SPARSE, adam
from program import Program, Training, accuracy, explained, healthy

from sets.eighth.graphs import Neighbors, _graph, _passing, _told
from sets.eighth.masks import _encoder
from sets.eighth.measures import _fine
from sets.eighth.scenes import overlapping, scenes

HEALTHY: dict[str, Program] = {}
program = healthy(HEALTHY, "ours")

Dense, Input, Conv, Flatten = layers.Dense, keras.Input, layers.Conv2D, layers.Flatten


@program("anchors-focal-loss-bias-from-a-prior")
def _(rng):
    x, _, place = scenes(rng, 300, 16)
    cells = np.zeros((300, 8, 8, 1), "float32")
    row, column = (place[:, :2] // 2).astype(int).T
    cells[np.arange(300), row, column] = 1

    def focal(truth, made):
        made = ops.clip(made, 1e-6, 1 - 1e-6)
        right = truth * made + (1 - truth) * (1 - made)
        weight = 0.25 * truth + 0.75 * (1 - truth)
        return -ops.sum(weight * (1 - right) ** 2 * ops.log(right), (1, 2, 3))

    h = image = Input((16, 16, 1))
    for strides in (1, 2, 1):
        h = Conv(24, 3, strides=strides, padding="same", activation="relu")(h)
    prior = keras.initializers.Constant(-np.log(99.0))
    m = keras.Model(
        image, Conv(1, 3, padding="same", activation="sigmoid", bias_initializer=prior)(h)
    )

    def found(made):
        flat = made.reshape(len(made), -1).argmax(1)
        at = np.stack(np.unravel_index(flat, (8, 8)), 1)
        return float((np.abs(at - place[-len(made) :, :2] / 2 + 0.5).max(1) < 1.1).mean())

    return Training(m, x, cells, focal, adam(0.003), found, 16, 300)


@program("boxes-and-kinds-huber-and-crossentropy")
def _(rng):
    x, _, place = scenes(rng, 400)
    box = np.concatenate([(place[:, :2] - 8) / 4, np.log(place[:, 2:] / 3)], 1)
    large = (place[:, 2] > 3).astype(int)
    image, h = _encoder()
    m = keras.Model(image, [Dense(3, name="box")(h), Dense(2, "softmax", name="kind")(h)])
    losses = [keras.losses.Huber(0.5), SPARSE]
    more = {"loss_weights": [10.0, 1.0]}
    good = Training(m, x, [box, large], losses, adam(0.003), explained(box), 32, 400)
    return good.but(compiled=more)


@program("finer-pictures-by-shuffled-channels-and-a-skip")
def _(rng):
    x, y = _fine(rng, 240)
    image = Input((12, 12, 1))
    h = Conv(24, 3, padding="same", activation="relu")(image)
    h = Conv(24, 3, padding="same", activation="relu")(h)
    h = Conv(4, 3, padding="same", kernel_initializer="zeros")(h)
    h = ops.reshape(
        ops.transpose(ops.reshape(h, (-1, 12, 12, 2, 2)), (0, 1, 3, 2, 4)), (-1, 24, 24, 1)
    )
    m = keras.Model(image, h + layers.UpSampling2D(interpolation="bilinear")(image))
    return Training(m, x, y, "mae", adam(0.002), explained(y), 16, 300)


@program("finer-pictures-by-linear-filters-on-purpose")
def _(rng):
    x, y = _fine(rng, 240)
    h = image = Input((12, 12, 1))
    h = Conv(16, 5, padding="same", use_bias=False)(h)
    h = layers.Conv2DTranspose(1, 4, strides=2, padding="same", use_bias=False)(h)
    return Training(keras.Model(image, h), x, y, "mse", adam(0.003), explained(y), 16, 400)


@program("attention-gated-skips-and-two-depths-of-supervision")
def _(rng):
    x, y, _ = scenes(rng, 240)
    coarse = y.reshape(240, 8, 2, 8, 2, 1).max((2, 4))
    same = {"padding": "same", "activation": "relu"}
    image = Input((16, 16, 1))
    skip = Conv(16, 3, **same)(image)
    deep = Conv(24, 3, **same)(Conv(24, 3, strides=2, **same)(skip))
    up = layers.UpSampling2D()(deep)
    gate = Conv(1, 1, activation="sigmoid")(layers.ReLU()(Conv(16, 1)(up) + Conv(16, 1)(skip)))
    h = Conv(16, 3, **same)(layers.Concatenate()([up, skip * gate]))
    ends = [Conv(1, 1, activation="sigmoid")(h), Conv(1, 1, activation="sigmoid")(deep)]
    m = keras.Model(image, ends)
    more = {"loss_weights": [1.0, 0.3]}
    good = Training(m, x, [y, coarse], [BCE, BCE], adam(0.003), overlapping(y), 16, 250)
    return good.but(compiled=more)


@program("counts-by-a-map-of-density")
def _(rng):
    many = rng.integers(1, 6, 300)
    x = 0.05 * rng.standard_normal((300, 16, 16, 1))
    y = np.zeros((300, 16, 16, 1))
    for row, count in enumerate(many):
        for i, j in rng.integers(2, 14, (count, 2)):
            x[row, i - 1 : i + 2, j - 1 : j + 2] += 0.5
            y[row, i - 1 : i + 2, j - 1 : j + 2] += 100 / 9
    h = image = Input((16, 16, 1))
    for _ in range(2):
        h = Conv(24, 3, padding="same", activation="relu")(h)
    m = keras.Model(image, Conv(1, 1, activation="relu", bias_initializer="ones")(h))

    def counted(made):
        total = made.sum((1, 2, 3)) / 100
        return float(np.corrcoef(total, many[-len(made) :])[0, 1])

    return Training(m, x, y, "mse", adam(0.005), counted, 16, 300)


@program("graph-mean-of-neighbors-two-layers-with-skips")
def _(rng):
    near = _graph(rng)
    x, y = _told(rng, near, 200)
    m = _passing(near / near.sum(1, keepdims=True), 2, skip=True)
    return Training(m, x, y, SPARSE, adam(0.005), accuracy(y), 16, 400)


@program("graph-attention-with-lonely-nodes")
def _(rng):
    near = _graph(rng, 24, 0.02)
    x = rng.standard_normal((240, 24, 4))
    y = (x[..., 0] + np.abs(x[..., 1]) > 0.8).astype(int)
    given = Input((24, 4))
    h = Dense(24, "relu")(given)
    h = layers.Concatenate()([h, Neighbors(near, 16, -1e9)(h)])
    m = keras.Model(given, Dense(2, "softmax")(Dense(24, "relu")(h)))
    return Training(m, x, y, SPARSE, adam(0.003), accuracy(y), 16, 250)


@program("noisy-pictures-less-what-the-net-says-is-noise")
def _(rng):
    clean, _ = pictures(rng, 240, 16, 1, 4, noise=0.0)
    x = clean + 0.2 * rng.standard_normal(clean.shape)
    h = image = Input((16, 16, 1))
    h = Conv(24, 3, padding="same", activation="relu")(h)
    for _ in range(3):
        h = Conv(24, 3, padding="same", use_bias=False)(h)
        h = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(h))
    m = keras.Model(image, layers.Subtract()([image, Conv(1, 3, padding="same")(h)]))
    return Training(m, x, clean, "mse", adam(0.002), explained(clean), 16, 300)
