"""Pre-training against random starts: a net of five sigmoid layers on MNIST.

Denoising autoencoders, layer by layer (Bengio et al. 2007, Vincent et al. 2008, Erhan et al. 2010),
against the random starts of Glorot & Bengio 2010: what each brings, and what it costs.
"""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits._compare import Comparison, Execution, GivenWeights, compare, mean_interval
from keras_inits._compare.data import TrainingData
from keras_inits._compare.statistics import median_epoch
from keras_inits._compare.words import difference_sentence, epochs_text, interval_text
from keras_inits._progress import Clock, part_of
from keras_inits._reporting import Finding
from keras_inits.datasets import ImageDataset, load_mnist
from keras_inits.experiments import _sigmoid_nets as nets
from keras_inits.experiments._deep_nets import laws_of
from keras_inits.experiments._experiment import (
    NOT_COMPARABLE,
    Experiment,
    ExperimentResult,
    MnistConfig,
    OnProgress,
    Say,
    not_mnist,
    started,
)
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

PRETRAINED = "pretrained"
TITLES = {
    "standard": "standard",
    "glorot": "Glorot",
    "glorot_4": "Glorot × 4",
    PRETRAINED: "pre-trained",
}
TARGET = 0.90  # test accuracy whose cost is reported
STEPS = 100  # between two measurements, with few labels: one epoch of 10,000 images


@dataclass(frozen=True)
class PretrainingConfig(MnistConfig):
    """What to train: five sigmoid layers from three random starts and from pre-training."""

    seeds: int = 8
    """Runs of each start, each with a pre-training of its own."""
    epochs: int = 20
    """Passes over the labelled images; with few labels as many times 100 steps."""
    images: int = 10_000
    """Images, the first of MNIST's: for pre-training without, for training with their labels."""
    labels_per_class: int = 100
    """Labelled images of each class in the second comparison."""
    pretraining_epochs: int = 8
    """Passes of each layer over the images without labels."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(epochs=1, images=1, labels_per_class=1, pretraining_epochs=1)


@dataclass(frozen=True, eq=False)
class PretrainingResult(ExperimentResult):
    """What the experiment measured.

    Attributes:
        config: what was asked for.
        versions: of Python and of the packages that computed it.
        data: `source`, `description` and `comparable` of the images.
        many: the four starts, trained with all labels.
        few: the same, trained with some labels of each class.
        errors: mean squared reconstruction error after pre-training, `(seeds, hidden layers)`.
        seconds: what the pre-training of each seed took, `(seeds,)`.
        epoch_seconds: what an epoch with all labels takes one net that is trained alone.
    """

    experiment: ClassVar[str] = "pretraining"

    config: PretrainingConfig
    data: Mapping[str, Any]
    many: Comparison
    few: Comparison
    errors: NDArray[np.float64]
    seconds: NDArray[np.float64]
    epoch_seconds: float

    @property
    def follows_the_recipe(self) -> bool:
        """Whether images and effort are those with which the claims show."""
        config = self.config
        least = ("epochs", "images", "pretraining_epochs")
        enough = all(getattr(config, n) >= getattr(PretrainingConfig, n) for n in least)
        return enough and bool(self.data["comparable"])

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the papers say and the seeds do not show."""
        if not self.follows_the_recipe:
            return ()
        return tuple(
            Finding(
                kind="published claim",
                where=(TITLES[scheme],),
                evidence=f"it {claim}, say the papers; {stuck} of {self.config.seeds} runs never "
                "left chance",
                numbers={"never left chance": stuck},
            )
            for scheme, claim in PRETRAINING_CLAIMS.items()
            for stuck in [self.stuck(scheme)]
            if stuck != (0 if claim == "learns" else self.config.seeds)
        )

    def accuracy(self, scheme: str, *, few: bool = False) -> NDArray[np.float64]:
        """Returns the test accuracy of all runs, `(seeds, epochs)`.

        Args:
            scheme: a key of `TITLES`.
            few: whether with few labels.
        """
        compared = self.few if few else self.many
        return np.asarray(compared.values("test_accuracy")[compared.schemes.index(scheme)])

    def stuck(self, scheme: str) -> int:
        """Returns how many runs with all labels never left chance."""
        never = self.many.stuck()
        return 0 if never is None else int(never[self.many.schemes.index(scheme)].sum())

    def epochs_to_target(self, scheme: str) -> NDArray[np.float64]:
        """Returns the epochs until the target, `(seeds,)`; infinity where it was not reached."""
        reached = self.many.epochs_to(TARGET, "test_accuracy")
        return np.asarray(reached[self.many.schemes.index(scheme)])

    def cost(self, scheme: str) -> float:
        """Returns the seconds until the target, pre-training included; the median of the seeds."""
        before = self.seconds if scheme == PRETRAINED else np.zeros_like(self.seconds)
        return median_epoch(before + self.epochs_to_target(scheme) * self.epoch_seconds)

    def page(self) -> Page:
        """Returns question, recipe, tables, pictures and conclusions."""
        return page(self)


