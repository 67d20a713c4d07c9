"""A population on torch: `torch.func.vmap` of the model, step by step."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits._compare.data import sample_count, take
from keras_inits._compare.engines.base import Numbers, Population
from keras_inits._compare.vectorizing import traced


class TorchPopulation(Population):
    """K models whose step is a `torch.func.vmap` over their stacked weights.

    Layers that draw random numbers (dropout) or look at values from Python have no such map, and
    are refused: Keras seeds a generator of torch's for each draw, which wants one number.
    """

    def _place(self, weights: Sequence[keras.Variable], states: Sequence[NDArray[Any]]) -> None:
        import torch  # not needed by the plugin, and slow to load

        self._torch, self._weights = torch, list(weights)
        self._states = [keras.ops.convert_to_tensor(value) for value in states]
        self._slot = keras.ops.convert_to_tensor(self._slots)
        traced(self._try, plainly=self._shared.call_plainly)

    def _try(self) -> None:
        """Computes what a step and an evaluation do, and changes nothing."""
        rows = next(self._rows(0))[0]
        with self._torch.no_grad():
            self._losses(rows)
            for x, y in self._shared.evaluation.values():
                part = take((x, y), slice(2))
                *_, metrics = self._tested_part(part, self._states, self._metric_start())
                self._results(metrics)

    def _values(self) -> tuple[list[NDArray[Any]], ...]:
        groups = self._weights, self._states, self._optimizer.variables
        # copies, since on a CPU torch shares its memory with what it hands out
        return tuple([np.array(keras.ops.convert_to_numpy(v)) for v in group] for group in groups)

    def _restore(self, values: Sequence[Sequence[NDArray[Any]]]) -> None:
        weights, self._states[:], optimizer = (
            [keras.ops.convert_to_tensor(v) for v in own] for own in values
        )
        for variables, own in ((self._weights, weights), (self._optimizer.variables, optimizer)):
            for variable, value in zip(variables, own, strict=True):
                variable.assign(value)

    def _each(self, function: Callable[[Any], Any], axis: int, stack: Any) -> Any:
        over = self._torch.func.vmap(function, in_dims=axis, out_dims=axis)
        return over(keras.ops.convert_to_tensor(stack))

    def _train_block(self, rows: NDArray[np.int32]) -> Numbers:
        torch = self._torch
        total = torch.zeros(self._size, dtype=torch.float64)
        for own in rows:
            losses, self._states = self._losses(own)
            weights = [v.value for v in self._weights]
            gradients = torch.autograd.grad(losses.sum(), weights)
            with torch.no_grad():
                self._optimizer.apply(gradients, self._weights)
            total += losses.detach().to("cpu", torch.float64)
        found: Numbers = total.numpy() * rows.shape[2]
        return found

    def _losses(self, rows: NDArray[np.int32]) -> tuple[Any, list[Any]]:
        """Returns the losses of the models on one step's batches, and their states after it."""
        indices = keras.ops.convert_to_tensor(rows.astype("int64"))
        one = take(self._shared.train, indices[0]) if len(self._seeds) == 1 else None

        def member(weights: Any, states: Any, slot: Any) -> Any:
            batch = take(self._shared.train, indices[slot]) if one is None else one
            return self._trained(weights, states, batch)

        over = self._torch.func.vmap(member, in_dims=(self._axes, 0, 0))
        losses, states = over([v.value for v in self._weights], self._states, self._slot)
        return losses, [state.detach() for state in states]

    def _evaluate(self, name: str) -> tuple[Numbers, dict[str, NDArray[Any]]]:
        pair = self._shared.evaluation[name]
        pieces, rows, rest = self._pieces(pair[0])
        bounds = [(i * rows, rows) for i in range(pieces)] + [(pieces * rows, rest)] * bool(rest)
        total, metrics = np.zeros(self._size), self._metric_start()
        with self._torch.no_grad():
            for begin, size in bounds:
                part = take(pair, slice(begin, begin + size))
                losses, moving, metrics = self._tested_part(part, self._states, metrics)
                self._states = self._with_moving(self._states, moving)
                total += keras.ops.convert_to_numpy(losses).astype(np.float64) * size
            results = self._results(metrics)
        found = {metric: keras.ops.convert_to_numpy(values) for metric, values in results.items()}
        return total / sample_count(pair[0]), found

    def _tested_part(self, batch: Any, states: Sequence[Any], metrics: Sequence[Any]) -> Any:
        over = self._torch.func.vmap(
            functools.partial(self._tested, batch), in_dims=(self._axes, 0, 0)
        )
        return over([v.value for v in self._weights], list(states), list(metrics))

    def _results(self, metrics: Sequence[Any]) -> Any:
        return self._torch.func.vmap(self._metrics_result)(list(metrics))

    def _metric_start(self) -> list[Any]:
        stacks = [np.stack([v] * self._size) for v in self._shared.metric_start]
        return [keras.ops.convert_to_tensor(stack) for stack in stacks]
