"""What theory knows of one tensor, and what an activation makes of it."""

import functools
import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from keras_inits._gains import Activation, gaussian_moments

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """What theory knows of one tensor.

    Attributes:
        second_moment: its mean square.
        mean: of its entries; NaN where it is not known.
        gaussian: whether it is normal with mean 0, as behind a wide random kernel.
        before: its second moment before the layer's own activation.
        variance: that of the logarithm of its second moment over nets of this width.
        known: what is known of the entries of each site or unit: 0, as much as of all together; 1,
            their second moment; 2, their mean too. See `spread.of_units`.
        measured: whether theory starts here, from what was measured.
    """

    second_moment: float
    mean: float
    gaussian: bool
    before: float
    variance: float = 0.0
    known: int = 0
    measured: bool = False

    def times(self, square: float) -> "Moments":
        """Returns the law of the tensor times a number, given the square of the number."""
        return replace(
            self,
            second_moment=self.second_moment * square,
            mean=self.mean * math.sqrt(square),
            before=self.before * square,
        )


@dataclass(frozen=True)
class Back:
    """What theory knows of a gradient.

    Attributes:
        second_moment: its mean square.
        variance: that of its logarithm over nets of this width.
    """

    second_moment: float
    variance: float = 0.0


_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(120)


def through(activation: Activation, q: float, sizes: Array, added: float = 0.0) -> Array:
    """Returns what an activation makes of normal entries: mean, second moment and squared slope.

    Args:
        activation: the activation.
        q: second moment before it, without a bias.
        sizes: second moments site by site, over their mean. What is no straight line bends large
            and small ones unlike.
        added: second moment of the bias, the same at all sites.

    Returns:
        The means over sites: of its values, their squares, and its squared slopes.
    """
    total = q + added
    if not 0 < total < math.inf:
        return np.array([0.0, total, math.nan])
    found = gaussian_moments(activation, total)
    exact = np.array([found.mean, found.second_moment, found.derivative_second_moment])
    if activation.slopes is not None or np.ptp(sizes) < 1e-3:
        return exact
    # The integral of many sites at once is coarse: only its ratio to the same at one size is used.
    each = _integrals(activation, q * sizes + added).mean(axis=1)
    one = _integrals(activation, np.array([total]))[:, 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = each / one
    usable = np.isfinite(ratio) & (np.abs(one) > 1e-9)
    corrected: Array = np.where(usable, exact * ratio, exact)
    return corrected


def _integrals(activation: Activation, q: Array) -> Array:
    """Returns means, squares and squared slopes: `(3, len(q))`."""
    scale = np.sqrt(np.maximum(q, 0.0))[:, None]
    step = 1e-4

    def value(z: Array) -> Array:
        points = scale * z
        return activation.function(points.ravel()).reshape(points.shape)

    with np.errstate(all="ignore"):
        values = value(_NODES)
        slopes = (value(_NODES + step) - value(_NODES - step)) / (2 * step * scale)
        weights = _WEIGHTS / _WEIGHTS.sum()
        return np.stack([values @ weights, values**2 @ weights, slopes**2 @ weights])


@functools.lru_cache(maxsize=128)
def _branch(activation: Activation) -> tuple[Array, Array]:
    """Returns the rising branch of an activation: its values in order, and their squared slopes."""
    z = np.linspace(-8, 12, 4001)
    with np.errstate(all="ignore"):
        values = activation.function(z)
        slopes = ((activation.function(z + 1e-3) - activation.function(z - 1e-3)) / 2e-3) ** 2
    start = int(np.argmin(values))
    return np.maximum.accumulate(values[start:]), slopes[start:]


def slope_at(activation: Activation, values: Array) -> tuple[float, float]:
    """Returns the mean squared slope at the points where an activation has these values.

    Maximum pooling picks large ones, and to these its gradient goes.

    Returns:
        The mean, and the relative variance that it has as the mean of a sample.
    """
    if activation.slopes is not None:
        below, above = activation.slopes
        slopes = np.where(values > 0, above**2, below**2)
    else:
        rising, squared = _branch(activation)
        slopes = np.interp(values, rising, squared)
    mean = float(np.mean(slopes))
    return mean, float(np.var(slopes)) / mean**2 / slopes.size if mean > 0 else 0.0
