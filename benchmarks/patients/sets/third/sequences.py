"""Series, texts and signals, broken and healthy."""

import keras
import numpy as np
from data import following, one_hot, series, waves, words
from keras import layers, ops
from nets import BCE, CCE, SPARSE, adam, net, sgd
from program import Program, Training, accuracy, explained, healthy, register

BROKEN: dict[str, Program] = {}
HEALTHY: dict[str, Program] = {}
program = register(BROKEN, "Humbatova et al. 2020 (taxonomy)")
trains = healthy(HEALTHY, "ours")

Dense, Input = layers.Dense, keras.Input


@program("steps-since-event-zeros-masked", "input@input, layers@0", "DS.SE 67599, altered")
def _(rng):
    n, length = 400, 30
    x = np.zeros((n, length, 2), "float32")
    since = rng.integers(0, length, n)
    x[np.arange(n), length - 1 - since] = 1 + 0.2 * rng.standard_normal((n, 2))
    y = since / length

    def model(value):  # a step of all zeros says that time passes, it is no padding
        return net((length, 2), layers.Masking(value), layers.LSTM(24), Dense(1))

    broken = Training(model(0.0), x, y, "mse", adam(0.005), explained(y), steps=350)
    return broken, broken.but(model=model(-1.0))


@program("speech-frames-in-decibels", "input@input", "ours")
def _(rng):
    sound, y = waves(rng, 300, 320, 4)
    frames = np.stack([sound[:, i : i + 64, 0] for i in range(0, 256, 32)], 1)
    power = np.abs(np.fft.rfft(frames * np.hanning(64), axis=-1))[:, :, :24] ** 2
    decibel = np.maximum(10 * np.log10(power / power.max()), -80)

    def model():
        same = {"padding": "same", "activation": "relu"}
        inner = [layers.Conv1D(32, 3, **same), layers.Conv1D(32, 3, **same)]
        inner += [layers.Flatten(), Dense(32, "relu")]
        return net((8, 24), *inner, Dense(4, "softmax"))

    broken = Training(model(), decibel, one_hot(y), CCE, sgd(0.02, 0.9), accuracy(y), steps=250)
    scaled = (decibel - decibel.mean()) / decibel.std()
    return broken, broken.but(model=model(), x=scaled)


@program("rnn-relu-recurrent-gain-two", "initialization@0", "ours")
def _(rng):
    x, y = waves(rng, 300, 50, 3)

    def model(gain):
        start = keras.initializers.Orthogonal(gain)
        recurrent = layers.SimpleRNN(32, "relu", recurrent_initializer=start)
        return net((50, 1), recurrent, Dense(3, "softmax"))

    broken = Training(model(2.0), x, y, SPARSE, adam(0.003), accuracy(y), steps=400)
    return broken, broken.but(model=model(0.9))


@program("first-symbol-after-eighty-steps", "gradient@0, initialization@0", "ours")
def _(rng):
    n, length = 400, 80
    y = rng.integers(0, 2, n)
    x = 0.3 * rng.standard_normal((n, length, 1))
    x[:, :3] += (2 * y - 1)[:, None, None]

    def model(recurrent):
        return net((length, 1), recurrent, Dense(1, "sigmoid"))

    narrow = keras.initializers.RandomNormal(stddev=0.05)
    vanishing = layers.SimpleRNN(32, recurrent_initializer=narrow)
    broken = Training(model(vanishing), x, y, BCE, adam(0.002), accuracy(y), steps=250)
    return broken, broken.but(model=model(layers.SimpleRNN(32)))


@program("prices-lstm-dropout-of-ninety", "dropout@0, dropout@1", "ours")
def _(rng):
    x, y = series(rng, 400, 20)

    def model(drop):
        first = layers.LSTM(32, return_sequences=True, dropout=drop)
        return net((20, 1), first, layers.Dropout(drop), layers.LSTM(16), Dense(1))

    broken = Training(model(0.9), x, y, "mse", adam(0.005), explained(y), steps=300)
    return broken, broken.but(model=model(0.1))


@program("vectors-never-filled-in-and-frozen", "initialization@0, gradient@1", "ours")
def _(rng):
    x, y = words(rng, 500, 20, 600, 3)
    vectors = 0.4 * rng.standard_normal((600, 24))

    def model(matrix):
        start = keras.initializers.Constant(matrix)
        given = layers.Embedding(600, 24, embeddings_initializer=start, trainable=False)
        conv = layers.Conv1D(32, 1, activation="relu")
        inner = [conv, layers.GlobalMaxPooling1D(), Dense(32, "relu")]
        return net((20,), given, *inner, Dense(3, "softmax"))

    # each word was looked up with a capital letter: none was found, the matrix stayed zero
    broken = Training(model(0 * vectors), x, y, SPARSE, adam(0.005), accuracy(y), steps=350)
    return broken, broken.but(model=model(vectors))


