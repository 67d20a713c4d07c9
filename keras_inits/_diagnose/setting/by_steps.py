"""What trial steps show of a setting: scales, penalties, the start of the loss, and the rate."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from keras_inits._diagnose.report import FirstSteps
from keras_inits._diagnose.setting import compiling, measured
from keras_inits._diagnose.setting.between import added_losses, constraints, hidden
from keras_inits._diagnose.setting.case import Case
from keras_inits._diagnose.setting.end import loss_at_start, output_scale
from keras_inits._diagnose.setting.entrance import positions, scales
from keras_inits._diagnose.setting.entrance.scales import Suspect
from keras_inits._diagnose.setting.order import Setting, Weighed, ordered
from keras_inits._diagnose.setting.rate import rates, small_steps
from keras_inits._diagnose.setting.rate.schedules import inner, momentum_of
from keras_inits._diagnose.setting.trials import weighing
from keras_inits._diagnose.setting.trials.tries import BUDGET, LAYERS, UNTAUGHT, Tries
from keras_inits._finding_kinds import SettingKind
from keras_inits._reporting import Finding

# A rate, or a loss at the start, that these explain is not named on top.
_EXPLAINING: tuple[SettingKind, ...] = (
    "loss",
    "input padding",
    "input scale",
    "target scale",
    "missing positions",
    "hidden activation",
    "regularization",
)


def judged(
    case: Case, best: float | None, found: Sequence[Finding], suspects: Sequence[Suspect]
) -> Setting:
    """Returns the setting of a training, after trial steps.

    Args:
        case: the training; its model is compiled.
        best: the loss of the best constant guess; None where it is not known.
        found: what is wrong without a look at steps.
        suspects: inputs of a suspicious scale.
    """
    tries = Tries(case, best)
    added, found = measured.penalties(tries), [*found, *measured.decay(tries)]
    if tries.cost > BUDGET or tries.layers > LAYERS:
        note = (
            f"no steps were tried: {tries.steps} of them through {tries.layers} layers are "
            f"{tries.cost:.1g} multiplications (limits {LAYERS} and {BUDGET:.0g})"
        )
        return Setting(ordered([*found, *added, *scales.unproved(suspects)]), (note,))
    own = tries.own
    if not np.isfinite(own.start):  # no step is to blame
        found += scales.overflowing(tries, suspects) or [
            *scales.unproved(suspects),
            *measured.undefined(tries),
        ]
        return Setting(ordered([*found, *added]))
    added, notes = added_losses.acquitted(tries, added)
    found += added
    found += measured.forgotten(tries) + measured.hidden(tries)
    found += output_scale.check(tries) + constraints.check(tries)
    found += scales.proved(tries, suspects)
    found += measured.target_scale(tries) + measured.weight_size(tries)
    if not any(f.kind == "regularization" for f in found):
        found += added_losses.check(tries)
    activations: list[Finding] = []
    if not any(f.kind in _EXPLAINING for f in found):
        activations = hidden.by_steps(tries)
        found += activations or positions.check(tries)
    of_weights = False
    if not any(f.kind in _EXPLAINING for f in found):
        rate, of_weights = _of_rate(tries)
        found += rate or loss_at_start.check(tries)
    around = {}
    if not found and tries.longer:
        low, high = rates.span(own, tries.attempt)
        around = {"lowest": low, "highest": high}
    first = FirstSteps(tries.rate.value, own.start, own.end, best, tries.spent, **around)
    # Where the setting has a fault, the signal is what comes of it.
    if found:
        setting = Setting(ordered(found), tuple(notes), first, of_weights=of_weights)
        return replace(setting, weigh=hidden.without_sizes) if activations else setting

    def weigh(findings: Sequence[Finding], lost: bool) -> Weighed:
        if not findings:
            return (), ()
        more = tries.longer > tries.steps
        longer = (lambda: tries.weighing(tries.longer)) if more else None
        left, notes = weighing.weighed(findings, tries.weighing(tries.steps), longer, lost=lost)
        return tuple(compiling.with_other_arguments(f, case.model) for f in left), notes

    return Setting((), tuple(notes), first, weigh=weigh)


def _of_rate(tries: Tries) -> tuple[list[Finding], bool]:
    """Returns what is wrong with the steps, and whether only these weights make them too long."""
    own, attempt, rate = tries.own, tries.attempt, tries.rate
    name, momentum = type(inner(tries.optimizer)).__name__, momentum_of(tries.optimizer)
    of_weights = False
    found = rates.too_high(own, attempt, scheduled=rate.scheduled, momentum=momentum)
    if found and tries.longer > tries.steps and _recovers(tries, found):
        found = None
    found = found or _unsteady(tries)
    if found:
        of_weights = rates.is_of_weights(own, tries.redrawn())
    elif not rate.rises:
        found = rates.too_low(own, attempt, name, scheduled=rate.scheduled)
        found = found or small_steps.muted(own, tries.optimizer, attempt)
    else:
        found = small_steps.not_yet(tries.optimizer, attempt)
    found = found or small_steps.over_soon(tries.optimizer, attempt)
    return ([found] if found else []), of_weights


def _recovers(tries: Tries, found: Finding) -> bool:
    """Says whether a rate that throws the loss up at first is the better one in a longer trial."""
    own = tries.own_longer
    if not own.end < 0.5 * own.start or rates.collapsed(own):
        return False
    other = tries.attempt(found.numbers["better"], steps=tries.longer)
    return own.end <= other.end


def _unsteady(tries: Tries) -> Finding | None:
    """Returns the finding that a rate throws the loss up and a tenth of it teaches far more.

    In the first steps; or in the longer trial, where what was thrown up has learned nothing yet.
    """
    own, rate = tries.own, tries.rate
    if tries.longer <= tries.steps or not max(own.losses, default=0.0) > rates.THROWN * own.start:
        return None
    other, longer = tries.attempt(own.rate / 10), tries.own_longer
    soon = other.end <= rates.HALF * own.end and max(other.losses) <= 1.5 * other.start
    if not soon and longer.end < UNTAUGHT * min(tries.best or np.inf, longer.start):
        return None
    if longer.end < rates.HALF * longer.start or rates.only_added_rises(longer):
        return None
    for divisor in (10, 100):
        other = tries.attempt(own.rate / divisor, steps=tries.longer)
        if other.end <= rates.FALLS * longer.end:
            return rates.high(longer, other, rate.scheduled, momentum_of(tries.optimizer))
    return None
