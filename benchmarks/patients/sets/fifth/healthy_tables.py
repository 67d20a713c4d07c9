"""Programs on tables and texts that look a little odd and train well."""

import keras
import numpy as np
from data import blobs, one_hot, series, standardized, waves, words
from keras import layers, ops
from nets import BCE, SPARSE, adam, mlp, net, sgd
from program import Program, Training, accuracy, explained, healthy

HEALTHY: dict[str, Program] = {}
program = healthy(HEALTHY, "ours")

Dense, Input = layers.Dense, keras.Input


@program("leaks-five-percent-far-from-the-others")
def _(rng):
    leak = (rng.random(600) < 0.05).astype("float32")
    x = rng.standard_normal((600, 8))
    x[:, :3] += 2.5 * leak[:, None]
    m = mlp(8, (24, 12), 1, "sigmoid")

    def hits(made):
        return float((made[leak == 1] > 0.5).mean())

    return Training(m, x, leak[:, None], BCE, adam(0.01), hits, steps=400)


@program("tickets-counts-of-words-mostly-zero")
def _(rng):
    tokens, y = words(rng, 400, 30, 1200, 4)
    counts = np.apply_along_axis(np.bincount, 1, tokens, minlength=1200).astype("int32")
    m = net((1200,), Dense(32, "relu"), layers.Dropout(0.5), Dense(4, "softmax"))
    return Training(m, counts, y, SPARSE, adam(0.003), accuracy(y), steps=300)


@program("sales-thirty-lags-as-one-step-of-an-lstm")
def _(rng):
    x, y = series(rng, 450, 30)
    m = net((1, 30), layers.LSTM(32), Dense(1))
    return Training(m, x.reshape(-1, 1, 30), y, "mse", adam(0.003), explained(y), steps=400)


@program("iris-one-sigmoid-layer-rate-of-three-squared-error")
def _(rng):
    x, y = blobs(rng, 400, 6, 3)
    m = mlp(6, (16,), 3, "sigmoid", "sigmoid")
    return Training(
        m, standardized(x), one_hot(y), "mse", sgd(3.0), accuracy(y), batch=10, steps=800
    )


@program("rents-between-zero-and-one-behind-a-relu")
def _(rng):
    x = rng.random((500, 6))
    y = 0.2 + 0.5 * x[:, 0] * x[:, 1] + 0.3 * np.abs(x[:, 2] - 0.5)
    m = mlp(6, (32, 16), 1, "relu")
    m.layers[-1].bias.assign([0.3])
    return Training(m, x, y[:, None], "mse", adam(0.003), explained(y), steps=600)


@program("scores-around-a-hundred-bias-at-their-mean")
def _(rng):
    x = rng.standard_normal((500, 7))
    y = 100 + 15 * np.tanh(x[:, 0] + 0.5 * x[:, 1]) + 5 * x[:, 2]
    end = Dense(1, bias_initializer=keras.initializers.Constant(100.0))
    m = net((7,), Dense(48, "relu"), Dense(24, "relu"), end)
    return Training(m, x, y[:, None], "mse", adam(0.01), explained(y), steps=500)


@program("signatures-contrastive-right-way-round")
def _(rng):
    styles = rng.standard_normal((10, 20))
    who = rng.integers(0, 10, 500)
    same = rng.integers(0, 2, 500)
    other = np.where(same == 1, who, (who + rng.integers(1, 10, 500)) % 10)
    given = [styles[k] + 0.5 * rng.standard_normal((500, 20)) for k in (who, other)]
    encoder = net((20,), Dense(48, "relu"), Dense(8))
    two = [Input((20,)), Input((20,))]
    gap = layers.Subtract()([encoder(one) for one in two])
    m = keras.Model(two, ops.sqrt(ops.sum(ops.square(gap), -1, keepdims=True) + 1e-6))

    def contrastive(alike, far):
        apart = ops.square(ops.maximum(2.0 - far, 0.0))
        return ops.mean(alike * ops.square(far) + (1 - alike) * apart, -1)

    def right(made):
        return float(((made[:, 0] < 1.0) == (same == 1)).mean())

    return Training(m, given, same[:, None].astype("float32"), contrastive, adam(0.003), right)


