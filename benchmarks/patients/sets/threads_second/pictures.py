"""More programs of real threads: pictures and masks.

As those of `tables`: ported before `diagnose` was run on them, and trained.
"""

import keras
import numpy as np
from data import digits, one_hot, pictures
from keras import layers, ops
from nets import BCE, CCE, SPARSE, adam, cnn, conv_blocks, net, sgd
from program import Program, Training, accuracy, explained, register

BROKEN: dict[str, Program] = {}
program = register(BROKEN)

Dense, Conv, Flatten, Dropout = layers.Dense, layers.Conv2D, layers.Flatten, layers.Dropout


def overlap(masks):
    """Returns the score of masks: intersection over union."""
    masks = np.asarray(masks) > 0

    def score(made):
        made = made.reshape(masks.shape) > 0.5
        return float((made & masks).sum() / max(1, (made | masks).sum()))

    return score


def scenes(rng, n, size=24, radius=3):
    """Returns noisy pictures with one bright spot each, and where it is."""
    grid = np.arange(size)
    row, column = rng.integers(radius, size - radius, (2, n))
    far = (grid[:, None] - row[:, None, None]) ** 2 + (grid - column[:, None, None]) ** 2
    masks = (far < radius**2)[..., None].astype("float32")
    return 0.4 * masks + 0.3 + 0.1 * rng.standard_normal(masks.shape), masks


def unet(units, end, filters=8):
    """Returns a small U-Net on pictures of one channel."""
    inputs = keras.Input((24, 24, 1))
    first = Conv(filters, 3, padding="same", activation="relu")(inputs)
    low = Conv(2 * filters, 3, padding="same", activation="relu")(layers.MaxPooling2D()(first))
    up = layers.Concatenate()([layers.UpSampling2D()(low), first])
    last = Conv(filters, 3, padding="same", activation="relu")(up)
    return keras.Model(inputs, Conv(units, 1, activation=end)(last))


@program("accelerations-one-softmax-categorical", "output@output, loss@loss", "stats.SE 481881")
def _(rng):
    y = rng.integers(0, 2, 300)
    time = np.arange(99)[:, None]
    x = np.sin(time * np.linspace(0.1, 0.5, 25) * (1 + 0.5 * y[:, None, None]))
    x = (x + 0.5 * rng.standard_normal((300, 99, 25)))[..., None].repeat(2, -1)

    def model(end):
        inner = [Conv(8, 3, activation="relu"), layers.MaxPooling2D(3)]
        inner += [Conv(8, 3, activation="relu"), Flatten(), Dense(16, "relu")]
        return net((99, 25, 2), *inner, Dense(1, end))

    broken = Training(model("softmax"), x, y[:, None], CCE, "adam", accuracy(y), 32, 100)
    return broken, broken.but(model=model("sigmoid"), loss=BCE)


@program(
    "thousand-classes-as-features",
    "output@output, hidden activation@0",
    "SO, by codepudding.com 655357",
)
def _(rng):
    x, y = pictures(rng, 400, 16, 3, 2)

    def model(units, between, end):
        base = net((16, 16, 3), *conv_blocks([32, 64]), Flatten(), Dense(units, between))
        base.trainable = False
        return net((16, 16, 3), base, *(() if between else [layers.ReLU()]), Dense(1, end))

    broken = Training(model(1000, "softmax", "softmax"), x, y, BCE, adam(), accuracy(y), 32, 300)
    return broken, broken.but(model=model(256, None, "sigmoid"), optimizer=adam(0.01))


@program(
    "three-kinds-one-sigmoid-rmsprop",
    "output@output, loss@loss, labels@targets",
    "SO, by newbedev: cnn-with-keras-accuracy-not-improving",
)
def _(rng):
    x, y = pictures(rng, 300, 24, 3, 3)

    def model(units, end):
        inner = [*conv_blocks([16, 16]), Flatten(), Dense(32, "relu"), Dropout(0.5)]
        return net((24, 24, 3), *inner, Dense(units, end))

    broken = Training(model(1, "sigmoid"), x, y, BCE, "rmsprop", accuracy(y), 16, 300)
    return broken, broken.but(model=model(3, "softmax"), y=one_hot(y), loss=CCE)


