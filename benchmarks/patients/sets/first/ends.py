"""The end of the net, the loss and the labels."""

import keras
import numpy as np
from data import blobs, digits, one_hot, pictures, series, standardized, waves, words
from keras import layers, ops
from nets import BCE, CCE, SPARSE, adam, net, sgd
from program import Program, Training, accuracy, explained, register

BROKEN: dict[str, Program] = {}
program = register(BROKEN, "Humbatova et al. 2020 (taxonomy)")

Dense, Input, Conv = layers.Dense, keras.Input, layers.Conv2D


@program("segmentation-softmax-as-logits", "output@output, loss@loss", "mmalekzadeh/dana#1")
def _(rng):
    x, _ = pictures(rng, 160, 24, 3, 4)
    y = one_hot((x[..., 0] > 0.55).astype(int) + (x[..., 1] > 0.5)).reshape(-1, 576, 3)

    def segment(activation):
        image = Input((24, 24, 3), name="image")
        h = Conv(16, 3, padding="same", activation="relu")(image)
        h = Conv(16, 3, padding="same", activation="relu")(h)
        scores = Conv(3, 1, activation=activation)(h)
        return keras.Model(image, layers.Reshape((576, 3))(scores))

    def right(made):
        return float((made.argmax(-1) == y.argmax(-1)).mean())

    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    broken = Training(segment("softmax"), x, y, loss, sgd(0.1, 0.9), right, 16, 400)
    return broken, broken.but(model=segment(None))


@program("news-transformer-raw-scores", "output@output, loss@loss", "keras-team/keras-hub#1008")
def _(rng):
    x, y = words(rng, 500, 32, 1500, 5)

    def classifier():
        tokens = Input((32,), dtype="int32")
        h = layers.Embedding(1500, 32)(tokens)
        attended = layers.MultiHeadAttention(4, 8, dropout=0.1)(h, h)
        h = layers.LayerNormalization(epsilon=1e-6)(h + attended)
        h = layers.GlobalAveragePooling1D()(h)
        h = layers.Dropout(0.1)(Dense(32, "relu")(h))
        return keras.Model(tokens, Dense(5, name="topic")(h))

    broken = Training(classifier(), x, y, SPARSE, adam(0.002), accuracy(y), steps=300)
    logits = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return broken, broken.but(model=classifier(), loss=logits)


@program("ticket-router-relu-priority", "output@output", "keras.io: functional API, altered")
def _(rng):
    x, department = words(rng, 500, 30, 1000, 4)
    urgent = (department % 2).astype(float)

    def router(end):
        title = Input((30,), name="title")
        h = layers.LSTM(32)(layers.Embedding(1000, 32)(title))
        priority = Dense(1, end, name="priority")(h)
        return keras.Model(title, [priority, Dense(4, "softmax", name="department")(h)])

    broken = Training(
        router("relu"), x, [urgent, department], [BCE, SPARSE], adam(0.003), accuracy(urgent)
    )
    return broken, broken.but(model=router("sigmoid"))


@program("ratings-two-towers-sigmoid", "output@output, target scale@targets", "SO answer 53913641")
def _(rng):
    users, films = rng.standard_normal((2, 600, 12))
    y = np.clip(np.round(3 + 0.6 * (users[:, :4] * films[:, :4]).sum(1)), 1, 5)

    def towers(end):
        user, film = Input((12,), name="user"), Input((12,), name="film")
        shared = Dense(24, "relu")
        h = layers.Concatenate()([shared(user), shared(film)])
        h = Dense(48, "relu")(h)
        return keras.Model([user, film], Dense(1, end)(h))

    broken = Training(towers("sigmoid"), [users, films], y, "mse", adam(0.01), explained(y))
    return broken, broken.but(model=towers(None))


@program("returns-lstm-relu-at-both-ends", "hidden activation@0, output@output", "SO 51432661")
def _(rng):
    x, y = series(rng, 400, 8, 0.0, 0.01)
    x, y = standardized(x), standardized(y)

    def forecast(first, end):
        return net((8, 1), layers.Activation(first), layers.LSTM(64), Dense(1, end))

    broken = Training(forecast("relu", "relu"), x, y, "mse", "adam", explained(y), 10, 500)
    return broken, broken.but(model=forecast("linear", None))


class Sample(layers.Layer):
    """Draws a latent vector and adds the divergence from N(0, 1)."""

    def __init__(self, weight):
        super().__init__()
        self.weight, self.noise = weight, keras.random.SeedGenerator(3)

    def call(self, moments):
        """Returns mean + deviation * noise."""
        mean, log_var = moments
        kl = -0.5 * ops.sum(1 + log_var - ops.square(mean) - ops.exp(log_var), -1)
        self.add_loss(self.weight * ops.mean(kl))
        noise = keras.random.normal(ops.shape(mean), seed=self.noise)
        return mean + ops.exp(log_var / 2) * noise


