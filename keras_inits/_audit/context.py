"""What stands around the kernels of a model, read off its wiring."""

import functools
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np

from keras_inits._errors import InputError
from keras_inits._layers import OwnedWeight
from keras_inits._layers.kinds import Kind, is_a
from keras_inits._wiring import Call, Wiring, wiring
from keras_inits._wiring.tracing import variables_of

# Through these a unit goes as it is, or by a function of single values.
_KEEP_UNITS = frozenset(
    {Kind.ACTIVATION, Kind.ELEMENTWISE, Kind.NORMALIZATION, Kind.SCALING, Kind.SHIFT, Kind.NOISE,
     Kind.RESHAPING, Kind.PADDING, Kind.UPSAMPLING, Kind.IDENTITY, Kind.ROTATION, Kind.POOLING,
     Kind.CONCATENATION, Kind.SUM, Kind.PRODUCT, Kind.PREPROCESSING, Kind.INPUT}
)  # fmt: skip
_BENDING = frozenset({Kind.ACTIVATION, Kind.ELEMENTWISE, Kind.PRODUCT})
# f(a x) = a f(x) for a > 0: the scale of what comes in is the scale of what goes out.
_HOMOGENEOUS = frozenset({"", "linear", "relu", "leaky_relu", "ReLU", "LeakyReLU", "PReLU", "abs"})
_KEEP_FACTOR = frozenset(
    {Kind.RESHAPING, Kind.PADDING, Kind.UPSAMPLING, Kind.IDENTITY, Kind.ROTATION, Kind.NOISE,
     Kind.POOLING, Kind.SCALING, Kind.SHIFT, Kind.CONCATENATION}
)  # fmt: skip


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


@dataclass(frozen=True)
class Context:
    """What stands around a kernel.

    Attributes:
        alone: whether the layer was audited by itself, so that nothing is known of the rest.
        meetings: what its units meet, one for each way; empty if no call of it was seen.
        activation: what its units go through first; None for none, or for what is not known.
        normalized: whether a normalization takes its scale away on each way.
        normalized_later: whether each way to an output passes some normalization, so that a small
            signal becomes a large one again.
        on_branch: whether all that it makes is added to a signal that goes on without it.
        silenced: whether all that it makes meets a learned factor of 0 first, and alone.
        is_table: whether it is the table of an embedding.
        is_branch_end: whether it is the last kernel of such a branch.
        steps: of a recurrent layer the length of the sequence; else 0.
    """

    alone: bool = False
    meetings: tuple[Meeting, ...] = ()
    activation: Any = None
    normalized: bool = False
    normalized_later: bool = False
    on_branch: bool = False
    silenced: bool = False
    is_table: bool = False
    is_branch_end: bool = False
    steps: int = 0

    @property
    def is_head(self) -> bool:
        """Whether the units are outputs of the model and nothing else."""
        return bool(self.meetings) and all(m.kind in ("output", "noise") for m in self.meetings)


