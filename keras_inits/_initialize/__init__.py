"""The weights of a model set in place: the only package that writes weights."""

from keras_inits._initialize.initialize import initialize
from keras_inits._initialize.report import InitializationReport, WeightRow

__all__ = ["InitializationReport", "WeightRow", "initialize"]
