r"""A signal as a sample of one of its entries, at several places of one example.

What a random net does to a signal shows in the distribution of one entry. It is carried as a sample
rather than as a mean and a variance, because any function of single values, any sum, product or
maximum then is that function of the samples: `x * sigmoid(x)` and SiLU come out alike, and a sum of
a signal and a function of it has the right moment, since both lie in the same columns.

Rows are places: pixels, time steps, tokens. The rows of a column are exchangeable, and as alike as
the signal is over places. What pooling and attention leave of a signal depends on that.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keras_inits._quadrature import normal_quantiles

Array = NDArray[np.float64]

# A second moment of a product of two signals errs by 1 / sqrt(ENTRIES), 3 %, at most; what enters
# a kernel is measured anew each time, so that such errors do not add up over layers.
PLACES, ENTRIES = 16, 1024

_RELU = 6.0  # E[x^4] / E[x^2]^2 behind a ReLU, of one size at all places


@dataclass(frozen=True, eq=False)
class Signal:
    """A sample of a tensor's entries.

    Attributes:
        values: of shape `(PLACES, ENTRIES)`.
        variance: $q$ if the entries are normal with mean 0; else None.
        reason: why nothing is known of it, as a sentence; empty if it is known. The values are then
            those of a standard normal variable, so that every rule still works.
        constant: of what a kernel made, the share of the second moment that is a constant of its
            channel, the same for all examples and places; else None.
        other: the same entries of another example; None where that is not known.
    """

    values: Array
    variance: float | None = None
    reason: str = ""
    constant: float | None = None
    other: Array | None = None

    @functools.cached_property
    def second_moment(self) -> float:
        """The mean square of the entries."""
        return self.variance if self.variance is not None else float(np.mean(self.values**2))

    @functools.cached_property
    def mean(self) -> float:
        """The mean over entries and places."""
        return float(np.mean(self.values))

    def typical(self, channels: int) -> float:
        """Returns the second moment that a net has at random, where some channels are large.

        It is a mean over channels. Of few, whose sizes differ much, most nets have less than nets
        have on average: of a variance of v, in units of the mean, the logarithm's mean is
        log(1 + v) / 2 below (exact for a log-normal law; Hanin & Nica 2020). Up to what a ReLU
        makes of normal channels nothing is taken off, so that its gain is He's.

        Args:
            channels: how many there are.
        """
        sizes = np.mean(self.values**2, axis=0)
        mean = float(np.mean(sizes))
        if not mean > 0:
            return self.second_moment
        uneven = float(np.mean(sizes**2)) / mean**2
        return self.second_moment / math.sqrt(1 + max(0.0, uneven - _RELU) / max(1, channels))

    @functools.cached_property
    def alike(self) -> float:
        """The share of the second moment that two places have in common, from 0 to 1."""
        return alike(self.values)

    @functools.cached_property
    def common(self) -> float:
        """The share of the second moment that two examples have in common, from 0 to 1.

        Where nothing is known of another example it is what the mean makes up.
        """
        if self.constant is not None:
            return self.constant
        square = float(np.mean(self.values**2))
        if not square > 0:
            return 0.0
        if self.other is None:
            return min(1.0, self.mean**2 / square)
        both = square + float(np.mean(self.other**2))
        return min(1.0, max(0.0, 1 - float(np.mean((self.values - self.other) ** 2)) / both))

    @functools.cached_property
    def examples(self) -> tuple[Array, ...]:
        """The entries of one example, and of another where the two are known to be alike.

        Of what a kernel made the other is drawn: at each place it has the constant of the channel
        in common with the first, and what is the same at all places of an example is its own.
        """
        if self.other is not None:
            return self.values, self.other
        if not self.constant:
            return (self.values,)
        mean, (noise, own) = np.mean(self.values, axis=0), _noise(self.values)
        scale = math.sqrt(np.mean(self.values**2)) or 1.0
        kept = self.constant * scale**2 / float(np.mean(mean**2) or 1.0)
        left = max(0.0, self.alike * scale**2 - kept**2 * float(np.mean(mean**2)))
        common = kept * mean + math.sqrt(left) * own
        return self.values, common + math.sqrt(max(0.0, 1 - self.alike)) * scale * noise

    def with_values(self, values: Array, other: Array | None = None) -> "Signal":
        """Returns another sample, which is as well known as this one."""
        return Signal(np.asarray(values, np.float64), None, self.reason, None, other)

    def with_function(self, function: Callable[[Array], Array]) -> "Signal":
        """Returns what a function makes of the entries, of both examples if two are known."""
        return self.with_values(*map(function, self.examples))

    def scaled(self, factor: float) -> "Signal":
        """Returns the signal times a number."""
        if factor == 1.0:
            return self
        variance = None if self.variance is None else self.variance * factor**2
        other = None if self.other is None else self.other * factor
        return Signal(self.values * factor, variance, self.reason, self.constant, other)

    def with_second_moment(self, second_moment: float) -> "Signal":
        """Returns the signal, scaled to a second moment; one of zeros as it is."""
        own = self.second_moment
        return self.scaled(math.sqrt(second_moment / own)) if own else self

    def shuffled(self, key: int) -> "Signal":
        """Returns other entries of the same law."""
        order = np.random.default_rng([key, 1]).permutation(ENTRIES)
        other = None if self.other is None else self.other[:, order]
        return Signal(self.values[:, order], self.variance, self.reason, self.constant, other)

    def at_other_places(self, key: int) -> "Signal":
        """Returns the same entries at other places."""
        by = 1 + key % (PLACES - 1)
        other = None if self.other is None else np.roll(self.other, by, axis=0)
        values = np.roll(self.values, by, axis=0)
        return Signal(values, self.variance, self.reason, self.constant, other)


@functools.cache
def _normal_noise() -> tuple[Array, Array]:
    rng = np.random.default_rng(11)
    own = rng.permutation(normal_quantiles(PLACES * ENTRIES)).reshape(PLACES, ENTRIES)
    return own, rng.permutation(normal_quantiles(ENTRIES))


def _noise(values: Array) -> tuple[Array, Array]:
    """Returns normal values of each place, and of all; the same for a signal of any scale."""
    key, (own, common) = int(np.argmax(np.abs(values[0]))), _normal_noise()
    return np.roll(own, key, axis=1), np.roll(common, 7 * key)


def alike(values: Array) -> float:
    """Returns the mean product of two places, divided by the mean square."""
    squares = float(np.sum(values**2))
    if squares == 0:
        return 1.0
    products = float(np.sum(np.sum(values, axis=0) ** 2)) - squares
    return min(1.0, max(0.0, products / (squares * (PLACES - 1))))


def normal(variance: float, alike: float, key: int, reason: str = "") -> Signal:
    """Returns normal entries of mean 0.

    For each value there is its negative, and the mean square is exact.

    Args:
        variance: of the entries.
        alike: the correlation of two places.
        key: another one gives independent entries.
        reason: as in `Signal`.
    """
    if not variance > 0:
        return Signal(np.zeros((PLACES, ENTRIES)), None, reason)
    rng, half = np.random.default_rng([key, 0]), ENTRIES // 2
    common = rng.permutation(normal_quantiles(half))
    own = rng.permutation(normal_quantiles(PLACES * half)).reshape(PLACES, half)
    values = math.sqrt(alike) * common + math.sqrt(1 - alike) * own
    values *= math.sqrt(variance / np.mean(values**2))
    order = rng.permutation(ENTRIES)
    return Signal(np.concatenate([values, -values], axis=1)[:, order], variance, reason)


def ones() -> Signal:
    """Returns a signal that is 1 everywhere."""
    return Signal(np.ones((PLACES, ENTRIES)))


def unknown(reason: str, key: int) -> Signal:
    """Returns a signal of which nothing is known; its second moment is taken as 1."""
    return normal(1.0, INPUT_ALIKE, key, reason)


def held(values: NDArray[np.generic], key: int) -> Signal:
    """Returns a signal whose entries are some of an array's, with the array's mean square."""
    known = np.asarray(values, np.float64).ravel()
    drawn = np.random.default_rng([key, 3]).choice(known, (PLACES, ENTRIES))
    square = float(np.mean(drawn**2))
    return Signal(drawn * math.sqrt(np.mean(known**2) / square) if square else drawn)


# How alike two places of an input are taken to be: halfway between white noise and a smooth image,
# so that neither is far off. A ReLU net forgets it within a few layers.
INPUT_ALIKE = 0.5
