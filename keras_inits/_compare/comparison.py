"""What a comparison measured: plain arrays, and the statistics read off them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_inits._compare import statistics
from keras_inits._compare.statistics import Difference, Interval
from keras_inits._files import without_nan, write_whole

# Metrics of which less is better, by parts of their names; of all others more is.
_LOWER = ("loss", "error", "crossentropy", "divergence", "hinge", "poisson", "mse", "mae", "mape")
# A run has left chance if its accuracy was ever this many standard errors above it.
_SIGMAS = 3.0


@dataclass(frozen=True, eq=False)
class Comparison:
    """Schemes against schemes over many seeds.

    Attributes:
        schemes: labels.
        seeds: of the runs; run k of every scheme has the same batches and derived seeds.
        history: by metric, `(schemes, seeds, epochs)`. `loss` is the training loss over the epoch
            as the weights move, `test_...` what was measured after it. NaN and infinity are what
            a diverged run measured.
        metric: the one that tables, words and plots are about unless told otherwise.
        chance: accuracy of always answering with the commonest class, by test set; empty if the
            targets are not classes.
        samples: number of samples in each test set.
        trainer: `"population"`, `"fit"` or `"population and fit"`.
        notes: sentences that a reader must know: why `fit`, which weights no scheme drew.
        settings: what decides the numbers, with the root seed.
        weights: by scheme and seed what `model.set_weights` takes, if they were kept; not in JSON.
    """

    schemes: tuple[str, ...]
    seeds: tuple[int, ...]
    history: Mapping[str, NDArray[np.float64]]
    metric: str
    chance: Mapping[str, float]
    samples: Mapping[str, int]
    trainer: str
    notes: tuple[str, ...]
    settings: Mapping[str, Any]
    weights: Mapping[tuple[str, int], tuple[NDArray[Any], ...]] = field(
        default_factory=dict, metadata={"json": False}
    )

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of what was measured."""
        return tuple(self.history)

    @property
    def epochs(self) -> int:
        """How many epochs each run has."""
        return int(self.history["loss"].shape[-1])

    @property
    def root_seed(self) -> int:
        """The number that all random numbers follow from."""
        return int(self.settings["root_seed"])

    def values(self, metric: str | None = None) -> NDArray[np.float64]:
        """Returns a metric of every run, `(schemes, seeds, epochs)`.

        Raises:
            ValueError: it was not measured.
        """
        metric = self.metric if metric is None else metric
        if metric not in self.history:
            raise ValueError(
                f"`metric` must be one of {', '.join(self.metrics)}. Received: metric={metric!r}"
            )
        return self.history[metric]

    def final(self, metric: str | None = None) -> NDArray[np.float64]:
        """Returns a metric after the last epoch, `(schemes, seeds)`."""
        return self.values(metric)[..., -1]

    def best(self, metric: str | None = None) -> NDArray[np.float64]:
        """Returns the best epoch's value of a metric, `(schemes, seeds)`; NaN if none is finite."""
        values = self.values(metric)
        sign = 1.0 if self.higher_is_better(metric) else -1.0
        finite = np.where(np.isfinite(values), sign * values, -np.inf).max(axis=-1)
        return np.where(np.isfinite(finite), sign * finite, np.nan)

    def intervals(self, metric: str | None = None, *, best: bool = False) -> dict[str, Interval]:
        """Returns for each scheme the mean over seeds of the final or best value."""
        values = self.best(metric) if best else self.final(metric)
        return {
            scheme: statistics.mean_interval(row, self.root_seed)
            for scheme, row in zip(self.schemes, values, strict=True)
        }

    def differences(self, metric: str | None = None) -> tuple[Difference, ...]:
        """Returns the paired differences of the final values, for every pair of schemes."""
        return statistics.paired_differences(self.final(metric), self.schemes, self.root_seed)

    def epochs_to(self, target: float, metric: str | None = None) -> NDArray[np.float64]:
        """Returns the epochs until a target, `(schemes, seeds)`; infinity where it was not seen."""
        return statistics.epochs_to(
            self.values(metric), target, higher_is_better=self.higher_is_better(metric)
        )

    def common_target(self, metric: str | None = None) -> float:
        """Returns the median over the schemes of their median final value.

        Runs that failed do not count, unless all did; NaN if no run ended with a finite value.
        """
        finals = np.where(np.isfinite(self.final(metric)), self.final(metric), np.nan)
        failed = self.failed()
        if not failed.all():
            finals = np.where(failed, np.nan, finals)
        medians = [np.nanmedian(row) for row in finals if np.isfinite(row).any()]
        return float(np.median(medians)) if medians else float("nan")

    def failed(self) -> NDArray[np.bool_]:
        """Returns which runs diverged or never left chance, `(schemes, seeds)`."""
        stuck = self.stuck()
        return self.diverged() if stuck is None else self.diverged() | stuck

    def diverged(self) -> NDArray[np.bool_]:
        """Returns which runs had a loss that was not finite, `(schemes, seeds)`."""
        losses = [values for name, values in self.history.items() if name.endswith("loss")]
        wrong: NDArray[np.bool_] = np.any([~np.isfinite(v).all(axis=-1) for v in losses], axis=0)
        return wrong

    def stuck(self) -> NDArray[np.bool_] | None:
        """Returns which runs never left chance, `(schemes, seeds)`; None where chance is unknown.

        They are the ones whose test accuracy was never 3 standard errors above that of always
        answering with the commonest class.
        """
        for name, chance in self.chance.items():
            accuracy = self.history.get(f"{name}_accuracy")
            if accuracy is not None:
                error = np.sqrt(chance * (1 - chance) / self.samples[name])
                never: NDArray[np.bool_] = accuracy.max(axis=-1) <= chance + _SIGMAS * error
                return never
        return None

    def higher_is_better(self, metric: str | None = None) -> bool:
        """Says whether more of a metric is better, as its name tells."""
        name = (self.metric if metric is None else metric).lower()
        return not any(part in name for part in _LOWER)

    def summary(self) -> str:
        """Returns tables and sentences for a terminal of 80 columns."""
        from keras_inits._compare.words import summary  # rich is slow to load

        return summary(self)

    def conclusions(self) -> tuple[str, ...]:
        """Returns what the data support and what they do not, a sentence each."""
        from keras_inits._compare.words import conclusions

        return tuple(conclusions(self))

    def to_frame(self) -> Any:
        """Returns a pandas DataFrame with a row for each scheme, seed and epoch.

        Raises:
            ImportError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise ImportError(
                "`to_frame` needs pandas: pip install pandas. `to_json` does without."
            ) from error
        index = pandas.MultiIndex.from_product(
            [self.schemes, self.seeds, range(1, self.epochs + 1)],
            names=["scheme", "seed", "epoch"],
        )
        columns = {metric: values.ravel() for metric, values in self.history.items()}
        return pandas.DataFrame(columns, index=index).reset_index()

    def to_json(self, path: Path | str | None = None) -> str:
        """Returns everything as JSON, and writes it to `path`, whole, if that is given.

        Values that are not finite are strings, `"NaN"` and `"Infinity"`: JSON has no such numbers.
        """
        text = json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n"
        if path is not None:
            write_whole(Path(path), text)
        return text

    def to_dict(self) -> dict[str, Any]:
        """Returns plain data for JSON: what was measured, and what `from_dict` needs."""
        plain = {
            "schemes": list(self.schemes),
            "seeds": list(self.seeds),
            "history": {metric: values.tolist() for metric, values in self.history.items()},
            "metric": self.metric,
            "chance": dict(self.chance),
            "samples": dict(self.samples),
            "trainer": self.trainer,
            "notes": list(self.notes),
            "settings": dict(self.settings),
        }
        return dict(without_nan(plain))

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "Comparison":
        """Returns the comparison that `to_dict` gave."""
        return cls(
            **{
                **plain,
                "schemes": tuple(plain["schemes"]),
                "seeds": tuple(plain["seeds"]),
                "notes": tuple(plain["notes"]),
                "history": {m: np.array(v).astype(float) for m, v in plain["history"].items()},
            }
        )
