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

from keras_inits._diagnose.calls import Call
from keras_inits._diagnose.theory.cells import Array, Equations, State, equations
from keras_inits._diagnose.theory.laws import Back, Moments

_DRAWS = 12  # the error of their mean is a third of the band
_SAMPLES = 4
_UNITS = 128  # of a wider layer as many are drawn, and the variance is in proportion to 1 / units
_STEPS = 256  # longer sequences would take seconds


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
    alike = call.structure.given_places
    shape = () if call.inputs is None else call.inputs.shape
    known = len(shape) == 3 and 0 < given < math.inf and not math.isnan(alike)
    found = equations(getattr(layer, "cell", None))
    if found is None or not known or not 0 < shape[1] <= _STEPS:
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
    units = min(int(cell.units), _UNITS)
    samples = min(_SAMPLES, call.inputs.shape[0])
    shape = (_DRAWS, samples, units)
    kernel = _blocks(cell.kernel, gates)
    power = np.mean(kernel**2, axis=(0, 2)) * kernel.shape[0]
    recurrent = _recurrent_kernels(cell, gates, units, rng)
    biases = _biases(cell, gates)
    alike = max(0.0, call.structure.given_places)
    common = rng.standard_normal((gates, *shape))
    inputs = np.empty((steps, gates, *shape))
    for step in range(steps):
        own = rng.standard_normal((gates, *shape))
        mixed = math.sqrt(alike) * common + math.sqrt(1 - alike) * own
        inputs[step] = mixed * np.sqrt(power * given)[:, None, None, None]
        inputs[step] += biases[:, None, None, None]
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
    equations_, structure = layer.equations, layer.call.structure
    steps = len(kept)
    profile = np.zeros(steps)
    profile[-1] = 1.0
    alike = 0.0
    if layer.sequences:
        found = structure.profile
        profile = np.ones(steps) if found is None or len(found) != steps else found / found.mean()
        alike = 0.0 if math.isnan(structure.back_places) else max(0.0, structure.back_places)
    common = rng.standard_normal(shape)
    gradient: State = tuple(np.zeros(shape) for _ in range(equations_.states))
    at_inputs, at_outputs = np.zeros(shape[0]), np.zeros(shape[0])
    for step in reversed(range(steps)):
        own = rng.standard_normal(shape)
        came = math.sqrt(alike) * common + math.sqrt(1 - alike) * own
        came *= math.sqrt(profile[step])
        at_outputs += np.mean(came**2, axis=(1, 2))
        gradient = (gradient[0] + came, *gradient[1:])
        given, gradient = equations_.back(kept[step], gradient, recurrent)
        # Through the input kernel: independent weights, summed over the units of all gates.
        energy = np.mean(given**2, axis=(2, 3)) * int(layer.cell.units)
        at_inputs += squares @ energy
    outputs = at_outputs / (steps if layer.sequences else 1)
    found_ratios: Array = at_inputs / steps / outputs
    return found_ratios


def _blocks(weight: Any, gates: int) -> NDArray[np.float64]:
    """Returns a kernel as `(inputs, gates, units)`."""
    values = keras.ops.convert_to_numpy(weight).astype(np.float64)
    return values.reshape(values.shape[0], gates, -1)


def _recurrent_kernels(cell: Any, gates: int, units: int, rng: np.random.Generator) -> Array:
    """Returns kernels like the layer's: orthogonal if that is, else normal."""
    actual = _blocks(cell.recurrent_kernel, gates)
    size = int(cell.units)
    gains = np.sqrt(np.mean(actual**2, axis=(0, 2)) * size)
    drawn = rng.standard_normal((_DRAWS, gates * units, units))
    if _is_orthogonal(actual.reshape(size, -1)):
        drawn = np.linalg.qr(drawn)[0] * math.sqrt(gates)
    else:
        drawn /= math.sqrt(units)
    kernels = np.swapaxes(drawn.reshape(_DRAWS, gates, units, units), -1, -2)
    found: Array = np.swapaxes(kernels, 0, 1) * gains[:, None, None, None]
    return found


def _is_orthogonal(rows: Array) -> bool:
    products = rows @ rows.T
    scale = float(np.mean(np.diag(products)))
    apart = products - scale * np.eye(len(products))
    return scale > 0 and float(np.max(np.abs(apart))) < 1e-3 * scale


def _biases(cell: Any, gates: int) -> Array:
    if cell.bias is None:
        return np.zeros(gates)
    values = keras.ops.convert_to_numpy(cell.bias).astype(np.float64)
    found: Array = values.reshape(-1, gates, int(cell.units)).sum(axis=0).mean(axis=1)
    return found
