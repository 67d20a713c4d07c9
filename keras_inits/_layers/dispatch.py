"""`geometry(layer, weight)`: one function that each kind of layer extends."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import keras

from keras_inits._checks import instance
from keras_inits._errors import InputTypeError
from keras_inits._kernel_geometry import KernelGeometry


@dataclass(frozen=True)
class Default:
    """A weight that is no kernel, such as a bias or a scale: it starts as its layer says.

    Attributes:
        initializer: that start, in any form that `keras_inits.get` takes.

    >>> layer = keras.layers.Dense(3)
    >>> layer.build((None, 2))
    >>> type(geometry(layer, layer.bias)).__name__
    'Default'
    """

    initializer: Any


@dataclass(frozen=True)
class LeftAlone:
    """A weight that is not to be touched.

    Attributes:
        reason: why, as a sentence for the report.

    >>> LeftAlone("its values are a table of sines").reason
    'its values are a table of sines'
    """

    reason: str


@dataclass(frozen=True)
class Unknown(LeftAlone):
    """A weight that is left alone because no geometry is registered for it."""


Role = KernelGeometry | Default | LeftAlone


_Dispatching = TypeVar("_Dispatching", bound=Callable[..., Any])


def _of_a_variable(dispatching: _Dispatching) -> _Dispatching:
    """Returns the function so that it refuses what is no variable, such as a bias of None."""

    @functools.wraps(dispatching)  # `register` too
    def checked(layer: Any, weight: Any, /) -> Any:
        instance("weight", weight, keras.Variable, "a variable of the layer")
        return dispatching(layer, weight)

    return checked  # type: ignore[return-value]


@_of_a_variable
@functools.singledispatch
def geometry(layer: Any, weight: Any, /) -> Role:
    """Returns the geometry of the kernel `weight` of `layer`, or why it has none.

    The function dispatches on the type of the layer. For a layer of your own, register a function:

        @keras_inits.geometry.register(MyLayer)
        def _(layer, weight):
            if weight.name == "mixer":  # (outputs, inputs)
                return KernelGeometry.from_shape(weight.shape, 1, 0)
            return Default("zeros")

    Args:
        layer: the built layer that made the weight. (Of a composite layer, such as
            MultiHeadAttention, that is the sublayer.)
        weight: one of its variables.

    Returns:
        `KernelGeometry` for a kernel; `Default` for a bias, a scale or a statistic; `LeftAlone`
        for a weight that must keep its value, `Unknown` for one that is not known.

    Raises:
        InputTypeError: `weight` is no variable: None, say, of a layer without a bias.

    >>> layer = keras.layers.LSTM(64)
    >>> layer.build((None, 10, 32))
    >>> geometry(layer.cell, layer.cell.recurrent_kernel).matrix_shape
    (4, 64, 64)
    """
    return unknown(layer, weight)


def unknown(layer: Any, weight: Any) -> Unknown:
    """Returns the answer for a weight that is not known."""
    kind = type(layer).__name__
    return Unknown(
        f"{kind} is not known to have a weight {weight.name!r}: "
        f"register it with keras_inits.geometry.register({kind})"
    )


def role(layer: Any, weight: Any) -> Role:
    """Returns `geometry(layer, weight)`, or that the weight must keep its value.

    LoRA adapters, quantized and frozen layers hold values that were trained or computed elsewhere.

    Raises:
        InputTypeError: the geometry registered for the layer returned something else.
    """
    kind = type(layer).__name__
    if getattr(layer, "lora_enabled", False):
        return LeftAlone(f"{kind} has LoRA enabled: its kernel is the pretrained one")
    if getattr(layer, "quantization_mode", None) is not None:
        return LeftAlone(f"{kind} is quantized ({layer.quantization_mode})")
    if not layer.trainable:
        return LeftAlone(f"{kind} is frozen (trainable=False)")
    if not keras.backend.is_float_dtype(weight.dtype):
        return LeftAlone(f"it holds {weight.dtype}, not real numbers")
    found = geometry(layer, weight)
    if not isinstance(found, Role):
        raise InputTypeError(
            f"The geometry registered for {kind} must return a KernelGeometry, a Default or a "
            f"LeftAlone for its weight {weight.name!r}. Received: {found!r}. For a weight that is "
            f"no kernel, return Default({found!r})."
        )
    if isinstance(found, KernelGeometry) and not weight.trainable:
        return LeftAlone("it is frozen (trainable=False)")
    return found
