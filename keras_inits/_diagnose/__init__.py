"""Where the signal dies: what each layer of a model does forward and back, and what is expected."""

from keras_inits._diagnose.report import (
    Finding,
    JacobianReport,
    LayerReport,
    SignalReport,
    WeightReport,
)
from keras_inits._diagnose.run import diagnose
from keras_inits._diagnose.standard_input import standard_input
from keras_inits._diagnose.statistics import TensorStatistics
from keras_inits._diagnose.verdicts import Thresholds

__all__ = [
    "Finding",
    "JacobianReport",
    "LayerReport",
    "SignalReport",
    "TensorStatistics",
    "Thresholds",
    "WeightReport",
    "diagnose",
    "standard_input",
]
