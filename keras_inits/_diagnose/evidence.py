"""What a verdict is judged from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import keras

from keras_inits._diagnose.calls import Call, Cut
from keras_inits._diagnose.report import WeightReport
from keras_inits._diagnose.thresholds import Thresholds


@dataclass(frozen=True)
class Evidence:
    """One pass forward and back.

    Attributes:
        model: the model.
        calls: in the order in which they ended.
        around: whether the signal has a way around each.
        ends: the calls that made the model's outputs.
        cuts: the operations that hand no gradient back.
        weights: the model's trainable weights, by `id`.
        loss: None where a random cotangent went back.
        thresholds: where a figure becomes a verdict.
    """

    model: keras.Model
    calls: Sequence[Call]
    around: Sequence[bool]
    ends: Sequence[int]
    cuts: Sequence[Cut]
    weights: Mapping[int, WeightReport]
    loss: float | None
    thresholds: Thresholds

    @cached_property
    def consumers(self) -> list[list[int]]:
        """For each call, the calls that take its output directly."""
        found: list[list[int]] = [[] for _ in self.calls]
        for index, call in enumerate(self.calls):
            for source in () if call.composite else call.sources:
                if source >= 0:
                    found[source].append(index)
        return found

    @cached_property
    def leads_to(self) -> list[list[int]]:
        """For each call, the calls that were computed from it, directly or through operations."""
        found: list[list[int]] = [[] for _ in self.calls]
        for index, call in enumerate(self.calls):
            for source in {*call.made_from, *(() if call.composite else call.before)}:
                if 0 <= source != index:
                    found[source].append(index)
        return found

    def own_weights(self, index: int) -> list[WeightReport]:
        """Returns the trainable weights of a call's layer."""
        weights = self.calls[index].layer.trainable_weights
        return [self.weights[id(w)] for w in weights if id(w) in self.weights]
