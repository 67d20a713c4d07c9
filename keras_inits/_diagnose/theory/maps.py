"""What layers with a kernel make of a second moment, without activation and bias."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from keras_inits._diagnose.backends import backend
from keras_inits._diagnose.seen.calls import Call
from keras_inits._diagnose.seen.measuring import moments
from keras_inits._diagnose.seen.traits import own_kernel
from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._layers import geometry
from keras_inits._layers.kinds import Kind, kind
from keras_inits._moments.reach import on_input_at

Rows = Sequence[int]


def map_gain(layer: Any, call: Call) -> float | None:
    """Returns by what a random kernel multiplies a second moment; None of what has no such law.

    It is the mean, over outputs, of the sum of their squared weights: the holes of a stride left
    out, and zeros of a padding, as many as there are more of these than of other zeros at the edge.
    """
    gain, inside = edge_gain(layer, call), call.structure.inside
    if gain is None or inside is None:
        return gain
    return gain / _share(layer, call) * inside


def edge_gain(layer: Any, call: Call) -> float | None:
    """Returns the same for a signal that is as large at the edges as it is elsewhere."""
    if call.structure.gain is None:
        call.structure.gain = (_edge_gain(layer, call),)
    return call.structure.gain[0]


def _edge_gain(layer: Any, call: Call) -> float | None:
    gain = _GAINS.get(kind(layer))
    weights = [w for w in layer.weights if len(w.shape) > 1]
    # Integers of a quantized layer stand for other numbers.
    if gain is None or call.inputs is None or not all(map(_is_real, weights)):
        return None
    return gain(layer, call)


def kernel_fans(layer: Any) -> tuple[float | None, float | None]:
    """Returns how many weights each unit of a layer, and each input, has; None without a kernel."""
    what = kind(layer)
    if what in (Kind.DEPTHWISE, Kind.SEPARABLE):
        taps = float(math.prod(layer.kernel_size))
        return taps, taps * layer.depth_multiplier
    kernel = own_kernel(layer)
    found = None if kernel is None or what not in _GAINS else geometry(layer, kernel)
    if not isinstance(found, KernelGeometry):
        return None, None
    return float(found.fan_in), float(found.fan_out)


def _is_real(weight: Any) -> bool:
    return bool(keras.backend.is_float_dtype(weight.dtype))


def _mean_square(weight: Any) -> float:
    return moments(backend.float32(backend.current(weight)))[1]


def _plain(layer: Any, call: Call) -> float | None:
    kernel = own_kernel(layer)
    found = None if kernel is None else geometry(layer, kernel)
    if not isinstance(found, KernelGeometry):
        return None
    return float(found.fan_in) * _share(layer, call) * _mean_square(kernel)


def _depthwise(layer: Any, call: Call) -> float | None:
    taps: int = math.prod(layer.kernel_size)
    return taps * _share(layer, call) * _mean_square(layer.kernel)


def _separable(layer: Any, call: Call) -> float | None:
    each: float = math.prod(layer.kernel_size) * _mean_square(layer.depthwise_kernel)
    between: int = layer.pointwise_kernel.shape[-2]
    return each * _share(layer, call) * between * _mean_square(layer.pointwise_kernel)


def _transposed(layer: Any, call: Call) -> float | None:
    """Sums over the inputs that lie under each output: all that the taps reach, spread evenly."""
    assert call.inputs is not None
    sizes, made = _spatial(layer, call.inputs.shape), _spatial(layer, call.output.shape)
    reached: float = math.prod(sizes) / math.prod(made) * math.prod(layer.kernel_size)
    inputs: int = layer.kernel.shape[-1]
    return inputs * reached * _taps(layer, made, sizes) * _mean_square(layer.kernel)


_GAINS: dict[Kind, Callable[[Any, Call], float | None]] = {
    Kind.DENSE: _plain,
    Kind.CONVOLUTION: _plain,
    Kind.EINSUM: _plain,
    Kind.DEPTHWISE: _depthwise,
    Kind.SEPARABLE: _separable,
    Kind.TRANSPOSED: _transposed,
}


def _spatial(layer: Any, shape: Rows) -> Rows:
    return shape[1:-1] if layer.data_format != "channels_first" else shape[2:]


def _share(layer: Any, call: Call) -> float:
    """Returns the mean share of a convolution's taps that lie on the input, not on its padding."""
    if getattr(layer, "padding", "valid") != "same" or call.inputs is None:
        return 1.0
    return _taps(layer, _spatial(layer, call.inputs.shape), _spatial(layer, call.output.shape))


def _taps(layer: Any, sizes: Rows, made: Rows) -> float:
    """Returns the share of taps inside `sizes` as a window goes over `made` positions."""
    share = 1.0
    strides, dilations = _per_axis(layer.strides, sizes), _per_axis(layer.dilation_rate, sizes)
    same = layer.padding == "same"
    for n, m, k, stride, dilation in zip(
        sizes, made, layer.kernel_size, strides, dilations, strict=True
    ):
        share *= float(np.mean(on_input_at(n, m, k, stride, dilation, padded=same)))
    return share


def _per_axis(value: int | Rows, sizes: Rows) -> Rows:
    return [value] * len(sizes) if isinstance(value, int) else value
