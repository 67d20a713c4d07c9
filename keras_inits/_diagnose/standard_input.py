"""Input for a model that comes without data: standard normal, or integers for embeddings."""

from typing import Any

import keras
import numpy as np

# Where a model leaves a length open (text, sound, images of any size).
_OPEN_LENGTH = 64


def standard_input(model: Any, batch: int = 32, seed: int = 0) -> Any:
    """Returns a batch that `model` accepts: N(0, 1), or integers that its embeddings know.

    Args:
        model: a Keras model that knows its inputs.
        batch: how many samples.
        seed: of the values.

    Returns:
        An array, or the structure of arrays that the model takes; axes left open have 64 entries.

    Raises:
        ValueError: a model that does not know its inputs, as a subclassed one does not.

    >>> standard_input(keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])).shape
    (32, 3)
    """
    inputs = getattr(model, "_inputs_struct", None)  # named inputs have no public structure
    if inputs is None:
        inputs = getattr(model, "inputs", None)
    if inputs is None or (isinstance(inputs, list) and not inputs):
        raise ValueError(
            "This model does not say what it takes: give data. "
            f"Received: model {model.name!r} of type {type(model).__name__}"
        )
    rng = np.random.default_rng(seed)
    known = _vocabulary(model)

    def fill(tensor: Any) -> Any:
        shape = (batch, *(size or _OPEN_LENGTH for size in tensor.shape[1:]))
        dtype = keras.backend.standardize_dtype(tensor.dtype)
        if known is not None and _feeds_embedding(model, tensor):
            return rng.integers(0, known, shape).astype(dtype)
        if "int" in dtype or dtype == "bool":
            if "mask" in tensor.name:  # of KerasHub's models: every token counts
                return np.ones(shape, dtype)
            return rng.integers(0, known or 2, shape).astype(dtype)
        return rng.standard_normal(shape).astype(dtype)

    arrays = keras.tree.map_structure(fill, inputs)
    return arrays[0] if isinstance(arrays, list) and len(arrays) == 1 else arrays


def _embeddings(model: Any) -> list[Any]:
    found, waiting = [], list(model.layers)
    while waiting:
        layer = waiting.pop()
        if isinstance(layer, keras.layers.Embedding):
            found.append(layer)
        waiting += [v for v in getattr(layer, "layers", ()) if isinstance(v, keras.layers.Layer)]
    return found


def _vocabulary(model: Any) -> int | None:
    """Returns the smallest number of entries that an embedding of `model` has."""
    return min((layer.input_dim for layer in _embeddings(model)), default=None)


def _feeds_embedding(model: Any, tensor: Any) -> bool:
    """Says whether `tensor` goes straight into an embedding: then its floats are indices too."""
    takers = [e for e in _embeddings(model) if getattr(e, "_inbound_nodes", None)]
    return any(tensor is taken for e in takers for taken in _inputs_of(e))


def _inputs_of(layer: Any) -> list[Any]:
    try:
        return list(keras.tree.flatten(layer.input))
    except (AttributeError, ValueError):  # called more than once, or never by itself
        return []
