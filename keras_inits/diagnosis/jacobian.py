"""The singular values of a model's Jacobian, by random vectors sent through it and back."""

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_inits.diagnosis.report import JacobianReport


def estimate(
    run: Any, inputs: Any, *, samples: int, steps: int, rng: np.random.Generator
) -> JacobianReport:
    r"""Returns the mean squared and the largest singular value of the Jacobian of `run`.

    For $u$ of independent unit normals $E|J^\top u|^2$ is the sum of the squared singular values.
    Power iteration, $u \to J J^\top u / |J^\top u|$, comes to the largest from below.

    Args:
        run: a function of the inputs.
        inputs: a structure of floating tensors with at least one sample.
        samples: how many of the samples to look at.
        steps: how many times to go back and forth.
        rng: for the vectors.

    Raises:
        LookupError: an operation in `run` has no derivative of its derivative.
    """
    inputs = keras.tree.map_structure(lambda x: x[:samples], inputs)
    given = keras.tree.flatten(inputs)
    vectors: list[Any] | None = None
    mean_square = largest = 0.0
    for step in range(steps):
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                inner.watch(given)
                outputs = [y for y in keras.tree.flatten(run(inputs)) if y.dtype.is_floating]
            if vectors is None:
                vectors = [_normal(y, rng) for y in outputs]
            outer.watch(vectors)
            back = inner.gradient(outputs, given, vectors, "zero")
        norms = _norms(back)
        if step == 0:
            smaller = min(_size(given), _size(outputs))
            mean_square = float(np.mean(norms**2)) / smaller
        if not norms.max() > 0 or not np.isfinite(norms).all():
            break
        directions = [b / _column(np.maximum(norms, 1e-30), b) for b in back]
        # The way back is linear in its vectors: its derivative is the way forward.
        vectors = outer.gradient(back, vectors, directions, "zero")
        stretched = _norms(vectors)
        largest = max(largest, float(stretched.max()))
        vectors = [v / _column(np.maximum(stretched, 1e-30), v) for v in vectors]
    count = int(given[0].shape[0])
    return JacobianReport(mean_square, largest if math.isfinite(mean_square) else math.nan, count)


def _normal(like: Any, rng: np.random.Generator) -> Any:
    return tf.cast(tf.constant(rng.standard_normal(like.shape, np.float32)), like.dtype)


def _norms(tensors: Any) -> Any:
    squares = [np.sum(t.numpy().astype(np.float64).reshape(len(t), -1) ** 2, 1) for t in tensors]
    return np.sqrt(np.sum(squares, axis=0))


def _column(values: Any, like: Any) -> Any:
    return tf.cast(tf.constant(values.reshape(-1, *[1] * (like.shape.rank - 1))), like.dtype)


def _size(tensors: Any) -> int:
    return sum(math.prod(t.shape[1:]) for t in tensors)
