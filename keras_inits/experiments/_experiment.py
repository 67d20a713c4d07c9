"""What an experiment is: its entry in the list, the base of its result, and how its run begins."""

import contextlib
import dataclasses
import functools
import importlib
import platform
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, TypeVar, cast

import keras
import numpy as np
from numpy.typing import NDArray
from rich.console import RenderableType
from rich.table import Table as RichTable

from keras_inits._checks import instance
from keras_inits._errors import InputError
from keras_inits._files import MARKER, read_json, write_all, write_whole
from keras_inits._progress import Progress
from keras_inits._reporting import Report
from keras_inits.experiments._config import MnistConfig, Say, SeededConfig
from keras_inits.experiments._interrupt import interruptible
from keras_inits.experiments._page import Page

NOT_COMPARABLE = "These numbers are NOT comparable to the article's"

OnProgress = Callable[[Progress], object]
_Run = TypeVar("_Run", bound=Callable[..., Any])


@dataclass(frozen=True, eq=False)
class ExperimentResult(Report):
    """What an experiment measured.

    Attributes:
        experiment: name of the experiment on the command line.
        config: what was asked for.
        versions: of Python and of the packages that computed it.

    >>> from keras_inits.experiments import EXPERIMENTS
    >>> [experiment.result.experiment for experiment in EXPERIMENTS][:3]
    ['mnist-log', 'zero-init', 'circles']
    """

    experiment: ClassVar[str]

    config: SeededConfig
    versions: Mapping[str, str]

    def page(self) -> Page:
        """Returns question, recipe, tables, pictures and conclusions."""
        raise NotImplementedError

    def heading(self) -> str:
        """Returns the title."""
        return self.page().title

    def table(self) -> RichTable:
        """Returns the first table of the page."""
        return self.page().tables[0].__rich__()

    def parts(self) -> Iterator[RenderableType]:
        """Yields what is printed, in order."""
        yield from self.page().parts()

    def to_dict(self) -> dict[str, Any]:
        """Returns the result as plain data for strict JSON, with the name of the experiment."""
        return {"experiment": self.experiment, **super().to_dict()}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """Returns the result that `to_dict` was called on.

        Raises:
            InputError: the result of another experiment, or no result.
        """
        if (found := plain.get("experiment")) != cls.experiment:
            raise InputError(
                f"A result of {cls.experiment} was expected. Received: experiment={found!r}"
            )
        return super().from_dict(plain)

    def write(self, out: Path, page: Page | None = None) -> list[Path]:
        """Writes result.json, texts and pictures to a folder, each whole, and returns them.

        Args:
            out: the folder, made if need be.
            page: the result's page, if it has been made; its pictures are then drawn once.

        Raises:
            InputError: the folder holds the result of something else.
        """
        refuse_others(out, self.experiment)
        page = self.page() if page is None else page
        pictures = {picture.file: picture.png for picture in page.pictures}
        return write_all(out, {**page.texts, **pictures, "result.json": self.to_json()})


@dataclass(frozen=True, eq=False)
class MnistResult(ExperimentResult):
    """What an experiment on MNIST measured.

    Attributes:
        config: what was asked for.
        versions: of Python and of the packages that computed it.
        data: `source`, `description` and `comparable` of the images.
        effort: numbers of the configuration; where one is below its default, what was published
            need not show.

    >>> from keras_inits.experiments import HeDepthResult
    >>> issubclass(HeDepthResult, MnistResult), HeDepthResult.effort
    (True, ('epochs', 'images'))
    """

    effort: ClassVar[tuple[str, ...]] = ()

    config: MnistConfig
    data: Mapping[str, Any]

    @property
    def follows_the_recipe(self) -> bool:
        """Whether images and effort are those with which the published claims show."""
        recipe = type(self.config)
        enough = (getattr(self.config, n) >= getattr(recipe, n) for n in self.effort)
        return bool(self.data["comparable"]) and all(enough)


class Run(Protocol):
    """Runs an experiment."""

    def __call__(
        self, config: Any, *, report: Say = ..., on_progress: OnProgress = ...
    ) -> ExperimentResult:
        """Returns the result.

        Args:
            config: what to do, of the experiment's own class. With `config.out`, what is finished
                is kept there, and a later call resumes from it.
            report: takes lines for people about the data; `print` if left out.
            on_progress: takes the progress.

        Raises:
            DataError: MNIST could not be had.
            InputError: `config.out` holds runs of another recipe or of another experiment, or
                Keras runs on another backend than the experiment needs.
        """


