"""Checks of the arguments that schemes share; each returns the value in its stored form."""

import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits._errors import InputError, InputTypeError
from keras_inits._gains import activation_config, squared_gain

_Choice = TypeVar("_Choice", bound=str)


def real(name: str, value: Any) -> float:
    """Returns `value` as a float if it is a finite real number."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise InputTypeError(f"`{name}` must be a real number. Received: {name}={value!r}")
    if not math.isfinite(value):
        raise InputError(f"`{name}` must be finite. Received: {name}={value!r}")
    return float(value)


def positive(name: str, value: Any) -> float:
    """Returns `value` as a float if it is a finite number above 0."""
    number = real(name, value)
    if number <= 0:
        raise InputError(f"`{name}` must be positive. Received: {name}={value!r}")
    return number


def positive_integer(name: str, value: Any) -> int:
    """Returns `value` as an int if it is a whole number from 1 up."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise InputTypeError(f"`{name}` must be an integer. Received: {name}={value!r}")
    if value < 1:
        raise InputError(f"`{name}` must be at least 1. Received: {name}={value!r}")
    return int(value)


def seed(value: Any) -> Any:
    """Returns a seed as Keras keeps it: an int, a `keras.random.SeedGenerator` or None.

    A mapping is the saved form of a `SeedGenerator`, which Keras's initializers read.
    """
    if isinstance(value, numbers.Integral):
        return int(value)
    if value is None or isinstance(value, keras.random.SeedGenerator | Mapping):
        return value
    raise InputTypeError(
        f"`seed` must be an integer, a keras.random.SeedGenerator or None. Received: seed={value!r}"
    )


def numbers_of(name: str, value: Any) -> float | NDArray[Any]:
    """Returns a finite real number as a float, or an array of such numbers as an array."""
    if isinstance(value, numbers.Real) or not isinstance(value, Sequence | np.ndarray | np.generic):
        if hasattr(value, "__array__") and not isinstance(value, numbers.Real):
            value = np.asarray(value)  # a tensor
        else:
            return real(name, value)
    try:
        array = np.asarray(value)
    except ValueError:  # rows of several lengths
        array = np.empty(0, object)
    if array.dtype.kind not in "iuf":
        raise InputTypeError(
            f"`{name}` must be a real number or an array of them. Received: {name}={value!r}"
        )
    if not np.all(np.isfinite(array)):
        raise InputError(f"`{name}` must be finite. Received: {name}={value!r}")
    return array if array.ndim else float(array)


def gain_or_activation(
    gain: Any, activation: Any, *, name: str = "gain"
) -> tuple[float | None, str | dict[str, Any] | None, float]:
    """Returns a gain and an activation in their stored forms, and the square of the gain meant.

    Args:
        gain: a finite number, or None for 1 or for what `activation` asks for.
        activation: what `keras_inits.gain` takes and a saved model can name, or None.
        name: the argument that `activation` replaces.

    Raises:
        ValueError: both were given.
    """
    gain = None if gain is None else real(name, gain)
    if activation is None:
        return gain, None, 1.0 if gain is None else gain * gain
    if gain is not None:
        raise InputError(
            f"`activation` stands in the place of `{name}`: give one of them. "
            f"Received: {name}={gain!r}, activation={activation!r}"
        )
    config = activation_config(activation)
    return None, config, squared_gain(config)


def choice(name: str, value: _Choice, options: Iterable[str]) -> _Choice:
    """Returns `value` if it is one of `options`."""
    if value not in (known := tuple(options)):
        raise InputError(f"`{name}` must be one of {known}. Received: {name}={value!r}")
    return value


def shape(value: Any) -> tuple[int, ...]:
    """Returns a tensor shape as a tuple of whole numbers from 0 up."""
    try:
        sizes = tuple(value)
    except TypeError:
        raise InputTypeError(
            f"`shape` must be a sequence of sizes, such as (3, 4). Received: shape={value!r}"
        ) from None
    if not all(isinstance(n, numbers.Integral) and int(n) >= 0 for n in sizes):
        raise InputError(
            f"`shape` must be fully defined: whole numbers from 0 up. Received: shape={value!r}"
        )
    return tuple(int(n) for n in sizes)
