"""Programs that train well, as in Keras's examples: `diagnose` has to leave them in peace."""

import keras
import numpy as np
from data import blobs, digits, linear, one_hot, pictures, series, standardized, waves, words
from keras import layers, ops
from nets import BCE, CCE, SPARSE, adam, conv_blocks, mlp, net, sgd
from program import Program, Training, accuracy, explained, healthy

HEALTHY: dict[str, Program] = {}
program = healthy(HEALTHY, "ours")

Dense, Input, Flatten, Conv = layers.Dense, keras.Input, layers.Flatten, layers.Conv2D


def _nothing(made):
    return 1.0


@program("mnist-cnn")
def _(rng):
    x, y = digits(rng, 600)
    m = net(
        (28, 28, 1),
        *conv_blocks([32, 64]),
        Flatten(),
        layers.Dropout(0.5),
        Dense(10, "softmax"),
    )
    return Training(m, x[..., None] / 255, one_hot(y), CCE, "adam", accuracy(y), 128, 100)


@program("mnist-perceptron-rmsprop")
def _(rng):
    x, y = digits(rng, 600)
    m = mlp(784, [512, 512], 10, "softmax")
    return Training(m, x.reshape(-1, 784) / 255, y, SPARSE, "rmsprop", accuracy(y), 128, 100)


@program("mnist-softmax-regression")
def _(rng):
    x, y = digits(rng, 600)
    m = mlp(784, [], 10, "softmax")
    return Training(m, x.reshape(-1, 784) / 255, y, SPARSE, sgd(0.1), accuracy(y), steps=300)


@program("imdb-lstm")
def _(rng):
    x, y = words(rng, 400, 40, 2000)
    m = net(
        (40,),
        layers.Embedding(2000, 32),
        layers.Bidirectional(layers.LSTM(32, return_sequences=True)),
        layers.Bidirectional(layers.LSTM(32)),
        Dense(1, "sigmoid"),
    )
    return Training(m, x, y, BCE, "adam", accuracy(y), steps=100)


@program("text-convolution")
def _(rng):
    x, y = words(rng, 400, 60, 2000)
    m = net(
        (60,),
        layers.Embedding(2000, 32),
        layers.Dropout(0.5),
        layers.Conv1D(64, 7, padding="valid", activation="relu", strides=3),
        layers.GlobalMaxPooling1D(),
        Dense(64, "relu"),
        layers.Dropout(0.5),
        Dense(1, "sigmoid"),
    )
    return Training(m, x, y, BCE, "adam", accuracy(y), steps=100)


@program("autoencoder-dense")
def _(rng):
    x, _ = digits(rng, 500)
    x = x.reshape(-1, 784) / 255
    return Training(mlp(784, [32], 784, "sigmoid"), x, x, BCE, "adam", explained(x), steps=600)


@program("autoencoder-convolutional")
def _(rng):
    x, _ = digits(rng, 400)
    x = x[..., None] / 255
    m = net(
        (28, 28, 1),
        Conv(16, 3, activation="relu", padding="same"),
        layers.MaxPooling2D(2, padding="same"),
        Conv(16, 3, activation="relu", padding="same"),
        layers.MaxPooling2D(2, padding="same"),
        layers.Conv2DTranspose(16, 3, strides=2, activation="relu", padding="same"),
        layers.Conv2DTranspose(16, 3, strides=2, activation="relu", padding="same"),
        Conv(1, 3, activation="sigmoid", padding="same"),
    )
    return Training(m, x, x, BCE, "adam", explained(x), 128, 60)


@program("series-anomaly-autoencoder")
def _(rng):
    x, _ = series(rng, 300, 32)
    m = net(
        (32, 1),
        layers.Conv1D(32, 7, padding="same", strides=2, activation="relu"),
        layers.Dropout(0.2),
        layers.Conv1D(16, 7, padding="same", strides=2, activation="relu"),
        layers.Conv1DTranspose(16, 7, padding="same", strides=2, activation="relu"),
        layers.Dropout(0.2),
        layers.Conv1DTranspose(32, 7, padding="same", strides=2, activation="relu"),
        layers.Conv1DTranspose(1, 7, padding="same"),
    )
    return Training(m, x, x, "mse", "adam", explained(x), steps=300)


