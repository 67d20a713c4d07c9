"""What a comparison measured: plain arrays, their statistics, and the report of both."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.table import Table

from keras_inits._checks import boolean, choice, position, real
from keras_inits._compare import statistics
from keras_inits._compare.statistics import Difference, Interval
from keras_inits._compare.words import (
    LEVEL,
    difference_sentence,
    epochs_text,
    interval_text,
    number_text,
    p_text,
)
from keras_inits._errors import InputError
from keras_inits._finding_kinds import TrainingKind
from keras_inits._optional import package
from keras_inits._reporting import Finding, Report, plain_text

if TYPE_CHECKING:
    import pandas as pd

# Metrics of which less is better, by parts of their names; of all others more is.
_LOWER = ("loss", "error", "crossentropy", "divergence", "hinge", "poisson", "mse", "mae", "mape")
# A run has left chance if its accuracy was ever this many standard errors above it.
_SIGMAS = 3.0


@dataclass(frozen=True, eq=False)
class Comparison(Report):
    """Schemes against schemes over many seeds.

    Attributes:
        schemes: labels.
        seeds: of the runs; run k of every scheme has the same batches and derived seeds.
        history: by metric, `(schemes, seeds, epochs)`. `loss` is the training loss over the epoch
            as the weights move, `test_...` what was measured after it. NaN and infinity are what
            a diverged run measured.
        metric: the one that tables, sentences and plots are about by default.
        chance: accuracy of always predicting the commonest class, by test set; empty if the targets
            are not classes.
        samples: number of samples in each test set.
        trainer: `"population"`, `"fit"` or `"population and fit"`.
        notes: sentences that a reader must know: why `fit`, which weights no scheme drew.
        settings: what decides the numbers, the root seed (`seed`) among them.
        weights: by scheme and seed what `model.set_weights` takes, if they were kept; not in JSON.
        costs: by scheme that is a `Start`, `(seeds, 2)`: the seconds that it took before training,
            and how often it passed data forward through the model or a part of it.

    Raises:
        InputError: a history without a loss, or of another shape than `(schemes, seeds, epochs)`.

    >>> import numpy as np
    >>> accuracy = np.array([[[0.5, 0.9], [0.4, 0.8]], [[0.1, 0.7], [0.1, 0.1]]])
    >>> result = Comparison(
    ...     schemes=("he", "random"), seeds=(0, 1), metric="test_accuracy", trainer="fit",
    ...     history={"loss": 1 - accuracy, "test_accuracy": accuracy},
    ...     chance={"test": 0.1}, samples={"test": 1000}, notes=(), settings={"seed": 0},
    ... )
    >>> result.final().tolist(), result.failed().tolist()
    ([[0.9, 0.8], [0.7, 0.1]], [[False, False], [False, True]])
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
    costs: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        expected = (len(self.schemes), len(self.seeds))
        for metric, values in {"loss": np.empty(0), **self.history}.items():
            if values.ndim != 3 or values.shape[:2] != expected:
                raise InputError(
                    "`history` must have a loss and arrays of shape (schemes, seeds, epochs), here "
                    f"{(*expected, 'epochs')}. Received: {metric} of shape {values.shape}"
                )

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of what was measured."""
        return tuple(self.history)

    @property
    def epochs(self) -> int:
        """Number of epochs of each run."""
        return int(self.history["loss"].shape[-1])

    @property
    def seed(self) -> int:
        """The root seed, from which all random numbers follow."""
        return int(self.settings.get("seed", self.settings.get("root_seed", 0)))  # 0.1's name

    def values(self, metric: str | None = None) -> NDArray[np.float64]:
        """Returns a metric of every run, `(schemes, seeds, epochs)`.

        Raises:
            InputError: it was not measured.
        """
        return self.history[self._known(metric)]

    def _known(self, metric: str | None) -> str:
        return choice("metric", self.metric if metric is None else metric, self.metrics)

    def row(self, scheme: str) -> int:
        """Returns the place of a scheme in `schemes`, and so on the first axis of every result.

        Raises:
            InputError: it was not compared.
        """
        return position("scheme", scheme, self.schemes)

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
        values = self.best(metric) if boolean("best", best) else self.final(metric)
        return {
            scheme: statistics.mean_interval(row, self.seed)
            for scheme, row in zip(self.schemes, values, strict=True)
        }

    def differences(self, metric: str | None = None) -> tuple[Difference, ...]:
        """Returns the paired differences of the final values, for every pair of schemes."""
        return statistics.paired_differences(self.final(metric), self.schemes, self.seed)

    def epochs_to(self, target: float, metric: str | None = None) -> NDArray[np.float64]:
        """Returns the epochs until a target, `(schemes, seeds)`; infinity where it was not seen."""
        return statistics.epochs_to(
            self.values(metric),
            real("target", target),
            higher_is_better=self.higher_is_better(metric),
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

        Those are the runs whose test accuracy was never 3 standard errors above that of always
        predicting the commonest class.
        """
        for name, chance in self.chance.items():
            accuracy = self.history.get(f"{name}_accuracy")
            if accuracy is not None:
                error = np.sqrt(chance * (1 - chance) / self.samples[name])
                never: NDArray[np.bool_] = accuracy.max(axis=-1) <= chance + _SIGMAS * error
                return never
        return None

    def higher_is_better(self, metric: str | None = None) -> bool:
        """Returns whether more of a metric is better, by its name."""
        return not any(part in self._known(metric).lower() for part in _LOWER)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """One for each scheme and way in which runs of it failed."""
        return tuple(self._failures())

    def heading(self) -> str:
        """Returns what was compared, in one line."""
        count = len(self.seeds)
        return (
            f"{self.metric} of {len(self.schemes)} schemes over {count} "
            f"seed{'s' if count > 1 else ''}, "
            f"{self.epochs} epoch{'s' if self.epochs > 1 else ''} ({self.trainer})"
        )

    def table(self) -> Table:
        """Returns a row for each scheme: final and best value, epochs to the target, failures."""
        target = self.common_target()
        epochs = self.epochs_to(target)
        sign = "≥" if self.higher_is_better() else "≤"
        failed = self.failed()
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        table.add_column("scheme", overflow="fold")
        to_target = f"epochs to\n{sign} {number_text(target)}"
        for name in ("final, 95 % interval", "best", to_target, "failed"):
            table.add_column(name, justify="right", no_wrap="interval" in name)
        finals, bests = self.intervals(), self.intervals(best=True)
        for i, scheme in enumerate(self.schemes):
            table.add_row(
                plain_text(scheme),
                interval_text(finals[scheme]),
                number_text(bests[scheme].mean),
                epochs_text(epochs[i], self.epochs),
                f"{int(failed[i].sum())} of {len(self.seeds)}",
            )
        return table

    def costs_table(self) -> Table:
        """Returns a row for each scheme that is a `Start`: what it costs a run, over the seeds."""
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        table.add_column("start", overflow="fold")
        for name in ("seconds, median", "least to most", "forward passes"):
            table.add_column(name, justify="right")
        for scheme, costs in self.costs.items():
            seconds, passes = costs.T
            table.add_row(
                plain_text(scheme),
                f"{np.median(seconds):.3g}",
                f"{seconds.min():.3g} to {seconds.max():.3g}",
                f"{np.median(passes):g}",
            )
        return table

    def differences_table(self) -> Table:
        """Returns a row for each pair of schemes: paired difference, number of pairs, p-value."""
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        table.add_column("paired difference", overflow="fold")
        table.add_column("mean, 95 % interval", justify="right")
        table.add_column("pairs", justify="right")
        table.add_column("p (Holm)", justify="right")
        for difference in self.differences():
            table.add_row(
                plain_text(f"{difference.a} - {difference.b}"),
                interval_text(difference.interval),
                str(difference.interval.count),
                p_text(difference.p_holm).removeprefix("p = ").removeprefix("p "),
            )
        return table

    def parts(self) -> Iterator[RenderableType]:
        """Yields what is printed: heading, tables and conclusions."""
        yield plain_text(self.heading())
        yield self.table()
        if self.costs:
            yield self.costs_table()
        if len(self.schemes) > 1 and len(self.seeds) > 1:
            yield self.differences_table()
        for sentence in self.conclusions():
            yield plain_text(sentence)

    def conclusions(self) -> tuple[str, ...]:
        """Returns what the data support and what they do not, a sentence each."""
        count = len(self.seeds)
        sentences = list(self._verdicts())
        sentences += [f"{', '.join(f.where)}: {f.evidence}." for f in self.findings]
        if count > 1 and self.settings.get("batches") == "shared":
            sentences.append(
                "All seeds saw the same batches: the intervals cover the initial weights alone "
                "(batches='own' adds the order of the samples)."
            )
        return (*sentences, *self.notes)

    def _verdicts(self) -> Iterator[str]:
        count, schemes = len(self.seeds), len(self.schemes)
        if count == 1:
            yield "One seed supports no conclusion: another one may turn the order round."
        elif schemes > 1:
            differences = self.differences()
            pairs = len(differences)
            # All pairs of one sign in every seed: 2 of the 2^n sign patterns, times Holm's factor.
            if (smallest := pairs * 2.0 ** (1 - count)) > LEVEL:
                yield (
                    f"{count} seeds are too few to tell {schemes} schemes apart at 5 %: the "
                    f"smallest p that all {pairs} pair{'s' * (pairs > 1)} could have together is "
                    f"{min(1.0, smallest):.2g}."
                )
                return
            higher = self.higher_is_better()
            yield from (difference_sentence(d, higher_is_better=higher) for d in differences)

    def _failures(self) -> Iterator[Finding]:
        count, diverged, stuck = len(self.seeds), self.diverged(), self.stuck()
        kinds: list[tuple[TrainingKind, NDArray[np.bool_] | None, str]] = [
            (
                "diverged",
                diverged,
                "runs diverged (a loss that is not finite); means leave out their values where "
                "those are not finite",
            ),
            ("never left chance", stuck, "runs never left chance"),
        ]
        for kind, runs, text in kinds:
            counts = [0] * len(self.schemes) if runs is None else runs.sum(axis=1).tolist()
            for scheme, number in zip(self.schemes, counts, strict=True):
                if number:
                    yield Finding(
                        kind=kind,
                        where=(scheme,),
                        evidence=f"{number} of {count} {text}",
                        numbers={"failed": number, "runs": count},
                    )

    def to_frame(self) -> "pd.DataFrame":
        """Returns a pandas DataFrame with a row for each scheme, seed and epoch.

        Raises:
            MissingPackageError: pandas is not installed.
        """
        pandas = package("pandas", "`to_frame`")
        index = pandas.MultiIndex.from_product(
            [self.schemes, self.seeds, range(1, self.epochs + 1)],
            names=["scheme", "seed", "epoch"],
        )
        columns = {metric: values.ravel() for metric, values in self.history.items()}
        return pandas.DataFrame(columns, index=index).reset_index()
