"""Programs that train well in some seconds: the mutants are made of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from data import blobs, digits, one_hot, pictures, series, standardized, waves, words
from keras import layers, ops
from nets import BCE, CCE, SPARSE, adam, sgd
from program import Score, Training, accuracy, explained

Dense, Conv2D = layers.Dense, layers.Conv2D
REFUSED = -2.0
HELD = 0.25  # of the samples: no step is made on them, and the score is theirs


@dataclass(frozen=True, eq=False)
class Trained(Training):
    """A training whose score is that of samples held out, the last of `x`.

    Attributes:
        truth: the classes, as they were before a mutation; None where `y` is to be explained.
        measure: from the classes, or from `y`, to a score.
    """

    truth: Any = None
    measure: Callable[[Any], Score] = accuracy

    def train(self, seed: int) -> float:
        """Returns the score after training; -1 where it ends in NaN, `REFUSED` where it fails."""
        goal = keras.tree.flatten(self.y if self.truth is None else self.truth)[0]
        cut = round((1 - HELD) * len(goal))
        x, y, weights = (
            keras.tree.map_structure(lambda part: np.asarray(part)[:cut], structure)
            for structure in (self.x, self.y, self.weights.get("sample_weight", ()))
        )
        given = {**self.weights, **({"sample_weight": weights} if len(weights) else {})}
        keras.utils.set_random_seed(seed)
        model = self.compile(steps_per_execution=min(50, cut // self.batch))
        epochs = max(1, round(self.steps * self.batch / cut))
        try:
            model.fit(x, y, batch_size=self.batch, epochs=epochs, verbose=0, **given)
            held = keras.tree.map_structure(lambda part: np.asarray(part)[cut:], self.x)
            made = keras.tree.flatten(model.predict(held, batch_size=256, verbose=0))[0]
        except Exception:  # whatever Keras or the backend raises: the program does not run
            return REFUSED
        return self.measure(goal[cut:])(made) if np.isfinite(made).all() else -1.0

    def but(self, **changes: Any) -> Trained:
        """Returns the same training with some parts changed."""
        return dataclasses.replace(self, **changes)


BASES: dict[str, Callable[[np.random.Generator], Trained]] = {}


def base(key: str) -> Callable[[Callable[[Any], Trained]], Callable[[Any], Trained]]:
    """Returns a decorator that enters a program under `key`."""
    return lambda made: BASES.setdefault(key, made)


def balanced(labels: Any) -> Score:
    """Returns the score of one unit: the mean of the shares of both classes that are found."""
    return lambda made: float(
        np.mean([np.mean((made.reshape(-1)[labels == c] > 0.5) == c) for c in (0, 1)])
    )


def chain(shape: tuple[int, ...], *rest: Any) -> keras.Model:
    """Returns a functional model of layers one after another."""
    given = made = keras.Input(shape)
    for layer in rest:
        made = layer(made)
    return keras.Model(given, made)


@base("table-classes")
def _(rng):
    x, y = blobs(rng, 2400, 20, 4)
    m = chain((20,), Dense(64, "relu"), Dense(32, "relu"), Dense(4, "softmax"))
    return Trained(m, standardized(x), y, SPARSE, adam(), accuracy, 32, 600, truth=y)


@base("house-prices")
def _(rng):
    n = 2000
    area, rooms, age = rng.uniform(40, 250, n), rng.integers(1, 8, n), rng.uniform(0, 90, n)
    center, floor = rng.exponential(8, n), rng.integers(0, 12, n)
    price = 3000 * area * np.exp(-center / 15) + 9000 * rooms + 400 * (age - 45) ** 2 / 10
    price = price * (1 + 0.05 * rng.standard_normal(n)) + 1500 * floor
    x = standardized(np.stack([area, rooms, age, center, floor], 1))
    m = chain((5,), Dense(64, "relu"), Dense(64, "relu"), Dense(1))
    y = standardized(price)[:, None]
    return Trained(m, x, y, "mse", adam(), explained, 32, 800, measure=explained)


@base("digits-cnn")
def _(rng):
    x, y = digits(rng, 1600)
    m = chain(
        (28, 28, 1),
        Conv2D(16, 3, activation="relu"),
        layers.MaxPooling2D(),
        Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        Dense(64, "relu"),
        layers.Dropout(0.3),
        Dense(10, "softmax"),
    )
    return Trained(m, x[..., None] / 255, one_hot(y), CCE, adam(), accuracy, 64, 120, truth=y)


@base("pictures-batchnorm")
def _(rng):
    x, y = pictures(rng, 1600, 16, 3, 6)
    blocks = [
        layer
        for width in (16, 32)
        for layer in (
            Conv2D(width, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.MaxPooling2D(),
        )
    ]
    m = chain((16, 16, 3), *blocks, layers.GlobalAveragePooling2D(), Dense(6, "softmax"))
    return Trained(m, x, y, SPARSE, sgd(0.05, 0.9), accuracy, 32, 250, truth=y)


@base("waves-conv1d")
def _(rng):
    x, y = waves(rng, 1600, 64, 4)
    m = chain(
        (64, 1),
        layers.Conv1D(16, 5, activation="relu"),
        layers.MaxPooling1D(),
        layers.Conv1D(32, 5, activation="relu"),
        layers.GlobalMaxPooling1D(),
        Dense(4),
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return Trained(m, x, y, loss, keras.optimizers.RMSprop(2e-3), accuracy, 32, 300, truth=y)


@base("reviews-lstm")
def _(rng):
    x, y = words(rng, 1600, 20, 400)
    x[np.arange(20) < rng.integers(0, 12, 1600)[:, None]] = 0
    rows = np.arange(1600)
    x[rows, rng.integers(12, 20, 1600)] = 1 + 2 * y + rng.integers(0, 2, 1600)
    m = chain(
        (20,),
        layers.Embedding(400, 16, mask_zero=True),
        layers.LSTM(32),
        Dense(1, "sigmoid"),
    )
    return Trained(m, x, y, BCE, adam(5e-3), accuracy, 32, 250, truth=y)


@base("season-gru")
def _(rng):
    x, y = series(rng, 1600, 24)
    m = chain((24, 1), layers.GRU(32), Dense(1))
    return Trained(m, x, y[:, None], "mse", adam(3e-3), explained, 32, 300, measure=explained)


@base("topics-pooling")
def _(rng):
    x, y = words(rng, 2000, 20, 1000, 3)
    m = chain(
        (20,),
        layers.Embedding(1000, 16),
        layers.GlobalAveragePooling1D(),
        Dense(32, "relu"),
        layers.Dropout(0.2),
        Dense(3, "softmax"),
    )
    return Trained(m, x, y, SPARSE, adam(5e-3), accuracy, 32, 600, truth=y)


@base("waves-transformer")
def _(rng):
    x, y = waves(rng, 1600, 64, 4)
    given = keras.Input((8, 8))
    h = Dense(32)(given)
    h = layers.LayerNormalization()(layers.Add()([h, layers.MultiHeadAttention(2, 16)(h, h)]))
    inner = Dense(32)(Dense(64, "gelu")(h))
    h = layers.LayerNormalization()(layers.Add()([h, inner]))
    m = keras.Model(given, Dense(4, "softmax")(layers.GlobalAveragePooling1D()(h)))
    return Trained(m, x.reshape(-1, 8, 8), y, SPARSE, adam(2e-3), accuracy, 32, 200, truth=y)


@base("digits-autoencoder")
def _(rng):
    x = digits(rng, 1600)[0].reshape(-1, 784) / 255
    m = chain(
        (784,),
        Dense(128, "relu"),
        Dense(32, "relu"),
        Dense(128, "relu"),
        Dense(784, "sigmoid"),
    )
    return Trained(m, x, x, BCE, adam(2e-3), explained, 32, 400, measure=explained)


@base("siamese-pairs")
def _(rng):
    x, kind = blobs(rng, 4000, 10, 3, informative=10)
    x = standardized(x)
    one, other = x[:2000], x[2000:]
    y = (kind[:2000] == kind[2000:]).astype("float32")
    given = [keras.Input((10,)), keras.Input((10,))]
    tower = [Dense(32, "relu"), Dense(16, "relu")]
    a, b = (tower[1](tower[0](part)) for part in given)
    h = layers.Concatenate()([ops.abs(a - b), layers.Multiply()([a, b])])
    m = keras.Model(given, Dense(1, "sigmoid")(Dense(32, "relu")(h)))
    return Trained(m, [one, other], y, BCE, adam(3e-3), accuracy, 32, 900, truth=y)


@base("two-outputs")
def _(rng):
    x, y = blobs(rng, 2000, 12, 3)
    x = standardized(x)
    value = standardized(x[:, 0] * x[:, 1] + x[:, 2] + 0.1 * rng.standard_normal(2000))
    given = keras.Input((12,))
    h = Dense(64, "relu")(Dense(64, "relu")(given))
    m = keras.Model(given, [Dense(3, "softmax", name="kind")(h), Dense(1, name="value")(h)])
    goals = [y, value[:, None]]
    return Trained(m, x, goals, [SPARSE, "mse"], adam(), accuracy, 32, 600, truth=y)


@base("rare-class")
def _(rng):
    n = 2400
    y = (rng.random(n) < 1 / 6).astype(int)
    x = rng.standard_normal((n, 12))
    x[:, :4] += 2.2 * y[:, None] * np.sign(rng.standard_normal((n, 1)))
    m = chain((12,), Dense(32, "relu"), Dense(16, "relu"), Dense(1, "sigmoid"))
    return Trained(m, x, y[:, None], BCE, adam(2e-3), balanced, 32, 800, truth=y, measure=balanced)


@base("residual-table")
def _(rng):
    x = rng.standard_normal((4000, 6))
    y = np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2] + 0.5 * np.abs(x[:, 3])
    given = keras.Input((6,))
    h = Dense(64)(given)
    for _ in range(3):
        inner = Dense(64, "relu")(layers.LayerNormalization()(h))
        h = layers.Add()([h, Dense(64)(inner)])
    m = keras.Model(given, Dense(1)(h))
    y = standardized(y + 0.1 * rng.standard_normal(4000))
    optimizer = keras.optimizers.AdamW(2e-3, weight_decay=1e-3)
    return Trained(m, x, y, "mse", optimizer, explained, 64, 500, measure=explained)
