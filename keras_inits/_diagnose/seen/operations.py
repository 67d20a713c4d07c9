"""Each operation of one thread: where tensors come from, what squashes or cuts.

Layers are seen by `watching`; what runs between and inside them (`ops.relu`, the gates of a
recurrent layer, `x + y`) is seen by `backend.operations`, under TensorFlow's names.
"""

import math
import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_inits._diagnose.backends import backend
from keras_inits._diagnose.seen.calls import UNKNOWN, Cut, Squashed
from keras_inits._diagnose.seen.measuring import Bounds, near_bounds


@dataclass(frozen=True)
class Bend:
    """Where an operation flattens out.

    Attributes:
        bounds: the values that it tends to; None for none. A rectifier's floor is no bound: half
            of its units are there by design.
        floor: the value of everything below some input; None for none.
    """

    bounds: Bounds | None = None
    floor: float | None = None


_BENDS = {
    "Relu": Bend(None, 0.0),
    "Relu6": Bend((None, 6.0), 0.0),
    "Tanh": Bend((-1.0, 1.0)),
    "Softsign": Bend((-1.0, 1.0)),
    "Sigmoid": Bend((0.0, 1.0)),
}
# Floating in and floating out, and a derivative that is 0 or None.
_FLAT = frozenset({"Round", "Rint", "Sign", "Floor", "Ceil", "FloorDiv", "StopGradient"})
# What they make is known before there are values: nothing of the signal is in it.
_OF_SHAPES = frozenset({"Shape", "ShapeN", "Size", "Rank"})
# One of their inputs may be silent, and the others still go through.
_JOINS = frozenset({"AddV2", "Add", "AddN", "Sub", "Maximum", "Minimum"})
# One of their inputs may be a gate of the other.
_PRODUCTS = frozenset({"Mul", "MatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum"})
# Operations of one bound; one of each bounds on both sides.
_OPPOSITE = {"Maximum": "Minimum", "Minimum": "Maximum"}

_NOWHERE: frozenset[int] = frozenset()


class Origins:
    """From which calls of layers each tensor was computed, and which of them it needs.

    A sum needs what all of its parts need; anything else needs what any of its inputs does. A gate
    that is computed from what it multiplies, or a matrix, is not needed: silent, it is a constant.
    Sets of needed calls are numbers, one bit for each call.

    Attributes:
        cuts: how many operations so far handed on values whose size does not follow from that of
            what they were given: rounded, compared, looked up, behind a stopped gradient.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, frozenset[int], int, int]] = {}
        self._bounded: dict[int, tuple[Any, str, list[Any]]] = {}
        self.cuts = 0

    def set(self, tensor: Any, origins: frozenset[int], needs: int, cut: int = 0) -> None:
        """Takes note of a tensor's origins and of the calls without which nothing reaches it."""
        self._known[id(tensor)] = (weakref.ref(tensor), origins, needs, cut)

    def _of(self, tensor: Any) -> tuple[frozenset[int], int, int]:
        reference, origins, needs, cut = self._known.get(id(tensor), (None, _NOWHERE, 0, 0))
        known = reference is not None and reference() is tensor
        return (origins, needs, cut) if known else (_NOWHERE, 0, 0)

    def of(self, tensor: Any) -> frozenset[int]:
        """Returns a tensor's origins; none where it was computed from weights or constants."""
        return self._of(tensor)[0]

    def bounds(self, tensor: Any, name: str) -> list[Any]:
        """Returns the constants to which an operation of this name bounded a tensor."""
        reference, made_by, constants = self._bounded.get(id(tensor), (None, "", []))
        known = reference is not None and reference() is tensor
        return constants if known and made_by == name else []

    def is_learned(self, tensor: Any) -> bool:
        """Returns whether a tensor was seen to be computed from weights and constants alone."""
        reference, origins, *_ = self._known.get(id(tensor), (None, _NOWHERE))
        return reference is not None and reference() is tensor and not origins

    def needs(self, tensor: Any) -> int:
        """Returns the calls without which nothing reaches a tensor, as bits."""
        return self._of(tensor)[1]

    def cut(self, tensor: Any) -> int:
        """Returns the last cut that sets a tensor's size, as its number; 0 if there is none.

        In a sum, such as `x + stop_gradient(q - x)`, one part that does is enough; a product with a
        mask or a gate has the size of what it multiplies.
        """
        return self._of(tensor)[2]

    def pass_on(self, name: str, inputs: Sequence[Any], outputs: Sequence[Any]) -> frozenset[int]:
        """Takes note of what an operation made, and returns its origins."""
        found = [known for tensor in inputs if (known := self._of(tensor))[0]]
        if not found or name in _OF_SHAPES:
            for tensor in filter(backend.is_floating, outputs):
                self.set(tensor, _NOWHERE, 0)
            return _NOWHERE
        origins, needs, number = found[0]
        for more, needed, other in found[1:]:
            number = (max if name in _JOINS else min)(number, other)
            if more is not origins:
                origins = origins | more
            gates = name in _PRODUCTS and needs & needed in (needs, needed)
            needs = needs & needed if gates or name in _JOINS else needs | needed
        if _cuts(name, inputs, outputs):
            self.cuts += 1
            number = self.cuts
        if name in _OPPOSITE:
            constants = [tensor for tensor in inputs if not self.of(tensor)]
            self._bounded[id(outputs[0])] = (weakref.ref(outputs[0]), name, constants)
        for tensor in outputs:
            self.set(tensor, origins, needs, number)
        return origins


