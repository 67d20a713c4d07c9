"""MNIST with every weight zero, or every weight alike: why a net with hidden units does not learn.

The net and its accuracy are those of Li Kangyu's article on why the weights of a neural network
must not start from zero (2019).
"""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits._compare import Comparison, Execution, compare
from keras_inits._compare.weights import draw
from keras_inits._compare.words import interval_text
from keras_inits._progress import part_of
from keras_inits._reporting import Finding
from keras_inits._schemes import ConstantInit, HeInit, ZerosInit
from keras_inits.datasets import ImageDataset
from keras_inits.experiments._config import MnistConfig, Say
from keras_inits.experiments._convex import CLASSES, CONVEX, build_convex, digit, training_data
from keras_inits.experiments._experiment import (
    NOT_COMPARABLE,
    Experiment,
    MnistResult,
    OnProgress,
    decimal,
    not_mnist,
    started,
    taking,
)
from keras_inits.experiments._page import Page, Picture, Table
from keras_inits.experiments._published import WHY_NOT_ZERO, ZERO_INIT_ACCURACY

if TYPE_CHECKING:  # matplotlib is an extra
    from matplotlib.figure import Figure

UNITS, BATCH = 100, 100
SCHEMES = {"zeros": ZerosInit(), "he": HeInit(), "constant": ConstantInit(0.5)}
TITLES = {"zeros": "zeros", "he": "He", "constant": "0.5"}
CONVEX_EPOCHS = 5


@dataclass(frozen=True)
class ZeroInitConfig(MnistConfig):
    """What to train: 784-100-10 on MNIST from zeros, from one constant and from He.

    Raises:
        InputError: a number out of range, or no number.

    >>> ZeroInitConfig(epochs=10).seeds
    10
    """

    epochs: int = 100
    """Passes over the training images."""
    seeds: int = 10
    """Runs of each scheme of the models without hidden units; those with them have one."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(epochs=1)


@dataclass(frozen=True, eq=False)
class ZeroInitResult(MnistResult):
    """What the experiment measured.

    Attributes:
        config: what was asked for.
        versions: of Python and of the packages that computed it.
        data: `source`, `description` and `comparable` of the images.
        net: the nets with hidden units, from `"zeros"`, `"he"` and `"constant"` (every kernel 0.5).
        units_apart: by scheme, after training, the largest difference between two hidden units'
            weights for the same pixel.
        moved: by scheme and weight, such as `"hidden/kernel"`, the largest distance of an entry
            from where it started.
        frequencies: shares of the classes in the training images, `(10,)`.
        last_bias: of the net from zeros after training, `(10,)`.
        convex: by model without hidden units, zeros against Xavier over the seeds.

    >>> result = run(ZeroInitConfig(seeds=3, epochs=2))  # doctest: +SKIP
    >>> sorted(result.units_apart)  # doctest: +SKIP
    ['constant', 'he', 'zeros']
    """

    experiment: ClassVar[str] = "zero-init"

    config: ZeroInitConfig
    net: Comparison
    units_apart: Mapping[str, float]
    moved: Mapping[str, Mapping[str, float]]
    frequencies: NDArray[np.float64]
    last_bias: NDArray[np.float64]
    convex: Mapping[str, Comparison]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The published accuracy, if ours from zeros is another one."""
        ours = float(self.accuracy("zeros")[-1])
        if not self.data["comparable"] or ours == ZERO_INIT_ACCURACY:
            return ()
        evidence = f"from zeros the accuracy is {ours}, and {ZERO_INIT_ACCURACY} was printed"
        return (
            Finding(
                kind="published number",
                where=("zeros",),
                evidence=evidence,
                numbers={"accuracy": ours},
            ),
        )

    def cost(self, scheme: str) -> NDArray[np.float64]:
        """Returns the mean training cross-entropy of each epoch, in nats, `(epochs,)`."""
        return np.asarray(self.net.values("loss")[self.net.row(scheme), 0])

    def accuracy(self, scheme: str) -> NDArray[np.float64]:
        """Returns the share of the test images classified correctly after each epoch."""
        return decimal(self.net.values("test_accuracy")[self.net.row(scheme), 0])

    def page(self) -> Page:
        """Returns question, recipe, tables, pictures and conclusions."""
        return page(self)


