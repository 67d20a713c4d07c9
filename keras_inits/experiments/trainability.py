r"""What depth can be trained: tanh nets over depth and weight variance, and the theory's limit.

Schoenholz et al. 2017, figure 5: a net can be trained if a signal gets through it, which is down to
some six depth scales $\xi$ of the infinitely wide net. $\xi$ is infinite at the edge of chaos only.
"""

import functools
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits._checks import integer, real
from keras_inits._compare import Execution, compare
from keras_inits._errors import InputError
from keras_inits._mean_field import critical_sigma_w, depth_scale
from keras_inits._progress import part_of, weighed
from keras_inits._reporting import Finding
from keras_inits.experiments import _trainability_recipe as recipe
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
from keras_inits.experiments._published import TRAINABLE_SCALES
from keras_inits.experiments._trainability_page import page

# How far, as a factor, nets may be away from the paper's limit before it is a finding: 300 steps
# are few, and 128 units are far from infinitely many.
TOLERANCE = 2.0


@dataclass(frozen=True)
class TrainabilityConfig(MnistConfig):
    """What to train: a tanh net for each depth, weight variance and seed.

    Raises:
        InputError: a number out of range, or no number.

    >>> TrainabilityConfig(depths=(5, 20)).steps
    300
    """

    depths: tuple[int, ...] = (10, 20, 40, 80)
    """Hidden layers of the nets, ascending."""
    variances: tuple[float, ...] = (1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.2, 2.6, 3.0, 3.4, 4.0)
    """Weight variances times fan_in of the hidden layers, ascending; dense around the edge."""
    seeds: int = 3
    """Runs of each net."""
    units: int = 128
    """Units per hidden layer."""
    steps: int = 300
    """Steps of SGD; a multiple of 100."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(units=1, steps=recipe.RECORDED_EVERY)
        self.require_ascending("depths", functools.partial(integer, minimum=1))
        self.require_ascending("variances", functools.partial(real, above=0))
        if self.steps % recipe.RECORDED_EVERY:
            raise InputError(
                f"`steps` must be a multiple of {recipe.RECORDED_EVERY}, the distance between two "
                f"measurements. Received: steps={self.steps}"
            )


@dataclass(frozen=True, eq=False)
class TrainabilityResult(MnistResult):
    """What the experiment measured.

    Attributes:
        config: what was asked for.
        versions: of Python and of the packages that computed it.
        data: `source`, `description` and `comparable` of the images.
        accuracy: on training images, `(depths, variances, seeds, records)`; a record is taken
            every 100 steps.
        scales: depth scale of the infinitely wide net at each variance, in layers, `(variances,)`.
        critical: the variance at the edge of chaos, where the depth scale is infinite.
        notes: sentences that a reader must know, such as why `fit` trained the nets.

    >>> result = run(TrainabilityConfig(depths=(5, 20), seeds=2))  # doctest: +SKIP
    >>> result.accuracy.shape  # doctest: +SKIP
    (2, 11, 2, 3)
    """

    experiment: ClassVar[str] = "trainability"
    effort = ("steps",)

    config: TrainabilityConfig
    accuracy: NDArray[np.float64]
    scales: NDArray[np.float64]
    critical: float
    notes: tuple[str, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The nets that are trained, or not, a factor of two or more away from the limit."""
        if not self.follows_the_recipe:
            return ()
        found = []
        for depth, row in zip(self.config.depths, self.trained(), strict=True):
            reach = TRAINABLE_SCALES * self.scales
            wrong = {
                "trained": row & (depth > TOLERANCE * reach),
                "not trained": ~row & (depth < reach / TOLERANCE),
            }
            found += [
                Finding(
                    kind="published claim",
                    where=(f"depth {depth}", f"variance {variance:g}"),
                    evidence=f"the net is {what}; {TRAINABLE_SCALES:g} depth scales are "
                    f"{limit:.0f} layers",
                    numbers={"depth": depth, "limit": float(limit)},
                )
                for what, which in wrong.items()
                for variance, limit, is_wrong in zip(
                    self.config.variances, reach, which, strict=True
                )
                if is_wrong
            ]
        return tuple(found)

    def final(self) -> NDArray[np.float64]:
        """Returns the accuracy after the last step, `(depths, variances, seeds)`."""
        return np.asarray(self.accuracy[..., -1])

    def best_variance(self) -> NDArray[np.float64]:
        """Returns the variance at which a seed trains best, `(depths, seeds)`."""
        return np.asarray(np.array(self.config.variances)[self.final().argmax(axis=1)])

    def scale_at(self, variance: Any) -> NDArray[np.float64]:
        """Returns the depth scale at any variance, interpolated between those of the nets.

        What is interpolated is its inverse, which goes through 0 at the edge of chaos almost in a
        straight line.
        """
        known = np.array(self.config.variances)
        inverse = np.where(known < self.critical, -1, 1) / self.scales
        places = np.append(known, self.critical)
        order = np.argsort(places)
        between = np.interp(variance, places[order], np.append(inverse, 0.0)[order])
        with np.errstate(divide="ignore"):
            return np.asarray(1 / np.abs(between))

    def trained(self) -> NDArray[np.bool_]:
        """Returns which nets are trained, by the mean of the seeds, `(depths, variances)`."""
        return np.asarray(self.final().mean(axis=-1) >= recipe.TRAINED)

    def agreement(self, multiple: float = TRAINABLE_SCALES) -> NDArray[np.bool_]:
        """Returns which nets are trained, or not, as the theory says, `(depths, variances)`.

        Args:
            multiple: how many depth scales a net may be deep.
        """
        allowed = np.array(self.config.depths)[:, None] <= multiple * self.scales
        return np.asarray(allowed == self.trained())

    def fitted_multiple(self) -> float:
        """Returns the number of depth scales that tells the nets apart best, or the middle one."""
        tried = np.geomspace(0.5, 50, 201)
        right = np.array([self.agreement(multiple).sum() for multiple in tried])
        return float(np.median(tried[right == right.max()]))

    def page(self) -> Page:
        """Returns question, recipe, tables, pictures and conclusions."""
        return page(self)


