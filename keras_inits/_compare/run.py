"""`compare`: schemes x seeds, trained and measured."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np

from keras_inits._compare import chunks as chunking
from keras_inits._compare.comparison import Comparison
from keras_inits._compare.data import Batches, TrainingData, as_training_data, sample_count
from keras_inits._compare.plan import Plan, Run, takes_scheme
from keras_inits._compare.store import Store
from keras_inits._compare.vectorizing import CannotVectorizeError, refuse
from keras_inits._compare.weights import labelled, left_alone
from keras_inits._progress import Clock, Progress

Trainer = Literal["auto", "population", "fit"]


def compare(
    build: Callable[..., keras.Model],
    schemes: Any,
    data: Any,
    *,
    epochs: int,
    seeds: int | Sequence[int] = 20,
    batch_size: int | None = 100,
    optimizer: Any = None,
    loss: Any = None,
    metrics: Any = (),
    steps_per_epoch: int | None = None,
    shuffle: bool = True,
    batches: Batches = "shared",
    metric: str | None = None,
    root_seed: int = 0,
    trainer: Trainer = "auto",
    n_jobs: int | None = None,
    chunk_size: int | None = None,
    threads: int | None = None,
    keep_weights: bool = False,
    out: Path | str | None = None,
    on_progress: Callable[[Progress], object] = lambda progress: None,
    on_runs: Callable[[Sequence[Run]], object] = lambda runs: None,
) -> Comparison:
    """Trains every scheme with every seed, side by side, and says what that supports.

    Paired: run k of every scheme sees the same batches, and draws each variable from the same
    derived seed. All random numbers follow from `root_seed`; no global seed is touched.

    Args:
        build: returns a Keras model. Without arguments, its kernels are drawn by the scheme, each
            in the geometry of its layer, and every other weight by its own layer's initializer,
            each from a seed of its own. With one, it is given the scheme.
        schemes: names, initializers, or a dict from labels to them or to `GivenWeights`.
        data: `(x, y)`, `(train, test)`, each of arrays or, for models of several inputs or
            outputs, dicts of arrays; a `tf.data.Dataset` of batches (read into memory once and
            cut anew into batches of `batch_size`), or a name such as `"mnist"`.
        epochs: how many.
        seeds: how many runs of each scheme, numbered from 0, or their numbers.
        batch_size: samples a step; None for all of them.
        optimizer: a name or an optimizer; None if `build()` compiles the model.
        loss: as `compile` takes it.
        metrics: as `compile` takes them; measured on the test data after each epoch.
        steps_per_epoch: steps between two measurements; None for one pass over the data.
        shuffle: whether every epoch has the samples in a new order.
        batches: `"shared"`: all seeds see the same batches, and the intervals speak of the initial
            weights alone; the fastest. `"own"`: each seed has an order of its own, and the
            intervals contain that too.
        metric: what the result is about; the first test accuracy or metric if None.
        root_seed: where all random numbers come from.
        trainer: `"auto"` trains the population side by side, or by `fit` if that cannot be, with
            the reason in `notes`; the others insist.
        n_jobs: chunks trained at once, by joblib; None for what `joblib.parallel_config` says, or
            one.
        chunk_size: models trained side by side; what fits into memory if None.
        threads: among which a chunk is dealt out, with one job; the processors, up to four, if
            None, and one with a GPU.
        keep_weights: whether the comparison holds the weights that each run ends with.
        out: folder that keeps every finished chunk and, with one job, every finished epoch; the
            same call goes on from there.
        on_progress: takes a `Progress` after each epoch of a chunk, or each chunk with several
            jobs.
        on_runs: takes the runs of each finished chunk, the resumed ones first.

    Returns:
        The comparison.

    Raises:
        ValueError: an argument out of range, or `out` holds another comparison.
        TypeError: `data` or `schemes` of a kind that is not known.

    >>> import keras, numpy as np
    >>> x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    >>> model = lambda: keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    >>> result = compare(
    ...     model, ["xavier", "zeros"], (x, x.sum(axis=1)), seeds=3, epochs=2, batch_size=16,
    ...     optimizer="sgd", loss="mean_squared_error",
    ... )
    >>> result.final("loss").shape
    (2, 3)
    """
    numbers = _checked_seeds(
        seeds,
        epochs=epochs,
        batch_size=batch_size,
        steps_per_epoch=steps_per_epoch,
        threads=threads,
    )
    if trainer not in (known := ("auto", "population", "fit")):
        raise ValueError(f"`trainer` must be one of {', '.join(known)}. Received: {trainer!r}")
    by_label = labelled(schemes)
    # Only images by name have to be brought into the shape that the model takes.
    shape = _input_shape(build, by_label) if isinstance(data, str) else None
    arrays = as_training_data(data, shape)
    plan = Plan(
        build=build,
        schemes=by_label,
        data=arrays,
        epochs=epochs,
        batch_size=min(batch_size or arrays.samples, arrays.samples),
        steps=steps_per_epoch,
        shuffle=shuffle,
        batches=batches,
        optimizer=_serialized(optimizer),
        loss=loss,
        metrics=dict(metrics) if isinstance(metrics, Mapping) else list(metrics),
        root_seed=root_seed,
        keep_weights=keep_weights,
    )
    template = plan.model()
    settings = plan.settings(template)
    store = None
    finished: dict[tuple[str, int], Run] = {}
    members = [(label, seed) for seed in numbers for label in by_label]
    if out is not None:
        store = Store(
            Path(out), settings, {label: plan.scheme_settings(label) for label in by_label}
        )
        kept = store.load(epochs, weights=keep_weights)
        finished = {key: run for key, run in kept.items() if key in members}
    missing = [member for member in members if member not in finished]
    size = chunk_size or chunking.members_in_memory(plan, template)
    if not side_by_side(template, trainer):
        size = 1  # nothing is gained by waiting for others before it is written down
    if (jobs := n_jobs or 1) > 1:
        size = min(size, -(-len(missing) // jobs))
    pieces = chunking.cut(missing, size, len(by_label))
    clock = Clock(len(finished) * epochs, len(members) * epochs, on_progress)
    if finished:
        on_runs(list(finished.values()))
    trained = chunking.train_chunks(
        plan,
        pieces,
        trainer=trainer,
        n_jobs=n_jobs,
        threads=threads,
        on_epoch=lambda chunk, epoch: clock.tell(
            sum(map(len, pieces[:chunk])) * epochs + len(pieces[chunk]) * epoch
        ),
        store=store,
    )
    for runs in trained:
        finished |= {(run.scheme, run.seed): run for run in runs}
        on_runs(runs)
        clock.tell(sum(member in finished for member in missing) * epochs)
    return comparison(
        [finished[member] for member in members],
        arrays,
        metric=metric,
        notes=() if takes_scheme(build) else _notes(template),
        settings={**settings, "data_description": arrays.description},
    )


def comparison(
    runs: Sequence[Run],
    data: TrainingData,
    *,
    metric: str | None,
    notes: Sequence[str],
    settings: dict[str, Any],
) -> Comparison:
    """Returns runs put together: seed by seed, in each the schemes in one order."""
    schemes = tuple(dict.fromkeys(run.scheme for run in runs))
    seeds = tuple(dict.fromkeys(run.seed for run in runs))
    history = {}
    # the training loss, then each test set's loss and its metrics
    for name in sorted(runs[0].history, key=lambda n: (n != "loss", not n.endswith("_loss"), n)):
        values = np.array([run.history[name] for run in runs], float)
        history[name] = values.reshape(len(seeds), len(schemes), -1).swapaxes(0, 1)
    if metric is None:
        tests = [n for n in history if n != "loss" and not n.endswith("_loss")]
        accuracies = [n for n in tests if n.endswith("accuracy")]
        metric = (accuracies or tests or list(history)[1:] or ["loss"])[0]
    reasons = dict.fromkeys(f"Trained one by one by `fit`: {r.reason}." for r in runs if r.reason)
    result = Comparison(
        schemes=schemes,
        seeds=seeds,
        history=history,
        metric=metric,
        chance={name: c for name, (_, y) in data.evaluation.items() if (c := _chance(y))},
        samples={name: sample_count(y) for name, (_, y) in data.evaluation.items()},
        trainer=" and ".join(sorted({run.trainer for run in runs}, reverse=True)),
        notes=(*reasons, *notes),
        settings=settings,
        weights={(run.scheme, run.seed): run.weights for run in runs if run.weights},
    )
    result.values()  # refuses a metric that was not measured
    return result


def side_by_side(template: keras.Model, trainer: Trainer) -> bool:
    """Says whether it is worth to try to train models like this side by side."""
    try:
        refuse(template)
    except CannotVectorizeError:
        return trainer == "population"
    return trainer != "fit"


def _checked_seeds(seeds: int | Sequence[int], **counts: int | None) -> list[int]:
    for name, count in counts.items():
        if count is not None and count < 1:
            raise ValueError(f"`{name}` must be at least 1. Received: {name}={count}")
    numbers = list(range(seeds)) if isinstance(seeds, int) else [int(seed) for seed in seeds]
    if not numbers or len(set(numbers)) < len(numbers) or min(numbers) < 0:
        raise ValueError(
            "`seeds` must be at least 1, or different numbers that are not negative. "
            f"Received: seeds={seeds!r}"
        )
    return numbers


def _input_shape(build: Callable[..., keras.Model], schemes: dict[str, Any]) -> Any:
    model = build(next(iter(schemes.values()))) if takes_scheme(build) else build()
    return getattr(model, "input_shape", None) if model.built else None


def _serialized(optimizer: Any) -> Any:
    """An optimizer as its configuration: it holds variables, which travel to no other machine."""
    if optimizer is None or isinstance(optimizer, str | dict):
        return optimizer
    return keras.saving.serialize_keras_object(optimizer)


def _notes(template: keras.Model) -> tuple[str, ...]:
    equal = left_alone(template)
    return (f"Not known, and so equal in every run: {_some(equal)}.",) if equal else ()


def _some(paths: Sequence[str]) -> str:
    return ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")


def _chance(targets: Any) -> float | None:
    """Returns the share of the commonest class; None if the targets are not classes."""
    if keras.tree.is_nested(targets):
        return None
    targets = np.asarray(targets)
    if targets.ndim == 2 and targets.shape[1] > 1 and np.all(targets.sum(axis=1) == 1):
        targets = targets.argmax(axis=1)
    flat = targets.reshape(-1)
    if len(flat) != len(targets) or np.any(flat != np.round(flat)):
        return None
    counts = np.unique(flat, return_counts=True)[1]
    return float(counts.max() / counts.sum())
