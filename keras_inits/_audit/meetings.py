"""What the units of a kernel meet first, on every way from it."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal

from keras_inits._layers import OwnedWeight
from keras_inits._layers.kinds import Kind
from keras_inits._wiring import Call, Wiring

# Through these a unit goes as it is, or by a function of single values.
KEEP_UNITS = frozenset(
    {Kind.ACTIVATION, Kind.ELEMENTWISE, Kind.NORMALIZATION, Kind.SCALING, Kind.SHIFT, Kind.NOISE,
     Kind.RESHAPING, Kind.PADDING, Kind.UPSAMPLING, Kind.IDENTITY, Kind.ROTATION, Kind.POOLING,
     Kind.CONCATENATION, Kind.SUM, Kind.PRODUCT, Kind.PREPROCESSING, Kind.INPUT}
)  # fmt: skip
_SCALED = frozenset({Kind.NORMALIZATION, Kind.SCALING})
_BENDING = frozenset({Kind.ACTIVATION, Kind.ELEMENTWISE, Kind.PRODUCT})


@dataclass(frozen=True)
class Meeting:
    """What the units of a kernel meet on one way.

    Attributes:
        kind: `"output"` of the model; the next `"kernel"`; a `"table"` that makes logits; an
            `"other"` signal that they are multiplied by, or bent together with; `"factor"`s of
            their own; a `"merging"` of all units into one; `"noise"`; or what is `"unknown"`.
        weights: the paths of the variables of that; of another signal, of the kernels that make it.
        laid_out: whether the units lie at several places of it, by a change of shape.
        mixed: the paths of the kernels of other signals that were added on the way; `""` for an
            input of the model.
    """

    kind: Literal["output", "kernel", "table", "other", "factor", "merging", "noise", "unknown"]
    weights: tuple[str, ...] = ()
    laid_out: bool = False
    mixed: tuple[str, ...] = ()


def meetings(
    found: Wiring, call: Call, owned: OwnedWeight, at_output: Literal["output", "unknown"]
) -> Iterator[Meeting]:
    """Yields what the units of a kernel meet behind one call.

    Args:
        found: the wiring of the model.
        call: one that reads the kernel.
        owned: the kernel.
        at_output: what the end of the wiring is: of a layer that was audited by itself, what takes
            its outputs is not known.
    """
    if (inner := second_kernel(call, owned)) is not None:
        yield inner
    else:
        yield from _Walk(found, call.index, at_output).after(call.index, False, ())


def second_kernel(call: Call, owned: OwnedWeight) -> Meeting | None:
    """Returns the second kernel of a separable convolution, if this is the first."""
    if call.kind is not Kind.SEPARABLE or owned.weight.name != "depthwise_kernel":
        return None
    return Meeting("kernel", tuple(p for p in call.weights if "pointwise_kernel" in p))


class _Walk:
    """One walk from a kernel along the signals that it makes."""

    def __init__(self, found: Wiring, start: int, at_output: Literal["output", "unknown"]) -> None:
        self._found, self._graph, self._start = found, found.graph, start
        self._at_output: Literal["output", "unknown"] = at_output
        self._seen: set[tuple[int, bool]] = set()

    def after(self, index: int, laid_out: bool, mixed: tuple[str, ...]) -> Iterator[Meeting]:
        """Yields what is met behind a call.

        Args:
            index: the call.
            laid_out: whether the units lie at several places.
            mixed: the kernels of other signals that were added; `("",)` for a model's input.
        """
        if index in self._graph.outputs:
            yield Meeting(self._at_output)
        for following in self._graph.consumers.get(index, ()):
            if (following, laid_out) not in self._seen:
                self._seen.add((following, laid_out))
                yield from self._through(self._graph.calls[following], index, laid_out, mixed)

    def _through(
        self, call: Call, source: int, laid_out: bool, mixed: tuple[str, ...]
    ) -> Iterator[Meeting]:
        before = self._graph.calls[source].shape
        if call.kind is Kind.CUT or not call.carries:
            return
        if call.is_unknown:
            yield Meeting("unknown")
        elif call.backwards:
            yield Meeting("table", call.weights)
        elif call.is_map or call.kind in (Kind.RECURRENT, Kind.CELL):
            yield Meeting("kernel", _taking_input(call), laid_out, mixed)
        elif call.kind in (Kind.CONTRACTION, Kind.ATTENTION):
            if self._mixes_places(call, source):
                yield from self.after(call.index, laid_out, mixed)
            elif others := self._others(call):
                yield Meeting("other", self._made_by(others))
            else:
                yield Meeting("unknown")
        elif call.kind in KEEP_UNITS:
            yield from self._kept(call, before, laid_out, mixed)
        else:
            yield Meeting("unknown")

    def _kept(
        self, call: Call, before: tuple[int, ...], laid_out: bool, mixed: tuple[str, ...]
    ) -> Iterator[Meeting]:
        others = self._others(call) if call.kind in (Kind.SUM, Kind.PRODUCT) else ()
        bends = call.kind in _BENDING or call.type.lower() in ("maximum", "minimum")
        if bends and (others or mixed):
            yield Meeting("other", (*mixed, *self._made_by(others)))
            return
        last = (before or (0,))[-1], (call.shape or (0,))[-1]
        if call.kind is Kind.POOLING and (laid_out or last[0] != last[1]):
            # A mean over the units treats them alike; over places at which they lie, too.
            yield Meeting("unknown" if laid_out else "merging")
            return
        if call.kind in _SCALED and call.weights:
            yield Meeting("factor", call.weights)
        if call.kind is Kind.NOISE:
            yield Meeting("noise")
        moved = call.kind is Kind.RESHAPING and last[0] != last[1]
        added = self._made_by(others) if others else ()
        yield from self.after(call.index, laid_out or moved, (*mixed, *added))

    def _others(self, call: Call) -> tuple[int, ...]:
        """Returns the signals of a call that are not made of the units, and have as many."""
        return tuple(
            s
            for s in dict.fromkeys(call.signals)
            if not self._graph.descends(s, self._start)
            and (s < 0 or self._graph.calls[s].shape[-1:] != (1,))
        )

    def _made_by(self, sources: Collection[int]) -> tuple[str, ...]:
        """Returns the kernels that make some signals; `""` for an input of the model."""
        found: list[str] = []
        for source in sources:
            behind = self._graph.behind(source, _makes)
            paths = [path for i in behind for path in self._graph.calls[i].weights]
            found += paths or [""]
        return tuple(dict.fromkeys(found))

    def _mixes_places(self, call: Call, source: int) -> bool:
        """Returns whether a product of signals is the mean of values under weights of a softmax."""
        if call.kind is Kind.ATTENTION:
            return len(call.signals) > 2 and source == call.signals[2] not in call.signals[:2]
        others = [s for s in call.signals if s != source and s >= 0]
        return bool(others) and all(self._is_weight(s) for s in others)

    def _is_weight(self, source: int) -> bool:
        behind = self._graph.behind(
            source, lambda c: c.is_map or c.activation.lower() == "softmax" or c.type == "Softmax"
        )
        return bool(behind) and not any(self._graph.calls[i].is_map for i in behind)


def _makes(call: Call) -> bool:
    """Returns whether a call makes units of its own: no normalization, which keeps them."""
    return call.is_map or (bool(call.weights) and call.kind not in _SCALED)


def _taking_input(call: Call) -> tuple[str, ...]:
    """Returns the kernels of a call that its input meets: no bias, no recurrent kernel."""
    kernels = [
        p for p in call.weights if not p.split("#")[0].endswith(("bias", "recurrent_kernel"))
    ]
    first = [p for p in kernels if "depthwise_kernel" in p]
    return tuple(first if call.kind is Kind.SEPARABLE and first else kernels)
