r"""What recurrent layers make of a signal and its gradient over a sequence.

A cell goes through its steps with one set of weights, and what comes out has no closed form. So
its own equations are run with weights drawn anew, of the second moments of the layer's, on a
sequence as alike over time as the layer's input, a few times; back, with gradients distributed
over the steps as those that came back. The mean over draws is the prediction, their spread its
band.
"""

import functools
import math
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits._diagnose.seen.calls import Call
from keras_inits._diagnose.theory.cells import Array, Equations, State, equations
from keras_inits._diagnose.theory.laws import Back, Moments
from keras_inits._errors import InputError

_DRAWS = 12  # the error of their mean is a third of the band
_SAMPLES = 4
_WHOLE = 256  # units; wider layers would take seconds
_UNITS = 128  # of a wider layer as many are drawn, and the variance is in proportion to 1 / units


@dataclass(frozen=True)
class _Drawn:
    """Mean and variance of the logarithm, over draws of the weights."""

    second_moment: float
    mean: float
    variance: float
    back: float
    back_variance: float


def recurrent_moments(layer: Any, law: Moments, call: Call) -> Moments | None:
    """Returns what comes out of a recurrent layer; None where its cell is not known."""
    drawn = _draw(layer, law.second_moment, call)
    if drawn is None:
        return None
    # A change of the input's size changes the output's by this much or less: gates saturate.
    variance = law.variance + drawn.variance
    return Moments(drawn.second_moment, drawn.mean, False, drawn.second_moment, variance)


def recurrent_back(layer: Any, law: Moments, call: Call, gradient: Back) -> Back | None:
    """Returns the gradient at the input of a recurrent layer, given that at its output."""
    drawn = _draw(layer, law.second_moment, call)
    if drawn is None or not drawn.back > 0:
        return None
    # The mean square over all steps of the input, of that over the steps of the output.
    size = gradient.second_moment * drawn.back
    return Back(size, gradient.variance + drawn.back_variance)


def _draw(layer: Any, given: float, call: Call) -> _Drawn | None:
    seen = call.structure.given_steps
    try:
        found = equations(getattr(layer, "cell", None))
    except InputError:  # an activation that is not elementwise, such as softmax, has no table
        return None
    if found is None or seen is None or call.inputs is None or not 0 < given < math.inf:
        return None
    if not np.trace(seen) > 0:
        return None
    if not _is_random(_blocks(layer.cell.recurrent_kernel, found.gates)):
        return None
    return _drawn(_Layer(layer, found, call), float(f"{given:.6e}"))


class _Layer:
    """A recurrent layer and its call, equal to itself alone."""

    def __init__(self, layer: Any, found: Equations, call: Call) -> None:
        self.cell, self.equations, self.call = layer.cell, found, call
        self.sequences = bool(layer.return_sequences)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Layer) and other.call is self.call

    def __hash__(self) -> int:
        return id(self.call)


@functools.lru_cache(maxsize=16)
def _drawn(layer: _Layer, given: float) -> _Drawn:
    rng = np.random.default_rng(0)
    cell, equations_, call = layer.cell, layer.equations, layer.call
    assert call.inputs is not None
    steps, gates = call.inputs.shape[1], equations_.gates
    units = int(cell.units) if int(cell.units) <= _WHOLE else _UNITS
    samples = min(_SAMPLES, call.inputs.shape[0])
    shape = (_DRAWS, samples, units)
    kernel = _blocks(cell.kernel, gates)
    power = np.mean(kernel**2, axis=(0, 2)) * kernel.shape[0]
    recurrent = _recurrent_kernels(_blocks(cell.recurrent_kernel, gates), units, rng)
    biases = _biases(cell, gates)
    seen = call.structure.given_steps
    assert seen is not None
    inputs = _alike(seen, (gates, *shape), rng)
    inputs = inputs * np.sqrt(power * given)[:, None, None, None] + biases[:, None, None, None]
    state: State = tuple(np.zeros(shape) for _ in range(equations_.states))
    kept, made = [], []
    for step in range(steps):
        state, each = equations_.step(inputs[step], state, recurrent)
        kept.append(each)
        made.append(state[0])
    outputs = np.stack(made) if layer.sequences else made[-1][None]
    squares = np.mean(outputs**2, axis=(0, 2, 3))
    narrow = units / int(cell.units) * (1 + 1 / _DRAWS)
    back, back_variance = 0.0, 0.0
    if call.gradient is not None:
        ratios = _ratios(layer, kept, recurrent, np.mean(kernel**2, axis=(0, 2)), shape, rng)
        back, back_variance = float(np.mean(ratios)), _spread(ratios) * narrow
    return _Drawn(
        float(np.mean(squares)), float(np.mean(outputs)), _spread(squares) * narrow, back,
        back_variance,
    )  # fmt: skip


