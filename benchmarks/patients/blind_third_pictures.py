"""Third set written blind: programs that train well, on pictures, series and texts.

Written before any verdict of `diagnose` on them was seen. Unusual on purpose, and right: each was
trained, and kept where it learns.
"""

import keras
import numpy as np
from blind_second_base import pretrained
from data import digits, pictures, series, waves, words
from keras import layers, ops
from nets import BCE, SPARSE, adam, net, sgd
from program import Program, Training, accuracy, explained, healthy

THIRD_PICTURES: dict[str, Program] = {}
program = healthy(THIRD_PICTURES, "ours")

Dense, Input, Conv = layers.Dense, keras.Input, layers.Conv2D


@program("reviews-mean-of-embeddings-alone")
def _(rng):
    x, y = words(rng, 500, 24, 600, 2)
    m = net((24,), layers.Embedding(600, 16), layers.GlobalAveragePooling1D(), Dense(1, "sigmoid"))
    return Training(m, x, y, BCE, adam(0.02), accuracy(y), steps=300)


@program("long-series-gru-of-120-steps")
def _(rng):
    x, y = waves(rng, 256, 120, 3)
    m = net((120, 1), layers.GRU(24, return_sequences=True), layers.GRU(16), Dense(3, "softmax"))
    return Training(m, x, y, SPARSE, adam(0.01, clipnorm=1.0), accuracy(y), steps=160)


@program("sum-of-marked-numbers-identity-rnn")
def _(rng):
    value, mark = rng.random((500, 20)), np.zeros((500, 20))
    where = np.argsort(rng.random((500, 20)), 1)[:, :2]
    np.put_along_axis(mark, where, 1.0, 1)
    y = (value * mark).sum(1)
    x = np.stack([value, mark], -1)
    start = {"kernel_initializer": keras.initializers.RandomNormal(stddev=0.03)}
    recurrent = layers.SimpleRNN(48, "relu", recurrent_initializer="identity", **start)
    return Training(
        net((20, 2), recurrent, Dense(1)), x, y, "mse", adam(0.003), explained(y), steps=500
    )


@program("demand-dilated-causal-convolutions")
def _(rng):
    x, y = series(rng, 400, 32)
    inner = []
    for dilation in (1, 2, 4, 8):
        options = {"padding": "causal", "dilation_rate": dilation, "activation": "relu"}
        inner.append(layers.Conv1D(16, 3, **options))
    m = net((32, 1), *inner, layers.Cropping1D((31, 0)), layers.Flatten(), Dense(1))
    return Training(m, x, y, "mse", adam(0.003), explained(y), steps=400)


@program("forecast-as-a-correction-of-the-last-value")
def _(rng):
    x, y = series(rng, 400, 24, 3.0, 1.0)
    given = Input((24, 1))
    last = layers.Flatten()(layers.Cropping1D((23, 0))(given))
    h = Dense(48, "relu")(
        layers.Flatten()(layers.Subtract()([given, layers.Reshape((1, 1))(last)]))
    )
    m = keras.Model(given, last + Dense(1, kernel_initializer="zeros")(h))
    return Training(m, x, y, "mae", adam(0.003), explained(y), steps=400)


@program("padded-readings-masked-with-minus-one")
def _(rng):
    full, y = waves(rng, 300, 24, 2)
    length = rng.integers(14, 25, 300)
    x = np.where((np.arange(24) < length[:, None])[..., None], full, -10.0)
    m = net((24, 1), layers.Masking(-10.0), layers.LSTM(24), Dense(1, "sigmoid"))
    return Training(m, x, y, BCE, adam(0.01), accuracy(y), steps=250)


