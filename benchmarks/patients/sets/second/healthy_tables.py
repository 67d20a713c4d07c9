"""Programs that train well: tables, series and texts as in tutorials and on Kaggle."""

import keras
import numpy as np
from data import blobs, series, standardized, waves, words
from keras import layers
from nets import BCE, SPARSE, adam, net
from program import Program, Training, accuracy, explained, healthy

HEALTHY: dict[str, Program] = {}
program = healthy(HEALTHY, "ours")

Dense, Input = layers.Dense, keras.Input


@program("titanic-he-uniform-batch-norm")
def _(rng):
    x, y = blobs(rng, 600, 9, 2)
    x[:, 5:] = x[:, 5:] > 0  # dummies of the port and the class
    inner = []
    for width in (32, 16):
        inner += [Dense(width, kernel_initializer="he_uniform"), layers.BatchNormalization()]
        inner += [layers.Activation("relu"), layers.Dropout(0.2)]
    m = net((9,), *inner, Dense(1, "sigmoid"))
    return Training(m, x, y, BCE, "adam", accuracy(y), steps=500)


@program("houses-narrow-normal-thousands")
def _(rng):
    x = rng.standard_normal((500, 13))
    y = 22.5 + 6 * np.tanh(x[:, 0]) + 4 * x[:, 1] + 2 * x[:, 2] * x[:, 3]
    start = {"kernel_initializer": "normal"}
    m = net((13,), Dense(32, "relu", **start), Dense(16, "relu", **start), Dense(1, **start))
    return Training(m, x, y, "mse", adam(0.01), explained(y), 5, 1200)


@program("fraud-dropout-and-class-weights")
def _(rng):
    x, y = blobs(rng, 900, 14, 2)
    keep = (y == 0) | (rng.random(900) < 0.15)
    x, y = standardized(x[keep]), y[keep]
    share = y.mean()
    inner = [Dense(64, "relu"), Dense(64, "relu"), layers.Dropout(0.3)]
    m = net((14,), *inner, Dense(32, "relu"), layers.Dropout(0.3), Dense(1, "sigmoid"))
    weights = {"class_weight": {0: 1 / (2 * (1 - share)), 1: 1 / (2 * share)}}
    return Training(m, x, y[:, None], BCE, adam(0.002), accuracy(y), 64, 400, weights=weights)


@program("films-ratings-as-shares-cross-entropy")
def _(rng):
    user, film = rng.integers(0, 40, 800), rng.integers(0, 30, 800)
    taste, kind = rng.standard_normal((40, 3)), rng.standard_normal((30, 3))
    stars = np.clip(np.round(2 * (3 + (taste[user] * kind[film]).sum(1))) / 2, 0.5, 5)
    share = (stars - 0.5) / 4.5

    def factors(count, given):
        options = {"embeddings_initializer": "he_normal"}
        penalty = keras.regularizers.L2(1e-6)
        vector = layers.Embedding(count, 12, embeddings_regularizer=penalty, **options)(given)
        return layers.Flatten()(vector), layers.Flatten()(layers.Embedding(count, 1)(given))

    users, films = Input((1,), dtype="int32"), Input((1,), dtype="int32")
    (u, u_bias), (f, f_bias) = factors(40, users), factors(30, films)
    h = layers.Add()([layers.Dot(-1)([u, f]), u_bias, f_bias])
    m = keras.Model([users, films], layers.Activation("sigmoid")(h))
    x = [user[:, None], film[:, None]]
    return Training(m, x, share, BCE, adam(0.01), explained(share), steps=600)


@program("weather-lstm-seven-features")
def _(rng):
    windows, y = series(rng, 400, 24)
    more = np.roll(windows, 3, 1) + 0.5 * rng.standard_normal((400, 24, 6))
    x = np.concatenate([windows, more], -1)
    m = net((24, 7), layers.LSTM(32), Dense(1))
    return Training(
        m, x, standardized(y), "mse", adam(0.004), explained(standardized(y)), steps=300
    )


