"""What recurrent cells put out, by a few steps of their own equations."""

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import layers

from keras_inits._gains import resolve
from keras_inits._layers.kinds import by_name
from keras_inits._moments.place import Place
from keras_inits._moments.signal import PLACES, Array, Signal, normal

_KEYS = 10**7  # no other signal has such a key
_STACKED = 10**6  # nor one of a cell that is stacked on others


def recurrent(place: Place) -> Signal:
    """Returns what a recurrent layer makes of a sequence."""
    layer = place.subject
    last = not getattr(layer, "return_sequences", False)
    return _of_cell(place, getattr(layer, "cell", layer), last=last)


def stepped(place: Place) -> Signal:
    """Returns the state of a cell that the model steps through itself, after some steps."""
    return _of_cell(place, place.subject, last=False)


def _of_cell(place: Place, cell: Any, *, last: bool) -> Signal:
    powers = (place.power, *place.inner)
    return recurrent_output(cell, powers, place.given[0], place.call.index, last)


def recurrent_output(
    cell: Any, powers: Sequence[float], given: Signal, key: int, last: bool
) -> Signal:
    """Returns the states of a cell whose kernels are random.

    The places are the time steps. What comes in through the recurrent kernel, of gain 1, has the
    second moment of the states; as these change slowly it is held fixed.

    Args:
        cell: a cell of Keras, or several of them stacked.
        powers: by what the input kernel of each cell multiplies a second moment for each gate.
        given: the sequence.
        key: of the random values.
        last: whether the last state alone comes out.
    """
    signal = given
    for index, (each, power) in enumerate(zip(stacked(cell), powers, strict=False)):
        variance, own = power * signal.second_moment, key + _STACKED * index
        states = _states(each, Gates(variance, signal, own))
        if states is None:
            reason = f"{type(each).__name__} is a cell without a rule"
            return normal(1.0, given.alike, key, given.reason or reason)
        signal = given.with_values(states)
    states = signal.values
    if not last:
        return signal
    if _is_convolutional(cell):  # the last state has places of its own, about as alike as in time
        return signal.scaled(math.sqrt(np.mean(states[-1] ** 2) / signal.second_moment))
    return given.with_values(np.broadcast_to(states[-1], states.shape))


def stacked(cell: Any) -> Sequence[Any]:
    """Returns the cells that one cell is made of, in the order in which a step passes them."""
    return cell.cells if isinstance(cell, layers.StackedRNNCells) else (cell,)


class Gates:
    """Pre-activations of the gates of a cell."""

    def __init__(self, variance: float, given: Signal, key: int) -> None:
        self._inputs = [normal(variance, given.alike, _KEYS + key * 8 + i).values for i in range(4)]
        self._directions = [normal(1.0, 1.0, _KEYS + key * 8 + 4 + i).values[0] for i in range(4)]

    def at(self, gate: int, step: int, state: Array) -> Array:
        """Returns what a gate sees: its input, and the state through the recurrent kernel."""
        size = float(np.sqrt(np.mean(state**2)))
        seen: Array = self._inputs[gate][step] + self._directions[gate] * size
        return seen

    @property
    def start(self) -> Array:
        """The state before the first step."""
        return np.zeros(self._directions[0].shape)


@functools.singledispatch
def _states(cell: Any, gates: Gates) -> Array | None:
    """Returns the states at each step; None for a cell without a rule."""
    return _lstm(cell, gates) if _is_convolutional(cell) else None


def _is_convolutional(cell: Any) -> bool:
    return by_name(type(cell), {"keras>ConvLSTMCell": True}) or False


@_states.register(layers.SimpleRNNCell)
def _simple(cell: Any, gates: Gates) -> Array:
    function, state, states = resolve(cell.activation).function, gates.start, []
    for step in range(PLACES):
        state = function(gates.at(0, step, state))
        states.append(state)
    return np.stack(states)


@_states.register(layers.LSTMCell)
def _lstm(cell: Any, gates: Gates) -> Array:
    function = resolve(cell.activation).function
    gate = resolve(cell.recurrent_activation).function
    forget_bias = float(cell.unit_forget_bias)
    memory, state, states = gates.start, gates.start, []
    for step in range(PLACES):
        kept = gate(gates.at(1, step, state) + forget_bias) * memory
        memory = kept + gate(gates.at(0, step, state)) * function(gates.at(2, step, state))
        state = gate(gates.at(3, step, state)) * function(memory)
        states.append(state)
    return np.stack(states)


@_states.register(layers.GRUCell)
def _gru(cell: Any, gates: Gates) -> Array:
    function = resolve(cell.activation).function
    gate = resolve(cell.recurrent_activation).function
    state, states = gates.start, []
    for step in range(PLACES):
        update = gate(gates.at(0, step, state))
        reset = gate(gates.at(1, step, state))
        state = update * state + (1 - update) * function(gates.at(2, step, reset * state))
        states.append(state)
    return np.stack(states)
