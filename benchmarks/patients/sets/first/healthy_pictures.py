"""Programs that train well: pictures, masks, codes and distances, as good users write them."""

import keras
import numpy as np
from data import digits, one_hot, pictures
from keras import layers, ops
from nets import BCE, CCE, SPARSE, adam, net, sgd
from program import Program, Training, accuracy, explained, healthy

HEALTHY: dict[str, Program] = {}
program = healthy(HEALTHY, "ours")

Dense, Input, Conv = layers.Dense, keras.Input, layers.Conv2D


@program("dice-and-crossentropy-mask")
def _(rng):
    x, _ = pictures(rng, 160, 32, 1, 3)
    y = (x > 0.62).astype("float32")

    def loss(truth, made):
        shared = ops.sum(truth * made, axis=(1, 2, 3))
        whole = ops.sum(truth + made, axis=(1, 2, 3))
        dice = 1 - ops.mean((2 * shared + 1) / (whole + 1))
        return dice + ops.mean(keras.losses.binary_crossentropy(truth, made))

    image = Input((32, 32, 1))
    skip = Conv(16, 3, padding="same", activation="relu", kernel_initializer="he_normal")(image)
    h = Conv(32, 3, strides=2, padding="same", activation="relu")(skip)
    h = layers.Conv2DTranspose(16, 2, strides=2)(h)
    h = Conv(16, 3, padding="same", activation="relu")(layers.Concatenate()([h, skip]))
    m = keras.Model(image, Conv(1, 1, activation="sigmoid")(h))
    return Training(m, x, y, loss, adam(0.002), accuracy(y), 16, 200)


@program("augmented-bytes-efficient-blocks")
def _(rng):
    pixels, y = pictures(rng, 300, 32, 3, 5)
    h = image = Input((32, 32, 3))
    h = layers.RandomFlip("horizontal", seed=1)(h)
    h = layers.Rescaling(1 / 127.5, -1)(h)
    h = Conv(16, 3, strides=2, padding="same", use_bias=False)(h)
    h = layers.Activation("swish")(layers.BatchNormalization()(h))
    for _ in range(2):
        wide = Conv(64, 1, use_bias=False)(h)
        wide = layers.Activation("swish")(layers.BatchNormalization()(wide))
        wide = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(wide)
        wide = layers.Activation("swish")(layers.BatchNormalization()(wide))
        gate = layers.GlobalAveragePooling2D(keepdims=True)(wide)
        gate = Conv(64, 1, activation="sigmoid")(Conv(8, 1, activation="swish")(gate))
        narrow = layers.BatchNormalization()(Conv(16, 1, use_bias=False)(wide * gate))
        h = h + narrow
    h = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(h))
    m = keras.Model(image, Dense(5, "softmax")(h))
    return Training(m, np.round(255 * pixels), y, SPARSE, adam(0.003), accuracy(y), steps=300)


@program("fine-tuning-small-rate")
def _(rng):
    x, y = pictures(rng, 300, 32, 3, 4)
    base = net(
        (32, 32, 3),
        Conv(24, 3, activation="relu", padding="same"),
        layers.BatchNormalization(),
        layers.MaxPooling2D(),
        Conv(48, 3, activation="relu", padding="same"),
        layers.BatchNormalization(),
        layers.GlobalAveragePooling2D(),
    )
    for layer in base.layers:
        if isinstance(layer, layers.BatchNormalization):  # statistics and weights of long ago
            size = layer.gamma.shape
            layer.set_weights(
                [
                    rng.uniform(0.5, 1.5, size),
                    0.2 * rng.standard_normal(size),
                    0.1 + 0.1 * rng.random(size),
                    0.05 + 0.1 * rng.random(size),
                ]
            )
            layer.trainable = False
    image = Input((32, 32, 3))
    m = keras.Model(image, Dense(4)(layers.Dropout(0.2)(base(image, training=False))))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return Training(m, x, y, loss, adam(5e-4), accuracy(y), steps=500)


class UnitLength(layers.Layer):
    """Brings vectors to length 1."""

    def call(self, x):
        """Returns them."""
        return x / ops.sqrt(ops.sum(ops.square(x), -1, keepdims=True) + 1e-8)


@program("face-embedding-in-batch-contrast")
def _(rng):
    x, y = digits(rng, 320, 8)

    def contrast(labels, codes):
        labels = ops.reshape(labels, (-1, 1))
        alike = ops.cast(ops.equal(labels, ops.transpose(labels)), "float32")
        scores = ops.matmul(codes, ops.transpose(codes)) / 0.2
        alone = ops.eye(ops.shape(codes)[0])
        scores = scores - 1e9 * alone
        alike = alike * (1 - alone)
        log_share = scores - ops.logsumexp(scores, axis=1, keepdims=True)
        return -ops.mean(ops.sum(alike * log_share, 1) / (ops.sum(alike, 1) + 1e-6))

    m = net(
        (28, 28, 1),
        layers.Rescaling(1 / 255),
        Conv(16, 5, strides=2, activation="relu"),
        Conv(32, 3, strides=2, activation="relu"),
        layers.Flatten(),
        Dense(24),
        UnitLength(),
    )
    return Training(m, x[..., None], y, contrast, adam(0.001), lambda made: 1.0, 64, 150)


