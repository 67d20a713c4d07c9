"""`compare`: schemes x seeds, trained and measured."""

import functools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, get_args

import keras
import numpy as np

from keras_inits._checks import boolean, choice, fits, function, instance, integer
from keras_inits._compare.checks import run_numbers
from keras_inits._compare.chunks import cut, train_chunks
from keras_inits._compare.comparison import Comparison
from keras_inits._compare.data import (
    Batches,
    TrainingData,
    as_training_data,
    sample_count,
    take,
)
from keras_inits._compare.execution import Execution, Trainer
from keras_inits._compare.memory import members_in_memory
from keras_inits._compare.models import (
    batch_made_for,
    compiled_model,
    refuse_without_argument,
    takes_scheme,
)
from keras_inits._compare.plan import CompileOptions, Member, Plan, Run
from keras_inits._compare.settings import run_settings, scheme_settings
from keras_inits._compare.starts import labelled
from keras_inits._compare.store import Store
from keras_inits._compare.vectorizing import CannotVectorizeError, refuse
from keras_inits._compare.weights import left_alone
from keras_inits._errors import InputError, InputTypeError
from keras_inits._optional import require
from keras_inits._progress import Clock


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
    seed: int = 0,
    keep_weights: bool = False,
    execution: Execution = Execution(),  # noqa: B008 (frozen)
) -> Comparison:
    """Returns what every scheme with every seed measured in training, and what that supports.

    Paired: run k of every scheme sees the same batches, and draws each variable from the same
    derived seed. All random numbers follow from `seed`; no global seed is touched.

    Args:
        build: returns a Keras model. Without arguments, its kernels are drawn by the scheme, each
            in the geometry of its layer, and every other weight by its own layer's initializer,
            each from a seed of its own. With one argument, it is given the scheme.
        schemes: names, initializers, or a dict from labels to anything that `initialize` takes
            (recipes, `"auto"` and `"own"` too), to `GivenWeights`, or to starts from data or from
            other models: `keras_inits.calibrate`, or a `Start` of it. What these cost is in the
            table.
        data: `(x, y)`, `(train, test)`, each of arrays or, for models of several inputs or
            outputs, dicts of arrays; a `tf.data.Dataset` of batches (read into memory once and
            cut anew into batches of `batch_size`), or a name such as `"mnist"`.
        epochs: number of epochs.
        seeds: number of runs of each scheme, numbered from 0, or their numbers.
        batch_size: samples per step; None for all of them.
        optimizer: a name or an optimizer; None if `build()` compiles the model.
        loss: as `compile` takes it.
        metrics: as `compile` takes them; measured on the test data after each epoch.
        steps_per_epoch: steps between two measurements; None for one pass over the data.
        shuffle: whether every epoch has the samples in a new order.
        batches: `"shared"`: all seeds see the same batches, and the intervals cover the initial
            weights alone; the fastest. `"own"`: each seed has an order of its own, and the
            intervals cover that too.
        metric: what the result is about; the first test accuracy or metric if None.
        seed: the root seed, from which all random numbers follow.
        keep_weights: whether the comparison holds the weights that each run ends with.
        execution: how it is carried out: trainer, jobs, chunks, threads, the folder that keeps what
            is finished, and who is called on the way.

    Returns:
        The comparison.

    Raises:
        InputError: an argument out of range, no optimizer, or a folder `execution.out` that holds
            another comparison, is damaged or cannot be written.
        InputTypeError: `data` or `schemes` of a kind that is not known.
        MissingPackageError: several seeds, and SciPy, which their intervals need, is not there.

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
    instance("execution", execution, Execution, "a keras_inits.Execution")
    numbers = run_numbers(seeds)
    if len(numbers) > 1:  # said before a download and the training, not at the end of them
        require("The interval of several seeds", "scipy")
    plan = _prepare(
        build,
        schemes,
        data,
        options=CompileOptions(_without_variables(optimizer), loss, _metrics(metrics)),
        epochs=integer("epochs", epochs, minimum=1),
        batch_size=_count("batch_size", batch_size),
        steps=_count("steps_per_epoch", steps_per_epoch),
        shuffle=boolean("shuffle", shuffle),
        batches=choice("batches", batches, get_args(Batches)),
        seed=integer("seed", seed),
        keep_weights=boolean("keep_weights", keep_weights),
    )
    template = compiled_model(plan)
    fits(template, plan.data.x, name="data")
    if metric is not None:
        _refuse_unmeasured(plan, metric)
    members = [(label, number) for number in numbers for label in plan.schemes]
    with ThreadPoolExecutor(1) as hashing:  # while models are traced, which takes one processor
        digest = hashing.submit(plan.data.digest)
        others = run_settings(plan, template, digest="")
        settings = functools.cache(lambda: {**others, "data": digest.result()})
        runs = _train(plan, template, members, settings, execution)
        return _assemble(plan, template, runs, metric, settings())


def _prepare(
    build: Callable[..., keras.Model],
    schemes: Any,
    data: Any,
    *,
    batch_size: int | None,
    **choices: Any,
) -> Plan:
    """Returns the plan of what is asked for; its model, schemes and data are checked here."""
    function("build", build, "a function that returns a keras.Model")
    by_label = labelled(schemes)
    if takes_scheme(build):
        for label, scheme in by_label.items():
            refuse_without_argument(label, scheme)
    # Only images by name have to be brought into the shape that the model takes.
    shape = _input_shape(build, by_label) if isinstance(data, str) else None
    arrays = as_training_data(data, shape)
    return Plan(
        build=build,
        schemes=by_label,
        data=arrays,
        batch_size=min(batch_size or arrays.samples, arrays.samples),
        **choices,
    )


def _count(name: str, value: Any) -> int | None:
    """Returns a number from 1, or None for all there are."""
    return None if value is None else integer(name, value, minimum=1)


def _train(
    plan: Plan,
    template: keras.Model,
    members: Sequence[Member],
    settings: Callable[[], Mapping[str, Any]],
    execution: Execution,
) -> list[Run]:
    """Returns a run for each member: those that are kept, and the others trained."""
    store = None
    finished: dict[Member, Run] = {}
    if execution.out is not None:
        schemes = {label: scheme_settings(scheme) for label, scheme in plan.schemes.items()}
        store = Store(Path(execution.out), settings(), schemes)
        kept = store.load(
            plan.epochs,
            trainer=execution.trainer,
            weights=[tuple(w.shape) for w in template.weights] if plan.keep_weights else None,
        )
        finished = {member: kept[member] for member in members if member in kept}
    missing = [member for member in members if member not in finished]
    size = _chunk_size(plan, template, len(missing), execution)
    chunks = cut(missing, size, len(plan.schemes))
    clock = Clock(len(finished) * plan.epochs, len(members) * plan.epochs, execution.on_progress)

    def on_epoch(chunk: int, epoch: int) -> None:
        clock.tell(sum(map(len, chunks[:chunk])) * plan.epochs + len(chunks[chunk]) * epoch)

    if finished:
        execution.on_runs(list(finished.values()))
    for runs in train_chunks(plan, chunks, execution, on_epoch, store):
        if store is not None:
            store.add(runs)
        finished |= {(run.scheme, run.seed): run for run in runs}
        execution.on_runs(runs)
        clock.tell(sum(member in finished for member in missing) * plan.epochs)
    return [finished[member] for member in members]


def _chunk_size(plan: Plan, template: keras.Model, runs: int, execution: Execution) -> int:
    """Returns how many of the runs are trained together, and then written down."""
    if not _side_by_side(template, execution.trainer):
        return 1  # nothing is gained by waiting for others
    size = execution.chunk_size or members_in_memory(plan, template)
    jobs = execution.jobs()
    return min(size, -(-runs // jobs)) if jobs > 1 else size


def _assemble(
    plan: Plan,
    template: keras.Model,
    runs: Sequence[Run],
    metric: str | None,
    settings: Mapping[str, Any],
) -> Comparison:
    """Returns the comparison of runs: seed by seed, in each the schemes in one order."""
    schemes = tuple(dict.fromkeys(run.scheme for run in runs))
    seeds = tuple(dict.fromkeys(run.seed for run in runs))
    history = {}
    # the training loss, then each test set's loss and its metrics
    for name in sorted(runs[0].history, key=lambda n: (n != "loss", not n.endswith("_loss"), n)):
        values = np.array([run.history[name] for run in runs], float)
        history[name] = values.reshape(len(seeds), len(schemes), -1).swapaxes(0, 1)
    return Comparison(
        schemes=schemes,
        seeds=seeds,
        history=history,
        metric=_default_metric(history) if metric is None else metric,
        chance=_chances(plan.data),
        samples={name: sample_count(y) for name, (_, y) in plan.data.evaluation.items()},
        trainer=" and ".join(sorted({run.trainer for run in runs}, reverse=True)),
        notes=_notes(plan, template, runs),
        settings={**settings, "data_description": plan.data.description},
        weights={(run.scheme, run.seed): run.weights for run in runs if run.weights},
        costs=_costs(runs, schemes),
    )


def _costs(runs: Sequence[Run], schemes: Sequence[str]) -> dict[str, Any]:
    """Returns by scheme what its starts cost, `(seeds, 2)`: seconds and passes."""
    return {
        scheme: np.array([run.cost for run in runs if run.scheme == scheme], float)
        for scheme in schemes
        if all(run.cost for run in runs if run.scheme == scheme)
    }


def _refuse_unmeasured(plan: Plan, metric: str) -> None:
    """Raises an `InputError` if training would not measure `metric`, before anything is trained."""
    measured = ["loss"]
    model = compiled_model(plan)  # of its own, since an evaluation may move a model's states
    size = batch_made_for(model) or 1
    for name, pair in plan.data.evaluation.items():
        few = take(pair, slice(size))
        found = model.evaluate(*few, batch_size=size, verbose=0, return_dict=True)
        measured += [f"{name}_{part}" for part in found]
    choice("metric", metric, measured)


def _side_by_side(template: keras.Model, trainer: Trainer) -> bool:
    """Returns whether it is worth to try to train models like this side by side."""
    try:
        refuse(template)
    except CannotVectorizeError:
        return trainer == "population"
    return trainer != "fit"


def _input_shape(build: Callable[..., keras.Model], schemes: dict[str, Any]) -> Any:
    model = build(next(iter(schemes.values()))) if takes_scheme(build) else build()
    return getattr(model, "input_shape", None) if model.built else None


def _metrics(metrics: Any) -> Any:
    if isinstance(metrics, Mapping):
        return dict(metrics)
    if isinstance(metrics, str) or not isinstance(metrics, Sequence):
        raise InputTypeError(
            "`metrics` must be a sequence, such as ['accuracy'], or a dict by output. "
            f"Received: metrics={metrics!r}"
        )
    if None in metrics:
        raise InputError(f"`metrics` must hold no None. Received: metrics={metrics!r}")
    return list(metrics)


def _without_variables(optimizer: Any) -> Any:
    """Returns an optimizer as its configuration: variables travel to no other machine."""
    if optimizer is None or isinstance(optimizer, str | dict):
        return optimizer
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        raise InputTypeError(
            f"`optimizer` must be a name or an optimizer. Received: optimizer={optimizer!r}"
        )
    return keras.saving.serialize_keras_object(optimizer)


def _default_metric(history: Mapping[str, Any]) -> str:
    tests = [name for name in history if name != "loss" and not name.endswith("_loss")]
    accuracies = [name for name in tests if name.endswith("accuracy")]
    return (accuracies or tests or list(history)[1:] or ["loss"])[0]


def _notes(plan: Plan, template: keras.Model, runs: Sequence[Run]) -> tuple[str, ...]:
    reasons = dict.fromkeys(f"Trained one by one by `fit`: {r.reason}." for r in runs if r.reason)
    equal = [] if takes_scheme(plan.build) else left_alone(template)
    notes = [f"Not known, and so equal in every run: {_some(equal)}."] if equal else []
    return (*reasons, *notes)


def _some(paths: Sequence[str]) -> str:
    return ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")


def _chances(data: TrainingData) -> dict[str, float]:
    found = {name: _chance(y) for name, (_, y) in data.evaluation.items()}
    return {name: chance for name, chance in found.items() if chance is not None}


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
