"""The wiring of a model, held against the calls that were recorded of it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from keras_inits._diagnose.calls import Call
from keras_inits._diagnose.statistics import TensorStatistics
from keras_inits._wiring import Wiring, wiring


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

    def normalizations(self, index: int) -> list[int]:
        """Returns the recorded normalizations that take a call's scale away, on every way."""
        if index not in self.places:
            return []
        after = self.wiring.normalized_after(self.wiring.calls[self.places[index]])
        recorded = {place: call for call, place in self.places.items()}
        found = [recorded.get(each.index) for each in after]
        return [each for each in found if each is not None] if None not in found else []

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


def takes_scale_away(calls: Sequence[Call], normalizations: Sequence[int], most: float) -> bool:
    """Says whether normalizations set a scale anew, to a factor of `most` at least.

    What is far smaller than their epsilon stays small.
    """
    return bool(normalizations) and all(
        _sets_scale(calls[index].layer, calls[index].inputs, most) for index in normalizations
    )


def _sets_scale(layer: Any, inputs: TensorStatistics | None, most: float) -> bool:
    epsilon = getattr(layer, "epsilon", 0.0)
    if inputs is None or not isinstance(epsilon, float | int):
        return True
    rms = isinstance(layer, keras.layers.RMSNormalization | keras.layers.UnitNormalization)
    return (inputs.second_moment if rms else inputs.std**2) > epsilon / most**2
