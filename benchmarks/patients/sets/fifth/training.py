"""Rates, optimizers, starts and layers, as people post them."""

import keras
import numpy as np
from data import blobs, digits, pictures, standardized, words
from keras import layers
from nets import BCE, SPARSE, adam, conv_blocks, mlp, net, sgd
from program import Program, Training, accuracy, explained, register

BROKEN: dict[str, Program] = {}
program = register(BROKEN, "ours")

Dense, Input, Conv = layers.Dense, keras.Input, layers.Conv2D


@program("digits-convolutional-autoencoder-adadelta", "rate too low@optimizer", "keras blog, often")
def _(rng):
    x, _ = digits(rng, 200)
    x = x[:, ::2, ::2, None] / 255

    def model():
        same = {"padding": "same", "activation": "relu"}
        inner = [Conv(12, 3, **same), layers.MaxPooling2D(), Conv(8, 3, **same)]
        inner += [Conv(12, 3, **same), layers.UpSampling2D()]
        return net((14, 14, 1), *inner, Conv(1, 3, padding="same", activation="sigmoid"))

    broken = Training(model(), x, x, BCE, "adadelta", explained(x), 25, 250)
    return broken, broken.but(model=model(), optimizer=adam(0.005))


@program("lungs-plain-convolutions-adam-three-hundredths", "rate too high@optimizer", "often")
def _(rng):
    x, y = pictures(rng, 200, 24, 1, 2)

    def model():
        same = {"padding": "same", "activation": "relu"}
        inner = []
        for filters in (12, 24, 48):
            inner += [Conv(filters, 3, **same), Conv(filters, 3, **same), layers.MaxPooling2D()]
        inner += [layers.Flatten(), Dense(64, "relu"), layers.Dropout(0.5)]
        return net((24, 24, 1), *inner, Dense(1, "sigmoid"))

    broken = Training(model(), x, y, BCE, adam(0.03), accuracy(y), 20, 200)
    return broken, broken.but(model=model(), optimizer=adam(0.001))


@program("books-ratings-of-factors-plain-sgd", "rate too low@optimizer, initialization@2")
def _(rng):
    reader, book = rng.integers(0, 60, 900), rng.integers(0, 40, 900)
    taste, theme = rng.standard_normal((60, 3)), rng.standard_normal((40, 3))
    rating = standardized((taste[reader] * theme[book]).sum(1) + 0.3 * rng.standard_normal(900))

    def model():
        two = [Input((1,), dtype="int32"), Input((1,), dtype="int32")]
        codes = [layers.Embedding(n, 8)(one) for n, one in zip((60, 40), two, strict=True)]
        return keras.Model(two, layers.Flatten()(layers.Dot(-1)(codes)))

    given = [reader[:, None], book[:, None]]
    broken = Training(model(), given, rating[:, None], "mse", "sgd", explained(rating), 32, 600)
    return broken, broken.but(model=model(), optimizer=adam(0.02))


@program("survey-weights-that-sum-to-one", "rate too low@optimizer, loss@loss")
def _(rng):
    x, y = blobs(rng, 500, 10, 3)
    weight = rng.uniform(0.5, 2.0, 500)

    def model():
        return mlp(10, (32, 16), 3, "softmax")

    broken = Training(model(), standardized(x), y, SPARSE, sgd(0.05, 0.9), accuracy(y), 25, 300)
    broken = broken.but(weights={"sample_weight": weight / weight.sum()})
    return broken, broken.but(model=model(), weights={"sample_weight": weight / weight.mean()})


@program("pumps-error-summed-over-the-batch", "rate too high@optimizer, loss@loss")
def _(rng):
    x = rng.standard_normal((500, 10))
    y = standardized(np.stack([x[:, 0] * x[:, 1], np.abs(x[:, 2]) + x[:, 3]], 1))

    def model():
        return mlp(10, (48, 24), 2)

    summed = keras.losses.MeanSquaredError(reduction="sum")
    broken = Training(model(), x, y, summed, sgd(0.02, 0.9), explained(y), 50, 400)
    return broken, broken.but(model=model(), loss="mse")


@program("tickets-post-norm-blocks-adam-two-hundredths", "rate too high@optimizer")
def _(rng):
    x, y = words(rng, 400, 16, 300, 4)

    def model():
        tokens = Input((16,), dtype="int32")
        h = layers.Embedding(300, 32)(tokens)
        for _ in range(4):
            h = layers.LayerNormalization()(h + layers.MultiHeadAttention(2, 16)(h, h))
            h = layers.LayerNormalization()(h + Dense(32)(Dense(64, "relu")(h)))
        return keras.Model(tokens, Dense(4, "softmax")(layers.GlobalAveragePooling1D()(h)))

    broken = Training(model(), x, y, SPARSE, adam(0.02), accuracy(y), 32, 300)
    return broken, broken.but(model=model(), optimizer=adam(0.001))


@program(
    "digits-he-by-hand-without-the-root",
    ", ".join(f"initialization@{i}, gradient@{i}" for i in range(1, 8)),
)
def _(rng):
    x, y = digits(rng, 400)

    def model(power):
        inner, fan_in = [layers.Flatten()], 784
        for _ in range(7):
            start = keras.initializers.RandomNormal(stddev=(2 / fan_in) ** power)
            inner.append(Dense(64, "relu", kernel_initializer=start))
            fan_in = 64
        return net((28, 28), *inner, Dense(10, "softmax"))

    broken = Training(model(1.0), x / 255, y, SPARSE, sgd(0.05), accuracy(y), 25, 300)
    return broken, broken.but(model=model(0.5))