@taking(ZeroInitConfig)
def run(
    config: ZeroInitConfig,
    *,
    report: Say = print,
    on_progress: OnProgress = lambda progress: None,
) -> ZeroInitResult:
    """Trains the nets and the models without hidden units.

    As a `Run` it keeps each finished epoch.
    """
    net_epochs = len(SCHEMES) * config.epochs
    convex_epochs = 2 * config.seeds * min(CONVEX_EPOCHS, config.epochs)
    total = net_epochs + len(CONVEX) * convex_epochs
    with started(ZeroInitResult, config, on_progress) as (versions, listen):
        images = config.load_images(report)
        pixels = images.train_images.shape[1]
        net = compare(
            functools.partial(build, pixels),
            SCHEMES,
            training_data(images, digit),
            seeds=1,
            epochs=config.epochs,
            batch_size=BATCH,
            optimizer="adam",
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
            seed=config.seed,
            keep_weights=True,
            execution=Execution(
                # Two nets for one thread, and the constant, which is last, alone in the other: in
                # the products of several nets at once its equal units might be rounded apart.
                threads=2,
                out=config.state("net"),
                on_progress=part_of(listen, 0, total),
            ),
        )
        convex = {
            name: _regression(
                name, config, images, part_of(listen, net_epochs + number * convex_epochs, total)
            )
            for number, name in enumerate(CONVEX)
        }
    ends = {scheme: net.weights[scheme, 0] for scheme in SCHEMES}
    return ZeroInitResult(
        config,
        versions,
        data=images.provenance(),
        net=net,
        units_apart={scheme: float(np.ptp(end[0], axis=1).max()) for scheme, end in ends.items()},
        moved={scheme: _moved(build(pixels), net, scheme) for scheme in SCHEMES},
        frequencies=np.bincount(images.train_labels, minlength=CLASSES) / len(images.train_labels),
        last_bias=np.asarray(ends["zeros"][3], float),
        convex=convex,
    )


def _regression(
    name: str, config: ZeroInitConfig, images: ImageDataset, on_progress: OnProgress
) -> Comparison:
    """Returns the runs of one of the models without hidden units, from zeros and from Xavier."""
    model = CONVEX[name]
    return compare(
        functools.partial(build_convex, images.train_images.shape[1], model.outputs),
        ["zeros", "xavier"],
        training_data(images, model.target),
        seeds=config.seeds,
        epochs=min(CONVEX_EPOCHS, config.epochs),
        batch_size=BATCH,
        optimizer="adam",
        loss=model.loss,
        metrics=[model.metric()],
        seed=config.seed,
        execution=Execution(out=config.state(name), on_progress=on_progress),
    )


def build(pixels: int) -> keras.Model:
    """Returns the net with hidden units; its outputs are logits."""
    return keras.Sequential(
        [
            keras.Input((pixels,)),
            keras.layers.Dense(UNITS, "relu", name="hidden"),
            keras.layers.Dense(CLASSES, name="output"),
        ]
    )


def _moved(model: keras.Model, net: Comparison, scheme: str) -> dict[str, float]:
    """Returns by weight the largest distance of an entry from where it started."""
    start, end = draw(model, SCHEMES[scheme], net.seed, 0), net.weights[scheme, 0]
    return {
        variable.path.partition("/")[2]: float(np.abs(after - before).max())
        for variable, before, after in zip(model.trainable_variables, start, end, strict=True)
    }


def page(result: ZeroInitResult) -> Page:
    """Returns the page of the experiment."""
    config = result.config
    return Page(
        name=result.experiment,
        title=EXPERIMENT.title,
        question=(
            "Why must the weights of a net with hidden units not start from zeros, or from any one "
            "number, when those of a regression may?"
        ),
        sources=(WHY_NOT_ZERO,),
        recipe=(
            ("model", "784-100-10, ReLU, softmax cross-entropy; every kernel 0, 0.5 or He's"),
            ("data", result.data["description"]),
            (
                "training",
                f"Adam with Keras's defaults, batches of 100, {config.epochs} epochs, one run",
            ),
            (
                "for comparison",
                "softmax, logistic and linear regression, zeros against Xavier, "
                f"{result.convex['softmax'].epochs} epochs, {config.seeds} seeds",
            ),
            ("root seed", str(config.seed)),
        ),
        tables=(_nets(result), _regressions(result)),
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
    published = {"zeros": f"{ZERO_INIT_ACCURACY}"} if result.data["comparable"] else {}
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
        tuple(
            (
                TITLES[scheme],
                f"{result.cost(scheme)[0]:.4f}",
                f"{result.cost(scheme)[-1]:.4f}",
                published.get(scheme, ""),
                f"{result.accuracy(scheme)[-1]:.4f}",
                f"{result.units_apart[scheme]:.3g}",
            )
            for scheme in result.net.schemes
        ),
    )


