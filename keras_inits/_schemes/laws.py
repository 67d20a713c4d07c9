"""The law of any initializer: the scheme that draws alike, and the standard deviation."""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._schemes.base import KernelScheme, Scheme
from keras_inits._schemes.constant import ConstantInit, OnesInit, ZerosInit
from keras_inits._schemes.orthogonal import OrthogonalInit
from keras_inits._schemes.sampling import TRUNCATED_STDDEV
from keras_inits._schemes.variance_scaling import VarianceScalingInit

# Keras's own classes that read fans or a matrix off the shape. Classes that a user derived from
# them are not among these: their law is not known.
_KERAS_VARIANCE_SCALING = tuple(
    value
    for value in vars(keras.initializers).values()
    if isinstance(value, type) and issubclass(value, keras.initializers.VarianceScaling)
)
_DISTRIBUTIONS = {"untruncated_normal": "normal"}  # what Keras calls ours, where it differs
# Keras's own classes that have no counterpart among the schemes.
_KERAS: dict[type, Callable[[Any], float]] = {
    keras.initializers.RandomNormal: lambda drawn: float(drawn.stddev),
    keras.initializers.TruncatedNormal: lambda drawn: TRUNCATED_STDDEV * float(drawn.stddev),
    keras.initializers.RandomUniform: lambda drawn: (
        float(drawn.maxval - drawn.minval) / math.sqrt(12.0)
    ),
    keras.initializers.Zeros: lambda drawn: 0.0,
    keras.initializers.Ones: lambda drawn: 0.0,
}


def counterpart(initializer: Any) -> Scheme | None:
    """Returns the scheme that draws by the law of `initializer`, or None if there is none.

    That is the initializer itself if it is a scheme, and our counterpart of Keras's
    `VarianceScaling`, with all its subclasses, and `Orthogonal`.

    >>> counterpart(keras.initializers.HeUniform()).get_config()["distribution"]
    'uniform'
    """
    if isinstance(initializer, Scheme):
        return initializer
    if type(initializer) in _KERAS_VARIANCE_SCALING:
        return VarianceScalingInit(
            math.sqrt(initializer.scale),
            mode=initializer.mode,
            distribution=_DISTRIBUTIONS.get(initializer.distribution, initializer.distribution),
        )
    if type(initializer) is keras.initializers.Orthogonal:
        return OrthogonalInit(initializer.gain)
    return None


def kernel_scheme(initializer: Any) -> KernelScheme | None:
    """Returns the counterpart of `initializer` if it depends on fans or matrices, else None."""
    scheme = counterpart(initializer)
    return scheme if isinstance(scheme, KernelScheme) else None


def constant_value(initializer: Any) -> float | None:
    """Returns the number that every entry of a weight gets; None where entries may differ.

    >>> constant_value(keras.initializers.Ones()), constant_value(keras.initializers.HeNormal())
    (1.0, None)
    """
    kind = type(initializer)
    if kind in (keras.initializers.Zeros, ZerosInit):
        return 0.0
    if kind in (keras.initializers.Ones, OnesInit):
        return 1.0
    if kind in (keras.initializers.Constant, ConstantInit) and np.ndim(initializer.value) == 0:
        return float(initializer.value)
    return None


def expected_stddev(initializer: Any, geometry: KernelGeometry) -> float | None:
    """Returns the standard deviation of a kernel of `geometry`; None where no law is known.

    Schemes have their law with them. Of other initializers only Keras's own classes are known, not
    what somebody derived from them.

    >>> he = keras.initializers.HeNormal()
    >>> expected_stddev(he, KernelGeometry.from_shape((8, 4)))
    0.5
    """
    if (scheme := counterpart(initializer)) is not None:
        return scheme.expected_stddev(geometry)
    if type(initializer) is keras.initializers.Constant:
        return 0.0 if np.ndim(initializer.value) == 0 else None
    law = _KERAS.get(type(initializer))
    return None if law is None else law(initializer)
