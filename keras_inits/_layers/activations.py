"""Which activation a layer's output meets first."""

import inspect
import re
from dataclasses import dataclass
from typing import Any

import keras

from keras_inits._keras_internals import next_operations
from keras_inits._layers.kinds import KEEPS_SCALE, KERNELS, Kind, kind

# Layers that pass a signal's scale on, or set it before the activation: the search goes through.
_SEEN_THROUGH = KEEPS_SCALE | {Kind.NORMALIZATION}
# What meets these with no activation before it meets them linearly.
_NEXT_MAPS = KERNELS | {Kind.ATTENTION, Kind.RECURRENT}


@dataclass(frozen=True)
class Following:
    """What a layer's output meets first.

    Attributes:
        activation: a function, a layer or an operation of Keras; None if no activation was met.
        met: what was met in its place, in words; empty for an activation and for a next kernel,
            to which the output goes linearly.
    """

    activation: Any = None
    met: str = ""


def following(layer: keras.layers.Layer) -> Following:
    """Returns the activation that `layer`'s output meets first, or what it meets in its place.

    It is the layer's own; else that of the layers after it in a functional or Sequential model,
    seen through normalization, noise, changes of shape and other layers that keep a signal's scale.
    """
    own = getattr(layer, "activation", None)
    if own is not None and own is not keras.activations.linear:
        return Following(own)
    found = _after(layer, set())
    activations = {activation_name(each): each for each in found if not isinstance(each, str)}
    if len(activations) == 1:
        return Following(next(iter(activations.values())))
    met = [*activations, *(each for each in found if isinstance(each, str))]
    return Following(met=" and ".join(dict.fromkeys(met)))


def is_seen(layer: keras.layers.Layer) -> bool:
    """Returns whether a graph shows what follows `layer`; none does inside a subclassed layer."""
    return bool(next_operations(layer))


def activation_name(activation: Any) -> str:
    """Returns the name of an activation function or layer; `"linear"` for None."""
    if activation is None:
        return "linear"
    return str(getattr(activation, "__name__", type(activation).__name__))


def activation_of_operation(operation: Any) -> Any:
    """Returns the activation that an operation such as `keras.ops.relu` computes, or None.

    It is the function of `keras.activations`, or the operation itself where its arguments are not
    the function's defaults.

    >>> inputs = keras.Input((4,))
    >>> outputs = keras.ops.hard_sigmoid(inputs)
    >>> activation_of_operation(keras.Model(inputs, outputs).operations[1]).__name__
    'hard_sigmoid'
    """
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(operation).__name__).lower()
    name = {"exp": "exponential", "re_lu": "relu"}.get(name, name)
    function = getattr(keras.activations, name, None)
    if function is None:
        return None
    parameters = inspect.signature(function).parameters.values()
    default = all(getattr(operation, p.name, p.default) == p.default for p in parameters)
    return function if default else operation


def _after(operation: Any, seen: set[int]) -> list[Any]:
    """Returns the activations that follow, and the names of what else was met."""
    found: list[Any] = []
    for next_ in next_operations(operation):
        if id(next_) in seen:
            continue
        seen.add(id(next_))
        if not isinstance(next_, keras.layers.Layer):  # keras.ops.relu on a symbolic tensor
            found.append(activation_of_operation(next_) or f"operation {type(next_).__name__}")
        elif kind(next_) is Kind.ACTIVATION:
            activation = getattr(next_, "activation", None) if _named(next_) else next_
            found += _after(next_, seen) if activation is keras.activations.linear else [activation]
        elif kind(next_) in _SEEN_THROUGH:
            found += _after(next_, seen)
        elif kind(next_) not in _NEXT_MAPS:
            found.append(type(next_).__name__)
    return found


def _named(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, keras.layers.Activation)
