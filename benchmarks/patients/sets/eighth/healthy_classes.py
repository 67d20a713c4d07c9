"""Classes, codes and generators that train well, written as good users write them."""

import keras
import numpy as np
from data import digits, pictures
from keras import layers, ops
from nets import BCE, CCE, SPARSE, adam, conv_blocks, net, sgd
from program import Program, Training, accuracy, explained, healthy

from sets.eighth.classes import Affine, _patches
from sets.eighth.makers import (
    _bent,
    _codes,
    _denoiser,
    _flow,
    _likelier,
    _likelihood,
    _small,
    _small_digits,
    _vae,
)
from sets.eighth.scenes import nearest, noised

HEALTHY: dict[str, Program] = {}
program = healthy(HEALTHY, "ours")

Dense, Input, Conv, Flatten = layers.Dense, keras.Input, layers.Conv2D, layers.Flatten
Pool = layers.GlobalAveragePooling2D


@program("pictures-residual-ends-and-head-from-zero")
def _(rng):
    x, y = pictures(rng, 400, 16, 3, 6)
    bare = {"padding": "same", "use_bias": False}
    h = image = Input((16, 16, 3))
    h = Conv(24, 3, strides=2, **bare)(h)
    for _ in range(4):
        branch = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(h))
        branch = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(Conv(24, 3, **bare)(branch)))
        h = h + Conv(24, 3, kernel_initializer="zeros", **bare)(branch)
    h = Pool()(layers.ReLU()(layers.BatchNormalization(momentum=0.9)(h)))
    m = keras.Model(image, Dense(6, "softmax", kernel_initializer="zeros")(h))
    return Training(m, x, y, SPARSE, sgd(0.05, 0.9), accuracy(y), steps=300)


@program("bytes-rescaled-and-heavily-augmented-inside")
def _(rng):
    x, y = pictures(rng, 400, 20, 3, 5)
    inner = [
        layers.Rescaling(1 / 255),
        layers.RandomFlip(seed=1),
        layers.RandomTranslation(0.2, 0.2, fill_mode="wrap", seed=2),
        layers.RandomContrast(0.4, value_range=(0, 1), seed=3),
        layers.RandomBrightness(0.2, value_range=(0, 1), seed=4),
        layers.GaussianNoise(0.05, seed=5),
        *conv_blocks([16, 24]),
    ]
    m = net((20, 20, 3), *inner, Pool(), Dense(5, "softmax"))
    pixels = np.round(255 * x).astype("uint8")
    return Training(m, pixels, y, SPARSE, adam(0.005), accuracy(y), steps=400)


@program("tokens-class-from-zeros-places-learned-norm-first")
def _(rng):
    x, y = pictures(rng, 400, 16, 1, 6)
    tokens = _patches(x, 4)

    class Prefix(layers.Layer):
        """Puts a learned token before the others and adds learned places."""

        def build(self, shape):
            """Makes both."""
            self.token = self.add_weight(shape=(1, 1, shape[-1]), initializer="zeros")
            places = keras.initializers.TruncatedNormal(stddev=0.02)
            self.places = self.add_weight(shape=(1, shape[1] + 1, shape[2]), initializer=places)

        def call(self, h):
            """Returns one token more."""
            first = ops.repeat(self.token, ops.shape(h)[0], 0)
            return ops.concatenate([first, h], 1) + self.places

    given = Input(tokens.shape[1:])
    h = Prefix()(Dense(32)(given))
    for _ in range(2):
        a = layers.LayerNormalization(epsilon=1e-6)(h)
        h = h + layers.MultiHeadAttention(4, 8, dropout=0.1)(a, a)
        h = h + Dense(32)(Dense(64, "gelu")(layers.LayerNormalization(epsilon=1e-6)(h)))
    h = layers.LayerNormalization(epsilon=1e-6)(h)[:, 0]
    m = keras.Model(given, Dense(6, kernel_initializer="zeros")(h))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    rate = keras.optimizers.AdamW(0.003, weight_decay=0.05)
    return Training(m, tokens, y, loss, rate, accuracy(y), steps=400)


class LayerScale(layers.Layer):
    """Multiplies each channel by a learned number that starts at one in a hundred thousand."""

    def build(self, shape):
        """Makes the numbers."""
        start = keras.initializers.Constant(1e-5)
        self.scale = self.add_weight(shape=(shape[-1],), initializer=start)

    def call(self, h):
        """Returns the products."""
        return self.scale * h


@program("convolutions-of-seven-layer-scale-and-depth-dropped")
def _(rng):
    x, y = pictures(rng, 400, 16, 3, 5)
    h = image = Input((16, 16, 3))
    h = layers.LayerNormalization()(Conv(24, 2, strides=2)(h))
    for _ in range(3):
        branch = layers.DepthwiseConv2D(7, padding="same")(h)
        branch = Dense(48, "gelu")(layers.LayerNormalization()(branch))
        branch = LayerScale()(Dense(24)(branch))
        h = h + layers.Dropout(0.1, noise_shape=(None, 1, 1, 1))(branch)
    m = keras.Model(image, Dense(5)(layers.LayerNormalization()(Pool()(h))))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    rate = keras.optimizers.AdamW(0.003, weight_decay=0.05)
    return Training(m, x, y, loss, rate, accuracy(y), steps=400)


