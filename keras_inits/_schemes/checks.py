"""Checks of the arguments that schemes share; each returns the value in its stored form."""

import math
import numbers
from collections.abc import Iterable
from typing import Any, TypeVar

from keras_inits._gains import activation_config
from keras_inits._gains import gain as activation_gain

_Choice = TypeVar("_Choice", bound=str)


def real(name: str, value: Any) -> float:
    """Returns `value` as a float if it is a finite real number."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"`{name}` must be a real number. Received: {name}={value!r}")
    if not math.isfinite(value):
        raise ValueError(f"`{name}` must be finite. Received: {name}={value!r}")
    return float(value)


def positive(name: str, value: Any) -> float:
    """Returns `value` as a float if it is a finite number above 0."""
    number = real(name, value)
    if number <= 0:
        raise ValueError(f"`{name}` must be positive. Received: {name}={value!r}")
    return number


def positive_integer(name: str, value: Any) -> int:
    """Returns `value` as an int if it is a whole number from 1 up."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"`{name}` must be an integer. Received: {name}={value!r}")
    if value < 1:
        raise ValueError(f"`{name}` must be at least 1. Received: {name}={value!r}")
    return int(value)


def gain_or_activation(
    gain: Any, activation: Any, *, name: str = "gain"
) -> tuple[float | None, str | dict[str, Any] | None, float]:
    """Returns a gain and an activation in their stored forms, and the gain that they mean.

    Args:
        gain: a finite number, or None for 1 or for what `activation` asks for.
        activation: what `keras_inits.gain` takes and a saved model can name, or None.
        name: the argument that `activation` stands in for.

    Raises:
        ValueError: both were given.
    """
    gain = None if gain is None else real(name, gain)
    if activation is None:
        return gain, None, 1.0 if gain is None else gain
    if gain is not None:
        raise ValueError(
            f"`activation` stands in the place of `{name}`: give one of them. "
            f"Received: {name}={gain!r}, activation={activation!r}"
        )
    config = activation_config(activation)
    return None, config, activation_gain(config)


def choice(name: str, value: _Choice, options: Iterable[str]) -> _Choice:
    """Returns `value` if it is one of `options`."""
    if value not in (known := tuple(options)):
        raise ValueError(f"`{name}` must be one of {known}. Received: {name}={value!r}")
    return value


def shape(value: Any) -> tuple[int, ...]:
    """Returns a tensor shape as a tuple of whole numbers from 0 up."""
    try:
        sizes = tuple(value)
    except TypeError:
        raise TypeError(
            f"`shape` must be a sequence of sizes, such as (3, 4). Received: shape={value!r}"
        ) from None
    if not all(isinstance(n, numbers.Integral) and int(n) >= 0 for n in sizes):
        raise ValueError(
            f"`shape` must be fully defined: whole numbers from 0 up. Received: shape={value!r}"
        )
    return tuple(int(n) for n in sizes)
