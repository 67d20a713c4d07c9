"""Programs that look odd and train well."""

import keras
import numpy as np
from data import blobs, digits, pictures, standardized, words
from keras import layers, ops
from nets import BCE, SPARSE, adam, mlp, net, sgd
from program import Program, Training, accuracy, explained, healthy

HEALTHY: dict[str, Program] = {}
program = healthy(HEALTHY, "ours")

Dense, Input, Conv = layers.Dense, keras.Input, layers.Conv2D


@program("word-shares-unit-rows-rate-of-twenty")
def _(rng):
    tokens, y = words(rng, 500, 40, 300, 3)
    counts = np.apply_along_axis(np.bincount, 1, tokens, minlength=300)
    weighted = counts * np.log(500 / (1 + (counts > 0).sum(0)))
    rows = weighted / np.linalg.norm(weighted, axis=1, keepdims=True)
    m = net((300,), Dense(3, "softmax"))
    return Training(m, rows, y, SPARSE, sgd(20.0), accuracy(y), steps=300)


@program("digits-trained-model-continued-at-1e-5")
def _(rng):
    x, y = digits(rng, 500)
    m = net((28, 28), layers.Flatten(), Dense(64, "relu"), Dense(10, "softmax"))
    m.compile(adam(0.003), SPARSE)
    m.fit(x / 255, y, batch_size=50, epochs=20, verbose=0)
    return Training(m, x / 255, y, SPARSE, adam(1e-5), accuracy(y), steps=100)


class Gate(layers.Layer):
    """Multiplies by one learned number that starts at zero."""

    def build(self, _):
        """Makes the number."""
        self.alpha = self.add_weight(shape=(), initializer="zeros")

    def call(self, h):
        """Returns the multiple."""
        return self.alpha * h


@program("rezero-tower-of-sixteen-blocks")
def _(rng):
    x = rng.standard_normal((500, 8))
    y = standardized(np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2])
    given = Input((8,))
    h = Dense(32)(given)
    for _ in range(16):
        h = h + Gate()(Dense(32, "relu", kernel_initializer="he_normal")(h))
    m = keras.Model(given, Dense(1)(h))
    return Training(m, x, y, "mse", adam(0.003), explained(y), steps=400)


@program("ranking-pairs-better-one-always-first")
def _(rng):
    x = rng.standard_normal((800, 10))
    worth = np.tanh(x[:, 0]) + x[:, 1] * x[:, 2]
    first = np.where(worth[:400] > worth[400:], 0, 400) + np.arange(400)
    second = (first + 400) % 800
    better, worse = Input((10,)), Input((10,))
    scorer = mlp(10, (48, 24), 1)
    chance = layers.Activation("sigmoid")(scorer(better) - scorer(worse))
    m = keras.Model([better, worse], chance)

    def ordered(made):
        return float((made > 0.5).mean())

    return Training(m, [x[first], x[second]], np.ones((400, 1)), BCE, adam(0.003), ordered)


@program("faces-triplets-with-targets-of-zero")
def _(rng):
    x, y = blobs(rng, 600, 24, 8)
    anchor = np.arange(400)
    same = [rng.choice(np.flatnonzero(y == y[i])) for i in anchor]
    other = [rng.choice(np.flatnonzero(y != y[i])) for i in anchor]
    encoder = net((24,), Dense(48, "relu"), Dense(16), layers.UnitNormalization())
    three = [Input((24,)) for _ in range(3)]
    codes = [encoder(one) for one in three]
    gaps = [ops.sum((codes[0] - code) ** 2, -1, keepdims=True) for code in codes[1:]]
    m = keras.Model(three, gaps[0] - gaps[1])

    def hinge(_, made):
        return ops.mean(ops.maximum(made + 0.3, 0.0), -1)

    def nearer(made):
        return float((made < 0).mean())

    triples = [x[anchor], x[same], x[other]]
    return Training(m, triples, np.zeros((400, 1)), hinge, adam(0.003), nearer, steps=300)


@program("random-features-frozen-and-ridge")
def _(rng):
    x = rng.standard_normal((500, 4))
    y = standardized(np.sin(2 * x[:, 0]) + np.cos(2 * x[:, 1]) * x[:, 2])
    start = {"kernel_initializer": keras.initializers.RandomNormal(stddev=0.7)}
    hidden = Dense(400, "tanh", trainable=False, **start)
    m = net((4,), hidden, Dense(1, kernel_regularizer=keras.regularizers.L2(1e-5)))
    return Training(m, x, y, "mse", adam(0.01), explained(y), steps=600)


