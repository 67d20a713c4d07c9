"""Schemes against schemes over many seeds, trained side by side."""

from keras_inits._compare.comparison import Comparison
from keras_inits._compare.execution import Execution, one_thread_per_operation
from keras_inits._compare.run import compare
from keras_inits._compare.starts import Start
from keras_inits._compare.statistics import Difference, Interval, mean_interval
from keras_inits._compare.weights import GivenWeights

__all__ = [
    "Comparison",
    "Difference",
    "Execution",
    "GivenWeights",
    "Interval",
    "Start",
    "compare",
    "mean_interval",
    "one_thread_per_operation",
]
