"""Rarer faults, of schedules, weights, own losses and order of layers."""

import keras
import numpy as np
from data import blobs, digits, one_hot, pictures, series, standardized, words
from keras import layers, ops
from nets import BCE, CCE, SPARSE, adam, mlp, net
from program import Program, Training, accuracy, explained, register

BROKEN: dict[str, Program] = {}
program = register(BROKEN, "Humbatova et al. 2020 (taxonomy)")

Dense, Input, Conv = layers.Dense, keras.Input, layers.Conv2D


@keras.saving.register_keras_serializable("patients")
class Warmup(keras.optimizers.schedules.LearningRateSchedule):
    """The rate of "Attention is all you need": rises for `steps` steps, falls after."""

    def __init__(self, width, steps):
        super().__init__()
        self.width, self.steps = width, steps

    def __call__(self, step):
        """Returns the rate at a step."""
        step = ops.cast(step, "float32") + 1
        rate = ops.minimum(ops.rsqrt(step), step * self.steps**-1.5)
        return self.width**-0.5 * rate

    def get_config(self):
        """Returns the arguments."""
        return {"width": self.width, "steps": self.steps}


@program("encoder-warm-up-never-over", "rate too low@optimizer", "tensorflow/text#945, altered")
def _(rng):
    x, y = words(rng, 500, 20, 800, 4)

    def model():
        tokens = Input((20,), dtype="int32")
        h = layers.Embedding(800, 32)(tokens)
        h = layers.LayerNormalization()(h + layers.MultiHeadAttention(2, 16)(h, h))
        h = layers.LayerNormalization()(h + Dense(32)(Dense(64, "relu")(h)))
        return keras.Model(tokens, Dense(4, "softmax")(layers.GlobalAveragePooling1D()(h)))

    slow, right = (keras.optimizers.Adam(Warmup(32, steps), 0.9, 0.98) for steps in (1e5, 1000))
    broken = Training(model(), x, y, SPARSE, slow, accuracy(y), steps=400)
    return broken, broken.but(model=model(), optimizer=right)


@program("rare-events-class-weights-9999", "loss@loss", "SO 51432992")
def _(rng):
    x, y = blobs(rng, 800, 12, 4)
    event = np.where(rng.random(800) < 0.25, y, 3)  # three rare classes, class 3 is the rule
    x = x + np.where(event < 3, 0.8, 0)[:, None]

    def model():
        wide = layers.Conv1D(16, 3, activation="relu")
        return net((12, 1), wide, layers.Flatten(), Dense(32, "relu"), Dense(4, "softmax"))

    signals = x[..., None]
    weights = {"class_weight": {0: 9999.0, 1: 9999.0, 2: 9999.0, 3: 1.0}}
    broken = Training(
        model(), signals, event, SPARSE, adam(0.003), accuracy(event), steps=500, weights=weights
    )
    balanced = {"class_weight": {0: 2.0, 1: 2.0, 2: 2.0, 3: 1.0}}
    return broken, broken.but(model=model(), weights=balanced)


@program("f1-of-rounded-predictions-as-loss", "gradient@loss, loss@loss", "SO 40752801")
def _(rng):
    x, y = blobs(rng, 500, 10, 2)
    y = y[:, None].astype("float32")

    def f1(truth, made):
        made = ops.round(made)
        hit = ops.sum(truth * made)
        return 1 - 2 * hit / (ops.sum(truth) + ops.sum(made) + 1e-7)

    def model():
        return mlp(10, (32, 16), 1, "sigmoid")

    broken = Training(model(), x, y, f1, adam(0.005), accuracy(y), steps=400)
    return broken, broken.but(model=model(), loss=BCE)


class Draw(layers.Layer):
    """Draws a latent vector and adds `weight` times the divergence from N(0, 1)."""

    def __init__(self, weight):
        super().__init__()
        self.weight, self.noise = weight, keras.random.SeedGenerator(5)

    def call(self, moments):
        """Returns mean + deviation * noise."""
        mean, log_var = moments
        divergence = -0.5 * ops.sum(1 + log_var - ops.square(mean) - ops.exp(log_var), -1)
        self.add_loss(self.weight * ops.mean(divergence))
        noise = keras.random.normal(ops.shape(mean), seed=self.noise)
        return mean + ops.exp(log_var / 2) * noise


@program("digits-vae-divergence-against-mean", "regularization@loss, loss@loss", "arXiv:2002.07514")
def _(rng):
    bytes_, _ = digits(rng, 400, 6)
    x = bytes_.reshape(-1, 784) / 255

    def model(weight):
        picture = Input((784,))
        h = Dense(96, "relu")(picture)
        z = Draw(weight)([Dense(8, name="mean")(h), Dense(8, name="log_var")(h)])
        return keras.Model(picture, Dense(784, "sigmoid")(Dense(96, "relu")(z)))

    broken = Training(model(1.0), x, x, "mse", adam(0.003), explained(x), steps=600)
    return broken, broken.but(model=model(1 / 784))


