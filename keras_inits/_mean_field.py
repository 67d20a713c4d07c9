r"""The infinitely wide net at initialization: what happens to lengths and angles over its depth.

With weights $N(0, \sigma_w^2 / n_\text{in})$ and biases $N(0, \sigma_b^2)$ the pre-activations of a
wide layer are Gaussian. Their variance $q$ and the correlation $c$ of two samples follow two maps
from layer to layer; a gradient's second moment is multiplied by $\chi$ on its way back.

Reference:
    Poole et al. 2016. https://arxiv.org/abs/1606.05340
    Schoenholz et al. 2017. https://arxiv.org/abs/1611.01232
"""

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_inits._checks import real
from keras_inits._errors import InputError
from keras_inits._gains import Activation, gaussian_moments, resolve
from keras_inits._quadrature import hermite_coefficients

# Variances between which fixed points are looked for, ten steps a decade. Past them a signal is
# called gone or boundless: float32 resolves neither.
_SMALLEST, _LARGEST = 1e-12, 1e12
_RATIO = 10**0.1


def variance_map(activation: Any, q: float, *, sigma_w: float, sigma_b: float = 0.0) -> float:
    r"""Returns the next layer's variance: $\sigma_w^2 E[\varphi(x)^2] + \sigma_b^2$.

    Args:
        activation: a name that Keras knows, its configuration, a Keras layer or any elementwise
            callable. None is linear.
        q: this layer's pre-activation variance, that of the normal $x$.
        sigma_w: weight standard deviation times $\sqrt{n_\text{in}}$.
        sigma_b: bias standard deviation.

    Returns:
        The variance of the next layer's pre-activations.

    Raises:
        ValueError: an argument out of range, or an activation without a finite second moment.

    Reference:
        Poole et al. 2016, eq. 3.

    >>> round(variance_map("relu", 3.0, sigma_w=2**0.5), 9)
    3.0
    """
    sigma_w, sigma_b = _sigmas(sigma_w, sigma_b)
    return sigma_w**2 * gaussian_moments(activation, q).second_moment + sigma_b**2


def fixed_point(activation: Any, *, sigma_w: float, sigma_b: float = 0.0) -> float:
    r"""Returns $q^*$, the pre-activation variance that deep layers settle at, coming from 1.

    0 where the signal dies out (below 1e-12), `math.inf` where it grows without bound (past 1e12),
    and 1 where it stays what it is, as for ReLU with He's gain.

    Args:
        activation: a name that Keras knows, its configuration, a Keras layer or any elementwise
            callable. None is linear.
        sigma_w: weight standard deviation times $\sqrt{n_\text{in}}$.
        sigma_b: bias standard deviation.

    Returns:
        The variance of the pre-activations.

    Raises:
        ValueError: an activation without finite moments, or a standard deviation that is no number.

    Reference:
        Poole et al. 2016, section 2.

    >>> round(fixed_point("tanh", sigma_w=1.7610**0.5, sigma_b=0.05**0.5), 3)
    0.57
    """
    activation = resolve(activation)
    sigma_w, sigma_b = _sigmas(sigma_w, sigma_b)

    def growth(q: float) -> float:
        return variance_map(activation, q, sigma_w=sigma_w, sigma_b=sigma_b) / q - 1

    at_one = growth(1.0)
    if abs(at_one) < 1e-9:
        return 1.0
    # The first place, in the direction in which 1 moves, where the map stops moving that way.
    ratio = _RATIO if at_one > 0 else 1 / _RATIO
    q = 1.0
    while _SMALLEST < q < _LARGEST:
        step = q * ratio
        if growth(step) * at_one <= 0:
            return _zero(growth, *sorted((q, step)))
        q = step
    return math.inf if at_one > 0 else 0.0


def correlation_map(
    activation: Any, c: float, *, sigma_w: float, sigma_b: float = 0.0, q: float | None = None
) -> float:
    r"""Returns the correlation of two samples one layer on.

    $c' = (\sigma_w^2 E[\varphi(x) \varphi(y)] + \sigma_b^2) / q'$ for $x, y \sim N(0, q)$ with
    correlation $c$. Straight lines to both sides of 0 have a closed form (Cho & Saul 2009); for all
    else the expectation is $\sum_n a_n^2 c^n$ with $\varphi$'s Hermite coefficients: to 1e-6 for a
    $\varphi$ without kinks, to 1e-4 for one with.

    Args:
        activation: a name that Keras knows, its configuration, a Keras layer or any elementwise
            callable. None is linear.
        c: their correlation before, from -1 to 1.
        sigma_w: weight standard deviation times $\sqrt{n_\text{in}}$.
        sigma_b: bias standard deviation.
        q: their variance; the fixed point if None.

    Returns:
        The correlation one layer on, from -1 to 1.

    Raises:
        ValueError: `c` is no correlation, or there is no fixed point other than 0 and infinity.

    Reference:
        Poole et al. 2016, eq. 5.

    >>> round(correlation_map("relu", 0.0, sigma_w=2**0.5), 6) == round(1 / math.pi, 6)
    True
    """
    c = real("c", c, minimum=-1, maximum=1)
    activation = resolve(activation)
    sigma_w, sigma_b = _sigmas(sigma_w, sigma_b)
    if q is not None:
        q = real("q", q, above=0)
    else:
        q = _positive_fixed_point(activation, sigma_w, sigma_b)
    product = _expected_product(activation, q, c)
    after = variance_map(activation, q, sigma_w=sigma_w, sigma_b=sigma_b)
    return (sigma_w**2 * product + sigma_b**2) / after