@dataclass(frozen=True)
class Experiment:
    """A classic experiment.

    Everything that lists the experiments is made from these values: the commands of
    `keras-inits reproduce`, `reproduce all` and the README's table.

    Attributes:
        title: a line.
        config: class of its configuration, whose defaults are the article's recipe.
        result: class of its result.
        run: takes a configuration and returns the result, see `Run`.
        quick: fields of the configuration that make it a matter of seconds.
        seconds: how long the full recipe takes on two processors.
        what: what is run.
        published: what the results are compared with.
        side_by_side: whether a configuration trains models side by side.
        needs_tensorflow: why it runs on that backend alone, as a clause; empty if it does not.

    >>> from keras_inits.experiments import EXPERIMENTS
    >>> (circles,) = [one for one in EXPERIMENTS if one.name == "circles"]
    >>> circles.config().iterations
    15000
    """

    title: str
    config: type[SeededConfig]
    result: type[ExperimentResult]
    run: Run
    quick: Mapping[str, Any]
    seconds: int
    what: str
    published: str
    side_by_side: Callable[[Any], bool] = field(default=lambda config: True)
    needs_tensorflow: str = ""

    @property
    def name(self) -> str:
        """Name on the command line."""
        return self.result.experiment

    def quick_form(self, config: Any) -> Any:
        """Returns a configuration with `quick` in place of what it leaves at its default."""
        defaults = self.config()
        changes = {
            name: value
            for name, value in self.quick.items()
            if getattr(config, name) == getattr(defaults, name)
        }
        return dataclasses.replace(config, **changes)


def taking(kind: type[SeededConfig]) -> Callable[[_Run], _Run]:
    """Returns a decorator by which a `Run` refuses what is no configuration of its experiment.

    Args:
        kind: class of the configuration.
    """

    def decorated(run: _Run) -> _Run:
        @functools.wraps(run)
        def checked(config: Any, **options: Any) -> Any:
            return run(instance("config", config, kind, f"a {kind.__name__}"), **options)

        return cast(_Run, checked)

    return decorated


@contextlib.contextmanager
def started(
    result: type[ExperimentResult],
    config: SeededConfig,
    on_progress: OnProgress,
    *,
    needs_tensorflow: str = "",
) -> Iterator[tuple[dict[str, str], OnProgress]]:
    """The frame of every run: whatever can be refused is refused before anything is computed.

    Args:
        result: class of the result.
        config: what was asked for.
        on_progress: takes the progress.
        needs_tensorflow: why it runs on that backend alone, as a clause; empty if it does not.

    Yields:
        The versions, and the listener to use, which no Ctrl-C gets past.

    Raises:
        InputError: another backend, or a folder that belongs to another experiment.
    """
    refuse_backend(result.experiment, needs_tensorflow)
    if config.out is not None:
        refuse_others(config.out, result.experiment)
        write_whole(config.out / MARKER, f'{{"experiment": "{result.experiment}"}}\n')
    with interruptible() as check:

        def listen(progress: Progress) -> None:
            check()
            on_progress(progress)

        yield versions(), listen


def refuse_backend(experiment: str, since: str) -> None:
    """Raises an `InputError` if TensorFlow is needed, and Keras runs on another backend.

    Args:
        experiment: its name.
        since: why it runs on TensorFlow alone, as a clause; empty if it does not.
    """
    if since and (backend := keras.backend.backend()) != "tensorflow":
        raise InputError(
            f"`{experiment}` needs Keras on TensorFlow. Received: backend={backend}. "
            f"Set KERAS_BACKEND=tensorflow: {since}."
        )


def refuse_others(out: Path, experiment: str) -> None:
    """Raises an `InputError` if a folder belongs to something else than an experiment."""
    for file in (out / MARKER, out / "result.json", out / "settings.json"):
        if not file.exists():
            continue
        kept = read_json(file)
        found = kept.get("experiment") if isinstance(kept, dict) else None
        if found != experiment:
            raise InputError(
                f"`out` must be a folder of its own for each experiment; {file} belongs to "
                f"{found or 'another command'}. Choose another folder for {experiment}. "
                f"Received: out={str(out)!r}"
            )


def versions() -> dict[str, str]:
    """Returns the versions of Python and of what computes the numbers.

    They are the modules' own: a package may be installed under several names, such as
    tensorflow-cpu.
    """
    modules = {"keras-inits": "keras_inits", "keras": "keras", "numpy": "numpy"}
    backend = keras.backend.backend()
    return {"python": platform.python_version()} | {
        name: str(importlib.import_module(module).__version__)
        for name, module in {**modules, backend: backend}.items()
    }


def not_mnist(data: Mapping[str, Any]) -> str:
    """Returns why numbers that were measured on `data`, the images' provenance, do not compare."""
    return f"they were not measured on MNIST ({data['description']})."


def decimal(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns for each value the shortest decimal that is the same float32.

    >>> decimal(np.array([0.28990000486]))
    array([0.2899])
    """
    return values.astype(np.float32).astype(str).astype(np.float64)
