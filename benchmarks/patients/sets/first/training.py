"""Layers, weights, penalties and the optimizer."""

import keras
import numpy as np
from data import blobs, digits, one_hot, pictures, series, standardized, waves, words
from keras import layers, ops
from nets import BCE, CCE, SPARSE, adam, net, sgd
from program import Program, Training, accuracy, explained, register

BROKEN: dict[str, Program] = {}
program = register(BROKEN, "Humbatova et al. 2020 (taxonomy)")

Dense, Input, Conv = layers.Dense, keras.Input, layers.Conv2D


# --- layers and what they pass on


@program(
    "frames-lstm-relu-wide", "hidden activation@0, hidden activation@1", "techfeed.net/es/485530"
)
def _(rng):
    x, y = series(rng, 300, 60)
    x, y = 20 * x, standardized(y)  # pixels of a tracked object

    def model(activation, scale):
        draw = keras.initializers.RandomUniform(-0.25, 0.25, seed=1)
        return net(
            (60, 1),
            layers.Rescaling(scale),
            layers.LSTM(64, activation=activation, return_sequences=True, kernel_initializer=draw),
            layers.LSTM(48, activation=activation, kernel_initializer=draw),
            Dense(32, "relu"),
            Dense(1),
        )

    broken = Training(model("relu", 1.0), x, y, "mse", "rmsprop", explained(y), steps=200)
    return broken, broken.but(model=model("tanh", 0.05))


@program("discriminator-frozen-for-the-gan", "gradient@model", "eriklindernoren/Keras-GAN#22")
def _(rng):
    real, _ = digits(rng, 200)
    fake = rng.uniform(-1, 1, (200, 28, 28))
    x = np.concatenate([real / 127.5 - 1, fake])[..., None]
    y = np.repeat([1.0, 0.0], 200)
    order = rng.permutation(400)

    def discriminator(trainable):
        body = keras.Sequential(
            [
                Input((28, 28, 1)),
                Conv(16, 3, strides=2, padding="same"),
                layers.LeakyReLU(negative_slope=0.2),
                layers.Dropout(0.25),
                Conv(32, 3, strides=2, padding="same"),
                layers.LeakyReLU(negative_slope=0.2),
                layers.Flatten(),
                Dense(1, "sigmoid"),
            ],
            name="discriminator",
        )
        body.trainable = trainable
        picture = Input((28, 28, 1))
        return keras.Model(picture, body(picture))

    broken = Training(
        discriminator(False), x[order], y[order], BCE, adam(2e-4, beta_1=0.5), accuracy(y[order])
    ).but(steps=100)
    return broken, broken.but(model=discriminator(True))


@program("codes-detached-from-encoder", "gradient@1, gradient@2", "Humbatova et al. 2020: gradient")
def _(rng):
    x, _ = digits(rng, 400)
    x = x.reshape(-1, 784) / 255

    def autoencoder(detach):
        picture = Input((784,))
        code = Dense(6, name="code")(Dense(64, "relu")(picture))
        if detach:  # meant for a second use of the code, put into the wrong place
            code = layers.Lambda(ops.stop_gradient)(code)
        return keras.Model(picture, Dense(784, "sigmoid")(Dense(64, "relu")(code)))

    broken = Training(autoencoder(True), x, x, "mse", adam(0.003), explained(x), steps=800)
    return broken, broken.but(model=autoencoder(False))


@program(
    "batch-norm-momentum-near-one", "layers@1, initialization@1", "tensorflow/tensorflow#48837"
)
def _(rng):
    x, y = pictures(rng, 300, 24, 3, 4)

    def classifier(momentum):
        return net(
            (24, 24, 3),
            Conv(16, 3),
            layers.BatchNormalization(momentum=momentum),
            layers.ReLU(),
            layers.MaxPooling2D(),
            Conv(32, 3),
            layers.BatchNormalization(momentum=momentum),
            layers.ReLU(),
            layers.GlobalAveragePooling2D(),
            Dense(4, "softmax"),
        )

    x = 255 * x
    broken = Training(classifier(0.99999), x, y, SPARSE, adam(0.003), accuracy(y), steps=200)
    return broken, broken.but(model=classifier(0.9))


@program("dropout-behind-the-output", "dropout@4, dropout@output", "Humbatova et al. 2020: layers")
def _(rng):
    x = rng.standard_normal((500, 10))
    y = 5 + np.sin(x[:, 0]) + 0.5 * x[:, 1]

    def demand(rate):
        inner = [Dense(48, "relu"), Dense(48, "relu"), Dense(24, "relu"), Dense(1)]
        return net((10,), *inner, *([layers.Dropout(rate)] if rate else []))

    broken = Training(demand(0.5), x, y, "mse", adam(0.003), explained(y), steps=600)
    return broken, broken.but(model=demand(0))


