"""What zero-init is asked for and what it gives, as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_inits._compare import Comparison
from keras_inits.datasets import Source
from keras_inits.experiments.record import record, require


@dataclass(frozen=True)
class ZeroInitConfig:
    """What to train: 784-100-10 on MNIST from zeros, from one constant and from He."""

    epochs: int = 100
    """Passes over the training images."""
    seeds: int = 10
    """Runs of each scheme of the models without hidden units; those with them have one."""
    root_seed: int = 0
    """The number from which every random number follows."""
    source: Source = "auto"
    """Where MNIST comes from."""
    data_dir: Path | None = None
    """Folder with the four IDX files of MNIST, gzipped or not."""
    out: Path | None = None
    """Folder for result.json and the figure; a killed run goes on from it."""

    def __post_init__(self) -> None:
        require(self, epochs=1, seeds=1)


@dataclass(frozen=True)
class ZeroInitRun:
    """One net with hidden units, trained.

    Attributes:
        scheme: `"zeros"`, `"constant"` (every kernel 0.5) or `"he"`.
        seed: the number of the run.
        cost: mean training cross-entropy of each epoch, as the weights move, in nats.
        accuracy: share of the test images classified rightly after each epoch.
        units_apart: in the end, the largest difference between what two hidden units weigh one
            pixel by.
        moved: by weight, such as `"hidden/kernel"`, the largest distance of an entry from where it
            started.
    """

    scheme: str
    seed: int
    cost: tuple[float, ...]
    accuracy: tuple[float, ...]
    units_apart: float
    moved: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class ZeroInitResult:
    """What the experiment measured.

    Attributes:
        config: what was asked for.
        data: `source`, `description` and `comparable` of the images.
        versions: of the packages that computed it.
        runs: the nets with hidden units.
        frequencies: shares of the classes in the training images, `(10,)`.
        last_bias: of the net from zeros in the end, `(10,)`.
        convex: by model without hidden units, zeros against Xavier over the seeds.
    """

    config: ZeroInitConfig
    data: dict[str, Any]
    versions: dict[str, str]
    runs: tuple[ZeroInitRun, ...]
    frequencies: NDArray[np.float64]
    last_bias: NDArray[np.float64]
    convex: Mapping[str, Comparison]

    def of(self, scheme: str) -> ZeroInitRun:
        """Returns the run of a scheme."""
        return next(run for run in self.runs if run.scheme == scheme)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain data for JSON."""
        return {
            **record("zero-init", self),
            "data": self.data,
            "frequencies": self.frequencies.tolist(),
            "last_bias": self.last_bias.tolist(),
            "convex": {
                model: [
                    {
                        "scheme": scheme,
                        "seed": seed,
                        **{
                            metric: values[i, k].tolist()
                            for metric, values in compared.history.items()
                        },
                    }
                    for k, seed in enumerate(compared.seeds)
                    for i, scheme in enumerate(compared.schemes)
                ]
                for model, compared in self.convex.items()
            },
        }