@trains("reviews-mean-of-embeddings-alone")
def _(rng):
    x, y = words(rng, 500, 24, 600, 2)
    m = net((24,), layers.Embedding(600, 16), layers.GlobalAveragePooling1D(), Dense(1, "sigmoid"))
    return Training(m, x, y, BCE, adam(0.02), accuracy(y), steps=300)


@trains("long-series-gru-of-120-steps")
def _(rng):
    x, y = waves(rng, 256, 120, 3)
    m = net((120, 1), layers.GRU(24, return_sequences=True), layers.GRU(16), Dense(3, "softmax"))
    return Training(m, x, y, SPARSE, adam(0.01, clipnorm=1.0), accuracy(y), steps=160)


@trains("sum-of-marked-numbers-identity-rnn")
def _(rng):
    value, mark = rng.random((500, 20)), np.zeros((500, 20))
    where = np.argsort(rng.random((500, 20)), 1)[:, :2]
    np.put_along_axis(mark, where, 1.0, 1)
    y = (value * mark).sum(1)
    x = np.stack([value, mark], -1)
    start = {"kernel_initializer": keras.initializers.RandomNormal(stddev=0.03)}
    recurrent = layers.SimpleRNN(48, "relu", recurrent_initializer="identity", **start)
    return Training(
        net((20, 2), recurrent, Dense(1)), x, y, "mse", adam(0.003), explained(y), steps=500
    )


@trains("demand-dilated-causal-convolutions")
def _(rng):
    x, y = series(rng, 400, 32)
    inner = []
    for dilation in (1, 2, 4, 8):
        options = {"padding": "causal", "dilation_rate": dilation, "activation": "relu"}
        inner.append(layers.Conv1D(16, 3, **options))
    m = net((32, 1), *inner, layers.Cropping1D((31, 0)), layers.Flatten(), Dense(1))
    return Training(m, x, y, "mse", adam(0.003), explained(y), steps=400)


@trains("forecast-as-a-correction-of-the-last-value")
def _(rng):
    x, y = series(rng, 400, 24, 3.0, 1.0)
    given = Input((24, 1))
    last = layers.Flatten()(layers.Cropping1D((23, 0))(given))
    h = Dense(48, "relu")(
        layers.Flatten()(layers.Subtract()([given, layers.Reshape((1, 1))(last)]))
    )
    m = keras.Model(given, last + Dense(1, kernel_initializer="zeros")(h))
    return Training(m, x, y, "mae", adam(0.003), explained(y), steps=400)


@trains("padded-readings-masked-with-minus-ten")
def _(rng):
    full, y = waves(rng, 300, 24, 2)
    length = rng.integers(14, 25, 300)
    x = np.where((np.arange(24) < length[:, None])[..., None], full, -10.0)
    m = net((24, 1), layers.Masking(-10.0), layers.LSTM(24), Dense(1, "sigmoid"))
    return Training(m, x, y, BCE, adam(0.01), accuracy(y), steps=250)


@trains("next-symbol-tied-embeddings-causal-attention")
def _(rng):
    x, y = following(rng, 30, 300, 12, 0.1)
    tokens = Input((12,), dtype="int32")
    table = layers.ReversibleEmbedding(30, 24)
    h = table(tokens)
    a = layers.LayerNormalization()(h)
    h = h + layers.MultiHeadAttention(2, 12)(a, a, use_causal_mask=True)
    h = h + Dense(24)(Dense(48, "gelu")(layers.LayerNormalization()(h)))
    m = keras.Model(tokens, table(layers.LayerNormalization()(h), reverse=True))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def hits(made):
        return float((made.argmax(-1) == y).mean())

    return Training(m, x, y, loss, adam(0.01), hits, steps=300)


class Code(layers.Layer):
    """Quantizes to the nearest of learned vectors; the gradient passes straight through."""

    def build(self, shape):
        """Makes the vectors."""
        self.table = self.add_weight(shape=(16, shape[-1]), initializer="random_normal")

    def call(self, h):
        """Returns the nearest vectors."""
        gap = ops.sum((ops.expand_dims(h, -2) - self.table) ** 2, -1)
        near = ops.take(self.table, ops.argmin(gap, -1), 0)
        away = ops.mean((ops.stop_gradient(near) - h) ** 2)
        self.add_loss(0.25 * away + ops.mean((near - ops.stop_gradient(h)) ** 2))
        return h + ops.stop_gradient(near - h)


@trains("signals-vector-quantized-straight-through")
def _(rng):
    x, _ = waves(rng, 400, 32, 2)
    rows = x[..., 0].reshape(-1, 32)
    given = Input((32,))
    h = layers.Reshape((8, 4))(Dense(32)(Dense(64, "relu")(given)))
    h = Dense(64, "relu")(layers.Flatten()(Code()(h)))
    m = keras.Model(given, Dense(32)(h))
    return Training(m, rows, rows, "mse", adam(0.003), explained(rows), steps=600)
