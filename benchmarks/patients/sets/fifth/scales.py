"""Inputs and targets as they come out of the file."""

import keras
import numpy as np
from data import blobs, pictures, standardized, words
from keras import layers, ops
from nets import BCE, SPARSE, adam, conv_blocks, mlp, net, sgd
from program import Program, Training, accuracy, explained, register

BROKEN: dict[str, Program] = {}
program = register(BROKEN, "ours")

Dense, Input, Conv = layers.Dense, keras.Input, layers.Conv2D


@program("fourth-power-of-hundreds", "input@input, target scale@targets", "SO 52800582")
def _(rng):
    x = rng.uniform(-100, 100, (400, 1))
    y = x[:, 0] ** 4

    def model():
        return net((1,), Dense(50, "sigmoid"), Dense(50, "elu"), Dense(1))

    broken = Training(model(), x, y[:, None], "mse", adam(0.003), explained(y), 20, 800)
    goal = standardized(y)
    repaired = broken.but(model=model(), x=x / 50, y=goal[:, None], score=explained(goal))
    return broken, repaired


@program("flats-prices-in-rupees-quarters-embedded", "target scale@targets", "Kaggle, often")
def _(rng):
    quarter = rng.integers(0, 15, 500)
    facts = rng.standard_normal((500, 5))
    level = rng.uniform(3e6, 1.2e7, 15)[quarter]
    price = level * np.exp(0.3 * facts[:, 0] + 0.2 * np.abs(facts[:, 1]))

    def model():
        where, what = Input((1,), dtype="int32"), Input((5,))
        h = layers.Concatenate()([layers.Flatten()(layers.Embedding(15, 6)(where)), what])
        return keras.Model([where, what], Dense(1)(Dense(24, "relu")(Dense(48, "relu")(h))))

    given = [quarter[:, None], facts]
    broken = Training(model(), given, price[:, None], "mse", adam(0.005), explained(price))
    broken = broken.but(steps=500)
    scaled = standardized(price)
    return broken, broken.but(model=model(), y=scaled[:, None], score=explained(scaled))


@program("shares-daily-returns-gru-plain-sgd", "input@input, target scale@targets")
def _(rng):
    change = np.zeros(520)
    for t in range(2, 520):
        change[t] = 0.7 * change[t - 1] - 0.5 * change[t - 2] + 0.004 * rng.standard_normal()
    x = np.stack([change[i : i + 10] for i in range(500)])[..., None]
    y = change[10:510]

    def model():
        return net((10, 1), layers.GRU(24), Dense(1))

    broken = Training(model(), x, y[:, None], "mse", sgd(0.05), explained(y), steps=600)
    size = change.std()
    scaled = broken.but(model=model(), x=x / size, y=y[:, None] / size)
    return broken, scaled.but(score=explained(y / size))


@program("signatures-two-branches-of-raw-bytes", "input@input")
def _(rng):
    first, kind = pictures(rng, 300, 16, 1, 6)
    second, other = pictures(rng, 300, 16, 1, 6)
    half = np.arange(300) % 2 == 0
    by_kind = [np.flatnonzero(other == k) for k in range(6)]
    partner = np.array([rng.choice(by_kind[k]) for k in kind])
    second = np.where(half[:, None, None, None], second[partner], second)
    same = (np.where(half, kind, other) == kind).astype("float32")
    bytes_ = [np.round(255 * part) for part in (first, second)]

    def model():
        inner = [Conv(8, 3, strides=2, activation="relu"), Conv(16, 3, strides=2)]
        encoder = net((16, 16, 1), *inner, layers.ReLU(), layers.Flatten(), Dense(32, "sigmoid"))
        two = [Input((16, 16, 1)), Input((16, 16, 1))]
        gap = ops.abs(layers.Subtract()([encoder(one) for one in two]))
        return keras.Model(two, Dense(1, "sigmoid")(gap))

    broken = Training(model(), bytes_, same[:, None], BCE, adam(0.003), accuracy(same), 25, 600)
    return broken, broken.but(model=model(), x=[part / 255 for part in bytes_])


@program("complaints-padded-word-numbers-into-dense", "input@input", "often")
def _(rng):
    x, y = words(rng, 500, 24, 1500, 4)

    def model(first):
        return net((24,), *first, Dense(64, "relu"), Dense(32, "relu"), Dense(4, "softmax"))

    broken = Training(model([]), x, y, SPARSE, adam(0.003), accuracy(y), steps=400)
    looked_up = [layers.Embedding(1500, 16), layers.GlobalMaxPooling1D()]
    return broken, broken.but(model=model(looked_up))


