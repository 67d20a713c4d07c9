"""Second moments carried through a graph, next to what random weights make."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_inits as ki
from keras_inits._moments import Signal


def rms_of_last(model, data, seeds=4):
    """The last kernel's output over what was asked of it: a median of root mean squares."""
    found = []
    for seed in range(seeds):
        row = [row for row in ki.initialize(model, "auto", seed=seed).rows if row.geometry][-1]
        output = ops.convert_to_numpy(model(data, training=True))
        found.append(np.sqrt(np.mean(output**2) / row.second_moment))
    return np.median(found)


def mean_of_rows(count):
    inputs = keras.Input((32,), dtype="int32")
    x = layers.GlobalAveragePooling1D()(layers.Embedding(count, 64)(inputs))
    return keras.Model(inputs, layers.Dense(16)(x))


def test_two_places_meet_a_row_of_a_small_table():
    data = {n: np.random.default_rng(0).integers(0, n, (32, 32)) for n in (2, 500)}
    for count, tokens in data.items():
        assert rms_of_last(mean_of_rows(count), tokens) == pytest.approx(1, abs=0.25)
    # Rows of a large vocabulary are taken to differ: of two of them another mean is left.
    assert rms_of_last(mean_of_rows(500), data[2]) > 2


def normalized_blocks(normalization):
    x = inputs = keras.Input((8, 8, 4))
    for _ in range(5):
        x = layers.Conv2D(16, 3, padding="same", use_bias=False)(x)
        x = layers.ReLU()(normalization()(x))
    return keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def test_a_batch_normalization_takes_constants_of_channels_off(monkeypatch):
    rng = np.random.default_rng(0)
    # Places as alike as inputs are taken to be.
    images = rng.normal(size=(64, 8, 8, 4)) + rng.normal(size=(64, 1, 1, 4))
    images = (images / 2**0.5).astype("float32")
    model = normalized_blocks(layers.BatchNormalization)
    assert rms_of_last(model, images) == pytest.approx(1, abs=0.15)
    monkeypatch.setattr(Signal, "common", 0.0)
    assert rms_of_last(model, images) < 0.85
