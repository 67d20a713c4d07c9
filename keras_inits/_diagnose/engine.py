"""The report of `diagnose`: passes through a model, what they show, and what its setting is."""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np

from keras_inits._diagnose.backends import backend
from keras_inits._diagnose.batch import Batch, arranged
from keras_inits._diagnose.cleaning import cleaned
from keras_inits._diagnose.report import LayerReport, SignalReport
from keras_inits._diagnose.seen import jacobian as jacobians
from keras_inits._diagnose.seen import passes
from keras_inits._diagnose.seen.objective import has_own_step
from keras_inits._diagnose.seen.passes import Pass
from keras_inits._diagnose.seen.recording import Recorder, Silencer
from keras_inits._diagnose.seen.state import State, left_as_it_was
from keras_inits._diagnose.seen.statistics import JacobianReport, WeightReport
from keras_inits._diagnose.seen.watching import watching
from keras_inits._diagnose.setting.order import Setting, with_signal
from keras_inits._diagnose.setting.run import best_guess, examine
from keras_inits._diagnose.signal.evidence import Evidence
from keras_inits._diagnose.signal.proof import confirmed
from keras_inits._diagnose.signal.severity import by_severity, worst
from keras_inits._diagnose.signal.streams import WHOLE
from keras_inits._diagnose.signal.thresholds import Thresholds
from keras_inits._diagnose.signal.verdicts import judge
from keras_inits._diagnose.theory import predict
from keras_inits._errors import InputError
from keras_inits._foreign_messages import sentence
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
    if batch.y is None and options.loss is not None:
        raise InputError(f"A loss needs targets: give `y`. Received: loss={options.loss!r}, y=None")
    own_step = options.loss is None and has_own_step(model)
    if not own_step:
        batch = replace(batch, x=arranged(model, batch.x))
    passes.build(model, batch, own_step)
    rng = np.random.default_rng(options.seed)
    with left_as_it_was(model) as state:
        setting, batch, cleaning = _setting(model, batch, options, own_step)
        run = _Passes(model, state, options, own_step)
        seen, refusal = run.allowed(batch, setting, rng)
        jacobian, unmeasured = run.jacobian(batch.x, rng)
        evidence = run.evidence(batch, seen, jacobian)
        findings, dismissed = _judged(evidence, setting)
        if options.confirm:
            trained = batch if seen.loss is not None else replace(batch, y=None)
            again = functools.partial(run.again, trained)
            findings = confirmed(findings, evidence, state, judge, again)
    notes = (*notes, *cleaning, *refusal)
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
        notes=(*notes, *_unseen(seen.recorder), *unmeasured, *setting.notes, *dismissed),
        first_steps=setting.first_steps,
    )


def guess(model: keras.Model, batch: Batch) -> float | None:
    """Returns the compiled loss of the best constant guess; None where it is not known."""
    loss = getattr(model, "loss", None)
    if batch.y is None or loss is None or has_own_step(model):
        return None
    with left_as_it_was(model):
        x = arranged(model, batch.x)
        return best_guess(model, x, batch.y, loss, sample_weight=batch.sample_weight)


def _setting(
    model: keras.Model, batch: Batch, options: Options, own_step: bool
) -> tuple[Setting, Batch, tuple[str, ...]]:
    """Returns the setting, the batch without what cannot be computed with, and notes on that."""
    if not options.setting:
        return Setting(), batch, ()
    goals = None if own_step else batch.y
    weights = batch.sample_weight
    setting = examine(model, batch.x, goals, loss=options.loss, sample_weight=weights)
    return (setting, batch, ()) if setting.usable else (setting, *cleaned(batch, model))


def _judged(evidence: Evidence, setting: Setting) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    """Returns what is wrong with the signal, and notes on what trial steps show to be no fault."""
    found = judge(evidence)
    # Kernels drawn anew one by one, by which the others are weighed, do not calm a stream.
    whole = tuple(f for f in found if WHOLE & f.numbers.keys())
    response = evidence.jacobian.response if evidence.jacobian else 0.0
    lost = 0 < response < 1 / evidence.thresholds.response
    weighed, dismissed = setting.weigh([f for f in found if f not in whole], lost)
    signal = by_severity((*whole, *weighed))
    if any(f.kind != "no gradient" for f in signal):
        return signal, dismissed
    # Of two inputs that are one, the gradients that come back to a common layer cancel.
    unheard = setting.unheard()
    twins = any(f.kind == "input constant" for f in unheard)
    return unheard if twins else signal or unheard, dismissed


