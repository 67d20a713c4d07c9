"""Xavier against He in ReLU nets of 10, 22 and 30 layers: where Xavier learns later, and where not.

He et al. 2015, section 2.2 and figures 2 and 3, small: dense nets on MNIST in place of convolution
nets on ImageNet.
"""

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits._checks import choice, integer
from keras_inits._compare import Comparison, Execution, compare
from keras_inits._compare.data import TrainingData
from keras_inits._compare.words import difference_sentence, epochs_text, interval_text
from keras_inits._progress import part_of
from keras_inits._reporting import Finding
from keras_inits.datasets import ImageDataset
from keras_inits.experiments import _deep_nets as nets
from keras_inits.experiments._config import MnistConfig, Say
from keras_inits.experiments._experiment import (
    NOT_COMPARABLE,
    Experiment,
    MnistResult,
    OnProgress,
    not_mnist,
    started,
    taking,
)
from keras_inits.experiments._page import Page, Picture, Table
from keras_inits.experiments._published import DELVING_DEEP, HE_DEPTH_CLAIMS

if TYPE_CHECKING:  # matplotlib is an extra
    from matplotlib.figure import Figure

UNITS, BATCH, LEARNING_RATE = 128, 100, 0.05
TITLES = {"xavier": "Xavier", "he": "He"}
HALF = 0.5  # test accuracy whose first epoch is reported: between chance, 0.11, and the end


@dataclass(frozen=True)
class HeDepthConfig(MnistConfig):
    """What to train: a ReLU net for each depth, from Xavier and from He, once for each seed.

    Raises:
        InputError: a number out of range, or no number.

    >>> HeDepthConfig(depths=(10, 30)).epochs
    5
    """

    depths: tuple[int, ...] = (10, 22, 30)
    """Layers with weights, the last one included; ascending."""
    seeds: int = 8
    """Runs of each net; run k of both schemes has the same batches."""
    epochs: int = 5
    """Passes over the training images."""
    images: int = 20_000
    """Training images, the first of MNIST's."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(epochs=1, images=1)
        self.require_ascending("depths", functools.partial(integer, minimum=2))


@dataclass(frozen=True, eq=False)
class HeDepthResult(MnistResult):
    """What the experiment measured.

    Attributes:
        config: what was asked for.
        versions: of Python and of the packages that computed it.
        data: `source`, `description` and `comparable` of the images.
        runs: Xavier against He, by depth as text.

    >>> result = run(HeDepthConfig(depths=(10, 30), seeds=2, epochs=2))  # doctest: +SKIP
    >>> result.runs["30"].final("test_accuracy").shape  # doctest: +SKIP
    (2, 2)
    """

    experiment: ClassVar[str] = "he-depth"
    effort = ("epochs", "images")

    config: HeDepthConfig
    runs: Mapping[str, Comparison]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the paper says and the seeds do not show."""
        return tuple(
            Finding(
                kind="published claim",
                where=(f"{depth} layers", TITLES[scheme]),
                evidence=f"it {claim}, says the paper; {stuck} of {self.config.seeds} runs never "
                "left chance",
                numbers={"never left chance": stuck},
            )
            for (depth, scheme), claim in HE_DEPTH_CLAIMS.items()
            if self.follows_the_recipe and depth in self.config.depths
            for stuck in [self.stuck(depth, scheme)]
            if stuck != (self.config.seeds if claim == "stalls" else 0)
        )

    def accuracy(self, depth: int, scheme: str) -> NDArray[np.float64]:
        """Returns the test accuracy of all runs, `(seeds, epochs)`."""
        compared = self.runs[choice("depth", str(depth), self.runs)]
        return np.asarray(compared.values("test_accuracy")[compared.row(scheme)])

    def stuck(self, depth: int, scheme: str) -> int:
        """Returns how many runs never left chance."""
        compared = self.runs[choice("depth", str(depth), self.runs)]
        never = compared.stuck()
        return 0 if never is None else int(never[compared.row(scheme)].sum())

    def page(self) -> Page:
        """Returns question, recipe, tables, pictures and conclusions."""
        return page(self)


