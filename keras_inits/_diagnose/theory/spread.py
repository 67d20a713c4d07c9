r"""How far one net of finite width may be from the limit of wide nets.

A layer of $n$ units averages $n$ values $\varphi(h)^2$, $h \sim N(0, q)$ over the weights. For one
site (a place of a sample) the average has relative variance $(E\varphi^4 / (E\varphi^2)^2 - 1) /
n$: $5/n$ for ReLU, $2/n$ without activation. Layers are independent, so that the variances of the
logarithm add up (Hanin & Nica 2020, whose $5/n$ this is).

All sites share the weights, and so the mean over sites varies by the mean, over pairs of them, of
the covariance $E[\varphi(h)^2 \varphi(h')^2] - (E\varphi^2)^2$. At correlation $c$, and with
$\varphi^2 = \sum_k a_k h_k$ in Hermite polynomials, it is $\sum_{k \ge 1} a_k^2 c^k$. The
correlations are those of what the layer was seen to be given; the mean of $c^2$ is not the square
of the mean, which is why pairs are looked at one by one.

Reference:
    Hanin & Nica 2020, theorem 1. https://arxiv.org/abs/1812.05994
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keras_inits._diagnose.seen.calls import Call
from keras_inits._diagnose.seen.sites import products
from keras_inits._diagnose.seen.traits import own_kernel
from keras_inits._diagnose.theory.maps import kernel_fans
from keras_inits._gains import Activation, gaussian_moments
from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._layers import geometry
from keras_inits._layers.kinds import Kind, is_a
from keras_inits._quadrature import hermite_coefficients

Array = NDArray[np.float64]
Excess = Callable[[Array], Array]

_TERMS = 100  # of the series in c; what lies past them counts at c = 1 alone
_GRID = np.linspace(-1, 1, 401)  # where a series is computed; between them it is interpolated


@dataclass(frozen=True)
class Sites:
    """How what a layer is given, and the gradient that it gets back, are spread over sites.

    Attributes:
        given: mean products of what it sees at two sites, `(maps, sites, sites)`.
        back: the same of the gradient at its output.
        count: at how many sites the same weights are used.
        units: how many units have weights of their own.
        inputs: how many its input has.
        fan_in: how many weights each unit has; None without a kernel.
        fan_out: how many each input has.
    """

    given: Array
    back: Array
    count: int
    units: int
    inputs: int
    fan_in: float | None = None
    fan_out: float | None = None

    @functools.cached_property
    def sizes(self) -> Array:
        """The second moments of what is seen, site by site, over their mean."""
        sizes = np.einsum("mii->mi", self.given).ravel()
        mean = sizes.mean()
        if not 0 < mean < math.inf:
            return np.ones(1)
        sizes = sizes / mean
        if self.fan_in is None and np.ptp(sizes) > 0:
            # Seen as the mean square of some normal units, whose own variance is 2 / units.
            variance = float(np.var(sizes))
            left = max(0.0, variance - 2 / self.units)
            sizes = np.maximum(0.0, 1 + (sizes - 1) * math.sqrt(left / variance))
        found: Array = sizes
        return found

    @functools.cached_property
    def matched(self) -> Array:
        """The cosines of what is seen, at the sites of `back`; where these differ, their mean."""
        cosines = _cosines(self.given.mean(axis=0, keepdims=True))
        if cosines.shape[-1] == self.back.shape[-1]:
            return cosines
        filled = np.full_like(self.back, _between(cosines))
        filled[:, np.eye(filled.shape[-1], dtype=bool)] = 1.0
        return filled


def sites_of(call: Call) -> Sites:
    """Returns the sites of a recorded call."""
    units = max(1, call.output.units)
    if is_a(call.layer, Kind.EINSUM):
        kernel = own_kernel(call.layer)
        found = None if kernel is None else geometry(call.layer, kernel)
        units = int(found.fan_out) if isinstance(found, KernelGeometry) else units
    given, back = call.structure.given, call.structure.back
    if given is None:
        given = of_one_cosine(math.nan if call.inputs is None else call.inputs.alignment)
    if back is None and call.gradient_columns is not None:
        back = products(call.gradient_columns)
    if back is None:
        back = of_one_cosine(math.nan)
    inputs = 1 if call.inputs is None else max(1, call.inputs.units)
    fans = kernel_fans(call.layer)
    return Sites(given, back, _count(call.output.shape, units), units, inputs, *fans)


def sites_between(shape: tuple[int, ...], columns: NDArray[np.floating] | None) -> Sites:
    """Returns the sites of an operation between layers, of which the columns are known at most."""
    units = max(1, shape[-1] if shape else 1)
    seen = of_one_cosine(math.nan) if columns is None else products(columns)
    return Sites(seen, seen, _count(shape, units), units, units)


def of_units(activation: Activation, q: float, sites: Sites, *, known: int = 0) -> float:
    """Returns the variance that a layer's own units add to the logarithm of its second moment.

    Args:
        activation: of the layer.
        q: second moment before it.
        sites: of the layer.
        known: what is known of the values before the activation already: 0, nothing, behind a
            kernel; 1, their second moment; 2, their mean too, as behind a normalization.
    """
    if not 0 < q < math.inf:
        return 0.0
    # The Hermite polynomials of degree 1 and 2 are the mean and the second moment.
    left_out = {0: (), 1: (2,), 2: (1, 2)}[known]
    excess = _covariance(activation, _rounded(activation, q), False, left_out)
    linear = activation.slopes is not None
    found = _over_pairs(excess, sites.given, sites.count, weighted=linear)
    if not known and sites.fan_in:  # the mean square of the weights is known, not drawn
        found -= 2 * sensitivity(activation, q) ** 2 / sites.fan_in
    return max(0.0, found) / sites.units


def of_slopes(activation: Activation, q: float, sites: Sites) -> float:
    """Returns the variance that the slopes of an activation add to a gradient's logarithm."""
    if activation.slopes == (1.0, 1.0) or not 0 < q < math.inf:
        return 0.0
    slopes = _covariance(activation, _rounded(activation, q), True, ())(sites.matched)

    # Of a normal gradient E[g^2 g'^2] = (1 + 2 c^2) E[g^2] E[g'^2].
    def excess(c: Array) -> Array:
        return (1 + 2 * c**2) * slopes

    return _over_pairs(excess, sites.back, sites.count, weighted=True) / sites.units


