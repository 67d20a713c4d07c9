"""What a pooling, or a reduction along axes, gives of the values that it takes together.

Keras has no attribute that says it, and no public class of its operations: the names of the classes
are all there is.
"""

from typing import Any

from keras_inits._layers.kinds import class_name

_OPERATIONS = {
    "mean": "Mean Average Nanmean AveragePool AdaptiveAveragePool",
    "max": "Max Amax Nanmax MaxPool AdaptiveMaxPool SegmentMax",
    "min": "Min Amin",
    "sum": "Sum Nansum",
    "sum of segments": "SegmentSum",
    "var": "Var",
    "std": "Std",
    "norm": "Norm",
    "median": "Median",
    "": "Prod Logsumexp Cumsum Moments",  # nothing that is asked for
}
_LAYERS = {
    f"{where}{how}Pooling{rank}D": what
    for where in ("", "Global", "Adaptive")
    for how, what in (("Average", "mean"), ("Max", "max"))
    for rank in (1, 2, 3)
}
OPERATIONS = tuple(name for names in _OPERATIONS.values() for name in names.split())
_STATISTICS = _LAYERS | {
    name: what for what, names in _OPERATIONS.items() for name in names.split()
}


def statistic(subject: Any) -> str:
    """Returns what a layer or operation takes of values, such as `"mean"`; empty if not known.

    >>> from keras import layers
    >>> statistic(layers.GlobalMaxPooling1D()), statistic(layers.Average()), statistic(layers.Add())
    ('max', 'mean', '')
    """
    return _STATISTICS.get(class_name(subject), "")
