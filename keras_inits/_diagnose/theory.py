r"""What the wide-net limit predicts for the layers of a model, one by one.

Forward, a layer's second moment follows from its input's by the second moments of its weights;
back, a gradient's by the same and by the derivative of the activation. Both assume random weights
of mean 0, independent of what they are given. Theory is silent where it has no law (pooling, whose
effect depends on how neighbours correlate; attention over several positions; gates); behind such a
layer it starts again from what was measured.

Each prediction has a band: the standard deviation that a finite width gives the logarithm of the
second moment of one net (`spread.py`).
"""

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_inits._diagnose import spread
from keras_inits._diagnose.calls import UNKNOWN, Call
from keras_inits._diagnose.maps import map_gain
from keras_inits._gains import Activation, gaussian_moments, resolve
from keras_inits._layers.kinds import Kind, classes

# Noise is off while a model is recorded. UpSampling1D can only repeat.
_SAME = (
    *classes(Kind.RESHAPING, Kind.NOISE, Kind.IDENTITY),
    keras.layers.UpSampling1D,
)


@dataclass(frozen=True)
class Moments:
    """What theory knows of one tensor.

    Attributes:
        second_moment: its mean square.
        gaussian: whether it is normal with mean 0, as behind a wide random kernel.
        before: its second moment before the layer's own activation.
        variance: that of the logarithm of its second moment over nets of this width.
    """

    second_moment: float
    gaussian: bool
    before: float
    variance: float = 0.0


@dataclass(frozen=True)
class Prediction:
    """What theory expects at one call; None where it says nothing.

    Attributes:
        second_moment: of its output.
        deviation: standard deviation of the logarithm of that, over nets of this width.
        gradient: second moment of the gradient there.
        gradient_deviation: standard deviation of its logarithm.
    """

    second_moment: float | None
    deviation: float | None
    gradient: float | None
    gradient_deviation: float | None


def predict(calls: Sequence[Call]) -> list[Prediction]:
    """Returns what theory expects of each call.

    Of the gradient it expects nothing where none was measured to start from.
    """
    forward: list[Moments | None] = []
    for call in calls:
        given = [_known(forward, calls, source, call) for source in call.sources]
        forward.append(None if call.composite or not given else _forward(call.layer, given, call))
    backward = _gradients(calls, forward)
    return [
        Prediction(
            moments.second_moment if moments else None,
            math.sqrt(moments.variance) if moments else None,
            back[0] if back else None,
            math.sqrt(back[1]) if back else None,
        )
        for moments, back in zip(forward, backward, strict=True)
    ]


def _known(
    forward: Sequence[Moments | None], calls: Sequence[Call], source: int, call: Call
) -> Moments:
    """Returns what is predicted of a tensor, or else what was measured."""
    predicted = forward[source] if source >= 0 else None
    if predicted is not None:
        return predicted
    measured = calls[source].output if source >= 0 else call.inputs
    moment = math.nan if measured is None else measured.second_moment
    return Moments(moment, gaussian=False, before=moment)


@functools.singledispatch
def _forward(layer: Any, given: list[Moments], call: Call) -> Moments | None:
    """Returns what comes out of `layer`, or None where theory says nothing."""
    if (found := map_gain(layer, call)) is not None:
        return _through_kernel(layer, given[0], call, found)
    activation = call.activation
    if activation is not None and given[0].gaussian:
        q = given[0].second_moment
        variance = given[0].variance * spread.sensitivity(activation, q) ** 2
        variance += spread.of_units(activation, q, call, call.output.units, linear=False)
        return Moments(_activated(activation, q), gaussian=False, before=q, variance=variance)
    return None


def _through_kernel(layer: Any, given: Moments, call: Call, gain: float) -> Moments | None:
    linear = gain * given.second_moment
    bias = getattr(layer, "bias", None)
    q = linear + (_mean_square(bias) if bias is not None else 0.0)
    if (activation := call.activation) is None:
        return None
    moment = _activated(activation, q)
    share = linear / q if q > 0 else 1.0
    variance = given.variance * (share * spread.sensitivity(activation, q)) ** 2
    variance += share**2 * spread.of_units(activation, q, call, spread.units(layer, call))
    return Moments(moment, activation.slopes == (1.0, 1.0), before=q, variance=variance)


