"""What is measured on one tensor, whether a signal or its gradient."""

import math
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

# Means, moments, saturation and dead units are of every entry. Zeros, the histogram and what
# compares samples or units are of an evenly spread part: it costs milliseconds, and a share of its
# 65,536 entries errs by 0.002.
_SAMPLES, _FEATURES, _ROWS, _BINS = 32, 2048, 64, 60


@dataclass(frozen=True, eq=False)
class TensorStatistics:
    """The statistics of one tensor of shape `(batch, ..., units)`.

    Attributes:
        shape: of the tensor.
        units: the size of its units' (channels') axis.
        mean: of all entries.
        std: standard deviation of all entries.
        second_moment: mean square of all entries.
        zeros: share of entries that are exactly 0.
        saturated: share of entries near a bound of a bounded activation; NaN without bounds.
        dead_units: share of units that are 0 on the whole batch.
        equal_units: share of units, dead ones aside, that equal an earlier unit.
        correlation: mean Pearson correlation, over features, between samples; NaN for one sample.
        effective_rank: exponential of the entropy of the normalized singular values of the matrix
            `(samples, features)` (Roy & Vetterli 2007), of at most 32 samples.
        finite: whether there is neither NaN nor infinity.
        histogram: counts in 60 equal bins.
        edges: their 61 edges.
    """

    shape: tuple[int, ...]
    units: int
    mean: float
    std: float
    second_moment: float
    zeros: float
    saturated: float
    dead_units: float
    equal_units: float
    correlation: float
    effective_rank: float
    finite: bool
    histogram: NDArray[np.int64]
    edges: NDArray[np.float64]


def measure(
    x: tf.Tensor, unit_axis: int = -1, bounds: tuple[float | None, float | None] | None = None
) -> TensorStatistics:
    """Returns the statistics of `x`.

    Args:
        x: floating tensor, `(batch, ..., units)` or with its units on `unit_axis`.
        unit_axis: the axis of the units.
        bounds: the values that an activation tends to below and above; an entry within 3 % of
            their distance from one of them is saturated. None in place of a bound: there is none.
    """
    x = tf.cast(x, tf.float32)
    axis = unit_axis % max(1, x.shape.rank)
    units = x.shape[axis] if x.shape.rank else 1
    entries = max(1, int(tf.size(x)))
    mean, second_moment = _moments(x, entries)
    if not math.isfinite(second_moment):
        return _not_finite(tuple(x.shape), units)
    matrix, columns = _sample_matrix(x, units), _unit_columns(x, axis)
    counts, edges = np.histogram(matrix, bins=_BINS, range=_range(matrix))
    return TensorStatistics(
        shape=tuple(x.shape),
        units=units,
        mean=mean,
        std=math.sqrt(max(0.0, second_moment - mean**2)),
        second_moment=second_moment,
        zeros=float(np.mean(matrix == 0)),
        saturated=math.nan if bounds is None else _saturated(x, *bounds),
        dead_units=_dead(x, axis, columns) / max(1, units),
        equal_units=_repeated(columns),
        correlation=sample_correlation(matrix),
        effective_rank=effective_rank(matrix),
        finite=True,
        histogram=counts,
        edges=edges,
    )


def sample_correlation(matrix: NDArray[np.float64]) -> float:
    """Returns the mean Pearson correlation between the rows of `(samples, features)`.

    NaN where fewer than two rows vary or there are fewer than 8 features, too few to tell.
    """
    if matrix.shape[1] < 8:
        return math.nan
    centred = matrix - matrix.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(centred, axis=1)
    varying = norms > 1e-6 * np.linalg.norm(matrix, axis=1)
    count = int(varying.sum())
    if count < 2:
        return math.nan
    directions = centred[varying] / norms[varying, None]
    total = np.linalg.norm(directions.sum(axis=0)) ** 2
    return float((total - count) / (count * (count - 1)))


def effective_rank(matrix: NDArray[np.float64]) -> float:
    """Returns exp(entropy of the singular values, normalized to sum 1); 0 of a zero matrix."""
    size = np.abs(matrix).max(initial=0.0)
    if size == 0:
        return 0.0
    gram = (matrix / size) @ (matrix / size).T
    values = np.sqrt(np.clip(np.linalg.eigvalsh(gram), 0, None))
    shares = values[values > 1e-6 * values.max()] / values.sum()
    return float(np.exp(-np.sum(shares * np.log(shares))))


