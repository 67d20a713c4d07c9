import io
import json
import subprocess
import sys
import threading
from pathlib import Path

import keras
import numpy as np
import pytest
from rich.console import Console
from versions import of_tensorflow

import keras_inits
from keras_inits import InputError, _cli
from keras_inits._cli.progress import progress_bar
from keras_inits._compare.store import Store
from keras_inits._progress import Progress
from keras_inits.datasets import DataError
from keras_inits.experiments import EXPERIMENTS
from keras_inits.experiments._circles_recipe import NEEDS_TENSORFLOW

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture
def keras_inits_command(monkeypatch, capsys):
    """Runs the command line in this process; returns exit code, output and errors."""
    monkeypatch.setenv("COLUMNS", "80")

    def command(*words):
        monkeypatch.setattr(sys, "argv", ["keras-inits", *words])
        code = 0
        try:
            _cli.main()
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    return command


def test_list_tells_every_name_within_80_columns(keras_inits_command):
    code, out, _ = keras_inits_command("list")
    assert code == 0
    assert all(name in out for name in [*keras_inits.names(), *keras_inits.recipes()])
    assert max(map(len, out.splitlines())) <= 80


def test_a_bar_is_drawn_by_who_tells_it_something_and_by_no_thread():
    drawn, threads = io.StringIO(), threading.active_count()
    with progress_bar(Console(file=drawn, force_terminal=True)) as show:
        assert threading.active_count() == threads
        show(Progress(done=3, total=4, seconds_left=60.0))
        assert "0:01:00 left" in drawn.getvalue()


@pytest.mark.parametrize(
    "words",
    [
        (),
        *((name,) for name in ("list", "audit", "diagnose", "compare", "reproduce")),
        *(("reproduce", name) for name in (*(e.name for e in EXPERIMENTS), "all")),
    ],
    ids=" ".join,
)
def test_help_fits_80_columns(keras_inits_command, words):
    code, out, err = keras_inits_command(*words, "--help")
    assert (code, err) == (0, "")
    assert out.startswith(" ".join(("usage: keras-inits", *words)))
    assert max(map(len, out.splitlines())) <= 80


def test_the_pages_hold_the_tables_that_the_registry_gives(keras_inits_command):
    code, out, _ = keras_inits_command("list", "--format", "markdown")
    assert code == 0
    for page, table in zip(("schemes", "recipes"), out.strip().split("\n\n"), strict=True):
        assert table in (DOCS / f"{page}.md").read_text(), "`keras-inits list --format markdown`"


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
def test_a_mistake_ends_in_a_message_and_exit_code_2(keras_inits_command, words, says):
    code, _, err = keras_inits_command("reproduce", "mnist-log", *words)
    assert code == 2
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
        (["--seeds", "0"], "`--seeds` must be at least 1"),
        (["--model", "lenet5"], "at least 28 x 28"),
        (["--optimizer", "sdg"], "sdg"),
        (["--jobs", "0"], "`n_jobs` must be 1 or more"),
        (["--schemes", "he", "he"], "must name each scheme once"),
        (["--seed", "-1"], "`--seed` must be at least 0"),
    ],
)
def test_a_mistake_in_compare_ends_in_a_message(keras_inits_command, words, says):
    code, _, err = keras_inits_command("compare", "--data", "digits", *words)
    assert code == 2
    assert says in err.replace("\n", " ")
    assert "Traceback" not in err


def test_compare_overwrites_no_result_of_something_else(keras_inits_command, tmp_path):
    (tmp_path / "result.json").write_text('{"experiment": "depth"}')
    code, _, err = keras_inits_command("compare", "--data", "digits", "--out", str(tmp_path))
    assert code == 2
    assert "is not overwritten" in err.replace("\n", " ")
    assert (tmp_path / "result.json").read_text() == '{"experiment": "depth"}'
    assert len(list(tmp_path.iterdir())) == 1


def test_compare_leaves_the_folder_of_an_experiment_alone(keras_inits_command, tmp_path):
    (tmp_path / "experiment.json").write_text('{"experiment": "depth"}')
    code, _, err = keras_inits_command("compare", "--data", "digits", "--out", str(tmp_path))
    assert code == 2
    assert "belongs to the experiment depth" in err.replace("\n", " ")
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(InputError, match="experiment depth"):
        Store(tmp_path, {}, {})
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("command", [["reproduce", "mnist-log"], ["compare"]])
def test_brackets_in_a_message_are_no_markup(keras_inits_command, monkeypatch, command):
    def fail(*arguments, report, **options):
        report("trying [one] source")
        raise DataError('pip install "keras-inits[experiments]"')

    monkeypatch.setattr("keras_inits.experiments._config.load_mnist", fail)
    monkeypatch.setattr("keras_inits.datasets.load_mnist", fail)
    code, out, err = keras_inits_command(*command)
    assert code == 2
    assert "trying [one] source" in out
    assert '"keras-inits[experiments]"' in err


def test_an_unknown_source_is_a_usage_error(keras_inits_command):
    code, _, _ = keras_inits_command("reproduce", "mnist-log", "--source", "web")
    assert code == 2


def test_importing_loads_nothing_heavy_beyond_keras_and_does_not_start_tensorflow():
    # which can be told about its threads only before it starts
    script = (
        "import sys, keras; before = set(sys.modules); "
        "import keras_inits, keras_inits.datasets; "
        "print([m for m in set(sys.modules) - before if not m.startswith('keras_inits')]); "
        "import keras_inits._cli, tensorflow as tf; "
        "tf.config.threading.set_intra_op_parallelism_threads(1)"
    )
    process = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    loaded = {name.partition(".")[0] for name in eval(process.stdout)}
    assert loaded <= set(sys.stdlib_module_names)


