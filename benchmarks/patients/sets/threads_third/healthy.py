"""A third set of programs of tutorials, examples and accepted answers that train well.

Ported before `diagnose` was run on any of them, and trained; narrower where the net was large.
"""

import keras
import numpy as np
from data import blobs, digits, one_hot, pictures, words
from keras import layers, ops
from nets import BCE, CCE, adam, conv_blocks, mlp, net
from program import Program, Training, accuracy, explained, healthy

HEALTHY: dict[str, Program] = {}
program = healthy(HEALTHY, "tutorials and answers")

Dense, LSTM, Embedding = layers.Dense, layers.LSTM, layers.Embedding


@program("tutorial-banknotes-he-normal")  # machinelearningmastery.com, as the columns are
def _(rng):
    x, y = blobs(rng, 1300, 4)
    x = x * [2.8, 5.9, 4.3, 2.1] + [0.4, 1.9, 1.4, -1.2]
    he = {"kernel_initializer": "he_normal"}
    m = net((4,), Dense(10, "relu", **he), Dense(1, "sigmoid"))
    return Training(m, x, y, BCE, adam(), accuracy(y), 32, 1500)


@program("tutorial-perceptron-of-digits-350-50")  # machinecurve.com, 2019/07/27
def _(rng):
    x, y = digits(rng, 1000)
    m = mlp(784, (350, 50), 10, "softmax")
    return Training(m, x.reshape(1000, 784) / 255, one_hot(y), CCE, adam(), accuracy(y), 50, 200)


def _(rng):
    x = rng.standard_normal((800, 40))
    y = (x[:, :7] + x[:, 7:14] > 0.8).astype("float32")
    return Training(mlp(40, (64,), 7, "sigmoid"), x, y, BCE, "rmsprop", accuracy(y), 32, 800)


def _(rng):
    x = 0.3 * rng.standard_normal((1000, 4))
    best = (x[:, 2] + 0.5 * x[:, 3] > 0).astype(int)
    taken = rng.integers(0, 2, 1000)
    gains = np.where(taken == best, 1.0, -1.0) + 0.5 * rng.standard_normal(1000)
    y = one_hot(taken, 2) * ((gains - gains.mean()) / gains.std())[:, None]
    m = mlp(4, (24, 24), 2, "softmax", "relu", kernel_initializer="glorot_uniform")
    return Training(m, x, y, CCE, adam(0.001), accuracy(best), 64, 150)


@program("blog-cats-and-dogs-little-data")  # blog.keras.io, very little data
def _(rng):
    x, y = pictures(rng, 500, 32, 3, 2, 0.2)
    inner = [layers.Rescaling(1 / 255), layers.RandomFlip(), *conv_blocks([16, 16, 32])]
    inner += [layers.Flatten(), Dense(64, "relu"), layers.Dropout(0.5)]
    m = net((32, 32, 3), *inner, Dense(1, "sigmoid"))
    return Training(m, np.round(255 * x), y, BCE, "rmsprop", accuracy(y), 16, 400)


@program("example-letters-one-lstm-rmsprop-of-a-hundredth")  # keras.io, lstm_character_level
def _(rng):
    follows = rng.permutation(25)
    letters = np.zeros(1040, int)
    for t in range(1, 1040):
        letters[t] = follows[letters[t - 1]] if rng.random() < 0.9 else rng.integers(0, 25)
    x = one_hot(np.stack([letters[i : i + 20] for i in range(1000)]), 25)
    y = letters[20:1020]
    m = net((20, 25), LSTM(64), Dense(25, "softmax"))
    step = keras.optimizers.RMSprop(0.01)
    return Training(m, x, one_hot(y, 25), CCE, step, accuracy(y), 128, 200)


@program("example-siamese-distance-and-margin")  # keras examples, mnist_siamese
def _(rng):
    x, kinds = digits(rng, 600)
    x = x.reshape(600, 28, 28)[:, ::2, ::2].reshape(600, 196) / 255
    other = rng.integers(0, 600, 600)
    same = np.array([rng.choice(np.flatnonzero(kinds == k)) for k in kinds])
    second = np.where(np.arange(600) % 2 == 0, same, other)
    y = (kinds == kinds[second]).astype("float32")[:, None]
    inner = [Dense(64, "relu"), layers.Dropout(0.1), Dense(64, "relu"), layers.Dropout(0.1)]
    code = net((196,), *inner, Dense(64, "relu"))
    pair = [keras.Input((196,)), keras.Input((196,))]
    far = ops.sum(ops.square(code(pair[0]) - code(pair[1])), 1, keepdims=True)
    m = keras.Model(pair, ops.sqrt(ops.maximum(far, keras.backend.epsilon())))

    def contrast(y, far):
        return ops.mean(y * ops.square(far) + (1 - y) * ops.square(ops.maximum(1 - far, 0)))

    def right(made):
        return float(((made < 0.5) == (y > 0.5)).mean())

    return Training(m, [x, x[second]], y, contrast, "rmsprop", right, 128, 400)


