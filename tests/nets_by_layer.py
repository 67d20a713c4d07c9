"""Small nets of every kind of layer, each with data, a loss and an optimizer of its own."""

from collections.abc import Callable

import keras
import numpy as np
from keras import layers, ops

SHAPES = {"images": (8, 8, 2), "steps": (6, 4), "frames": (3, 6, 6, 1), "numbers": (12,)}
SAMPLES, CLASSES, WORDS = 32, 3, 10
SPARSE = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def _sequential(data: str, *parts: Callable, optimizer: object = "adam", dtype: str = "float32"):
    """Returns a function of a generator that gives a classifier, samples and classes."""

    def make(rng):
        if data == "words":
            x, given = rng.integers(0, WORDS, (SAMPLES, 6)), keras.Input((6,), dtype="int32")
        else:
            x = rng.normal(size=(SAMPLES, *SHAPES[data])).astype("float32")
            given = keras.Input(SHAPES[data])
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(dtype)
        try:
            inner = [part() for part in parts]
            model = keras.Sequential([given, *inner, layers.Dense(CLASSES, dtype="float32")])
        finally:
            keras.config.set_dtype_policy(before)
        model.compile(_fresh(optimizer), SPARSE)
        return model, x, _classes(x)

    return make


def _classes(x):
    """Returns by sample a class that its first numbers decide, each for as many samples."""
    first = x.reshape(len(x), -1)[:, :3].sum(1)
    return np.argsort(np.argsort(first, kind="stable")) * CLASSES // len(x)


def _fresh(optimizer):
    """Returns an optimizer that no model has been trained with."""
    found = keras.optimizers.get(optimizer)
    return type(found).from_config(found.get_config())


def _functional(data: str, function: Callable, optimizer: object = "adam"):
    """Returns the same for a function of the input."""

    def make(rng):
        x = rng.normal(size=(SAMPLES, *SHAPES[data])).astype("float32")
        given = keras.Input(SHAPES[data])
        model = keras.Model(given, layers.Dense(CLASSES)(function(given)))
        model.compile(_fresh(optimizer), SPARSE)
        return model, x, _classes(x)

    return make


def _shared(x):
    twice = layers.Dense(12, "tanh", name="twice")
    return twice(twice(x))


def _nested(x):
    given = keras.Input(SHAPES["numbers"])
    inner = keras.Model(given, layers.Dense(6, "gelu")(layers.Dense(8, "relu")(given)))
    return inner(x)


def _attention(x):
    x = x + layers.MultiHeadAttention(2, 2)(x, x, use_causal_mask=True)
    x = layers.LayerNormalization()(x + layers.GroupQueryAttention(2, 2, 1)(x, x))
    return layers.Flatten()(x)


def _plain_attention(x):
    query = layers.Dense(4)(x)
    found = [layers.Attention()([query, x]), layers.AdditiveAttention()([x, x])]
    return layers.Flatten()(layers.Concatenate()(found))


def _residual(x):
    x = layers.Conv2D(4, 3, padding="same")(x)
    branch = layers.Conv2D(4, 3, padding="same")(ops.relu(layers.BatchNormalization()(x)))
    return layers.GlobalAveragePooling2D()(x + branch)


def _gates(x):
    gate = layers.Dense(12, "sigmoid")(x)
    chosen = layers.Maximum()([x, layers.Dense(12)(x)])
    return layers.Add()([layers.Multiply()([gate, chosen]), (1 - gate) * x])


class Recurrence(layers.Layer):
    """A weight of its own, applied step by step."""

    def build(self, shape):
        self.step = self.add_weight(shape=(shape[-1], shape[-1]), name="step")

    def call(self, x):
        state = ops.zeros_like(x[:, 0])
        for i in range(x.shape[1]):
            state = ops.tanh(x[:, i] + state @ self.step)
        return state


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.read, self.hidden = Recurrence(), layers.Dense(8, "silu")
        self.norm, self.head = layers.LayerNormalization(), layers.Dense(CLASSES)

    def call(self, x, training=False):
        return self.head(self.norm(self.hidden(self.read(x))))


