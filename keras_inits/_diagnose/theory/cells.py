"""The equations of recurrent cells, one step forward and one back, on arrays.

Arrays are `(draws, samples, units)`; what comes in through the input kernel and the bias, and what
its gradient is, `(gates, draws, samples, units)`. Recurrent kernels are `(gates, draws, units,
units)`.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import layers
from numpy.typing import NDArray

from keras_inits._gains import resolve

Array = NDArray[np.float64]
State = tuple[Array, ...]


@dataclass(frozen=True)
class Equations:
    """One kind of cell.

    Attributes:
        gates: how many maps lie side by side in its kernels.
        states: how many arrays its state has; the first is its output.
        step: from the inputs of the gates, the state and the recurrent kernels the next state, and
            what the way back needs.
        back: from that, the gradient at the next state and the recurrent kernels, the gradients at
            the inputs of the gates and at the state before.
    """

    gates: int
    states: int
    step: Callable[[Array, State, Array], tuple[State, Any]]
    back: Callable[[Any, State, Array], tuple[Array, State]]


@functools.singledispatch
def equations(cell: Any) -> Equations | None:
    """Returns the equations of a cell, or None of one that is not known."""
    return None


class _Function:
    """An activation and its slope, from a table: a cell asks for both at every step."""

    _X = np.linspace(-20.0, 20.0, 8001)

    def __init__(self, activation: Any) -> None:
        function, step = resolve(activation).function, 1e-3
        self._values = function(self._X)
        self._slopes = (function(self._X + step) - function(self._X - step)) / (2 * step)

    def __call__(self, x: Array) -> Array:
        inside = np.clip(x, self._X[0], self._X[-1])
        ends = np.where(x > 0, self._slopes[-1], self._slopes[0])
        found: Array = np.interp(inside, self._X, self._values) + ends * (x - inside)
        return found

    def slope(self, x: Array) -> Array:
        """Returns the derivative."""
        found: Array = np.interp(x, self._X, self._slopes)
        return found


def _back(gradient: Array, kernel: Array) -> Array:
    found: Array = gradient @ np.swapaxes(kernel, -1, -2)
    return found


@equations.register(layers.SimpleRNNCell)
def _simple(cell: Any) -> Equations:
    function = _Function(cell.activation)

    def step(inputs: Array, state: State, kernels: Array) -> tuple[State, Any]:
        before = inputs[0] + state[0] @ kernels[0]
        return (function(before),), before

    def back(kept: Any, gradient: State, kernels: Array) -> tuple[Array, State]:
        given = gradient[0] * function.slope(kept)
        return given[None], (_back(given, kernels[0]),)

    return Equations(1, 1, step, back)


@equations.register(layers.LSTMCell)
def _lstm(cell: Any) -> Equations:
    function, gate = _Function(cell.activation), _Function(cell.recurrent_activation)

    def step(inputs: Array, state: State, kernels: Array) -> tuple[State, Any]:
        hidden, memory = state
        before = inputs + hidden @ kernels
        i, f, o = (gate(before[k]) for k in (0, 1, 3))
        candidate = function(before[2])
        after = f * memory + i * candidate
        return (o * function(after), after), (before, i, f, o, candidate, memory, after)

    def back(kept: Any, gradient: State, kernels: Array) -> tuple[Array, State]:
        before, i, f, o, candidate, memory, after = kept
        at_hidden, at_memory = gradient
        at_memory = at_memory + at_hidden * o * function.slope(after)
        given = np.stack(
            [
                at_memory * candidate * gate.slope(before[0]),
                at_memory * memory * gate.slope(before[1]),
                at_memory * i * function.slope(before[2]),
                at_hidden * function(after) * gate.slope(before[3]),
            ]
        )
        return given, (_back(given, kernels).sum(axis=0), at_memory * f)

    return Equations(4, 2, step, back)


@equations.register(layers.GRUCell)
def _gru(cell: Any) -> Equations:
    function, gate = _Function(cell.activation), _Function(cell.recurrent_activation)
    after = bool(cell.reset_after)

    def step(inputs: Array, state: State, kernels: Array) -> tuple[State, Any]:
        (hidden,) = state
        before = inputs[:2] + hidden @ kernels[:2]
        z, r = gate(before[0]), gate(before[1])
        seen = hidden @ kernels[2] if after else (r * hidden) @ kernels[2]
        sum_ = inputs[2] + (r * seen if after else seen)
        candidate = function(sum_)
        kept = (before, z, r, seen, sum_, candidate, hidden)
        return (z * hidden + (1 - z) * candidate,), kept

    def back(kept: Any, gradient: State, kernels: Array) -> tuple[Array, State]:
        before, z, r, seen, sum_, candidate, hidden = kept
        (at_hidden,) = gradient
        at_sum = at_hidden * (1 - z) * function.slope(sum_)
        at_z = at_hidden * (hidden - candidate) * gate.slope(before[0])
        if after:
            at_r, earlier = at_sum * seen, _back(at_sum * r, kernels[2])
        else:
            at_product = _back(at_sum, kernels[2])
            at_r, earlier = at_product * hidden, at_product * r
        at_r = at_r * gate.slope(before[1])
        given = np.stack([at_z, at_r, at_sum])
        earlier = earlier + at_hidden * z + _back(given[:2], kernels[:2]).sum(axis=0)
        return given, (earlier,)

    return Equations(3, 1, step, back)
