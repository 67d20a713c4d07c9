"""Calls that go through functions of ours: Keras has no hooks on layers and operations.

All calls of layers go through `Layer.__call__`, all operations on `KerasTensor`s through
`Operation.symbolic_call`, and all added losses through `Layer.add_loss`; the names are public, that
nothing goes around them is not promised. `tests/wiring/test_tracing.py` fails where something does.
Tried with Keras 3.15.1.
"""

import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import WeakSet

import keras

Hook = Callable[..., Any]
_T = TypeVar("_T")

_ARITHMETIC = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul",
               "lt", "le", "gt", "ge")  # fmt: skip

_lock = threading.Lock()


@dataclass(eq=False)
class _Replaced:
    """A replaced method.

    Attributes:
        plain: the method itself.
        call: what stands in its place.
        users: by hook, how many ask for it; the same one is called once, however many do.
    """

    plain: Any
    call: Any
    users: dict[Hook, int]


_replaced: dict[tuple[Any, str], _Replaced] = {}
_leaving = 0  # how many blocks let NumPy leave arithmetic to symbolic tensors


@contextmanager
def calls_through(owner: Any, method: str, hook: Hook) -> Iterator[None]:
    """Lets every call of a method, or of a function of a module, go through a function.

    The method is replaced once, however many ask for it at the same time, and put back when the
    last one leaves.

    Args:
        owner: the class that has the method, or the module.
        method: its name.
        hook: called as `hook(next, instance, *args, **kwargs)`, where `next` is the hook below, or
            the method itself. It is called for every thread: it should ask a `ContextVar` whether
            the call is its business.
    """
    entered = False
    try:
        with _lock:
            _add(owner, method, hook)
            entered = True
        yield
    finally:
        if entered:
            with _lock:
                _remove(owner, method, hook)


@contextmanager
def holding(variable: ContextVar[_T], value: _T) -> Iterator[None]:
    """Lets a `ContextVar`, such as the one that a hook asks, hold a value inside the block."""
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


def asking(variable: ContextVar[Any], answer: str) -> Hook:
    """Returns a hook that hands each call to what a `ContextVar` holds, if that is not None.

    Args:
        variable: what the hook asks in the context of the call.
        answer: a method of what it holds, called as `answer(next, instance, args, kwargs)`.
    """

    def hook(plain: Any, instance: Any, /, *args: Any, **kwargs: Any) -> Any:
        held = variable.get()
        if held is None:
            return plain(instance, *args, **kwargs)
        return getattr(held, answer)(plain, instance, args, kwargs)

    return hook


def _add(owner: Any, method: str, hook: Hook) -> None:
    if (owner, method) not in _replaced:
        plain, users = getattr(owner, method), dict[Hook, int]()

        def call(instance: Any, *args: Any, **kwargs: Any) -> Any:
            return _next(plain, tuple(users))(instance, *args, **kwargs)

        _replaced[owner, method] = _Replaced(plain, call, users)
        setattr(owner, method, call)
    users = _replaced[owner, method].users
    users[hook] = users.get(hook, 0) + 1


def _next(plain: Any, hooks: tuple[Hook, ...]) -> Callable[..., Any]:
    if not hooks:
        return plain  # type: ignore[no-any-return]
    below = _next(plain, hooks[:-1])
    return lambda *args, **kwargs: hooks[-1](below, *args, **kwargs)


def _remove(owner: Any, method: str, hook: Hook) -> None:
    replaced = _replaced[owner, method]
    replaced.users[hook] -= 1
    if not replaced.users[hook]:
        del replaced.users[hook]
    if not replaced.users:
        del _replaced[owner, method]
        # Another library may have put its own method on top meanwhile: then that one stays.
        if getattr(owner, method) is replaced.call:
            setattr(owner, method, replaced.plain)


@contextmanager
def variables_replaced(
    pairs: Iterable[tuple[keras.Variable, Any]],
) -> Iterator[keras.StatelessScope]:
    """Lets tensors stand in the place of variables, and collects losses that layers add.

    Yields:
        The scope, which takes what is assigned to variables.
    """
    with (
        functions_traced_anew(),
        keras.StatelessScope(state_mapping=[*pairs], collect_losses=True) as scope,
        holding(_scope, scope),
    ):
        yield scope


@contextmanager
def functions_traced_anew() -> Iterator[None]:
    """Lets TensorFlow trace each `tf.function` anew at each call, and keep nothing of it.

    A function keeps the graph of its first call for all later ones, those of `fit` too. It would
    hold what a hook did to the layers inside, such as noise that it left out, and tensors that
    stood in the place of variables. Those that went through `keeping_graph` keep their graphs.
    Functions have no public copy. Tried with TensorFlow 2.21.
    """
    if keras.backend.backend() != "tensorflow":
        yield
        return
    tf: Any = sys.modules["tensorflow"]
    with (
        calls_through(type(tf.function(lambda: None)), "__call__", _traced_anew),
        holding(_anew, True),
    ):
        yield


def keeping_graph(function: _T) -> _T:
    """Lets a `tf.function` that no layer holds keep its graph where others are traced anew."""
    _graphs_kept.add(function)
    return function


_anew: ContextVar[bool] = ContextVar("keras_inits_traced_anew", default=False)
_graphs_kept: WeakSet[Any] = WeakSet()
_scope: ContextVar[keras.StatelessScope | None] = ContextVar("keras_inits_scope", default=None)


