"""The table of benchmarks: its rows run, and one that fails does not lose the others."""

import importlib
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
    return importlib.import_module


def test_the_row_of_calibrate_runs_with_its_rival_in_its_place(benchmarks, monkeypatch):
    seen = []

    def rival(args, x):
        seen.append((args.blocks, x.shape, x.dtype))

    monkeypatch.setattr(benchmarks("calibrate"), "with_lsuv", rival)
    ours, _, ratio = benchmarks("rows").ROWS["calibrate"].measure(True)
    assert ours > 0
    assert ratio > 0
    assert set(seen) == {(2, (256, 64), np.dtype("float32"))}


def test_a_row_that_fails_is_named_and_the_others_stay(benchmarks, monkeypatch):
    run = benchmarks("run")
    monkeypatch.setattr(run, "__file__", str(Path(run.__file__).with_name("missing.py")))
    found = {"import": run._in_a_process("import", True), "normal": (0.5, 1.0, 0.5)}
    failed, measured = run.table(found).splitlines()[-2:]
    assert failed == "| `import keras_inits` | | `import keras`: failed | |"
    assert measured.endswith("| 500 ms | Keras's `he_normal`: 1 s | 0.5 |")


def test_what_was_measured_is_kept_and_errors_too(benchmarks, tmp_path):
    def measure(seed):
        asked.append(seed)
        if seed == 2:
            raise ValueError("no such net")
        return 0.5 * seed

    asked, file = [], tmp_path / "kept.jsonl"
    assert benchmarks("kept").Kept(file).of_seeds(("net", "auto"), 2, measure) == [0.0, 0.5]
    again = benchmarks("kept").Kept(file)
    assert again.of_seeds(("net", "auto"), 2, measure) == [0.0, 0.5]
    assert "no such net" in again.of_seeds(("net", "auto"), 4, measure)
    assert asked == [0, 1, 2]