def chi(activation: Any, *, sigma_w: float, sigma_b: float = 0.0, q: float | None = None) -> float:
    r"""Returns $\chi = \sigma_w^2 E[\varphi'(x)^2]$, the factor of a gradient's second moment.

    It is what one layer does to a gradient on its way back, $x$ being its normal input. Below 1
    gradients vanish and samples grow alike; above 1 gradients explode and samples part.

    Args:
        activation: a name that Keras knows, its configuration, a Keras layer or any elementwise
            callable. None is linear.
        sigma_w: weight standard deviation times $\sqrt{n_\text{in}}$.
        sigma_b: bias standard deviation.
        q: the variance of $x$; the fixed point if None. Where that is 0, the limit.

    Returns:
        The factor, a variance ratio: 1 keeps the size of a gradient.

    Raises:
        ValueError: the variance grows without bound, and `q` is None.

    Reference:
        Poole et al. 2016, eq. 7; Schoenholz et al. 2017, eq. 16 and 17.

    >>> round(chi("relu", sigma_w=2**0.5), 9)
    1.0
    """
    activation = resolve(activation)
    sigma_w, sigma_b = _sigmas(sigma_w, sigma_b)
    if q is None and activation.slopes is None:
        q = _finite(fixed_point(activation, sigma_w=sigma_w, sigma_b=sigma_b), activation)
    q = 1.0 if q is None else real("q", q, minimum=0)
    moments = gaussian_moments(activation, max(_SMALLEST, q))
    return sigma_w**2 * moments.derivative_second_moment


def depth_scale(activation: Any, *, sigma_w: float, sigma_b: float = 0.0) -> float:
    r"""Returns $\xi$, the number of layers in which a correlation comes $e$ times nearer its limit.

    $\xi = -1 / \log \chi_{c^*}$ with $\chi_{c^*}$ the slope of the correlation map at its stable
    fixed point, which is $c^* = 1$ (and $\chi$) up to the edge of chaos and below 1 past it.
    Networks much deeper than this train badly; infinite at the edge.

    Args:
        activation: a name that Keras knows, its configuration, a Keras layer or any elementwise
            callable. None is linear.
        sigma_w: weight standard deviation times $\sqrt{n_\text{in}}$.
        sigma_b: bias standard deviation.

    Returns:
        The depth scale, in layers; `math.inf` at the edge of chaos.

    Raises:
        ValueError: the variance dies out or grows without bound, so that there is no fixed point.

    Reference:
        Schoenholz et al. 2017, eq. 9 and section 5.

    >>> depth_scale("relu", sigma_w=2**0.5)
    inf
    """
    activation = resolve(activation)
    slope = chi(activation, sigma_w=sigma_w, sigma_b=sigma_b)
    if slope > 1 + 1e-6:
        q = _positive_fixed_point(activation, sigma_w, sigma_b)

        def excess(c: float) -> float:
            return correlation_map(activation, c, sigma_w=sigma_w, sigma_b=sigma_b, q=q) - c

        c = _zero(excess, -1.0 if excess(-1.0) > 0 else 0.0, 1 - 1e-4)
        slope = (excess(c + 1e-5) - excess(c - 1e-5)) / 2e-5 + 1
    if slope == 0:  # one layer makes all samples equal
        return 0.0
    # |chi - 1| below 1e-6 is what the moments are good for.
    return math.inf if abs(slope - 1) < 1e-6 else -1 / math.log(abs(slope))


