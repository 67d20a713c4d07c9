"""Programs on pictures and series that look odd and train well."""

import keras
import numpy as np
from data import digits, pictures, series, waves
from keras import layers, ops
from nets import SPARSE, adam, conv_blocks, net, sgd
from program import Program, Training, accuracy, explained, healthy

HEALTHY: dict[str, Program] = {}
program = healthy(HEALTHY, "ours")

Dense, Input, Conv = layers.Dense, keras.Input, layers.Conv2D


@program("plates-bytes-into-batch-normalization")
def _(rng):
    x, y = pictures(rng, 240, 20, 3, 5)
    inner = [layers.BatchNormalization(momentum=0.9), *conv_blocks([12, 24]), layers.Flatten()]
    m = net((20, 20, 3), *inner, Dense(5, "softmax"))
    return Training(m, np.round(255 * x), y, SPARSE, adam(0.003), accuracy(y), 24, 250)


@program("curves-autoencoder-two-linear-codes")
def _(rng):
    phase = rng.uniform(0, 2 * np.pi, (400, 1))
    size = rng.uniform(0.5, 2.0, (400, 1))
    x = size * np.sin(2 * np.pi * np.arange(24) / 24 + phase)
    m = net((24,), Dense(32, "tanh"), Dense(2), Dense(32, "tanh"), Dense(24))
    return Training(m, x, x, "mse", adam(0.005), explained(x), steps=500)


@program("defects-focal-loss-on-a-sigmoid")
def _(rng):
    x, y = pictures(rng, 240, 20, 1, 2)

    def focal(truth, made):
        hit = ops.clip(truth * made + (1 - truth) * (1 - made), 1e-6, 1.0)
        return -ops.mean((1 - hit) ** 2 * ops.log(hit), -1)

    inner = [*conv_blocks([12, 16]), layers.Flatten()]
    m = net((20, 20, 1), *inner, Dense(1, "sigmoid"))
    return Training(m, x, y[:, None].astype("float32"), focal, adam(0.003), accuracy(y), 16, 300)


@program("cracks-dice-alone-thin-lines")
def _(rng):
    mask = np.zeros((120, 20, 20, 1), "float32")
    for one in mask:
        one[rng.integers(3, 17), 4:16] = 1
    x = 0.6 - 0.3 * mask + 0.1 * rng.standard_normal(mask.shape)

    def dice(truth, made):
        both, whole = ops.sum(truth * made), ops.sum(truth) + ops.sum(made)
        return 1 - (2 * both + 1) / (whole + 1)

    same = {"padding": "same", "activation": "relu"}
    m = net((20, 20, 1), Conv(12, 3, **same), Conv(12, 3, **same), Conv(1, 1, activation="sigmoid"))

    def overlap(made):
        made = made > 0.5
        return float(2 * (made * mask).sum() / (made.sum() + mask.sum()))

    return Training(m, x, mask, dice, adam(0.003), overlap, 12, 250)


@program("letters-batch-normalized-rate-of-a-half")
def _(rng):
    x, y = digits(rng, 400)
    inner = []
    for width in (64, 64, 64):
        inner += [Dense(width, use_bias=False), layers.BatchNormalization(momentum=0.9)]
        inner.append(layers.ReLU())
    m = net((784,), *inner, Dense(10, "softmax"))
    return Training(m, x.reshape(400, -1) / 255, y, SPARSE, sgd(0.5), accuracy(y), 40, 250)


@program("turbines-transformer-without-normalization")
def _(rng):
    x, y = series(rng, 400, 16)
    given = Input((16, 1))
    h = Dense(24)(given)
    wave = np.arange(16)[:, None] / 16 ** (np.arange(12) / 12)
    h = h + np.concatenate([np.sin(wave), np.cos(wave)], 1).astype("float32")
    for _ in range(2):
        h = h + layers.MultiHeadAttention(2, 12)(h, h)
        h = h + Dense(24)(Dense(48, "relu")(h))
    m = keras.Model(given, Dense(1)(layers.GlobalAveragePooling1D()(h)))
    return Training(m, x, y[:, None], "mse", adam(0.002), explained(y), steps=400)


@program("gestures-noise-added-and-channels-dropped")
def _(rng):
    x, y = waves(rng, 400, 40, 4)
    inner = [layers.GaussianNoise(0.3), layers.Conv1D(32, 5, activation="relu")]
    inner += [layers.SpatialDropout1D(0.3), layers.MaxPooling1D()]
    inner += [layers.Conv1D(32, 5, activation="relu"), layers.GlobalMaxPooling1D()]
    m = net((40, 1), *inner, Dense(4, "softmax"))
    return Training(m, x, y, SPARSE, adam(0.005), accuracy(y), steps=400)


@program("heads-of-pictures-kind-and-shade-weighted")
def _(rng):
    x, kind = pictures(rng, 240, 20, 3, 4)
    shade = 100 * x.mean((1, 2, 3))[:, None]
    image = Input((20, 20, 3))
    h = layers.Flatten()(layers.MaxPooling2D()(Conv(12, 3, activation="relu")(image)))
    start = {"bias_initializer": keras.initializers.Constant(50.0)}
    m = keras.Model(image, [Dense(4, "softmax")(h), Dense(1, **start)(h)])
    options = {"loss_weights": [1.0, 0.001]}
    return Training(
        m, x, [kind, shade], [SPARSE, "mse"], adam(0.003), accuracy(kind), 24, 300, options
    )


@program("tiles-frozen-pretrained-convolutions-normalized-head")
def _(rng):
    known, kind = pictures(rng, 300, 20, 3, 6)
    base = net((20, 20, 3), *conv_blocks([12, 24]), layers.GlobalAveragePooling2D())
    whole = keras.Sequential([base, Dense(6, "softmax")])
    whole.compile(adam(0.005), SPARSE)
    whole.fit(known, kind, batch_size=30, epochs=15, verbose=0)
    base.trainable = False
    x, y = pictures(rng, 200, 20, 3, 4)
    image = Input((20, 20, 3))
    h = layers.BatchNormalization(momentum=0.9)(base(image, training=False))
    m = keras.Model(image, Dense(4, "softmax")(layers.Dropout(0.3)(h)))
    return Training(m, x, y, SPARSE, adam(0.01), accuracy(y), 20, 300)
