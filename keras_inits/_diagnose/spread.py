r"""How far one net of finite width may be from the limit of wide nets.

A layer of $n$ units averages $n$ values $\varphi(h)^2$, $h \sim N(0, q)$ over the weights. For one
sample the average has relative variance $(E\varphi^4 / (E\varphi^2)^2 - 1) / n$: $5/n$ for ReLU,
$2/n$ without activation. Layers are independent, so that the variances of the logarithm add up
(Hanin & Nica 2020, whose $5/n$ this is).

Over a batch the samples share the weights: the average over two samples of correlation $c$ varies
by their covariance $E[\varphi(h)^2 \varphi(h')^2] - (E\varphi^2)^2$, which is 0 at $c = 0$. With
$\varphi^2 = \sum_k a_k h_k$ in Hermite polynomials it is $\sum_{k \ge 1} a_k^2 c^k$. The mean
cosine of what was measured stands for $c$.

Reference:
    Hanin & Nica 2020, theorem 1. https://arxiv.org/abs/1812.05994
"""

import functools
import math
from typing import Any

import numpy as np

from keras_inits._diagnose.calls import Call
from keras_inits._gains import Activation, gaussian_moments
from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._layers import geometry
from keras_inits._layers.kinds import Kind, is_a
from keras_inits._quadrature import hermite_coefficients

_TERMS = 100  # of the series in c; what lies past them counts at c = 1 alone


def units(layer: Any, call: Call) -> int:
    """Returns how many units of a map have weights of their own."""
    if is_a(layer, Kind.EINSUM):
        found = geometry(layer, layer.kernel)
        if isinstance(found, KernelGeometry):
            return int(found.fan_out)
    return max(1, call.output.units)


def of_units(
    activation: Activation, q: float, call: Call, count: int, *, linear: bool = True
) -> float:
    """Returns the variance that a layer's own units add to the logarithm of its second moment.

    Args:
        activation: of the layer.
        q: second moment before it.
        call: of the layer.
        count: of units.
        linear: whether a kernel comes before the activation; else only what the activation adds to
            the second moment of its input, which has its own share already.
    """
    if not 0 < q < math.inf or call.inputs is None:
        return 0.0

    def excess(c: float) -> float:
        before = 0.0 if linear else 2 * c**2 * sensitivity(activation, q) ** 2
        return max(0.0, _square_covariance(activation, _rounded(q), c) - before)

    return _over_batch(excess, call, call.inputs.alignment) / count


def of_slopes(activation: Activation, q: float, call: Call) -> float:
    """Returns the variance that the slopes of an activation add to a gradient's logarithm."""
    if activation.slopes == (1.0, 1.0) or call.inputs is None or call.gradient is None:
        return 0.0
    cosine = _known(call.gradient.alignment)

    def excess(c: float) -> float:
        together = 3.0 if c == 1 else 1 + 2 * cosine**2
        return together * _slope_covariance(activation, _rounded(q), c)

    return _over_batch(excess, call, call.inputs.alignment) / max(1, call.output.units)


def of_inputs(activation: Activation, q: float, call: Call) -> float:
    """Returns the variance that a kernel adds to the logarithm of the gradient at its input."""
    if call.inputs is None or call.gradient is None:
        return 0.0
    return _over_batch(lambda c: 2 * c**2, call, call.gradient.alignment) / call.inputs.units


def averaged(call: Call, cosine: float) -> float:
    """Returns what the batch leaves of a product of two independent directions' variance."""
    return _over_batch(lambda c: c**2, call, cosine)


@functools.lru_cache(maxsize=512)
def sensitivity(activation: Activation, q: float) -> float:
    """Returns by how many per cent a second moment grows with 1 % more before the activation."""
    if activation.slopes is not None or not 0 < q < math.inf:
        return 1.0
    step = 1e-3
    low, high = (gaussian_moments(activation, q * math.exp(s)).second_moment for s in (-step, step))
    return math.log(high / low) / (2 * step) if low > 0 else 1.0


def _over_batch(excess: Any, call: Call, cosine: float) -> float:
    """Returns the relative variance of a mean over samples that share their weights."""
    # Each entry is a sample for itself, or a position: both come with the same weights.
    count = max(1, math.prod(call.output.shape) // max(1, call.output.units))
    return float(excess(1.0) / count + (1 - 1 / count) * excess(_known(cosine)))


def _known(cosine: float) -> float:
    """Returns a mean cosine between 0 and 1; 1, a sample alone, where it is not known."""
    return 1.0 if math.isnan(cosine) else min(1.0, max(0.0, cosine))


def _rounded(q: float) -> float:
    """Returns `q` to two digits: the variance of a variance needs no more."""
    return float(f"{q:.1e}")


def _square_covariance(activation: Activation, q: float, c: float) -> float:
    return _series(_powers(activation, q, False), c)


def _slope_covariance(activation: Activation, q: float, c: float) -> float:
    return _series(_powers(activation, q, True), c)


def _series(powers: tuple[float, tuple[float, ...]], c: float) -> float:
    whole, terms = powers
    if c == 1:
        return whole
    return float(np.sum(np.array(terms) * c ** np.arange(1, len(terms) + 1)))


@functools.lru_cache(maxsize=256)
def _powers(activation: Activation, q: float, slopes: bool) -> tuple[float, tuple[float, ...]]:
    """Returns the relative variance of phi² (or phi'²), and its parts by Hermite polynomial."""
    scale = 1.0 if activation.slopes is not None else math.sqrt(q)

    def square(z: Any) -> Any:
        if not slopes:
            return activation.function(scale * z) ** 2
        if activation.slopes is not None:
            return np.where(z < 0, activation.slopes[0], activation.slopes[1]) ** 2
        step = 1e-4 * scale
        ahead, behind = (activation.function(scale * z + s) for s in (step, -step))
        return ((ahead - behind) / (2 * step)) ** 2

    with np.errstate(over="ignore", invalid="ignore"):
        terms = hermite_coefficients(square, _TERMS)
        nodes, weights = np.polynomial.hermite_e.hermegauss(120)
        values = square(nodes)
        weights = weights / weights.sum()
        mean = float(weights @ values)
        fourth = float(weights @ values**2)
    if not (math.isfinite(fourth) and mean > 0):
        return 0.0, (0.0,)
    parts = tuple(float(p) for p in (terms[1:] / terms[0]) ** 2)
    return max(fourth / mean**2 - 1, sum(parts)), parts
