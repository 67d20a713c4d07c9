"""Tables: columns, grades, lives, quantiles and several tasks."""

import keras
import numpy as np
from data import blobs, standardized
from keras import layers, ops
from nets import BCE, CCE, SPARSE, adam, mlp, net
from program import Program, Training, accuracy, explained, register

from sets.seventh.common import hits, measured, rows

BROKEN: dict[str, Program] = {}
program = register(BROKEN, "ours")

Dense, Input = layers.Dense, keras.Input


@program("homes-one-mean-for-all-columns", "input@input, input@0, layers@0", "Keras: axis=None")
def _(rng):
    z = rng.standard_normal((500, 8))
    y = standardized(z[:, 0] * z[:, 1] + np.abs(z[:, 2]) - z[:, 3])
    x = z * [1, 0.2, 3, 0.5, 40, 900, 30000, 2e5] + [3, 1, 8, 2, 90, 2500, 80000, 5e5]

    def model(axis):
        scaled = layers.Normalization(axis=axis)
        scaled.adapt(x)
        return net((8,), scaled, Dense(48, "relu"), Dense(24, "relu"), Dense(1))

    broken = Training(model(None), x, y[:, None], "mse", adam(0.003), explained(y), steps=500)
    return broken, broken.but(model=model(-1))


@program("flats-raw-columns-into-layer-normalization", "input@input, input@0, layers@0", "forum")
def _(rng):
    x, y = blobs(rng, 500, 12, 4)
    x = rows(rng, x, -2, 5)

    def model(start):
        return net((12,), start, Dense(48, "relu"), Dense(24, "relu"), Dense(4, "softmax"))

    adapted = layers.Normalization()
    adapted.adapt(x)
    first = layers.LayerNormalization()
    broken = Training(model(first), x, y, SPARSE, adam(0.003), accuracy(y), steps=400)
    return broken, broken.but(model=model(adapted))


@program("meters-between-least-and-a-spike", "input@input", "forum: MinMaxScaler and outliers")
def _(rng):
    x, y = blobs(rng, 500, 10, 3)
    spiked = x.copy()
    spiked[np.arange(10) * 11, np.arange(10)] = 30000.0
    scaled = (spiked - spiked.min(0)) / (spiked.max(0) - spiked.min(0))

    def model():
        return mlp(10, (32, 16), 3, "softmax")

    broken = Training(model(), scaled, y, SPARSE, adam(0.003), accuracy(y), steps=400)
    return broken, broken.but(model=model(), x=standardized(x))


@program("claims-costs-of-a-long-tail", "target scale@targets, loss@loss", "DS.SE: take the log")
def _(rng):
    x = rng.standard_normal((600, 8))
    log = 2.5 * x[:, 0] + 1.5 * np.abs(x[:, 1]) - x[:, 2] + 0.3 * rng.standard_normal(600)
    y = np.exp(log)

    def model():
        return mlp(8, (64, 32), 1)

    def of_log(truth, made):
        return explained(truth)(np.log(np.maximum(made[:, 0], 1e-3)))

    broken = Training(model(), x, y[:, None], "mse", adam(0.003), measured(log, of_log), steps=400)
    return broken, broken.but(model=model(), y=log[:, None], score=explained(log))


@program("riders-ages-binned-after-scaling", "input@input, input@1, input@2", "Keras: a layer")
def _(rng):
    age = rng.uniform(16, 80, (600, 1))
    bins = [20, 26, 34, 45, 60]
    other = rng.standard_normal((600, 5))
    risk = np.array([1.5, -1, 0.8, -1.2, 1, -0.7])[np.digitize(age[:, 0], bins)]
    y = (risk + 0.3 * other[:, 0] > 0).astype("float32")

    def model():
        two = [Input((1,)), Input((5,))]
        binned = layers.Flatten()(layers.Embedding(6, 6)(layers.Discretization(bins)(two[0])))
        h = Dense(24, "relu")(layers.Concatenate()([binned, two[1]]))
        return keras.Model(two, Dense(1, "sigmoid")(h))

    scaled = [standardized(age), other]
    broken = Training(model(), scaled, y[:, None], BCE, adam(0.005), accuracy(y[:, None]))
    broken = broken.but(steps=400)
    return broken, broken.but(model=model(), x=[age, other])


@program("shops-codes-scaled-then-cast", "input@input, input@1", "forum")
def _(rng):
    shop = rng.integers(0, 50, (600, 1))
    other = rng.standard_normal((600, 4))
    y = standardized(rng.standard_normal(50)[shop[:, 0]] + 0.4 * other[:, 0])

    def model():
        two = [Input((1,)), Input((4,))]
        code = layers.Embedding(50, 8)(ops.cast(two[0], "int32"))
        h = layers.Concatenate()([layers.Flatten()(code), two[1]])
        return keras.Model(two, Dense(1)(Dense(32, "relu")(h)))

    given = [shop / 49.0, other]
    broken = Training(model(), given, y[:, None], "mse", adam(0.005), explained(y), steps=500)
    return broken, broken.but(model=model(), x=[shop.astype("float32"), other])


