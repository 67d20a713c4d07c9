"""Programs of real threads: tables, toys and other perceptrons.

Nets, losses and optimizers as they were posted, on data of the reported shape and scale; layers are
narrower where the net was large. The repair is the answer's, or what makes the program learn.
Written before `diagnose` was run on any of them; both sides were trained, and kept are those whose
repair ends clearly better.
"""

import keras
import numpy as np
from data import blobs, digits, one_hot, series, standardized
from keras import layers, ops
from nets import BCE, CCE, NARROW, NORMAL_1, adam, mlp, nesterov, net, normal, sgd
from program import Program, Training, accuracy, explained, register

BROKEN: dict[str, Program] = {}
program = register(BROKEN)

Dense, Input, Dropout = layers.Dense, keras.Input, layers.Dropout
BITS = np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]])
XOR = np.array([[0], [1], [1], [0.0]])


def balanced(labels):
    """Returns the score of yes or no: the mean of the hits among each."""
    labels = np.asarray(labels)

    def score(made):
        made = made.reshape(labels.shape) > 0.5
        return float((made[labels == 1].mean() + (~made)[labels == 0].mean()) / 2)

    return score


def raw(rng, x, least=-1, most=3):
    """Returns columns at scales of their own, 10**least to 10**most, none of them negative."""
    size = 10 ** rng.uniform(least, most, x.shape[1])
    return size * (x - x.min(0))


@program(
    "line-all-relu", "output@output, capacity@0, rate too low@optimizer", "deeplearning.ai 324182"
)
def _(rng):
    x = np.arange(-1, 6.0)[:, None]
    y = 2 * x - 1
    broken = Training(mlp(1, (4, 2), 1, "relu"), x, y, "mse", adam(), explained(y), 7, 500)
    return broken, broken.but(model=mlp(1, (16, 8), 1), optimizer=adam(0.01))


@program(
    "xor-relu-end-of-twenty-thousand",
    "output@output, hidden activation@0, capacity@0, capacity@1, loss@loss",
    "stats.SE 433365",
)
def _(rng):
    x = rng.integers(0, 2, (2000, 2))
    y = x[:, 0] ^ x[:, 1]
    inner = [Dense(2), Dense(2, "relu")]
    broken = Training(net((2,), *inner, Dense(1, "relu")), x, y, "mse", "sgd", accuracy(y))
    repaired = mlp(2, (8, 8), 1, "sigmoid")
    return broken, broken.but(model=repaired, loss=BCE, optimizer=adam(0.01))


@program(
    "xor-two-tanh-adam", "rate too low@optimizer, epochs@optimizer, capacity@0", "SO, by a copy"
)
def _(rng):
    broken = Training(
        mlp(2, (2,), 1, "sigmoid", "tanh"), BITS, XOR, BCE, adam(), accuracy(XOR), 1, 1200
    )
    return broken, broken.but(model=mlp(2, (8,), 1, "sigmoid"), optimizer=adam(0.02))


@program("eight-points-softmax-of-one", "output@output", "keras-team/keras#126")
def _(rng):
    x = np.array([[0, 0.1], [0.6, 0.8], [0.1, 0.2], [0.9, 0.8], [0.9, 0.7], [0.3, 0], [0.2, 0.2]])
    x = np.concatenate([x, [[0.5, 0.9]]])
    y = (x.sum(1) > 0.5).astype("int32")

    def model(end):
        inner = [Dense(64, "tanh", **NARROW), Dropout(0.5), Dense(64, "tanh", **NARROW)]
        return net((2,), *inner, Dropout(0.5), Dense(1, end, **NARROW))

    broken = Training(model("softmax"), x, y, "mse", nesterov(0.1, 0.9), balanced(y), 8, 200)
    return broken, broken.but(model=model("sigmoid"))


@program(
    "two-alarms-mostly-neither", "loss@loss, labels@targets, output@output", "keras-team/keras#6421"
)
def _(rng):
    x = rng.standard_normal((600, 31))
    y = (np.stack([x[:, 0] + x[:, 1], x[:, 2] - x[:, 3]], 1) > 1.6).astype("float32")

    def model():
        return mlp(31, (40, 31), 2, "sigmoid", **NARROW)

    broken = Training(model(), x, y, CCE, adam(0.002), balanced(y), 10)
    return broken, broken.but(model=model(), loss=BCE)


