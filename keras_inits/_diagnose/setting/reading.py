"""Reading a model's operations without running it."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_inits._wiring import Wiring, wiring

L = keras.layers
_OPEN = 8  # in the place of a size that is not known
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


def hands_on(layer: Any) -> bool:
    """Returns whether a layer without weights puts out the values that it is given.

    So does one of the user's own that casts pixels and does not scale them. It is run on numbers
    from 0 to 255.
    """
    given = tensors_of(layer, "input")
    if not isinstance(layer, keras.Layer) or layer.weights or len(given) != 1:
        return False
    (tensor,) = given
    shape = [size or _OPEN for size in (2, *tensor.shape[1:])]
    x = np.random.default_rng(0).integers(0, 256, shape).astype("float32")
    try:
        with keras.StatelessScope():  # what layers inside of it assign is forgotten
            made = ops.convert_to_numpy(layer(ops.cast(x, tensor.dtype), training=False))
    except Exception:  # whatever a layer's own code says of such numbers
        return False
    x = ops.convert_to_numpy(ops.cast(x, tensor.dtype)).astype("float64")
    return made.size == x.size and bool((np.sort(made, axis=None) == np.sort(x, axis=None)).all())


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
