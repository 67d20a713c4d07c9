"""Moments of signals, carried through the graph of a model call by call."""

from keras_inits._moments.activating import activated, resolved, through_activation
from keras_inits._moments.contracting import (
    matrix_that_comes_in,
    softmax_behind,
    summed_count,
)
from keras_inits._moments.place import Place, Taps
from keras_inits._moments.recurrence import recurrent_output, stacked
from keras_inits._moments.rules import carried
from keras_inits._moments.signal import ENTRIES, INPUT_ALIKE, PLACES, Signal, held, normal, unknown

__all__ = [
    "ENTRIES", "INPUT_ALIKE", "PLACES", "Place", "Signal", "Taps", "activated", "carried", "held",
    "matrix_that_comes_in", "normal", "recurrent_output", "resolved", "softmax_behind", "stacked",
    "summed_count", "through_activation", "unknown",
]  # fmt: skip
