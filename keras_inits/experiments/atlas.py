"""Which start for which net, and does it matter? Ten kinds of nets from six starts each.

What the classics show of one net each, side by side for many: plain and residual, with
normalization and without, recurrent, attention; with SGD and with Adam. The statistics are those of
Agarwal et al. 2021: interquartile means, stratified intervals, performance profiles.
"""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits._checks import choice
from keras_inits._compare import Comparison, Execution, Interval, compare
from keras_inits._compare.aggregates import mean_of_tasks
from keras_inits._errors import InputError
from keras_inits._progress import part_of, weighed
from keras_inits._reporting import Finding
from keras_inits.experiments import _atlas_recipe as recipe
from keras_inits.experiments._atlas_page import MARGIN, page
from keras_inits.experiments._config import MnistConfig, Say
from keras_inits.experiments._experiment import (
    Experiment,
    MnistResult,
    OnProgress,
    started,
    taking,
)
from keras_inits.experiments._page import Page


class Task(NamedTuple):
    """A net that is trained from every start.

    Attributes:
        net: its kind.
        activation: of its hidden layers.
        optimizer: that trains it.
    """

    net: str
    activation: str
    optimizer: str

    def __str__(self) -> str:
        return "/".join(self)


@dataclass(frozen=True)
class AtlasConfig(MnistConfig):
    """What to train: nets with their activations, from every start, by every optimizer.

    Raises:
        InputError: a number out of range, or no number.

    >>> config = AtlasConfig(nets=("mlp-3",), activations=("relu",))
    >>> [str(task) for task in config.tasks()]
    ['mlp-3/relu/sgd', 'mlp-3/relu/adam']
    """

    nets: tuple[str, ...] = tuple(recipe.NETS)
    """Kinds of nets: mlp-3, mlp-10, mlp-30, cnn, cnn-norm, resnet, resnet-norm, rnn, lstm,
    transformer."""
    activations: tuple[str, ...] = ("relu", "tanh", "gelu")
    """Those of the nets' activations that are tried; each net has two or three of them, or one."""
    optimizers: tuple[str, ...] = tuple(recipe.RATES)
    """Optimizers, each with a rate of its own: sgd, adam."""
    images: int = 5000
    """Training images, the first of MNIST's."""
    epochs: int = 2
    """Passes over them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(images=1, epochs=1)
        tried = sorted({name for net in recipe.NETS.values() for name in net.activations})
        choices = {"nets": recipe.NETS, "activations": tried, "optimizers": recipe.RATES}
        for name, known in choices.items():
            self.require_names(name, functools.partial(choice, known=known))
        for net in self.nets:
            if not set(self.activations) & set(recipe.NETS[net].activations):
                raise InputError(
                    f"`activations` must have one of {', '.join(recipe.NETS[net].activations)} "
                    f"for {net}. Received: activations={self.activations}"
                )

    def tasks(self) -> tuple[Task, ...]:
        """Returns what is trained from every start."""
        return tuple(
            Task(net, activation, optimizer)
            for net in self.nets
            for activation in recipe.NETS[net].activations
            if activation in self.activations
            for optimizer in self.optimizers
        )


@dataclass(frozen=True, eq=False)
class AtlasResult(MnistResult):
    """What the experiment measured.

    Attributes:
        config: what was asked for.
        versions: of Python and of the packages that computed it.
        data: `source`, `description` and `comparable` of the images.
        runs: the starts of each task, by its name such as `"mlp-3/relu/sgd"`.

    >>> result = run(AtlasConfig(nets=("mlp-10",), seeds=2, images=1000))  # doctest: +SKIP
    >>> sorted(result.runs)[0]  # doctest: +SKIP
    'mlp-10/gelu/adam'
    """

    experiment: ClassVar[str] = "atlas"
    effort = ("epochs", "images")

    config: AtlasConfig
    runs: Mapping[str, Comparison]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The nets that end worse from `"auto"` than from Keras's own initializers."""
        if not self.follows_the_recipe:
            return ()
        return tuple(
            Finding(
                kind="claim of this library",
                where=task,
                evidence=f'"auto" ends {-found.mean:.3f} of accuracy below Keras\'s own '
                f"initializers (95 % {-found.high:.3f} to {-found.low:.3f})",
                numbers={"difference": found.mean},
            )
            for task, found in self.harm()
        )

    def harm(self) -> Iterator[tuple[Task, Interval]]:
        """Yields the tasks in which `"auto"` ends below Keras's own, with the difference."""
        for task in self.config.tasks():
            found = self.difference("auto", task.optimizer, task.net, task.activation)
            if found.high < -MARGIN:
                yield task, found

    def tasks(
        self, optimizer: str, net: str | None = None, activation: str | None = None
    ) -> tuple[Task, ...]:
        """Returns the tasks of an optimizer; those of a net or an activation alone, if given."""
        return tuple(
            task
            for task in self.config.tasks()
            if task.optimizer == optimizer
            and net in (None, task.net)
            and activation in (None, task.activation)
        )

    def starts(self, net: str | None = None) -> tuple[str, ...]:
        """Returns the labels of the starts that all nets have, or that one kind of net has."""
        return tuple(recipe.STARTS if net is None else recipe.NETS[net].starts())

    def scores(self, start: str, tasks: tuple[Task, ...]) -> NDArray[np.float64]:
        """Returns the test accuracy after the last step, `(tasks, seeds)`.

        A run that diverged has that of always predicting the commonest class.
        """
        return np.stack([np.asarray(row, float) for row in self._scores(start, tasks)])

    def _scores(self, start: str, tasks: tuple[Task, ...]) -> Iterator[NDArray[np.float64]]:
        for task in tasks:
            compared = self.runs[str(task)]
            row = compared.row(start)
            accuracy = compared.final("test_accuracy")[row]
            yield np.where(compared.diverged()[row], compared.chance["test"], accuracy)

    def failed(self, start: str, tasks: tuple[Task, ...]) -> NDArray[np.bool_]:
        """Returns which runs diverged or never left chance, `(tasks, seeds)`."""
        rows = [
            compared.failed()[compared.row(start)]
            for compared in (self.runs[str(task)] for task in tasks)
        ]
        return np.stack(rows)

    def mean(
        self, start: str, optimizer: str, net: str | None = None, activation: str | None = None
    ) -> Interval:
        """Returns the interquartile mean of the accuracy, with its interval.

        Args:
            start: its label.
            optimizer: whose tasks.
            net: a kind of net; all if None.
            activation: of its hidden layers; all if None.
        """
        tasks = self.tasks(optimizer, net, activation)
        return mean_of_tasks(self.scores(start, tasks), seed=self.config.seed)

    def difference(
        self, start: str, optimizer: str, net: str | None = None, activation: str | None = None
    ) -> Interval:
        """Returns by how much that exceeds the one of Keras's own initializers."""
        tasks = self.tasks(optimizer, net, activation)
        return mean_of_tasks(
            self.scores(start, tasks),
            minus=self.scores(recipe.DEFAULT, tasks),
            seed=self.config.seed,
        )

    def page(self) -> Page:
        """Returns question, recipe, tables, pictures and conclusions."""
        return page(self)