@program(
    "classes-batch-norm-behind-softmax",
    "output@output, layers@output",
    "keras-team/keras#2711 (comments), altered",
)
def _(rng):
    x, y = blobs(rng, 500, 16, 5)

    def model(behind):
        inner = []
        for width in (64, 32):
            inner += [Dense(width), layers.BatchNormalization(), layers.Activation("relu")]
        end = [layers.BatchNormalization()] if behind else []
        return net((16,), *inner, Dense(5, "softmax"), *end)

    broken = Training(model(True), x, one_hot(y), CCE, adam(0.003), accuracy(y), steps=400)
    return broken, broken.but(model=model(False))


@program("word-vectors-cosine-turned-round", "loss@loss", "tensorflow/tensorflow#34577")
def _(rng):
    x = rng.standard_normal((500, 20))
    goal = np.tanh(x @ rng.standard_normal((20, 8)) / 3)

    def away(truth, made):
        return 1 - keras.losses.cosine_similarity(truth, made)  # is already negative for alike

    def alike(made):
        norms = np.linalg.norm(made, axis=1) * np.linalg.norm(goal, axis=1)
        return float(((made * goal).sum(1) / (norms + 1e-9)).mean())

    def model():
        return mlp(20, (64,), 8)

    broken = Training(model(), x, goal, away, adam(0.003), alike, steps=400)
    return broken, broken.but(model=model(), loss="cosine_similarity")


@program(
    "store-sales-log-of-zero",
    "labels@targets, target scale@targets",
    "keras-team/keras#2134, altered",
)
def _(rng):
    store, day = rng.integers(0, 30, 600), rng.integers(0, 7, 600)
    size = np.exp(rng.normal(6, 0.5, 30))
    sales = np.round(size[store] * (1 + 0.3 * np.sin(day)) * (day != 6))

    def model():
        shop, week = Input((1,), name="shop"), Input((1,), name="week")
        h = [layers.Embedding(30, 8)(shop), layers.Embedding(7, 4)(week)]
        h = layers.Flatten()(layers.Concatenate()(h))
        return keras.Model([shop, week], Dense(1)(Dense(32, "relu")(h)))

    with np.errstate(divide="ignore"):
        logs = np.log(sales)
    goal = standardized(np.log1p(sales))
    x = [store[:, None], day[:, None]]
    broken = Training(model(), x, logs, "mse", adam(0.005), explained(goal), steps=500)
    return broken, broken.but(model=model(), y=goal)


@program(
    "emotions-first-loss-weight-zero", "loss@loss, gradient@loss", "keras-team/keras#10306, altered"
)
def _(rng):
    x, y = pictures(rng, 300, 20, 3, 4)
    valence = standardized(x.mean((1, 2, 3)))

    def model():
        face = Input((20, 20, 3))
        h = layers.MaxPooling2D()(Conv(16, 3, activation="relu")(face))
        h = layers.MaxPooling2D()(Conv(16, 3, activation="relu")(h))
        shared = Dense(32, "relu")(layers.Flatten()(h))
        mood = Dense(4, "softmax", name="emotion")(Dense(16, "relu")(shared))
        return keras.Model(face, [mood, Dense(1, name="valence")(shared)])

    broken = Training(
        model(), x, [y, valence], [SPARSE, "mse"], adam(0.002), accuracy(y), steps=250
    ).but(compiled={"loss_weights": [0.0, 1.0]})
    return broken, broken.but(model=model(), compiled={"loss_weights": [1.0, 0.5]})


@program("demand-pinball-min-for-max", "loss@loss", "Humbatova et al. 2020: loss calculation")
def _(rng):
    x, y = series(rng, 400, 24)

    def pinball(combine):
        def loss(truth, made):
            error = truth - made
            return ops.mean(combine(0.5 * error, -0.5 * error), -1)

        return loss

    def model():
        conv = layers.Conv1D(16, 5, activation="relu")
        return net((24, 1), conv, layers.Flatten(), Dense(24, "relu"), Dense(1))

    broken = Training(
        model(), x, y[:, None], pinball(ops.minimum), adam(0.003), explained(y), steps=400
    )
    return broken, broken.but(model=model(), loss=pinball(ops.maximum))


@program(
    "defects-prior-without-log",
    "initialization@-1, initialization@output, output@output",
    "arXiv:1708.02002 (prior of the bias), altered",
)
def _(rng):
    x, y = blobs(rng, 600, 12, 2)

    def model(bias):
        start = keras.initializers.Constant(bias)
        end = Dense(1, "sigmoid", bias_initializer=start)
        return net((12,), Dense(32, "relu"), Dense(16, "relu"), end)

    broken = Training(model(-(1 - 0.01) / 0.01), x, y, BCE, adam(0.001), accuracy(y), steps=250)
    return broken, broken.but(model=model(-np.log((1 - 0.2) / 0.2)))
