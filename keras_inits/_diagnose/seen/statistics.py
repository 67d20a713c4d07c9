"""Figures of one tensor, weight or Jacobian, as plain data; how those of samples are computed."""

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 60  # of a histogram


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
        correlation: mean Pearson correlation, over features, between samples; NaN for one sample
            and for gradients.
        effective_rank: exponential of the entropy of the normalized singular values of the matrix
            `(samples, features)` (Roy & Vetterli 2007), of at most 32 samples; NaN for gradients.
        finite: whether there is neither NaN nor infinity.
        histogram: counts in 60 equal bins; all 0 for gradients.
        edges: their 61 edges.
        alignment: mean cosine between the vectors of units at two positions or samples; NaN where
            it is not known.
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
    alignment: float = math.nan

    @property
    def squared_length(self) -> float:
        """The mean, over samples, of the squared Euclidean length."""
        return self.second_moment * math.prod(self.shape[1:])


@dataclass(frozen=True)
class WeightReport:
    """One trainable weight and its gradient.

    Attributes:
        path: Keras's path of the weight.
        norm: its Euclidean norm.
        gradient_norm: that of its gradient; NaN if the loss does not depend on it.
        ratio: `gradient_norm / norm`; infinite for a weight of zeros that has a gradient.
    """

    path: str
    norm: float
    gradient_norm: float
    ratio: float


@dataclass(frozen=True)
class JacobianReport:
    """The Jacobian of a model's outputs by its floating inputs, on a few samples.

    Of outputs behind a softmax or sigmoid it is that of the logits.

    Attributes:
        mean_squared_singular_value: the sum of the squared singular values over the smaller of
            both sizes, estimated without bias.
        largest_singular_value: the largest that power iteration found, from below.
        samples: how many samples were looked at.
        response: root mean square over the outputs of what independent changes of the inputs, each
            of its input's standard deviation, do to them to first order.
    """

    mean_squared_singular_value: float
    largest_singular_value: float
    samples: int
    response: float = math.nan


def sample_correlation(matrix: NDArray[np.floating]) -> float:
    """Returns the mean Pearson correlation between the rows of `(samples, features)`.

    NaN where fewer than two rows vary or there are fewer than 8 features, too few to say.
    """
    size = np.abs(matrix).max(initial=0.0)
    if matrix.shape[1] < 8 or not 0 < size < math.inf:
        return math.nan
    matrix = matrix / size  # so that no square overflows
    centred = matrix - matrix.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(centred, axis=1)
    varying = norms > 1e-6 * np.linalg.norm(matrix, axis=1)
    count = int(varying.sum())
    if count < 2:
        return math.nan
    directions = centred[varying] / norms[varying, None]
    total = np.linalg.norm(directions.sum(axis=0)) ** 2
    return float((total - count) / (count * (count - 1)))


def mean_cosine(rows: NDArray[np.floating]) -> float:
    """Returns the mean cosine between two rows of `(rows, units)`; NaN of fewer than two."""
    size = np.abs(rows).max(initial=0.0)
    if not 0 < size < math.inf:
        return math.nan
    scaled = rows.astype(np.float64) / size
    norms = np.linalg.norm(scaled, axis=1)
    known = norms > 0
    count = int(known.sum())
    if count < 2:
        return math.nan
    total = float(np.sum(np.sum(scaled[known] / norms[known, None], axis=0) ** 2))
    return (total - count) / (count * (count - 1))


def effective_rank(matrix: NDArray[np.floating]) -> float:
    """Returns exp(entropy of the singular values, normalized to sum 1); 0 of a zero matrix."""
    size = np.abs(matrix).max(initial=0.0)
    if size == 0:
        return 0.0
    scaled = (matrix / size).astype(np.float64)
    values = np.sqrt(np.clip(np.linalg.eigvalsh(scaled @ scaled.T), 0, None))
    shares = values[values > 1e-6 * values.max()] / values.sum()
    return float(np.exp(-np.sum(shares * np.log(shares))))


@functools.cache
def _directions(rows: int) -> NDArray[np.float64]:
    return np.random.default_rng(0).standard_normal(rows)


def equal_columns(columns: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Returns for each column of `(rows, units)` whether it equals an earlier one that is not 0.

    Each pair is compared on its own scale, to 1e-6 of its largest entry: units of the same weights
    may differ by the order of float32 sums (2^-24 = 6e-8 for each), and units that only look alike
    next to a larger one do not count.
    """
    alive = np.flatnonzero(columns.any(axis=0))
    equal = np.zeros(columns.shape[1], bool)
    if len(alive) < 2:
        return equal
    values = (columns if len(alive) == len(equal) else columns[:, alive]).astype(np.float64)
    sizes = np.maximum(values.max(axis=0), -values.min(axis=0))
    # Equal columns have equal projections: sorted by one, they are neighbours.
    weights = _directions(len(values))
    projections = (weights @ values) / np.abs(weights).sum()
    order = np.argsort(projections, kind="stable")
    limits = 1e-6 * sizes[order]
    close = np.diff(projections[order]) <= np.maximum(limits[1:], limits[:-1])
    for place in np.flatnonzero(close):
        first, second = order[place], order[place + 1]
        if np.abs(values[:, first] - values[:, second]).max() <= limits[place]:
            equal[alive[max(first, second)]] = True
    return equal
