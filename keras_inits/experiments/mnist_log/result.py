"""What the MNIST log is asked for and what it measures, as plain data."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from keras_inits import _registry
from keras_inits.datasets import Source
from keras_inits.experiments.record import record, require


@dataclass(frozen=True)
class MnistLogConfig:
    """What to train: softmax regression on MNIST, once for each scheme and seed."""

    schemes: tuple[str, ...] = ("random", "xavier")
    """Initializers of the kernel: any registered name; `initkit_` may be left out."""
    seeds: int = 20
    """Runs of each scheme; run k of every scheme has the same batches and biases."""
    trainer: Literal["population", "fit"] = "population"
    """All runs side by side on the first seed's batches, or by `fit`, each seed on its own."""
    epochs: int = 20
    """Passes over the training images."""
    batch_size: int = 100
    """Images a step."""
    learning_rate: float = 0.01
    """Step size of plain SGD."""
    root_seed: int = 0
    """The number from which every random number of the experiment follows."""
    source: Source = "auto"
    """Where MNIST comes from."""
    data_dir: Path | None = None
    """Folder with the four IDX files of MNIST, gzipped or not."""
    out: Path | None = None
    """Folder for result.json, log.txt and curves.png; a killed run goes on from it."""

    def __post_init__(self) -> None:
        require(self, seeds=1, epochs=1, batch_size=1)
        if not 0 < self.learning_rate < float("inf"):
            raise ValueError(
                f"`learning_rate` must be positive. Received: learning_rate={self.learning_rate}"
            )
        if not self.schemes or len(set(self.schemes)) < len(self.schemes):
            raise ValueError(
                f"`schemes` must name one scheme or more, each once. Received: {self.schemes}"
            )
        for scheme in self.schemes:
            _registry.get(scheme)

    def recipe(self) -> dict[str, Any]:
        """Returns what decides the numbers of a run, besides its scheme, its seed and the data."""
        return {
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "root_seed": self.root_seed,
        }


@dataclass(frozen=True)
class TrainingRun:
    """One model trained.

    Attributes:
        scheme: the scheme, as the configuration names it.
        seed: the number of the run, from 0.
        cost: mean training cross-entropy of each epoch, as the weights move, in nats.
        accuracy: share of the test images classified rightly after each epoch.
    """

    scheme: str
    seed: int
    cost: tuple[float, ...]
    accuracy: tuple[float, ...]


@dataclass(frozen=True)
class MnistLogResult:
    """What the experiment measured.

    Attributes:
        config: what was asked for.
        data: `source`, `description` and `comparable` of the images.
        versions: of the packages that computed it.
        runs: seed by seed, in each the schemes in their order.
    """

    config: MnistLogConfig
    data: dict[str, Any]
    versions: dict[str, str]
    runs: tuple[TrainingRun, ...]

    @property
    def follows_the_article(self) -> bool:
        """Whether data and recipe are the article's, so that its numbers may stand beside."""
        article = MnistLogConfig()
        same = ("batch_size", "learning_rate")
        return bool(self.data["comparable"]) and all(
            getattr(self.config, name) == getattr(article, name) for name in same
        )

    def stacked(self, scheme: str, metric: str) -> NDArray[np.float64]:
        """Returns `"cost"` or `"accuracy"` of the runs of a scheme: `(seeds, epochs)`."""
        return np.array([getattr(run, metric) for run in self.runs if run.scheme == scheme])

    def to_dict(self) -> dict[str, Any]:
        """Returns plain data for JSON."""
        return {**record("mnist-log", self), "data": self.data}


EpochListener = Callable[[TrainingRun], object]
