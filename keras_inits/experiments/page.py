"""What an experiment shows: one page, printed, written to files or put into the report."""

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from keras_inits._files import without_nan, write_all


class Result(Protocol):
    """What an experiment measured."""

    def to_dict(self) -> dict[str, Any]:
        """Returns plain data for JSON."""


@dataclass(frozen=True)
class Table:
    """Rows of text under headers; the first column names the row."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Picture:
    """A figure, drawn when it is wanted.

    Attributes:
        file: its name, `.png`.
        caption: what it shows, for those who do not see it too.
        draw: returns the matplotlib figure.
    """

    file: str
    caption: str
    draw: Callable[[], Any]

    @functools.cached_property
    def png(self) -> bytes:
        """The figure as a PNG, drawn once."""
        # matplotlib is not needed by the plugin, and slow to load
        from keras_inits.plots import figure_bytes

        return figure_bytes(self.draw())


@dataclass(frozen=True)
class Page:
    """An experiment as a reader meets it.

    Attributes:
        name: as the command line calls it.
        title: a line.
        question: what it asks.
        recipe: what was done, as pairs of part and value.
        tables: published numbers and ours.
        pictures: figures.
        supported: what can be concluded, a sentence each.
        unsupported: what cannot.
        texts: further files by name.
    """

    name: str
    title: str
    question: str
    recipe: tuple[tuple[str, str], ...]
    tables: tuple[Table, ...]
    pictures: tuple[Picture, ...]
    supported: tuple[str, ...]
    unsupported: tuple[str, ...]
    texts: Mapping[str, str] = field(default_factory=dict)


def printed(page: Page) -> RenderableType:
    """Returns tables and sentences for `rich`."""
    parts: list[RenderableType] = []
    for table in page.tables:
        parts += [_rich(table), Text()]
    for heading, sentences in (
        ("What this supports", page.supported),
        ("What it does not", page.unsupported),
    ):
        if sentences:
            parts += [Text(heading, "bold"), *map(Text, sentences), Text()]
    return Group(*parts[:-1])


def write(result: Result, page: Page, out: Path) -> list[Path]:
    """Writes result.json, texts and pictures to a folder, each whole, and returns them."""
    pictures = {picture.file: picture.png for picture in page.pictures}
    content = json.dumps(without_nan(result.to_dict()), indent=1) + "\n"
    return write_all(out, {**page.texts, **pictures, "result.json": content})


def _rich(table: Table) -> RichTable:
    shown = RichTable(title=table.title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(table.columns):
        shown.add_column(column, justify="right" if index else "left", overflow="fold")
    for row in table.rows:
        shown.add_row(*row)
    return shown