def _traced_anew(plain: Any, function: Any, /, *args: Any, **kwargs: Any) -> Any:
    if not _anew.get() or function in _graphs_kept:
        return plain(function, *args, **kwargs)
    scope = _scope.get()
    if scope is None:
        return plain(_copy(function), *args, **kwargs)
    state = dict(scope.state_mapping)
    keys: list[int] = []

    def with_assigned(*args: Any, **kwargs: Any) -> Any:
        made = function.python_function(*args, **kwargs)
        assigned = {key: v for key, v in scope.state_mapping.items() if v is not state.get(key)}
        keys[:] = assigned
        return made, [*assigned.values()]

    made, values = plain(_copy(function, with_assigned), *args, **kwargs)
    # What was assigned is a tensor of the function's graph, and no other can read it.
    scope.state_mapping.update(zip(keys, values, strict=True))
    return made


def _copy(function: Any, code: Any = None) -> Any:
    """Returns a `tf.function` that is not traced yet, of the same code or of another."""
    copy = function._clone(code)
    copy._omit_frequent_tracing_warning = True  # which is about the user's own calls
    return copy


@contextmanager
def symbolic_calls_through(
    layer_call: Hook, operation_call: Hook, add_loss: Hook
) -> Iterator[None]:
    """Lets calls of layers, operations on `KerasTensor`s and added losses go through functions.

    Arithmetic that begins with a variable, or with an array of JAX or NumPy, is the tensor's then
    too.
    """
    variable = next(c for c in keras.Variable.__mro__ if "__mul__" in vars(c))
    with (
        ExitStack() as stack,
        calls_through(keras.layers.Layer, "__call__", layer_call),
        calls_through(keras.Operation, "symbolic_call", operation_call),
        calls_through(keras.layers.Layer, "add_loss", add_loss),
        calls_through(
            keras.layers.MultiHeadAttention, "_compute_attention", _attention_by_operations
        ),
        calls_through(keras.KerasTensor, "__jax_array__", lambda plain, tensor: tensor),
    ):
        for name in _ARITHMETIC:
            stack.enter_context(calls_through(variable, f"__{name}__", _left_to_tensors))
        stack.enter_context(_left_by_numpy())
        yield


def _left_to_tensors(plain: Any, variable: Any, other: Any) -> Any:
    """Leaves `variable * tensor` to a symbolic tensor: a variable hands it to its backend."""
    return NotImplemented if isinstance(other, keras.KerasTensor) else plain(variable, other)


@contextmanager
def _left_by_numpy() -> Iterator[None]:
    """Lets NumPy leave `array * tensor` to a symbolic tensor: it would ask for its values."""
    global _leaving
    with _lock:
        _leaving += 1
        keras.KerasTensor.__array_ufunc__ = None
    try:
        yield
    finally:
        with _lock:
            _leaving -= 1
            if not _leaving:
                del keras.KerasTensor.__array_ufunc__


def _attention_by_operations(
    plain: Any, layer: Any, query: Any, key: Any, value: Any, *args: Any, **kwargs: Any
) -> Any:
    """Computes attention by an operation of `keras.ops` where the layer itself cannot.

    Keras 3.16 computes it by the backend's own function, which takes no symbolic tensors.
    """
    try:
        return plain(layer, query, key, value, *args, **kwargs)
    except Exception:
        if not isinstance(query, keras.KerasTensor) or len(query.shape) != 4:
            raise
    return keras.ops.dot_product_attention(query, key, value), None


def other_calls(layer: Any) -> tuple[Callable[..., Any], ...]:
    """Returns another way to call a layer of Keras's on symbolic tensors, if it may need one.

    Grouped attention of Keras 3.16 repeats keys and values by the backend's own function, which
    takes none. Masks, which carry no signal, are left out.
    """
    if not isinstance(layer, keras.layers.GroupQueryAttention):
        return ()

    def call(query: Any, value: Any, key: Any = None, **_: Any) -> Any:
        gate = layer._gate_dense(query) if getattr(layer, "use_gate", False) else None
        queries = layer._query_dense(query)
        keys = layer._key_dense(value if key is None else key)
        values = layer._value_dense(value)
        keys, values = (keras.ops.repeat(t, layer.num_repeats, axis=2) for t in (keys, values))
        mixed = keras.ops.dot_product_attention(queries, keys, values)
        return layer._output_dense(mixed if gate is None else keras.ops.multiply(mixed, gate))

    return (call,)


@contextmanager
def activations_through(
    softmax: Hook, sigmoid: Hook, entropy: Hook, attention: Hook
) -> Iterator[None]:
    """Lets softmax, sigmoid, cross-entropies and attention of this backend go through functions.

    The layers, losses and `keras.ops` all look them up in one module of the backend. Tried with
    Keras 3.15.1 on JAX and torch.
    """
    module: Any = sys.modules[f"keras.src.backend.{keras.backend.backend()}.nn"]
    names = {
        "softmax": softmax,
        "sigmoid": sigmoid,
        "categorical_crossentropy": entropy,
        "sparse_categorical_crossentropy": entropy,
        "binary_crossentropy": entropy,
        "dot_product_attention": attention,
    }
    with ExitStack() as stack:
        for name, hook in names.items():
            if hasattr(module, name):
                stack.enter_context(calls_through(module, name, hook))
        yield
