r"""The pre-activation variance at which a deep net of one activation keeps signal and gradient.

With weights of variance $\sigma_w^2 / n_\text{in}$ and zero biases any variance $q$ is a fixed
point of the variance map $V$ for $\sigma_w^2 = q / E[\varphi(x)^2]$, $x \sim N(0, q)$. What differs
is what happens around it over $L$ layers: a gradient's second moment is multiplied by
$\chi(q)^{L - 1}$, and a signal that starts next to $q$ comes back to it, or leaves it.
"""

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_inits._gains import Activation, gaussian_moments, resolve

Array = NDArray[np.float64]

# Variances that are tried, twenty steps a decade: from where every smooth activation is a straight
# line (sin(30 x) too, which needs (30 x)^2 << 1) to where the common ones are two. Signals are
# followed two decades further. Chosen is among ten times as many, by interpolation.
_COARSE = np.logspace(-8, 6, 281)
_VARIANCES = np.logspace(-8, 6, 2801)
_TRIED = slice(400, -400)
# What second moments may change by from the first layer to the last, as logarithms: root mean
# squares within a factor of 2, or within 3 together with the fluctuations of finite width, for
# which 2.8 standard deviations are left (one of 200 nets is outside). Less than a factor of 1.3 is
# not asked of deep nets, since that leads to where the activation is a straight line.
_DRIFT, _WITH_CHANCE, _SURE, _LEAST = math.log(4.0), math.log(9.0), 2.8, math.log(1.7)
_WIDTH = 250
# How far from the point a signal starts, as the variance of the logarithm of its second moment per
# layer: what chance brings about at width 250 with orthogonal kernels, 3 / n for ReLU (and 5 / n
# with normal ones, Hanin & Nica 2020, https://arxiv.org/abs/1812.05994); 3.8 / n at most was found
# for GELU and SiLU, less for those that saturate.
_VARIANCE = 3.0 / _WIDTH
# That of all layers together, as a standard deviation, where some kernels are not orthogonal: each
# channel of a depthwise one depends on a few taps. With it 96 % of MobileNetV3Small's kernels are
# within a factor of 2 of what was asked on smooth images, and 76 % with the above (3 seeds).
_UNEVEN = 1.0
_ALIKE = 1e-3  # relative differences of drifts below this are those of the sums over `_Z`
_FAR = 1e4  # logarithms past which a signal is gone or boundless
# Points of the sum over the normal variable, 250 a standard deviation up to 10 of them: the choice
# between points 12 % apart needs no more; the gain itself is integrated to 1e-6.
_Z = np.linspace(-10.0, 10.0, 5001)


@dataclass(frozen=True)
class WorkingPoint:
    r"""Where an activation works in a net of some depth.

    Attributes:
        q: second moment of the pre-activations, $q$.
        gain: $\sigma_w = \sqrt{q / E[\varphi(x)^2]}$, for kernels whose input this activation made.
        chi: $\chi$, the factor of a gradient's second moment per layer.
        slope: $d \log V / d \log q$, the factor of a small deviation of the signal per layer; below
            1 the signal comes back.
        depth: the number of layers that it was chosen for.
        keeps: whether signal and gradient stay within a factor of 2 (root mean square) over `depth`
            layers.
    """

    q: float
    gain: float
    chi: float
    slope: float
    depth: int
    keeps: bool

    def __str__(self) -> str:
        kept = "" if self.keeps else "; no variance keeps signal and gradient over this depth"
        return (
            f"q = {self.q:.3g}, chi = {self.chi:.3g}, slope = {self.slope:.3g} "
            f"for {self.depth} layer{'s' * (self.depth != 1)}{kept}"
        )