@program("carts-dueling-values-huber")
def _(rng):
    x = rng.standard_normal((480, 4))
    gain = np.array([1.5, 0.5, -0.5, -1.5]) * np.sign(x[:, :1]) + 3 * np.tanh(x[:, 1:2])
    state = Input((4,))
    h = Dense(64, "relu")(state)
    worth, better = Dense(1)(Dense(32, "relu")(h)), Dense(4)(Dense(32, "relu")(h))
    m = keras.Model(state, worth + better - ops.mean(better, -1, keepdims=True))
    return Training(m, x, gain, "huber", adam(0.003), explained(gain), steps=500)


@program("reviews-attention-pools-over-the-steps")
def _(rng):
    x, y = words(rng, 400, 20, 300, 3)
    tokens = Input((20,), dtype="int32")
    h = layers.Bidirectional(layers.GRU(16, return_sequences=True))(
        layers.Embedding(300, 16)(tokens)
    )
    share = layers.Softmax(axis=1)(Dense(1)(Dense(16, "tanh")(h)))
    m = keras.Model(tokens, Dense(3, "softmax")(ops.sum(share * h, 1)))
    return Training(m, x, y, SPARSE, adam(0.01), accuracy(y), steps=250)


@program("boilers-unexplained-share-as-loss")
def _(rng):
    x = rng.standard_normal((500, 8))
    y = 40 + 6 * (x[:, 0] * x[:, 1] + np.abs(x[:, 2]))

    def unexplained(truth, made):
        rest = ops.sum(ops.square(truth - made))
        return rest / (ops.sum(ops.square(truth - ops.mean(truth))) + 1e-7)

    end = Dense(1, bias_initializer=keras.initializers.Constant(45.0))
    m = net((8,), Dense(64, "relu"), Dense(32, "relu"), end)
    return Training(m, x, y[:, None], unexplained, adam(0.01), explained(y), 50, 600)


@program("words-answered-by-a-decoder-that-sees-the-truth")
def _(rng):
    source = rng.integers(1, 12, (400, 6))
    goal = source[:, ::-1]
    shifted = np.concatenate([np.zeros((400, 1), int), goal[:, :-1]], 1)
    given, before = Input((6,), dtype="int32"), Input((6,), dtype="int32")
    _, state = layers.GRU(48, return_state=True)(layers.Embedding(12, 16)(given))
    h = layers.GRU(48, return_sequences=True)(layers.Embedding(12, 16)(before), initial_state=state)
    m = keras.Model([given, before], Dense(12, "softmax")(h))

    def right(made):
        return float((made.argmax(-1) == goal).mean())

    return Training(m, [source, shifted], goal, SPARSE, adam(0.01), right, 25, 400)


@program("speakers-cosines-times-twenty")
def _(rng):
    x, y = blobs(rng, 500, 16, 6)
    given = Input((16,))
    h = layers.UnitNormalization()(Dense(24)(Dense(48, "relu")(given)))
    cosine = Dense(6, use_bias=False, kernel_constraint=keras.constraints.UnitNorm())(h)
    m = keras.Model(given, 20.0 * cosine)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return Training(m, standardized(x), y, loss, adam(0.003), accuracy(y), steps=400)


@program("labs-missing-results-weigh-nothing")
def _(rng):
    x = rng.standard_normal((600, 9))
    y = standardized(x[:, 0] * x[:, 1] + x[:, 2])
    known = rng.random(600) < 0.6
    m = mlp(9, (48, 24), 1)
    noted = np.where(known, y, 0.0)[:, None]
    return Training(
        m, x, noted, "mse", adam(0.003), explained(y), weights={"sample_weight": known * 1.0}
    )


@program("currents-adadelta-of-rate-one")
def _(rng):
    x, y = waves(rng, 400, 32, 4)
    inner = [layers.Conv1D(24, 5, activation="relu"), layers.MaxPooling1D(), layers.Flatten()]
    m = net((32, 1), *inner, Dense(4, "softmax"))
    rate = keras.optimizers.Adadelta(1.0)
    return Training(m, x, y, SPARSE, rate, accuracy(y), steps=300)
