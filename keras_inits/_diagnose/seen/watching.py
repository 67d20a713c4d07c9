"""Seeing each call of a layer that one thread makes, without a trace afterwards."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

import keras

from keras_inits._diagnose.backends import backend
from keras_inits._keras_internals import asking, calls_through, functions_traced_anew, holding


class Watcher(Protocol):
    """What is asked at each call of a layer."""

    def run(self, original: Any, layer: keras.Layer, args: Any, kwargs: Any) -> Any:
        """Calls `original(layer, *args, **kwargs)`, or something like it, and returns its value."""


# A thread does not see the context of another one.
_active: ContextVar[Watcher | None] = ContextVar("keras_inits_watcher", default=None)
_dispatch = asking(_active, "run")


@contextmanager
def watching(watcher: Watcher) -> Iterator[None]:
    """Lets `watcher` see every call of a layer in this thread (strictly: in this context)."""
    with (
        functions_traced_anew(),
        calls_through(keras.layers.Layer, "__call__", _dispatch),
        holding(_active, watcher),
    ):
        yield


def watching_values(watcher: Watcher) -> AbstractContextManager[None]:
    """Lets `watcher` see the calls that are made on values.

    Not those that a compiler traces once for many: a recurrent layer's of its cell on JAX, or what
    is called inside of a `tf.function`.
    """
    return watching(_OnValues(watcher))


class _OnValues:
    """Hands on to a watcher the calls that are made on values."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher

    def run(self, original: Any, layer: keras.Layer, args: Any, kwargs: Any) -> Any:
        given = [t for t in keras.tree.flatten((args, kwargs)) if backend.is_tensor(t)]
        if not backend.is_concrete(given):
            return original(layer, *args, **kwargs)
        return self._watcher.run(original, layer, args, kwargs)
