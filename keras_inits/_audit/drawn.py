"""Whether the values of kernels are still what a random law drew, whatever its scale."""

import functools
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from keras import initializers
from numpy.typing import NDArray

from keras_inits._audit.kernel import Kernel, equal_rows
from keras_inits._audit.orthogonality import as_keras_reads, is_drawn_orthogonal
from keras_inits._schemes import (
    OrthogonalInit,
    RandomInit,
    RandomLargeInit,
    RandomSmallInit,
    UniformInit,
    VarianceScalingInit,
)
from keras_inits._schemes.sampling import cut_stddev

_INDEPENDENT = (
    initializers.RandomNormal,
    initializers.RandomUniform,
    initializers.TruncatedNormal,
    RandomInit,
    RandomLargeInit,
    RandomSmallInit,
    UniformInit,
)
_PROBED = 2**12  # values of a kernel whose distribution is looked at
_FEWEST = 32  # values that say anything
_MOST_SIDE = 128  # rows or columns of the part of a kernel that is looked at
_NORMAL = statistics.NormalDist()
# Mean and standard deviation of the Tracy-Widom law of order 1 (Bejan 2005, table 2.2), the one of
# the largest eigenvalue of a Wishart matrix (Johnstone 2001).
_TRACY_WIDOM = (-1.2065, 1.2680)
# Over all kernels together, in standard deviations: 6e-5 by chance.
LIMIT = 4.0
_STRANGE = 2.0  # of one kernel
_OFF = 40.0  # of a kernel that its law cannot have drawn


def surprise(kernels: Sequence[Kernel]) -> tuple[float, int, int]:
    """Returns how surprising kernels are, were their values drawn independently by one law each.

    Of each kernel are looked at: the distribution of its values, and its tails; the sizes and the
    means of its rows and of its columns; the largest singular value, against what that of random
    numbers is (Marchenko and Pastur 1967, Johnstone 2001); and whether units with large incoming
    weights have large outgoing ones. Steps of gradient descent are matrices of low rank that move
    all of these. A wrong scale moves none.

    Returns:
        The surprise of all together in standard deviations, 0 where less than half of them are
        surprising; how many are; of how many.
    """
    by_path = {kernel.path: kernel for kernel in kernels}
    found = [z for kernel in kernels if (z := _deviation(kernel, by_path)) is not None]
    if not found:
        return 0.0, 0, 0
    strange = sum(z > _STRANGE for z in found)
    # Many kernels that moved a little, or one that moved much.
    total = max(sum(found) / math.sqrt(len(found)), _largest(found))
    return (total if strange >= len(found) / 2 else 0.0), strange, len(found)


def _deviation(kernel: Kernel, by_path: Mapping[str, Kernel]) -> float | None:
    """Returns how far a kernel is from independent values, as a standard normal number if it is."""
    if kernel.values.size < _FEWEST or kernel.values.ndim < 2 or kernel.is_lookup:
        return None
    if isinstance(kernel.scheme, OrthogonalInit):
        return 0.0 if is_drawn_orthogonal(kernel) else _OFF
    law = type(kernel.initializer) in _INDEPENDENT or isinstance(kernel.scheme, VarianceScalingInit)
    if not law:
        return None
    matrix = _distinct(as_keras_reads(kernel)[:_MOST_SIDE, :_MOST_SIDE].astype("float64"))
    spread = matrix.std()
    if min(matrix.shape) < 2 or spread == 0:
        return None
    w = (matrix - matrix.mean()) / spread
    found = [
        _shape(kernel.values, getattr(kernel.scheme, "cut", None)),
        _tails(w),
        *_margins(w),
        *_margins(w.T),
        *_links(kernel, by_path),
    ]
    if min(w.shape) >= 4:
        found.append(_spectrum(w))
    return _largest(found)


def _largest(numbers: Sequence[float]) -> float:
    """Returns the largest of standard normal numbers as one such number (Sidak 1967)."""
    largest = min(_OFF, max(numbers))
    chance = 0.5 * math.erfc(largest / math.sqrt(2.0))
    if chance < 1e-300:
        return largest
    return _quantile(-math.expm1(len(numbers) * math.log1p(-chance)) if chance < 1 else 1.0)


def _quantile(chance: float) -> float:
    """Returns the standard normal number that is passed with this chance."""
    return -_NORMAL.inv_cdf(min(1 - 1e-12, max(1e-300, chance)))


def _distinct(matrix: NDArray[Any]) -> NDArray[Any]:
    """Returns a matrix without copies of columns: what was copied is no evidence twice."""
    drop = [i for group in equal_rows(matrix.T) for i in group[1:]]
    return np.delete(matrix, drop, axis=1) if drop else matrix


