"""The end of the net, the loss and the labels."""

import keras
import numpy as np
from data import blobs, digits, one_hot, pictures, series, standardized, waves, words
from keras import layers
from nets import BCE, CCE, adam, conv_blocks, net, sgd
from pretrained import pretrained
from program import Program, Training, accuracy, explained, register

BROKEN: dict[str, Program] = {}
program = register(BROKEN, "Humbatova et al. 2020 (taxonomy)")

Dense, Input, Conv = layers.Dense, keras.Input, layers.Conv2D


@program("titanic-deep-softmax-of-one", "output@output", "stats.SE 511722")
def _(rng):
    x, y = blobs(rng, 600, 5, 2)

    def model(end):
        inner = []
        for width, drop in ((64, 0), (64, 0.1), (32, 0.1)):
            inner += [Dense(width, "relu", kernel_initializer="he_normal", use_bias=False)]
            inner += [layers.BatchNormalization(), layers.Dropout(drop)]
        return net((5,), Dense(32, "relu"), *inner, Dense(8, "relu"), Dense(1, end))

    broken = Training(model("softmax"), standardized(x), y, BCE, sgd(0.1), accuracy(y), steps=400)
    return broken, broken.but(model=model("sigmoid"))


@program("sequences-softmax-of-one-signs", "output@output, labels@targets", "SO 47241622")
def _(rng):
    x, y = waves(rng, 400, 32, 2)

    def model(end):
        return net((32, 1), layers.LSTM(32), Dense(1, end))

    broken = Training(model("softmax"), x, 2 * y - 1, BCE, adam(0.01), accuracy(y), steps=250)
    return broken, broken.but(model=model("sigmoid"), y=y)


@program(
    "digits-autoencoder-softmax-bytes",
    "output@output, input@input, target scale@targets, loss@loss",
    "SO 52441877",
)
def _(rng):
    bytes_, _ = digits(rng, 400)
    bytes_ = bytes_.reshape(-1, 784)

    def model(end):
        inner = [Dense(width, "relu") for width in (128, 64, 28, 64, 128)]
        return net((784,), *inner, Dense(784, end))

    score = explained(bytes_, 255)
    broken = Training(model("softmax"), bytes_, bytes_, BCE, adam(0.002), score, steps=500)
    return broken, broken.but(model=model("sigmoid"), x=bytes_ / 255, y=bytes_ / 255)


@program("sensors-lstm-bce-linear-end", "output@output, loss@loss", "keras-team/keras#14490")
def _(rng):
    x, y = waves(rng, 400, 24, 2)
    x = np.concatenate([x, rng.standard_normal((400, 24, 7))], -1)

    def model(end):
        first = layers.LSTM(24, return_sequences=True)
        return net((24, 8), first, layers.LSTM(16), Dense(1, end))

    broken = Training(model(None), x, 1 - y, BCE, sgd(0.2, 0.9), accuracy(1 - y), steps=250)
    return broken, broken.but(model=model("sigmoid"))


@program(
    "u-net-masks-of-255", "labels@targets, target scale@targets", "qubvel/segmentation_models#95"
)
def _(rng):
    x, _ = pictures(rng, 160, 24, 3, 4)
    mask = (x.mean(-1, keepdims=True) > 0.56).astype("float32")

    def model():
        image = Input((24, 24, 3))
        fine = Conv(12, 3, padding="same", activation="relu")(image)
        h = Conv(24, 3, padding="same", activation="relu")(layers.MaxPooling2D()(fine))
        h = layers.Concatenate()([layers.UpSampling2D()(h), fine])
        h = Conv(12, 3, padding="same", activation="relu")(h)
        return keras.Model(image, Conv(1, 1, activation="sigmoid")(h))

    def right(made):
        return float(((made > 0.5) == mask).mean())

    broken = Training(model(), x, 255 * mask, BCE, adam(0.003), right, 16, 250)
    return broken, broken.but(model=model(), y=mask)


@program("posters-genres-softmax", "output@output, loss@loss", "SO answer 41594001")
def _(rng):
    x, _ = pictures(rng, 300, 20, 3, 6)
    part = x.mean((1, 2))
    genres = np.concatenate([part, x[:, :10].mean((1, 2)) - x[:, 10:].mean((1, 2))], -1)
    genres = (genres > np.median(genres, 0)).astype("float32")

    def model(end):
        inner = [*conv_blocks([16]), layers.Flatten(), Dense(48, "relu")]
        return net((20, 20, 3), *inner, Dense(6, end))

    broken = Training(model("softmax"), x, genres, CCE, adam(0.002), accuracy(genres), steps=300)
    return broken, broken.but(model=model("sigmoid"), loss=BCE)


@program(
    "cats-and-dogs-transfer-categorical-loss",
    "loss@loss, output@output",
    "keras-team/keras#14729, altered",
)
def _(rng):
    x, y = pictures(rng, 300, 24, 3, 2)

    def model():
        inner = [layers.GlobalAveragePooling2D(), Dense(32, "relu"), layers.Dropout(0.2)]
        return net((24, 24, 3), pretrained(), *inner, Dense(1, "sigmoid"))

    labels = y[:, None].astype("float32")
    broken = Training(model(), 2 * x - 1, labels, CCE, adam(0.003), accuracy(labels), steps=150)
    return broken, broken.but(model=model(), loss=BCE)


