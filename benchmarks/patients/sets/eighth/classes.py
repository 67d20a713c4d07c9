"""Pictures and their classes: what layers, own ones too, do to the signal."""

import keras
import numpy as np
from data import pictures
from keras import layers, ops
from nets import BCE, SPARSE, adam, conv_blocks, net, sgd
from program import Program, Training, accuracy, register

BROKEN: dict[str, Program] = {}
program = register(BROKEN, "ours")

Dense, Input, Conv, Flatten = layers.Dense, keras.Input, layers.Conv2D, layers.Flatten
Pool = layers.GlobalAveragePooling2D


@program(
    "leaves-brightened-as-if-they-were-bytes",
    "input@0, layers@0, input@input",
    "keras-team/keras-cv#427, altered",
)
def _(rng):
    x, y = pictures(rng, 400, 20, 3, 5)

    def model(span):
        inner = [layers.RandomBrightness(0.5, value_range=span), *conv_blocks([16, 24])]
        return net((20, 20, 3), *inner, Flatten(), Dense(5, "softmax"))

    broken = Training(model((0, 255)), x, y, SPARSE, adam(0.003), accuracy(y), steps=250)
    return broken, broken.but(model=model((0.0, 1.0)))


@program(
    "tiles-normalized-by-what-bytes-have",
    "input@0, input@input, layers@0",
    "questions on Normalization and adapt",
)
def _(rng):
    x, y = pictures(rng, 400, 16, 3, 6)

    def model(seen):
        shift = layers.Normalization(mean=seen.mean((0, 1, 2)), variance=seen.var((0, 1, 2)))
        inner = [shift, Conv(16, 3, activation="relu"), Conv(24, 3, activation="relu"), Pool()]
        return net((16, 16, 3), *inner, Dense(6, "softmax"))

    broken = Training(model(255 * x), x, y, SPARSE, adam(0.003), accuracy(y), steps=250)
    return broken, broken.but(model=model(x))