@program("resnet-cifar")
def _(rng):
    x, y = pictures(rng, 200, 32, 3, 10)
    given = Input((32, 32, 3))
    h = layers.BatchNormalization()(Conv(16, 3, padding="same")(given))
    h = layers.ReLU()(h)
    for filters in (16, 16, 32, 32, 64, 64):
        stride = 2 if filters != h.shape[-1] else 1
        inner = Conv(filters, 3, strides=stride, padding="same")(h)
        inner = layers.ReLU()(layers.BatchNormalization()(inner))
        inner = layers.BatchNormalization()(Conv(filters, 3, padding="same")(inner))
        short = Conv(filters, 1, strides=stride)(h) if stride > 1 else h
        h = layers.ReLU()(layers.Add()([inner, short]))
    out = Dense(10, "softmax")(layers.GlobalAveragePooling2D()(h))
    m = keras.Model(given, out)
    return Training(m, x, y, SPARSE, sgd(0.1, 0.9), accuracy(y), steps=60)


class Block(layers.Layer):
    """A transformer block after the sum, as in Keras's text classification example."""

    def __init__(self, width, heads, inner):
        super().__init__()
        self.attention = layers.MultiHeadAttention(heads, width)
        self.feed = keras.Sequential([Dense(inner, "relu"), Dense(width)])
        self.first, self.second = layers.LayerNormalization(), layers.LayerNormalization()
        self.drop = layers.Dropout(0.1)

    def call(self, x):
        """Returns the stream."""
        x = self.first(x + self.drop(self.attention(x, x)))
        return self.second(x + self.drop(self.feed(x)))


class Tokens(layers.Layer):
    """Token and position embeddings."""

    def __init__(self, length, vocabulary, width):
        super().__init__()
        self.token = layers.Embedding(vocabulary, width)
        self.position = layers.Embedding(length, width)

    def call(self, x):
        """Returns their sum."""
        return self.token(x) + self.position(ops.arange(ops.shape(x)[-1]))


@program("transformer-text")
def _(rng):
    x, y = words(rng, 400, 40, 2000)
    given = Input((40,))
    h = Block(32, 2, 32)(Tokens(40, 2000, 32)(given))
    h = layers.Dropout(0.1)(layers.GlobalAveragePooling1D()(h))
    out = Dense(2, "softmax")(layers.Dropout(0.1)(Dense(20, "relu")(h)))
    return Training(keras.Model(given, out), x, y, SPARSE, "adam", accuracy(y), steps=150)


@program("u-net")
def _(rng):
    x, _ = pictures(rng, 120, 32, 3, 4)
    y = (x[..., 0] > 0.5).astype(int) + (x[..., 1] > 0.5)
    given = Input((32, 32, 3))
    kept, h = [], given
    for filters in (16, 32):
        h = Conv(filters, 3, padding="same", activation="relu")(h)
        h = Conv(filters, 3, padding="same", activation="relu")(h)
        kept.append(h)
        h = layers.MaxPooling2D()(h)
    h = Conv(64, 3, padding="same", activation="relu")(h)
    for filters, skip in ((32, kept[1]), (16, kept[0])):
        h = layers.Conv2DTranspose(filters, 2, strides=2)(h)
        h = layers.Concatenate()([h, skip])
        h = Conv(filters, 3, padding="same", activation="relu")(h)
    m = keras.Model(given, Conv(3, 1, activation="softmax")(h))
    return Training(m, x, y, SPARSE, "adam", accuracy(y), 16, 100)