@dataclass(frozen=True)
class _Passes:
    """The passes of one diagnosis.

    Attributes:
        model: built.
        state: puts all values of it back.
        options: of the diagnosis.
        own_step: whether a pass is one of the model's own `train_step`.
    """

    model: keras.Model
    state: State
    options: Options
    own_step: bool

    def run(self, batch: Batch, rng: np.random.Generator) -> Pass:
        """Returns one pass forward and back."""
        if self.own_step:
            try:
                return passes.own_step(self.model, batch, self.state)
            except Exception as error:
                if batch.y is not None or isinstance(error, InputError):
                    raise
                raise InputError(
                    f"The train_step of {type(self.model).__name__} fails on inputs without "
                    f"targets: {sentence(error)} Give those that it is trained on. Received: y=None"
                ) from error
        loss = None if batch.y is None else self.options.loss
        training = self.options.training
        return passes.standard_step(
            self.model, batch, self.state, loss=loss, training=training, rng=rng
        )

    def allowed(
        self, batch: Batch, setting: Setting, rng: np.random.Generator
    ) -> tuple[Pass, tuple[str, ...]]:
        """Returns a pass, without targets where the loss refuses them, and a note on that.

        What the loss refuses is a finding of the setting; the signal can be looked at still.
        """
        try:
            return self.run(batch, rng), ()
        except Exception as error:
            if self.own_step or not any(_REFUSED & {*f.where} for f in setting.findings):
                raise
            self.state.restore()
            note = f"loss: none, {type(error).__name__}; a random cotangent went back"
            return self.run(replace(batch, y=None), rng), (note,)

    def jacobian(
        self, inputs: Any, rng: np.random.Generator
    ) -> tuple[JacobianReport | None, tuple[str, ...]]:
        """Returns the Jacobian at some samples, or a note on why there is none."""
        samples = self.options.jacobian_samples
        if samples == 0:
            return None, ()
        if not all(map(backend.is_floating, keras.tree.flatten(inputs))):
            return None, ("no Jacobian: the model takes integers or text",)

        # Each run from the state that the first pass started from, and with the same draws: else
        # samples that are moved a little would differ by all that moves on from run to run.
        self.state.restore(but=self.model.trainable_weights)

        def run(tensors: Any) -> Any:
            with keras.StatelessScope(collect_losses=True):
                return self.model(tensors, training=self.options.training)

        with watching(Silencer(self.state)):
            try:
                return jacobians.estimate(run, inputs, samples=samples, steps=3, rng=rng), ()
            except backend.errors as error:
                return None, (f"no Jacobian: {type(error).__name__} on {samples} samples",)

    def evidence(self, batch: Batch, seen: Pass, jacobian: JacobianReport | None) -> Evidence:
        """Returns what a pass and a Jacobian show."""
        recorder = seen.recorder
        return Evidence(
            model=self.model,
            inputs=batch.x,
            calls=recorder.calls,
            needed=seen.needed,
            ends=[end for end in seen.ends if end >= 0],
            cuts=recorder.cuts,
            weights={
                id(w): _weight(w, seen.gradients.get(id(w)), recorder.scale)
                for w in self.model.trainable_weights
            },
            loss=seen.loss,
            thresholds=self.options.thresholds,
            outputs=seen.outputs,
            jacobian=jacobian,
            made_from=seen.made_from,
            # Of a `train_step` it is not known what is left out of the gradient on purpose.
            again=None if self.own_step else functools.partial(self._once_more, batch, seen.loss),
            gradients=seen.gradients,
        )

    def _once_more(self, batch: Batch, loss: float | None) -> Evidence:
        """Returns the evidence of one more pass, without targets where the first had no loss.

        Statistics and random generators are as they were before the first, weights as they are.
        """
        self.state.restore(but=self.model.trainable_weights)
        batch = batch if loss is not None else replace(batch, y=None)
        return self.evidence(batch, self.run(batch, np.random.default_rng(self.options.seed)), None)

    def again(self, batch: Batch, x: Any) -> Evidence:
        """Returns the evidence of the first pass, with `x` for the inputs of the batch."""
        batch = replace(batch, x=x)
        seen = self.run(batch, np.random.default_rng(self.options.seed))
        jacobian, _ = self.jacobian(x, np.random.default_rng(self.options.seed))
        return self.evidence(batch, seen, jacobian)


def _unseen(recorder: Recorder) -> Iterator[str]:
    """Yields notes on what of a model the pass did not show."""
    if not recorder.sees_operations:
        yield "operations between layers were not seen: this version of the backend shows none"
    if recorder.unseen:
        places = ", ".join(name or "the model" for name in recorder.unseen)
        yield f"not seen: what runs inside a tf.function, in {places}; without the decorator it is"


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
