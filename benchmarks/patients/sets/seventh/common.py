"""A score of predictions against what is true, for programs that no accuracy or R2 fits."""

from collections.abc import Callable

import numpy as np
from program import Score


def measured(truth: np.ndarray, share: Callable[[np.ndarray, np.ndarray], float]) -> Score:
    """Returns the score `share(truth, made)`."""
    return lambda made: float(share(truth, made))


def hits(truth, made):
    """Returns the share of equal answers, the greatest of several units each."""
    return (made.argmax(-1) == truth).mean()


def balanced(truth, made):
    """Returns the mean of both classes' hits, at one half."""
    made = made.reshape(truth.shape) > 0.5
    return (made[truth == 1].mean() + (~made)[truth == 0].mean()) / 2


def rows(rng, x, least, most):
    """Returns columns of sizes of their own, from 10**least to 10**most, none below zero."""
    return 10 ** rng.uniform(least, most, x.shape[1]) * (x - x.min(0))
