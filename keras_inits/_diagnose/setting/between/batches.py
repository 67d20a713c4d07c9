"""Outputs of a sample that depend on what else is in its batch, when `predict` makes them."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_inits._diagnose.seen.watching import watching_values
from keras_inits._diagnose.setting.case import Case
from keras_inits._reporting import Finding

FEWEST = 16  # samples; a fourth of them is looked at alone
MIXED = 0.1  # of what differs between samples
LEAST = 0.03  # of the largest output: what differs less is rounding, of half floats


class _Outputs:
    """Keeps what each layer puts out at each of its calls, where it is one tensor."""

    def __init__(self) -> None:
        self.made: list[tuple[str, np.ndarray]] = []

    def run(self, original: Any, layer: keras.Layer, args: Any, kwargs: Any) -> Any:
        """Calls the layer."""
        made = original(layer, *args, **kwargs)
        if ops.is_tensor(made) and len(made.shape) and not isinstance(layer, keras.Model):
            self.made.append((layer.name, np.asarray(ops.convert_to_numpy(made), np.float64)))
        return made


def check(case: Case) -> list[Finding]:
    """Returns the finding that a fourth of a batch has other outputs by itself."""
    x = case.x
    samples = keras.tree.flatten(x)[0].shape[0]
    if samples < FEWEST:
        return []
    few = samples // 4
    whole, alone = case.predict(x), case.predict(_first(x, few))
    if any(len(part) != samples for part in whole):
        return []
    apart = max(map(_apart, whole, alone), default=0.0)
    if not apart > MIXED or any(map(_is_drawn, whole, case.predict(x))):
        return []
    seen = _Outputs(), _Outputs()
    for watcher, number in zip(seen, (samples, few), strict=True):
        with watching_values(watcher):
            case.predict(_first(x, number))
    calls = zip(*(watcher.made for watcher in seen), strict=False)
    names = [name for (name, a), (_, b) in calls if len(a) == samples and _apart(a, b) > MIXED]
    where = tuple(names[:1]) or ("output",)
    return [
        Finding(
            kind="normalization",
            where=where,
            evidence=(
                f"outputs of {few} samples alone are off those among {samples}, as in predict, by "
                f"{apart:.2g} of what differs between samples (limit {MIXED:g}); first in "
                f"{where[0]}"
            ),
            consequence="What is predicted for a sample depends on what else is in the batch",
            remedy=(
                "Look for means, norms and softmaxes over all axes, or over axis 0: give them "
                "axis=-1 (UnitNormalization(), not a norm of the whole tensor)"
            ),
            numbers={"apart": apart},
        )
    ]


def _first(x: Any, number: int) -> Any:
    return keras.tree.map_structure(lambda t: t[:number], x)


def _is_drawn(once: np.ndarray, again: np.ndarray) -> bool:
    """Returns whether the same samples have other outputs each time."""
    return _apart(once, again) > MIXED / 10


def _apart(whole: np.ndarray, part: np.ndarray) -> float:
    """Returns how far samples are off, of what differs between them."""
    same = whole[: len(part)]
    if same.shape != part.shape or not (np.isfinite(same).all() and np.isfinite(part).all()):
        return 0.0
    spread = max(np.sqrt(same.var(0).mean()), LEAST * np.abs(same).max(initial=0.0), 1e-30)
    return float(np.sqrt(((same - part) ** 2).mean()) / spread)
