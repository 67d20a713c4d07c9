"""What Keras keeps on tensors, and the memory of TensorFlow's. Tried with Keras 3.12.0, 3.15.1."""

import importlib
import math
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TENSOR_NOTES = ("_keras_mask", "_keras_logits")


def copy_tensor_notes(source: Any, target: Any) -> None:
    """Copies what Keras keeps on a tensor (its mask, the logits behind softmax) to a copy of it."""
    for name in _TENSOR_NOTES:
        if (value := getattr(source, name, None)) is not None:
            setattr(target, name, value)


def logits_of(tensor: Any) -> Any:
    """Returns the logits that Keras computes cross-entropy from; None where there are none."""
    return getattr(tensor, "_keras_logits", None)


def set_logits(tensor: Any, logits: Any) -> None:
    """Sets the logits that Keras computes cross-entropy from."""
    tensor._keras_logits = logits


def mask_of(tensor: Any) -> Any:
    """Returns the mask that Keras keeps on a tensor; None where there is none."""
    if (mask := getattr(tensor, "_keras_mask", None)) is not None:
        return mask
    # Arrays of JAX take no attributes: there is a table of masks by the identities of arrays.
    module = sys.modules.get("keras.src.backend.common.tensor_attributes")
    return module and module.get_tensor_attr(tensor, "_keras_mask")


def copy_mask(source: Any, target: Any) -> None:
    """Copies the mask that Keras keeps on a tensor to a copy of it."""
    module = sys.modules.get("keras.src.backend.common.tensor_attributes")
    if module is not None and (mask := mask_of(source)) is not None:
        module.set_tensor_attr(target, "_keras_mask", mask)


def unsafe_empty(shape: tuple[int, ...], dtype: str) -> tuple[Any, NDArray[Any]]:
    """Returns a new tensor of TensorFlow's on the CPU, and a flat writable array of its memory.

    TensorFlow takes tensors for constant. Writing to this one is sound as long as nothing has read
    it: fill the array first, then use the tensor, and keep no reference to the array. Without
    `tf.raw_ops.Empty` or DLPack the two lie in an array and a copy is made later.

    Tried with TensorFlow 2.21.

    Args:
        shape: the shape of the tensor.
        dtype: float32 or float64.
    """
    # By name, since the plugin needs no TensorFlow: here it is the backend, and loaded.
    tf = importlib.import_module("tensorflow")
    try:
        with tf.device("CPU:0"):
            tensor = tf.raw_ops.Empty(shape=shape, dtype=dtype)
        view = np.from_dlpack(tensor)
    except (AttributeError, TypeError, BufferError, RuntimeError):
        array = np.empty(math.prod(shape), dtype)
        return array.reshape(shape), array
    memory = np.ctypeslib.as_ctypes_type(dtype) * view.size
    return tensor, np.ctypeslib.as_array(memory.from_address(view.ctypes.data))
