"""Pictures and pretrained bases, broken and healthy."""

import keras
import numpy as np
from data import digits, pictures
from keras import layers, ops
from nets import BCE, SPARSE, adam, net, sgd
from pretrained import pretrained
from program import Program, Training, accuracy, healthy, register

BROKEN: dict[str, Program] = {}
HEALTHY: dict[str, Program] = {}
program = register(BROKEN, "Humbatova et al. 2020 (taxonomy)")
trains = healthy(HEALTHY, "ours")

Dense, Input, Conv = layers.Dense, keras.Input, layers.Conv2D


@program("pictures-six-sigmoid-convolutions", "hidden activation@0, gradient@0, gradient@1", "ours")
def _(rng):
    x, y = pictures(rng, 250, 16, 3, 4)

    def model(hidden):
        inner = [Conv(16, 3, padding="same", activation=hidden) for _ in range(6)]
        inner += [layers.GlobalAveragePooling2D(), Dense(32, hidden)]
        return net((16, 16, 3), *inner, Dense(4, "softmax"))

    broken = Training(model("sigmoid"), x, y, SPARSE, adam(0.003), accuracy(y), steps=200)
    return broken, broken.but(model=model("relu"))


@trains("birds-last-block-thawed-rate-of-1e-3")
def _(rng):
    x, y = pictures(rng, 300, 24, 3, 4)
    base = pretrained(trainable=True)
    for layer in base.layers[:-4]:
        layer.trainable = False
    image = Input((24, 24, 3))
    h = layers.GlobalAveragePooling2D()(base(image, training=False))
    m = keras.Model(image, Dense(4, "softmax")(layers.BatchNormalization(momentum=0.9)(h)))
    return Training(m, 2 * x - 1, y, SPARSE, adam(1e-3), accuracy(y), steps=250)


@trains("residual-net-gammas-of-zero")
def _(rng):
    x, y = pictures(rng, 250, 16, 3, 4)
    image = Input((16, 16, 3))
    h = Conv(16, 3, padding="same", use_bias=False)(image)
    for _ in range(3):
        f = Conv(16, 3, padding="same", use_bias=False)(
            layers.ReLU()(layers.BatchNormalization(momentum=0.9)(h))
        )
        f = layers.BatchNormalization(momentum=0.9, gamma_initializer="zeros")(f)
        h = h + f
    h = layers.GlobalAveragePooling2D()(layers.ReLU()(h))
    decay = keras.optimizers.SGD(0.1, momentum=0.9, weight_decay=5e-4)
    m = keras.Model(image, Dense(4, "softmax")(h))
    return Training(m, x, y, SPARSE, decay, accuracy(y), steps=250)


@trains("bytes-straight-into-batch-normalization")
def _(rng):
    x, y = pictures(rng, 300, 20, 3, 4)
    inner = [layers.BatchNormalization(momentum=0.9)]
    for filters in (12, 24):
        inner += [layers.SeparableConv2D(filters, 3, activation="relu"), layers.MaxPooling2D()]
    m = net((20, 20, 3), *inner, layers.Flatten(), Dense(4, "softmax"))
    bytes_ = np.round(255 * x).astype("uint8")
    return Training(m, bytes_, y, SPARSE, adam(0.005), accuracy(y), steps=250)


@trains("cells-mask-of-few-pixels-dice")
def _(rng):
    n, size = 160, 20
    place, grid = rng.uniform(4, 16, (n, 2)), np.arange(size)
    far = (grid[:, None] - place[:, :1, None]) ** 2 + (grid[None] - place[:, 1:, None]) ** 2
    mask = (far < 7)[..., None].astype("float32")
    x = 0.5 * mask + 0.2 * rng.standard_normal(mask.shape)
    same = {"padding": "same", "activation": "relu"}
    inner = [Conv(12, 3, **same), Conv(12, 3, **same)]
    m = net((size, size, 1), *inner, Conv(1, 1, activation="sigmoid"))

    def dice(truth, made):
        common = 2 * ops.sum(truth * made, (1, 2, 3)) + 1
        return 1 - common / (ops.sum(truth, (1, 2, 3)) + ops.sum(made, (1, 2, 3)) + 1)

    def score(made):
        return float(2 * ((made > 0.5) * mask).sum() / ((made > 0.5).sum() + mask.sum()))

    return Training(m, x, mask, dice, adam(0.01), score, 16, 300)


@trains("twins-distance-of-two-encoders")
def _(rng):
    bytes_, kind = digits(rng, 400, 4)
    x = bytes_[:, ::2, ::2].reshape(-1, 196) / 255
    other = rng.permutation(400)
    for i in np.flatnonzero(rng.random(400) < 0.35):
        other[i] = rng.choice(np.flatnonzero(kind == kind[i]))
    y = (kind == kind[other]).astype("float32")
    encoder = net((196,), Dense(64, "relu"), Dense(24))
    one, two = Input((196,)), Input((196,))
    gap = ops.abs(encoder(one) - encoder(two))
    m = keras.Model([one, two], Dense(1, "sigmoid")(gap))
    return Training(m, [x, x[other]], y[:, None], BCE, adam(0.003), accuracy(y), steps=350)


@trains("digits-momentum-of-a-half-rate-of-three-tenths")
def _(rng):
    bytes_, y = digits(rng, 500)
    x = bytes_[:, ::2, ::2].reshape(-1, 196) / 255
    inner = []
    for _ in range(3):
        inner += [Dense(64, use_bias=False), layers.BatchNormalization(momentum=0.9), layers.ReLU()]
    m = net((196,), *inner, Dense(10, "softmax", kernel_initializer="zeros"))
    return Training(m, x, y, SPARSE, sgd(0.3, 0.5), accuracy(y), 50, 300)
