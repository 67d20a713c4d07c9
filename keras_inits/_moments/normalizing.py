"""Normalizations: a size that is known, and what they take off."""

import math
from dataclasses import replace

import keras
import numpy as np

from keras_inits._layers.scales import CENTRING, epsilon_of
from keras_inits._moments.place import Place
from keras_inits._moments.signal import Signal, normal


def normalized(place: Place) -> Signal:
    """Returns what a normalization makes of a signal."""
    (signal, *_), subject = place.given, place.subject
    name = type(subject).__name__
    if signal.constant is not None and isinstance(subject, keras.layers.BatchNormalization):
        return _without_constants(place, signal)
    centred = isinstance(subject, CENTRING) or name in ("LayerNorm", "BatchNorm")
    mean = signal.mean if centred else 0.0
    values = signal.values - mean
    square = float(np.mean(values**2))
    size = square + epsilon_of(subject)
    if isinstance(subject, keras.layers.UnitNormalization) or name == "Normalize":
        size = square * place.call.shape[-1]  # the norm of a vector is 1
    if not size > 0:
        return signal
    factor = math.sqrt(place.power / size)
    return (
        signal.scaled(factor)
        if signal.variance
        else signal.with_function(lambda z: (z - mean) * factor)
    )


def _without_constants(place: Place, signal: Signal) -> Signal:
    """Returns what a batch normalization makes of a kernel's output.

    It takes off what is the same for all examples and places of a channel, of which a kernel behind
    a ReLU makes a third, and gives all channels one size. Two places are then less alike, so that
    a mean over places is smaller.
    """
    kept = 1 - signal.common
    variance = signal.second_moment * kept
    if not variance > 0:
        return signal.scaled(0.0)
    size = variance + epsilon_of(place.subject)
    alike = min(1.0, max(0.0, signal.alike - signal.common) / kept)
    made = normal(place.power * variance / size, alike, place.call.index, signal.reason)
    return replace(made, constant=0.0)
