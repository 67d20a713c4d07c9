"""What a layer is, as far as its signal is concerned; by its type, with `singledispatch`."""

import functools
import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_inits._gains import Activation, resolve
from keras_inits._layers.kinds import Kind, classes, is_a


def is_noise(layer: keras.Layer) -> bool:
    """Returns whether a layer only adds noise, and only in training."""
    return is_a(layer, Kind.NOISE)


def is_opaque(layer: keras.Layer) -> bool:
    """Returns whether a layer is seen from outside only: its inner layers run once a time step."""
    return is_a(layer, Kind.RECURRENT, Kind.OVER_TIME)


def is_recurrent(layer: keras.Layer) -> bool:
    """Returns whether a layer goes through a sequence step by step."""
    return is_a(layer, Kind.RECURRENT)


@functools.singledispatch
def activation_of(layer: keras.Layer) -> Any:
    """Returns the elementwise activation at a layer's output, or None if none is known."""
    activation = getattr(layer, "activation", None)
    return activation if callable(activation) and has_kernel(layer) else None


@activation_of.register(keras.layers.RNN)
def _(layer: keras.Layer) -> Any:
    return None  # inside its cell; it is seen as an operation


@activation_of.register(keras.layers.TimeDistributed)
def _(layer: keras.layers.TimeDistributed) -> Any:
    return activation_of(layer.layer)


@activation_of.register(keras.layers.Activation)
def _(layer: Any) -> Any:
    return layer.activation


def _itself(layer: Any) -> Any:
    return layer


for _type in classes(Kind.ACTIVATION):
    if _type not in (keras.layers.Activation, keras.layers.Softmax):
        activation_of.register(_type, _itself)


def elementwise(layer: Any) -> Activation | None:
    """Returns a layer's activation ready for integration; None if it has none or softmax."""
    activation = activation_of(layer)
    if activation is None:
        return None
    try:
        return resolve(activation)
    except (TypeError, ValueError):  # not elementwise: no law of a single unit says anything
        return None


def has_kernel(layer: keras.Layer) -> bool:
    """Returns whether a layer has a weight of two or more axes."""
    return any(len(weight.shape) > 1 for weight in layer.weights)


def own_kernel(layer: Any) -> Any:
    """Returns the weight that is a layer's kernel; None if it has none.

    Not `layer.kernel`: with LoRA, or quantized, that is computed from several weights.
    """
    return next((weight for weight in layer.weights if weight.name == "kernel"), None)


def is_judged(layer: Any) -> bool:
    """Returns whether the size of a layer's output, over that of its input, is the layer's doing.

    So it is for innermost layers with a kernel and for elementwise activations. Normalization,
    pooling, softmax, recurrence, merging and reshaping change sizes by design.
    """
    if is_a(layer, Kind.NORMALIZATION, Kind.EMBEDDING, Kind.RECURRENT):
        return False
    activation = activation_of(layer)
    if activation in (keras.activations.softmax, keras.activations.log_softmax):
        return False
    if is_a(layer, Kind.ACTIVATION):
        return not isinstance(layer, keras.layers.Softmax)
    return has_kernel(layer)


@functools.lru_cache(maxsize=256)
def _shape_of(activation: Activation) -> tuple[float | None, float | None, bool]:
    """Returns an activation's bounds below and above, and whether it is 0 on one whole side."""
    x = np.array([-1e4, -1e3, -6.0, -4.0, -1.0, -0.5, 1e3, 1e4])
    with np.errstate(all="ignore"):
        y = activation.function(x)
        rectifies = y[2] == 0 == y[3]
        lower = float(y[0]) if abs(y[0] - y[1]) < 1e-2 and y[4] != y[5] else None
        upper = float(y[-1]) if abs(y[-1] - y[-2]) < 1e-2 else None  # infinite on both: NaN
    return lower, upper, bool(rectifies)


def saturation_bounds(activation: Activation | None) -> tuple[float | None, float | None] | None:
    """Returns the values that an activation saturates at; None if it is not bounded above.

    A rectifier's 0 is no such bound: half of its units are there by design.
    """
    if activation is None:
        return None
    lower, upper, _ = _shape_of(activation)
    return None if upper is None else (lower, upper)


def rectifies(activation: Activation | None) -> bool:
    """Returns whether an activation is exactly 0 for low inputs, so that a unit can die."""
    return activation is not None and _shape_of(activation)[2]


def unit_axis(layer: Any) -> int:
    """Returns the axis of a layer's output that counts units or channels."""
    return 1 if getattr(layer, "data_format", None) == "channels_first" else -1


@functools.singledispatch
def together(layer: Any, shape: Sequence[int]) -> int | None:
    """Returns over how many values a normalization takes each of its means; None of others.

    Args:
        layer: the normalization.
        shape: of its input, `(batch, ...)`.

    >>> together(keras.layers.LayerNormalization(), (32, 20, 1))
    1
    >>> together(keras.layers.GroupNormalization(8), (32, 4, 4, 16))
    32
    """
    return None


@together.register(keras.layers.LayerNormalization)
@together.register(keras.layers.RMSNormalization)
@together.register(keras.layers.UnitNormalization)
def _(layer: Any, shape: Sequence[int]) -> int | None:
    axes = layer.axis if isinstance(layer.axis, list | tuple) else [layer.axis]
    return math.prod(shape[axis] for axis in axes)


@together.register(keras.layers.GroupNormalization)
def _(layer: Any, shape: Sequence[int]) -> int | None:
    groups = int(layer.groups if layer.groups > 0 else shape[layer.axis])
    return math.prod(shape[1:]) // max(1, groups)


@together.register(keras.layers.BatchNormalization)
def _(layer: Any, shape: Sequence[int]) -> int | None:
    return int(math.prod(shape) // max(1, shape[layer.axis]))


@together.register(keras.layers.TimeDistributed)
def _(layer: Any, shape: Sequence[int]) -> int | None:
    return together(layer.layer, (shape[0], *shape[2:]))
