"""Programs that train well: texts, tables, series and values of games.

As good users write them, some with what looks suspicious and is right.
"""

import keras
import numpy as np
from data import blobs, linear, one_hot, series, standardized, waves, words
from keras import layers, ops
from nets import BCE, CCE, SPARSE, adam, net, sgd
from program import Program, Training, accuracy, explained, healthy

HEALTHY: dict[str, Program] = {}
program = healthy(HEALTHY, "ours")

Dense, Input = layers.Dense, keras.Input


@program("quantile-forecast")
def _(rng):
    x, y = series(rng, 400, 24, 0.0, 1.0)

    def pinball(truth, made):
        error = truth - made
        return ops.mean(ops.maximum(0.9 * error, -0.1 * error))

    m = net((24, 1), layers.Conv1D(24, 5, activation="relu"), layers.Flatten(), Dense(1))
    return Training(m, x, y[:, None], pinball, adam(0.002), explained(y), steps=500)


@program("count-regression-exponential-end")
def _(rng):
    x = rng.standard_normal((500, 6))
    rate = np.exp(1.5 + 0.5 * x[:, 0] - 0.4 * x[:, 1])
    m = net((6,), Dense(32, "swish"), Dense(1, "exponential", bias_initializer="ones"))
    y = rng.poisson(rate)
    return Training(m, x, y, keras.losses.Poisson(), adam(0.003), explained(rate), steps=500)


@program("star-ratings-scaled-sigmoid")
def _(rng):
    user, film = rng.integers(0, 60, 800), rng.integers(0, 80, 800)
    tastes, kinds = rng.standard_normal((60, 3)), rng.standard_normal((80, 3))
    y = np.clip(np.round(3 + (tastes[user] * kinds[film]).sum(1)), 1, 5)
    users, films = Input((1,), name="user"), Input((1,), name="film")
    u = layers.Flatten()(layers.Embedding(60, 12, "he_normal")(users))
    f = layers.Flatten()(layers.Embedding(80, 12, "he_normal")(films))
    bias = layers.Flatten()(layers.Embedding(80, 1)(films))
    match = layers.Dot(1)([u, f]) + bias
    stars = layers.Rescaling(5.0, 0.25)(layers.Activation("sigmoid")(match))
    m = keras.Model([users, films], stars)
    x = [user[:, None], film[:, None]]
    return Training(m, x, y, "mse", adam(0.01), explained(y), 64, 600)


@program("fraud-two-percent-bias-from-prior")
def _(rng):
    x = rng.standard_normal((1500, 16))
    y = (x[:, 0] + x[:, 1] + 0.3 * rng.standard_normal(1500) > 2.9).astype(float)
    prior = keras.initializers.Constant(np.log(y.mean() / (1 - y.mean())))
    m = net(
        (16,), Dense(32, "relu"), layers.Dropout(0.5), Dense(1, "sigmoid", bias_initializer=prior)
    )
    rare = {"class_weight": {0: 0.52, 1: 0.5 / y.mean()}}
    return Training(m, x, y, BCE, adam(0.001), accuracy(y), 128, 400, weights=rare)


@program("ordinal-grades-cumulative")
def _(rng):
    x = rng.standard_normal((500, 8))
    grade = np.digitize(x[:, 0] + 0.5 * x[:, 1] ** 2, [-0.3, 0.5, 1.5])
    y = (grade[:, None] > np.arange(3)).astype(float)  # 000, 100, 110, 111
    m = net((8,), Dense(32, "relu"), Dense(32, "relu"), Dense(3, "sigmoid"))

    def score(made):
        return float(((made > 0.5).sum(1) == grade).mean())

    return Training(m, x, y, BCE, adam(0.003), score, steps=500)


@program("hinge-with-tanh-and-signs")
def _(rng):
    x, y = blobs(rng, 400, 10)
    m = net((10,), Dense(32, "relu"), Dense(1, "tanh"))

    def score(made):
        return float(((made[:, 0] > 0) == y).mean())

    return Training(m, x, 2 * y - 1.0, "hinge", adam(0.003), score, steps=400)


@program("mixture-density-head")
def _(rng):
    x = rng.uniform(-1, 1, (500, 1))
    y = np.where(rng.random((500, 1)) < 0.5, x, -x) + 0.05 * rng.standard_normal((500, 1))

    def likelihood(truth, made):
        weight, mean, log_std = ops.split(made, 3, axis=-1)
        log_std = ops.clip(log_std, -5.0, 3.0)
        each = -0.5 * ops.square((truth - mean) / ops.exp(log_std)) - log_std
        return -ops.mean(ops.logsumexp(each + ops.log_softmax(weight), axis=-1))

    m = net((1,), Dense(48, "tanh"), Dense(48, "tanh"), Dense(9))
    return Training(m, x, y, likelihood, adam(0.003), lambda made: 1.0, steps=500)


