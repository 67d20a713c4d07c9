"""The wiring of a model, held against the calls that were recorded of it."""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from keras_inits._diagnose.seen.calls import Call
from keras_inits._diagnose.seen.statistics import TensorStatistics
from keras_inits._layers.activations import HOMOGENEOUS
from keras_inits._layers.kinds import Kind
from keras_inits._layers.scales import epsilon_of
from keras_inits._wiring import Wiring, wiring
from keras_inits._wiring.graph import Call as Place

# f(0) = 0, with a slope there.
_LINEAR_NEAR_ZERO = frozenset(
    {"gelu", "silu", "hard_silu", "mish", "tanh", "hard_tanh", "elu", "ELU", "celu", "selu",
     "softsign"}
)  # fmt: skip
_EVEN = frozenset({"add", "subtract", "average"})  # sums of parts that all have the same weight


@dataclass(frozen=True)
class Picture:
    """A wiring and the recorded calls.

    Attributes:
        wiring: of the model.
        calls: recorded.
        places: for each recorded call, if it is one of the wiring's, its index there.
        outputs: second moments of the model's outputs.
    """

    wiring: Wiring
    calls: Sequence[Call]
    places: Mapping[int, int]
    outputs: Sequence[float]

    def normalizations(self, index: int, most: float) -> Sequence[int | None]:
        """Returns the recorded normalizations that take a call's scale away, on every way.

        None stands for one that is not recorded, such as one that is written out as operations.

        A sum lets a scale through if its parts have one size, up to a factor of `most`: behind it
        all of them are scaled alike. What drowns the other parts is not taken away.
        """
        return self._normalizations(index, lambda call: self._is_even(call, index, most))

    def restoring(self, index: int, most: float) -> Sequence[int | None]:
        """Returns the normalizations that bring back what has faded, on every way.

        As `normalizations`, and through functions that are linear near 0 and kernels whose biases
        start there: what is small leaves them as small as it came.
        """
        return self._normalizations(
            index, lambda call: self._is_even(call, index, most) or self._is_linear(call)
        )

    def _normalizations(self, index: int, through: Callable[[Place], bool]) -> Sequence[int | None]:
        if index not in self.places:
            return []
        after = self.wiring.normalized_after(self.wiring.calls[self.places[index]], through)
        recorded = {place: call for call, place in self.places.items()}
        return [recorded.get(each.index) for each in after]

    def _is_linear(self, call: Place) -> bool:
        """Returns whether a call leaves what is small as small: a kernel, or GELU near 0."""
        linear = call.activation in _LINEAR_NEAR_ZERO
        if call.is_map:
            return linear or not call.activation or call.activation in HOMOGENEOUS
        size = self.size(call.signals[0]) if linear and len(call.signals) == 1 else None
        return size is not None and size < 1

    def _is_even(self, call: Place, index: int, most: float) -> bool:
        """Returns whether a call is a sum whose part from a call is of the others' size."""
        if call.kind is not Kind.SUM or call.type.lower() not in _EVEN:
            return False
        start = self.places[index]
        parts: dict[bool, list[float | None]] = {True: [], False: []}
        for source in call.signals:
            parts[self.wiring.graph.descends(source, start)].append(self.size(source))
        return alike(parts[True], parts[False], most)

    def size(self, place: int) -> float | None:
        """Returns the second moment of what a call of the wiring made; None where none was seen.

        Of an operation between layers it is seen where a layer takes its output.
        """
        recorded = {at: call for call, at in self.places.items()}
        if place in recorded:
            return self.calls[recorded[place]].output.second_moment
        if place in self.wiring.outputs:
            return self.outputs[self.wiring.outputs.index(place)]
        for taker in self.wiring.graph.consumers.get(place, ()):
            call = self.calls[recorded[taker]] if taker in recorded else None
            if call is not None and self.wiring.calls[taker].sources[:1] == (place,):
                return None if call.inputs is None else call.inputs.second_moment
        # An activation that is an operation: what comes out of it is of the same order.
        takers = self.wiring.graph.consumers.get(place, ())
        single = [i for i in takers if i not in recorded and i not in self._sums]
        return self.size(single[0]) if single else None

    @property
    def _sums(self) -> frozenset[int]:
        return frozenset(each.call for each in self.wiring.sums)


def draw(
    model: keras.Model, inputs: Any, calls: Sequence[Call], outputs: Sequence[float]
) -> Picture | None:
    """Returns the picture of a recorded run; None where the model cannot be traced."""
    try:
        found = wiring(model, inputs)
    except Exception:  # a model's own code may want real numbers
        return None
    by_layer: dict[int, list[int]] = defaultdict(list)
    for place, subject in enumerate(found.subjects):
        if isinstance(subject, keras.layers.Layer):
            by_layer[id(subject)].append(place)
    places: dict[int, int] = {}
    times: dict[int, int] = defaultdict(int)
    for index, call in enumerate(calls):
        known, time = by_layer.get(id(call.layer), []), times[id(call.layer)]
        times[id(call.layer)] += 1
        if time < len(known):
            places[index] = known[time]
    return Picture(found, calls, places, outputs)


def alike(own: Sequence[float | None], others: Sequence[float | None], most: float) -> bool:
    """Returns whether second moments are those of others, up to `most` in root mean square.

    So they are where there are no others.
    """
    if not others:
        return True
    known = [size for size in (*own, *others) if size is not None and math.isfinite(size)]
    if len(known) < len(own) + len(others):
        return False
    first, second = sum(known[: len(own)]), sum(known[len(own) :])
    return first / most**2 <= second <= first * most**2


def takes_scale_away(
    calls: Sequence[Call], normalizations: Sequence[int | None], most: float
) -> bool:
    """Returns whether normalizations set a scale anew, to a factor of `most` at least.

    What is far smaller than their epsilon stays small; that of such as were not recorded, None, is
    taken to be small enough.
    """
    return bool(normalizations) and all(
        index is None or _sets_scale(calls[index].layer, calls[index].inputs, most)
        for index in normalizations
    )


def _sets_scale(layer: Any, inputs: TensorStatistics | None, most: float) -> bool:
    if inputs is None:
        return True
    rms = isinstance(layer, keras.layers.RMSNormalization | keras.layers.UnitNormalization)
    return (inputs.second_moment if rms else inputs.std**2) > epsilon_of(layer) / most**2