@program("gan-discriminator")
def _(rng):
    x, _ = digits(rng, 400)
    x = x[..., None] / 127.5 - 1
    x[200:] = rng.uniform(-1, 1, x[200:].shape)
    y = (np.arange(400) < 200).astype(float)
    m = net(
        (28, 28, 1),
        Conv(64, 3, strides=2, padding="same"),
        layers.LeakyReLU(negative_slope=0.2),
        Conv(128, 3, strides=2, padding="same"),
        layers.LeakyReLU(negative_slope=0.2),
        layers.GlobalMaxPooling2D(),
        Dense(1),
    )
    order = rng.permutation(400)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    return Training(m, x[order], y[order], loss, adam(3e-4), _nothing, steps=60)


@program("dcgan-discriminator")
def _(rng):
    x, y = pictures(rng, 200, 32, 3, 2)
    m = net(
        (32, 32, 3),
        Conv(64, 4, strides=2, padding="same"),
        layers.LeakyReLU(negative_slope=0.2),
        Conv(128, 4, strides=2, padding="same"),
        layers.LeakyReLU(negative_slope=0.2),
        Flatten(),
        layers.Dropout(0.2),
        Dense(1, "sigmoid"),
    )
    return Training(m, 2 * x - 1, y, BCE, adam(2e-4, beta_1=0.5), accuracy(y), steps=100)


class Sampling(layers.Layer):
    """Draws z from mean and logarithmic variance, and adds the Kullback-Leibler term."""

    def __init__(self):
        super().__init__()
        self.seeds = keras.random.SeedGenerator(0)

    def call(self, given):
        """Returns the draw."""
        mean, log_var = given
        kl = -0.5 * ops.mean(1 + log_var - mean**2 - ops.exp(log_var))
        self.add_loss(1e-3 * kl)
        noise = keras.random.normal(ops.shape(mean), seed=self.seeds)
        return mean + ops.exp(0.5 * log_var) * noise


@program("variational-autoencoder")
def _(rng):
    x, _ = digits(rng, 400)
    x = x.reshape(-1, 784) / 255
    given = Input((784,))
    h = Dense(128, "relu")(given)
    z = Sampling()([Dense(8, name="z_mean")(h), Dense(8, name="z_log_var")(h)])
    out = Dense(784, "sigmoid")(Dense(128, "relu")(z))
    m = keras.Model(given, out)
    return Training(m, x, x, BCE, "adam", explained(x), 128, 200)


@program("siamese-contrastive")
def _(rng):
    x, y = digits(rng, 400)
    x = x / 255
    tower = net((28, 28, 1), *conv_blocks([4, 16], 5, "tanh"), Flatten(), Dense(10, "tanh"))
    first, second = Input((28, 28, 1)), Input((28, 28, 1))
    gap = ops.sum((tower(first) - tower(second)) ** 2, 1, keepdims=True)
    distance = ops.sqrt(ops.maximum(gap, 1e-7))
    out = Dense(1, "sigmoid")(layers.BatchNormalization()(distance))
    other = rng.permutation(400)
    pairs = [x[..., None], x[other][..., None]]
    goal = (y != y[other]).astype(float)

    def contrastive(wanted, made):
        return ops.mean((1 - wanted) * made**2 + wanted * ops.maximum(1 - made, 0) ** 2)

    m = keras.Model([first, second], out)
    return Training(m, pairs, goal, contrastive, "rmsprop", accuracy(goal), 16, 60)


@program("time-series-lstm")
def _(rng):
    x, y = series(rng, 300, 24)
    m = net((24, 1), layers.LSTM(32), Dense(1))
    return Training(m, x, y, "mse", adam(0.001), explained(y), 64, 300)


@program("time-series-gru-normalized")
def _(rng):
    x, y = series(rng, 300, 24, 280.0, 8.0)
    norm = layers.Normalization()
    norm.adapt(x)
    m = net((24, 1), norm, layers.GRU(16, dropout=0.1, recurrent_dropout=0.1), Dense(1))
    return Training(m, x, standardized(y), "mae", "rmsprop", explained(standardized(y)))


