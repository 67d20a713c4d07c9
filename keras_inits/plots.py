"""Results drawn with matplotlib. Every function takes and returns Axes; none shows a window."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
from numpy.typing import ArrayLike

# Okabe & Ito 2008: eight colours that all kinds of colour vision tell apart; without the yellow,
# which is too light for a line on white.
COLORS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

Curves = Mapping[str, ArrayLike]  # label -> (seeds, epochs) or (epochs,)


def plot_training_curves(
    curves: Curves,
    published: Mapping[str, Sequence[float]] | None = None,
    *,
    ylabel: str,
    log: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Draws a metric over the epochs: the mean of each label, with a band for its seeds.

    Args:
        curves: for each label `(seeds, epochs)` values. With several seeds the band spans one
            standard deviation to each side.
        published: for a label, values that somebody printed, drawn as open circles.
        ylabel: the metric, with its unit.
        log: whether the metric is on a logarithmic axis.
        ax: where to draw; new Axes if None.

    Returns:
        The Axes.
    """
    ax = ax if ax is not None else Figure(layout="constrained").subplots()
    for index, (label, values) in enumerate(curves.items()):
        color = COLORS[index % len(COLORS)]
        runs = np.atleast_2d(np.asarray(values, dtype=float))
        epochs = np.arange(1, runs.shape[1] + 1)
        mean = runs.mean(axis=0)
        marker = "." if len(epochs) == 1 else None
        ax.plot(epochs, mean, color=color, marker=marker)
        if len(runs) > 1:
            spread = runs.std(axis=0, ddof=1)
            ax.fill_between(epochs, mean - spread, mean + spread, color=color, alpha=0.25, lw=0)
        ax.annotate(
            label,
            (epochs[-1], mean[-1]),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            color=color,
        )
        printed = (published or {}).get(label)
        if printed is not None:
            shown = np.asarray(printed)[: len(epochs)]
            ax.plot(epochs[: len(shown)], shown, "o", ms=5, mfc="none", mec=color)
    if published:
        ax.plot([], [], "o", ms=5, mfc="none", mec="0.3", label="the article")
        ax.legend(frameon=False)
    if log:
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set(xlabel="epoch", ylabel=ylabel)
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.2)
    return ax


def training_figure(
    curves: Mapping[str, Mapping[str, ArrayLike]],
    published: Mapping[str, Mapping[str, Sequence[float]]],
) -> Figure:
    """Returns cost and accuracy over the epochs, side by side.

    Args:
        curves: for each label `"cost"` and `"accuracy"`, each `(seeds, epochs)`.
        published: the same for what somebody printed, `(epochs,)`; may be empty.
    """
    figure = Figure(figsize=(9, 3.6), layout=ConstrainedLayoutEngine(wspace=0.06))
    metrics = {"cost": "training cross-entropy (nats)", "accuracy": "test accuracy"}
    for ax, (metric, ylabel) in zip(figure.subplots(1, 2), metrics.items(), strict=True):
        plot_training_curves(
            {label: values[metric] for label, values in curves.items()},
            {label: values[metric] for label, values in published.items()},
            ylabel=ylabel,
            log=metric == "cost",
            ax=ax,
        )
    return figure


def figure_bytes(figure: Figure, **options: Any) -> bytes:
    """Returns a figure as a PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", **{"dpi": 150} | options)
    return buffer.getvalue()
