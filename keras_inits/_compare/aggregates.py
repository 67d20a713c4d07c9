"""Many tasks at once: interquartile means with stratified intervals, and performance profiles.

A task is a net that is trained; its runs differ by their seeds. Reference for all of it: Agarwal et
al. 2021, Deep reinforcement learning at the edge of the statistical precipice.
https://arxiv.org/abs/2108.13264
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from keras_inits._compare.statistics import CONFIDENCE, Interval

RESAMPLES = 2000  # rliable's own for profiles
_AT_ONCE = 100  # resamples held in memory together

Floats = NDArray[np.float64]


def interquartile_mean(scores: Floats) -> Floats:
    """Returns the mean of the middle half of the scores of all tasks and seeds together.

    It is as robust as the median to runs that failed or were lucky, up to a quarter of them on
    either side, and varies less from sample to sample.

    Args:
        scores: `(..., tasks, seeds)`.

    Returns:
        `(...)`.

    >>> interquartile_mean(np.array([[0.0, 1.0, 2.0, 300.0]]))
    array(1.5)
    """
    flat = np.sort(scores.reshape(*scores.shape[:-2], -1), axis=-1)
    cut = flat.shape[-1] // 4
    return np.asarray(flat[..., cut : flat.shape[-1] - cut].mean(axis=-1))


def mean_of_tasks(scores: Floats, *, minus: Floats | None = None, seed: int = 0) -> Interval:
    """Returns the interquartile mean with its stratified bootstrap interval at 95 %.

    Seeds are drawn anew, with replacement, within each task: what varies is the seeds, not the
    choice of the tasks. The interval is that of percentiles.

    Args:
        scores: `(tasks, seeds)`, finite.
        minus: scores of the same shape whose interquartile mean is subtracted; a seed is drawn for
            both together, since the runs of a seed are paired.
        seed: of the resampling.

    Returns:
        The interval around the interquartile mean, or the difference of two. Without width if all
        tasks have one seed: nothing is known of its spread then, and its ends are NaN.

    >>> scores = np.array([[0.1, 0.2, 0.3, 0.4], [0.2, 0.2, 0.2, 0.2]])
    >>> round(mean_of_tasks(scores, minus=scores - 0.1).mean, 3)
    0.1
    """

    def statistic(rows: Floats, others: Floats | None) -> Floats:
        found = interquartile_mean(rows)
        return found if others is None else np.asarray(found - interquartile_mean(others))

    point = float(statistic(scores, minus))
    if scores.shape[-1] < 2:
        return Interval(point, float("nan"), float("nan"), scores.size)
    found = np.concatenate(
        [
            statistic(_taken(scores, rows), None if minus is None else _taken(minus, rows))
            for rows in _resampled(scores.shape, seed)
        ]
    )
    low, high = np.quantile(found, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(point, float(low), float(high), scores.size)


def profile(scores: Floats, thresholds: Floats, *, seed: int = 0) -> tuple[Floats, Floats, Floats]:
    """Returns a performance profile: the share of all runs above each threshold.

    One start is better than another, whatever counts, if its profile lies above the other's
    everywhere; where profiles cross, which is better depends on what is asked for.

    Args:
        scores: `(tasks, seeds)`, finite.
        thresholds: ascending.
        seed: of the resampling.

    Returns:
        The share, and the ends of its pointwise 95 % interval, `(thresholds,)` each.

    >>> profile(np.array([[0.1, 0.5], [0.5, 0.9]]), np.array([0.0, 0.4, 0.6]))[0]
    array([1.  , 0.75, 0.25])
    """

    def shares(rows: Floats) -> Floats:
        flat = np.sort(rows.reshape(len(rows), -1), axis=-1)
        above = [row.size - np.searchsorted(row, thresholds, side="right") for row in flat]
        return np.asarray(np.array(above, float) / flat.shape[-1])

    found = np.concatenate(
        [shares(_taken(scores, rows)) for rows in _resampled(scores.shape, seed)]
    )
    low, high = np.quantile(found, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0)
    return shares(scores[None])[0], low, high


def _resampled(shape: tuple[int, ...], seed: int) -> Iterator[NDArray[np.int64]]:
    """Yields numbers of seeds, drawn within each task, `(some, tasks, seeds)`."""
    rng = np.random.default_rng(seed)
    for _ in range(RESAMPLES // _AT_ONCE):
        yield rng.integers(shape[-1], size=(_AT_ONCE, *shape))


def _taken(scores: Floats, rows: NDArray[np.int64]) -> Floats:
    return np.asarray(np.take_along_axis(scores[None], rows, axis=-1))
