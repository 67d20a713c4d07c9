"""Programs of real threads: series and texts.

As those of `threads_tables`: ported before `diagnose` was run on them, and trained.
"""

import keras
import numpy as np
from data import one_hot, series, standardized, waves, words
from keras import layers
from nets import BCE, CCE, NARROW, SPARSE, adam, nesterov, net, normal, sgd
from program import Program, Training, accuracy, explained, register

BROKEN: dict[str, Program] = {}
program = register(BROKEN)

Dense, Input, LSTM, GRU = layers.Dense, keras.Input, layers.LSTM, layers.GRU


@program("reviews-one-lstm-unit-softmax", "output@output, capacity@1", "SO, by 52sbl 115307")
def _(rng):
    x, y = words(rng, 300, 40, 500)

    def model(size, units, end):
        return net((40,), layers.Embedding(500, size), LSTM(units), Dense(1, end))

    broken = Training(model(4, 1, "softmax"), x, y, BCE, adam(0.003), accuracy(y), steps=200)
    return broken, broken.but(model=model(16, 16, "sigmoid"), optimizer=adam(0.01))


@program(
    "sentiment-penalties-of-a-quarter",
    "regularization@loss, rate too low@optimizer",
    "keras-team/keras#1895",
)
def _(rng):
    kinds, y = words(rng, 400, 20, 60, 3)
    x = rng.standard_normal((60, 30))[kinds]

    def model(penalized):
        def penalty(size):
            l2 = keras.regularizers.L2(size)
            return {"kernel_regularizer": l2, "activity_regularizer": l2} if penalized else {}

        inner = [LSTM(32), layers.BatchNormalization(), Dense(100, "sigmoid", **penalty(0.1))]
        inner += [layers.BatchNormalization(), Dense(200, **penalty(0.25)), layers.Dropout(0.2)]
        return net((20, 30), *inner, layers.ReLU(), Dense(3, "softmax"))

    step = sgd(0.01, 0.9, nesterov=True, clipnorm=0.1)
    broken = Training(model(True), x, one_hot(y), CCE, step, accuracy(y), 30, 400)
    return broken, broken.but(model=model(False))


@program(
    "five-sequences-sigmoids-behind-lstm",
    "hidden activation@1, hidden activation@4, input@input, target scale@targets",
    "keras-team/keras#1727",
)
def _(rng):
    time = np.arange(460)[:, None]
    whole = np.sin(2 * np.pi * time / [12, 9, 15, 20, 7] + [0, 1, 2, 3, 4])
    whole = 20 + 5 * (whole + 0.1 * rng.standard_normal(whole.shape))
    x = np.stack([whole[i : i + 24] for i in range(430)])
    y = whole[24:454]

    def model(*between):
        inner = [LSTM(20, return_sequences=True), *between[:1], layers.Dropout(0.2), LSTM(20)]
        return net((24, 5), *inner, *between[1:], layers.Dropout(0.2), Dense(5))

    two = [layers.Activation("sigmoid"), layers.Activation("sigmoid")]
    broken = Training(model(*two), x, y, "mse", "rmsprop", explained(y), 32, 400)
    repaired = broken.but(model=model(), x=(x - 20) / 5, y=(y - 20) / 5, optimizer=adam(0.005))
    return broken, repaired.but(score=explained(y, 5, 20))


@program(
    "spectra-of-thousands-and-targets-of-fifty",
    "input@input, target scale@targets",
    "keras-team/keras#9889",
)
def _(rng):
    level = rng.random((400, 1))
    size = np.exp(-np.arange(48) / (8 + 20 * level))
    x = 4000 * np.abs(size[:, None] * (1 + 0.3 * rng.standard_normal((400, 8, 48))))
    y = 30 + 40 * level

    def model():
        return net((8, 48), LSTM(32, return_sequences=True), LSTM(32), Dense(1))

    broken = Training(model(), x, y, "mse", "adam", explained(y), 32, 300)
    repaired = broken.but(model=model(), x=standardized(x.reshape(-1, 48)).reshape(x.shape))
    return broken, repaired.but(y=(y - 50) / 12, score=explained(y, 12, 50))


@program(
    "stocks-relu-lstm-with-dropout",
    "hidden activation@0, hidden activation@1, dropout@0, dropout@1, dropout@4, initialization@0",
    "SO, by techfeed 485530",
)
def _(rng):
    x, y = series(rng, 400, 16)
    x = np.concatenate([x, x**2, rng.standard_normal(x.shape)], -1)

    def model(hidden, out, start):
        noisy = {"dropout": out, "recurrent_dropout": 0.4 * out, "activation": hidden}
        inner = [LSTM(48, return_sequences=True, **noisy, **start), LSTM(32, **noisy, **start)]
        inner += [Dense(64, **start), layers.BatchNormalization(), layers.Dropout(out)]
        return net((16, 3), *inner, Dense(1))

    broken = Training(model("relu", 0.5, NARROW), x, y, "mse", "rmsprop", explained(y), 32, 300)
    return broken, broken.but(model=model("tanh", 0.0, {}))


