import re
from pathlib import Path
from types import ModuleType

import keras_inits
from keras_inits import datasets, experiments, mup, plots

ROOT = Path(__file__).parents[1]


def test_the_reference_has_every_public_name_once():
    pages = "\n".join(path.read_text() for path in ROOT.glob("docs/reference/*.md"))
    documented = re.findall(r"^::: keras_inits\.(\S+)$", pages, re.MULTILINE)
    public = set(keras_inits.__all__)
    for module in (datasets, experiments, mup, plots):
        name = module.__name__.removeprefix("keras_inits.")
        public |= {
            f"{name}.{member}"
            for member in module.__all__
            if not isinstance(getattr(module, member), (ModuleType, tuple))
        }
    assert sorted(documented) == sorted(public)


def test_the_navigation_has_every_page():
    listed = re.findall(r"[\w/-]+\.(?:md|ipynb)", (ROOT / "mkdocs.yml").read_text())
    pages = [path.relative_to(ROOT / "docs").as_posix() for path in ROOT.glob("docs/**/*.md")]
    notebooks = [f"notebooks/{path.name}" for path in ROOT.glob("notebooks/*.ipynb")]
    top = ["ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md"]
    assert sorted(listed) == sorted(pages + notebooks + top)
