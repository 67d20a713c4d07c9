"""Models that take a batch as a whole, of one size: graphs side by side, tokens among experts."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_inits import diagnose


class _Mixed(layers.Layer):
    """Adds to each of 40 samples the mean of its group of 8."""

    def call(self, x):
        groups = ops.reshape(x, (5, 8, 6))
        return ops.reshape(groups + ops.mean(groups, axis=1, keepdims=True), (40, 6))


def _model():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,), batch_size=40)
    hidden = layers.Dense(16, "relu")(_Mixed()(inputs))
    model = keras.Model(inputs, layers.Dense(1, "sigmoid")(hidden))
    model.compile("adam", "binary_crossentropy")
    return model


def test_a_model_of_whole_batches_is_diagnosed_and_the_report_says_what_was_not_looked_at():
    rng = np.random.default_rng(0)
    report = diagnose(_model(), rng.normal(size=(40, 6)), rng.integers(0, 2, 40))
    assert report.loss > 0
    assert not report.findings
    assert any("takes this batch as a whole" in note for note in report.notes)


def test_a_batch_that_the_model_cannot_take_is_refused_in_its_own_words():
    rng = np.random.default_rng(0)
    with pytest.raises(Exception, match=r"24|144|reshape"):
        diagnose(_model(), rng.normal(size=(24, 6)), rng.integers(0, 2, 24))