@program("next-symbol-tied-embeddings-causal-attention")
def _(rng):
    follows = rng.permutation(30)
    ids = np.zeros((300, 13), int)
    ids[:, 0] = rng.integers(0, 30, 300)
    for t in range(12):
        stray = rng.random(300) < 0.1
        ids[:, t + 1] = np.where(stray, rng.integers(0, 30, 300), follows[ids[:, t]])
    x, y = ids[:, :-1], ids[:, 1:]
    tokens = Input((12,), dtype="int32")
    table = layers.ReversibleEmbedding(30, 24)
    h = table(tokens)
    a = layers.LayerNormalization()(h)
    h = h + layers.MultiHeadAttention(2, 12)(a, a, use_causal_mask=True)
    h = h + Dense(24)(Dense(48, "gelu")(layers.LayerNormalization()(h)))
    m = keras.Model(tokens, table(layers.LayerNormalization()(h), reverse=True))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def right(made):
        return float((made.argmax(-1) == y).mean())

    return Training(m, x, y, loss, adam(0.01), right, steps=300)


@program("birds-last-block-thawed-rate-of-1e-4")
def _(rng):
    x, y = pictures(rng, 300, 24, 3, 4)
    base = pretrained(trainable=True)
    for layer in base.layers[:-4]:
        layer.trainable = False
    image = Input((24, 24, 3))
    h = layers.GlobalAveragePooling2D()(base(image, training=False))
    m = keras.Model(image, Dense(4, "softmax")(layers.BatchNormalization(momentum=0.9)(h)))
    return Training(m, 2 * x - 1, y, SPARSE, adam(1e-3), accuracy(y), steps=250)


@program("residual-net-gammas-of-zero")
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


@program("bytes-straight-into-batch-normalization")
def _(rng):
    x, y = pictures(rng, 300, 20, 3, 4)
    inner = [layers.BatchNormalization(momentum=0.9)]
    for filters in (12, 24):
        inner += [layers.SeparableConv2D(filters, 3, activation="relu"), layers.MaxPooling2D()]
    m = net((20, 20, 3), *inner, layers.Flatten(), Dense(4, "softmax"))
    bytes_ = np.round(255 * x).astype("uint8")
    return Training(m, bytes_, y, SPARSE, adam(0.005), accuracy(y), steps=250)


@program("cells-mask-of-few-pixels-dice")
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


@program("twins-distance-of-two-encoders")
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


class Code(layers.Layer):
    """Quantizes to the nearest of learned vectors; the gradient passes straight through."""

    def build(self, shape):
        """Makes the vectors."""
        self.table = self.add_weight(shape=(16, shape[-1]), initializer="random_normal")

    def call(self, h):
        """Returns the nearest vectors."""
        gap = ops.sum((ops.expand_dims(h, -2) - self.table) ** 2, -1)
        near = ops.take(self.table, ops.argmin(gap, -1), 0)
        away = ops.mean((ops.stop_gradient(near) - h) ** 2)
        self.add_loss(0.25 * away + ops.mean((near - ops.stop_gradient(h)) ** 2))
        return h + ops.stop_gradient(near - h)


@program("signals-vector-quantized-straight-through")
def _(rng):
    x, _ = waves(rng, 400, 32, 2)
    rows = x[..., 0].reshape(-1, 32)
    given = Input((32,))
    h = layers.Reshape((8, 4))(Dense(32)(Dense(64, "relu")(given)))
    h = Dense(64, "relu")(layers.Flatten()(Code()(h)))
    m = keras.Model(given, Dense(32)(h))
    return Training(m, rows, rows, "mse", adam(0.003), explained(rows), steps=600)


@program("digits-momentum-and-a-rate-of-a-half")
def _(rng):
    bytes_, y = digits(rng, 500)
    x = bytes_[:, ::2, ::2].reshape(-1, 196) / 255
    inner = []
    for _ in range(3):
        inner += [Dense(64, use_bias=False), layers.BatchNormalization(momentum=0.9), layers.ReLU()]
    m = net((196,), *inner, Dense(10, "softmax", kernel_initializer="zeros"))
    return Training(m, x, y, SPARSE, sgd(0.3, 0.5), accuracy(y), 50, 300)
