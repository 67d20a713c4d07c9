"""The best learning rate of narrow and wide nets on MNIST, in muP and without.

The claim is that of Yang et al. 2022, Tensor Programs V: in muP the rate that is best for a narrow
net is best for a wide one.
"""

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits._checks import choice, integer, position
from keras_inits._compare.models import compiled_by_xla
from keras_inits._compare.statistics import Interval, mean_interval
from keras_inits._compare.weights import derived_seeds
from keras_inits._files import read_json, refuse_other_settings, write_whole
from keras_inits._initialize import initialize
from keras_inits._progress import Clock
from keras_inits._reporting import Finding
from keras_inits.datasets import ImageDataset
from keras_inits.experiments._config import MnistConfig, Say
from keras_inits.experiments._experiment import (
    Experiment,
    MnistResult,
    OnProgress,
    started,
    taking,
)
from keras_inits.experiments._mup_transfer_page import page
from keras_inits.experiments._mup_transfer_recipe import PARAMETRIZATIONS, TITLE, build, small
from keras_inits.experiments._page import Page
from keras_inits.mup import initialize as initialize_by_mup
from keras_inits.mup import optimizer as optimizer_by_mup
from keras_inits.mup._movement import start_anew

# Octaves, which are the steps of the grid: what is nearer than one is no other rate.
_STEP = 1.0

Optimizer = Literal["adam", "sgd"]


@dataclass(frozen=True)
class MupTransferConfig(MnistConfig):
    """What to train: ReLU nets of several widths at several learning rates, in muP and without.

    Raises:
        InputError: a number out of range, or no number.

    >>> MupTransferConfig(widths=(64, 256), seeds=2).rates[0]
    -12
    """

    widths: tuple[int, ...] = (64, 128, 256, 512, 1024)
    """Units per hidden layer; the narrowest is the base of muP."""
    layers: int = 3
    """Hidden layers."""
    optimizer: Optimizer = "adam"
    """Keras's, with its defaults."""
    rates: tuple[int, ...] = (-12, -11, -10, -9, -8, -7, -6, -5, -4, -3)
    """Learning rates, as powers of 2."""
    steps: int = 160
    """Steps of training."""
    batch_size: int = 64
    """Images per step."""
    seeds: int = 5
    """Runs of each width at each rate."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(layers=1, steps=4, batch_size=1)
        self.require_ascending("widths", functools.partial(integer, minimum=1), least=2)
        self.require_ascending("rates", functools.partial(integer, minimum=None), least=3)
        choice("optimizer", self.optimizer, get_args(Optimizer))

    def recipe(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Returns what decides the numbers of a run, besides parametrization, width and seed."""
        names = ("layers", "optimizer", "rates", "steps", "batch_size", "seed")
        own = {name: getattr(self, name) for name in names}
        return {**own, "rates": list(self.rates), "base": self.widths[0], "data": dict(data)}