@program("scans-group-norm-four-a-step-standardized-kernels")
def _(rng):
    x, y = pictures(rng, 300, 16, 1, 5)

    class Standardized(Conv):
        """A convolution whose kernel is standardized for each filter."""

        def call(self, h):
            """Returns the convolution with mean 0 and a spread of one over the fan."""
            kernel = self.kernel
            mean = ops.mean(kernel, (0, 1, 2), keepdims=True)
            spread = ops.std(kernel, (0, 1, 2), keepdims=True) + 1e-5
            fan = float(np.prod(kernel.shape[:3]))
            bare = (kernel - mean) / spread / np.sqrt(fan)
            return ops.conv(h, bare, self.strides[0], self.padding) + self.bias

    inner = []
    for filters in (16, 24):
        inner += [Standardized(filters, 3, padding="same"), layers.GroupNormalization(4)]
        inner += [layers.Activation("relu"), layers.MaxPooling2D()]
    m = net((16, 16, 1), *inner, Pool(), Dense(5, "softmax"))
    return Training(m, x, y, SPARSE, sgd(0.02, 0.9), accuracy(y), 4, 800)


@program("frozen-convolutions-of-another-task-and-a-linear-head")
def _(rng):
    x, y = digits(rng, 600)
    pixels = x[..., None] / 255
    base = net((28, 28, 1), *conv_blocks([16, 24]), Flatten(), Dense(32, "relu"))
    known = net((28, 28, 1), base, Dense(5, "softmax"))
    known.compile(adam(0.003), SPARSE)
    first = y < 5
    known.fit(pixels[first], y[first], batch_size=32, epochs=10, verbose=0)
    base.trainable = False
    image = Input((28, 28, 1))
    h = layers.Dropout(0.2)(base(image, training=False))
    m = keras.Model(image, Dense(10)(h))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return Training(m, pixels, y, loss, adam(0.005), accuracy(y), steps=500)


@program("half-floats-residual-head-in-single")
def _(rng):
    x, y = pictures(rng, 320, 16, 3, 5)
    half = keras.DTypePolicy("mixed_float16")
    h = image = Input((16, 16, 3))
    h = Conv(24, 3, strides=2, padding="same", dtype=half)(h)
    for _ in range(3):
        branch = layers.LayerNormalization(dtype=half)(h)
        branch = Conv(24, 3, padding="same", activation="relu", dtype=half)(branch)
        h = layers.Add(dtype=half)([h, Conv(24, 3, padding="same", dtype=half)(branch)])
    h = Pool(dtype="float32")(h)
    m = keras.Model(image, Dense(5, "softmax", dtype="float32")(h))
    return Training(m, x, y, SPARSE, adam(0.002), accuracy(y), steps=250)


class Noisy(keras.Sequential):
    """A net whose step adds noise to the pictures."""

    def train_step(self, *given):
        """Trains on noisy pictures."""
        *state, (x, y) = given
        x = ops.cast(x, "float32")
        return super().train_step(*state, (x + 0.1 * ops.sin(1e4 * x), y))


@program("own-step-adds-noise-to-clean-pictures")
def _(rng):
    clean, _ = pictures(rng, 300, 16, 1, 4, noise=0.02)
    inner = [Conv(24, 3, padding="same", activation="relu") for _ in range(2)]
    m = Noisy([Input((16, 16, 1)), *inner, Conv(1, 3, padding="same")])
    return Training(m, clean, clean, "mse", adam(0.003), explained(clean), 32, 250)


