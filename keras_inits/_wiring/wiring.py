"""`wiring`: the picture of a model, and the answers that it gives."""

import functools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
from rich.console import RenderableType
from rich.table import Table

from keras_inits._errors import InputError
from keras_inits._layers import owned_weights
from keras_inits._layers.activations import activation_name, activation_of_operation
from keras_inits._layers.kinds import Kind
from keras_inits._reporting import Report
from keras_inits._wiring import views
from keras_inits._wiring.attention import Attention, find_attentions
from keras_inits._wiring.following import Following, find_following, find_normalizations
from keras_inits._wiring.graph import Call, Graph
from keras_inits._wiring.inputs import symbolic_inputs
from keras_inits._wiring.operations import description
from keras_inits._wiring.streams import Stream, Sum, find_streams
from keras_inits._wiring.tracing import Step, Trace

_NOT_SEEN = frozenset({Kind.UNKNOWN, Kind.FOREIGN})


@dataclass(frozen=True, eq=False)
class Wiring(Report):
    """How a model is wired: its calls, and the streams that they make.

    Calls are named by their index in `calls`; -1 is the model's first input, -2 the second.

    Attributes:
        model: its name.
        calls: every call of a layer and every operation between layers, in the order of the run.
        inputs: the names of the model's inputs.
        outputs: for each output the call that made it, or an input.
        sums: the places where branches are added to a stream, in order.
        streams: the signals that branches are added to.
        attentions: the projections of each attention.
        subjects: for each call the layer or operation itself; not in JSON.
    """

    model: str
    calls: tuple[Call, ...]
    inputs: tuple[str, ...]
    outputs: tuple[int, ...]
    sums: tuple[Sum, ...]
    streams: tuple[Stream, ...]
    attentions: tuple[Attention, ...]
    subjects: tuple[Any, ...] = field(default=(), metadata={"json": False}, repr=False)
    _steps: tuple[Step, ...] = field(default=(), metadata={"json": False}, repr=False)

    @functools.cached_property
    def graph(self) -> Graph:
        """The calls as a graph: consumers, ancestors, what lies between."""
        return Graph(self.calls, self.outputs)

    @property
    def maps(self) -> tuple[Call, ...]:
        """The calls with a kernel."""
        return tuple(call for call in self.calls if call.is_map)

    @property
    def unknown(self) -> tuple[Call, ...]:
        """The calls that are not understood: nothing is said of what goes through them."""
        return tuple(c for c in self.calls if (c.kind in _NOT_SEEN or c.problem) and c.carries)

    @property
    def cuts(self) -> tuple[Call, ...]:
        """The calls that take a signal and let no gradient back: rounding, comparisons, ..."""
        return tuple(call for call in self.calls if call.kind is Kind.CUT and call.signals)

    @property
    def embeddings(self) -> tuple[Call, ...]:
        """The lookups in tables; `tied` says which of them make logits too."""
        return tuple(c for c in self.calls if c.kind is Kind.EMBEDDING and not c.backwards)

    @functools.cached_property
    def heads(self) -> tuple[Call, ...]:
        """The last kernels before the outputs, with no normalization and no sum between."""
        found: dict[int, Call] = {}
        open_ = [output for output in self.outputs if output >= 0]
        while open_:
            call = self.calls[open_.pop()]
            if call.is_map:
                found[call.index] = call
            elif call.kind is Kind.CONCATENATION:
                open_ += [s for s in call.signals if s >= 0]
            elif call.kind is not Kind.NORMALIZATION and len(set(call.signals)) == 1:
                open_ += [s for s in call.signals[:1] if s >= 0]
        return tuple(found[index] for index in sorted(found))

    def of(self, thing: Any) -> tuple[Call, ...]:
        """Returns the calls of a layer, or those that read a weight.

        Args:
            thing: a layer, a variable, or the path of a variable or of a call.
        """
        if isinstance(thing, str):
            return tuple(c for c in self.calls if c.path == thing or thing in c.weights)
        if isinstance(thing, keras.Variable):
            return tuple(self.calls[i] for i in self._readers.get(id(thing), ()))
        return tuple(c for c, subject in zip(self.calls, self.subjects, strict=True)
                     if subject is thing)  # fmt: skip

    @functools.cached_property
    def _readers(self) -> dict[int, list[int]]:
        readers: dict[int, list[int]] = {}
        for index, step in enumerate(self._steps):
            for variable in _variables(step):
                readers.setdefault(id(variable), []).append(index)
        return readers

    def activation_after(self, call: Call) -> Following:
        """Returns the activation that a call's output meets first, and what lies between."""
        return find_following(self.graph, call)

    def normalized_after(self, call: Call) -> tuple[Call, ...]:
        """Returns the normalizations behind a kernel that take its scale away on every way.

        Empty if on some way its scale reaches the output.
        """
        return tuple(self.calls[i] for i in find_normalizations(self.graph, call))

    def sum_of(self, call: Call) -> Sum | None:
        """Returns the sum whose branch or shortcut a call lies on, the innermost of them."""
        around = [
            each
            for each in self.sums
            if any(call.index in way.calls for way in (each.shortcut, *each.branches))
        ]
        return min(around, key=lambda each: each.call - each.fork, default=None)

    def passed(self, call: Call) -> int:
        """Returns how many sums the stream has passed that a call takes its signal from."""
        return self._places[call.index][1]

    def stream_of(self, call: Call) -> Stream | None:
        """Returns the stream that a call takes its signal from, or None before the first."""
        stream = self._places[call.index][0]
        return None if stream is None else self.streams[stream]

    @functools.cached_property
    def _places(self) -> list[tuple[int | None, int]]:
        starts = {stream.start: index for index, stream in enumerate(self.streams)}
        sums = {each.call: each for each in self.sums}
        places: list[tuple[int | None, int]] = []
        for call in self.calls:
            if call.index in starts:
                places.append((starts[call.index], 0))
            elif call.index in sums:
                places.append((sums[call.index].stream, sums[call.index].place + 1))
            else:
                known = [places[s] if s >= 0 else (starts.get(s), 0) for s in call.signals]
                # Of several signals the one that has come furthest.
                places.append(max(known, key=lambda p: (p[0] is not None, p[0] or 0, p[1]),
                                  default=(None, 0)))  # fmt: skip
        return places

    def attention_role(self, call: Call) -> str:
        """Returns `"query"`, `"key"`, `"value"`, `"out"`, several joined by `+`, or nothing."""
        roles = dict.fromkeys(
            role
            for attention in self.attentions
            for role in ("query", "key", "value", "out")
            if getattr(attention, role) == call.index
        )
        return "+".join(roles)

    def tied(self, call: Call) -> bool:
        """Returns whether the table of an embedding is read by another call as a kernel."""
        others = [c for c in self.calls if c.is_map and c.index != call.index]
        return any(set(call.weights) & set(other.weights) for other in others)

    def heading(self) -> str:
        """Returns one line: the model and how much of what it has."""
        return views.heading(self)

    def table(self) -> Table:
        """Returns a row for each kernel and each sum."""
        return views.table(self)

    def parts(self) -> Iterator[RenderableType]:
        """Yields the heading, the streams, the table, and what is not understood."""
        yield from views.parts(self)


