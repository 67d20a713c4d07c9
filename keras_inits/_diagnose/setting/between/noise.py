"""Layers that draw: whether what they are given lets their noise become small.

A layer without weights that is given a mean and the logarithm of a variance, as in a variational
autoencoder (Kingma & Welling 2014, https://arxiv.org/abs/1312.6114), draws with a deviation of
exp(log_var / 2). Behind a ReLU the logarithm is never below 0, and the deviation never below 1.
"""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_inits._diagnose.setting.end.ends import name_of
from keras_inits._diagnose.setting.plain import RANGES
from keras_inits._diagnose.setting.reading import Bend, shapes, tensors_of
from keras_inits._diagnose.setting.remedies import other_activation
from keras_inits._keras_internals import of_keras
from keras_inits._layers.activations import plain_name
from keras_inits._reporting import Finding

ROWS = 64  # for a deviation to 10 % in one unit
LARGE_NOISE = (
    0.5  # of the deviation 1 of a prior: less than one bit a unit gets through (log2(1/0.5))
)
BELOW = -6.0  # exp(-6 / 2) is 0.05
SHRINKS = 0.5


def check(model: keras.Model) -> list[Finding]:
    """Returns the findings on layers whose noise cannot become small.

    Args:
        model: built; of a subclassed one nothing is known.
    """
    found = []
    for layer, makers, shape in _drawing(model):
        for place, maker in enumerate(makers):
            bend = _bend(model, maker)
            low = RANGES.get(bend.name, (-np.inf, np.inf))[0] if bend else -np.inf
            if bend is None or not np.isfinite(low):
                continue
            at_bound, below = (
                _deviation(layer, len(makers), shape, place, v) for v in (low, BELOW)
            )
            if at_bound >= LARGE_NOISE and below < SHRINKS * at_bound:
                found.append(_finding(model, layer, bend, low, at_bound))
    return found


def _drawing(model: keras.Model) -> Iterator[tuple[keras.Layer, list[Any], tuple[int, ...]]]:
    """Yields layers without weights, given several tensors of one shape, and who made these."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _drawing(layer)
            continue
        given = tensors_of(layer, "input")
        known = {tuple(t.shape[1:]) for t in given}
        own = of_keras(layer) and not isinstance(layer, keras.layers.Lambda)
        if len(given) < 2 or len(known) != 1 or own or layer.trainable_weights:
            continue
        (shape,) = known
        if None not in shape:
            yield layer, [_maker(model, tensor) for tensor in given], shape


def _maker(model: keras.Model, tensor: Any) -> Any:
    for operation in getattr(model, "operations", ()):
        if any(made is tensor for made in tensors_of(operation, "output")):
            if not shapes(operation):
                return operation
            before = tensors_of(operation, "input")
            return _maker(model, before[0]) if len(before) == 1 else None
    return None


def _bend(model: keras.Model, maker: Any) -> Bend | None:
    """Returns the activation that a maker is or has; None where no kernel is known before it."""
    if maker is None:
        return None
    name, kernel = name_of(maker), maker
    if isinstance(maker, keras.layers.Lambda):
        name = plain_name(maker)
    if not getattr(maker, "weights", ()):
        before = tensors_of(maker, "input")
        kernel = _maker(model, before[0]) if len(before) == 1 else None
    return Bend(name, kernel, maker, 0) if isinstance(kernel, keras.Layer) else None


def _deviation(
    layer: keras.Layer, number: int, shape: tuple[int, ...], place: int, value: float
) -> float:
    """Returns the deviation of what a layer draws of zeros, and of `value` in one place.

    NaN where it refuses them. What it assigns and adds to the loss is not kept.
    """
    given = [np.zeros((ROWS, *shape), "float32") for _ in range(number)]
    given[place] += value
    try:
        with keras.StatelessScope(collect_losses=True):
            made = layer([ops.convert_to_tensor(each) for each in given])
        return float(np.std(ops.convert_to_numpy(made).astype(np.float64)))
    except Exception:  # whatever a layer of the user's own raises
        return np.nan


def _finding(
    model: keras.Model, layer: keras.Layer, bend: Bend, low: float, deviation: float
) -> Finding:
    return Finding(
        kind="hidden activation",
        where=(bend.place, layer.name),
        evidence=(
            f"{bend.name} in {bend.place} gives nothing below {low:g}, for which {layer.name} "
            f"draws with a deviation of {deviation:.2g} (limit {LARGE_NOISE:g})"
        ),
        consequence="The noise never becomes small: little of what is encoded gets through it",
        remedy=other_activation(model, [bend], "linear"),
        numbers={"low": low, "deviation": deviation},
    )
