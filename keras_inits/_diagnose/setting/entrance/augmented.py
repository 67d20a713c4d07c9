"""Layers that change what they are given in training alone, and leave nothing of it to be learned.

Augmentation whose values are of another range than the data (shifts of bytes on fractions), and
noise that is far larger than what differs between samples.
"""

import inspect
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_inits._diagnose.seen.watching import watching, watching_values
from keras_inits._diagnose.setting.between.dropouts import DROPOUTS
from keras_inits._diagnose.setting.remedies import set_on
from keras_inits._diagnose.setting.trials.tries import FEWEST_PARTED, TAUGHT, UNTAUGHT, Tries
from keras_inits._reporting import Finding

# Times the variance between samples is the mean square of what training changes. To take another
# picture of the data in the place of each, as the strongest turns and shifts do, makes 2.
LOUD = 10.0


def check(tries: Tries) -> list[Finding]:
    """Returns the finding that layers drown the data in training, and that without them it learns.

    Args:
        tries: of the training.
    """
    case = tries.case
    samples = keras.tree.flatten(case.x)[0].shape[0]
    best = tries.untaught
    if not best or samples < FEWEST_PARTED or not any(map(_draws, case.model.layers)):
        return []
    heard = Heard()
    case.copy.reset()
    with watching_values(heard):
        case.copy.outputs(case.x, training=True)
    loud = [(layer, ratio, plain) for layer, ratio, plain in heard.found if ratio > LOUD]
    if not loud or tries.own_longer.end < UNTAUGHT * best:
        return []
    noisy, _ = tries.left_out()
    with watching(Silent([layer for layer, _, _ in loud])):
        silent, _ = tries.left_out(copy=tries.new_copy())
    if not silent <= TAUGHT * min(best, noisy):
        return []
    layer, ratio, plain = max(loud, key=lambda each: each[1])
    return [_finding(tries, layer, ratio, plain, (noisy, silent))]


def _finding(
    tries: Tries, layer: keras.Layer, ratio: float, plain: np.ndarray, losses: tuple[float, float]
) -> Finding:
    low, high = float(plain.min()), float(plain.max())
    if hasattr(layer, "value_range"):
        remedy = set_on(tries.case.model, [layer], "value_range", f"({low:.3g}, {high:.3g})")
    elif hasattr(layer, "stddev"):
        remedy = set_on(tries.case.model, [layer], "stddev", f"{plain.std() / 10:.2g}")
    else:
        remedy = f"Leave out {layer.name}, or make what it draws smaller"
    return Finding(
        kind="input scale",
        where=(layer.name, "input"),
        evidence=(
            f"in training {layer.name} changes values of {low:.3g} to {high:.3g} by {ratio:.3g} "
            f"times what they differ by between samples, in squares (limit {LOUD:g}); on samples "
            f"left out of {tries.longer} steps on a copy the loss is {losses[0]:.3g}, without it "
            f"{losses[1]:.3g}"
        ),
        consequence="What the net is given in training is next to nothing of the data",
        remedy=remedy,
        numbers={"ratio": ratio, "noisy": losses[0], "silent": losses[1]},
    )


def _draws(layer: keras.Layer) -> bool:
    """Returns whether a layer without weights may do something else in training."""
    if isinstance(layer, (keras.Model, *DROPOUTS)) or layer.weights:
        return False
    try:
        return "training" in inspect.signature(layer.call).parameters
    except (TypeError, ValueError):
        return False


class Heard:
    """Measures what layers change in training, beside what their output differs by elsewhere.

    Attributes:
        found: of each such call the layer, the ratio of both in squares, and its output elsewhere.
    """

    def __init__(self) -> None:
        self.found: list[tuple[keras.Layer, float, np.ndarray]] = []

    def run(self, original: Any, layer: keras.Layer, args: Any, kwargs: Any) -> Any:
        """Calls the layer, and once more as if not in training."""
        made = original(layer, *args, **kwargs)
        if not _draws(layer) or not hasattr(made, "shape"):
            return made
        plain = _numbers(original(layer, *args, **{**kwargs, "training": False}))
        drawn, spread = _numbers(made), float(plain.var(0).mean())
        if drawn.shape == plain.shape and spread > 0:
            ratio = float(np.square(drawn - plain).mean()) / spread
            self.found.append((layer, ratio, plain))
        return made


class Silent:
    """Lets layers do in training what they do elsewhere.

    Args:
        layers: which.
    """

    def __init__(self, layers: Sequence[keras.Layer]) -> None:
        self._layers = {id(layer) for layer in layers}

    def run(self, original: Any, layer: keras.Layer, args: Any, kwargs: Any) -> Any:
        """Calls the layer."""
        if id(layer) in self._layers:
            kwargs = {**kwargs, "training": False}
        return original(layer, *args, **kwargs)


def _numbers(tensor: Any) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(tensor), np.float64)
