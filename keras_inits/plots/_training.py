"""Trainings and comparisons drawn with matplotlib: curves, paired differences, boundaries."""

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
from numpy.typing import ArrayLike, NDArray

from keras_inits import _checks
from keras_inits._compare import Comparison
from keras_inits._errors import InputError
from keras_inits._reporting import plain_text
from keras_inits.plots._given import axes_for, by_title, numbers

# Okabe & Ito 2008: eight colours that all kinds of colour vision tell apart; without the yellow,
# which is too light for a line on white.
COLORS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

DECADES = 1e4  # from which on a logarithmic axis has room for powers of ten alone

LEVEL = 0.05  # of the corrected test that fills a mark

Curves = Mapping[str, ArrayLike]  # label -> (seeds, epochs) or (epochs,)


def literal(name: str) -> str:
    r"""Returns a name for matplotlib, which would take what stands between dollars for mathematics.

    >>> literal("$x^$\x1b[0m")
    '\\$x^\\$\\x1b[0m'
    """
    return plain_text(name).plain.replace("$", r"\$")


def plot_training_curves(
    curves: Curves,
    published: Mapping[str, Sequence[float]] | None = None,
    *,
    ylabel: str,
    xlabel: str = "epoch",
    first: int = 1,
    published_label: str = "the article",
    log: bool = False,
    ylim: tuple[float, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws a metric over the epochs: the mean of each label, with a band for its seeds.

    Args:
        curves: for each label `(seeds, epochs)` values. With several seeds the band spans one
            standard deviation to each side.
        published: for a label, values that somebody printed, drawn as open circles.
        ylabel: the metric, with its unit.
        xlabel: what is counted.
        first: the number of the first value.
        published_label: whose values the circles are.
        log: whether the metric is on a logarithmic axis.
        ylim: ends of the axis of the metric; all values fit if None.
        ax: where to draw; new Axes if None.

    Returns:
        The Axes.

    Raises:
        InputError: curves that are no numbers `(seeds, epochs)`, or none.

    >>> from keras_inits import plots
    >>> curves = {"he": [[2.0, 1.0, 0.5], [2.2, 1.4, 0.7]], "random": [[9.0, 5.0, 4.0]]}
    >>> ax = plots.plot_training_curves(curves, ylabel="cost (nats)")
    >>> ax.lines[0].get_ydata().tolist()
    [2.1, 1.2, 0.6]
    """
    by_title("curves", curves, "values")
    for label, values in curves.items():
        numbers(f"curves[{label!r}]", values, "(seeds, epochs) or (epochs,)", 1, 2)
    published = {} if published is None else published
    _checks.instance("published", published, Mapping, "a dict from labels to values, or None")
    ax = axes_for(ax)
    ends = []
    for index, (label, values) in enumerate(curves.items()):
        color = COLORS[index % len(COLORS)]
        ends.append((label, *_plot_runs(ax, values, first, color), color))
        if label in published:
            printed = numbers(f"published[{label!r}]", published[label], "(epochs,)", 1)
            shown = printed[: np.shape(values)[-1]]
            epochs = np.arange(first, first + len(shown))
            ax.plot(epochs, shown, "o", ms=5, mfc="none", mec=color)
    if published:
        ax.plot([], [], "o", ms=5, mfc="none", mec="0.3", label=published_label)
        ax.legend(frameon=False)
    if _checks.boolean("log", log):
        _make_logarithmic(ax)
    if ylim is not None:
        ax.set_ylim(*_ends(ylim))
    _label_ends(ax, ends)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.2)
    return ax


def _plot_runs(ax: Axes, values: ArrayLike, first: int, color: str) -> tuple[float, float]:
    """Draws the mean of `(seeds, epochs)` values with a band; returns its last point, `(x, y)`.

    A run that diverged counts for as long as it has finite values.
    """
    runs = np.ma.masked_invalid(np.atleast_2d(np.asarray(values, dtype=float)))
    epochs = np.arange(first, first + runs.shape[1])
    mean = runs.mean(axis=0)
    ax.plot(epochs, mean, color=color, marker="." if len(epochs) == 1 else None)
    if len(runs) > 1:
        spread = runs.std(axis=0, ddof=1)
        ax.fill_between(epochs, mean - spread, mean + spread, color=color, alpha=0.25, lw=0)
    last = int(np.ma.count(mean)) and np.flatnonzero(~np.ma.getmaskarray(mean))[-1]
    return epochs[last], mean[last]


def _ends(ylim: Any) -> tuple[float, float]:
    """Returns both ends of an axis, if they are two numbers."""
    _checks.instance("ylim", ylim, (tuple, list), "a pair of numbers, or None")
    if len(ylim) != 2:
        raise InputError(f"`ylim` must be a pair of numbers, or None. Received: ylim={ylim!r}")
    low, high = (_checks.real("ylim", end) for end in ylim)
    return low, high


def _make_logarithmic(ax: Axes) -> None:
    """Makes the axis of values logarithmic, with enough numbers on it where it is short."""
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    if high / low < DECADES:
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_formatter(NullFormatter())


def training_figure(
    curves: Mapping[str, Mapping[str, ArrayLike]],
    published: Mapping[str, Mapping[str, Sequence[float]]],
) -> Figure:
    """Returns cost and accuracy over the epochs, side by side.

    Args:
        curves: for each label `"cost"` and `"accuracy"`, each `(seeds, epochs)`.
        published: the same for what somebody printed, `(epochs,)`; may be empty.

    Returns:
        A new figure, not shown: `figure.savefig(path)` writes it.

    Raises:
        InputError: a label without cost or accuracy, or no labels.

    >>> from keras_inits import plots
    >>> curves = {"he": {"cost": [[2.0, 1.0]], "accuracy": [[0.5, 0.8]]}}
    >>> figure = plots.training_figure(curves, {})
    >>> [ax.get_ylabel() for ax in figure.axes]
    ['training cross-entropy (nats)', 'test accuracy']
    """
    figure = Figure(figsize=(9, 3.6), layout=ConstrainedLayoutEngine(wspace=0.06))
    metrics = {"cost": "training cross-entropy (nats)", "accuracy": "test accuracy"}
    _with_metrics("curves", by_title("curves", curves, "cost and accuracy"), metrics)
    _with_metrics("published", published, metrics)
    for ax, (metric, ylabel) in zip(figure.subplots(1, 2), metrics.items(), strict=True):
        plot_training_curves(
            {label: values[metric] for label, values in curves.items()},
            {label: values[metric] for label, values in published.items()},
            ylabel=ylabel,
            log=metric == "cost",
            ax=ax,
        )
    return figure


def _with_metrics(name: str, values: Mapping[str, Any], metrics: Iterable[str]) -> None:
    """Checks that each label has all metrics."""
    _checks.instance(name, values, Mapping, "a dict from labels to values by metric")
    wanted = list(metrics)
    for label, found in values.items():
        if not (isinstance(found, Mapping) and set(wanted) <= set(found)):
            raise InputError(
                f"`{name}` must have {' and '.join(wanted)} for each label. "
                f"Received: {name}[{label!r}]={found!r:.200}"
            )


def _label_ends(ax: Axes, ends: Sequence[tuple[str, float, float, str]]) -> None:
    """Writes `(label, x, y, color)` next to the ends of lines, moved apart where they touch."""
    ax.autoscale_view()
    points = 72 / ax.figure.dpi  # one pixel, in the unit of the letters
    shifted = -np.inf
    for label, x, y, color in sorted(ends, key=lambda end: end[2]):
        height = ax.transData.transform((x, y))[1] * points
        shifted = max(height, shifted + 1.1 * rcParams["font.size"])
        ax.annotate(
            literal(label),
            (x, y),
            xytext=(6, shifted - height),
            textcoords="offset points",
            va="center",
            color=color,
        )


def plot_differences(
    result: Comparison, metric: str | None = None, *, ax: Axes | None = None
) -> Axes:
    """Draws a forest plot: the paired difference of every pair of schemes, with its interval.

    Small dots are the seeds. A filled mark is a difference that the corrected test tells from 0.
    Schemes of which every run failed are left out: their distance would hide all the others.

    Args:
        result: what was measured, with at least two seeds.
        metric: of the final epoch; the comparison's own if None.
        ax: where to draw; new Axes if None.

    Returns:
        The Axes.

    Raises:
        InputTypeError: no comparison.
        InputError: a metric that was not measured.

    >>> import numpy as np
    >>> from keras_inits import Comparison, plots
    >>> loss = np.array([[[0.9, 0.2], [0.8, 0.3]], [[2.0, 0.9], [3.0, 0.8]]])
    >>> result = Comparison(  # as `keras_inits.compare` returns it
    ...     schemes=("he", "random"), seeds=(0, 1), history={"loss": loss}, metric="loss",
    ...     chance={}, samples={}, trainer="fit", notes=(), settings={"seed": 0},
    ... )
    >>> ax = plots.plot_differences(result)
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['he - random']
    """
    _checks.instance("result", result, Comparison, "what `keras_inits.compare` returns")
    ax = axes_for(ax)
    alive = {s for s, f in zip(result.schemes, result.failed(), strict=True) if not f.all()}
    everything = result.differences(metric)
    differences = [d for d in everything if {d.a, d.b} <= alive] or everything
    rows = np.arange(len(differences))[::-1]
    for row, difference in zip(rows, differences, strict=True):
        significant = difference.p_holm < LEVEL
        color = COLORS[1] if significant else "0.45"
        interval = difference.interval
        values = difference.values[np.isfinite(difference.values)]
        ax.plot(values, np.full(len(values), row - 0.22), ".", ms=4, alpha=0.4, mew=0, color=color)
        ax.plot([interval.low, interval.high], [row, row], color=color, lw=2)
        ax.plot(interval.mean, row, "o", ms=6, color=color, mfc=color if significant else "white")
    ax.axvline(0, color="0.3", lw=0.8)
    ax.set_yticks(rows, [literal(f"{d.a} - {d.b}") for d in differences])
    ax.set_ylim(-0.6, len(differences) - 0.4)
    name = metric or result.metric
    # Not centred, since layouts let a label that is wider than its axes run out of the figure.
    ax.set_xlabel(f"difference in final {name.replace('_', ' ')} (95 % interval)", loc="right")
    if len(differences) < len(everything):
        failed = ", ".join(sorted(set(result.schemes) - alive))
        ax.set_title(literal(f"without {failed}: failed"), size=9)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    ax.grid(alpha=0.2, axis="x")
    return ax


def boundary_figure(
    probabilities: Mapping[str, NDArray[np.float64]],
    grid: NDArray[np.float64],
    points: NDArray[np.float64],
    labels: NDArray[np.int64],
) -> Figure:
    """Returns what classifiers of the plane have learnt, side by side.

    Args:
        probabilities: by title, the probability of class 1 on `grid` x `grid`, `(y, x)`.
        grid: coordinates of both axes.
        points: the training points, `(count, 2)`.
        labels: their classes, 0 or 1, `(count,)`.

    Returns:
        A new figure, not shown: `figure.savefig(path)` writes it.

    Raises:
        InputError: arrays of other shapes than these, or none.

    >>> import numpy as np
    >>> from keras_inits import plots
    >>> grid, points = np.linspace(-1, 1, 3), np.array([[0.5, 0.0], [-0.5, 0.5]])
    >>> right = np.tile([0.0, 0.5, 1.0], (3, 1))
    >>> figure = plots.boundary_figure({"he": right}, grid, points, np.array([1, 0]))
    >>> figure.axes[0].get_title()
    'he'
    """
    by_title("probabilities", probabilities, "arrays")
    grid = numbers("grid", grid, "(count,)", 1)
    points = numbers("points", points, "(count, 2)", 2)
    for title, values in probabilities.items():
        values = numbers(f"probabilities[{title!r}]", values, "(grid, grid)", 2)
        if values.shape != (len(grid), len(grid)):
            raise InputError(
                f"`probabilities` must be on `grid` x `grid`, here {(len(grid), len(grid))}. "
                f"Received: probabilities[{title!r}] of shape {values.shape}"
            )
    labels = np.asarray(labels)
    if points.shape[1] != 2 or labels.shape != points.shape[:1]:
        raise InputError(
            "`points` must be (count, 2) and `labels` (count,). "
            f"Received: points of shape {points.shape}, labels of shape {labels.shape}"
        )
    figure = Figure(figsize=(2.2 * len(probabilities), 2.5), layout="constrained")
    axes = figure.subplots(1, len(probabilities), squeeze=False, sharex=True, sharey=True)[0]
    for ax, (title, values) in zip(axes, probabilities.items(), strict=True):
        ax.contourf(grid, grid, values, levels=np.linspace(0, 1, 11), cmap="PuOr", alpha=0.4)
        for label, color in ((0, COLORS[0]), (1, COLORS[1])):
            ax.plot(*points[labels == label].T, ".", ms=2.5, color=color)
        ax.set_title(literal(title), fontsize=8)
        ax.set(aspect="equal", xticks=[], yticks=[])
    return figure


def comparison_figure(result: Comparison, metric: str | None = None) -> Figure:
    """Returns the curves of every scheme, and a forest plot of their differences.

    Args:
        result: what was measured.
        metric: the comparison's own if None.

    Returns:
        A new figure, not shown: `figure.savefig(path)` writes it.

    Raises:
        InputTypeError: no comparison.
        InputError: a metric that was not measured.

    >>> import numpy as np
    >>> from keras_inits import Comparison, plots
    >>> loss = np.array([[[0.9, 0.2], [0.8, 0.3]], [[2.0, 0.9], [3.0, 0.8]]])
    >>> result = Comparison(  # as `keras_inits.compare` returns it
    ...     schemes=("he", "random"), seeds=(0, 1), history={"loss": loss}, metric="loss",
    ...     chance={}, samples={}, trainer="fit", notes=(), settings={"seed": 0},
    ... )
    >>> len(plots.comparison_figure(result).axes)
    2
    """
    _checks.instance("result", result, Comparison, "what `keras_inits.compare` returns")
    several = len(result.seeds) > 1 and len(result.schemes) > 1
    pairs = len(result.schemes) * (len(result.schemes) - 1) // 2
    height = max(3.6, 0.4 * pairs + 1.2) if several else 3.6
    figure = Figure(
        figsize=(10 if several else 5.5, height), layout=ConstrainedLayoutEngine(wspace=0.06)
    )
    axes = figure.subplots(1, 2 if several else 1, squeeze=False)[0]
    values = np.where(np.isfinite(result.values(metric)), result.values(metric), np.nan)
    name = metric or result.metric
    plot_training_curves(
        dict(zip(result.schemes, values, strict=True)),
        ylabel=name.replace("_", " "),
        log=not result.higher_is_better(metric) and bool(np.nanmin(values, initial=1) > 0),
        ax=axes[0],
    )
    if several:
        plot_differences(result, metric, ax=axes[1])
    return figure


def figure_bytes(figure: Figure, **options: Any) -> bytes:
    """Returns a figure as a PNG.

    Args:
        figure: a figure of matplotlib.
        **options: what `savefig` takes; 150 dots per inch unless they say so.

    Returns:
        The bytes of the file.

    Raises:
        InputTypeError: no figure.

    >>> from matplotlib.figure import Figure
    >>> from keras_inits import plots
    >>> plots.figure_bytes(Figure(figsize=(1, 1)), dpi=50)[1:4]
    b'PNG'
    """
    _checks.instance("figure", figure, Figure, "a figure of matplotlib")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", **{"dpi": 150} | options)
    return buffer.getvalue()
