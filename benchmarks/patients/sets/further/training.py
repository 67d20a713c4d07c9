"""The optimizer, regularization, and gradients that are lost."""

import keras
from data import blobs, digits, linear, pictures, standardized, words
from keras import layers
from nets import BCE, SPARSE, adam, cnn, mlp, net, sgd
from program import Program, Training, accuracy, explained, register

BROKEN: dict[str, Program] = {}
program = register(BROKEN, "ours")

Dense, Input, Flatten = layers.Dense, keras.Input, layers.Flatten


# --- the optimizer


@program("dying-adam-tenth", "rate too high@optimizer")
def _(rng):
    x, y = digits(rng, 600)
    x = x.reshape(-1, 784) / 255
    m = mlp(784, [128, 128, 64], 10, "softmax")
    broken = Training(m, x, y, SPARSE, adam(0.1), accuracy(y), steps=400)
    return broken, broken.but(model=mlp(784, [128, 128, 64], 10, "softmax"), optimizer="adam")


@program("sgd-rate-ten", "rate too high@optimizer")
def _(rng):
    x, y = blobs(rng, 500, 20, 4)
    m = mlp(20, [32, 32], 4, "softmax")
    broken = Training(m, x, y, SPARSE, sgd(10.0), accuracy(y))
    return broken, broken.but(model=mlp(20, [32, 32], 4, "softmax"), optimizer=sgd(0.1))


@program("sgd-regression-diverges", "rate too high@optimizer")
def _(rng):
    x, y = linear(rng, 400, 20)
    y = standardized(y)
    broken = Training(mlp(20, [64, 64], 1), x, y, "mse", sgd(1.0), explained(y))
    return broken, broken.but(model=mlp(20, [64, 64], 1), optimizer=sgd(0.01))


@program("adam-rate-one-cnn", "rate too high@optimizer")
def _(rng):
    x, y = pictures(rng, 400, 20, 3, 4)
    m = cnn((20, 20, 3), 4, "softmax")
    broken = Training(m, x, y, SPARSE, adam(1.0), accuracy(y), steps=400)
    return broken, broken.but(model=cnn((20, 20, 3), 4, "softmax"), optimizer="adam")


@program("momentum-99", "rate too high@optimizer")
def _(rng):
    x, y = linear(rng, 400, 20)
    y = standardized(y)
    m = mlp(20, [64, 64], 1)
    broken = Training(m, x, y, "mse", sgd(0.1, 0.99), explained(y), steps=300)
    return broken, broken.but(model=mlp(20, [64, 64], 1), optimizer=sgd(0.01, 0.9))


@program("rate-schedule-high", "rate too high@optimizer")
def _(rng):
    x, y = blobs(rng, 500, 20, 4)
    decay = keras.optimizers.schedules.ExponentialDecay(5.0, 1000, 0.96)
    m = mlp(20, [64, 64], 4, "softmax")
    broken = Training(m, x, y, SPARSE, sgd(decay), accuracy(y), steps=300)
    return broken, broken.but(model=mlp(20, [64, 64], 4, "softmax"), optimizer=sgd(0.1))


@program("adam-rate-1e-7", "rate too low@optimizer")
def _(rng):
    x, y = pictures(rng, 400, 20, 1, 4)
    m = cnn((20, 20, 1), 4, "softmax")
    broken = Training(m, x, y, SPARSE, adam(1e-7), accuracy(y), steps=400)
    return broken, broken.but(model=cnn((20, 20, 1), 4, "softmax"), optimizer="adam")


@program("sgd-rate-1e-6", "rate too low@optimizer")
def _(rng):
    x, y = blobs(rng, 500, 20, 4)
    m = mlp(20, [32], 4, "softmax")
    broken = Training(m, x, y, SPARSE, sgd(1e-6), accuracy(y))
    return broken, broken.but(model=mlp(20, [32], 4, "softmax"), optimizer=sgd(0.1))


@program("sgd-decay-text", "rate too low@optimizer")
def _(rng):
    x, y = words(rng, 400, 12, 200)

    def text():
        return net((12,), layers.Embedding(200, 16), layers.GRU(16), Dense(1, "sigmoid"))

    broken = Training(text(), x, y, BCE, sgd(1e-5), accuracy(y), steps=500)
    return broken, broken.but(model=text(), optimizer=adam(0.01))


@program("adadelta-rate", "rate too low@optimizer")
def _(rng):
    x, y = pictures(rng, 400, 20, 1, 4)
    m = cnn((20, 20, 1), 4, "softmax")
    slow = keras.optimizers.Adadelta()  # 0.001; the paper's is 1.0
    broken = Training(m, x, y, SPARSE, slow, accuracy(y), steps=500)
    return broken, broken.but(
        model=cnn((20, 20, 1), 4, "softmax"), optimizer=keras.optimizers.Adadelta(1.0)
    )


