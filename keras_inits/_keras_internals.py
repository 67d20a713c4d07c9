"""Every use of what Keras does not promise to keep, each with a check and the versions tried."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras

# --- following a model by its symbolic calls ------------------------------------------------------
# Tried with Keras 3.15.1. Keras has no hooks on layers and operations. All calls of layers go
# through `Layer.__call__`, all operations on `KerasTensor`s through `Operation.symbolic_call`, and
# all added losses through `Layer.add_loss`; the names are public, that nothing goes around them is
# not promised. `tests/wiring/test_tracing.py` fails where something does.

Hook = Callable[..., Any]

_lock = threading.Lock()
_hooked: dict[tuple[type, str], tuple[list[Hook], Any, Any]] = {}


@contextmanager
def calls_through(owner: type, method: str, hook: Hook) -> Iterator[None]:
    """Lets every call of a method in this process go through a function.

    The method is replaced once, however many ask for it at the same time, and put back when the
    last one leaves.

    Args:
        owner: the class that has the method.
        method: its name.
        hook: called as `hook(next, instance, *args, **kwargs)`, where `next` is the hook below, or
            the method itself. It is called for every thread: it should ask a `ContextVar` whether
            the call is its business.
    """
    with _lock:
        _add(owner, method, hook)
    try:
        yield
    finally:
        with _lock:
            _remove(owner, method, hook)


def _add(owner: type, method: str, hook: Hook) -> None:
    if (owner, method) not in _hooked:
        plain, hooks = getattr(owner, method), list[Hook]()

        def call(instance: Any, *args: Any, **kwargs: Any) -> Any:
            return _next(plain, tuple(hooks))(instance, *args, **kwargs)

        _hooked[owner, method] = (hooks, plain, call)
        setattr(owner, method, call)
    _hooked[owner, method][0].append(hook)


def _next(plain: Any, hooks: tuple[Hook, ...]) -> Callable[..., Any]:
    if not hooks:
        return plain  # type: ignore[no-any-return]
    below = _next(plain, hooks[:-1])
    return lambda *args, **kwargs: hooks[-1](below, *args, **kwargs)


def _remove(owner: type, method: str, hook: Hook) -> None:
    hooks, plain, call = _hooked[owner, method]
    hooks.remove(hook)
    # Another library may have put its own method on top meanwhile: then that one stays.
    if not hooks:
        del _hooked[owner, method]
        if getattr(owner, method) is call:
            setattr(owner, method, plain)


@contextmanager
def symbolic_calls_through(
    layer_call: Hook, operation_call: Hook, add_loss: Hook
) -> Iterator[None]:
    """Lets calls of layers, operations on `KerasTensor`s and added losses go through functions."""
    with (
        calls_through(keras.layers.Layer, "__call__", layer_call),
        calls_through(keras.Operation, "symbolic_call", operation_call),
        calls_through(keras.layers.Layer, "add_loss", add_loss),
    ):
        yield
