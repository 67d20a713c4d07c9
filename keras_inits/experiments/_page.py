"""A page: what an experiment shows, in the terminal, in files and in the HTML report."""

import functools
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from keras_inits._reporting import WIDTH, plain_text
from keras_inits.experiments._published import Article

if TYPE_CHECKING:  # matplotlib is an extra
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Table:
    """Rows of text under headers; the first column names the row.

    Attributes:
        title: a line above it.
        columns: the headers.
        rows: of as many entries as there are columns.

    >>> Table("losses", ("scheme", "final"), (("he", "0.31"),)).rows[0]
    ('he', '0.31')
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __rich__(self) -> RichTable:
        shown = RichTable(
            title=plain_text(self.title, "italic"),
            title_justify="left",
            box=SIMPLE_HEAD,
            pad_edge=False,
        )
        for index, column in enumerate(self.columns):
            shown.add_column(
                plain_text(column), justify="right" if index else "left", overflow="fold"
            )
        for row in self.rows:
            shown.add_row(*map(plain_text, row))
        return shown


@dataclass(frozen=True)
class Picture:
    """A figure, drawn on demand.

    Attributes:
        file: name of its file, `.png`.
        caption: what it shows; also the alternative text of the image.
        draw: returns the matplotlib figure.

    >>> from matplotlib.figure import Figure
    >>> picture = Picture("empty.png", "An empty figure.", lambda: Figure(figsize=(1, 1)))
    >>> picture.png[1:4]
    b'PNG'
    """

    file: str
    caption: str
    draw: Callable[[], "Figure"]

    @functools.cached_property
    def png(self) -> bytes:
        """The figure as a PNG, drawn once."""
        from keras_inits.plots import figure_bytes  # matplotlib is an extra

        return figure_bytes(self.draw())


@dataclass(frozen=True)
class Page:
    """What an experiment asked, did and found.

    Attributes:
        name: name of the experiment on the command line.
        title: a line.
        question: what it asks.
        sources: the articles whose numbers or claims are compared.
        recipe: what was done, as pairs of part and value.
        tables: published numbers and ours.
        pictures: figures.
        supported: what can be concluded, a sentence each.
        unsupported: what cannot.
        log: what a run printed, in the format of the article; may be empty.
        texts: contents of further files by name.

    >>> page = Page(
    ...     name="two", title="Two starts", question="Which?", sources=(), recipe=(),
    ...     tables=(Table("losses", ("scheme", "final"), (("he", "0.31"),)),), pictures=(),
    ...     supported=("He ends lower.",), unsupported=(),
    ... )
    >>> "He ends lower." in page.summary()
    True
    """

    name: str
    title: str
    question: str
    sources: tuple[Article, ...]
    recipe: tuple[tuple[str, str], ...]
    tables: tuple[Table, ...]
    pictures: tuple[Picture, ...]
    supported: tuple[str, ...]
    unsupported: tuple[str, ...]
    log: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)

    def parts(self) -> Iterator[RenderableType]:
        """Yields sources, tables and sentences for `rich`."""
        for source in self.sources:
            yield plain_text(f"Source: {source}")
        for table in self.tables:
            yield Text()
            yield table
        for heading, sentences in (
            ("What this supports", self.supported),
            ("What it does not", self.unsupported),
        ):
            if sentences:
                yield Text(f"\n{heading}", "bold")
                yield from map(plain_text, sentences)

    def summary(self) -> str:
        """Returns the page as text of at most 80 columns."""
        buffer = io.StringIO()
        Console(file=buffer, width=WIDTH, color_system=None, force_jupyter=False).print(self)
        return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())

    def __rich_console__(self, console: Console, options: Any) -> Iterator[RenderableType]:
        yield from self.parts()
