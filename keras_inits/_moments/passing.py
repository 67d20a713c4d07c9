"""Calls that pass a signal on: reshaped, scaled, or kept from gradients."""

import math
from typing import Any

import keras
import numpy as np

from keras_inits._layers.scales import are_at_start
from keras_inits._moments.applying import applied
from keras_inits._moments.noise import zeroed
from keras_inits._moments.place import Place
from keras_inits._moments.signal import Signal, normal, ones

ONE_HOT = "one_hot"
_MOVING = frozenset({"roll", "flip"})


def same(place: Place) -> Signal:
    """Returns the signal as it is."""
    return place.given[0]


def reshaped(place: Place) -> Signal:
    """Returns entries of a signal at other places, or some of them."""
    (signal, *_) = place.given
    given = place.wiring.shapes_into(place.call)
    # A part of a signal holds other entries than another part.
    taken = bool(given) and math.prod(place.call.shape) < math.prod(given[0])
    if taken and place.call.type == "top_k":
        return _largest(signal, place.call.shape[-1] / given[0][-1], place.call.index)
    moved = bool(given) and place.call.type in _MOVING
    if not (taken or moved):
        return signal
    if taken:
        of_places = place.call.shape[-1] == given[0][-1]
    else:
        of_places = _moves_places(place.step.subject, len(given[0]))
    key = place.call.index
    return signal.at_other_places(key) if of_places else signal.shuffled(key)


def _moves_places(operation: Any, rank: int) -> bool:
    """Returns whether an operation moves entries along other axes than that of the features."""
    axis = getattr(operation, "axis", None)
    axes = axis if isinstance(axis, tuple | list) else (axis,)
    return None not in axes and all(a % rank != rank - 1 for a in axes)


def _largest(signal: Signal, share: float, key: int) -> Signal:
    """Returns the largest of the values, such a share of them."""
    values = np.sort(signal.values, axis=None)[-max(1, round(share * signal.values.size)) :]
    return signal.with_values(np.random.default_rng([key, 7]).choice(values, signal.values.shape))


def cut_off(place: Place) -> Signal | None:
    """Returns what a gradient is kept from: the values are what they are."""
    if place.call.type == ONE_HOT:
        return zeroed(ones(), 1 / place.call.shape[-1], place.call.index)
    if place.call.type == "stop_gradient":
        # Codes in the place of a signal, say: they will be as large as what they stand for.
        return None
    return applied(place.step, place.call.signals, place.given)


def of_operation(place: Place) -> Signal:
    """Returns what an operation on one signal makes, of what a gradient is kept from too.

    A mask that is added, say, is no signal and cannot be applied: the rest is kept.
    """
    sources, given = (*place.call.signals, *place.cut), (*place.given, *place.cut.values())
    return applied(place.step, sources, given) or place.given[0]


def scaled(place: Place) -> Signal | None:
    """Returns a signal times a learned scale or a number; None where that is not known."""
    (signal, *_), subject = place.given, place.subject
    if not isinstance(subject, keras.layers.Layer):
        return of_operation(place)
    if place.call.weights:
        return signal.scaled(math.sqrt(place.power))
    factor = getattr(subject, "scale", getattr(subject, "multiplier", None))
    return signal.scaled(float(factor)) if isinstance(factor, float | int) else None


def preprocessed(place: Place) -> Signal:
    """Returns what a preprocessing layer makes of a signal."""
    (signal, *_), layer = place.given, place.subject
    if isinstance(layer, keras.layers.Rescaling):
        scale, offset = (float(np.mean(value)) for value in (layer.scale, layer.offset))
        return signal.with_function(lambda z: z * scale + offset)
    adapted = isinstance(layer, keras.layers.Normalization)
    if adapted and not are_at_start(layer.mean, layer.variance):
        return normal(1.0, signal.alike, place.call.index)
    return signal
