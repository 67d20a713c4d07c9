"""Programs that train well: pictures, codes and adversaries, as in tutorials."""

import keras
import numpy as np
from data import digits, one_hot, pictures, standardized, waves
from keras import layers, ops
from nets import BCE, CCE, SPARSE, adam, net
from pretrained import pretrained
from program import Program, Training, accuracy, explained, healthy

HEALTHY: dict[str, Program] = {}
program = healthy(HEALTHY, "ours")

Dense, Input, Conv = layers.Dense, keras.Input, layers.Conv2D


@program("fashion-flatten-logits")
def _(rng):
    bytes_, y = digits(rng, 500)
    m = net((28, 28), layers.Flatten(), Dense(128, "relu"), Dense(10))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return Training(m, bytes_ / 255, y, loss, "adam", accuracy(y), steps=300)


@program("digits-kaggle-batch-norm-dropout-rmsprop")
def _(rng):
    bytes_, y = digits(rng, 400)
    inner = []
    for filters in (8, 16):
        inner += [Conv(filters, 3, padding="same", activation="relu"), layers.BatchNormalization()]
        inner += [layers.MaxPooling2D(), layers.Dropout(0.25)]
    inner += [layers.Flatten(), Dense(64, "relu"), layers.Dropout(0.4)]
    m = net((28, 28, 1), *inner, Dense(10, "softmax"))
    fast = keras.optimizers.RMSprop(0.002, rho=0.9)
    return Training(m, bytes_[..., None] / 255, one_hot(y), CCE, fast, accuracy(y), steps=450)


@program("cats-and-dogs-frozen-base-small-head")
def _(rng):
    x, y = pictures(rng, 300, 24, 3, 2)
    base = pretrained()
    image = Input((24, 24, 3))
    h = base(layers.Rescaling(1 / 127.5, offset=-1)(image), training=False)
    h = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(h))
    m = keras.Model(image, Dense(1)(h))
    loss = keras.losses.BinaryCrossentropy(from_logits=True)

    def right(made):
        return float(((made[:, 0] > 0) == y).mean())

    bytes_ = np.round(255 * x).astype("uint8")
    return Training(m, bytes_, y[:, None], loss, adam(0.005), right, steps=250)


@program("flowers-base-thawed-small-rate")
def _(rng):
    x, y = pictures(rng, 300, 24, 3, 5)
    inner = [layers.GlobalAveragePooling2D(), Dense(32, "relu"), Dense(5, "softmax")]
    m = net((24, 24, 3), pretrained(trainable=True), *inner)
    return Training(m, 2 * x - 1, y, SPARSE, adam(5e-4), accuracy(y), steps=250)


@program("digits-denoising-convolutions")
def _(rng):
    bytes_, _ = digits(rng, 250)
    clean = bytes_[:, ::2, ::2, None] / 255
    noisy = np.clip(clean + 0.4 * rng.standard_normal(clean.shape), 0, 1)
    same = {"padding": "same", "activation": "relu"}
    m = net(
        (14, 14, 1),
        Conv(24, 3, **same),
        layers.MaxPooling2D(),
        Conv(24, 3, **same),
        layers.Conv2DTranspose(24, 3, strides=2, **same),
        Conv(1, 3, padding="same", activation="sigmoid"),
    )
    return Training(m, noisy, clean, BCE, adam(0.003), explained(clean), steps=300)


class Positions(layers.Layer):
    """Adds a learned vector to each patch."""

    def build(self, shape):
        """Makes the vectors."""
        self.vectors = self.add_weight(shape=shape[1:], initializer="uniform", name="vectors")

    def call(self, patches):
        """Returns the patches with their positions."""
        return patches + self.vectors


@program("pictures-small-vision-transformer")
def _(rng):
    x, y = pictures(rng, 300, 24, 3, 4)
    image = Input((24, 24, 3))
    h = Conv(32, 6, strides=6)(image)
    h = layers.Reshape((16, 32))(h)
    h = Positions()(h)
    for _ in range(2):
        a = layers.LayerNormalization(epsilon=1e-6)(h)
        h = h + layers.MultiHeadAttention(4, 8, dropout=0.1)(a, a)
        f = Dense(64, "gelu")(layers.LayerNormalization(epsilon=1e-6)(h))
        h = h + layers.Dropout(0.1)(Dense(32)(f))
    h = layers.Flatten()(layers.LayerNormalization(epsilon=1e-6)(h))
    m = keras.Model(image, Dense(4)(layers.Dropout(0.2)(Dense(64, "gelu")(h))))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    decay = keras.optimizers.AdamW(0.001, weight_decay=1e-4)
    return Training(m, x, y, loss, decay, accuracy(y), steps=400)


