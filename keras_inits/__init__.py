"""Initializers for Keras, by name: `Dense(64, kernel_initializer="initkit_he")`."""

import importlib
from typing import TYPE_CHECKING, Any

# _backend comes first: it imports Keras, and says in a sentence that a backend is missing
from keras_inits import _backend, _optional  # noqa: F401
from keras_inits._audit import AuditReport, audit
from keras_inits._compare import (
    Comparison,
    Difference,
    Execution,
    GivenWeights,
    Interval,
    Start,
    compare,
    mean_interval,
    one_thread_per_operation,
)
from keras_inits._errors import InputError
from keras_inits._gains import GaussianMoments, gain, gaussian_moments
from keras_inits._initialize import InitializationReport, WeightRow, initialize
from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._layers import Default, LeftAlone, geometry
from keras_inits._mean_field import (
    chi,
    correlation_map,
    critical_sigma_w,
    depth_scale,
    fixed_point,
    variance_map,
)
from keras_inits._recipes import Place, Recipe, recipe, recipes, roles
from keras_inits._registry import get, names, register
from keras_inits._reporting import Finding
from keras_inits._schemes import *  # noqa: F403
from keras_inits._schemes import __all__ as _schemes
from keras_inits._starts import (
    CalibrationReport,
    CalibrationRow,
    OutputBiasReport,
    OutputBiasRow,
    PortableReport,
    PortableRow,
    PretrainReport,
    PretrainRow,
    Skipped,
    SkipReport,
    VocabularyReport,
    WarmStartReport,
    WarmStartRow,
    calibrate,
    extend_vocabulary,
    fit_output_bias,
    portable,
    pretrain,
    skip_initialization,
    warm_start,
)
from keras_inits._wiring import Wiring, wiring

if TYPE_CHECKING:
    from keras_inits import datasets, experiments, mup, plots  # noqa: F401
    from keras_inits._diagnose import LayerReport, SignalReport, Thresholds, diagnose
    from keras_inits._monitor import SignalMonitor

__version__ = "0.2.0"
__all__ = [
    "AuditReport",
    "CalibrationReport",
    "CalibrationRow",
    "Comparison",
    "Default",
    "Difference",
    "Execution",
    "Finding",
    "GaussianMoments",
    "GivenWeights",
    "InitializationReport",
    "InputError",
    "Interval",
    "KernelGeometry",
    "LayerReport",
    "LeftAlone",
    "OutputBiasReport",
    "OutputBiasRow",
    "PortableReport",
    "PortableRow",
    "Place",
    "PretrainReport",
    "PretrainRow",
    "Recipe",
    "SignalMonitor",
    "SignalReport",
    "SkipReport",
    "Skipped",
    "Start",
    "Thresholds",
    "VocabularyReport",
    "WarmStartReport",
    "WarmStartRow",
    "WeightRow",
    "Wiring",
    "audit",
    "calibrate",
    "chi",
    "compare",
    "correlation_map",
    "critical_sigma_w",
    "depth_scale",
    "diagnose",
    "extend_vocabulary",
    "fit_output_bias",
    "fixed_point",
    "gain",
    "gaussian_moments",
    "geometry",
    "get",
    "initialize",
    "mean_interval",
    "names",
    "one_thread_per_operation",
    "portable",
    "pretrain",
    "register",
    "skip_initialization",
    "recipe",
    "recipes",
    "roles",
    "variance_map",
    "warm_start",
    "wiring",
    *_schemes,
]

# Loaded on first use: they take longer to load than the initializers.
_LAZY = {
    "LayerReport": "_diagnose",
    "SignalMonitor": "_monitor",
    "SignalReport": "_diagnose",
    "Thresholds": "_diagnose",
    "diagnose": "_diagnose",
}
_SUBMODULES = ("datasets", "experiments", "mup", "plots")


def __getattr__(name: str) -> Any:
    """Loads a part of the library when it is first asked for."""
    if name == "plots":
        _optional.require("`keras_inits.plots`", "matplotlib")
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _LAZY:
        return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_SUBMODULES, "__version__"])
