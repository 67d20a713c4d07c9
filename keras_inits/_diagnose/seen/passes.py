"""One pass forward and one back through a model, as its training does them."""

import contextlib
import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_inits._diagnose.backends import backend
from keras_inits._diagnose.backends.base import Tape
from keras_inits._diagnose.batch import Batch
from keras_inits._diagnose.seen.measuring import moments
from keras_inits._diagnose.seen.objective import (
    added_alone,
    gradients_of_steps,
    is_without_loss,
    loss_scale,
    objective,
)
from keras_inits._diagnose.seen.recording import Recorder
from keras_inits._diagnose.seen.state import State
from keras_inits._keras_internals import all_layers


@dataclass(frozen=True)
class Pass:
    """What one pass forward and back gave.

    Attributes:
        recorder: the calls.
        loss: None where a random cotangent went back.
        gradients: of each trainable weight, by its `id`; absent where nothing came back.
        ends: the sources of the outputs.
        needed: the calls without which nothing reaches one of the outputs, as bits.
        outputs: second moments of the outputs.
        made_from: the calls that the outputs were computed from.
    """

    recorder: Recorder
    loss: float | None
    gradients: dict[int, Any]
    ends: list[int]
    needed: int
    outputs: list[float]
    made_from: frozenset[int] = frozenset()


def standard_step(
    model: keras.Model,
    batch: Batch,
    state: State,
    *,
    loss: Any,
    training: bool,
    rng: np.random.Generator,
) -> Pass:
    """Does what Keras's `train_step` does, up to the optimizer.

    Args:
        model: built.
        batch: without targets a random cotangent goes back, of a model that was compiled without a
            loss and adds one the gradient of that.
        state: of the model, put back where a step has to be done again.
        loss: in the place of the compiled one; None for that.
        training: whether normalization uses the statistics of the batch.
        rng: of the cotangent.
    """
    scale = 1.0 if batch.y is None or loss is not None else loss_scale(model)
    unknown = batch.y is None or (loss is None and is_without_loss(model))
    loss_of = None if unknown else objective(model, loss)
    while True:
        seen: list[Pass] = []

        def forward(tape: Tape, scale: float = scale, seen: list[Pass] = seen) -> tuple[Any, Any]:
            recorder = _recorder(state, model, tape, scale, batch)
            with tape.logits():
                with recorder.recording():
                    outputs = model(batch.x, training=training)
                if loss_of is None:
                    total = added_alone(model)
                    if total is None and batch.y is not None:
                        objective(model)  # says what targets need
                else:
                    total = loss_of(batch.x, batch.y, outputs, batch.sample_weight)
                if total is None:
                    value, targets, cotangents = None, *_cotangents(outputs, rng)
                else:
                    value, cotangents = float(backend.array(backend.read(total))), None
                    targets = [total * ops.cast(scale, total.dtype)]
            made = [t for t in keras.tree.flatten(outputs) if backend.is_tensor(t)]
            needed = functools.reduce(int.__or__, map(recorder.origins.needs, made), 0)
            ends = [recorder.source(t) for t in made]
            sources = frozenset[int]().union(*map(recorder.origins.of, made))
            sizes = [_size(t) for t in made]
            seen.append(Pass(recorder, value, {}, ends, needed, sizes, sources))
            return targets, cotangents

        weights = model.trainable_weights
        gradients = backend.pulled_back(weights, forward)
        known = {id(w): g for w, g in zip(weights, gradients, strict=True) if g is not None}
        # `fit` leaves out a step whose scaled gradient overflows, and halves the scale.
        if scale > 1 and not all(np.isfinite(moments(values(g))[1]) for g in known.values()):
            scale /= 2
            state.restore()
            continue
        return replace(seen[0], gradients=known)


def own_step(model: keras.Model, batch: Batch, state: State) -> Pass:
    """Runs the model's own `train_step` up to its optimizers."""
    tape = backend.foreign_tape()
    recorder = _recorder(state, model, tape, loss_scale(model), batch)
    model.reset_metrics()  # put back later; what it returns is then of this batch alone
    with gradients_of_steps(model) as found, tape.logits(), recorder.recording():
        logs = backend.own_step(model, batch.packed())
    gradients = {key: sum(map(backend.dense, parts)) for key, parts in found.items()}
    loss = logs.get("loss") if isinstance(logs, dict) else None
    # What the model made is not kept: its last call stands for it.
    last = 1 << len(recorder.calls) >> 1
    if backend.is_tensor(loss):
        loss = backend.array(backend.read(loss))
    value = None if loss is None else float(loss)
    return Pass(recorder, value, gradients, [], recorder.needed or last, [])


def build(model: keras.Model, batch: Batch, own_step: bool) -> None:
    """Makes all weights, without running the model where that is possible."""
    if own_step and not _is_built(model):
        # What is wrong with a step it says itself, when it is run. On JAX it also takes a state.
        with contextlib.suppress(Exception), gradients_of_steps(model):
            _trace(model.train_step, batch.packed())
    if _is_built(model):
        return
    try:
        _trace(lambda x: model(x, training=False), batch.x)
    except Exception:  # code that only runs on values; it says itself what is wrong with them
        if not own_step:
            model(batch.x, training=False)


def values(tensor: Any) -> Any:
    """Returns a tensor of any kind as one of float32 that can be read."""
    return backend.float32(backend.read(ops.convert_to_tensor(tensor)))


def _recorder(state: State, model: keras.Model, tape: Tape, scale: float, batch: Batch) -> Recorder:
    recorder = Recorder(state, model, tape, scale)
    for tensor in keras.tree.flatten(batch.x):
        recorder.add_input(tensor)
    return recorder


def _is_built(model: keras.Model) -> bool:
    return bool(model.built) and all(layer.built for layer in all_layers(model))


def _trace(run: Callable[[Any], Any], structure: Any) -> None:
    """Runs a function on tensors without values, so that layers are built and nothing moves."""

    class Probe(keras.layers.Layer):
        def call(self, *tensors: Any) -> Any:
            run(keras.tree.pack_sequence_as(structure, tensors))
            return keras.ops.zeros(())

    flat = keras.tree.flatten(structure)
    shapes = [keras.KerasTensor(t.shape, keras.backend.standardize_dtype(t.dtype)) for t in flat]
    Probe().compute_output_spec(*shapes)


def _size(tensor: Any) -> float:
    """Returns the second moment of a floating tensor, NaN of another one."""
    if not backend.is_floating(tensor):
        return np.nan
    return moments(backend.float32(backend.read(tensor)))[1]


def _cotangents(outputs: Any, rng: np.random.Generator) -> tuple[Any, Any]:
    """Returns the outputs that have gradients, and independent unit normals in their shapes."""
    made = [t for t in keras.tree.flatten(outputs) if backend.is_tensor(t)]
    flat = [t for t in made if backend.is_floating(t)]
    normal = [rng.standard_normal(tuple(t.shape), np.float32) for t in flat]
    return flat, [ops.cast(v, t.dtype) for v, t in zip(normal, flat, strict=True)]
