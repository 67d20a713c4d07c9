"""Diagnoses on JAX: `vjp` over code that runs on values, with a trace that lets primitives be seen.

Nothing is compiled while operations are watched (`jax.disable_jit`), so that loops run step by step
and layers see values. Variables are replaced in a `keras.StatelessScope`, as in Keras's own
training.
"""

import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

import jax
import jax.extend.core
import jax.numpy as jnp
import keras
import numpy as np

from keras_inits._diagnose.backends.base import Backend, Measured, See, Tape
from keras_inits._diagnose.backends.logits import Notes

# JAX's names of what a diagnosis asks for, and TensorFlow's.
_NAMES = {
    "add": "AddV2",
    "add_any": "AddV2",
    "sub": "Sub",
    "mul": "Mul",
    "dot_general": "MatMul",
    "div": "RealDiv",
    "max": "Maximum",
    "min": "Minimum",
    "clamp": "ClipByValue",
    "tanh": "Tanh",
    "logistic": "Sigmoid",
    "relu": "Relu",
    "relu6": "Relu6",
    "round": "Round",
    "sign": "Sign",
    "floor": "Floor",
    "ceil": "Ceil",
    "stop_gradient": "StopGradient",
    "gt": "Greater",
    "ge": "GreaterEqual",
    "lt": "Less",
    "le": "LessEqual",
    "argmax": "ArgMax",
    "argmin": "ArgMin",
    "top_k": "TopKV2",
    "convert_element_type": "Cast",
}


SEES = hasattr(jax.extend.core, "set_current_trace") and hasattr(
    jax.extend.core, "take_current_trace"
)


class _Marks(Tape):
    """Identities with a gradient of their own.

    Args:
        token: a scalar that gradients are taken of, which makes a gradient come to each marked
            tensor, even where nothing before it is trained; None in a pass that is not ours.
    """

    def __init__(self, token: Any = None) -> None:
        self.token = jnp.zeros(()) if token is None else token
        self.notes = Notes(self.identity, _alone)

    def identity(self, tensor: Any, measured: Measured) -> Any:
        @jax.custom_vjp
        def identity(x: Any, token: Any) -> Any:
            return x

        def back(_: None, gradient: Any) -> Any:
            measured(gradient)
            return gradient, jnp.zeros(())

        identity.defvjp(lambda x, token: (x, None), back)
        return identity(tensor, self.token)

    def marked(self, tensor: Any, measured: Measured, at_logits: Measured) -> Any:
        return self.notes.marked(self.identity, tensor, measured, at_logits)

    def logits(self) -> AbstractContextManager[Any]:
        return self.notes.kept()

    @contextmanager
    def apart(self) -> Iterator[None]:
        with self.notes.apart(), keras.StatelessScope():  # weights are read as they are
            yield


