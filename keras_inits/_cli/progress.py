"""A bar with the time left."""

import contextlib
import datetime
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from keras_inits._progress import Progress as Done


@contextlib.contextmanager
def progress_bar(console: Console) -> Iterator[Callable[[Done], None]]:
    """Shows a bar with the time left; yields what takes a `Progress`."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:.0f} %"))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("compiling", total=None)

        def show(progress: Done) -> None:
            left = progress.seconds_left
            text = "" if left is None else f"{datetime.timedelta(seconds=round(left))} left"
            bar.update(task, completed=progress.done, total=progress.total, description=text)

        yield show
