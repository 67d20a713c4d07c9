"""Two circles: zeros, random × 10, random × 0.01, Xavier and He on a net of 2-10-5-1.

"Random initialization for neural networks: a thing of the past" (Towards Data Science) prints one
draw of NumPy's legacy generator; "2-1 Initialization" (2018) has the program. It is run here from
the same weights, and next to it the same schemes over many seeds.
"""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits._compare import Comparison, Execution, GivenWeights, compare
from keras_inits._compare.starts import labelled
from keras_inits._compare.weights import draw
from keras_inits._errors import InputError
from keras_inits._progress import part_of
from keras_inits._reporting import Finding
from keras_inits.experiments import _circles_recipe as recipe
from keras_inits.experiments._circles_page import page
from keras_inits.experiments._circles_recipe import SCALES, Floats, Points
from keras_inits.experiments._config import Say, SeededConfig
from keras_inits.experiments._experiment import (
    Experiment,
    ExperimentResult,
    OnProgress,
    started,
    taking,
)
from keras_inits.experiments._page import Page
from keras_inits.experiments._published import CIRCLES, rounds_to


@dataclass(frozen=True)
class CirclesConfig(SeededConfig):
    """What to train: 2-10-5-1 on two noisy circles, once for each scheme and seed.

    Raises:
        InputError: a number out of range, or no number.

    >>> CirclesConfig(seeds=3).iterations
    15000
    """

    seeds: int = 20
    """Runs of each scheme, besides the published draw."""
    iterations: int = 15_000
    """Steps of full-batch gradient descent; a multiple of 1,000."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(iterations=1)
        if self.iterations % recipe.RECORDED_EVERY:
            raise InputError(
                f"`iterations` must be a multiple of {recipe.RECORDED_EVERY}, the distance between "
                f"two recorded costs. Received: iterations={self.iterations}"
            )


@dataclass(frozen=True, eq=False)
class CirclesResult(ExperimentResult):
    """What the experiment measured.

    Attributes:
        config, versions: what was asked for, and what computed it.
        published: the runs from the published draw, one per scheme.
        seeded: the runs from many seeds.
        published_start: cost of the published draw before the first step, `(schemes,)`.
        seeded_start: the same of the seeds, `(schemes, seeds)`.
        points: `(points, 2)` and labels `(points,)` that were trained on.
        weights: by scheme, those that the net from the published draw ends with.

    >>> result = run(CirclesConfig(seeds=3, iterations=2000))  # doctest: +SKIP
    >>> result.seeded.final("loss").shape  # doctest: +SKIP
    (5, 3)
    """

    experiment: ClassVar[str] = "circles"

    config: CirclesConfig
    published: Comparison
    seeded: Comparison
    published_start: NDArray[np.float64]
    seeded_start: NDArray[np.float64]
    points: tuple[NDArray[np.float64], NDArray[np.int64]]
    weights: Mapping[str, tuple[NDArray[np.float64], ...]]

    @property
    def schemes(self) -> tuple[str, ...]:
        """Names of the schemes."""
        return self.seeded.schemes

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The published numbers that do not come out of the published draw."""
        return tuple(
            Finding(
                kind="published number",
                where=(scheme,),
                evidence=f"its {what} is {ours:.6f}, and {printed} was printed",
                numbers={what: ours},
            )
            for scheme, what, printed, ours in self.printed()
            if not rounds_to(ours, printed)
        )

    def costs(self, scheme: str) -> NDArray[np.float64]:
        """Returns the training cost of the seeds, `(seeds, records)`, in nats.

        It is recorded at iteration 0, 1,000, ...; as in the article, the last record is 1,000
        iterations before the end.
        """
        i = self.seeded.row(scheme)
        later = self.seeded.values("train_crossentropy")[i, :, :-1]
        return np.concatenate([self.seeded_start[i][:, None], later], axis=1)

    def published_costs(self, scheme: str) -> NDArray[np.float64]:
        """Returns the training cost of the published draw, `(records,)`, in nats."""
        i = self.seeded.row(scheme)
        later = self.published.values("train_crossentropy")[i, 0, :-1]
        return np.concatenate([self.published_start[i][None], later])

    def accuracy(self, scheme: str, on: Literal["train", "test"] = "test") -> NDArray[np.float64]:
        """Returns the accuracy of the seeds in the end, `(seeds,)`."""
        return np.asarray(self.seeded.final(f"{on}_accuracy")[self.seeded.row(scheme)])

    def published_accuracy(self, scheme: str, on: Literal["train", "test"] = "test") -> float:
        """Returns the accuracy of the published draw in the end."""
        return float(self.published.final(f"{on}_accuracy")[self.published.row(scheme), 0])

    def printed(self) -> Iterator[tuple[str, str, str, float]]:
        """Yields scheme, quantity, printed number and ours, if the recipe is the article's.

        The article does not say on which points it measured. Its accuracy of random × 10 is that of
        the training points, its accuracy of He that of the test points; that of zeros is the same
        on both.
        """
        if self.config.iterations != CirclesConfig.iterations:
            return
        for scheme, (printed_cost, printed_accuracy) in CIRCLES.items():
            yield scheme, "cost", printed_cost, float(self.published_costs(scheme)[-1])
            on: Literal["train", "test"] = "train" if scheme == "random_large" else "test"
            yield scheme, "accuracy", printed_accuracy, self.published_accuracy(scheme, on)

    def page(self) -> Page:
        """Returns question, recipe, tables, pictures and conclusions."""
        return page(self)