class JAX(Backend):
    """What JAX does in a diagnosis."""

    errors = (RuntimeError, TypeError, ValueError)

    def __init__(self) -> None:
        self._see: ContextVar[See | None] = ContextVar("keras_inits_see", default=None)

    def is_tensor(self, value: Any) -> bool:
        return isinstance(value, jax.Array)

    def is_floating(self, tensor: Any) -> bool:
        return bool(jnp.issubdtype(tensor.dtype, jnp.floating))

    def is_concrete(self, tensors: Sequence[Any]) -> bool:
        return all(not isinstance(_value(t), jax.core.Tracer) for t in tensors)

    def read(self, tensor: Any) -> Any:
        return np.asarray(_value(tensor))

    def held(self, variable: keras.Variable) -> Any:
        return np.asarray(_raw(variable))

    # --- a pass --------------------------------------------------------------------------------

    def pulled_back(
        self, variables: Sequence[keras.Variable], forward: Callable[[Tape], tuple[Any, Any]]
    ) -> list[Any]:
        reached: set[int] = set()
        kept: list[Any] = []

        def run(values: list[Any], token: Any) -> Any:
            tape = _Marks(token)
            seen = [tape.identity(v, _adder(reached, i)) for i, v in enumerate(values)]
            pairs = list(zip(variables, seen, strict=True))
            with keras.StatelessScope(state_mapping=pairs, collect_losses=True):
                targets, cotangents = forward(tape)
            kept.append(cotangents)
            return targets

        with jax.disable_jit():
            values = [_raw(v) for v in variables]
            targets, back = jax.vjp(run, values, jnp.zeros(()))
            cotangents = kept[0] or [jnp.ones_like(t) for t in targets]
            gradients, _ = back([_value(c) for c in cotangents])
        return [g if i in reached else None for i, g in enumerate(gradients)]

    def foreign_tape(self) -> Tape:
        return _Marks()

    @contextmanager
    def operations(self, see: See) -> Iterator[bool]:
        token = self._see.set(see)
        try:
            with jax.disable_jit():
                yield SEES
        finally:
            self._see.reset(token)

    def inside(self) -> AbstractContextManager[None]:
        see = self._see.get()
        return nullcontext() if see is None else _seeing(see)

    def jacobian(
        self, run: Callable[[Any], list[Any]], given: Any
    ) -> tuple[list[Any], Callable[[list[Any]], list[Any]]]:
        outputs, back = jax.vjp(lambda x: _stateless(lambda: run(x)), given)
        return outputs, lambda vectors: keras.tree.flatten(back(vectors)[0])

    def with_logits(self, run: Callable[[], Any]) -> list[Any]:
        with Notes().kept() as notes:
            real = [y for y in keras.tree.flatten(_stateless(run)) if self.is_floating(y)]
            return [y if (found := notes.of(y)) is None else found.tensor for y in real]

    # --- steps of training ---------------------------------------------------------------------

    def gradients(
        self, function: Callable[[list[Any]], tuple[Any, Any]], values: list[Any]
    ) -> tuple[Any, list[Any], Any]:
        (loss, more), found = jax.value_and_grad(function, has_aux=True)(values)
        return loss, found, more

    def compiled(
        self,
        function: Callable[..., Any],
        variables: Callable[[], list[keras.Variable]],
        *,
        eagerly: bool,
    ) -> Callable[..., Any]:
        if eagerly:
            return function

        @jax.jit
        def pure(values: list[Any], *args: Any) -> Any:
            pairs = list(zip(variables(), values, strict=True))
            with _traced_scope(pairs) as scope:
                made = function(*args)
            return made, [scope.get_current_value(v) for v in variables()]

        def run(*args: Any) -> Any:
            made, values = pure([v.value for v in variables()], *args)
            for variable, value in zip(variables(), values, strict=True):
                variable.assign(value)
            return made

        return run

    def own_step(self, model: keras.Model, data: Any) -> Any:
        state = (
            model.trainable_variables,
            model.non_trainable_variables,
            [] if model.optimizer is None else model.optimizer.variables,
            model.metrics_variables,
        )
        logs, _ = model.train_step(tuple([v.value for v in part] for part in state), data)
        return logs


def _value(tensor: Any) -> Any:
    if not isinstance(tensor, jax.core.Tracer):
        return tensor
    trace = _current() if SEES else None
    if not isinstance(trace, _Trace):
        return jax.lax.stop_gradient(tensor)
    with jax.extend.core.set_current_trace(trace.parent):  # it is no operation of the model's
        return jax.lax.stop_gradient(tensor)


def _raw(variable: keras.Variable) -> Any:
    with keras.StatelessScope():  # an empty one: else what stands in the variable's place is read
        return variable.value


def _adder(reached: set[int], index: int) -> Measured:
    return lambda gradient: reached.add(index)


@contextmanager
def _traced_scope(pairs: Sequence[tuple[keras.Variable, Any]]) -> Iterator[keras.StatelessScope]:
    """A scope of compiled code in which variables may be made, such as by a loss's first call.

    Keras gives them their values at the end of the scope: they would be the compiler's stand-ins,
    which the model is left with.
    """
    with ExitStack() as stack:
        scope = stack.enter_context(keras.StatelessScope(state_mapping=pairs))
        try:
            yield scope
        finally:
            with jax.ensure_compile_time_eval():
                stack.close()