def run(
    config: PretrainingConfig,
    *,
    report: Say = print,
    on_progress: OnProgress = lambda progress: None,
) -> PretrainingResult:
    """Pre-trains a net for each seed, and trains it and three random starts, twice.

    Args:
        config: what to do. With `config.out`, each net that is pre-trained and each finished epoch
            is kept there, and a later call resumes from it.
        report: takes lines for people about the data.
        on_progress: takes the progress, in epochs of a layer or of a net.

    Raises:
        DataError: MNIST could not be had.
        InputError: `config.out` holds runs of another recipe, or of another experiment.
    """
    before = config.seeds * nets.HIDDEN * config.pretraining_epochs
    once = len(TITLES) * config.seeds * config.epochs
    total = before + 2 * once
    with started(PretrainingResult, config, on_progress) as (versions, listen):
        images = load_mnist(config.source, config.data_dir, report=report)
        report(images.description)
        data = _data(images, np.arange(min(config.images, len(images.train_images))))
        found = _pre_trained(config, data, part_of(listen, 0, total))
        schemes = {
            scheme: laws_of(nets.build(data.x.shape[1], scheme), config.seed)
            for scheme in nets.LAWS
        } | {
            PRETRAINED: GivenWeights(functools.partial(nets.given, [net.weights for net in found]))
        }
        folder = config.state("seconds")
        seconds = nets.epoch_seconds(
            data.x, data.y, None if folder is None else folder / "epoch.json"
        )
        some = nets.some_a_class(data.y, config.labels_per_class)
        many, few = (
            compare(
                functools.partial(nets.build, data.x.shape[1]),
                schemes,
                labelled,
                seeds=config.seeds,
                epochs=config.epochs,
                steps_per_epoch=steps,
                batch_size=nets.BATCH,
                optimizer=keras.optimizers.SGD(nets.LEARNING_RATE),
                loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                metrics=["accuracy"],
                seed=config.seed,
                execution=Execution(
                    out=config.state(name),
                    on_progress=part_of(listen, before + number * once, total),
                ),
            )
            for number, (name, labelled, steps) in enumerate(
                [("many", data, None), ("few", _data(images, some), STEPS)]
            )
        )
    return PretrainingResult(
        config,
        versions,
        data=images.provenance(),
        many=many,
        few=few,
        errors=np.stack([net.errors for net in found]),
        seconds=np.array([net.seconds for net in found]),
        epoch_seconds=seconds,
    )


def _data(images: ImageDataset, rows: NDArray[np.int64]) -> TrainingData:
    return TrainingData(
        images.train_images[rows],
        images.train_labels[rows],
        {"test": (images.test_images, images.test_labels)},
        images.description,
    )


def _pre_trained(
    config: PretrainingConfig, data: TrainingData, listen: OnProgress
) -> list[nets.PreTrained]:
    """Returns a pre-trained net for each seed."""
    per_net = nets.HIDDEN * config.pretraining_epochs
    clock = Clock(0, config.seeds * per_net, listen)
    folder = config.state("pretrained")
    settings = {"seed": config.seed, "epochs": config.pretraining_epochs, "data": data.digest()}
    found = []
    for seed in range(config.seeds):
        found.append(
            nets.pre_trained(
                data.x,
                epochs=config.pretraining_epochs,
                root=config.seed,
                seed=seed,
                file=None if folder is None else folder / f"seed-{seed}.npz",
                settings=settings,
                tell=lambda done, seed=seed: clock.tell(seed * per_net + done),
            )
        )
        clock.tell((seed + 1) * per_net)
    return found


