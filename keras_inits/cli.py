"""The command line: `keras-inits list | diagnose | audit | reproduce`."""

import inspect
import json
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import keras
import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from tyro.extras import SubcommandApp

from keras_inits import registry
from keras_inits.auditing import audit
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


@app.command(name="audit")
def audit_command(
    model: tyro.conf.Positional[Path],
    as_json: Annotated[bool, tyro.conf.arg(name="json"), tyro.conf.FlagCreatePairsOff] = False,
) -> None:
    """Find what is wrong with the weights that a saved model starts from; exit code 1 if anything.

    Args:
        model: a `.keras` file.
        as_json: print the report as JSON.
    """
    if not model.exists():
        raise ValueError(f"There is no such file. Received: model={str(model)!r}")
    report = audit(keras.models.load_model(model, compile=False))
    if as_json:
        print(json.dumps(report.to_dict(), indent=1))
    else:
        Console().print(report)
    if report.findings:
        sys.exit(1)


@app.command(name="diagnose")
def diagnose_model(
    model: tyro.conf.Positional[Path],
    data: Path | None = None,
    png: Path | None = None,
    json: Path | None = None,
    batch: int = 32,
) -> None:
    """Tell what each layer of a saved model does to the signal; exit with 1 if it is unhealthy.

    Args:
        model: a saved model, MODEL.keras.
        data: a batch as a .npy file; standard normal values (integers for embeddings) if none.
        png: where to draw signal and gradient over depth.
        json: where to write the whole report.
        batch: how many samples to look at.
    """
    report = _report(model, data, batch)
    report.summary()
    if json is not None:
        json.write_text(report.to_json() + "\n", encoding="utf-8")
    if png is not None:
        from keras_inits import plots, signal_plots  # matplotlib is an extra

        png.write_bytes(plots.figure_bytes(signal_plots.depth_figure(report)))
    sys.exit(0 if report.healthy else 1)


def _report(model: Path, data: Path | None, batch: int) -> Any:
    import keras  # Keras and TensorFlow take seconds to load, which `list` need not wait for
    import numpy as np

    from keras_inits import diagnosis

    for path, what in ((model, "model"), (data, "data")):
        if path is not None and not path.is_file():
            raise ValueError(f"`{what}` must be a file. Received: {what}={str(path)!r}")
    loaded = keras.models.load_model(model, compile=False)
    if data is None:
        return diagnosis.diagnose(loaded, diagnosis.standard_input(loaded, batch))
    return diagnosis.diagnose(loaded, np.load(data)[:batch])


@reproduce.command(name="mnist-log")
def mnist_log_command(
    config: Annotated[mnist_log.MnistLogConfig, tyro.conf.arg(name="")],
) -> None:
    """Softmax regression on MNIST, random against Xavier: the 20-epoch log of the first article."""
    console = Console()
    runs = len(config.schemes) * config.seeds
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    ) as progress:
        task = progress.add_task("epochs", total=runs * config.epochs)

        def show(run: mnist_log.TrainingRun) -> None:
            mnist_log_views.print_epochs(console, run)
            progress.update(task, advance=1, description=f"{run.scheme}, seed {run.seed}")

        result = mnist_log.run(config, report=console.print, on_epoch=show)
    console.print()
    console.print(mnist_log_views.summary(result))
    if config.out is not None:
        for path in mnist_log_views.write(result, config.out):
            console.print(f"wrote {path}", soft_wrap=True)


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
