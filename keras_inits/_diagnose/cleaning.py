"""What is left of a batch without the values that nothing can be computed from."""

from dataclasses import replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_inits._diagnose.batch import Batch
from keras_inits._diagnose.setting.entrances import embeddings, first_met
from keras_inits._diagnose.setting.lookups import within


def cleaned(batch: Batch, model: keras.Model) -> tuple[Batch, tuple[str, ...]]:
    """Returns a batch that the signal can be looked at with, and what was done.

    Samples with NaN or infinity in inputs or targets are left out; where all have them, these
    values become 0. Numbers that an embedding has no row for become those of the nearest row.
    """
    notes = []
    good = np.ones(batch.size, bool)
    for tensor in keras.tree.flatten((batch.x, batch.y)):
        if tf.is_tensor(tensor) and tensor.dtype.is_floating and tensor.shape[:1] == batch.size:
            finite = tf.math.is_finite(tf.reshape(tensor, (batch.size, -1)))
            good &= tf.reduce_all(finite, 1).numpy()
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
            given = flat[index].numpy()
            flat[index] = tf.constant(within(given, tables))
            if (flat[index].numpy() != given).any():
                notes.append("signal: with the nearest row for what the embedding has no row for")
    return replace(batch, x=keras.tree.pack_sequence_as(batch.x, flat)), tuple(notes)


def _rows(structure: Any, good: np.ndarray) -> Any:
    if structure is None:
        return None
    return keras.tree.map_structure(lambda t: None if t is None else t[good], structure)


def _zeroed(tensor: Any) -> Any:
    if not tf.is_tensor(tensor) or not tensor.dtype.is_floating:
        return tensor
    return tf.where(tf.math.is_finite(tensor), tensor, tf.zeros_like(tensor))
