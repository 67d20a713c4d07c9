"""A population on JAX: `vmap` of the model, and an epoch in one compiled `scan`."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits._compare.data import sample_count, take
from keras_inits._compare.engines.base import Numbers, Population
from keras_inits._compare.engines.turns import convolves, reads_sequences
from keras_inits._compare.execution import on_processors
from keras_inits._compare.vectorizing import CannotVectorizeError, traced

# Of 40 dense nets on two processors, those of 25,000 weights took half the time as one, those of
# 75,000 the same, and those of 270,000 half as much again (docs/speed.md).
MANY_WEIGHTS = 100_000


class JaxPopulation(Population):
    """K models whose step is a `jax.vmap` over their stacked weights; one by itself.

    What training moves goes through the compiled functions as a value, and its memory is given to
    them: an epoch holds one copy of it.
    """

    @classmethod
    def part_size(cls, model: keras.Model, members: int, threads: int) -> int:
        """Returns 1 for models that are faster apart, else all: XLA has threads of its own."""
        large = model.count_params() > MANY_WEIGHTS
        apart = on_processors() and (large or convolves(model) or reads_sequences(model))
        return 1 if apart else members

    def _stack_axes(self) -> list[int]:
        """Returns 0 for each weight.

        `(in, K, out)` saves XLA a transposition of the first kernels, but the one of their
        gradient, as one matrix, costs it more: an epoch of MLPs took 1.16 of this time.
        """
        return [0] * len(self._model.trainable_variables)

    def _place(self, weights: Sequence[keras.Variable], states: Sequence[NDArray[Any]]) -> None:
        import jax  # not needed by the plugin, and slow to load

        self._jax = jax
        self._slot = jax.numpy.asarray(self._slots)
        self._moving = (
            [v.value for v in weights],
            [jax.numpy.asarray(value) for value in states],
            [v.value for v in self._optimizer.variables],
        )
        self._compiled = self._functions()

    def _functions(self) -> dict[Any, Any]:
        """Returns what trains, by shape of a block of rows, and what evaluates, by test set.

        Parts of one size share what is compiled: each calls it with its own values.
        """
        jax, shared = self._jax, self._shared
        functions: dict[Any, Any] = {}

        def compiled(key: Any, function: Any, *arguments: Any) -> Any:
            if key not in shared.compiled:
                lowered = traced(lambda: function.lower(*arguments), plainly=shared.call_plainly)
                shared.compiled[key] = _called(lowered.compile())
            return shared.compiled[key]

        by_steps = _by_steps(self._model)
        train = jax.jit(self._train_step if by_steps else self._train_epoch, donate_argnums=0)
        for rows in self._rows(0):
            key, given = (rows.shape, *self._slots), rows[0] if by_steps else rows
            made = compiled(key, train, self._moving, shared.train, given)
            functions[rows.shape] = functools.partial(_step_by_step, made) if by_steps else made
        evaluate = jax.jit(self._evaluate_all)
        for name, pair in shared.evaluation.items():
            key = (name, self._size)
            functions[name] = compiled(key, evaluate, *self._moving[:2], pair)
        return functions

    def _values(self) -> tuple[list[NDArray[Any]], ...]:
        return tuple([np.asarray(value) for value in group] for group in self._moving)

    def _restore(self, values: Sequence[Sequence[NDArray[Any]]]) -> None:
        weights, states, optimizer = ([self._jax.numpy.asarray(v) for v in own] for own in values)
        self._moving = weights, states, optimizer

    def _each(self, function: Callable[[Any], Any], axis: int, stack: Any) -> Any:
        over = self._jax.vmap(function, in_axes=axis, out_axes=axis)
        return over(keras.ops.convert_to_tensor(stack))

    def _train_block(self, rows: NDArray[np.int32]) -> Numbers:
        self._moving, losses = self._compiled[rows.shape](self._moving, self._shared.train, rows)
        total: Numbers = np.asarray(losses, np.float64).sum(axis=0) * rows.shape[2]
        return total

    def _evaluate(self, name: str) -> tuple[Numbers, dict[str, NDArray[Any]]]:
        weights, states, _ = self._moving
        pair = self._shared.evaluation[name]
        losses, rest_loss, moving, metrics = self._compiled[name](weights, states, pair)
        states[:] = self._with_moving(states, moving)
        _, rows, rest = self._pieces(pair[0])
        total = np.asarray(losses, np.float64).sum(axis=0) * rows
        total += np.asarray(rest_loss, np.float64) * rest
        found = {metric: np.asarray(values) for metric, values in metrics.items()}
        return total / sample_count(pair[0]), found

    def _over_models(self, member: Callable[..., Any], weights: Any, *stacks: Any) -> Any:
        """Returns what `member` makes of the weights and the other values of each model."""
        jax = self._jax
        if self._size > 1:
            return jax.vmap(member)(weights, *stacks)
        alone = jax.tree.map(lambda stack: stack[0], (weights, *stacks))
        return jax.tree.map(lambda value: value[None], member(*alone))

    def _train_epoch(self, moving: Any, data: Any, rows: Any) -> Any:
        """Returns what training moves after batches of one size, and the losses, `(steps, K)`."""
        return self._jax.lax.scan(lambda now, rows: self._train_step(now, data, rows), moving, rows)

    def _train_step(self, moving: Any, data: Any, rows: Any) -> Any:
        jax = self._jax
        weights, states, optimizer = moving
        # One batch for all is not looked up by model: the compiler must see it to be the same.
        one = take(data, rows[0]) if len(self._seeds) == 1 else None

        def member(weights: Any, states: Any, slot: Any) -> Any:
            batch = take(data, rows[slot]) if one is None else one
            return jax.value_and_grad(self._trained, has_aux=True)(weights, states, batch)

        (losses, states), gradients = self._over_models(member, weights, states, self._slot)
        weights, optimizer = self._optimizer.stateless_apply(optimizer, gradients, weights)
        return (weights, states, optimizer), losses

    def _evaluate_all(self, weights: Any, still: Any, pair: Any) -> Any:
        """Returns losses of the pieces, `(pieces, K)`, and of the rest, moved states, metrics."""
        jax = self._jax
        pieces, rows, rest = self._pieces(pair[0])

        def part(carry: Any, batch: Any) -> Any:
            moving, metrics = carry
            losses, moving, metrics = self._over_models(
                functools.partial(self._tested, batch),
                weights,
                self._with_moving(still, moving),
                metrics,
            )
            return (moving, metrics), losses

        def stacked(array: Any) -> Any:
            return array[: pieces * rows].reshape(pieces, rows, *array.shape[1:])

        carry = (
            [still[i] for i in self._shared.moved],
            [jax.numpy.stack([v] * self._size) for v in self._shared.metric_start],
        )
        carry, losses = jax.lax.scan(part, carry, keras.tree.map_structure(stacked, pair))
        rest_loss = jax.numpy.zeros(self._size)
        if rest:
            carry, rest_loss = part(carry, take(pair, slice(-rest, None)))
        moving, metrics = carry
        return losses, rest_loss, moving, jax.vmap(self._metrics_result)(metrics)


def _called(compiled: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a compiled function, of which a call that it was not compiled for is refused.

    A stand-in of the compiler's that a layer has kept counts as one more argument.
    """

    def call(*arguments: Any) -> Any:
        try:
            return compiled(*arguments)
        except TypeError as error:
            raise CannotVectorizeError(
                "a layer assigns to a variable where JAX traces it, as in a branch of `cond`"
            ) from error

    return call


def _by_steps(model: keras.Model) -> bool:
    """Returns whether an epoch of a model is a call of Python for each step, not one `scan`.

    Inside of a loop XLA does not know the gradient of a convolution as one: on a CPU that takes
    several times as long.
    """
    return on_processors() and convolves(model)


def _step_by_step(step: Callable[..., Any], moving: Any, data: Any, batches: Any) -> Any:
    """Returns what training moves after these batches, and the losses, `(steps, 1)`."""
    losses = []
    for rows in batches:
        moving, loss = step(moving, data, rows)
        losses.append(loss)
    return moving, losses
