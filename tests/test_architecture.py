"""The map in ARCHITECTURE.md: every file that it names exists, and every module has its line."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PATTERNS = {"_x_page.py", "_x_recipe.py"}  # of a line for many files


def mapped():
    """Yields each path of the map with its line: a folder, or files of the folder around it."""
    text = (ROOT / "ARCHITECTURE.md").read_text().partition("\n\n`notebooks/`")[0]
    around = {4: Path("keras_inits")}
    for indent, line in re.findall(r"^( {4,10})(?! )(\S.*)$", text, re.MULTILINE):
        folder = around[len(indent)]
        for name in line.split("  ")[0].split():
            yield folder / name, line
            around[len(indent) + 2] = folder / name


def test_every_path_on_the_map_exists():
    paths = [path for path, _ in mapped() if path.name not in PATTERNS]
    assert len(paths) > 200
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_module_is_on_the_map_by_name_or_by_a_line_for_one_file_each():
    named = {path for path, _ in mapped()}
    one_file_each = {path for path, line in mapped() if re.search("one (file|family) ", line)}
    modules = {path.relative_to(ROOT) for path in ROOT.glob("keras_inits/**/[!_]*.py")}
    modules |= {path.relative_to(ROOT) for path in ROOT.glob("keras_inits/**/_[!_]*.py")}
    assert len(modules) > 200
    assert sorted(m for m in modules - named if m.parent not in one_file_each) == []
