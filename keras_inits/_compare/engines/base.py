"""What the populations of all backends have in common: starts, batches, results."""

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits._compare.data import sample_count, take
from keras_inits._compare.models import cost_of, started
from keras_inits._compare.plan import EVALUATION_ROWS, Member, Plan
from keras_inits._compare.store import EpochState
from keras_inits._compare.vectorizing import refuse_assigned
from keras_inits._keras_internals import variables_replaced

Numbers = NDArray[np.float64]
_T = TypeVar("_T")


def stack_axis(variable: keras.Variable, *, first: bool) -> int:
    """Returns where the axis of the models goes in a stacked variable.

    In front, except for a first kernel `(in, out)`, which is kept as `(in, K, out)`: the product
    with a shared batch reads it as `(in, K * out)` without moving it.
    """
    return 1 if first and len(variable.shape) == 2 else 0


class Shared:
    """What the parts of a population share: the model, the samples as tensors, what is compiled."""

    def __init__(self, plan: Plan, template: keras.Model) -> None:
        self.plan, self.template, data = plan, template, plan.data
        self.compiled: dict[Any, Any] = {}
        self._tensors = _in_background(lambda: _tensors((data.x, data.y, dict(data.evaluation))))
        x, y = self._first(1)
        states = template.non_trainable_variables
        with keras.StatelessScope() as scope:
            outputs = template(x, training=False)
        # Random states of recurrent dropout, for one: `fit` carries on with what evaluations leave.
        self.moved = [i for i, v in enumerate(states) if scope.get_current_value(v) is not None]
        # The variables of the metrics are made by their first use.
        template.compute_loss(x, y, outputs, training=False)
        template.compute_metrics(x, y, outputs)
        template.reset_metrics()
        self.metric_start = [keras.ops.convert_to_numpy(v) for v in template.metrics_variables]

    @property
    def train(self) -> Any:
        """The samples to train on, and their targets."""
        return self._tensors()[:2]

    @property
    def evaluation(self) -> dict[str, Any]:
        """By name, the samples to evaluate on, and their targets."""
        found: dict[str, Any] = self._tensors()[2]
        return found

    def described(self, arrays: Any, describe: Callable[[tuple[int, ...], Any], _T]) -> Any:
        """Returns what `describe` makes of shape and type of each tensor, before it is there."""
        first = _tensors(take(arrays, slice(1)))
        return keras.tree.map_structure(
            lambda array, one: describe(tuple(array.shape), one.dtype), arrays, first
        )

    def _first(self, count: int) -> Any:
        data = self.plan.data
        return _tensors(take((data.x, data.y), slice(count)))

    def call_plainly(self) -> None:
        """Calls model and loss on two samples, as training does, and leaves no trace."""
        x, y = self._first(2)
        with keras.StatelessScope(collect_losses=True):
            outputs = self.template(x, training=True)
            self.template.compute_loss(x, y, outputs, training=True)


def _tensors(arrays: Any) -> Any:
    return keras.tree.map_structure(keras.ops.convert_to_tensor, arrays)


def _in_background(function: Callable[[], _T]) -> Callable[[], _T]:
    """Starts `function` in a thread, and returns a function that waits for its result.

    Copying the samples takes as long as tracing a small model does. On other backends than
    TensorFlow, whose scopes of devices belong to a thread, this one computes it.
    """
    if keras.backend.backend() != "tensorflow":
        computed = function()
        return lambda: computed
    import tensorflow as tf  # not needed by the plugin, and slow to load

    here = tf.constant(0.0).device  # which `tf.device` may have set for this thread alone

    def there() -> _T:
        with tf.device(here):
            return function()

    pool = ThreadPoolExecutor(1)
    found = pool.submit(there)
    pool.shutdown(wait=False)
    return found.result


