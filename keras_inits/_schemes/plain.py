"""Random values whose scale knows nothing of the kernel."""

import math
from typing import Any

import keras
from keras import ops

from keras_inits._registry import scheme
from keras_inits._schemes import checks, sampling
from keras_inits._schemes.base import Scheme


@scheme
class RandomInit(Scheme, keras.initializers.RandomNormal):
    """Normal, N(0, stddev²), stddev 1 unless told: the articles' random.

    With more than a few inputs a unit it saturates sigmoid and tanh units: see `XavierInit`.

    Args:
        stddev: standard deviation.
        mean: mean.
        seed: integer, `keras.random.SeedGenerator` or None, with the meaning it has in Keras.

    >>> RandomInit(seed=1)((2, 3)).shape
    TensorShape([2, 3])
    """

    def __init__(self, stddev: float = 1.0, mean: float = 0.0, *, seed: Any = None) -> None:
        super().__init__(
            mean=checks.real("mean", mean), stddev=checks.positive("stddev", stddev), seed=seed
        )

    def sample(self, shape: tuple[int, ...], dtype: str) -> Any:
        return keras.random.normal(shape, self.mean, self.stddev, dtype=dtype, seed=self.seed)


@scheme
class RandomSmallInit(RandomInit):
    """Normal, N(0, stddev²), stddev 0.01 unless told: fades in deep networks.

    Args:
        stddev: standard deviation.
        mean: mean.
        seed: as in `RandomInit`.
    """

    def __init__(self, stddev: float = 0.01, mean: float = 0.0, *, seed: Any = None) -> None:
        super().__init__(stddev, mean, seed=seed)


@scheme
class RandomLargeInit(RandomInit):
    """Normal, N(0, stddev²), stddev 10 unless told: starts from large losses.

    Args:
        stddev: standard deviation.
        mean: mean.
        seed: as in `RandomInit`.
    """

    def __init__(self, stddev: float = 10.0, mean: float = 0.0, *, seed: Any = None) -> None:
        super().__init__(stddev, mean, seed=seed)


@scheme
class UniformInit(Scheme, keras.initializers.RandomUniform):
    """Uniform on [minval, maxval), ±0.05 unless told, as Keras's RandomUniform.

    Args:
        minval: lower bound, included (torch's `a`).
        maxval: upper bound, excluded (torch's `b`); at least `minval`.
        seed: as in `RandomInit`.

    >>> UniformInit(0.0, 1.0, seed=1)((2, 3)).shape
    TensorShape([2, 3])
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, *, seed: Any = None) -> None:
        minval, maxval = checks.real("minval", minval), checks.real("maxval", maxval)
        if minval > maxval:
            raise ValueError(
                f"`minval` must not exceed `maxval`. Received: minval={minval}, maxval={maxval}"
            )
        super().__init__(minval=minval, maxval=maxval, seed=seed)

    def sample(self, shape: tuple[int, ...], dtype: str) -> Any:
        return keras.random.uniform(shape, self.minval, self.maxval, dtype=dtype, seed=self.seed)


@scheme
class TruncatedNormalInit(Scheme, keras.initializers.TruncatedNormal):
    """Normal, stddev 0.05 unless told, cut at two of them, as Keras's TruncatedNormal.

    `mean` and `stddev` are those of the normal before it is cut, as in Keras and torch: cut at two
    standard deviations, what comes out has 0.8796 `stddev`. (The fan-based schemes correct for
    that: `VarianceScalingInit(distribution="truncated_normal")`.)

    Args:
        mean: mean, before truncation.
        stddev: standard deviation, before truncation.
        minval: lower bound (torch's `a`); `mean - 2 stddev` if None.
        maxval: upper bound (torch's `b`); `mean + 2 stddev` if None.
        seed: as in `RandomInit`.

    Raises:
        ValueError: bounds that leave the normal no room.

    >>> bool(ops.all(TruncatedNormalInit(stddev=1.0, minval=0.0, seed=1)((99,)) >= 0))
    True
    """

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
            mean=checks.real("mean", mean), stddev=checks.positive("stddev", stddev), seed=seed
        )
        self.minval = None if minval is None else checks.real("minval", minval)
        self.maxval = None if maxval is None else checks.real("maxval", maxval)
        low, high = (_normal_cdf(z) for z in self._bounds())
        # Below this share of the normal, float32 no longer tells the values inside apart.
        if high - low < 1e-4:
            raise ValueError(
                "`minval` and `maxval` must leave at least 1e-4 of the normal between them. "
                f"Received: minval={minval}, maxval={maxval} with mean={mean}, stddev={stddev}"
            )

    def sample(self, shape: tuple[int, ...], dtype: str) -> Any:
        if self.minval is None and self.maxval is None:
            return sampling.truncated_normal(shape, self.mean, self.stddev, dtype, self.seed)
        # By the inverse of the distribution function, whatever the bounds.
        lower, upper = self._bounds()
        share = keras.random.uniform(
            shape, 2 * _normal_cdf(lower) - 1, 2 * _normal_cdf(upper) - 1, dtype, self.seed
        )
        z = ops.clip(math.sqrt(2.0) * ops.erfinv(share), lower, upper)
        return self.mean + self.stddev * z

    def _bounds(self) -> tuple[float, float]:
        """Returns both bounds in standard deviations from the mean."""
        lower = -2.0 if self.minval is None else (self.minval - self.mean) / self.stddev
        upper = 2.0 if self.maxval is None else (self.maxval - self.mean) / self.stddev
        return lower, upper


def _normal_cdf(z: float) -> float:
    return (1 + math.erf(z / math.sqrt(2))) / 2
