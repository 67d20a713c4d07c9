"""Masks that hide what is real: of steps by their value, and of attention."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_inits._diagnose.seen.watching import watching, watching_values
from keras_inits._diagnose.setting.case import Case
from keras_inits._diagnose.setting.entrance.entrances import embeddings
from keras_inits._diagnose.setting.trials.tries import TAUGHT, Tries
from keras_inits._keras_internals import all_layers
from keras_inits._reporting import Finding

MASKED_SHARE = 0.5  # of the samples
HIDDEN = 0.02  # the share of queries that see a real step, on average, of which it is not seen
SEEN_FILLING = 0.5  # and that of the filling, of which it is

L = keras.layers
_ATTENTION = (L.MultiHeadAttention, L.GroupQueryAttention)


def by_value(tries: Tries) -> list[Finding]:
    """Returns the finding that a mask hides steps that are no filling, and say something."""
    case, best = tries.case, tries.untaught
    if not best:
        return []
    for tensor, met in zip(keras.tree.flatten(case.x), case.met, strict=True):
        masks = [layer for layer, _ in met if _masks(layer)]
        if not masks or len(masks) < sum(map(_masks, all_layers(case.model))):
            continue  # other layers mask as well
        steps = hidden_steps(ops.convert_to_numpy(tensor), _masked_value(masks[0]) or 0.0)
        if steps is None:
            continue
        with watching(_Unmasked(masks)):
            other = tries.longer_with()
        if other.end <= TAUGHT * best and other.end <= TAUGHT * tries.own_longer.end:
            losses = len(other.losses), tries.own_longer.end, other.end
            return [_hidden_by_value(masks[0], steps, losses)]
    return []


def hidden_steps(x: np.ndarray, value: float) -> np.ndarray | None:
    """Returns which steps a mask hides that are no filling; None if they are, in most samples.

    Filling is one run of steps, at the end or at the beginning.

    >>> hidden_steps(np.array([[[0.0], [0.0], [7.0], [0.0]]]), 0.0)
    array([[ True,  True, False,  True]])
    """
    if x.ndim not in (2, 3):
        return None
    hidden = (x == value).reshape(*x.shape[:2], -1).all(-1)
    tail = np.logical_and.accumulate(hidden[:, ::-1], 1)[:, ::-1]
    head = np.logical_and.accumulate(hidden, 1)
    both = (hidden & ~tail).any(1) & (hidden & ~head).any(1)
    return hidden if both.mean() > MASKED_SHARE else None


def _masked_value(layer: Any) -> float | None:
    """Returns the value of the steps that a layer hides; None if it hides none."""
    if isinstance(layer, L.Masking):
        return float(layer.mask_value)
    return 0.0 if isinstance(layer, L.Embedding) and layer.mask_zero else None


def _masks(layer: Any) -> bool:
    """Returns whether a layer hides steps by their value."""
    return _masked_value(layer) is not None


class _Unmasked:
    """Lets the layers that mask steps hide none.

    Args:
        layers: all that do so in a model.
    """

    def __init__(self, layers: Sequence[keras.Layer]) -> None:
        self._layers = {id(layer) for layer in layers}

    def run(self, original: Any, layer: keras.Layer, args: Any, kwargs: Any) -> Any:
        """Calls the layer; the mask stays with the tensor that is not handed on."""
        # Containers compute masks, too.
        kwargs = {name: value for name, value in kwargs.items() if name != "mask"}
        made = original(layer, *args, **kwargs)
        if id(layer) not in self._layers:
            return made
        return ops.copy(args[0] if isinstance(layer, L.Masking) else made)


def _hidden_by_value(layer: keras.Layer, hidden: np.ndarray, losses: tuple[float, ...]) -> Finding:
    """Returns the finding that steps which a mask hides say something."""
    steps, as_it_is, shown = losses
    value = _masked_value(layer)
    return Finding(
        kind="input padding",
        where=(layer.name, "input"),
        evidence=(
            f"{layer.name} hides {hidden.mean():.0%} of the steps, all of {value:g}, "
            f"before as well as behind others; {steps:.0f} steps on a copy lead to a loss of "
            f"{as_it_is:.3g}, and to {shown:.3g} where nothing is hidden (limit {TAUGHT:g} of it)"
        ),
        consequence=(
            "What stands between other steps is no filling: hidden, it says nothing, not even of "
            "the time that passes"
        ),
        remedy=(
            f"mask_zero=False in {layer.name}, or 0 for filling alone"
            if isinstance(layer, L.Embedding)
            else f"Leave out {layer.name}, or give it a mask_value that only filling has"
        ),
        numbers={"hidden": float(hidden.mean()), "end": as_it_is, "better_end": shown},
    )


def of_attention(case: Case, inputs: Sequence[np.ndarray]) -> list[Finding]:
    """Returns the findings that a mask hides from attention what is real, not the filling.

    Args:
        case: the training.
        inputs: what the model is given, one array for each input.
    """
    if not any(isinstance(layer, _ATTENTION) for layer in all_layers(case.model)):
        return []
    # Words or measurements; what is zeros and ones may say what is filling.
    read = [x for x, met in zip(inputs, case.met, strict=True) if embeddings(met) or x.ndim == 3]
    masks = _AttentionMasks()
    with watching_values(masks):
        case.predict(case.x)
    found, seen = [], set()
    for layer, tensor in masks.found:
        # Whatever is not 0 is seen; a mask of 0 and -1e9, to be added, says the opposite.
        mask = np.asarray(ops.convert_to_numpy(tensor)) != 0
        if layer.name in seen or mask.ndim < 3 or not mask.size:
            continue
        seen.add(layer.name)
        shown = mask.reshape(len(mask), -1, mask.shape[-1]).mean(1)
        if not mask.any():
            found.append(_masked_finding(layer.name))
        elif (numbers := _shares(shown, read)) is not None:
            found.append(_hidden_finding(layer.name, *numbers))
    return found


class _AttentionMasks:
    """Collects the attention masks that layers are called with."""

    def __init__(self) -> None:
        self.found: list[tuple[keras.Layer, Any]] = []

    def run(self, original: Any, layer: keras.Layer, args: Any, kwargs: Any) -> Any:
        mask = kwargs.get("attention_mask")
        if isinstance(layer, _ATTENTION) and mask is not None:
            self.found.append((layer, mask))
        return original(layer, *args, **kwargs)


def _shares(
    shown: np.ndarray, inputs: Sequence[np.ndarray]
) -> tuple[dict[str, float], bool] | None:
    """Returns by which share of queries real steps are seen, and filling, if it is too few.

    And whether the steps are words. None as soon as one input agrees with the mask.
    """
    wrong = None
    for x in inputs:
        if x.ndim not in (2, 3) or x.shape[:2] != shown.shape or ((x == 0) | (x == 1)).all():
            continue
        filling = (x == 0) if x.ndim == 2 else (x == 0).all(-1)
        if not filling.any() or filling.all():
            continue
        real, of_filling = float(shown[~filling].mean()), float(shown[filling].mean())
        if real > of_filling:
            return None
        if real <= HIDDEN and of_filling >= SEEN_FILLING:
            wrong = {"real": real, "filling": of_filling}, x.ndim == 2
    return wrong


def _masked_finding(name: str) -> Finding:
    return Finding(
        kind="input padding",
        where=(name, "input"),
        evidence=f"the attention mask of {name} is 0 everywhere; True, or 1, is what may be seen",
        consequence="It masks all; Keras then averages over all steps, whatever they hold",
        remedy="Leave attention_mask out, or give it 1 where a step may be seen",
        numbers={"real": 0.0, "filling": 0.0},
    )


def _hidden_finding(name: str, numbers: dict[str, float], words: bool) -> Finding:
    real = "keras.ops.not_equal(tokens, 0)"
    if not words:
        real = "keras.ops.any(keras.ops.not_equal(x, 0), axis=-1)"
    return Finding(
        kind="input padding",
        where=(name, "input"),
        evidence=(
            f"the attention mask of {name} shows {numbers['real']:.0%} of the real steps and "
            f"{numbers['filling']:.0%} of the filling (0); True, or 1, is what may be seen"
        ),
        consequence="It attends to filling alone: what the real steps hold does not get through",
        remedy=f"attention_mask={real}[:, None, :]",
        numbers=numbers,
    )
