"""Inputs, targets, rates, activations and initial weights."""

import keras
import numpy as np
from data import blobs, digits, following, one_hot, pictures, standardized, words
from keras import layers
from nets import BCE, CCE, SPARSE, adam, mlp, net, sgd
from pretrained import pretrained
from program import Program, Training, accuracy, explained, register

BROKEN: dict[str, Program] = {}
program = register(BROKEN, "Humbatova et al. 2020 (taxonomy)")

Dense, Input, Conv = layers.Dense, keras.Input, layers.Conv2D


@program(
    "wines-raw-columns-into-sigmoids", "input@input", "keras-team/keras#2711 (comments), altered"
)
def _(rng):
    z, y = blobs(rng, 400, 13, 3, informative=8)
    mean = np.array([13, 2.3, 2.4, 19.5, 99.7, 2.3, 2.0, 0.36, 1.6, 5.1, 0.96, 2.6, 747])
    x = mean + z * mean * [0.06, 0.5, 0.1, 0.17, 0.14, 0.3, 0.5, 0.3, 0.4, 0.5, 0.2, 0.3, 0.42]

    def model():
        return mlp(13, (24, 12), 3, "softmax", "sigmoid")

    broken = Training(model(), x, one_hot(y), CCE, adam(0.01), accuracy(y), steps=500)
    return broken, broken.but(model=model(), x=standardized(x))


@program(
    "turbofan-life-unscaled",
    "input@input, target scale@targets",
    "austineaero/Remaining-Useful-Life-RUL-Estimation#19",
)
def _(rng):
    wear = rng.uniform(0, 1, 400)
    time = wear[:, None] + np.linspace(-0.1, 0, 20)
    base = np.array([518.7, 642.0, 1585.0, 1400.0, 2388.0, 9050.0, 47.3, 521.0])
    drift = np.array([0.0, 3.0, 20.0, 30.0, 0.3, 60.0, 0.9, -3.0])
    noise = rng.standard_normal((400, 20, 8)) * 0.2 * np.abs(drift)
    x = base + drift * time[..., None] ** 2 + noise
    life = 200 * (1 - wear)

    def model():
        first = layers.LSTM(24, return_sequences=True)
        return net((20, 8), first, layers.LSTM(12), Dense(1))

    broken = Training(model(), x, life, "mse", adam(0.003), explained(life), steps=250)
    scaled = (x - x.mean((0, 1))) / (x.std((0, 1)) + 1e-9)
    return broken, broken.but(model=model(), x=scaled, y=life / 200, score=explained(life, 200))


@program(
    "ames-prices-sgd-squared-error",
    "target scale@targets, rate too high@optimizer",
    "rstudio-conf-2020/dl-keras-tf#9",
)
def _(rng):
    x = rng.standard_normal((500, 12))
    price = np.exp(12 + 0.3 * x[:, 0] + 0.15 * np.tanh(x[:, 1]) + 0.1 * x[:, 2] * (x[:, 3] > 0))

    def model():
        return mlp(12, (64, 32), 1)

    broken = Training(model(), x, price, "mse", sgd(0.1), explained(price), 16, 500)
    goal = standardized(np.log(price))
    return broken, broken.but(model=model(), y=goal, optimizer=sgd(0.03), score=explained(goal))


@program("loans-embeddings-and-raw-amounts", "input@input", "keras-team/keras#2711 (comments)")
def _(rng):
    income, loan = rng.lognormal(10.8, 0.5, 600), rng.lognormal(9.5, 0.6, 600)
    late, used, age = rng.poisson(1.0, 600), rng.random(600), rng.integers(18, 80, 600)
    purpose = rng.integers(0, 6, 600)
    risk = 0.8 * late + 3 * used - age / 25 + 0.8 * np.cos(purpose) + 0.3 * np.log(loan / income)
    y = (risk > np.median(risk)).astype(int)
    raw = np.stack([income, loan, late, used, age], 1)

    def model():
        numbers, kind = Input((5,), name="numbers"), Input((1,), dtype="int32", name="kind")
        embedded = layers.Flatten()(layers.Embedding(6, 4)(kind))
        h = layers.Concatenate()([numbers, embedded])
        h = Dense(16, "relu")(layers.Dropout(0.1)(Dense(32, "relu")(h)))
        return keras.Model([numbers, kind], Dense(1, "sigmoid")(h))

    x = [raw, purpose[:, None]]
    broken = Training(model(), x, y, BCE, adam(0.002), accuracy(y), steps=400)
    return broken, broken.but(model=model(), x=[standardized(raw), x[1]])


def _vgg():
    inner = []
    for filters in (12, 16, 24):
        inner += [Conv(filters, 3, padding="same", activation="relu") for _ in range(2)]
        inner.append(layers.MaxPooling2D())
    inner += [layers.Flatten(), Dense(64, "relu"), layers.Dropout(0.3)]
    return net((24, 24, 3), *inner, Dense(6, "softmax"))


@program("small-vgg-rate-of-cifar-example", "rate too high@optimizer", "keras-team/keras#4066")
def _(rng):
    x, y = pictures(rng, 300, 24, 3, 6)
    broken = Training(_vgg(), x, one_hot(y), CCE, adam(0.02), accuracy(y), steps=300)
    return broken, broken.but(model=_vgg(), optimizer=adam(0.001))


