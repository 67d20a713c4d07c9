"""An operation of single values, applied to a sample."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_inits._moments.signal import ENTRIES, PLACES, Array, Signal
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
    made = [_run(step, sources, values) for values in examples_of(given)]
    if made[0] is None:
        return None
    reason = next((signal.reason for signal in given if signal.reason), "")
    return Signal(made[0], None, reason, None, made[1] if len(made) > 1 else None)


def examples_of(given: Sequence[Signal]) -> list[tuple[Array, ...]]:
    """Returns the entries of all signals for an example, and for another where one is known.

    Of a signal of which no other example is known that is any other entry.
    """
    values = tuple(signal.values for signal in given)
    known = [signal.examples[1:] for signal in given]
    if not any(known):
        return [values]
    others = (k[0] if k else np.roll(v, 1, axis=1) for v, k in zip(values, known, strict=True))
    return [values, tuple(others)]


def _run(step: Step, sources: Sequence[int], given: Sequence[Array]) -> Array | None:
    """Returns what an operation makes of arrays; None where it takes none such."""
    left = list(zip(sources, given, strict=True))
    at = iter(step.sources)

    def filled(leaf: Any) -> Any:
        if isinstance(leaf, keras.KerasTensor):
            source = next(at)
            for index, (known, array) in enumerate(left):
                if known == source:
                    del left[index]
                    return array.astype("float32")
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
    return values if values.shape == (PLACES, ENTRIES) else None


def _entries(leaf: Any) -> Any:
    values = np.asarray(keras.ops.convert_to_numpy(leaf)).ravel()
    if values.size == 1:
        return values.astype("float32")[0]
    return np.random.default_rng(values.size).choice(values.astype("float32"), (1, ENTRIES))
