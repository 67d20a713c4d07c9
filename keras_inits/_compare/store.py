"""Finished runs on disk: what a killed comparison has done, for the same call to resume from."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
from numpy.typing import NDArray

from keras_inits._compare.plan import Member, Run
from keras_inits._compare.starts import Started
from keras_inits._files import (
    damaged,
    make_folder,
    read_arrays,
    read_json,
    refuse_experiment,
    refuse_other_settings,
    remove_temporaries,
    write_arrays,
    write_whole,
)

History = dict[str, list[float]]


class EpochState:
    """The state of a population after its last finished epoch, in one file.

    Args:
        file: where.
        count: number of runs.
        epochs: most epochs that they can have.
    """

    def __init__(self, file: Path, count: int, epochs: int) -> None:
        self._file, self._count, self._epochs = file, count, epochs

    def save(self, values: Sequence[Any], histories: Sequence[Mapping[str, Any]]) -> None:
        """Keeps the values of the variables and what each model has measured so far."""
        write_arrays(self._file, *values, histories=json.dumps(histories))

    def load(
        self, shapes: Sequence[tuple[int, ...]]
    ) -> tuple[list[NDArray[Any]], list[History]] | None:
        """Returns values and histories; None where nothing is kept, or other variables are.

        Args:
            shapes: of the variables. Those of a population have other shapes than those of a run
                of `fit`, or of another number of threads.

        Raises:
            InputError: a damaged file.
        """
        if not self._file.exists():
            return None
        kept = read_arrays(self._file)
        try:
            plain = json.loads(str(kept.pop("histories")))
            values = [kept[f"arr_{i}"] for i in range(len(kept))]
            histories = [_history(entry) for entry in plain]
            lengths = {len(v) for history in histories for v in history.values()}
            if len(histories) != self._count or len(lengths) != 1 or max(lengths) > self._epochs:
                raise ValueError("the histories are those of other runs")
        except _DAMAGE as error:
            raise damaged(self._file, error) from error
        return (values, histories) if [v.shape for v in values] == [*shapes] else None

    def save_start(self, label: str, run: int, start: Started) -> None:
        """Keeps what a start made, until the runs are on disk as a whole."""
        cost = json.dumps([start.seconds, start.passes])
        write_arrays(self._start_file(label, run), *start.weights, *(start.states or ()), cost=cost)

    def load_start(self, label: str, run: int, model: keras.Model) -> Started | None:
        """Returns what a start made; None where nothing is kept.

        Args:
            label: of its scheme.
            run: number of the run.
            model: whose variables it is for.

        Raises:
            InputError: a damaged file.
        """
        file = self._start_file(label, run)
        if not file.exists():
            return None
        kept = read_arrays(file)
        variables = [*model.trainable_variables, *model.non_trainable_variables]
        try:
            seconds, passes = map(float, json.loads(str(kept.pop("cost"))))
            values = [kept[f"arr_{i}"] for i in range(len(kept))]
            if [v.shape for v in values] != [tuple(v.shape) for v in variables]:
                raise ValueError("weights of other shapes")
        except _DAMAGE as error:
            raise damaged(file, error) from error
        count = len(model.trainable_variables)
        return Started(values[:count], values[count:], seconds, passes)

    def discard(self) -> None:
        """Deletes what was kept, once the runs are on disk as a whole."""
        for file in (self._file, *self._file.parent.glob(f"{self._file.stem}-start-*.npz")):
            file.unlink(missing_ok=True)

    def _start_file(self, label: str, run: int) -> Path:
        return self._file.with_name(f"{self._file.stem}-start-{_digest([label, run])}.npz")


class Store:
    """A folder with `settings.json` and a file in `runs/` for each chunk, each written whole.

    Args:
        folder: where; made if need be.
        settings: what decides the numbers of all runs.
        schemes: by label, what each scheme is.

    Raises:
        InputError: the folder holds runs of other settings, an experiment, or a damaged file.
        InputFileError: the folder cannot be written.
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, Any], schemes: Mapping[str, Any]
    ) -> None:
        refuse_experiment(folder)
        self._runs = folder / "runs"
        for place in (folder, self._runs):
            make_folder(place)
            remove_temporaries(place)
        file = settings_file(folder)
        kept: dict[str, Any] = {}
        if file.exists():
            saved = read_json(file)
            if not isinstance(saved, dict) or not isinstance(saved.get("schemes"), dict):
                raise damaged(file, "not the settings of a comparison")
            kept = saved["schemes"]
            refuse_other_settings(file, saved.get("settings"), settings)
            known = {label: kept[label] for label in schemes if label in kept}
            refuse_other_settings(file, known, {label: schemes[label] for label in known})
        content = {"settings": settings, "schemes": {**kept, **schemes}}
        write_whole(file, json.dumps(content, indent=1) + "\n")

    def load(
        self,
        epochs: int,
        *,
        trainer: str = "auto",
        weights: Sequence[tuple[int, ...]] | None = None,
    ) -> dict[Member, Run]:
        """Returns by label and seed the runs that have at least `epochs`, cut to them.

        Args:
            epochs: how many.
            trainer: the one that they must come from; `"auto"` for any.
            weights: shapes of the weights that they must have after these epochs; None if they
                need none.

        Raises:
            InputError: a damaged file.
        """
        found = {}
        for file in sorted(self._runs.glob("chunk-*.json")):
            for run in _runs_of(file):
                kept = () if weights is None else self._weights(run, epochs, weights)
                enough = len(run.history["loss"]) >= epochs and (kept or weights is None)
                if enough and trainer in ("auto", run.trainer):
                    history = {metric: v[:epochs] for metric, v in run.history.items()}
                    found[run.scheme, run.seed] = replace(run, history=history, weights=kept)
        return found

    def state(self, members: Sequence[Member], epochs: int) -> EpochState:
        """Returns where the epochs of a chunk are kept while it is trained."""
        file = self._runs / f"epoch-{_digest([list(members), epochs])}.npz"
        return EpochState(file, len(members), epochs)

    def add(self, runs: Sequence[Run]) -> None:
        """Keeps the runs of a finished chunk, and discards the state of its epochs."""
        for run in runs:
            if run.weights:
                write_arrays(self._weights_file(run, len(run.history["loss"])), *run.weights)
        # Python's JSON writes and reads NaN and Infinity, which is what a diverged run measured.
        entries = [
            {
                "scheme": run.scheme,
                "seed": run.seed,
                "history": {metric: list(values) for metric, values in run.history.items()},
                "trainer": run.trainer,
                "reason": run.reason,
                **({"cost": list(run.cost)} if run.cost else {}),
            }
            for run in runs
        ]
        # Named after what it holds: no chunk can take the place of another, whichever are deleted.
        members = [(run.scheme, run.seed) for run in runs]
        epochs = len(runs[0].history["loss"])
        name = _digest([members, epochs, sorted({run.trainer for run in runs})])
        write_whole(self._runs / f"chunk-{name}.json", json.dumps(entries) + "\n")
        self.state(members, epochs).discard()

    def _weights(
        self, run: Run, epochs: int, shapes: Sequence[tuple[int, ...]]
    ) -> tuple[NDArray[Any], ...]:
        file = self._weights_file(run, epochs)
        if not file.exists():
            return ()
        kept = read_arrays(file)
        names = [f"arr_{i}" for i in range(len(kept))]
        weights = tuple(kept[name] for name in names if name in kept)
        if [w.shape for w in weights] != [tuple(shape) for shape in shapes]:
            raise damaged(file, "weights of other shapes")
        return weights

    def _weights_file(self, run: Run, epochs: int) -> Path:
        name = _digest([run.scheme, run.seed, epochs, run.trainer])
        return self._runs / f"weights-{name}.npz"