def working_point(activation: Any, depth: int = 1, *, even: bool = True) -> WorkingPoint:
    r"""Returns the variance nearest to 1 at which `depth` layers keep signal and gradient.

    Kept means within a factor of 2 in root mean square from the first layer to the last:
    $\chi^{L-1}$ of a typical net between 1/4 and 4, and the same for a signal that starts too large
    or too small by the standard deviation that chance has over so many layers of width 250. Where
    units differ in slope, nets differ in their gradients, and $\chi$ is chosen nearer to 1, for a
    factor of 3 with chance. For ReLU every variance keeps both, so that it is 1. Tanh's gradient
    grows by $\chi = 1.18$ per layer at $q = 1$, so that deep nets of it work at a smaller one; the
    signals of SiLU and GELU are unstable there, so that they work where they are nearly ReLU; a
    sigmoid's gradient survives only where it is large.
    Where no variance keeps both, it is the one at which the worse of them drifts least, of equal
    ones the nearest to 1, and `keeps` is False.

    Args:
        activation: as in `keras_inits.gain`.
        depth: how many layers of it follow each other, at least 1.
        even: whether all kernels between them are orthogonal; depthwise ones are not.

    Raises:
        InputError: as in `keras_inits.gain`.

    Reference:
        Poole et al. 2016, sections 2 and 3. https://arxiv.org/abs/1606.05340
        Hayou et al. 2019, section 3. https://arxiv.org/abs/1902.06853

    >>> working_point("relu", 100).q, round(working_point("tanh", 50).q, 2)
    (1.0, 0.22)
    """
    activation = resolve(activation)
    if activation.slopes is not None or depth <= 1:
        return _at(activation, 1.0, depth)
    chance = math.sqrt(_VARIANCE * depth) if even else _UNEVEN
    gradient, signal = _drift(activation, depth, chance)
    drift = np.fmax(gradient, signal)
    distance = np.abs(np.log(_VARIANCES[_TRIED]))
    room = _WITH_CHANCE - _SURE * np.sqrt(_spread(activation, depth))
    best = (signal <= _DRIFT) & (gradient <= np.clip(room, _LEAST, _DRIFT))
    if not best.any():  # of powers, such as relu(x)^2, all points drift alike but for rounding
        best = drift <= drift.min() * (1 + _ALIKE)
    order = np.where(best, distance, np.inf)
    q = float(_VARIANCES[_TRIED][np.argmin(order)])
    return _at(activation, q, depth, keeps=bool(drift.min() <= _DRIFT))


def _at(activation: Activation, q: float, depth: int, *, keeps: bool = True) -> WorkingPoint:
    moments = gaussian_moments(activation, q)
    if moments.second_moment == 0:
        return WorkingPoint(q, math.inf, math.nan, math.nan, depth, keeps=False)
    chi = q * moments.derivative_second_moment / moments.second_moment
    step = 1e-3  # of log q; the error of the central difference is its square
    above, below = (
        gaussian_moments(activation, q * math.exp(sign * step)).second_moment for sign in (1, -1)
    )
    slope = math.log(above / below) / (2 * step)
    return WorkingPoint(q, math.sqrt(q / moments.second_moment), chi, slope, depth, keeps)


def _drift(activation: Activation, depth: int, chance: float) -> tuple[Array, Array]:
    """Returns how far gradient and signal drift over `depth` layers, at each tried variance.

    Both are logarithms of second moments, without their sign; infinite where they are not known.
    """
    chi, second, _ = _profile(activation)
    # That of the median net: the logarithm of a mean is larger by half its variance.
    gradient = np.abs(np.log(chi[_TRIED]) * (depth - 1) - _spread(activation, depth) / 2)
    start, position = np.log(second[_TRIED]), np.log(_VARIANCES[_TRIED])
    signal = np.zeros_like(gradient)
    known, values = np.log(_VARIANCES), np.log(second)
    # Beyond the ends the map goes on as straight lines of the logarithms.
    ends = (known[:1] - _FAR, known, known[-1:] + _FAR)
    outer = (values[1] - values[0], values[-1] - values[-2])
    first, last = (_FAR * rise / (known[1] - known[0]) for rise in outer)
    known, values = np.concatenate(ends), np.r_[values[0] - first, values, values[-1] + last]
    for deviation in (-chance, chance):
        at = position + deviation
        for _ in range(depth - 1):
            at = position + np.interp(at, known, values) - start
        signal = np.maximum(signal, np.abs(at - position))  # NaN: it leaves what is known
    unknown = ~(np.isfinite(gradient) & np.isfinite(signal))
    return np.where(unknown, np.inf, gradient), np.where(unknown, np.inf, signal)


def _spread(activation: Activation, depth: int) -> Array:
    """Returns the variance of the logarithm of a gradient's second moment over `depth` layers."""
    _, _, uneven = _profile(activation)
    return (uneven[_TRIED] - 1) * depth / _WIDTH


@functools.lru_cache(maxsize=64)
def _profile(activation: Activation) -> tuple[Array, Array, Array]:
    r"""Returns, at each of `_VARIANCES`, chi, E[phi(x)^2] and how uneven the slopes are.

    That is E[phi'(x)^4] / E[phi'(x)^2]^2: each layer of n units adds (that - 1) / n to the variance
    of the logarithm of a gradient's second moment. NaN where they are not finite.
    """
    density = np.exp(-(_Z**2) / 2)
    density /= density.sum()
    second, derivative, fourth = np.empty((3, len(_COARSE)))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for i, q in enumerate(_COARSE):
            x = math.sqrt(q) * _Z
            values = activation.function(x)
            squares = np.gradient(values, x) ** 2
            second[i], derivative[i] = values**2 @ density, squares @ density
            fourth[i] = squares**2 @ density
        profile = np.log([_COARSE * derivative / second, second, fourth / derivative**2])
    profile[:, ~np.isfinite(profile[:2]).all(axis=0)] = np.nan
    chi, second, uneven = (
        np.exp(np.interp(np.log(_VARIANCES), np.log(_COARSE), row)) for row in profile
    )
    return chi, second, uneven