@program(
    "letters-three-units-as-in-the-last-exercise",
    "output@output, labels@targets",
    "deeplearning.ai 436298",
)
def _(rng):
    x, y = digits(rng, 800, 24)
    x = x[..., None] / 255

    def model(units):
        return net(
            (28, 28, 1),
            *conv_blocks([8, 16]),
            Flatten(),
            Dense(64, "relu"),
            Dense(units, "softmax"),
        )

    broken = Training(model(3), x, y, SPARSE, adam(0.001), accuracy(y), 32, 250)
    return broken, broken.but(model=model(24), optimizer=adam(0.003))


@program("pictures-of-bytes-as-read", "input@input", "SO, by pullrequest.ru 10248037")
def _(rng):
    x, y = pictures(rng, 400, 24, 3, 2)
    x = np.round(255 * x)
    broken = Training(cnn((24, 24, 3), 1, "sigmoid"), x, y, BCE, "sgd", accuracy(y), 16, 200)
    return broken, broken.but(
        model=cnn((24, 24, 3), 1, "sigmoid"), x=x / 255, optimizer=sgd(0.01, 0.9)
    )


@program(
    "example-of-digits-with-adadelta",
    "rate too low@optimizer, epochs@optimizer",
    "SO, by 52zhanxing 7399595",
)
def _(rng):
    x, y = digits(rng, 600)
    x = x[..., None] / 255

    def model():
        inner = [Conv(8, 3, activation="relu"), Conv(16, 3, activation="relu")]
        inner += [layers.MaxPooling2D(), Dropout(0.25), Flatten(), Dense(64, "relu"), Dropout(0.5)]
        return net((28, 28, 1), *inner, Dense(10, "softmax"))

    slow = keras.optimizers.Adadelta()
    broken = Training(model(), x, one_hot(y), CCE, slow, accuracy(y), 64, 120)
    return broken, broken.but(model=model(), optimizer=keras.optimizers.Adadelta(1.0))


@program(
    "bytes-to-a-picture-first-loss-sixty-seven",
    "input@input, gradient@0, initialization@0",
    "keras-team/keras#2139",
)
def _(rng):
    x, _ = pictures(rng, 300, 16, 1, 4, 0.05)
    y = 1 - x

    def model():
        inner = [Conv(16, 5, padding="same", activation="relu") for _ in range(3)]
        return net((16, 16, 1), *inner, Conv(1, 5, padding="same", activation="relu"))

    step = keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True)
    broken = Training(model(), np.round(255 * x), y, "mse", step, explained(y), 16, 200)
    return broken, broken.but(model=model(), x=x, optimizer=adam(0.002))


@program(
    "faces-of-bytes-seven-moods-eight-units",
    "input@input, dropout@2, dropout@5, dropout@8",
    "keras-team/keras#11791",
)
def _(rng):
    x, y = pictures(rng, 400, 24, 1, 7)
    x, y = np.round(255 * x), y + 1

    def model(rate):
        inner = [Conv(16, 3, activation="relu"), layers.MaxPooling2D(), Dropout(rate)]
        inner += [Conv(16, 3, activation="relu"), layers.MaxPooling2D(), Dropout(rate)]
        inner += [Flatten(), Dense(64, "relu"), Dropout(rate)]
        return net((24, 24, 1), *inner, Dense(8, "softmax"))

    broken = Training(model(0.6), x, y, SPARSE, adam(0.001), accuracy(y), 32, 200)
    return broken, broken.but(model=model(0.1), x=x / 255, optimizer=adam(0.003))