@program(
    "five-sigmoids-sgd-of-raw-columns",
    "output@output, loss@loss, input@input, dropout@1, dropout@3",
    "keras-team/keras#9939",
)
def _(rng):
    x, y = blobs(rng, 600, 14, 5)

    def model(end, rate):
        inner = [Dense(14, "relu"), Dropout(rate), Dense(14, "relu"), Dropout(rate)]
        return net((14,), *inner, Dense(14, "relu"), Dense(5, end))

    slow = nesterov(0.01, 0.001)
    broken = Training(model("sigmoid", 0.5), raw(rng, x), one_hot(y), CCE, slow, accuracy(y))
    repaired = model("softmax", 0.1)
    return broken, broken.but(model=repaired, x=standardized(x), optimizer=adam(0.005))


@program("dropout-on-the-softmax-and-mse", "dropout@5, loss@loss", "keras-team/keras#5992")
def _(rng):
    x, y = blobs(rng, 500, 12, 4)

    def model(last, rate):
        inner = [Dense(14, "relu"), Dropout(rate), Dense(8, "relu"), Dropout(rate)]
        return net((12,), *inner, Dense(4, "softmax"), *last)

    x = standardized(x)
    broken = Training(model([Dropout(0.5)], 0.5), x, one_hot(y), "mse", adam(), accuracy(y))
    return broken, broken.but(model=model([], 0.1), loss=CCE, optimizer=adam(0.005))


@program("prelu-on-columns-as-they-are", "input@input", "keras-team/keras#4171")
def _(rng):
    x, y = blobs(rng, 600, 30, 2)

    def model():
        inner = [Dense(128), layers.PReLU(), Dense(64), layers.PReLU()]
        return net((30,), *inner, Dense(1, "sigmoid"))

    broken = Training(model(), raw(rng, x, 0, 5), y, BCE, "adam", accuracy(y), steps=400)
    return broken, broken.but(model=model(), x=standardized(x))


@program(
    "one-column-from-another-by-sgd",
    "input@input, rate too high@optimizer, target scale@targets",
    "stats.SE 284189",
)
def _(rng):
    x = rng.uniform(50, 400, (200, 1))
    y = 3 * x + 40 + 30 * rng.standard_normal((200, 1))
    broken = Training(net((1,), Dense(1)), x, y, "mse", "sgd", explained(y), 1, 600)
    repaired = broken.but(model=net((1,), Dense(1)), x=standardized(x), y=standardized(y))
    return broken, repaired.but(score=explained(y, y.std(), y.mean()))


@program(
    "marks-of-fifty-times-a-sigmoid",
    "rate too high@optimizer, input@input, target scale@targets, initialization@0",
    "SO: regression giving the same prediction",
)
def _(rng):
    x = rng.uniform(0, 10, (300, 4))
    y = np.clip(10 + 4 * x[:, 1] - 2 * np.abs(x[:, 0] - 7) - x[:, 2] + 0.5 * x[:, 3], 0, 50)

    def model(units, *last):
        return net(
            (4,), Dense(units, "sigmoid", **NORMAL_1), Dense(1, "sigmoid", **NORMAL_1), *last
        )

    broken = Training(model(2, layers.Rescaling(50)), x, y[:, None], "mse", sgd(0.05), explained(y))
    repaired = broken.but(model=model(8), x=standardized(x), y=y[:, None] / 50)
    return broken, repaired.but(optimizer=adam(0.02), score=explained(y, 50))


@program("survival-of-raw-columns", "input@input", "jaredleekatzman/DeepSurv#14")
def _(rng):
    z = rng.standard_normal((400, 6))
    risk = z[:, 0] + 0.7 * z[:, 1] * z[:, 2]
    time = rng.exponential(np.exp(-risk))
    y = np.stack([time, rng.random(400) < 0.7], 1)
    x = raw(rng, z, 1, 4)

    def cox(y, made):
        at_risk = ops.cast(y[None, :, 0] >= y[:, None, 0], made.dtype)
        total = ops.log(ops.sum(at_risk * ops.exp(made[None, :, 0]), 1))
        return -ops.sum(y[:, 1] * (made[:, 0] - total)) / (ops.sum(y[:, 1]) + 1)

    def concordance(made):
        sooner = (time[:, None] < time) & (y[:, 1:] == 1)
        return float((made[:, 0][:, None] > made[:, 0])[sooner].mean())

    def model():
        return mlp(6, (24, 24), 1)

    broken = Training(model(), x, y, cox, sgd(0.01, 0.9), concordance, 64, 300)
    return broken, broken.but(model=model(), x=standardized(z))


