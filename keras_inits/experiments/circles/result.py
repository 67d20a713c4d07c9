"""What the circles are asked for and what they give, as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from keras_inits.experiments.record import record, require

Seed = int | Literal["published"]
RECORDED_EVERY = 1000  # iterations between two recorded costs, as in the article


@dataclass(frozen=True)
class CirclesConfig:
    """What to train: 2-10-5-1 on two noisy circles, once for each scheme and seed."""

    seeds: int = 20
    """Runs of each scheme, besides the published draw."""
    iterations: int = 15_000
    """Steps of full-batch gradient descent; a multiple of 1,000."""
    root_seed: int = 0
    """The number from which every random number follows, but for data and the published draw."""
    out: Path | None = None
    """Folder for result.json and the figures; a killed run goes on from it."""

    def __post_init__(self) -> None:
        require(self, seeds=1)
        if self.iterations < RECORDED_EVERY or self.iterations % RECORDED_EVERY:
            raise ValueError(
                f"`iterations` must be a multiple of {RECORDED_EVERY}, since the cost is recorded "
                f"so often. Received: {self.iterations}"
            )


@dataclass(frozen=True)
class CirclesRun:
    """One net trained.

    Attributes:
        scheme: its name.
        seed: the number of the run, or `"published"`.
        cost: binary cross-entropy in nats on the training points at iteration 0, 1,000, ...; one
            for each 1,000 iterations, so that the last is 1,000 before the end.
        train_accuracy: share of the training points classified rightly in the end.
        test_accuracy: the same of the test points.
    """

    scheme: str
    seed: Seed
    cost: tuple[float, ...]
    train_accuracy: float
    test_accuracy: float


@dataclass(frozen=True, eq=False)
class CirclesResult:
    """What the experiment measured.

    Attributes:
        config: what was asked for.
        versions: of the packages that computed it.
        runs: the published draw, scheme by scheme, then seed by seed.
        points: `(points, 2)` and labels `(points,)` that were trained on.
        boundaries: by scheme, what the net from the published draw gives on `GRID` x `GRID`: the
            probability of class 1, `(y, x)`.
    """

    config: CirclesConfig
    versions: dict[str, str]
    runs: tuple[CirclesRun, ...]
    points: tuple[NDArray[np.float64], NDArray[np.int64]]
    boundaries: Mapping[str, NDArray[np.float64]]

    @property
    def schemes(self) -> tuple[str, ...]:
        """Names of the schemes."""
        return tuple(dict.fromkeys(run.scheme for run in self.runs))

    def published(self, scheme: str) -> CirclesRun:
        """Returns the run from the published draw."""
        return next(r for r in self.runs if (r.scheme, r.seed) == (scheme, "published"))

    def stacked(self, scheme: str, what: str) -> NDArray[np.float64]:
        """Returns `"cost"` `(seeds, records)` or an accuracy `(seeds,)` of the seeds' runs."""
        runs = [r for r in self.runs if r.scheme == scheme and r.seed != "published"]
        return np.array([getattr(run, what) for run in runs])

    def to_dict(self) -> dict[str, Any]:
        """Returns plain data for JSON."""
        return record("circles", self)