def of_inputs(activation: Activation, q: float, sites: Sites) -> float:
    """Returns the variance that a kernel adds to the logarithm of the gradient at its input."""
    if not 0 < q < math.inf:
        return 0.0
    # Two sites share part of their slopes only.
    shared = _slopes_together(activation, _rounded(activation, q))(sites.matched)

    def excess(c: Array) -> Array:
        return 2 * (c * shared) ** 2

    found = _over_pairs(excess, sites.back, sites.count, weighted=True)
    if sites.fan_out:
        found -= 2 / sites.fan_out
    return max(0.0, found) / sites.inputs


def of_a_product(one: Array, other: Array, count: int, units: int) -> float:
    """Returns the relative variance of the mean product of two tensors of unrelated entries.

    Args:
        one: mean products of the first of them at two sites.
        other: those of the second, at the same sites; found from other units, so that the noise of
            both averages out.
        count: how many sites there are.
        units: over how many the product is averaged.
    """
    if one.shape[-1] != other.shape[-1]:
        one, other = (of_one_cosine(_between(_cosines(seen))) for seen in (one, other))
    cosines = _cosines(other.mean(axis=0, keepdims=True))

    def excess(c: Array) -> Array:
        return c * cosines

    seen = one.mean(axis=0, keepdims=True)
    return _over_pairs(excess, seen, count, weighted=True) / units


def of_a_square(seen: Array, count: int, units: int) -> float:
    """Returns the same of a tensor with another one that is spread over sites as it is.

    The cosine of two directions that have nothing to do with each other has mean square 1 / units,
    which is taken off.
    """
    found = _over_pairs(np.square, seen, count, weighted=True)
    return max(0.0, found - (1 - 1 / count) / units) / units


@functools.lru_cache(maxsize=512)
def sensitivity(activation: Activation, q: float) -> float:
    """Returns by how many per cent a second moment grows with 1 % more before the activation."""
    if activation.slopes is not None or not 0 < q < math.inf:
        return 1.0
    step = 1e-3
    low, high = (gaussian_moments(activation, q * math.exp(s)).second_moment for s in (-step, step))
    return math.log(high / low) / (2 * step) if low > 0 else 1.0


def of_one_cosine(cosine: float) -> Array:
    """Returns mean products of two sites of one cosine; of 1, a single site, if it is NaN."""
    c = 1.0 if math.isnan(cosine) else min(1.0, max(0.0, cosine))
    return np.array([[[1.0, c], [c, 1.0]]])


