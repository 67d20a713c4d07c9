"""The bases of the configurations of all experiments."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_inits._checks import choice, instance, integer, path
from keras_inits._errors import InputError
from keras_inits.datasets import MNIST_SOURCES, ImageDataset, Source, load_mnist

Say = Callable[[str], object]  # takes a line for people, as `print` does


@dataclass(frozen=True)
class SeededConfig:
    """What all experiments have: a number of runs, a root seed and a folder.

    Raises:
        InputError: `seeds` below 1, or a negative `seed`.

    >>> SeededConfig(seeds=3).seeds
    3
    """

    seeds: int = 20
    """Runs of each scheme."""
    seed: int = 0
    """Root seed, from which every random number of the experiment follows."""
    out: Path | None = None
    """Folder for result.json and the figures; a killed run resumes from it."""

    def __post_init__(self) -> None:
        self.require(seeds=1, seed=0)
        if self.out is not None:
            object.__setattr__(self, "out", path("out", self.out))

    def require(self, **least: int) -> None:
        """Keeps numbers of the configuration as Python's integers.

        Args:
            least: smallest value by field.

        Raises:
            InputError: a number that is less than it may be, or no integer.
        """
        for name, number in least.items():
            # NumPy's would overflow in what is computed from them, and do not go into JSON.
            object.__setattr__(self, name, integer(name, getattr(self, name), minimum=number))

    def require_names(self, name: str, check: Callable[[str, Any], object]) -> None:
        """Checks that a field of the configuration is a sequence of different names.

        Args:
            name: the field.
            check: takes the field and a member, and refuses one that is not known.

        Raises:
            InputTypeError: no sequence.
            InputError: no member, one that is given twice, or one that is not known.
        """
        values = instance(name, getattr(self, name), (tuple, list), "a sequence of names")
        for value in values:
            check(name, value)
        if len(set(values)) != max(1, len(values)):
            raise InputError(
                f"`{name}` must name one or more, each once. Received: {name}={values}"
            )

    def require_ascending(
        self, name: str, check: Callable[[str, Any], float], *, least: int = 1
    ) -> None:
        """Checks that a field of the configuration is a sequence of numbers that rise.

        Args:
            name: the field.
            check: takes the field and a member, and refuses one that is out of range.
            least: how many there have to be.

        Raises:
            InputTypeError: no sequence.
            InputError: too few members, or one that is out of range or not above the one before.
        """
        values = instance(name, getattr(self, name), (tuple, list), "a sequence of numbers")
        numbers = [check(name, value) for value in values]
        if len(numbers) < least or numbers != sorted(set(numbers)):
            raise InputError(
                f"`{name}` must be {least} or more numbers, from the smallest to the largest. "
                f"Received: {name}={values}"
            )

    def state(self, name: str) -> Path | None:
        """Returns the folder for the unfinished runs of one part; None without `out`."""
        return None if self.out is None else self.out / "state" / name


@dataclass(frozen=True)
class MnistConfig(SeededConfig):
    """What the experiments on MNIST have in common.

    Raises:
        InputError: a number out of range.

    >>> images = MnistConfig(source="digits").load_images(report=lambda line: None)
    >>> images.train_images.shape
    (1500, 64)
    """

    source: Source = "auto"
    """Where MNIST comes from."""
    data_dir: Path | None = None
    """Folder with the four IDX files of MNIST, gzipped or not."""

    def __post_init__(self) -> None:
        super().__post_init__()
        choice("source", self.source, MNIST_SOURCES)
        if self.data_dir is not None:
            object.__setattr__(self, "data_dir", path("data_dir", self.data_dir))

    def load_images(self, report: Say) -> ImageDataset:
        """Returns the images, after reporting where they come from.

        Raises:
            DataError: MNIST could not be had.
        """
        images = load_mnist(self.source, self.data_dir, report=report)
        report(images.description)
        return images
