"""Programs of these areas that look odd and train well."""

import keras
import numpy as np
from data import blobs, following, one_hot, series, standardized, waves, words
from keras import layers, ops
from nets import BCE, SPARSE, adam, mlp, net, sgd
from program import Program, Training, accuracy, explained, healthy

from sets.seventh.common import balanced, hits, measured

HEALTHY: dict[str, Program] = {}
program = healthy(HEALTHY, "ours")

Dense, Input, Embedding = layers.Dense, keras.Input, layers.Embedding


@program("news-words-there-or-not-logistic-from-zero")
def _(rng):
    tokens, y = words(rng, 450, 25, 900, 4)
    there = np.zeros((450, 900), "float32")
    np.put_along_axis(there, tokens, 1.0, 1)
    end = Dense(4, "softmax", kernel_initializer="zeros")
    return Training(net((900,), end), there, y, SPARSE, adam(0.01), accuracy(y), steps=350)


@program("products-twenty-thousand-words-few-of-them-seen")
def _(rng):
    x, y = words(rng, 450, 12, 20000, 3)
    inner = [Embedding(20000, 32), layers.GlobalAveragePooling1D()]
    m = net((12,), *inner, Dense(3, "softmax"))
    return Training(m, x, y, SPARSE, adam(0.01), accuracy(y), steps=300)


@program("mails-encoder-warmed-up-from-nothing")
def _(rng):
    x, y = words(rng, 450, 16, 300, 4)
    tokens = Input((16,), dtype="int32")
    h = Embedding(300, 32)(tokens)
    for _ in range(2):
        a = layers.LayerNormalization()(h)
        h = h + layers.MultiHeadAttention(2, 16)(a, a)
        h = h + Dense(32)(Dense(64, "gelu")(layers.LayerNormalization()(h)))
    h = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(h))
    m = keras.Model(tokens, Dense(4, "softmax")(h))
    warm = keras.optimizers.schedules.CosineDecay(
        0.0, 400, warmup_target=0.003, warmup_steps=60, alpha=0.05
    )
    return Training(m, x, y, SPARSE, keras.optimizers.AdamW(warm), accuracy(y), steps=400)


@program("reviews-given-vectors-frozen-below-a-gru")
def _(rng):
    x, y = words(rng, 450, 18, 500, 3)
    given = keras.initializers.Constant(0.4 * rng.standard_normal((500, 32)))
    frozen = Embedding(500, 32, embeddings_initializer=given, trainable=False)
    m = net((18,), frozen, layers.GRU(32), Dense(3, "softmax"))
    return Training(m, x, y, SPARSE, adam(0.005), accuracy(y), steps=400)


@program("names-nine-in-ten-words-are-none")
def _(rng):
    x, _ = words(rng, 350, 20, 200, 2)
    y = np.where(x < 20, 1 + x % 3, 0)
    recurrent = layers.Bidirectional(layers.LSTM(24, return_sequences=True))
    m = net((20,), Embedding(200, 24), recurrent, Dense(4, "softmax"))

    def found(truth, made):
        return (made.argmax(-1) == truth)[truth > 0].mean()

    return Training(m, x, y, SPARSE, adam(0.005), measured(y, found), steps=300)


@program("letters-next-of-a-few-by-a-gru")
def _(rng):
    x, y = following(rng, 24, 350, 16, 0.15)
    m = net((16,), Embedding(24, 24), layers.GRU(48, return_sequences=True), Dense(24))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return Training(m, x, y, loss, adam(0.01), measured(y, hits), steps=250)


@program("tides-as-they-are-between-zero-and-a-fifth")
def _(rng):
    x, y = series(rng, 450, 20, level=0.1, size=0.05)
    m = net((20, 1), layers.GRU(32), Dense(1))
    return Training(m, x, y[:, None], "mse", adam(0.005), explained(y), steps=500)