class Surroundings:
    """The contexts of all kernels of a model.

    Args:
        model: what is audited.

    Attributes:
        wiring: that of the model; None if it could not be traced.
        problem: why it could not be traced; else empty.
        is_net: whether the model has several layers, so that there is something to know.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self.is_net = not is_a(model, Kind.RECURRENT) and len(model._flatten_layers()) > 1
        self.wiring: Wiring | None = None
        self.problem = ""
        # These divide a kernel by its largest singular value at each call in training.
        self._normed = {
            id(one.layer)
            for one in model._flatten_layers()
            if isinstance(one, keras.layers.SpectralNormalization)
        }
        try:
            self.wiring = wiring(model)
        except InputError as error:
            self.problem = str(error)

    def of(self, owned: OwnedWeight) -> Context:
        """Returns the context of a kernel."""
        own = getattr(owned.layer, "activation", None)
        alone = owned.layer is self._model
        table = is_a(owned.layer, Kind.EMBEDDING)
        calls = () if self.wiring is None else self.wiring.of(owned.weight)
        if self.wiring is None or not calls or any(c.is_unknown for c in calls):
            return Context(alone=alone, activation=own, is_table=table)
        found = self.wiring
        meetings: dict[Meeting, None] = {}
        for call in calls:
            inner = _inner(call, owned)
            meetings |= dict.fromkeys([inner] if inner else self._meetings(call))
        (first, *_) = calls
        return Context(
            alone=alone,
            meetings=tuple(meetings),
            activation=None if inner else self._activation(first, own),
            normalized=id(owned.layer) in self._normed
            or all(_is_normalized(found, c) for c in calls),
            normalized_later=all(c.index in self._normalized_later for c in calls),
            on_branch=all(c.index in self._on_branches for c in calls),
            silenced=not keras.ops.any(owned.weight.value)
            and all(self._is_silenced(c, self._made_of_zeros(c)) for c in calls),
            is_table=table,
            is_branch_end=any(c.index in self._branch_ends for c in calls),
            steps=_steps(found, first),
        )

    def _activation(self, call: Call, own: Any) -> Any:
        assert self.wiring is not None
        if call.kind in (Kind.RECURRENT, Kind.CELL):
            return own
        # Of one number a softmax makes nothing: what counts are its logits.
        if self.wiring.activation_after(call).activation.lower().endswith("softmax"):
            return keras.activations.softmax
        return self.wiring.activation_function(call)

    def _is_silenced(self, call: Call, made: Any) -> bool:
        """Says whether each way from a call comes to a factor of 0 whose gradient is 0 too.

        Args:
            call: whose kernel is 0; nothing else goes into the factor.
            made: what it puts out; None if that is not known. A learned factor gets a gradient if
                it is not 0. A normalization takes a constant away.
        """
        assert self.wiring is not None
        following = [self.wiring.calls[i] for i in self.wiring.graph.consumers.get(call.index, ())]
        return call.index not in self.wiring.graph.outputs and bool(following) and all(
            len(set(one.signals)) == 1
            and (
                (
                    self._is_zero_factor(one)
                    and (one.kind is Kind.NORMALIZATION or _is_zero(made))
                )
                or (
                    one.kind in _KEEP_UNITS
                    and self._is_silenced(one, self._made(one, made))
                )
            )
            for one in following
        )  # fmt: skip

    def _made_of_zeros(self, call: Call) -> Any:
        """Returns what a call makes of zeros, and of all else if its kernel is 0; None: unknown."""
        assert self.wiring is not None
        shapes = self.wiring.shapes_into(call)
        if len(shapes) != 1:
            return None
        return self._made(call, np.zeros([size or 1 for size in shapes[0]], "float32"))

    def _made(self, call: Call, value: Any) -> Any:
        assert self.wiring is not None
        try:
            return None if value is None else self.wiring.computed((call.index,), value)
        except Exception:  # whatever a layer says of a size that is open: it is not judged
            return None

    def _is_zero_factor(self, call: Call) -> bool:
        assert self.wiring is not None
        if call.kind not in (Kind.SCALING, Kind.NORMALIZATION) or not call.weights:
            return False
        weights = [w for w in variables_of(self.wiring.step(call)) if w.path in call.weights]
        factors = [w for w in weights if w.name in ("gamma", "scale")]
        if call.kind is Kind.SCALING and not factors:
            factors = weights
        return bool(factors) and all(not keras.ops.any(w.value) for w in factors)

    @functools.cached_property
    def _on_branches(self) -> frozenset[int]:
        assert self.wiring is not None
        branches = {i for s in self.wiring.sums for b in s.branches for i in b.calls}
        # And what goes nowhere else: of an attention to another signal, keys and values.
        return self._leading(lambda call: call.index in branches) | branches

    @functools.cached_property
    def _normalized_later(self) -> frozenset[int]:
        assert self.wiring is not None
        return self._leading(self.wiring.normalizes)

    def _leading(self, is_end: Callable[[Call], bool]) -> frozenset[int]:
        """Returns the calls from which each way to an output passes one of some calls."""
        assert self.wiring is not None
        graph = self.wiring.graph
        found: set[int] = set()
        for call in reversed(graph.calls):
            following = [graph.calls[i] for i in graph.consumers.get(call.index, ())]
            following = [one for one in following if one.carries]
            passed = all(one.index in found or is_end(one) for one in following)
            if following and passed and call.index not in graph.outputs:
                found.add(call.index)
        return frozenset(found)

    @functools.cached_property
    def _branch_ends(self) -> frozenset[int]:
        sums = () if self.wiring is None else self.wiring.sums
        return frozenset(b.kernel for s in sums for b in s.branches if b.kernel is not None)

    def _meetings(self, call: Call) -> Iterator[Meeting]:
        """Yields what the outputs of a call meet first, on every way."""
        assert self.wiring is not None
        # Of a layer that was audited by itself, what takes its outputs is not known.
        outputs = isinstance(self._model, keras.Model)
        walk = _Walk(self.wiring, call.index, "output" if outputs else "unknown")
        yield from walk.after(call.index, False, ())


def _is_zero(value: Any) -> bool:
    return keras.ops.is_tensor(value) and not keras.ops.any(value)


def _inner(call: Call, owned: OwnedWeight) -> Meeting | None:
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
        elif call.kind in _KEEP_UNITS:
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
        if call.kind in (Kind.NORMALIZATION, Kind.SCALING) and call.weights:
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
            behind = self._graph.behind(source, lambda c: c.is_map or bool(c.weights))
            paths = [path for i in behind for path in self._graph.calls[i].weights]
            found += paths or [""]
        return tuple(dict.fromkeys(found))

    def _mixes_places(self, call: Call, source: int) -> bool:
        """Says whether a product of signals is the mean of values under weights of a softmax."""
        if call.kind is Kind.ATTENTION:
            return len(call.signals) > 2 and source == call.signals[2] not in call.signals[:2]
        others = [s for s in call.signals if s != source and s >= 0]
        return bool(others) and all(self._is_weight(s) for s in others)

    def _is_weight(self, source: int) -> bool:
        behind = self._graph.behind(
            source, lambda c: c.is_map or c.activation.lower() == "softmax" or c.type == "Softmax"
        )
        return bool(behind) and not any(self._graph.calls[i].is_map for i in behind)


def _taking_input(call: Call) -> tuple[str, ...]:
    """Returns the kernels of a call that its input meets: no bias, no recurrent kernel."""
    kernels = [
        p for p in call.weights if not p.split("#")[0].endswith(("bias", "recurrent_kernel"))
    ]
    first = [p for p in kernels if "depthwise_kernel" in p]
    return tuple(first if call.kind is Kind.SEPARABLE and first else kernels)


def _is_normalized(found: Wiring, call: Call) -> bool:
    """Says whether each way from a call passes a normalization that takes its scale away."""
    known: dict[int, bool] = {}

    def all_ways(at: Call) -> bool:
        if at.index in found.graph.outputs or at.activation not in _HOMOGENEOUS:
            return False
        following = [found.calls[i] for i in found.graph.consumers.get(at.index, ())]
        following = [one for one in following if one.kind is not Kind.CUT]
        return bool(following) and all(passes(one) for one in following)

    def passes(one: Call) -> bool:
        if one.index not in known:
            known[one.index] = False
            known[one.index] = found.normalizes(one) or (
                _keeps_factor(found, one, call.index) and all_ways(one)
            )
        return known[one.index]

    return all_ways(call)


def _keeps_factor(found: Wiring, one: Call, start: int) -> bool:
    if one.is_unknown:
        return False
    if one.kind is Kind.SUM:  # a stream and its branches
        return all(found.graph.descends(s, start) for s in one.signals)
    frozen = one.kind is Kind.NORMALIZATION  # as far as it comes here
    return one.is_map or frozen or one.kind in _KEEP_FACTOR or one.kind is Kind.ACTIVATION


def _steps(found: Wiring, call: Call) -> int:
    """Returns the length of the sequence that a recurrent call goes through."""
    if call.kind is not Kind.RECURRENT or not call.signals or call.signals[0] < 0:
        shape: Any = ()
        if call.kind is Kind.RECURRENT:
            shape = getattr(found.subjects[call.index], "input_spec", None)
            shape = getattr((shape or [None])[0] if isinstance(shape, list) else shape, "shape", ())
        return int(shape[1]) if shape and len(shape) > 2 and shape[1] else 0
    shape = found.calls[call.signals[0]].shape
    return int(shape[1]) if len(shape) > 2 else 0
