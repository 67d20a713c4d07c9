"""A model run on symbolic tensors: each call of each layer, and each operation between layers.

Calling a model on `keras.KerasTensor`s is public, runs on every backend and needs no data, but it
stops at the first layer: what a layer computes inside is shaped by the backend's own tracers, where
operations are no longer Keras's. So layers that hold others, and custom ones, are entered here:
their `call` is run on the symbolic tensors, where every function of `keras.ops` and every operator
of Python ends in `Operation.symbolic_call`. The other way that was tried, to replace the functions
of `keras.ops`, misses what a module has imported by name before.

Nothing of the model changes: calls make no nodes of a functional graph, added losses are dropped,
and variables are read under a `keras.StatelessScope`.
"""

import contextvars
import functools
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from keras_inits._keras_internals import other_calls, symbolic_calls_through
from keras_inits._layers.kinds import KERNELS, Kind, is_named, kind
from keras_inits._wiring.operations import description, operation_kind, reads_values

# Of these the inside is looked at; all others are one step each.
_ENTERED = frozenset({Kind.MODEL, Kind.WRAPPER, Kind.ATTENTION, Kind.FUNCTION, Kind.UNKNOWN})
# Products that sum over an axis of a matrix.
_MULTIPLYING = frozenset({"Matmul", "Dot", "Einsum", "Tensordot"})
# Where a signal starts that a gradient reaches, whatever comes in.
_STARTS = KERNELS | {Kind.EMBEDDING, Kind.POSITION, Kind.RECURRENT, Kind.CELL}


@dataclass(eq=False)
class Step:
    """One call of a layer that was not entered, or one operation.

    Attributes:
        subject: the layer or operation.
        kind: what it does.
        path: the names of the layers around it and its own, joined by `/`.
        arguments: what it was called with, symbolic tensors included.
        sources: for each symbolic tensor among them the step that made it, or `-1 - i` for input i.
        signals: those of them that a gradient goes through.
        operands: what else its arguments are; see `operation_kind`.
        shape: of its first output.
        carries: whether a gradient comes through it.
        over_time: whether it runs once for each step of a sequence.
        outputs: the symbolic tensors that it made.
        problem: why a layer could not be entered; else empty.
        reads: the variables that an operation is given by value, as the transpose of a table.
    """

    subject: Any
    kind: Kind
    path: str
    arguments: tuple[Any, Mapping[str, Any]]
    sources: tuple[int, ...]
    signals: tuple[int, ...]
    operands: tuple[str, ...]
    shape: tuple[int | None, ...]
    carries: bool
    over_time: bool
    outputs: tuple[Any, ...] = ()
    problem: str = ""
    reads: tuple[Any, ...] = ()

    @property
    def backwards(self) -> bool:
        """Whether it is an embedding that makes logits."""
        return self.kind is Kind.EMBEDDING and bool(self.arguments[1].get("reverse"))