@program("wide-and-deep")
def _(rng):
    x, y = linear(rng, 500, 20)
    y = standardized(y)
    wide, deep = Input((8,)), Input((12,))
    h = Dense(30, "relu")(Dense(30, "relu")(deep))
    m = keras.Model([wide, deep], Dense(1)(layers.Concatenate()([wide, h])))
    return Training(m, [x[:, :8], x[:, 8:]], y, "mse", sgd(0.01), explained(y))


@program("structured-features")
def _(rng):
    x, y = blobs(rng, 500, 6)
    given = {"age": Input((1,), name="age"), "kind": Input((1,), name="kind", dtype="int32")}
    norm = layers.Normalization()
    age = 40 + 10 * x[:, :1]
    norm.adapt(age)
    kind = (x[:, 1:2] > 0).astype(int) + 2 * (x[:, 2:3] > 0)
    code = layers.CategoryEncoding(4, output_mode="one_hot")(given["kind"])
    h = layers.Concatenate()([norm(given["age"]), code])
    h = layers.Dropout(0.5)(Dense(32, "relu")(h))
    m = keras.Model(given, Dense(1, "sigmoid")(h))
    return Training(m, {"age": age, "kind": kind}, y, BCE, "adam", accuracy(y))


@program("deep-q-head")
def _(rng):
    x = rng.standard_normal((300, 8))
    y = np.stack([x[:, 0], x[:, 1] * x[:, 2], -x[:, 3], x.mean(1)], 1)
    return Training(mlp(8, [64, 64], 4), x, y, keras.losses.Huber(), adam(2.5e-4), explained(y))


@program("actor-critic")
def _(rng):
    x = rng.standard_normal((300, 4))
    action = (x[:, 1] > 0).astype(int)
    given = Input((4,))
    h = Dense(128, "relu")(given)
    m = keras.Model(given, [Dense(2, "softmax", name="actor")(h), Dense(1, name="critic")(h)])
    return Training(m, x, [action, x[:, :1]], [SPARSE, "huber"], adam(0.01), accuracy(action))


@program("several-labels")
def _(rng):
    x = rng.standard_normal((500, 20))
    y = (x[:, :6] + x[:, 6:12] > 0.5).astype(float)
    m = mlp(20, [64], 6, "sigmoid")
    return Training(m, x, y, BCE, "adam", accuracy(y))


@program("next-character")
def _(rng):
    x, _ = words(rng, 200, 30, 40)
    y = np.roll(x, -1, 1)
    m = net((30,), layers.Embedding(40, 32), layers.LSTM(64, return_sequences=True), Dense(40))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return Training(m, x, y, loss, adam(0.003), _nothing, steps=100)


@program("sequence-to-sequence")
def _(rng):
    x = one_hot(rng.integers(0, 12, (300, 7)), 12)
    y = x[:, ::-1]
    m = net(
        (7, 12),
        layers.LSTM(64),
        layers.RepeatVector(7),
        layers.LSTM(64, return_sequences=True),
        Dense(12, "softmax"),
    )
    return Training(m, x, y, CCE, "adam", _nothing, steps=100)


@program("word-to-vector")
def _(rng):
    x = rng.integers(0, 300, (500, 2))
    y = ((x[:, 0] - x[:, 1]) % 7 < 3).astype(float)
    first, second = Input((1,), dtype="int32"), Input((1,), dtype="int32")
    m = keras.Model(
        [first, second],
        layers.Dot(-1)([layers.Embedding(300, 32)(first), layers.Embedding(300, 32)(second)]),
    )
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    return Training(m, [x[:, :1], x[:, 1:]], y[:, None, None], loss, adam(0.01), _nothing)


@program("recommender")
def _(rng):
    x = rng.integers(0, 100, (500, 2))
    y = ((x[:, 0] * 7 + x[:, 1] * 3) % 10 + 1) / 10
    first, second = Input((1,), dtype="int32"), Input((1,), dtype="int32")
    towers = [Flatten()(layers.Embedding(100, 16)(given)) for given in (first, second)]
    score = layers.Dot(-1)(towers)
    m = keras.Model([first, second], layers.Activation("sigmoid")(score))
    return Training(m, [x[:, :1], x[:, 1:]], y, BCE, adam(0.001), _nothing, steps=300)


