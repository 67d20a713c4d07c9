"""The standard deviation that an initializer draws with, before anything is drawn."""

import functools
import math
from typing import Any

import keras

from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._schemes.constant import ConstantInit, OnesInit, ZerosInit
from keras_inits._schemes.geometric import GeometricInit, kernel_scheme
from keras_inits._schemes.orthogonal import DeltaOrthogonalInit, OrthogonalInit
from keras_inits._schemes.plain import TruncatedNormalInit
from keras_inits._schemes.sampling import TRUNCATED_STDDEV
from keras_inits._schemes.sparse import SparseInit
from keras_inits._schemes.variance_scaling import VarianceScalingInit


def expected_stddev(initializer: Any, geometry: KernelGeometry) -> float | None:
    """Returns the standard deviation of a kernel of `geometry`; None where no law is known.

    >>> he = keras.initializers.HeNormal()
    >>> expected_stddev(he, KernelGeometry.from_shape((8, 4)))
    0.5
    """
    if isinstance(initializer, GeometricInit):
        geometry, initializer = initializer.geometry(geometry.shape), initializer.scheme
    return _stddev(kernel_scheme(initializer) or initializer, geometry)


@functools.singledispatch
def _stddev(initializer: Any, geometry: KernelGeometry) -> float | None:
    return None


@_stddev.register
def _(initializer: VarianceScalingInit, geometry: KernelGeometry) -> float:
    return initializer.for_geometry(geometry, seed=None).stddev(geometry.shape)


@_stddev.register
def _(initializer: OrthogonalInit, geometry: KernelGeometry) -> float:
    _, rows, columns = geometry.matrix_shape
    return initializer.effective_gain / math.sqrt(max(1, rows, columns))


@_stddev.register
def _(initializer: DeltaOrthogonalInit, geometry: KernelGeometry) -> float:
    _, rows, columns = geometry.matrix_shape
    return initializer.effective_gain * math.sqrt(rows / geometry.taps / max(1, rows * columns))


@_stddev.register
def _(initializer: SparseInit, geometry: KernelGeometry) -> float:
    _, rows, _ = geometry.matrix_shape
    return initializer.stddev * math.sqrt(initializer.kept(rows) / max(1, rows))


@_stddev.register(keras.initializers.RandomNormal)
def _(initializer: Any, geometry: KernelGeometry) -> float:
    return float(initializer.stddev)


@_stddev.register(keras.initializers.TruncatedNormal)
def _(initializer: Any, geometry: KernelGeometry) -> float | None:
    if isinstance(initializer, TruncatedNormalInit) and (
        initializer.minval is not None or initializer.maxval is not None
    ):
        return None
    return TRUNCATED_STDDEV * float(initializer.stddev)


@_stddev.register(keras.initializers.RandomUniform)
def _(initializer: Any, geometry: KernelGeometry) -> float:
    return float(initializer.maxval - initializer.minval) / math.sqrt(12.0)


@_stddev.register(keras.initializers.Zeros)
@_stddev.register(keras.initializers.Ones)
@_stddev.register(keras.initializers.Constant)
@_stddev.register(ZerosInit)
@_stddev.register(OnesInit)
@_stddev.register(ConstantInit)
def _(initializer: Any, geometry: KernelGeometry) -> float:
    return 0.0
