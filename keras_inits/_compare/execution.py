"""How a comparison is carried out: trainer, pieces, place, and who is called on the way."""

import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, get_args

import keras

from keras_inits._checks import choice, function, integer, path
from keras_inits._compare.plan import Run
from keras_inits._errors import InputError
from keras_inits._optional import package
from keras_inits._progress import Progress

Trainer = Literal["auto", "population", "fit"]
MOST_THREADS = 4  # since each has functions of its own, traced one after another


@dataclass(frozen=True)
class Execution:
    """How a comparison is carried out; the numbers are the same up to rounding.

    Attributes:
        trainer: `"auto"` trains all runs side by side, or by `fit` if that cannot be, with the
            reason in `notes`; `"population"` and `"fit"` insist.
        n_jobs: chunks trained at once, by joblib, -1 for as many as there are processors; None for
            what `joblib.parallel_config` says, or one.
        chunk_size: models trained side by side; None for what fits into memory.
        threads: number of threads that share a chunk, with one job; None for the processors, at
            most four, and one with a GPU.
        out: folder that keeps every finished chunk and, with one job, every finished epoch; the
            same call resumes from there.
        on_progress: called with a `Progress` after each epoch of a chunk, or each chunk with
            several jobs.
        on_runs: called with the runs of each finished chunk, the resumed ones first.

    Raises:
        InputError: an argument out of range.

    >>> Execution(trainer="fit").trainer
    'fit'
    """

    trainer: Trainer = "auto"
    n_jobs: int | None = None
    chunk_size: int | None = None
    threads: int | None = None
    out: Path | str | None = None
    on_progress: Callable[[Progress], object] = lambda progress: None
    on_runs: Callable[[Sequence[Run]], object] = lambda runs: None

    def __post_init__(self) -> None:
        choice("trainer", self.trainer, get_args(Trainer))
        if self.n_jobs is not None:
            object.__setattr__(self, "n_jobs", integer("n_jobs", self.n_jobs, minimum=None))
            if self.n_jobs == 0:
                raise InputError(
                    "`n_jobs` must be 1 or more, or negative to count from all processors down, "
                    "such as -1 for all. Received: n_jobs=0"
                )
        for name in ("chunk_size", "threads"):
            if (count := getattr(self, name)) is not None:
                object.__setattr__(self, name, integer(name, count, minimum=1))
        if self.out is not None:
            path("out", self.out)
        for name in ("on_progress", "on_runs"):
            function(name, getattr(self, name), "a function of one argument")

    def jobs(self) -> int:
        """Returns how many chunks are trained at once.

        Raises:
            MissingPackageError: `n_jobs` is given, and joblib is not installed.
        """
        # Without joblib loaded, nobody can have called `joblib.parallel_config`.
        if self.n_jobs in (None, 1) and "joblib" not in sys.modules:
            return 1
        return int(package("joblib", "`n_jobs`").effective_n_jobs(self.n_jobs))

    def thread_count(self) -> int:
        """Returns how many threads share a chunk."""
        if self.threads is not None:
            return self.threads
        return min(MOST_THREADS, _processors()) if on_processors() else 1


def one_thread_per_operation() -> None:
    """Makes TensorFlow leave the processors to models side by side, rather than to operations.

    That about halves the time of populations of small models on two cores. It holds for the whole
    process, which is why `compare` leaves it to its callers, and does nothing once TensorFlow runs.

    >>> import keras_inits
    >>> keras_inits.one_thread_per_operation()  # first of all in a program  # doctest: +SKIP
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with contextlib.suppress(RuntimeError):  # it runs already
            tf.config.threading.set_intra_op_parallelism_threads(1)


def on_processors() -> bool:
    """Returns whether models are computed on processors, which threads can share."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf  # not needed by the plugin, and slow to load

        return not tf.config.list_physical_devices("GPU")
    if keras.backend.backend() == "jax":
        import jax

        return bool(jax.default_backend() == "cpu")
    return False  # torch's operations use all of them


def _processors() -> int:
    if find_spec("joblib"):  # which knows the limits of containers too
        return int(package("joblib", "`threads`").cpu_count())
    return os.cpu_count() or 1
