"""Widths side by side: how far steps move each layer, and the loss over the learning rate."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import ArrayLike, NDArray

from keras_inits import _checks
from keras_inits._errors import InputError
from keras_inits.mup import CoordinateCheck
from keras_inits.plots._given import axes_for, by_title, numbers
from keras_inits.plots._training import COLORS, literal

# The part of viridis that is dark enough for a line on white.
_DARKEST, _LIGHTEST = 0.0, 0.85
# A loss above so many times the lowest is off the picture.
_TALLEST = 10.0


def plot_coordinates(result: CoordinateCheck, *, ax: Axes | None = None) -> Axes:
    """Draws how far the steps of a coordinate check move each layer, over the width.

    Mean of the seeds; the bars span one standard deviation to each side. Layers that move alike at
    every width are level.

    Args:
        result: what was measured.
        ax: where to draw; new Axes if None.

    Returns:
        The Axes.

    Raises:
        InputTypeError: no result of `mup.coordinate_check`.

    >>> import numpy as np
    >>> from keras_inits import mup, plots
    >>> result = mup.CoordinateCheck(  # as `mup.coordinate_check` returns it
    ...     parametrization="mup", widths=(32, 64), layers=("dense", "output"),
    ...     sizes=np.ones((2, 3, 5, 2)), changes=np.ones((2, 3, 4, 2)),
    ... )
    >>> plots.plot_coordinates(result).get_ylabel()
    'mean |change| after 4 steps'
    """
    _checks.instance("result", result, CoordinateCheck, "what `mup.coordinate_check` returns")
    ax = axes_for(ax)
    wrong = {where for finding in result.findings for where in finding.where}
    for index, layer in enumerate(result.layers):
        changes = result.changes[:, :, -1, index]
        color = COLORS[index % len(COLORS)]
        name = literal(layer)
        ax.errorbar(
            result.widths,
            changes.mean(axis=1),
            changes.std(axis=1, ddof=1) if changes.shape[1] > 1 else None,
            color=color,
            marker="o",
            ms=4,
            lw=1.5 if layer in wrong else 1,
            ls="-" if layer in wrong else "--",
            capsize=2,
            label=name,
        )
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ax.set_xticks(result.widths, [str(width) for width in result.widths])
    ax.minorticks_off()
    steps = result.changes.shape[2]
    ax.set(xlabel="width", ylabel=f"mean |change| after {steps} steps")
    ax.set_title(f"{result.parametrization} (solid: moves with the width)", fontsize=9)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.2)
    return ax


def coordinate_figure(*results: CoordinateCheck) -> Figure:
    """Returns coordinate checks side by side, such as that of muP next to the standard one.

    Args:
        results: what was measured, of models with the same layers.

    Returns:
        A new figure, not shown: `figure.savefig(path)` writes it.

    Raises:
        InputTypeError: something that is no result of `mup.coordinate_check`.
        InputError: no results.

    >>> import numpy as np
    >>> from keras_inits import mup, plots
    >>> result = mup.CoordinateCheck(  # as `mup.coordinate_check` returns it
    ...     parametrization="mup", widths=(32, 64), layers=("dense", "output"),
    ...     sizes=np.ones((2, 3, 5, 2)), changes=np.ones((2, 3, 4, 2)),
    ... )
    >>> len(plots.coordinate_figure(result, result).axes)
    2
    """
    if not results:
        raise InputError("`coordinate_figure` needs one result of `mup.coordinate_check` or more.")
    for result in results:
        _checks.instance("results", result, CoordinateCheck, "what `mup.coordinate_check` returns")
    figure = Figure(figsize=(4.2 * len(results) + 1.2, 3.8), layout="constrained")
    axes = figure.subplots(1, len(results), squeeze=False, sharey=True)[0]
    for ax, result in zip(axes, results, strict=True):
        plot_coordinates(result, ax=ax)
    for ax in axes[1:]:
        ax.set_ylabel("")
    axes[-1].legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def plot_rates(
    losses: ArrayLike,
    widths: Sequence[int],
    rates: Sequence[float],
    *,
    ylabel: str = "loss",
    ax: Axes | None = None,
) -> Axes:
    """Draws the loss over the learning rate, a line for each width, with a ring at the lowest.

    Args:
        losses: `(widths, seeds, rates)`. A line is the mean of the seeds, and its band spans one
            standard deviation to each side; a rate at which a seed diverged has no point.
        widths: in the order of the lines.
        rates: learning rates.
        ylabel: what is drawn, with its unit.
        ax: where to draw; new Axes if None.

    Returns:
        The Axes.

    Raises:
        InputError: losses of another shape than `(widths, seeds, rates)`.

    >>> import numpy as np
    >>> from keras_inits import plots
    >>> losses = np.array([[[0.9, 0.5, 0.7]], [[0.8, 0.4, np.inf]]])  # 2 widths, 1 seed, 3 rates
    >>> ax = plots.plot_rates(losses, widths=(64, 128), rates=(0.01, 0.1, 1.0))
    >>> [line.get_xdata().item() for line in ax.lines if line.get_markersize() == 9]  # the lowest
    [0.1, 0.1]
    """
    values = np.ma.masked_invalid(_of_rates("losses", losses, widths, rates))
    ax = axes_for(ax)
    colors = colormaps["viridis"](np.linspace(_LIGHTEST, _DARKEST, len(widths)))
    for runs, width, color in zip(values, widths, colors, strict=True):
        whole = np.ma.masked_array(runs.mean(axis=0), np.ma.getmaskarray(runs).any(axis=0))
        ax.plot(rates, whole, color=color, label=str(width))
        if len(runs) > 1:
            spread = runs.std(axis=0, ddof=1)
            ax.fill_between(rates, whole - spread, whole + spread, color=color, alpha=0.2, lw=0)
        lowest = int(np.ma.argmin(whole))
        ax.plot(rates[lowest], whole[lowest], "o", ms=9, mfc="none", mec=color, mew=1.5)
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    bottom = float(values.min())
    ax.set_ylim(0.9 * bottom, _TALLEST * bottom)
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set(xlabel="learning rate", ylabel=ylabel)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.2)
    return ax


def transfer_figure(
    losses: Mapping[str, ArrayLike],
    widths: Sequence[int],
    rates: Sequence[float],
    *,
    ylabel: str = "loss",
) -> Figure:
    """Returns the loss over the learning rate for several ways to widen, side by side.

    Args:
        losses: by title, `(widths, seeds, rates)`.
        widths: in the order of the lines.
        rates: learning rates.
        ylabel: what is drawn, with its unit.

    Returns:
        A new figure, not shown: `figure.savefig(path)` writes it.

    Raises:
        InputError: no losses, or of another shape than `(widths, seeds, rates)`.

    >>> import numpy as np
    >>> from keras_inits import plots
    >>> losses = np.array([[[0.9, 0.5, 0.7]], [[0.8, 0.4, np.inf]]])  # 2 widths, 1 seed, 3 rates
    >>> figure = plots.transfer_figure({"mup": losses}, widths=(64, 128), rates=(0.01, 0.1, 1.0))
    >>> figure.axes[0].get_title()
    'mup'
    """
    by_title("losses", losses, "losses")
    for title, values in losses.items():
        _of_rates(f"losses[{title!r}]", values, widths, rates)
    figure = Figure(figsize=(4.4 * len(losses) + 0.8, 3.8), layout="constrained")
    axes = figure.subplots(1, len(losses), squeeze=False, sharey=True)[0]
    for ax, (title, values) in zip(axes, losses.items(), strict=True):
        plot_rates(values, widths, rates, ylabel=ylabel if ax is axes[0] else "", ax=ax)
        ax.set_title(literal(title), fontsize=10)
    # The axes are one: the last to be drawn has set its ends.
    axes[0].set_ylim(top=_TALLEST * _lowest(losses), bottom=0.9 * _lowest(losses))
    axes[-1].legend(
        title="width", frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=9
    )
    return figure


def _of_rates(
    name: str, losses: ArrayLike, widths: Sequence[int], rates: Sequence[float]
) -> NDArray[np.float64]:
    """Returns losses as an array, if they are `(widths, seeds, rates)`."""
    values = numbers(name, losses, "(widths, seeds, rates)", 3)
    lines, points = (
        len(numbers(axis, found, f"({axis},)", 1))
        for axis, found in (("widths", widths), ("rates", rates))
    )
    if (values.shape[0], values.shape[2]) != (lines, points):
        raise InputError(
            f"`{name}` must be (widths, seeds, rates), here ({lines}, seeds, {points}). "
            f"Received: shape {values.shape}"
        )
    return values


def _lowest(losses: Mapping[str, ArrayLike]) -> float:
    return float(min(np.ma.masked_invalid(np.asarray(v, float)).min() for v in losses.values()))
