"""`keras-inits reproduce`: a classic experiment run, printed and written."""

import functools
from collections.abc import Callable
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.text import Text

from keras_inits._cli.progress import progress_bar
from keras_inits._compare import one_thread_per_operation
from keras_inits.experiments import EXPERIMENTS, EverythingConfig, Experiment, Page, run_all


def command(experiment: Experiment) -> Callable[..., None]:
    """Returns an experiment as a command: its options are those of its configuration."""

    def reproduce(config: Any, quick: bool = False) -> None:
        run(experiment, experiment.quick_form(config) if quick else config, Console())

    reproduce.__annotations__["config"] = Annotated[experiment.config, tyro.conf.arg(name="")]
    reproduce.__annotations__["quick"] = tyro.conf.FlagCreatePairsOff[bool]
    reproduce.__doc__ = f"""{experiment.title}: {experiment.what}.

    Args:
        quick: few seeds and epochs, for a look, where no option says otherwise.
    """
    return reproduce


def run(experiment: Experiment, config: Any, console: Console) -> None:
    """Runs an experiment, prints its page and writes it to `config.out`, if that is given.

    Raises:
        DataError: the data could not be had.
        InputError: `config.out` holds something else, or the backend is one that does not do.
    """
    if experiment.side_by_side(config):
        one_thread_per_operation()
    with progress_bar(console) as show:
        result = experiment.run(
            config, report=functools.partial(console.print, markup=False), on_progress=show
        )
    page = result.page()
    if page.log:
        console.print(Text(f"\n{page.log}"))
    console.print()
    console.print(page)
    if config.out is not None:
        for path in result.write(config.out, page):
            console.print(f"wrote {path}", soft_wrap=True, markup=False)


def everything(config: Annotated[EverythingConfig, tyro.conf.arg(name="")]) -> None:
    """Every experiment, and one page over all of them: report.html."""
    run_everything(config, Console())


def run_everything(config: EverythingConfig, console: Console) -> None:
    """Runs every experiment, and prints each page when it is finished.

    Raises:
        DataError: the data could not be had.
        InputError: `config.out` holds something else, or the backend is one that does not do.
    """
    one_thread_per_operation()

    def show_page(page: Page) -> None:
        console.rule(page.name)
        console.print(page)

    with progress_bar(console) as show:
        files = run_all(
            EXPERIMENTS,
            config,
            report=functools.partial(console.print, markup=False),
            on_experiment=show_page,
            on_progress=show,
        )
    console.print(f"wrote {len(files)} files; see {files[-1]}", soft_wrap=True, markup=False)
