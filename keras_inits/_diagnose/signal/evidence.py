"""What a verdict is judged from."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import keras
from keras import ops

from keras_inits._diagnose.seen import picture
from keras_inits._diagnose.seen.calls import Call, Cut
from keras_inits._diagnose.seen.picture import Picture, alike, takes_scale_away
from keras_inits._diagnose.seen.statistics import JacobianReport, WeightReport
from keras_inits._diagnose.seen.traits import has_kernel
from keras_inits._diagnose.signal.thresholds import Thresholds
from keras_inits._layers.kinds import KEEPS_SCALE, Kind, kind
from keras_inits._reporting import Finding

# What a check yields: the index of a call, None where no layer is to blame, and what is wrong.
Found = Iterator[tuple[int | None, Finding]]

_STEP = 0.01  # of the entry that moves most


@dataclass(frozen=True)
class Evidence:
    """One pass forward and back.

    Attributes:
        model: the model.
        inputs: what it was given.
        calls: in the order in which they ended.
        needed: the calls without which nothing reaches one of the outputs, as bits.
        ends: the calls that made the model's outputs.
        cuts: the operations that hand no gradient back.
        weights: the model's trainable weights, by `id`.
        loss: None where a random cotangent went back.
        thresholds: where a figure becomes a verdict.
        outputs: second moments of the model's outputs.
        jacobian: of outputs by inputs; None where there is none.
        made_from: the calls that the outputs were computed from.
        again: does the pass once more, with the weights as they are by then; None where that
            cannot be done.
        gradients: of the trainable weights, by `id`; absent where nothing came back.
    """

    model: keras.Model
    inputs: Any
    calls: Sequence[Call]
    needed: int
    ends: Sequence[int]
    cuts: Sequence[Cut]
    weights: Mapping[int, WeightReport]
    loss: float | None
    thresholds: Thresholds
    outputs: Sequence[float] = ()
    jacobian: JacobianReport | None = None
    made_from: frozenset[int] = frozenset()
    again: Callable[[], "Evidence"] | None = None
    gradients: Mapping[int, Any] = field(default_factory=dict)

    @property
    def objective(self) -> float:
        """The loss, or without one the sum of the second moments of the outputs."""
        return sum(self.outputs) if self.loss is None else self.loss

    def with_weights(self, values: Sequence[tuple[Any, Any]]) -> "Evidence":
        """Returns one more pass with other values of some weights, which are put back."""
        assert self.again is not None
        kept = [(weight, ops.copy(weight.value)) for weight, _ in values]
        try:
            for weight, value in values:
                weight.assign(value)
            return self.again()
        finally:
            for weight, value in kept:
                weight.assign(value)

    def without(self, index: int) -> "Evidence":
        """Returns one more pass with other values of a call's weights."""
        weights = self.calls[index].layer.trainable_weights
        return self.with_weights([(w, 0.5 * w.value + 0.1) for w in weights])

    @cached_property
    def after_zeros(self) -> "Evidence | None":
        """One more pass, after a small step of all weights that are 0; None where none is to move.

        So much of what a first step changes is no matter of its size.
        """
        zeros = [
            (weight, gradient)
            for weight in self.model.trainable_weights
            if (gradient := self.gradients.get(id(weight))) is not None
            and self.weights[id(weight)].norm == 0 < self.weights[id(weight)].gradient_norm
        ]
        if self.again is None or not zeros:
            return None
        return self.with_weights([(w, -_STEP * g / ops.max(ops.abs(g))) for w, g in zeros])

    @cached_property
    def around(self) -> list[bool]:
        """Whether the signal reaches every output without each call, as around a branch."""
        return [not self.needed >> index & 1 for index in range(len(self.calls))]

    @cached_property
    def settled(self) -> list[bool]:
        """Whether what makes each call's output was frozen: kernels, and no weight that learns.

        A base that was trained before, say: no gradient is needed there, its sizes are meant, and
        remedies would leave it as it is.
        """
        frozen: list[bool] = []
        learns: list[bool] = []
        for index, call in enumerate(self.calls):
            before = [i for i in {*call.before, *call.made_from} if 0 <= i < index]
            own = call.layer.trainable_weights
            learns.append(bool(own) or any(learns[i] for i in before))
            frozen.append(has_kernel(call.layer) or any(frozen[i] for i in before))
        return [held and not taught for held, taught in zip(frozen, learns, strict=True)]

    @cached_property
    def picture(self) -> Picture | None:
        """How the model is wired; None where that cannot be traced."""
        return picture.draw(self.model, self.inputs, self.calls, self.outputs)

    def is_normalized(self, index: int, *, faded: bool = False) -> bool:
        """Returns whether normalizations take the scale of a call's output away, on every way.

        Args:
            index: the call.
            faded: whether its output is small. They then bring it back through functions that are
                linear near 0, too.
        """
        most = self.thresholds.growth
        if self.picture is not None and index in self.picture.places:
            find = self.picture.restoring if faded else self.picture.normalizations
            found = find(index, most)
        else:
            found = self._normalizations(index)
        return takes_scale_away(self.calls, found, most)

    def _normalizations(self, index: int) -> Sequence[int | None]:
        """Returns the same as `Picture.normalizations`, from the recorded calls alone."""
        found: list[int | None] = []
        for taker in self.leads_to[index]:
            call = self.calls[taker]
            if kind(call.layer) is Kind.NORMALIZATION:
                found.append(taker)
            elif kind(call.layer) in KEEPS_SCALE | {Kind.POOLING} or self._is_even(taker, index):
                behind = self._normalizations(taker)
                if not behind:
                    return []
                found += behind
            else:
                return []
        return found

    def _is_even(self, taker: int, index: int) -> bool:
        """Returns whether a call is a sum of one call's output and others of its size."""
        call = self.calls[taker]
        if not isinstance(call.layer, keras.layers.Add | keras.layers.Subtract):
            return False
        sizes = {i: self.calls[i].output.second_moment for i in call.before if i >= 0}
        own = [sizes.pop(index, None)]
        return alike(own, list(sizes.values()), self.thresholds.growth)

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

    def is_alive(self, index: int) -> bool:
        """Returns whether a gradient that is not 0 comes to a call."""
        gradient = self.calls[index].gradient
        # What is not finite is lost in another way, and found there.
        return gradient is not None and (not gradient.finite or gradient.second_moment > 0)

    def own_weights(self, index: int) -> list[WeightReport]:
        """Returns the trainable weights of a call's layer."""
        weights = self.calls[index].layer.trainable_weights
        return [self.weights[id(w)] for w in weights if id(w) in self.weights]
