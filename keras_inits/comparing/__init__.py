"""Schemes against schemes over many seeds, trained side by side."""

from keras_inits.comparing.chunks import one_thread_per_operation
from keras_inits.comparing.comparison import Comparison
from keras_inits.comparing.progress import Progress
from keras_inits.comparing.run import compare
from keras_inits.comparing.statistics import Difference, Interval
from keras_inits.comparing.weights import GivenWeights

__all__ = [
    "Comparison",
    "Difference",
    "GivenWeights",
    "Interval",
    "Progress",
    "compare",
    "one_thread_per_operation",
]