@taking(HeDepthConfig)
def run(
    config: HeDepthConfig,
    *,
    report: Say = print,
    on_progress: OnProgress = lambda progress: None,
) -> HeDepthResult:
    """Trains a net for each depth, scheme and seed: those of one depth side by side.

    As a `Run` it keeps each finished epoch.
    """
    once = len(TITLES) * config.seeds * config.epochs
    total = once * len(config.depths)
    with started(HeDepthResult, config, on_progress) as (versions, listen):
        images = config.load_images(report)
        data = _data(images, config.images)
        runs = {
            str(depth): compare(
                functools.partial(nets.relu_net, data.x.shape[1], depth, UNITS),
                list(TITLES),
                data,
                seeds=config.seeds,
                epochs=config.epochs,
                batch_size=BATCH,
                optimizer=keras.optimizers.SGD(LEARNING_RATE),
                loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                metrics=["accuracy"],
                seed=config.seed,
                execution=Execution(
                    out=config.state(f"layers-{depth}"),
                    on_progress=part_of(listen, number * once, total),
                ),
            )
            for number, depth in enumerate(config.depths)
        }
    return HeDepthResult(config, versions, images.provenance(), runs)


def _data(images: ImageDataset, count: int) -> TrainingData:
    train, test = nets.standardized(images)
    return TrainingData(
        train[:count],
        images.train_labels[:count],
        {"test": (test, images.test_labels)},
        images.description,
    )


def page(result: HeDepthResult) -> Page:
    """Returns the page of the experiment."""
    config = result.config
    return Page(
        name=result.experiment,
        title=EXPERIMENT.title,
        question=(
            "How deep can a ReLU net be before Xavier's weights, which leave out that ReLU halves "
            "the signal, no longer let it learn?"
        ),
        sources=(DELVING_DEEP,),
        recipe=(
            (
                "model",
                f"Dense layers of {UNITS} units, ReLU, biases 0; weights N(0, 1/fan_in) for "
                "Xavier, N(0, 2/fan_in) for He, the last layer's too",
            ),
            (
                "data",
                f"{result.data['description']}; the first {config.images:,} for training; mean 0, "
                "standard deviation 1",
            ),
            (
                "training",
                f"SGD, learning rate {LEARNING_RATE:g}, batches of {BATCH}, {config.epochs} epochs",
            ),
            ("seeds", f"{config.seeds} per net, from root seed {config.seed}"),
        ),
        tables=(_ends(result), _epochs(result)),
        pictures=(
            Picture(
                "curves.png",
                "Test accuracy over the epochs, for each depth: mean and standard deviation of "
                "the seeds as lines and bands",
                lambda: _figure(result),
            ),
        ),
        supported=tuple(_supported(result)),
        unsupported=tuple(_unsupported(result)),
    )


def _ends(result: HeDepthResult) -> Table:
    rows = []
    for depth in result.config.depths:
        compared = result.runs[str(depth)]
        finals = compared.intervals("test_accuracy")
        for scheme, title in TITLES.items():
            halves = compared.epochs_to(HALF, "test_accuracy")[compared.row(scheme)]
            rows.append(
                (
                    f"{depth}, {title}",
                    f"{signal(depth, scheme):.1g}",
                    interval_text(finals[scheme], "{:.3f}".format),
                    epochs_text(halves, compared.epochs),
                    f"{result.stuck(depth, scheme)} of {result.config.seeds}",
                )
            )
    return Table(
        f"After {result.config.epochs} epochs; signal: predicted rms of the first logits, over the "
        "inputs'",
        (
            "layers",
            "signal",
            "test accuracy\n[95 % interval]",
            f"epochs\nto {HALF:g}",
            "never left\nchance",
        ),
        tuple(rows),
    )