def wiring(model: keras.Model, inputs: Any = None) -> Wiring:
    """Returns how a model is wired: its calls, streams, sums, branches, attentions and heads.

    The model is run once on symbolic tensors. No number is computed, on no backend, and the model
    stays as it is. Layers that hold others, custom ones too, are looked into; where that fails, the
    call says why in `problem`.

    Args:
        model: a built model or layer: functional, Sequential, nested or subclassed.
        inputs: what the model takes, as shapes, arrays or `keras.KerasTensor`s, in the structure
            that it takes them in; a dict of keyword arguments if it takes several. None asks the
            model; a subclassed model knows the shapes that it was built for, and is taken to want
            real numbers.

    Returns:
        A `Wiring`. Sizes that the model leaves open, such as the batch, are set to some number.

    Raises:
        InputError: the model is not built, does not say what it takes, or does not run.

    >>> x = inputs = keras.Input((8,))
    >>> x = x + keras.layers.Dense(8, name="out")(keras.layers.Dense(16, "relu")(x))
    >>> found = wiring(keras.Model(inputs, x))
    >>> [found.calls[end].path for end in found.sums[0].branch_ends]
    ['out']
    """
    if not isinstance(model, keras.layers.Layer) or not model.built:
        raise InputError(
            "`model` must be a built Keras model or layer: call it on data, or `model.build(...)`, "
            f"first. Received: model={model!r}"
        )
    trace, tensors = _traced(model, inputs)
    paths = {id(owned.weight): owned.path for owned in owned_weights(model)}
    names: Counter[str] = Counter()
    calls = tuple(_call(i, step, paths, names) for i, step in enumerate(trace.steps))
    graph = Graph(calls, tuple(trace.outputs))
    sums, streams = find_streams(graph)
    return Wiring(
        model=model.name,
        calls=calls,
        inputs=tuple(str(tensor.name) for tensor in tensors),
        outputs=graph.outputs,
        sums=sums,
        streams=streams,
        attentions=find_attentions(graph),
        subjects=tuple(step.subject for step in trace.steps),
        _steps=tuple(trace.steps),
    )