@program("dqn-masked-huber")
def _(rng):
    state = rng.uniform(-1, 1, (600, 4))
    action = rng.integers(0, 3, 600)
    value = 8 + 3 * state[:, 0] + np.array([0.0, 1.0, -1.0])[action] * state[:, 1]
    target = np.stack([action.astype(float), value], 1)

    def bellman(truth, made):
        taken = ops.one_hot(ops.cast(truth[:, 0], "int32"), 3)
        gap = ops.abs(truth[:, 1] - ops.sum(made * taken, -1))
        return ops.mean(ops.where(gap < 1.0, 0.5 * gap**2, gap - 0.5))

    m = net((4,), Dense(64, "relu"), Dense(64, "relu"), Dense(3))
    return Training(m, state, target, bellman, adam(0.001), lambda made: 1.0, 64, 500)


@program("ppo-policy-orthogonal-small-end")
def _(rng):
    x, y = blobs(rng, 500, 8, 4)
    root = keras.initializers.Orthogonal(2**0.5, seed=2)
    m = net(
        (8,),
        Dense(64, "tanh", kernel_initializer=root),
        Dense(64, "tanh", kernel_initializer=keras.initializers.Orthogonal(2**0.5, seed=3)),
        Dense(4, kernel_initializer=keras.initializers.Orthogonal(0.01, seed=4)),
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    clipped = adam(3e-4, epsilon=1e-5, global_clipnorm=0.5)
    return Training(m, x, y, loss, clipped, accuracy(y), 64, 800)


class FourierFeatures(layers.Layer):
    """Fixed random frequencies (Tancik et al. 2020)."""

    def __init__(self, frequencies):
        super().__init__(trainable=False)
        self.frequencies = frequencies

    def build(self, shape):
        """Draws them once."""
        draw = keras.initializers.RandomNormal(stddev=6.0, seed=1)
        size = (shape[-1], self.frequencies)
        self.kernel = self.add_weight(shape=size, initializer=draw, trainable=False)

    def call(self, x):
        """Returns their sines and cosines."""
        phase = ops.matmul(x, self.kernel)
        return ops.concatenate([ops.sin(phase), ops.cos(phase)], -1)


@program("coordinates-fourier-features")
def _(rng):
    x = rng.random((700, 2))
    y = np.sin(14 * x[:, 0]) * np.cos(11 * x[:, 1])
    m = net((2,), FourierFeatures(64), Dense(64, "relu"), Dense(64, "relu"), Dense(1))
    return Training(m, x, y, "mse", adam(0.002), explained(y), 64, 600)


@program("linear-regression-on-purpose")
def _(rng):
    x, y = linear(rng, 500, 12)
    m = net((12,), Dense(1, kernel_regularizer=keras.regularizers.L2(1e-4)))
    return Training(m, x, y / 100, "mse", sgd(0.05), explained(y / 100), steps=400)


@program("sales-two-heads-one-weighted")
def _(rng):
    x = rng.standard_normal((500, 10))
    size = standardized(x[:, 0] * x[:, 1] + x[:, 2])
    again = (x[:, 3] + x[:, 4] > 0).astype(float)
    given = Input((10,), name="customer")
    h = layers.BatchNormalization()(Dense(64, "relu")(given))
    h = layers.Dropout(0.1)(Dense(32, "relu")(h))
    out = {"basket": Dense(1, name="basket")(h), "again": Dense(1, name="again")(h)}
    m = keras.Model(given, out)
    losses = {"basket": "huber", "again": keras.losses.BinaryCrossentropy(from_logits=True)}
    return Training(
        m, x, {"basket": size, "again": again}, losses, adam(0.002), lambda made: 1.0,
        compiled={"loss_weights": {"basket": 1.0, "again": 0.2}},
    )  # fmt: skip


@program("temperatures-normalized-inside")
def _(rng):
    x, y = series(rng, 400, 24, 288.0, 6.0)
    scale = layers.Normalization(axis=None)
    scale.adapt(x)
    m = net(
        (24, 1),
        scale,
        layers.LSTM(32, recurrent_dropout=0.1),
        Dense(1),
        layers.Rescaling(float(y.std()), float(y.mean())),
    )
    return Training(m, x, y, "mse", adam(0.005), explained(y), steps=400)


@program("gpt-small-warm-cosine")
def _(rng):
    ids = np.cumsum(rng.integers(1, 4, (300, 17)), 1) % 40
    tokens = Input((16,), dtype="int32")
    small = keras.initializers.RandomNormal(stddev=0.02, seed=9)
    h = layers.Embedding(40, 48, embeddings_initializer=small)(tokens)
    for _ in range(2):
        n = layers.LayerNormalization(epsilon=1e-5)(h)
        h = h + layers.MultiHeadAttention(4, 12)(n, n, use_causal_mask=True)
        n = layers.LayerNormalization(epsilon=1e-5)(h)
        h = h + Dense(48)(Dense(192, "gelu")(n))
    m = keras.Model(tokens, Dense(40, use_bias=False)(layers.LayerNormalization()(h)))
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, 1000, warmup_target=2e-3, warmup_steps=100, alpha=0.1
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=0.1, beta_2=0.95, global_clipnorm=1.0)
    y = ids[:, 1:]
    return Training(m, ids[:, :-1], y, loss, optimizer, lambda made: 1.0, 32, 400)


