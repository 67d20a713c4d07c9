"""Seeing each call of a layer that one thread makes, without a trace afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

import keras

from keras_inits._keras_internals import asking, calls_through, holding


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
    with calls_through(keras.layers.Layer, "__call__", _dispatch), holding(_active, watcher):
        yield
