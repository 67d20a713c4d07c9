"""What the experiment on muP shows: the best rates by width, and how far they move."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from keras_inits._compare.statistics import mean_interval
from keras_inits._compare.words import interval_text
from keras_inits.experiments._experiment import NOT_COMPARABLE, not_mnist
from keras_inits.experiments._mup_transfer_recipe import PARAMETRIZATIONS, SIDE, TITLE
from keras_inits.experiments._page import Page, Picture, Table
from keras_inits.experiments._published import MUP_CLAIM, TENSOR_PROGRAMS_5

if TYPE_CHECKING:  # matplotlib is an extra
    from matplotlib.figure import Figure

    from keras_inits.experiments.mup_transfer import MupTransferResult


def page(result: "MupTransferResult") -> Page:
    """Returns the page of the experiment."""
    config = result.config
    widths = ", ".join(map(str, config.widths))
    return Page(
        name=result.experiment,
        title=TITLE,
        question="Is the learning rate that is best for a narrow net the best for a wide one?",
        sources=(TENSOR_PROGRAMS_5,),
        recipe=(
            (
                "model",
                f"{config.layers} hidden layers of {widths} units, ReLU, softmax cross-entropy",
            ),
            ("data", result.data["description"]),
            ("images", f"averaged over squares to {SIDE} x {SIDE} numbers"),
            (
                "training",
                f"{config.optimizer}, {config.steps} steps of {config.batch_size} images, learning "
                f"rates 2^{config.rates[0]} to 2^{config.rates[-1]}; what counts is the mean "
                "training loss of the last quarter",
            ),
            ("standard", "He's start, one rate for all weights"),
            (
                "muP",
                f"mup.initialize and mup.optimizer; the base has {config.widths[0]} units, the "
                "head starts at 0",
            ),
            (
                "seeds",
                f"{config.seeds}, from root seed {config.seed}; a seed has the same images at each "
                "width and rate",
            ),
        ),
        tables=(_rates(result), _claims(result)),
        pictures=(
            Picture(
                "transfer.png",
                "Training cross-entropy at the end over the learning rate for each width, without "
                "muP and with it: mean of the seeds, with one standard deviation; a ring at the "
                "lowest",
                lambda: _figure(result),
            ),
        ),
        supported=tuple(_supported(result)),
        unsupported=tuple(_unsupported(result)),
    )


def _rates(result: "MupTransferResult") -> Table:
    best = {name: result.best_rates(name) for name in PARAMETRIZATIONS}
    return Table(
        f"Best learning rate, as log2, mean of {result.config.seeds} seeds [95 % interval]",
        ("width", *PARAMETRIZATIONS.values()),
        tuple(
            (
                str(width),
                *(
                    interval_text(mean_interval(rates[row]), "{:.2f}".format)
                    for rates in best.values()
                ),
            )
            for row, width in enumerate(result.config.widths)
        ),
    )


def _claims(result: "MupTransferResult") -> Table:
    first, last = result.config.widths[0], result.config.widths[-1]
    return Table(
        f"From {first} to {last} units",
        (
            "",
            "the paper says\nthe best rate",
            "octaves that it moves\n[95 % interval]",
            f"loss at {last} units, rate of {first}\nagainst its own best rate",
        ),
        tuple(
            (
                title,
                MUP_CLAIM[name],
                interval_text(result.shift(name), "{:+.2f}".format),
                interval_text(result.price(name), "{:+.3f}".format),
            )
            for name, title in PARAMETRIZATIONS.items()
        ),
    )


def _supported(result: "MupTransferResult") -> Iterator[str]:
    first, last = result.config.widths[0], result.config.widths[-1]
    for name, title in PARAMETRIZATIONS.items():
        shift, price = result.shift(name), result.price(name)
        start = f"{title[0].upper()}{title[1:]}" if name == "standard" else "In muP"
        yield (
            f"{start}: from {first} to {last} units the best rate moves by {shift.mean:+.2f} "
            f"octaves (95 % {shift.low:+.2f} to {shift.high:+.2f}). At the narrow net's best rate "
            + (
                f"the wide one ends {price.mean:.3f} nats above its own best."
                if np.isfinite(price.mean) and price.count == result.config.seeds
                else "some runs of the wide one diverge."
            )
        )
    wide = {name: result.of(name)[-1].mean(axis=0).min() for name in PARAMETRIZATIONS}
    yield (
        f"Each at its own best rate, the net of {last} units ends at {wide['standard']:.3f} nats "
        f"without muP and at {wide['mup']:.3f} in it."
    )


def _unsupported(result: "MupTransferResult") -> Iterator[str]:
    if not result.data["comparable"]:
        yield f"{NOT_COMPARABLE}: {not_mnist(result.data)}"
    yield (
        f"Training to the end, or other nets: these made {result.config.steps} steps. The paper "
        "trains transformers, up to 6.7 billion weights."
    )
    ends = [
        f"{PARAMETRIZATIONS[name]} at {width}"
        for name in PARAMETRIZATIONS
        for width, best in zip(result.config.widths, result.best_rates(name), strict=True)
        if {result.config.rates[0], result.config.rates[-1]} & set(best.tolist())
    ]
    if ends:
        yield f"Where the best rate is for {', '.join(ends)}: at an end of the grid in some seed."


def _figure(result: "MupTransferResult") -> "Figure":
    from keras_inits.plots import transfer_figure  # matplotlib is an extra

    return transfer_figure(
        {title: result.of(name) for name, title in PARAMETRIZATIONS.items()},
        result.config.widths,
        [2.0**rate for rate in result.config.rates],
        ylabel="training cross-entropy, last quarter (nats)",
    )
