"""The report of `diagnose`: passes through a model, what they show, and what its setting is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np

from keras_inits._diagnose import jacobian as jacobians
from keras_inits._diagnose import passes
from keras_inits._diagnose.backends import backend
from keras_inits._diagnose.batch import Batch
from keras_inits._diagnose.cleaning import cleaned
from keras_inits._diagnose.evidence import Evidence
from keras_inits._diagnose.objective import has_own_step
from keras_inits._diagnose.passes import Pass
from keras_inits._diagnose.proof import confirmed
from keras_inits._diagnose.recording import Recorder, Silencer
from keras_inits._diagnose.report import (
    JacobianReport,
    LayerReport,
    SignalReport,
    WeightReport,
    by_severity,
)
from keras_inits._diagnose.setting import Setting, examine, with_signal
from keras_inits._diagnose.state import State, left_as_it_was
from keras_inits._diagnose.streams import WHOLE
from keras_inits._diagnose.theory import predict
from keras_inits._diagnose.thresholds import Thresholds
from keras_inits._diagnose.verdicts import judge, worst
from keras_inits._diagnose.watching import watching
from keras_inits._errors import InputError
from keras_inits._reporting import Finding

_REFUSED = {"targets", "output", "loss"}


@dataclass(frozen=True)
class Options:
    """What is to be looked at, and how; the arguments of `diagnose`, checked.

    Attributes:
        loss: in the place of the compiled one.
        thresholds: where a figure becomes a verdict.
        training: whether normalization uses the statistics of the batch.
        jacobian_samples: how many samples' Jacobians to look at.
        confirm: whether to try remedies.
        seed: of the random vectors.
        setting: whether the batch is the user's, so that its setting can be judged.
    """

    loss: Any = None
    thresholds: Thresholds = field(default_factory=Thresholds)
    training: bool = True
    jacobian_samples: int = 0
    confirm: bool = False
    seed: int = 0
    setting: bool = False


def report(
    model: keras.Model, batch: Batch, options: Options, notes: tuple[str, ...] = ()
) -> SignalReport:
    """Returns the report of `diagnose`; `notes` are its first ones."""
    loss = options.loss
    if batch.y is None and loss is not None:
        raise InputError(f"A loss needs targets: give `y`. Received: loss={loss!r}, y=None")
    own_step = loss is None and has_own_step(model)
    passes.build(model, batch, own_step)
    rng = np.random.default_rng(options.seed)
    with left_as_it_was(model) as state:
        setting = Setting()
        if options.setting:
            goals = None if own_step else batch.y
            setting = examine(model, batch.x, goals, loss=loss, sample_weight=batch.sample_weight)
            if not setting.usable:
                batch, cleaning = cleaned(batch, model)
                notes += cleaning
        try:
            seen = _pass(model, batch, state, options, rng, own_step)
        except Exception as error:
            # What the loss refuses is a finding; the signal can be looked at still.
            if own_step or not any(_REFUSED & {*finding.where} for finding in setting.findings):
                raise
            state.restore()
            seen = _pass(model, replace(batch, y=None), state, options, rng, own_step)
            notes += (f"loss: none, {type(error).__name__}; a random cotangent went back",)
        jacobian, more = _jacobian(model, batch.x, state, options, rng)
        evidence = _evidence(model, batch, seen, options.thresholds, jacobian)
        found = judge(evidence)
        # Kernels drawn anew one by one, by which the others are weighed, do not calm a stream.
        whole = tuple(f for f in found if WHOLE & f.numbers.keys())
        lost = jacobian is not None and 0 < jacobian.response < 1 / options.thresholds.response
        weighed, dismissed = setting.weigh([f for f in found if f not in whole], lost)
        findings = by_severity((*whole, *weighed))
        if options.confirm:

            def again(x: Any) -> Evidence:
                given = replace(batch, x=x, y=None if seen.loss is None else batch.y)
                fresh = np.random.default_rng(options.seed)
                other = _pass(model, given, state, options, fresh, own_step)
                response, _ = _jacobian(
                    model, x, state, options, np.random.default_rng(options.seed)
                )
                return _evidence(model, given, other, options.thresholds, response)

            findings = confirmed(findings, evidence, state, judge, again)
    if own_step:
        notes += ("loss and gradients: of the model's own train_step",)
    ends = [evidence.calls[end].name for end in evidence.ends]
    return SignalReport(
        model=model.name,
        batch=batch.size,
        loss=seen.loss,
        layers=_layers(evidence, findings, options.training),
        jacobian=jacobian,
        findings=with_signal(setting, findings, ends),
        notes=(*notes, *_unseen(seen.recorder), *more, *setting.notes, *dismissed),
        first_steps=setting.first_steps,
    )


def _pass(
    model: keras.Model,
    batch: Batch,
    state: State,
    options: Options,
    rng: np.random.Generator,
    own_step: bool,
) -> Pass:
    if own_step:
        return passes.own_step(model, batch, state)
    loss = None if batch.y is None else options.loss
    return passes.standard_step(model, batch, state, loss=loss, training=options.training, rng=rng)


def _unseen(recorder: Recorder) -> Iterator[str]:
    """Yields notes on what of a model the pass did not show."""
    if not recorder.sees_operations:
        yield "operations between layers were not seen: this version of the backend shows none"
    if recorder.unseen:
        places = ", ".join(name or "the model" for name in recorder.unseen)
        yield f"not seen: what runs inside a tf.function, in {places}; without the decorator it is"


def _evidence(
    model: keras.Model,
    batch: Batch,
    seen: Pass,
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


def _jacobian(
    model: keras.Model,
    inputs: Any,
    state: State,
    options: Options,
    rng: np.random.Generator,
) -> tuple[JacobianReport | None, tuple[str, ...]]:
    samples = options.jacobian_samples
    if samples == 0:
        return None, ()
    if not all(map(backend.is_floating, keras.tree.flatten(inputs))):
        return None, ("no Jacobian: the model takes integers or text",)

    def run(tensors: Any) -> Any:
        return model(tensors, training=options.training)

    with watching(Silencer(state)):
        try:
            return jacobians.estimate(run, inputs, samples=samples, steps=3, rng=rng), ()
        except backend.errors as error:
            return None, (f"no Jacobian: {type(error).__name__} on {samples} samples",)


def _layers(
    evidence: Evidence, findings: Sequence[Finding], training: bool
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
        own_findings = tuple(f for f in findings if call.name in f.where)
        reports.append(
            LayerReport(
                name=call.name,
                kind=type(call.layer).__name__,
                output=call.output,
                gradient=call.gradient,
                predicted_second_moment=expected.second_moment,
                predicted_gradient=expected.gradient,
                weights=tuple(evidence.weights[id(w)] for w in own),
                verdict=worst(own_findings),
                predicted_deviation=expected.deviation,
                predicted_gradient_deviation=expected.gradient_deviation,
                findings=own_findings,
            )
        )
    return tuple(reports)


def _weight(weight: Any, gradient: Any, scale: float) -> WeightReport:
    norm = _norm(backend.float32(backend.current(weight)))
    back = np.nan if gradient is None else _norm(passes.values(gradient)) / scale
    ratio = back / norm if norm else (np.inf if back else np.nan)
    return WeightReport(weight.path, norm, back, ratio)


def _norm(values: Any) -> float:
    norm = backend.length(values)
    if 1e-15 < norm < np.inf:
        return norm
    scale = backend.largest(values)  # a vanished gradient's squares would be 0
    if not 0 < scale < np.inf:
        return scale
    return scale * backend.length(values / scale)