def critical_sigma_w(activation: Any, *positional: float, sigma_b: float = 0.0) -> float:
    r"""Returns the $\sigma_w$ of the edge of chaos, where $\chi = 1$, for biases of `sigma_b`.

    There a gradient keeps its size over any depth. Found as the least variance $q$ with
    $q = E[\varphi(x)^2] / E[\varphi'(x)^2] + \sigma_b^2$; then $\sigma_w^2 = 1 / E[\varphi'(x)^2]$.
    For two straight lines through 0, such as ReLU, $\chi$ does not depend on $q$, and with a bias
    $q$ grows by $\sigma_b^2$ a layer.

    Args:
        activation: a name that Keras knows, its configuration, a Keras layer or any elementwise
            callable. None is linear.
        *positional: `sigma_b`, as version 0.1 took it.
        sigma_b: bias standard deviation.

    Returns:
        $\sigma_w$, a standard deviation: kernels of standard deviation $\sigma_w /
        \sqrt{n_\text{in}}$.

    Raises:
        ValueError: no variance from 1e-12 to 1e12 is critical.

    Reference:
        Poole et al. 2016, section 3.1; Hayou et al. 2019, section 3. https://arxiv.org/abs/1902.06853

    >>> round(critical_sigma_w("tanh", sigma_b=0.05**0.5) ** 2, 3)
    1.761
    """
    if positional:
        (sigma_b,) = positional
    activation = resolve(activation)
    _, sigma_b = _sigmas(1.0, sigma_b)
    if activation.slopes is not None:
        return 1 / math.sqrt(gaussian_moments(activation).derivative_second_moment)

    def excess(q: float) -> float:
        moments = gaussian_moments(activation, q)
        ratio = moments.second_moment / moments.derivative_second_moment
        return q - ratio - sigma_b**2

    if sigma_b == 0 and abs(excess(_SMALLEST)) < 1e-3 * _SMALLEST:  # phi(0) = 0: critical at q = 0
        q = _SMALLEST
    else:
        q, here = _SMALLEST, excess(_SMALLEST)
        while here * (there := excess(q * _RATIO)) > 0:
            q, here = q * _RATIO, there
            if q > _LARGEST:
                raise InputError(
                    "This activation has no edge of chaos at this bias. "
                    f"Received: activation={activation.name}, sigma_b={sigma_b}"
                )
        q = _zero(excess, q, q * _RATIO)
    return 1 / math.sqrt(gaussian_moments(activation, q).derivative_second_moment)


def _sigmas(sigma_w: Any, sigma_b: Any) -> tuple[float, float]:
    """Returns both standard deviations, checked."""
    return (
        real("sigma_w", sigma_w, minimum=0, maximum=_LARGEST),
        real("sigma_b", sigma_b, minimum=0, maximum=_LARGEST),
    )


def _expected_product(activation: Activation, q: float, c: float) -> float:
    """Returns E[phi(x) phi(y)] for normal x and y of variance q and correlation c."""
    if activation.slopes is not None:
        below, above = activation.slopes
        same, opposite = _arc_cosine(c), _arc_cosine(-c)
        return q * ((below**2 + above**2) * same - 2 * below * above * opposite)
    scale = math.sqrt(q)
    powers = hermite_coefficients(lambda z: activation.function(scale * z)) ** 2
    series = float(np.sum(powers * c ** np.arange(len(powers))))
    # What lies past the last coefficient is at most this, and all of it at c = 1.
    rest = gaussian_moments(activation, q).second_moment - float(powers.sum())
    return series + rest * c ** len(powers)


def _arc_cosine(c: float) -> float:
    """Returns E[relu(x) relu(y)] at variance 1 (Cho & Saul 2009, eq. 6)."""
    return (math.sqrt(1 - c * c) + c * (math.pi - math.acos(c))) / (2 * math.pi)


def _finite(q: float, activation: Activation) -> float:
    if math.isinf(q):
        raise InputError(
            "The variance grows without bound from layer to layer, so that there is no fixed point "
            f"to evaluate at: give `q`. Received: activation={activation.name}"
        )
    return q


def _positive_fixed_point(activation: Activation, sigma_w: float, sigma_b: float) -> float:
    q = _finite(fixed_point(activation, sigma_w=sigma_w, sigma_b=sigma_b), activation)
    if q == 0 and activation.slopes is None:
        raise InputError(
            "The signal dies out, so that there is no fixed point to evaluate at: give `q`. "
            f"Received: activation={activation.name}, sigma_w={sigma_w}, sigma_b={sigma_b}"
        )
    return q or 1.0  # of two straight lines the map of correlations is the same at any variance


def _zero(function: Callable[[float], float], left: float, right: float) -> float:
    """Returns a zero of `function`, by Ridders' method; the right end if its sign does not change.

    Every step halves the interval, and near the zero doubles the digits: a dozen values of the
    function where halving alone takes fifty.

    Reference:
        Ridders 1979. https://doi.org/10.1109/TCS.1979.1084580
    """
    ends = [(left, function(left)), (right, function(right))]
    if math.prod(value for _, value in ends) > 0:
        return right
    found = math.nan
    for _ in range(60):
        if exact := [end for end, value in ends if value == 0]:
            return exact[0]
        (left, at_left), (right, at_right) = ends
        middle, before = (left + right) / 2, found
        at_middle = function(middle)
        root = math.sqrt(at_middle * at_middle - at_left * at_right)
        found = middle
        if root > 0:  # or the product is below the smallest float
            found += (middle - left) * math.copysign(at_middle / root, at_middle * at_left)
        if not left < found < right:  # a value is infinite, or the ends are neighbours
            found = middle
        if abs(found - before) <= 1e-14 * abs(found):
            break
        known = sorted([*ends, (middle, at_middle), (found, function(found))])
        # the neighbours between which the sign changes
        ends = next([a, b] for a, b in itertools.pairwise(known) if (a[1] > 0) != (b[1] > 0))
    return found
