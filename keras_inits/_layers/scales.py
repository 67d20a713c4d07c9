"""What the numbers that a normalization keeps stand for: scales and statistics."""

from numbers import Real
from typing import Any

import keras
import numpy as np

from keras_inits._keras_internals import variables_replaced

SCALES = frozenset({"gamma", "scale"})  # names of the weights that a normalization multiplies by
# These take the mean away.
CENTRING = (
    keras.layers.BatchNormalization,
    keras.layers.LayerNormalization,
    keras.layers.GroupNormalization,
)
_PLAIN = frozenset({*CENTRING, keras.layers.RMSNormalization})


def are_at_start(mean: Any, variance: Any) -> bool:
    """Returns whether statistics are those that a normalization is made with, 0 and 1.

    >>> layer = keras.layers.Normalization()
    >>> layer.build((None, 2))
    >>> are_at_start(layer.mean, layer.variance)
    True
    """
    shift, spread = (keras.ops.convert_to_numpy(values) for values in (mean, variance))
    return not np.any(shift) and bool(np.all(spread == 1))


def epsilon_of(normalization: Any, unknown: float = 0.0) -> float:
    """Returns what a normalization, a layer or an operation, adds to the variance.

    Args:
        normalization: a layer or an operation.
        unknown: what to return for one that says nothing of it.

    >>> epsilon_of(keras.layers.LayerNormalization(epsilon=1e-5)), epsilon_of(object(), unknown=0.5)
    (1e-05, 0.5)
    """
    for name in ("epsilon", "eps"):
        if hasattr(normalization, name):
            value = getattr(normalization, name)
            value = keras.config.epsilon() if value is None else value  # as operations take None
            return float(value) if isinstance(value, Real) else unknown
    return unknown


def scale_offset(layer: Any, shape: tuple[int, ...]) -> float:
    """Returns what a normalization adds to its scale before it multiplies by it: 0 as a rule.

    Gemma's multiplies by 1 + scale, and starts with a scale of 0. Where a layer is not Keras's own
    it is run with scales of 0 and of 1: what comes out is proportional to offset + scale.

    Args:
        layer: a built normalization.
        shape: of what it takes.

    Reference:
        Gemma Team 2024. https://arxiv.org/abs/2403.08295 (`RMSNorm` of its reference code)

    >>> layer = keras.layers.LayerNormalization()
    >>> layer.build((None, 8))
    >>> scale_offset(layer, (2, 8))
    0.0
    """
    scales = [w for w in getattr(layer, "weights", ()) if w.name in SCALES]
    if type(layer) in _PLAIN or not scales:
        return 0.0
    x = np.random.default_rng(0).normal(size=shape).astype(scales[0].dtype)
    try:
        plain, scaled = (_made(layer, scales, x, value) for value in (0.0, 1.0))
    except Exception:  # whatever a layer's own code says of noise
        return 0.0
    step = scaled - plain
    size = float(np.sum(step**2))
    # Rounding is no offset.
    return round(float(np.sum(plain * step)) / size, 4) if size > 0 else 0.0


def scale_of_rms(layer: Any, shape: tuple[int, ...]) -> np.ndarray | None:
    """Returns by what a layer of any class multiplies x / rms(x), over the last axis.

    It is run on noise, so that neither its class nor the name of its scale matters.

    Args:
        layer: a built layer.
        shape: of what it takes.

    Returns:
        A factor for each unit, `(shape[-1],)`; None where the layer does something else.

    >>> layer = keras.layers.RMSNormalization()
    >>> layer.build((None, 3))
    >>> scale_of_rms(layer, (2, 3)).round(3)
    array([1., 1., 1.])
    """
    rng = np.random.default_rng(0)
    # Of any signs, and nowhere so small that an epsilon or rounding matters.
    x = rng.uniform(10, 30, (2, *shape[1:])) * rng.choice([-1, 1], (2, *shape[1:]))
    try:
        made = np.asarray(keras.ops.convert_to_numpy(layer(x.astype("float32"))), np.float64)
    except Exception:  # whatever a layer's own code says of noise
        return None
    if made.shape != x.shape:
        return None
    factors = made / x * np.sqrt(np.mean(x**2, axis=-1, keepdims=True))
    factors = factors.reshape(-1, shape[-1])
    found: np.ndarray = factors.mean(axis=0)
    # Half-precision layers round to 0.4 %.
    return found if np.allclose(factors, found, rtol=0.02, atol=1e-6) else None


def _made(layer: Any, scales: list[Any], x: Any, value: float) -> np.ndarray:
    """Returns what comes out where scales have a value, and shifts are 0."""
    shifts = [w for w in layer.weights if w.name in ("beta", "bias")]
    given = [(w, keras.ops.full(w.shape, value, w.dtype)) for w in scales]
    given += [(w, keras.ops.zeros(w.shape, w.dtype)) for w in shifts]
    with variables_replaced(given):
        return np.asarray(keras.ops.convert_to_numpy(layer(x)), np.float64)
