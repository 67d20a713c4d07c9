"""The command line: `keras-inits list | reproduce | compare`."""

import functools
import inspect
import sys
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.table import Table
from tyro.extras import SubcommandApp

from keras_inits import cli_compare, registry
from keras_inits.cli_compare import progress_bar
from keras_inits.datasets import DataError
from keras_inits.experiments import mnist_log, mnist_log_views

app = SubcommandApp()
reproduce = SubcommandApp()
app.command(reproduce, name="reproduce", help="Run a classic experiment beside its numbers.")


@app.command(name="list")
def list_schemes(format: Literal["table", "markdown"] = "table") -> None:
    """List the names of the schemes, with what each draws.

    Args:
        format: a table for the terminal, or one for a Markdown file.
    """
    if format == "markdown":
        print(markdown_table())
        return
    table = Table("name", "draws", box=None, pad_edge=False)
    for name, draws in scheme_summaries():
        table.add_row(name, draws)
    Console().print(table)


@reproduce.command(name="mnist-log")
def mnist_log_command(
    config: Annotated[mnist_log.MnistLogConfig, tyro.conf.arg(name="")],
) -> None:
    """Softmax regression on MNIST, random against Xavier: the 20-epoch log of the first article."""
    console = Console()
    with progress_bar(console) as show:
        result = mnist_log.run(
            config,
            report=console.print,
            on_epoch=functools.partial(mnist_log_views.print_epochs, console),
            on_progress=show,
        )
    console.print()
    console.print(mnist_log_views.summary(result))
    if config.out is not None:
        for path in mnist_log_views.write(result, config.out):
            console.print(f"wrote {path}", soft_wrap=True)


@app.command(name="compare")
def compare_command(
    config: Annotated[cli_compare.CompareConfig, tyro.conf.arg(name="")],
) -> None:
    """Train a model from several schemes over many seeds, and say what the data support."""
    cli_compare.run(config, Console())


def scheme_summaries() -> list[tuple[str, str]]:
    """Returns each name with the first line of the docstring of its class."""
    return [
        (name, (inspect.getdoc(type(registry.get(name))) or "").partition("\n")[0])
        for name in registry.names()
    ]


def markdown_table() -> str:
    """Returns the table of the schemes for the README."""
    rows = [f"| `{name}` | {draws} |" for name, draws in scheme_summaries()]
    return "\n".join(["| name | draws |", "|---|---|", *rows])


def main() -> None:
    """Runs the command line; a mistake of the user's ends in one line, without a traceback."""
    try:
        app.cli(prog="keras-inits", description="Weight initialization for Keras.")
    except (DataError, ValueError) as error:
        Console(stderr=True).print(f"[bold red]error:[/] {error}", highlight=False)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
