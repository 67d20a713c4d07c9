"""MNIST, random against Xavier: the 20-epoch log of RJ's "DL function" (2019), run again.

The article does not say which network it trained. It is softmax regression: `Dense(10)` on 784
pixels scaled to [0, 1], biases from N(0, 1), plain SGD with learning rate 0.01 on batches of 100.
That recipe gives all 80 of its numbers.
"""

import functools
from dataclasses import dataclass
from typing import Any, ClassVar, get_args

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits import _registry
from keras_inits._checks import choice, instance, position, real
from keras_inits._compare import Comparison, Execution, compare
from keras_inits._compare.data import from_images
from keras_inits._compare.execution import Trainer
from keras_inits._reporting import Finding
from keras_inits._schemes import RandomInit
from keras_inits.experiments._article_log import METRICS, WITHIN, Metric, distances, log_lines
from keras_inits.experiments._config import MnistConfig, Say
from keras_inits.experiments._experiment import (
    Experiment,
    MnistResult,
    OnProgress,
    decimal,
    started,
    taking,
)
from keras_inits.experiments._mnist_log_page import TITLE, page
from keras_inits.experiments._page import Page

CLASSES = 10


@dataclass(frozen=True)
class MnistLogConfig(MnistConfig):
    """What to train: softmax regression on MNIST, once for each scheme and seed.

    Raises:
        InputError: a number out of range, or no number.

    >>> MnistLogConfig(schemes=("he", "random"), seeds=3).learning_rate
    0.01
    """

    schemes: tuple[str, ...] = ("random", "xavier")
    """Initializers of the kernel: any registered name; `initkit_` may be left out."""
    seeds: int = 20
    """Runs of each scheme; run k of every scheme has the same batches and biases."""
    trainer: Trainer = "auto"
    """population: all runs side by side, on the first seed's batches. fit: one by one by Keras's
    `fit`, each seed on batches of its own. auto: population where the model allows it."""
    epochs: int = 20
    """Passes over the training images."""
    batch_size: int = 100
    """Images per step."""
    learning_rate: float = 0.01
    """Step size of plain SGD."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(epochs=1, batch_size=1)
        real("learning_rate", self.learning_rate, above=0)
        choice("trainer", self.trainer, get_args(Trainer))
        self.require_names("schemes", _refuse_unknown)


@dataclass(frozen=True, eq=False)
class MnistLogResult(MnistResult):
    """What the experiment measured.

    Attributes:
        config: what was asked for.
        versions: of Python and of the packages that computed it.
        data: `source`, `description` and `comparable` of the images.
        comparison: the runs.

    >>> result = run(MnistLogConfig(seeds=3, epochs=2))  # doctest: +SKIP
    >>> result.comparison.final("loss").shape  # doctest: +SKIP
    (2, 3)
    """

    experiment: ClassVar[str] = "mnist-log"

    config: MnistLogConfig
    comparison: Comparison

    @property
    def follows_the_article(self) -> bool:
        """Whether data and recipe are the article's, so that its numbers can be compared."""
        return bool(self.data["comparable"]) and all(
            getattr(self.config, name) == getattr(MnistLogConfig, name)
            for name in ("batch_size", "learning_rate")
        )

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The published numbers that our seeds do not give."""
        return tuple(
            Finding(
                kind="published number",
                where=(scheme,),
                evidence=f"{metric} of epoch {epoch} lies {apart:+.1f} standard deviations from "
                f"the mean of {self.config.seeds} seeds (limit {WITHIN:g})",
                numbers={"epoch": epoch, "standard deviations": float(apart)},
            )
            for (scheme, metric), values in distances(self).items()
            for epoch, apart in enumerate(values, 1)
            if not abs(apart) <= WITHIN
        )

    def values(self, scheme: str, metric: Metric) -> NDArray[np.float64]:
        """Returns a metric of all runs of a scheme, `(seeds, epochs)`.

        Args:
            scheme: as the configuration names it.
            metric: `"cost"`, the mean training cross-entropy of each epoch as the weights move, in
                nats, or `"accuracy"`, the share of the test images classified correctly after it.
        """
        values = self.comparison.values(METRICS[choice("metric", metric, METRICS)])[
            position("scheme", scheme, self.config.schemes)
        ]
        return decimal(values) if metric == "accuracy" else values

    def log(self, seeds: int | None = None) -> str:
        """Returns the runs in the article's format.

        Args:
            seeds: how many, from the first; all if None.
        """
        return "\n\n".join(
            log_lines(scheme, seed, self.values(scheme, "cost")[k], accuracy[k])
            for k, seed in enumerate(self.comparison.seeds[:seeds])
            for scheme in self.config.schemes
            for accuracy in [self.values(scheme, "accuracy")]
        )

    def page(self) -> Page:
        """Returns question, recipe, tables, pictures and conclusions."""
        return page(self)


@taking(MnistLogConfig)
def run(
    config: MnistLogConfig,
    *,
    report: Say = print,
    on_progress: OnProgress = lambda progress: None,
) -> MnistLogResult:
    """Trains every scheme with every seed.

    As a `Run` it keeps each finished epoch of a population, and each finished run of `fit`.
    """
    with started(MnistLogResult, config, on_progress) as (versions, listen):
        images = config.load_images(report)
        data = from_images(images, None)
        compared = compare(
            functools.partial(build, data.x.shape[1]),
            config.schemes,
            data,
            seeds=config.seeds,
            epochs=config.epochs,
            batch_size=config.batch_size,
            optimizer=keras.optimizers.SGD(config.learning_rate),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
            seed=config.seed,
            batches="own" if config.trainer == "fit" else "shared",
            execution=Execution(
                trainer=config.trainer,
                out=None if config.out is None else config.out / "state",
                on_progress=listen,
            ),
        )
    return MnistLogResult(config, versions, images.provenance(), compared)


def _refuse_unknown(field: str, scheme: Any) -> None:
    _registry.get(instance(field, scheme, str, "a sequence of names"))


def build(pixels: int) -> keras.Model:
    """Returns softmax regression; its outputs are logits, its bias is drawn from N(0, 1)."""
    return keras.Sequential(
        [keras.Input((pixels,)), keras.layers.Dense(CLASSES, bias_initializer=RandomInit())]
    )


EXPERIMENT = Experiment(
    title=TITLE,
    config=MnistLogConfig,
    result=MnistLogResult,
    run=run,
    quick={"seeds": 3, "epochs": 2},
    seconds=20,
    what="softmax regression on MNIST from N(0, 1) and from Xavier, 20 epochs, 20 seeds",
    published="the article's log, all 80 numbers",
    side_by_side=lambda config: config.trainer != "fit",
)
