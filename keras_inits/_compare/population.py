"""Many models of one architecture trained side by side, as one compiled computation.

The weights of K models lie stacked in one variable each. A step looks up one batch, runs the model
over the stack with `tf.vectorized_map`, differentiates the sum of the K losses (each weight is in
one of them only, so this is each model's own gradient) and lets one Keras optimizer, built for the
stacked variables, update them all. A whole epoch is one `tf.while_loop`.

That is what K calls of `fit` compute, if the optimizer treats every number by itself. With batches
shared, "one batch, K kernels" is one product `(batch, in) @ (in, K * out)` in the first layer.

On a CPU several threads share the models: models side by side use processors better than the parts
of one small operation do.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np

from keras_inits._compare.data import sample_count, take
from keras_inits._compare.models import compiled_model, cost_of, started
from keras_inits._compare.plan import EVALUATION_ROWS, Listener, Member, Plan, Run
from keras_inits._compare.store import EpochState
from keras_inits._compare.vectorizing import compiled, refuse, refuse_assigned
from keras_inits._compare.weights import Weights


def train_population(
    plan: Plan,
    members: Sequence[Member],
    on_epoch: Listener = lambda epoch: None,
    state: EpochState | None = None,
    threads: int = 1,
) -> list[Run]:
    """Returns runs, trained side by side.

    Args:
        plan: what they share.
        members: label and seed of each.
        on_epoch: called with the number of epochs finished, after each.
        state: where each finished epoch is kept, for the next call to resume from.
        threads: number of threads that share the runs.

    Returns:
        A run for each member, in their order.

    Raises:
        CannotVectorizeError: the model has to be trained by `fit`.
    """
    template = compiled_model(plan)
    refuse(template)
    shared = _Shared(plan, template)
    # All Python code of the model runs here, in the caller's thread: the others do not know its
    # dtype policy and scopes.
    size = -(-len(members) // min(threads, len(members)))
    parts = [
        _Population(shared, members[i : i + size], state) for i in range(0, len(members), size)
    ]
    histories = (state and _restore(parts, state)) or [{} for _ in members]
    finished = len(histories[0].get("loss", ()))
    with ThreadPoolExecutor(len(parts)) as pool:
        for epoch in range(finished, plan.epochs):
            found = list(pool.map(lambda part, epoch=epoch: part.run(epoch), parts))
            for metric in found[0]:
                values = np.concatenate([measured[metric] for measured in found])
                for history, value in zip(histories, values, strict=True):
                    history.setdefault(metric, []).append(float(value))
            if state is not None:
                state.save([value for part in parts for value in part.values()], histories)
            on_epoch(epoch + 1)
    costs = [cost for part in parts for cost in part.costs]
    kept = [weights for part in parts for weights in part.weights()] if plan.keep_weights else []
    return [
        Run(
            label,
            seed,
            {m: tuple(v) for m, v in history.items()},
            "population",
            weights=kept[i] if kept else (),
            cost=costs[i],
        )
        for i, ((label, seed), history) in enumerate(zip(members, histories, strict=True))
    ]


def _restore(parts: Sequence["_Population"], state: EpochState) -> list[Any] | None:
    """Restores what is kept and returns the histories; None if nothing that fits is kept."""
    if (kept := state.load()) is None:
        return None
    values, histories = kept
    expected = [(v.shape, v.dtype.itemsize) for part in parts for v in part.values()]
    if [(v.shape, v.dtype.itemsize) for v in values] != expected:  # of another number of threads
        return None
    for part in parts:
        part.restore([values.pop(0) for _ in part.values()])
    return histories


def stack_axis(variable: Any, *, first: bool) -> int:
    """Returns where the axis of the models goes in a stacked variable.

    In front, except for a first kernel `(in, out)`, which is kept as `(in, K, out)`: the product
    with a shared batch reads it as `(in, K * out)` without moving it.
    """
    return 1 if first and len(variable.shape) == 2 else 0


class _Shared:
    """What the parts of a population share: the model, and the samples as tensors."""

    def __init__(self, plan: Plan, template: keras.Model) -> None:
        import tensorflow as tf  # not needed by the plugin, and slow to load

        self.plan, self.template, data = plan, template, plan.data
        self.train = keras.tree.map_structure(tf.constant, (data.x, data.y))
        self.evaluation = keras.tree.map_structure(tf.constant, dict(data.evaluation))
        x, y = take(self.train, slice(1))
        states = template.non_trainable_variables
        with keras.StatelessScope() as scope:
            outputs = template(x, training=False)
        # Random states of recurrent dropout, for one: `fit` carries on with what evaluations leave.
        self.moved = [i for i, v in enumerate(states) if scope.get_current_value(v) is not None]
        # The variables of the metrics are made by their first use.
        template.compute_loss(x, y, outputs, training=False)
        template.compute_metrics(x, y, outputs)
        template.reset_metrics()
        self.metric_start = [v.numpy() for v in template.metrics_variables]

    def call_plainly(self) -> None:
        """Calls model and loss on two samples, as training does, and leaves no trace."""
        x, y = take(self.train, slice(2))
        with keras.StatelessScope(collect_losses=True):
            outputs = self.template(x, training=True)
            self.template.compute_loss(x, y, outputs, training=True)


class _Population:
    """K models: their stacked variables, and the compiled functions that train and test them.

    Raises:
        CannotVectorizeError: they cannot be compiled.
    """

    def __init__(
        self, shared: _Shared, members: Sequence[Member], state: EpochState | None = None
    ) -> None:
        import tensorflow as tf  # not needed by the plugin, and slow to load

        plan, template = shared.plan, shared.template
        self._shared = shared
        self._tf, self._plan, self._model, self._size = tf, plan, template, len(members)
        seeds = sorted({seed for _, seed in members})
        self._seeds = seeds if plan.batches == "own" else seeds[:1]
        slots = [self._seeds.index(seed) if plan.batches == "own" else 0 for _, seed in members]
        self._slots = tf.constant(slots)

        variables = template.trainable_variables
        self._axes = [stack_axis(v, first=i == 0) for i, v in enumerate(variables)]
        starts = [started(plan, template, label, seed, state) for label, seed in members]
        self.costs = [
            cost_of(plan, label, start) for (label, _), start in zip(members, starts, strict=True)
        ]
        self._weights = _stacked_weights(template, [s.weights for s in starts], self._axes)
        states = [start.states or [] for start in starts]
        self._states = [tf.Variable(np.stack(v)) for v in zip(*states, strict=True)]
        optimizer = template.optimizer
        self._optimizer = type(optimizer).from_config(optimizer.get_config())
        self._optimizer.build(self._weights)
        self._compiled = self._functions()

    def _functions(self) -> dict[Any, Any]:
        """Returns what trains, by shape of a block of rows, and what evaluates, by test set."""
        tf, shared = self._tf, self._shared
        functions: dict[Any, Any] = {}
        train = tf.function(self._train_block, autograph=False)
        for rows in self._rows(0):
            if rows.shape not in functions:
                functions[rows.shape] = compiled(
                    train, *shared.train, tf.constant(rows), plainly=shared.call_plainly
                )
        evaluate = tf.function(self._evaluate_all, autograph=False)
        for name, pair in shared.evaluation.items():
            functions[name] = compiled(evaluate, *pair, plainly=shared.call_plainly)
        return functions

    def values(self) -> list[Any]:
        """Returns the values of everything that training moves."""
        return [v.numpy() for v in self._moving]

    def weights(self) -> list[tuple[Any, ...]]:
        """Returns of each model what its `get_weights` would give."""
        model, states = self._model, self._model.non_trainable_variables
        stacked = {
            id(variable): np.moveaxis(value.numpy(), axis, 0)
            for variable, value, axis in [
                *zip(model.trainable_variables, self._weights, self._axes, strict=True),
                *((v, s, 0) for v, s in zip(states, self._states, strict=True)),
            ]
        }
        return [tuple(stacked[id(v)][k] for v in model.weights) for k in range(self._size)]

    def restore(self, values: Sequence[Any]) -> None:
        """Restores what `values` returned."""
        for variable, value in zip(self._moving, values, strict=True):
            # NumPy's files know no bfloat16 and bring back its bits without a name
            variable.assign(value.view(variable.numpy().dtype))

    @property
    def _moving(self) -> list[Any]:
        return [*self._weights, *self._states, *self._optimizer.variables]

    def run(self, epoch: int) -> dict[str, Any]:
        """Trains an epoch and evaluates; returns by metric what each model measured, `(K,)`."""
        measured = {"loss": self._train(epoch)}
        for name in self._shared.evaluation:
            measured |= self._evaluate(name)
        return measured

    def _train(self, epoch: int) -> Any:
        """Trains an epoch and returns each model's mean loss in it, `(K,)`."""
        total, samples = np.zeros(self._size), 0
        for rows in self._rows(epoch):
            function = self._compiled[rows.shape]
            total += function(*self._shared.train, self._tf.constant(rows)).numpy()
            samples += rows[:, 0].size
        return total / samples

    def _rows(self, epoch: int) -> Iterator[Any]:
        """Yields the rows of an epoch's batches in blocks of one size, (steps, slots, batch)."""
        for block in zip(*(self._plan.rows(seed, epoch) for seed in self._seeds), strict=True):
            yield np.stack(block, axis=1)

    def _evaluate(self, name: str) -> dict[str, Any]:
        """Returns the metrics of each model on a test set, each `(K,)`, by prefixed name."""
        loss, metrics = self._compiled[name](*self._shared.evaluation[name])
        found = {f"{name}_loss": loss.numpy()}
        for metric, values in metrics.items():
            if metric != "loss":
                found[f"{name}_{metric}"] = values.numpy()
        return found

    def _train_block(self, x: Any, y: Any, rows: Any) -> Any:
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
        weights = [tf.convert_to_tensor(v) for v in self._weights]
        states = [tf.convert_to_tensor(v) for v in self._states]
        if len(self._seeds) == 1:  # one batch for all, which pfor must see to be the same
            batch = self._gather((x, y), rows[0])

        def member(arguments: Any) -> Any:
            weights, states, slot = arguments
            if len(self._seeds) == 1:
                inputs, targets = batch
            else:
                inputs, targets = self._gather((x, y), tf.gather(rows, slot))
            trainable = self._model.trainable_variables
            with self._as_member(weights, states) as scope:
                before = [scope.get_current_value(v) for v in trainable]
                outputs = self._model(inputs, training=True)
                loss = self._model.compute_loss(inputs, targets, outputs)
                refuse_assigned(scope, trainable, before, "a call in training")
                return loss, _read(scope, self._model.non_trainable_variables)

        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            arguments = (self._member_first(weights), states, self._slots)
            losses, new_states = tf.vectorized_map(member, arguments)
            total = tf.reduce_sum(losses)
        gradients = tape.gradient(total, weights)
        self._optimizer.apply(gradients, self._weights)
        for variable, value in zip(self._states, new_states, strict=True):
            variable.assign(value)
        return losses

    def _evaluate_all(self, x: Any, y: Any) -> Any:
        """Returns loss and metrics of each model over a test set."""
        tf, model, moved = self._tf, self._model, self._shared.moved
        weights = self._member_first([tf.convert_to_tensor(v) for v in self._weights])
        still = [tf.convert_to_tensor(v) for v in self._states]
        metrics = [tf.stack([tf.constant(v)] * self._size) for v in self._shared.metric_start]
        samples = sample_count(x)
        rows = min(samples, max(EVALUATION_ROWS, self._plan.batch_size))

        def part(batch: Any, size: int, total: Any, moving: Any, metrics: Any) -> Any:
            x, y = batch
            states = list(still)
            for i, value in zip(moved, moving, strict=True):
                states[i] = value

            def member(arguments: Any) -> Any:
                weights, states, metrics = arguments
                trainable, others = model.trainable_variables, model.non_trainable_variables
                with self._as_member(weights, states, metrics) as scope:
                    before = [scope.get_current_value(v) for v in trainable]
                    outputs = model(x, training=False)
                    loss = model.compute_loss(x, y, outputs, training=False)
                    model.compute_metrics(x, y, outputs)
                    refuse_assigned(scope, trainable, before, "an evaluation")
                    after = _read(scope, [others[i] for i in moved])
                    return loss, after, _read(scope, model.metrics_variables)

            losses, moving, metrics = tf.vectorized_map(member, (weights, states, metrics))
            return total + tf.cast(losses, tf.float64) * size, moving, metrics

        def body(i: Any, total: Any, moving: Any, metrics: Any) -> Any:
            piece = tf.range(rows) + i * rows
            return i + 1, *part(self._gather((x, y), piece), rows, total, moving, metrics)

        _, total, moving, metrics = tf.while_loop(
            lambda i, *_: i < samples // rows,
            body,
            (0, tf.zeros(self._size, tf.float64), [still[i] for i in moved], metrics),
            parallel_iterations=1,
        )
        if rest := samples % rows:
            last = take((x, y), slice(-rest, None))
            total, moving, metrics = part(last, rest, total, moving, metrics)
        for i, value in zip(moved, moving, strict=True):
            self._states[i].assign(value)

        def results(metrics: Any) -> Any:
            mapping = list(zip(model.metrics_variables, metrics, strict=True))
            with keras.StatelessScope(state_mapping=mapping):
                return model.get_metrics_result()

        return total / samples, tf.vectorized_map(results, metrics)

    def _gather(self, tensors: Any, rows: Any) -> Any:
        return keras.tree.map_structure(lambda tensor: self._tf.gather(tensor, rows), tensors)

    def _member_first(self, weights: Sequence[Any]) -> list[Any]:
        tf = self._tf
        return [
            tf.transpose(w, [1, 0, 2]) if axis else w
            for w, axis in zip(weights, self._axes, strict=True)
        ]

    def _as_member(
        self, weights: Sequence[Any], states: Sequence[Any], metrics: Sequence[Any] = ()
    ) -> keras.StatelessScope:
        """Returns a scope in which the template computes as one of the models."""
        model = self._model
        mapping = [
            *zip(model.trainable_variables, weights, strict=True),
            *zip(model.non_trainable_variables, states, strict=True),
            *(zip(model.metrics_variables, metrics, strict=True) if metrics else ()),
        ]
        return keras.StatelessScope(state_mapping=mapping, collect_losses=True)


def _stacked_weights(
    template: keras.Model, starts: Sequence[Weights], axes: Sequence[int]
) -> list[keras.Variable]:
    return [
        keras.Variable(np.stack(values, axis), dtype=v.dtype, name=v.name)
        for values, axis, v in zip(
            zip(*starts, strict=True), axes, template.trainable_variables, strict=True
        )
    ]


def _read(scope: keras.StatelessScope, variables: Sequence[Any]) -> list[Any]:
    """The values of variables as the scope leaves them."""
    return [keras.ops.convert_to_tensor(scope.get_current_value(v)) for v in variables]