@program("clipped-to-nothing", "rate too low@optimizer")
def _(rng):
    x, y = blobs(rng, 500, 20, 4)
    m = mlp(20, [32], 4, "softmax")
    broken = Training(m, x, y, SPARSE, sgd(0.1, clipnorm=1e-5), accuracy(y))
    return broken, broken.but(model=mlp(20, [32], 4, "softmax"), optimizer=sgd(0.1))


# --- regularization


@program("l2-of-one", "regularization@loss")
def _(rng):
    x, y = pictures(rng, 400, 20, 1, 4)

    def conv(weight):
        penalty = keras.regularizers.L2(weight)
        return net(
            (20, 20, 1),
            layers.Conv2D(16, 3, activation="relu", kernel_regularizer=penalty),
            layers.MaxPooling2D(),
            Flatten(),
            Dense(64, "relu", kernel_regularizer=penalty),
            Dense(4, "softmax", kernel_regularizer=penalty),
        )

    broken = Training(conv(1.0), x, y, SPARSE, "adam", accuracy(y), steps=500)
    return broken, broken.but(model=conv(1e-4))


@program("l1-mlp", "regularization@loss")
def _(rng):
    x, y = blobs(rng, 500, 20, 4)

    def dense(weight):
        return mlp(20, [64, 64], 4, "softmax", kernel_regularizer=keras.regularizers.L1(weight))

    broken = Training(dense(0.1), x, y, SPARSE, adam(0.003), accuracy(y))
    return broken, broken.but(model=dense(1e-5))


@program("weight-decay-optimizer", "regularization@optimizer")
def _(rng):
    x, y = blobs(rng, 500, 20, 4)
    m = mlp(20, [64, 64], 4, "softmax")
    heavy = keras.optimizers.AdamW(0.001, weight_decay=100.0)
    broken = Training(m, x, y, SPARSE, heavy, accuracy(y))
    good = keras.optimizers.AdamW(0.001, weight_decay=0.01)
    return broken, broken.but(model=mlp(20, [64, 64], 4, "softmax"), optimizer=good)


@program("dropout-90", "dropout@1")
def _(rng):
    x, y = blobs(rng, 500, 20, 4)

    def drop(rate):
        inner = [Dense(32, "relu"), layers.Dropout(rate)] * 1
        more = [Dense(32, "relu"), layers.Dropout(rate)]
        return net((20,), *inner, *more, Dense(4, "softmax"))

    broken = Training(drop(0.9), x, y, SPARSE, "adam", accuracy(y), steps=400)
    return broken, broken.but(model=drop(0.2))


@program("dropout-keep-probability", "dropout@5")
def _(rng):
    x, y = pictures(rng, 400, 20, 1, 4)
    m = cnn((20, 20, 1), 4, "softmax", inner=[layers.Dropout(0.95)])
    broken = Training(m, x, y, SPARSE, "adam", accuracy(y), steps=200)
    return broken, broken.but(model=cnn((20, 20, 1), 4, "softmax", inner=[layers.Dropout(0.05)]))


# --- gradients that are lost


@program("rounded-output", "gradient@2")
def _(rng):
    x, y = blobs(rng, 400, 10)

    def rounded(cut):
        given = Input((10,))
        out = Dense(1, "sigmoid")(Dense(16, "relu")(given))
        return keras.Model(given, keras.ops.round(out) if cut else out)

    broken = Training(rounded(True), x, y, "mse", adam(0.01), accuracy(y))
    return broken, broken.but(model=rounded(False), loss=BCE)


@program("argmax-inside", "gradient@1")
def _(rng):
    x, y = blobs(rng, 400, 10)

    def picked(cut):
        given = Input((10,))
        h = Dense(8)(given)
        h = keras.ops.one_hot(keras.ops.argmax(h, -1), 8) if cut else keras.ops.softmax(h)
        return keras.Model(given, Dense(1, "sigmoid")(h))

    broken = Training(picked(True), x, y, BCE, adam(0.01), accuracy(y), steps=500)
    return broken, broken.but(model=picked(False))


@program("frozen-by-mistake", "gradient@model")
def _(rng):
    x, y = blobs(rng, 500, 20, 4)
    m = mlp(20, [32], 4, "softmax")
    m.trainable = False
    broken = Training(m, x, y, SPARSE, "adam", accuracy(y))
    return broken, broken.but(model=mlp(20, [32], 4, "softmax"))
