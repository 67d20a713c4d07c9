"""Reading a model's operations without running it."""

from typing import Any

import keras

from keras_inits._wiring import Wiring, wiring

L = keras.layers
_SHAPING = (
    L.Reshape,
    L.Flatten,
    L.Permute,
    L.Identity,
    L.Cropping1D,
    L.Cropping2D,
    L.Cropping3D,
    L.UpSampling2D,
    L.ActivityRegularization,
)
# The same of `keras.ops`, by the names of their classes, which are not public.
_SHAPING_OPERATIONS = (
    "Squeeze",
    "Reshape",
    "ExpandDims",
    "Transpose",
    "Swapaxes",
    "Moveaxis",
    "Cast",
)


def shapes(operation: Any) -> bool:
    """Returns whether an operation hands on its values, in another shape or type."""
    if isinstance(operation, keras.Layer):
        return isinstance(operation, _SHAPING)
    return type(operation).__name__ in _SHAPING_OPERATIONS


def drawn(model: keras.Model, x: Any) -> Wiring | None:
    """Returns the picture of a model; None where it cannot be traced."""
    try:
        return wiring(model, x)
    except Exception:  # a model's own code may want real numbers
        return None


def tensors_of(holder: Any, attribute: str) -> list[Any]:
    """Returns the symbolic tensors of a layer or model; none where it has none, or several sets."""
    try:
        return list(keras.tree.flatten(getattr(holder, attribute)))
    except (AttributeError, ValueError):
        return []