def _gated(shape, units, gate, blocks=6, filters=32):
    h = image = Input(shape)
    h = Conv(filters, 3, strides=2, padding="same", activation="relu")(h)
    for _ in range(blocks):
        h = Conv(filters, 3, padding="same", activation="relu", kernel_initializer="he_normal")(h)
        squeezed = Dense(filters, gate)(Dense(filters // 4, "relu")(Pool(keepdims=True)(h)))
        h = layers.Multiply()([h, squeezed])
    return keras.Model(image, Dense(units, "softmax")(Pool()(h)))


@program(
    "birds-channels-gated-by-a-softmax",
    ", ".join(f"hidden activation@{i}, gradient@{i}, initialization@{i}" for i in range(1, 33)),
    "questions on squeeze and excitation",
)
def _(rng):
    x, y = pictures(rng, 320, 16, 3, 5)
    make = _gated((16, 16, 3), 5, "softmax")
    broken = Training(make, x, y, SPARSE, adam(0.002), accuracy(y), steps=250)
    return broken, broken.but(model=_gated((16, 16, 3), 5, "sigmoid", 3))


@program(
    "cells-each-block-added-to-itself",
    ", ".join(f"initialization@{i}, gradient@{i}" for i in range(1, 28))
    + ", rate too high@optimizer",
    "a slip in ports of ResNet",
)
def _(rng):
    x, y = pictures(rng, 320, 16, 3, 5)

    def model(right):
        start = {"kernel_initializer": "he_normal", "padding": "same"}
        h = image = Input((16, 16, 3))
        h = Conv(24, 3, strides=2, activation="relu", **start)(h)
        for _ in range(12):
            branch = Conv(24, 3, activation="relu", **start)(h)
            h = h + 0.3 * branch if right else layers.Add()([branch, branch])
        return keras.Model(image, Dense(5, "softmax")(Pool()(h)))

    broken = Training(model(False), x, y, SPARSE, sgd(0.01, 0.9), accuracy(y), steps=250)
    return broken, broken.but(model=model(True))


@program(
    "grains-sigmoid-behind-each-sum",
    ", ".join(f"hidden activation@{i}, gradient@{i}, initialization@{i}" for i in range(1, 8)),
)
def _(rng):
    x, y = pictures(rng, 320, 16, 1, 6)

    def model(squash):
        h = image = Input((16, 16, 1))
        h = Conv(24, 3, strides=2, padding="same")(h)
        for _ in range(4):
            h = squash(h + Conv(24, 3, padding="same")(squash(h)))
        return keras.Model(image, Dense(6, "softmax")(Pool()(h)))

    broken = Training(model(ops.sigmoid), x, y, SPARSE, adam(0.002), accuracy(y), steps=300)
    return broken, broken.but(model=model(ops.relu))


def _patches(x, size):
    """Returns the patches of pictures as rows of tokens."""
    n, rows, columns, channels = x.shape
    cut = x.reshape(n, rows // size, size, columns // size, size, channels)
    return cut.transpose(0, 1, 3, 2, 4, 5).reshape(n, -1, size * size * channels)


class Places(layers.Layer):
    """Adds a projection of the number of each token."""

    def __init__(self, scale, units):
        super().__init__()
        self.scale, self.project = scale, Dense(units)

    def call(self, tokens):
        """Returns tokens that know their place."""
        number = ops.arange(ops.shape(tokens)[1], dtype="float32")
        return tokens + self.project(self.scale * number[:, None])


@program(
    "views-numbers-of-patches-projected-as-they-are",
    "initialization@2, layers@2, input@2",
    "forum threads on positions in vision transformers",
)
def _(rng):
    x, y = pictures(rng, 400, 16, 1, 6)
    tokens = _patches(x, 2)

    def model(scale):
        given = Input(tokens.shape[1:])
        h = Places(scale, 32)(Dense(32)(given))
        for _ in range(2):
            a = layers.LayerNormalization()(h)
            h = h + layers.MultiHeadAttention(2, 16)(a, a)
            h = h + Dense(32)(Dense(64, "gelu")(layers.LayerNormalization()(h)))
        h = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(h))
        return keras.Model(given, Dense(6, "softmax")(h))

    broken = Training(model(1.0), tokens, y, SPARSE, adam(0.002), accuracy(y), steps=400)
    return broken, broken.but(model=model(1 / 64))


class Attend(layers.Layer):
    """Lets each token look at the others; `scale` divides the products."""

    def __init__(self, units, scale):
        super().__init__()
        self.scale = scale
        self.parts = [Dense(units) for _ in range(3)]

    def call(self, h):
        """Returns mixed values."""
        query, key, value = [part(h) for part in self.parts]
        scores = ops.matmul(query, ops.transpose(key, (0, 2, 1))) / self.scale
        return ops.matmul(ops.softmax(scores), value)


@program(
    "tissues-attention-never-divided-by-the-root",
    "gradient@2, initialization@2, hidden activation@2, gradient@3, initialization@3, "
    "gradient@4, initialization@4",
)
def _(rng):
    x, y = pictures(rng, 400, 16, 1, 6)
    tokens = _patches(x, 4) * 4

    def model(scale):
        given = Input(tokens.shape[1:])
        h = Dense(256)(given)
        for _ in range(3):
            h = Attend(256, scale)(h)
        h = Dense(32, "relu")(layers.GlobalAveragePooling1D()(h))
        return keras.Model(given, Dense(6, "softmax")(h))

    broken = Training(model(1.0), tokens, y, SPARSE, adam(0.001), accuracy(y), steps=300)
    return broken, broken.but(model=model(16.0))


@program(
    "gulls-gradients-gathered-over-a-thousand-steps",
    "rate too low@optimizer, epochs@optimizer",
    "questions on gradient_accumulation_steps",
)
def _(rng):
    x, y = pictures(rng, 320, 16, 3, 5)

    def model():
        return net((16, 16, 3), *conv_blocks([16, 24]), Flatten(), Dense(5, "softmax"))

    slow, right = (adam(0.003, gradient_accumulation_steps=k) for k in (1000, 2))
    broken = Training(model(), x, y, SPARSE, slow, accuracy(y), 16, steps=400)
    return broken, broken.but(model=model(), optimizer=right)


class Affine(layers.Layer):
    """A dense layer of one's own; with `apply` it uses the activation that it is given."""

    def __init__(self, units, activation, apply):
        super().__init__()
        self.units, self.apply = units, apply
        self.activation = keras.activations.get(activation)

    def build(self, shape):
        """Makes the weights."""
        self.kernel = self.add_weight(shape=(shape[-1], self.units), initializer="he_normal")
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros")

    def call(self, x):
        """Returns the units' values."""
        h = ops.matmul(x, self.kernel) + self.bias
        return self.activation(h) if self.apply else h


@program(
    "parity-of-two-lamps-own-layers-forget-their-activation",
    "hidden activation@1, hidden activation@2, hidden activation@3",
    "threads on custom layers",
)
def _(rng):
    lit = rng.integers(0, 2, (600, 2))
    x = 0.15 * rng.standard_normal((600, 8, 8, 1))
    x[:, 1:4, 1:4, 0] += lit[:, 0, None, None]
    x[:, 5:8, 5:8, 0] += lit[:, 1, None, None]
    y = lit[:, 0] ^ lit[:, 1]

    def model(apply):
        inner = [Flatten(), *[Affine(32, "relu", apply) for _ in range(3)]]
        return net((8, 8, 1), *inner, Dense(1, "sigmoid"))

    broken = Training(model(False), x, y[:, None], BCE, adam(0.003), accuracy(y[:, None]))
    broken = broken.but(steps=300)
    return broken, broken.but(model=model(True))


@program(
    "arrows-left-and-right-mirrored-at-random", "layers@0, input@0, labels@targets, input@input"
)
def _(rng):
    y = rng.integers(0, 2, 400)
    ramp = np.linspace(-0.4, 0.4, 16)
    x = 0.5 + ramp * np.where(y, 1, -1)[:, None, None] + 0.2 * rng.standard_normal((400, 16, 16))

    def model(*first):
        inner = [*first, *conv_blocks([16, 16]), Flatten()]
        return net((16, 16, 1), *inner, Dense(2, "softmax"))

    flipped = model(layers.RandomFlip("horizontal", seed=1))
    broken = Training(flipped, x[..., None], y, SPARSE, adam(0.003), accuracy(y), steps=200)
    return broken, broken.but(model=model(layers.RandomFlip("vertical", seed=1)))


@program(
    "scans-brightness-asked-of-each-picture-normalized",
    "layers@0, input@0, input@input, gradient@0",
)
def _(rng):
    y = rng.integers(0, 4, 400)
    texture = np.sin(np.arange(16)[:, None] * 0.8 + rng.uniform(0, 6, (400, 1, 1)))
    x = 0.2 * y[:, None, None] + 0.1 * texture + 0.05 * rng.standard_normal((400, 16, 16))

    def model(*first):
        inner = [*first, Conv(16, 3, activation="relu"), Conv(16, 3, activation="relu"), Pool()]
        return net((16, 16, 1), *inner, Dense(4, "softmax"))

    first = layers.GroupNormalization(1)
    broken = Training(model(first), x[..., None], y, SPARSE, adam(0.005), accuracy(y), steps=300)
    return broken, broken.but(model=model())


@program(
    "flowers-frozen-features-of-hundreds-plain-sgd",
    "rate too high@optimizer, initialization@1, initialization@2, input@1",
    "threads on heads over VGG features",
)
def _(rng):
    x, y = pictures(rng, 500, 20, 3, 6)
    pixels = 255 * x - 127.0
    base = net((20, 20, 3), *conv_blocks([16, 32], kernel_initializer="he_normal"), Flatten())
    known = net((20, 20, 3), base, Dense(3, "softmax"))
    known.compile(adam(0.001), SPARSE)
    known.fit(pixels[:250], y[:250] % 3, batch_size=25, epochs=8, verbose=0)
    base.trainable = False

    def model(*between):
        return net((20, 20, 3), base, *between, Dense(48, "relu"), Dense(6, "softmax"))

    broken = Training(model(), pixels, y, SPARSE, sgd(0.05, 0.9), accuracy(y), steps=300)
    return broken, broken.but(model=model(layers.BatchNormalization(momentum=0.9)))


class Shortened(layers.Layer):
    """Divides the features of each place by their length, and multiplies them by 4."""

    def call(self, h):
        """Returns features of length 4."""
        return 4 * h / ops.sqrt(ops.sum(ops.square(h), -1, keepdims=True) + 1e-3)


@program(
    "boards-bytes-squared-in-half-floats",
    "input@input, gradient@0, gradient@1, gradient@2, initialization@1, gradient@3",
    "keras-team/keras#11832, altered",
)
def _(rng):
    x, y = pictures(rng, 320, 16, 3, 5)
    half = keras.DTypePolicy("mixed_float16")

    def model():
        inner = []
        for filters in (24, 32):
            inner += [Conv(filters, 3, dtype=half), Shortened(dtype=half), layers.ReLU(dtype=half)]
        return net((16, 16, 3), *inner, Pool(dtype="float32"), Dense(5, "softmax"))

    broken = Training(model(), 255 * x, y, SPARSE, adam(0.003), accuracy(y), steps=250)
    return broken, broken.but(model=model(), x=x)


class Scaled(keras.Sequential):
    """A net whose step divides the pictures by 255."""

    def train_step(self, *given):
        """Trains on scaled pictures."""
        *state, (x, y) = given
        return super().train_step(*state, (x / 255.0, y))


@program(
    "ships-own-step-scales-what-was-scaled",
    "input@input",
    "questions on a train_step of one's own",
)
def _(rng):
    x, y = pictures(rng, 320, 16, 3, 5)

    def model(kind):
        inner = [*conv_blocks([16, 24]), Flatten(), Dense(5, "softmax")]
        return kind([Input((16, 16, 3)), *inner])

    broken = Training(model(Scaled), x, y, SPARSE, adam(0.003), accuracy(y), steps=250)
    return broken, broken.but(model=model(keras.Sequential))


@program("streets-one-photo-given-for-both", "input@input, labels@targets")
def _(rng):
    before, _ = pictures(rng, 500, 16, 1, 5)
    y = rng.integers(0, 2, 500)
    after = before + 0.1 * rng.standard_normal(before.shape)
    rows = np.flatnonzero(y)
    at = rng.integers(0, 10, (len(rows), 2))
    for row, (i, j) in zip(rows, at, strict=True):
        after[row, i : i + 5, j : j + 5] += 0.7

    def model():
        two = [Input((16, 16, 1)), Input((16, 16, 1))]
        encoder = net((16, 16, 1), Conv(16, 3, activation="relu"), Conv(16, 3, activation="relu"))
        h = ops.abs(encoder(two[0]) - encoder(two[1]))
        h = layers.GlobalMaxPooling2D()(h)
        return keras.Model(two, Dense(1, "sigmoid")(Dense(16, "relu")(h)))

    score = accuracy(y[:, None])
    broken = Training(model(), [before, before], y[:, None], BCE, adam(0.003), score, steps=300)
    return broken, broken.but(model=model(), x=[before, after])