@program("pairs-divided-by-a-deviation-of-zero", "input@input", "keras-team/keras#2001")
def _(rng):
    x, y = digits(rng, 400, 5)
    x = x.reshape(400, 784) / 255
    first, second = rng.integers(0, 400, (2, 500))
    second[:250] = [rng.choice(np.flatnonzero(y == y[i])) for i in first[:250]]
    same = (y[first] == y[second]).astype("float32")
    with np.errstate(divide="ignore", invalid="ignore"):
        broken_x = (x - x.mean(0)) / x.std(0)

    def model():
        code = mlp(784, (64,), 24)
        pair = [Input((784,)), Input((784,))]
        gap = ops.square(code(pair[0]) - code(pair[1]))
        return keras.Model(pair, ops.sqrt(ops.sum(gap, -1, keepdims=True) + 1e-6))

    def contrastive(y, far):
        return ops.mean(y * ops.square(far) + (1 - y) * ops.square(ops.maximum(1 - far, 0)))

    def right(made):
        return float(((made[:, 0] < 0.5) == (same == 1)).mean())

    def pairs(x):
        return [x[first], x[second]]

    broken = Training(model(), pairs(broken_x), same[:, None], contrastive, adam(), right, 32, 300)
    return broken, broken.but(model=model(), x=pairs(x))


@program("prices-of-used-cars-some-cells-empty", "input@input", "UC-IIC2613/Syllabus#205")
def _(rng):
    x = rng.random((500, 9))
    y = standardized(2 * x[:, 0] - x[:, 1] * x[:, 2] + 0.5 * x[:, 3])
    holes = x.copy()
    holes[rng.random(500) < 0.04, 4] = np.nan

    def model():
        return mlp(9, (64, 32), 1)

    broken = Training(model(), holes, y[:, None], "mse", adam(0.003), explained(y))
    return broken, broken.but(model=model(), x=np.nan_to_num(holes, nan=0.5))


@program("numbers-by-categorical-crossentropy", "loss@loss, output@output", "getcodesolution.com")
def _(rng):
    x = rng.random((400, 6))
    y = np.stack([x[:, 0] * x[:, 1], 0.5 * x[:, 2] + 0.5 * x[:, 3] ** 2], 1)

    def model():
        return mlp(6, (64, 64), 2)

    broken = Training(model(), x, y, CCE, adam(0.002), explained(y))
    return broken, broken.but(model=model(), loss="mse")


@program(
    "nielsens-net-with-relu",
    "rate too high@optimizer, initialization@0, initialization@1, output@output",
    "MichalDanielDobrzanski/DeepLearningPython#13",
)
def _(rng):
    x, y = digits(rng, 500)
    x = x.reshape(500, 784) / 255

    def model(size):
        start = {"kernel_initializer": normal(size), "bias_initializer": normal(size)}
        return mlp(784, (30,), 10, "relu", **start)

    def quadratic(y, made):
        return 0.5 * ops.sum(ops.square(y - made), -1)

    broken = Training(model(1.0), x, one_hot(y), quadratic, sgd(3.0), accuracy(y), 10, 900)
    return broken, broken.but(model=model(0.1), optimizer=sgd(0.01))


@program(
    "stock-prices-divided-by-the-highest",
    "input@input, target scale@targets, initialization@0",
    "keras-team/keras#2051",
)
def _(rng):
    x, y = series(rng, 500, 8, level=60, size=3)
    x, y = x[..., 0], y[:, None]

    def model(**start):
        return net((8,), Dense(7, **start), Dense(4, "tanh", **start), Dense(1, **start))

    slow = sgd(0.06, 0.5)
    broken = Training(model(**NARROW), x / 70, y / 70, "mse", slow, explained(y, 70), 1, 1000)
    level, size = y.mean(), y.std()
    repaired = broken.but(model=model(), x=(x - level) / size, y=(y - level) / size, batch=4)
    return broken, repaired.but(score=explained(y, size, level))
