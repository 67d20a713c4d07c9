"""Functions of single values: activations, and operations that are such functions."""

import functools
import math
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from keras_inits._gains import Activation, gaussian_moments, resolve
from keras_inits._layers.activations import activation_name, activation_of_operation
from keras_inits._moments.applying import applied
from keras_inits._moments.place import Place
from keras_inits._moments.signal import Signal

_SHARES = frozenset({"softmax", "log_softmax"})


def of_activation(place: Place) -> Signal | None:
    """Returns what a layer or an operation that is an activation makes of a signal."""
    function = place.subject
    if not isinstance(function, keras.layers.Layer):
        name = activation_name(function)
        if name in _SHARES:
            return _softmax(place, place.given[0], name)
        return of_elementwise(place)
    return _activation_of(place, getattr(function, "activation", function), place.given[0])


def of_elementwise(place: Place) -> Signal | None:
    """Returns a function of single values; its integral where the input is normal."""
    (signal, *_), step = place.given, place.step
    made = applied(step, place.call.signals, place.given)
    if made is None or not signal.variance or len(place.given) > 1:
        return made
    whole = activation_of_operation(place.subject)
    if whole in (None, place.subject):
        whole = place.wiring.function_of(place.call)
    try:
        return activated(resolve(whole), signal)
    except (TypeError, ValueError):
        return made


def through_activation(place: Place, signal: Signal) -> Signal:
    """Returns a signal behind the activation that a kernel's layer has itself."""
    if not place.call.activation:
        return signal
    made = _activation_of(place, place.subject.activation, signal)
    return place.not_understood() if made is None else made


def activated(activation: Activation, signal: Signal) -> Signal:
    """Returns what a function of single values makes of a signal."""
    if activation.slopes is not None:
        below, above = activation.slopes
        if below == above:
            return signal.scaled(below)
        made = signal.with_function(lambda z: np.where(z < 0, below, above) * z)
    else:
        function = activation.function
        made = signal.with_function(lambda z: function(z.ravel()).reshape(z.shape))
    if not signal.variance:
        return made
    # The integral is better than the sample, and free where it is a closed form.
    return made.with_second_moment(_second_moment(activation, signal.variance))


@functools.lru_cache(maxsize=1024)
def _second_moment(activation: Activation, variance: float) -> float:
    return gaussian_moments(activation, variance).second_moment


def resolved(function: Any) -> Activation:
    """Returns an activation ready for integration; layers of one configuration are one.

    Raises:
        InputError: as in `keras_inits.gain`.
    """
    if not isinstance(function, keras.layers.Layer) or function.weights:
        return resolve(function)
    config = {k: v for k, v in function.get_config().items() if k not in ("name", "dtype")}
    return _resolved_layer(_Alike((type(function), repr(sorted(config.items()))), function))


@dataclass(frozen=True)
class _Alike:
    """A layer, equal to every other one of its class and configuration."""

    key: tuple[type, str]
    layer: Any = field(compare=False)


@functools.lru_cache(maxsize=64)
def _resolved_layer(alike: _Alike) -> Activation:
    return resolve(alike.layer)


def _activation_of(place: Place, function: Any, signal: Signal) -> Signal | None:
    name = activation_name(function).lower()
    if name in _SHARES:
        return _softmax(place, signal, name)
    try:
        return activated(resolved(function), signal)
    except (TypeError, ValueError):  # no function of single values, or without finite moments
        return None


def _softmax(place: Place, signal: Signal, name: str) -> Signal:
    axis = getattr(place.subject, "axis", None)
    axes = axis if isinstance(axis, tuple | list) else (-1 if axis is None else axis,)
    count = math.prod(place.call.shape[a] for a in axes)
    exponentials = np.exp(signal.values - signal.values.max())
    share = exponentials / (exponentials.mean() * count)
    return signal.with_values(share if name == "softmax" else np.log(share))
