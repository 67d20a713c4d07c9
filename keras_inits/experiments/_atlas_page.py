"""What the atlas shows: accuracies by net and start, differences, failures, profiles."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from keras_inits._compare.statistics import Interval
from keras_inits._compare.words import interval_text
from keras_inits.experiments import _atlas_recipe as recipe
from keras_inits.experiments._experiment import NOT_COMPARABLE, not_mnist
from keras_inits.experiments._page import Page, Picture, Table
from keras_inits.experiments._published import STATISTICAL_PRECIPICE

if TYPE_CHECKING:  # matplotlib is an extra
    from matplotlib.figure import Figure

    from keras_inits.experiments.atlas import AtlasResult, Task

# Differences of accuracy that count: the standard error of an accuracy on 2,000 images.
MARGIN = 0.01
_THRESHOLDS = np.linspace(0, 1, 201)
_HEADS = {"orthogonal": "ortho-\ngonal", "calibrate": "cali-\nbrate", "keras": "Keras's\nown"}
_OTHERS = tuple(start for start in recipe.STARTS if start != recipe.DEFAULT)


def page(result: "AtlasResult") -> Page:
    """Returns the page of the experiment."""
    config = result.config
    rates = ", ".join(f"{name} {recipe.RATES[name]:g}" for name in config.optimizers)
    return Page(
        name=result.experiment,
        title=recipe.TITLE,
        question="Which start for which net, and does it matter?",
        sources=(STATISTICAL_PRECIPICE,),
        recipe=(
            *((net, _words(result, net)) for net in config.nets),
            ("starts", 'Keras\'s own initializers, He, LeCun, orthogonal, "auto", calibrate'),
            (
                "data",
                f"{result.data['description']}, averaged over squares to at most {recipe.SIDE} x "
                f"{recipe.SIDE} numbers; the first {config.images:,} for training, at most "
                f"{recipe.TESTED:,} for testing",
            ),
            (
                "training",
                f"{config.epochs} epochs in batches of {recipe.BATCH}; learning rates: {rates}",
            ),
            ("score", "test accuracy after the last step; a run that diverged has that of chance"),
            (
                "statistics",
                "interquartile means over activations and seeds; stratified bootstrap intervals "
                "(95 %)",
            ),
            ("seeds", f"{config.seeds} per net and start, from root seed {config.seed}"),
        ),
        tables=(
            _overall(result),
            *(_by_net(result, optimizer) for optimizer in config.optimizers),
            *(_differences(result, optimizer) for optimizer in config.optimizers),
            *_failures(result),
        ),
        pictures=(
            Picture(
                "atlas.png",
                "Test accuracy of each net from each start, interquartile mean of the seeds, by "
                "optimizer; the best of a row in bold",
                lambda: _map_figure(result),
            ),
            Picture(
                "profiles.png",
                "Performance profiles: the share of all runs above an accuracy, with pointwise "
                "95 % bands; where a line lies above another, its start is better",
                lambda: _profile_figure(result),
            ),
        ),
        supported=tuple(_supported(result)),
        unsupported=tuple(_unsupported(result)),
    )


def _words(result: "AtlasResult", net: str) -> str:
    kind = recipe.NETS[net]
    tried = [name for name in kind.activations if name in result.config.activations]
    words = f"{kind.title}; {', '.join(tried)}"
    return f"{words}; recipe {kind.recipe}" if kind.recipe else words


def _counted(failed: NDArray[np.bool_]) -> str:
    return f"{int(failed.sum())} of {failed.size}"


def _overall(result: "AtlasResult") -> Table:
    optimizers = result.config.optimizers
    return Table(
        "All nets together: accuracy [95 % interval], and runs that diverged or stayed at chance",
        ("start", *optimizers, *(f"failed,\n{name}" for name in optimizers)),
        tuple(
            (
                recipe.START_TITLES[start],
                *(_spread(result.mean(start, name)) for name in optimizers),
                *(_counted(result.failed(start, result.tasks(name))) for name in optimizers),
            )
            for start in recipe.STARTS
        ),
    )


def _spread(interval: Interval) -> str:
    return interval_text(interval, "{:.3f}".format)


def _by_net(result: "AtlasResult", optimizer: str) -> Table:
    rows = []
    for task in result.tasks(optimizer):
        values = _row(result, task)
        cells = ("" if np.isnan(value) else f"{value:.3f}" for value in values)
        rows.append((f"{task.net} {task.activation}", *cells))
    heads = [_HEADS.get(start, start) for start in recipe.STARTS] + _recipe_column(result)
    return Table(f"{optimizer}: accuracy by net and start", ("net", *heads), tuple(rows))


def _recipe_column(result: "AtlasResult") -> list[str]:
    return ["recipe"] if any(recipe.NETS[net].recipe for net in result.config.nets) else []


def _row(result: "AtlasResult", task: "Task") -> list[float]:
    """Returns the mean accuracy from each start, and from the recipe; NaN without one."""
    own = [recipe.NETS[task.net].recipe for _ in _recipe_column(result)]
    return [
        result.mean(s, task.optimizer, task.net, task.activation).mean if s else float("nan")
        for s in (*recipe.STARTS, *own)
    ]


def _differences(result: "AtlasResult", optimizer: str) -> Table:
    shown = ("he", "auto", "calibrate")
    return Table(
        f"{optimizer}: what they bring over Keras's own initializers [95 % interval]",
        ("net", *(recipe.START_TITLES[start] for start in shown)),
        tuple(
            (
                net,
                *(
                    interval_text(result.difference(start, optimizer, net), "{:+.2f}".format)
                    for start in shown
                ),
            )
            for net in result.config.nets
        ),
    )


def _failures(result: "AtlasResult") -> Iterator[Table]:
    rows = []
    for optimizer in result.config.optimizers:
        for net in result.config.nets:
            tasks = result.tasks(optimizer, net)
            counts = [int(result.failed(start, tasks).sum()) for start in recipe.STARTS]
            if any(counts):
                rows.append((f"{net}, {optimizer}", *map(str, counts)))
    size = "; ".join(f"{count} runs of {', '.join(nets)}" for count, nets in _sizes(result).items())
    if rows:
        yield Table(
            f"Runs that failed, where any did, of {size}",
            ("net", *(_HEADS.get(start, start) for start in recipe.STARTS)),
            tuple(rows),
        )


def _sizes(result: "AtlasResult") -> dict[int, list[str]]:
    sizes: dict[int, list[str]] = {}
    for net in result.config.nets:
        count = len(result.tasks(result.config.optimizers[0], net)) * result.config.seeds
        sizes.setdefault(count, []).append(net)
    return sizes


def _supported(result: "AtlasResult") -> Iterator[str]:
    for optimizer in result.config.optimizers:
        means = {start: result.mean(start, optimizer) for start in recipe.STARTS}
        best = max(means, key=lambda start: means[start].mean)
        tied = [
            recipe.START_TITLES[start]
            for start, found in means.items()
            if start != best and found.high >= means[best].low
        ]
        yield (
            f"{optimizer}, all nets together: {recipe.START_TITLES[best]} ends highest, at "
            f"{_spread(means[best])}; Keras's own ends at {_spread(means[recipe.DEFAULT])}. "
            + (f"The intervals of {', '.join(tied)} overlap the highest." if tied else "")
        ).rstrip()
        matters = {
            net: winners
            for net in result.config.nets
            if (
                winners := [
                    recipe.START_TITLES[start]
                    for start in _OTHERS
                    if result.difference(start, optimizer, net).low > MARGIN
                ]
            )
        }
        if matters:
            found = "; ".join(f"{net} ({', '.join(w)})" for net, w in matters.items())
            yield (
                f"{optimizer}: it matters, by more than {MARGIN:g} of accuracy with the whole "
                f"interval above Keras's own, for {found}."
            )
        rest = [net for net in result.config.nets if net not in matters]
        if rest:
            yield (
                f"{optimizer}: for {', '.join(rest)} no start is above Keras's own by so much "
                "beyond doubt."
            )
    if worse := [f"{t.net} {t.activation}, {t.optimizer}" for t, _ in result.harm()]:
        yield f'"auto" ends below Keras\'s own for {"; ".join(worse)}.'


def _unsupported(result: "AtlasResult") -> Iterator[str]:
    config = result.config
    if not result.data["comparable"]:
        yield f"{NOT_COMPARABLE}: {not_mnist(result.data)}"
    if config.seeds < 2:
        yield "Any difference: one seed has no interval."
    yield (
        f"What comes of longer training: these made {config.epochs} epochs over {config.images:,} "
        "images. What counts here is which nets learn early, and which do not learn."
    )
    yield (
        "Other learning rates: each optimizer has one for all nets and starts, tuned for none of "
        "them. A start may fail at this rate and learn at a smaller one."
    )
    yield (
        "Large nets and other data: the nets have 8 to 48 units or channels, the images at most "
        f"{recipe.SIDE} x {recipe.SIDE} numbers."
    )
    yield (
        "Single rows of many: the intervals are not corrected for the number of nets and starts; "
        "in so many, some differ by chance."
    )
    yield "All seeds saw the same batches: the intervals cover the initial weights alone."
    yield from dict.fromkeys(note for compared in result.runs.values() for note in compared.notes)


def _map_figure(result: "AtlasResult") -> "Figure":
    """Draws the accuracy of every net from every start, a panel per optimizer."""
    from matplotlib.figure import Figure

    config = result.config
    columns = [*recipe.START_TITLES.values(), *_recipe_column(result)]
    count = len(result.tasks(config.optimizers[0]))
    figure = Figure(
        figsize=(4.6 * len(config.optimizers) + 2, 1.6 + 0.27 * count), layout="constrained"
    )
    panels = figure.subplots(1, len(config.optimizers), sharey=True, squeeze=False)[0]
    for ax, optimizer in zip(panels, config.optimizers, strict=True):
        tasks = result.tasks(optimizer)
        values = np.array([_row(result, task) for task in tasks])
        mesh = ax.imshow(values, cmap="cividis", vmin=0, vmax=1, aspect="auto")
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                best = value == np.nanmax(values[row])
                ax.text(
                    column,
                    row,
                    f"{value:.2f}",
                    ha="center",
                    va="center",
                    size=8,
                    color="black" if value > 0.5 else "white",
                    weight="bold" if best else "normal",
                )
        ax.set_xticks(range(len(columns)), columns, rotation=35, ha="right")
        names = [f"{task.net}, {task.activation}" for task in tasks]
        ax.set_yticks(range(count), names)
        ax.set_title(f"{optimizer}, learning rate {recipe.RATES[optimizer]:g}", fontsize=10)
        ax.tick_params(length=0)
    figure.colorbar(mesh, ax=panels, label="test accuracy (IQM)")
    return figure


def _profile_figure(result: "AtlasResult") -> "Figure":
    """Draws the share of runs above every accuracy, a panel per optimizer."""
    from matplotlib.figure import Figure

    from keras_inits._compare.aggregates import profile
    from keras_inits.plots._training import COLORS  # matplotlib is an extra

    optimizers = result.config.optimizers
    figure = Figure(figsize=(4.6 * len(optimizers) + 1.4, 3.6), layout="constrained")
    panels = figure.subplots(1, len(optimizers), sharey=True, squeeze=False)[0]
    for ax, optimizer in zip(panels, optimizers, strict=True):
        tasks = result.tasks(optimizer)
        for start, color in zip(recipe.STARTS, COLORS, strict=False):
            scores = result.scores(start, tasks)
            share, low, high = profile(scores, _THRESHOLDS, seed=result.config.seed)
            ax.plot(_THRESHOLDS, share, color=color, lw=1.6, label=recipe.START_TITLES[start])
            ax.fill_between(_THRESHOLDS, low, high, color=color, alpha=0.12, lw=0)
        ax.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="test accuracy")
        ax.set_title(f"{optimizer}, {len(tasks)} nets x {result.config.seeds} seeds", fontsize=10)
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(alpha=0.2)
    panels[0].set_ylabel("share of the runs above it")
    panels[-1].legend(frameon=False, fontsize=8, loc="lower left")
    return figure