def subclassed(rng):
    model, x = Subclassed(), rng.normal(size=(SAMPLES, *SHAPES["steps"])).astype("float32")
    model(x[:2])
    model.compile("adam", SPARSE)
    return model, x, _classes(x)


def several_outputs(rng):
    x = {name: rng.normal(size=(SAMPLES, 6)).astype("float32") for name in ("left", "right")}
    given = {name: keras.Input((6,), name=name) for name in x}
    hidden = layers.Dense(8, "relu")(layers.Concatenate()([*given.values()]))
    ends = {"size": layers.Dense(1)(hidden), "side": layers.Dense(1, "sigmoid")(hidden)}
    model = keras.Model(given, ends)
    losses = {"size": "huber", "side": "binary_crossentropy"}
    model.compile("adam", losses, loss_weights={"size": 0.5, "side": 2.0})
    total = x["left"].sum(1, keepdims=True) + x["right"][:, :1]
    return model, x, {"size": total, "side": (total > 0).astype("float32")}


def autoencoder(rng):
    x = rng.uniform(size=(SAMPLES, *SHAPES["images"])).astype("float32")
    parts = [
        layers.Conv2D(4, 3, strides=2, padding="same", activation="leaky_relu"),
        layers.Conv2DTranspose(4, 4, strides=2, padding="same", activation="relu"),
        layers.Conv2D(2, 3, padding="same", activation="sigmoid"),
    ]
    model = keras.Sequential([keras.Input(SHAPES["images"]), *parts])
    model.compile("adam", "binary_crossentropy")
    return model, x, x


def tied(rng):
    table = layers.ReversibleEmbedding(WORDS, 8, tie_weights=True)
    given = keras.Input((6,), dtype="int32")
    end = table(layers.LSTM(8, return_sequences=True)(table(given)), reverse=True)
    model = keras.Model(given, end)
    model.compile("adam", SPARSE)
    x = rng.integers(0, WORDS, (SAMPLES, 6))
    return model, x, np.roll(x, -1, 1)


def normalized_columns(rng):
    x = (rng.normal(size=(SAMPLES, 12)) * 30 + 100).astype("float32")
    scaled = layers.Normalization()
    scaled.adapt(x)
    model = keras.Sequential([keras.Input((12,)), scaled, layers.Dense(8, "relu"), layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), "mae")
    return model, x, (x[:, :1] - 100) / 30


def _of(layer: Callable, *arguments, **options) -> Callable:
    return lambda: layer(*arguments, **options)


