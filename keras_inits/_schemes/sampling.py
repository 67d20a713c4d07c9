"""The one path by which independent values are drawn, whatever the scheme."""

import functools
import hashlib
import math
import numbers
from typing import Any, Literal, get_args

import keras
import numpy as np
from keras import ops

from keras_inits._float_range import HALF_PRECISION
from keras_inits._quadrature import truncated_normal_moments

Distribution = Literal["normal", "truncated_normal", "uniform"]
DISTRIBUTIONS: tuple[Distribution, ...] = get_args(Distribution)

# Standard deviation of N(0, 1) cut at +-2: sqrt(1 - 4 phi(2) / (2 Phi(2) - 1)).
TRUNCATED_STDDEV = 0.8796256610342398

# TensorFlow's random functions take a pair of int32, and Keras reduces its seeds modulo this
# number to fit in: seeds below it are streams of their own, all others would repeat them.
_SEEDS = 2**31 - 2


class _Stream(keras.random.SeedGenerator):
    """Two words of state that never move on, for integers that Keras's seeds cannot hold."""

    def __init__(self, first: int, second: int) -> None:  # no variable, unlike the base's
        self._words = (first, second)

    def next(self, ordered: bool = True) -> Any:
        """Returns the state, as `keras.random` reads it at each call."""
        kind = "int64" if keras.backend.backend() == "tensorflow" else "uint32"
        kind = "int32" if keras.backend.backend() == "torch" else kind
        return ops.convert_to_tensor(np.array(self._words), kind)


def stream(seed: Any) -> Any:
    """Returns `seed` in a form of which `keras.random` uses every bit.

    Keras keeps 31 bits of an integer seed. Integers below 2^31 - 2 mean what they mean in Keras;
    from all others, of any size, two words of 31 bits are derived by BLAKE2. (On torch, whose
    generator has 2^32 streams, Keras adds the words up.)

    Args:
        seed: integer, `keras.random.SeedGenerator` or None.
    """
    if not isinstance(seed, numbers.Integral):
        return seed
    seed = int(seed)
    if 0 <= seed < _SEEDS:
        return seed
    number = seed.to_bytes(seed.bit_length() // 8 + 1, "little", signed=True)
    digest = hashlib.blake2b(number, digest_size=8).digest()
    first, second = int.from_bytes(digest[:4]), int.from_bytes(digest[4:])
    return _Stream(first % _SEEDS, 1 + second % (_SEEDS - 1))  # Keras's second word is 0


def draw(
    distribution: Distribution,
    shape: tuple[int, ...],
    stddev: float,
    dtype: str,
    seed: Any,
    *,
    cut: float | None = None,
) -> Any:
    """Returns independent values with mean 0 and standard deviation `stddev`.

    Args:
        distribution: `"normal"`; `"truncated_normal"`, cut at `cut` standard deviations of the
            normal it comes from, which is widened so that `stddev` is what comes out; `"uniform"`.
        shape: the shape of the result.
        stddev: the standard deviation of the values that come out.
        dtype: float32 or float64.
        seed: what the functions of `keras.random` take.
        cut: of the truncated normal; 2 if None.
    """
    if distribution == "normal":
        return keras.random.normal(shape, stddev=stddev, dtype=dtype, seed=seed)
    if distribution == "truncated_normal" and cut is not None:
        before = stddev / cut_stddev(cut)
        return normal_between(shape, 0.0, before, (-cut * before, cut * before), dtype, seed)
    if distribution == "truncated_normal":
        return truncated_normal(shape, 0.0, stddev / TRUNCATED_STDDEV, dtype, seed)
    limit = math.sqrt(3.0) * stddev
    return keras.random.uniform(shape, -limit, limit, dtype=dtype, seed=seed)


def truncated_normal(
    shape: tuple[int, ...], mean: float, stddev: float, dtype: str, seed: Any
) -> Any:
    """Returns values of N(mean, stddev^2) cut at two of these standard deviations."""
    values = keras.random.truncated_normal(shape, mean, stddev, dtype=dtype, seed=seed)
    # Keras lets a few values past the bounds on torch; elsewhere the addition of a mean may round
    # past them.
    if mean != 0 or keras.backend.backend() == "torch":
        bounds = mean - 2 * stddev, mean + 2 * stddev
        values = _clipped(values, inside(*bounds, dtype), dtype)
    return values


def normal_between(
    shape: tuple[int, ...],
    mean: float,
    stddev: float,
    bounds: tuple[float, float],
    dtype: str,
    seed: Any,
) -> Any:
    """Returns values of N(mean, stddev^2) cut at any bounds, which no value passes.

    By the inverse of the distribution function.

    Args:
        shape: the shape of the result.
        mean: mean before truncation.
        stddev: standard deviation before truncation.
        bounds: the least and the largest value.
        dtype: float32 or float64.
        seed: what the functions of `keras.random` take.
    """
    low, high = (math.erf((bound - mean) / stddev / math.sqrt(2)) for bound in bounds)
    share = keras.random.uniform(shape, low, high, dtype, seed)
    # A draw from [-1, 1) has steps of the type's epsilon; its end stands for the last step, whose
    # median is this, and not for infinity.
    limit = 1 - float(np.finfo(dtype).eps)
    share = _clipped(share, (-limit, limit), dtype)
    values = mean + (math.sqrt(2) * stddev) * ops.erfinv(share)
    return _clipped(values, inside(*bounds, dtype), dtype)


def _clipped(values: Any, bounds: tuple[float, float], dtype: str) -> Any:
    """Returns values moved to bounds of their own type: on torch Keras rounds bounds to float32."""
    return ops.clip(values, *(ops.convert_to_tensor(bound, dtype) for bound in bounds))


@functools.lru_cache(maxsize=64)
def cut_stddev(cut: float | None) -> float:
    """Returns the standard deviation of N(0, 1) without its values beyond `cut`; 2 if None.

    >>> round(cut_stddev(3.0), 4)
    0.9866
    """
    return TRUNCATED_STDDEV if cut is None else truncated_normal_moments(-cut, cut)[1]


def inside(low: float, high: float, dtype: str) -> tuple[float, float]:
    """Returns the least and the largest number of `dtype` from `low` to `high`."""
    kind = np.dtype(dtype).type
    first, last = kind(low), kind(high)
    if float(first) < low:  # NumPy would compare in `dtype`
        first = np.nextafter(first, kind(np.inf))
    if float(last) > high:
        last = np.nextafter(last, kind(-np.inf))
    return float(first), float(last)


def keep_inside(values: Any, low: float, high: float) -> Any:
    """Returns half-precision values moved to the numbers of their type from `low` to `high`.

    Values of another type are returned as they are, and so are those of a type without any number
    there.
    """
    dtype = keras.backend.standardize_dtype(values.dtype)
    if dtype not in HALF_PRECISION:
        return values
    first, last = inside(low, high, dtype)
    return ops.clip(values, first, last) if first <= last else values


def normal_moments_between(
    mean: float, stddev: float, bounds: tuple[float, float]
) -> tuple[float, float]:
    """Returns the mean and the standard deviation of what `normal_between` draws."""
    cut = ((bound - mean) / stddev for bound in bounds)
    shift, spread = truncated_normal_moments(*cut)
    return mean + stddev * shift, stddev * spread