def _traced(model: Any, inputs: Any) -> tuple[Trace, list[Any]]:
    """Returns the run in which the least is not understood, among a few sizes of what is open."""
    best: Trace | None = None
    failure: Exception | None = None
    for arguments, named in symbolic_inputs(model, inputs):
        try:
            trace = Trace().run(model, arguments, named)
        except Exception as error:  # whatever the model says of a size that does not fit
            failure = failure or error
            continue
        if best is None or _problems(trace) < _problems(best):
            best = trace
        if not _problems(trace):
            break
    if best is None:
        raise InputError(
            f"The model {model.name!r} does not run on symbolic tensors: {failure} "
            "Give `inputs`: the shapes that it takes, or example arrays."
        ) from failure
    return best, best.inputs


def _problems(trace: Trace) -> int:
    return sum(bool(step.problem) for step in trace.steps)


def _call(index: int, step: Step, paths: dict[int, str], names: Counter[str]) -> Call:
    names[step.path] += 1
    times = names[step.path]
    layer = isinstance(step.subject, keras.layers.Layer)
    return Call(
        index=index,
        path=step.path if times == 1 else f"{step.path}:{times}",
        kind=step.kind,
        type=type(step.subject).__name__ if layer else description(step.subject),
        sources=step.sources,
        signals=step.signals,
        shape=tuple(int(size or 0) for size in step.shape),
        weights=tuple(paths[id(v)] for v in _variables(step) if id(v) in paths),
        activation=_activation(step),
        over_time=step.over_time,
        backwards=step.kind is Kind.EMBEDDING and bool(step.arguments[1].get("reverse")),
        carries=step.carries,
        problem=step.problem,
    )


def _variables(step: Step) -> list[Any]:
    if isinstance(step.subject, keras.layers.Layer):
        return [w for w in step.subject.weights if keras.backend.is_float_dtype(w.dtype)]
    leaves = keras.tree.flatten(step.arguments)
    return [leaf for leaf in leaves if isinstance(leaf, keras.Variable)]


def _activation(step: Step) -> str:
    """Returns the name of the activation that a step applies; empty for none or a linear one."""
    if step.kind is Kind.ACTIVATION and not isinstance(step.subject, keras.layers.Layer):
        return activation_name(activation_of_operation(step.subject))
    own = getattr(step.subject, "activation", None)
    if own is None and step.kind is Kind.ACTIVATION:
        own = step.subject
    callable_ = callable(own) and own is not keras.activations.linear
    return activation_name(own) if callable_ else ""
