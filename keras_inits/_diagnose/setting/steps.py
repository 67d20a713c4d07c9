"""A few steps of training on a copy of a model's variables: the model itself is not touched.

Each trial costs `STEPS` passes forward and back on `BATCH` samples, and two passes forward on all
that are given. Keras's `StatelessScope` puts the copies in the place of the variables for the pass
of this thread alone; whatever the pass assigns (statistics, seeds) goes to the copies.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

BATCH = 32  # the default of `fit`
STEPS = 20  # Adam's running means have passed their start (beta_1 = 0.9) by twice


@dataclass(frozen=True, eq=False)
class Trial:
    """What a few steps did.

    Attributes:
        rate: the learning rate.
        losses: on the batch, before each step.
        start: the loss on all samples before the steps.
        end: that after them; infinite if it is not finite.
        moved: by how much each weight moved, over its norm at the start.
        paths: of the weights.
        spread: the standard deviation of the outputs over samples after the steps, over that
            before them.
    """

    rate: float
    losses: tuple[float, ...]
    start: float
    end: float
    moved: tuple[float, ...]
    paths: tuple[str, ...]
    spread: float


Objective = Callable[[Any, Any], Any]  # y and the outputs -> the loss


class Copy:
    """Copies of a model's variables, and trials on them.

    Args:
        model: a built model.
        objective: what gives the loss of targets and outputs, penalties of `model` included.
    """

    def __init__(self, model: keras.Model, objective: Objective) -> None:
        self.model = model
        self.objective = objective
        self.trained = list(model.trainable_variables)
        ids = {id(v) for v in self.trained}
        self.others = [v for v in model.variables if id(v) not in ids]
        self.start = [ops.convert_to_tensor(v) for v in self.trained]
        self.shadows = [
            keras.Variable(value, dtype=v.dtype, name=v.name)
            for v, value in zip(self.trained, self.start, strict=True)
        ]
        self.statistics = [tf.convert_to_tensor(v) for v in self.others]

    def reset(self) -> None:
        """Sets the copies to the values of the model."""
        for shadow, value in zip(self.shadows, self.start, strict=True):
            shadow.assign(value)
        self.statistics = [tf.convert_to_tensor(v) for v in self.others]

    @contextmanager
    def _inside(self, values: Sequence[Any]) -> Iterator[Any]:
        pairs = [
            *zip(self.trained, values, strict=True),
            *zip(self.others, self.statistics, strict=True),
        ]
        with keras.StatelessScope(state_mapping=pairs, collect_losses=True) as scope:
            yield scope

    def outputs(self, x: Any, *, training: bool) -> Any:
        """Returns what the copy makes of `x`; nothing it assigns is kept."""
        with self._inside([v.value for v in self.shadows]):
            return self.model(x, training=training)

    def loss(self, x: Any, y: Any) -> tuple[float, Any]:
        """Returns the loss of all of `x` as in training, and the outputs."""
        with self._inside([v.value for v in self.shadows]):
            outputs = self.model(x, training=True)
            return float(self.objective(y, outputs)), outputs

    def gradients(self, x: Any, y: Any, *, keep: bool = True) -> tuple[Any, list[Any]]:
        """Returns the loss of a batch and its gradients; statistics move on if `keep`."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            values = [tf.convert_to_tensor(v.value) for v in self.shadows]
            tape.watch(values)
            with self._inside(values) as scope:
                loss = self.objective(y, self.model(x, training=True))
            if keep:
                self.statistics = [
                    tf.convert_to_tensor(scope.get_current_value(v)) for v in self.others
                ]
        gradients = tape.gradient(loss, values, unconnected_gradients="zero")
        return loss, [tf.convert_to_tensor(g) for g in gradients]

    def trial(
        self, x: Any, y: Any, optimizer: Any, rate: float, *, steps: int = STEPS, seed: int = 0
    ) -> Trial:
        """Returns what `steps` of `optimizer` at `rate` do; the copies are reset before.

        Args:
            x: tensors `(samples, ...)`, nested as the model takes them.
            y: targets, nested as the loss takes them.
            optimizer: a compiled optimizer; a copy of it, with its state, does the steps.
            rate: the learning rate.
            steps: how many.
            seed: of the order of the samples.
        """
        self.reset()
        own = copy_of(optimizer, self.shadows)
        own.learning_rate = rate
        batches = _batches(keras.tree.flatten(x)[0].shape[0], steps, seed)
        start, outputs = self.loss(x, y)
        before = _spread(outputs)
        losses: list[float] = []
        for rows in batches:
            batch = keras.tree.map_structure(lambda t, rows=rows: tf.gather(t, rows), (x, y))
            loss, gradients = self.gradients(*batch)
            losses.append(float(loss))
            if not np.isfinite(losses[-1]):
                break
            own.apply(gradients, self.shadows)
        end, outputs = self.loss(x, y) if np.isfinite(losses[-1]) else (np.inf, None)
        moved = [
            float(tf.norm(tf.cast(s.value - v, tf.float32)))
            / max(float(tf.norm(tf.cast(v, tf.float32))), 1e-30)
            for s, v in zip(self.shadows, self.start, strict=True)
        ]
        return Trial(
            rate,
            tuple(losses),
            start,
            end if np.isfinite(end) else np.inf,
            tuple(moved),
            tuple(v.path for v in self.trained),
            _spread(outputs) / before if outputs is not None and before else 0.0,
        )


def copy_of(optimizer: Any, variables: Sequence[Any]) -> Any:
    """Returns a copy of an optimizer, with its state, for `variables`."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # loss scaling is for float16
    own = type(optimizer).from_config(optimizer.get_config())
    own.build(list(variables))
    if optimizer.built and [v.shape for v in optimizer.variables] == [
        v.shape for v in own.variables
    ]:
        for mine, its in zip(own.variables, optimizer.variables, strict=True):
            mine.assign(its)
    return own


def rate_of(optimizer: Any) -> float | None:
    """Returns a constant learning rate; None for a schedule."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    config = optimizer.get_config().get("learning_rate")
    return None if isinstance(config, dict) else float(optimizer.learning_rate)


def _batches(samples: int, steps: int, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    size = min(BATCH, samples)
    rows: list[np.ndarray] = []
    while len(rows) < steps:
        order = rng.permutation(samples)
        rows += [order[i : i + size] for i in range(0, samples - size + 1, size)]
    return rows[:steps]


def _spread(outputs: Any) -> float:
    total = 0.0
    for tensor in keras.tree.flatten(outputs):
        if tensor.dtype.is_floating:
            values = tf.cast(tensor, tf.float32)
            total += float(tf.reduce_mean(tf.math.reduce_variance(values, 0)))
    return float(np.sqrt(total))