def page(result: PretrainingResult) -> Page:
    """Returns the page of the experiment."""
    config = result.config
    return Page(
        name=result.experiment,
        title=EXPERIMENT.title,
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
                f"with {config.labels_per_class} labels a class as many times {STEPS} steps",
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


def _epochs(result: PretrainingResult) -> Table:
    epochs, several = result.config.epochs, result.config.seeds > 1
    shown = [epoch for epoch in (1, 5, 10, 20) if epoch <= epochs]

    def cell(values: NDArray[np.float64]) -> str:
        return f"{values.mean():.3f}" + (f" ± {values.std(ddof=1):.3f}" if several else "")

    rows = []
    for scheme, title in TITLES.items():
        accuracy = result.accuracy(scheme)
        cells = (cell(accuracy[:, epoch - 1]) for epoch in shown)
        rows.append((title, PRETRAINING_CLAIMS.get(scheme, ""), *cells))
    return Table(
        "Test accuracy after epochs" + (", mean ± standard deviation" if several else ""),
        ("start", "the papers", *map(str, shown)),
        tuple(rows),
    )


def _costs(result: PretrainingResult) -> Table:
    rows = []
    for scheme, title in TITLES.items():
        cost = result.cost(scheme)
        before = mean_interval(result.seconds, result.config.seed)
        rows.append(
            (
                title,
                interval_text(before, "{:.1f}".format) if scheme == PRETRAINED else "0",
                epochs_text(result.epochs_to_target(scheme), result.config.epochs),
                f"{cost:.1f}" if np.isfinite(cost) else "not reached",
                f"{result.stuck(scheme)} of {result.config.seeds}",
            )
        )
    return Table(
        f"What {TARGET:.2f} costs; an epoch takes {result.epoch_seconds:.2f} s",
        (
            "start",
            "seconds before\n[95 % interval]",
            f"epochs to {TARGET:.2f}",
            f"seconds to {TARGET:.2f}",
            "never left\nchance",
        ),
        tuple(rows),
    )


def _labels(result: PretrainingResult) -> Table:
    finals = [compared.intervals("test_accuracy") for compared in (result.many, result.few)]
    return Table(
        "Test accuracy in the end, mean [95 % interval]",
        ("start", "all labels", f"{result.config.labels_per_class} labels a class"),
        tuple(
            (title, *(interval_text(final[scheme], "{:.4f}".format) for final in finals))
            for scheme, title in TITLES.items()
        ),
    )


def _supported(result: PretrainingResult) -> Iterator[str]:
    first = {scheme: result.accuracy(scheme)[:, 0].mean() for scheme in TITLES}
    yield (
        f"After one epoch the pre-trained net is at {first[PRETRAINED]:.3f}, Glorot × 4 at "
        f"{first['glorot_4']:.3f}. Of standard and Glorot, {result.stuck('standard')} and "
        f"{result.stuck('glorot')} of {result.config.seeds} runs never leave chance."
    )
    errors = ", ".join(f"{error:.3f}" for error in result.errors.mean(axis=0))
    yield f"The layers' reconstruction errors after pre-training: {errors} (mean squared)."
    if result.config.seeds > 1:
        for what, compared in (
            ("all labels", result.many),
            (f"{result.config.labels_per_class} labels a class", result.few),
        ):
            wanted = {"glorot_4", PRETRAINED}
            (difference,) = (
                d for d in compared.differences("test_accuracy") if {d.a, d.b} == wanted
            )
            yield f"With {what}: {difference_sentence(difference, higher_is_better=True)}"
    ours, theirs = result.cost(PRETRAINED), result.cost("glorot_4")
    if np.isfinite(ours) and np.isfinite(theirs):
        faster = "sooner" if ours < theirs else "later"
        yield (
            f"In seconds the pre-trained net is at {TARGET:.2f} {faster} than Glorot × 4: "
            f"{ours:.1f} s and {theirs:.1f} s, pre-training included."
        )


def _unsupported(result: PretrainingResult) -> Iterator[str]:
    if not result.data["comparable"]:
        yield f"{NOT_COMPARABLE}: {not_mnist(result.data)}"
    yield from (f"{finding}." for finding in result.findings)
    yield (
        "That pre-training is needed: ReLU and its kind, Adam or normalization train such nets "
        "from random weights; none of them was tried here."
    )
    yield "The seconds on another machine, and those of nets trained side by side."
    yield (
        "That standard and Glorot would stay at chance with more epochs: Glorot & Bengio see such "
        "nets leave it after a hundred."
    )
    yield "All seeds saw the same batches: the intervals cover weights and pre-training alone."
    yield from dict.fromkeys((*result.many.notes, *result.few.notes))


def _figure(result: PretrainingResult) -> "Figure":
    from matplotlib.figure import Figure

    from keras_inits.plots import plot_training_curves

    figure = Figure(figsize=(10, 3.8), layout="constrained")
    for ax, few in zip(figure.subplots(1, 2), (False, True), strict=True):
        plot_training_curves(
            {title: result.accuracy(scheme, few=few) for scheme, title in TITLES.items()},
            ylabel="test accuracy",
            xlabel=f"steps (× {STEPS})" if few else "epoch",
            ylim=(0, 1),
            ax=ax,
        )
        labels = f"{result.config.labels_per_class} labels a class" if few else "all labels"
        ax.set_title(labels, fontsize=10)
    return figure


EXPERIMENT = Experiment(
    title="Pre-training against random starts",
    config=PretrainingConfig,
    result=PretrainingResult,
    run=run,
    quick={"seeds": 2, "epochs": 2, "images": 2000, "pretraining_epochs": 2},
    seconds=400,
    what=(
        "five sigmoid layers on 10,000 MNIST images from three random starts and pre-trained as "
        "denoising autoencoders, 20 epochs, 8 seeds; with 100 labels a class, too"
    ),
    published="what the papers say: stuck from random weights, not when pre-trained",
)
