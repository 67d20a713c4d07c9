"""A population cut into chunks that fit into memory, trained here or on other machines."""

import contextlib
import functools
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from keras_inits._compare.one_by_one import train_one_by_one
from keras_inits._compare.plan import Plan, Run
from keras_inits._compare.population import (
    EVALUATION_ROWS,
    Listener,
    train_population,
)
from keras_inits._compare.store import EpochState, Store
from keras_inits._compare.vectorizing import CannotVectorizeError

Member = tuple[str, int]
MEMORY_SHARE = 0.5  # of what is free: the rest is for the data, for TensorFlow and for the others
ASSUMED_MEMORY = 4 * 2**30  # where the system does not say
MOST_THREADS = 4  # since each has functions of its own, traced one after another


def train_chunk(
    plan: Plan,
    members: Sequence[Member],
    trainer: str = "auto",
    on_epoch: Listener = lambda epoch: None,
    state: EpochState | None = None,
    threads: int = 1,
) -> list[Run]:
    """Trains one chunk: side by side if the model can be, else by `fit`, with the reason noted.

    Args:
        plan: what the runs have in common.
        members: label and seed of each run.
        trainer: `"auto"`, `"population"` or `"fit"`.
        on_epoch: takes the number of epochs that the whole chunk has finished.
        state: where a population keeps each finished epoch.
        threads: among which a population is dealt out.

    Raises:
        CannotVectorizeError: the model cannot, and `trainer` is `"population"`.
    """
    if trainer == "fit":
        return train_one_by_one(plan, members, on_epoch, reason="asked for")
    try:
        return train_population(plan, members, on_epoch, state, threads)
    except CannotVectorizeError as error:
        if trainer == "population":
            raise
        return train_one_by_one(plan, members, on_epoch, reason=str(error))


def cut(members: Sequence[Member], size: int, together: int) -> list[list[Member]]:
    """Returns the members in chunks of at most `size`, the schemes of a seed in one if they fit.

    Args:
        members: seed by seed, in each the schemes.
        size: members a chunk.
        together: schemes a seed.

    >>> cut([("a", 0), ("b", 0), ("a", 1), ("b", 1)], 3, 2)
    [[('a', 0), ('b', 0)], [('a', 1), ('b', 1)]]
    """
    size = max(1, size)
    if size >= together:
        size -= size % together
    return [list(members[i : i + size]) for i in range(0, len(members), size)]


def members_in_memory(plan: Plan, model: Any, memory: float | None = None) -> int:
    """Returns how many models train side by side in `memory` bytes; at least 1.

    Counted for each: weights, gradient, the optimizer's two at most and a copy on the way; what
    every layer puts out for a batch, kept for the way back and again as its gradient, twice over
    for what lies between layers; an evaluation's batch, of which two layers live at a time. Where a
    layer does not say its output's shape, its weights stand for it.

    Args:
        plan: what is trained.
        model: a model of its.
        memory: in bytes; `MEMORY_SHARE` of what is free if None.
    """
    memory = MEMORY_SHARE * free_memory() if memory is None else memory
    width = np.dtype(model.compute_dtype if model.compute_dtype != "bfloat16" else "half").itemsize
    weights = model.count_params()
    outputs = [_numbers_out(layer) for layer in _flat(model)] or [weights]
    rows = min(plan.data.samples, plan.batch_size)
    training = 5 * weights + 4 * rows * sum(outputs)
    evaluation = weights + 2 * max(EVALUATION_ROWS, rows) * max(outputs)
    if plan.batches == "own":
        inputs = keras.tree.flatten(plan.data.x)
        training += 2 * rows * sum(int(np.prod(array.shape[1:])) for array in inputs)
    return max(1, int(memory // (width * max(training, evaluation))))


def free_memory() -> float:
    """Returns the bytes of memory that are free, as far as the system says."""
    try:
        return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (ValueError, OSError, AttributeError):
        return float(ASSUMED_MEMORY)


def train_chunks(
    plan: Plan,
    chunks: Sequence[Sequence[Member]],
    *,
    trainer: str,
    n_jobs: int | None,
    on_epoch: Callable[[int, int], object],
    threads: int | None = None,
    store: Store | None = None,
) -> Iterator[list[Run]]:
    """Yields the runs of each chunk as it is finished, and keeps them in `store`.

    Chunks go through joblib, so that whatever `joblib.parallel_config` says carries them. With one
    job they are trained in this process: `on_epoch` is told the chunk and its finished epochs, and
    each epoch is kept.
    """
    threads = _threads() if threads is None else threads
    for runs in _trained(plan, chunks, trainer, n_jobs, on_epoch, threads, store):
        if store is not None:
            store.add(runs)
            store.state([(run.scheme, run.seed) for run in runs], plan.epochs).discard()
        yield runs


def _trained(
    plan: Plan,
    chunks: Sequence[Sequence[Member]],
    trainer: str,
    n_jobs: int | None,
    on_epoch: Callable[[int, int], object],
    threads: int,
    store: Store | None,
) -> Iterator[list[Run]]:
    import joblib  # not needed by the plugin

    jobs = joblib.effective_n_jobs(n_jobs)
    if jobs == 1 or len(chunks) == 1:
        for number, chunk in enumerate(chunks):
            state = None if store is None else store.state(chunk, plan.epochs)
            listen = functools.partial(on_epoch, number)
            yield train_chunk(plan, chunk, trainer, listen, state, threads)
        return
    tasks = [joblib.delayed(train_chunk)(plan, chunk, trainer) for chunk in chunks]
    try:
        parallel = joblib.Parallel(n_jobs=n_jobs, return_as="generator_unordered")
    except ValueError:  # a backend, such as Ray's, that hands back nothing before all is done
        for i in range(0, len(tasks), jobs):
            yield from joblib.Parallel(n_jobs=n_jobs)(tasks[i : i + jobs])
        return
    yield from parallel(tasks)


def _threads() -> int:
    """Returns among how many threads a population is dealt out: the processors, but for GPUs."""
    import joblib

    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return 1 if tf.config.list_physical_devices("GPU") else min(MOST_THREADS, joblib.cpu_count())


def one_thread_per_operation() -> None:
    """Tells TensorFlow to leave the processors to models side by side, rather than to operations.

    That about halves the time of populations of small models on two cores. It holds for the whole
    process, which is why `compare` leaves it to its callers, and does nothing once TensorFlow runs.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with contextlib.suppress(RuntimeError):  # it runs already
            tf.config.threading.set_intra_op_parallelism_threads(1)


def _flat(model: Any) -> Iterator[Any]:
    for layer in getattr(model, "layers", ()):
        if hasattr(layer, "layers"):
            yield from _flat(layer)
        else:
            yield layer


def _numbers_out(layer: Any) -> int:
    try:
        shape = layer.output.shape
    except (AttributeError, ValueError):  # a layer of a subclassed model, or one used twice
        return int(layer.count_params()) if layer.built else 0
    return int(np.prod([size or 1 for size in shape[1:]]))