def settings_file(folder: Path) -> Path:
    """Returns where a folder keeps the settings of its comparison."""
    return folder / "settings.json"


# What reading well-formed JSON of the wrong content raises.
_DAMAGE = (TypeError, ValueError, KeyError, AttributeError, IndexError)


def _runs_of(file: Path) -> list[Run]:
    entries = read_json(file)
    try:
        return [_run(entry) for entry in entries]
    except _DAMAGE as error:
        raise damaged(file, error) from error


def _run(entry: Mapping[str, Any]) -> Run:
    history = {metric: tuple(values) for metric, values in _history(entry["history"]).items()}
    if len({len(values) for values in history.values()}) != 1 or not history["loss"]:
        raise ValueError("metrics of different lengths")
    for name, kind in (("scheme", str), ("seed", int), ("trainer", str), ("reason", str)):
        if not isinstance(entry[name], kind):
            raise TypeError(f"{name} is no {kind.__name__}")
    cost = tuple(map(_number, entry.get("cost", ())))
    if len(cost) not in (0, 2):
        raise ValueError("a cost of other numbers than seconds and passes")
    return Run(
        entry["scheme"], entry["seed"], history, entry["trainer"], entry["reason"], cost=cost
    )


def _history(plain: Mapping[str, Any]) -> History:
    history = {str(metric): [_number(value) for value in v] for metric, v in plain.items()}
    if "loss" not in history:
        raise ValueError("no loss")
    return history


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    return float(value)


def _digest(plain: Any) -> str:
    return hashlib.blake2b(json.dumps(plain).encode(), digest_size=8).hexdigest()
