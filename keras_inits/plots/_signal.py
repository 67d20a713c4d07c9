"""A diagnosis drawn with matplotlib: histograms, depth and heat map."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from keras_inits import _checks
from keras_inits._diagnose.report import SignalReport
from keras_inits._reporting import shortened
from keras_inits.plots._given import axes_for, by_title
from keras_inits.plots._training import COLORS, literal


def plot_histograms(
    report: SignalReport, *, columns: int = 10, figure: Figure | None = None
) -> Figure:
    """Draws the classic row: one histogram of outputs a layer, in call order.

    Args:
        report: the diagnosis. Of more than 40 layers 40 are drawn, evenly spread.
        columns: how many histograms a row.
        figure: where to draw; a new one if None.

    Returns:
        The figure.

    Raises:
        InputTypeError: no report of `keras_inits.diagnose`.
        InputError: `columns` below 1.

    >>> import keras, numpy as np
    >>> import keras_inits
    >>> from keras_inits import plots
    >>> tanh = (keras.layers.Dense(8, "tanh") for _ in range(3))
    >>> model = keras.Sequential([keras.Input((8,)), *tanh])
    >>> report = keras_inits.diagnose(model, np.ones((4, 8), "float32"), jacobian_samples=0)
    >>> len(plots.plot_histograms(report).axes)
    3
    """
    _checks.instance("report", report, SignalReport, "what `keras_inits.diagnose` returns")
    columns = _checks.integer("columns", columns, minimum=1)
    layers = _spread([layer for layer in report.layers if layer.output.finite], 40)
    rows = max(1, -(-len(layers) // columns))
    if figure is None:
        figure = Figure(figsize=(1.25 * columns, 1.45 * rows), layout="constrained")
    _checks.instance("figure", figure, FigureBase, "a figure of matplotlib, or None")
    grid = figure.subplots(rows, min(columns, max(1, len(layers))), squeeze=False).ravel()
    for ax in grid[len(layers) :]:
        ax.remove()
    for ax, layer in zip(grid, layers, strict=False):
        statistics = layer.output
        low, high = statistics.edges[[0, -1]]
        width = statistics.edges[1] - statistics.edges[0]
        shares = statistics.histogram / max(1, statistics.histogram.sum())
        color = COLORS[1] if layer.verdict == "healthy" else COLORS[0]
        ax.bar(statistics.edges[:-1], shares, width, align="edge", color=color, lw=0)
        ax.set_title(literal(shortened(layer.name, 15)), fontsize=7)
        ax.set_xticks([low, high], [f"{low:.1g}", f"{high:.1g}"])
        ax.set_yticks([])
        ax.tick_params(labelsize=7)
        ax.spines[["top", "right", "left"]].set_visible(False)
    figure.supxlabel("output, each layer on its own axis (orange: unhealthy)", fontsize=8)
    figure.supylabel("share", fontsize=8)
    return figure


def histogram_figure(reports: Mapping[str, SignalReport]) -> Figure:
    """Returns histograms of the layers' outputs, a row a model and a column a layer.

    A row has one horizontal axis, so that collapse and saturation are seen as such. Bars end a
    little above the second highest, so that the zeros of ReLU do not flatten the rest.

    Args:
        reports: by title, diagnoses of models with as many layers.

    Returns:
        A new figure, not shown: `figure.savefig(path)` writes it.

    Raises:
        InputTypeError: something that is no report of `keras_inits.diagnose`.
        InputError: no reports.

    >>> import keras, numpy as np
    >>> import keras_inits
    >>> from keras_inits import plots
    >>> tanh = (keras.layers.Dense(8, "tanh") for _ in range(3))
    >>> model = keras.Sequential([keras.Input((8,)), *tanh])
    >>> report = keras_inits.diagnose(model, np.ones((4, 8), "float32"), jacobian_samples=0)
    >>> figure = plots.histogram_figure({"tanh": report})
    >>> figure.axes[2].get_title()
    'layer 3'
    """
    for title, report in by_title("reports", reports, "reports").items():
        _checks.instance(
            f"reports[{title!r}]", report, SignalReport, "what `keras_inits.diagnose` returns"
        )
    most = max(len(report.layers) for report in reports.values())
    figure = Figure(figsize=(1.1 * most, 1.25 * len(reports)), layout="constrained")
    rows = figure.subfigures(len(reports), 1, squeeze=False)[:, 0]
    for row, (title, report) in zip(rows, reports.items(), strict=True):
        outputs = [layer.output for layer in report.layers if layer.output.finite]
        low = min(output.edges[0] for output in outputs)
        high = max(output.edges[-1] for output in outputs)
        axes = row.subplots(1, most, squeeze=False, sharex=True)[0]
        for ax in axes:
            ax.set_yticks([])
            ax.spines[["top", "right", "left"]].set_visible(False)
            ax.tick_params(labelsize=7)
        for ax, output in zip(axes, outputs, strict=False):
            width = max(output.edges[1] - output.edges[0], (high - low) / 60)
            heights = output.histogram / max(1, np.sort(output.histogram)[-2])
            ax.bar(output.edges[:-1], heights, width, align="edge", color=COLORS[1], lw=0)
            ax.set_ylim(0, 1.3)
        for number, ax in enumerate(axes, 1):
            ax.tick_params(labelbottom=number == 1)
            if row is rows[0]:
                ax.set_title(f"layer {number}", fontsize=7)
        axes[0].set_xticks([low, high], [f"{low:.2g}", f"{high:.2g}"])
        row.suptitle(literal(title), x=0.005, ha="left", fontsize=8)
    return figure


def plot_depth(
    report: SignalReport, *, what: Literal["signal", "gradient"] = "signal", ax: Axes | None = None
) -> Axes:
    """Draws the root mean square of the signal, or of the gradient, over the layers.

    Measured values are a line, the theory's open circles, with a band that holds 95 % of nets of
    this width; unhealthy layers are marked at the foot.
    The root mean square is the standard deviation where the mean is 0, and what theory predicts.

    Args:
        report: the diagnosis.
        what: which of both.
        ax: where to draw; new Axes if None.

    Returns:
        The Axes, logarithmic.

    Raises:
        InputTypeError: no report of `keras_inits.diagnose`.
        InputError: `what` is neither `"signal"` nor `"gradient"`.

    >>> import keras, numpy as np
    >>> import keras_inits
    >>> from keras_inits import plots
    >>> tanh = (keras.layers.Dense(8, "tanh") for _ in range(3))
    >>> model = keras.Sequential([keras.Input((8,)), *tanh])
    >>> report = keras_inits.diagnose(model, np.ones((4, 8), "float32"), jacobian_samples=0)
    >>> plots.plot_depth(report, what="gradient").get_ylabel()
    'root mean square of the gradient'
    """
    _checks.instance("report", report, SignalReport, "what `keras_inits.diagnose` returns")
    _checks.choice("what", what, ("signal", "gradient"))
    ax = axes_for(ax)
    signal = what == "signal"
    measured = _roots(report, "output" if signal else "gradient")
    predicted = _roots(report, "predicted_second_moment" if signal else "predicted_gradient")
    depth = np.arange(1, len(measured) + 1)
    dense = len(depth) > 60
    color = COLORS[1] if signal else COLORS[2]
    ax.plot(depth, measured, color=color, lw=1.2, marker=None if dense else ".", label="measured")
    shown = slice(None, None, max(1, len(depth) // 60))
    ax.plot(depth[shown], predicted[shown], "o", ms=4, mfc="none", mec="0.35", lw=0, label="theory")
    name = "predicted_deviation" if signal else "predicted_gradient_deviation"
    halves = np.array([getattr(layer, name) or 0.0 for layer in report.layers]) / 2  # of the root
    # Two deviations to both sides: 19 nets of 20 lie in there.
    low, high = predicted * np.exp(-2 * halves), predicted * np.exp(2 * halves)
    ax.fill_between(depth, low, high, color="0.5", alpha=0.2, lw=0, label="theory, 95 %")
    known = np.isfinite(predicted)
    alone = known & ~np.roll(known, 1) & ~np.roll(known, -1)  # of these an area shows nothing
    ax.vlines(depth[alone], low[alone], high[alone], color="0.5", alpha=0.3, lw=4)
    ill = np.array([layer.verdict != "healthy" for layer in report.layers])
    if ill.any():
        feet, foot = np.full(int(ill.sum()), 0.015), ax.get_xaxis_transform()
        ax.plot(depth[ill], feet, "^", ms=4, color=COLORS[0], transform=foot, label="unhealthy")
    if np.any(measured > 0):
        ax.set_yscale("log")
        _at_least_one_decade(ax)
    ax.set(xlabel="layer, in call order", ylabel=f"root mean square of the {what}")
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    ax.legend(frameon=False, fontsize=8)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.2)
    return ax


def plot_heat_map(report: SignalReport, *, ax: Axes | None = None) -> Axes:
    """Draws the layers as columns and six figures of each as rows, for models of many layers.

    Root mean squares are shown as decades from the median layer's; shares and correlations as they
    are.

    Args:
        report: the diagnosis.
        ax: where to draw; new Axes if None.

    Returns:
        The Axes.

    Raises:
        InputTypeError: no report of `keras_inits.diagnose`.

    >>> import keras, numpy as np
    >>> import keras_inits
    >>> from keras_inits import plots
    >>> tanh = (keras.layers.Dense(8, "tanh") for _ in range(3))
    >>> model = keras.Sequential([keras.Input((8,)), *tanh])
    >>> report = keras_inits.diagnose(model, np.ones((4, 8), "float32"), jacobian_samples=0)
    >>> [label.get_text() for label in plots.plot_heat_map(report).get_yticklabels()][:3]
    ['signal, decades', 'gradient, decades', 'zeros']
    """
    _checks.instance("report", report, SignalReport, "what `keras_inits.diagnose` returns")
    ax = axes_for(ax, (10, 3))
    rows = {
        "signal, decades": _decades(_roots(report, "output")),
        "gradient, decades": _decades(_roots(report, "gradient")),
        "zeros": np.array([layer.output.zeros for layer in report.layers]),
        "saturated": np.array([layer.output.saturated for layer in report.layers]),
        "dead units": np.array([layer.output.dead_units for layer in report.layers]),
        "correlation": np.array([layer.output.correlation for layer in report.layers]),
    }
    shares = np.stack(
        [v if "decades" not in k else np.full_like(v, np.nan) for k, v in rows.items()]
    )
    decades = np.stack([v if "decades" in k else np.full_like(v, np.nan) for k, v in rows.items()])
    extent = (0.5, len(report.layers) + 0.5, len(rows) - 0.5, -0.5)
    options: dict[str, Any] = {"aspect": "auto", "interpolation": "nearest", "extent": extent}
    ax.set_facecolor("0.9")
    largest = max(1.0, float(np.nanmax(np.abs(decades), initial=0.0)))
    sizes = ax.imshow(decades, cmap="PuOr", vmin=-largest, vmax=largest, **options)
    parts = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1, **options)
    ax.set_yticks(range(len(rows)), list(rows), fontsize=8)
    ill = [i + 1 for i, layer in enumerate(report.layers) if layer.verdict != "healthy"]
    ax.plot(ill, np.full(len(ill), -0.62), "v", color=COLORS[0], ms=4, clip_on=False)
    if ill:
        ax.set_title("▼ unhealthy", color=COLORS[0], fontsize=8, loc="right", pad=8)
    ax.set_xlabel("layer, in call order (grey: does not apply)")
    ax.xaxis.set_major_locator(MaxNLocator(10, integer=True))
    figure = ax.get_figure()
    assert figure is not None
    figure.colorbar(sizes, ax=ax, label="decades", pad=0.01, aspect=12)
    figure.colorbar(parts, ax=ax, label="share", pad=0.01, aspect=12)
    return ax


def depth_figure(report: SignalReport) -> Figure:
    """Returns signal and gradient over depth side by side, a heat map below from 40 layers up.

    Args:
        report: the diagnosis.

    Returns:
        A new figure, not shown: `figure.savefig(path)` writes it.

    Raises:
        InputTypeError: no report of `keras_inits.diagnose`.

    >>> import keras, numpy as np
    >>> import keras_inits
    >>> from keras_inits import plots
    >>> tanh = (keras.layers.Dense(8, "tanh") for _ in range(3))
    >>> model = keras.Sequential([keras.Input((8,)), *tanh])
    >>> report = keras_inits.diagnose(model, np.ones((4, 8), "float32"), jacobian_samples=0)
    >>> len(plots.depth_figure(report).axes)
    2
    """
    _checks.instance("report", report, SignalReport, "what `keras_inits.diagnose` returns")
    many = len(report.layers) >= 40
    figure = Figure(figsize=(10, 6.6 if many else 3.8), layout="constrained")
    if many:
        left, right, below = figure.subplot_mosaic(
            [["signal", "gradient"], ["map", "map"]], height_ratios=(1, 0.8)
        ).values()
        plot_heat_map(report, ax=below)
    else:
        left, right = figure.subplots(1, 2)
    plot_depth(report, what="signal", ax=left)
    plot_depth(report, what="gradient", ax=right)
    figure.suptitle(literal(f"{report.model}: {report.verdict}"), fontsize=11)
    return figure


def _roots(report: SignalReport, name: str) -> NDArray[np.float64]:
    """Returns the root mean squares that each layer holds under `name`, NaN where there is none."""
    values = []
    for layer in report.layers:
        value = getattr(layer, name)
        value = getattr(value, "second_moment", value)
        values.append(math.sqrt(value) if value is not None and value > 0 else math.nan)
    return np.array(values)


def _decades(roots: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns logarithms to base 10 of `roots` over their median."""
    known = roots[np.isfinite(roots)]
    return np.log10(roots / np.median(known)) if len(known) else roots


def _at_least_one_decade(ax: Axes) -> None:
    """Keeps noise of a few per cent from filling a logarithmic axis."""
    low, high = np.log10(ax.get_ylim())
    margin = max(0.0, 1 - (high - low)) / 2
    ax.set_ylim(10 ** (low - margin), 10 ** (high + margin))


def _spread(items: Sequence[Any], count: int) -> Sequence[Any]:
    """Returns at most `count` of `items`, evenly spread, first and last among them."""
    if len(items) <= count:
        return items
    return [items[i] for i in np.linspace(0, len(items) - 1, count).round().astype(int)]
