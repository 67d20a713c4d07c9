"""Values drawn into a variable, large ones a piece at a time."""

import math
from collections.abc import Iterator
from typing import Any

import keras
from keras import ops

from keras_inits.initializers import VarianceScalingInit, sampling
from keras_inits.initializers.geometric import draw, kernel_scheme
from keras_inits.kernel_geometry import KernelGeometry

# Numbers that are drawn at a time: 16 MiB in float32. TensorFlow's normal makes two temporaries of
# the size of its result; drawn in pieces, they stay small (benchmarks/initialize.py).
_PIECE = 2**22


def write(weight: Any, initializer: Any, geometry: KernelGeometry, seed: int) -> None:
    """Draws `weight` by `initializer` in `geometry`, and assigns it.

    Where values are independent and the backend can change a part of a variable, a large weight is
    drawn piece by piece and needs one piece of memory besides itself; every other weight needs what
    its initializer needs.
    """
    scheme = kernel_scheme(initializer)
    rows = _rows_at_a_time(weight)
    if rows is not None and isinstance(scheme, VarianceScalingInit):
        # One state of the generator for each piece: pieces are independent of each other.
        generator = keras.random.SeedGenerator(seed)
        scheme = scheme.for_geometry(geometry, seed=generator)
        stddev = scheme.stddev(geometry.shape)
        working = scheme.working_dtype(weight.dtype)
        for start, stop in _ranges(weight.shape[0], rows):
            shape = (stop - start, *weight.shape[1:])
            piece = sampling.draw(scheme.distribution, shape, stddev, working, generator)
            weight.value[start:stop].assign(ops.cast(piece, weight.dtype))
    else:
        weight.assign(draw(initializer, geometry, weight.dtype, seed))


def _rows_at_a_time(weight: Any) -> int | None:
    """Returns how much of the first axis to draw at a time; None to draw the weight as a whole."""
    if math.prod(weight.shape) <= _PIECE:
        return None
    # A plain variable of TensorFlow can be changed in part; one that is mirrored over devices
    # cannot, nor the arrays of JAX.
    if type(weight.value).__name__ != "ResourceVariable":
        return None
    return max(1, _PIECE // math.prod(weight.shape[1:]))


def _ranges(size: int, step: int) -> Iterator[tuple[int, int]]:
    for start in range(0, size, step):
        yield start, min(size, start + step)