@program("book-reviews-words-there-or-not")  # Deep Learning with Python, 3.4
def _(rng):
    ids, y = words(rng, 800, 40, 1000)
    x = np.zeros((800, 1000))
    np.put_along_axis(x, ids, 1, 1)
    m = mlp(1000, (16, 16), 1, "sigmoid")
    return Training(m, x, y, BCE, "rmsprop", accuracy(y), 64, 200)


@program("example-films-dot-of-factors-and-a-sigmoid")  # keras.io, collaborative_filtering
def _(rng):
    users, films = rng.integers(0, 40, 2000), rng.integers(0, 60, 2000)
    tastes, kinds = rng.standard_normal((40, 3)), rng.standard_normal((60, 3))
    stars = np.clip((tastes[users] * kinds[films]).sum(1) / 6 + 0.5, 0, 1)
    inputs = keras.Input((2,), dtype="int64")
    options = {
        "embeddings_initializer": "he_normal",
        "embeddings_regularizer": keras.regularizers.l2(1e-6),
    }
    user, film = (
        Embedding(40, 16, **options)(inputs[:, 0]),
        Embedding(60, 16, **options)(inputs[:, 1]),
    )
    lean = Embedding(40, 1)(inputs[:, 0]) + Embedding(60, 1)(inputs[:, 1])
    made = ops.sigmoid(ops.sum(user * film, 1, keepdims=True) + lean)
    x = np.stack([users, films], 1)
    m = keras.Model(inputs, made)
    return Training(m, x, stars[:, None], BCE, adam(0.01), explained(stars), 64, 900)


@program("example-sums-written-out-by-lstm")  # keras.io, addition_rnn
def _(rng):
    first, second = rng.integers(0, 10, (2, 1000))
    x = one_hot(np.stack([first, np.full(1000, 10), second], 1), 11)
    total = first + second
    y = np.stack([total // 10, total % 10], 1)
    inner = [LSTM(64), layers.RepeatVector(2), LSTM(64, return_sequences=True)]
    m = net((3, 11), *inner, Dense(10, "softmax"))
    return Training(m, x, one_hot(y, 10), CCE, adam(0.01), accuracy(y), 32, 900)


@program("tutorial-next-letter-gru-of-logits")  # tensorflow.org, text_generation
def _(rng):
    follows, ids = rng.permutation(30), np.zeros((300, 26), int)
    ids[:, 0] = rng.integers(0, 30, 300)
    for t in range(25):
        stray = rng.random(300) < 0.1
        ids[:, t + 1] = np.where(stray, rng.integers(0, 30, 300), follows[ids[:, t]])
    m = net((25,), Embedding(30, 16), layers.GRU(48, return_sequences=True), Dense(30))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    y = ids[:, 1:]
    return Training(m, ids[:, :-1], y, loss, adam(0.005), accuracy(y), 32, 250)


@program("example-pairs-of-sentences-averaged")  # keras.io, functional guide: two inputs, two ends
def _(rng):
    title, kind = words(rng, 600, 12, 300, 3)
    tags = rng.integers(0, 2, (600, 4)).astype("float32")
    inputs = [keras.Input((12,)), keras.Input((4,))]
    read = layers.GlobalAveragePooling1D()(Embedding(300, 24)(inputs[0]))
    joined = layers.concatenate([read, inputs[1]])
    ends = [Dense(3, "softmax")(joined), Dense(1)(Dense(16, "relu")(joined))]
    hours = tags @ [[1.0], [-2.0], [0.5], [1.0]] + 0.5 * (kind == 1)[:, None]
    m = keras.Model(inputs, ends)
    loss = ["sparse_categorical_crossentropy", "mse"]
    return Training(m, [title, tags], [kind, hours], loss, adam(0.005), accuracy(kind), 32, 800)
