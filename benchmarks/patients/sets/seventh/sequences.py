"""Texts, series and sounds."""

import keras
import numpy as np
from data import series, standardized, waves, words
from keras import layers
from nets import SPARSE, adam, net, sgd
from program import Program, Training, accuracy, explained, register

from sets.seventh.common import measured

BROKEN: dict[str, Program] = {}
program = register(BROKEN, "ours")

Dense, Input, Embedding = layers.Dense, keras.Input, layers.Embedding


@program("tickets-nearly-all-words-unknown", "input@input", "forum: vocabulary of another text")
def _(rng):
    x, y = words(rng, 500, 20, 600, 4)
    known = np.isin(x, 10 + rng.integers(0, 500, 20))

    def model():
        inner = [Embedding(602, 24), layers.Conv1D(32, 3, activation="relu")]
        inner += [layers.GlobalMaxPooling1D(), Dense(24, "relu")]
        return net((20,), *inner, Dense(4, "softmax"))

    found = np.where(known, x + 2, 1)
    broken = Training(model(), found, y, SPARSE, adam(0.003), accuracy(y), steps=300)
    return broken, broken.but(model=model(), x=x + 2)


@program("reviews-averaged-with-their-padding", "input@input, layers@0, layers@1", "SO, often")
def _(rng):
    text, y = words(rng, 500, 10, 400, 3)
    x = np.zeros((500, 800), "int32")
    x[:, :10] = text + 1

    def model(masked):
        inner = [Embedding(401, 24, mask_zero=masked), layers.GlobalAveragePooling1D()]
        return net((800,), *inner, Dense(24, "relu"), Dense(3, "softmax"))

    broken = Training(model(False), x, y, SPARSE, adam(0.003), accuracy(y), steps=180)
    return broken, broken.but(model=model(True))


@program(
    "intents-first-token-that-sees-itself-alone",
    "layers@2, gradient@2, initialization@2, gradient@1, input@input",
    "forum: a decoder's mask in an encoder",
)
def _(rng):
    text, y = words(rng, 450, 14, 200, 4)
    x = np.concatenate([np.full((450, 1), 1), text + 2], 1)

    def model(causal):
        tokens = Input((15,), dtype="int32")
        h = Embedding(202, 32)(tokens)
        h = h + layers.MultiHeadAttention(2, 16)(h, h, use_causal_mask=causal)
        h = Dense(48, "relu")(h[:, 0])
        return keras.Model(tokens, Dense(4, "softmax")(h))

    broken = Training(model(True), x, y, SPARSE, adam(0.003), accuracy(y), steps=350)
    return broken, broken.but(model=model(False))


@program(
    "words-drowned-by-their-positions",
    "initialization@1, input@1, layers@1, layers@2",
    "forum: no factor of sqrt(d) before the positions",
)
def _(rng):
    x, y = words(rng, 450, 24, 300, 6)
    angle = np.arange(24)[:, None] / 100 ** (np.arange(16) / 16)
    places = np.concatenate([np.sin(angle), np.cos(angle)], -1).astype("float32")

    def model(factor):
        tokens = Input((24,), dtype="int32")
        h = factor * Embedding(300, 32)(tokens) + places
        h = layers.LayerNormalization()(h + layers.MultiHeadAttention(2, 16)(h, h))
        h = layers.LayerNormalization()(h + Dense(32)(Dense(64, "relu")(h)))
        return keras.Model(tokens, Dense(6, "softmax")(layers.GlobalAveragePooling1D()(h)))

    broken = Training(model(0.05), x, y, SPARSE, adam(0.001), accuracy(y), steps=400)
    return broken, broken.but(model=model(32**0.5))


@program("reviews-gradients-gathered-for-epochs", "rate too low@optimizer", "Keras 3: an argument")
def _(rng):
    x, y = words(rng, 500, 20, 400, 3)

    def model():
        inner = [Embedding(400, 24), layers.Bidirectional(layers.GRU(16))]
        return net((20,), *inner, Dense(3, "softmax"))

    gathered = adam(0.003, gradient_accumulation_steps=256)
    broken = Training(model(), x, y, SPARSE, gathered, accuracy(y), steps=300)
    return broken, broken.but(model=model(), optimizer=adam(0.003))


@program("rivers-lstm-of-one-unit-as-the-end", "output@output, layers@-1", "SO, often")
def _(rng):
    x, y = series(rng, 450, 20, level=4.0, size=2.0)

    def model(*end):
        return net((20, 1), layers.LSTM(32, return_sequences=True), *end)

    broken = Training(
        model(layers.LSTM(1)), x, y[:, None], "mse", adam(0.005), explained(y), steps=350
    )
    return broken, broken.but(model=model(layers.LSTM(16), Dense(1)))


@program("loads-rate-halved-by-the-first-step", "rate too low@optimizer", "forum: decay_steps=1")
def _(rng):
    x, y = series(rng, 450, 24)

    def model():
        inner = [layers.Conv1D(24, 5, activation="relu"), layers.MaxPooling1D(), layers.Flatten()]
        return net((24, 1), *inner, Dense(32, "relu"), Dense(1))

    def step(every):
        return sgd(keras.optimizers.schedules.InverseTimeDecay(0.02, every, 1.0))

    broken = Training(model(), x, y[:, None], "mse", step(1), explained(y), steps=400)
    return broken, broken.but(model=model(), optimizer=step(1000))


