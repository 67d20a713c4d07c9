"""`keras-inits list`: the names of the schemes, with what each draws."""

import inspect
from typing import Literal

from rich.console import Console
from rich.table import Table

from keras_inits import _registry


def list_schemes(format: Literal["table", "markdown"] = "table") -> None:
    """List the names of the schemes, with what each draws.

    Args:
        format: a table for the terminal, or one for a Markdown file.
    """
    summaries = [
        (name, (inspect.getdoc(type(_registry.get(name))) or "").partition("\n")[0])
        for name in _registry.names()
    ]
    if format == "markdown":
        rows = [f"| `{name}` | {draws} |" for name, draws in summaries]
        print("\n".join(["| name | draws |", "|---|---|", *rows]))
        return
    table = Table("name", "draws", box=None, pad_edge=False)
    for name, draws in summaries:
        table.add_row(name, draws)
    Console().print(table)
