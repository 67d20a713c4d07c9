"""What the experiment on two circles shows: the published draw, the seeds, boundaries and costs."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from keras_inits._compare.statistics import mean_interval, paired_differences
from keras_inits._compare.words import difference_sentence, interval_text
from keras_inits.experiments import _circles_recipe as recipe
from keras_inits.experiments._page import Page, Picture, Table
from keras_inits.experiments._published import COURSE_EXERCISE, THING_OF_THE_PAST, rounds_to

if TYPE_CHECKING:  # matplotlib is an extra
    from matplotlib.figure import Figure

    from keras_inits.experiments.circles import CirclesResult


def page(result: "CirclesResult") -> Page:
    """Returns the page of the experiment."""
    config = result.config
    return Page(
        name=result.experiment,
        title=recipe.TITLE,
        question=(
            "How far does a small ReLU net come in 15,000 steps from zeros, from random weights "
            "too large or too small, from Xavier and from He?"
        ),
        sources=(THING_OF_THE_PAST, COURSE_EXERCISE),
        recipe=(
            ("model", "2-10-5-1, ReLU, ReLU, sigmoid; binary cross-entropy; biases zero; float64"),
            ("data", "two circles with noise 0.05, 300 points to train on, 100 to test"),
            (
                "training",
                f"full-batch gradient descent, learning rate 0.01, {config.iterations:,} "
                f"iterations, cost recorded every {recipe.RECORDED_EVERY:,}",
            ),
            ("published draw", "NumPy's legacy generator, seed 3, layer after layer"),
            ("seeds", f"{config.seeds} per scheme, from root seed {config.seed}"),
        ),
        tables=(_published_table(result), _seeds_table(result)),
        pictures=(
            Picture(
                "boundaries.png",
                "The five nets from the published draw after training: probability of the inner "
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


def _last(result: "CirclesResult") -> str:
    return f"{result.config.iterations - recipe.RECORDED_EVERY:,}"


def _published_table(result: "CirclesResult") -> Table:
    printed = {(scheme, what): text for scheme, what, text, _ in result.printed()}
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
        tuple(
            (
                recipe.TITLES[scheme],
                printed.get((scheme, "cost"), ""),
                f"{result.published_costs(scheme)[-1]:.6f}",
                printed.get((scheme, "accuracy"), ""),
                f"{result.published_accuracy(scheme, 'train'):.4f}",
                f"{result.published_accuracy(scheme):.2f}",
            )
            for scheme in result.schemes
        ),
    )


def _seeds_table(result: "CirclesResult") -> Table:
    rows = []
    for scheme in result.schemes:
        final = result.costs(scheme)[:, -1]
        intervals = [mean_interval(values) for values in (final, result.accuracy(scheme))]
        rows.append(
            (
                recipe.TITLES[scheme],
                *(interval_text(interval, "{:.3f}".format) for interval in intervals),
                f"{int((final > recipe.FAILED).sum())} of {len(final)}",
            )
        )
    return Table(
        f"{result.config.seeds} seeds; cost at iteration {_last(result)}, mean [95 % interval]",
        ("scheme", "cost", "test accuracy", f"failed\n(cost > {recipe.FAILED:.2f})"),
        tuple(rows),
    )


def _supported(result: "CirclesResult") -> Iterator[str]:
    if agree := [rounds_to(ours, text) for _, _, text, ours in result.printed()]:
        yield (
            f"{sum(agree)} of {len(agree)} numbers of the article's table come out of its draw. "
            "Its accuracy of random × 10 is that on the training points, of He on the test points."
        )
    if result.config.seeds > 1:
        costs = np.stack([result.costs(scheme)[:, -1] for scheme in result.schemes])
        names = [recipe.TITLES[scheme] for scheme in result.schemes]
        for difference in paired_differences(costs, names, result.config.seed):
            yield difference_sentence(difference, higher_is_better=False)


def _unsupported(result: "CirclesResult") -> Iterator[str]:
    small = result.published_costs("random_small")[-1]
    yield (
        "The article writes its random weights as randn × 0.01 and prints the numbers of "
        f"randn × 10: × 0.01 ends at {small:.4f}, which is guessing."
    )
    for scheme in ("he", "xavier"):
        costs, own = result.costs(scheme)[:, -1], result.published_costs(scheme)[-1]
        lower = int((costs < own).sum())
        yield (
            f"The published draw of {recipe.TITLES[scheme]} is one of many: {lower} of "
            f"{len(costs)} seeds end at a lower cost ({costs.min():.3f} to {costs.max():.3f})."
        )
    yield (
        "The fifth decimal of the published draw × 10: training is chaotic there, and the decimal "
        "depends on the order of summation (benchmarks/circles.py shows it in plain NumPy)."
    )
    yield "Nothing follows for other nets, data, learning rates or more iterations."


def _boundaries(result: "CirclesResult") -> "Figure":
    from keras_inits.plots import boundary_figure  # matplotlib is an extra

    titles = {
        f"{recipe.TITLES[scheme]}: {result.published_accuracy(scheme):.0%} of the test": (
            recipe.probability(result.weights[scheme])
        )
        for scheme in result.schemes
    }
    return boundary_figure(titles, recipe.GRID, *result.points)


def _costs(result: "CirclesResult") -> "Figure":
    from matplotlib.figure import Figure

    from keras_inits.plots import plot_training_curves

    figure = Figure(figsize=(7, 4), layout="constrained")
    plot_training_curves(
        {recipe.TITLES[s]: result.costs(s) for s in result.schemes},
        {recipe.TITLES[s]: result.published_costs(s).tolist() for s in result.schemes},
        ylabel="training cross-entropy (nats)",
        xlabel="iteration (thousands)",
        first=0,
        published_label="the published draw",
        ylim=(0, 1),  # random x 10 starts at hundreds
        ax=figure.subplots(),
    )
    return figure