class LowRank(layers.Layer):
    """A frozen dense layer with a correction of low rank that starts at zero."""

    def __init__(self, dense, rank):
        super().__init__()
        self.dense, self.rank = dense, rank
        dense.trainable = False

    def build(self, shape):
        """Makes the two factors."""
        self.down = self.add_weight(shape=(shape[-1], self.rank), initializer="he_uniform")
        self.up = self.add_weight(shape=(self.rank, self.dense.units), initializer="zeros")

    def call(self, x):
        """Returns the layer's values, corrected."""
        return self.dense(x) + x @ self.down @ self.up


@program("digits-turned-low-rank-corrections-of-a-frozen-net")
def _(rng):
    x, y = digits(rng, 500)
    flat = x.reshape(500, -1) / 255
    known = net((784,), Dense(64), layers.ReLU(), Dense(64), layers.ReLU(), Dense(10, "softmax"))
    known.compile(adam(0.003), SPARSE)
    known.fit(flat, y, batch_size=50, epochs=15, verbose=0)
    given = Input((784,))
    h = given
    for dense in known.layers[:-1:2]:
        h = ops.relu(LowRank(dense, 8)(h))
    m = keras.Model(given, known.layers[-1](h))
    turned = np.rot90(x, axes=(1, 2)).reshape(500, -1) / 255
    return Training(m, turned, y, SPARSE, adam(0.003), accuracy(y), steps=400)


@program("survival-cox-partial-likelihood")
def _(rng):
    x = rng.standard_normal((600, 8))
    risk = x[:, 0] + np.abs(x[:, 1])
    time = rng.exponential(np.exp(-1.5 * risk))
    censored = rng.exponential(2.0, 600)
    y = np.stack([np.minimum(time, censored), time < censored], 1)

    def likelihood(truth, made):
        later = truth[:, None, 0] >= truth[None, :, 0]  # who was at risk at the time of whom
        at_risk = ops.where(ops.transpose(later), made[None, :, 0], -1e9)
        return -truth[:, 1] * (made[:, 0] - ops.logsumexp(at_risk, 1))

    def concordance(made):
        return float(np.corrcoef(made[:, 0], risk)[0, 1])

    m = mlp(8, (32,), 1, hidden="tanh")
    return Training(m, x, y, likelihood, adam(0.003), concordance, 64, 400)


@program("sets-of-points-summed")
def _(rng):
    size = rng.integers(2, 13, 500)
    x = rng.standard_normal((500, 12, 2)) * (np.arange(12) < size[:, None])[..., None]
    y = np.abs(x[..., 0]).sum(1) - 4.0
    points = Input((12, 2))
    h = Dense(32, "relu")(Dense(32, "relu")(points))
    m = keras.Model(points, Dense(1)(Dense(32, "relu")(ops.sum(h, 1))))
    return Training(m, x, y, "mse", adam(0.002), explained(y), steps=500)


@program("experts-mixed-by-a-softmax-inside")
def _(rng):
    x = rng.standard_normal((600, 6))
    y = np.where(x[:, 0] > 0, x[:, 1] + x[:, 2], 2 * x[:, 3] - x[:, 1])
    given = Input((6,))
    gate = Dense(4, "softmax")(Dense(16, "relu")(given))
    experts = Dense(4)(Dense(32, "relu")(given))
    m = keras.Model(given, layers.Dot(-1)([gate, experts]))
    return Training(m, x, y[:, None], "mse", adam(0.005), explained(y), steps=600)


@program("averaged-weights-and-gathered-gradients")
def _(rng):
    x, y = pictures(rng, 300, 16, 3, 5)
    m = net((16, 16, 3), Conv(16, 3, activation="relu"), layers.MaxPooling2D(), layers.Flatten())
    m = keras.Sequential([*m.layers, Dense(5, "softmax")])
    options = {"use_ema": True, "ema_momentum": 0.9, "gradient_accumulation_steps": 4}
    return Training(m, x, y, SPARSE, adam(0.01, **options), accuracy(y), 16, 400)


@program("discriminator-hinge-signs-spectral-norm")
def _(rng):
    real, _ = pictures(rng, 200, 16, 1, 3, noise=0.02)
    fake = np.clip(0.5 + 0.25 * rng.standard_normal(real.shape), 0, 1)
    x = 2 * np.concatenate([real, fake]) - 1
    y = np.repeat([1.0, -1.0], 200)
    order = rng.permutation(400)
    inner = [layers.SpectralNormalization(Conv(16, 4, strides=2)), layers.LeakyReLU(0.2)]
    inner += [layers.SpectralNormalization(Conv(32, 4, strides=2)), layers.LeakyReLU(0.2)]
    m = net((16, 16, 1), *inner, layers.Flatten(), Dense(1))

    def hinge(truth, made):
        return ops.mean(ops.relu(1 - truth * made), -1)

    def right(made):
        return float((np.sign(made[:, 0]) == y[order]).mean())

    once = keras.optimizers.Adam(0.0004, beta_1=0.0, beta_2=0.9)
    return Training(m, x[order], y[order][:, None], hinge, once, right, steps=200)