@dataclass(frozen=True, eq=False)
class MupTransferResult(MnistResult):
    """What the experiment measured.

    Attributes:
        config: what was asked for.
        versions: of Python and of the packages that computed it.
        data: `source`, `description` and `comparable` of the images.
        losses: mean training cross-entropy over the last quarter of the steps, in nats,
            `(parametrizations, widths, seeds, rates)`; infinite where a run diverged.

    >>> config = MupTransferConfig(widths=(32, 128), rates=(-9, -7, -5), seeds=2, steps=40)
    >>> result = run(config)  # doctest: +SKIP
    >>> result.losses.shape  # doctest: +SKIP
    (2, 2, 2, 3)
    """

    experiment: ClassVar[str] = "mup-transfer"

    config: MupTransferConfig
    losses: NDArray[np.float64]

    def of(self, parametrization: str) -> NDArray[np.float64]:
        """Returns the losses of `"mup"` or `"standard"`, `(widths, seeds, rates)`."""
        place = position("parametrization", parametrization, list(PARAMETRIZATIONS))
        return np.asarray(self.losses[place])

    def best_rates(self, parametrization: str) -> NDArray[np.float64]:
        """Returns the learning rate at which each width did best, `(widths, seeds)`, as log2.

        Between the rates of the grid it is the lowest point of a parabola through the logarithms of
        the lowest loss and those next to it.
        """
        return best_rates(self.of(parametrization), self.config.rates)

    def shift(self, parametrization: str) -> Interval:
        """Returns by how many octaves the best rate moves from the narrowest to the widest net."""
        best = self.best_rates(parametrization)
        return mean_interval(best[-1] - best[0])

    def price(self, parametrization: str) -> Interval:
        """Returns what the widest net loses at the narrowest's best rate against its own, in nats.

        Both are rates of the grid, and the best ones on the mean of the seeds.
        """
        losses = self.of(parametrization)
        with np.errstate(over="ignore"):
            narrow, wide = (int(np.argmin(losses[i].mean(axis=0))) for i in (0, -1))
        with np.errstate(invalid="ignore"):
            return mean_interval(losses[-1][:, narrow] - losses[-1][:, wide])

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is not as published: a rate that moves in muP, or stays without."""
        found = []
        for name, title in PARAMETRIZATIONS.items():
            shift = self.shift(name)
            if (abs(shift.mean) < _STEP) != (name == "mup"):
                words = "stays" if name == "mup" else "moves"
                found.append(
                    Finding(
                        kind="published claim",
                        where=(name,),
                        evidence=(
                            f"{title}: the best rate {words}, says the paper; here it moves by "
                            f"{shift.mean:+.2f} octaves"
                        ),
                        numbers={"octaves": shift.mean},
                    )
                )
        return tuple(found)

    def page(self) -> Page:
        """Returns question, recipe, tables, pictures and conclusions."""
        return page(self)


def best_rates(losses: NDArray[np.float64], rates: tuple[int, ...]) -> NDArray[np.float64]:
    """Returns where losses are lowest, between the rates of a grid.

    Args:
        losses: `(..., rates)`.
        rates: the grid.

    Returns:
        `(...)`. At an end of the grid the rate there; NaN where no loss is finite.

    >>> best_rates(np.exp([[3.0, 1.0, 1.0, 3.0]]), (0, 1, 2, 3))
    array([1.5])
    """
    grid = np.asarray(rates, float)
    flat = losses.reshape(-1, losses.shape[-1])
    found = np.full(len(flat), np.nan)
    for row, values in enumerate(flat):
        if not np.isfinite(values).any():
            continue
        lowest = int(np.nanargmin(values))
        found[row] = grid[lowest]
        near = slice(lowest - 1, lowest + 2)
        if 0 < lowest < len(grid) - 1 and np.isfinite(values[near]).all():
            a, b, _ = np.polyfit(grid[near], np.log(values[near]), 2)
            if a > 0:
                found[row] = -b / (2 * a)
    return found.reshape(losses.shape[:-1])


@taking(MupTransferConfig)
def run(
    config: MupTransferConfig,
    *,
    report: Say = print,
    on_progress: OnProgress = lambda progress: None,
) -> MupTransferResult:
    """Trains every width at every rate with every seed, in muP and without.

    As a `Run` it keeps each finished run.
    """
    cases = [(name, width) for name in PARAMETRIZATIONS for width in config.widths]
    # A run costs by the products of its kernels, and something for each step.
    costs = [width**2 * max(1, config.layers - 1) + 10**5 for _, width in cases]
    with started(MupTransferResult, config, on_progress) as (versions, listen):
        images = config.load_images(report)
        clock = Clock(0, sum(costs) * config.seeds, listen)
        losses, done = [], 0
        for (name, width), cost in zip(cases, costs, strict=True):
            case = _Case(config, images, small(images.train_images), name, width)
            for seed in range(config.seeds):
                losses.append(case.losses(seed))
                done += cost
                clock.tell(done)
    shape = (len(PARAMETRIZATIONS), len(config.widths), config.seeds, len(config.rates))
    found = np.array(losses, float).reshape(shape)
    return MupTransferResult(config, versions, images.provenance(), found)


class _Case:
    """A net of one width in one parametrization, compiled once for all seeds and rates."""

    def __init__(
        self,
        config: MupTransferConfig,
        images: ImageDataset,
        x: NDArray[np.float32],
        parametrization: str,
        width: int,
    ) -> None:
        self.config, self.images, self.x = config, images, x
        self.parametrization, self.width = parametrization, width
        self._model: keras.Model | None = None

    def losses(self, seed: int) -> list[float]:
        """Returns the loss at each rate: those that are kept, or new ones, which are then kept."""
        folder = self.config.state("")
        settings = self.config.recipe(self.images.provenance())
        if folder is None:
            return self._trained(seed)
        file = folder / f"{self.parametrization}-{self.width}-{seed}.json"
        if file.exists():
            kept = read_json(file)
            refuse_other_settings(file, kept["settings"], settings)
            return [float(loss) for loss in kept["losses"]]  # "inf" is what JSON has as text
        losses = self._trained(seed)
        texts = [repr(loss) for loss in losses]
        write_whole(file, json.dumps({"settings": settings, "losses": texts}))
        return losses

    def _trained(self, seed: int) -> list[float]:
        config = self.config
        weights, order = derived_seeds(config.seed, seed, 2)
        rng, count = np.random.default_rng(order), config.steps * config.batch_size
        orders = [rng.permutation(len(self.x)) for _ in range(-(-count // len(self.x)))]
        rows = np.concatenate(orders)[:count]
        x, y = self.x[rows], self.images.train_labels[rows]
        last = config.steps // 4 * config.batch_size
        model = self._started(weights)
        start = model.get_weights()
        found = []
        for rate in config.rates:
            model.set_weights(start)
            start_anew(model.optimizer)
            model.optimizer.learning_rate = 2.0**rate
            for part in (slice(None, -last), slice(-last, None)):
                history = model.fit(
                    x[part], y[part], batch_size=config.batch_size, shuffle=False, verbose=0
                )
            (loss,) = history.history["loss"]
            found.append(float(loss) if np.isfinite(loss) else float("inf"))
        return found

    def _started(self, seed: int) -> keras.Model:
        """Returns the net at its start, compiled."""
        config, pixels = self.config, self.x.shape[1]

        def sibling(width: int) -> keras.Model:
            return build(pixels, width, config.layers)

        in_mup = self.parametrization == "mup"
        base = sibling(config.widths[0]) if in_mup else None
        if self._model is None:
            self._model = sibling(self.width)
            optimizer = keras.optimizers.get(config.optimizer)
            if base is not None:
                optimizer = optimizer_by_mup(optimizer, self._model, base)
            self._model.compile(
                optimizer,
                keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                # Keras on torch takes no other number than 1.
                steps_per_execution=1 if keras.backend.backend() == "torch" else config.steps // 4,
                jit_compile=compiled_by_xla(),
            )
        if base is None:
            initialize(self._model, "he", seed=seed)
        else:
            initialize_by_mup(self._model, base, "he", delta=sibling(config.widths[-1]), seed=seed)
        return self._model


EXPERIMENT = Experiment(
    title=TITLE,
    config=MupTransferConfig,
    result=MupTransferResult,
    run=run,
    quick={"seeds": 2, "widths": (32, 128), "rates": (-9, -7, -5, -3), "steps": 40},
    seconds=360,
    what="ReLU nets of 64 to 1024 units on MNIST at ten learning rates, in muP and without",
    published="the paper's claim that the best rate stays",
    side_by_side=lambda config: False,
)
