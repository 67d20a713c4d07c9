"""Structured orthogonal matrices by NumPy, a panel of columns at a time."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Columns of a panel: the fastest of 16 to 512 from 256 x 64 to 4608 x 512. Its numbers stay in the
# processor's cache through all factors, and no array as large as the matrix is made but the result.
_WIDTH = 64


def structured_columns(
    factors: Sequence[NDArray[Any]],
    signs: NDArray[Any],
    chosen: NDArray[np.intp],
    gain: float,
    *,
    transposed: bool = False,
) -> NDArray[Any]:
    r"""Returns `gain` times columns of $T D_1 T D_2 T D_3$, of `(length, columns)`.

    Args:
        factors: symmetric matrices whose Kronecker product is T, the last one of neighbours.
        signs: the diagonals of $D_1$, $D_2$ and $D_3$, `(3, length)`; of the last one an entry for
            each column is read.
        chosen: the columns of T that are taken, `(columns,)`.
        gain: a factor.
        transposed: whether to return `(columns, length)`, of the same numbers.
    """
    length, columns = signs.shape[1], len(chosen)
    made = np.empty((columns, length) if transposed else (length, columns), signs.dtype)
    memory = np.empty((2, length * min(_WIDTH, columns)), signs.dtype)
    for start in range(0, columns, _WIDTH):
        stop = min(start + _WIDTH, columns)
        width = stop - start
        x, y = memory[:, : length * width]
        _fill_columns(factors, chosen[start:stop], gain * signs[2, start:stop], x)
        x, y = _transformed(factors, signs[1], x, y)
        x, y = _transformed(factors, signs[0], x, y)
        panel = x.reshape(length, width)
        if transposed:
            made[start:stop] = panel.T
        else:
            made[:, start:stop] = panel
    return made


def _fill_columns(
    factors: Sequence[NDArray[Any]], chosen: NDArray[np.intp], scales: NDArray[Any], x: NDArray[Any]
) -> None:
    """Writes columns of T, each times a number, to `x`."""
    width, rest, made = len(chosen), chosen, scales[None]
    for number, factor in enumerate(reversed(factors)):
        index, rest = rest % len(factor), rest // len(factor)
        part = factor[:, index]  # symmetric: rows or columns
        is_last = number == len(factors) - 1
        out = x.reshape(len(factor), -1, width) if is_last else None
        made = np.multiply(part[:, None], made, out=out).reshape(-1, width)


def _transformed(
    factors: Sequence[NDArray[Any]], signs: NDArray[Any], x: NDArray[Any], y: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Returns where T D x is, and the other one of two arrays of memory."""
    after, width = len(signs), x.size // len(signs)
    rows = x.reshape(-1, width)
    np.multiply(rows, signs[:, None], out=rows)
    for factor in factors:
        after //= len(factor)
        shape = (-1, len(factor), after * width)
        np.matmul(factor, x.reshape(shape), out=y.reshape(shape))
        x, y = y, x
    return x, y
