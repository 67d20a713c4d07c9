"""Statistics of weights, taken piece by piece: they need no copy of a weight."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

_PIECE = 2**18  # numbers at a time: 1 MiB in float32, which stays in the cache


def pieces(weight: Any) -> Iterator[NDArray[np.floating[Any]]]:
    """Yields the values of a variable in order, as flat NumPy arrays."""
    if math.prod(weight.shape) <= _PIECE:
        yield ops.convert_to_numpy(weight).reshape(-1)
        return
    flat = ops.reshape(weight, (-1,))
    for start in range(0, flat.shape[0], _PIECE):
        yield ops.convert_to_numpy(flat[start : start + _PIECE])


def standard_deviation(weight: Any) -> float:
    """Returns the standard deviation of all entries; NaN for an empty weight."""
    count, total, squares = 0, 0.0, 0.0
    for piece in pieces(weight):
        values = np.asarray(piece, "float32" if piece.dtype.itemsize < 8 else "float64")
        count += values.size
        total += float(values.sum(dtype="float64"))
        squares += float(np.dot(values, values))
    if not count:
        return math.nan
    mean = total / count
    return math.sqrt(max(0.0, squares / count - mean**2))