@program("pressures-kept-as-half-floats", "input@input", "forum: to save memory")
def _(rng):
    x, y = waves(rng, 400, 40, 4)
    pascals = 101325 + 400 * x

    def model():
        return net((40, 1), layers.GRU(24), Dense(4, "softmax"))

    with np.errstate(over="ignore"):
        half = pascals.astype("float16")
    broken = Training(model(), half, y, SPARSE, adam(0.005), accuracy(y), steps=300)
    return broken, broken.but(model=model(), x=(pascals - 101325) / 400)


@program("heartbeats-in-volts-behind-noise-of-a-half", "input@input, dropout@0, input@0", "forum")
def _(rng):
    x, y = waves(rng, 450, 48, 4)

    def model():
        inner = [layers.GaussianNoise(0.5), layers.Conv1D(24, 7, activation="relu")]
        inner += [layers.MaxPooling1D(4), layers.Conv1D(24, 5, activation="relu")]
        return net((48, 1), *inner, layers.GlobalMaxPooling1D(), Dense(4, "softmax"))

    broken = Training(model(), 0.03 * x, y, SPARSE, adam(0.005), accuracy(y), steps=350)
    return broken, broken.but(model=model(), x=x)


@program(
    "demand-convolutions-that-see-four-steps",
    "capacity@1, capacity@2, capacity@3, layers@1, layers@2, layers@3, input@input",
    "philipperemy/keras-tcn: receptive field",
)
def _(rng):
    x = rng.standard_normal((500, 32, 1))
    y = x[:, -20, 0] + 0.6 * x[:, -8, 0] + 0.3 * x[:, -1, 0]

    def model(*dilations):
        h = given = Input((32, 1))
        for dilation in dilations:
            h = layers.Conv1D(24, 2, padding="causal", dilation_rate=dilation)(h)
            h = layers.LeakyReLU()(h)
        return keras.Model(given, Dense(1)(h[:, -1]))

    broken = Training(model(1, 1, 1), x, y[:, None], "mse", adam(0.003), explained(y), steps=500)
    return broken, broken.but(model=model(1, 2, 4, 8, 16))


@program("words-spoken-cepstra-as-they-come", "input@input", "SO: MFCC, accuracy of chance")
def _(rng):
    y = rng.integers(0, 6, 400)
    shape = 5 * rng.standard_normal((6, 13))
    sizes = 30 / (1 + np.arange(13))
    x = sizes * rng.standard_normal((400, 20, 13)) + (shape / (1 + np.arange(13)))[y][:, None]
    x[..., 0] = -420 + 60 * rng.standard_normal((400, 20))

    def model():
        return net((20, 13), layers.LSTM(32), Dense(32, "relu"), Dense(6, "softmax"))

    broken = Training(model(), x, y, SPARSE, adam(0.001), accuracy(y), steps=350)
    flat = standardized(x.reshape(-1, 13)).reshape(x.shape)
    return broken, broken.but(model=model(), x=flat)


@program(
    "birds-linear-convolutions-and-their-mean",
    "hidden activation@0, hidden activation@1, capacity@0, layers@0",
    "forum: the activation left out",
)
def _(rng):
    x, y = waves(rng, 450, 64, 5)

    def model(hidden):
        inner = [layers.Conv1D(24, 9, activation=hidden), layers.Conv1D(24, 9, activation=hidden)]
        return net((64, 1), *inner, layers.GlobalAveragePooling1D(), Dense(5, "softmax"))

    broken = Training(model(None), x, y, SPARSE, adam(0.005), accuracy(y), steps=350)
    return broken, broken.but(model=model("relu"))


def _read(truth, made):
    """Returns the share of sequences read rightly: repeats and blanks (0) left out."""
    right = 0
    for letters, scores in zip(truth, made, strict=True):
        best = scores.argmax(-1)
        best = best[np.concatenate([[True], best[1:] != best[:-1]])]
        right += np.array_equal(best[best > 0], letters)
    return right / len(truth)


@program("speech-letter-zero-is-the-blank", "labels@targets, loss@loss", "Keras 3: CTC counts anew")
def _(rng):
    letters = np.concatenate([rng.integers(0, 4, (400, 1)), rng.integers(1, 4, (400, 3))], 1)
    letters = np.cumsum(letters, 1) % 4  # no two alike side by side
    sound = rng.standard_normal((4, 8))
    x = np.repeat(sound[letters], 6, 1) + 0.4 * rng.standard_normal((400, 24, 8))

    def model(classes):
        inner = layers.Bidirectional(layers.GRU(24, return_sequences=True))
        return net((24, 8), inner, Dense(classes))

    right = measured(letters + 1, _read)
    score = measured(letters, _read)
    broken = Training(model(4), x, letters, keras.losses.CTC(), adam(0.01), score, steps=400)
    return broken, broken.but(model=model(5), y=letters + 1, score=right)
