"""Errors that a user can fix, distinguished by type from errors of the library."""

import difflib
from collections.abc import Iterable
from typing import Any


class InputError(ValueError):
    """What was given cannot be used: the message says what was expected, what came, what to do.

    The command line prints it as one sentence and exits with 2; any other exception is a fault of
    the library and keeps its traceback.

    >>> import keras_inits
    >>> try:
    ...     keras_inits.get("initkit_hee")
    ... except InputError as error:
    ...     print("initkit_he" in str(error))
    True
    """


class InputTypeError(InputError, TypeError):
    """Something of the wrong type was given; it is a `TypeError` too."""


class InputFileError(InputError, OSError):
    """A file or folder cannot be read or written; it is an `OSError` too."""


class MissingPackageError(InputError, ImportError):
    """A package of an extra is not installed; it is an `ImportError` too."""


def did_you_mean(given: str, known: Iterable[str], *, n: int = 3) -> str:
    """Returns a question with the known names that are most like `given`, or "" if none is.

    Args:
        given: the name that nobody knows.
        known: the names that exist.
        n: at most how many to list.

    >>> did_you_mean("rleu", ["relu", "tanh"])
    "Did you mean 'relu'? "
    >>> did_you_mean("xyz", ["relu", "tanh"])
    ''
    """
    return question(near_matches(given, known, n=n))


def near_matches(given: str, known: Iterable[str], *, n: int = 3) -> list[str]:
    """Returns the known names that are most like `given`, the nearest first.

    >>> near_matches("rleu", ["relu", "tanh"])
    ['relu']
    """
    return difflib.get_close_matches(str(given), list(known), n=n)


def question(names: Iterable[str]) -> str:
    """Returns "Did you mean 'a' or 'b'? " with a space at its end, or "" for no names."""
    quoted = " or ".join(map(repr, dict.fromkeys(names)))
    return f"Did you mean {quoted}? " if quoted else ""


def keras_2_hint(thing: Any) -> str:
    """Returns what to add to a message about an object of Keras 2; nothing for any other."""
    if not any(cls.__module__.startswith("tf_keras.") for cls in type(thing).__mro__):
        return ""
    return (
        ", which is Keras 2: make the model with `import keras`, and unset TF_USE_LEGACY_KERAS "
        "where that makes `tf.keras` another package"
    )