@program("hotels-first-answer-without-a-loss", "loss@loss, gradient@3", "Keras 3: a key left out")
def _(rng):
    x, kind = blobs(rng, 500, 10, 4)
    x = standardized(x)
    price = standardized(x[:, 4] * x[:, 5] + x[:, 6])

    def model():
        given = Input((10,))
        h = Dense(32, "relu")(Dense(48, "relu")(given))
        kinds, prices = Dense(4, "softmax", name="kind")(h), Dense(1, name="price")(h)
        return keras.Model(given, {"kind": kinds, "price": prices})

    y = {"kind": kind, "price": price[:, None]}
    broken = Training(model(), x, y, {"price": "mse"}, adam(0.003), measured(kind, hits))
    broken = broken.but(steps=400)
    return broken, broken.but(model=model(), loss={"kind": SPARSE, "price": "mse"})


def _grade(truth, made):
    return ((made > 0.5).cumprod(-1).sum(-1) == truth).mean()


def _grades(rng, n, features, levels):
    """Returns a table and grades in order, as many of each."""
    x = rng.standard_normal((n, features))
    worth = x[:, 0] + x[:, 1] * x[:, 2] + 0.1 * rng.standard_normal(n)
    return x, np.digitize(worth, np.quantile(worth, np.arange(1, levels) / levels))


@program(
    "wines-cumulative-grades-under-a-softmax", "output@output, labels@targets, loss@loss", "SO"
)
def _(rng):
    x, grade = _grades(rng, 600, 8, 5)
    y = (grade[:, None] > np.arange(4)).astype("float32")

    def model(end):
        return mlp(8, (48, 24), 4, end)

    broken = Training(model("softmax"), x, y, CCE, adam(0.003), measured(grade, _grade), steps=500)
    return broken, broken.but(model=model("sigmoid"), loss=BCE)


@program("rain-quantile-in-percent", "loss@loss", "keras-team/keras#10657, altered")
def _(rng):
    x = rng.standard_normal((600, 6))
    y = x[:, 0] + np.exp(0.5 * x[:, 1]) * rng.standard_normal(600)

    def pinball(share):
        def loss(truth, made):
            gap = truth - made
            return ops.mean(ops.maximum(share * gap, (share - 1) * gap), axis=-1)

        return loss

    def skill(truth, made):
        def cost(answer):
            return np.maximum(0.9 * (truth - answer), -0.1 * (truth - answer)).mean()

        return max(-1.0, 1 - cost(made[:, 0]) / cost(np.quantile(truth, 0.9)))

    def model():
        return mlp(6, (32, 32), 1)

    score = measured(y, skill)
    broken = Training(model(), x, y[:, None], pinball(90), adam(0.003), score, steps=500)
    return broken, broken.but(model=model(), loss=pinball(0.9))


@program(
    "patients-risk-sets-of-unsorted-batches",
    "loss@loss, labels@targets",
    "mexchy1000/DeepSurv_Keras, altered",
)
def _(rng):
    x = rng.standard_normal((600, 8))
    risk = x[:, 0] + 0.8 * x[:, 1] * x[:, 2]
    time = rng.exponential(np.exp(-1.5 * risk))
    event = (rng.random(600) < 0.9).astype(float)

    def sorted_already(y, made):
        total = ops.log(ops.cumsum(ops.exp(made[:, 0])))
        return -ops.sum(y[:, 1] * (made[:, 0] - total)) / (ops.sum(y[:, 1]) + 1)

    def by_time(y, made):
        at_risk = ops.cast(y[None, :, 0] >= y[:, None, 0], made.dtype)
        total = ops.log(ops.sum(at_risk * ops.exp(made[None, :, 0]), 1))
        return -ops.sum(y[:, 1] * (made[:, 0] - total)) / (ops.sum(y[:, 1]) + 1)

    def concordance(time, made):
        return (made[:, 0][:, None] > made[:, 0])[time[:, None] < time].mean()

    def model():
        return mlp(8, (32, 16), 1)

    y = np.stack([time, event], 1)
    score = measured(time, concordance)
    broken = Training(model(), x, y, sorted_already, adam(0.003), score, 50, 400)
    return broken, broken.but(model=model(), loss=by_time)


@program(
    "bearings-weibull-lives-in-hours",
    "target scale@targets, initialization@output, initialization@2",
    "ragulpr/wtte-rnn#33",
)
def _(rng):
    x = rng.standard_normal((600, 6))
    log = 0.6 * x[:, 0] + 0.5 * np.abs(x[:, 1])
    hours = 2000 * np.exp(log) * rng.weibull(3, 600)

    def weibull(y, made):
        scale, shape = ops.exp(made[:, :1]), ops.softplus(made[:, 1:])
        spent = y / scale
        return ops.mean(ops.power(spent, shape) - ops.log(shape) - shape * ops.log(spent))

    def correlated(truth, made):
        return np.corrcoef(truth, made[:, 0])[0, 1] if made[:, 0].std() else 0.0

    def model():
        return mlp(6, (32, 16), 2)

    score = measured(log, correlated)
    broken = Training(model(), x, hours[:, None], weibull, adam(0.002), score, steps=350)
    return broken, broken.but(model=model(), y=hours[:, None] / hours.mean())
