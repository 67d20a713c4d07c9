"""MNIST, random against Xavier: the 20-epoch log of RJ's "DL function" (2019), run again.

The article does not say which network it trained. It is softmax regression: `Dense(10)` on 784
pixels scaled to [0, 1], biases from N(0, 1), plain SGD with learning rate 0.01 on batches of 100.
That recipe gives all 80 of its numbers.
"""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits import _registry
from keras_inits._checks import real
from keras_inits._compare import Comparison, Execution, compare
from keras_inits._compare.data import from_images
from keras_inits._errors import InputError, InputTypeError
from keras_inits._reporting import Finding
from keras_inits._schemes import RandomInit
from keras_inits.experiments._article_log import log_lines, overtaking, spread
from keras_inits.experiments._experiment import (
    NOT_COMPARABLE,
    Experiment,
    ExperimentResult,
    MnistConfig,
    OnProgress,
    Say,
    decimal,
    not_mnist,
    started,
)
from keras_inits.experiments._page import Page, Picture, Table
from keras_inits.experiments._published import (
    DL_FUNCTION,
    MNIST_LOG,
    MNIST_LOG_CLAIMS,
    TrainingLog,
)

if TYPE_CHECKING:  # matplotlib is an extra
    from matplotlib.figure import Figure

CLASSES = 10
SHOWN_EPOCHS = (1, 5, 10, 20)
WITHIN = 3.0  # standard deviations
Metric = Literal["cost", "accuracy"]
METRICS: Mapping[Metric, str] = {"cost": "loss", "accuracy": "test_accuracy"}  # in a comparison


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
    trainer: Literal["auto", "population", "fit"] = "auto"
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
        if not isinstance(self.schemes, tuple | list) or not all(
            isinstance(scheme, str) for scheme in self.schemes
        ):
            raise InputTypeError(f"`schemes` must be names. Received: schemes={self.schemes!r}")
        if not self.schemes or len(set(self.schemes)) < len(self.schemes):
            raise InputError(
                "`schemes` must name one scheme or more, each once. "
                f"Received: schemes={self.schemes}"
            )
        for scheme in self.schemes:
            _registry.get(scheme)


@dataclass(frozen=True, eq=False)
class MnistLogResult(ExperimentResult):
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
    data: Mapping[str, Any]
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
        values = self.comparison.values(METRICS[metric])[self.config.schemes.index(scheme)]
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


def run(
    config: MnistLogConfig,
    *,
    report: Say = print,
    on_progress: OnProgress = lambda progress: None,
) -> MnistLogResult:
    """Trains every scheme with every seed.

    Args:
        config: what to do. With `config.out`, every finished epoch of a population, and every
            finished run of `fit`, is kept there; a later call resumes from it.
        report: takes lines for people about the data.
        on_progress: takes the progress.

    Raises:
        DataError: MNIST could not be had.
        InputError: `config.out` holds runs of another recipe, or of another experiment.
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


def build(pixels: int) -> keras.Model:
    """Returns softmax regression; its outputs are logits, its bias is drawn from N(0, 1)."""
    return keras.Sequential(
        [keras.Input((pixels,)), keras.layers.Dense(CLASSES, bias_initializer=RandomInit())]
    )


def published(scheme: str) -> TrainingLog | None:
    """Returns the article's log of a scheme; None if it has none."""
    wanted = _registry.get(scheme)
    return next((log for name, log in MNIST_LOG.items() if _registry.get(name) == wanted), None)


def distances(result: MnistLogResult) -> dict[tuple[str, Metric], NDArray[np.float64]]:
    """Returns how far each published number lies from the mean of the runs.

    Returns:
        By scheme and metric, one number per epoch: (article - mean) / standard deviation of the
        runs (with n - 1). Empty with one seed, or where the article's numbers do not apply.
    """
    if result.config.seeds < 2 or not result.follows_the_article:
        return {}
    found = {}
    for scheme in result.config.schemes:
        if (log := published(scheme)) is None:
            continue
        for metric in METRICS:
            ours = result.values(scheme, metric)[:, : len(log.cost)]
            theirs = np.array(getattr(log, metric)[: ours.shape[1]])
            found[scheme, metric] = (theirs - ours.mean(axis=0)) / ours.std(axis=0, ddof=1)
    return found


def log_text(result: MnistLogResult) -> str:
    """Returns every run in the article's format, as written to log.txt."""
    text = result.log() + "\n"
    return text if result.data["comparable"] else f"{NOT_COMPARABLE}: {_why(result)}\n\n{text}"


def page(result: MnistLogResult) -> Page:
    """Returns the page of the experiment."""
    config = result.config
    return Page(
        name=result.experiment,
        title=EXPERIMENT.title,
        question=(
            "How many epochs does softmax regression lose if its weights start from N(0, 1) rather "
            "than from Xavier's N(0, 1/784)?"
        ),
        sources=(DL_FUNCTION,),
        recipe=(
            ("model", "Dense(10) on 784 pixels in [0, 1], softmax cross-entropy; bias N(0, 1)"),
            ("data", result.data["description"]),
            (
                "training",
                f"SGD, learning rate {config.learning_rate:g}, batches of {config.batch_size}, "
                f"{config.epochs} epochs, trained by {result.comparison.trainer}",
            ),
            ("seeds", f"{config.seeds} per scheme, from root seed {config.seed}"),
        ),
        tables=tuple(_table(result, scheme) for scheme in config.schemes),
        pictures=(
            Picture(
                "curves.png",
                "Training cost and test accuracy over the epochs: mean and standard deviation of "
                "the seeds as lines and bands"
                + (", the article's numbers as circles" if result.follows_the_article else ""),
                lambda: _figure(result),
            ),
        ),
        supported=tuple(_conclusions(result)),
        unsupported=tuple(_limits(result)),
        log=result.log(seeds=1),
        texts={"log.txt": log_text(result)},
    )


