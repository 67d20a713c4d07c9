"""Several signals that become one: sums, products, maxima, and concatenations."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_inits._moments.applying import applied, examples_of
from keras_inits._moments.contracting import contracted
from keras_inits._moments.place import Place
from keras_inits._moments.signal import ENTRIES, Signal

_MERGES: dict[type, Callable[[Any], Any]] = {
    keras.layers.Add: lambda parts: np.sum(parts, axis=0),
    keras.layers.Average: lambda parts: np.mean(parts, axis=0),
    keras.layers.Maximum: lambda parts: np.max(parts, axis=0),
    keras.layers.Minimum: lambda parts: np.min(parts, axis=0),
    keras.layers.Subtract: lambda parts: parts[0] - parts[1],
    keras.layers.Multiply: lambda parts: np.prod(parts, axis=0),
}


def merged(place: Place) -> Signal | None:
    """Returns what a layer or an operation makes of signals value by value."""
    merge = next((m for t, m in _MERGES.items() if isinstance(place.subject, t)), None)
    if merge is None:
        return applied(place.step, place.call.signals, place.given)
    made = [merge(values) for values in examples_of(place.given)]
    return Signal(made[0], None, place.reason, None, *made[1:])


def product(place: Place) -> Signal | None:
    """Returns a product, value by value or over an axis."""
    if isinstance(place.subject, keras.layers.Dot):
        return contracted(place)
    return merged(place)


def concatenated(place: Place) -> Signal | None:
    """Returns entries of all signals, of each as many as its width says; None without shapes."""
    given, axis = place.given, getattr(place.subject, "axis", -1)
    shapes = place.wiring.shapes_into(place.call)
    if len(shapes) != len(given):
        return None
    widths = [1 if axis is None or not s else s[axis % len(s)] for s in shapes]
    ends = np.cumsum(widths) / sum(widths) * ENTRIES
    order = np.random.default_rng([place.call.index, 2]).permutation(ENTRIES)
    part = np.searchsorted(ends, order, side="right").clip(0, len(given) - 1)
    made = [np.choose(part, list(values)) for values in examples_of(given)]
    variances = {signal.variance for signal in given}
    variance = variances.pop() if len(variances) == 1 else None
    return Signal(made[0], variance, place.reason, None, *made[1:])