class Population(ABC):
    """K models of one architecture: their stacked variables, and what trains and tests them.

    A backend says how values are held (`_place`, `_values`, `_restore`), how a function goes over
    a stack (`_each`), how a block of batches is trained (`_train_block`) and how a test set is
    evaluated (`_evaluate`).

    Args:
        shared: what the parts of a population share.
        members: label and seed of each model.
        state: where what a `Start` made is kept.

    Attributes:
        costs: by model, what its start cost.

    Raises:
        CannotVectorizeError: the model does not compute over a stack of its weights.
    """

    def __init__(
        self, shared: Shared, members: Sequence[Member], state: EpochState | None = None
    ) -> None:
        plan, template = shared.plan, shared.template
        self._shared, self._plan, self._model, self._size = shared, plan, template, len(members)
        seeds = sorted({seed for _, seed in members})
        self._seeds = seeds if plan.batches == "own" else seeds[:1]
        # by model, which of the batches of a step is its own
        self._slots = [
            self._seeds.index(seed) if plan.batches == "own" else 0 for _, seed in members
        ]
        self._in_turn = self._takes_turns()
        self._axes = self._stack_axes()
        starts = [started(plan, template, label, seed, state) for label, seed in members]
        self.costs = [
            cost_of(plan, label, start) for (label, _), start in zip(members, starts, strict=True)
        ]
        by_weight = zip(*(start.weights for start in starts), strict=True)
        variables = [
            self._stacked(v, axis, values)
            for v, axis, values in zip(
                template.trainable_variables, self._axes, by_weight, strict=True
            )
        ]
        by_state = zip(*(start.states or [] for start in starts), strict=True)
        optimizer = template.optimizer
        self._optimizer = type(optimizer).from_config(optimizer.get_config())
        self._optimizer.build(variables)
        self._place(variables, [np.stack(values) for values in by_state])

    def _stacked(self, one: keras.Variable, axis: int, values: Sequence[Any]) -> keras.Variable:
        """Returns a variable of the models' values for `one`, side by side along `axis`."""
        variable = keras.Variable(np.stack(values, axis), dtype=one.dtype, name=one.name)
        if one.constraint is not None:  # which the optimizer applies after each step
            variable.constraint = functools.partial(self._each, one.constraint, axis)
        return variable

    @classmethod
    def part_size(cls, model: keras.Model, members: int, threads: int) -> int:
        """Returns how many of the models a part takes, so that threads share them evenly."""
        return -(-members // min(threads, members))

    def run(self, epoch: int) -> dict[str, Numbers]:
        """Trains an epoch and evaluates; returns by metric what each model measured, `(K,)`."""
        total, samples = np.zeros(self._size), 0
        for rows in self._rows(epoch):
            total += self._train_block(rows)
            samples += rows[:, 0].size
        measured = {"loss": total / samples}
        for name in self._shared.evaluation:
            loss, metrics = self._evaluate(name)
            measured[f"{name}_loss"] = loss
            measured |= {f"{name}_{m}": v for m, v in metrics.items() if m != "loss"}
        return measured

    def values(self) -> list[NDArray[Any]]:
        """Returns the values of everything that training moves."""
        return [value for group in self._values() for value in group]

    def restore(self, values: Sequence[NDArray[Any]]) -> None:
        """Restores what `values` returned."""
        left = iter(values)
        self._restore([[next(left).astype(now.dtype) for now in group] for group in self._values()])

    def weights(self) -> list[tuple[NDArray[Any], ...]]:
        """Returns of each model what its `get_weights` would give."""
        model, (weights, states, _) = self._model, self._values()
        stacked = {
            id(variable): np.moveaxis(value, axis, 0)
            for variable, value, axis in [
                *zip(model.trainable_variables, weights, self._axes, strict=True),
                *((v, s, 0) for v, s in zip(model.non_trainable_variables, states, strict=True)),
            ]
        }
        return [tuple(stacked[id(v)][k] for v in model.weights) for k in range(self._size)]

    def _stack_axes(self) -> list[int]:
        """Returns where the axis of the models is in each stacked weight."""
        variables = self._model.trainable_variables
        return [stack_axis(v, first=i == 0 and not self._in_turn) for i, v in enumerate(variables)]

    def _takes_turns(self) -> bool:
        """Returns whether the models of a step are computed one after another, not as one."""
        return False

    @abstractmethod
    def _place(self, weights: Sequence[keras.Variable], states: Sequence[NDArray[Any]]) -> None:
        """Takes the stacked weights, whose variables the optimizer knows, and the other states."""

    @abstractmethod
    def _values(self) -> tuple[list[NDArray[Any]], ...]:
        """Returns the values of weights, other states and the optimizer's variables."""

    @abstractmethod
    def _restore(self, values: Sequence[Sequence[NDArray[Any]]]) -> None:
        """Restores what `_values` returned."""

    @abstractmethod
    def _each(self, function: Callable[[Any], Any], axis: int, stack: Any) -> Any:
        """Returns a stack of what `function` makes of each tensor in one, both along `axis`."""

    @abstractmethod
    def _train_block(self, rows: NDArray[np.int32]) -> Numbers:
        """Trains on batches of one size, `(steps, slots, batch)`.

        Returns:
            The sum of each model's losses over samples, `(K,)`.
        """

    @abstractmethod
    def _evaluate(self, name: str) -> tuple[Numbers, dict[str, NDArray[Any]]]:
        """Returns loss and metrics of each model on a test set, each `(K,)`."""

    def _rows(self, epoch: int) -> Iterator[NDArray[np.int32]]:
        """Yields the rows of an epoch's batches in blocks of one size, `(steps, slots, batch)`."""
        for block in zip(*(self._plan.rows(seed, epoch) for seed in self._seeds), strict=True):
            yield np.stack(block, axis=1)

    def _pieces(self, x: Any) -> tuple[int, int, int]:
        """Returns into how many batches a test set is cut, their rows, and the rows left over."""
        samples = sample_count(x)
        rows = min(samples, max(EVALUATION_ROWS, self._plan.batch_size))
        return samples // rows, rows, samples % rows

    def _trained(self, weights: Sequence[Any], states: Sequence[Any], batch: Any) -> Any:
        """Returns the loss of one model on a batch in training, and its states after it."""
        inputs, targets = batch
        trainable = self._model.trainable_variables
        with self._as_member(weights, states) as scope:
            before = [scope.get_current_value(v) for v in trainable]
            outputs = self._model(inputs, training=True)
            loss = self._model.compute_loss(inputs, targets, outputs)
            refuse_assigned(scope, trainable, before, "a call in training")
            return loss, read(scope, self._model.non_trainable_variables)

    def _tested(
        self, batch: Any, weights: Sequence[Any], states: Sequence[Any], metrics: Sequence[Any]
    ) -> Any:
        """Returns the loss of one model on a batch, and moved states and metrics after it."""
        (x, y), model = batch, self._model
        trainable, others = model.trainable_variables, model.non_trainable_variables
        with self._as_member(weights, states, metrics) as scope:
            before = [scope.get_current_value(v) for v in trainable]
            outputs = model(x, training=False)
            loss = model.compute_loss(x, y, outputs, training=False)
            model.compute_metrics(x, y, outputs)
            refuse_assigned(scope, trainable, before, "an evaluation")
            after = read(scope, [others[i] for i in self._shared.moved])
            return loss, after, read(scope, model.metrics_variables)

    def _metrics_result(self, metrics: Sequence[Any]) -> dict[str, Any]:
        """Returns what the metrics of one model have measured."""
        mapping = list(zip(self._model.metrics_variables, metrics, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            return dict(self._model.get_metrics_result())

    def _with_moving(self, still: Sequence[Any], moving: Sequence[Any]) -> list[Any]:
        """Returns the states with those that evaluations move replaced."""
        states = list(still)
        for i, value in zip(self._shared.moved, moving, strict=True):
            states[i] = value
        return states

    def _as_member(
        self, weights: Sequence[Any], states: Sequence[Any], metrics: Sequence[Any] = ()
    ) -> AbstractContextManager[keras.StatelessScope]:
        """Returns a scope in which the template computes as one of the models."""
        model = self._model
        mapping = [
            *zip(model.trainable_variables, weights, strict=True),
            *zip(model.non_trainable_variables, states, strict=True),
            *(zip(model.metrics_variables, metrics, strict=True) if metrics else ()),
        ]
        return variables_replaced(mapping)


def read(scope: keras.StatelessScope, variables: Sequence[keras.Variable]) -> list[Any]:
    """Returns the values of variables as the scope leaves them."""
    return [keras.ops.convert_to_tensor(scope.get_current_value(v)) for v in variables]