@dataclass(eq=False)
class Trace:
    """All steps of one symbolic run.

    Attributes:
        steps: in the order of the run.
        inputs: the tensors that the model was given.
        outputs: for each output of the model the step that made it, or `-1 - i` for input i.
        scopes: layer, first step and the step after the last, of each layer that was entered.
    """

    steps: list[Step] = field(default_factory=list)
    inputs: list[Any] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    scopes: list[tuple[Any, int, int]] = field(default_factory=list)
    _made: dict[int, tuple[Any, int, bool]] = field(default_factory=dict)
    _path: list[str] = field(default_factory=list)
    _over_time: int = 0
    _variables: list[Any] = field(default_factory=list)
    _values: dict[int, tuple[Any, Any]] = field(default_factory=dict)

    def run(self, model: keras.layers.Layer, arguments: Sequence[Any], named: Any) -> "Trace":
        """Runs `model` on symbolic tensors, and returns itself."""
        self.inputs = _symbolic((arguments, named))
        self._variables = [
            v
            for v in model.variables
            if len(v.shape) == 2 and keras.backend.is_float_dtype(v.dtype)
        ]
        for index, tensor in enumerate(self.inputs):
            self._note(tensor, -1 - index, keras.backend.is_float_dtype(tensor.dtype))
        token = _active.set(self)
        try:
            with (
                symbolic_calls_through(_layer_call, _operation_call, _add_loss),
                keras.StatelessScope(),
            ):
                outputs = model.call(*arguments, **_filled(model, arguments, named))
        finally:
            _active.reset(token)
        self.outputs = [self._made[id(t)][1] for t in _symbolic(outputs) if id(t) in self._made]
        return self

    def _note(self, tensor: Any, source: int, carries: bool) -> None:
        self._made[id(tensor)] = (tensor, source, carries)  # kept, so that its id stays its own

    def layer(self, plain_call: Any, layer: Any, args: Any, kwargs: Any) -> Any:
        """Calls a layer: enters it, or takes it for one step."""
        what = kind(layer)
        if not _symbolic((args, kwargs)):
            if not layer.weights or what is Kind.UNKNOWN:
                return plain_call(layer, *args, **kwargs)
            # A lookup of positions, say: what comes in is known, what comes out can be trained.
            args, kwargs = keras.tree.map_structure(_as_symbolic, (args, kwargs))
        kwargs = _filled(layer, args, kwargs)
        self._path.append(layer.name)
        try:
            if what is Kind.OVER_TIME:
                return self._each_time(layer, args, kwargs)
            # What is derived from a rotation may take and give several tensors.
            derived = what is Kind.ROTATION and "call" in vars(type(layer)) and not is_named(layer)
            if not (what in _ENTERED or derived) or not _has_call(layer):
                return self._step(layer, what, args, kwargs)
            return self._enter(layer, what, args, kwargs)
        finally:
            self._path.pop()

    def _enter(self, layer: Any, what: Kind, args: Any, kwargs: Any) -> Any:
        first, scopes, path = len(self.steps), len(self.scopes), list(self._path)
        reason = ""
        for call in (layer.call, *other_calls(layer)):
            self.scopes.append((layer, first, first))
            try:
                outputs = call(*_in_its_structure(layer, args), **kwargs)
            except Exception as error:  # whatever a layer's own code says of a symbolic tensor
                del self.steps[first:], self.scopes[scopes:]
                self._path[:] = path
                reason = reason or f"{type(error).__name__}: {error}".strip().splitlines()[0]
            else:
                self.scopes[scopes] = (layer, first, len(self.steps))
                return outputs
        return self._step(layer, what, args, kwargs, problem=reason)

    def _each_time(self, layer: Any, args: Any, kwargs: Any) -> Any:
        """Calls the layer inside a TimeDistributed on one time step."""
        (sequence, *_), inner = args or tuple(kwargs.values()), layer.layer
        batch, steps, *rest = sequence.shape
        once = keras.KerasTensor((batch, *rest), sequence.dtype)
        _, source, carries = self._made[id(sequence)]
        self._note(once, source, carries)
        first = len(self.steps)
        self._over_time += 1
        try:
            outputs = inner(once)
        finally:
            self._over_time -= 1
        self.scopes.append((layer, first, len(self.steps)))

        def spread(tensor: Any) -> Any:
            _, source, carries = self._made[id(tensor)]
            whole = keras.KerasTensor((batch, steps, *tensor.shape[1:]), tensor.dtype)
            self._note(whole, source, carries)
            return whole

        return keras.tree.map_structure(spread, outputs)

    def operation(self, operation: Any, args: Any, kwargs: Any) -> Any:
        """Takes an operation for one step."""
        name = type(operation).__name__
        if name in ("ConvertToTensor", "Cast") and operation.dtype in (None, args[0].dtype):
            return args[0]
        if name == "Ndim":  # a number, whatever the values are
            return len(args[0].shape)
        leaves = keras.tree.flatten((args, kwargs))
        if name in _MULTIPLYING:
            self._note_values(leaves)
        operands = [self._operand(leaf) for leaf in leaves]
        what = operation_kind(operation, [o for o in operands if o])
        self._path.append(description(operation))
        try:
            return self._step(operation, what, args, kwargs)
        finally:
            self._path.pop()

    def _note_values(self, leaves: Sequence[Any]) -> None:
        """Notes the arrays that are the values of a variable, or their transpose.

        What `ops.transpose(embedding.embeddings)` returns is no variable any more.
        """
        for leaf in leaves:
            if not (_is_matrix(leaf) and id(leaf) not in self._values):
                continue
            shape = tuple(leaf.shape)
            alike = [v for v in self._variables if tuple(v.shape) in (shape, shape[::-1])]
            if not alike:
                continue
            given = keras.ops.convert_to_numpy(leaf)
            found = [v for v in alike if _has_values(keras.ops.convert_to_numpy(v), given)]
            if len(found) == 1:  # of several tables of zeros, say, none is meant
                self._values[id(leaf)] = leaf, found[0]

    def _operand(self, leaf: Any) -> str:
        if isinstance(leaf, keras.KerasTensor):
            return "signal" if self._made.get(id(leaf), (0, 0, False))[2] else "constant"
        if isinstance(leaf, keras.Variable) or id(leaf) in self._values:
            return "weight"
        number = isinstance(leaf, float | int) and not isinstance(leaf, bool)
        return (
            "constant" if number or keras.ops.is_tensor(leaf) or hasattr(leaf, "__array__") else ""
        )

    def _step(self, subject: Any, what: Kind, args: Any, kwargs: Any, *, problem: str = "") -> Any:
        tensors = _symbolic((args, kwargs))
        known = [self._made[id(t)] for t in tensors if id(t) in self._made]
        token = _active.set(None)  # how a layer finds its shapes is not the model's doing
        try:
            outputs = _output_spec(subject, args, kwargs)
        finally:
            _active.reset(token)
        given = {id(t) for t in tensors}
        outputs = keras.tree.map_structure(
            lambda t: _fresh(t) if id(t) in given or getattr(t, "sparse", False) else t, outputs
        )
        flat = _symbolic(outputs)
        reads = reads_values(subject)
        signals = tuple(source for _, source, carries in known if carries and reads)
        through = what is not Kind.CUT and (bool(signals) or what in _STARTS)
        step = Step(
            subject=subject,
            kind=what,
            path="/".join(self._path),
            arguments=(args, kwargs),
            sources=tuple(source for _, source, _ in known),
            signals=signals,
            operands=tuple(
                o for leaf in keras.tree.flatten((args, kwargs)) if (o := self._operand(leaf))
            ),
            shape=tuple(flat[0].shape) if flat else (),
            carries=through and any(keras.backend.is_float_dtype(t.dtype) for t in flat),
            over_time=self._over_time > 0,
            outputs=tuple(flat),
            problem=problem,
            reads=tuple(
                self._values[id(leaf)][1]
                for leaf in keras.tree.flatten((args, kwargs))
                if id(leaf) in self._values
            ),
        )
        for tensor in flat:
            real = keras.backend.is_float_dtype(tensor.dtype)
            self._note(tensor, len(self.steps), through and real)
        self.steps.append(step)
        return outputs


