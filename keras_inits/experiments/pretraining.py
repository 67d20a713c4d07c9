"""Pre-training against random starts: a net of five sigmoid layers on MNIST.

Denoising autoencoders, layer by layer (Bengio et al. 2007, Vincent et al. 2008, Erhan et al. 2010),
against the random starts of Glorot & Bengio 2010: what each brings, and what it costs.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits._compare import Comparison, Execution, GivenWeights, compare
from keras_inits._compare.data import TrainingData
from keras_inits._compare.statistics import median_epoch
from keras_inits._progress import Clock, part_of
from keras_inits._reporting import Finding
from keras_inits.datasets import ImageDataset
from keras_inits.experiments import _sigmoid_nets as nets
from keras_inits.experiments._config import MnistConfig, Say
from keras_inits.experiments._deep_nets import laws_of
from keras_inits.experiments._experiment import (
    Experiment,
    MnistResult,
    OnProgress,
    started,
    taking,
)
from keras_inits.experiments._page import Page
from keras_inits.experiments._pretraining_page import page
from keras_inits.experiments._published import PRETRAINING_CLAIMS


@dataclass(frozen=True)
class PretrainingConfig(MnistConfig):
    """What to train: five sigmoid layers from three random starts and from pre-training.

    Raises:
        InputError: a number out of range, or no number.

    >>> PretrainingConfig(seeds=2).pretraining_epochs
    8
    """

    seeds: int = 5
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
class PretrainingResult(MnistResult):
    """What the experiment measured.

    Attributes:
        config: what was asked for.
        versions: of Python and of the packages that computed it.
        data: `source`, `description` and `comparable` of the images.
        many: the four starts, trained with all labels.
        few: the same, trained with some labels of each class.
        errors: mean squared reconstruction error after pre-training, `(seeds, hidden layers)`.
        seconds: processor seconds of the pre-training of each seed, `(seeds,)`.
        epoch_seconds: those of an epoch with all labels, of one net that is trained alone.

    >>> config = PretrainingConfig(seeds=2, epochs=2, images=2000, pretraining_epochs=2)
    >>> result = run(config)  # doctest: +SKIP
    >>> result.errors.shape  # doctest: +SKIP
    (2, 5)
    """

    experiment: ClassVar[str] = "pretraining"
    effort = ("epochs", "images", "pretraining_epochs")

    config: PretrainingConfig
    many: Comparison
    few: Comparison
    errors: NDArray[np.float64]
    seconds: NDArray[np.float64]
    epoch_seconds: float

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the papers say and the seeds do not show."""
        if not self.follows_the_recipe:
            return ()
        return tuple(
            Finding(
                kind="published claim",
                where=(nets.TITLES[scheme],),
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
            scheme: one of the starts, such as `"pretrained"`.
            few: whether with few labels.
        """
        compared = self.few if few else self.many
        return np.asarray(compared.values("test_accuracy")[compared.row(scheme)])

    def stuck(self, scheme: str) -> int:
        """Returns how many runs with all labels never left chance."""
        never = self.many.stuck()
        return 0 if never is None else int(never[self.many.row(scheme)].sum())

    def epochs_to_target(self, scheme: str) -> NDArray[np.float64]:
        """Returns the epochs until the target, `(seeds,)`; infinity where it was not reached."""
        reached = self.many.epochs_to(nets.TARGET, "test_accuracy")
        return np.asarray(reached[self.many.row(scheme)])

    def cost(self, scheme: str) -> float:
        """Returns the processor seconds until the target, pre-training included; the median."""
        before = self.seconds if scheme == nets.PRETRAINED else np.zeros_like(self.seconds)
        return median_epoch(before + self.epochs_to_target(scheme) * self.epoch_seconds)

    def page(self) -> Page:
        """Returns question, recipe, tables, pictures and conclusions."""
        return page(self)


@taking(PretrainingConfig)
def run(
    config: PretrainingConfig,
    *,
    report: Say = print,
    on_progress: OnProgress = lambda progress: None,
) -> PretrainingResult:
    """Pre-trains a net for each seed, and trains it and three random starts, twice.

    As a `Run` it keeps each net that is pre-trained, and each finished epoch. Progress is in
    epochs of a layer or of a net.
    """
    before = config.seeds * nets.HIDDEN * config.pretraining_epochs
    once = len(nets.TITLES) * config.seeds * config.epochs
    total = before + 2 * once
    with started(PretrainingResult, config, on_progress) as (versions, listen):
        images = config.load_images(report)
        data = _data(images, np.arange(min(config.images, len(images.train_images))))
        found = _pre_trained(config, data, part_of(listen, 0, total))
        folder = config.state("seconds")
        seconds = nets.epoch_seconds(
            data.x, data.y, None if folder is None else folder / "epoch.json"
        )
        some = nets.some_a_class(data.y, config.labels_per_class)
        schemes = _schemes(config, data, found)
        trained = functools.partial(_trained, config, schemes)
        many = trained("many", data, None, part_of(listen, before, total))
        few = trained("few", _data(images, some), nets.STEPS, part_of(listen, before + once, total))
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


def _schemes(
    config: PretrainingConfig, data: TrainingData, found: Sequence[nets.PreTrained]
) -> dict[str, Any]:
    """Returns the random starts, and the nets that were pre-trained, by label."""
    pixels, weights = data.x.shape[1], [net.weights for net in found]
    laws = {scheme: laws_of(nets.build(pixels, scheme), config.seed) for scheme in nets.LAWS}
    return {**laws, nets.PRETRAINED: GivenWeights(functools.partial(nets.given, weights))}


def _trained(
    config: PretrainingConfig,
    schemes: Mapping[str, Any],
    name: str,
    data: TrainingData,
    steps: int | None,
    on_progress: OnProgress,
) -> Comparison:
    """Returns all runs on labelled images.

    Args:
        config: of the experiment.
        schemes: what the nets start from, by label.
        name: of the folder that keeps these runs until they are finished.
        data: the images.
        steps: batches of an epoch; None for all images once.
        on_progress: takes the progress.
    """
    return compare(
        functools.partial(nets.build, data.x.shape[1]),
        schemes,
        data,
        seeds=config.seeds,
        epochs=config.epochs,
        steps_per_epoch=steps,
        batch_size=nets.BATCH,
        optimizer=keras.optimizers.SGD(nets.LEARNING_RATE),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        seed=config.seed,
        execution=Execution(out=config.state(name), on_progress=on_progress),
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

        def tell(done: int, before: int = seed * per_net) -> None:
            clock.tell(before + done)

        found.append(
            nets.pre_trained(
                data.x,
                epochs=config.pretraining_epochs,
                root=config.seed,
                seed=seed,
                file=None if folder is None else folder / f"seed-{seed}.npz",
                settings=settings,
                tell=tell,
            )
        )
        clock.tell((seed + 1) * per_net)
    return found


EXPERIMENT = Experiment(
    title=nets.TITLE,
    config=PretrainingConfig,
    result=PretrainingResult,
    run=run,
    quick={"seeds": 2, "epochs": 2, "images": 2000, "pretraining_epochs": 2},
    seconds=400,
    what=(
        "five sigmoid layers on 10,000 MNIST images from three random starts and pre-trained as "
        "denoising autoencoders, 20 epochs, 5 seeds; with 100 labels a class, too"
    ),
    published="what the papers say: stuck from random weights, not when pre-trained",
)
