"""A frozen base, and inputs in another range than that of its training."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_inits._diagnose.setting.run import examine

PICTURES = np.clip(np.random.default_rng(0).normal(0.5, 0.2, (48, 8, 8, 3)), 0, 1)
KINDS = np.arange(48) % 3


def with_base_of(x, *, frozen=True):
    """Returns a model on a base whose statistics are those of `x`."""
    keras.utils.set_random_seed(0)
    convolution = layers.Conv2D(6, 3, use_bias=False)
    normalization = layers.BatchNormalization()
    base = keras.Sequential([keras.Input((8, 8, 3)), convolution, normalization, layers.ReLU()])
    made = np.asarray(keras.ops.convert_to_numpy(convolution(x.astype("float32"))))
    normalization.moving_mean.assign(made.mean((0, 1, 2)))
    normalization.moving_variance.assign(made.var((0, 1, 2)))
    base.trainable = not frozen
    inputs = keras.Input((8, 8, 3))
    pooled = layers.GlobalAveragePooling2D()(base(inputs))
    model = keras.Model(inputs, layers.Dense(3, "softmax")(pooled))
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def ranges(model, x):
    found = examine(model, x.astype("float32"), KINDS, trials=False).findings
    return [f.remedy.rpartition("x = ")[2] for f in found if f.kind == "input scale"]


@pytest.mark.parametrize(
    ("trained", "given", "change"),
    [
        (255 * PICTURES, PICTURES, "x * 255"),
        (PICTURES, np.round(255 * PICTURES), "x / 255"),
        (2 * PICTURES - 1, np.round(255 * PICTURES), "x / 127.5 - 1"),
        (255 * PICTURES, 2 * PICTURES - 1, "(x + 1) * 127.5"),
    ],
)
def test_the_range_of_the_training_is_named(trained, given, change):
    (remedy,) = ranges(with_base_of(trained), given)
    scaled = eval(change, {"x": given})
    assert remedy == change
    assert ranges(with_base_of(trained), scaled) == []


def test_darker_pictures_and_statistics_that_will_follow_are_left_alone():
    assert ranges(with_base_of(PICTURES), 0.3 * PICTURES) == []
    assert ranges(with_base_of(255 * PICTURES, frozen=False), PICTURES) == []
