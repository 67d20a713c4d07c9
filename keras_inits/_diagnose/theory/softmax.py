r"""What softmax weights do, on average over random scores.

Scores $s_j$ of a query are normal of variance $\sigma^2$ over the keys; the weights are $a =
\mathrm{softmax}(s)$. $\sigma$ differs from query to query, the more the narrower heads are.
"""

import functools
import math
from typing import NamedTuple

import numpy as np

_DRAWS = 2048  # of scores; A is good to about 1 % at sigma = 1
_MOST = 512  # tokens; of more the scores are drawn from fewer, and A is in proportion to 1 / T


class Weights(NamedTuple):
    r"""What softmax weights do, on average over random scores.

    Attributes:
        squares: $A = E \sum_j a_j^2$.
        slopes: $S$, the mean squared gradient at the scores, summed over them, of a gradient of
            variance 1 at the weights.
        leaning: $B$, the mean square of the weighted mean of the scores, in units of theirs.
    """

    squares: float
    slopes: float
    leaning: float

    def of_values(self, directions: float) -> float:
        """Returns the mean square of the weighted mean of values of 1, of tokens of such width."""
        return self.squares + (self.leaning - self.squares) / directions

    def of_keys(self, directions: float) -> float:
        """Returns that of the sum of keys of 1, weighted by the gradient at the scores."""
        return self.slopes + (1 - self.squares) ** 2 / directions


@functools.lru_cache(maxsize=256)
def of_weights(
    count: int,
    variance: float,
    dimension: float = math.inf,
    units: float = math.inf,
    causal: bool = False,
) -> Weights:
    """Returns what softmax weights do of `count` normal scores.

    Args:
        count: of keys.
        variance: of the scores, on average over the queries.
        dimension: how unlike queries are: a query's scores have `variance` times a chi-squared
            value of so many degrees of freedom over their number.
        units: of tokens of one length, of which no score is as large as normal ones may be.
        causal: whether a token sees those before it alone; the means are then over tokens.
    """
    if causal:
        seen = np.unique(np.geomspace(1, count, 24).astype(int))
        each = np.array([of_weights(int(n), variance, dimension, units) for n in seen])
        means = (np.interp(np.arange(1, count + 1), seen, column).mean() for column in each.T)
        return Weights(*map(float, means))
    some = min(count, _MOST)
    draws = 1 if variance == 0 else _DRAWS
    rng = np.random.default_rng(0)
    normal = rng.standard_normal((draws, some))
    if units < math.inf:  # one of the coordinates of a point on a sphere
        normal *= np.sqrt(units / (normal**2 + rng.chisquare(units - 1, normal.shape)))
    scores = normal * math.sqrt(variance)
    if dimension < math.inf:
        scores *= np.sqrt(rng.gamma(dimension / 2, 2 / dimension, (draws, 1)))
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    squares = np.sum(weights**2, axis=1)
    slopes = np.sum(weights**2 * (1 - 2 * weights + squares[:, None]), axis=1)
    leaning = np.mean(np.sum(weights * normal, axis=1) ** 2) if variance else 1 / some
    less = some / count
    return Weights(float(np.mean(squares)) * less, float(np.mean(slopes)) * less, float(leaning))
