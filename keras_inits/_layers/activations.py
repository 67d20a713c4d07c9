"""Activations by name: of functions, of layers and of operations."""

import inspect
import re
from typing import Any

import keras
import numpy as np

from keras_inits._layers.kinds import class_name

# f(a x) = a f(x) for a > 0, by the names of functions and of layers: the scale of what comes in is
# the scale of what goes out.
HOMOGENEOUS = frozenset({"relu", "leaky_relu", "ReLU", "LeakyReLU", "PReLU"})


def activation_name(activation: Any) -> str:
    """Returns the name of an activation function, layer or operation; `"linear"` for None.

    Of a ReLU that has bounds they are part of the name: it is another function.

    >>> activation_name(keras.layers.ReLU()), activation_name(keras.layers.ReLU(6.0))
    ('ReLU', 'ReLU(max_value=6.0)')
    """
    if activation is None:
        return "linear"
    if isinstance(activation, keras.layers.ReLU):
        bounds = {"max_value": activation.max_value, "threshold": activation.threshold}
        given = ", ".join(f"{name}={value}" for name, value in bounds.items() if value)
        return f"ReLU({given})" if given else "ReLU"
    if isinstance(activation, keras.Operation) and not isinstance(activation, keras.layers.Layer):
        return name_of_operation(activation)
    return str(getattr(activation, "__name__", class_name(activation)))


def activation_of_operation(operation: Any) -> Any:
    """Returns the activation that an operation such as `keras.ops.relu` computes, or None.

    It is the function of `keras.activations`, or the operation itself where its arguments are not
    the function's defaults.

    >>> inputs = keras.Input((4,))
    >>> outputs = keras.ops.hard_sigmoid(inputs)
    >>> activation_of_operation(keras.Model(inputs, outputs).operations[1]).__name__
    'hard_sigmoid'
    """
    function = getattr(keras.activations, name_of_operation(operation), None)
    if function is None:
        return None
    parameters = inspect.signature(function).parameters.values()
    default = all(getattr(operation, p.name, p.default) == p.default for p in parameters)
    return function if default else operation


def name_of_operation(operation: Any) -> str:
    """Returns the name in `keras.activations` of what an operation computes; else its own name.

    Whatever its arguments are, such as the axis of a softmax.
    """
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(operation).__name__).lower()
    return {"exp": "exponential", "re_lu": "relu"}.get(name, name)


# What a function of the user's own is compared with: those that a check asks about.
_PLAIN = (
    "linear",
    "sigmoid",
    "softmax",
    "relu",
    "tanh",
    "softplus",
    "exponential",
    "hard_sigmoid",
    "hard_tanh",
    "softsign",
    "relu6",
    "log_softmax",
)


def plain_name(activation: Any) -> str:
    """Returns the name of the function of `keras.activations` that an activation computes.

    A function of the user's own, such as a lambda, is called on some numbers; what is like none
    of Keras's has its own name.

    >>> plain_name(lambda x: 1 / (1 + keras.ops.exp(-x)))
    'sigmoid'
    """
    name = activation_name(activation)
    if getattr(keras.activations, name, None) is activation or activation is None:
        return name
    x = np.linspace(-8, 8, 34, dtype="float32").reshape(2, 17)  # of relu6 both sides of its bound
    try:
        with keras.StatelessScope():
            made = _numbers(activation(keras.ops.convert_to_tensor(x)))
    except Exception:  # whatever a function of the user's own says of such numbers
        return name
    if made.shape != x.shape:
        return name
    for known in _PLAIN:
        wanted = _numbers(getattr(keras.activations, known)(keras.ops.convert_to_tensor(x)))
        if np.allclose(made, wanted, rtol=1e-3, atol=1e-5):  # of half floats, too
            return known
    return name


def _numbers(tensor: Any) -> Any:
    return np.asarray(keras.ops.convert_to_numpy(tensor), np.float64)
