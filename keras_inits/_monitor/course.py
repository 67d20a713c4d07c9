"""What comes in a training: a loss that does not fall, faults that were not there before."""

import dataclasses
import itertools
from collections.abc import Sequence

from keras_inits._diagnose import SignalReport
from keras_inits._finding_kinds import SignalKind
from keras_inits._reporting import Finding

# The loss is judged over this many epochs: fewer go up and down by the order of their batches.
_EPOCHS = 6
_LOUD, _FLAT = 0.2, 0.01  # a rise that is no noise; a whole range that is nothing
_TAUGHT = 0.9  # of the loss of a guess: below it something has been learned
_GONE = 0.01  # of the loss of the first epoch: below it, it goes up and down by rounding at last
# What comes in a training, of all that a diagnosis finds.
_COMING: tuple[SignalKind, ...] = (
    "not finite",
    "dying",
    "saturated",
    "no gradient",
    "vanishing",
)
SLOWER = "model.optimizer.learning_rate = 0.1 * float(model.optimizer.learning_rate)"


def newly_found(first: SignalReport, now: SignalReport, epoch: int) -> list[Finding]:
    """Returns what is wrong now and was not before the training: dead units, lost gradients."""
    before = {layer.name: layer for layer in first.layers}
    known = {(f.kind, f.where) for f in first.findings}
    found = []
    for finding in now.findings:
        at_layer = bool(finding.where) and finding.where[0] in before
        if finding.kind not in _COMING or not at_layer or (finding.kind, finding.where) in known:
            continue
        old, remedy = before[finding.where[0]], finding.remedy
        was = f"; before the training it was {old.verdict}"
        if finding.kind == "dying":
            was += f" ({old.output.dead_units:.0%} of its units 0)"
            remedy = f"{remedy}; {SLOWER}" if remedy else SLOWER
        found.append(
            dataclasses.replace(
                finding,
                evidence=f"after epoch {epoch}: {finding.evidence}{was}",
                remedy=remedy,
                numbers={**finding.numbers, "epoch": epoch},
            )
        )
    return found


def of_loss(losses: Sequence[float], epoch: int, guess: float | None = None) -> Finding | None:
    """Returns what is wrong with the course of the loss over the last epochs.

    Args:
        losses: of each epoch.
        epoch: the last one.
        guess: the loss of the best constant guess; None where it is not known.
    """
    last = losses[-_EPOCHS:]
    if len(last) < _EPOCHS:
        return None
    size = max(map(abs, last))
    rises = sum(b - a > _LOUD * size for a, b in itertools.pairwise(last))
    numbers = {"epoch": epoch, "first": last[0], "last": last[-1]}
    loud = rises >= 2 and size > _GONE * abs(losses[0])
    if loud and min(last[_EPOCHS // 2 :]) > 0.9 * min(last[: _EPOCHS // 2]):
        return Finding(
            kind="oscillating",
            where=("loss",),
            evidence=(
                f"over the last {_EPOCHS} epochs the loss rose {rises} times by more than "
                f"{_LOUD:.0%} of its largest value and its lowest did not fall: "
                + ", ".join(f"{value:.3g}" for value in last)
            ),
            consequence="Steps go past the minimum instead of into it",
            remedy=SLOWER,
            numbers=numbers,
        )
    taught = guess is not None and last[-1] < _TAUGHT * guess
    still = max(last) - min(last) <= _FLAT * size and min(losses) > (1 - 2 * _FLAT) * losses[0]
    if still and not taught:
        return Finding(
            kind="stalled",
            where=("loss",),
            evidence=(
                f"over the last {_EPOCHS} epochs the loss stayed within {_FLAT:.0%} of "
                f"{last[-1]:.3g}, and it never was lower by more than {2 * _FLAT:.0%} than after "
                "the first epoch"
            ),
            consequence="Nothing is learned",
            remedy="model.optimizer.learning_rate = 10 * float(model.optimizer.learning_rate)",
            numbers=numbers,
        )
    return None