@program("faces-transfer-rate-1e-5", "rate too low@optimizer", "rcmalli/keras-vggface#43")
def _(rng):
    x, y = pictures(rng, 300, 24, 3, 7)

    def model():
        inner = [layers.Flatten(), Dense(64, "relu"), Dense(64, "relu"), Dense(7, "softmax")]
        return net((24, 24, 3), pretrained(), *inner)

    slow = sgd(1e-5, 0.9)
    broken = Training(model(), 2 * x - 1, one_hot(y), CCE, slow, accuracy(y), steps=200)
    return broken, broken.but(model=model(), optimizer=sgd(0.005, 0.9))


@program(
    "language-model-adam-rate-one",
    "rate too high@optimizer",
    "rajveermalviya/language-modeling#3",
)
def _(rng):
    x, y = following(rng, 40, 300, 16, 0.15)

    def model():
        recurrent = layers.GRU(32, return_sequences=True)
        return net((16,), layers.Embedding(40, 16), recurrent, Dense(40, "softmax"))

    def right(made):
        return float((made.argmax(-1) == y).mean())

    broken = Training(model(), x, y, SPARSE, adam(1.0), right, steps=250)
    return broken, broken.but(model=model(), optimizer=adam(0.01))


@program("labels-of-texts-plain-sgd", "rate too low@optimizer, loss@loss", "DS.SE 60487")
def _(rng):
    x, topic = words(rng, 500, 20, 800, 4)
    tags = np.eye(4)[topic] + np.eye(4)[(topic + topic // 2) % 4]
    tags = (tags > 0).astype("float32")

    def model():
        inner = [layers.GlobalAveragePooling1D(), Dense(32, "relu"), Dense(4, "sigmoid")]
        return net((20,), layers.Embedding(800, 32), *inner)

    broken = Training(model(), x, tags, "mse", sgd(0.01), accuracy(tags), steps=400)
    return broken, broken.but(model=model(), loss=BCE, optimizer=adam(0.005))


@program("index-of-shares-layers-without-activation", "hidden activation@0", "dxdy.ru topic 126940")
def _(rng):
    x = rng.uniform(-1, 1, (500, 4))
    y = standardized(np.abs(x[:, 0]) + np.sin(4 * x[:, 1]) ** 2 + 0.2 * x[:, 2])

    def model(hidden):
        return mlp(4, (40, 40, 40), 1, hidden=hidden)

    broken = Training(model(None), x, y, "mse", adam(0.005), explained(y), steps=600)
    return broken, broken.but(model=model("relu"))


@program("lenet-sigmoid-plain-sgd", "hidden activation@0, gradient@0", "d2l-ai/d2l-en#898")
def _(rng):
    bytes_, y = digits(rng, 400, 6)
    x = bytes_[..., None] / 255

    def model(hidden):
        inner = [Conv(6, 5, padding="same", activation=hidden), layers.AveragePooling2D(2)]
        inner += [Conv(16, 5, activation=hidden), layers.AveragePooling2D(2), layers.Flatten()]
        inner += [Dense(120, hidden), Dense(84, hidden)]
        return net((28, 28, 1), *inner, Dense(6, "softmax"))

    broken = Training(model("sigmoid"), x, y, SPARSE, sgd(0.05), accuracy(y), steps=300)
    return broken, broken.but(model=model("relu"))


@program(
    "objects-dense-zeros",
    "initialization@1, initialization@2",
    "AliPakzad/DeepLearning-WeightInitialization-Impact-CIFAR10",
)
def _(rng):
    x, y = pictures(rng, 400, 16, 3, 5)

    def model(start):
        inner = [Dense(50, "relu", kernel_initializer=start) for _ in range(3)]
        return net(
            (16, 16, 3),
            layers.Flatten(),
            *inner,
            Dense(5, "softmax", kernel_initializer=start),
        )

    broken = Training(model("zeros"), x, y, SPARSE, adam(0.002), accuracy(y), steps=500)
    return broken, broken.but(model=model("he_normal"))


@program(
    "points-uniform-from-zero-to-one", "initialization@0, initialization@1", "DS.SE 19170, altered"
)
def _(rng):
    x, y = blobs(rng, 500, 10, 2)

    def positive(shape, dtype=None):
        return keras.random.uniform(shape, 0.0, 1.0, dtype=dtype)

    def model(start):
        return mlp(10, (64, 64, 32), 1, "sigmoid", "tanh", kernel_initializer=start)

    broken = Training(model(positive), x, y, BCE, sgd(0.05), accuracy(y), steps=500)
    return broken, broken.but(model=model("glorot_uniform"), optimizer=sgd(0.1, 0.9))


@program("cover-types-sgd-rate-one", "rate too high@optimizer", "keras-team/keras#2975 (comments)")
def _(rng):
    x, y = blobs(rng, 400, 12, 4)
    wide = np.tile(x, (1, 4)) + 0.1 * rng.standard_normal((400, 48))

    def model():
        inner = [Dense(64, "relu") for _ in range(4)]
        return net((48,), *inner, Dense(4, "softmax"))

    broken = Training(model(), wide, y, SPARSE, sgd(1.0, 0.9), accuracy(y), steps=300)
    return broken, broken.but(model=model(), optimizer=sgd(0.01, 0.9))