@program(
    "fashion-vae-relu-moments", "hidden activation@3, hidden activation@2", "SO answer 79505737"
)
def _(rng):
    x, _ = digits(rng, 400)
    x = x.reshape(-1, 784) / 255

    def vae(moments):
        image = Input((784,))
        h = Dense(64, "relu")(image)
        mean, log_var = Dense(10, moments, name="mu")(h), Dense(10, moments, name="log_var")(h)
        z = Sample(1e-4)([mean, log_var])
        return keras.Model(image, Dense(784, "sigmoid")(Dense(64, "relu")(z)))

    broken = Training(vae("relu"), x, x, "mse", "adam", explained(x), 64, 800)
    return broken, broken.but(model=vae(None))


@program("vessel-mask-relu-then-sigmoid", "output@output", "pullrequest.ru/8978825")
def _(rng):
    x, _ = pictures(rng, 160, 32, 1, 3)
    y = (x > 0.58).astype(float)

    def unet(last):
        image = Input((32, 32, 1))
        skip = Conv(12, 3, padding="same", activation="relu")(image)
        h = layers.MaxPooling2D()(skip)
        h = Conv(24, 3, padding="same", activation="relu")(h)
        h = layers.Concatenate()([layers.UpSampling2D()(h), skip])
        h = Conv(12, 3, padding="same", activation="relu")(h)
        h = Conv(1, 1, activation=last)(h)
        return keras.Model(image, layers.Activation("sigmoid")(h))

    broken = Training(unet("relu"), x, y, BCE, adam(0.002), accuracy(y), 16, 300)
    return broken, broken.but(model=unet(None))


@program("policy-loss-arguments-swapped", "loss@loss", "keras-team/keras#5733")
def _(rng):
    states, best = blobs(rng, 500, 6, 2)
    advantage = one_hot(best) * (0.5 + rng.random((500, 1)))

    def policy_loss(prediction, baseline):  # Keras gives (targets, predictions)
        return -ops.mean(ops.sum(ops.log(prediction) * baseline, axis=-1))

    def repaired(baseline, prediction):
        return -ops.mean(ops.sum(ops.log(prediction + 1e-7) * baseline, axis=-1))

    def actor():
        return net((6,), Dense(24, "relu"), Dense(24, "relu"), Dense(2, "softmax"))

    broken = Training(actor(), states, advantage, policy_loss, adam(0.005), accuracy(best))
    return broken, broken.but(model=actor(), loss=repaired)


@program("nerve-dice-without-minus", "loss@loss", "keras-team/keras#3611")
def _(rng):
    x, _ = pictures(rng, 160, 24, 1, 3)
    y = (x > 0.6).astype("float32")

    def dice(truth, made, smooth=1.0):
        shared = ops.sum(truth * made)
        return (2.0 * shared + smooth) / (ops.sum(truth) + ops.sum(made) + smooth)

    def dice_loss(truth, made):
        return 1.0 - dice(truth, made)

    def segment():
        body = [Conv(f, 3, padding="same", activation="relu") for f in (16, 32, 16)]
        return net((24, 24, 1), *body, Conv(1, 1, activation="sigmoid"))

    broken = Training(segment(), x, y, dice, adam(0.001), accuracy(y), 16, 200)
    return broken, broken.but(model=segment(), loss=dice_loss)


@program("signatures-euclidean-of-equals", "gradient@-1, loss@loss", "keras-team/keras#9097")
def _(rng):
    x, y = blobs(rng, 600, 20, 6)
    other = rng.permutation(600)
    other[:200] = np.arange(200)  # some pairs are one signature twice
    same = (y == y[other]).astype(float)

    def siamese(epsilon):
        tower = net((20,), Dense(64, "relu"), Dense(16))
        first, second = Input((20,), name="first"), Input((20,), name="second")
        gap = ops.square(tower(first) - tower(second))
        distance = ops.sqrt(ops.sum(gap, axis=1, keepdims=True) + epsilon)
        return keras.Model([first, second], distance)

    def contrastive(wanted, made):
        apart = ops.square(ops.maximum(1.0 - made, 0.0))
        return ops.mean(wanted * ops.square(made) + (1 - wanted) * apart)

    def near(made):
        return float(((made[:, 0] < 0.5) == same).mean())

    broken = Training(siamese(0.0), [x, x[other]], same, contrastive, "adam", near, steps=500)
    return broken, broken.but(model=siamese(1e-6))


@program(
    "anomaly-conv-weight-9999",
    "loss@loss, rate too high@optimizer",
    "exchangetuts.com 1640448663813022",
)
def _(rng):
    x, _ = waves(rng, 600, 40, 1)
    y = (rng.random(600) < 0.12).astype(int)
    x[y == 1, 10:16] += 2.0

    def detector():
        return net(
            (40, 1),
            layers.Conv1D(32, 5, activation="relu"),
            layers.MaxPooling1D(),
            layers.Conv1D(32, 3, activation="relu"),
            layers.Flatten(),
            Dense(1, "sigmoid"),
        )

    heavy = {"class_weight": {0: 1.0, 1: 9999.0}}
    broken = Training(detector(), x, y, BCE, sgd(0.01, 0.9), accuracy(y), weights=heavy)
    return broken, broken.but(model=detector(), weights={"class_weight": {0: 1.0, 1: 4.0}})


