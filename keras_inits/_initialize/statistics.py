"""Statistics of weights, taken piece by piece: they need no copy of a weight."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_inits._sharding import local_parts, sharding_of

_FETCHED = 2**22  # numbers fetched at a time: 16 MiB in float32
_SUMMED = 2**18  # numbers summed in their own precision: the rest is added up in float64


def pieces(weight: Any) -> Iterator[NDArray[Any]]:
    """Yields the values of a variable as flat NumPy arrays; of a sharded one, what is here.

    In order, but for a sharded one.
    """
    if sharding_of(weight) is not None:
        for part in local_parts(weight):
            yield part.reshape(-1)
        return
    if math.prod(weight.shape) <= _FETCHED:
        yield ops.convert_to_numpy(weight).reshape(-1)
        return
    flat = ops.reshape(weight, (-1,))
    for start in range(0, flat.shape[0], _FETCHED):
        yield ops.convert_to_numpy(flat[start : start + _FETCHED])


def standard_deviation(weight: Any) -> float:
    """Returns the standard deviation of all entries; NaN for an empty weight."""
    mean, square = _moments(weight)
    return math.sqrt(max(0.0, square - mean**2))


def mean_square(weight: Any) -> float:
    """Returns the mean square of all entries; NaN for an empty weight."""
    return _moments(weight)[1]


def _moments(weight: Any) -> tuple[float, float]:
    count, total, squares = 0, 0.0, 0.0
    for fetched in pieces(weight):
        for start in range(0, fetched.size, _SUMMED):
            piece = fetched[start : start + _SUMMED]
            values = np.asarray(piece, "float64" if piece.dtype == "float64" else "float32")
            count += values.size
            total += float(values.sum(dtype="float64"))
            squares += float(np.dot(values, values))
    return (total / count, squares / count) if count else (math.nan, math.nan)
