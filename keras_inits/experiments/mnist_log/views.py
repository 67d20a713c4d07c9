"""The MNIST log shown: the article's format, and its page."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from keras_inits import _registry
from keras_inits.experiments.mnist_log.result import MnistLogResult, TrainingRun
from keras_inits.experiments.page import Page, Picture, Table
from keras_inits.experiments.published import MNIST_LOG, MNIST_LOG_CLAIMS, TrainingLog
from keras_inits.experiments.record import NOT_COMPARABLE, not_mnist

SHOWN_EPOCHS = (1, 5, 10, 20)
WITHIN = 3.0  # standard deviations
METRICS = ("cost", "accuracy")


def published(scheme: str) -> TrainingLog | None:
    """Returns the article's log of a scheme, if it has one."""
    wanted = _registry.get(scheme)
    return next((log for name, log in MNIST_LOG.items() if _registry.get(name) == wanted), None)


def banner(run: TrainingRun) -> str:
    """Returns the line that the article prints above a log; later seeds are named in it."""
    which = run.scheme if run.seed == 0 else f"{run.scheme} (seed {run.seed})"
    return f"*****************{which} initialize w************************"


def epoch_lines(run: TrainingRun, epoch: int) -> str:
    """Returns both lines of an epoch, counted from 1, as the article prints them."""
    accuracy = round(run.accuracy[epoch - 1], 4)
    return f"Epoch:{epoch:04d}cost={run.cost[epoch - 1]:.9f}\nAccuracy:{accuracy}"


def log_text(result: MnistLogResult) -> str:
    """Returns every run in the article's format."""
    blocks = []
    for run in result.runs:
        epochs = range(1, len(run.cost) + 1)
        blocks.append("\n".join([banner(run), *(epoch_lines(run, epoch) for epoch in epochs)]))
    text = "\n\n".join(blocks) + "\n"
    return text if result.data["comparable"] else f"{NOT_COMPARABLE}: {_why(result)}\n\n{text}"


def distances(result: MnistLogResult) -> dict[tuple[str, str], NDArray[np.float64]]:
    """Returns how far each published number lies from the mean of the runs.

    Returns:
        By scheme and metric, one number an epoch: (article - mean) / standard deviation of the
        runs (with n - 1). Empty with one seed, or where the article's numbers do not apply.
    """
    if result.config.seeds < 2 or not result.follows_the_article:
        return {}
    found = {}
    for scheme in result.config.schemes:
        log = published(scheme)
        if log is None:
            continue
        for metric in METRICS:
            ours = result.stacked(scheme, metric)[:, : len(log.cost)]
            theirs = np.array(getattr(log, metric)[: ours.shape[1]])
            found[scheme, metric] = (theirs - ours.mean(axis=0)) / ours.std(axis=0, ddof=1)
    return found


def first_epoch(reached: NDArray[np.bool_]) -> float:
    """Returns the first epoch, from 1, at which something holds; infinity if it never does."""
    return float(np.argmax(reached)) + 1 if reached.any() else float("inf")


