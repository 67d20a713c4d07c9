"""Checks of what only comparisons take."""

from collections.abc import Sequence

import numpy as np

from keras_inits._checks import integer
from keras_inits._errors import InputError, InputTypeError


def run_numbers(seeds: int | Sequence[int]) -> list[int]:
    """Returns the numbers of the runs: 0 to `seeds` - 1, or `seeds` themselves.

    Raises:
        InputError: none, two that are equal, or a negative one.
        InputTypeError: not integers.

    >>> run_numbers(2), run_numbers(np.array([5, 3]))
    ([0, 1], [5, 3])
    """
    if hasattr(seeds, "__index__") and np.ndim(seeds) == 0:
        numbers = list(range(integer("seeds", seeds, minimum=1)))
    else:
        try:
            entries = list(seeds)  # type: ignore[arg-type]
        except TypeError as error:
            raise InputTypeError(
                f"`seeds` must be a number of runs or their numbers. Received: seeds={seeds!r}"
            ) from error
        numbers = [integer("seeds", seed) for seed in entries]
    if not numbers or len(set(numbers)) < len(numbers):
        raise InputError(
            "`seeds` must be a number of runs, or different numbers, one or more. "
            f"Received: seeds={seeds!r}"
        )
    return numbers