@program("generator-tanh-targets")
def _(rng):
    x, y = pictures(rng, 200, 16, 3, 4)
    code = np.concatenate([one_hot(y), rng.standard_normal((200, 12))], 1)
    m = net(
        (16,),
        Dense(4 * 4 * 32, use_bias=False),
        layers.BatchNormalization(),
        layers.LeakyReLU(negative_slope=0.2),
        layers.Reshape((4, 4, 32)),
        layers.Conv2DTranspose(32, 4, strides=2, padding="same", use_bias=False),
        layers.BatchNormalization(),
        layers.LeakyReLU(negative_slope=0.2),
        layers.Conv2DTranspose(3, 4, strides=2, padding="same", activation="tanh"),
    )
    wanted = 2 * x - 1
    return Training(m, code, wanted, "mae", adam(2e-3, beta_1=0.5), explained(wanted), 32, 300)


@program("super-resolution-residual")
def _(rng):
    fine, _ = pictures(rng, 150, 24, 3, 4, 0.02)
    coarse = fine.reshape(150, 12, 2, 12, 2, 3).mean((2, 4))
    small = Input((12, 12, 3))
    h = Conv(32, 3, padding="same", activation="relu")(small)
    h = Conv(32, 3, padding="same", activation="relu")(h)
    h = Conv(12, 3, padding="same", kernel_initializer="zeros")(h)
    detail = layers.Reshape((24, 24, 3))(
        layers.Permute((1, 3, 2, 4, 5))(layers.Reshape((12, 12, 2, 2, 3))(h))
    )
    m = keras.Model(small, layers.UpSampling2D(interpolation="bilinear")(small) + detail)
    return Training(m, coarse, fine, "mse", adam(0.002), explained(fine), 16, 200)


@program("keypoints-in-unit-square")
def _(rng):
    spot = rng.uniform(0.2, 0.8, (300, 2))
    grid = np.arange(24) / 23
    gap = (grid[:, None] - spot[:, None, None, 0]) ** 2 + (grid - spot[:, None, None, 1]) ** 2
    x = np.exp(-gap / 0.01)[..., None] + 0.05 * rng.standard_normal((300, 24, 24, 1))
    m = net(
        (24, 24, 1),
        Conv(16, 5, strides=2, activation="relu"),
        Conv(32, 3, strides=2, activation="relu"),
        layers.Flatten(),
        Dense(64, "relu"),
        Dense(2, "sigmoid"),
    )
    return Training(m, x, spot, "mse", adam(0.001), explained(spot), steps=400)


@program("wide-vgg-he-momentum")
def _(rng):
    x, y = pictures(rng, 250, 32, 3, 6)
    mean, std = x.mean((0, 1, 2)), x.std((0, 1, 2))
    h = image = Input((32, 32, 3))
    for filters in (32, 64, 64):
        for _ in range(2):
            h = Conv(filters, 3, padding="same", kernel_initializer="he_normal")(h)
            h = layers.ReLU()(layers.GroupNormalization(8)(h))
        h = layers.MaxPooling2D()(h)
    h = layers.Dropout(0.5)(Dense(128, "relu", kernel_initializer="he_normal")(layers.Flatten()(h)))
    m = keras.Model(image, Dense(6, "softmax")(h))
    decay = keras.optimizers.schedules.PiecewiseConstantDecay([2000, 3000], [2e-3, 2e-4, 2e-5])
    optimizer = sgd(decay, 0.9, nesterov=True, weight_decay=5e-4)
    return Training(m, (x - mean) / std, one_hot(y), CCE, optimizer, accuracy(y), 32, 200)


@program("tags-asymmetric-many-negative")
def _(rng):
    x, kind = pictures(rng, 300, 24, 3, 6)
    y = np.zeros((300, 20))
    y[np.arange(300), kind] = 1  # 20 tags, of which most are never seen here
    y[np.arange(300), 6 + kind % 2] = 1
    m = net(
        (24, 24, 3),
        Conv(24, 3, activation="relu"),
        layers.MaxPooling2D(),
        Conv(48, 3, activation="relu"),
        layers.GlobalAveragePooling2D(),
        Dense(20, "sigmoid", bias_initializer=keras.initializers.Constant(-2.0)),
    )
    loss = keras.losses.BinaryFocalCrossentropy(gamma=2.0)
    return Training(m, x, y, loss, adam(0.003), accuracy(y), compiled={"metrics": ["accuracy"]})


@program("clutter-detector-bce-many-outputs")
def _(rng):
    x = rng.uniform(0, 0.3, (250, 24, 24, 1))
    cell = rng.integers(0, 6, (250, 2))
    for i, (row, column) in enumerate(cell):
        x[i, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] += 0.7
    y = np.zeros((250, 6, 6, 1))
    y[np.arange(250), cell[:, 0], cell[:, 1]] = 1
    prior = keras.initializers.Constant(-4.6)  # 0.01, as in RetinaNet
    m = net(
        (24, 24, 1),
        Conv(16, 3, strides=2, padding="same", activation="relu"),
        Conv(32, 3, strides=2, padding="same", activation="relu"),
        Conv(1, 1, activation="sigmoid", bias_initializer=prior),
    )
    return Training(m, x, y, BCE, adam(0.003), accuracy(y), 16, 300)
