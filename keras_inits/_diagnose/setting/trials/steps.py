"""A few steps of training on a copy of a model's variables: the model itself is not touched.

Each trial costs `STEPS` passes forward and back on `BATCH` samples, and two passes forward on all
that are given. Keras's `StatelessScope` puts the copies in the place of the variables for the pass
of this thread alone; whatever the pass assigns (statistics, seeds) goes to the copies.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import keras
import numpy as np
from keras import ops

from keras_inits._diagnose.backends import backend
from keras_inits._diagnose.seen.objective import Objective
from keras_inits._diagnose.setting.rate.schedules import STEPS, inner
from keras_inits._float_range import HALF_PRECISION
from keras_inits._keras_internals import variables_replaced

BATCH = 32  # the default of `fit`
_ROUNDING = 1e-5  # of a loss: the rest of a difference in float32


@dataclass(frozen=True, eq=False)
class Trial:
    """What a few steps did.

    Attributes:
        rate: the learning rate.
        losses: on the batch, before each step; of summed losses, as if of all samples.
        start: the loss on all samples before the steps.
        end: that after them; infinite if it is not finite.
        moved: by how much each weight moved, over its norm at the start.
        paths: of the weights.
        spread: the standard deviation of the outputs over samples after the steps, over that
            before them.
        added: what layers add to the loss before and after the steps, by `add_loss`.
        penalties: the same of the penalties on weights.
    """

    rate: float
    losses: tuple[float, ...]
    start: float
    end: float
    moved: tuple[float, ...]
    paths: tuple[str, ...]
    spread: float
    added: tuple[float, float] = (0.0, 0.0)
    penalties: tuple[float, float] = (0.0, 0.0)

    @property
    def of_data(self) -> float:
        """The loss after the steps without what layers add and penalties on weights."""
        return self.end - self.added[1] - self.penalties[1]

    @property
    def not_added(self) -> tuple[float, float]:
        """The loss before and after the steps without what layers add to it."""
        return self.start - self.added[0], self.end - self.added[1]

    @property
    def without_added(self) -> "Trial":
        """The trial without what layers add to the loss, where that is not all of it."""
        start, end = self.not_added
        if not start > _ROUNDING * abs(self.start):
            return self
        return replace(self, start=start, end=end, added=(0.0, 0.0))


class Attempt(Protocol):
    """Returns the trial at a rate, with an optimizer and steps that are those of the training."""

    def __call__(self, rate: float, *, optimizer: Any = None, steps: int = 0) -> Trial: ...


class Copy:
    """Copies of a model's variables, and trials on them.

    Args:
        model: a built model.
        objective: what gives the loss, penalties of `model` included.
        weakened: by which share the steps leave out penalties and what layers add to the loss.
            Losses before and after them are whole.
        constrained: whether the steps keep the constraints on weights.
        thawed: frozen variables that the steps train as well.
        wide: whether copies of weights in half precision are in float32, as mixed policies have it.
        eagerly: whether nothing is compiled: of few steps, which take less time than compiling.
    """

    def __init__(
        self,
        model: keras.Model,
        objective: Objective,
        *,
        weakened: float = 0.0,
        constrained: bool = True,
        thawed: Sequence[keras.Variable] = (),
        wide: bool = False,
        eagerly: bool = False,
    ) -> None:
        self.model = model
        self.eagerly = eagerly or bool(getattr(model, "run_eagerly", False))
        self.objective = objective
        self.weakened = weakened
        self.trained = [*model.trainable_variables, *thawed]
        ids = {id(v) for v in self.trained}
        self.others = [v for v in model.variables if id(v) not in ids]
        # Named, since a name of Keras's own making would count up its names of variables.
        self.shadows = [
            keras.Variable(
                backend.held(v),
                dtype="float32" if wide and v.dtype in HALF_PRECISION else v.dtype,
                name=v.name,
            )
            for v in self.trained
        ]
        if constrained:
            for shadow, v in zip(self.shadows, self.trained, strict=True):
                shadow.constraint = getattr(v, "constraint", None)
        self.statistics = [
            keras.Variable(backend.held(v), dtype=v.dtype, name=v.name, trainable=False)
            for v in self.others
        ]
        self._random = backend.random_state()
        self._loss = self._compiled(self._loss_of_all)
        self._steps: dict[Any, tuple[Any, Any]] = {}

    def reset(self, start: Sequence[Any] | None = None) -> None:
        """Sets the copies to the values of the model, or those trained to `start`."""
        for shadow, v in zip(self.shadows, start or self.trained, strict=True):
            shadow.assign(v)
        for statistic, v in zip(self.statistics, self.others, strict=True):
            statistic.assign(ops.convert_to_tensor(v))
        backend.set_random_state(self._random)  # so that all trials draw alike

    def _compiled(self, function: Callable[..., Any], optimizer: Any = None) -> Any:
        """Returns what `fit` makes of a function."""

        def variables() -> list[keras.Variable]:
            state = [] if optimizer is None else optimizer.variables
            return [*self.shadows, *self.statistics, *state]

        return backend.compiled(function, variables, eagerly=self.eagerly)

    def inside(self, values: Sequence[Any]) -> Any:
        """Returns the context in which the model runs on values in the place of its variables."""
        statistics = [ops.convert_to_tensor(s) for s in self.statistics]
        pairs = [
            *((v, ops.cast(value, v.dtype)) for v, value in zip(self.trained, values, strict=True)),
            *zip(self.others, statistics, strict=True),
        ]
        return variables_replaced(pairs)

    def outputs(self, x: Any, *, training: bool) -> Any:
        """Returns what the copy makes of `x`; nothing it assigns is kept."""
        with self.inside([v.value for v in self.shadows]):
            return self.model(x, training=training)

    def _loss_of_all(self, x: Any, y: Any, sample_weight: Any) -> tuple[Any, ...]:
        values = [v.value for v in self.shadows]
        with self.inside(values) as scope:
            outputs = self.model(x, training=True)
            added, penalties = _sum(scope.losses), _sum(self._penalties(values))
            return self.objective(x, y, outputs, sample_weight), _spread(outputs), added, penalties

    def now(self, x: Any, y: Any, sample_weight: Any) -> tuple[float, float]:
        """Returns the loss of data and what is added to it, as the last trial left the copies."""
        loss, _, added, penalties = map(float, self._loss(x, y, sample_weight))
        return loss - added - penalties, added + penalties

    def quiet(self, x: Any, y: Any, sample_weight: Any) -> float:
        """Returns the loss as the last trial left the copies, with all noise off."""
        with self.inside([v.value for v in self.shadows]):
            loss = self.objective(x, y, self.model(x, training=False), sample_weight)
        return float(ops.convert_to_numpy(loss))

    def _penalties(self, values: Sequence[Any]) -> list[Any]:
        # Keras keeps the regularizer of a weight on the variable.
        pairs = zip(self.trained, values, strict=True)
        return [v.regularizer(value) for v, value in pairs if getattr(v, "regularizer", None)]

    def gradients(self, x: Any, y: Any, sample_weight: Any = None) -> tuple[Any, Any]:
        """Returns the loss of a batch and its gradients; statistics move on."""

        def loss_of(values: Sequence[Any]) -> tuple[Any, list[Any]]:
            with self.inside(values) as scope:
                loss = self.objective(x, y, self.model(x, training=True), sample_weight)
                if self.weakened:
                    rest = _sum([*scope.losses, *self._penalties(values)])
                    loss = loss - ops.cast(self.weakened * rest, loss.dtype)
            return loss, [scope.get_current_value(v) for v in self.others]

        values = [v.value for v in self.shadows]
        loss, gradients, moved = backend.gradients(loss_of, values)
        for statistic, value in zip(self.statistics, moved, strict=True):
            statistic.assign(value)
        return loss, gradients

    def _step(self, optimizer: Any) -> tuple[Any, Any]:
        """Returns a copy of `optimizer` for the shadows, and the step that it does."""
        if optimizer not in self._steps:
            compiled = inner(optimizer)  # steps are tried without the scaling of the loss
            config = compiled.get_config()
            if config.get("gradient_accumulation_steps"):
                config["gradient_accumulation_steps"] = None  # each step changes the weights
            if isinstance(config.get("learning_rate"), dict):
                config["learning_rate"] = 0.0  # in the place of a schedule: `trial` sets it
            own = type(compiled).from_config(config)
            own.build(self.shadows)

            def step(x: Any, y: Any, sample_weight: Any) -> Any:
                loss, gradients = self.gradients(x, y, sample_weight)
                own.apply(gradients, self.shadows)
                return loss

            start = [backend.held(v) for v in own.variables]
            shapes = [tuple(v.shape) for v in start]
            if compiled.built and [tuple(v.shape) for v in compiled.variables] == shapes:
                start = [backend.held(v) for v in compiled.variables]
            self._steps[optimizer] = (own, start), self._compiled(step, own)
        (own, start), step = self._steps[optimizer]
        for v, value in zip(own.variables, start, strict=True):
            v.assign(value)
        return own, step

    def trial(
        self,
        x: Any,
        y: Any,
        optimizer: Any,
        rate: float,
        *,
        sample_weight: Any = None,
        steps: int = STEPS,
        seed: int = 0,
        start: Sequence[Any] | None = None,
    ) -> Trial:
        """Returns what `steps` of `optimizer` at `rate` do; the copies are reset before.

        Args:
            x: tensors `(samples, ...)`, nested as the model takes them.
            y: targets, nested as the loss takes them.
            optimizer: a compiled optimizer; a copy of it, with its state, does the steps.
            rate: the learning rate.
            sample_weight: tensors, as the loss takes them.
            steps: how many.
            seed: of the order of the samples.
            start: values of the trained variables to start from; the model's own if None.
        """
        self.reset(start)
        own, step = self._step(optimizer)
        own.learning_rate = rate
        given = (x, y, sample_weight)
        first, before, added, penalties = map(float, self._loss(*given))
        losses: list[float] = []
        for rows in _batches(keras.tree.flatten(x)[0].shape[0], steps, seed):
            batch = keras.tree.map_structure(
                lambda t, rows=rows: None if t is None else ops.take(t, rows, axis=0), given
            )
            losses.append(float(step(*batch)))
            if not np.isfinite(losses[-1]):
                break
        end, after, added_later, penalties_later = map(float, self._loss(*given))
        finite = np.isfinite(end) and np.isfinite(losses[-1])
        moved = [
            norm(ops.subtract(s, v)) / max(norm(v.value), 1e-30)
            for s, v in zip(self.shadows, self.trained, strict=True)
        ]
        return Trial(
            rate,
            tuple(losses),
            first,
            end if finite else np.inf,
            tuple(moved),
            tuple(v.path for v in self.trained),
            after / before if before and finite else np.nan,
            (added, added_later),
            (penalties, penalties_later),
        )


def _sum(losses: Sequence[Any]) -> Any:
    return sum((ops.sum(ops.cast(loss, "float32")) for loss in losses), ops.zeros(()))


def norm(tensor: Any) -> float:
    """Returns the Euclidean norm of a tensor of any kind."""
    return backend.length(backend.float32(backend.read(ops.convert_to_tensor(tensor))))


def _batches(samples: int, steps: int, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    size = min(BATCH, samples)
    rows: list[np.ndarray] = []
    while len(rows) < steps:
        order = rng.permutation(samples)
        rows += [order[i : i + size] for i in range(0, samples - size + 1, size)]
    return rows[:steps]


def _spread(outputs: Any) -> Any:
    """Returns the standard deviation of the outputs over samples, of all units together."""
    real = [t for t in keras.tree.flatten(outputs) if backend.is_floating(t)]
    return ops.sqrt(sum(ops.mean(ops.var(ops.cast(t, "float32"), axis=0)) for t in real))
