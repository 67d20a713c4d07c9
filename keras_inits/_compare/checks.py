"""Checks of numbers that users give, NumPy's integers among them."""

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_inits._errors import InputError, InputTypeError


def at_least_one(name: str, count: Any) -> int | None:
    """Returns a count as an `int`; None stays None.

    Raises:
        InputError: it is below 1.
        InputTypeError: it is no integer.

    >>> at_least_one("epochs", np.int64(3))
    3
    """
    if count is None:
        return None
    number = integer(name, count)
    if number < 1:
        raise InputError(f"`{name}` must be at least 1. Received: {name}={count}")
    return number


def integer(name: str, value: Any) -> int:
    """Returns an integer of Python or NumPy as an `int`.

    Raises:
        InputTypeError: it is no integer.
    """
    try:
        return operator.index(value)
    except TypeError as error:
        raise InputTypeError(f"`{name}` must be an integer. Received: {name}={value!r}") from error


def run_numbers(seeds: int | Sequence[int]) -> list[int]:
    """Returns the numbers of the runs: 0 to `seeds` - 1, or `seeds` themselves.

    Raises:
        InputError: none, two that are equal, or a negative one.
        InputTypeError: not integers.

    >>> run_numbers(2), run_numbers(np.array([5, 3]))
    ([0, 1], [5, 3])
    """
    if hasattr(seeds, "__index__") and np.ndim(seeds) == 0:
        numbers = list(range(integer("seeds", seeds)))
    else:
        try:
            entries = list(seeds)  # type: ignore[arg-type]
        except TypeError as error:
            raise InputTypeError(
                f"`seeds` must be a number of runs or their numbers. Received: seeds={seeds!r}"
            ) from error
        numbers = [integer("seeds", seed) for seed in entries]
    if not numbers or len(set(numbers)) < len(numbers) or min(numbers) < 0:
        raise InputError(
            "`seeds` must be at least 1, or different numbers that are not negative. "
            f"Received: seeds={seeds!r}"
        )
    return numbers
