import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import keras_inits
from keras_inits import cli

README = Path(__file__).parents[1] / "README.md"


@pytest.fixture
def keras_inits_command(monkeypatch, capsys):
    """Runs the command line in this process; returns exit code, output and errors."""
    monkeypatch.setenv("COLUMNS", "80")

    def command(*words):
        monkeypatch.setattr(sys, "argv", ["keras-inits", *words])
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    return command


def test_list_tells_every_name_within_80_columns(keras_inits_command):
    code, out, _ = keras_inits_command("list")
    assert code == 0
    assert all(name in out for name in keras_inits.names())
    assert max(map(len, out.splitlines())) <= 80


def test_the_readme_holds_the_table_that_the_registry_gives(keras_inits_command):
    code, out, _ = keras_inits_command("list", "--format", "markdown")
    assert code == 0
    assert out in README.read_text(), "run `keras-inits list --format markdown` for the new table"


def test_digits_are_called_not_comparable_before_and_after(keras_inits_command, tmp_path):
    code, out, _ = keras_inits_command(
        *("reproduce", "mnist-log", "--source", "digits", "--epochs", "2", "--out", str(tmp_path))
    )
    assert code == 0
    before, _, after = " ".join(out.split()).partition("Epoch:0001")
    assert "NOT comparable" in before
    assert "NOT comparable" in after
    assert out.count("Epoch:0002cost=") == 2
    assert json.loads((tmp_path / "result.json").read_text())["data"]["comparable"] is False


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--schemes", "xaver"], "initkit_xavier"),
        (["--epochs", "0"], "`epochs` must be at least 1"),
        (["--source", "idx"], "data_dir"),
        (["--data-dir", "/nowhere/at/all"], "/nowhere/at/all"),
    ],
)
def test_a_mistake_ends_in_a_message_and_exit_code_1(keras_inits_command, words, says):
    code, _, err = keras_inits_command("reproduce", "mnist-log", *words)
    assert code == 1
    assert says in err.replace("\n", "")
    assert "Traceback" not in err


def test_compare_says_which_scheme_is_better_and_writes_it_down(keras_inits_command, tmp_path):
    words = ("compare", "--data", "digits", "--model", "softmax", "--schemes", "xavier", "random")
    words += ("--seeds", "3", "--epochs", "2", "--out", str(tmp_path))
    code, out, _ = keras_inits_command(*words)
    assert code == 0
    assert "paired difference" in out
    assert "3 seeds are too few" in out
    names = {"result.json", "summary.txt", "comparison.png", "settings.json", "runs"}
    assert {p.name for p in tmp_path.iterdir()} == names
    stored = json.loads((tmp_path / "result.json").read_text())
    assert np.array(stored["history"]["test_accuracy"]).shape == (2, 3, 2)
    again = keras_inits_command(*words)
    assert again[0] == 0
    assert again[1].split("wrote")[0].splitlines()[-12:] == out.split("wrote")[0].splitlines()[-12:]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--schemes", "xaver"], "initkit_xavier"),
        (["--seeds", "0"], "`seeds` must be at least 1"),
        (["--model", "lenet5"], "at least 28 x 28"),
        (["--optimizer", "sdg"], "sdg"),
    ],
)
def test_a_mistake_in_compare_ends_in_a_message(keras_inits_command, words, says):
    code, _, err = keras_inits_command("compare", "--data", "digits", *words)
    assert code == 1
    assert says in err.replace("\n", " ")
    assert "Traceback" not in err


def test_an_unknown_source_is_a_usage_error(keras_inits_command):
    code, _, _ = keras_inits_command("reproduce", "mnist-log", "--source", "web")
    assert code == 2


def test_importing_loads_nothing_heavy_beyond_keras():
    script = (
        "import sys, keras; before = set(sys.modules); import keras_inits; "
        "print([m for m in set(sys.modules) - before if not m.startswith('keras_inits')])"
    )
    process = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    loaded = {name.partition(".")[0] for name in eval(process.stdout)}
    assert loaded <= set(sys.stdlib_module_names)
