"""The weights of a model set in place: the one room that writes weights."""

from keras_inits._initialize.initialize import initialize
from keras_inits._initialize.report import InitializationReport, WeightRow

__all__ = ["InitializationReport", "WeightRow", "initialize"]
