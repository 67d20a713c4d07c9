"""`Wiring`: the picture of a model, and the answers that it gives."""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
from rich.console import RenderableType
from rich.table import Table

from keras_inits._checks import instance
from keras_inits._layers.kinds import Kind
from keras_inits._reporting import Report
from keras_inits._wiring import views
from keras_inits._wiring.attention import Attention
from keras_inits._wiring.following import Following, find_following, find_normalizations
from keras_inits._wiring.graph import Call, Graph
from keras_inits._wiring.homogeneity import find_free_of_scale
from keras_inits._wiring.steps import Step, replayed, signals_of, variables_of
from keras_inits._wiring.streams import Stream, Sum


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

    >>> import keras
    >>> import keras_inits
    >>> x = inputs = keras.Input((8,))
    >>> x = x + keras.layers.Dense(8, name="out")(keras.layers.Dense(16, "relu", name="in")(x))
    >>> found = keras_inits.wiring(keras.Model(inputs, x))
    >>> len(found.sums), len(found.streams), [call.path for call in found.calls if call.is_map]
    (1, 1, ['in', 'out'])
    """

    model: str
    calls: tuple[Call, ...]
    inputs: tuple[str, ...]
    outputs: tuple[int, ...]
    sums: tuple[Sum, ...]
    streams: tuple[Stream, ...]
    attentions: tuple[Attention, ...]
    _steps: tuple[Step, ...] = field(default=(), metadata={"json": False}, repr=False)
    _scopes: tuple[tuple[Any, int, int], ...] = field(
        default=(), metadata={"json": False}, repr=False
    )

    @functools.cached_property
    def subjects(self) -> tuple[Any, ...]:
        """For each call the layer or operation itself; none in a wiring read from JSON."""
        return tuple(step.subject for step in self._steps)

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
        return tuple(call for call in self.calls if call.is_unknown and call.carries)

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
            thing: a layer, a variable, or the path of a call or of a variable. A layer that holds
                others has their calls. A wiring read from JSON knows paths alone.
        """
        if isinstance(thing, str):
            return tuple(
                call
                for call in self.calls
                if call.path == thing or thing in call.weights or call.path.startswith(f"{thing}/")
            )
        if isinstance(thing, keras.Variable):
            return tuple(self.calls[i] for i in self._readers.get(id(thing), ()))
        inside = [range(first, last) for layer, first, last in self._scopes if layer is thing]
        return tuple(
            call
            for call, subject in zip(self.calls, self.subjects, strict=False)
            if subject is thing or any(call.index in each for each in inside)
        )

    def around(self, calls: Sequence[int]) -> Any:
        """Returns the innermost layer inside which all of some calls run; None if there is none."""
        first, last = min(calls), max(calls)
        inside = [(b - a, layer) for layer, a, b in self._scopes if a <= first and last < b]
        return min(inside, key=lambda each: each[0], default=(0, None))[1]

    @functools.cached_property
    def _readers(self) -> dict[int, list[int]]:
        readers: dict[int, list[int]] = {}
        for index, step in enumerate(self._steps):
            for variable in variables_of(step):
                readers.setdefault(id(variable), []).append(index)
        return readers

    def activation_after(self, call: Call) -> Following:
        """Returns the activation that a call's output meets first, and what lies between."""
        return find_following(self.graph, _known(call))

    def activation_function(self, call: Call) -> Callable[[Any], Any] | None:
        """Returns the function of single values that a call's output meets first.

        A function of `keras.activations`, a layer, or what several operations make together, such
        as `x * sigmoid(x)`. None if it is linear or not known, and in a wiring read from JSON.
        """
        following = self.activation_after(call)
        if not self._steps or not following.activation or following.activation == "linear":
            return None
        if not following.calls:
            return self.subjects[call.index].activation  # type: ignore[no-any-return]
        return lambda value: self.computed(following.calls, value)

    def computed(self, calls: Sequence[int], value: Any) -> Any:
        """Returns what some calls make of a value: the output of the last.

        Args:
            calls: their indices, in order; what they take from others than each other is `value`.
            value: a tensor of the backend, or an array.
        """
        return replayed({index: self._steps[index] for index in calls}, value)

    def function_of(self, call: Call) -> Callable[[Any], Any]:
        """Returns what an operation, with its constants, makes of the signals that it is given."""
        steps = {call.index: self.step(call)}
        return lambda value: replayed(steps, value)

    def step(self, call: Call) -> Step:
        """Returns a call with its arguments; not for a wiring read from JSON."""
        return self._steps[_known(call).index]

    def shapes_into(self, call: Call) -> tuple[tuple[int, ...], ...]:
        """Returns the shapes of the signals that a call takes, in the order of `call.signals`."""
        return tuple(tuple(tensor.shape) for tensor in signals_of(self.step(call)))

    def outputs_into(self, call: Call) -> tuple[int, ...]:
        """Returns which output of its source each of `call.signals` is, from 0."""
        return tuple(
            next((i for i, made in enumerate(self._outputs(s)) if made is tensor), 0)
            for s, tensor in zip(call.signals, signals_of(self.step(call)), strict=False)
        )

    def _outputs(self, source: int) -> tuple[Any, ...]:
        return self._steps[source].outputs if source >= 0 else ()

    def normalized_after(
        self, call: Call, through: Callable[[Call], bool] = lambda _: False
    ) -> tuple[Call, ...]:
        """Returns the normalizations behind a kernel that take its scale away on every way.

        Of one that is written out as operations, such as `x / norm(x)`, those that take the signal.

        Empty if on some way its scale reaches the output.

        Args:
            call: the call of the kernel.
            through: says which calls hand its scale on besides those that do by what they are,
                such as sums of signals of one size.
        """
        found = find_normalizations(self.graph, _known(call), through, self._free_of_scale)
        return tuple(self.calls[index] for index in found)

    def normalizes(self, call: Call) -> bool:
        """Returns whether a call takes the scale of its signal away.

        That is a normalization, but a frozen batch normalization at its start, which divides by 1,
        or a product of signals that does so, such as `x / norm(x)`.
        """
        if _known(call).kind is Kind.NORMALIZATION:
            return not (self.subjects and _divides_by_one(self.subjects[call.index]))
        return call.index in self._free_of_scale

    @functools.cached_property
    def _free_of_scale(self) -> frozenset[int]:
        return find_free_of_scale(self.graph, self._steps) if self._steps else frozenset()

    def sum_of(self, call: Call) -> Sum | None:
        """Returns the sum whose branch or shortcut a call lies on, the innermost of them."""
        index = _known(call).index
        around = [
            each
            for each in self.sums
            if any(index in way.calls for way in (each.shortcut, *each.branches))
        ]
        return min(around, key=lambda each: each.call - each.fork, default=None)

    def passed(self, call: Call) -> int:
        """Returns how many sums the stream has passed that a call takes its signal from."""
        return self._places[_known(call).index][1]

    def stream_of(self, call: Call) -> Stream | None:
        """Returns the stream that a call takes its signal from, or None before the first."""
        stream = self._places[_known(call).index][0]
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
                places.append(
                    max(known, key=lambda p: (p[0] is not None, p[0] or 0, p[1]), default=(None, 0))
                )
        return places

    def attention_role(self, call: Call) -> str:
        """Returns `"query"`, `"key"`, `"value"`, `"out"`, several joined by `+`, or nothing."""
        index = _known(call).index
        roles = dict.fromkeys(
            role
            for attention in self.attentions
            for role in ("query", "key", "value", "out")
            if getattr(attention, role) == index
        )
        return "+".join(roles)

    def tied(self, call: Call) -> bool:
        """Returns whether the table of an embedding is read by another call as a kernel."""
        others = [c for c in self.calls if c.is_map and c.index != _known(call).index]
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


def _known(call: Call) -> Call:
    return instance("call", call, Call, "one of `wiring.calls`")


def _divides_by_one(layer: Any) -> bool:
    """Returns whether a layer is a frozen batch normalization with the variances of a start."""
    return (
        isinstance(layer, keras.layers.BatchNormalization)
        and not layer.trainable
        and bool(keras.ops.all(layer.moving_variance == 1))
    )
