"""One pass forward and one back through a model, and the report of both."""

import contextlib
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_inits._diagnose import jacobian as jacobians
from keras_inits._diagnose.backends import backend
from keras_inits._diagnose.backends.base import Tape
from keras_inits._diagnose.batch import Batch, arranged
from keras_inits._diagnose.cleaning import cleaned
from keras_inits._diagnose.evidence import Evidence
from keras_inits._diagnose.measuring import moments
from keras_inits._diagnose.objective import (
    gradients_of_steps,
    has_own_step,
    loss_scale,
    objective,
)
from keras_inits._diagnose.proof import confirmed
from keras_inits._diagnose.recording import Recorder, Silencer
from keras_inits._diagnose.report import (
    JacobianReport,
    LayerReport,
    SignalReport,
    WeightReport,
    by_severity,
)
from keras_inits._diagnose.setting import CAUSES, Setting, examine
from keras_inits._diagnose.state import State, left_as_it_was
from keras_inits._diagnose.streams import WHOLE
from keras_inits._diagnose.theory import predict
from keras_inits._diagnose.thresholds import Thresholds
from keras_inits._diagnose.verdicts import judge, worst
from keras_inits._diagnose.watching import watching
from keras_inits._errors import InputError
from keras_inits._keras_internals import all_layers
from keras_inits._reporting import Finding

FAR = 100.0  # times the loss of a guess
_REFUSED = {"targets", "output", "loss"}


@dataclass(frozen=True)
class _Pass:
    """What one pass forward and back gave.

    Attributes:
        recorder: the calls.
        loss: None where a random cotangent went back.
        gradients: of each trainable weight, by its `id`; absent where nothing came back.
        ends: the sources of the outputs.
        needed: the calls without which nothing reaches one of the outputs, as bits.
        outputs: second moments of the outputs.
    """

    recorder: Recorder
    loss: float | None
    gradients: dict[int, Any]
    ends: list[int]
    needed: int
    outputs: list[float]


def report(
    model: keras.Model,
    batch: Batch,
    *,
    loss: Any,
    thresholds: Thresholds,
    training: bool,
    jacobian_samples: int,
    confirm: bool,
    seed: int,
    notes: tuple[str, ...],
    own_data: bool = True,
) -> SignalReport:
    """Returns the report of `diagnose`; its arguments are those of `diagnose`, checked.

    `own_data` says whether the batch is the user's, so that its setting can be judged.
    """
    if batch.y is None and loss is not None:
        raise InputError(f"A loss needs targets: give `y`. Received: loss={loss!r}, y=None")
    own_step = loss is None and has_own_step(model)
    if not own_step:
        batch = replace(batch, x=arranged(model, batch.x))
    _build(model, batch, own_step)
    rng = np.random.default_rng(seed)
    with left_as_it_was(model) as state:
        setting = Setting()
        if own_data:
            goals = None if own_step else batch.y
            setting = examine(model, batch.x, goals, loss=loss, sample_weight=batch.sample_weight)
            if not setting.usable:
                batch, cleaning = cleaned(batch, model)
                notes += cleaning
        if own_step:
            seen = _own_step(model, batch, state)
            notes += ("loss and gradients: of the model's own train_step",)
        else:
            try:
                seen = _standard_step(model, batch, state, loss=loss, training=training, rng=rng)
            except Exception as error:
                # What the loss refuses is a finding; the signal can be looked at still.
                if not any(_REFUSED & {*finding.where} for finding in setting.findings):
                    raise
                state.restore()
                given = replace(batch, y=None)
                seen = _standard_step(model, given, state, loss=None, training=training, rng=rng)
                notes += (f"loss: none, {type(error).__name__}; a random cotangent went back",)
        jacobian, more = _jacobian(model, batch.x, state, training, jacobian_samples, rng)
        evidence = _evidence(model, batch, seen, thresholds, jacobian)
        found = judge(evidence)
        # Kernels drawn anew one by one, by which the others are weighed, do not calm a stream.
        whole = tuple(f for f in found if WHOLE & f.numbers.keys())
        lost = jacobian is not None and 0 < jacobian.response < 1 / thresholds.response
        weighed, dismissed = setting.weigh([f for f in found if f not in whole], lost)
        findings = by_severity((*whole, *weighed))
        if not seen.recorder.sees_operations:
            notes += (
                "operations between layers were not seen: this version of the backend shows none",
            )
        if seen.recorder.unseen:
            places = ", ".join(name or "the model" for name in seen.recorder.unseen)
            notes += (
                f"not seen: what runs inside a tf.function, in {places}; without the decorator it "
                "is",
            )
        if confirm:

            def again(x: Any) -> Evidence:
                given = (
                    replace(batch, x=x) if seen.loss is not None else replace(batch, x=x, y=None)
                )
                if own_step:
                    other = _own_step(model, given, state)
                else:
                    other = _standard_step(
                        model,
                        given,
                        state,
                        loss=None if given.y is None else loss,
                        training=training,
                        rng=np.random.default_rng(seed),
                    )
                fresh = np.random.default_rng(seed)
                response, _ = _jacobian(model, x, state, training, jacobian_samples, fresh)
                return _evidence(model, given, other, thresholds, response)

            findings = confirmed(findings, evidence, state, judge, again)
    return SignalReport(
        model=model.name,
        batch=batch.size,
        loss=seen.loss,
        layers=_layers(evidence, {n for f in findings for n in f.where}, findings, training),
        jacobian=jacobian,
        findings=_in_order(setting, findings),
        notes=notes + more + setting.notes + dismissed,
        first_steps=setting.first_steps,
    )


