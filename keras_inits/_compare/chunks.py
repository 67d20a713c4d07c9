"""The runs cut into chunks, each trained as a whole, in this process or on other machines."""

import functools
from collections.abc import Callable, Iterator, Sequence

from keras_inits._compare.execution import Execution, Trainer
from keras_inits._compare.one_by_one import train_one_by_one
from keras_inits._compare.plan import Listener, Member, Plan, Run
from keras_inits._compare.population import train_population
from keras_inits._compare.store import EpochState, Store
from keras_inits._compare.vectorizing import CannotVectorizeError
from keras_inits._optional import package


def cut(members: Sequence[Member], size: int, together: int) -> list[list[Member]]:
    """Returns the members in chunks of at most `size`, the schemes of a seed in one if they fit.

    Args:
        members: seed by seed, in each the schemes.
        size: members per chunk.
        together: schemes per seed.

    >>> cut([("a", 0), ("b", 0), ("a", 1), ("b", 1)], 3, 2)
    [[('a', 0), ('b', 0)], [('a', 1), ('b', 1)]]
    """
    size = max(1, size)
    if size >= together:
        size -= size % together
    return [list(members[i : i + size]) for i in range(0, len(members), size)]


def train_chunks(
    plan: Plan,
    chunks: Sequence[Sequence[Member]],
    execution: Execution,
    on_epoch: Callable[[int, int], object] = lambda chunk, epoch: None,
    store: Store | None = None,
) -> Iterator[list[Run]]:
    """Yields the runs of each chunk as it is finished.

    Chunks go through joblib, so that whatever `joblib.parallel_config` says carries them. With one
    job they are trained in this process.

    Args:
        plan: what the runs share.
        chunks: label and seed of the runs of each.
        execution: how they are trained.
        on_epoch: with one job, called with the chunk's number and its finished epochs.
        store: with one job, where each finished epoch is kept.
    """
    jobs = execution.jobs()
    if jobs > 1 and len(chunks) > 1:
        yield from _in_jobs(plan, chunks, execution, jobs)
        return
    for number, chunk in enumerate(chunks):
        state = None if store is None else store.state(chunk, plan.epochs)
        listen = functools.partial(on_epoch, number)
        threads = execution.thread_count()
        yield train_chunk(plan, chunk, execution.trainer, listen, state, threads)


def train_chunk(
    plan: Plan,
    members: Sequence[Member],
    trainer: Trainer = "auto",
    on_epoch: Listener = lambda epoch: None,
    state: EpochState | None = None,
    threads: int = 1,
) -> list[Run]:
    """Returns the runs of one chunk, trained side by side if they can be, else by `fit`.

    Args:
        plan: what the runs share.
        members: label and seed of each run.
        trainer: `"auto"`, `"population"` or `"fit"`.
        on_epoch: called with the number of epochs that the whole chunk has finished.
        state: where each finished epoch of a population, or of one run of `fit`, is kept.
        threads: number of threads that share a population.

    Raises:
        CannotVectorizeError: the model cannot, and `trainer` is `"population"`.
    """
    if trainer == "fit":
        return train_one_by_one(plan, members, on_epoch, state, reason="asked for")
    try:
        return train_population(plan, members, on_epoch, state, threads)
    except CannotVectorizeError as error:
        if trainer == "population":
            raise CannotVectorizeError(
                f"`trainer='population'` cannot train these models, since {error}. "
                "Received: trainer='population'; leave it at 'auto' to train them by `fit`"
            ) from error
        return train_one_by_one(plan, members, on_epoch, state, reason=str(error))


def _in_jobs(
    plan: Plan, chunks: Sequence[Sequence[Member]], execution: Execution, jobs: int
) -> Iterator[list[Run]]:
    joblib = package("joblib", "`n_jobs`")
    tasks = [joblib.delayed(train_chunk)(plan, chunk, execution.trainer) for chunk in chunks]
    try:
        parallel = joblib.Parallel(n_jobs=execution.n_jobs, return_as="generator_unordered")
    except ValueError:  # a backend, such as Ray's, that hands back nothing before all is done
        for i in range(0, len(tasks), jobs):
            yield from joblib.Parallel(n_jobs=execution.n_jobs)(tasks[i : i + jobs])
        return
    yield from parallel(tasks)
