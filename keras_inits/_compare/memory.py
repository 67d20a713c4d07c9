"""How many models fit into memory side by side."""

import os
from pathlib import Path

import keras
import numpy as np

from keras_inits._compare.models import flat_layers
from keras_inits._compare.plan import EVALUATION_ROWS, Plan

MEMORY_SHARE = 0.5  # of what is free: the rest is for the data, for TensorFlow and for the others
ASSUMED_MEMORY = 4 * 2**30  # bytes, where the system reports none


def members_in_memory(plan: Plan, model: keras.Model, memory: float | None = None) -> int:
    """Returns how many models train side by side in `memory` bytes; at least 1.

    Counted for each: weights, gradient, the optimizer's two at most and a temporary copy; what
    every layer puts out for a batch, kept for the backward pass and again as its gradient, twice
    over for what lies between layers; an evaluation's batch, of which two layers live at a time.
    Where a layer has no known output shape, its weights are counted instead.

    Args:
        plan: what is trained.
        model: a model of the plan.
        memory: in bytes; `MEMORY_SHARE` of what is free if None.
    """
    memory = MEMORY_SHARE * free_memory() if memory is None else memory
    width = np.dtype(model.compute_dtype if model.compute_dtype != "bfloat16" else "half").itemsize
    weights = model.count_params()
    outputs = [_numbers_out(layer) for layer in flat_layers(model)] or [weights]
    rows = min(plan.data.samples, plan.batch_size)
    training = 5 * weights + 4 * rows * sum(outputs)
    evaluation = weights + 2 * max(EVALUATION_ROWS, rows) * max(outputs)
    if plan.batches == "own":
        inputs = keras.tree.flatten(plan.data.x)
        training += 2 * rows * sum(int(np.prod(array.shape[1:])) for array in inputs)
    return max(1, int(memory // (width * max(training, evaluation, 1))))


def free_memory() -> int:
    """Returns the bytes of memory that can still be had without swap; all of it on other systems.

    Linux counts what its caches of files would give back.
    """
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return ASSUMED_MEMORY


def _numbers_out(layer: keras.Layer) -> int:
    try:
        shape = layer.output.shape
    except (AttributeError, ValueError):  # a layer of a subclassed model, or one used twice
        return int(layer.count_params()) if layer.built else 0
    return int(np.prod([size or 1 for size in shape[1:]]))