@program(
    "focal-loss-summed", "loss@loss, rate too high@optimizer", "umbertogriffo/focal-loss-keras#5"
)
def _(rng):
    x, y = blobs(rng, 640, 24, 2)

    def focal(reduce):
        def loss(truth, made):
            p = ops.clip(made, 1e-7, 1 - 1e-7)
            positive = -((1 - p) ** 2) * truth * ops.log(p)
            return reduce(positive - p**2 * (1 - truth) * ops.log(1 - p))

        return loss

    def scorer():
        return net((24,), Dense(128, "relu"), Dense(64, "relu"), Dense(1, "sigmoid"))

    broken = Training(
        scorer(), 3 * x, y, focal(ops.sum), sgd(0.3, 0.9), accuracy(y), batch=256, steps=200
    )
    return broken, broken.but(model=scorer(), loss=focal(ops.mean))


@program("label-smoothing-of-one", "loss@loss, labels@targets", "Humbatova et al. 2020: wrong loss")
def _(rng):
    x, y = pictures(rng, 400, 20, 3, 5)

    def model():
        return net(
            (20, 20, 3),
            Conv(16, 3, activation="relu"),
            layers.MaxPooling2D(),
            Conv(32, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            Dense(5, "softmax"),
        )

    wrong = keras.losses.CategoricalCrossentropy(label_smoothing=1.0)
    broken = Training(model(), x, one_hot(y), wrong, adam(0.005), accuracy(y), steps=300)
    right = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    return broken, broken.but(model=model(), loss=right)


@program(
    "claims-poisson-linear-end", "output@output, loss@loss", "Humbatova et al. 2020: activation"
)
def _(rng):
    x = rng.standard_normal((600, 8))
    rate = np.exp(0.4 * x[:, 0] - 0.5 * x[:, 1] + 0.6 * np.abs(x[:, 2]))
    y = rng.poisson(rate).astype(float)

    def claims(end):
        return net((8,), Dense(32, "relu"), Dense(32, "relu"), Dense(1, end))

    score = explained(rate)
    broken = Training(claims(None), x, y, "poisson", adam(0.003), score, steps=800)
    return broken, broken.but(model=claims("exponential"))


@program("mean-variance-net-negative-sigma", "output@output, loss@loss", "pullrequest.ru/13166888")
def _(rng):
    x = rng.uniform(-2, 2, (500, 1))
    clean = np.sin(2 * x[:, 0])
    y = (clean + 0.1 * (1 + x[:, 0] ** 2) * rng.standard_normal(500))[:, None]

    def likelihood(positive):
        def loss(truth, made):
            mean, variance = made[:, :1], positive(made[:, 1:])
            return ops.mean(0.5 * ops.log(variance) + 0.5 * ops.square(truth - mean) / variance)

        return loss

    def model():
        return net((1,), Dense(32, "tanh"), Dense(32, "tanh"), Dense(2))

    def of_mean(made):
        return explained(clean)(made[:, 0])

    def plain(values):
        return values

    def soft(values):
        return ops.softplus(values) + 1e-3

    broken = Training(model(), x, y, likelihood(plain), adam(0.005), of_mean, steps=1000)
    return broken, broken.but(model=model(), loss=likelihood(soft))


@program("attention-softmax-of-one", "gradient@1, hidden activation@1", "SO 56987142 (comments)")
def _(rng):
    values = rng.standard_normal((800, 15, 2))
    chosen = rng.integers(0, 15, 800)
    flag = one_hot(chosen, 15)[..., None]
    x = np.concatenate([values, flag], -1)
    y = values[np.arange(800), chosen, 0]

    def pooled(right):
        steps = Input((15, 3))
        if right:
            scores = layers.Softmax(axis=1)(Dense(1)(Dense(16, "tanh")(steps)))
        else:
            scores = Dense(1, "softmax")(steps)
        context = ops.sum(scores * steps, axis=1)
        return keras.Model(steps, Dense(1)(context))

    broken = Training(pooled(False), x, y, "mse", adam(0.01), explained(y), steps=600)
    return broken, broken.but(model=pooled(True))


@program("speech-tags-softmax-cce-multi-hot", "output@output, loss@loss", "SO 44164749")
def _(rng):
    kinds = rng.integers(0, 2, (600, 6)).astype("float32")
    x = np.einsum("nk,kt->nt", kinds, np.sin(np.outer(np.arange(1, 7), np.arange(48) / 4)))
    x = (x + 0.3 * rng.standard_normal(x.shape))[..., None]

    def tagger(end):
        return net(
            (48, 1),
            layers.Conv1D(32, 9, activation="relu"),
            layers.MaxPooling1D(2),
            layers.Conv1D(32, 5, activation="relu"),
            layers.Flatten(),
            layers.Dropout(0.1),
            Dense(6, end),
        )

    def right(made):
        return float(((made > 0.5) == kinds).mean())

    broken = Training(tagger("softmax"), x, kinds, CCE, adam(0.002), right, steps=500)
    return broken, broken.but(model=tagger("sigmoid"), loss=BCE)