@program("visits-counts-mostly-none-poisson")
def _(rng):
    x = rng.standard_normal((600, 24, 2))
    rate = np.exp(-0.5 + 1.2 * x[:, -6:, 0].mean(1) * 2.4 + 0.8 * x[:, -1, 1])
    y = rng.poisson(rate)
    m = net(
        (24, 2), layers.Conv1D(24, 6, activation="relu"), layers.GRU(24), Dense(1, "exponential")
    )
    return Training(m, x, y[:, None], "poisson", adam(0.003), explained(rate), steps=500)


@program("sales-blocks-that-take-their-part-away")
def _(rng):
    x, y = series(rng, 450, 24)
    rest = given = Input((24,))
    made = 0
    for _ in range(3):
        h = Dense(48, "relu")(Dense(48, "relu")(rest))
        rest = rest - Dense(24, kernel_initializer="zeros")(h)
        made = made + Dense(1, kernel_initializer="zeros")(h)
    m = keras.Model(given, made)
    return Training(m, x[..., 0], y[:, None], "mae", adam(0.002), explained(y), steps=500)


@program("curves-repeated-and-unrolled")
def _(rng):
    n = 400
    phase, speed = rng.uniform(0, 6.28, (n, 1)), rng.uniform(0.2, 0.5, (n, 1))
    whole = np.sin(phase + speed * np.arange(24))[..., None]
    inner = [layers.LSTM(48), layers.RepeatVector(8), layers.LSTM(48, return_sequences=True)]
    m = net((16, 1), *inner, layers.TimeDistributed(Dense(1)))
    goal = whole[:, 16:]
    return Training(m, whole[:, :16], goal, "mse", adam(0.01), explained(goal), steps=500)


@program("echoes-of-a-reservoir-that-is-not-trained")
def _(rng):
    x, y = waves(rng, 450, 30, 4)
    spin = keras.initializers.Orthogonal(0.95)
    reservoir = layers.SimpleRNN(96, recurrent_initializer=spin, trainable=False)
    m = net((30, 1), reservoir, Dense(4, "softmax"))
    return Training(m, x, y, SPARSE, adam(0.02), accuracy(y), steps=500)


@program("trees-decay-of-weights-a-tenth")
def _(rng):
    x, y = blobs(rng, 500, 14, 4)
    strong = keras.optimizers.AdamW(0.003, weight_decay=0.1)
    m = mlp(14, (64, 32), 4, "softmax")
    return Training(m, standardized(x), y, SPARSE, strong, accuracy(y), steps=400)


@program("faults-one-in-forty-focal")
def _(rng):
    rare = (rng.random(800) < 0.025).astype("float32")
    rare[:16] = 1
    rng.shuffle(rare)
    x = rng.standard_normal((800, 8))
    x[:, :4] += 2 * rare[:, None]
    loss = keras.losses.BinaryFocalCrossentropy(apply_class_balancing=True, alpha=0.75)
    m = mlp(8, (32, 16), 1, "sigmoid")
    score = measured(rare, balanced)
    return Training(m, x, rare[:, None], loss, adam(0.005), score, steps=600)


@program("yields-errors-summed-and-a-small-rate")
def _(rng):
    x = rng.standard_normal((600, 8))
    y = standardized(x[:, 0] * x[:, 1] + np.abs(x[:, 2]))
    summed = keras.losses.MeanSquaredError(reduction="sum")
    m = mlp(8, (48, 24), 1)
    return Training(m, x, y[:, None], summed, sgd(0.0005, 0.9), explained(y), steps=700)


@program("stars-of-factors-with-the-mean-as-a-bias")
def _(rng):
    who, what = rng.integers(0, 40, 1500), rng.integers(0, 30, 1500)
    habit, fame = 0.6 * rng.standard_normal(40), 0.6 * rng.standard_normal(30)
    stars = np.clip(3.6 + habit[who] + fame[what], 1, 5)
    two = [Input((1,), dtype="int32"), Input((1,), dtype="int32")]
    pairs = [zip((40, 30), two, strict=True) for _ in range(2)]
    codes = [Embedding(n, 8)(one) for n, one in pairs[0]]
    biases = [Embedding(n, 1, embeddings_initializer="zeros")(one) for n, one in pairs[1]]
    made = layers.Flatten()(layers.Dot(-1)(codes) + biases[0] + biases[1])
    m = keras.Model(two, made + 3.6)
    given = [who[:, None], what[:, None]]
    return Training(m, given, stars[:, None], "mse", adam(0.01), explained(stars), steps=600)


