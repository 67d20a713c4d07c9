"""Inputs in another range than the one that a frozen normalization was trained on."""

import contextlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_inits._diagnose.seen.watching import watching_values
from keras_inits._diagnose.setting.between.epsilons import by_channel
from keras_inits._diagnose.setting.case import Case
from keras_inits._diagnose.setting.entrance.data import standardized
from keras_inits._diagnose.setting.trials.steps import BATCH
from keras_inits._keras_internals import all_layers
from keras_inits._layers.scales import are_at_start
from keras_inits._reporting import Finding

# Bytes in place of fractions change variances by 255² = 65,025, in place of [-1, 1] by 16,256.
# Pictures of another kind, darker or flatter, change them by less than a standard deviation of
# a fifth would: 25.
FOREIGN, FAMILIAR = 100.0, 10.0

Change = Callable[[np.ndarray], np.ndarray]

# What people do to pictures, and what sets a table: code, and the same as a function.
CHANGES: dict[str, Change] = {
    "x * 255": lambda x: x * 255,
    "x / 255": lambda x: x / 255,
    "x / 127.5 - 1": lambda x: x / 127.5 - 1,
    "(x + 1) * 127.5": lambda x: (x + 1) * 127.5,
    "(x - x.mean(axis=0)) / x.std(axis=0)": standardized,
}


def check(case: Case) -> list[Finding]:
    """Returns the finding that another range of the input fits the frozen statistics, and this not.

    A pretrained base reads what comes in the range of its training; with frozen statistics nothing
    sets another one right. It is reported only if one of the usual changes of range fits.
    """
    frozen = {id(layer): layer for layer in all_layers(case.model) if _is_adopted(layer)}
    flat = keras.tree.flatten(case.x)
    if not frozen or len(flat) != 1:
        return []
    given = np.asarray(ops.convert_to_numpy(flat[0][:BATCH]))
    if given.dtype.kind not in "fiu":
        return []
    given = given.astype(keras.config.floatx())
    met = _met(case, given, frozen)
    if met is None or 1 / FOREIGN < met[1] < FOREIGN:
        return []
    layer, now, _ = met
    found = {code: _met(case, change(given), frozen) for code, change in CHANGES.items()}
    fits = {c: one for c, one in found.items() if one and 1 / FAMILIAR <= one[1] <= FAMILIAR}
    if not fits:
        return []
    best = min(fits, key=lambda code: np.log(fits[code][1]) ** 2 + fits[code][2])
    changed = fits[best][1]
    return [
        Finding(
            kind="input scale",
            where=("input", layer.name),
            evidence=(
                f"the variance that reaches {layer.name}, whose statistics are frozen, is "
                f"{now:.2g} of that it was trained on (limits {1 / FOREIGN:g} and {FOREIGN:g}); "
                f"with {best} it is {changed:.2g} of it. x ranges from {given.min():.4g} to "
                f"{given.max():.4g}"
            ),
            consequence=(
                "The frozen layers were trained on inputs of another range, and what they make of "
                "these says little"
            ),
            remedy=f"Give x in the range of that training: x = {best}",
            numbers={"now": now, "changed": changed},
        )
    ]


def _is_adopted(layer: keras.Layer) -> bool:
    """Returns whether a layer has statistics of a training that is over."""
    if not isinstance(layer, keras.layers.BatchNormalization) or layer.trainable:
        return False
    return not are_at_start(layer.moving_mean, layer.moving_variance)


class _Seen(Exception):  # noqa: N818  it ends a run that has shown what was asked
    pass


class _First:
    """Ends a run at the first call of one of some layers.

    Attributes:
        met: the layer, and what it was given; None before that.
    """

    def __init__(self, layers: dict[int, keras.Layer]) -> None:
        self._layers = layers
        self.met: tuple[keras.Layer, Any] | None = None

    def run(self, original: Any, layer: keras.Layer, args: Any, kwargs: Any) -> Any:
        """Calls any other layer."""
        if id(layer) in self._layers and args:
            self.met = layer, args[0]
            raise _Seen
        return original(layer, *args, **kwargs)


def _met(
    case: Case, given: np.ndarray, layers: dict[int, keras.Layer]
) -> tuple[keras.Layer, float, float] | None:
    """Returns the first of `layers`, and how far its input is from what it was trained on.

    That is the input's variance over the moving one, and the square of the means' distance over the
    moving variance; medians over the channels. None where none is called.
    """
    x = keras.tree.pack_sequence_as(case.x, [ops.convert_to_tensor(given)])
    first = _First(layers)
    with contextlib.suppress(_Seen), watching_values(first):
        case.copy.outputs(x, training=False)
    if first.met is None:
        return None
    layer, tensor = first.met
    channels = by_channel(layer, tensor)
    mean, variance = (
        np.asarray(ops.convert_to_numpy(v), np.float64)
        for v in (layer.moving_mean, layer.moving_variance)
    )
    variance = np.maximum(variance, np.finfo(np.float32).tiny)
    shift = (channels.mean(axis=0) - mean) ** 2 / variance
    return layer, float(np.median(channels.var(axis=0) / variance)), float(np.median(shift))