_active: contextvars.ContextVar[Trace | None] = contextvars.ContextVar("trace", default=None)


def _layer_call(plain: Any, layer: Any, *args: Any, **kwargs: Any) -> Any:
    trace = _active.get()
    if trace is None:
        return plain(layer, *args, **kwargs)
    return trace.layer(plain, layer, args, kwargs)


def _operation_call(plain: Any, operation: Any, *args: Any, **kwargs: Any) -> Any:
    trace = _active.get()
    if trace is None:
        return plain(operation, *args, **kwargs)
    return trace.operation(operation, args, kwargs)


def _add_loss(plain: Any, layer: Any, *args: Any, **kwargs: Any) -> None:
    if _active.get() is None:
        plain(layer, *args, **kwargs)


def _symbolic(structure: Any) -> list[Any]:
    return [t for t in keras.tree.flatten(structure) if isinstance(t, keras.KerasTensor)]


def _is_matrix(leaf: Any) -> bool:
    """Says whether something is an array of two axes that holds numbers, and no variable."""
    known = keras.ops.is_tensor(leaf) or isinstance(leaf, np.ndarray)
    return known and not isinstance(leaf, keras.Variable) and len(leaf.shape) == 2


def _has_values(values: Any, given: Any) -> bool:
    either = (values, values.T)
    return any(each.shape == given.shape and np.array_equal(each, given) for each in either)


def _as_symbolic(leaf: Any) -> Any:
    if keras.ops.is_tensor(leaf) or hasattr(leaf, "__array__"):
        return keras.KerasTensor(leaf.shape, keras.backend.standardize_dtype(leaf.dtype))
    return leaf


