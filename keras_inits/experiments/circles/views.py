"""The circles shown: their page."""

from collections.abc import Iterator
from math import log
from typing import Any

import numpy as np

from keras_inits._compare.statistics import mean_interval, paired_differences
from keras_inits._compare.words import difference_sentence, interval_text
from keras_inits.experiments.circles.result import RECORDED_EVERY, CirclesConfig, CirclesResult
from keras_inits.experiments.page import Page, Picture, Table
from keras_inits.experiments.published import CIRCLES

TITLES = {
    "zeros": "zeros",
    "random_large": "random × 10",
    "random_small": "random × 0.01",
    "xavier": "Xavier",
    "he": "He",
}
FAILED = log(2) / 2  # a cost above half of what guessing costs


def page(result: CirclesResult) -> Page:
    """Returns the experiment as a reader meets it."""
    config = result.config
    return Page(
        name="circles",
        title="Two circles, from five starts",
        question=(
            "How far does a small ReLU net come in 15,000 steps from zeros, from random weights "
            "too large or too small, from Xavier and from He?"
        ),
        recipe=(
            ("model", "2-10-5-1, ReLU, ReLU, sigmoid; binary cross-entropy; biases zero; float64"),
            ("data", "two circles with noise 0.05, 300 points to train on, 100 to test"),
            (
                "training",
                f"full-batch gradient descent, learning rate 0.01, {config.iterations:,} "
                f"iterations, cost recorded every {RECORDED_EVERY:,}",
            ),
            ("published draw", "NumPy's legacy generator, seed 3, layer after layer"),
            ("seeds", f"{config.seeds} a scheme, from root seed {config.root_seed}"),
        ),
        tables=(_published_table(result), _seeds_table(result)),
        pictures=(
            Picture(
                "boundaries.png",
                "What the five nets from the published draw have learnt: probability of the inner "
                "circle as colour, the training points on it",
                lambda: _boundaries(result),
            ),
            Picture(
                "costs.png",
                "Training cost over the iterations: mean and standard deviation of the seeds as "
                "lines and bands, the published draw as circles",
                lambda: _costs(result),
            ),
        ),
        supported=tuple(_supported(result)),
        unsupported=tuple(_unsupported(result)),
    )


def _follows_the_article(result: CirclesResult) -> bool:
    return result.config.iterations == CirclesConfig().iterations


def _last(result: CirclesResult) -> str:
    return f"{(len(result.runs[0].cost) - 1) * RECORDED_EVERY:,}"


def _published_table(result: CirclesResult) -> Table:
    rows = []
    for scheme in result.schemes:
        run = result.published(scheme)
        article = CIRCLES.get(scheme, ("", "")) if _follows_the_article(result) else ("", "")
        rows.append(
            (
                TITLES[scheme],
                article[0],
                f"{run.cost[-1]:.6f}",
                article[1],
                f"{run.train_accuracy:.4f}",
                f"{run.test_accuracy:.2f}",
            )
        )
    return Table(
        f"The published draw; cost at iteration {_last(result)}",
        (
            "scheme",
            "cost\narticle",
            "cost\nours",
            "accuracy\narticle",
            "train\naccuracy",
            "test\naccuracy",
        ),
        tuple(rows),
    )


def _seeds_table(result: CirclesResult) -> Table:
    rows = []
    for scheme in result.schemes:
        costs = result.stacked(scheme, "cost")[:, -1]
        rows.append(
            (
                TITLES[scheme],
                *(
                    interval_text(mean_interval(values), "{:.3f}".format)
                    for values in (costs, result.stacked(scheme, "test_accuracy"))
                ),
                f"{int((costs > FAILED).sum())} of {len(costs)}",
            )
        )
    return Table(
        f"{result.config.seeds} seeds; cost at iteration {_last(result)}, mean [95 % interval]",
        ("scheme", "cost", "test accuracy", f"failed\n(cost > {FAILED:.2f})"),
        tuple(rows),
    )


def _supported(result: CirclesResult) -> Iterator[str]:
    if _follows_the_article(result):
        agree = [
            f"{published:.{_decimals(printed)}f}" == printed
            for scheme, printed_pair in CIRCLES.items()
            for printed, published in zip(
                printed_pair,
                (result.published(scheme).cost[-1], _printed_accuracy(result, scheme)),
                strict=True,
            )
        ]
        yield (
            f"{sum(agree)} of {len(agree)} numbers of the article's table come out of its draw. "
            "Its accuracy is that on the training points for random × 10, on the test points for "
            "He."
        )
    if result.config.seeds > 1:
        costs = np.stack([result.stacked(scheme, "cost")[:, -1] for scheme in result.schemes])
        names = [TITLES[scheme] for scheme in result.schemes]
        for difference in paired_differences(costs, names, result.config.root_seed):
            yield difference_sentence(difference, higher_is_better=False)


def _unsupported(result: CirclesResult) -> Iterator[str]:
    small = result.published("random_small").cost[-1]
    yield (
        "The third article writes its random weights as randn × 0.01 and prints the numbers of "
        f"randn × 10: × 0.01 ends at {small:.4f}, which is guessing."
    )
    for scheme in ("he", "xavier"):
        costs, own = result.stacked(scheme, "cost")[:, -1], result.published(scheme).cost[-1]
        yield (
            f"The published draw of {TITLES[scheme]} is one of many: {int((costs < own).sum())} of "
            f"{len(costs)} seeds end at a lower cost ({costs.min():.3f} to {costs.max():.3f})."
        )
    yield (
        "The fifth decimal of the published draw times 10: its path is chaotic, and additions in "
        "another order end at another one (benchmarks/circles.py shows it in plain NumPy)."
    )
    yield "Nothing follows for other nets, data, learning rates or more iterations."


def _printed_accuracy(result: CirclesResult, scheme: str) -> float:
    run = result.published(scheme)
    return run.train_accuracy if scheme == "random_large" else run.test_accuracy


def _decimals(printed: str) -> int:
    return len(printed.partition(".")[2])


def _boundaries(result: CirclesResult) -> Any:
    # matplotlib is not needed by the plugin, and slow to load
    from keras_inits.experiments.circles.training import GRID
    from keras_inits.plots import boundary_figure

    titles = {
        f"{TITLES[scheme]}: {result.published(scheme).test_accuracy:.0%} of the test": values
        for scheme, values in result.boundaries.items()
    }
    return boundary_figure(titles, GRID, *result.points)


def _costs(result: CirclesResult) -> Any:
    from matplotlib.figure import Figure

    from keras_inits.plots import plot_training_curves

    figure = Figure(figsize=(7, 4), layout="constrained")
    plot_training_curves(
        {TITLES[s]: result.stacked(s, "cost") for s in result.schemes},
        {TITLES[s]: result.published(s).cost for s in result.schemes},
        ylabel="training cross-entropy (nats)",
        xlabel="iteration (thousands)",
        first=0,
        published_label="the published draw",
        ylim=(0, 1),  # random x 10 starts at hundreds
        ax=figure.subplots(),
    )
    return figure