@program("tweets-labels-zero-and-four", "labels@targets", "keras-team/keras#13926, SO 42264649")
def _(rng):
    x, y = words(rng, 500, 24, 1200, 2)

    def model():
        embedding = layers.Embedding(1200, 24)
        pooled = layers.GlobalMaxPooling1D()
        conv = layers.Conv1D(32, 3, activation="relu")
        return net((24,), embedding, conv, pooled, Dense(16, "relu"), Dense(1, "sigmoid"))

    broken = Training(model(), x, 4 * y, BCE, adam(0.003), accuracy(y), steps=300)
    return broken, broken.but(model=model(), y=y)


@program(
    "maps-generator-sigmoid-for-signed-pixels",
    "output@output",
    "DS.SE 104930 (generator), altered",
)
def _(rng):
    photo, _ = pictures(rng, 200, 16, 3, 5)
    plan = 2 * photo.mean(-1, keepdims=True).repeat(3, -1) - 1
    plan = np.clip(3 * plan * [1, -1, 0.6], -1, 1)

    def model(end):
        slope = {"negative_slope": 0.2}
        image = Input((16, 16, 3))
        h = layers.LeakyReLU(**slope)(Conv(16, 4, strides=2, padding="same")(image))
        h = layers.BatchNormalization(momentum=0.8)(Conv(32, 4, strides=2, padding="same")(h))
        h = layers.LeakyReLU(**slope)(h)
        h = layers.Conv2DTranspose(16, 4, strides=2, padding="same", activation="relu")(h)
        h = layers.Conv2DTranspose(16, 4, strides=2, padding="same", activation="relu")(h)
        h = layers.Concatenate()([h, image])
        return keras.Model(image, Conv(3, 3, padding="same", activation=end)(h))

    broken = Training(
        model("sigmoid"), 2 * photo - 1, plan, "mae", adam(0.002, beta_1=0.5), explained(plan)
    ).but(batch=16, steps=300)
    return broken, broken.but(model=model("tanh"))


@program(
    "detector-boxes-in-pixels",
    "target scale@targets",
    "pullrequest.ru/9938386, keras-team/keras#10306",
)
def _(rng):
    n, size = 300, 24
    corner = rng.integers(1, 13, (n, 2))
    width = rng.integers(4, 10, n)
    kind = rng.integers(0, 2, n)
    grid = np.arange(size)
    inside = [(grid >= c[:, None]) & (grid < (c + width)[:, None]) for c in corner.T]
    shape = (inside[0][:, :, None] & inside[1][:, None, :])[..., None]
    x = (
        0.1 * rng.random((n, size, size, 3))
        + shape * np.array([[0.8, 0.2, 0.2], [0.2, 0.8, 0.2]])[kind, None, None]
    )
    box = np.concatenate([corner, corner + width[:, None]], 1) * 640 / size

    def model():
        image = Input((size, size, 3))
        h = layers.MaxPooling2D()(Conv(16, 3, activation="relu")(image))
        h = layers.Flatten()(layers.MaxPooling2D()(Conv(24, 3, activation="relu")(h)))
        h = Dense(48, "relu")(h)
        return keras.Model(image, [Dense(4, name="box")(h), Dense(1, "sigmoid", name="kind")(h)])

    broken = Training(
        model(), x, [box, kind], ["mse", BCE], sgd(0.01, 0.9), explained(box), steps=350
    )
    return broken, broken.but(model=model(), y=[box / 640, kind], score=explained(box, 640))


@program("cart-pole-q-values-softmax", "output@output", "ai.SE 34589")
def _(rng):
    state = rng.standard_normal((600, 4)) * [1.0, 0.8, 0.1, 0.7]
    tilt = state[:, 2] * 4 + state[:, 3]
    q = 12 + 6 * np.stack([-np.tanh(tilt), np.tanh(tilt)], 1) - 3 * np.abs(tilt)[:, None]
    q = q - 0.8 * state[:, :1] ** 2

    def model(end):
        return net((4,), Dense(24, "relu"), Dense(24, "relu"), Dense(2, end))

    broken = Training(model("softmax"), state, q, "mse", adam(0.005), explained(q), steps=600)
    return broken, broken.but(model=model("linear"))


@program(
    "power-gru-tanh-raw-kilowatts",
    "output@output, target scale@targets",
    "keras-team/keras#1874, altered",
)
def _(rng):
    x, y = series(rng, 400, 24, 3.4, 1.2)

    def model(end):
        return net((24, 1), layers.GRU(32), Dense(16, "relu"), Dense(1, end))

    x = standardized(x.reshape(-1)).reshape(x.shape)
    broken = Training(model("tanh"), x, y, "mse", adam(0.005), explained(y), steps=300)
    return broken, broken.but(model=model(None))


@program(
    "irises-one-sigmoid-class-codes", "labels@targets, output@output", "pullrequest.ru/14126136"
)
def _(rng):
    x, y = blobs(rng, 450, 4, 3)
    codes = (y + 1)[:, None] * 10.0  # the codes of a pandas column: 10, 20, 30

    def model(units, end):
        return net((4,), Dense(32, "relu"), Dense(16, "relu"), Dense(units, end))

    broken = Training(model(1, "sigmoid"), x, codes, "mse", adam(0.005), accuracy(codes), steps=400)
    repaired = broken.but(model=model(3, "softmax"), y=one_hot(y), loss=CCE, score=accuracy(y))
    return broken, repaired


@program("pets-relu-end", "output@output", "keras-team/keras#12096, altered")
def _(rng):
    x, y = pictures(rng, 300, 20, 3, 3)

    def model(end):
        inner = [Conv(24, 5, activation="relu"), layers.MaxPooling2D(3, 2), layers.Flatten()]
        return net((20, 20, 3), *inner, Dense(3, end))

    broken = Training(model("relu"), x, one_hot(y), CCE, adam(0.003), accuracy(y), steps=200)
    return broken, broken.but(model=model("softmax"))