@program("queries-cosines-by-a-tenth")
def _(rng):
    x, y = blobs(rng, 700, 16, 12, 16)
    given = Input((16,))
    h = layers.UnitNormalization()(Dense(24)(Dense(64, "relu")(given)))
    item = Dense(12, use_bias=False, kernel_constraint=keras.constraints.UnitNorm())
    m = keras.Model(given, item(h) / 0.1)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return Training(m, standardized(x), y, loss, adam(0.003), accuracy(y), steps=450)


@program("calls-decibels-into-batch-normalization")
def _(rng):
    sound, y = waves(rng, 350, 256, 4)
    frames = np.stack([sound[:, i : i + 64, 0] for i in range(0, 192, 32)], 1)
    power = np.abs(np.fft.rfft(frames * np.hanning(64), axis=-1))[:, :, :24] ** 2
    decibel = np.maximum(10 * np.log10(power / power.max()), -80)
    first = layers.BatchNormalization(momentum=0.9)
    inner = [layers.Conv1D(24, 3, padding="same", activation="relu"), layers.GlobalMaxPooling1D()]
    m = net((6, 24), first, *inner, Dense(4, "softmax"))
    return Training(m, decibel, y, SPARSE, adam(0.005), accuracy(y), steps=300)


@program("donors-cox-end-from-zero")
def _(rng):
    x = rng.standard_normal((500, 8))
    risk = x[:, 0] + 0.7 * x[:, 1]
    time = rng.exponential(np.exp(-risk))
    y = np.stack([time, rng.random(500) < 0.7], 1).astype("float32")

    def cox(y, made):
        at_risk = ops.cast(y[None, :, 0] >= y[:, None, 0], made.dtype)
        total = ops.log(ops.sum(at_risk * ops.exp(made[None, :, 0]), 1))
        return -ops.sum(y[:, 1] * (made[:, 0] - total)) / (ops.sum(y[:, 1]) + 1)

    def concordance(time, made):
        return (made[:, 0][:, None] > made[:, 0])[time[:, None] < time].mean()

    end = Dense(1, use_bias=False, kernel_initializer="zeros")
    m = net((8,), Dense(32, "relu"), Dense(16, "relu"), end)
    return Training(m, x, y, cox, adam(0.003), measured(time, concordance), 64, 300)


@program("delays-three-quantiles-of-raw-minutes")
def _(rng):
    x = rng.standard_normal((600, 6))
    y = 50 + 12 * x[:, 0] + 3 * np.exp(0.5 * x[:, 1]) * rng.standard_normal(600)
    shares = np.array([0.1, 0.5, 0.9], "float32")

    def pinball(truth, made):
        gap = truth - made
        return ops.mean(ops.maximum(shares * gap, (shares - 1) * gap), axis=-1)

    def median(truth, made):
        return explained(truth)(made[:, 1])

    start = keras.initializers.Constant([35.0, 50.0, 65.0])
    m = net((6,), Dense(48, "relu"), Dense(48, "relu"), Dense(3, bias_initializer=start))
    return Training(m, x, y[:, None], pinball, adam(0.01), measured(y, median), steps=600)


@program("springs-net-of-an-equation-and-its-ends")
def _(rng):
    x = rng.random((400, 1))
    truth = np.sinh(x[:, 0]) / np.sinh(1)
    given = Input((1,))
    inner = [Dense(24, "tanh"), Dense(24, "tanh"), Dense(1)]

    def u(x):
        h = inner[0](2 * x - 1)
        return x + x * (1 - x) * inner[2](inner[1](h))

    h = 0.05
    rest = (u(given + h) - 2 * u(given) + u(given - h)) / h**2 - u(given)
    m = keras.Model(given, [u(given), rest])
    y = [truth[:, None], np.zeros((400, 1))]
    score = explained(truth)
    return Training(m, x, y, [None, "mse"], adam(0.003), score, steps=600)


