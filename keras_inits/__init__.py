"""Initializers for Keras, by name: `Dense(64, kernel_initializer="initkit_he")`."""

from keras_inits.compare import Comparison, GivenWeights, compare
from keras_inits.geometry import KernelGeometry
from keras_inits.initializers import *  # noqa: F403
from keras_inits.initializers import __all__ as _schemes
from keras_inits.registry import get, names, register

__version__ = "0.1.0"
__all__ = [
    "Comparison",
    "GivenWeights",
    "KernelGeometry",
    "compare",
    "get",
    "names",
    "register",
    *_schemes,
]