@program("engines-transformer-of-series")
def _(rng):
    x, y = waves(rng, 400, 48, 2)
    given = h = Input((48, 1))
    h = Dense(16)(layers.Reshape((12, 4))(h))
    for _ in range(2):
        a = layers.LayerNormalization(epsilon=1e-6)(h)
        h = h + layers.Dropout(0.1)(layers.MultiHeadAttention(2, 8, dropout=0.1)(a, a))
        f = layers.Conv1D(8, 1, activation="relu")(layers.LayerNormalization(epsilon=1e-6)(h))
        h = h + layers.Conv1D(16, 1)(layers.Dropout(0.1)(f))
    h = layers.GlobalAveragePooling1D()(h)
    h = layers.Dropout(0.2)(Dense(32, "relu")(h))
    m = keras.Model(given, Dense(2, "softmax")(h))
    return Training(m, x, y, SPARSE, adam(0.002), accuracy(y), steps=400)


@program("engines-fully-convolutional-series")
def _(rng):
    x, y = waves(rng, 300, 64, 3)
    inner = []
    for _ in range(3):
        inner.append(layers.Conv1D(24, 5, padding="same"))
        inner += [layers.BatchNormalization(momentum=0.9), layers.ReLU()]
    m = net((64, 1), *inner, layers.GlobalAveragePooling1D(), Dense(3, "softmax"))
    return Training(m, x, y, SPARSE, adam(0.003), accuracy(y), steps=350)


@program("heartbeats-lstm-autoencoder-repeated")
def _(rng):
    x, _ = waves(rng, 300, 16, 2)
    inner = [layers.LSTM(48), layers.RepeatVector(16), layers.LSTM(48, return_sequences=True)]
    m = net((16, 1), *inner, layers.TimeDistributed(Dense(1)))
    return Training(m, x, x, "mae", adam(0.01), explained(x), steps=450)


@program("reviews-two-bidirectional-lstm")
def _(rng):
    x, y = words(rng, 400, 20, 1000, 2)
    both = [layers.Bidirectional(layers.LSTM(12, return_sequences=True))]
    both.append(layers.Bidirectional(layers.LSTM(12)))
    m = net((20,), layers.Embedding(1000, 32), *both, Dense(1, "sigmoid"))
    return Training(m, x, y, BCE, "adam", accuracy(y), steps=250)


@program("questions-tags-from-word-counts")
def _(rng):
    ids, topic = words(rng, 500, 30, 400, 5)
    x = np.zeros((500, 400), "float32")
    np.add.at(x, (np.arange(500)[:, None], ids), 1)
    x = np.log1p(x) * np.log(500 / (1 + (x > 0).sum(0)))
    tags = np.eye(5)[topic] + np.eye(5)[(topic + 1) % 5] * (topic < 3)[:, None]
    inner = [Dense(64, "relu"), layers.Dropout(0.4), Dense(32, "relu")]
    m = net((400,), *inner, Dense(5, "sigmoid"))
    return Training(m, x, tags, BCE, adam(0.001), accuracy(tags), steps=400)


@program("customers-tab-transformer")
def _(rng):
    kinds = rng.integers(0, 5, (500, 4))
    numbers = rng.standard_normal((500, 3))
    score = (kinds[:, 0] == kinds[:, 1]) * 2 + numbers[:, 0] - (kinds[:, 2] > 2) * numbers[:, 1]
    y = (score > np.median(score)).astype(int)
    columns, given = Input((4,), dtype="int32"), Input((3,))
    h = layers.Embedding(20, 16)(columns)
    for _ in range(2):
        a = layers.MultiHeadAttention(4, 4, dropout=0.1)(h, h)
        h = layers.LayerNormalization(epsilon=1e-6)(h + a)
        f = Dense(16)(Dense(32, keras.activations.gelu)(h))
        h = layers.LayerNormalization(epsilon=1e-6)(h + f)
    both = [layers.Flatten()(h), layers.LayerNormalization(epsilon=1e-6)(given)]
    h = layers.Concatenate()(both)
    h = layers.Dropout(0.1)(Dense(32, "selu")(layers.BatchNormalization()(h)))
    m = keras.Model([columns, given], Dense(1, "sigmoid")(h))
    decay = keras.optimizers.AdamW(0.002, weight_decay=1e-4)
    x = [kinds + 5 * np.arange(4), numbers]
    return Training(m, x, y[:, None], BCE, decay, accuracy(y), steps=500)