def _regressions(result: ZeroInitResult) -> Table:
    rows = []
    for model, compared in result.convex.items():
        finals, (difference,) = compared.intervals(), compared.differences()
        rows.append(
            (
                CONVEX[model].title,
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
    cost, accuracy = result.cost("zeros"), result.accuracy("zeros")
    moved = [path for path, distance in result.moved["zeros"].items() if distance > 0]
    frequencies = np.log(result.frequencies)
    gap = np.abs((result.last_bias - result.last_bias.mean()) - (frequencies - frequencies.mean()))
    low, high = accuracy.min(), accuracy.max()
    last = "" if low == high else f" to {high:.4f}, {accuracy[-1]:.4f} last"
    yield (
        f"From zeros the cost is {cost[0]:.4f} in the first epoch and {cost[-1]:.4f} in the last, "
        f"the accuracy after each epoch {low:.4f}{last}."
    )
    yield (
        f"Of its weights only {' and '.join(moved)} moved. The bias ends within {gap.max():.3f} of "
        "the logarithms of the class frequencies: it has learnt how common each digit is."
    )
    if result.units_apart["constant"] == 0:
        yield (
            f"From 0.5 the hidden units are exactly equal after {result.config.epochs} epochs. "
            "They move together, as one unit would, to an accuracy of "
            f"{result.accuracy('constant')[-1]:.4f}; from He it is {result.accuracy('he')[-1]:.4f}."
        )
    for model, compared in result.convex.items():
        finals, (difference,) = compared.intervals(), compared.differences()
        title = CONVEX[model].title.partition(",")[0]
        zeros_win = (difference.interval.mean > 0) == compared.higher_is_better()
        if not difference.interval.low > 0 and not difference.interval.high < 0:
            learns = "as well as"
        else:
            learns = "better than" if zeros_win else "worse than"
        yield (
            f"{title[0].upper()}{title[1:]} learns from zeros {learns} from Xavier: "
            f"{finals['zeros'].mean:.4f} and {finals['xavier'].mean:.4f}."
        )


def _unsupported(result: ZeroInitResult) -> Iterator[str]:
    if not result.data["comparable"]:
        yield f"{NOT_COMPARABLE}: {not_mnist(result.data)}"
    if (apart := result.units_apart["constant"]) > 0:
        yield (
            f"The hidden units that started from 0.5 are {apart:.3g} apart: rounding separated "
            "them, and training drove them on. In exact arithmetic they stay equal."
        )
    else:
        yield (
            "That equal units stay equal on any machine: where arithmetic rounds two of them "
            "differently by a bit, training drives them apart."
        )
    yield "He had one run; how far its seeds scatter is not shown here."
    yield "Equal kernels with different biases, or dropout, break the symmetry too: not tried."
    yield from result.net.notes


def _figure(result: ZeroInitResult) -> "Figure":
    from keras_inits.plots import training_figure  # matplotlib is an extra

    return training_figure(
        {
            TITLES[scheme]: {"cost": result.cost(scheme), "accuracy": result.accuracy(scheme)}
            for scheme in result.net.schemes
        },
        {},
    )


EXPERIMENT = Experiment(
    title="MNIST with everything zero",
    config=ZeroInitConfig,
    result=ZeroInitResult,
    run=run,
    quick={"seeds": 3, "epochs": 2},
    seconds=60,
    what=(
        "784-100-10 on MNIST from zeros, from 0.5 and from He, 100 epochs; softmax, logistic and "
        "linear regression from zeros"
    ),
    published="the article's 11.35 %",
)