def _count(shape: tuple[int, ...], units: int) -> int:
    return max(1, math.prod(shape) // max(1, units))


def _cosines(seen: Array) -> Array:
    sizes = np.sqrt(np.einsum("mii->mi", seen))
    with np.errstate(invalid="ignore", divide="ignore"):
        cosines = seen / (sizes[:, :, None] * sizes[:, None, :])
    found: Array = np.clip(np.nan_to_num(cosines), -1.0, 1.0)
    return found


def _between(seen: Array) -> float:
    """Returns the mean over pairs of two different sites."""
    sites = seen.shape[-1]
    if sites < 2:
        return float(seen.mean())
    own = float(np.einsum("mii->", seen))
    return (float(seen.sum()) - own) / float(len(seen) * sites * (sites - 1))


def _over_pairs(excess: Excess, seen: Array, count: int, *, weighted: bool) -> float:
    """Returns the relative variance of a mean over sites that share their weights.

    Args:
        excess: relative covariance of two sites, by their correlation.
        seen: mean products of some of the sites, `(maps, sites, sites)`.
        count: how many sites there are in all.
        weighted: whether a site counts by its size; else all count alike.
    """
    sites = seen.shape[-1]
    sizes = np.einsum("mii->mi", seen) if weighted else np.ones(seen.shape[:2])
    mean = sizes.mean()
    if not 0 < mean < math.inf:
        return 0.0
    sizes = sizes / mean
    covariances = excess(_cosines(seen)) * sizes[:, :, None] * sizes[:, None, :]
    own = float(np.einsum("mii->", covariances)) / (len(seen) * sites)
    between = _between(covariances)
    if 2 < sites < count:  # of some pairs only: what they may be off is added
        rows = (covariances.sum(axis=-1) - np.einsum("mii->mi", covariances)) / (sites - 1)
        between += 2 * float(np.std(rows.mean(axis=0))) / math.sqrt(sites)
    return max(0.0, float(own) / count + (1 - 1 / count) * between)


def _rounded(activation: Activation, q: float) -> float:
    """Returns `q` to two digits, since the variance of a variance needs no more.

    Straight lines look the same at any size.
    """
    return 1.0 if activation.slopes is not None else float(f"{q:.1e}")


@functools.lru_cache(maxsize=512)
def _covariance(
    activation: Activation, q: float, slopes: bool, left_out: tuple[int, ...]
) -> Excess:
    """Returns the relative covariance of phi² (or phi'²) at two sites, by their correlation."""

    def square(z: Array) -> Array:
        found: Array = _value(activation, q, slopes, z) ** 2
        return found

    whole, parts = _powers(square)
    parts = np.array([0.0 if k in left_out else p for k, p in enumerate(parts, 1)])
    whole -= sum(p for k, p in enumerate(_powers(square)[1], 1) if k in left_out)
    return _series(parts, max(0.0, whole))


@functools.lru_cache(maxsize=512)
def _slopes_together(activation: Activation, q: float) -> Excess:
    """Returns E[phi'(h) phi'(h')] / E[phi'²] by the correlation of h and h'."""
    with np.errstate(over="ignore", invalid="ignore"):
        terms = hermite_coefficients(lambda z: _value(activation, q, True, z), _TERMS) ** 2
        nodes, weights = np.polynomial.hermite_e.hermegauss(120)
        whole = float(weights @ _value(activation, q, True, nodes) ** 2) / weights.sum()
    if not (np.all(np.isfinite(terms)) and 0 < whole < math.inf):
        return np.ones_like
    constant = terms[0] / whole
    series = _series(terms[1:] / whole, 1 - constant)
    return lambda c: constant + series(c)


def _series(parts: Array, whole: float) -> Excess:
    """Returns sum of parts c^k, from k = 1, as a function; at c = 1 it is `whole`."""
    values = np.polynomial.polynomial.polyval(_GRID, np.concatenate([[0.0], parts]))
    values[-1] = max(whole, float(parts.sum()))
    return lambda c: np.interp(c, _GRID, values)


def _value(activation: Activation, q: float, slopes: bool, z: Array) -> Array:
    scale = 1.0 if activation.slopes is not None else math.sqrt(q)
    if not slopes:
        return activation.function(scale * z)
    if activation.slopes is not None:
        return np.where(z < 0, activation.slopes[0], activation.slopes[1])
    step = 1e-4 * scale
    ahead, behind = (activation.function(scale * z + s) for s in (step, -step))
    return np.asarray((ahead - behind) / (2 * step))


def _powers(square: Callable[[Array], Array]) -> tuple[float, Array]:
    """Returns the relative variance of a function of z, and its parts by Hermite polynomial."""
    with np.errstate(over="ignore", invalid="ignore"):
        terms = hermite_coefficients(square, _TERMS)
        nodes, weights = np.polynomial.hermite_e.hermegauss(120)
        values = square(nodes)
        weights = weights / weights.sum()
        mean = float(weights @ values)
        fourth = float(weights @ values**2)
    if not (math.isfinite(fourth) and mean > 0 and terms[0] > 0):
        return 0.0, np.zeros(1)
    parts: Array = (terms[1:] / terms[0]) ** 2
    return max(fourth / mean**2 - 1, float(parts.sum())), parts
