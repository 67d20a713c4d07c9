"""Which unit of a smaller or bigger layer each unit of a new one is made of."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_Indices = NDArray[np.int64]


def selected(old: int, new: int) -> _Indices:
    """Returns which of `old` units a layer of `new` units takes, evenly spread.

    Every (old / new)-th where that divides, else rounded steps: weight selection, by the code that
    its authors published.

    >>> selected(6, 3)
    array([0, 2, 4])
    """
    if old % new == 0:
        return np.arange(0, old, old // new)
    return np.round(np.linspace(0, old - 1, new)).astype("int64")


def widened(old: int, new: int, generator: np.random.Generator) -> _Indices:
    """Returns the unit that each of `new` units copies: every one of `old`, and random ones."""
    return np.concatenate([np.arange(old), generator.integers(0, old, new - old)])


def unit_map(old: int, new: int, generator: np.random.Generator, *, blocks: int = 1) -> _Indices:
    """Returns `selected` or `widened`, in each of the blocks that lie side by side."""
    one, units = old // blocks, new // blocks
    within = selected(one, units) if units <= one else widened(one, units, generator)
    return (np.arange(blocks)[:, None] * one + within).reshape(-1)


def repeated(units: _Indices, old_units: int, times: int) -> _Indices:
    """Returns the map of a flattened picture: `times` positions, each with all units.

    >>> repeated(np.array([0, 1, 1]), 2, 2)
    array([0, 1, 1, 2, 3, 3])
    """
    return (np.arange(times)[:, None] * old_units + units).reshape(-1)


def taken(
    values: NDArray[Any], maps: tuple[_Indices | None, ...], *, divided: tuple[int, ...] = ()
) -> NDArray[Any]:
    """Returns the entries of an array at given indices of each axis.

    Args:
        values: the old weight.
        maps: for each axis the old index of each new one; None for an axis that stays.
        divided: axes of inputs, where copies share the weight of what they copy: their sum is what
            it was (Chen et al. 2016, equation 1).
    """
    for axis, indices in enumerate(maps):
        if indices is None:
            continue
        values = np.take(values, indices, axis=axis)
        if axis in divided:
            copies = np.bincount(indices)[indices].astype(values.dtype)
            shape = [1] * values.ndim
            shape[axis] = len(indices)
            values = values / copies.reshape(shape)
    return values
