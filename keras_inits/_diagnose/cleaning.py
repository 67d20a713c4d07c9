"""What is left of a batch without the values that nothing can be computed from."""

from dataclasses import replace
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_inits._diagnose.backends import backend
from keras_inits._diagnose.batch import Batch
from keras_inits._diagnose.setting.entrance.entrances import embeddings, first_met
from keras_inits._diagnose.setting.entrance.lookups import within


def cleaned(batch: Batch, model: keras.Model) -> tuple[Batch, tuple[str, ...]]:
    """Returns a batch that the signal can be looked at with, and what was done.

    Samples with NaN or infinity in inputs or targets are left out; where all have them, these
    values become 0. Numbers that an embedding has no row for become those of the nearest row.
    """
    notes = []
    good = np.ones(batch.size, bool)
    for tensor in keras.tree.flatten((batch.x, batch.y)):
        if _is_floating(tensor) and tuple(tensor.shape[:1]) == (batch.size,):
            finite = np.isfinite(ops.convert_to_numpy(tensor).reshape(batch.size, -1))
            good &= finite.all(axis=1)
    if good.any() and not good.all():
        x, y, weights = (_rows(part, good) for part in (batch.x, batch.y, batch.sample_weight))
        batch = Batch(x, y, weights)
        notes.append(f"signal: of the {good.sum()} samples that are finite")
    elif not good.any():
        x, y = keras.tree.map_structure(_zeroed, (batch.x, batch.y))
        batch = replace(batch, x=x, y=y)
        notes.append("signal: with 0 for what is not finite, since no sample is finite")
    flat = keras.tree.flatten(batch.x)
    for index, met in enumerate(first_met(model, len(flat), batch.x)):
        if tables := embeddings(met):
            given = ops.convert_to_numpy(flat[index])
            near = within(given, tables)
            flat[index] = ops.convert_to_tensor(near)
            if (near != given).any():
                notes.append("signal: with the nearest row for what the embedding has no row for")
    return replace(batch, x=keras.tree.pack_sequence_as(batch.x, flat)), tuple(notes)


def _rows(structure: Any, good: np.ndarray) -> Any:
    if structure is None:
        return None
    return keras.tree.map_structure(lambda t: None if t is None else t[good], structure)


def _zeroed(tensor: Any) -> Any:
    if not _is_floating(tensor):
        return tensor
    return ops.where(ops.isfinite(tensor), tensor, ops.zeros_like(tensor))


def _is_floating(tensor: Any) -> bool:
    return backend.is_tensor(tensor) and backend.is_floating(tensor)