@pytest.mark.parametrize(("kernel", "code"), [("glorot_uniform", 0), ("zeros", 1)])
def test_audit_reads_a_saved_model_and_fails_on_findings(
    keras_inits_command, tmp_path, kernel, code
):
    path = tmp_path / "model.keras"
    hidden = keras.layers.Dense(3, "relu", kernel_initializer=kernel)
    keras.Sequential([keras.Input((4,)), hidden, keras.layers.Dense(3)]).save(path)
    found, out, _ = keras_inits_command("audit", str(path))
    assert found == code
    assert ("constant kernel" in out) == bool(code)
    assert max(map(len, out.splitlines())) <= 80
    found, out, _ = keras_inits_command("audit", str(path), "--json")
    assert found == code
    assert len(json.loads(out)["findings"]) == code


def test_audit_of_a_missing_file_is_told(keras_inits_command, tmp_path):
    code, _, err = keras_inits_command("audit", str(tmp_path / "none.keras"))
    assert code == 2
    assert "none.keras" in err.replace("\n", "")


@pytest.fixture
def saved_model(tmp_path):
    """Saves a net of ten ReLU layers under a scheme; returns the path."""

    def save(scheme):
        dense = [
            keras.layers.Dense(32, "relu", kernel_initializer=keras_inits.get(scheme))
            for _ in range(10)
        ]
        path = tmp_path / f"{scheme}.keras"
        keras.Sequential([keras.Input((32,)), *dense]).save(path)
        return str(path)

    return save


def test_diagnose_writes_what_it_found_and_exits_with_1_if_unhealthy(
    keras_inits_command, saved_model, tmp_path
):
    png, report = tmp_path / "depth.png", tmp_path / "report.json"
    path = saved_model("initkit_random_small")
    code, out, _ = keras_inits_command("diagnose", path, "--png", str(png), "--json", str(report))
    assert code == 1
    assert "vanishing" in out
    assert max(map(len, out.splitlines())) <= 80
    assert png.read_bytes().startswith(b"\x89PNG")
    assert json.loads(report.read_text())["verdict"] == "vanishing"


def test_diagnose_takes_data_and_exits_with_0_if_healthy(
    keras_inits_command, saved_model, tmp_path
):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((16, 32)))
    path = saved_model("initkit_he")
    code, out, _ = keras_inits_command("diagnose", path, "--data", str(tmp_path / "x.npy"))
    assert (code, "16 samples" in out) == (0, True), out
    assert out.endswith("Without --labels neither targets, loss nor learning rate are looked at.\n")


@pytest.mark.parametrize(("name", "code"), [("pixels", 0), ("other", 2)])
def test_diagnose_takes_inputs_by_name(keras_inits_command, tmp_path, name, code):
    inputs = [keras.Input((8,), name="pixels"), keras.Input((8,), name="more")]
    dense = keras.layers.Dense(8, "relu", kernel_initializer="initkit_he")
    joined = keras.layers.Concatenate()(inputs)
    keras.Model(inputs, dense(joined)).save(tmp_path / "model.keras")
    x = np.random.default_rng(0).standard_normal((2, 16, 8))
    np.savez(tmp_path / "x.npz", **{name: x[0], "more": x[1]})
    words = ("diagnose", str(tmp_path / "model.keras"), "--data", str(tmp_path / "x.npz"))
    found, _, err = keras_inits_command(*words)
    assert found == code
    assert ("must have an array for each input of the model: pixels, more" in err) == bool(code)


@pytest.mark.parametrize("rate", ["0", "-0.1", "nan", "inf"])
def test_a_learning_rate_is_positive(keras_inits_command, rate):
    code, out, err = keras_inits_command("compare", "--data", "digits", "--learning-rate", rate)
    assert (code, out) == (2, "")
    assert "`--learning-rate` must be positive" in err


def test_diagnose_of_no_file_ends_in_a_message(keras_inits_command):
    code, _, err = keras_inits_command("diagnose", "/nowhere/model.keras")
    assert code == 2
    assert "`model` must be a file" in err


@of_tensorflow(NEEDS_TENSORFLOW)
def test_circles_print_their_page_and_write_their_files(keras_inits_command, tmp_path):
    words = ("reproduce", "circles", "--seeds", "2", "--iterations", "1000", "--out", str(tmp_path))
    code, out, _ = keras_inits_command(*words)
    assert code == 0
    assert "What this supports" in out
    assert "What it does not" in out
    assert max(map(len, out.splitlines())) <= max(80, len(str(tmp_path)) + 30)
    stored = json.loads((tmp_path / "result.json").read_text())
    assert np.array(stored["seeded"]["history"]["test_accuracy"]).shape == (5, 2, 1)
    assert np.array(stored["published"]["history"]["test_accuracy"]).shape == (5, 1, 1)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["circles", "--iterations", "10"], "multiple of 1000"),
        (["zero-init", "--epochs", "0"], "`epochs` must be at least 1"),
        (["depth", "--units", "1"], "`units` must be at least 2"),
        (["all"], "--out"),
    ],
)
def test_a_mistake_in_an_experiment_ends_in_a_message(keras_inits_command, words, says):
    code, out, err = keras_inits_command("reproduce", *words)
    assert code == 2
    assert says in " ".join((out + err).split())
    assert "Traceback" not in err
