"""Ten layers deep: the signal, and its gradient, from five starts.

The claims are those of the article "Weight initialization" (权重初始化); each net is judged by
`keras_inits.diagnose`, and compared with the network of infinite width.
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits._checks import position
from keras_inits._compare.weights import derived_seeds
from keras_inits._files import read_json, refuse_other_settings, write_whole
from keras_inits._initialize import initialize
from keras_inits._progress import Clock
from keras_inits._reporting import Finding
from keras_inits.experiments._config import Say, SeededConfig
from keras_inits.experiments._experiment import (
    Experiment,
    ExperimentResult,
    OnProgress,
    started,
    taking,
)
from keras_inits.experiments._page import Page, Picture, Table
from keras_inits.experiments._published import DEPTH_CLAIMS, WEIGHT_INITIALIZATION

if TYPE_CHECKING:  # matplotlib is an extra, and a diagnosis slow to load
    from matplotlib.figure import Figure

    from keras_inits._diagnose import SignalReport

Case = tuple[str, str]  # activation and scheme

SCHEMES = {
    "random_small": "N(0, 0.01²)",
    "random": "N(0, 1)",
    "xavier": "Xavier",
    "he": "He",
}
ACTIVATIONS = {"tanh": "tanh", "relu": "ReLU"}
# The verdict of `diagnose` that says what the article says.
VERDICTS: Mapping[str, str] = {
    "collapses to zero": "vanishing",
    "saturates at ±1": "saturated",
    "stays alive": "healthy",
    "shrinks from layer to layer": "vanishing",
    "stays steady": "healthy",
}
# By name, what is read off the report of a layer. Sizes are root mean squares.
FIGURES: Mapping[str, Callable[[Any], float]] = {
    "std": lambda layer: layer.output.std,
    "rms": lambda layer: math.sqrt(layer.output.second_moment),
    "theory": lambda layer: math.sqrt(layer.predicted_second_moment or math.nan),
    "gradient": lambda layer: (
        math.sqrt(layer.gradient.second_moment) if layer.gradient else math.nan
    ),
    "saturated": lambda layer: layer.output.saturated,
    "dead": lambda layer: layer.output.dead_units,
}


@dataclass(frozen=True)
class DepthConfig(SeededConfig):
    """What to diagnose: nets of equal Dense layers without bias, on N(0, 1) features.

    Raises:
        InputError: a number out of range, or no number.

    >>> DepthConfig(layers=20, seeds=3).recipe()["layers"]
    20
    """

    layers: int = 10
    """Dense layers."""
    units: int = 500
    """Units per layer, and features per sample."""
    samples: int = 1000
    """Samples of one batch."""
    seeds: int = 20
    """Draws of weights and samples."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(layers=1, units=2, samples=2)

    def recipe(self) -> dict[str, int]:
        """Returns what decides the numbers of a run, besides activation, scheme and seed."""
        return {name: getattr(self, name) for name in ("layers", "units", "samples", "seed")}


