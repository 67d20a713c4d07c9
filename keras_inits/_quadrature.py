"""Expectations over a normal variable, by quadrature."""

import functools
import math
import statistics
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Two Gauss-Legendre rules; how far they are apart is the error estimate.
_FINE_NODES, _FINE_WEIGHTS = np.polynomial.legendre.leggauss(12)
_COARSE_NODES, _COARSE_WEIGHTS = np.polynomial.legendre.leggauss(8)
_NODES = np.concatenate([_FINE_NODES, _COARSE_NODES])

# Past 12 standard deviations the normal density is below 1e-31.
_REACH = 12


def gaussian_expectation(function: Callable[[Array], Array], tolerance: float = 1e-10) -> Array:
    r"""Returns $E[f(z)]$ for $z \sim N(0, 1)$, by adaptive Gauss-Legendre quadrature.

    Panels end at whole numbers first, since most activations bend at 0, some at 1, 3 or 6; those
    in which two rules disagree are halved until they agree, which also finds kinks and jumps
    elsewhere.

    Args:
        function: takes values of shape `(points,)`, returns `(..., points)`.
        tolerance: the error that a panel may have, relative to the largest integral or 1.

    Returns:
        Array of shape `(...)`; not finite where the function was not, or where it outgrows the
        density.

    >>> float(gaussian_expectation(lambda z: z**4).round(9))
    3.0
    """
    edges = np.arange(-_REACH, _REACH + 1.0)
    left, right = edges[:-1], edges[1:]
    closed: Array | float = 0.0
    for _ in range(40):  # halvings; a panel is then below the spacing of float64
        half = (right - left) / 2
        z = (half * _NODES[:, None] + (left + right) / 2).ravel()
        values = _weighted(function, z)
        values = values.reshape(*values.shape[:-1], len(_NODES), len(half))
        fine = half * np.einsum("...np,n->...p", values[..., :12, :], _FINE_WEIGHTS)
        coarse = half * np.einsum("...np,n->...p", values[..., 12:, :], _COARSE_WEIGHTS)
        error = np.abs(fine - coarse).reshape(-1, len(half)).max(axis=0)
        estimate = np.asarray(closed + fine.sum(axis=-1))
        still_open = error > tolerance * max(1.0, float(np.abs(estimate).max()))
        if not still_open.any():
            break
        closed = closed + fine[..., ~still_open].sum(axis=-1)
        middle = ((left + right) / 2)[still_open]
        left = np.concatenate([left[still_open], middle])
        right = np.concatenate([middle, right[still_open]])
    ends = np.abs(_weighted(function, np.array([-_REACH, _REACH], np.float64))).max(axis=-1)
    return np.where(ends < 1e-6 * (1 + np.abs(estimate)), estimate, np.inf)


def _weighted(function: Callable[[Array], Array], z: Array) -> Array:
    return function(z) * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)


def hermite_coefficients(function: Callable[[Array], Array], count: int = 400) -> Array:
    r"""Returns $a_n = E[f(z) h_n(z)]$ for $n < $ `count`, $h_n$ the normalized Hermite polynomials.

    Then $E[f(x) f(y)] = \sum_n a_n^2 c^n$ for normal $x, y$ of variance 1 and correlation $c$.

    Args:
        function: takes values of shape `(points,)`, returns the same shape.
        count: how many; the last turns 20 times a unit, which 32 points a unit resolve.

    Returns:
        Array of shape `(count,)`.

    >>> abs(hermite_coefficients(lambda z: z**2, 4)).round(6).tolist()
    [1.0, 0.0, 1.414214, 0.0]
    """
    nodes, weights = np.polynomial.legendre.leggauss(16)
    edges = np.arange(-2.0 * _REACH, 2 * _REACH) / 2
    z = (edges[:, None] + (nodes + 1) / 4).ravel()
    # The polynomials overflow; times the root of the density they do not.
    root = np.exp(-(z**2) / 4) / (2 * math.pi) ** 0.25
    weighted = function(z) * root * np.tile(weights / 4, len(edges))
    before, polynomial = np.zeros_like(z), root
    coefficients = np.empty(count)
    for n in range(count):
        coefficients[n] = weighted @ polynomial
        following = (z * polynomial - math.sqrt(n) * before) / math.sqrt(n + 1)
        before, polynomial = polynomial, following
    return coefficients


def truncated_normal_moments(lower: float, upper: float) -> tuple[float, float]:
    """Returns the mean and the standard deviation of N(0, 1) cut at `lower` and `upper`.

    By quadrature, which keeps its precision where the closed form is a difference of nearly equal
    numbers: in a narrow interval, and far out.

    >>> truncated_normal_moments(-2.0, 2.0)[1]
    0.8796256610342398
    """
    nodes, weights = np.polynomial.legendre.leggauss(16)
    reach = 3.0 * _REACH  # 36: the density is 1e-282 there, still a number
    edges = np.linspace(max(lower, -reach), min(upper, reach), 4 * _REACH + 1)
    half = np.diff(edges)[:, None] / 2
    z = half * nodes + (edges[:-1, None] + half)
    # Relative to the largest density in the interval, so that nothing underflows.
    peak = min(max(lower, 0.0), upper)
    weights = half * weights * np.exp((peak - z) * (peak + z) / 2)
    weights /= weights.sum()
    mean = float((weights * z).sum())
    return mean, math.sqrt(float((weights * (z - mean) ** 2).sum()))


@functools.lru_cache(maxsize=8)
def normal_quantiles(count: int) -> Array:
    """Returns quantiles of the standard normal law, in the middle of as many equal shares.

    >>> normal_quantiles(2).round(3).tolist()
    [-0.674, 0.674]
    """
    inverse = statistics.NormalDist().inv_cdf
    return np.array([inverse((index + 0.5) / count) for index in range(count)])


@functools.lru_cache
def normal_maxima(count: int, of: int) -> Array:
    """Returns quantiles of the largest of `of` independent standard normal values.

    It lies below a value with the chance of one of them, to the power of their number.

    >>> normal_maxima(3, 16).round(3).tolist()
    [1.248, 1.724, 2.279]
    """
    inverse = statistics.NormalDist().inv_cdf
    return np.array([inverse(((index + 0.5) / count) ** (1 / of)) for index in range(count)])
