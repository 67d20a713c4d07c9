"""All experiments, one after another, and the report over them."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_inits._checks import boolean, choice, instance, integer, path
from keras_inits._files import write_whole
from keras_inits._progress import Clock, Progress
from keras_inits.datasets import MNIST_SOURCES, Source
from keras_inits.experiments._config import Say
from keras_inits.experiments._experiment import Experiment, OnProgress, refuse_backend
from keras_inits.experiments._html import html
from keras_inits.experiments._page import Page


@dataclass(frozen=True)
class EverythingConfig:
    """What to run: all classic experiments.

    Raises:
        InputError: a source that does not exist, or a negative `seed`.

    >>> EverythingConfig(Path("runs/all"), quick=True).seed
    0
    """

    out: Path
    """Folder for the report and a folder for each experiment; a killed run resumes from it."""
    source: Source = "auto"
    """Where MNIST comes from."""
    data_dir: Path | None = None
    """Folder with the four IDX files of MNIST, gzipped or not."""
    seed: int = 0
    """Root seed, from which every random number follows."""
    quick: bool = False
    """Few seeds and epochs, for a look; not the articles' recipes."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "out", path("out", self.out))
        choice("source", self.source, MNIST_SOURCES)
        if self.data_dir is not None:
            object.__setattr__(self, "data_dir", path("data_dir", self.data_dir))
        object.__setattr__(self, "seed", integer("seed", self.seed))
        boolean("quick", self.quick)


def run_all(
    experiments: Sequence[Experiment],
    config: EverythingConfig,
    *,
    report: Say = print,
    on_experiment: Callable[[Page], object] = lambda page: None,
    on_progress: OnProgress = lambda progress: None,
) -> list[Path]:
    """Runs experiments and writes the files of each, and `report.html` over all of them.

    Args:
        experiments: which ones, such as `EXPERIMENTS`.
        config: what to do. A later call with the same folder resumes from what it holds.
        report: takes lines for people about the data.
        on_experiment: takes the page of each finished experiment.
        on_progress: takes the progress of the whole, in seconds of the full recipes.

    Returns:
        The files written, the report last.

    Raises:
        DataError: MNIST could not be had.
        InputError: the folder holds runs of another recipe, or one of them needs another backend.

    >>> from keras_inits.experiments import EXPERIMENTS
    >>> config = EverythingConfig(Path("runs/all"), quick=True)
    >>> files = run_all(EXPERIMENTS, config)  # minutes  # doctest: +SKIP
    """
    instance("config", config, EverythingConfig, "an EverythingConfig")
    for experiment in instance("experiments", experiments, (tuple, list), "a sequence"):
        instance("experiments", experiment, Experiment, "a sequence such as `EXPERIMENTS`")
        # Before any of them has taken its time.
        refuse_backend(experiment.name, experiment.needs_tensorflow)
    pages: list[Page] = []
    files: list[Path] = []
    clock = Clock(0, sum(experiment.seconds for experiment in experiments), on_progress)
    before = 0
    for experiment in experiments:

        def tell(p: Progress, before: int = before, share: int = experiment.seconds) -> None:
            clock.tell(round(before + share * p.done / p.total))

        asked = config_of(experiment, config)
        result = experiment.run(asked, report=report, on_progress=tell)
        page = result.page()
        files += result.write(config.out / experiment.name, page)
        pages.append(page)
        on_experiment(page)
        before += experiment.seconds
    whole = config.out / "report.html"
    write_whole(whole, html(pages, _command(config)))
    return [*files, whole]


def config_of(experiment: Experiment, config: EverythingConfig) -> Any:
    """Returns the configuration of one experiment: what it shares with that of the whole."""
    shared = {field.name for field in dataclasses.fields(experiment.config)}
    asked = experiment.config(
        **{
            **{n: v for n, v in vars(config).items() if n in shared},
            "out": config.out / experiment.name,
        }
    )
    return experiment.quick_form(asked) if config.quick else asked


def _command(config: EverythingConfig) -> str:
    words = ["keras-inits reproduce all"]
    if config.seed:
        words.append(f"--seed {config.seed}")
    if config.quick:
        words.append("--quick")
    return " ".join([*words, "--out DIR"])