class Squashing:
    """What an activation did over all the steps in which it ran."""

    def __init__(self, operation: str, units: int, bend: Bend) -> None:
        self.operation, self.bend = operation, bend
        self._near: list[float] = []
        self._alive = np.zeros(units, bool)

    def add(self, x: Any, unit_axis: int) -> None:
        """Takes note of what was read of the output of one run."""
        x = backend.float32(x)
        if self.bend.bounds is not None:
            self._near.append(near_bounds(x, self.bend.bounds))
        if self.bend.floor is not None and not self._alive.all():
            axis = unit_axis % len(x.shape)
            others = [a for a in range(len(x.shape)) if a != axis]
            self._alive |= backend.differs(x, self.bend.floor, others)

    def result(self) -> Squashed:
        """Returns the shares over all runs."""
        return Squashed(
            self.operation,
            saturated=float(np.mean(self._near)) if self._near else np.nan,
            dead_units=np.nan if self.bend.floor is None else float(np.mean(~self._alive)),
        )


def bend(name: str, inputs: Sequence[Any], outputs: Sequence[Any], origins: Origins) -> Bend | None:
    """Returns where an operation flattens out, if it is an activation that can saturate or die.

    Read from what it does: `maximum(x, 0)` is a rectifier, `clip(x, -1, 1)` is bounded, and so is
    a quotient such as `x / (1 + |x|)` whose values all lie within 1.
    """
    if not outputs or not _has_units(outputs[0]):
        return None
    if (known := _BENDS.get(name)) is not None:
        return known
    if name not in ("Maximum", "Minimum", "ClipByValue", "RealDiv"):
        return None
    numbers = [_number(t) for t in inputs if not origins.of(t)]
    if name == "RealDiv":
        return _quotient(inputs, outputs[0], numbers, origins)
    if len(numbers) != len(inputs) - 1:
        return None
    for tensor in inputs:  # `clip` of Keras is two operations on TensorFlow and JAX
        numbers += map(_number, origins.bounds(tensor, _OPPOSITE.get(name, "")))
    bounds = sorted(number for number in numbers if number is not None)  # torch names them
    if not bounds or len(bounds) != len(numbers) or not all(map(math.isfinite, bounds)):
        return None  # such as the start of a running maximum
    lower, upper = bounds[0], bounds[-1]
    if name == "Maximum" and len(bounds) == 1:
        return Bend(None, lower)
    if not upper:
        return None
    if len(bounds) == 1:
        return Bend((None, upper))
    return Bend((lower, upper)) if lower < 0 else Bend((None, upper), lower)


def _number(tensor: Any) -> float | None:
    """Returns the value of a constant of one entry."""
    if isinstance(tensor, int | float):
        return float(tensor)
    if not backend.is_floating(tensor) or math.prod(tensor.shape) != 1:
        return None
    return float(backend.array(backend.read(tensor)).reshape(()))


def _has_units(tensor: Any) -> bool:
    shape = tensor.shape
    rank = shape.rank if hasattr(shape, "rank") else len(shape)  # TensorFlow may not know it
    return rank is not None and rank >= 2


def _quotient(inputs: Any, output: Any, numbers: Any, origins: Origins) -> Bend | None:
    above, below = inputs
    one = bool(numbers) and numbers[0] is not None and not origins.of(above)
    if not origins.of(below) or not (one or origins.of(above) == origins.of(below)):
        return None  # such as a plain number, which torch divides by
    if not one and above.shape != below.shape:
        return None
    values = backend.read(output)
    if not backend.largest(values) <= 1:
        return None
    low = backend.lowest(values)
    if not (one or low < 0):
        return None
    return Bend((0.0, 1.0)) if one and low >= 0 else Bend((-1.0, 1.0))


def cut(
    name: str, layer: keras.Layer | None, inputs: Any, outputs: Any, origins: frozenset[int]
) -> Cut | None:
    """Returns what an operation cuts off, if it hands no gradient back to what came from layers."""
    if not origins - {UNKNOWN} or not _cuts(name, inputs, outputs):
        return None
    return Cut(name, "" if layer is None else layer.name, origins)


def _cuts(name: str, inputs: Iterable[Any], outputs: Sequence[Any]) -> bool:
    """Returns whether an operation hands no gradient back."""
    if not any(map(backend.is_floating, inputs)):
        return False
    return name in _FLAT or (bool(outputs) and not any(map(backend.is_floating, outputs)))