@program(
    "digits-four-hidden-sigmoid-layers-of-thirty",
    ", ".join(f"hidden activation@{i}, gradient@{i}" for i in range(1, 5)),
    "Nielsen's book, chapter 5",
)
def _(rng):
    x, y = digits(rng, 400)

    def model(hidden):
        inner = [layers.Flatten(), *[Dense(30, hidden) for _ in range(4)]]
        return net((28, 28), *inner, Dense(10, "softmax"))

    broken = Training(model("sigmoid"), x / 255, y, SPARSE, sgd(0.1), accuracy(y), 10, 500)
    return broken, broken.but(model=model("relu"))


@program(
    "boots-softmax-behind-each-convolution",
    "hidden activation@0, hidden activation@2, hidden activation@5",
)
def _(rng):
    x, y = pictures(rng, 240, 20, 1, 5)

    def model(hidden):
        inner = [*conv_blocks([12, 24], hidden=hidden), layers.Flatten(), Dense(48, hidden)]
        return net((20, 20, 1), *inner, Dense(5, "softmax"))

    broken = Training(model("softmax"), x, y, SPARSE, adam(0.002), accuracy(y), 24, 300)
    return broken, broken.but(model=model("relu"))


@program(
    "newsgroups-through-one-sigmoid",
    "capacity@2, layers@2, hidden activation@2",
    "keras-team/keras#4994",
)
def _(rng):
    x, y = words(rng, 400, 20, 400, 8)

    def model(units, hidden):
        inner = [layers.Embedding(400, 24), layers.LSTM(32), Dense(units, hidden)]
        return net((20,), *inner, Dense(8, "softmax"))

    broken = Training(model(1, "sigmoid"), x, y, SPARSE, adam(0.005), accuracy(y), 25, 300)
    return broken, broken.but(model=model(32, "relu"))


@program(
    "faces-deep-base-without-weights-and-frozen",
    "initialization@0, gradient@0, gradient@1, initialization@1",
)
def _(rng):
    x, y = pictures(rng, 200, 24, 3, 5)

    def model(thawed):
        inner = []
        for _ in range(6):
            inner += [Conv(24, 3, padding="same", activation="relu")]
            inner += [layers.MaxPooling2D()] if len(inner) in (1, 4) else []
        base = net((24, 24, 3), *inner, layers.GlobalAveragePooling2D())
        base.trainable = thawed
        return net((24, 24, 3), base, Dense(32, "relu"), Dense(5, "softmax"))

    broken = Training(model(False), x, y, SPARSE, adam(0.002), accuracy(y), 20, 250)
    return broken, broken.but(model=model(True))


@program("wines-ftrl-by-name", "rate too low@optimizer", "homework: compare the optimizers")
def _(rng):
    x, y = blobs(rng, 450, 11, 3)

    def model():
        return mlp(11, (32, 32), 3, "softmax")

    broken = Training(model(), standardized(x), y, SPARSE, "ftrl", accuracy(y), 25, 500)
    return broken, broken.but(model=model(), optimizer="adam")


@program(
    "digits-batch-normalization-told-not-to-train",
    "layers@1, layers@4, gradient@1, initialization@0",
)
def _(rng):
    x, y = digits(rng, 400)

    def model(fixed):
        inner = []
        for width in (64, 64):
            start = keras.initializers.RandomNormal(stddev=0.01)
            norm = layers.BatchNormalization(trainable=not fixed, momentum=0.9)
            inner += [Dense(width, kernel_initializer=start), norm, layers.ReLU()]
        return net((784,), *inner, Dense(10, "softmax", kernel_initializer=start))

    flat = x.reshape(400, -1) / 255
    broken = Training(model(True), flat, y, SPARSE, sgd(0.05), accuracy(y), 25, 250)
    return broken, broken.but(model=model(False))


@program(
    "homework-weights-set-from-a-standard-normal",
    "initialization@0, initialization@1, initialization@2",
    "homework, often",
)
def _(rng):
    x, y = blobs(rng, 450, 30, 4)

    def model(drawn):
        m = mlp(30, (100, 100), 4, "softmax", "sigmoid")
        if drawn:
            m.set_weights([rng.standard_normal(part.shape) for part in m.get_weights()])
        return m

    broken = Training(model(True), standardized(x), y, SPARSE, sgd(0.03), accuracy(y), 25, 400)
    return broken, broken.but(model=model(False), optimizer=sgd(0.3, 0.9))


@program("signs-adam-given-its-betas-first", "rate too high@optimizer")
def _(rng):
    x, y = pictures(rng, 240, 20, 3, 5)

    def model():
        inner = [*conv_blocks([12, 24]), layers.Flatten(), Dense(32, "relu")]
        return net((20, 20, 3), *inner, Dense(5, "softmax"))

    betas_first = keras.optimizers.Adam(0.9, 0.999)
    broken = Training(model(), x, y, SPARSE, betas_first, accuracy(y), 24, 250)
    return broken, broken.but(model=model(), optimizer=adam(0.002))
