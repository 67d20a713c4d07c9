"""What the net is given and what it has to reach."""

import keras
import numpy as np
from data import blobs, one_hot, pictures, series, standardized, words
from keras import layers, ops
from nets import BCE, CCE, SPARSE, adam, net, sgd
from program import Program, Training, accuracy, explained, register

BROKEN: dict[str, Program] = {}
program = register(BROKEN, "Humbatova et al. 2020 (taxonomy)")

Dense, Input, Conv = layers.Dense, keras.Input, layers.Conv2D
CAFFE = np.array([103.939, 116.779, 123.68])


@program("flowers-rescaled-then-mean-subtracted", "input@input", "fchollet/deep-learning-models#96")
def _(rng):
    pixels, y = pictures(rng, 300, 32, 3, 5)
    x = 255 * pixels

    def backbone():
        h = image = Input((32, 32, 3))
        for filters in (16, 32, 64):
            h = Conv(filters, 3, padding="same", activation="relu")(h)
            h = layers.MaxPooling2D()(h)
        h = Dense(64, "relu")(layers.GlobalAveragePooling2D()(h))
        return keras.Model(image, Dense(5, "softmax")(h))

    broken = Training(
        backbone(), x / 255 - CAFFE, one_hot(y), CCE, sgd(0.001, 0.9), accuracy(y), steps=400
    )
    return broken, broken.but(model=backbone(), x=(x - CAFFE) / 58, optimizer=sgd(0.01, 0.9))


@program(
    "apartments-photo-and-raw-facts",
    "input@input",
    "Humbatova et al. 2020: preprocessing",
)
def _(rng):
    photo, look = pictures(rng, 300, 20, 3, 4)
    area = rng.uniform(250, 6000, 300)
    facts = np.stack([area, rng.uniform(1e5, 9e5, 300), rng.integers(1, 6, 300)], 1)
    y = standardized(area / 1000 + 0.8 * look)

    def two_branches(normalize):
        image, numbers = Input((20, 20, 3), name="photo"), Input((3,), name="facts")
        h = layers.MaxPooling2D()(Conv(16, 3, activation="relu")(image))
        h = layers.GlobalAveragePooling2D()(Conv(16, 3, activation="relu")(h))
        if normalize:
            scale = layers.Normalization()
            scale.adapt(facts)
            numbers_in = scale(numbers)
        else:
            numbers_in = numbers
        h = layers.Concatenate()([h, Dense(16, "relu")(numbers_in)])
        return keras.Model([image, numbers], Dense(1)(Dense(16, "relu")(h)))

    broken = Training(
        two_branches(False), [photo, facts], y, "mse", adam(0.001), explained(y), steps=600
    )
    return broken, broken.but(model=two_branches(True))


@program("geofence-latitude-longitude", "input@input", "Humbatova et al. 2020: preprocessing")
def _(rng):
    place = np.array([52.5163, 13.3777]) + 0.02 * rng.standard_normal((600, 2))
    off = (place - [52.5163, 13.3777]) / 0.02
    y = ((off**2).sum(1) < 1.2).astype(int)

    def fence():
        return net((2,), Dense(32, "relu"), Dense(32, "relu"), Dense(1, "sigmoid"))

    broken = Training(fence(), place, y, BCE, adam(0.003), accuracy(y), steps=800)
    return broken, broken.but(model=fence(), x=off)


@program("spectrum-log-of-zero", "input@input, gradient@0, gradient@1", "keras-team/keras#13203")
def _(rng):
    x, y = blobs(rng, 500, 16, 3)
    power = np.maximum(np.exp(x) - 0.5, 0.0)  # silent bands are exactly 0

    def spectrum(floor):
        return net(
            (16,),
            layers.Lambda(lambda band: ops.log(band + floor), name="decibel"),
            Dense(48, "relu"),
            Dense(3, "softmax"),
        )

    broken = Training(spectrum(0.0), power, y, SPARSE, adam(0.003), accuracy(y), steps=500)
    return broken, broken.but(model=spectrum(0.1))


@program("normalization-never-adapted", "input@input", "Humbatova et al. 2020: preprocessing")
def _(rng):
    z, y = blobs(rng, 500, 6, 2)
    x = z * [4e4, 12.0, 300.0, 0.2, 9e3, 1.0] + [8e4, 45.0, 700.0, 0.5, 2e4, 2.0]

    def credit(adapt):
        scale = layers.Normalization()
        if adapt:
            scale.adapt(x)
        else:
            scale.build((None, 6))
            scale.finalize_state()
        return net((6,), scale, Dense(32, "relu"), Dense(16, "relu"), Dense(1, "sigmoid"))

    broken = Training(credit(False), x, y, BCE, adam(0.001), accuracy(y), steps=500)
    return broken, broken.but(model=credit(True))


