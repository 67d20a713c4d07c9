"""The singular values of a model's Jacobian, by random vectors sent back through it."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_inits._diagnose.backends import backend
from keras_inits._diagnose.seen.statistics import JacobianReport

# How far a sample is moved, relative to its norm, to see where the way forward turns a vector: past
# float32's rounding, and short of most kinks.
_MOVE = 1e-2
# Of the squared length of a sum of vectors: float32 rounds what came back to 1e-7, and to 1e-5 of
# the difference of two vectors that differ by a hundredth.
_APART = 1e-4
# Of the length of the outputs: what moves by less is their rounding, as behind codes or a floor.
_ROUNDING = 1e-6


def estimate(
    run: Any, inputs: Any, *, samples: int, steps: int, rng: np.random.Generator
) -> JacobianReport:
    r"""Returns the mean squared and the largest singular value of the Jacobian of `run`.

    For $u$ of random direction whose squared length is the number of outputs, $E|J^\top u|^2$ is
    the sum of the squared singular values; of one output it is no estimate but the value.
    The largest is approached from below: $w = J^\top u$ exactly, then $u \sim f(x + \epsilon w) -
    f(x)$, and again. Only the directions come from those differences; the value is the largest
    $|J^\top u|$ of a unit vector among all sums of these $u$ (Rayleigh and Ritz; Golub & Kahan
    1965, https://doi.org/10.1137/0702016), which no singular value falls short of. Three steps come
    as near as four of power iteration: to 0.91 of the largest of a square random matrix.

    Args:
        run: a function of the inputs.
        inputs: a structure of floating tensors with at least one sample.
        samples: how many of the samples to look at.
        steps: how many times to go back.
        rng: for the vectors.
    """
    deviations = [_deviations(x) for x in keras.tree.flatten(inputs)]
    inputs = keras.tree.map_structure(lambda x: x[:samples], inputs)
    given = keras.tree.flatten(inputs)

    def real(x: Any) -> list[Any]:
        return backend.with_logits(lambda: run(x))

    outputs, take_back = backend.jacobian(real, inputs)
    vectors = _directions(outputs, rng)
    smaller = min(_size(given), _size(outputs))
    mean_square, moved_square = math.nan, math.nan
    tried: list[tuple[list[Any], list[Any]]] = []
    for step in range(steps):
        back = take_back(vectors)
        norms = _norms(back)
        tried.append((vectors, back))
        if step == 0:
            mean_square = float(np.mean(norms**2)) / smaller
            scaled = [
                ops.convert_to_numpy(b).astype(np.float64) * s
                for b, s in zip(back, deviations, strict=True)
            ]
            moved_square = float(sum((b**2).sum() for b in scaled)) / len(norms)
        if step == steps - 1 or not (np.isfinite(norms).all() and norms.max() > 0):
            break
        length = _MOVE * np.maximum(_norms(given), 1e-6) / np.maximum(norms, 1e-30)
        moved = [x + _column(length, b) * b for x, b in zip(given, back, strict=True)]
        there = real(keras.tree.pack_sequence_as(inputs, moved))
        vectors = _turned(outputs, there, rng)
    largest = _largest(tried)
    response = math.sqrt(moved_square / _size(outputs))
    return JacobianReport(mean_square, largest, int(given[0].shape[0]), response)


def _directions(outputs: Sequence[Any], rng: np.random.Generator) -> list[Any]:
    """Returns vectors of random direction, one per sample."""
    drawn = [ops.cast(rng.standard_normal(tuple(y.shape), np.float32), y.dtype) for y in outputs]
    return _stretched(drawn)


def _turned(before: Sequence[Any], after: Sequence[Any], rng: np.random.Generator) -> list[Any]:
    """Returns where outputs have moved to, or a random direction for a sample whose have not.

    The rounding of outputs that stay is another direction on each backend.
    """
    moved = [b - a for a, b in zip(before, after, strict=True)]
    still = _norms(moved) <= _ROUNDING * _norms(before)
    if still.any():
        drawn = _directions(before, rng)
        moved = [ops.where(_column(still, m) > 0, d, m) for m, d in zip(moved, drawn, strict=True)]
    return _stretched(moved)


def _stretched(vectors: list[Any]) -> list[Any]:
    """Returns the vectors, each sample's as long as the root of its outputs."""
    lengths = np.maximum(_norms(vectors), 1e-30) / math.sqrt(max(1, _size(vectors)))
    return [v / _column(lengths, v) for v in vectors]


def _largest(tried: Sequence[tuple[list[Any], list[Any]]]) -> float:
    """Returns the largest length of what came back of a unit sum of the vectors, over samples."""
    sent, back = (_products([pair[side] for pair in tried]) for side in (0, 1))
    if not np.isfinite(back).all():
        return math.inf
    most = 0.0
    for sizes, made in zip(sent, back, strict=True):
        # Vectors of one direction tell nothing but the rounding of what came back.
        values, axes = np.linalg.eigh(sizes)
        kept = values > _APART * values[-1]
        whitened = axes[:, kept] / np.sqrt(values[kept])
        if kept.any():
            most = max(most, float(np.linalg.eigvalsh(whitened.T @ made @ whitened)[-1]))
    return math.sqrt(most)


def _products(vectors: Sequence[list[Any]]) -> NDArray[np.float64]:
    """Returns the products of any two vectors, sample by sample: `(samples, vectors, vectors)`."""
    rows = [np.concatenate([_flat(tensor) for tensor in tensors], axis=1) for tensors in vectors]
    stacked = np.stack(rows, axis=1)
    found: NDArray[np.float64] = stacked @ np.swapaxes(stacked, 1, 2)
    return found


def _flat(tensor: Any) -> NDArray[np.float64]:
    array = ops.convert_to_numpy(tensor)
    flat: NDArray[np.float64] = array.reshape(len(array), -1).astype(np.float64)
    return flat


def _deviations(x: Any) -> NDArray[np.float64]:
    """Returns the standard deviation of each feature, the last axis, over samples and places.

    Columns of a table may differ by any factor, as before a `Normalization`. Of a single sample
    features alone can be compared.
    """
    values = np.asarray(ops.convert_to_numpy(x), np.float64)
    if not values.size:
        return np.zeros(1)
    rows = values.reshape(-1, values.shape[-1]) if values.ndim > 1 else values[:, None]
    single = len(values) < 2 and values.ndim < 3
    return np.full(1, rows.std()) if single else np.asarray(rows.std(0))


def _norms(tensors: Any) -> Any:
    arrays = [ops.convert_to_numpy(t).astype(np.float64) for t in tensors]
    return np.sqrt(np.sum([np.sum(a.reshape(len(a), -1) ** 2, 1) for a in arrays], axis=0))


def _column(values: Any, like: Any) -> Any:
    return ops.cast(values.reshape(-1, *[1] * (len(like.shape) - 1)), like.dtype)


def _size(tensors: Any) -> int:
    return sum(math.prod(t.shape[1:]) for t in tensors)