def _in_order(setting: Setting, signal: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Returns all findings in the order in which to change them: what may explain another first.

    The setting comes before the signal, with three exceptions: what is not finite comes before
    whatever steps and losses say; outputs that are too large come after the layers that make them
    so, and a rate that only these weights forbid comes last.
    """
    causes = [f for f in setting.findings if f.kind in CAUSES]
    explodes = any(f.kind == "exploding" for f in signal)
    late = [
        f
        for f in setting.findings
        if (explodes and f.kind == "loss at the start")
        or ((setting.of_weights or (explodes and _starts_far(setting))) and _of_rate(f))
    ]
    effects = [f for f in setting.findings if f not in causes and f not in late]
    known = any(f.kind == "loss" for f in causes)
    signal = tuple(
        f for f in signal if not (known and f.kind == "not finite" and f.where == ("loss",))
    )
    broken = [f for f in signal if f.kind == "not finite"]
    rest = [f for f in signal if f.kind != "not finite"]
    return (*causes, *broken, *effects, *rest, *late)


def _of_rate(finding: Finding) -> bool:
    return finding.where == ("optimizer",) and finding.kind == "learning rate too high"


def _starts_far(setting: Setting) -> bool:
    """Says whether the loss starts far above that of a guess, which no rate has a part in."""
    first = setting.first_steps
    return first is not None and bool(first.guess) and first.start > FAR * (first.guess or 0.0)


def _evidence(
    model: keras.Model,
    batch: Batch,
    seen: _Pass,
    thresholds: Thresholds,
    jacobian: JacobianReport | None,
) -> Evidence:
    recorder = seen.recorder
    weights = {
        id(w): _weight(w, seen.gradients.get(id(w)), recorder.scale)
        for w in model.trainable_weights
    }
    return Evidence(
        model=model,
        inputs=batch.x,
        calls=recorder.calls,
        needed=seen.needed,
        ends=[end for end in seen.ends if end >= 0],
        cuts=recorder.cuts,
        weights=weights,
        loss=seen.loss,
        thresholds=thresholds,
        outputs=seen.outputs,
        jacobian=jacobian,
    )


def _build(model: keras.Model, batch: Batch, own_step: bool) -> None:
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


def _standard_step(
    model: keras.Model,
    batch: Batch,
    state: State,
    *,
    loss: Any,
    training: bool,
    rng: np.random.Generator,
) -> _Pass:
    """Does what Keras's `train_step` does, up to the optimizer."""
    scale = 1.0 if batch.y is None or loss is not None else loss_scale(model)
    loss_of = None if batch.y is None else objective(model, loss)
    while True:
        seen: list[_Pass] = []

        def forward(tape: Tape, scale: float = scale, seen: list[_Pass] = seen) -> tuple[Any, Any]:
            recorder = Recorder(state, model, tape, scale)
            for tensor in keras.tree.flatten(batch.x):
                recorder.add_input(tensor)
            with tape.logits():
                with recorder.recording():
                    outputs = model(batch.x, training=training)
                if loss_of is None:
                    value, targets, cotangents = None, *_cotangents(outputs, rng)
                else:
                    total = loss_of(batch.x, batch.y, outputs, batch.sample_weight)
                    value, cotangents = float(backend.array(backend.read(total))), None
                    targets = [total * ops.cast(scale, total.dtype)]
            made = [t for t in keras.tree.flatten(outputs) if backend.is_tensor(t)]
            needed = functools.reduce(int.__or__, map(recorder.origins.needs, made), 0)
            ends = [recorder.source(t) for t in made]
            seen.append(_Pass(recorder, value, {}, ends, needed, [_size(t) for t in made]))
            return targets, cotangents

        weights = model.trainable_weights
        gradients = backend.pulled_back(weights, forward)
        known = {id(w): g for w, g in zip(weights, gradients, strict=True) if g is not None}
        # `fit` leaves out a step whose scaled gradient overflows, and halves the scale.
        if scale > 1 and not _all_finite(known.values()):
            scale /= 2
            state.restore()
            continue
        return replace(seen[0], gradients=known)


def _own_step(model: keras.Model, batch: Batch, state: State) -> _Pass:
    """Runs the model's own `train_step` up to its optimizers."""
    tape = backend.foreign_tape()
    recorder = Recorder(state, model, tape, scale=loss_scale(model))
    for tensor in keras.tree.flatten(batch.x):
        recorder.add_input(tensor)
    model.reset_metrics()  # put back later; what it returns is then of this batch alone
    with gradients_of_steps(model) as found, tape.logits(), recorder.recording():
        logs = backend.own_step(model, batch.packed())
    gradients = {key: sum(map(ops.convert_to_tensor, parts)) for key, parts in found.items()}
    loss = logs.get("loss") if isinstance(logs, dict) else None
    # What the model made is not kept: its last call stands for it.
    last = 1 << len(recorder.calls) >> 1
    if backend.is_tensor(loss):
        loss = backend.array(backend.read(loss))
    value = None if loss is None else float(loss)
    return _Pass(recorder, value, gradients, [], recorder.needed or last, [])


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


def _all_finite(tensors: Any) -> bool:
    return all(np.isfinite(moments(_values(t))[1]) for t in tensors)


def _jacobian(
    model: keras.Model,
    inputs: Any,
    state: State,
    training: bool,
    samples: int,
    rng: np.random.Generator,
) -> tuple[JacobianReport | None, tuple[str, ...]]:
    if samples == 0:
        return None, ()
    if not all(map(backend.is_floating, keras.tree.flatten(inputs))):
        return None, ("no Jacobian: the model takes integers or text",)

    def run(tensors: Any) -> Any:
        return model(tensors, training=training)

    with watching(Silencer(state)):
        try:
            return jacobians.estimate(run, inputs, samples=samples, steps=3, rng=rng), ()
        except backend.errors as error:
            return None, (f"no Jacobian: {type(error).__name__} on {samples} samples",)


def _layers(
    evidence: Evidence, blamed: set[str], findings: Sequence[Any], training: bool
) -> tuple[LayerReport, ...]:
    reported: set[int] = set()
    reports = []
    predictions = predict(evidence.calls, lambda: evidence.picture, training=training)
    for call, expected in zip(evidence.calls, predictions, strict=True):
        own = [
            w
            for w in call.layer.trainable_weights
            if id(w) not in reported and id(w) in evidence.weights
        ]
        reported.update(map(id, own))
        reports.append(
            LayerReport(
                name=call.name,
                kind=type(call.layer).__name__,
                output=call.output,
                gradient=call.gradient,
                predicted_second_moment=expected.second_moment,
                predicted_gradient=expected.gradient,
                weights=tuple(evidence.weights[id(w)] for w in own),
                verdict=worst(f for f in findings if call.name in f.where)
                if call.name in blamed
                else "healthy",
                predicted_deviation=expected.deviation,
                predicted_gradient_deviation=expected.gradient_deviation,
                findings=tuple(f for f in findings if call.name in f.where),
            )
        )
    return tuple(reports)


def _weight(weight: Any, gradient: Any, scale: float) -> WeightReport:
    norm = _norm(backend.float32(backend.current(weight)))
    back = np.nan if gradient is None else _norm(_values(gradient)) / scale
    ratio = back / norm if norm else (np.inf if back else np.nan)
    return WeightReport(weight.path, norm, back, ratio)


def _values(tensor: Any) -> Any:
    return backend.float32(backend.read(ops.convert_to_tensor(tensor)))


def _norm(values: Any) -> float:
    norm = backend.length(values)
    if 1e-15 < norm < np.inf:
        return norm
    scale = backend.largest(values)  # a vanished gradient's squares would be 0
    if not 0 < scale < np.inf:
        return scale
    return scale * backend.length(values / scale)
