"""Models trained one after another by `fit`, on the same batches from the same weights."""

from collections.abc import Iterator, Sequence
from typing import Any

import keras

from keras_inits._compare.data import take
from keras_inits._compare.models import compiled_model, starting_states, starting_weights
from keras_inits._compare.plan import EVALUATION_ROWS, Listener, Member, Plan, Run


def train_one_by_one(
    plan: Plan,
    members: Sequence[Member],
    on_epoch: Listener = lambda epoch: None,
    *,
    reason: str,
) -> list[Run]:
    """Returns runs, trained one after another.

    Args:
        plan: what they share.
        members: label and seed of each.
        on_epoch: called after each epoch of a run with the number of epochs that all have finished
            on average, rounded down.
        reason: why they are not trained side by side; noted in each run.
    """
    runs = []
    for number, (label, seed) in enumerate(members):

        def listen(epoch: int, done: int = number * plan.epochs) -> None:
            on_epoch((done + epoch) // len(members))

        runs.append(_train(plan, label, seed, listen, reason))
    return runs


def _train(plan: Plan, label: str, seed: int, on_epoch: Listener, reason: str) -> Run:
    model = compiled_model(plan, label, seed)
    weights = starting_weights(plan, model, label, seed)
    states = starting_states(plan, model, seed)
    for variables, values in (
        (model.trainable_variables, weights),
        (model.non_trainable_variables, states),
    ):
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
    recorder = _Recorder(plan, on_epoch)
    steps = sum(len(block) for block in plan.rows(seed, 0))
    model.fit(
        _batches(plan, seed),
        steps_per_epoch=steps,
        epochs=plan.epochs,
        callbacks=[recorder],
        shuffle=False,  # the batches come shuffled
        verbose=0,
    )
    history = {metric: tuple(values) for metric, values in recorder.history.items()}
    return Run(
        label, seed, history, "fit", reason, tuple(model.get_weights()) if plan.keep_weights else ()
    )


def _batches(plan: Plan, seed: int) -> Iterator[tuple[Any, Any]]:
    for epoch in range(plan.epochs):
        for block in plan.rows(seed, epoch):
            for rows in block:
                yield take((plan.data.x, plan.data.y), rows)


class _Recorder(keras.callbacks.Callback):
    """Evaluates on every test set after each epoch and keeps all numbers."""

    def __init__(self, plan: Plan, on_epoch: Listener) -> None:
        super().__init__()
        self._plan, self._on_epoch = plan, on_epoch
        self.history: dict[str, list[float]] = {}

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Evaluates, and keeps what the epoch measured."""
        measured = {"loss": (logs or {})["loss"]}
        for name, (x, y) in self._plan.data.evaluation.items():
            rows = max(EVALUATION_ROWS, self._plan.batch_size)
            found = self.model.evaluate(x, y, batch_size=rows, verbose=0, return_dict=True)
            measured |= {f"{name}_{metric}": value for metric, value in found.items()}
        for metric, value in measured.items():
            self.history.setdefault(metric, []).append(float(value))
        self._on_epoch(epoch + 1)
