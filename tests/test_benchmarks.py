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
    assert measured.endswith("| 500\u00a0ms | Keras's `he_normal`: 1\u00a0s | 0.5 |")


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


@pytest.fixture
def mutation(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks" / "patients"))
    return lambda name: importlib.import_module(f"mutation.{name}")


def test_a_mutant_differs_from_its_base_in_what_its_operator_changes(mutation):
    mutant = mutation("making").mutant
    (program,) = mutant("table-classes", "rate up", "100")
    made, _ = program.build(0)
    assert made.optimizer.get_config()["learning_rate"] == pytest.approx(0.1)
    assert [(fault.kind, fault.where) for fault in program.faults] == [
        ("rate too high", "optimizer")
    ]
    (program,) = mutant("table-classes", "last activation", "linear")
    assert program.build(0)[0].model.layers[-1].activation.__name__ == "linear"
    assert mutant("table-classes", "mask forgotten", "turned round") == []


def test_training_tells_what_a_mutant_is(mutation):
    what = mutation("judging").what
    base = [0.9, 0.95, 0.9]
    assert what([0.7, 0.8, 0.75], base) == "broken"
    assert what([0.7, 0.8, 0.85], base) == "slight"
    assert what([0.89], base) == "harmless"
    assert what([-2.0], base) == "refused"


def test_the_page_keeps_what_stands_before_its_mutants(mutation, tmp_path):
    row = {"key": "a / loss / mse", "operator": "loss", "what": "broken", "findings": ""}
    row |= {"found": False, "named": False, "located": False}
    page = tmp_path / "page.md"
    page.write_text("# Head\n")
    for _ in range(2):
        mutation("report").write(page, [row])
    text = page.read_text()
    assert text.startswith("# Head\n\n## Mutants\n")
    assert text.count("| a / loss / mse | broken | nothing |") == 1
