"""Findings of the signal, weighed by trial steps: whether what is seen matters.

A gradient that shrinks, or units that are dead or saturated, need not hinder a training. Kernels of
a copy are drawn anew at the scale that keeps the signal, and a few steps are done from there; where
these do not bring the loss clearly lower, a finding is a note.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from keras_inits._diagnose.setting.rate.rates import fall
from keras_inits._diagnose.setting.trials.steps import Trial
from keras_inits._diagnose.signal.memory import OVER_TIME
from keras_inits._finding_kinds import SignalKind
from keras_inits._reporting import Finding, grouped

# What other weights can amend. Not among them: what learns nothing at all or is not finite.
SCALES: tuple[SignalKind, ...] = ("exploding", "vanishing", "dying", "saturated", "rank-collapsed")
# Of the distance between the lower start and the lower end: more than two draws of one scheme
# differ by. What a start loses by weights that are too large is soon made up, and is no measure.
GAIN = 0.2
LOWER = 0.2  # of the loss itself, where next to no distance was made
STILL, MOVES = 0.005, 0.05  # the falls of a loss that stays, and of one that does not
# Below the loss of a constant guess, a part that only what was learned of the inputs brings: how
# much of the guess it must be, and how many times that of the other start.
LEARNED_OF_GUESS, LEARNED_TIMES = 0.1, 5
# Kernels that are a little too small for their depth cost some steps at the start and nothing more:
# what others win must be seen after this many times as many steps, too. Not so of kernels that are
# too large: such nets do fit a batch at last, by features that they never learn (Chizat, Oyallon,
# Bach 2019, https://arxiv.org/abs/1812.07956).
LONGER_TRIAL = 10
FADING: tuple[SignalKind, ...] = ("vanishing", "rank-collapsed")
NEARLY_ALL = 0.9  # of the units
# A loss that has fallen by so much, and is still above that of a guess, says how fast the mean of
# the targets is learned, which a signal that fades a little does not hinder.
ON_THE_WAY = 0.5


class Dismissed(NamedTuple):
    """A finding that is no alarm, and the trials that say so: as it is, and with a change."""

    finding: Finding
    own: Trial
    other: Trial
    change: str


@dataclasses.dataclass(frozen=True)
class Trials:
    """Trials by which findings of the signal are weighed, done when they are asked for.

    Attributes:
        own: of the model as it is.
        redrawn: with its kernels drawn anew.
        rectified: of the net with ReLU for its hidden sigmoids; None if it has none. For sigmoids
            no scale of kernels keeps the gradient.
        remembering: with recurrent layers that keep what they hold, given the steps of each by its
            name; None without such layers.
        guess: the loss of the best constant guess; None where it is not known.
        sigmoids: the places of those that `rectified` changes.
        rectify: code that does so.
    """

    own: Trial
    redrawn: Callable[[], Trial]
    rectified: Callable[[], Trial | None]
    remembering: Callable[[Mapping[str, float]], Trial | None]
    guess: float | None = None
    sigmoids: tuple[str, ...] = ()
    rectify: str = ""

    def prefer(self, other: Trial) -> bool:
        """Returns whether another start ends so much lower that a finding of this one matters."""
        return clearly_lower(other, self.own) or self._learns_alone(other)

    def constant(self, other: Trial) -> bool:
        """Returns whether neither start brings the loss below that of a guess: a bias may learn."""
        return self.guess is not None and min(self.own.end, other.end) >= self.guess

    def _learns_alone(self, other: Trial) -> bool:
        lower = np.isfinite(other.end) and other.end < self.own.end
        if self.guess is None or not self.guess > 0 or not lower:
            return False
        known, more = (1 - each.end / self.guess for each in (self.own, other))
        return more >= max(LEARNED_OF_GUESS, LEARNED_TIMES * known)


def weighed(
    findings: Sequence[Finding],
    trials: Trials,
    longer: Callable[[], Trials] | None = None,
    *,
    lost: bool = False,
) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    """Returns the findings of the signal that matter, and the others as notes.

    Args:
        findings: of the signal.
        trials: by which they are weighed.
        longer: returns longer ones, done where the first leave an alarm that a signal fades.
        lost: whether next to nothing of the input reaches the output. Trials acquit such a net
            where they show that it learns; not where nothing learns in so few steps.
    """
    kept, dismissed = _weighed(findings, trials, lost)
    again = [f for f in findings if id(f) in kept and (f.kind in FADING or _silent(f))]
    if any(map(_far_gone, again)) and clearly_lower(trials.redrawn(), trials.own):
        again = []
    if not kept:
        again = [f for f in findings if _shows_late(f)]
    if longer is not None and again:
        still, more = _weighed(again, longer(), lost)
        kept = {id(f): kept[id(f)] for f in findings if id(f) in kept and f not in again} | still
        # What the first trials said of these is no longer so.
        dismissed = [each for each in dismissed if each.finding not in again] + more
    # In their order, and what stands for several once.
    left = {id(kept[id(f)]): kept[id(f)] for f in findings if id(f) in kept}
    return tuple(left.values()), tuple(_notes(dismissed))


def _far_gone(finding: Finding) -> bool:
    """Returns whether a size faded past the square of its limit, which no few steps make up for."""
    numbers = finding.numbers
    return numbers.get("factor", 1.0) * numbers.get("limit", 1.0) ** 2 < 1


def _silent(finding: Finding) -> bool:
    """Returns whether all units of a layer are dead, so that nothing passes it."""
    return finding.kind == "dying" and finding.numbers.get("dead", 0.0) >= 1


def _shows_late(finding: Finding) -> bool:
    """Returns whether what a finding costs may show in longer trials alone.

    What saturated units leave to the layers behind is learned first; what was long ago, of a layer
    without gates, last.
    """
    numbers = finding.numbers
    return numbers.get("saturated", 0.0) >= NEARLY_ALL or numbers.get("gates") == 0


def _weighed(
    findings: Sequence[Finding], trials: Trials, lost: bool
) -> tuple[dict[int, Finding], list[Dismissed]]:
    """Returns what is kept of findings by their `id`, and the others."""
    own = trials.own
    doubtful = [finding for finding in findings if finding.kind in SCALES]
    kept = {id(f): f for f in findings if f.kind not in SCALES}
    if not doubtful or not np.isfinite(own.end):
        return {id(f): f for f in findings}, []
    # That the first steps of a sequence are forgotten is no question of kernels.
    forgetting = [f for f in doubtful if f.kind == "vanishing" and f.numbers.keys() >= OVER_TIME]
    dismissed: list[Dismissed] = []
    if forgetting:
        lengths = {_layer(f.where[0]): f.numbers["steps"] for f in forgetting}
        other = trials.remembering(lengths)
        if other is not None:
            doubtful = [f for f in doubtful if f not in forgetting]
            if trials.prefer(other):
                kept |= {id(f): f for f in forgetting}
            change = "recurrent layers that keep what they hold"
            dismissed += [Dismissed(f, own, other, change) for f in forgetting if id(f) not in kept]
    if doubtful:
        other = trials.redrawn()
        if preferred := trials.prefer(other):
            undecided = trials.constant(other) and fall(own) > ON_THE_WAY
            some = [f for f in doubtful if f.kind in FADING and not _far_gone(f)]
            kept |= {id(f): f for f in doubtful if not (undecided and f in some)}
        if any(finding.kind == "vanishing" for finding in doubtful):
            changed = trials.rectified()
            better = changed is not None and (not preferred or clearly_lower(changed, other))
            if changed is not None and better and trials.prefer(changed):
                kept |= _of_sigmoids(doubtful, trials, changed)
        mute = _mute(own, other)
        if mute or trials.constant(other):
            left = [f for f in doubtful if _silent(f) or (mute and lost and f.kind == "vanishing")]
            kept |= {id(f): f for f in left if id(f) not in kept}
        change = "kernels drawn anew"
        dismissed += [Dismissed(f, own, other, change) for f in doubtful if id(f) not in kept]
    return kept, dismissed


def _layer(path: str) -> str:
    """Returns the name of the layer at the end of a path such as `"block/lstm:2"`."""
    return path.split("/")[-1].split(":")[0]


def _notes(dismissed: Sequence[Dismissed]) -> Iterator[str]:
    """Yields a note on the findings of each kind that are no alarm."""
    groups = grouped(dismissed, lambda each: (each.finding.kind, each.change))
    for (kind, change), ((first, own, other, _), *others) in groups.items():
        more = f" and {len(others)} more" if others else ""
        yield (
            f"no alarm: {kind}, {', '.join(first.where)}{more}: {first.evidence}; with {change}, "
            f"{len(other.losses)} steps lead to {other.end:.3g}, as it is to {own.end:.3g}"
        )


def clearly_lower(other: Trial, own: Trial) -> bool:
    """Returns whether a trial ends lower than another by more than two draws differ."""
    if not np.isfinite(other.end) or other.end >= own.end:
        return False
    first, second = fall(own), fall(other)
    if first < STILL and second >= max(MOVES, 20 * first):
        return True
    start = min(own.start, other.start)
    return other.end <= own.end - max(GAIN * (start - other.end), LOWER * own.end)


def _mute(own: Trial, other: Trial) -> bool:
    """Returns whether no trial came below where the better one started."""
    return min(own.end, other.end) > (1 - MOVES) * min(own.start, other.start)


def _of_sigmoids(findings: Sequence[Finding], trials: Trials, changed: Trial) -> dict[int, Finding]:
    """Returns what is kept of findings, by their `id`: for all that fades one, of all sigmoids."""
    first = next(f for f in findings if f.kind == "vanishing")
    together = dataclasses.replace(
        first,
        where=trials.sigmoids or first.where,
        evidence=f"{first.where[0]}: {first.evidence}; with ReLU for the hidden sigmoids, "
        f"{len(changed.losses)} steps lead to {changed.end:.3g}, as it is to {trials.own.end:.3g}",
        consequence="The derivative of a sigmoid is 1/4 at most, whatever its kernel: what comes "
        "before it learns slowly or not at all",
        remedy=trials.rectify,
    )
    return {id(f): together if f.kind in FADING else f for f in findings}