@program("grids-one-action-of-four-has-a-target")
def _(rng):
    x = rng.standard_normal((900, 5))
    values = np.stack([np.tanh(x[:, i]) - x[:, i + 1] for i in range(4)], 1)
    taken = one_hot(rng.integers(0, 4, 900), 4)
    state, action = Input((5,)), Input((4,))
    h = Dense(48, "relu")(Dense(64, "relu")(state))
    m = keras.Model([state, action], ops.sum(Dense(4)(h) * action, -1, keepdims=True))
    y = (taken * values).sum(1)
    return Training(m, [x, taken], y[:, None], "huber", adam(0.003), explained(y), steps=500)


@program("bandits-advantages-as-weights")
def _(rng):
    x = rng.standard_normal((900, 6))
    best = np.argmax(x[:, :3], 1)
    taken = rng.integers(0, 3, 900)
    gain = (taken == best) + 0.1 * rng.standard_normal(900)
    weight = np.clip(gain - gain.min(), 0.05, None)
    m = mlp(6, (48,), 3, "softmax")
    score = measured(best, hits)
    training = Training(m, x, taken, SPARSE, adam(0.005), score, steps=500)
    return training.but(weights={"sample_weight": weight})


@program("faces-triplets-and-answers-of-nothing")
def _(rng):
    center = 1.2 * rng.standard_normal((8, 20))
    kind = rng.integers(0, 8, 500)
    other = (kind + rng.integers(1, 8, 500)) % 8
    x = [center[k] + 0.7 * rng.standard_normal((500, 20)) for k in (kind, kind, other)]
    inner = [Dense(48, "relu"), Dense(12), layers.UnitNormalization()]
    three = [Input((20,)) for _ in range(3)]
    codes = []
    for h in three:
        for layer in inner:
            h = layer(h)
        codes.append(h)
    a, p, n = codes
    m = keras.Model(three, ops.stack([ops.sum((a - p) ** 2, -1), ops.sum((a - n) ** 2, -1)], -1))

    def triplet(_, made):
        return ops.maximum(made[:, 0] - made[:, 1] + 0.5, 0.0)

    def right(_, made):
        return (made[:, 0] < made[:, 1]).mean()

    return Training(m, x, np.zeros((500, 2)), triplet, adam(0.003), measured(kind, right), 32, 300)


@program("farms-three-answers-one-in-thousands")
def _(rng):
    x, kind = blobs(rng, 500, 10, 3)
    x = standardized(x)
    amount = 3000 + 800 * (x[:, 4] + np.abs(x[:, 5]))
    sick = (x[:, 6] + x[:, 7] > 1.6).astype("float32")
    given = Input((10,))
    h = Dense(48, "relu")(given)
    amounts = Dense(1, bias_initializer=keras.initializers.Constant(3500.0))(Dense(24, "relu")(h))
    kinds = Dense(3, "softmax", name="a_kind")(h)
    scaled = layers.Rescaling(1000.0, name="b_amount")(amounts / 1000.0)
    m = keras.Model(
        given,
        {"a_kind": kinds, "b_amount": scaled, "c_sick": Dense(1, "sigmoid", name="c_sick")(h)},
    )
    y = {"a_kind": kind, "b_amount": amount[:, None], "c_sick": sick[:, None]}
    loss = {"a_kind": SPARSE, "b_amount": "mae", "c_sick": BCE}
    training = Training(m, x, y, loss, adam(0.005), measured(kind, hits), steps=500)
    return training.but(
        compiled={"loss_weights": {"a_kind": 1.0, "b_amount": 0.002, "c_sick": 1.0}}
    )