@program("engine-outputs-of-many-units", "target scale@targets", "DS.SE 30537")
def _(rng):
    x = rng.standard_normal((500, 7))
    raw = np.stack([np.tanh(x[:, 0] - x[:, 1]), np.sin(x[:, 2]) + x[:, 3], x[:, 4] * x[:, 5]], 1)
    y = raw * [4e4, 0.003, 1.2] + [9e4, 0.01, 0.0]  # newtons, millimeters, degrees

    def engine():
        return net((7,), Dense(64, "tanh"), Dense(64, "tanh"), Dense(3))

    def each(std, mean):
        def score(made):
            columns = zip((made * std + mean).T, y.T, strict=True)
            return float(np.mean([explained(goal)(column) for column, goal in columns]))

        return score

    broken = Training(engine(), x, y, "mae", adam(0.002), each(1.0, 0.0), steps=900)
    return broken, broken.but(
        model=engine(), y=standardized(y), score=each(y.std(0), y.mean(0)), loss="mse"
    )


class SquaredError(keras.losses.Loss):
    """A squared error as people write it; nothing brings the shapes together."""

    def call(self, truth, made):
        """Returns the error of the batch."""
        return ops.mean(ops.square(truth - made))


@program("own-loss-column-against-row", "labels@targets", "Humbatova et al. 2020: tensor shape")
def _(rng):
    x = rng.standard_normal((500, 5))
    y = standardized(x[:, 0] * x[:, 1] + x[:, 2])

    def regressor():
        return net((5,), Dense(64, "relu"), Dense(32, "relu"), Dense(1))

    broken = Training(regressor(), x, y, SquaredError(), adam(0.003), explained(y), steps=600)
    return broken, broken.but(model=regressor(), y=y[:, None])


@program("word-numbers-into-lstm", "input@input", "Humbatova et al. 2020: preprocessing")
def _(rng):
    x, y = words(rng, 500, 15, 4000)

    def reviews():
        return net((15, 1), layers.LSTM(32), Dense(16, "relu"), Dense(1, "sigmoid"))

    def embedded():
        return net(
            (15,),
            layers.Embedding(4000, 16),
            layers.LSTM(32),
            Dense(16, "relu"),
            Dense(1, "sigmoid"),
        )

    numbers = x[..., None].astype("float32")
    broken = Training(reviews(), numbers, y, BCE, adam(0.003), accuracy(y), steps=400)
    return broken, broken.but(model=embedded(), x=x)


@program("headlines-padded-behind", "input@input", "keras.io: masking guide, altered")
def _(rng):
    short, y = words(rng, 500, 10, 800)
    x = np.zeros((500, 160), int)
    x[:, :10] = short + 1

    def headlines(masked):
        return net(
            (160,),
            layers.Embedding(801, 24, mask_zero=masked),
            layers.GRU(24),
            Dense(1, "sigmoid"),
        )

    broken = Training(headlines(False), x, y, BCE, adam(0.003), accuracy(y), steps=250)
    return broken, broken.but(model=headlines(True))


@program("pixels-divided-as-integers", "input@input", "Humbatova et al. 2020: data type")
def _(rng):
    pixels, y = pictures(rng, 300, 24, 1, 4)
    stored = np.round(255 * pixels).astype("uint8")

    def classifier():
        return net(
            (24, 24, 1),
            Conv(16, 3, activation="relu"),
            layers.MaxPooling2D(),
            Conv(32, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            Dense(4, "softmax"),
        )

    broken = Training(classifier(), stored // 255, y, SPARSE, adam(0.005), accuracy(y), steps=400)
    return broken, broken.but(model=classifier(), x=stored / 255)


@program("traffic-gru-raw-volumes", "target scale@targets, input@input", "DS.SE 26639, altered")
def _(rng):
    x, y = series(rng, 400, 25, 3200.0, 900.0)

    def volume():
        return net(
            (25, 1),
            layers.GRU(32, return_sequences=True),
            layers.Dropout(0.1),
            layers.GRU(32),
            Dense(1),
        )

    broken = Training(volume(), x, y, "mse", "rmsprop", explained(y), steps=300)
    return broken, broken.but(
        model=volume(),
        x=(x - 3200) / 900,
        y=(y - 3200) / 900,
        score=explained(y, 900.0, 3200.0),
    )


@program("single-channel-layer-norm", "gradient@0, input@input", "Humbatova et al. 2020: layer")
def _(rng):
    x, y = series(rng, 400, 24)

    def model(axis):
        return net(
            (24, 1),
            layers.LayerNormalization(axis=axis),
            layers.Conv1D(24, 5, activation="relu"),
            layers.Conv1D(24, 5, activation="relu"),
            layers.Flatten(),
            Dense(1),
        )

    broken = Training(model(-1), x, y, "mse", adam(0.002), explained(y), steps=400)
    return broken, broken.but(model=model(1))
