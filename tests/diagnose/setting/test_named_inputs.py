"""Inputs that are given by name to a model that was made with a list."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_inits import diagnose


@pytest.mark.parametrize(("scale", "found"), [(1, False), (500, True)], ids=["small", "large"])
def test_inputs_by_name_are_judged_by_what_reads_them(scale, found):
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 128)
    words = rng.integers(1, 900, (128, 6)) * (1 - y[:, None]) + y[:, None]
    amounts = scale * (rng.normal(size=(128, 4)) + y[:, None]).astype("float32")
    # By name "amounts" comes first, in the model "words".
    title, numbers = keras.Input((6,), name="words"), keras.Input((4,), name="amounts")
    embedded = layers.GlobalAveragePooling1D()(layers.Embedding(1000, 8)(title))
    joined = layers.Concatenate()([embedded, layers.Dense(8, "relu")(numbers)])
    model = keras.Model([title, numbers], layers.Dense(1, "sigmoid")(joined))
    model.compile("adam", "binary_crossentropy")
    report = diagnose(model, {"words": words, "amounts": amounts}, y)
    scales = [f for f in report.findings if f.kind == "input scale"]
    assert bool(scales) is found
    assert all("input 1" in f.evidence for f in scales)
