"""Programs that train well, on tables, counts and matrices of ratings: unusual on purpose."""

import keras
import numpy as np
from data import blobs, linear, standardized
from keras import layers, ops
from nets import BCE, CCE, SPARSE, adam, mlp, net, sgd
from program import Program, Training, accuracy, explained, healthy

HEALTHY: dict[str, Program] = {}
program = healthy(HEALTHY, "ours")

Dense, Input = layers.Dense, keras.Input


@program("ridge-regression-more-columns-than-rows")
def _(rng):
    x, y = linear(rng, 80, 200, informative=6)
    ridge = keras.regularizers.L2(0.02)
    m = net((200,), Dense(1, kernel_regularizer=ridge))
    goal = standardized(y)
    return Training(m, x, goal, "mse", adam(0.01), explained(goal), 16, 400)


@program("logistic-regression-zero-start")
def _(rng):
    x = rng.standard_normal((500, 12))
    y = (x @ rng.standard_normal(12) + 0.5 > 0).astype(int)
    m = net((12,), Dense(1, "sigmoid", kernel_initializer="zeros"))
    return Training(m, x, y[:, None], BCE, sgd(0.1), accuracy(y), steps=400)


@program("selu-nine-layers-lecun-alpha-dropout")
def _(rng):
    x, y = blobs(rng, 600, 16, 4)
    start = {"kernel_initializer": "lecun_normal"}
    inner = [Dense(32, "selu", **start) for _ in range(9)]
    m = net((16,), *inner, layers.AlphaDropout(0.1), Dense(4, "softmax"))
    return Training(m, standardized(x), y, SPARSE, adam(0.002), accuracy(y), steps=350)


@program("residual-perceptron-of-twenty-layers")
def _(rng):
    x = rng.standard_normal((500, 8))
    y = standardized(np.sin(x[:, 0]) + x[:, 1] * x[:, 2])
    given = Input((8,))
    h = Dense(32)(given)
    for _ in range(10):
        f = Dense(32, "relu", kernel_initializer="he_normal")(layers.LayerNormalization()(h))
        h = h + Dense(32, kernel_initializer="zeros")(f)
    m = keras.Model(given, Dense(1)(layers.LayerNormalization()(h)))
    return Training(m, x, y, "mse", adam(0.002), explained(y), steps=500)


@program("claims-poisson-with-exposure")
def _(rng):
    x, exposure = rng.standard_normal((800, 6)), rng.uniform(0.2, 2, 800)
    rate = exposure * np.exp(0.3 + 0.6 * x[:, 0] - 0.5 * np.abs(x[:, 1]))
    y = rng.poisson(rate)
    facts, log_exposure = Input((6,)), Input((1,))
    h = Dense(1)(Dense(24, "tanh")(facts))
    m = keras.Model([facts, log_exposure], layers.Activation("exponential")(h + log_exposure))
    both = [x, np.log(exposure)[:, None]]
    return Training(m, both, y[:, None], "poisson", adam(0.005), explained(rate), 64, 400)


@program("deliveries-three-quantiles-of-one-net")
def _(rng):
    x = rng.standard_normal((600, 5))
    middle = 2 * x[:, 0] + np.abs(x[:, 1])
    y = middle + 0.4 * rng.standard_normal(600) * (1 + np.abs(x[:, 2]))
    shares = np.array([0.5, 0.1, 0.9], "float32")

    def pinball(truth, made):
        error = truth - made
        return ops.mean(ops.maximum(shares * error, (shares - 1) * error), -1)

    m = mlp(5, (48, 48), 3)

    def score(made):
        return explained(middle)(made[:, 0])

    return Training(m, x, y[:, None], pinball, adam(0.003), score, steps=500)


@program("rare-disease-heavy-class-weights")
def _(rng):
    x, y = blobs(rng, 1600, 10, 2)
    keep = (y == 0) | (rng.random(1600) < 0.05)
    x, y = x[keep], y[keep]
    m = mlp(10, (32, 16), 1, "sigmoid")
    weights = {"class_weight": {0: 1.0, 1: float((y == 0).sum() / (y == 1).sum())}}

    def score(made):
        hit = (made[:, 0] > 0.5) == y
        return float((hit[y == 0].mean() + hit[y == 1].mean()) / 2)

    return Training(m, x, y, BCE, adam(0.003), score, steps=500, weights=weights)


@program("genes-wide-with-dropout-of-half-everywhere")
def _(rng):
    x, y = blobs(rng, 500, 60, 3, informative=12)
    inner = [layers.Dropout(0.2)]
    for _ in range(2):
        limit = keras.constraints.MaxNorm(3)
        inner += [Dense(256, "relu", kernel_constraint=limit), layers.Dropout(0.5)]
    m = net((60,), *inner, Dense(3, "softmax"))
    return Training(m, x, y, SPARSE, sgd(0.05, 0.9), accuracy(y), steps=300)


