"""A model as the graph of its calls: plain data, and the questions that need only the graph."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from keras_inits._layers.kinds import KEEPS_SCALE, KERNELS, Kind


@dataclass(frozen=True)
class Call:
    """One call of one layer, or one operation between layers.

    Attributes:
        index: its place in the order of the run.
        path: the names of the layers around it and its own; numbered if it is called again.
        kind: what it does.
        type: the class of the layer (of an activation, pooling or merging layer that is derived
            from Keras's, the class of that), or the function of `keras.ops`.
        sources: for each tensor that it takes the index of the call that made it, or -1 for the
            model's first input, -2 for the second, and so on.
        signals: those of them that a gradient goes through.
        shape: of its first output. Sizes that the model leaves open are those of the run.
        weights: the paths of the variables that it reads.
        activation: the name of the layer's own activation; empty if it has none or a linear one.
        over_time: whether it runs once for each step of a sequence, in a TimeDistributed.
        backwards: whether it is an embedding called with `reverse=True`, which makes logits.
        carries: whether a gradient comes through it.
        problem: why it could not be looked into, where it should have been.
    """

    index: int
    path: str
    kind: Kind
    type: str
    sources: tuple[int, ...]
    signals: tuple[int, ...]
    shape: tuple[int, ...]
    weights: tuple[str, ...] = ()
    activation: str = ""
    over_time: bool = False
    backwards: bool = False
    carries: bool = True
    problem: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", Kind(self.kind))  # a string where JSON was read

    @property
    def is_map(self) -> bool:
        """Whether it has a kernel: a sum over inputs, weighted."""
        return self.kind in KERNELS or self.backwards

    @property
    def is_unknown(self) -> bool:
        """Whether it is not understood: nothing is known of what goes through it."""
        return self.kind in (Kind.UNKNOWN, Kind.FOREIGN) or bool(self.problem)


# Through these a signal comes out as one value for each that went in, times a factor at most.
PASSED = KEEPS_SCALE | {Kind.POOLING, Kind.SHIFT, Kind.PREPROCESSING}


@dataclass(frozen=True)
class Graph:
    """The calls of a model and what follows from their order.

    Attributes:
        calls: all of them, in the order of the run.
        outputs: for each output of the model the call that made it, or an input.
    """

    calls: tuple[Call, ...]
    outputs: tuple[int, ...]

    @functools.cached_property
    def consumers(self) -> Mapping[int, tuple[int, ...]]:
        """For each call and input the calls that its signal goes to, in order, each once.

        Where one of them reaches an output, those that do not are left out: a cache of keys and
        values, say, that is not handed on.
        """
        found: dict[int, list[int]] = {}
        for call in self.calls:
            for source in dict.fromkeys(call.signals):
                found.setdefault(source, []).append(call.index)
        live = set(self.outputs)
        for call in reversed(self.calls):
            if call.index in live:
                live.update(call.signals)
        return {
            source: tuple(i for i in calls if i in live) or tuple(calls)
            for source, calls in found.items()
        }

    @functools.cached_property
    def _ancestors(self) -> list[int]:
        # One bit for each call and input, so that sets of ancestors are numbers.
        masks: list[int] = []
        for call in self.calls:
            mask = self._bit(call.index)
            for source in call.signals:
                mask |= masks[source] if source >= 0 else self._bit(source)
            masks.append(mask)
        return masks

    def _bit(self, source: int) -> int:
        return 1 << (source if source >= 0 else len(self.calls) - 1 - source)

    def ancestors(self, source: int) -> int:
        """Returns the calls and inputs that a signal comes from, itself too, as a set of bits."""
        return self._ancestors[source] if source >= 0 else self._bit(source)

    def descends(self, source: int, ancestor: int) -> bool:
        """Returns whether the signal of `ancestor` goes into `source`, or is it."""
        return bool(self.ancestors(source) & self._bit(ancestor))

    def comes_from(self, source: int, ancestor: int) -> bool:
        """Returns whether all of a signal goes through `ancestor`, or is known before."""
        reached = self.ancestors(source) & ~self.ancestors(ancestor)
        return reached.bit_count() == len(self.between(ancestor, source))

    def last_common(self, sources: Sequence[int]) -> int | None:
        """Returns the last call, or else input, that all of these signals come from."""
        common = functools.reduce(lambda a, b: a & b, map(self.ancestors, sources))
        calls = common & ((1 << len(self.calls)) - 1)
        if calls:
            return calls.bit_length() - 1
        inputs = common >> len(self.calls)
        return -inputs.bit_length() if inputs else None

    def between(self, ancestor: int, source: int) -> tuple[Call, ...]:
        """Returns the calls on the ways from `ancestor`, which is left out, to `source`."""
        reached = self.ancestors(source) & ~self.ancestors(ancestor)
        return tuple(
            self.calls[i] for i in _bits(reached, len(self.calls)) if self.descends(i, ancestor)
        )

    def behind(self, source: int, stop: Callable[[Call], bool]) -> tuple[int, ...]:
        """Returns the nearest calls up to `source` at which `stop` is true, on every way."""
        found, seen, open_ = [], set[int](), [source]
        while open_:
            at = open_.pop()
            if at < 0 or at in seen:
                continue
            seen.add(at)
            if stop(self.calls[at]):
                found.append(at)
            else:
                open_ += self.calls[at].signals
        return tuple(sorted(found))

    def main_source(self, call: Call) -> int | None:
        """Returns where a call's signal comes from; None if from several places, or nowhere.

        A product of a signal and a gate that is computed from it (Hu et al. 2018, squeeze and
        excitation) has that signal as its main source.
        """
        sources = tuple(dict.fromkeys(call.signals))
        if len(sources) == 1:
            return sources[0]
        if call.kind is Kind.PRODUCT and len(sources) == 2:
            for one, other in (sources, sources[::-1]):
                if self.descends(other, one):
                    return one
        return None


def _bits(mask: int, limit: int) -> Iterator[int]:
    mask &= (1 << limit) - 1
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
