"""Checks of the arguments that schemes share; each returns the value in its stored form."""

import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits._checks import integer, real
from keras_inits._errors import InputError, InputTypeError
from keras_inits._gains import activation_config, squared_gain


def positive(name: str, value: Any) -> float:
    """Returns `value` as a float if it is a finite number above 0."""
    return real(name, value, above=0)


def seed(value: Any) -> Any:
    """Returns a seed as Keras keeps it: an int, a `keras.random.SeedGenerator` or None.

    A mapping is the saved form of a `SeedGenerator`, which Keras's initializers read.
    """
    if value is None or isinstance(value, keras.random.SeedGenerator):
        return value
    if isinstance(value, Mapping) and "class_name" in value and "config" in value:
        return value
    try:
        return integer("seed", value, minimum=None)
    except InputTypeError as error:
        raise InputTypeError(
            "`seed` must be an integer, a keras.random.SeedGenerator or None. "
            f"Received: seed={value!r}"
        ) from error


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


def dtype(value: Any) -> str:
    """Returns the name of a dtype that Keras knows; `keras.config.floatx()` for None."""
    try:
        return str(keras.backend.standardize_dtype(value))
    except (TypeError, ValueError) as error:
        raise InputTypeError(
            f"`dtype` must be one that Keras knows, such as 'float32'. Received: dtype={value!r}"
        ) from error