@dataclass(frozen=True, eq=False)
class DepthResult(ExperimentResult):
    """What the experiment measured.

    Attributes:
        config: what was asked for.
        versions: of Python and of the packages that computed it.
        cases: pairs of activation and scheme.
        verdicts: of the diagnoses, `(cases, seeds)`.
        figures: by name in `FIGURES`, `(cases, seeds, layers)`: standard deviation and root mean
            square of a layer's outputs, the latter in the infinitely wide net, the root mean square
            of the gradient there, the share of outputs near a bound of the activation (NaN without
            bounds), and the share of units that are 0 for every sample.
        first: of each case the whole diagnosis of its first seed, as plain data.

    >>> result = run(DepthConfig(seeds=2, units=100, samples=200))  # doctest: +SKIP
    >>> result.figures["std"].shape  # doctest: +SKIP
    (5, 2, 10)
    """

    experiment: ClassVar[str] = "depth"

    config: DepthConfig
    cases: tuple[Case, ...]
    verdicts: tuple[tuple[str, ...], ...]
    figures: Mapping[str, NDArray[np.float64]]
    first: tuple[Mapping[str, Any], ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The nets that get another verdict than the article's words."""
        return tuple(
            Finding(
                kind="published claim",
                where=(title(case),),
                evidence=f"it {DEPTH_CLAIMS[case]}, says the article; the diagnosis is {found}",
            )
            for case, verdicts in zip(self.cases, self.verdicts, strict=True)
            if set(verdicts) != {VERDICTS[DEPTH_CLAIMS[case]]}
            for found in [_counted(verdicts)]
        )

    def row(self, case: Case) -> int:
        """Returns the place of a net in `cases`.

        Raises:
            InputError: it was not made.
        """
        return position("case", case, self.cases)

    def values(self, case: Case, figure: str) -> NDArray[np.float64]:
        """Returns a figure of a net, such as `"std"`, `(seeds, layers)`."""
        return np.asarray(self.figures[figure][self.row(case)])

    def report(self, case: Case) -> "SignalReport":
        """Returns the diagnosis of a net's first seed."""
        from keras_inits._diagnose import SignalReport  # slow to load

        return SignalReport.from_dict(self.first[self.row(case)])

    def page(self) -> Page:
        """Returns question, recipe, tables, pictures and conclusions."""
        return page(self)


@taking(DepthConfig)
def run(
    config: DepthConfig,
    *,
    report: Say = print,
    on_progress: OnProgress = lambda progress: None,
) -> DepthResult:
    """Diagnoses every net with every seed.

    As a `Run` it keeps every diagnosis.
    """
    found: dict[Case, list[SignalReport]] = {case: [] for case in DEPTH_CLAIMS}
    with started(DepthResult, config, on_progress) as (versions, listen):
        report(f"{config.samples} samples of {config.units} features from N(0, 1)")
        clock = Clock(0, len(found) * config.seeds, listen)
        models = {activation: build(config, activation) for activation, _ in found}
        for number, (activation, scheme) in enumerate(found):
            for seed in range(config.seeds):
                diagnosis = _diagnosis(models[activation], (activation, scheme), seed, config)
                found[activation, scheme].append(diagnosis)
                clock.tell(number * config.seeds + seed + 1)
    return DepthResult(
        config,
        versions,
        cases=tuple(found),
        verdicts=tuple(tuple(one.verdict for one in reports) for reports in found.values()),
        figures={
            name: np.array(
                [[[read(la) for la in one.layers] for one in reports] for reports in found.values()]
            )
            for name, read in FIGURES.items()
        },
        first=tuple(reports[0].to_dict() for reports in found.values()),
    )


def build(config: DepthConfig, activation: str) -> keras.Model:
    """Returns equal Dense layers without bias."""
    layers = [
        keras.layers.Dense(config.units, activation, use_bias=False, name=f"layer_{number}")
        for number in range(1, config.layers + 1)
    ]
    return keras.Sequential([keras.Input((config.units,)), *layers], name=activation)


def _diagnosis(model: keras.Model, case: Case, seed: int, config: DepthConfig) -> "SignalReport":
    """Returns the diagnosis of one draw: the one that is kept, or a new one, which is then kept."""
    from keras_inits._diagnose import SignalReport, diagnose  # slow to load

    file: Path | None = None
    if (folder := config.state("")) is not None:
        file = folder / f"{'-'.join(case)}-{seed}.json"
        if file.exists():
            kept = read_json(file)
            refuse_other_settings(file, kept["settings"], config.recipe())
            return SignalReport.from_dict(kept["report"])
    kernels, samples, gradient = derived_seeds(config.seed, seed, 3)
    initialize(model, case[1], seed=kernels)
    x = np.random.default_rng(samples).standard_normal((config.samples, config.units), "float32")
    report = diagnose(model, x, jacobian_samples=0, seed=gradient)
    if file is not None:
        write_whole(file, json.dumps({"settings": config.recipe(), "report": report.to_dict()}))
    return report


def page(result: DepthResult) -> Page:
    """Returns the page of the experiment."""
    config = result.config
    return Page(
        name=result.experiment,
        title=f"{config.layers} layers deep",
        question="What becomes of a signal and of its gradient on the way through many layers?",
        sources=(WEIGHT_INITIALIZATION,),
        recipe=(
            (
                "model",
                f"{config.layers} Dense layers of {config.units} units, tanh or ReLU, no bias, "
                "untrained",
            ),
            ("data", f"{config.samples} samples of {config.units} features from N(0, 1)"),
            ("gradient", "of a random N(0, 1) combination of the last layer's outputs"),
            ("seeds", f"{config.seeds} draws, from root seed {config.seed}"),
        ),
        tables=(_verdicts(result), _stds(result), _ends(result)),
        pictures=(
            Picture(
                "histograms.png",
                "Histograms of each layer's outputs, first seed: a row per net, a column per "
                "layer; the bars of ReLU's zeros are cut",
                lambda: _histograms(result),
            ),
            Picture(
                "signal.png",
                "Root mean square of the outputs, and of the gradient there, over the layers: mean "
                "of the seeds as lines, the infinitely wide net as circles",
                lambda: _curves(result),
            ),
        ),
        supported=tuple(_supported(result)),
        unsupported=(
            "Which of the healthy nets learns best: nothing was trained here.",
            "Nets with biases, residual paths or normalization, all of which `diagnose` takes.",
        ),
    )


def title(case: Case) -> str:
    """Returns a net's name for readers."""
    return f"{ACTIVATIONS[case[0]]}, {SCHEMES[case[1]]}"


def _counted(verdicts: tuple[str, ...]) -> str:
    counts = Counter(verdicts).most_common()
    return ", ".join(f"{verdict} {count} of {len(verdicts)}" for verdict, count in counts)


def _verdict(result: DepthResult, case: Case) -> str:
    return _counted(result.verdicts[result.row(case)])


def _verdicts(result: DepthResult) -> Table:
    return Table(
        "What the article says, and the diagnosis",
        ("net", "the article", "verdict of the diagnosis"),
        tuple((title(c), DEPTH_CLAIMS[c], _verdict(result, c)) for c in result.cases),
    )


def _stds(result: DepthResult) -> Table:
    shown = np.unique(np.linspace(1, result.config.layers, 6).round().astype(int))
    return Table(
        f"Standard deviation of the outputs, mean of {result.config.seeds} seeds",
        ("net", *(f"layer {number}" for number in shown)),
        tuple(
            (title(case), *(f"{value:.2g}" for value in stds[shown - 1]))
            for case in result.cases
            for stds in [result.values(case, "std").mean(axis=0)]
        ),
    )


def _ends(result: DepthResult) -> Table:
    rows = []
    for case in result.cases:
        figures = {name: result.values(case, name).mean(axis=0) for name in FIGURES}
        saturated = figures["saturated"][-1]
        rows.append(
            (
                title(case),
                f"{figures['rms'][-1]:.3g}",
                f"{figures['theory'][-1]:.3g}",
                "" if np.isnan(saturated) else f"{saturated:.1%}",
                f"{figures['dead'][-1]:.1%}",
                f"{figures['gradient'][0] / figures['gradient'][-1]:.2g}",
            )
        )
    return Table(
        f"At layer {result.config.layers}; gradient: at layer 1, relative to that at the last",
        ("net", "rms", "rms\npredicted", "saturated", "dead units", "gradient"),
        tuple(rows),
    )


def _supported(result: DepthResult) -> Iterator[str]:
    for case in result.cases:
        first, last = result.values(case, "std").mean(axis=0)[[0, -1]]
        yield (
            f"{title(case)}: {_verdict(result, case)}; the standard deviation goes from "
            f"{first:.2g} to {last:.2g}."
        )
    gaps = {
        case: np.abs(
            result.values(case, "rms").mean(axis=0) / result.values(case, "theory")[0] - 1
        ).max()
        for case in result.cases
    }
    worst = max(gaps, key=lambda case: float(gaps[case]))
    yield (
        f"The mean of {result.config.seeds} seeds is within {gaps[worst]:.1%} of the infinitely "
        f"wide net's root mean square at every layer of every net (farthest: {title(worst)})."
    )


def _histograms(result: DepthResult) -> "Figure":
    from keras_inits.plots import histogram_figure  # matplotlib is an extra

    return histogram_figure({title(case): result.report(case) for case in result.cases})


def _curves(result: DepthResult) -> "Figure":
    from matplotlib.figure import Figure

    from keras_inits.plots import plot_training_curves

    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    plot_training_curves(
        {title(case): result.values(case, "rms") for case in result.cases},
        {title(case): result.values(case, "theory")[0].tolist() for case in result.cases},
        ylabel="root mean square of the outputs",
        xlabel="layer",
        published_label="infinitely wide",
        log=True,
        ax=left,
    )
    plot_training_curves(
        {title(case): result.values(case, "gradient")[:, ::-1] for case in result.cases},
        ylabel="root mean square of the gradient",
        xlabel="layer, counted back from the last",
        log=True,
        ax=right,
    )
    return figure


EXPERIMENT = Experiment(
    title="Ten layers deep",
    config=DepthConfig,
    result=DepthResult,
    run=run,
    quick={"seeds": 2, "samples": 200, "units": 100},
    seconds=40,
    what=(
        "ten layers of tanh or ReLU, five starts: histograms, sizes, saturated and dead shares, "
        "gradients"
    ),
    published="the article's words, and the infinitely wide net",
    side_by_side=lambda config: False,
)
