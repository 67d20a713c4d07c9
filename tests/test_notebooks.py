"""The notebooks run, and what is committed of them is a clean full run."""

import importlib.util
import os
import re
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
MACHINE_PATH = re.compile(r"(?<![\w.:/])/(tmp|root|home|work|usr|opt|var|Users|content)/")
CHINESE = re.compile(r"[\u4e00-\u9fff]")
LARGEST_BYTES = 400_000

spec = importlib.util.spec_from_file_location("execute", FOLDER / "execute.py")
execute = importlib.util.module_from_spec(spec)
spec.loader.exec_module(execute)

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def text_of(notebook):
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def written(notebook):
    """What the outputs say, as text; pictures left out."""
    for cell in code_cells(notebook):
        for output in cell.outputs:
            yield output.get("text", "")
            yield from (v for k, v in output.get("data", {}).items() if k.startswith("text/"))


def noise(notebook):
    """Outputs that no reader should meet."""
    return [
        output
        for cell in code_cells(notebook)
        for output in cell.outputs
        if output.output_type == "error" or output.get("name") == "stderr"
    ]


def test_there_are_notebooks_numbered_without_gaps():
    numbers = [int(path.stem[:2]) for path in NOTEBOOKS]
    assert numbers == list(range(1, len(numbers) + 1))


@each_notebook
def test_opens_with_its_title_and_question(path):
    first = read(path).cells[0]
    assert re.match(rf"# {int(path.stem[:2])}\. \S", first.source)
    assert "**The question.**" in first.source


@each_notebook
def test_first_code_cell_alone_installs_and_sets_the_parameters(path):
    cells = code_cells(read(path))
    assert [i for i, cell in enumerate(cells) if "pip install" in cell.source] == [0]
    assert "KERAS_INITS_QUICK" in cells[0].source
    assert "if QUICK else" in cells[0].source


def test_all_install_in_the_same_way():
    setups = {code_cells(read(path))[0].source.partition("QUICK =")[0] for path in NOTEBOOKS}
    assert len(setups) == 1


@pytest.mark.parametrize(
    ("inside_a_checkout", "source", "expected"),
    [
        (True, "", "{folder}[notebooks]"),
        (False, "", "keras-inits[notebooks]"),
        (False, "git+https://host/x", "keras-inits[notebooks] @ git+https://host/x"),
        (True, "git+https://host/x", "keras-inits[notebooks] @ git+https://host/x"),
    ],
)
def test_installs_from_a_checkout_from_pypi_or_from_a_repository(
    inside_a_checkout, source, expected, tmp_path, monkeypatch
):
    if inside_a_checkout:
        (tmp_path / "keras_inits").mkdir()
        (tmp_path / "keras_inits/__init__.py").touch()
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    monkeypatch.setenv("KERAS_INITS_SOURCE", source)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    cell = code_cells(read(NOTEBOOKS[0]))[0].source.partition("QUICK =")[0]
    program = re.sub(r"^( *)%pip .* \"\{target\}\"$", r"\1installed = target", cell, flags=re.M)
    values = {}
    exec(program, values)
    assert values["installed"] == expected.format(folder=tmp_path)


@each_notebook
def test_ends_with_what_was_learnt_and_exercises(path):
    headings = re.findall(r"^## (.+)$", text_of(read(path)), re.MULTILINE)
    assert headings[-2:] in (["What was learnt", "Exercises"], ["What was learnt", "Exercise"])


@each_notebook
def test_links_to_other_notebooks_lead_somewhere(path):
    linked = set(re.findall(r"\]\((?!https?:)([^)#]+)", text_of(read(path))))
    assert not [target for target in linked if not (FOLDER / target).exists()]


@pytest.mark.parametrize("path", NOTEBOOKS[:2], ids=lambda path: path.stem)
def test_first_two_open_with_a_summary_in_chinese(path):
    assert len(CHINESE.findall(read(path).cells[0].source)) > 50


@each_notebook
def test_committed_outputs_are_those_of_one_full_run_from_top_to_bottom(path):
    notebook = read(path)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert any(cell.outputs for cell in cells)
    assert not noise(notebook)
    said = "\n".join(written(notebook))
    assert "NOT MNIST" not in said
    assert "WARNING" not in said
    assert not MACHINE_PATH.search(said)
    assert "\r" not in said  # progress bars


@each_notebook
def test_file_is_small_and_holds_nothing_of_the_machine_that_ran_it(path):
    notebook = read(path)
    assert path.stat().st_size < LARGEST_BYTES
    assert execute.clean(read(path)) == notebook


@pytest.mark.parametrize(
    "said",
    ["wrote /tmp/x/result.json", "File '/root/x.py'", "in /home/me/keras", "(/Users/me/x)"],
)
def test_paths_of_a_machine_are_seen(said):
    assert MACHINE_PATH.search(said)


@pytest.mark.parametrize("said", ["https://x.org/home/x", "epochs/tmp/", "1/work/2"])
def test_other_slashes_are_no_paths_of_a_machine(said):
    assert not MACHINE_PATH.search(said)


@pytest.mark.slow
@each_notebook
def test_runs_in_quick_mode_without_a_network(path, tmp_path):
    env = {**os.environ, "KERAS_INITS_QUICK": "1", "MPLCONFIGDIR": str(tmp_path)}
    notebook = execute.execute(path, env)
    assert not noise(notebook)