@taking(AtlasConfig)
def run(
    config: AtlasConfig,
    *,
    report: Say = print,
    on_progress: OnProgress = lambda progress: None,
) -> AtlasResult:
    """Trains every net from every start with every seed: those of one task side by side.

    As a `Run` it keeps each finished epoch; with more seeds or nets it trains the new ones
    alone. Progress is in epochs times the work of a net.
    """
    tasks = config.tasks()
    works = [
        recipe.NETS[task.net].work
        * len(recipe.NETS[task.net].starts())
        * config.seeds
        * config.epochs
        for task in tasks
    ]
    runs = {}
    with started(AtlasResult, config, on_progress) as (versions, listen):
        images = config.load_images(report)
        data = recipe.training_data(images, config.images)
        side = round(data.x.shape[1] ** 0.5)
        for number, task in enumerate(tasks):
            net = recipe.NETS[task.net]
            tell = part_of(listen, sum(works[:number]), sum(works))
            runs[str(task)] = compare(
                functools.partial(net.build, side, task.activation),
                net.starts(),
                data,
                seeds=config.seeds,
                epochs=config.epochs,
                batch_size=recipe.BATCH,
                optimizer=recipe.optimizer_of(task.optimizer),
                loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                metrics=["accuracy"],
                seed=config.seed,
                execution=Execution(
                    out=config.state("-".join(task)), on_progress=weighed(tell, net.work)
                ),
            )
    return AtlasResult(config, versions, images.provenance(), runs)


EXPERIMENT = Experiment(
    title=recipe.TITLE,
    config=AtlasConfig,
    result=AtlasResult,
    run=run,
    quick={"nets": ("mlp-10",), "seeds": 2, "images": 1000},
    seconds=3600,
    what=(
        "ten kinds of nets on 5,000 small MNIST images, with SGD and Adam, from Keras's own "
        'initializers, He, LeCun, orthogonal, "auto", `calibrate` and recipes, 2 epochs, 20 seeds'
    ),
    published="nothing: which start for which net, and whether it matters",
)
