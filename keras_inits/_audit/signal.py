"""What comes out of each call of a model, predicted from the scales of its kernels."""

import functools
import math
from collections.abc import Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits._audit.context import root_mean_square
from keras_inits._audit.kernel import Kernels, activated
from keras_inits._layers.kinds import KEEPS_SCALE, Kind
from keras_inits._layers.scales import SCALES, scale_offset
from keras_inits._wiring import Call, Wiring
from keras_inits._wiring.steps import variables_of

Signal = NDArray[np.floating]

_VALUES = 1024  # of each signal
_AS_THEY_ARE = KEEPS_SCALE | {Kind.PREPROCESSING, Kind.INPUT}
_RANGE = 1e30  # what float32 still holds, with room for an activation's own arithmetic


def predicted_signals(wiring: Wiring, kernels: Kernels) -> Sequence[Signal | None]:
    """Returns for each call values as its output has them at random; None where it is not known.

    A signal is some values drawn as those of one unit are, over units, places and samples. An input
    is standard normal. A kernel makes a normal law of the variance that its weights give, whatever
    comes in (mean field: Poole et al. 2016); functions of single values, sums and products are
    computed on the values; a normalization centres and scales them. Attention and average pooling
    keep the second moment, which is an upper bound.

    Args:
        wiring: that of the model.
        kernels: those of the model.
    """
    signals: list[Signal | None] = []
    for call in wiring.calls:
        sources = [_normal(s) if s < 0 else signals[s] for s in call.signals]
        signals.append(_output(wiring, kernels, call, sources))
    return signals


def _output(
    wiring: Wiring, kernels: Kernels, call: Call, sources: Sequence[Signal | None]
) -> Signal | None:
    known = [s for s in sources if s is not None]
    if call.is_map or call.kind in (Kind.EMBEDDING, Kind.POSITION):
        return _mapped(wiring, kernels, call, known)
    if call.kind is Kind.CONTRACTION:
        return known[-1] if known else None
    if len(known) < len(sources) or not known or call.is_unknown:
        return None
    (first, *_), last = known, known[-1]
    match call.kind:
        case Kind.NORMALIZATION:
            return _scaled(wiring, call, (first - first.mean()) / (first.std() + 1e-12))
        case Kind.SUM:
            return _summed(call, known)
        case Kind.PRODUCT:
            return functools.reduce(np.multiply, known)
        case Kind.ATTENTION:
            return last
        case Kind.CONCATENATION:
            return np.concatenate(known)[:: len(known)]
        case Kind.POOLING:
            return first
        case Kind.SCALING if call.weights:
            return _scaled(wiring, call, first)
        case Kind.SHIFT if call.weights:
            return first
        case Kind.ACTIVATION | Kind.ELEMENTWISE | Kind.SCALING | Kind.SHIFT:
            return _computed(wiring, call, first)
    return first if call.kind in _AS_THEY_ARE else None


def _mapped(wiring: Wiring, kernels: Kernels, call: Call, known: Sequence[Signal]) -> Signal | None:
    """Returns what a kernel makes of a signal, or what a table holds."""
    size = root_mean_square(known[0]) if known and call.is_map else 1.0
    found = kernels.at(call.weights)
    if not found:
        return None
    for kernel in found:
        fans = kernel.geometry.fan_in if call.is_map and not call.backwards else 1.0
        size *= root_mean_square(kernel.values) * math.sqrt(fans)
    values = _normal(call.index) * min(size, _RANGE)
    bias = found[-1].bias
    if bias is not None and bias.size:
        values = values + np.resize(bias.reshape(-1), values.shape)
    if not call.activation:
        return values
    return activated(getattr(wiring.subjects[call.index], "activation", None), values)


def _summed(call: Call, known: Sequence[Signal]) -> Signal | None:
    names = {"add": np.add, "subtract": np.subtract, "maximum": np.maximum, "minimum": np.minimum}
    name = call.type.lower()
    if name == "average":
        return np.asarray(np.mean(np.stack(known), axis=0))
    function = names.get(name)
    if function is None:
        return None
    total = functools.reduce(function, known)
    return np.clip(total, -_RANGE, _RANGE)


def _scaled(wiring: Wiring, call: Call, values: Signal) -> Signal:
    """Returns a signal times the learned factors of a layer, plus its shift."""
    factor, shift, offset = 1.0, 0.0, 0.0
    layer, shapes = wiring.subjects[call.index], wiring.shapes_into(call)
    if call.kind is Kind.NORMALIZATION and shapes:
        offset = scale_offset(layer, shapes[0])
    if call.type == "multiply":  # an operation: ReZero's, whatever the name of its factor
        factors = variables_of(wiring.step(call))
        return values * math.prod(
            root_mean_square(keras.ops.convert_to_numpy(factor.value)) for factor in factors
        )
    for weight in getattr(layer, "weights", ()):
        numbers = np.asarray(keras.ops.convert_to_numpy(weight), "float64")
        if weight.name in SCALES:
            factor = root_mean_square(offset + numbers)
        elif weight.name == "beta":
            shift = float(np.mean(numbers))
    return values * factor + shift


def _computed(wiring: Wiring, call: Call, values: Signal) -> Signal | None:
    return activated(lambda value: wiring.computed((call.index,), value), values)


@functools.lru_cache(maxsize=4096)
def _normal(index: int) -> Signal:
    """Returns values of the standard normal law, others for each call, with mean 0 and rms 1."""
    values = np.random.default_rng([7, index + 2**20]).standard_normal(_VALUES)
    values -= values.mean()
    values /= values.std()
    values.flags.writeable = False
    return values