def _conclusions(result: MnistLogResult) -> Iterator[str]:
    if apart := distances(result):
        sizes = np.abs(np.concatenate(list(apart.values())))
        yield (
            f"{int((sizes <= WITHIN).sum())} of {sizes.size} published numbers lie within "
            f"{WITHIN:g} standard deviations of our {result.config.seeds} seeds; the farthest is "
            f"{sizes.max():.1f} away."
        )
    named = {
        name: scheme
        for scheme in result.config.schemes
        for name in MNIST_LOG
        if _registry.get(scheme) == _registry.get(name)
    }
    if len(named) == len(MNIST_LOG):
        yield from _overtaking_sentences(result, named["initkit_random"], named["initkit_xavier"])


def _overtaking_sentences(result: MnistLogResult, random: str, xavier: str) -> Iterator[str]:
    runs = zip(*(result.values(s, m) for s in (random, xavier) for m in METRICS), strict=True)
    ours = np.array(
        [overtaking((cost_r, acc_r), (cost_x, acc_x)) for cost_r, acc_r, cost_x, acc_x in runs]
    )
    logs = [MNIST_LOG[name] for name in ("initkit_random", "initkit_xavier")]
    article = overtaking(*((np.array(log.cost), np.array(log.accuracy)) for log in logs))
    for i, what in enumerate(
        (
            f"{random} reaches the cost of {xavier}'s first epoch at epoch",
            f"{xavier} first beats the best accuracy of {random} at its epoch",
        )
    ):
        sentence = f"{what} {spread(ours[:, i], result.config.epochs)}"
        if result.follows_the_article:
            sentence += f"; the article's log: {article[i]:.0f}, its text: {MNIST_LOG_CLAIMS[i]}"
        yield f"{sentence}."


def _limits(result: MnistLogResult) -> Iterator[str]:
    if not result.follows_the_article:
        yield f"{NOT_COMPARABLE}: {_why(result)}"
    if result.config.seeds == 1:
        yield "With one seed the effect of the scheme cannot be told from that of the draw."
    elif result.config.trainer != "fit":
        yield "All seeds saw the same batches: the spread is that of the initial weights alone."
        yield from result.comparison.notes
    yield (
        "The loss of this model is convex: the schemes differ in the time they take, not in where "
        "they would end. Nothing follows for deep networks."
    )


def _why(result: MnistLogResult) -> str:
    if not result.data["comparable"]:
        return not_mnist(result.data)
    return (
        "it trained with batches of 100 and learning rate 0.01, here "
        f"{result.config.batch_size} and {result.config.learning_rate:g}."
    )


def _table(result: MnistLogResult, scheme: str) -> Table:
    """A row per shown epoch: article, ours, and how far apart they are, for both metrics."""
    several = result.config.seeds > 1
    log = published(scheme) if result.follows_the_article else None
    apart = distances(result)
    seeds = f"{result.config.seeds} seed{'s' if several else ''}"
    columns, rows = ["epoch"], []
    for metric in METRICS:
        if log:
            columns.append(f"{metric}\narticle")
        columns.append(f"{metric}\nours ± sd" if several else f"{metric}\nours")
        if log:
            columns.append("sds\napart" if several else "\ndifference")
    for epoch in (e for e in SHOWN_EPOCHS if e <= result.config.epochs):
        row = [str(epoch)]
        for metric in METRICS:
            ours = result.values(scheme, metric)[:, epoch - 1]
            mean = ours.mean()
            if log:
                row.append(f"{getattr(log, metric)[epoch - 1]:.4f}")
            row.append(f"{mean:.4f}" + (f" ± {ours.std(ddof=1):.4f}" if several else ""))
            if log and several:
                row.append(f"{apart[scheme, metric][epoch - 1]:+.1f}")
            elif log:
                row.append(f"{mean - getattr(log, metric)[epoch - 1]:+.4f}")
        rows.append(tuple(row))
    return Table(f"{scheme}, {seeds}", tuple(columns), tuple(rows))


def _figure(result: MnistLogResult) -> "Figure":
    from keras_inits.plots import training_figure  # matplotlib is an extra

    schemes = result.config.schemes
    ours: dict[str, dict[str, NDArray[Any]]]
    ours = {s: {metric: result.values(s, metric) for metric in METRICS} for s in schemes}
    logs = {s: published(s) for s in schemes} if result.follows_the_article else {}
    return training_figure(
        ours,
        {
            scheme: {metric: getattr(log, metric) for metric in METRICS}
            for scheme, log in logs.items()
            if log
        },
    )


EXPERIMENT = Experiment(
    title="MNIST, random against Xavier",
    config=MnistLogConfig,
    result=MnistLogResult,
    run=run,
    quick={"seeds": 3, "epochs": 2},
    seconds=20,
    what="softmax regression on MNIST from N(0, 1) and from Xavier, 20 epochs, 20 seeds",
    published="the article's log, all 80 numbers",
    side_by_side=lambda config: config.trainer != "fit",
)