def overtaking(
    random: tuple[NDArray[np.float64], NDArray[np.float64]],
    xavier: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> tuple[float, float]:
    """Returns the two epochs that the article counts, from `(cost, accuracy)` of one run each.

    Returns:
        The epoch at which random first reaches the cost of Xavier's first epoch, and the Xavier
        epoch whose accuracy first beats random's best; infinity for never.
    """
    return (
        first_epoch(random[0] <= xavier[0][0]),
        first_epoch(xavier[1] > random[1].max()),
    )


def page(result: MnistLogResult) -> Page:
    """Returns the experiment as a reader meets it."""
    config = result.config
    return Page(
        name="mnist-log",
        title="MNIST, random against Xavier",
        question=(
            "How many epochs does softmax regression lose if its weights start from N(0, 1) rather "
            "than from Xavier's N(0, 1/784)?"
        ),
        recipe=(
            ("model", "Dense(10) on 784 pixels in [0, 1], softmax cross-entropy; bias N(0, 1)"),
            ("data", result.data["description"]),
            (
                "training",
                f"SGD, learning rate {config.learning_rate:g}, batches of {config.batch_size}, "
                f"{config.epochs} epochs, trained by {config.trainer}",
            ),
            ("seeds", f"{config.seeds} a scheme, from root seed {config.root_seed}"),
        ),
        tables=tuple(_table(result, scheme) for scheme in config.schemes),
        pictures=(
            Picture(
                "curves.png",
                "Training cost and test accuracy over the epochs: mean and standard deviation of "
                "the seeds as lines and bands"
                + (", the article's numbers as circles" if result.follows_the_article else ""),
                lambda: _figure(result),
            ),
        ),
        supported=tuple(conclusions(result)),
        unsupported=tuple(_limits(result)),
        texts={"log.txt": log_text(result)},
    )


def conclusions(result: MnistLogResult) -> Iterator[str]:
    """Yields what the runs say, a sentence each."""
    apart = distances(result)
    if apart:
        sizes = np.abs(np.concatenate(list(apart.values())))
        yield (
            f"{int((sizes <= WITHIN).sum())} of {sizes.size} published numbers within "
            f"{WITHIN:g} standard deviations of our {result.config.seeds} seeds; the farthest is "
            f"{sizes.max():.1f} away."
        )
    named = {
        name: scheme
        for scheme in result.config.schemes
        for name in MNIST_LOG
        if _registry.get(scheme) == _registry.get(name)
    }
    if len(named) == len(MNIST_LOG):
        yield from _overtaking_sentences(result, named["initkit_random"], named["initkit_xavier"])


def _limits(result: MnistLogResult) -> Iterator[str]:
    if not result.follows_the_article:
        yield f"{NOT_COMPARABLE}: {_why(result)}"
    if result.config.seeds == 1:
        yield "One seed: whether the difference is the schemes' or the draw's cannot be told."
    elif result.config.trainer == "population":
        yield "All seeds saw the same batches: the spread is that of the initial weights alone."
    yield (
        "The loss of this model is convex: the schemes differ in the time they take, not in where "
        "they would end. Nothing follows for deep networks."
    )


def _figure(result: MnistLogResult) -> Any:
    # matplotlib is not needed by the plugin, and slow to load
    from keras_inits.plots import training_figure

    curves = {
        scheme: {metric: result.stacked(scheme, metric) for metric in METRICS}
        for scheme in result.config.schemes
    }
    article = {}
    if result.follows_the_article:
        logs = {scheme: published(scheme) for scheme in result.config.schemes}
        article = {
            scheme: {metric: getattr(log, metric) for metric in METRICS}
            for scheme, log in logs.items()
            if log
        }
    return training_figure(curves, article)


def _table(result: MnistLogResult, scheme: str) -> Table:
    """One row an epoch shown: article, ours, and how far apart they are, for both metrics."""
    several = result.config.seeds > 1
    log = published(scheme) if result.follows_the_article else None
    apart = distances(result)
    seeds = f"{result.config.seeds} seed{'s' if several else ''}"
    columns, rows = ["epoch"], []
    for metric in METRICS:
        if log:
            columns.append(f"{metric}\narticle")
        columns.append(f"{metric}\nours ± sd" if several else f"{metric}\nours")
        if log:
            columns.append("sds\napart" if several else "\ndifference")
    for epoch in SHOWN_EPOCHS:
        if epoch > result.config.epochs:
            break
        row = [str(epoch)]
        for metric in METRICS:
            ours = result.stacked(scheme, metric)[:, epoch - 1]
            mean = ours.mean()
            if log:
                row.append(f"{getattr(log, metric)[epoch - 1]:.4f}")
            row.append(f"{mean:.4f}" + (f" ± {ours.std(ddof=1):.4f}" if several else ""))
            if log and several:
                row.append(f"{apart[scheme, metric][epoch - 1]:+.1f}")
            elif log:
                row.append(f"{mean - getattr(log, metric)[epoch - 1]:+.4f}")
        rows.append(tuple(row))
    return Table(f"{scheme}, {seeds}", tuple(columns), tuple(rows))


def _overtaking_sentences(result: MnistLogResult, random: str, xavier: str) -> Iterator[str]:
    ours = np.array(
        [
            overtaking((cost_r, accuracy_r), (cost_x, accuracy_x))
            for cost_r, accuracy_r, cost_x, accuracy_x in zip(
                *(result.stacked(s, m) for s in (random, xavier) for m in METRICS), strict=True
            )
        ]
    )
    logs = [MNIST_LOG[name] for name in ("initkit_random", "initkit_xavier")]
    article = overtaking(*((np.array(log.cost), np.array(log.accuracy)) for log in logs))
    for i, what in enumerate(
        (
            f"{random} reaches the cost of {xavier}'s first epoch at epoch",
            f"{xavier} first beats the best accuracy of {random} at its epoch",
        )
    ):
        sentence = f"{what} {_spread(ours[:, i], result.config.epochs)}"
        if result.follows_the_article:
            sentence += f"; the article's log: {article[i]:.0f}, its text: {MNIST_LOG_CLAIMS[i]}"
        yield f"{sentence}."


def _spread(epochs: NDArray[np.float64], last: int) -> str:
    def say(epoch: float) -> str:
        return f"{epoch:g}" if np.isfinite(epoch) else f"later than {last}"

    low, high = epochs.min(), epochs.max()
    if low == high:
        return say(low) if len(epochs) == 1 else f"{say(low)} in all {len(epochs)} seeds"
    # the middle one of an even number is the earlier: a mean with "never" says nothing
    middle = np.sort(epochs)[(len(epochs) - 1) // 2]
    return f"{say(middle)} (median; {say(low)} to {say(high)} over {len(epochs)} seeds)"


def _why(result: MnistLogResult) -> str:
    if not result.data["comparable"]:
        return not_mnist(result.data)
    return (
        "it trained with batches of 100 and learning rate 0.01, here "
        f"{result.config.batch_size} and {result.config.learning_rate:g}."
    )


def print_epochs(console: Console, run: TrainingRun) -> None:
    """Prints the newest epoch of a first-seed run, under its banner if it is the first."""
    if run.seed == 0:
        if len(run.cost) == 1:
            console.print(f"\n{banner(run)}", markup=False, highlight=False)
        console.print(epoch_lines(run, len(run.cost)), markup=False, highlight=False)