def _moments(x: tf.Tensor, entries: int) -> tuple[float, float]:
    """Returns mean and mean square; the latter not finite where `x` is not."""
    mean, square = float(tf.reduce_mean(x)), 2 * float(tf.nn.l2_loss(x)) / entries
    # The squares of a signal that vanished are 0 in float32, those of one that exploded infinite.
    if 1e-25 < square < math.inf:
        return mean, square
    largest = float(tf.reduce_max(tf.abs(x)))
    if not 0 < largest < math.inf:
        return largest, largest
    scaled = x / largest
    square = 2 * float(tf.nn.l2_loss(scaled)) / entries
    return float(tf.reduce_mean(scaled)) * largest, square * largest**2


def _sample_matrix(x: tf.Tensor, units: int) -> NDArray[np.float64]:
    batch = x.shape[0] if x.shape.rank else 1
    flat = tf.reshape(x, (batch, -1))
    features = flat.shape[1]
    stride = max(1, -(-features // _FEATURES))
    while math.gcd(stride, units) > 1:  # else it would see some units only
        stride += 1
    matrix: NDArray[np.float64] = flat[:_SAMPLES, ::stride].numpy().astype(np.float64)
    return matrix


def _unit_columns(x: tf.Tensor, axis: int) -> NDArray[np.float64]:
    """Returns an evenly spread part of the batch and positions: `(rows, units)`."""
    if axis != x.shape.rank - 1:
        x = tf.experimental.numpy.moveaxis(x[: _ROWS // 2], axis, -1)
    rows = tf.reshape(x, (-1, x.shape[-1]))
    chosen = np.unique(np.linspace(0, rows.shape[0] - 1, _ROWS).astype(int))
    columns: NDArray[np.float64] = tf.gather(rows, chosen).numpy()
    return columns


def _dead(x: tf.Tensor, axis: int, columns: NDArray[np.float64]) -> int:
    """Returns how many units are 0 everywhere; only those that are so in `columns` can be."""
    candidates = np.flatnonzero(~columns.any(axis=0))
    if not len(candidates):
        return 0
    others = [a for a in range(x.shape.rank) if a != axis]
    chosen = x if len(candidates) == columns.shape[1] else tf.gather(x, candidates, axis=axis)
    return int(np.sum(~tf.reduce_any(tf.not_equal(chosen, 0), others).numpy()))


def _repeated(columns: NDArray[np.float64]) -> float:
    """Returns the share of the columns, all-zero ones aside, that equal an earlier one."""
    alive = columns[:, np.any(columns != 0, axis=0)]
    if alive.shape[1] < 2:
        return 0.0
    # Equal units may differ by rounding: to 1e-5 of the largest entry.
    rounded = np.round(alive.T / np.abs(alive).max(), 5) + 0.0  # no negative zeros
    return 1 - len({unit.tobytes() for unit in rounded}) / len(rounded)


def _saturated(x: tf.Tensor, lower: float | None, upper: float | None) -> float:
    span = 2.0 * abs(upper if upper is not None else lower or 1.0)
    if lower is not None and upper is not None:
        span = upper - lower
    near = tf.zeros_like(x, tf.bool)
    if lower is not None:
        near |= x < lower + 0.03 * span
    if upper is not None:
        near |= x > upper - 0.03 * span
    return float(tf.reduce_mean(tf.cast(near, tf.float32)))


def _range(matrix: NDArray[np.float64]) -> tuple[float, float]:
    low, high = float(matrix.min(initial=0.0)), float(matrix.max(initial=0.0))
    return (low, high) if high > low else (-1.0, 1.0)


def _not_finite(shape: tuple[int, ...], units: int) -> TensorStatistics:
    nan = math.nan
    return TensorStatistics(
        *(shape, units, nan, nan, nan, nan, nan, nan, nan, nan, nan, False),
        histogram=np.zeros(_BINS, np.int64),
        edges=np.linspace(-1, 1, _BINS + 1),
    )
