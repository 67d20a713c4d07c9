"""The one path by which zero-mean values are drawn, whatever the scheme."""

import math
from typing import Any, Literal

import keras

Distribution = Literal["normal", "truncated_normal", "uniform"]
DISTRIBUTIONS: tuple[Distribution, ...] = ("normal", "truncated_normal", "uniform")

# Standard deviation of N(0, 1) cut at +-2: sqrt(1 - 4 phi(2) / (2 Phi(2) - 1)).
TRUNCATED_STDDEV = 0.8796256610342398


def draw(
    distribution: Distribution, shape: tuple[int, ...], stddev: float, dtype: str, seed: Any
) -> Any:
    """Returns independent values with mean 0 and standard deviation `stddev`.

    Args:
        distribution: `"normal"`; `"truncated_normal"`, cut at two standard deviations of the
            normal it comes from, which is widened so that `stddev` is what comes out; `"uniform"`.
        shape: the shape of the result.
        stddev: the standard deviation of the values that come out.
        dtype: float32 or float64.
        seed: integer or `keras.random.SeedGenerator`.
    """
    if distribution == "normal":
        return keras.random.normal(shape, stddev=stddev, dtype=dtype, seed=seed)
    if distribution == "truncated_normal":
        return truncated_normal(shape, 0.0, stddev / TRUNCATED_STDDEV, dtype, seed)
    limit = math.sqrt(3.0) * stddev
    return keras.random.uniform(shape, -limit, limit, dtype=dtype, seed=seed)


def truncated_normal(
    shape: tuple[int, ...], mean: float, stddev: float, dtype: str, seed: Any
) -> Any:
    """Returns values of N(mean, stddev^2) cut at two of these standard deviations."""
    values = keras.random.truncated_normal(shape, mean, stddev, dtype=dtype, seed=seed)
    if keras.backend.backend() == "torch":  # Keras lets a few values past the bounds there
        values = keras.ops.clip(values, mean - 2 * stddev, mean + 2 * stddev)
    return values