@program("transfer-frozen")
def _(rng):
    x, y = pictures(rng, 200, 24, 3, 3)
    base = net((24, 24, 3), *conv_blocks([16, 32]), layers.GlobalAveragePooling2D())
    base.trainable = False
    m = net((24, 24, 3), base, layers.Dropout(0.2), Dense(3, "softmax"))
    return Training(m, x, y, SPARSE, adam(0.003), accuracy(y))


@program("rescaled-pixels")
def _(rng):
    x, y = pictures(rng, 300, 24, 3, 5)
    m = net(
        (24, 24, 3),
        layers.Rescaling(1 / 255),
        *conv_blocks([16, 32], padding="same"),
        layers.Dropout(0.2),
        Flatten(),
        Dense(128, "relu"),
        Dense(5),
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return Training(m, np.round(255 * x), y, loss, "adam", accuracy(y), steps=200)


@program("separable-with-decay")
def _(rng):
    x, y = pictures(rng, 200, 32, 3, 4)
    h = given = Input((32, 32, 3))
    for filters in (32, 64):
        h = layers.SeparableConv2D(filters, 3, strides=2, padding="same")(h)
        h = layers.Activation("swish")(layers.BatchNormalization()(h))
    out = Dense(4, "softmax")(layers.GlobalAveragePooling2D()(h))
    rate = keras.optimizers.schedules.CosineDecay(0.003, 1000)
    m = keras.Model(given, out)
    decayed = keras.optimizers.AdamW(rate, weight_decay=1e-4)
    return Training(m, x, y, SPARSE, decayed, accuracy(y), steps=100)


@program("warm-up-transformer")
def _(rng):
    x, y = waves(rng, 300, 24, 3)
    rate = keras.optimizers.schedules.PolynomialDecay(3e-3, 2000)
    given = Input((24, 1))
    h = Block(16, 2, 32)(Dense(16)(given))
    out = Dense(3, "softmax")(layers.GlobalAveragePooling1D()(h))
    return Training(keras.Model(given, out), x, y, SPARSE, adam(rate), accuracy(y), steps=300)


@program("sine-tanh")
def _(rng):
    x = rng.uniform(-np.pi, np.pi, (400, 1))
    y = np.sin(x[:, 0])
    return Training(mlp(1, [32, 32], 1, None, "tanh"), x, y, "mse", adam(0.01), explained(y))


@program("boston-houses")
def _(rng):
    x, y = linear(rng, 400, 13)
    y = 22 + 9 * standardized(y)
    m = mlp(13, [64, 64], 1)
    return Training(m, x, y, "mse", "rmsprop", explained(y), 16, 2000)


@program("counts-poisson")
def _(rng):
    x = rng.standard_normal((500, 6))
    rate = np.exp(0.5 * x[:, 0] - 0.4 * x[:, 1] + 0.5)
    y = rng.poisson(rate).astype(float)
    m = mlp(6, [16], 1, "exponential")
    return Training(m, x, y, "poisson", adam(0.003), explained(rate))


@program("xor-tanh")
def _(rng):
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]])
    y = np.array([0, 1, 1, 0])
    return Training(mlp(2, [8], 1, "sigmoid", "tanh"), x, y, BCE, adam(0.05), accuracy(y), 4)


@program("selu-alpha-dropout")
def _(rng):
    x, y = blobs(rng, 500, 20, 4)
    inner = [
        part
        for _ in range(5)
        for part in (
            Dense(64, "selu", kernel_initializer="lecun_normal"),
            layers.AlphaDropout(0.1),
        )
    ]
    m = net((20,), *inner, Dense(4, "softmax"))
    return Training(m, x, y, SPARSE, "adam", accuracy(y), steps=400)
