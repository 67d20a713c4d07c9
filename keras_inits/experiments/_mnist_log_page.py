"""What the experiment on the MNIST log shows: the article's numbers next to those of the seeds."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from keras_inits import _registry
from keras_inits.experiments._article_log import (
    METRICS,
    WITHIN,
    distances,
    overtaking,
    published,
    spread,
)
from keras_inits.experiments._experiment import NOT_COMPARABLE, not_mnist
from keras_inits.experiments._page import Page, Picture, Table
from keras_inits.experiments._published import DL_FUNCTION, MNIST_LOG, MNIST_LOG_CLAIMS

if TYPE_CHECKING:  # matplotlib is an extra
    from matplotlib.figure import Figure

    from keras_inits.experiments.mnist_log import MnistLogResult

TITLE = "MNIST, random against Xavier"
SHOWN_EPOCHS = (1, 5, 10, 20)


def log_text(result: "MnistLogResult") -> str:
    """Returns every run in the article's format, as written to log.txt."""
    text = result.log() + "\n"
    return text if result.data["comparable"] else f"{NOT_COMPARABLE}: {_why(result)}\n\n{text}"


def page(result: "MnistLogResult") -> Page:
    """Returns the page of the experiment."""
    config = result.config
    return Page(
        name=result.experiment,
        title=TITLE,
        question=(
            "How many epochs does softmax regression lose if its weights start from N(0, 1) rather "
            "than from Xavier's N(0, 1/784)?"
        ),
        sources=(DL_FUNCTION,),
        recipe=(
            ("model", "Dense(10) on 784 pixels in [0, 1], softmax cross-entropy; bias N(0, 1)"),
            ("data", result.data["description"]),
            (
                "training",
                f"SGD, learning rate {config.learning_rate:g}, batches of {config.batch_size}, "
                f"{config.epochs} epochs, trained by {result.comparison.trainer}",
            ),
            ("seeds", f"{config.seeds} per scheme, from root seed {config.seed}"),
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
        supported=tuple(_conclusions(result)),
        unsupported=tuple(_limits(result)),
        log=result.log(seeds=1),
        texts={"log.txt": log_text(result)},
    )


def _conclusions(result: "MnistLogResult") -> Iterator[str]:
    if apart := distances(result):
        sizes = np.abs(np.concatenate(list(apart.values())))
        yield (
            f"{int((sizes <= WITHIN).sum())} of {sizes.size} published numbers lie within "
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


def _overtaking_sentences(result: "MnistLogResult", random: str, xavier: str) -> Iterator[str]:
    runs = zip(*(result.values(s, m) for s in (random, xavier) for m in METRICS), strict=True)
    ours = np.array(
        [overtaking((cost_r, acc_r), (cost_x, acc_x)) for cost_r, acc_r, cost_x, acc_x in runs]
    )
    logs = [MNIST_LOG[name] for name in ("initkit_random", "initkit_xavier")]
    article = overtaking(*((np.array(log.cost), np.array(log.accuracy)) for log in logs))
    for i, what in enumerate(
        (
            f"{random} reaches the cost of {xavier}'s first epoch at epoch",
            f"{xavier} first beats the best accuracy of {random} at its epoch",
        )
    ):
        sentence = f"{what} {spread(ours[:, i], result.config.epochs)}"
        if result.follows_the_article:
            sentence += f"; the article's log: {article[i]:.0f}, its text: {MNIST_LOG_CLAIMS[i]}"
        yield f"{sentence}."


def _limits(result: "MnistLogResult") -> Iterator[str]:
    if not result.follows_the_article:
        yield f"{NOT_COMPARABLE}: {_why(result)}"
    if result.config.seeds == 1:
        yield "With one seed the effect of the scheme cannot be told from that of the draw."
    elif result.config.trainer != "fit":
        yield "All seeds saw the same batches: the spread is that of the initial weights alone."
        yield from result.comparison.notes
    yield (
        "The loss of this model is convex: the schemes differ in the time they take, not in where "
        "they would end. Nothing follows for deep networks."
    )


def _why(result: "MnistLogResult") -> str:
    if not result.data["comparable"]:
        return not_mnist(result.data)
    return (
        "it trained with batches of 100 and learning rate 0.01, here "
        f"{result.config.batch_size} and {result.config.learning_rate:g}."
    )


def _table(result: "MnistLogResult", scheme: str) -> Table:
    """A row per shown epoch: article, ours, and how far apart they are, for both metrics."""
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
    for epoch in (e for e in SHOWN_EPOCHS if e <= result.config.epochs):
        row = [str(epoch)]
        for metric in METRICS:
            ours = result.values(scheme, metric)[:, epoch - 1]
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


def _figure(result: "MnistLogResult") -> "Figure":
    from keras_inits.plots import training_figure  # matplotlib is an extra

    schemes = result.config.schemes
    ours: dict[str, dict[str, NDArray[Any]]]
    ours = {s: {metric: result.values(s, metric) for metric in METRICS} for s in schemes}
    logs = {s: published(s) for s in schemes} if result.follows_the_article else {}
    return training_figure(
        ours,
        {
            scheme: {metric: getattr(log, metric) for metric in METRICS}
            for scheme, log in logs.items()
            if log
        },
    )