class Mixed(keras.Model):
    """A subclassed classifier with a penalty of its own in its loss."""

    def __init__(self):
        super().__init__()
        self.body = [Affine(48, "relu", True), Affine(32, "tanh", True)]
        self.end = Dense(6, "softmax")

    def call(self, x):
        """Returns shares of classes."""
        h = ops.reshape(x, (-1, 192))
        for layer in self.body:
            h = layer(h)
        return self.end(h)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Returns the loss, less a little entropy."""
        plain = super().compute_loss(x, y, y_pred, sample_weight, training)
        entropy = -ops.mean(ops.sum(y_pred * ops.log(y_pred + 1e-7), -1))
        return plain - 0.02 * entropy


@program("subclassed-own-layers-loss-less-entropy")
def _(rng):
    x, y = pictures(rng, 400, 8, 3, 6, noise=0.05)
    m = Mixed()
    m.build((None, 8, 8, 3))
    return Training(m, x, y, SPARSE, adam(0.003), accuracy(y), steps=400)


@program("photo-and-facts-modulated-from-zero")
def _(rng):
    x, kind = pictures(rng, 400, 16, 1, 4)
    facts = rng.standard_normal((400, 5))
    y = (kind + (facts[:, 0] > 0)) % 4
    image, row = Input((16, 16, 1)), Input((5,))
    h = Conv(16, 3, activation="relu")(image)
    for _ in range(2):
        hidden = Dense(24, "relu")(row)
        scale = Dense(16, kernel_initializer="zeros")(hidden)
        shift = Dense(16, kernel_initializer="zeros")(hidden)
        h = Conv(16, 3, activation="relu")(h * (1 + scale[:, None, None]) + shift[:, None, None])
    h = layers.Concatenate()([Pool()(h), Dense(16, "relu")(row)])
    m = keras.Model([image, row], Dense(4, "softmax")(Dense(32, "relu")(h)))
    return Training(m, [x, facts], y, SPARSE, adam(0.005), accuracy(y), steps=600)


@program("codes-by-contrast-at-a-tenth")
def _(rng):
    x, y = pictures(rng, 400, 16, 3, 6)

    def contrast(labels, codes):
        labels = ops.reshape(labels, (-1, 1))
        alike = ops.cast(ops.equal(labels, ops.transpose(labels)), "float32")
        own = ops.eye(ops.shape(codes)[0])
        scores = ops.matmul(codes, ops.transpose(codes)) / 0.1 - 1e9 * own
        share = scores - ops.logsumexp(scores, 1, keepdims=True)
        alike = alike - own
        return -ops.sum(alike * share, 1) / (ops.sum(alike, 1) + 1e-6)

    return Training(_codes((16, 16, 3)), x, y, contrast, adam(0.002), nearest(y), 32, 250)


@program("digits-vae-divergence-of-a-thousandth")
def _(rng):
    x, _ = _small_digits(rng, 400)
    x = x / 255
    return Training(_vae(196, 0.0005), x, x, "mse", adam(0.003), explained(x), 32, 500)


@program("diffusion-last-convolution-from-zero")
def _(rng):
    seen, step, noise = noised(rng, _small(rng, 500))
    m = _denoiser(None, 1.0)
    m.layers[-1].kernel.assign(ops.zeros_like(m.layers[-1].kernel))
    x = [seen, step[:, None] / 100]
    return Training(m, x, noise, "mse", adam(0.003), explained(noise), steps=300)


@program("flow-of-four-bounded-couplings")
def _(rng):
    x = _bent(rng, 800)
    return Training(_flow(), x, x, _likelihood(1), adam(0.005), _likelier(x), 64, 400)


@program("generator-against-a-trained-frozen-judge")
def _(rng):
    real, _ = _small_digits(rng, 400)
    real = 2 * real / 255 - 1
    junk = np.clip(0.5 * rng.standard_normal(real.shape) - 0.5, -1, 1)
    slope = layers.LeakyReLU
    judge = net((196,), Dense(64), slope(0.2), layers.Dropout(0.3), Dense(1, "sigmoid"))
    judge.compile(adam(0.0005), BCE)
    judge.fit(np.concatenate([real, junk]), np.repeat([1.0, 0.0], 400), epochs=4, verbose=0)
    judge.trainable = False
    noise = Input((16,))
    inner = [Dense(64), slope(0.2), Dense(128), layers.BatchNormalization(momentum=0.8), slope(0.2)]
    m = keras.Model(noise, judge(net((16,), *inner, Dense(196, "tanh"))(noise)))

    def fooled(made):
        return float((made > 0.5).mean())

    x = rng.standard_normal((400, 16))
    once = adam(0.0002, beta_1=0.5)
    return Training(m, x, np.ones((400, 1)), BCE, once, fooled, steps=300)


@program("labels-mixed-and-smoothed-of-mixed-pictures")
def _(rng):
    x, y = pictures(rng, 400, 16, 3, 5)
    share = rng.beta(0.4, 0.4, (400, 1))
    order = rng.permutation(400)
    target = np.eye(5)[y]
    mixed = share[..., None, None] * x + (1 - share[..., None, None]) * x[order]
    target = share * target + (1 - share) * target[order]
    m = net((16, 16, 3), *conv_blocks([16, 24]), Flatten(), Dense(5, "softmax"))
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    return Training(m, mixed, target, loss, adam(0.003), accuracy(target.argmax(1)), steps=300)


@program("maxout-and-gates-few-classes-one-hot")
def _(rng):
    x, y = pictures(rng, 400, 16, 1, 4)
    h = image = Input((16, 16, 1))
    for filters in (16, 24):
        wide = Conv(2 * filters, 3)(h)
        h = layers.MaxPooling2D()(ops.maximum(wide[..., :filters], wide[..., filters:]))
        gate = Dense(filters, "hard_sigmoid")(Dense(8, "relu")(Pool(keepdims=True)(h)))
        h = h * gate
    m = keras.Model(image, Dense(4, "softmax")(Pool()(h)))
    return Training(m, x, np.eye(4)[y], CCE, adam(0.005), accuracy(y), steps=300)
