"""What has to be right, and up to date, when a version is released."""

import re
from pathlib import Path

import keras_inits

ROOT = Path(__file__).parents[1]


def test_the_citation_is_of_this_version():
    citation = (ROOT / "CITATION.cff").read_text()
    (version,) = re.findall(r"^version: (\S+)$", citation, re.MULTILINE)
    assert version == keras_inits.__version__
    assert re.search(r"^date-released: \d{4}-\d\d-\d\d$", citation, re.MULTILINE)


def test_the_readme_runs_from_top_to_bottom_and_prints_what_it_shows(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)  # it saves a model
    readme = (ROOT / "README.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    space = {"__name__": "readme"}
    *first, comparison = blocks
    assert len(first) >= 3
    for block in first:
        exec(compile(block, "README.md", "exec"), space)
    compile(comparison, "README.md", "exec")  # trains for a while: test_how_to.py has a small one
    printed = _words(capsys.readouterr().out)
    shown = re.findall(r"^```text\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)[:-1]
    for line in "".join(shown).splitlines():
        assert line == "..." or _words(line) in printed, line


def _words(text):
    """Returns text without numbers, whose last digits another processor rounds otherwise."""
    return re.sub(r"[\s\d.±%]+", " ", text)