@taking(CirclesConfig)
def run(
    config: CirclesConfig,
    *,
    report: Say = print,
    on_progress: OnProgress = lambda progress: None,
) -> CirclesResult:
    """Trains every scheme from the published draw and from every seed.

    As a `Run` it keeps each finished block of 1,000 iterations.
    """
    drawn = labelled(list(SCALES))
    once = len(SCALES) * (config.iterations // recipe.RECORDED_EVERY)
    total = once * (1 + config.seeds)
    with started(
        CirclesResult,
        config,
        on_progress,
        needs_tensorflow=recipe.NEEDS_TENSORFLOW,
    ) as (versions, listen):
        train, test = recipe.points(1, 300), recipe.points(2, 100)
        report(f"Two circles, noise 0.05: {len(train[1])} training and {len(test[1])} test points")
        published = _from_published_draw(config, part_of(listen, 0, total))
        seeded = _trained(
            config,
            drawn,
            seeds=config.seeds,
            execution=Execution(
                out=config.state("seeds"), on_progress=part_of(listen, once, total)
            ),
        )
    return CirclesResult(
        config,
        versions,
        published,
        seeded,
        published_start=_starts(_given(), train, published)[:, 0],
        seeded_start=_starts(drawn, train, seeded),
        points=train,
        weights={scheme: published.weights[scheme, 0] for scheme in SCALES},
    )


def _given() -> dict[str, GivenWeights]:
    """Returns the published draw under every scheme."""
    draws = {name: functools.partial(recipe.published_draw, s) for name, s in SCALES.items()}
    return {name: GivenWeights(published) for name, published in draws.items()}


def _from_published_draw(
    config: CirclesConfig, on_progress: OnProgress = lambda progress: None
) -> Comparison:
    """Returns the training of every scheme from the published draw."""
    return _trained(
        config,
        _given(),
        seeds=1,
        keep_weights=True,
        # Five nets this small are trained sooner than a second thread has functions of its own.
        execution=Execution(threads=1, out=config.state("published"), on_progress=on_progress),
    )


def _trained(config: CirclesConfig, schemes: Mapping[str, Any], **options: Any) -> Comparison:
    """Returns the training by the article's recipe, a cost recorded every 1,000 iterations."""
    train, test = recipe.points(1, 300), recipe.points(2, 100)
    columns = {name: (x, y[:, None]) for name, (x, y) in [("train", train), ("test", test)]}
    return compare(
        recipe.build,
        schemes,
        (columns["train"], columns),
        epochs=config.iterations // recipe.RECORDED_EVERY,
        steps_per_epoch=recipe.RECORDED_EVERY,
        batch_size=None,
        shuffle=False,
        optimizer=keras.optimizers.SGD(recipe.DoubleRate(recipe.LEARNING_RATE)),
        loss=keras.losses.BinaryCrossentropy(from_logits=True, dtype="float64"),
        metrics=[  # the cost too: Keras rounds losses to the global float type
            keras.metrics.BinaryAccuracy("accuracy", dtype="float64", threshold=0.0),
            keras.metrics.BinaryCrossentropy("crossentropy", dtype="float64", from_logits=True),
        ],
        seed=config.seed,
        **options,
    )


def _starts(schemes: Mapping[str, Any], train: Points, compared: Comparison) -> Floats:
    """Returns the costs before the first step, `(schemes, seeds)`."""
    model, root = recipe.build(), compared.seed
    return np.array(
        [
            [recipe.cost(draw(model, scheme, root, seed), train) for seed in compared.seeds]
            for scheme in schemes.values()
        ]
    )


EXPERIMENT = Experiment(
    title=recipe.TITLE,
    config=CirclesConfig,
    result=CirclesResult,
    run=run,
    quick={"seeds": 3, "iterations": 2000},
    seconds=30,
    what="2-10-5-1 on two circles from zeros, randn × 10 and × 0.01, Xavier and He, 15,000 steps",
    published="the published draw, digit by digit, and 20 seeds",
    needs_tensorflow=recipe.NEEDS_TENSORFLOW,
)
