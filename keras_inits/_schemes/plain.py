"""Random values whose scale does not depend on the kernel."""

import math
from typing import Any

import keras

from keras_inits._checks import real
from keras_inits._errors import InputError
from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._registry import scheme
from keras_inits._schemes import checks, sampling
from keras_inits._schemes.base import Scheme


@scheme
class RandomInit(Scheme, keras.initializers.RandomNormal):
    """Normal, N(0, stddev²), default stddev 1: the scheme that the source articles call random.

    With more than a few inputs a unit it saturates sigmoid and tanh units: see `XavierInit`.

    Args:
        stddev: standard deviation.
        mean: mean.

    Raises:
        InputError: a standard deviation that is not positive.

    >>> RandomInit(seed=1)((2, 3)).shape
    TensorShape([2, 3])
    """

    independent = True

    def __init__(self, stddev: float = 1.0, mean: float = 0.0, *, seed: Any = None) -> None:
        super().__init__(
            mean=real("mean", mean),
            stddev=checks.positive("stddev", stddev),
            seed=checks.seed(seed),
        )

    def sample(self, geometry: KernelGeometry, dtype: str, seed: Any) -> Any:
        return keras.random.normal(geometry.shape, self.mean, self.stddev, dtype=dtype, seed=seed)

    def expected_stddev(self, geometry: KernelGeometry) -> float:
        return float(self.stddev)


@scheme
class RandomSmallInit(RandomInit):
    """Normal, N(0, stddev²), default stddev 0.01: fades in deep networks.

    >>> RandomSmallInit().get_config()["stddev"]
    0.01
    """

    def __init__(self, stddev: float = 0.01, mean: float = 0.0, *, seed: Any = None) -> None:
        super().__init__(stddev, mean, seed=seed)


@scheme
class RandomLargeInit(RandomInit):
    """Normal, N(0, stddev²), default stddev 10: starts from large losses.

    >>> RandomLargeInit().get_config()["stddev"]
    10.0
    """

    def __init__(self, stddev: float = 10.0, mean: float = 0.0, *, seed: Any = None) -> None:
        super().__init__(stddev, mean, seed=seed)


@scheme
class UniformInit(Scheme, keras.initializers.RandomUniform):
    """Uniform on [minval, maxval), default ±0.05, as Keras's RandomUniform.

    Args:
        minval: lower bound, included (torch's `a`).
        maxval: upper bound, excluded (torch's `b`); at least `minval`.

    Raises:
        InputError: `minval` above `maxval`, or one that is not finite.

    >>> UniformInit(0.0, 1.0, seed=1)((2, 3)).shape
    TensorShape([2, 3])
    """

    independent = True

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, *, seed: Any = None) -> None:
        minval, maxval = real("minval", minval), real("maxval", maxval)
        if minval > maxval:
            raise InputError(
                f"`minval` must not exceed `maxval`. Received: minval={minval}, maxval={maxval}"
            )
        super().__init__(minval=minval, maxval=maxval, seed=checks.seed(seed))

    def sample(self, geometry: KernelGeometry, dtype: str, seed: Any) -> Any:
        low, high = sampling.inside(self.minval, self.maxval, dtype)
        return keras.random.uniform(geometry.shape, low, high, dtype=dtype, seed=seed)

    def expected_stddev(self, geometry: KernelGeometry) -> float:
        return float(self.maxval - self.minval) / math.sqrt(12.0)


@scheme
class TruncatedNormalInit(Scheme, keras.initializers.TruncatedNormal):
    """Normal, default stddev 0.05, cut at two standard deviations, as Keras's TruncatedNormal.

    `mean` and `stddev` are those of the normal before it is cut, as in Keras and torch: cut at two
    standard deviations, what comes out has 0.8796 `stddev`. (The fan-based schemes correct for
    that: `VarianceScalingInit(distribution="truncated_normal")`.)

    Args:
        mean: mean, before truncation.
        stddev: standard deviation, before truncation.
        minval: lower bound (torch's `a`); `mean - 2 stddev` if None.
        maxval: upper bound (torch's `b`); `mean + 2 stddev` if None.

    Raises:
        ValueError: bounds with less than 1e-4 of the normal between them.

    >>> bool(TruncatedNormalInit(stddev=1.0, minval=0.0, seed=1)((99,)).numpy().min() >= 0)
    True
    """

    independent = True

    def __init__(
        self,
        mean: float = 0.0,
        stddev: float = 0.05,
        *,
        minval: float | None = None,
        maxval: float | None = None,
        seed: Any = None,
    ) -> None:
        super().__init__(
            mean=real("mean", mean),
            stddev=checks.positive("stddev", stddev),
            seed=checks.seed(seed),
        )
        self.minval = None if minval is None else real("minval", minval)
        self.maxval = None if maxval is None else real("maxval", maxval)
        low, high = (
            math.erf((bound - self.mean) / self.stddev / math.sqrt(2)) for bound in self._bounds()
        )
        # With a smaller share of the normal inside, float32 has too few values between the bounds.
        if (high - low) / 2 < 1e-4:
            raise InputError(
                "`minval` and `maxval` must leave at least 1e-4 of the normal between them. "
                f"Received: minval={minval}, maxval={maxval} with mean={mean}, stddev={stddev}"
            )

    def sample(self, geometry: KernelGeometry, dtype: str, seed: Any) -> Any:
        if self.minval is None and self.maxval is None:
            return sampling.truncated_normal(geometry.shape, self.mean, self.stddev, dtype, seed)
        return sampling.normal_between(
            geometry.shape, self.mean, self.stddev, self._bounds(), dtype, seed
        )

    def draw(self, geometry: KernelGeometry, dtype: Any, seed: Any) -> Any:
        values = super().draw(geometry, dtype, seed)
        if self.minval is None and self.maxval is None:
            return values
        # Half precision rounds past a bound that it has not got.
        return sampling.keep_inside(values, *self._bounds())

    def expected_stddev(self, geometry: KernelGeometry) -> float:
        _, stddev = sampling.normal_moments_between(self.mean, self.stddev, self._bounds())
        return stddev

    def _bounds(self) -> tuple[float, float]:
        """Returns the least and the largest value."""
        return (
            self.mean - 2 * self.stddev if self.minval is None else self.minval,
            self.mean + 2 * self.stddev if self.maxval is None else self.maxval,
        )