_FLAT, _POOLED, _MEAN = layers.Flatten, layers.GlobalAveragePooling2D, layers.GlobalAveragePooling1D
FAR = keras.initializers.RandomNormal(0, 20.0)
DECAY = keras.optimizers.schedules.ExponentialDecay(0.05, 5, 0.5)
NETS: dict[str, Callable] = {
    "dense": _sequential(
        "numbers",
        _of(layers.Dense, 16, "relu", kernel_regularizer="l2"),
        layers.BatchNormalization,
        _of(layers.Dense, 16, "selu", activity_regularizer="l1"),
        optimizer=keras.optimizers.SGD(DECAY, momentum=0.9, nesterov=True),
    ),
    "convolution": _sequential(
        "images",
        _of(layers.ZeroPadding2D, 1),
        _of(layers.Conv2D, 4, 3, strides=2, activation="relu"),
        layers.MaxPooling2D,
        _FLAT,
    ),
    "groups and dilation": _sequential(
        "images",
        _of(layers.Conv2D, 4, 3, groups=2, activation="elu"),
        _of(layers.Conv2D, 4, 2, dilation_rate=2),
        _of(layers.GroupNormalization, 2),
        _POOLED,
        optimizer="rmsprop",
    ),
    "convolution over steps": _sequential(
        "steps",
        _of(layers.Conv1D, 6, 3, padding="causal", activation="gelu"),
        _of(layers.SeparableConv1D, 6, 3),
        _of(layers.AveragePooling1D, 2),
        _FLAT,
    ),
    "convolution of volumes": _sequential(
        "frames", _of(layers.Conv3D, 3, 2, activation="relu"), layers.GlobalMaxPooling3D
    ),
    "depthwise": _sequential(
        "images",
        _of(layers.DepthwiseConv2D, 3, depth_multiplier=2, activation="relu"),
        _of(layers.SeparableConv2D, 4, 3, activation="swish"),
        _FLAT,
        optimizer="adamw",
    ),
    "transposed": _sequential(
        "images",
        _of(layers.Conv2DTranspose, 4, 3, strides=2, activation="relu"),
        _of(layers.UpSampling2D, 2),
        _of(layers.AveragePooling2D, 4),
        _FLAT,
    ),
    "simple recurrence": _sequential("steps", _of(layers.SimpleRNN, 6)),
    "long memory": _sequential(
        "steps", _of(layers.LSTM, 6, return_sequences=True), _of(layers.LSTM, 5)
    ),
    "gates": _sequential(
        "words", _of(layers.Embedding, WORDS, 5, mask_zero=True), _of(layers.GRU, 6)
    ),
    "both ways": _sequential(
        "steps",
        layers.Masking,
        lambda: layers.Bidirectional(layers.LSTM(4, return_sequences=True)),
        lambda: layers.Bidirectional(layers.GRU(4, reset_after=False)),
    ),
    "cells": _sequential(
        "steps",
        lambda: layers.RNN([layers.LSTMCell(4), layers.GRUCell(3)], return_sequences=True),
        _MEAN,
    ),
    "convolutional memory": _sequential("frames", _of(layers.ConvLSTM2D, 2, 3), _FLAT),
    "time distributed": _sequential(
        "frames",
        lambda: layers.TimeDistributed(layers.Conv2D(2, 3, activation="relu")),
        lambda: layers.TimeDistributed(layers.Flatten()),
        lambda: layers.TimeDistributed(layers.Dense(4, "tanh")),
        _FLAT,
    ),
    "attention": _functional("steps", _attention),
    "plain attention": _functional("steps", _plain_attention),
    "averaged words": _sequential(
        "words", _of(layers.Embedding, WORDS, 8, mask_zero=True), _MEAN, optimizer="adagrad"
    ),
    "normalizations": _sequential(
        "images",
        _of(layers.Conv2D, 4, 3),
        layers.LayerNormalization,
        layers.PReLU,
        _of(layers.GroupNormalization, -1),
        _of(layers.Conv2D, 4, 3),
        layers.RMSNormalization,
        layers.UnitNormalization,
        _FLAT,
    ),
    "spectral": _sequential(
        "numbers",
        lambda: layers.SpectralNormalization(layers.Dense(8, "relu")),
        _of(layers.Dense, 8, "softplus"),
        optimizer=keras.optimizers.SGD(1e-6),
    ),
    "einsum": _sequential(
        "steps",
        _of(layers.EinsumDense, "abc,cd->abd", (6, 5), activation="mish", bias_axes="d"),
        _FLAT,
    ),
    "shared": _functional("numbers", _shared, "lion"),
    "nested": _functional("numbers", _nested, keras.optimizers.Adam(0.01, clipnorm=1.0)),
    "skip": _functional("images", _residual),
    "multiplied": _functional("numbers", _gates, keras.optimizers.SGD(300.0)),
    "dead units": _sequential(
        "numbers",
        _of(layers.Dense, 16, "relu", bias_initializer=keras.initializers.Constant(-9.0)),
        _of(layers.Dense, 16, "relu"),
    ),
    "saturated": _sequential(
        "numbers",
        _of(layers.Dense, 16, "tanh", kernel_initializer=FAR),
        _of(layers.Dense, 16, "sigmoid", kernel_initializer=FAR),
    ),
    "half precision": _sequential(
        "images",
        _of(layers.Conv2D, 4, 3, activation="relu"),
        layers.BatchNormalization,
        _FLAT,
        _of(layers.Dense, 8, "relu"),
        dtype="mixed_bfloat16",
    ),
    "subclassed": subclassed,
    "several outputs": several_outputs,
    "autoencoder": autoencoder,
    "tied": tied,
    "normalized columns": normalized_columns,
}
