import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest

import keras_inits
from keras_inits import datasets, experiments, mup, plots

ROOT = Path(__file__).parents[1]


def test_the_reference_has_every_public_name_once():
    pages = "\n".join(path.read_text() for path in ROOT.glob("docs/reference/*.md"))
    documented = re.findall(r"^::: keras_inits\.(\S+)$", pages, re.MULTILINE)
    recipes = {name.rpartition(".")[2] for name in documented if name.startswith("_recipes.")}
    ours = keras_inits.recipes().items()  # and those of other tests in this process
    assert recipes == {n for n, r in ours if r.function.__module__.startswith("keras_inits.")}
    documented = [name for name in documented if not name.startswith("_recipes.")]
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


def test_the_site_describes_the_arguments_of_schemes_as_the_package_does():
    griffe = pytest.importorskip("griffe")
    site = griffe.load_extensions(str(ROOT / "docs/site/examples.py"))
    package = griffe.load("keras_inits", search_paths=[str(ROOT)], extensions=site)
    names = [name for name in keras_inits.__all__ if name.endswith("Init")]
    assert len(names) > 20
    for name in names:
        cls = getattr(keras_inits, name)
        shown = package[name].final_target
        assert _arguments(shown.docstring.value) == _arguments(cls.__doc__), name
        assert [p.name for p in shown.parameters][1:] == list(inspect.signature(cls).parameters)


def _arguments(text):
    return re.findall(r"^    (\w+): ", text.partition("Raises:")[0], re.MULTILINE)
