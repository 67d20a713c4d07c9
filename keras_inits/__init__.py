"""Initializers for Keras, by name: `Dense(64, kernel_initializer="initkit_he")`."""

from keras_inits.gains import GaussianMoments, gain, gaussian_moments
from keras_inits.geometry import KernelGeometry
from keras_inits.initializers import *  # noqa: F403
from keras_inits.initializers import __all__ as _schemes
from keras_inits.mean_field import (
    chi,
    correlation_map,
    critical_sigma_w,
    depth_scale,
    fixed_point,
    variance_map,
)
from keras_inits.registry import get, names, register

__version__ = "0.1.0"
__all__ = [
    "GaussianMoments",
    "KernelGeometry",
    "chi",
    "correlation_map",
    "critical_sigma_w",
    "depth_scale",
    "fixed_point",
    "gain",
    "gaussian_moments",
    "get",
    "names",
    "register",
    "variance_map",
    *_schemes,
]
