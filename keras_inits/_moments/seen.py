"""How many tokens each position of an attention sees: what its mask says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits._layers.kinds import Kind
from keras_inits._wiring.graph import Call
from keras_inits._wiring.picture import Wiring

if TYPE_CHECKING:
    from keras_inits._wiring.steps import Step

# Between scores and softmax these hide nothing.
_HIDING_NOTHING = frozenset({Kind.SCALING, Kind.IDENTITY, Kind.NOISE})


def positions_seen(wiring: Wiring, call: Call, tokens: int) -> NDArray[np.float64] | None:
    """Returns how many of `tokens` each position sees; None if that is not clear.

    Padding is taken to hide nothing: masks that come in with the data are taken to be all ones, so
    that what is left is what the model itself hides, such as what comes later.

    Args:
        wiring: the model.
        call: a softmax, or the operation that is all of an attention.
        tokens: how many there are at most.
    """
    step = wiring.step(call)
    if getattr(step.subject, "is_causal", False):
        return np.arange(1.0, tokens + 1)
    args, kwargs = step.arguments
    mask = kwargs.get("mask")
    if mask is None and isinstance(step.subject, keras.layers.Softmax) and len(args) > 1:
        mask = args[1]
    if mask is None and kwargs.get("bias") is None:
        hidden = call.kind is not Kind.ATTENTION and not _scores_are_whole(wiring, call)
        return None if hidden else np.array([float(tokens)])
    try:
        values = _value(wiring, step, mask)
    except Exception:  # whatever an operation says of ones in the place of its operands
        return None
    if values.dtype.kind not in "bui" or values.shape[-1:] != (tokens,):
        return None
    seen: NDArray[np.float64] = np.maximum(1.0, np.sum(values != 0, axis=-1)).ravel()
    return seen


def _scores_are_whole(wiring: Wiring, softmax: Call) -> bool:
    """Returns whether nothing stands between a product and its softmax that could hide a part."""
    at = softmax
    while len(at.sources) == 1 and at.sources[0] >= 0:
        at = wiring.calls[at.sources[0]]
        if at.kind is Kind.CONTRACTION:
            return True
        if at.kind not in _HIDING_NOTHING:
            return False
    return False


def _value(wiring: Wiring, step: Step, mask: Any) -> NDArray[Any]:
    """Returns a mask that a model computes, of ones for what comes in and for all signals."""
    if not isinstance(mask, keras.KerasTensor):
        return np.asarray(keras.ops.convert_to_numpy(mask))
    tensors = [t for t in keras.tree.flatten(step.arguments) if isinstance(t, keras.KerasTensor)]
    source = next(s for s, t in zip(step.sources, tensors, strict=True) if t is mask)
    made: dict[int, Any] = {}

    def value(source: int, tensor: Any) -> Any:
        if source < 0 or wiring.calls[source].carries:
            return keras.ops.ones(tensor.shape, tensor.dtype)
        if source not in made:
            made[source] = run(wiring.step(wiring.calls[source]))
        outputs = keras.tree.flatten(made[source])
        index = next(
            i for i, t in enumerate(wiring.step(wiring.calls[source]).outputs) if t is tensor
        )
        return outputs[index]

    def run(step: Step) -> Any:
        sources = iter(step.sources)
        args, kwargs = keras.tree.map_structure(
            lambda leaf: (
                value(next(sources), leaf) if isinstance(leaf, keras.KerasTensor) else leaf
            ),
            step.arguments,
        )
        subject = step.subject
        return (subject if isinstance(subject, keras.layers.Layer) else subject.call)(
            *args, **kwargs
        )

    return np.asarray(keras.ops.convert_to_numpy(value(source, mask)))
