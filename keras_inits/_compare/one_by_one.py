"""Models trained one after another by `fit`, on the same batches from the same weights."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits._compare.data import take
from keras_inits._compare.models import batch_made_for, compiled_model, cost_of, started
from keras_inits._compare.plan import EVALUATION_ROWS, Listener, Member, Plan, Run
from keras_inits._compare.store import EpochState, History
from keras_inits._compare.weights import derived_seeds


def train_one_by_one(
    plan: Plan,
    members: Sequence[Member],
    on_epoch: Listener = lambda epoch: None,
    state: EpochState | None = None,
    *,
    reason: str,
) -> list[Run]:
    """Returns runs, trained one after another.

    Args:
        plan: what they share.
        members: label and seed of each.
        on_epoch: called after each epoch of a run with the number of epochs that all have finished
            on average, rounded down.
        state: with one member, where each finished epoch is kept, for the next call to resume from.
        reason: why they are not trained side by side; noted in each run.
    """
    runs = []
    for number, (label, seed) in enumerate(members):

        def listen(epoch: int, done: int = number * plan.epochs) -> None:
            on_epoch((done + epoch) // len(members))

        kept = state if len(members) == 1 else None
        runs.append(_train(plan, label, seed, listen, kept, reason))
    return runs


def _train(
    plan: Plan, label: str, seed: int, on_epoch: Listener, state: EpochState | None, reason: str
) -> Run:
    model = compiled_model(plan, label, seed)
    start = started(plan, model, label, seed, state)
    model.optimizer.build(model.trainable_variables)
    variables = [*model.trainable_variables, *model.non_trainable_variables]
    _assign(variables, [*start.weights, *(start.states or ())])
    if type(model).train_step is not keras.Model.train_step:
        state = None  # it may move what no list of Keras's names, such as a second optimizer
    recorder = _Recorder(plan, on_epoch, state)
    recorder.history = (state and _restore(model, state)) or {}
    finished = len(recorder.history.get("loss", ()))
    if finished < plan.epochs:
        with _own_draws(plan, seed) as callbacks:
            _fit(plan, model, seed, finished, [recorder, *callbacks])
    history = {metric: tuple(values) for metric, values in recorder.history.items()}
    weights = tuple(model.get_weights()) if plan.keep_weights else ()
    cost = cost_of(plan, label, start)
    return Run(label, seed, history, "fit", reason, weights, cost)


def _fit(
    plan: Plan,
    model: keras.Model,
    seed: int,
    finished: int,
    callbacks: Sequence[keras.callbacks.Callback],
) -> None:
    steps = sum(len(block) for block in plan.rows(seed, 0))
    tensorflow = keras.backend.backend() == "tensorflow"
    # A loop of steps inside one call: alone, a small step costs less than its call from Python.
    if tensorflow and model.steps_per_execution == 1 and not model.run_eagerly:
        model.steps_per_execution = steps
    model.fit(
        _dataset(plan, model, seed, finished) if tensorflow else _batches(plan, seed, finished),
        steps_per_epoch=steps,
        initial_epoch=finished,
        epochs=plan.epochs,
        callbacks=callbacks,
        shuffle=False,  # the batches come shuffled
        verbose=0,
    )


@contextlib.contextmanager
def _own_draws(plan: Plan, seed: int) -> Iterator[list[keras.callbacks.Callback]]:
    """Yields callbacks by which all that `fit` draws follows from the seed of the run.

    On torch a dropout without a seed draws from the global generator, which is left as it was.
    """
    if keras.backend.backend() != "torch":
        yield []
        return
    import torch  # not needed by the plugin, and slow to load

    with torch.random.fork_rng(range(torch.cuda.device_count())):
        yield [_Draws(plan, seed, torch.manual_seed)]


class _Draws(keras.callbacks.Callback):
    """Gives each epoch random numbers that do not depend on those before it."""

    def __init__(self, plan: Plan, run: int, start: Callable[[int], object]) -> None:
        super().__init__()
        self._seeds, self._start = derived_seeds(plan.seed, run, plan.epochs + 1)[1:], start
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Notes the epoch."""
        self._epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Seeds the generator: not earlier, since what loads the batches draws as `fit` begins."""
        if batch == 0:
            self._start(self._seeds[self._epoch])


def _blocks(plan: Plan, seed: int, finished: int) -> Iterator[NDArray[np.int32]]:
    """Yields the rows of the batches of all epochs that are left, `(steps, batch)`."""
    for epoch in range(finished, plan.epochs):
        yield from plan.rows(seed, epoch)


def _batches(plan: Plan, seed: int, finished: int) -> Iterator[tuple[Any, Any]]:
    for block in _blocks(plan, seed, finished):
        for rows in block:
            yield take((plan.data.x, plan.data.y), rows)


def _dataset(plan: Plan, model: keras.Model, seed: int, finished: int) -> Any:
    """Returns the same batches as a `tf.data.Dataset`, which asks Python for blocks alone."""
    import tensorflow as tf  # not needed by the plugin, and slow to load

    tensors = keras.tree.map_structure(tf.constant, _tuples((plan.data.x, plan.data.y)))
    size = batch_made_for(model)  # which Keras 3.12 wants to be known of stateful layers

    def batch(rows: Any) -> Any:
        rows = tf.ensure_shape(rows, (size,))
        return keras.tree.map_structure(lambda tensor: tf.gather(tensor, rows), tensors)

    blocks = tf.data.Dataset.from_generator(
        lambda: _blocks(plan, seed, finished),
        output_signature=tf.TensorSpec((None, None), tf.int32),
    )
    return blocks.flat_map(tf.data.Dataset.from_tensor_slices).map(batch).prefetch(2)


def _tuples(arrays: Any) -> Any:
    """Returns a structure with tuples for lists, which `tf.data` takes for tensors."""
    if isinstance(arrays, dict):
        return {key: _tuples(entry) for key, entry in arrays.items()}
    return tuple(map(_tuples, arrays)) if isinstance(arrays, list | tuple) else arrays


def _moving(model: keras.Model) -> list[Any]:
    """Returns everything that training moves."""
    return [
        *model.trainable_variables,
        *model.non_trainable_variables,
        *model.optimizer.variables,
    ]


def _assign(variables: Sequence[Any], values: Sequence[Any]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _restore(model: keras.Model, state: EpochState) -> History | None:
    """Restores what is kept and returns the history; None if nothing that fits is kept."""
    moving = _moving(model)
    if (kept := state.load([tuple(v.shape) for v in moving])) is None:
        return None
    values, histories = kept
    _assign(moving, values)
    return histories[0]


class _Recorder(keras.callbacks.Callback):
    """Evaluates on every test set after each epoch and keeps all numbers."""

    def __init__(self, plan: Plan, on_epoch: Listener, state: EpochState | None) -> None:
        super().__init__()
        self._plan, self._on_epoch, self._state = plan, on_epoch, state
        self.history: History = {}

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Evaluates, and keeps what the epoch measured."""
        measured = {"loss": (logs or {})["loss"]}
        rows = batch_made_for(self.model) or max(EVALUATION_ROWS, self._plan.batch_size)
        for name, (x, y) in self._plan.data.evaluation.items():
            found = self.model.evaluate(x, y, batch_size=rows, verbose=0, return_dict=True)
            measured |= {f"{name}_{metric}": value for metric, value in found.items()}
        for metric, value in measured.items():
            self.history.setdefault(metric, []).append(float(value))
        if self._state is not None:
            values = [keras.ops.convert_to_numpy(v) for v in _moving(self.model)]
            self._state.save(values, [self.history])
        self._on_epoch(epoch + 1)
