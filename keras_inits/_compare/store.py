"""Finished runs on disk: what a killed comparison has done, for the same call to go on from."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_inits._compare.plan import Run
from keras_inits._files import (
    read_arrays,
    read_json,
    refuse_other_settings,
    write_arrays,
    write_whole,
)


class EpochState:
    """What a population has come to after its last finished epoch, in one file.

    Args:
        file: where.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def save(self, values: Sequence[Any], histories: Sequence[Mapping[str, Any]]) -> None:
        """Keeps the values of the variables and what each model has measured so far."""
        write_arrays(self._file, *values, histories=json.dumps(histories))

    def load(self) -> tuple[list[Any], list[dict[str, list[float]]]] | None:
        """Returns values and histories; None where nothing is kept.

        Raises:
            ValueError: a damaged file.
        """
        if not self._file.exists():
            return None
        kept = read_arrays(self._file)
        histories = json.loads(str(kept.pop("histories")))
        return [kept[f"arr_{i}"] for i in range(len(kept))], histories

    def discard(self) -> None:
        """Forgets what was kept, once the runs are on disk as a whole."""
        self._file.unlink(missing_ok=True)


class Store:
    """A folder with `settings.json` and a file in `runs/` for each chunk, each written whole.

    Args:
        folder: where; made if need be.
        settings: what decides the numbers of all runs.
        schemes: by label, what each scheme is.

    Raises:
        ValueError: the folder holds runs of other settings, or a damaged file.
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, Any], schemes: Mapping[str, Any]
    ) -> None:
        self._runs = folder / "runs"
        file = folder / "settings.json"
        kept = {}
        if file.exists():
            saved = read_json(file)
            refuse_other_settings(file, saved["settings"], settings)
            kept = saved["schemes"]
            refuse_other_settings(
                file, {label: kept[label] for label in schemes if label in kept}, schemes
            )
        content = {"settings": settings, "schemes": {**kept, **schemes}}
        write_whole(file, json.dumps(content, indent=1) + "\n")

    def load(self, epochs: int, *, weights: bool = False) -> dict[tuple[str, int], Run]:
        """Returns by label and seed the runs that have at least `epochs`, cut to them.

        Args:
            epochs: how many.
            weights: whether they must have the weights after these epochs, too.
        """
        found = {}
        for file in sorted(self._runs.glob("chunk-*.json")):
            for entry in read_json(file):
                history = {m: tuple(map(float, v[:epochs])) for m, v in entry["history"].items()}
                key = entry["scheme"], entry["seed"]
                kept = self._weights(*key, epochs) if weights else ()
                if len(history["loss"]) == epochs and (kept or not weights):
                    found[key] = Run(**{**entry, "history": history, "weights": kept})
        return found

    def state(self, members: Sequence[tuple[str, int]], epochs: int) -> EpochState:
        """Returns where the epochs of a chunk are kept while it is trained."""
        return EpochState(self._runs / f"epoch-{_digest([list(members), epochs])}.npz")

    def add(self, runs: Sequence[Run]) -> None:
        """Keeps the runs of a finished chunk."""
        # Python's JSON writes and reads NaN and Infinity, which is what a diverged run measured.
        entries = [
            {
                "scheme": run.scheme,
                "seed": run.seed,
                "history": {metric: list(values) for metric, values in run.history.items()},
                "trainer": run.trainer,
                "reason": run.reason,
            }
            for run in runs
        ]
        for run in runs:
            if run.weights:
                file = self._weights_file(run.scheme, run.seed, len(run.history["loss"]))
                # NumPy's files know no bfloat16, whose kind is V
                kept = [np.asarray(w, "float32") if w.dtype.kind == "V" else w for w in run.weights]
                write_arrays(file, *kept)
        number = len(list(self._runs.glob("chunk-*.json")))
        write_whole(self._runs / f"chunk-{number:04d}.json", json.dumps(entries) + "\n")

    def _weights(self, scheme: str, seed: int, epochs: int) -> tuple[Any, ...]:
        file = self._weights_file(scheme, seed, epochs)
        kept = read_arrays(file) if file.exists() else {}
        return tuple(kept[f"arr_{i}"] for i in range(len(kept)))

    def _weights_file(self, *run: str | int) -> Path:
        return self._runs / f"weights-{_digest(run)}.npz"


def _digest(plain: Any) -> str:
    return hashlib.blake2b(json.dumps(plain).encode(), digest_size=8).hexdigest()