for _type in _SAME:

    @_forward.register(_type)
    def _(layer: Any, given: list[Moments], call: Call) -> Moments | None:
        return given[0]


@_forward.register(keras.layers.Add)
def _(layer: Any, given: list[Moments], call: Call) -> Moments | None:
    # Without correlation second moments add; one branch with its own random sign may be anything.
    if sum(not moments.gaussian for moments in given) > 1 or len(set(call.sources)) < len(given):
        return None
    total = sum(moments.second_moment for moments in given)
    parts = sum(moments.second_moment**2 * moments.variance for moments in given)
    squares = sum(moments.second_moment**2 for moments in given)
    # The product of a branch with the rest has mean 0, and this variance over the units.
    cross = 2 * (total**2 - squares) * spread.averaged(call, call.output.alignment)
    variance = (parts + cross / call.output.units) / total / total if total > 0 else 0.0
    return Moments(total, all(moments.gaussian for moments in given), total, variance)


@_forward.register(keras.layers.Concatenate)
def _(layer: Any, given: list[Moments], call: Call) -> Moments | None:
    if len({moments.second_moment for moments in given}) > 1:
        return None  # parts of different size: no longer one law
    return given[0]


@_forward.register(keras.layers.LayerNormalization)
@_forward.register(keras.layers.GroupNormalization)
@_forward.register(keras.layers.BatchNormalization)
def _(layer: Any, given: list[Moments], call: Call) -> Moments | None:
    # Variance 1 but for epsilon; the mean that is taken away is known where there is none.
    variance = call.inputs.std**2 if call.inputs else math.nan
    if given[0].gaussian:
        variance = given[0].second_moment
    share = variance / (variance + layer.epsilon)
    return _scaled_and_shifted(layer, share, given[0].gaussian)


@_forward.register(keras.layers.RMSNormalization)
def _(layer: Any, given: list[Moments], call: Call) -> Moments | None:
    q = given[0].second_moment
    return _scaled_and_shifted(layer, q / (q + layer.epsilon), given[0].gaussian)


def _scaled_and_shifted(layer: Any, share: float, gaussian: bool) -> Moments:
    gamma, beta = (getattr(layer, name, None) for name in ("gamma", "beta"))
    scale = getattr(layer, "scale", None) if gamma is None else gamma
    square = share * (1.0 if not hasattr(scale, "numpy") else _mean_square(scale))
    shift = 0.0 if beta is None else _mean_square(beta)
    return Moments(square + shift, gaussian=gaussian and shift == 0, before=square + shift)


@_forward.register(keras.layers.SimpleRNN)
def _(layer: Any, given: list[Moments], call: Call) -> Moments | None:
    """The last of `steps` values h = phi(W x + U h + b), each second moment from the one before."""
    cell = layer.cell
    try:
        activation = resolve(cell.activation)
    except (TypeError, ValueError):
        return None
    kernel, recurrent = _mean_square(cell.kernel), _mean_square(cell.recurrent_kernel)
    # By orthogonality, or by independent weights: each step keeps its own law.
    steps = call.inputs.shape[1] if call.inputs and not layer.return_sequences else 0
    if not steps:
        return None
    outside = kernel * cell.kernel.shape[0] * given[0].second_moment
    outside += _mean_square(cell.bias) if cell.bias is not None else 0.0
    q = moment = 0.0
    for _ in range(steps):
        q = outside + recurrent * cell.units * moment
        moment = _activated(activation, q)
    return Moments(moment, gaussian=False, before=q, variance=given[0].variance)


Back = tuple[float, float]  # a gradient's second moment and the variance of its logarithm


