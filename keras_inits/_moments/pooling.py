"""Pooling, and reductions along an axis."""

import math
from typing import Any

import keras
import numpy as np

from keras_inits._layers.kinds import class_name
from keras_inits._layers.pooling import statistic
from keras_inits._moments.place import Place
from keras_inits._moments.signal import ENTRIES, PLACES, Array, Signal, normal
from keras_inits._quadrature import normal_maxima, normal_quantiles

_REDUCTIONS = frozenset({"mean", "max", "min", "sum", "var", "std"})

# Up to so many features each statistic of them is a random value; of more it hardly varies.
_GROUP = 16

_GRID, _HALVINGS = 64, 16  # of two normal values, a mean to 1e-2; of a share, to 2e-5


def pooled(place: Place) -> Signal | None:
    """Returns what pooling makes of a signal, whose places are as alike as they are.

    The entries of a window are places of one column: of a smooth image the maximum is the value
    itself, of white noise the largest of independent ones.
    """
    (signal, *_), subject = place.given, place.subject
    what = statistic(subject)
    shapes = place.wiring.shapes_into(place.call)
    if what in _REDUCTIONS and hasattr(subject, "axis"):
        return _reduced(signal, what, subject, shapes)
    if not shapes:
        return None
    if class_name(subject) == "Cumsum":
        return _running_sums(signal, subject.axis, shapes[0])
    if class_name(subject) == "Matmul":
        weights = keras.ops.convert_to_numpy(place.step.arguments[0][0])
        sums, squares = np.sum(weights, -1, np.float64), np.sum(np.square(weights, dtype=float), -1)
        return _mixed(signal, float(np.mean(sums**2)), float(np.mean(squares)), place)
    if what == "sum of segments":
        return _segments(signal, place)
    window = _window(subject, shapes[0], place.call.shape)
    if what == "max":
        return extreme_of_places(signal, window, np.max, place.call.index)
    return mean_of_places(signal, window, place.call.index) if what == "mean" else None


def _mixed(signal: Signal, sums: float, squares: float, place: Place) -> Signal:
    """Returns sums over places with fixed weights.

    With weights w the second moment is E[x^2] (alike (sum w)^2 + (1 - alike) sum w^2), averaged
    over the places made. For equal weights that is a mean of places.

    Args:
        signal: what is summed.
        sums: the mean over the places made of (sum w)^2.
        squares: that of sum w^2.
        place: of the call.
    """
    if not sums >= squares:  # weights of both signs
        return signal.scaled(math.sqrt(signal.alike * sums + (1 - signal.alike) * squares))
    return mean_of_places(signal, sums / squares, place.call.index).scaled(math.sqrt(sums))


def _segments(signal: Signal, place: Place) -> Signal | None:
    """Returns sums over the places of each segment, as over the neighbours in a graph."""
    given, named = place.step.arguments
    ids = given[1] if len(given) > 1 else named.get("segment_ids")
    if isinstance(ids, keras.KerasTensor):
        return None
    counts = np.bincount(keras.ops.convert_to_numpy(ids), minlength=place.call.shape[0])
    return _mixed(signal, float(np.mean(counts**2.0)), float(np.mean(counts)), place)


def _window(subject: Any, given: tuple[int, ...], made: tuple[int, ...]) -> int:
    """Returns how many values a window has: the `pool_size`, or as many as become one."""
    size = getattr(subject, "pool_size", None)
    if size is None:
        return max(1, round(math.prod(given) / math.prod(made)))
    return math.prod(size) if isinstance(size, tuple | list) else int(size) ** (len(given) - 2)


def over_places(signal: Signal, count: int, function: Any, key: int) -> Signal:
    """Returns a function of `count` places; each place made takes other ones, drawn at random."""
    if count <= 1:
        return signal
    rng = np.random.default_rng([key, 3])
    chosen = [rng.permutation(PLACES)[:count] for _ in range(PLACES)]
    return signal.with_function(lambda z: np.stack([function(z[c], axis=0) for c in chosen]))


def extreme_of_places(signal: Signal, count: int, function: Any, key: int) -> Signal:
    """Returns the largest, or the smallest, of `count` places.

    Args:
        signal: what comes in.
        count: how many places a window has, of more than the sample has too.
        function: `np.max` or `np.min`.
        key: another one draws other places.
    """
    if count <= PLACES:
        return over_places(signal, count, function, key)
    sign = 1.0 if function is np.max else -1.0
    made = [
        np.broadcast_to(sign * _largest_of_many(sign * values, count, key + i), values.shape)
        for i, values in enumerate(signal.examples)
    ]
    return signal.with_values(*made)