def _spread(values: Array) -> float:
    return float(np.var(np.log(values), ddof=1)) if np.all(values > 0) else 0.0


def _ratios(
    layer: _Layer,
    kept: list[Any],
    recurrent: Array,
    squares: Array,
    shape: tuple[int, ...],
    rng: np.random.Generator,
) -> Array:
    """Returns, for each draw, the mean square at the inputs over that at the outputs."""
    equations_, steps = layer.equations, len(kept)
    seen = layer.call.structure.back_steps
    came = np.zeros((steps, *shape))
    if not layer.sequences:
        came[-1] = rng.standard_normal(shape)
    else:
        came = _alike(np.eye(steps) if seen is None or not np.trace(seen) > 0 else seen, shape, rng)
    at_outputs = np.mean(came**2, axis=(2, 3)).sum(axis=0) / (steps if layer.sequences else 1)
    gradient: State = tuple(np.zeros(shape) for _ in range(equations_.states))
    at_inputs = np.zeros(shape[0])
    for step in reversed(range(steps)):
        gradient = (gradient[0] + came[step], *gradient[1:])
        given, gradient = equations_.back(kept[step], gradient, recurrent)
        # Through the input kernel: independent weights, summed over the units of all gates.
        energy = np.mean(given**2, axis=(2, 3)) * int(layer.cell.units)
        at_inputs += squares @ energy
    found: Array = at_inputs / steps / at_outputs
    return found


def _alike(seen: Array, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Returns normal values of mean square 1, step by step as alike and as large as was seen."""
    steps = len(seen)
    values, vectors = np.linalg.eigh(seen / np.trace(seen) * steps)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    found: Array = np.tensordot(root, rng.standard_normal((steps, *shape)), axes=1)
    return found


def _blocks(weight: Any, gates: int) -> NDArray[np.float64]:
    """Returns a kernel as `(inputs, gates, units)`."""
    values = np.asarray(keras.ops.convert_to_numpy(weight), np.float64)
    return np.reshape(values, (values.shape[0], gates, -1))


def _recurrent_kernels(actual: Array, units: int, rng: np.random.Generator) -> Array:
    """Returns kernels drawn anew: the layer's own in another order, with other signs.

    So an orthogonal kernel stays orthogonal. Of a wide layer fewer units are drawn, from a normal
    law.
    """
    size, gates = actual.shape[:2]
    if units == size:
        kernels = np.empty((_DRAWS, size, gates, size))
        for draw in kernels:
            rows = actual[rng.permutation(size)] * rng.choice([-1.0, 1.0], (size, 1, 1))
            for gate in range(gates):
                order, signs = rng.permutation(size), rng.choice([-1.0, 1.0], size)
                draw[:, gate] = rows[:, gate, order] * signs
    else:
        gains = np.sqrt(np.mean(actual**2, axis=(0, 2)) * size / units)
        kernels = rng.standard_normal((_DRAWS, units, gates, units)) * gains[:, None]
    return np.ascontiguousarray(np.transpose(kernels, (2, 0, 1, 3)))


def _is_random(actual: Array) -> bool:
    """Returns whether a recurrent kernel, `(units, gates, units)`, may be taken for a random one.

    The trace of a random one is within a few times the square root of its size, in units of its
    entries; that of the identity (Le et al. 2015) is far out.
    """
    size = float(np.sqrt(np.mean(actual**2)))
    traces = np.einsum("ugu->g", actual)
    return bool(size > 0 and np.all(np.abs(traces) < 6 * size * math.sqrt(len(actual))))


def _biases(cell: Any, gates: int) -> Array:
    if cell.bias is None:
        return np.zeros(gates)
    values = keras.ops.convert_to_numpy(cell.bias).astype(np.float64)
    found: Array = values.reshape(-1, gates, int(cell.units)).sum(axis=0).mean(axis=1)
    return found
