"""What trial steps show of a setting: scales, penalties, the start of the loss, and the rate."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import nan

import numpy as np

from keras_inits._diagnose.setting import compiling
from keras_inits._diagnose.setting.between import (
    added_losses,
    bottlenecks,
    constraints,
    dropouts,
    frozen,
    hidden,
    regularizers,
    unheard,
)
from keras_inits._diagnose.setting.case import Case
from keras_inits._diagnose.setting.end import dead, loss_at_start, output_scale, undefined
from keras_inits._diagnose.setting.entrance import augmented, filled, masked, positions, scales
from keras_inits._diagnose.setting.entrance.scales import Suspect
from keras_inits._diagnose.setting.order import (
    ORDER,
    FirstSteps,
    Setting,
    Weighed,
    is_too_high,
    ordered,
)
from keras_inits._diagnose.setting.rate import precision, rates, small_steps
from keras_inits._diagnose.setting.rate.schedules import inner, momentum_of
from keras_inits._diagnose.setting.target import imbalance, marked, pace, sample_weights
from keras_inits._diagnose.setting.trials import weighing
from keras_inits._diagnose.setting.trials.steps import Trial
from keras_inits._diagnose.setting.trials.tries import (
    BUDGET,
    FEW,
    FEW_STEPS,
    LAYERS,
    UNTAUGHT,
    Tries,
)
from keras_inits._finding_kinds import SettingKind
from keras_inits._float_range import HALF_PRECISION
from keras_inits._reporting import Finding

_RATES: frozenset[SettingKind] = frozenset(
    {"not finite", "weight precision", "learning rate too high", "learning rate too low"}
)
# What explains a rate, or a loss at the start, which are then not named on top.
_EXPLAINING: frozenset[SettingKind] = frozenset(
    {
        "loss",
        "input padding",
        "input scale",
        "target scale",
        "moving statistics",
        "no gradient",
        "missing positions",
        "output activation",
        "hidden units",
        "hidden activation",
        "regularization",
        "dropout",
        "learning rate too low",  # of an optimizer that puts the kernels where its rate says
    }
)


@dataclass(frozen=True)
class _Check:
    """One look at trial steps.

    Attributes:
        find: returns what is wrong.
        unless: kinds of findings of which it is a mere consequence.
    """

    find: Callable[[Tries], list[Finding]]
    unless: frozenset[SettingKind] = frozenset()


def _checks(suspects: Sequence[Suspect]) -> tuple[_Check, ...]:
    """Returns the checks in the order in which they are asked: what explains comes first."""
    return (
        _Check(filled.forgotten),
        _Check(masked.by_value),
        _Check(filled.thinned),
        _Check(augmented.check),
        _Check(output_scale.check),
        _Check(constraints.check),
        _Check(lambda tries: scales.proved(tries, suspects)),
        _Check(marked.check),
        _Check(pace.check),
        _Check(sample_weights.size),
        _Check(frozen.check),
        _Check(bottlenecks.check),
        _Check(added_losses.falling, unless=frozenset({"regularization"})),
        _Check(added_losses.check, unless=frozenset({"regularization"})),
        _Check(hidden.by_steps, unless=_EXPLAINING),
        _Check(dropouts.by_steps, unless=_EXPLAINING),
        _Check(dead.check, unless=_EXPLAINING),
        _Check(positions.check, unless=_EXPLAINING),
        _Check(_of_rate, unless=_EXPLAINING),
        _Check(loss_at_start.check, unless=_EXPLAINING | _RATES),
        _Check(imbalance.check, unless=frozenset(ORDER)),
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
    penalties = regularizers.outweighing(tries)
    decay = regularizers.decay(inner(tries.optimizer), tries.rate.value)
    found = [*found, decay] if decay else [*found]
    if tries.is_large:
        return _of_few_steps(tries, [*found, *penalties, *scales.unproved(suspects)])
    if not np.isfinite(tries.own.start):  # no step is to blame
        return Setting(ordered([*found, *_of_no_number(tries, suspects), *penalties]))
    penalties, notes = added_losses.acquitted(tries, penalties)
    found += penalties
    for check in _checks(suspects):
        if not any(f.kind in check.unless for f in found):
            found += check.find(tries)
    silent = functools.partial(unheard.check, tries)
    if not found:
        first, weigh = _first_steps(tries, around=True), functools.partial(_weighed, tries)
        return Setting((), tuple(notes), first, weigh=weigh, unheard=silent)
    of_weights = any(map(is_too_high, found)) and rates.is_of_weights(tries.own, tries.redrawn())
    # Where the setting has a fault, the signal is what comes of it.
    setting = Setting(ordered(found), tuple(notes), _first_steps(tries), of_weights=of_weights)
    if all(f.kind == "loss at the start" for f in found):  # of answers that are all the same, too
        return replace(setting, unheard=silent)
    unbounded = any(map(hidden.is_unbounded, found))
    return replace(setting, weigh=hidden.without_sizes) if unbounded else setting


def _of_few_steps(tries: Tries, found: Sequence[Finding]) -> Setting:
    """Returns the setting of a training of which only a few steps are tried."""
    size = f"{tries.layers} layers and {tries.cost:.1g} multiplications of {tries.steps} steps"
    if tries.is_too_large:
        return Setting(ordered(found), (f"no steps were tried, of {size} (limit {BUDGET:.0g})",))
    best, rate = tries.best or 0.0, tries.rate
    high = rates.thrown(tries.few(rate.value), tries.few, best, scheduled=rate.scheduled)
    note = (
        f"{FEW_STEPS} steps on {FEW} samples were tried, which show a rate that is far too high "
        f"and little else: of {size} (limits {LAYERS} and {BUDGET:.0g})"
    )
    return Setting(ordered([*found, *high]), (note,))


def _of_no_number(tries: Tries, suspects: Sequence[Suspect]) -> list[Finding]:
    """Returns why the loss is not finite before the first step."""
    unproved = scales.unproved(suspects)
    return scales.overflowing(tries, suspects) or [*unproved, *undefined.check(tries)]


def _first_steps(tries: Tries, *, around: bool = False) -> FirstSteps:
    """Returns what the first steps do to the loss; `around`, at which other rates it falls, too."""
    low, high = rates.span(tries.own, tries.attempt) if around and tries.longer else (nan, nan)
    return FirstSteps(
        tries.rate.value,
        tries.own.start,
        tries.own.end,
        tries.best,
        tries.spent,
        lowest=low,
        highest=high,
    )


def _weighed(tries: Tries, findings: Sequence[Finding], lost: bool) -> Weighed:
    """Parts findings of the signal into those that matter and notes, as `Setting.weigh` does."""
    if not findings:
        return (), ()
    more = tries.longer > tries.steps
    longer = (lambda: tries.weighing(tries.longer)) if more else None
    left, notes = weighing.weighed(findings, tries.weighing(tries.steps), longer, lost=lost)
    return tuple(compiling.with_other_arguments(f, tries.case.model) for f in left), notes


def _of_rate(tries: Tries) -> list[Finding]:
    """Returns what is wrong with the length of the steps."""
    found = _of_half_precision(tries) or _too_high(tries) or _too_low(tries)
    found = found or small_steps.over_soon(tries.optimizer, tries.attempt)
    found = found or small_steps.gathered(tries.optimizer, tries.own_longer)
    return [found] if found else []


def _of_half_precision(tries: Tries) -> Finding | None:
    half = {v.dtype for v in tries.case.copy.trained}.intersection(HALF_PRECISION)
    if not half:
        return None
    unbounded = "float16" in half and small_steps.rounded(tries.own, tries.optimizer, tries.attempt)
    return unbounded or precision.check(tries.own_longer, tries.longer_with(wide=True), min(half))


def _too_high(tries: Tries) -> Finding | None:
    own, rate = tries.own, tries.rate
    momentum = momentum_of(tries.optimizer)
    found = rates.too_high(own, tries.attempt, scheduled=rate.scheduled, momentum=momentum)
    if found and tries.longer > tries.steps and _recovers(tries, found):
        found = None
    return found or _unsteady(tries)


def _too_low(tries: Tries) -> Finding | None:
    own, attempt, rate = tries.own, tries.attempt, tries.rate
    if rate.rises:
        return small_steps.not_yet(tries.optimizer, attempt)
    if found := small_steps.muted(own, tries.optimizer, attempt):
        return found
    name = type(inner(tries.optimizer)).__name__
    return rates.too_low(own, attempt, name, scheduled=rate.scheduled, best=tries.best)


def _recovers(tries: Tries, found: Finding) -> bool:
    """Returns whether a rate that throws the loss up at first is better in a longer trial."""
    own = tries.own_longer
    if not own.end < 0.5 * own.start or rates.collapsed(own):
        return False
    other = tries.attempt(found.numbers["better"], steps=tries.longer)
    return own.end <= other.end


def _is_lost(tries: Tries, longer: Trial) -> bool:
    """Returns whether a longer trial learned nothing, or all its outputs became the same."""
    return rates.collapsed(longer) or 0 < UNTAUGHT * tries.untaught <= longer.end


def _unsteady(tries: Tries) -> Finding | None:
    """Returns the finding that a rate throws the loss up and a tenth of it teaches far more.

    In the first steps; or in longer trials, where nothing was learned yet, or all outputs have
    become the same, in two orders of the samples.
    """
    own, rate = tries.own, tries.rate
    peak = max(own.losses, default=0.0)
    if tries.longer <= tries.steps or not (peak > rates.RISES * own.start or tries.untaught):
        return None
    longer = tries.own_longer
    if not peak > rates.THROWN * own.start:
        again = functools.partial(tries.attempt, own.rate, steps=tries.longer, seed=1)
        if not _is_lost(tries, longer) or not _is_lost(tries, again()):
            return None
    other = tries.attempt(own.rate / 10)
    soon = other.end <= rates.HALF * own.end and max(other.losses) <= rates.RISES * other.start
    if not soon and longer.end < UNTAUGHT * min(tries.best or np.inf, longer.start):
        return None
    if longer.end < rates.HALF * longer.start or rates.only_added_rises(longer):
        return None
    for divisor in (10, 100):
        other = tries.attempt(own.rate / divisor, steps=tries.longer)
        # Thrown far up, to where all outputs have become the same, it is lost for good.
        gone = peak > rates.PEAK * own.start and rates.collapsed(longer)
        enough = rates.HALF if gone and not rates.collapsed(other) else rates.FALLS
        if other.end <= enough * longer.end and other.end < np.inf:
            return rates.high(longer, other, rate.scheduled, momentum_of(tries.optimizer))
    return None