@program(
    "background-everywhere-by-focal-loss", "labels@targets, loss@loss", "datascience.SE 129632"
)
def _(rng):
    x, masks = scenes(rng, 200, radius=2)
    x = x - 0.25 * masks
    focal = keras.losses.BinaryFocalCrossentropy(gamma=2)

    def weighted(y, made):
        return ops.mean((1 + 40 * y) * keras.losses.binary_crossentropy(y, made)[..., None])

    broken = Training(unet(1, "sigmoid"), x, masks, focal, adam(0.0001), overlap(masks), 8, 250)
    return broken, broken.but(model=unet(1, "sigmoid"), loss=weighted, optimizer=adam(0.003))


@program("masks-of-one-and-two", "labels@targets", "SO, by whosebug 5901045")
def _(rng):
    x, masks = scenes(rng, 200)
    broken = Training(unet(1, "sigmoid"), x, masks + 1, BCE, adam(0.001), overlap(masks), 8, 250)
    return broken, broken.but(model=unet(1, "sigmoid"), y=masks, optimizer=adam(0.003))


@program("steering-through-a-sigmoid", "output@output", "dvbuntu.github.io 2016/08/18")
def _(rng):
    x, masks = scenes(rng, 300)
    where = (masks[..., 0] * np.arange(24)).sum((1, 2)) / masks.sum((1, 2, 3))
    y = ((where - 11.5) / 9)[:, None]

    def model(end):
        return net((24, 24, 1), *conv_blocks([8, 16]), Flatten(), Dense(32, "relu"), Dense(1, end))

    broken = Training(model("sigmoid"), x, y, "mse", adam(0.002), explained(y), 16, 300)
    return broken, broken.but(model=model(None))


@program(
    "market-frames-one-at-a-time",
    "input@input, rate too high@optimizer, hidden activation@6",
    "tensorflow/tensorflow#60555",
)
def _(rng):
    y = rng.integers(0, 2, 160)
    drift = (y[:, None] - 0.5) * np.arange(252) / 252
    paths = 30 + np.cumsum(0.1 * rng.standard_normal((160, 252)), 1) + 6 * drift
    volume = 1e6 * np.exp(rng.standard_normal((160, 252)))
    x = np.stack([paths, paths + 0.5, paths - 0.5, volume], -1)[..., None]

    def model():
        inner = [Conv(8, (5, 4), activation="relu"), layers.MaxPooling2D((4, 1))]
        inner += [Conv(16, (5, 1), activation="relu"), layers.MaxPooling2D((4, 1)), Flatten()]
        inner += [Dense(width, "relu") for width in (64, 32, 16, 8)]
        return net((252, 4, 1), *inner, Dense(1, "sigmoid"))

    broken = Training(model(), x, y, BCE, adam(0.001), accuracy(y), 1, 800)
    still = (x - x.mean((0, 1))) / x.std((0, 1))
    return broken, broken.but(model=model(), x=still, batch=16, steps=300)


@program(
    "one-step-of-two-channels-a-thousand-long",
    "epochs@optimizer, input@input, rate too low@optimizer",
    "SO 43876301",
)
def _(rng):
    y = rng.integers(0, 2, 200)
    time = np.arange(400)
    x = np.sin(time * (0.05 + 0.05 * y[:, None]) + 6 * rng.random((200, 1)))
    x = 0.05 * np.stack([x, np.roll(x, 7, 1)], 1)[..., None]
    x = x + 0.02 * rng.standard_normal(x.shape)

    def model():
        inner = [Conv(16, (2, 25), activation="relu"), layers.MaxPooling2D((1, 8))]
        return net((2, 400, 1), *inner, Flatten(), Dense(32, "relu"), Dense(1, "sigmoid"))

    broken = Training(model(), x, y, BCE, adam(0.0001), accuracy(y), 32, 24)
    return broken, broken.but(model=model(), x=20 * x, optimizer=adam(0.002), steps=150)
