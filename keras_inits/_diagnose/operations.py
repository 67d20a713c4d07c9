"""Seeing each TensorFlow operation of one thread: where tensors come from, what squashes or cuts.

Layers are seen by `watching`; what runs between and inside them (`ops.relu`, the gates of a
recurrent layer, `x + y`) is seen by TensorFlow's callbacks on operations, which belong to a thread.
"""

import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

# No public name; TensorFlow's own debugger (tf.debugging.experimental) is built on it. Tried with
# TensorFlow 2.18 to 2.21.
from tensorflow.python.framework import op_callbacks

from keras_inits._diagnose.calls import UNKNOWN, Cut, Squashed
from keras_inits._diagnose.measuring import Bounds, near_bounds

# Operations that squash: their bounds, and whether they are exactly 0 on one side. A rectifier's 0
# is no bound: half of its units are there by design.
_SQUASHING: dict[str, tuple[Bounds | None, bool]] = {
    "Relu": (None, True),
    "Relu6": ((None, 6.0), True),
    "Tanh": ((-1.0, 1.0), False),
    "Sigmoid": ((0.0, 1.0), False),
}
# Floating in and floating out, and a derivative that is 0 or None.
_FLAT = frozenset({"Round", "Rint", "Sign", "Floor", "Ceil", "FloorDiv", "StopGradient"})

_NOWHERE: frozenset[int] = frozenset()


class Origins:
    """From which calls of layers each tensor was computed."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, frozenset[int]]] = {}

    def set(self, tensor: Any, origins: frozenset[int]) -> None:
        """Takes note of a tensor's origins."""
        self._known[id(tensor)] = (weakref.ref(tensor), origins)

    def of(self, tensor: Any) -> frozenset[int]:
        """Returns a tensor's origins; none where it was computed from weights or constants."""
        reference, origins = self._known.get(id(tensor), (None, _NOWHERE))
        return origins if reference is not None and reference() is tensor else _NOWHERE

    def union(self, tensors: Iterable[Any]) -> frozenset[int]:
        """Returns the origins of all of `tensors`."""
        found = [origins for t in tensors if (origins := self.of(t))]
        return found[0] if len(found) == 1 else _NOWHERE.union(*found)


class Squashing:
    """What an activation did over all the steps in which it ran."""

    def __init__(self, operation: str, units: int) -> None:
        self.operation = operation
        self._near: list[float] = []
        self._alive = np.zeros(units, bool)

    def add(self, x: Any, unit_axis: int) -> None:
        """Takes note of the output of one run."""
        bounds, rectifies = _SQUASHING[self.operation]
        x = tf.cast(x, tf.float32)
        if bounds is not None:
            self._near.append(near_bounds(x, bounds))
        if rectifies and not self._alive.all():
            axis = unit_axis % x.shape.rank
            others = [a for a in range(x.shape.rank) if a != axis]
            self._alive |= tf.reduce_any(tf.not_equal(x, 0), others).numpy()

    def result(self) -> Squashed:
        """Returns the shares over all runs."""
        rectifies = _SQUASHING[self.operation][1]
        return Squashed(
            self.operation,
            saturated=float(np.mean(self._near)) if self._near else np.nan,
            dead_units=float(np.mean(~self._alive)) if rectifies else np.nan,
        )


@contextmanager
def operations(see: Callable[[str, Any, Any], None]) -> Iterator[None]:
    """Calls `see(name, inputs, outputs)` after each eager operation of this thread."""

    def callback(
        op_type: Any, inputs: Any, attrs: Any, outputs: Any, op_name: Any = None, graph: Any = None
    ) -> None:
        if graph is None:
            name = op_type.decode() if isinstance(op_type, bytes) else op_type
            see(name, inputs, outputs)

    op_callbacks.add_op_callback(callback)
    try:
        yield
    finally:
        op_callbacks.remove_op_callback(callback)


def squashes(name: str, inputs: Any, outputs: Any) -> bool:
    """Says whether an operation is an activation whose saturation or death can be seen."""
    return name in _SQUASHING and outputs[0].shape.rank > 1


def cut(
    name: str, layer: keras.Layer | None, inputs: Any, outputs: Any, origins: frozenset[int]
) -> Cut | None:
    """Returns what an operation cuts off, if it hands no gradient back to what came from layers."""
    if not origins - {UNKNOWN} or not any(t.dtype.is_floating for t in inputs):
        return None
    if name in _FLAT or (outputs and not any(t.dtype.is_floating for t in outputs)):
        return Cut(name, "" if layer is None else layer.name, origins)
    return None