@program("padding-mask-inverted", "layers@2, gradient@2", "keras.io: attention masks, altered")
def _(rng):
    ids, y = words(rng, 500, 12, 600, 3)
    x = np.zeros((500, 24), int)
    x[:, :12] = ids + 1

    def encoder(shown):
        tokens = Input((24,), dtype="int32")
        h = layers.Embedding(601, 24)(tokens)
        mask = shown(tokens)[:, None, :]
        h = layers.MultiHeadAttention(2, 12)(h, h, attention_mask=mask)
        first = Dense(24, "relu")(h[:, 0])
        return keras.Model(tokens, Dense(3, "softmax")(first))

    hidden = encoder(lambda tokens: ops.equal(tokens, 0))
    broken = Training(hidden, x, y, SPARSE, adam(0.005), accuracy(y), steps=400)
    return broken, broken.but(model=encoder(lambda tokens: ops.not_equal(tokens, 0)))


@program("weights-rounded-to-zero", "gradient@loss, loss@loss", "Humbatova et al. 2020: loss")
def _(rng):
    x, y = blobs(rng, 500, 12, 3)
    importance = rng.integers(1, 90, 500)

    def survey():
        return net((12,), Dense(48, "relu"), Dense(24, "relu"), Dense(3, "softmax"))

    weights = {"sample_weight": (importance // 100).astype(float)}
    broken = Training(survey(), x, y, SPARSE, adam(0.003), accuracy(y), weights=weights)
    return broken, broken.but(model=survey(), weights={"sample_weight": importance / 45})


# --- weights at the start


@program("gru-kernels-of-zero-to-one", "initialization@0", "Humbatova et al. 2020: initialization")
def _(rng):
    x, y = waves(rng, 400, 40, 3)

    def model(**options):
        return net((40, 1), layers.GRU(48, **options), Dense(24, "relu"), Dense(3, "softmax"))

    def positive():
        return keras.initializers.RandomUniform(0.0, 1.0, seed=5)

    poor = model(kernel_initializer=positive(), recurrent_initializer=positive())
    broken = Training(poor, x, y, SPARSE, adam(0.003), accuracy(y), steps=400)
    return broken, broken.but(model=model())


@program("embedding-all-alike", "initialization@0", "Humbatova et al. 2020: initialization")
def _(rng):
    x, y = words(rng, 500, 20, 900)

    def sentiment(start):
        return net(
            (20,),
            layers.Embedding(900, 16, embeddings_initializer=start),
            layers.Conv1D(24, 3, activation="relu", kernel_initializer=start),
            layers.GlobalMaxPooling1D(),
            Dense(1, "sigmoid"),
        )

    broken = Training(sentiment("zeros"), x, y, BCE, adam(0.003), accuracy(y), steps=400)
    return broken, broken.but(model=sentiment("glorot_uniform"))


@program(
    "conv-normal-of-one",
    "initialization@0, initialization@2, initialization@4, initialization@5",
    "Humbatova et al. 2020: weights",
)
def _(rng):
    x, y = pictures(rng, 300, 24, 3, 5)

    def classifier(start):
        return net(
            (24, 24, 3),
            Conv(24, 3, activation="relu", kernel_initializer=start),
            layers.MaxPooling2D(),
            Conv(32, 3, activation="relu", kernel_initializer=start),
            layers.Flatten(),
            Dense(64, "relu", kernel_initializer=start),
            Dense(5, "softmax", kernel_initializer=start),
        )

    broken = Training(
        classifier(keras.initializers.RandomNormal(stddev=1.0)),
        x,
        one_hot(y),
        CCE,
        sgd(0.01),
        accuracy(y),
        steps=400,
    )
    return broken, broken.but(model=classifier("he_normal"), optimizer=sgd(0.003, 0.9))


@program(
    "scaled-down-residual-tower",
    ", ".join(f"initialization@{i}, gradient@{i}" for i in range(7)),
    "Humbatova et al. 2020: weights",
)
def _(rng):
    x, y = blobs(rng, 500, 20, 4)

    def tower(std):
        start = keras.initializers.TruncatedNormal(stddev=std)
        inner = [Dense(40, "relu", kernel_initializer=start) for _ in range(6)]
        return net((20,), *inner, Dense(4, "softmax", kernel_initializer=start))

    broken = Training(tower(0.01), x, y, SPARSE, sgd(0.05), accuracy(y), steps=500)
    start = "he_normal"
    inner = [Dense(40, "relu", kernel_initializer=start) for _ in range(6)]
    return broken, broken.but(model=net((20,), *inner, Dense(4, "softmax")))


# --- penalties


@program("sparse-codes-penalty-large", "regularization@loss", "keras blog: autoencoders, altered")
def _(rng):
    x, _ = digits(rng, 400)
    x = x.reshape(-1, 784) / 255

    def sparse(strength):
        penalty = keras.regularizers.L1(strength)
        picture = Input((784,))
        code = Dense(48, "relu", activity_regularizer=penalty, name="code")(picture)
        return keras.Model(picture, Dense(784, "sigmoid")(code))

    broken = Training(sparse(1.0), x, x, "mse", adam(0.002), explained(x), 64, 600)
    return broken, broken.but(model=sparse(1e-6))


# --- the optimizer


@program("board-game-q-rate-one", "rate too high@optimizer", "DS.SE 62167")
def _(rng):
    place = np.stack([rng.permutation(6)[:2] for _ in range(600)])
    board = np.zeros((600, 6))
    board[np.arange(600), place[:, 0]] = 8
    board[np.arange(600), place[:, 1]] = 5
    gap = place[:, 1] - place[:, 0]
    q = np.stack([0.9 ** np.abs(gap + 1), 0.9 ** np.abs(gap - 1)], 1)

    def agent():
        return net((6,), Dense(32, "relu"), Dense(32, "relu"), Dense(2))

    broken = Training(agent(), board, q, "mse", adam(0.3), explained(q), 64, 500)
    return broken, broken.but(model=agent(), x=board / 8, optimizer=adam(0.003))


@program("adam-epsilon-of-ten", "rate too low@optimizer", "Humbatova et al. 2020: optimizer")
def _(rng):
    x, y = pictures(rng, 300, 24, 3, 4)

    def classifier():
        h = image = Input((24, 24, 3))
        for filters in (16, 32):
            h = layers.SeparableConv2D(filters, 3, padding="same")(h)
            h = layers.MaxPooling2D()(layers.ReLU()(layers.BatchNormalization()(h)))
        return keras.Model(image, Dense(4, "softmax")(layers.GlobalAveragePooling2D()(h)))

    slow = adam(0.001, epsilon=10.0)
    broken = Training(classifier(), x, y, SPARSE, slow, accuracy(y), steps=300)
    return broken, broken.but(model=classifier(), optimizer=adam(0.005, epsilon=1e-4))


@program("decay-every-step", "rate too low@optimizer", "Humbatova et al. 2020: learning rate")
def _(rng):
    x, y = words(rng, 500, 24, 1000, 4)

    def topics():
        return net(
            (24,),
            layers.Embedding(1000, 24),
            layers.Bidirectional(layers.GRU(16)),
            layers.Dropout(0.2),
            Dense(4, "softmax"),
        )

    def decay(steps):
        return keras.optimizers.schedules.ExponentialDecay(0.003, steps, 0.5, staircase=True)

    broken = Training(topics(), x, y, SPARSE, adam(decay(4)), accuracy(y), steps=250)
    return broken, broken.but(model=topics(), optimizer=adam(decay(500)))


@program("pre-norm-encoder-rate-high", "rate too high@optimizer", "DS.SE 122686, altered")
def _(rng):
    x, y = words(rng, 500, 20, 600, 3)

    def encoder():
        tokens = Input((20,), dtype="int32")
        h = layers.Embedding(600, 32)(tokens)
        for _ in range(3):
            n = layers.LayerNormalization()(h)
            h = h + layers.MultiHeadAttention(2, 16)(n, n)
            n = layers.LayerNormalization()(h)
            h = h + Dense(32)(Dense(64, "gelu")(n))
        h = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(h))
        return keras.Model(tokens, Dense(3, "softmax")(h))

    broken = Training(encoder(), x, y, SPARSE, adam(0.2), accuracy(y), steps=200)
    return broken, broken.but(model=encoder(), optimizer=adam(0.001))


@program("rmsprop-half-on-gru", "rate too high@optimizer", "Humbatova et al. 2020: learning rate")
def _(rng):
    x, y = waves(rng, 400, 30, 4)

    def motion():
        return net((30, 1), layers.GRU(32), layers.Dropout(0.2), Dense(4, "softmax"))

    fast = keras.optimizers.RMSprop(0.5)
    broken = Training(motion(), x, y, SPARSE, fast, accuracy(y), steps=300)
    return broken, broken.but(model=motion(), optimizer=keras.optimizers.RMSprop(0.003))


@program(
    "half-floats-and-large-targets", "target scale@targets, loss@loss", "keras-team/keras#11832"
)
def _(rng):
    x = rng.standard_normal((500, 8))
    y = 400 + 120 * np.tanh(x[:, 0] + x[:, 1] * x[:, 2])

    def model():
        half = {"dtype": "float16"}
        given = Input((8,), dtype="float16")
        h = Dense(48, "relu", **half)(Dense(48, "relu", **half)(given))
        return keras.Model(given, Dense(1, **half)(h))

    stable = adam(0.005, epsilon=1e-4)
    broken = Training(model(), x.astype("float16"), y, "mse", stable, explained(y), steps=500)
    return broken, broken.but(
        model=model(), y=standardized(y), score=explained(y, y.std(), y.mean())
    )
