"""Intervals and paired differences of many runs, corrected for the number of pairs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keras_inits._checks import integer
from keras_inits._errors import InputTypeError
from keras_inits._optional import package

CONFIDENCE = 0.95
RESAMPLES = 9999  # scipy.stats.bootstrap's own


@dataclass(frozen=True)
class Interval:
    """A mean with its bootstrap interval.

    Attributes:
        mean: of the values that are finite; NaN if there is none.
        low: lower end; NaN with fewer than two values.
        high: upper end.
        count: number of finite values.

    >>> interval = mean_interval([0.8, 0.9, 0.85, 0.95])
    >>> interval.low < interval.mean < interval.high, interval.count
    (True, 4)
    """

    mean: float
    low: float
    high: float
    count: int


@dataclass(frozen=True)
class Difference:
    """Scheme `a` minus scheme `b`, seed by seed.

    Attributes:
        a: label.
        b: label.
        interval: of the mean difference, uncorrected.
        p: of the paired sign-flip test that the mean difference is 0; NaN with fewer than two
            pairs.
        p_holm: the same, corrected by Holm for the number of pairs of schemes.
        values: the differences, `(seeds,)`; NaN where a run has no finite value.

    >>> better, worse = [0.91, 0.92, 0.93, 0.94, 0.95, 0.96], [0.8, 0.85, 0.81, 0.84, 0.82, 0.86]
    >>> (found,) = paired_differences(np.array([better, worse]), ("he", "random"), 0)
    >>> found.a, found.b, round(found.interval.mean, 3), found.p
    ('he', 'random', 0.105, 0.03125)
    """

    a: str
    b: str
    interval: Interval
    p: float
    p_holm: float
    values: NDArray[np.float64]


def mean_interval(values: ArrayLike, seed: int = 0) -> Interval:
    """Returns the mean of the finite values with its BCa bootstrap interval at 95 %.

    Args:
        values: of the runs; those that are not finite are left out.
        seed: of the resampling.

    Returns:
        The mean, the ends of the interval, and how many values it is of.

    Raises:
        MissingPackageError: SciPy is not installed.

    Reference:
        Efron 1987, Better bootstrap confidence intervals. https://doi.org/10.2307/2289144

    >>> mean_interval([1.0, 1.0, float("nan")])
    Interval(mean=1.0, low=1.0, high=1.0, count=2)
    """
    array, seed = _numbers("values", values), integer("seed", seed)
    array = array[np.isfinite(array)]
    mean = float(array.mean()) if array.size else float("nan")
    if array.size < 2:
        return Interval(mean, float("nan"), float("nan"), array.size)
    if np.ptp(array) == 0:  # nothing to resample: BCa would divide by 0
        return Interval(mean, mean, mean, array.size)
    stats = package("scipy.stats", "An interval")  # not needed by the plugin, and slow to load
    result = stats.bootstrap(
        (array,),
        np.mean,
        confidence_level=CONFIDENCE,
        n_resamples=RESAMPLES,
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(mean, float(result.low), float(result.high), array.size)


def _numbers(name: str, values: Any) -> NDArray[np.float64]:
    try:
        return np.asarray(values, float)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputTypeError(f"`{name}` must be numbers. Received: {name}={values!r}") from error


def sign_flip_p(differences: ArrayLike, seed: int = 0) -> float:
    """Returns the two-sided p-value that paired differences have mean 0.

    If the scheme made no difference, each difference might as well have the other sign. All sign
    patterns are tried up to `RESAMPLES`, else as many random ones. With n pairs no p-value is below
    2 / 2^n: five seeds cannot show anything at 5 %.

    Reference:
        Fisher 1935, The Design of Experiments, section 21.
    """
    array = np.asarray(differences, float)
    array = array[np.isfinite(array)]
    if array.size < 2:
        return float("nan")
    stats = package("scipy.stats", "A p-value")
    result = stats.permutation_test(
        (array, np.zeros_like(array)),
        lambda a, b, axis: np.mean(a - b, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=RESAMPLES,
        rng=np.random.default_rng(seed),
    )
    return float(min(1.0, result.pvalue))


def holm(p_values: Sequence[float]) -> NDArray[np.float64]:
    """Returns p-values corrected for their number; NaN stays NaN and does not count.

    Reference:
        Holm 1979, A simple sequentially rejective multiple test procedure.
        https://www.jstor.org/stable/4615733

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, float)
    corrected = np.full(p.shape, np.nan)
    order = [i for i in np.argsort(p) if np.isfinite(p[i])]
    largest = 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, p[i] * (len(order) - rank)))
        corrected[i] = largest
    return corrected


def paired_differences(
    values: NDArray[np.float64], labels: Sequence[str], seed: int = 0
) -> tuple[Difference, ...]:
    """Returns the difference of every pair of schemes.

    Args:
        values: `(schemes, seeds)`; a NaN leaves that seed out of the pairs it is in.
        labels: of the schemes.
        seed: of the resampling.
    """
    pairs = [(i, j) for i in range(len(labels)) for j in range(i + 1, len(labels))]
    with np.errstate(invalid="ignore"):  # infinity minus infinity is no difference
        gaps = [values[i] - values[j] for i, j in pairs]
    p_values = [sign_flip_p(gap, seed) for gap in gaps]
    return tuple(
        Difference(labels[i], labels[j], mean_interval(gap, seed), p, float(corrected), gap)
        for (i, j), gap, p, corrected in zip(pairs, gaps, p_values, holm(p_values), strict=True)
    )


def epochs_to(
    values: NDArray[np.float64], target: float, *, higher_is_better: bool
) -> NDArray[np.float64]:
    """Returns the first epoch, from 1, at which a target is reached; infinity if it never is.

    A run that has not reached it is censored: it may or may not later. Medians over seeds hold as
    long as fewer than half are; means do not.

    Args:
        values: `(..., epochs)`.
        target: the value to reach.
        higher_is_better: whether it is reached from below.

    >>> epochs_to(np.array([[0.1, 0.5, 0.9]]), 0.5, higher_is_better=True)
    array([2.])
    """
    reached = values >= target if higher_is_better else values <= target
    first: NDArray[np.float64] = np.argmax(reached, axis=-1) + 1.0
    first[~reached.any(axis=-1)] = np.inf
    return first


def median_epoch(epochs: NDArray[np.float64]) -> float:
    """Returns the median; the earlier one of the middle two, infinity if more than half are.

    >>> median_epoch(np.array([3.0, 1.0, np.inf]))
    3.0
    """
    return float(np.sort(epochs)[(len(epochs) - 1) // 2])
