"""Initializers for Keras, by name: `Dense(64, kernel_initializer="initkit_he")`."""

from typing import TYPE_CHECKING, Any

from keras_inits.auditing import AuditReport, Finding, audit
from keras_inits.comparing import Comparison, GivenWeights, compare
from keras_inits.gains import GaussianMoments, gain, gaussian_moments
from keras_inits.initializers import *  # noqa: F403
from keras_inits.initializers import __all__ as _schemes
from keras_inits.initializing import InitializationReport, WeightRow, initialize
from keras_inits.kernel_geometry import KernelGeometry
from keras_inits.layers import Default, LeftAlone, geometry
from keras_inits.mean_field import (
    chi,
    correlation_map,
    critical_sigma_w,
    depth_scale,
    fixed_point,
    variance_map,
)
from keras_inits.registry import get, names, register

if TYPE_CHECKING:
    from keras_inits.diagnosing import SignalReport, Thresholds, diagnose
    from keras_inits.monitor import SignalMonitor

__version__ = "0.1.0"
__all__ = [
    "AuditReport",
    "Comparison",
    "Default",
    "Finding",
    "GaussianMoments",
    "GivenWeights",
    "InitializationReport",
    "KernelGeometry",
    "LeftAlone",
    "SignalMonitor",
    "SignalReport",
    "Thresholds",
    "WeightRow",
    "audit",
    "chi",
    "compare",
    "correlation_map",
    "critical_sigma_w",
    "depth_scale",
    "diagnose",
    "fixed_point",
    "gain",
    "gaussian_moments",
    "geometry",
    "get",
    "initialize",
    "names",
    "register",
    "variance_map",
    *_schemes,
]


def __getattr__(name: str) -> Any:
    """Loads what needs TensorFlow when it is first asked for."""
    if name == "SignalMonitor":
        from keras_inits.monitor import SignalMonitor

        return SignalMonitor
    if name in {"SignalReport", "Thresholds", "diagnose"}:
        from keras_inits import diagnosing

        return getattr(diagnosing, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
