"""What depth is asked for and what it gives, as plain data."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_inits._diagnose import SignalReport
from keras_inits.experiments.record import record, require


@dataclass(frozen=True)
class DepthConfig:
    """What to look at: nets of equal Dense layers without bias, on N(0, 1) features."""

    layers: int = 10
    """Dense layers."""
    units: int = 500
    """Units a layer, and features of a sample."""
    samples: int = 1000
    """Samples that go through."""
    seeds: int = 20
    """Draws of weights and samples."""
    root_seed: int = 0
    """The number from which every random number follows."""
    out: Path | None = None
    """Folder for result.json and the figures; a killed run goes on from it."""

    def __post_init__(self) -> None:
        require(self, layers=1, units=2, samples=2, seeds=1)

    def recipe(self) -> dict[str, int]:
        """Returns what decides the numbers of a run, besides activation, scheme and seed."""
        names = ("layers", "units", "samples", "root_seed")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class DepthRun:
    """One net looked at.

    Attributes:
        activation: of every layer.
        scheme: of every kernel.
        seed: the number of the draw.
        report: what each layer does to signal and gradient.
    """

    activation: str
    scheme: str
    seed: int
    report: SignalReport

    @property
    def std(self) -> tuple[float, ...]:
        """Standard deviation of each layer's outputs."""
        return tuple(layer.output.std for layer in self.report.layers)

    @property
    def rms(self) -> tuple[float, ...]:
        """Root mean square of each layer's outputs."""
        return tuple(math.sqrt(layer.output.second_moment) for layer in self.report.layers)

    @property
    def theory(self) -> tuple[float, ...]:
        """Root mean square that the infinitely wide net would have at each layer."""
        return tuple(
            math.sqrt(layer.predicted_second_moment or math.nan) for layer in self.report.layers
        )

    @property
    def gradient(self) -> tuple[float, ...]:
        """Root mean square of the gradient at each layer's outputs."""
        return tuple(
            math.sqrt(layer.gradient.second_moment) if layer.gradient else math.nan
            for layer in self.report.layers
        )

    @property
    def saturated(self) -> tuple[float, ...]:
        """Share of each layer's outputs near a bound of the activation; NaN without bounds."""
        return tuple(layer.output.saturated for layer in self.report.layers)

    @property
    def dead(self) -> tuple[float, ...]:
        """Share of each layer's units that are 0 for every sample."""
        return tuple(layer.output.dead_units for layer in self.report.layers)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain data for JSON: what it was, its verdict, and a number a layer."""
        names = ("activation", "scheme", "seed")
        return {
            **{name: getattr(self, name) for name in names},
            "verdict": self.report.verdict,
            **{figure: getattr(self, figure) for figure in FIGURES},
        }


FIGURES = ("std", "rms", "theory", "gradient", "saturated", "dead")


@dataclass(frozen=True, eq=False)
class DepthResult:
    """What the experiment measured.

    Attributes:
        config: what was asked for.
        versions: of the packages that computed it.
        runs: case by case, in each the seeds.
    """

    config: DepthConfig
    versions: dict[str, str]
    runs: tuple[DepthRun, ...]

    @property
    def cases(self) -> tuple[tuple[str, str], ...]:
        """Pairs of activation and scheme."""
        return tuple(dict.fromkeys((run.activation, run.scheme) for run in self.runs))

    def of(self, case: tuple[str, str]) -> list[DepthRun]:
        """Returns the runs of a case."""
        return [run for run in self.runs if (run.activation, run.scheme) == case]

    def stacked(self, case: tuple[str, str], figure: str) -> NDArray[np.float64]:
        """Returns a figure of every layer, such as `"std"`, `(seeds, layers)`."""
        return np.array([getattr(run, figure) for run in self.of(case)])

    def to_dict(self) -> dict[str, Any]:
        """Returns plain data for JSON."""
        return record("depth", self, DepthRun.to_dict)
