"""Activations by name: of functions, of layers and of operations."""

import inspect
import re
from typing import Any

import keras

# f(a x) = a f(x) for a > 0, by the names of functions and of layers: the scale of what comes in is
# the scale of what goes out.
HOMOGENEOUS = frozenset({"relu", "leaky_relu", "ReLU", "LeakyReLU", "PReLU"})


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
