"""What reaches a layer of a model, for each example of some data."""

import contextvars
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_inits._keras_internals import calls_through, functions_traced_anew, holding

BATCH = 256  # examples that go through the model at a time


_watched: contextvars.ContextVar[Any] = contextvars.ContextVar("watched", default=None)


class _Seen(BaseException):
    """What came into the layer that is watched."""


def inputs_of(model: Any, layer: Any, data: Any) -> NDArray[Any] | str:
    """Returns the input of a layer at its first call, or why it cannot be seen.

    Args:
        model: the model.
        layer: one of its layers; the model is run up to it.
        data: what the model takes, an array or a structure of arrays.

    Returns:
        `(examples, ...)`, float32; a text if no pass comes to the layer.
    """
    pieces = []
    count = len(keras.tree.flatten(data)[0])
    with (
        functions_traced_anew(),
        calls_through(keras.layers.Layer, "__call__", _watch),
        holding(_watched, layer),
    ):
        for start in range(0, count, BATCH):
            rows = slice(start, start + BATCH)
            try:
                model(keras.tree.map_structure(lambda leaf, rows=rows: leaf[rows], data))
            except _Seen as seen:
                pieces.append(np.asarray(ops.convert_to_numpy(seen.args[0]), "float32"))
            else:
                return "no pass comes to it"
    return np.concatenate(pieces)


def _watch(plain: Any, layer: Any, *args: Any, **kwargs: Any) -> Any:
    if layer is _watched.get():
        raise _Seen(args[0] if args else next(iter(kwargs.values())))
    return plain(layer, *args, **kwargs)
