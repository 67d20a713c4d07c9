"""An operation of single values, applied to a sample."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_inits._moments.signal import ENTRIES, PLACES, Signal
from keras_inits._wiring.steps import Step

# Of a condition whose truth is not followed, as of `keras.ops.cond`.
_TRUE = 0.5


def applied(step: Step, sources: Sequence[int], given: Sequence[Signal]) -> Signal | None:
    """Returns what an operation makes of samples of its operands.

    Of a weight or an array of constants that it is given each entry of the sample meets one value.
    A condition that is no signal holds in half of the cases.

    Args:
        step: the operation.
        sources: where its signals come from.
        given: what they are.

    Returns:
        The signal, or None if an operand is not known or the operation is none of single values.
    """
    left = list(zip(sources, given, strict=True))
    at = iter(step.sources)

    def filled(leaf: Any) -> Any:
        if isinstance(leaf, keras.KerasTensor):
            source = next(at)
            for index, (known, signal) in enumerate(left):
                if known == source:
                    del left[index]
                    return signal.values.astype("float32")
            if leaf.dtype != "bool":
                raise LookupError(source)
            return np.random.default_rng(len(left)).random((1, ENTRIES)) < _TRUE
        is_array = isinstance(leaf, keras.Variable) or keras.ops.is_tensor(leaf)
        return _entries(leaf) if is_array or hasattr(leaf, "__array__") else leaf

    try:
        args, kwargs = keras.tree.map_structure(filled, step.arguments)
        subject = step.subject
        run = subject if isinstance(subject, keras.layers.Layer) else subject.call
        values = np.asarray(keras.ops.convert_to_numpy(run(*args, **kwargs)), np.float64)
    except Exception:  # whatever an operation says of operands of this shape
        return None
    if values.shape != (PLACES, ENTRIES):
        return None
    reason = next((signal.reason for signal in given if signal.reason), "")
    return Signal(values, None, reason)


def _entries(leaf: Any) -> Any:
    values = np.asarray(keras.ops.convert_to_numpy(leaf)).ravel()
    if values.size == 1:
        return values.astype("float32")[0]
    return np.random.default_rng(values.size).choice(values.astype("float32"), (1, ENTRIES))
