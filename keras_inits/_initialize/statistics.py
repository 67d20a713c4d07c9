"""Statistics of weights, taken piece by piece: they need no copy of a weight."""

import math
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_inits import _sharding

_FETCHED = 2**22  # numbers fetched at a time: 16 MiB in float32
_COPIED = 2**14  # numbers of a weight that is copied: larger ones are read where they lie
_Sums = tuple[int, float, float]
_SUMMED = 2**18  # numbers summed in their own precision: the rest is added up in float64


def standard_deviation(weight: Any) -> float:
    """Returns the standard deviation of all entries; NaN for an empty weight."""
    mean, square = _moments(weight)
    return math.sqrt(max(0.0, square - mean**2))


def mean_square(weight: Any) -> float:
    """Returns the mean square of all entries; NaN for an empty weight.

    Gains follow from it: it has nine digits, which do not depend on how a weight is cut, and it is
    that of the whole weight where each process holds a share.
    """
    return float(f"{_mean_square(weight):.9g}")


def _mean_square(weight: Any) -> float:
    if not _sharding.spans_processes(weight):
        return _moments(weight, "float64")[1]
    parts = [_sums(part.reshape(-1), "float64") for part in _sharding.first_copies(weight)]
    sums = [each for piece in parts for each in piece]
    mine = sum(size for size, _, _ in sums), math.fsum(square for _, _, square in sums)
    count, square = _sharding.from_every_process(mine).sum(axis=0)
    return float(square / count) if count else math.nan


def _moments(weight: Any, precision: str = "float32") -> tuple[float, float]:
    """Returns the mean and the mean square of all entries that this process holds."""
    sums = [each for piece in _sums_of_pieces(weight, precision) for each in piece]
    count = sum(size for size, _, _ in sums)
    total = sum(total for _, total, _ in sums)
    squares = sum(square for _, _, square in sums)
    return (total / count, squares / count) if count else (math.nan, math.nan)


def _sums_of_pieces(weight: Any, precision: str) -> list[list[_Sums]]:
    if _sharding.sharding_of(weight) is not None:
        return [_sums(part.reshape(-1), precision) for part in _sharding.local_parts(weight)]
    if math.prod(weight.shape) <= _COPIED:
        return [_sums(ops.convert_to_numpy(weight).reshape(-1), precision)]
    flat = _flat(weight)

    def fetch(start: int) -> list[_Sums]:
        piece = flat[start : start + _FETCHED]
        fetched = piece if isinstance(piece, np.ndarray) else ops.convert_to_numpy(piece)
        return _sums(fetched, precision)

    if flat.shape[0] <= _FETCHED:
        return [fetch(0)]
    # Of the sums, which are added up in order, four may be at work: each needs 16 MiB.
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as threads:
        return list(threads.map(fetch, range(0, flat.shape[0], _FETCHED)))


def _flat(weight: Any) -> Any:
    """Returns all entries in a row: where they lie if NumPy can read them there, as a tensor else.

    NumPy cannot read another device's memory, nor bfloat16.
    """
    flat = ops.stop_gradient(ops.reshape(weight, (-1,)))
    try:
        return np.from_dlpack(flat)
    except (AttributeError, TypeError, ValueError, BufferError, RuntimeError):
        return flat


def _sums(fetched: NDArray[Any], precision: str) -> list[_Sums]:
    """Returns how many numbers there are, their sum and that of their squares, piece by piece."""
    found = []
    for start in range(0, fetched.size, _SUMMED):
        piece = fetched[start : start + _SUMMED]
        values = np.asarray(piece, "float64" if piece.dtype == "float64" else precision)
        found.append((values.size, float(values.sum()), float(np.dot(values, values))))
    return found
