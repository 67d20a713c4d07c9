"""Values drawn for a weight; independent ones by NumPy, on all processors."""

import math
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_inits import _keras_internals
from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._schemes import OrthogonalInit, VarianceScalingInit
from keras_inits._schemes.geometric import draw
from keras_inits._schemes.laws import kernel_scheme
from keras_inits._schemes.orthogonal import is_small, small_haar_orthogonal
from keras_inits._schemes.sampling import Distribution, cut_stddev, stream

# Numbers that one thread draws at a time: 4 MiB in float32, which stays in the processor's cache.
# The values follow from it: another size gives other weights from the same seed.
_PIECE = 2**20
# Below it too many normal values are drawn again: the inverse of the distribution function serves.
_LEAST_CUT = 0.5


def values_for(initializer: Any, geometry: KernelGeometry, dtype: str, seed: int) -> Any:
    """Returns the values of a weight: what `initialize` and `compare` both start from.

    Independent values come from NumPy, which draws them several times faster than TensorFlow on a
    processor; so a seed means the same weights on every backend. All other weights are what their
    initializer draws.

    Args:
        initializer: any initializer.
        geometry: that of the weight; its shape is the shape of the result.
        dtype: the type of the result.
        seed: a whole number of up to 128 bits.

    Returns:
        An array or a tensor that a variable can be assigned.
    """
    scheme = kernel_scheme(initializer)
    if isinstance(scheme, VarianceScalingInit) and (scheme.cut is None or scheme.cut >= _LEAST_CUT):
        stddev = scheme.expected_stddev(geometry)
        working = scheme.working_dtype(dtype)
        values = independent_values(
            scheme.distribution, geometry.shape, stddev, working, seed, cut=scheme.cut
        )
        return values if working == dtype else ops.cast(values, dtype)
    if isinstance(scheme, OrthogonalInit) and _is_small(scheme, geometry, dtype):
        gain = scheme.gain_in(geometry)
        matrices = small_haar_orthogonal(geometry.matrix_shape, gain, dtype, stream(seed))
        return geometry.from_matrices(matrices)
    return draw(scheme or initializer, geometry, dtype, seed)


def _is_small(scheme: OrthogonalInit, geometry: KernelGeometry, dtype: str) -> bool:
    return (
        type(scheme).sample is OrthogonalInit.sample
        and bool(geometry.input_axes or geometry.output_axes)
        and scheme.working_dtype(dtype) == dtype
        and is_small(geometry.matrix_shape)
    )


def independent_values(
    distribution: Distribution,
    shape: tuple[int, ...],
    stddev: float,
    dtype: str,
    seed: int,
    *,
    cut: float | None = None,
) -> Any:
    """Returns independent values of mean 0 and standard deviation `stddev`, ready to be assigned.

    Pieces have generators of their own, seeded by their place, so that the values do not depend on
    the number of threads.

    Args:
        distribution: as in `sampling.draw`, whose laws these are.
        shape: the shape of the result.
        stddev: the standard deviation of the values that come out.
        dtype: float32 or float64.
        seed: root of the seeds of the pieces.
        cut: where a truncated normal is cut, in standard deviations; 2 if None.
    """
    tensor, values = _allocate(shape, dtype)

    def fill(index: int) -> None:
        piece = values[index * _PIECE : (index + 1) * _PIECE]
        generator = np.random.Generator(np.random.SFC64([seed, index]))
        _fill(piece, distribution, stddev, generator, cut)

    pieces = -(-values.size // _PIECE)
    if pieces < 2:
        for index in range(pieces):
            fill(index)
    else:  # NumPy's generators release Python's lock
        with ThreadPoolExecutor(min(pieces, os.cpu_count() or 1)) as threads:
            list(threads.map(fill, range(pieces)))
    return tensor


def _allocate(shape: tuple[int, ...], dtype: str) -> tuple[Any, NDArray[Any]]:
    """Returns something that a variable can take, and a flat array of the same memory.

    A variable copies an array that it is assigned, but keeps a tensor of TensorFlow's: the array
    then lies in such a tensor, and a large weight is in memory once.
    """
    size = math.prod(shape)
    if keras.backend.backend() == "tensorflow" and size >= _PIECE:
        return _keras_internals.unsafe_empty(shape, dtype)
    values = np.empty(size, dtype)
    return values.reshape(shape), values


def _fill(
    values: NDArray[Any],
    distribution: Distribution,
    stddev: float,
    generator: np.random.Generator,
    cut: float | None,
) -> None:
    dtype = values.dtype
    if distribution == "uniform":
        generator.random(dtype=dtype, out=values)
        values -= 0.5
        values *= math.sqrt(12.0) * stddev
        return
    generator.standard_normal(dtype=dtype, out=values)
    if distribution == "truncated_normal":
        limit = 2.0 if cut is None else cut
        beyond = np.flatnonzero(np.abs(values) > limit)
        while beyond.size:  # of a cut at 2, a value in 22 is drawn again
            values[beyond] = generator.standard_normal(beyond.size, dtype=dtype)
            beyond = beyond[np.abs(values[beyond]) > limit]
        stddev /= cut_stddev(cut)
    values *= stddev
