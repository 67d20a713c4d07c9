"""Initializers for Keras, by name: `Dense(64, kernel_initializer="initkit_he")`."""

from keras_inits.auditing import AuditReport, Finding, audit
from keras_inits.initializers import *  # noqa: F403
from keras_inits.initializers import __all__ as _schemes
from keras_inits.initializing import InitializationReport, WeightRow, initialize
from keras_inits.kernel_geometry import KernelGeometry
from keras_inits.layers import Default, LeftAlone, geometry
from keras_inits.registry import get, names, register

__version__ = "0.1.0"
__all__ = [
    "AuditReport",
    "Default",
    "Finding",
    "InitializationReport",
    "KernelGeometry",
    "LeftAlone",
    "WeightRow",
    "audit",
    "geometry",
    "get",
    "initialize",
    "names",
    "register",
    *_schemes,
]
