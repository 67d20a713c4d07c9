"""Strings such as `"initkit_he"`, made known to Keras, and refused in Keras 2 with the reason.

Keras up to 3.15 looks strings up among its custom objects. From 3.16 on `keras.initializers.get`
asks a private dict alone. Tried with Keras 3.12.0, 3.15.1 and 3.16.0.dev2026102704.
"""

import functools
import sys
import warnings
from collections.abc import Iterable
from typing import Any

import keras

from keras_inits._errors import InputError

_TABLE = "ALL_OBJECTS_DICT"  # in the module that defines `keras.initializers.get`, since 3.0


def enter_strings(strings: dict[str, type[keras.initializers.Initializer]]) -> None:
    """Makes strings mean initializers wherever Keras takes an initializer.

    Args:
        strings: classes by string. They should be registered as custom objects already; where
            Keras asks these for strings too, there is nothing left to do.
    """
    if not strings_are_custom_objects():
        table = _string_table()
        if table is None:
            _warn_once()
        else:
            table.update(strings)


@functools.cache
def strings_are_custom_objects() -> bool:
    """Returns whether this Keras looks strings up among its custom objects (3.15 and before)."""
    return _finds_probe(keras.saving.get_custom_objects())


@functools.cache
def _string_table() -> dict[str, Any] | None:
    """Returns the dict in which `keras.initializers.get` looks strings up, None where it hides."""
    table = getattr(keras.initializers.get, "__globals__", {}).get(_TABLE)
    return table if isinstance(table, dict) and _finds_probe(table) else None


class _Probe(keras.initializers.Initializer):
    """Never used: stands in a table for as long as it takes to see whether Keras finds it."""


def _finds_probe(table: dict[str, Any]) -> bool:
    name = "initkit_probe"
    table[name] = _Probe
    try:
        return isinstance(keras.initializers.get(name), _Probe)
    except Exception:  # whatever a future Keras says of a string that it does not know
        return False
    finally:
        table.pop(name, None)


@functools.cache
def _warn_once() -> None:
    warnings.warn(
        f"Keras {keras.__version__} does not let other packages name initializers, so strings "
        'such as kernel_initializer="initkit_he" raise an error. Everything else works: '
        'kernel_initializer=keras_inits.get("initkit_he") or keras_inits.HeInit(), '
        "configurations, saved models, keras_inits.initialize. Update keras-inits.",
        stacklevel=2,
    )


def refuse_strings_in_keras_2(strings: Iterable[str]) -> None:
    """Lets layers of Keras 2 say what is wrong with our strings, instead of that they are unknown.

    Keras 2 is `tf_keras`, which is also `tf.keras` where TF_USE_LEGACY_KERAS is set; Keras has
    loaded it then. Nothing is done where it is not loaded. Its table of custom objects is public.
    """
    if (tf_keras := sys.modules.get("tf_keras")) is None:
        return
    table: dict[str, type] = getattr(getattr(tf_keras, "utils", None), "get_custom_objects", dict)()
    for string in strings:
        table[string] = type("OfKeras3", (_OfKeras3,), {"string": string})


class _OfKeras3:
    """What one of our strings means to Keras 2: an error that says so.

    Attributes:
        string: the string.
    """

    string = ""

    def __init__(self) -> None:
        raise InputError(
            f"{self.string!r} names an initializer of Keras 3, and this layer is one of Keras 2 "
            "(`tf_keras`, or `tf.keras` with TF_USE_LEGACY_KERAS set): make the layer with "
            "`import keras`, and unset TF_USE_LEGACY_KERAS where it is set."
        )

    @classmethod
    def from_config(cls, config: Any, **_: Any) -> "_OfKeras3":
        """Raises the error: Keras 2 makes its objects here."""
        return cls()
