"""Gains: the standard deviation by which a kernel makes up for the activation after it."""

import math
from collections.abc import Callable
from typing import Any

import keras

# Keras 3's default slope of `leaky_relu` below 0.
_KERAS_NEGATIVE_SLOPE = 0.2

_GAINS: dict[str, Callable[[Any], float]] = {
    "linear": lambda _: 1.0,
    "relu": lambda activation: _rectifier(getattr(activation, "negative_slope", 0.0)),
    "leaky_relu": lambda activation: _rectifier(
        getattr(activation, "negative_slope", _KERAS_NEGATIVE_SLOPE)
    ),
    "tanh": lambda _: 5 / 3,
    "selu": lambda _: 1.0,
}
_LAYERS = {"ReLU": "relu", "LeakyReLU": "leaky_relu", "Identity": "linear"}


def gain(activation: Any) -> float:
    r"""Returns the gain g for which Var W = g² / fan_in keeps the signal through `activation`.

    1 for linear, $\sqrt 2$ for ReLU, $\sqrt{2 / (1 + a^2)}$ for leaky ReLU of slope $a$, 5/3 for
    tanh (the convention of torch's `calculate_gain`), 1 for SELU (its fixed point is at 1/fan_in).

    Args:
        activation: a name, a function of `keras.activations`, or an activation layer; None is
            linear.

    Raises:
        ValueError: an activation of which no gain is known here.

    Reference:
        He et al. 2015, eq. 15. https://arxiv.org/abs/1502.01852
        Klambauer et al. 2017 (SELU). https://arxiv.org/abs/1706.02515

    >>> gain("linear")
    1.0
    """
    name = _name(activation)
    if name not in _GAINS:
        raise ValueError(
            f"A gain is known for {', '.join(_GAINS)} only. Received: activation={activation!r}. "
            "Give a scheme with the gain that you want."
        )
    return _GAINS[name](activation)


def _name(activation: Any) -> str:
    if activation is None:
        return "linear"
    if isinstance(activation, str):
        return activation
    if isinstance(activation, keras.layers.Activation):
        return _name(activation.activation)
    kind = type(activation).__name__
    return str(_LAYERS.get(kind) or getattr(activation, "__name__", kind))


def _rectifier(negative_slope: float) -> float:
    return math.sqrt(2.0) / math.hypot(1.0, float(negative_slope))
