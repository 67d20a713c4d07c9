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
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from keras_inits._keras_internals import (
    asking,
    holding,
    other_calls,
    symbolic_calls_through,
)
from keras_inits._layers.kinds import KERNELS, Kind, is_named, kind
from keras_inits._wiring.calling import (
    filled_in,
    has_call,
    in_its_structure,
    is_function_of_values,
    output_spec,
)
from keras_inits._wiring.control_flow import CALLS_FUNCTIONS, run_out
from keras_inits._wiring.functions import let_tensorflow_ask
from keras_inits._wiring.operations import description, operation_kind, reads_values
from keras_inits._wiring.steps import Step, symbolic

# Of these the inside is looked at; all others are one step each.
_ENTERED = frozenset({Kind.MODEL, Kind.WRAPPER, Kind.ATTENTION, Kind.FUNCTION, Kind.UNKNOWN})
# Products that sum over an axis of a matrix.
_MULTIPLYING = frozenset({"Matmul", "Dot", "Einsum", "Tensordot"})
# Where a signal starts that a gradient reaches, whatever comes in.
_STARTS = KERNELS | {Kind.EMBEDDING, Kind.POSITION, Kind.RECURRENT, Kind.CELL}


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
    _tables: list[Any] = field(default_factory=list)  # variables of two axes
    # By identity, each with what it stands for: an array and the variable whose values it has; a
    # tensor and the array that a layer was given.
    _copies: dict[int, tuple[Any, Any]] = field(default_factory=dict)
    _arrays: dict[int, tuple[Any, Any]] = field(default_factory=dict)

    def run(self, model: keras.layers.Layer, arguments: Sequence[Any], named: Any) -> "Trace":
        """Runs `model` on symbolic tensors, and returns itself."""
        let_tensorflow_ask(_is_tracing)
        self.inputs = symbolic((arguments, named))
        self._tables = [
            v
            for v in model.variables
            if len(v.shape) == 2 and keras.backend.is_float_dtype(v.dtype)
        ]
        for index, tensor in enumerate(self.inputs):
            self._note(tensor, -1 - index, keras.backend.is_float_dtype(tensor.dtype))
        with (
            holding(_active, self),
            symbolic_calls_through(_layer_call, _operation_call, _add_loss),
            keras.StatelessScope(),
        ):
            outputs = model.call(*arguments, **filled_in(model, arguments, named))
        self.outputs = [self._made[id(t)][1] for t in symbolic(outputs) if id(t) in self._made]
        return self

    def _note(self, tensor: Any, source: int, carries: bool) -> None:
        self._made[id(tensor)] = (tensor, source, carries)  # kept, so that its id stays its own

    def layer(self, plain_call: Any, layer: Any, args: Any, kwargs: Any) -> Any:
        """Calls a layer: enters it, or takes it for one step."""
        what = kind(layer)
        if not symbolic((args, kwargs)):
            if not layer.weights or what is Kind.UNKNOWN:
                return plain_call(layer, *args, **kwargs)
            # A lookup of positions, say: what comes in is known, what comes out can be trained.
            args, kwargs = keras.tree.map_structure(self._as_symbolic, (args, kwargs))
        kwargs = filled_in(layer, args, kwargs)
        self._path.append(layer.name)
        try:
            if what is Kind.OVER_TIME:
                return self._each_time(layer, args, kwargs)
            # What is derived from a rotation may take and give several tensors.
            derived = what is Kind.ROTATION and "call" in vars(type(layer)) and not is_named(layer)
            if not (what in _ENTERED or derived) or not has_call(layer):
                return self._step(layer, what, args, kwargs)
            return self._enter(layer, what, args, kwargs)
        finally:
            self._path.pop()

    def _as_symbolic(self, leaf: Any) -> Any:
        if not (keras.ops.is_tensor(leaf) or hasattr(leaf, "__array__")):
            return leaf
        tensor = keras.KerasTensor(leaf.shape, keras.backend.standardize_dtype(leaf.dtype))
        self._arrays[id(tensor)] = tensor, leaf
        return tensor

    def _enter(self, layer: Any, what: Kind, args: Any, kwargs: Any) -> Any:
        first, scopes, path = len(self.steps), len(self.scopes), list(self._path)
        reason = ""
        for call in (layer.call, *other_calls(layer)):
            self.scopes.append((layer, first, first))
            try:
                outputs = call(*in_its_structure(layer, args), **kwargs)
            except Exception as error:  # whatever a layer's own code says of a symbolic tensor
                del self.steps[first:], self.scopes[scopes:]
                self._path[:] = path
                reason = reason or f"{type(error).__name__}: {error}".strip().splitlines()[0]
            else:
                self.scopes[scopes] = (layer, first, len(self.steps))
                return outputs
        with holding(_active, None):
            if not kwargs.keys() - {"training", "mask"} and is_function_of_values(layer, args):
                what, reason = Kind.ACTIVATION, ""
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

    def operation(self, plain_call: Any, operation: Any, args: Any, kwargs: Any) -> Any:
        """Takes an operation for one step; it is not run."""
        name = type(operation).__name__
        if name in ("ConvertToTensor", "Cast") and operation.dtype in (None, args[0].dtype):
            return args[0]
        if name == "Ndim":  # a number, whatever the values are
            return len(args[0].shape)
        if name in CALLS_FUNCTIONS:
            return self._run_out(operation, args, kwargs)
        return self._operate(operation, args, kwargs)

    def _run_out(self, operation: Any, args: Any, kwargs: Any) -> Any:
        """Calls the functions that a loop or a choice is given; else it is one step."""
        first, scopes, path = len(self.steps), len(self.scopes), list(self._path)
        self._path.append(description(operation))
        try:
            return run_out(operation, args)
        except Exception:  # whatever they say of a symbolic tensor
            del self.steps[first:], self.scopes[scopes:]
        finally:
            self._path[:] = path
        return self._operate(operation, args, kwargs)

    def _operate(self, operation: Any, args: Any, kwargs: Any) -> Any:
        name = type(operation).__name__
        leaves = keras.tree.flatten((args, kwargs))
        if name in _MULTIPLYING:
            self._note_copies(leaves)
        operands = [self._operand(leaf) for leaf in leaves]
        what = operation_kind(operation, [o for o in operands if o])
        self._path.append(description(operation))
        try:
            return self._step(operation, what, args, kwargs)
        finally:
            self._path.pop()

    def _note_copies(self, leaves: Sequence[Any]) -> None:
        """Notes the arrays that are the values of a variable, or their transpose.

        What `ops.transpose(embedding.embeddings)` returns is no variable any more.
        """
        for leaf in leaves:
            if not (_is_matrix(leaf) and id(leaf) not in self._copies):
                continue
            shape = tuple(leaf.shape)
            alike = [v for v in self._tables if tuple(v.shape) in (shape, shape[::-1])]
            if not alike:
                continue
            given = keras.ops.convert_to_numpy(leaf)
            found = [v for v in alike if _has_values(keras.ops.convert_to_numpy(v), given)]
            if len(found) == 1:  # of several tables of zeros, say, none is meant
                self._copies[id(leaf)] = leaf, found[0]

    def _operand(self, leaf: Any) -> str:
        if isinstance(leaf, keras.KerasTensor):
            return "signal" if self._made.get(id(leaf), (0, 0, False))[2] else "constant"
        if isinstance(leaf, keras.Variable) or id(leaf) in self._copies:
            return "weight"
        number = isinstance(leaf, float | int) and not isinstance(leaf, bool)
        return (
            "constant" if number or keras.ops.is_tensor(leaf) or hasattr(leaf, "__array__") else ""
        )

    def _step(self, subject: Any, what: Kind, args: Any, kwargs: Any, *, problem: str = "") -> Any:
        tensors = symbolic((args, kwargs))
        leaves = keras.tree.flatten((args, kwargs))
        known = [self._made[id(t)] for t in tensors if id(t) in self._made]
        with holding(_active, None):  # how a layer finds its shapes is not the model's doing
            outputs = output_spec(subject, what, args, kwargs)
        given = {id(t) for t in tensors}
        outputs = keras.tree.map_structure(
            lambda t: _fresh(t) if id(t) in given or getattr(t, "sparse", False) else t, outputs
        )
        flat = symbolic(outputs)
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
            operands=tuple(o for leaf in leaves if (o := self._operand(leaf))),
            shape=tuple(flat[0].shape) if flat else (),
            carries=through and any(keras.backend.is_float_dtype(t.dtype) for t in flat),
            over_time=self._over_time > 0,
            outputs=tuple(flat),
            problem=problem,
            reads=tuple(self._copies[id(leaf)][1] for leaf in leaves if id(leaf) in self._copies),
            values=tuple(self._arrays[id(t)][1] for t in tensors if id(t) in self._arrays),
        )
        for tensor in flat:
            real = keras.backend.is_float_dtype(tensor.dtype)
            self._note(tensor, len(self.steps), through and real)
        self.steps.append(step)
        return outputs


_active: contextvars.ContextVar[Trace | None] = contextvars.ContextVar("trace", default=None)


def _is_tracing() -> bool:
    return _active.get() is not None


_layer_call = asking(_active, "layer")
_operation_call = asking(_active, "operation")


def _add_loss(plain: Any, layer: Any, *args: Any, **kwargs: Any) -> None:
    if _active.get() is None:
        plain(layer, *args, **kwargs)


def _is_matrix(leaf: Any) -> bool:
    """Returns whether something is an array of two axes that holds numbers, and no variable."""
    known = keras.ops.is_tensor(leaf) or isinstance(leaf, np.ndarray)
    return known and not isinstance(leaf, keras.Variable) and len(leaf.shape) == 2


def _has_values(values: Any, given: Any) -> bool:
    either = (values, values.T)
    return any(each.shape == given.shape and np.array_equal(each, given) for each in either)


def _fresh(tensor: Any) -> Any:
    return keras.KerasTensor(tensor.shape, tensor.dtype)