@program("questions-four-units-no-softmax", "output@output, loss@loss", "tensorflow/docs#2102")
def _(rng):
    x, y = words(rng, 400, 30, 600, 4)

    def model():
        inner = [layers.Embedding(600, 16), layers.Dropout(0.2), layers.GlobalAveragePooling1D()]
        return net((30,), *inner, layers.Dropout(0.2), Dense(4))

    plain = keras.losses.SparseCategoricalCrossentropy()
    broken = Training(model(), x, y, plain, adam(0.02), accuracy(y), 32, 400)
    logits = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return broken, broken.but(model=model(), loss=logits)


@program(
    "names-translated-logits-by-the-plain-loss",
    "output@output, loss@loss",
    "tensorflow/models#10761",
)
def _(rng):
    source = rng.integers(2, 20, (300, 8))
    turned = 2 + (source[:, ::-1] + 3) % 18
    shifted = np.concatenate([np.ones((300, 1), int), turned[:, :-1]], 1)

    def model():
        given, before = Input((8,), dtype="int32"), Input((8,), dtype="int32")
        coded, state = GRU(48, return_sequences=True, return_state=True)(
            layers.Embedding(20, 24)(given)
        )
        h = GRU(48, return_sequences=True)(layers.Embedding(20, 24)(before), initial_state=state)
        h = layers.Concatenate()([h, layers.Attention()([h, coded])])
        return keras.Model([given, before], Dense(20)(h))

    def right(made):
        return float((made.argmax(-1) == turned).mean())

    broken = Training(model(), [source, shifted], turned, SPARSE, adam(0.005), right, 30, 250)
    logits = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return broken, broken.but(model=model(), loss=logits)


@program(
    "engines-transformer-pooled-to-one-number",
    "capacity@-5, layers@-5, gradient@3, gradient@7, gradient@10, gradient@14",
    "keras-team/keras-io#1813",
)
def _(rng):
    x, y = waves(rng, 300, 64, 2)

    def model(order, normalization):  # over one channel a normalization leaves nothing
        steps = h = Input((64, 1))
        for _ in range(2):
            inner = layers.MultiHeadAttention(4, 16, dropout=0.25)(h, h)
            h = h + normalization(epsilon=1e-6)(layers.Dropout(0.25)(inner))
            inner = layers.Dropout(0.25)(layers.Conv1D(4, 1, activation="relu")(h))
            h = h + normalization(epsilon=1e-6)(layers.Conv1D(1, 1)(inner))
        h = layers.GlobalAveragePooling1D(data_format=order)(h)
        h = layers.Dropout(0.4)(Dense(96, "relu")(h))
        return keras.Model(steps, Dense(2, "softmax")(layers.Identity()(h)))

    def none(**options):
        return layers.Identity()

    pooled = model("channels_last", layers.LayerNormalization)
    broken = Training(pooled, x, y, SPARSE, adam(0.002), accuracy(y), 30, 250)
    return broken, broken.but(model=model("channels_first", none))


@program(
    "characters-six-convolutions-from-small-numbers",
    ", ".join(f"initialization@{i}, gradient@{i}" for i in (0, 2, 4, 5, 6, 7, 10, 12, 14)),
    "johnb30/py_crepe#5",
)
def _(rng):
    kinds, y = words(rng, 400, 60, 26, 4)
    x = one_hot(kinds, 26)

    def model(**start):
        inner = [layers.Conv1D(48, 7, activation="relu", **start), layers.MaxPooling1D(2)]
        inner += [layers.Conv1D(48, 7, activation="relu", **start), layers.MaxPooling1D(2)]
        inner += [layers.Conv1D(48, 3, activation="relu", **start) for _ in range(4)]
        inner += [layers.MaxPooling1D(2), layers.Flatten()]
        inner += [Dense(96, "relu", **start), layers.Dropout(0.2), Dense(96, "relu", **start)]
        return net((60, 26), *inner, layers.Dropout(0.2), Dense(4, "softmax", **start))

    step = nesterov(0.02, 0.9)
    broken = Training(model(**NARROW), x, y, SPARSE, step, accuracy(y), 40, 400)
    return broken, broken.but(model=model(kernel_initializer=normal(0.11)))