def signal(layers: int, scheme: str) -> float:
    r"""Returns the root mean square of a wide ReLU net's outputs, relative to that of its inputs.

    Each kernel multiplies the second moment by its gain $g$, each ReLU, of which the last layer has
    none, halves it: $g^L / 2^{L-1}$. A gradient on its way back fares the same.

    Args:
        layers: L.
        scheme: `"xavier"` ($g = 1$) or `"he"` ($g = 2$).

    Reference:
        He et al. 2015, eq. 9 and 13. https://arxiv.org/abs/1502.01852

    >>> signal(30, "he") ** 2
    2.0000000000000004
    """
    gain = {"xavier": 1.0, "he": 2.0}[scheme]
    return float((gain**layers / 2 ** (layers - 1)) ** 0.5)


def _epochs(result: HeDepthResult) -> Table:
    epochs = result.config.epochs
    shown = np.unique(np.linspace(1, epochs, min(3, epochs)).round().astype(int))
    several = result.config.seeds > 1

    def cell(values: NDArray[np.float64]) -> str:
        return f"{values.mean():.2f}" + (f" ± {values.std(ddof=1):.2f}" if several else "")

    return Table(
        "Test accuracy after epochs" + (", mean ± standard deviation" if several else ""),
        ("layers", "the paper", *map(str, shown)),
        tuple(
            (
                f"{depth}, {title}",
                HE_DEPTH_CLAIMS.get((depth, scheme), ""),
                *map(cell, result.accuracy(depth, scheme).T[shown - 1]),
            )
            for depth in result.config.depths
            for scheme, title in TITLES.items()
        ),
    )


def _supported(result: HeDepthResult) -> Iterator[str]:
    for depth in result.config.depths:
        stuck = {title: result.stuck(depth, scheme) for scheme, title in TITLES.items()}
        firsts = {t: result.accuracy(depth, s)[:, 0].mean() for s, t in TITLES.items()}
        yield (
            f"{depth} layers: after the first epoch Xavier is at {firsts['Xavier']:.2f}, He at "
            f"{firsts['He']:.2f}; {stuck['Xavier']} of Xavier's and {stuck['He']} of He's "
            f"{result.config.seeds} runs never leave chance."
        )
        if result.config.seeds > 1:
            (found,) = result.runs[str(depth)].differences("test_accuracy")
            named = dataclasses.replace(found, a=TITLES[found.a], b=TITLES[found.b])
            yield f"In the end: {difference_sentence(named, higher_is_better=True)}"


def _unsupported(result: HeDepthResult) -> Iterator[str]:
    if not result.data["comparable"]:
        yield f"{NOT_COMPARABLE}: {not_mnist(result.data)}"
    yield from (f"{finding}." for finding in result.findings)
    yield (
        "The paper's numbers: its nets are convolution nets on ImageNet, trained for weeks. Here "
        "only what it says of them is tried."
    )
    yield "That Xavier would stay at chance with more epochs, momentum, Adam or normalization."
    yield "All seeds saw the same batches: the intervals cover the initial weights alone."
    yield from dict.fromkeys(note for compared in result.runs.values() for note in compared.notes)


def _figure(result: HeDepthResult) -> "Figure":
    from matplotlib.figure import Figure

    from keras_inits.plots import plot_training_curves

    depths = result.config.depths
    figure = Figure(figsize=(3.4 * len(depths), 3.4), layout="constrained")
    for ax, depth in zip(figure.subplots(1, len(depths), squeeze=False)[0], depths, strict=True):
        plot_training_curves(
            {title: result.accuracy(depth, scheme) for scheme, title in TITLES.items()},
            ylabel="test accuracy" if depth == depths[0] else "",
            ylim=(0, 1),
            ax=ax,
        )
        ax.set_title(f"{depth} layers", fontsize=10)
    return figure


EXPERIMENT = Experiment(
    title="Xavier against He, 10 to 30 ReLU layers",
    config=HeDepthConfig,
    result=HeDepthResult,
    run=run,
    quick={"depths": (10, 30), "seeds": 2, "epochs": 2},
    seconds=150,
    what="ReLU nets of 10, 22 and 30 layers on MNIST from Xavier and from He, 5 epochs, 8 seeds",
    published="what the paper says: later at 22 layers, not at all at 30",
)
