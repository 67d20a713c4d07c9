"""Moments of signals, carried through the graph of a model call by call."""

from keras_inits._moments.place import Place, Taps
from keras_inits._moments.rules import activated, carried, resolved, through_activation
from keras_inits._moments.signal import INPUT_ALIKE, PLACES, Signal, normal, unknown

__all__ = [
    "INPUT_ALIKE", "PLACES", "Place", "Signal", "Taps", "activated", "carried", "normal",
    "resolved", "through_activation", "unknown",
]  # fmt: skip
