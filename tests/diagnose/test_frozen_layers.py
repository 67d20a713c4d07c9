"""Layers that were frozen: what is said of their sizes."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_inits import diagnose


def _on_a_base(scale, trainable):
    """Returns a head on seven ReLU layers, each of which multiplies its signal by `scale`."""
    keras.utils.set_random_seed(0)
    kernel = keras.initializers.RandomNormal(stddev=scale * (2 / 64) ** 0.5)
    base = keras.Sequential([keras.Input((64,))], name="base")
    for _ in range(7):
        base.add(layers.Dense(64, "relu", kernel_initializer=kernel))
    base.trainable = trainable
    inputs = keras.Input((64,))
    model = keras.Model(inputs, layers.Dense(1)(base(inputs, training=False)))
    model.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True))
    return model


@pytest.mark.parametrize(
    ("scale", "trainable", "found"),
    [(0.6, False, False), (0.6, True, True), (0.005, False, True)],
    ids=["frozen", "trained", "frozen, and lost"],
)
def test_a_signal_that_fades_in_frozen_layers_is_meant_unless_it_is_lost(scale, trainable, found):
    model = _on_a_base(scale, trainable)
    x = np.random.default_rng(0).normal(size=(64, 64)).astype("float32")
    report = diagnose(model, x)  # without targets no trial weighs what is seen
    assert any(f.kind == "vanishing" for f in report.findings) is found