def _gradients(calls: Sequence[Call], forward: Sequence[Moments | None]) -> list[Back | None]:
    """Follows the gradient back from what was measured at the last layers."""
    consumers: Mapping[int, list[int]] = {
        index: [j for j, c in enumerate(calls) if not c.composite and index in c.sources]
        for index in range(len(calls))
    }
    # What takes a tensor outside of any layer is not seen; it shows by what it makes, which enters
    # a later layer from nowhere. Up to the last such place a sum over consumers may lack one.
    unseen = max((i for i, call in enumerate(calls) if UNKNOWN in call.sources), default=-1)
    predicted: list[Back | None] = [None] * len(calls)
    for index in reversed(range(len(calls))):
        call = calls[index]
        if call.gradient is None or call.composite:
            continue
        if not consumers[index]:
            predicted[index] = call.gradient.second_moment, 0.0  # an output: theory starts here
            continue
        if index < unseen:
            continue
        parts = [
            _back(calls[j].layer, _start(predicted, calls, j), forward[j], calls[j])
            for j in consumers[index]
        ]
        known = [part for part in parts if part is not None]
        if len(known) == len(parts):
            total = sum(size for size, _ in known)
            weighted = sum(size**2 * variance for size, variance in known)
            # Not by the square, which is 0 of what is below 1e-162.
            predicted[index] = total, weighted / total / total if total > 0 else 0.0
    measured_from = {
        i for i, call in enumerate(calls) if not consumers[i] and call.gradient is not None
    }
    return [None if i in measured_from else value for i, value in enumerate(predicted)]


def _start(predicted: Sequence[Back | None], calls: Sequence[Call], index: int) -> Back | None:
    """Returns the gradient's second moment at a call, measured where theory says nothing."""
    gradient = calls[index].gradient
    if predicted[index] is None and gradient is not None:
        return gradient.second_moment, 0.0
    return predicted[index]


@functools.singledispatch
def _back(layer: Any, gradient: Back | None, moments: Moments | None, call: Call) -> Back | None:
    """Returns the gradient's second moment at the input of `layer`, given that at its output."""
    if gradient is None or moments is None or call.inputs is None:
        return None
    activation = call.activation
    if activation is None or not moments.before > 0:
        return None
    slope = gaussian_moments(activation, moments.before).derivative_second_moment
    variance = gradient[1] + spread.of_slopes(activation, moments.before, call)
    if (gain := map_gain(layer, call)) is None:
        return gradient[0] * slope, variance
    # The sum of a map's squared entries, once by outputs and once by inputs.
    reached = gain * math.prod(call.output.shape[1:]) / math.prod(call.inputs.shape[1:])
    variance += spread.of_inputs(activation, moments.before, call)
    return gradient[0] * slope * reached, variance


for _type in (*_SAME, keras.layers.Add, keras.layers.Concatenate):

    @_back.register(_type)
    def _(layer: Any, gradient: Back | None, moments: Moments | None, call: Call) -> Back | None:
        return gradient


@_back.register(keras.layers.BatchNormalization)
@_back.register(keras.layers.LayerNormalization)
@_back.register(keras.layers.GroupNormalization)
@_back.register(keras.layers.RMSNormalization)
def _(layer: Any, gradient: Back | None, moments: Moments | None, call: Call) -> Back | None:
    if gradient is None or moments is None or call.inputs is None or not call.inputs.std > 0:
        return None
    # Of the values that are normalized together the gradient loses its part along them and, where
    # a mean is taken away, along (1, ..., 1) (Ioffe & Szegedy 2015, section 3).
    rms = isinstance(layer, keras.layers.RMSNormalization)
    size = call.inputs.second_moment if rms else call.inputs.std**2
    together = _normalized_together(layer, call)
    lost = 1 if rms else 2
    kept = max(0.0, 1 - lost / together)
    if together > lost + 1:  # 1 / variance is averaged, not the variance; of normal values:
        kept *= (together - lost + 1) / (together - lost - 1)
    return gradient[0] * moments.second_moment / size * kept, gradient[1]


def _normalized_together(layer: Any, call: Call) -> int:
    """Returns how many values share one mean and one variance."""
    shape = call.output.shape
    if isinstance(layer, keras.layers.BatchNormalization):
        return math.prod(shape) // max(1, call.output.units)
    if isinstance(layer, keras.layers.GroupNormalization):
        groups = layer.groups if layer.groups > 0 else call.output.units
        return math.prod(shape[1:]) // max(1, groups)
    axes = layer.axis if isinstance(layer.axis, list | tuple) else [layer.axis]
    return math.prod(shape[axis] for axis in axes)


def _activated(activation: Activation, q: float) -> float:
    return gaussian_moments(activation, q).second_moment if 0 < q < math.inf else q


def _mean_square(weight: Any) -> float:
    return float(np.mean(np.square(weight.numpy().astype(np.float64))))