@program("names-masked-bidirectional-tags")
def _(rng):
    length = rng.integers(5, 20, 300)
    inside = np.arange(20) < length[:, None]
    x = np.where(inside, rng.integers(1, 200, (300, 20)), 0)
    y = np.where(inside, (x % 5 == 0) + 2 * (x % 7 == 0) * (x % 5 != 0), 0)
    m = net(
        (20,),
        layers.Embedding(200, 24, mask_zero=True),
        layers.Bidirectional(layers.LSTM(24, return_sequences=True)),
        layers.TimeDistributed(Dense(3, "softmax")),
    )
    return Training(m, x, y, SPARSE, adam(0.005), lambda made: 1.0, steps=300)


@program("vectors-given-frozen-embedding")
def _(rng):
    x, y = words(rng, 400, 25, 1000)
    table = 0.4 * rng.standard_normal((1000, 50))
    table[0] = 0.0
    table[990:] = 0.0  # words without a vector
    m = net(
        (25,),
        layers.Embedding(1000, 50, weights=[table], trainable=False),
        layers.SpatialDropout1D(0.2),
        layers.Conv1D(64, 3, activation="relu"),
        layers.GlobalMaxPooling1D(),
        Dense(1),
    )
    loss = keras.losses.BinaryCrossentropy(from_logits=True)

    def score(made):
        return float(((made[:, 0] > 0) == y).mean())

    return Training(m, x, y, loss, adam(0.002), score, steps=400)


@program("sound-classes-label-smoothing")
def _(rng):
    x, y = waves(rng, 400, 64, 4)
    h = given = Input((64, 1))
    for filters in (16, 32):
        h = layers.Conv1D(filters, 7, padding="same", use_bias=False)(h)
        h = layers.MaxPooling1D()(layers.LeakyReLU()(layers.BatchNormalization()(h)))
    h = layers.Dropout(0.3)(layers.GlobalAveragePooling1D()(h))
    m = keras.Model(given, Dense(4, "softmax")(h))
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    return Training(m, x, one_hot(y), loss, sgd(0.05, 0.9), accuracy(y), steps=300)


@program("house-logs-of-prices")
def _(rng):
    x = rng.standard_normal((500, 9))
    price = np.exp(12 + 0.3 * x[:, 0] + 0.2 * np.abs(x[:, 1]))
    y = np.log1p(price)
    start = keras.initializers.Constant(float(y.mean()))
    m = net((9,), Dense(64, "relu"), Dense(32, "relu"), Dense(1, bias_initializer=start))
    return Training(m, x, y, "mae", adam(0.001), explained(y), steps=600)


@program("soft-labels-from-a-teacher")
def _(rng):
    x, y = blobs(rng, 500, 12, 5)
    teacher = 0.8 * one_hot(y) + 0.04
    m = net((12,), Dense(48, "relu"), Dense(5, "softmax"))
    loss = keras.losses.KLDivergence()
    return Training(m, x, teacher, loss, adam(0.003), accuracy(y), steps=400)


@program("two-units-softmax-one-hot-binary")
def _(rng):
    x, y = blobs(rng, 400, 14, 2)
    m = net((14,), Dense(32, "elu"), layers.Dropout(0.2), Dense(2, "softmax"))
    return Training(m, x, one_hot(y), CCE, "nadam", accuracy(y), steps=400)
