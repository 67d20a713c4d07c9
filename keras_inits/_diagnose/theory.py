r"""What the wide-net limit predicts for the layers of a model, one by one.

Forward, a layer's second moment follows from its input's by the second moments of its weights;
back, a gradient's by the same and by the derivative of the activation. Both assume random weights
of mean 0, independent of what they are given. Theory is silent where it has no law; behind such a
layer it starts again from what was measured.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_inits._diagnose.calls import UNKNOWN, Call
from keras_inits._diagnose.traits import kernel_geometry
from keras_inits._gains import Activation, gaussian_moments
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
    """

    second_moment: float
    gaussian: bool
    before: float


def predict(calls: Sequence[Call]) -> list[tuple[float | None, float | None]]:
    """Returns, for each call, the second moments that theory expects of output and gradient.

    The first is None where theory says nothing, the second also where no gradient was measured to
    start from.
    """
    forward: list[Moments | None] = []
    for call in calls:
        given = [_known(forward, calls, source, call) for source in call.sources]
        forward.append(None if call.composite or not given else _forward(call.layer, given, call))
    backward = _gradients(calls, forward)
    return [
        (moments.second_moment if moments else None, backward[index])
        for index, moments in enumerate(forward)
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
    if kernel_geometry(layer) is not None:
        return _through_kernel(layer, given[0], call)
    activation = call.activation
    if activation is not None and given[0].gaussian:
        q = given[0].second_moment
        return Moments(_activated(activation, q), gaussian=False, before=q)
    return None


def _through_kernel(layer: Any, given: Moments, call: Call) -> Moments | None:
    geometry = kernel_geometry(layer)
    assert geometry is not None
    reach = _valid_taps(layer, call)
    q = geometry.fan_in * reach * _mean_square(layer.kernel) * given.second_moment
    if getattr(layer, "use_bias", False):
        q += _mean_square(layer.bias)
    if (activation := call.activation) is None:
        return None
    moment = _activated(activation, q)
    return Moments(moment, gaussian=activation.slopes == (1.0, 1.0), before=q)


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
    return Moments(total, all(moments.gaussian for moments in given), total)


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


def _gradients(calls: Sequence[Call], forward: Sequence[Moments | None]) -> list[float | None]:
    """Follows the gradient back from what was measured at the last layers."""
    consumers: Mapping[int, list[int]] = {
        index: [j for j, c in enumerate(calls) if not c.composite and index in c.sources]
        for index in range(len(calls))
    }
    # What takes a tensor outside of any layer is not seen; it shows by what it makes, which enters
    # a later layer from nowhere. Up to the last such place a sum over consumers may lack one.
    unseen = max((i for i, call in enumerate(calls) if UNKNOWN in call.sources), default=-1)
    predicted: list[float | None] = [None] * len(calls)
    for index in reversed(range(len(calls))):
        call = calls[index]
        if call.gradient is None or call.composite:
            continue
        if not consumers[index]:
            predicted[index] = call.gradient.second_moment  # an output: theory starts here
            continue
        if index < unseen:
            continue
        parts = [
            _back(calls[j].layer, _start(predicted, calls, j), forward[j], calls[j])
            for j in consumers[index]
        ]
        if None not in parts:
            predicted[index] = sum(part for part in parts if part is not None)
    measured_from = {
        i for i, call in enumerate(calls) if not consumers[i] and call.gradient is not None
    }
    return [None if i in measured_from else value for i, value in enumerate(predicted)]


def _start(predicted: Sequence[float | None], calls: Sequence[Call], index: int) -> float | None:
    """Returns the gradient's second moment at a call, measured where theory says nothing."""
    gradient = calls[index].gradient
    if predicted[index] is None and gradient is not None:
        return gradient.second_moment
    return predicted[index]


@functools.singledispatch
def _back(layer: Any, gradient: float | None, moments: Moments | None, call: Call) -> float | None:
    """Returns the gradient's second moment at the input of `layer`, given that at its output."""
    if gradient is None or moments is None or call.inputs is None:
        return None
    activation = call.activation
    if activation is None or not moments.before > 0:
        return None
    at_kernel = gradient * gaussian_moments(activation, moments.before).derivative_second_moment
    if (geometry := kernel_geometry(layer)) is None:
        return at_kernel
    # Each input reaches fan_out outputs, fewer at the borders and where a stride skips them.
    outputs = math.prod(call.output.shape[1:]) * geometry.fan_in * _valid_taps(layer, call)
    reached = outputs / math.prod(call.inputs.shape[1:])
    return at_kernel * reached * _mean_square(layer.kernel)


for _type in (*_SAME, keras.layers.Add, keras.layers.Concatenate):

    @_back.register(_type)
    def _(layer: Any, gradient: float | None, moments: Moments | None, call: Call) -> float | None:
        return gradient


@_back.register(keras.layers.BatchNormalization)
@_back.register(keras.layers.LayerNormalization)
@_back.register(keras.layers.GroupNormalization)
@_back.register(keras.layers.RMSNormalization)
def _(layer: Any, gradient: float | None, moments: Moments | None, call: Call) -> float | None:
    # The projections that normalization adds take away a few of many directions.
    if gradient is None or moments is None or call.inputs is None or not call.inputs.std > 0:
        return None
    return gradient * moments.second_moment / call.inputs.std**2


def _activated(activation: Activation, q: float) -> float:
    return gaussian_moments(activation, q).second_moment if 0 < q < math.inf else q


def _mean_square(weight: Any) -> float:
    return float(np.mean(np.square(weight.numpy().astype(np.float64))))


def _valid_taps(layer: Any, call: Call) -> float:
    """Returns the mean share of a convolution's taps that lie on the input, not on its padding."""
    if getattr(layer, "padding", "valid") != "same" or call.inputs is None:
        return 1.0
    last = layer.data_format != "channels_first"
    spatial = slice(1, -1) if last else slice(2, None)
    sizes, made = call.inputs.shape[spatial], call.output.shape[spatial]
    share = 1.0
    for n, m, k, stride, dilation in zip(
        sizes, made, layer.kernel_size, layer.strides, layer.dilation_rate, strict=True
    ):
        padding = max(0, (m - 1) * stride + (k - 1) * dilation + 1 - n)
        positions = np.arange(m)[:, None] * stride + np.arange(k) * dilation - padding // 2
        share *= float(np.mean((positions >= 0) & (positions < n)))
    return share