def _fresh(tensor: Any) -> Any:
    return keras.KerasTensor(tensor.shape, tensor.dtype)


def _in_its_structure(layer: Any, args: Any) -> Any:
    """Returns the inputs of a functional model in the structure that it was made with.

    Others of as many tensors do too, with a warning.
    """
    expected = None if isinstance(layer, keras.Sequential) else getattr(layer, "inputs", None)
    if not expected or not isinstance(layer, keras.Model) or len(args) != 1:
        return args
    flat = keras.tree.flatten(args[0])
    same = len(flat) == len(keras.tree.flatten(layer.input))
    return (keras.tree.pack_sequence_as(layer.input, flat),) if same else args


def _has_call(layer: Any) -> bool:
    return type(layer).call is not keras.layers.Layer.call


@functools.lru_cache(maxsize=1024)
def _parameters(function: Any) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(function).parameters


def _filled(layer: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Returns `kwargs` as Keras would fill them in: `training`, and masks without a default."""
    parameters = dict(_parameters(type(layer).call))
    parameters.pop(next(iter(parameters)))  # self
    filled = dict(kwargs)
    if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        # A functional model passes it on to whatever it calls.
        filled = {n: v for n, v in filled.items() if n != "training" or n in parameters}
    given = {name for name, _ in zip(parameters, args, strict=False)} | set(kwargs)
    for name, parameter in parameters.items():
        if name == "training" and name not in given:
            filled[name] = False
        elif name.endswith("mask") and name not in given and parameter.default is parameter.empty:
            filled[name] = None
    return filled


def _output_spec(subject: Any, args: Any, kwargs: Any) -> Any:
    """Returns what a layer or operation makes of symbolic tensors, every dimension a number."""
    try:
        outputs = subject.compute_output_spec(*args, **_for_shapes(subject, kwargs))
        if all(None not in t.shape for t in _symbolic(outputs)):
            return outputs
    except Exception:  # a layer's own method may be wrong, or missing for the way it is called
        pass
    # The way of all operations without a method of their own: `call` on the backend's tracers.
    return keras.Operation.compute_output_spec(subject, *args, **kwargs)


def _for_shapes(subject: Any, kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns those of `kwargs` that a layer takes when it is asked for shapes."""
    parameters = _parameters(type(subject).compute_output_spec)
    if "training" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return kwargs
    return {name: value for name, value in kwargs.items() if name != "training"}


def replayed(steps: Mapping[int, Step], value: Any) -> Any:
    """Returns what some steps make of `value`: the last one's output.

    Args:
        steps: by index, in order; what they take from others than each other is `value`.
        value: a tensor of the backend, or an array.
    """
    made: dict[int, Any] = {}
    value = keras.ops.convert_to_tensor(value)
    for index, step in steps.items():
        sources = iter(step.sources)

        def filled(leaf: Any, sources: Any = sources) -> Any:
            return made.get(next(sources), value) if isinstance(leaf, keras.KerasTensor) else leaf

        args, kwargs = keras.tree.map_structure(filled, step.arguments)
        kwargs = {name: each for name, each in kwargs.items() if name != "training"}
        layer = isinstance(step.subject, keras.layers.Layer)
        made[index] = (step.subject if layer else step.subject.call)(*args, **kwargs)
    return made[index]


def signals_of(step: Step) -> list[Any]:
    """Returns the symbolic tensors that a step takes signals from, in the order of `signals`."""
    tensors, wanted = _symbolic(step.arguments), list(step.signals)
    found = []
    for source, tensor in zip(step.sources, tensors, strict=False):
        if wanted and source == wanted[0]:
            found.append(tensor)
            wanted.pop(0)
    return found


def variables_of(step: Step) -> list[Any]:
    """Returns the variables that a step reads: a layer's, or those it is called on."""
    subject = step.subject
    if not isinstance(subject, keras.layers.Layer):
        leaves = keras.tree.flatten(step.arguments)
        return [*(leaf for leaf in leaves if isinstance(leaf, keras.Variable)), *step.reads]
    found = [w for w in subject.weights if keras.backend.is_float_dtype(w.dtype)]
    if step.kind is Kind.EMBEDDING and getattr(subject, "tie_weights", True) is False:
        # One table looks up, the other makes logits.
        return [w for w in found if (w.name == "reverse_embeddings") == step.backwards]
    return found
