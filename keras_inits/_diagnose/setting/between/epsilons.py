"""Normalizations whose epsilon is larger than the variance that reaches them."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_inits._diagnose.seen.watching import watching_values
from keras_inits._diagnose.setting.case import Case
from keras_inits._diagnose.setting.remedies import set_on
from keras_inits._keras_internals import all_layers
from keras_inits._reporting import Finding

# Keras's default is 1e-3 or 1e-6; none that was published is above 1e-1.
LARGE_EPSILON = 0.1
USUAL = 1e-3
LEAST_LEFT = 0.1  # of the size that a normalization gives to a signal

_KINDS = (
    keras.layers.BatchNormalization,
    keras.layers.LayerNormalization,
    keras.layers.GroupNormalization,
    keras.layers.RMSNormalization,
)


def check(case: Case) -> list[Finding]:
    """Returns the finding that normalizations shrink the signal in place of normalizing it."""
    layers = _suspects(case.model)
    if not layers:
        return []
    met = _Met(layers)
    with watching_values(met):
        case.predict(case.x, training=True)
    return _finding(case.model, layers, met)


def _suspects(model: keras.Model) -> list[keras.layers.Layer]:
    """Returns the normalizations with a large epsilon."""
    return [
        layer
        for layer in all_layers(model)
        if isinstance(layer, _KINDS) and layer.epsilon >= LARGE_EPSILON
    ]


class _Met:
    """Notes the mean square that reaches layers, about its mean where they take that away.

    Args:
        layers: that are watched.

    Attributes:
        squares: by identity of a layer, the largest that it met.
    """

    def __init__(self, layers: Sequence[keras.layers.Layer]) -> None:
        self._watched = {id(layer) for layer in layers}
        self.squares: dict[int, float] = {}

    def run(self, original: Any, layer: keras.Layer, args: Any, kwargs: Any) -> Any:
        """Calls the layer."""
        if id(layer) in self._watched and args:
            channels = by_channel(layer, args[0])
            if isinstance(layer, keras.layers.BatchNormalization):
                square = channels.var(axis=0).mean()
            elif isinstance(layer, keras.layers.RMSNormalization):
                square = (channels**2).mean()
            else:
                square = channels.var(axis=1).mean()
            self.squares[id(layer)] = max(self.squares.get(id(layer), 0.0), float(square))
        return original(layer, *args, **kwargs)


def by_channel(layer: keras.layers.Layer, tensor: Any) -> np.ndarray:
    """Returns what a normalization is given, `(all places, channels)`."""
    axis = layer.axis[0] if isinstance(layer.axis, list | tuple) else layer.axis
    values = np.asarray(ops.convert_to_numpy(tensor), np.float64)
    return np.moveaxis(values, axis, -1).reshape(-1, values.shape[axis])


def _finding(model: keras.Model, layers: Sequence[keras.layers.Layer], met: _Met) -> list[Finding]:
    """Returns the finding, if too little of a signal is left.

    Args:
        model: that they are in.
        layers: with a large epsilon.
        met: what reached them.
    """
    shrinking = []
    for layer in layers:
        square = met.squares.get(id(layer))
        if square is not None and square > 0:
            left = float(np.sqrt(square / (square + layer.epsilon)))
            if left < LEAST_LEFT:
                shrinking.append((left, square, layer))
    if not shrinking:
        return []
    left, square, worst = min(shrinking, key=lambda each: each[0])
    return [
        Finding(
            kind="normalization",
            where=tuple(layer.name for *_, layer in shrinking),
            evidence=(
                f"epsilon={worst.epsilon:g} of {worst.name} is added to a variance of "
                f"{square:.2g}: {left:.2g} of the signal is left (limit {LEAST_LEFT:g})"
            ),
            consequence="what should come out with variance 1 fades, and the gradient with it",
            remedy=set_on(model, [layer for *_, layer in shrinking], "epsilon", USUAL),
            numbers={"epsilon": float(worst.epsilon), "left": left},
        )
    ]