def _stateless(run: Callable[[], Any]) -> Any:
    with keras.StatelessScope(collect_losses=True):
        return run()


# --- operations ----------------------------------------------------------------------------------


class _Trace(jax.core.Trace):
    """Binds each primitive as the trace below does, and lets it be seen.

    JAX tells the current trace of all that this thread runs. Tried with JAX 0.10; where the
    functions of `jax.extend.core` are missing, operations are not seen.
    """

    def __init__(self, parent: Any, see: See) -> None:
        super().__init__()
        self.parent, self.see = parent, see
        self.requires_low = getattr(parent, "requires_low", True)

    def process_primitive(self, primitive: Any, tracers: Any, params: Any, /) -> Any:
        if primitive.name == "convert_element_type" and _changes_nothing(*tracers, **params):
            return tracers[0]  # the same tensor, by which its origins are known
        with jax.extend.core.set_current_trace(self.parent):
            made = primitive.bind(*tracers, **params)
            self.see(primitive.name, tracers, made if primitive.multiple_results else [made])
        return made

    def stage_value(self, val: Any) -> Any:
        return self.parent.stage_value(val)

    def process_call(self, primitive: Any, f: Any, tracers: Any, params: Any, /) -> Any:
        with jax.extend.core.set_current_trace(self.parent):
            return self.parent.process_call(primitive, f, tracers, params)

    def process_custom_jvp_call(
        self, primitive: Any, fun: Any, jvp: Any, tracers: Any, /, **options: Any
    ) -> Any:
        with jax.extend.core.set_current_trace(self.parent):
            made = self.parent.process_custom_jvp_call(primitive, fun, jvp, tracers, **options)
            self.see(getattr(fun, "__name__", primitive.name), tracers, made)
        return made

    def process_custom_vjp_call(
        self, primitive: Any, fun: Any, fwd: Any, bwd: Any, tracers: Any, /, **options: Any
    ) -> Any:
        with jax.extend.core.set_current_trace(self.parent):
            made = self.parent.process_custom_vjp_call(primitive, fun, fwd, bwd, tracers, **options)
            self.see(getattr(fun, "__name__", primitive.name), tracers, made)
        return made


def _changes_nothing(x: Any, *, new_dtype: Any, weak_type: bool = False, **_: Any) -> bool:
    return x.dtype == new_dtype and getattr(x, "weak_type", False) == weak_type


def _current() -> Any:
    with jax.extend.core.take_current_trace() as trace:
        return trace


@contextmanager
def _seeing(see: See) -> Iterator[None]:
    if not SEES:
        yield
        return
    with jax.extend.core.set_current_trace(_Trace(_current(), _Reader(see))):
        yield


class _Reader:
    """Hands operations on as TensorFlow would name them."""

    def __init__(self, see: See) -> None:
        self.see = see
        self._numbers: dict[int, tuple[Any, Any]] = {}

    def __call__(self, name: str, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        if name == "broadcast_in_dim" and inputs and np.size(inputs[0]) == 1:
            # A number next to an array is spread out first.
            for made in outputs:
                self._numbers[id(made)] = (weakref.ref(made), inputs[0])
        self.see(_NAMES.get(name, name), [self._narrow(t) for t in inputs], outputs)

    def _narrow(self, tensor: Any) -> Any:
        reference, number = self._numbers.get(id(tensor), (None, None))
        return number if reference is not None and reference() is tensor else tensor


def _alone(name: str, run: Callable[..., Any], inputs: Sequence[Any]) -> Any:
    """Runs a function of tensors, of whose inside nothing is seen."""
    trace = _current() if SEES else None
    if not isinstance(trace, _Trace):
        return run(*inputs)
    with jax.extend.core.set_current_trace(trace.parent):
        output = run(*inputs)
        trace.see(name, inputs, [output])
    return output
