"""Values drawn into a variable, large ones in pieces."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_inits.initializers import VarianceScalingInit, sampling
from keras_inits.initializers.geometric import draw, kernel_scheme
from keras_inits.kernel_geometry import KernelGeometry

# Numbers that are drawn at a time, 16 MiB in float32. TensorFlow's normal makes two temporaries of
# the size of its result: in pieces they stay small, and in the processor's cache.
_PIECE = 2**22


def write(weight: Any, initializer: Any, geometry: KernelGeometry, seed: int) -> None:
    """Draws `weight` by `initializer` in `geometry`, and assigns it.

    A large weight of independent values is drawn piece by piece into one array, which the backend
    takes over (TensorFlow by a copy). Every other weight needs what its initializer needs.
    """
    scheme = kernel_scheme(initializer)
    dtype = keras.backend.standardize_dtype(weight.dtype)
    # NumPy has no bfloat16.
    in_pieces = math.prod(weight.shape) > _PIECE and dtype in ("float16", "float32", "float64")
    if in_pieces and isinstance(scheme, VarianceScalingInit):
        weight.assign(_draw_in_pieces(scheme, geometry, dtype, seed))
    else:
        weight.assign(draw(initializer, geometry, dtype, seed))


def _draw_in_pieces(
    scheme: VarianceScalingInit, geometry: KernelGeometry, dtype: str, seed: int
) -> NDArray[Any]:
    stddev = scheme.for_geometry(geometry, seed=seed).stddev(geometry.shape)
    working = scheme.working_dtype(dtype)
    # Each piece has its own state of the generator, so that pieces are independent.
    generator = keras.random.SeedGenerator(seed)
    values = np.empty(math.prod(geometry.shape), dtype)
    for start in range(0, values.size, _PIECE):
        piece = values[start : start + _PIECE]
        drawn = sampling.draw(scheme.distribution, piece.shape, stddev, working, generator)
        piece[...] = ops.convert_to_numpy(drawn)
    return values.reshape(geometry.shape)
