"""Depth shown: its page."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_inits.experiments.depth.result import DepthResult
from keras_inits.experiments.page import Page, Picture, Table
from keras_inits.experiments.published import DEPTH_CLAIMS

SCHEMES = {
    "random_small": "N(0, 0.01²)",
    "random": "N(0, 1)",
    "xavier": "Xavier",
    "he": "He",
}
ACTIVATIONS = {"tanh": "tanh", "relu": "ReLU"}
Case = tuple[str, str]


def page(result: DepthResult) -> Page:
    """Returns the experiment as a reader meets it."""
    config = result.config
    return Page(
        name="depth",
        title=f"{config.layers} layers deep",
        question="What becomes of a signal and of its gradient on the way through many layers?",
        recipe=(
            (
                "model",
                f"{config.layers} Dense layers of {config.units} units, tanh or ReLU, no bias, "
                "untrained",
            ),
            ("data", f"{config.samples} samples of {config.units} features from N(0, 1)"),
            ("gradient", "of a random N(0, 1) combination of the last layer's outputs"),
            ("seeds", f"{config.seeds} draws, from root seed {config.root_seed}"),
        ),
        tables=(_verdicts(result), _stds(result), _ends(result)),
        pictures=(
            Picture(
                "histograms.png",
                "Histograms of each layer's outputs, first seed: a row a net, a column a layer; "
                "the bars of ReLU's zeros are cut",
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


def _verdicts(result: DepthResult) -> Table:
    return Table(
        "What the article says, and the diagnosis",
        ("net", "the article", "verdict of the diagnosis"),
        tuple((title(c), DEPTH_CLAIMS[c], _verdict(result, c)) for c in result.cases),
    )


def _verdict(result: DepthResult, case: Case) -> str:
    counts = Counter(run.report.verdict for run in result.of(case))
    return ", ".join(f"{verdict} {n} of {counts.total()}" for verdict, n in counts.most_common())


def _stds(result: DepthResult) -> Table:
    shown = np.unique(np.linspace(1, result.config.layers, 6).round().astype(int))
    return Table(
        f"Standard deviation of the outputs, mean of {result.config.seeds} seeds",
        ("net", *(f"layer {number}" for number in shown)),
        tuple(
            (title(case), *(f"{value:.2g}" for value in stds[shown - 1]))
            for case in result.cases
            for stds in [result.stacked(case, "std").mean(axis=0)]
        ),
    )


def _ends(result: DepthResult) -> Table:
    rows = []
    for case in result.cases:
        figures = {
            name: result.stacked(case, name).mean(axis=0)
            for name in ("rms", "theory", "saturated", "dead", "gradient")
        }
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
        f"At layer {result.config.layers}, and the gradient at layer 1 over that there",
        ("net", "rms", "rms\nin theory", "saturated", "dead units", "gradient"),
        tuple(rows),
    )


def _supported(result: DepthResult) -> Iterator[str]:
    for case in result.cases:
        first, last = result.stacked(case, "std").mean(axis=0)[[0, -1]]
        yield (
            f"{title(case)}: {_verdict(result, case)}; the standard deviation goes from "
            f"{first:.2g} to {last:.2g}."
        )
    gaps = {
        case: np.abs(result.stacked(case, "rms").mean(axis=0) / result.of(case)[0].theory - 1).max()
        for case in result.cases
    }
    worst = max(gaps, key=lambda case: float(gaps[case]))
    yield (
        f"The mean of {result.config.seeds} seeds is within {gaps[worst]:.1%} of the infinitely "
        f"wide net's root mean square at every layer of every net (farthest: {title(worst)})."
    )


def _histograms(result: DepthResult) -> Any:
    # matplotlib is not needed by the plugin, and slow to load
    from keras_inits.plots import histogram_figure

    return histogram_figure({title(case): result.of(case)[0].report for case in result.cases})


def _curves(result: DepthResult) -> Any:
    from matplotlib.figure import Figure

    from keras_inits.plots import plot_training_curves

    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    plot_training_curves(
        {title(case): result.stacked(case, "rms") for case in result.cases},
        {title(case): result.of(case)[0].theory for case in result.cases},
        ylabel="root mean square of the outputs",
        xlabel="layer",
        published_label="infinitely wide",
        log=True,
        ax=left,
    )
    plot_training_curves(
        {title(case): result.stacked(case, "gradient")[:, ::-1] for case in result.cases},
        ylabel="root mean square of the gradient",
        xlabel="layer, counted back from the last",
        log=True,
        ax=right,
    )
    return figure
