"""Everything that all runs of a comparison share: plain data, which other machines can be sent."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits._compare.data import Batches, TrainingData, epoch_rows

Member = tuple[str, int]  # label of the scheme and seed of a run
Listener = Callable[[int], object]  # takes the number of epochs finished

# Rows of a batch of evaluation, in both trainers: large enough that the products, not the calls,
# take the time, and small enough for every layer's outputs of a whole population.
EVALUATION_ROWS = 1000


@dataclass(frozen=True)
class Run:
    """One trained model.

    Attributes:
        scheme: label of the scheme.
        seed: number of the run.
        history: by metric, a value for each epoch. `loss` is the mean over the epoch's samples as
            the weights move; the others are measured after it.
        trainer: `"population"` or `"fit"`.
        reason: why it was trained by `fit`.
        weights: after the last epoch, as `model.get_weights` gives them, if they are kept.
        cost: of a `Start`, its seconds and its forward passes; empty for a draw.
    """

    scheme: str
    seed: int
    history: Mapping[str, tuple[float, ...]]
    trainer: str
    reason: str = ""
    weights: tuple[NDArray[Any], ...] = ()
    cost: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class CompileOptions:
    """What `compile` is called with.

    Attributes:
        optimizer: a name or a configuration; None if `build` compiles the model.
        loss: as `compile` takes it.
        metrics: as `compile` takes them.
    """

    optimizer: Any = None
    loss: Any = None
    metrics: Any = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything that all runs of a comparison share.

    Attributes:
        build: returns a model; takes nothing, or the scheme.
        schemes: initializers, recipes, `GivenWeights` or `Start`s by label.
        data: what to train and to evaluate on.
        epochs: number of epochs.
        batch_size: samples per batch.
        options: what `compile` is called with.
        steps: batches per epoch; None for one pass over the data.
        shuffle: whether each epoch has a new order.
        batches: whether all seeds see the same batches, or each its own.
        seed: the root seed, from which all random numbers follow.
        keep_weights: whether the runs hold the weights that they end with.
    """

    build: Callable[..., keras.Model]
    schemes: Mapping[str, Any]
    data: TrainingData
    epochs: int
    batch_size: int
    options: CompileOptions = field(default_factory=CompileOptions)
    steps: int | None = None
    shuffle: bool = True
    batches: Batches = "shared"
    seed: int = 0
    keep_weights: bool = False

    def rows(self, run: int, epoch: int) -> list[NDArray[np.int32]]:
        """Returns the rows of the batches of run `run` in an epoch, counted from 0."""
        key = [self.seed, 0 if self.batches == "shared" else run, epoch]
        return epoch_rows(
            self.data.samples, self.batch_size, key, shuffle=self.shuffle, steps=self.steps
        )
