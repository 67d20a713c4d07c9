"""Schemes against schemes over many seeds, trained side by side.

`keras_inits.compare` is the function `compare`, which this package is named after.
"""

from keras_inits.compare.comparison import Comparison
from keras_inits.compare.progress import Progress
from keras_inits.compare.run import compare
from keras_inits.compare.statistics import Difference, Interval
from keras_inits.compare.weights import GivenWeights

__all__ = ["Comparison", "Difference", "GivenWeights", "Interval", "Progress", "compare"]
