"""Checks of arguments that every part of the library takes; each returns the value to use."""

import numbers
from typing import Any

from keras_inits._errors import InputError, InputTypeError


def integer(name: str, value: Any, *, minimum: int = 0) -> int:
    """Returns `value` as an int if it is a whole number of at least `minimum`.

    Integers of NumPy count, truth values do not.

    Args:
        name: the argument, for the message.
        value: what was given for it.
        minimum: the smallest number allowed.

    Raises:
        InputTypeError: something that is not an integer.
        InputError: an integer below `minimum`.

    >>> integer("seed", 3)
    3
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise InputTypeError(
            f"`{name}` must be a whole number from {minimum}. "
            f"Received: {name}={value!r} of type {type(value).__name__}"
        )
    if value < minimum:
        raise InputError(
            f"`{name}` must be a whole number from {minimum}. Received: {name}={value!r}"
        )
    return int(value)


def built(model: Any, purpose: str) -> Any:
    """Returns `model` if it is a model or layer of Keras that has its weights.

    Args:
        model: what was given as a model.
        purpose: what it is needed for, such as `"audited"`.

    Raises:
        InputTypeError: something that is no layer.
        InputError: a layer that is not built.
    """
    if not hasattr(model, "weights") or not hasattr(model, "built"):
        raise InputTypeError(
            "`model` must be a built Keras model or layer. "
            f"Received: model={model!r} of type {type(model).__name__}"
        )
    if not model.built:
        raise InputError(
            "`model` must be a built Keras model or layer: call it on data, or `model.build(...)`, "
            f"before it can be {purpose}. Received: model={model!r}"
        )
    return model
