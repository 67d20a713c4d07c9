"""`keras-inits list`: the names of schemes and recipes, with what each draws."""

import inspect
from typing import Literal

from rich.console import Console
from rich.table import Table

from keras_inits import _recipes, _registry
from keras_inits._reporting import plain_text


def list_schemes(format: Literal["table", "markdown"] = "table") -> None:
    """List schemes for a layer and recipes for a whole net, with what each draws.

    Args:
        format: a table for the terminal, or one for a Markdown file.
    """
    summaries: list[tuple[str, ...]] = [
        (name, (inspect.getdoc(type(_registry.get(name))) or "").partition("\n")[0])
        for name in _registry.names()
    ]
    recipes: list[tuple[str, ...]] = [
        (name, each.summary, ", ".join(each.needs)) for name, each in _recipes.recipes().items()
    ]
    if format == "markdown":
        print("\n".join(_markdown(("name", "draws"), summaries)))
        print()
        print("\n".join(_markdown(("recipe", "sets", "needs"), recipes)))
        return
    Console().print(_table(("name", "draws"), summaries))
    print()
    Console().print(_table(("recipe", "sets", "needs"), recipes))


def _markdown(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    cells = [heads, *((f"`{name}`", *rest) for name, *rest in rows)]
    lines = ["| " + " | ".join(row) + " |" for row in cells]
    return [lines[0], "|" + "---|" * len(heads), *lines[1:]]


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> Table:
    table = Table(*heads, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*map(plain_text, row))
    return table
