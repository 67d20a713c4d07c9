"""`examine`: the setting of a training, before the first step."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_inits._diagnose.backends import backend
from keras_inits._diagnose.report import FirstSteps
from keras_inits._diagnose.setting import (
    compiling,
    faint,
    held,
    late,
    linearity,
    lookups,
    measured,
    output,
    outweighed,
    rates,
    sampling,
    scales,
    small_steps,
    strength,
    targets,
    weighing,
    weighting,
)
from keras_inits._diagnose.setting.case import SAMPLES, Case
from keras_inits._diagnose.setting.entrances import embeddings, first_met, kinds
from keras_inits._diagnose.setting.guess import guess
from keras_inits._diagnose.setting.rescaled import behind
from keras_inits._diagnose.setting.steps import momentum_of
from keras_inits._diagnose.setting.tries import BUDGET, Tries, inner
from keras_inits._keras_internals import all_layers
from keras_inits._reporting import Finding

# What the user must change first: a later one may be a mere consequence.
ORDER = (
    "input not finite",
    "input values",
    "labels",
    "target shape",
    "output units",
    "output activation",
    "loss",
    "input constant",
    "input padding",
    "input scale",
    "target scale",
    "normalization",
    "moving statistics",
    "missing activation",
    "hidden activation",
    "regularization",
    "dropout",
    "loss at the start",
    "learning rate too high",
    "learning rate too low",
)
# What data, targets, end and loss do to each other, whatever the layers between are.
CAUSES = (*ORDER[: ORDER.index("target scale") + 1], "regularization")
UNUSABLE = ("input not finite", "input values")  # nothing can be computed from them
_WRONG = ("labels", "target shape", "output units", "output activation", "loss")
_EXPLAINING = ("loss", "input padding", "input scale", "target scale", "regularization")
Weighed = tuple[tuple[Finding, ...], tuple[str, ...]]  # those that matter, and notes
LAYERS = 100  # the graph of more takes longer to make than to run


@dataclass(frozen=True)
class Setting:
    """What was found in the setting of a training.

    Attributes:
        findings: what is wrong, in the order in which to change it.
        notes: what could not be looked at, and why.
        first_steps: what the compiled optimizer does to the loss; None if no steps were tried.
        usable: whether a loss can be computed from the data; else they hold NaN, infinity or
            numbers that an embedding has no row for.
        of_weights: whether the rate is too high only for these weights: with kernels drawn anew,
            it does. Then what the signal shows is to be changed first.
        weigh: parts findings of the signal into those that matter and notes, by trial steps; told
            whether next to nothing of the input reaches the output.
    """

    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    first_steps: FirstSteps | None = None
    usable: bool = True
    of_weights: bool = False
    weigh: Callable[[Sequence[Finding], bool], Weighed] = lambda findings, lost: (
        tuple(findings),
        (),
    )


def examine(
    model: keras.Model,
    x: Any,
    y: Any = None,
    *,
    loss: Any = None,
    sample_weight: Any = None,
    trials: bool = True,
) -> Setting:
    """Returns what is wrong with data, targets, end, loss and optimizer of a training.

    The model is left as it is: the trial steps are done on copies of its variables. They cost, on a
    batch of 32, 20 steps for the compiled rate and as many for each change that is to be proved; of
    small models, as many for each of four other rates.

    Args:
        model: a built model; the optimizer is the compiled one.
        x: a batch, an array or a nest of arrays as the model takes them.
        y: targets; without them the data alone are looked at.
        loss: what `compile` takes; the compiled loss if None.
        sample_weight: as `fit` takes it.
        trials: whether to try steps.
    """
    setting = _examined(model, x, y, loss, sample_weight, trials=trials)
    kept = tuple(compiling.with_other_arguments(f, model) for f in setting.findings)
    return replace(setting, findings=kept)


def _examined(
    model: keras.Model, x: Any, y: Any, loss: Any, sample_weight: Any, *, trials: bool
) -> Setting:
    inputs = [ops.convert_to_numpy(t)[:SAMPLES] for t in keras.tree.flatten(x)]
    names = [""] if len(inputs) == 1 else [f"input {i}" for i in range(len(inputs))]
    meetings = first_met(model, len(inputs), x)
    found, suspects = scales.check(
        inputs, names, [kinds(met) for met in meetings], behind(model, inputs, x), y
    )
    for given, name, met in zip(inputs, names, meetings, strict=True):
        found += lookups.check(given, embeddings(met), name)
    chosen = getattr(model, "loss", None) if loss is None else loss
    if any(f.kind in UNUSABLE for f in found):
        return Setting(_ordered([*found, *scales.unproved(suspects, names)]), usable=False)
    if y is None or chosen is None:
        return Setting(_ordered([*found, *scales.unproved(suspects, names)]))
    case = Case.of(model, x, y, chosen, own=loss is None, sample_weight=sample_weight)
    if isinstance(case, str):
        return Setting(_ordered([*found, *scales.unproved(suspects, names)]), (case,))
    weights = measured.weights_of(case)
    left_out = weighting.left_out(weights)
    for index, (part, weighed) in enumerate(zip(case.parts, weights, strict=True)):
        own = targets.check(*part)
        if _answers_alike(model, inputs):
            own = [f for f in own if not targets.is_alone(f)]
        if not any(f.kind == "labels" for f in own):
            own += output.check(*part)
        found += [compiling.with_arguments_of_loss(f, case, index) for f in own]
        found += [] if weighed is None or left_out(weighed) else weighting.check(weighed, part[0])
    found += measured.own_losses(case, len(inputs))
    if model.weights and not model.trainable_weights and loss is None:
        return Setting((_frozen(model),))
    found += measured.runs(case, inputs)
    found += strength.dropout(strength.dropouts_of(model), strength.paths_to_dropouts(model))
    found += strength.hidden_softmax(model)
    found += sampling.check(model)
    found += _missing_activation(case)
    known = [guess(t, k, w) for (t, _, k), w in zip(case.parts, weights, strict=True)]
    best = None if None in known else float(sum(value or 0.0 for value in known))
    wrong = [f for f in found if f.kind in _WRONG]
    if wrong or not trials or getattr(model, "optimizer", None) is None:
        usable = all(np.isfinite(goal.values).all() for goal, _, _ in case.parts)
        return Setting(_ordered([*found, *scales.unproved(suspects, names)]), usable=usable)
    try:
        return _tried(case, found, suspects, names, best)
    except Exception as error:  # whatever the model's own code raises: the rest stands
        why = (str(error).splitlines() or [""])[0][:200]
        note = f"no steps were tried: {type(error).__name__}: {why}"
        return Setting(_ordered([*found, *scales.unproved(suspects, names)]), (note,))


def _answers_alike(model: keras.Model, inputs: Sequence[np.ndarray]) -> bool:
    """Says whether one target for all samples may be meant.

    So it is where two inputs are compared (the better one stands first in each pair), and where
    what judges them is frozen (a generator learns what its discriminator takes for real).
    """
    pair = len(inputs) > 1 and len({given.shape for given in inputs}) == 1
    last = _last_with_weights(model)
    return pair or (last is not None and not last.trainable_weights)


def _last_with_weights(model: keras.Model) -> keras.Layer | None:
    for layer in reversed(model.layers):
        found = _last_with_weights(layer) if isinstance(layer, keras.Model) else layer
        if found is not None and found.weights:
            return found
    return None


def _frozen(model: keras.Model) -> Finding:
    return Finding(
        "no gradient",
        ("model",),
        f"none of its {len(model.weights)} weights is trainable",
        "Nothing is learned",
        "model.trainable = True, and trainable = True for the layers that are to learn; then "
        "compile again",
    )


def _ordered(found: Sequence[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(found, key=lambda finding: ORDER.index(finding.kind)))


def _missing_activation(case: Case) -> list[Finding]:
    """Returns the finding that kernels follow each other with nothing nonlinear between."""
    layers = linearity.kernels(case.model)
    flat = keras.tree.flatten(case.x)
    if len(layers) < 2 or len(flat) != 1 or len(case.parts) != 1 or len(flat[0]) < 20:
        return []
    if not backend.is_floating(flat[0]) or linearity.curved_by_name(case.model):
        return []
    goal = case.parts[0][0]

    def logits(x: np.ndarray) -> np.ndarray:
        given = ops.convert_to_tensor(x)
        made = backend.with_logits(lambda: case.copy.outputs(given, training=False))
        return np.asarray(ops.convert_to_numpy(made[0]))

    x = ops.convert_to_numpy(flat[0])
    if not linearity.is_affine(logits, x, np.random.default_rng(0)):
        return []
    wanted = goal.values
    if goal.classes and not goal.one_hot:
        wanted = np.equal.outer(wanted.ravel(), np.unique(wanted)).astype(float)
    if len(wanted) != len(x):
        return []
    straight = [la.name for la in all_layers(case.model) if linearity.is_straight(la)]
    found = linearity.finding(layers, *linearity.explained(x, wanted), straight)
    return [found] if found else []


def _tried(
    case: Case,
    found: list[Finding],
    suspects: scales.Suspects,
    names: list[str],
    best: float | None,
) -> Setting:
    tries = Tries(case, best)
    norms = case.copy.penalties(case.x, case.y, case.sample_weight)
    weights = (
        strength.penalty(*norms, l1=strength.l1_of(case.model)),
        strength.decay(inner(tries.optimizer), tries.rate.value),
    )
    active = measured.activity(case)
    found = [*found, *(f for f in (*weights, active) if f)]
    if tries.cost > BUDGET or tries.layers > LAYERS:
        note = (
            f"no steps were tried: {tries.steps} of them through {tries.layers} layers are "
            f"{tries.cost:.1g} multiplications (limits {LAYERS} and {BUDGET:.0g})"
        )
        return Setting(_ordered([*found, *scales.unproved(suspects, names)]), (note,))
    own = tries.own
    if not np.isfinite(own.start):  # no step is to blame
        undefined = measured.undefined(case, own)
        found = [*found, *([undefined] if undefined else [])]
        return Setting(_ordered([*found, *scales.unproved(suspects, names)]))
    changed = found + measured.forgotten(case, own, best) + measured.hidden(tries)
    changed += faint.check(tries) + held.check(tries)
    changed += scales.proved(case, suspects, names, own, tries.attempt, best)
    changed += measured.target_scale(case, own, tries.attempt, best)
    changed += measured.weight_size(case, own, tries.attempt)
    if not any(f.kind == "regularization" for f in changed):
        changed += outweighed.check(tries)
    # A rate, or a loss, that these explain is not named on top.
    of_weights = False
    if not any(f.kind in _EXPLAINING for f in changed):
        judged, of_weights = _of_rate(tries)
        changed += judged or late.check(tries)
    around = {}
    if not changed and tries.longer:
        low, high = rates.span(own, tries.attempt)
        around = {"lowest": low, "highest": high}
    first = FirstSteps(tries.rate.value, own.start, own.end, best, tries.spent, **around)

    def weigh(findings: Sequence[Finding], lost: bool) -> Weighed:
        if not findings:
            return (), ()
        more = tries.longer > tries.steps
        longer = (lambda: tries.weighing(tries.longer)) if more else None
        left, notes = weighing.weighed(findings, tries.weighing(tries.steps), longer, lost=lost)
        return tuple(compiling.with_other_arguments(f, case.model) for f in left), notes

    # Where the setting has a fault, the signal is what comes of it.
    if changed:
        return Setting(_ordered(changed), (), first, of_weights=of_weights)
    return Setting((), (), first, weigh=weigh)


def _recovers(tries: Tries, judged: Finding) -> bool:
    """Says whether a rate that throws the loss up at first is the better one in a longer trial."""
    own = tries.own_longer
    if not own.end < 0.5 * own.start or rates.collapsed(own):
        return False
    other = tries.attempt(judged.numbers["better"], steps=tries.longer)
    return own.end <= other.end


def _unsteady(tries: Tries) -> Finding | None:
    """Returns the finding that a rate throws the loss up and a tenth of it teaches far more."""
    own, rate = tries.own, tries.rate
    if tries.longer <= tries.steps or not max(own.losses, default=0.0) > rates.THROWN * own.start:
        return None
    other = tries.attempt(own.rate / 10)
    if other.end > rates.HALF * own.end or max(other.losses) > 1.5 * other.start:
        return None
    longer = tries.own_longer
    if longer.end < rates.HALF * longer.start or rates.only_added_rises(longer):
        return None
    for divisor in (10, 100):
        other = tries.attempt(own.rate / divisor, steps=tries.longer)
        if other.end <= rates.FALLS * longer.end:
            return rates.high(longer, other, rate.scheduled, momentum_of(tries.optimizer))
    return None


def _of_rate(tries: Tries) -> tuple[list[Finding], bool]:
    """Returns what is wrong with the steps, and whether only these weights make them too long."""
    own, attempt, rate = tries.own, tries.attempt, tries.rate
    name, momentum = type(inner(tries.optimizer)).__name__, momentum_of(tries.optimizer)
    of_weights = False
    judged = rates.too_high(own, attempt, scheduled=rate.scheduled, momentum=momentum)
    if judged and tries.longer > tries.steps and _recovers(tries, judged):
        judged = None
    judged = judged or _unsteady(tries)
    if judged:
        of_weights = rates.is_of_weights(own, tries.from_start(weighing.redrawn(tries.case.copy)))
    elif not rate.rises:
        judged = rates.too_low(own, attempt, name, scheduled=rate.scheduled)
        judged = judged or small_steps.muted(own, tries.optimizer, attempt)
    else:
        judged = small_steps.not_yet(tries.optimizer, attempt)
    judged = judged or small_steps.over_soon(tries.optimizer, attempt)
    return ([judged] if judged else []), of_weights