@program("steering-tanh-for-angles-in-unit-range")
def _(rng):
    x = rng.standard_normal((600, 10))
    y = np.tanh(1.5 * x[:, 0] - x[:, 1] * (x[:, 2] > 0))
    m = mlp(10, (64, 32), 1, "tanh", "elu")
    return Training(m, x, y, "mae", adam(0.002), explained(y), steps=500)


@program("ages-in-years-and-a-small-adam")
def _(rng):
    age, terms = rng.uniform(20, 65, 500), rng.integers(1, 9, 500)
    x = np.stack([age / 10, terms, rng.integers(0, 2, 500)], 1)  # not centered: harmless
    y = (0.3 * x[:, 0] + 0.4 * terms + x[:, 2] > 3.8).astype(int)
    m = mlp(3, (32, 16), 1, "sigmoid")
    return Training(m, x, y, BCE, adam(0.003), accuracy(y), steps=600)


@program("tags-focal-loss-many-sigmoids")
def _(rng):
    x = rng.standard_normal((600, 20))
    y = (x @ rng.standard_normal((20, 12)) > 6).astype("float32")
    m = mlp(20, (96, 48), 12, "sigmoid")
    focal = keras.losses.BinaryFocalCrossentropy(gamma=2.0)
    return Training(m, x, y, focal, adam(0.005), accuracy(y), steps=400)


@program("outliers-in-targets-huber")
def _(rng):
    x = rng.standard_normal((500, 6))
    clean = x[:, 0] + np.tanh(2 * x[:, 1]) - 0.5 * x[:, 2] * x[:, 3]
    y = clean + (rng.random(500) < 0.05) * rng.normal(0, 25, 500)
    m = mlp(6, (48, 24), 1, hidden="swish")
    return Training(m, x, y, keras.losses.Huber(0.5), adam(0.003), explained(clean), steps=600)


def smoothed(y, classes):
    """Returns smoothed rows: the mass of a tenth is spread over all classes."""
    return 0.9 * np.eye(classes)[y] + 0.1 / classes


@program("parts-half-precision-inside")
def _(rng):
    x, y = blobs(rng, 600, 24, 5)
    half = {"dtype": "mixed_bfloat16"}
    inner = [
        Dense(64, "relu", **half),
        layers.BatchNormalization(**half),
        Dense(64, "relu", **half),
    ]
    m = net((24,), *inner, Dense(5, **half), layers.Activation("softmax", dtype="float32"))
    return Training(m, x, smoothed(y, 5), CCE, adam(0.003), accuracy(y), steps=300)


@program("survival-hazards-of-ten-years")
def _(rng):
    x = rng.standard_normal((700, 7))
    risk = 1 / (1 + np.exp(2.2 - 1.2 * x[:, 0] + 0.8 * x[:, 1]))
    year = np.minimum(rng.geometric(risk), 11) - 1
    seen = (np.arange(10) <= year[:, None]).astype(float)  # the years at risk
    ended = (np.arange(10) == year[:, None]).astype(float)

    def likelihood(truth, made):
        alive, died = truth[..., :10], truth[..., 10:]
        made = ops.clip(made, 1e-6, 1 - 1e-6)
        terms = died * ops.log(made) + (alive - died) * ops.log(1 - made)
        return -ops.sum(terms, -1)

    def score(made):
        return explained(risk)(made.mean(1))

    m = mlp(7, (32,), 10, "sigmoid", "tanh")
    y = np.concatenate([seen, ended], 1)
    return Training(m, x, y, likelihood, adam(0.01), score, 64, 500)


@program("principal-components-linear-autoencoder")
def _(rng):
    x = rng.standard_normal((500, 4)) @ rng.standard_normal((4, 30))
    x = standardized(x + 0.1 * rng.standard_normal(x.shape))
    m = net((30,), Dense(4, use_bias=False), Dense(30, use_bias=False))
    return Training(m, x, x, "mse", adam(0.01), explained(x), steps=400)


@program("waves-coordinates-sine-activations")
def _(rng):
    place = rng.uniform(-1, 1, (1000, 2))
    y = np.sin(9 * place[:, 0]) * np.cos(7 * place[:, 1])
    inner = []
    for number, width in enumerate((64, 64)):
        fan_in = 2 if number == 0 else 64
        bound = 1 / fan_in if number == 0 else np.sqrt(6 / fan_in) / 12
        start = keras.initializers.RandomUniform(-bound, bound)
        inner += [Dense(width, kernel_initializer=start), layers.Lambda(lambda h: ops.sin(12 * h))]
    m = net((2,), *inner, Dense(1))
    return Training(m, place, y, "mse", adam(0.001), explained(y), 64, 800)