@program("critic-wasserstein-clipped-weights")
def _(rng):
    real, _ = pictures(rng, 200, 16, 1, 3, noise=0.05)
    fake = np.clip(0.5 + 0.2 * rng.standard_normal((200, 16, 16, 1)), 0, 1)
    x = 2 * np.concatenate([real, fake]) - 1
    sign = np.repeat([-1.0, 1.0], 200)[:, None]

    def clip(weights):
        return ops.clip(weights, -0.05, 0.05)

    def wasserstein(truth, made):
        return ops.mean(truth * made)

    start = keras.initializers.RandomNormal(stddev=0.02)
    inner = []
    for filters in (16, 32):
        options = {"kernel_initializer": start, "kernel_constraint": clip}
        inner += [Conv(filters, 4, strides=2, padding="same", **options), layers.LeakyReLU(0.2)]
    m = net((16, 16, 1), *inner, layers.Flatten(), Dense(1))

    def apart(made):
        higher = made[:200] > made[None, 200:, 0]
        return float(higher.mean())

    slow = keras.optimizers.RMSprop(5e-4)
    return Training(m, x, sign, wasserstein, slow, apart, steps=300)


@program("faces-age-gender-kind")
def _(rng):
    x, kind = pictures(rng, 300, 20, 3, 4)
    age = standardized(x[..., 0].std((1, 2)) + x[..., 1].mean((1, 2)))
    gender = (kind % 2)[:, None]
    image = h = Input((20, 20, 3))
    for filters in (16, 24):
        h = layers.MaxPooling2D()(Conv(filters, 3, activation="relu")(h))
        h = layers.BatchNormalization()(h)
    h = Dense(64, "relu")(layers.Flatten()(h))
    ends = [Dense(1, name="age")(h), Dense(1, "sigmoid", name="gender")(h)]
    m = keras.Model(image, [*ends, Dense(4, "softmax", name="kind")(h)])
    losses = ["mse", BCE, CCE]
    compiled = {"loss_weights": [4.0, 0.5, 1.0]}
    y = [age, gender, one_hot(kind)]
    return Training(m, x, y, losses, adam(0.003), explained(age), steps=450, compiled=compiled)


@program("commands-spectrograms-normalized-inside")
def _(rng):
    sound, y = waves(rng, 300, 256, 4)
    frames = np.stack([sound[:, i : i + 64, 0] for i in range(0, 192, 16)], 1)
    x = np.abs(np.fft.rfft(frames * np.hanning(64), axis=-1))[..., None] * 40
    scale = layers.Normalization(axis=None)
    scale.adapt(x)
    inner = [scale, Conv(16, 3, activation="relu"), Conv(24, 3, activation="relu")]
    inner += [layers.MaxPooling2D(), layers.Dropout(0.25), layers.Flatten()]
    m = net(x.shape[1:], *inner, Dense(64, "relu"), layers.Dropout(0.5), Dense(4))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return Training(m, x, y, loss, adam(), accuracy(y), steps=250)


@program("pictures-mixer-of-patches")
def _(rng):
    x, y = pictures(rng, 300, 24, 3, 4)
    image = Input((24, 24, 3))
    h = layers.Reshape((16, 32))(Conv(32, 6, strides=6)(image))
    for _ in range(2):
        t = layers.Permute((2, 1))(layers.LayerNormalization(epsilon=1e-6)(h))
        t = Dense(16)(Dense(32, "gelu")(t))
        h = h + layers.Permute((2, 1))(t)
        c = layers.LayerNormalization(epsilon=1e-6)(h)
        h = h + Dense(32)(Dense(64, "gelu")(c))
    h = layers.Dropout(0.2)(layers.GlobalAveragePooling1D()(h))
    m = keras.Model(image, Dense(4, "softmax")(h))
    return Training(m, x, y, SPARSE, adam(0.003), accuracy(y), steps=300)
