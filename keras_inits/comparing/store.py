"""Finished runs on disk: what a killed comparison has done, for the same call to go on from."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_inits.comparing.plan import Run
from keras_inits.files import write_whole


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
            saved = _read(file)
            _same(file, saved["settings"], settings)
            kept = saved["schemes"]
            _same(file, {label: kept[label] for label in schemes if label in kept}, schemes)
        content = {"settings": settings, "schemes": {**kept, **schemes}}
        write_whole(file, json.dumps(content, indent=1) + "\n")

    def load(self, epochs: int) -> dict[tuple[str, int], Run]:
        """Returns by label and seed the runs that have at least `epochs`, cut to them."""
        found = {}
        for file in sorted(self._runs.glob("chunk-*.json")):
            for entry in _read(file):
                history = {m: tuple(map(float, v[:epochs])) for m, v in entry["history"].items()}
                if len(history["loss"]) == epochs:
                    found[entry["scheme"], entry["seed"]] = Run(**{**entry, "history": history})
        return found

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
        number = len(list(self._runs.glob("chunk-*.json")))
        write_whole(self._runs / f"chunk-{number:04d}.json", json.dumps(entries) + "\n")


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text())
    except ValueError as error:
        raise ValueError(
            f"{file} is damaged ({error}). Delete it to train what it held again."
        ) from error


def _same(file: Path, saved: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    if different := [key for key in saved if saved[key] != asked.get(key)]:
        raise ValueError(
            f"{file} is of a comparison with other settings: "
            + ", ".join(f"{key}={_short(saved[key])}" for key in different)
            + ". Choose another `out`, or delete that folder. Received: "
            + ", ".join(f"{key}={_short(asked.get(key))}" for key in different)
        )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 80 else f"{text[:77]}..."
