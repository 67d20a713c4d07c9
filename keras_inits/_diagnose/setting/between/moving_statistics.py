"""Moving statistics of batch normalization that do not follow those of the batches."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_inits._diagnose.seen.watching import watching
from keras_inits._diagnose.setting.case import Case
from keras_inits._diagnose.setting.remedies import set_on
from keras_inits._keras_internals import all_layers
from keras_inits._layers.scales import are_at_start
from keras_inits._reporting import Finding

# 10,000 steps until they have gone two thirds of the way. Published nets have 0.9 to 0.9997
# (TF-Slim's Inception); those of the latter train for millions of steps.
SLOW = 0.9999
MOST_OFF = 0.5  # of what differs between samples at the outputs


def at_start(model: keras.Model, *, trainable: bool) -> list[keras.layers.BatchNormalization]:
    """Returns the layers with the moving mean and variance that they were made with, 0 and 1."""
    return [
        layer
        for layer in all_layers(model)
        if isinstance(layer, keras.layers.BatchNormalization)
        and layer.trainable is trainable
        and are_at_start(layer.moving_mean, layer.moving_variance)
    ]


def check(case: Case) -> list[Finding]:
    """Returns the finding that `predict` gives other outputs than `fit` sees."""
    layers = [la for la in at_start(case.model, trainable=True) if la.momentum >= SLOW]
    if not layers:
        return []
    predicted = case.predict(case.x)
    with watching(_OfTheBatch(layers)):
        fitted = case.predict(case.x)
    return _finding(case.model, layers, fitted, predicted)


class _OfTheBatch:
    """Lets layers use the statistics of the batch in a run that is otherwise that of `predict`.

    So that dropout and noise have no part in what differs.
    """

    def __init__(self, layers: Sequence[keras.Layer]) -> None:
        self._layers = {id(layer) for layer in layers}

    def run(self, original: Any, layer: keras.Layer, args: Any, kwargs: Any) -> Any:
        """Calls the layer, these as in training."""
        if id(layer) in self._layers:
            args, kwargs = args[:1], {**kwargs, "training": True}
        return original(layer, *args, **kwargs)


def _finding(
    model: keras.Model,
    layers: Sequence[keras.layers.BatchNormalization],
    fitted: Sequence[np.ndarray],
    predicted: Sequence[np.ndarray],
) -> list[Finding]:
    """Returns the finding, if outputs are far enough apart.

    Args:
        model: that they are in.
        layers: with slow statistics.
        fitted: outputs with the statistics of the batch.
        predicted: the same with moving ones.
    """
    apart = max(
        float(np.sqrt(((a - b) ** 2).mean()) / max(np.sqrt(a.var(0).mean()), 1e-30))
        for a, b in zip(fitted, predicted, strict=True)
    )
    if not apart >= MOST_OFF:
        return []
    momentum = max(layer.momentum for layer in layers)
    steps = f"{1 / (1 - momentum):.3g}" if momentum < 1 else "no number of"
    return [
        Finding(
            kind="moving statistics",
            where=tuple(layer.name for layer in layers),
            evidence=(
                f"momentum={momentum:g}: moving mean and variance, now 0 and 1, take {steps} "
                f"steps to follow those of the batches (limit {1 / (1 - SLOW):.3g}); with them the "
                f"outputs are off by {apart:.2g} of what differs between samples (limit "
                f"{MOST_OFF:g})"
            ),
            consequence=(
                "fit sees a falling loss, and predict and validation, which use them, another net"
            ),
            remedy=set_on(model, layers, "momentum", 0.99),
            numbers={"momentum": momentum, "apart": apart},
        )
    ]
