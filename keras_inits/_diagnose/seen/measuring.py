"""Statistics of what was read of one tensor, whether a signal or its gradient."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_inits._diagnose.backends import backend
from keras_inits._diagnose.seen.statistics import (
    BINS,
    TensorStatistics,
    effective_rank,
    equal_columns,
    mean_cosine,
    sample_correlation,
)

# Moments and dead units are of every entry. `zeros`, the histogram and what compares samples or
# units are of an evenly spaced subsample (at most 32 samples x 2048 features): the standard error
# of a share of its 65,536 entries is 0.002.
_SAMPLES, _FEATURES, _ROWS = 32, 2048, 64

Bounds = tuple[float | None, float | None]
NEAR = 0.03  # of the distance of two bounds: closer to one of them an activation is saturated


def measure(
    x: Any, unit_axis: int = -1, bounds: Bounds | None = None
) -> tuple[TensorStatistics, NDArray[np.floating] | None]:
    """Returns the statistics of a signal, and a part of it, `(rows, units)`.

    Args:
        x: what was read of a floating tensor, `(batch, ..., units)` or with its units on
            `unit_axis`.
        unit_axis: the axis of the units.
        bounds: the values that an activation tends to below and above; an entry within 3 % of
            their distance from one of them is saturated. None in place of a bound: there is none.
    """
    found, columns = measure_gradient(x, unit_axis)
    if columns is None:
        return found, None
    x = backend.float32(x)
    matrix = _sample_matrix(x, found.units)
    low, high = float(matrix.min(initial=0.0)), float(matrix.max(initial=0.0))
    edges = np.linspace(*((low, high) if high > low else (-1.0, 1.0)), BINS + 1)
    dead = dead_units(x, unit_axis % max(1, len(x.shape)), columns)
    return replace(
        found,
        zeros=1 - np.count_nonzero(matrix) / max(1, matrix.size),
        saturated=math.nan if bounds is None else near_bounds(x, bounds),
        dead_units=dead / max(1, found.units),
        correlation=sample_correlation(matrix),
        effective_rank=effective_rank(matrix),
        histogram=_histogram(matrix, edges),
        edges=edges,
    ), columns


def measure_gradient(
    x: Any, unit_axis: int = -1, scale: float = 1.0
) -> tuple[TensorStatistics, NDArray[np.floating] | None]:
    """Returns the sizes of a gradient, and a part of it, `(rows, units)`.

    Args:
        x: what was read of a floating tensor, `(batch, ..., units)` or with its units on
            `unit_axis`.
        unit_axis: the axis of the units.
        scale: what the loss was multiplied by.
    """
    x = backend.float32(x)
    axis = unit_axis % max(1, len(x.shape))
    units = x.shape[axis] if len(x.shape) else 1
    mean, second_moment = moments(x)
    if not math.isfinite(second_moment):
        return _not_finite(tuple(x.shape), units), None
    columns = unit_columns(x, axis)
    mean, second_moment = mean / scale, second_moment / scale**2
    return TensorStatistics(
        shape=tuple(x.shape),
        units=units,
        mean=mean,
        std=math.sqrt(max(0.0, second_moment - mean**2)),
        second_moment=second_moment,
        zeros=1 - np.count_nonzero(columns) / max(1, columns.size),
        saturated=math.nan,
        dead_units=float(np.mean(~columns.any(axis=0))),
        equal_units=float(equal_columns(columns).mean()),
        correlation=math.nan,
        effective_rank=math.nan,
        finite=True,
        histogram=np.zeros(BINS, np.int64),
        edges=np.linspace(-1, 1, BINS + 1),
        alignment=mean_cosine(columns),
    ), columns


def moments(x: Any) -> tuple[float, float]:
    """Returns mean and mean square of float32 `x`; the latter not finite where `x` is not."""
    entries = max(1, int(np.prod(x.shape)))
    mean, square = (total / entries for total in backend.sums(x))
    # The squares of a signal that vanished are 0 in float32, those of one that exploded infinite.
    if 1e-25 < square < math.inf:
        return mean, square
    largest = backend.largest(x) if np.prod(x.shape) else 0.0
    if not 0 < largest < math.inf:
        return largest, largest
    scaled = x / largest
    mean, square = (total / entries for total in backend.sums(scaled))
    return mean * largest, square * largest**2


def _sample_matrix(x: Any, units: int) -> NDArray[np.floating]:
    batch = x.shape[0] if len(x.shape) else 1
    flat = backend.reshape(x[:_SAMPLES] if len(x.shape) else x, (min(batch, _SAMPLES), -1))
    features = flat.shape[1]
    stride = max(1, -(-features // _FEATURES))
    while math.gcd(stride, units) > 1:  # else it would see some units only
        stride += 1
    # Sliced first: from an accelerator all of a tensor would be copied.
    return np.ascontiguousarray(backend.array(flat[:, ::stride]))


def _histogram(matrix: NDArray[np.floating], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """Returns counts in equal bins; `numpy.histogram` takes several times as long."""
    width = (edges[-1] - edges[0]) / BINS
    if not (0 < width < math.inf):
        return np.zeros(BINS, np.int64)
    index = np.clip((matrix.ravel() - edges[0]) / width, 0, BINS - 1).astype(np.int64)
    return np.bincount(index, minlength=BINS)


def unit_columns(x: Any, axis: int) -> NDArray[np.floating]:
    """Returns an evenly spread part of the batch and positions: `(rows, units)`."""
    if axis != len(x.shape) - 1:
        x = backend.moveaxis(x[: _ROWS // 2], axis, -1)
    rows = backend.reshape(x, (-1, x.shape[-1] if len(x.shape) else 1))
    chosen = np.unique(np.linspace(0, rows.shape[0] - 1, _ROWS).astype(int))
    return backend.array(backend.take(rows, chosen))


def dead_units(x: Any, axis: int, columns: NDArray[np.floating]) -> int:
    """Returns how many units are 0 everywhere; only those that are so in `columns` can be."""
    candidates = np.flatnonzero(~columns.any(axis=0))
    if not len(candidates):
        return 0
    others = [a for a in range(len(x.shape)) if a != axis]
    chosen = x if len(candidates) == columns.shape[1] else backend.take(x, candidates, axis)
    return int(np.sum(~backend.differs(chosen, 0, others)))


def near_bounds(x: Any, bounds: Bounds) -> float:
    """Returns the share of entries within 3 % of the distance of `bounds` from one of them."""
    return 0.0 if bounds == (None, None) else backend.share(within(x, bounds, NEAR))


def within(x: Any, bounds: Bounds, share: float) -> Any:
    """Returns for each entry whether it is within a share of the distance of `bounds` from one."""
    lower, upper = bounds
    span = 2.0 * abs(upper if upper is not None else lower or 1.0)
    if lower is not None and upper is not None:
        span = upper - lower
    below = None if lower is None else x < lower + share * span
    above = None if upper is None else x > upper - share * span
    if below is None or above is None:
        return below if above is None else above
    return below | above


def _not_finite(shape: tuple[int, ...], units: int) -> TensorStatistics:
    nan = math.nan
    return TensorStatistics(
        *(shape, units, nan, nan, nan, nan, nan, nan, nan, nan, nan, False),
        histogram=np.zeros(BINS, np.int64),
        edges=np.linspace(-1, 1, BINS + 1),
    )
