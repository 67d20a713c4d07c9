"""Noise and padding: what is added to a signal, and what is set to 0."""

import keras
import numpy as np

from keras_inits._moments.place import Place
from keras_inits._moments.reach import kept_of_padding
from keras_inits._moments.signal import Signal, normal


def noisy(place: Place) -> Signal:
    """Returns what dropout and noise make of a signal in training."""
    (signal, *_), layer = place.given, place.subject
    if isinstance(layer, keras.layers.GaussianNoise):
        added = normal(layer.stddev**2, 0.0, place.call.index)
        both = added.values, np.roll(added.values, 1, axis=1)
        return signal.with_values(*map(np.add, signal.examples, both))
    if isinstance(layer, keras.layers.AlphaDropout):  # it keeps mean and variance
        return signal
    rate = float(getattr(layer, "rate", 0.0) or 0.0)
    # What is kept is divided by 1 - rate: E[x^2] (1 - rate) / (1 - rate)^2.
    if not 0 < rate < 1:
        return signal if rate <= 0 else signal.scaled(0.0)
    factor = (1 - rate) ** -0.5
    if type(layer) is not keras.layers.Dropout:  # whole maps or examples, the same at all places
        return signal.scaled(factor)
    return zeroed(signal, 1 - rate, place.call.index).scaled(1 / (1 - rate))


def padded(place: Place) -> Signal:
    """Returns a signal with zeros around it."""
    (signal, *_) = place.given
    shapes = place.wiring.shapes_into(place.call)
    if not (place.sized and shapes):
        return signal
    kept = kept_of_padding(shapes[0], place.call.shape)
    return zeroed(signal, kept, place.call.index) if kept < 1 else signal


def zeroed(signal: Signal, kept: float, key: int) -> Signal:
    """Returns a signal of which a share is kept, at random places, and the rest is 0."""
    mask = np.random.default_rng([key, 4]).random(signal.values.shape) < kept
    # Another example has another mask.
    made = signal.with_values(*map(np.multiply, signal.examples, (mask, np.roll(mask, 1, axis=1))))
    return made.with_second_moment(kept * signal.second_moment)