@program(
    "sunspots-lstm-relu-on-raw-counts",
    "input@input, target scale@targets, hidden activation@0, hidden activation@1",
)
def _(rng):
    time = np.arange(460)
    spots = 900 + 700 * np.sin(2 * np.pi * time / 33) + 120 * rng.standard_normal(460)
    x = np.stack([spots[i : i + 24] for i in range(430)])[..., None]
    y = spots[24:454]

    def model():
        first = layers.LSTM(32, "relu", return_sequences=True)
        return net((24, 1), first, layers.LSTM(32, "relu"), Dense(1))

    broken = Training(model(), x, y[:, None], "mse", sgd(0.001, 0.9), explained(y), steps=300)
    scaled = (spots - spots.mean()) / spots.std()
    x = np.stack([scaled[i : i + 24] for i in range(430)])[..., None]
    goal = scaled[24:454]
    repaired = broken.but(model=model(), x=x, y=goal[:, None], score=explained(goal))
    return broken, repaired.but(optimizer=adam(0.003))


def _base(x, y):
    """Returns convolutions trained on bytes, which they scale themselves, and frozen."""
    inner = [layers.Rescaling(1 / 127.5, offset=-1)]
    for filters in (12, 24):
        inner += [Conv(filters, 3, use_bias=False), layers.BatchNormalization(momentum=0.9)]
        inner += [layers.ReLU(), layers.MaxPooling2D()]
    base = net((20, 20, 3), *inner, layers.GlobalAveragePooling2D())
    whole = keras.Sequential([base, Dense(6, "softmax")])
    whole.compile(adam(0.005), SPARSE)
    whole.fit(x, y, batch_size=30, epochs=12, verbose=0)
    base.trainable = False
    return base


@program("mushrooms-frozen-base-wants-bytes-gets-fractions", "input@input, input@0")
def _(rng):
    known, kind = pictures(rng, 300, 20, 3, 6)
    x, y = pictures(rng, 240, 20, 3, 4)
    base = _base(np.round(255 * known), kind)

    def model():
        image = Input((20, 20, 3))
        h = layers.Dropout(0.2)(base(image, training=False))
        return keras.Model(image, Dense(4, "softmax")(h))

    broken = Training(model(), x, y, SPARSE, adam(0.003), accuracy(y), 24, 300)
    return broken, broken.but(model=model(), x=np.round(255 * x))


@program("patients-number-of-record-as-a-column", "input@input")
def _(rng):
    x, y = blobs(rng, 500, 8, 3)
    record = 4_300_000 + 17 * rng.permutation(500)
    table = np.concatenate([record[:, None], x], 1)

    def model():
        return mlp(9, (32, 16), 3, "softmax")

    broken = Training(model(), table, y, SPARSE, adam(0.003), accuracy(y), 25, 400)
    return broken, broken.but(model=model(), x=standardized(table))


@program("walls-thermal-pictures-in-kelvin", "input@input")
def _(rng):
    x, y = pictures(rng, 240, 20, 1, 4)
    kelvin = 291 + 4 * x

    def model():
        inner = [*conv_blocks([12, 24]), layers.Flatten(), layers.Dropout(0.3)]
        return net((20, 20, 1), *inner, Dense(32, "relu"), Dense(4, "softmax"))

    broken = Training(model(), kelvin, y, SPARSE, sgd(0.01, 0.9), accuracy(y), 24, 300)
    return broken, broken.but(model=model(), x=(kelvin - 293) / 2)


@program(
    "moon-lander-returns-of-hundreds-plain-sgd", "target scale@targets, rate too high@optimizer"
)
def _(rng):
    x = rng.standard_normal((500, 8))
    value = 180 * np.tanh(x[:, :1] + 0.5 * x[:, 1:2]) - 90 + 40 * x[:, 2:6]

    def model():
        return mlp(8, (64, 64), 4)

    broken = Training(model(), x, value, "mse", sgd(0.02, 0.9), explained(value), 32, 400)
    scaled = (value - value.mean()) / value.std()
    return broken, broken.but(model=model(), y=scaled, score=explained(scaled))


@program("diabetes-columns-normalized-over-the-samples", "input@input", "often")
def _(rng):
    x, y = blobs(rng, 600, 8, 2)
    table = np.exp(0.4 * x) * [3, 120, 70, 20, 80, 32, 0.5, 33]
    unit = table / np.linalg.norm(table, axis=0)  # each column has the length 1

    def model():
        return mlp(8, (24, 12), 1, "sigmoid")

    broken = Training(model(), unit, y[:, None], BCE, sgd(0.03, 0.9), accuracy(y), 30, 400)
    return broken, broken.but(model=model(), x=standardized(table))
