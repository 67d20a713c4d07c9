"""What `diagnose` says of both sides of a program, as one line of JSON."""

import json
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
from program import Program, Training

import keras_inits

SAMPLES = 256  # of the data; the programs train on more


def judged(program: Program, seed: int) -> dict[str, Any]:
    """Returns whether a program was found, its cause named, its place located, its repair alarmed.

    "Named" and "located" are of the first finding alone, the one that the report says to change
    first.
    """
    broken, repaired = program.build(seed)
    report, error = look(broken)
    after, error_after = look(repaired) if repaired is not broken else (report, error)
    first = report.findings[0] if report is not None and report.findings else None
    named = [f for f in program.faults if first is not None and f.named(first)]
    keras.backend.clear_session()
    return {
        "key": program.key,
        "seed": seed,
        "found": first is not None,
        "named": bool(named),
        "located": any(f.located(first, broken.model) for f in named),
        "alarmed": after is None or not after.ok,
        "findings": _said(report) or error,
        "repaired": _said(after) or error_after,
    }


def look(training: Training) -> tuple[Any, str]:
    """Returns the report on a training, or None and what was raised in its place."""

    def some(structure: Any) -> Any:
        return keras.tree.map_structure(lambda part: np.asarray(part)[:SAMPLES], structure)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras warns of some of these programs itself
        try:
            model = training.compile()
            weights = dict(training.weights)
            if "sample_weight" in weights:
                weights["sample_weight"] = some(weights["sample_weight"])
            return keras_inits.diagnose(model, some(training.x), some(training.y), **weights), ""
        except Exception as error:  # a crash is a program not found, and a line to look into
            return None, f"{type(error).__name__}: {error}"[:200]


def _said(report: Any) -> str:
    if report is None:
        return ""
    return "; ".join(f"{f.kind} ({', '.join(f.where)})" for f in report.findings)


class Journal:
    """A file of results, one line each: what is in it is not done again.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        lines = path.read_text().splitlines() if path.exists() else []
        self.rows = {(row["key"], row["seed"]): row for row in map(json.loads, lines)}

    def add(self, row: dict[str, Any]) -> None:
        """Appends a result."""
        self.rows[row["key"], row["seed"]] = row
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
