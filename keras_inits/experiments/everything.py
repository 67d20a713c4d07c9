"""Every experiment, one after another, and the report of them."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_inits._files import write_whole
from keras_inits._progress import Clock, Progress
from keras_inits.datasets import Source
from keras_inits.experiments import circles, depth, mnist_log, zero_init
from keras_inits.experiments.page import Page, write
from keras_inits.experiments.report import html

# Seconds on two cores, by which the progress of the whole is told.
SECONDS = {"mnist-log": 20, "zero-init": 60, "circles": 30, "depth": 40}


@dataclass(frozen=True)
class EverythingConfig:
    """What to run: all classic experiments."""

    out: Path
    """Folder for the report, and for a folder of each experiment; a killed run goes on from it."""
    source: Source = "auto"
    """Where MNIST comes from."""
    data_dir: Path | None = None
    """Folder with the four IDX files of MNIST, gzipped or not."""
    root_seed: int = 0
    """The number from which every random number follows."""
    quick: bool = False
    """Few seeds and epochs, for a look; not the articles' recipes."""


def run(
    config: EverythingConfig,
    *,
    report: Callable[[str], object] = print,
    on_experiment: Callable[[Page], object] = lambda page: None,
    on_progress: Callable[[Progress], object] = lambda progress: None,
) -> list[Path]:
    """Runs every experiment and writes its files, and `report.html` over all of them.

    Args:
        config: what to do. A later call with the same folder goes on from what is there.
        report: takes lines for people about the data.
        on_experiment: takes the page of each finished experiment.
        on_progress: takes how far the whole is, in seconds of `SECONDS`.

    Returns:
        The files written.

    Raises:
        DataError: MNIST could not be had.
        ValueError: `config.out` holds runs of another recipe.
    """
    pages: list[Page] = []
    files: list[Path] = []
    clock = Clock(0, sum(SECONDS.values()), on_progress)
    for name, experiment, options in _experiments(config):
        before = sum(SECONDS[page.name] for page in pages)

        def tell(p: Progress, before: float = before, share: float = SECONDS[name]) -> None:
            clock.tell(round(before + share * p.done / p.total))

        result = experiment.run(options, report=report, on_progress=tell)
        page = experiment.page(result)
        files += write(result, page, options.out)
        pages.append(page)
        on_experiment(page)
    path = config.out / "report.html"
    write_whole(path, html(pages, _command(config)))
    return [*files, path]


def _experiments(config: EverythingConfig) -> Iterator[tuple[str, Any, Any]]:
    """Yields names, experiments and what they are asked for."""
    data: dict[str, Any] = {"source": config.source, "data_dir": config.data_dir}
    options: Sequence[tuple[str, Any, Any, dict[str, Any]]] = (
        ("mnist-log", mnist_log, mnist_log.MnistLogConfig(**data), {"seeds": 3, "epochs": 2}),
        ("zero-init", zero_init, zero_init.ZeroInitConfig(**data), {"seeds": 3, "epochs": 2}),
        ("circles", circles, circles.CirclesConfig(), {"seeds": 3, "iterations": 2000}),
        ("depth", depth, depth.DepthConfig(), {"seeds": 2, "samples": 200, "units": 100}),
    )
    for name, experiment, full, quick in options:
        asked = dataclasses.replace(
            full,
            root_seed=config.root_seed,
            out=config.out / name,
            **(quick if config.quick else {}),
        )
        yield name, experiment, asked


def _command(config: EverythingConfig) -> str:
    words = ["keras-inits reproduce all"]
    if config.root_seed:
        words.append(f"--root-seed {config.root_seed}")
    if config.quick:
        words.append("--quick")
    return " ".join([*words, "--out DIR"])
