"""What all experiments have in common: names, folders, versions, Ctrl-C."""

import dataclasses
import json
import os
import re
import signal
import sys
import types
from pathlib import Path

import keras
import numpy as np
import pytest
from versions import of_tensorflow

from keras_inits import InputError, experiments
from keras_inits.experiments import (
    EXPERIMENTS,
    CirclesConfig,
    DepthConfig,
    EverythingConfig,
    Experiment,
    ExperimentResult,
    MnistConfig,
    SeededConfig,
    circles,
    depth,
    markdown_table,
)
from keras_inits.experiments._everything import config_of
from keras_inits.experiments._experiment import decimal, started, versions
from keras_inits.experiments._interrupt import interruptible

ROOT = Path(__file__).parents[2]
SMALL = {"layers": 2, "units": 8, "samples": 8, "seeds": 2}


def quiet(*_):
    pass


each_experiment = pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda e: e.name)


def test_all_public_names_exist_and_dir_lists_them():
    assert dir(experiments) == sorted(experiments.__all__)
    assert all(hasattr(experiments, name) for name in experiments.__all__)


def test_the_documentation_holds_the_table_of_the_experiments():
    rows = markdown_table().splitlines()
    assert len(rows) == 2 + len(EXPERIMENTS) + 1
    texts = [path.read_text() for path in (ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md")))]
    assert any(markdown_table() in text for text in texts), (
        f"put this table into the documentation:\n{markdown_table()}"
    )


@each_experiment
def test_the_quick_form_changes_what_is_left_at_its_default_alone(experiment):
    quick = experiment.quick_form(experiment.config())
    assert quick != experiment.config()
    for name, value in experiment.quick.items():
        assert getattr(quick, name) == value
    chosen = experiment.config(seeds=7)
    assert experiment.quick_form(chosen).seeds == 7


@each_experiment
def test_all_of_them_share_folder_seed_and_data(experiment, tmp_path):
    config = EverythingConfig(tmp_path, source="idx", data_dir=tmp_path, seed=5)
    asked = config_of(experiment, config)
    assert asked.seed == 5
    assert asked.out == tmp_path / experiment.name
    if isinstance(asked, MnistConfig):
        assert (asked.source, asked.data_dir) == ("idx", tmp_path)
    assert dataclasses.replace(asked, seed=0, out=None).seeds == experiment.config().seeds


@each_experiment
def test_a_result_of_another_experiment_is_not_read(experiment):
    other = next(e for e in EXPERIMENTS if e is not experiment)
    with pytest.raises(ValueError, match=f"result of {experiment.name} was expected.*{other.name}"):
        experiment.result.from_dict({"experiment": other.name})


def test_an_experiment_is_one_value():
    @dataclasses.dataclass(frozen=True, eq=False)
    class Result(ExperimentResult):
        experiment = "new"

    def run(config, *, report, on_progress):
        with started(Result, config, on_progress) as (found, _):
            return Result(config, found)

    new = Experiment("New", SeededConfig, Result, run, {"seeds": 1}, 1, "something", "nothing")
    assert new.name == "new"
    result = new.run(new.quick_form(SeededConfig()), report=quiet, on_progress=quiet)
    assert result.config == SeededConfig(seeds=1)
    assert Result.from_dict(json.loads(result.to_json())) == result


@pytest.mark.parametrize("small", [np.uint8, np.int16, np.int64])
def test_configurations_keep_numbers_as_plain_integers(small):
    config = CirclesConfig(seeds=small(3), seed=small(100), iterations=2000)
    assert config == CirclesConfig(seeds=3, seed=100, iterations=2000)
    assert (type(config.seeds), type(config.seed)) == (int, int)
    with pytest.raises(InputError, match="multiple of 1000"):
        CirclesConfig(iterations=small(100))


@of_tensorflow("the experiment with circles")
def test_a_folder_of_another_experiment_is_refused_and_left_as_it_is(tmp_path):
    result = depth.run(DepthConfig(**SMALL, out=tmp_path), report=quiet)
    with pytest.raises(ValueError, match=r"experiment\.json belongs to depth.*for circles"):
        circles.run(CirclesConfig(out=tmp_path), report=quiet)
    result.write(tmp_path)
    (tmp_path / "experiment.json").unlink()  # as 0.1 left it
    before = (tmp_path / "result.json").read_text()
    with pytest.raises(ValueError, match=r"result\.json belongs to depth"):
        circles.run(CirclesConfig(out=tmp_path), report=quiet)
    assert (tmp_path / "result.json").read_text() == before
    assert depth.run(DepthConfig(**SMALL, out=tmp_path), report=quiet) == result


@pytest.mark.parametrize("file", ["result.json", "settings.json"])
def test_a_folder_of_a_comparison_is_refused(tmp_path, file):
    (tmp_path / file).write_text("{}")
    with pytest.raises(ValueError, match=rf"{file} belongs to another command"):
        depth.run(DepthConfig(**SMALL, out=tmp_path), report=quiet)


def test_versions_are_those_of_the_modules_however_they_were_installed(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.version", missing)
    assert versions()["keras"] == keras.__version__
    backend = types.SimpleNamespace(__version__="9.9")
    monkeypatch.setattr(keras.backend, "backend", lambda: "other")
    monkeypatch.setitem(sys.modules, "other", backend)
    assert versions()["other"] == "9.9"


def test_another_backend_is_refused_in_a_sentence(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match=r"needs Keras on TensorFlow\. .*float64.*round"):
        circles.run(CirclesConfig(), report=quiet)


class CtrlC:
    """Sends Ctrl-C while it is destroyed, where Python discards every exception."""

    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):  # where the handler is run, and raises
            pass


discarded = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def ctrl_c_raises():
    """Python's own handler, which a process in the background is started without."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@discarded
@pytest.mark.usefixtures("ctrl_c_raises")
def test_a_ctrl_c_that_python_discards_is_raised_at_the_next_step():
    steps = []

    def train(*, checked):
        with interruptible() as check:
            for step in range(3):
                CtrlC()
                steps.append(step)
                if checked:
                    check()

    CtrlC()  # without a check it has no effect
    with pytest.raises(KeyboardInterrupt):
        train(checked=True)
    assert steps == [0]
    with pytest.raises(KeyboardInterrupt):
        train(checked=False)  # at the end at the latest
    assert steps == [0, 0, 1, 2]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_handler_of_the_program_is_left_alone(monkeypatch):
    seen = []
    before = signal.signal(signal.SIGINT, lambda *_: seen.append(1))
    try:
        with interruptible() as check:
            os.kill(os.getpid(), signal.SIGINT)
            check()
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [1]


@discarded
@pytest.mark.usefixtures("ctrl_c_raises")
@pytest.mark.parametrize(
    ("run", "config"),
    [
        pytest.param(depth.run, DepthConfig(**SMALL), id="depth"),
        pytest.param(
            circles.run,
            CirclesConfig(seeds=1, iterations=2000),
            id="circles",
            marks=pytest.mark.slow,  # three runs
        ),
    ],
)
def test_ctrl_c_stops_a_run_and_the_next_call_resumes(run, config, tmp_path):
    config = dataclasses.replace(config, out=tmp_path)
    seen = []

    def interrupt(progress):
        seen.append(progress.done)
        if len(seen) == 1:
            CtrlC()

    with pytest.raises(KeyboardInterrupt):
        run(config, report=quiet, on_progress=interrupt)
    assert len(seen) == 1
    state = [p for p in (tmp_path / "state").rglob("*") if p.is_file()]
    assert state
    assert not [p for p in state if p.name.startswith(".")]  # half of a file
    again = run(config, report=quiet)
    whole = run(dataclasses.replace(config, out=None), report=quiet)
    assert re.sub(r'"out": [^,]*', "", again.to_json()) == re.sub(
        r'"out": [^,]*', "", whole.to_json()
    )


def test_float32_is_written_as_its_shortest_decimal():
    import numpy as np

    values = np.float32([0.2899, 0.1135, 1.0, 0.5]).astype(float)
    assert decimal(values).tolist() == [0.2899, 0.1135, 1.0, 0.5]