@taking(TrainabilityConfig)
def run(
    config: TrainabilityConfig,
    *,
    report: Say = print,
    on_progress: OnProgress = lambda progress: None,
) -> TrainabilityResult:
    """Trains a net for each depth, weight variance and seed: those of one depth side by side.

    As a `Run` it keeps each finished block of 100 steps. Progress is in layers that have been
    trained for 100 steps.
    """
    sigma_b = recipe.BIAS_VARIANCE**0.5
    models = len(config.variances) * config.seeds * (config.steps // recipe.RECORDED_EVERY)
    total = models * sum(config.depths)
    accuracy: list[NDArray[np.float64]] = []
    notes: list[str] = []
    with started(TrainabilityResult, config, on_progress) as (versions, listen):
        images = config.load_images(report)
        data = recipe.training_data(images)
        before = 0
        for depth in config.depths:
            tell = weighed(part_of(listen, before, total), depth)
            compared = compare(
                functools.partial(recipe.tanh_net, data.x.shape[1], depth, config.units),
                {
                    f"{v:g}": laws_of(
                        recipe.tanh_net(data.x.shape[1], depth, config.units, v), config.seed
                    )
                    for v in config.variances
                },
                data,
                seeds=config.seeds,
                epochs=config.steps // recipe.RECORDED_EVERY,
                steps_per_epoch=recipe.RECORDED_EVERY,
                batch_size=recipe.BATCH,
                optimizer=keras.optimizers.SGD(recipe.LEARNING_RATE),
                loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                metrics=["accuracy"],
                seed=config.seed,
                execution=Execution(out=config.state(f"depth-{depth}"), on_progress=tell),
            )
            accuracy.append(compared.values("train_accuracy"))
            notes += compared.notes
            before += models * depth
    return TrainabilityResult(
        config,
        versions,
        data=images.provenance(),
        accuracy=np.stack(accuracy),
        scales=np.array(
            [depth_scale("tanh", sigma_w=v**0.5, sigma_b=sigma_b) for v in config.variances]
        ),
        critical=critical_sigma_w("tanh", sigma_b=sigma_b) ** 2,
        notes=tuple(dict.fromkeys(notes)),
    )


EXPERIMENT = Experiment(
    title=recipe.TITLE,
    config=TrainabilityConfig,
    result=TrainabilityResult,
    run=run,
    quick={"depths": (5, 20), "variances": (1.0, 1.4, 1.8, 2.6, 4.0), "seeds": 2},
    seconds=180,
    what=(
        "tanh nets of 10 to 80 layers on MNIST, 11 weight variances, 3 seeds, 300 steps: which can "
        "be trained"
    ),
    published="the paper's six depth scales of the infinitely wide net",
)
