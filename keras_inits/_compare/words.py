"""Intervals, differences and p-values as text."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from keras_inits._compare.statistics import CONFIDENCE, Difference, Interval, median_epoch

LEVEL = 1 - CONFIDENCE


def difference_sentence(difference: Difference, *, higher_is_better: bool) -> str:
    """Returns what a paired difference supports, as a sentence."""
    a, b, interval = difference.a, difference.b, difference.interval
    if not np.isfinite(interval.low):
        return f"{a} and {b} cannot be compared: too few runs of both have a finite value."
    if difference.p_holm < LEVEL and interval.mean < 0:  # stated from the larger side
        a, b = b, a
        interval = Interval(-interval.mean, -interval.high, -interval.low, interval.count)
    ends = f"{number_text(interval.low)} to {number_text(interval.high)}"
    gap = f"(95 % {ends}, {p_text(difference.p_holm)})"
    if interval.low == interval.high == 0:
        return f"{a} and {b} ended equal in every seed."
    if difference.p_holm < LEVEL:
        better, worse = (a, b) if higher_is_better else (b, a)
        return f"{better} beats {worse} by {number_text(interval.mean)} {gap}."
    return f"Not told apart: {a} and {b}, difference {number_text(interval.mean)} {gap}."


def epochs_text(epochs: NDArray[np.float64], last: int) -> str:
    """Returns the median number of epochs, and how many of the runs have not got there."""
    middle = median_epoch(epochs)
    text = f"{middle:g}" if np.isfinite(middle) else f"> {last}"
    censored = int(np.isinf(epochs).sum())
    return f"{text} ({censored} not yet)" if censored else text


def number_text(value: float) -> str:
    """Returns a number with four digits or decimals; "none" if it is not finite."""
    if not np.isfinite(value):
        return "none"
    if 0 < abs(value) < 5e-5:
        return f"{value:.0e}"
    return f"{value:.4f}" if abs(value) < 100 else f"{value:.4g}"


def interval_text(interval: Interval, number: Callable[[float], str] = number_text) -> str:
    """Returns the mean with both ends in brackets, or alone where there is no interval."""
    if not np.isfinite(interval.low):
        return number(interval.mean)
    return f"{number(interval.mean)} [{number(interval.low)}, {number(interval.high)}]"


def p_text(p: float) -> str:
    """Returns a p-value with its sign of relation."""
    if not np.isfinite(p):
        return "p unknown"
    return "p < 0.001" if p < 1e-3 else f"p = {p:.3f}"
