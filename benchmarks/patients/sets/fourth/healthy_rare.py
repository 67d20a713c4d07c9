"""More programs that look odd and train well."""

import keras
import numpy as np
from data import blobs, digits, linear, pictures, standardized, waves
from keras import layers, ops
from nets import BCE, SPARSE, adam, mlp, net, sgd
from program import Program, Training, accuracy, explained, healthy

HEALTHY: dict[str, Program] = {}
program = healthy(HEALTHY, "ours")

Dense, Input, Conv = layers.Dense, keras.Input, layers.Conv2D


@program("plates-symbols-by-ctc")
def _(rng):
    n = 300
    symbols = rng.integers(1, 5, (n, 3))
    symbols[:, 1] = (symbols[:, 0] + rng.integers(0, 3, n)) % 4 + 1  # neighbors differ or not
    x = 0.3 * rng.standard_normal((n, 18, 6))
    for i in range(3):
        at = 6 * i + rng.integers(0, 3, n)
        for wide in range(2):
            x[np.arange(n), at + wide, symbols[:, i]] += 2
    given = Input((18, 6))
    h = layers.Conv1D(32, 3, padding="same", activation="relu")(given)
    h = layers.Bidirectional(layers.LSTM(16, return_sequences=True))(h)
    m = keras.Model(given, Dense(5)(h))  # unit 0 is the blank

    def read(made):
        best = made.argmax(-1)
        keep = (best > 0) & (best != np.pad(best, ((0, 0), (1, 0)))[:, :-1])
        return float(
            np.mean([list(b[k]) == list(s) for b, k, s in zip(best, keep, symbols, strict=True)])
        )

    return Training(m, x, symbols, keras.losses.CTC(), adam(0.01), read, steps=400)


@program("boards-half-floats-and-a-scaled-loss")
def _(rng):
    x, y = pictures(rng, 300, 16, 3, 5)
    half = keras.DTypePolicy("mixed_float16")
    image = Input((16, 16, 3))
    h = layers.MaxPooling2D(dtype=half)(Conv(16, 3, activation="relu", dtype=half)(image))
    h = layers.Flatten(dtype=half)(Conv(24, 3, activation="relu", dtype=half)(h))
    m = keras.Model(image, Dense(5, "softmax", dtype="float32")(h))
    scaled = keras.optimizers.LossScaleOptimizer(adam(0.003), initial_scale=2.0**12)
    return Training(m, x, y, SPARSE, scaled, accuracy(y), steps=250)


@program("transfer-function-three-linear-layers")
def _(rng):
    x, y = linear(rng, 500, 12, 3)
    y = standardized(y)
    m = mlp(12, (24, 24), 3, hidden=None)
    return Training(m, x, y, "mse", adam(0.005), explained(y), steps=300)


@program("batch-norms-alone-on-random-frozen-convolutions")
def _(rng):
    x, y = pictures(rng, 300, 16, 3, 4)
    inner = []
    for filters in (32, 48):
        conv = Conv(filters, 3, trainable=False, kernel_initializer="he_normal", use_bias=False)
        inner += [conv, layers.BatchNormalization(momentum=0.9), layers.ReLU()]
        inner += [layers.MaxPooling2D()]
    m = net((16, 16, 3), *inner, layers.GlobalAveragePooling2D(), Dense(4, "softmax"))
    return Training(m, x, y, SPARSE, adam(0.02), accuracy(y), steps=300)


@program("parts-ten-units-for-the-seven-kinds-so-far")
def _(rng):
    x, y = blobs(rng, 600, 16, 7)
    m = mlp(16, (64, 32), 10, "softmax")
    return Training(m, standardized(x), y, SPARSE, adam(0.003), accuracy(y), steps=400)


@program("articles-forty-keywords-two-apiece")
def _(rng):
    centers = rng.standard_normal((40, 32))
    y = np.zeros((600, 40), "float32")
    np.put_along_axis(y, rng.integers(0, 40, (600, 2)), 1.0, 1)
    x = y @ centers + 0.3 * rng.standard_normal((600, 32))
    m = mlp(32, (128,), 40, "sigmoid")

    def recalled(made):
        return float((made > 0.5)[y > 0].mean())

    return Training(m, x, y, BCE, adam(0.01), recalled, steps=500)


@program("soils-shares-by-divergence")
def _(rng):
    x = rng.standard_normal((600, 9))
    logits = 1.5 * x[:, :4] + np.abs(x[:, 4:8])
    y = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    m = mlp(9, (48, 24), 4, "softmax", "tanh")
    return Training(m, x, y, "kl_divergence", adam(0.003), explained(y), steps=500)


@program("valves-two-samples-a-step")
def _(rng):
    x, y = blobs(rng, 400, 10, 3)
    m = mlp(10, (24, 12), 3, "softmax")
    return Training(m, standardized(x), y, SPARSE, sgd(0.01), accuracy(y), 2, 1600)


@program("roads-graph-convolutions-fixed-neighbors")
def _(rng):
    place = rng.random((40, 2))
    near = (((place[:, None] - place) ** 2).sum(-1) < 0.06).astype("float32")
    mean = near / near.sum(1, keepdims=True)
    x = rng.standard_normal((300, 40, 2))
    y = np.abs(x[..., 0] @ mean.T)[..., None] - 0.3 * x[..., 1:]
    given = Input((40, 2))
    h = given
    for _ in range(2):
        h = Dense(32, "relu")(layers.Concatenate()([h, ops.matmul(mean, h)]))
    m = keras.Model(given, Dense(1)(h))
    return Training(m, x, y, "mse", adam(0.005), explained(y), 16, 400)


@keras.saving.register_keras_serializable("patients")
class Triangle(keras.optimizers.schedules.LearningRateSchedule):
    """A rate that climbs and falls in turn, from nothing."""

    def __call__(self, step):
        """Returns the rate."""
        phase = ops.cast(step % 80, "float32") / 40.0
        return 0.3 * (1.0 - ops.abs(phase - 1.0)) + 1e-7

    def get_config(self):
        """Returns that there is nothing to set."""
        return {}


@program("digits-rate-in-triangles-from-nothing")
def _(rng):
    x, y = digits(rng, 500)
    m = net((28, 28), layers.Flatten(), Dense(64, "relu"), Dense(10, "softmax"))
    cyclic = keras.optimizers.SGD(Triangle(), momentum=0.5)
    return Training(m, x / 255, y, SPARSE, cyclic, accuracy(y), steps=320)


@program("genome-motif-strongest-match-alone")
def _(rng):
    bases = rng.integers(0, 4, (500, 60))
    y = rng.integers(0, 2, 500)
    motif = np.array([0, 2, 2, 1, 3, 0, 1])
    at = rng.integers(0, 53, 500)[:, None] + np.arange(7)
    there = y == 1
    bases[np.flatnonzero(there)[:, None], at[there]] = motif
    x = np.eye(4, dtype="int8")[bases]
    inner = [layers.Conv1D(24, 9, activation="relu"), layers.GlobalMaxPooling1D()]
    m = net((60, 4), *inner, Dense(1, "sigmoid"))
    return Training(m, x, y[:, None], BCE, adam(0.005), accuracy(y), steps=500)


@program("carts-wave-spectra-on-unit-circle")
def _(rng):
    x, _ = waves(rng, 400, 24, 1)
    phase = np.angle(np.exp(-0.1j * np.arange(24)) @ x[..., 0].T)
    y = np.stack([np.cos(phase), np.sin(phase)], 1)
    m = mlp(24, (48, 24), 2, "tanh")
    return Training(m, x[..., 0], y, "mse", adam(0.003), explained(y), steps=400)