def _links(kernel: Kernel, by_path: Mapping[str, Kernel]) -> Iterator[float]:
    """Yields how much the units' incoming sizes agree with those of their outgoing weights."""
    incoming = np.mean(np.square(as_keras_reads(kernel)), axis=0, dtype="float64")
    for meeting in kernel.context.meetings:
        for path in meeting.weights if meeting.kind == "kernel" else ():
            following = by_path.get(path)
            if following is None or following.values.ndim < 2 or following.path == kernel.path:
                continue
            rows = as_keras_reads(following)
            if len(incoming) < 6 or len(rows) % len(incoming):
                continue
            sizes = np.mean(np.square(rows), axis=1, dtype="float64")
            outgoing = sizes.reshape(-1, len(incoming)).mean(axis=0)
            if incoming.std() > 0 and outgoing.std() > 0:
                # By ranks, whose correlation has a law that is known (Kendall 1948).
                one, other = (np.argsort(np.argsort(v)) * 1.0 for v in (incoming, outgoing))
                yield float(np.corrcoef(one, other)[0, 1]) * math.sqrt(len(incoming) - 1)


def _margins(w: NDArray[Any]) -> tuple[float, float]:
    """Returns how uneven the sizes and the means of columns are, as standard normal numbers."""
    rows, columns = w.shape
    kurtosis = max(1.05, float(np.mean(np.square(w * w))))
    sizes = np.mean(w**2, axis=0)
    uneven = float(np.sum((sizes - sizes.mean()) ** 2)) / ((kurtosis - 1.0) / rows)
    means = float(np.sum(np.mean(w, axis=0) ** 2)) * rows
    return _from_chi2(uneven, columns - 1), _from_chi2(means, columns - 1)


def _from_chi2(value: float, freedom: int) -> float:
    """Returns a chi-squared number as a standard normal one (Wilson and Hilferty 1931)."""
    share = 2.0 / (9.0 * freedom)
    root = math.pow(value / freedom, 1 / 3)
    return (root - (1.0 - share)) / math.sqrt(share)


def _spectrum(w: NDArray[Any]) -> float:
    """Returns how far the largest singular value is above that of random numbers."""
    rows, columns = w.shape
    edge = math.sqrt(rows - 1) + math.sqrt(columns)
    width = edge * math.pow(1 / math.sqrt(rows - 1) + 1 / math.sqrt(columns), 1 / 3)
    gram = w @ w.T if rows < columns else w.T @ w  # a tenth of the time of singular values
    largest = float(np.linalg.eigvalsh(gram)[-1])
    mean, deviation = _TRACY_WIDOM
    return ((largest - edge**2) / width - mean) / deviation


def _shape(values: NDArray[Any], cut: float | None) -> float:
    """Returns how far values are from uniform, normal and truncated normal, whatever their scale.

    The last are cut at two standard deviations, and at `cut` if given.

    The Kolmogorov distance of the nearest, as a standard normal number.
    """
    flat = values.reshape(-1)
    sample = np.sort(flat[:: max(1, flat.size // _PROBED)].astype("float64"))
    sample = (sample - sample.mean()) / sample.std()
    laws = [(sample + math.sqrt(3.0)) / math.sqrt(12.0), _normal_cdf(sample)]
    for end in {2.0, cut or 2.0}:
        low, high = _NORMAL.cdf(-end), _NORMAL.cdf(end)
        laws.append((_normal_cdf(sample * cut_stddev(end)) - low) / (high - low))
    distance = min(_distance(np.clip(share, 0.0, 1.0)) for share in laws)
    chance = min(1.0, 2 * math.exp(-2 * distance**2 * sample.size))
    return _quantile(chance)


def _tails(w: NDArray[Any]) -> float:
    """Returns how heavy the tails are against the normal law, as a standard normal number.

    Anscombe and Glynn 1983. Uniform and truncated laws have lighter tails than that.
    """
    n = w.size
    mean = 3.0 * (n - 1) / (n + 1)
    variance = 24.0 * n * (n - 2) * (n - 3) / ((n + 1) ** 2 * (n + 3) * (n + 5))
    x = (float(np.mean(np.square(w * w))) - mean) / math.sqrt(variance)
    skew = 6.0 * (n * n - 5 * n + 2) / ((n + 7) * (n + 9))
    skew *= math.sqrt(6.0 * (n + 3) * (n + 5) / (n * (n - 2) * (n - 3)))
    a = 6.0 + 8.0 / skew * (2.0 / skew + math.sqrt(1.0 + 4.0 / skew**2))
    base = 1.0 + x * math.sqrt(2.0 / (a - 4.0))
    cubic = math.copysign(abs((1.0 - 2.0 / a) / base) ** (1 / 3), base) if base else 0.0
    return (1.0 - 2.0 / (9.0 * a) - cubic) / math.sqrt(2.0 / (9.0 * a))


def _distance(shares: NDArray[Any]) -> float:
    """Returns the Kolmogorov distance of a sample from the law that gives it these shares."""
    count = shares.size
    below, above = np.arange(count) / count, np.arange(1, count + 1) / count
    return float(max(np.abs(shares - below).max(), np.abs(shares - above).max()))


def _normal_cdf(z: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.interp(z, *_cdf_table()))


@functools.cache
def _cdf_table() -> tuple[NDArray[Any], NDArray[Any]]:
    """Returns points 1/1000 apart and the normal law there: in between the error is 3e-8."""
    points = np.linspace(-9.0, 9.0, 18001)
    return points, np.array([0.5 * math.erfc(-value / math.sqrt(2.0)) for value in points])
