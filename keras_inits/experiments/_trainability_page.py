"""What the experiment on trainable depth shows: limits, accuracies, and the picture of both."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from keras_inits._compare import mean_interval
from keras_inits._compare.words import interval_text
from keras_inits.experiments import _trainability_recipe as recipe
from keras_inits.experiments._experiment import NOT_COMPARABLE, not_mnist
from keras_inits.experiments._page import Page, Picture, Table
from keras_inits.experiments._published import DEEP_INFORMATION_PROPAGATION, TRAINABLE_SCALES

if TYPE_CHECKING:  # matplotlib is an extra
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from keras_inits.experiments.trainability import TrainabilityResult


def page(result: "TrainabilityResult") -> Page:
    """Returns the page of the experiment."""
    config = result.config
    return Page(
        name=result.experiment,
        title=recipe.TITLE,
        question=(
            "Does the theory of the infinitely wide net say which deep nets can be trained, by "
            "their depth and the variance of their weights alone?"
        ),
        sources=(DEEP_INFORMATION_PROPAGATION,),
        recipe=(
            (
                "model",
                f"tanh, {config.units} units per hidden layer; weights N(0, σ_w²/fan_in), biases "
                f"N(0, {recipe.BIAS_VARIANCE:g}); output kernel N(0, 1/fan_in)",
            ),
            ("data", f"{result.data['description']}; mean 0, standard deviation 1"),
            (
                "training",
                f"SGD, learning rate {recipe.LEARNING_RATE:g}, {config.steps} steps of "
                f"{recipe.BATCH}; accuracy on {recipe.EVALUATED:,} training images",
            ),
            ("seeds", f"{config.seeds} per net, from root seed {config.seed}"),
        ),
        tables=(_limits(result), _accuracies(result)),
        pictures=(
            Picture(
                "trainability.png",
                "Training accuracy over weight variance and depth, with the paper's six depth "
                "scales as a dashed line; and the same nets over depth in depth scales",
                lambda: _figure(result),
            ),
        ),
        supported=tuple(_supported(result)),
        unsupported=tuple(_unsupported(result)),
    )


def _limits(result: "TrainabilityResult") -> Table:
    config = result.config
    theory = TRAINABLE_SCALES * result.scales
    rows = []
    for depth, best, accuracy in zip(
        config.depths, result.best_variance(), result.final(), strict=True
    ):
        rows.append(
            (
                str(depth),
                ranges(config.variances, accuracy.mean(axis=-1) >= recipe.TRAINED),
                ranges(config.variances, theory >= depth),
                interval_text(mean_interval(best, config.seed), "{:.2f}".format),
                interval_text(mean_interval(accuracy.max(axis=0), config.seed), "{:.3f}".format),
            )
        )
    return Table(
        f"Where nets are trained (accuracy {recipe.TRAINED:g} or more), and where it is best",
        (
            "depth",
            "trained at\nσ_w²",
            f"{TRAINABLE_SCALES:g} depth\nscales",
            "best σ_w²\n[95 % interval]",
            "accuracy there\n[95 % interval]",
        ),
        tuple(rows),
    )


def ranges(variances: Sequence[float], which: NDArray[np.bool_]) -> str:
    """Returns the first and the last variance of those marked, and how many between are not."""
    if not which.any():
        return "none"
    places = np.flatnonzero(which)
    first, last = variances[places[0]], variances[places[-1]]
    gaps = int((~which[places[0] : places[-1]]).sum())
    text = f"{first:g}" if first == last else f"{first:g} to {last:g}"
    return f"{text} less {gaps}" if gaps else text


def _accuracies(result: "TrainabilityResult") -> Table:
    config, several = result.config, result.config.seeds > 1
    final = result.final()
    shown = np.unique(np.linspace(0, len(config.depths) - 1, 5).round().astype(int))

    def cell(values: NDArray[np.float64]) -> str:
        return f"{values.mean():.2f}" + (f" ± {values.std(ddof=1):.2f}" if several else "")

    return Table(
        "Training accuracy" + (", mean ± standard deviation" if several else ""),
        ("σ_w²", "depth\nscale", *(f"depth\n{config.depths[i]}" for i in shown)),
        tuple(
            (f"{variance:g}", f"{scale:.1f}", *(cell(final[i, j]) for i in shown))
            for j, (variance, scale) in enumerate(zip(config.variances, result.scales, strict=True))
        ),
    )


def _supported(result: "TrainabilityResult") -> Iterator[str]:
    config = result.config
    best = mean_interval(result.best_variance()[-1], config.seed)
    yield (
        f"At depth {config.depths[-1]} the best σ_w² is {interval_text(best, '{:.2f}'.format)}; "
        f"the edge of chaos is at {result.critical:.3f}."
    )
    trained, right = result.trained(), result.agreement()
    by_depth, by_variance = (
        int(np.maximum(trained.sum(axis=axis), (~trained).sum(axis=axis)).sum()) for axis in (1, 0)
    )
    yield (
        f"Down to {TRAINABLE_SCALES:g} depth scales a net is trained, past them not: right for "
        f"{int(right.sum())} of {right.size} nets. In hindsight, the best guess from the depth "
        f"alone is right for {by_depth}, from the variance alone for {by_variance}."
    )
    fitted = result.fitted_multiple()
    yield (
        f"The multiple that fits these nets best is {fitted:.1f}, right for "
        f"{int(result.agreement(fitted).sum())}."
    )


def _unsupported(result: "TrainabilityResult") -> Iterator[str]:
    if not result.data["comparable"]:
        yield f"{NOT_COMPARABLE}: {not_mnist(result.data)}"
    if wrong := len(result.findings):
        yield (
            f"The limit for {wrong} of {result.trained().size} nets: trained or not, they are a "
            "factor of two or more on the wrong side of it."
        )
    yield (
        f"The six is no constant of nature: it depends on the {result.config.steps} steps, the "
        "learning rate and what is called trained. Longer training moves the limit deeper."
    )
    yield "That a trained net is a good one: it is the accuracy in training that is mapped."
    yield "All seeds saw the same batches: the intervals cover the initial weights alone."
    yield from result.notes


def _figure(result: "TrainabilityResult") -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_map(result, left)
    _draw_over_scale(result, right)
    return figure


def _draw_map(result: "TrainabilityResult", ax: "Axes") -> None:
    """Draws the accuracy as colour over weight variance and depth, and the theory's limit."""
    variances, depths = np.array(result.config.variances), np.array(result.config.depths)
    mesh = ax.pcolormesh(
        _edges(variances),
        np.exp(_edges(np.log(depths))),
        result.final().mean(axis=-1),
        cmap="cividis",
        vmin=0,
        vmax=1,
    )
    low, high = ax.get_ylim()
    ax.set(yscale="log", xlabel=r"weight variance $\sigma_w^2$", ylabel="hidden layers")
    fine = np.linspace(*ax.get_xlim(), 400)
    fine = fine[(fine >= variances[0]) & (fine <= variances[-1])]
    limit = TRAINABLE_SCALES * result.scale_at(fine)
    shown = np.where(limit <= high, limit, np.nan)
    ax.plot(fine, shown, "--", color="white", lw=2)
    ax.axvline(result.critical, color="white", lw=0.8, ls=":")
    ax.set_ylim(low, high)
    ax.set_yticks(depths, [str(depth) for depth in depths])
    ax.minorticks_off()
    ax.set_title(
        f"dashed: {TRAINABLE_SCALES:g} depth scales; dotted: the edge of chaos", fontsize=9
    )
    figure = ax.get_figure()
    assert figure is not None
    figure.colorbar(mesh, ax=ax, label="training accuracy")


def _draw_over_scale(result: "TrainabilityResult", ax: "Axes") -> None:
    """Draws the accuracy of every net over its depth in depth scales."""
    from keras_inits.plots._training import COLORS  # matplotlib is an extra

    for depth, accuracy, color in zip(result.config.depths, result.final(), COLORS, strict=False):
        scaled = depth / result.scales
        mean, spread = accuracy.mean(axis=-1), accuracy.std(axis=-1)
        ax.errorbar(
            scaled, mean, spread, fmt="o", ms=4, lw=0.8, color=color, label=f"{depth} layers"
        )
    ax.axvline(TRAINABLE_SCALES, color="0.3", ls="--", lw=1)
    ax.set(xscale="log", xlabel="depth, in depth scales", ylabel="training accuracy", ylim=(0, 1))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.legend(frameon=False, fontsize=8, loc="lower left")
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.2)


def _edges(centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the edges of cells around ascending places."""
    if len(centres) == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    middles = (centres[1:] + centres[:-1]) / 2
    ends = 2 * centres[[0, -1]] - middles[[0, -1]]
    return np.concatenate([ends[:1], middles, ends[1:]])
