"""What was found of a setting, and in which order it is to be changed."""

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import get_args

from keras_inits._finding_kinds import SettingKind
from keras_inits._reporting import Finding

ORDER: tuple[SettingKind, ...] = get_args(SettingKind)
# What data, targets, end and loss do to each other, whatever the layers between are.
CAUSES: tuple[SettingKind, ...] = (*ORDER[: ORDER.index("target scale") + 1], "regularization")
MISMATCHES: tuple[SettingKind, ...] = (
    "labels",
    "target shape",
    "output units",
    "output activation",
    "loss",
)
# Nothing can be computed from these.
UNUSABLE: tuple[SettingKind, ...] = ("input not finite", "input values")
UNHEARD = "differ before"  # a number of findings that the answers never differ between samples
FAR_FROM_GUESS = 100.0  # times the loss of a guess

Weighed = tuple[tuple[Finding, ...], tuple[str, ...]]  # those that matter, and notes


@dataclass(frozen=True)
class FirstSteps:
    """What the first steps of the training do to the loss, tried on a copy.

    Attributes:
        rate: the compiled learning rate.
        start: the loss of all samples before them, in training.
        after: that after them; infinite if it was not finite.
        guess: that of the best guess that is the same for all samples; None if not known.
        steps: how many steps were tried in all, at this rate and for what was to be proved.
        lowest: of the rates that were tried, in decades, the least that makes half of the best
            fall or more; NaN where others were not tried.
        highest: the largest such rate.
    """

    rate: float
    start: float
    after: float
    guess: float | None
    steps: int
    lowest: float = math.nan
    highest: float = math.nan


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
        unheard: asked where the signal shows nothing: whether the answers ever differ between
            samples.
    """

    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    first_steps: FirstSteps | None = None
    usable: bool = True
    of_weights: bool = False
    weigh: Callable[[Sequence[Finding], bool], Weighed] = lambda found, lost: (tuple(found), ())
    unheard: Callable[[], tuple[Finding, ...]] = tuple


def ordered(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """Returns findings of the setting in the order in which to change them."""
    return tuple(sorted(found, key=lambda finding: ORDER.index(finding.kind)))


def with_signal(
    setting: Setting, signal: Sequence[Finding], ends: Sequence[str] = ()
) -> tuple[Finding, ...]:
    """Returns all findings in the order in which to change them: what may explain another first.

    The setting comes before the signal, with three exceptions: what is not finite, or lost in means
    over one or two values, comes before whatever steps and losses say; outputs that are too large
    come after the layers that make them so, and a rate that only these weights forbid comes last.

    Args:
        setting: of the training.
        signal: what was found of the signal.
        ends: the names of the layers that make the model's outputs.
    """
    causes = [f for f in setting.findings if f.kind in CAUSES]
    explodes = any(f.kind == "exploding" for f in signal)
    late = [
        f
        for f in setting.findings
        if (explodes and f.kind == "loss at the start")
        or ((setting.of_weights or (explodes and _starts_far(setting))) and is_too_high(f))
    ]
    effects = [f for f in setting.findings if f not in causes and f not in late]
    if any(f.kind == "loss" for f in causes):
        signal = [f for f in signal if f.kind != "not finite" or f.where != ("loss",)]
    causes, signal = _with_gradient(causes, signal, ends)
    broken = [f for f in signal if _is_broken(f)]
    rest = [f for f in signal if not _is_broken(f)]
    return (*causes, *broken, *effects, *rest, *late)


def _with_gradient(
    causes: Sequence[Finding], signal: Sequence[Finding], ends: Sequence[str]
) -> tuple[list[Finding], list[Finding]]:
    """Returns both, and says of an end that does not fit that it has no gradient.

    In the place of a finding of its own: it is what comes of the other.
    """
    place = next((i for i, f in enumerate(causes) if f.kind in MISMATCHES), None)
    mute = [f for f in signal if _is_mute(f, ends)]
    if place is None or not mute:
        return [*causes], [*signal]
    first = causes[place]
    layers = list(dict.fromkeys(name for f in mute for name in f.where if name != "loss"))
    what = "no gradient comes through " + " and ".join(layers)
    said = dataclasses.replace(
        first,
        where=(*first.where, *(name for name in layers if name not in first.where)),
        evidence=f"{first.evidence}; "
        + (what if layers else "the gradient of the loss is 0 at the output"),
    )
    return [*causes[:place], said, *causes[place + 1 :]], [f for f in signal if f not in mute]


def _is_mute(finding: Finding, ends: Sequence[str]) -> bool:
    """Returns whether a finding is that the gradient is 0 (not None) at the end of a model."""
    zero = finding.kind == "no gradient" and finding.numbers.get("gradient") == 0
    return zero and {*finding.where} <= {"loss", *ends}


def _is_broken(finding: Finding) -> bool:
    """Returns whether no step can change what a finding of the signal names."""
    return finding.kind == "not finite" or bool({"values", UNHEARD} & finding.numbers.keys())


def is_too_high(finding: Finding) -> bool:
    """Returns whether a finding is that the learning rate is too high."""
    return finding.where == ("optimizer",) and finding.kind == "learning rate too high"


def _starts_far(setting: Setting) -> bool:
    """Returns whether the loss starts far above that of a guess, which no rate has a part in."""
    first = setting.first_steps
    return (
        first is not None
        and bool(first.guess)
        and first.start > FAR_FROM_GUESS * (first.guess or 0.0)
    )
