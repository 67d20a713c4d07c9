"""A bar with the time left."""

import contextlib
import datetime
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from keras_inits._progress import Progress as Done


@contextlib.contextmanager
def progress_bar(console: Console) -> Iterator[Callable[[Done], None]]:
    """Shows a bar with the time left; yields what takes a `Progress`.

    It is drawn by whoever tells it something: a thread that draws would import modules while TFDS,
    when it is loaded, has replaced `__import__` by one that refuses relative names.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:.0f} %"))
    with Progress(*columns, console=console, transient=True, auto_refresh=False) as bar:
        task = bar.add_task("compiling", total=None)

        def show(progress: Done) -> None:
            left = progress.seconds_left
            text = "" if left is None else f"{datetime.timedelta(seconds=round(left))} left"
            bar.update(
                task,
                completed=progress.done,
                total=progress.total,
                description=text,
                refresh=True,
            )

        yield show
