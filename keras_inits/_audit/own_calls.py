"""Layers of the user's own that take the scale of their kernel away, as weight standardization."""

import math

import keras
import numpy as np

from keras_inits._keras_internals import of_keras, variables_replaced
from keras_inits._layers import OwnedWeight
from keras_inits._wiring import Call, Wiring

_LIKE = 0.05  # of the output, for an epsilon


def ignores_scale(found: Wiring, call: Call, owned: OwnedWeight) -> bool:
    """Returns whether a layer that is none of Keras's own makes the same of its kernel times 2.

    It is called with two small kernels, so that no bounded activation hides the factor.

    Args:
        found: the wiring of the model.
        call: of the layer.
        owned: its kernel.
    """
    shapes = found.shapes_into(call)
    if of_keras(owned.layer) or len(shapes) != 1:
        return False
    values = keras.ops.convert_to_numpy(owned.weight)
    size = float(np.sqrt(np.mean(np.square(values, dtype="float64")) * values[..., 0].size))
    if not math.isfinite(size) or not size:
        return False
    # The sides of an image may be open.
    x = np.random.default_rng(0).standard_normal([n or 2**5 for n in (2, *shapes[0][1:])])
    try:
        small, twice = (_made(owned, x.astype("float32"), f * values / size) for f in (0.1, 0.2))
    except Exception:  # whatever a user's layer raises: nothing is known of it
        return False
    return bool(np.any(small)) and np.allclose(small, twice, _LIKE, _LIKE * np.abs(small).max())


def _made(owned: OwnedWeight, x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Returns what a layer makes of an input with other values of its kernel."""
    value = keras.ops.convert_to_tensor(kernel, owned.weight.dtype)
    with variables_replaced([(owned.weight, value)]):
        return np.asarray(keras.ops.convert_to_numpy(owned.layer(x, training=False)), "float64")
