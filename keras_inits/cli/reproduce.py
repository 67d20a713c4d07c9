"""`keras-inits reproduce`: a classic experiment run, printed and written."""

import functools
from typing import Any

from rich.console import Console

from keras_inits.cli.progress import progress_bar
from keras_inits.comparing import one_thread_per_operation
from keras_inits.experiments.page import printed, write


def run(experiment: Any, config: Any, console: Console, **listeners: Any) -> None:
    """Runs an experiment, prints its page and writes it to `config.out`, if that is given.

    Args:
        experiment: a module with `run(config, *, report, on_progress)` and `page(result)`.
        config: what it is to do.
        console: where to print.
        listeners: passed on to `run`.

    Raises:
        DataError: the data could not be had.
        ValueError: `config.out` holds runs of another recipe.
    """
    if getattr(config, "trainer", "population") == "population":
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
