"""Programs of real threads: pictures.

As those of `threads_tables`: ported before `diagnose` was run on them, and trained.
"""

import keras
from data import digits, one_hot, pictures
from keras import layers, ops
from nets import BCE, CCE, SPARSE, adam, cnn, conv_blocks, mlp, net
from program import Program, Training, accuracy, explained, register

BROKEN: dict[str, Program] = {}
program = register(BROKEN)

Dense, Input, Conv, Flatten = layers.Dense, keras.Input, layers.Conv2D, layers.Flatten


def small_digits(rng, n):
    """Returns digits of 14 x 14 in 0..255, and their classes."""
    x, y = digits(rng, n)
    return x.reshape(n, 14, 2, 14, 2).mean((2, 4)), y


@program(
    "digits-one-sigmoid-of-ten",
    "output@output, loss@loss, labels@targets, input@input",
    "DS.SE 38604",
)
def _(rng):
    x, y = digits(rng, 500)
    x = x.reshape(500, 784)
    broken = Training(mlp(784, (64,), 1, "sigmoid"), x, y, BCE, "adam", accuracy(y))
    return broken, broken.but(model=mlp(784, (64,), 10, "softmax"), x=x / 255, loss=SPARSE)


@program("filters-of-the-size-of-the-picture", "input@input", "keras-team/keras#1006")
def _(rng):
    x, y = pictures(rng, 300, 28, 1, 2)

    def model():
        he = {"kernel_initializer": "he_normal"}
        inner = [Conv(32, 28, activation="relu", **he), Flatten(), Dense(25, "relu", **he)]
        return net((28, 28, 1), *inner, Dense(2, "softmax", **he))

    broken = Training(model(), 255 * x, one_hot(y), CCE, "sgd", accuracy(y), 32, 400)
    return broken, broken.but(model=model(), x=x)


CONVOLUTIONS = (0, 1, 3, 4, 6, 7, 8, 10, 11, 12, 14, 15, 16)


@program(
    "vgg-sixteen-layers-from-scratch",
    ", ".join(f"initialization@{i}, gradient@{i}" for i in (*CONVOLUTIONS, 19, 20))
    + ", rate too high@optimizer",
    "keras-team/keras-applications#93",
)
def _(rng):
    x, y = pictures(rng, 240, 32, 3, 6)

    def model(start):
        inner = []
        for filters, times in ((16, 2), (24, 2), (32, 3), (48, 3), (48, 3)):
            convolution = {"padding": "same", "activation": "relu", "kernel_initializer": start}
            inner += [Conv(filters, 3, **convolution) for _ in range(times)]
            inner.append(layers.MaxPooling2D())
        inner += [Flatten(), *[Dense(128, "relu", kernel_initializer=start) for _ in range(2)]]
        return net((32, 32, 3), *inner, Dense(6, "softmax"))

    broken = Training(model("glorot_uniform"), x, y, SPARSE, "adam", accuracy(y), 24, 300)
    return broken, broken.but(model=model("he_normal"), optimizer=adam(0.0005))


@program(
    "autoencoder-of-the-blog-on-bytes",
    "input@input, labels@targets, target scale@targets, output@output",
    "keras-team/keras#3642",
)
def _(rng):
    x, _ = digits(rng, 400, 5)
    x = x.reshape(400, 784)

    def model():
        return mlp(784, (32,), 784, "sigmoid")

    broken = Training(model(), x, x, BCE, adam(0.003), explained(x / 255), 50, 400)
    return broken, broken.but(model=model(), x=x / 255, y=x / 255)


@program("root-of-the-mean-square-as-loss", "loss@loss, gradient@loss", "keras-team/keras#6644")
def _(rng):
    x, _ = small_digits(rng, 300)
    x = x[..., None] / 255

    def model():
        inner = []
        for _ in range(3):
            inner += [Conv(16, 3, padding="same"), layers.LeakyReLU()]
        return net((14, 14, 1), *inner, Conv(1, 3, padding="same"))

    def error(epsilon):
        def root(y, made):
            return ops.sqrt(ops.mean(ops.square(made - y), -1) + epsilon)

        return root

    noisy = x * (1 + 0.5 * rng.standard_normal(x.shape))
    broken = Training(model(), noisy, x, error(0.0), adam(0.002), explained(x), 20, 200)
    return broken, broken.but(model=model(), loss=error(1e-6))


@program("views-relu-behind-the-last-layer", "output@output", "WeiTang114/MVCNN-TensorFlow#14")
def _(rng):
    x, y = pictures(rng, 300, 24, 1, 8)

    def model(end):
        inner = [*conv_blocks([16, 24]), Flatten(), Dense(48, "relu")]
        return net((24, 24, 1), *inner, Dense(8, end), layers.Softmax())

    broken = Training(model("relu"), x, one_hot(y), CCE, adam(0.002), accuracy(y), 25, 300)
    return broken, broken.but(model=model(None))


@program("cats-and-dogs-one-unit-categorical", "output@output, loss@loss", "SO, by boohere 80265")
def _(rng):
    x, y = pictures(rng, 240, 24, 3, 2)
    broken = Training(cnn((24, 24, 3), 1, "softmax"), x, y[:, None], CCE, "adam", accuracy(y))
    broken = broken.but(steps=200)
    return broken, broken.but(model=cnn((24, 24, 3), 1, "sigmoid"), loss=BCE)


@program(
    "autoencoder-sigmoids-a-blob",
    "hidden activation@0, hidden activation@1, hidden activation@2, gradient@0, "
    "rate too low@optimizer",
    "stats.SE 245448",
)
def _(rng):
    x, _ = digits(rng, 400, 5)
    x = x.reshape(400, 784) / 255

    def model(hidden):
        return mlp(784, (100, 50, 100), 784, "sigmoid", hidden)

    broken = Training(model("sigmoid"), x, x, BCE, adam(), explained(x), 50, 400)
    return broken, broken.but(model=model("relu"))
