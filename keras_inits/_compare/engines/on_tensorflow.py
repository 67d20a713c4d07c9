"""A population on TensorFlow: `tf.vectorized_map`, and an epoch in one `tf.while_loop`."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits._compare.data import sample_count, take
from keras_inits._compare.engines.base import Numbers, Population
from keras_inits._compare.engines.turns import convolves
from keras_inits._compare.execution import on_processors
from keras_inits._compare.vectorizing import traced


class TensorFlowPopulation(Population):
    """K models whose step is a `tf.vectorized_map` over their stacked weights, or a `tf.map_fn`."""

    def _takes_turns(self) -> bool:
        """Returns whether the models of a step are computed one after another.

        Of K convolutions `vectorized_map` makes a loop over them for each, and stacks what comes
        out; on a CPU one loop over whole models takes half of the time.
        """
        return on_processors() and convolves(self._model)

    def _place(self, weights: Sequence[keras.Variable], states: Sequence[NDArray[Any]]) -> None:
        import tensorflow as tf  # not needed by the plugin, and slow to load

        self._tf, self._weights = tf, list(weights)
        self._states = [tf.Variable(value) for value in states]
        self._slot = tf.constant(self._slots)
        self._compiled = self._functions()

    def _functions(self) -> dict[Any, Any]:
        """Returns what trains, by shape of a block of rows, and what evaluates, by test set.

        Parts of one size share what is traced: each calls it with its own values and variables.
        """
        tf, shared = self._tf, self._shared
        functions: dict[Any, Any] = {}

        def compiled(function: Any, *arguments: Any) -> Any:
            trace = tf.function(function, autograph=False).get_concrete_function
            return traced(lambda: trace(*arguments), plainly=shared.call_plainly)

        data = shared.plan.data
        train = shared.described((data.x, data.y), tf.TensorSpec)
        for rows in self._rows(0):
            if rows.shape in functions:
                continue
            key = (rows.shape, *self._slots)
            if key not in shared.compiled:
                found = compiled(self._train_epoch, *train, tf.TensorSpec(rows.shape, tf.int32))
                shared.compiled[key] = found, self._handles()
            functions[rows.shape] = self._with_own_variables(*shared.compiled[key])
        for name, pair in data.evaluation.items():
            # Values go in and come out.
            if (name, self._size) not in shared.compiled:
                arguments = (*shared.described(pair, tf.TensorSpec), *self._tensors())
                shared.compiled[name, self._size] = compiled(self._evaluate_all, *arguments)
            functions[name] = shared.compiled[name, self._size]
        return functions

    def _handles(self) -> list[Any]:
        """Returns the handles of what training moves, in an order that all parts have."""
        variables = [v for group in self._variables for v in group]
        return [(v.value if isinstance(v, keras.Variable) else v).handle for v in variables]

    def _with_own_variables(self, function: Any, handles: Sequence[Any]) -> Callable[..., Any]:
        """Returns a function that was traced over other variables as one over those of this part.

        Args:
            function: as traced.
            handles: of the variables that it was traced over.
        """
        tf = self._tf
        own = {id(there): here for there, here in zip(handles, self._handles(), strict=True)}
        captured = [own.get(id(tensor), tensor) for tensor in function.captured_inputs]
        types = [output.dtype for output in function.outputs]

        def call(*arguments: Any) -> Any:
            given = [*tf.nest.flatten(arguments), *captured]
            (total,) = tf.raw_ops.StatefulPartitionedCall(args=given, Tout=types, f=function)
            return total

        return call

    def _values(self) -> tuple[list[NDArray[Any]], ...]:
        return tuple([v.numpy() for v in group] for group in self._variables)

    def _restore(self, values: Sequence[Sequence[NDArray[Any]]]) -> None:
        for group, own in zip(self._variables, values, strict=True):
            for variable, value in zip(group, own, strict=True):
                variable.assign(value)

    def _each(self, function: Callable[[Any], Any], axis: int, stack: Any) -> Any:
        move = keras.ops.moveaxis
        return move(self._tf.vectorized_map(function, move(stack, axis, 0)), 0, axis)

    @property
    def _variables(self) -> tuple[list[Any], ...]:
        return self._weights, self._states, list(self._optimizer.variables)

    def _train_block(self, rows: NDArray[np.int32]) -> Numbers:
        function = self._compiled[rows.shape]
        found: Numbers = function(*self._shared.train, self._tf.constant(rows)).numpy()
        return found

    def _evaluate(self, name: str) -> tuple[Numbers, dict[str, NDArray[Any]]]:
        pair = self._shared.evaluation[name]
        loss, moving, metrics = self._compiled[name](*pair, *self._tensors())
        for i, value in zip(self._shared.moved, moving, strict=True):
            self._states[i].assign(value)
        return loss.numpy(), {metric: values.numpy() for metric, values in metrics.items()}

    def _train_epoch(self, x: Any, y: Any, rows: Any) -> Any:
        """Trains on batches of one size; returns the sum of each model's losses over samples."""
        tf = self._tf
        batch = rows.shape[2]

        def body(step: Any, total: Any) -> tuple[Any, Any]:
            losses = self._train_step(x, y, rows[step])
            return step + 1, total + tf.cast(losses, tf.float64) * batch

        _, total = tf.while_loop(
            lambda step, _: step < rows.shape[0],
            body,
            (0, tf.zeros(self._size, tf.float64)),
            parallel_iterations=1,
        )
        return total

    def _train_step(self, x: Any, y: Any, rows: Any) -> Any:
        tf = self._tf
        weights, states = self._tensors()
        if len(self._seeds) == 1:  # one batch for all, which pfor must see to be the same
            batch = self._gather((x, y), rows[0])

        def member(arguments: Any) -> Any:
            weights, states, slot = arguments
            own = batch if len(self._seeds) == 1 else self._gather((x, y), tf.gather(rows, slot))
            return self._trained(weights, states, own)

        if self._in_turn:
            arguments = (weights, states, self._slot)
            losses, new_states, gradients = self._differentiated_in_turn(member, arguments)
        else:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(weights)
                arguments = (self._member_first(weights), states, self._slot)
                losses, new_states = self._over_models(member, arguments)
                total = tf.reduce_sum(losses)
            gradients = tape.gradient(total, weights)
        self._optimizer.apply(gradients, self._weights)
        for variable, value in zip(self._states, new_states, strict=True):
            variable.assign(value)
        return losses

    def _differentiated_in_turn(self, member: Callable[[Any], Any], arguments: Any) -> Any:
        """Returns losses, states and gradients of the models, each differentiated by itself."""
        tf = self._tf
        without: set[int] = set()  # weights that the loss does not depend on

        def differentiated(arguments: Any) -> Any:
            own, *_ = arguments
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(own)
                loss, states = member(arguments)
            gradients = tape.gradient(loss, own)
            without.update(i for i, gradient in enumerate(gradients) if gradient is None)
            dense = [
                tf.zeros_like(w) if g is None else tf.convert_to_tensor(g)
                for w, g in zip(own, gradients, strict=True)
            ]
            return tf.cast(loss, tf.float64), states, dense

        weights, states, _ = arguments
        types = (tf.float64, _types(states), _types(weights))
        losses, states, gradients = self._one_by_one(differentiated, arguments, types)
        return losses, states, [None if i in without else g for i, g in enumerate(gradients)]

    def _evaluate_all(self, x: Any, y: Any, weights: Any, still: Any) -> Any:
        """Returns loss, moved states and metrics of each model over a test set."""
        tf, moved = self._tf, self._shared.moved
        weights = self._member_first(weights)
        metrics = [tf.stack([tf.constant(v)] * self._size) for v in self._shared.metric_start]
        pieces, rows, rest = self._pieces(x)

        def part(batch: Any, size: int, total: Any, moving: Any, metrics: Any) -> Any:
            def member(arguments: Any) -> Any:
                loss, *after = self._tested(batch, *arguments)
                return tf.cast(loss, tf.float64), *after

            arguments = (weights, self._with_moving(still, moving), metrics)
            if self._in_turn:
                types = (tf.float64, _types(moving), _types(metrics))
                losses, moving, metrics = self._one_by_one(member, arguments, types)
            else:
                losses, moving, metrics = self._over_models(member, arguments)
            return total + losses * size, moving, metrics

        def body(i: Any, total: Any, moving: Any, metrics: Any) -> Any:
            piece = tf.range(rows) + i * rows
            return i + 1, *part(self._gather((x, y), piece), rows, total, moving, metrics)

        _, total, moving, metrics = tf.while_loop(
            lambda i, *_: i < pieces,
            body,
            (0, tf.zeros(self._size, tf.float64), [still[i] for i in moved], metrics),
            parallel_iterations=1,
        )
        if rest:
            last = take((x, y), slice(-rest, None))
            total, moving, metrics = part(last, rest, total, moving, metrics)
        results = self._over_models(self._metrics_result, metrics)
        return total / sample_count(x), moving, results

    def _tensors(self) -> tuple[list[Any], list[Any]]:
        """Returns the values of weights and other states."""
        groups = self._weights, self._states
        weights, states = ([self._tf.convert_to_tensor(v) for v in group] for group in groups)
        return weights, states

    def _over_models(self, member: Callable[[Any], Any], arguments: Any) -> Any:
        """Returns a stack of what `member` makes of the arguments of each model."""
        tf = self._tf
        if self._size > 1:
            return tf.vectorized_map(member, arguments)
        # `vectorized_map` gathers a single model's values, and sums their gradients by segments.
        squeeze, stack = (lambda t: tf.squeeze(t, 0)), (lambda t: tf.expand_dims(t, 0))
        return tf.nest.map_structure(stack, member(tf.nest.map_structure(squeeze, arguments)))

    def _one_by_one(self, member: Callable[[Any], Any], arguments: Any, types: Any) -> Any:
        """Returns the same stack, of `types`, with the models computed one after another."""
        return self._tf.map_fn(member, arguments, fn_output_signature=types, parallel_iterations=1)

    def _gather(self, tensors: Any, rows: Any) -> Any:
        return keras.tree.map_structure(lambda tensor: self._tf.gather(tensor, rows), tensors)

    def _member_first(self, weights: Sequence[Any]) -> list[Any]:
        return [
            self._models_in_front(w) if axis else w
            for w, axis in zip(weights, self._axes, strict=True)
        ]

    def _models_in_front(self, weight: Any) -> Any:
        tf, shape = self._tf, weight.shape
        if self._size == 1:  # free, unlike a transposition
            return tf.reshape(weight, [1, shape[0], shape[2]])
        return tf.transpose(weight, [1, 0, 2])


def _types(tensors: Sequence[Any]) -> list[Any]:
    return [tensor.dtype for tensor in tensors]
