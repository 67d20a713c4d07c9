"""`keras-inits reproduce`: a classic experiment run, printed and written."""

import functools
from typing import Any

from rich.console import Console

from keras_inits._cli.progress import progress_bar
from keras_inits._compare import one_thread_per_operation
from keras_inits.experiments import everything
from keras_inits.experiments.page import Page, printed, write


def run(
    experiment: Any,
    config: Any,
    console: Console,
    *,
    side_by_side: bool = True,
    **listeners: Any,
) -> None:
    """Runs an experiment, prints its page and writes it to `config.out`, if that is given.

    Args:
        experiment: a module with `run(config, *, report, on_progress)` and `page(result)`.
        config: what it is to do.
        console: where to print.
        side_by_side: whether it trains populations.
        listeners: passed on to `run`.

    Raises:
        DataError: the data could not be had.
        ValueError: `config.out` holds runs of another recipe.
    """
    if side_by_side:
        one_thread_per_operation()
    with progress_bar(console) as show:
        result = experiment.run(
            config,
            report=functools.partial(console.print, markup=False),
            on_progress=show,
            **listeners,
        )
    page = experiment.page(result)
    console.print()
    console.print(printed(page))
    if config.out is not None:
        for path in write(result, page, config.out):
            console.print(f"wrote {path}", soft_wrap=True, markup=False)


def run_everything(config: everything.EverythingConfig, console: Console) -> None:
    """Runs every experiment, and prints each page when it is there.

    Raises:
        DataError: the data could not be had.
        ValueError: `config.out` holds runs of another recipe.
    """
    one_thread_per_operation()

    def show_page(page: Page) -> None:
        console.rule(page.name)
        console.print(printed(page))

    with progress_bar(console) as show:
        files = everything.run(
            config,
            report=functools.partial(console.print, markup=False),
            on_experiment=show_page,
            on_progress=show,
        )
    console.print(f"wrote {len(files)} files; see {files[-1]}", soft_wrap=True, markup=False)
