"""A loss of the user's own as `fit` calls it, and answers that are made up to ask it about."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_inits._diagnose.backends import backend
from keras_inits._diagnose.setting.case import Case
from keras_inits._diagnose.setting.plain import PROBABILITIES, End, Targets

ASKED_SAMPLES = 16  # a loss may be a net of its own, and is asked some 50 times
SEED = 470_312  # no seed that somebody's targets were drawn with
CLOSE = 1e-3  # float32 sums of some hundred terms differ by less
TELLS_APART = 0.01  # a loss that sees which target is whose differs by more


class RefusedError(Exception):
    """A loss that raises on answers that are made up: it wants batches of its own kind."""


class Loss:
    """A loss as `fit` computes it, for one output: of targets and outputs.

    What the loss assigns to variables is not kept. Whatever it raises becomes a `RefusedError`.

    Args:
        given: what `compile` takes.
    """

    def __init__(self, given: Any) -> None:
        self._judge = keras.Model(name="judge")
        self._judge.compile(loss=given)

    def __call__(self, y: np.ndarray, made: np.ndarray) -> float:
        with _refusals():
            return float(ops.convert_to_numpy(self._of(y, ops.convert_to_tensor(made))))

    def slope(self, y: np.ndarray, made: np.ndarray) -> np.ndarray:
        """Returns the gradient that comes back to outputs."""

        def of(values: Sequence[Any]) -> tuple[Any, list[Any]]:
            return self._of(y, values[0]), []

        with _refusals():
            _, (slope,), _ = backend.gradients(of, [ops.convert_to_tensor(made)])
            return np.asarray(ops.convert_to_numpy(slope), np.float64)

    def _of(self, y: np.ndarray, made: Any) -> Any:
        with keras.StatelessScope():
            return self._judge.compute_loss(y=ops.convert_to_tensor(y), y_pred=made)


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # whatever the user's own code raises
        raise RefusedError from error


class Asked(NamedTuple):
    """A loss of one output, and what it is asked with.

    Attributes:
        y: the targets, in their own type.
        targets: the same in plain.
        end: of the model.
        loss: as `fit` computes it.
        inputs: of the model.
    """

    y: np.ndarray
    targets: Targets
    end: End
    loss: Loss
    inputs: int

    @classmethod
    def each(cls, case: Case, inputs: int) -> Iterator[tuple[int, "Asked"]]:
        """Yields the losses of a case that are not Keras's own, each with its place among all."""
        goals = keras.tree.flatten(case.y)
        for index, ((targets, end, kind), place) in enumerate(
            zip(case.parts, case.places, strict=True)
        ):
            if kind.name == "other":
                y = ops.convert_to_numpy(goals[place])
                yield index, cls(y, targets, end, Loss(case.losses[index]), inputs)

    @property
    def some(self) -> np.ndarray:
        """The targets of the samples that the loss is asked about."""
        return self.y[:ASKED_SAMPLES]

    @property
    def opposite(self) -> np.ndarray:
        """The targets of `some`, high ones for low ones."""
        turned = self.targets.high + self.targets.low - self.some.astype(float)
        return turned.astype(self.y.dtype)

    @property
    def truth(self) -> np.ndarray:
        """The targets of `some` as answers, in the shape of the outputs."""
        return self.some.astype(float).reshape((len(self.some), *self.end.shape[1:]))

    @property
    def has_both(self) -> bool:
        """Whether the targets are 0 and 1, and both are among them."""
        return bool(self.targets.binary) and self.targets.distinct >= 2

    def cost(self, made: np.ndarray) -> float:
        """Returns the loss of made up answers for these samples."""
        return self.loss(self.some, made.astype(keras.config.floatx()))


def answers(samples: int, end: End, seed: int = SEED) -> np.ndarray:
    """Returns outputs such as the model could make, which know nothing of the targets."""
    draw = np.random.default_rng(seed).standard_normal((samples, *end.shape[1:]))
    if end.activation == "softmax":
        draw = np.exp(draw) / np.exp(draw).sum(-1, keepdims=True)
    elif end.activation in PROBABILITIES:
        draw = 1 / (1 + np.exp(-draw))
    elif end.activation != "linear":
        draw = np.abs(draw)
    return draw.astype(keras.config.floatx())


def same(a: float, b: float) -> bool:
    """Returns whether two losses are one, but for rounding."""
    return bool(np.isfinite(a) and np.isfinite(b) and abs(a - b) <= CLOSE * max(abs(a), abs(b)))
