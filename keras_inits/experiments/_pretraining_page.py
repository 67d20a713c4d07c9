"""What the experiment on pre-training shows: accuracies, costs, and both kinds of curves."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from keras_inits._compare import mean_interval
from keras_inits._compare.words import epochs_text, interval_text
from keras_inits.experiments import _sigmoid_nets as nets
from keras_inits.experiments._experiment import NOT_COMPARABLE, not_mnist
from keras_inits.experiments._page import Page, Picture, Table
from keras_inits.experiments._published import (
    DENOISING_AUTOENCODERS,
    GREEDY_TRAINING,
    PRETRAINING_CLAIMS,
    UNDERSTANDING_DIFFICULTY,
    WHY_PRE_TRAINING,
)

if TYPE_CHECKING:  # matplotlib is an extra
    from matplotlib.figure import Figure

    from keras_inits.experiments.pretraining import PretrainingResult


def page(result: "PretrainingResult") -> Page:
    """Returns the page of the experiment."""
    config = result.config
    return Page(
        name=result.experiment,
        title=nets.TITLE,
        question=(
            "What does a deep sigmoid net gain from layers that have learnt to reconstruct their "
            "inputs, against random weights, and what does that cost?"
        ),
        sources=(
            GREEDY_TRAINING,
            DENOISING_AUTOENCODERS,
            WHY_PRE_TRAINING,
            UNDERSTANDING_DIFFICULTY,
        ),
        recipe=(
            (
                "model",
                f"{nets.HIDDEN} layers of {nets.UNITS} units, sigmoid, softmax cross-entropy; "
                "biases and last kernel 0",
            ),
            ("data", f"{result.data['description']}; the first {config.images:,} for training"),
            (
                "random starts",
                "standard: U(±1/sqrt(fan_in)); Glorot: U(±sqrt(6/(fan_in + fan_out))); Glorot × 4, "
                "the advice for this sigmoid: four times that",
            ),
            (
                "pre-training",
                "from Glorot × 4: denoising autoencoders with tied weights, a quarter of the "
                f"inputs masked, cross-entropy, SGD {nets.LEARNING_RATE:g}, batches of "
                f"{nets.AUTOENCODER_BATCH}, {config.pretraining_epochs} epochs a layer",
            ),
            (
                "training",
                f"SGD {nets.LEARNING_RATE:g}, batches of {nets.BATCH}, {config.epochs} epochs; "
                f"with {config.labels_per_class} labels a class as many times {nets.STEPS} steps",
            ),
            ("seeds", f"{config.seeds} per start, from root seed {config.seed}"),
        ),
        tables=(_epochs(result), _costs(result), _labels(result)),
        pictures=(
            Picture(
                "curves.png",
                "Test accuracy in training, with all labels and with few: mean and standard "
                "deviation of the seeds as lines and bands",
                lambda: _figure(result),
            ),
        ),
        supported=tuple(_supported(result)),
        unsupported=tuple(_unsupported(result)),
    )


def _epochs(result: "PretrainingResult") -> Table:
    epochs, several = result.many.epochs, result.config.seeds > 1
    shown = [epoch for epoch in (1, 5, 20) if epoch <= epochs]

    def cell(values: NDArray[np.float64]) -> str:
        return f"{values.mean():.3f}" + (f" ± {values.std(ddof=1):.3f}" if several else "")

    rows = []
    for scheme, title in nets.TITLES.items():
        accuracy = result.accuracy(scheme)
        cells = (cell(accuracy[:, epoch - 1]) for epoch in shown)
        rows.append((title, PRETRAINING_CLAIMS.get(scheme, ""), *cells))
    return Table(
        "Test accuracy after epochs" + (", mean ± standard deviation" if several else ""),
        ("start", "the papers", *map(str, shown)),
        tuple(rows),
    )


def _costs(result: "PretrainingResult") -> Table:
    rows = []
    for scheme, title in nets.TITLES.items():
        cost = result.cost(scheme)
        before = mean_interval(result.seconds, result.config.seed)
        rows.append(
            (
                title,
                interval_text(before, "{:.0f}".format) if scheme == nets.PRETRAINED else "0",
                epochs_text(result.epochs_to_target(scheme), result.many.epochs),
                f"{cost:.1f}" if np.isfinite(cost) else "not reached",
                f"{result.stuck(scheme)} of {result.config.seeds}",
            )
        )
    return Table(
        f"What {nets.TARGET:.2f} costs, in processor seconds; an epoch takes "
        f"{result.epoch_seconds:.2f}",
        (
            "start",
            "seconds before\n[95 % interval]",
            f"epochs to\n{nets.TARGET:.2f}",
            f"seconds to\n{nets.TARGET:.2f}",
            "never left\nchance",
        ),
        tuple(rows),
    )


def _labels(result: "PretrainingResult") -> Table:
    finals = [compared.intervals("test_accuracy") for compared in (result.many, result.few)]
    return Table(
        "Test accuracy in the end, mean [95 % interval]",
        ("start", "all labels", f"{result.config.labels_per_class} labels a class"),
        tuple(
            (title, *(interval_text(final[scheme], "{:.3f}".format) for final in finals))
            for scheme, title in nets.TITLES.items()
        ),
    )


def _supported(result: "PretrainingResult") -> Iterator[str]:
    first = {scheme: result.accuracy(scheme)[:, 0].mean() for scheme in nets.TITLES}
    yield (
        f"After one epoch the pre-trained net is at {first[nets.PRETRAINED]:.3f}, Glorot × 4 at "
        f"{first['glorot_4']:.3f}. Of standard and Glorot, {result.stuck('standard')} and "
        f"{result.stuck('glorot')} of {result.config.seeds} runs never leave chance."
    )
    errors = ", ".join(f"{error:.3f}" for error in result.errors.mean(axis=0))
    yield f"The layers' reconstruction errors after pre-training: {errors} (mean squared)."
    if result.config.seeds > 1:
        for what, few in (
            ("all labels", False),
            (f"{result.config.labels_per_class} labels a class", True),
        ):
            ends = [
                result.accuracy(scheme, few=few)[:, -1] for scheme in (nets.PRETRAINED, "glorot_4")
            ]
            gap = interval_text(
                mean_interval(ends[0] - ends[1], result.config.seed), "{:+.4f}".format
            )
            yield f"With {what}, the pre-trained net ends {gap} from Glorot × 4, seed by seed."
    ours, theirs = result.cost(nets.PRETRAINED), result.cost("glorot_4")
    if np.isfinite(ours) and np.isfinite(theirs):
        faster = "sooner" if ours < theirs else "later"
        yield (
            f"In processor seconds the pre-trained net is at {nets.TARGET:.2f} {faster} than "
            f"Glorot × 4: {ours:.1f} and {theirs:.1f}, pre-training included."
        )


def _unsupported(result: "PretrainingResult") -> Iterator[str]:
    if not result.data["comparable"]:
        yield f"{NOT_COMPARABLE}: {not_mnist(result.data)}"
    yield from (f"{finding}." for finding in result.findings)
    yield (
        "That pre-training is needed: ReLU and its kind, Adam or normalization train such nets "
        "from random weights; none of them was tried here."
    )
    yield "The seconds on another machine, or on several threads."
    yield (
        "That standard and Glorot would stay at chance with more epochs: the last layer of Glorot "
        "& Bengio's net of four sigmoid layers leaves its saturation around epoch 100."
    )
    yield "All seeds saw the same batches: the intervals cover weights and pre-training alone."
    yield from dict.fromkeys((*result.many.notes, *result.few.notes))


def _figure(result: "PretrainingResult") -> "Figure":
    from matplotlib.figure import Figure

    from keras_inits.plots import plot_training_curves

    figure = Figure(figsize=(10, 3.8), layout="constrained")
    for ax, few in zip(figure.subplots(1, 2), (False, True), strict=True):
        plot_training_curves(
            {title: result.accuracy(scheme, few=few) for scheme, title in nets.TITLES.items()},
            ylabel="test accuracy",
            xlabel=f"steps (× {nets.STEPS})" if few else "epoch",
            ylim=(0, 1),
            ax=ax,
        )
        labels = f"{result.config.labels_per_class} labels a class" if few else "all labels"
        ax.set_title(labels, fontsize=10)
    return figure
