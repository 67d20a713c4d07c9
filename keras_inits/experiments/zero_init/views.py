"""Zero-init shown: its page."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_inits._compare.words import interval_text
from keras_inits.experiments.page import Page, Picture, Table
from keras_inits.experiments.published import ZERO_INIT_ACCURACY
from keras_inits.experiments.record import NOT_COMPARABLE, not_mnist
from keras_inits.experiments.zero_init.result import ZeroInitResult

TITLES = {"zeros": "zeros", "he": "He", "constant": "0.5"}
CONVEX_TITLES = {
    "softmax": "softmax regression, accuracy",
    "logistic": "logistic regression (odd?), accuracy",
    "linear": "linear regression (value), squared error",
}


def page(result: ZeroInitResult) -> Page:
    """Returns the experiment as a reader meets it."""
    config = result.config
    return Page(
        name="zero-init",
        title="MNIST with everything zero",
        question=(
            "Why must the weights of a net with hidden units not start from zeros, or from any one "
            "number, when those of a regression may?"
        ),
        recipe=(
            ("model", "784-100-10, ReLU, softmax cross-entropy; every kernel 0, 0.5 or He's"),
            ("data", result.data["description"]),
            ("training", f"Adam as Keras has it, batches of 100, {config.epochs} epochs, one run"),
            (
                "beside it",
                "softmax, logistic and linear regression, zeros against Xavier, "
                f"{next(iter(result.convex.values())).epochs} epochs, {config.seeds} seeds",
            ),
            ("root seed", str(config.root_seed)),
        ),
        tables=(_nets(result), _convex(result)),
        pictures=(
            Picture(
                "curves.png",
                "Training cost and test accuracy over the epochs of the net with hidden units, "
                "from zeros, from 0.5 and from He",
                lambda: _figure(result),
            ),
        ),
        supported=tuple(_supported(result)),
        unsupported=tuple(_unsupported(result)),
    )


def _nets(result: ZeroInitResult) -> Table:
    rows = []
    for run in result.runs:
        article = result.data["comparable"] and run.scheme == "zeros"
        rows.append(
            (
                TITLES[run.scheme],
                f"{run.cost[0]:.4f}",
                f"{run.cost[-1]:.4f}",
                f"{ZERO_INIT_ACCURACY}" if article else "",
                f"{run.accuracy[-1]:.4f}",
                f"{run.units_apart:.3g}",
            )
        )
    return Table(
        f"784-100-10 after {result.config.epochs} epochs",
        (
            "every\nkernel",
            "cost\nfirst epoch",
            "cost\nlast epoch",
            "accuracy\narticle",
            "accuracy\nours",
            "hidden units\napart",
        ),
        tuple(rows),
    )


def _convex(result: ZeroInitResult) -> Table:
    rows = []
    for model, compared in result.convex.items():
        finals, (difference,) = compared.intervals(), compared.differences()
        rows.append(
            (
                CONVEX_TITLES[model],
                f"{finals['zeros'].mean:.4f}",
                f"{finals['xavier'].mean:.4f}",
                interval_text(difference.interval, "{:+.4f}".format),
            )
        )
    return Table(
        f"Without hidden units, {result.config.seeds} seeds",
        ("model, on the test images", "zeros", "Xavier", "zeros - Xavier\n[95 % interval]"),
        tuple(rows),
    )


def _supported(result: ZeroInitResult) -> Iterator[str]:
    zeros, he, constant = (result.of(scheme) for scheme in TITLES)
    epochs = result.config.epochs
    moved = [path for path, distance in zeros.moved.items() if distance > 0]
    frequencies = np.log(result.frequencies)
    gap = np.abs((result.last_bias - result.last_bias.mean()) - (frequencies - frequencies.mean()))
    low, high = min(zeros.accuracy), max(zeros.accuracy)
    last = "" if low == high else f" to {high:.4f}, {zeros.accuracy[-1]:.4f} last"
    yield (
        f"From zeros the cost is {zeros.cost[0]:.4f} in the first epoch and {zeros.cost[-1]:.4f} "
        f"in the last, the accuracy after each epoch {low:.4f}{last}."
    )
    yield (
        f"Of its weights only {' and '.join(moved)} moved. The bias ends within {gap.max():.3f} of "
        "the logarithms of the class frequencies: it has learnt how common each digit is."
    )
    if constant.units_apart == 0:
        yield (
            f"From 0.5 the hidden units are exactly equal after {epochs} epochs. They move "
            f"together, as one unit would, to an accuracy of {constant.accuracy[-1]:.4f}; from He "
            f"it is {he.accuracy[-1]:.4f}."
        )
    for model, compared in result.convex.items():
        finals = compared.intervals()
        title = CONVEX_TITLES[model].partition(",")[0]
        yield (
            f"{title[0].upper()}{title[1:]} learns from zeros as well as from Xavier: "
            f"{finals['zeros'].mean:.4f} and {finals['xavier'].mean:.4f}."
        )


def _unsupported(result: ZeroInitResult) -> Iterator[str]:
    if not result.data["comparable"]:
        yield f"{NOT_COMPARABLE}: {not_mnist(result.data)}"
    apart = result.of("constant").units_apart
    if apart > 0:
        yield (
            f"The hidden units that started from 0.5 are {apart:.3g} apart: rounding told them "
            "from each other, and training drove them on. In exact arithmetic they stay equal."
        )
    else:
        yield (
            "That equal units stay equal on any machine: where arithmetic rounds two of them "
            "differently by a bit, training drives them apart."
        )
    yield "He had one run; how far its seeds scatter is not shown here."
    yield "Equal kernels with different biases, or dropout, break the symmetry too: not tried."


def _figure(result: ZeroInitResult) -> Any:
    # matplotlib is not needed by the plugin, and slow to load
    from keras_inits.plots import training_figure

    return training_figure(
        {TITLES[run.scheme]: {"cost": run.cost, "accuracy": run.accuracy} for run in result.runs},
        {},
    )