def _largest_of_many(values: Array, count: int, key: int) -> Array:
    r"""Returns the largest of more places than the sample has, of shape `(ENTRIES,)`.

    The entries are taken to be a rising function of normal ones, $\sqrt c\,z + \sqrt{1 - c}\,z_i$
    at place i: exact behind one activation of a normal signal. The largest of n is that function of
    $\sqrt c\,z + \sqrt{1 - c}\,m$, where m is the largest of n independent normal values. Of c the
    sample says itself what it is: that at which its own places have the largest that they have.
    """
    levels, scores = np.sort(values, axis=None), normal_quantiles(values.size)
    measured = float(np.mean(values.max(axis=0)))
    grid = normal_quantiles(_GRID)[:, None]

    def largest(common: float, z: Array, most: Array) -> Array:
        at = math.sqrt(common) * z + math.sqrt(1 - common) * most
        made: Array = np.interp(at, scores, levels)
        return made

    low, high, own = 0.0, 1.0, normal_maxima(_GRID, PLACES)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        more = float(np.mean(largest(middle, grid, own))) > measured
        low, high = (middle, high) if more else (low, middle)
    # A column that is large on average has the largest common part.
    z = np.empty(ENTRIES)
    z[np.argsort(np.mean(values, axis=0))] = normal_quantiles(ENTRIES)
    most = np.random.default_rng([key, 9]).permutation(normal_maxima(ENTRIES, count))
    return largest(low, z, most)


def mean_of_places(signal: Signal, count: float, key: int) -> Signal:
    """Returns the mean of `count` places: E[x^2] (alike + (1 - alike) / count)."""
    if count < PLACES:
        return over_places(signal, round(count), np.mean, key)
    wanted = signal.second_moment * (signal.alike + (1 - signal.alike) / count)
    made = signal.with_function(lambda z: np.broadcast_to(z.mean(axis=0), z.shape))
    return made.with_second_moment(wanted)


def _running_sums(signal: Signal, axis: int | None, shape: tuple[int, ...]) -> Signal | None:
    """Returns sums over the places up to each place, of all that there are.

    Places are met in one order, so that the sums of two signals, of which one is divided by the
    other, are over the same ones.
    """
    if axis is None or axis % len(shape) == len(shape) - 1:
        return None
    ends = np.ceil((np.arange(PLACES) + 0.5) / PLACES * shape[axis]).astype(int)
    order = np.random.default_rng([PLACES, 12]).random(signal.values.shape).argsort(axis=0)

    def summed(values: Array) -> Array:
        sums, rows = np.cumsum(values, axis=0), []
        for end in ends:
            if end <= PLACES:
                rows.append(sums[end - 1])
                continue
            share = signal.alike + (1 - signal.alike) / end
            ours = signal.alike + (1 - signal.alike) / PLACES
            rows.append(sums[-1] * (end / PLACES * math.sqrt(share / ours)))
        return np.take_along_axis(np.stack(rows), order, axis=0)

    return signal.with_function(summed)


def _reduced(
    signal: Signal, what: str, subject: Any, shapes: tuple[tuple[int, ...], ...]
) -> Signal | None:
    """Returns a reduction along axes: of the features, if the last is among them."""
    if not shapes:
        return None
    rank = len(shapes[0])
    axis = getattr(subject, "axis", None)
    axes = range(rank) if axis is None else axis if isinstance(axis, tuple | list) else (axis,)
    axes = sorted({a % rank for a in axes})
    count = math.prod(shapes[0][a] for a in axes)
    if axes == [rank - 1] and count <= _GROUP:
        return _of_entries(signal, what, count, rank * 1000 + count)
    if rank - 1 in axes and what == "sum":
        # Of many features of mean 0 a sum is no constant: products of two signals, say.
        variance = count * (signal.second_moment - signal.mean**2)
        made = normal(variance, signal.alike, rank * 1000 + count, signal.reason)
        shift = signal.mean * count
        return signal.with_values(shift + made.values) if shift else made
    if rank - 1 in axes:
        return signal.with_values(np.full_like(signal.values, _constant(signal, what, count)))
    key = rank * 1000 + count
    if what in ("max", "min"):
        return extreme_of_places(signal, count, getattr(np, what), key)
    if what in ("mean", "sum"):
        mean = mean_of_places(signal, count, key)
        return mean.scaled(float(count)) if what == "sum" else mean
    spread: Array = np.broadcast_to(signal.values.var(axis=0), signal.values.shape)
    return signal.with_values(spread if what == "var" else np.sqrt(spread))


def _of_entries(signal: Signal, what: str, count: int, key: int) -> Signal:
    """Returns a statistic of a few features, such as the pieces of maxout.

    Each entry is one of its own group: what is divided by a sum stays below 1.
    """
    groups = groups_of_entries(signal.values, count, key)
    return signal.with_values(getattr(groups, what)(axis=0))


def groups_of_entries(values: Array, count: int, key: int) -> Array:
    """Returns for each entry itself and `count - 1` others of its place, along the first axis."""
    rng = np.random.default_rng([key, 5])
    others = [values[:, rng.permutation(ENTRIES)] for _ in range(count - 1)]
    return np.stack([values, *others])


def _constant(signal: Signal, what: str, count: int) -> float:
    """Returns a statistic of many features, of which one value hardly matters."""
    if what == "max":
        return _expected_largest(signal.values, count)
    if what == "min":
        return -_expected_largest(-signal.values, count)
    variance = max(0.0, signal.second_moment - signal.mean**2)
    return {"var": variance, "std": math.sqrt(variance)}.get(what, signal.mean)


def _expected_largest(values: Array, count: int) -> float:
    """Returns what the largest of so many independent entries is on average."""
    shares = ((np.arange(_GRID) + 0.5) / _GRID) ** (1 / count)
    return float(np.mean(np.quantile(values, shares)))
