"""The compiled learning rate, judged by what a few steps on a copy do to the loss."""

import math

import numpy as np

from keras_inits._diagnose.setting.trials.steps import Attempt, Trial
from keras_inits._reporting import Finding

# A loss that has fallen by a fifth has fallen by more than the noise of 20 batches of 32.
FALLS = 0.2
# Below a three-hundredth of a rate at which the loss still falls, an epoch of 300 batches does what
# one step could.
LOW = 300.0
# Adaptive optimizers move each weight by about the rate, whatever the gradient: from 1e-5
# (fine-tuning, Devlin et al. 2019) on, the rate is a choice.
ADAPTIVE_LOW = 3e-6
# Zeiler 2012 has no rate at all, which is 1; Keras's default is 0.001.
ADADELTA_LOW = 0.05
# A loss that stays: 20 steps change it by less than a thousandth. Then a fall of a hundredth is
# one, since both trials see the same samples in the same order.
STAYS, STIRS = 1e-3, 0.01
# Outputs that differ as little as this, of what they did, once the loss was thrown up, have become
# nearly the same; half the loss at a tenth of the rate is then no noise.
COLLAPSING, HALF = 0.03, 0.5
FELL = 0.02  # of its start: a loss that has fallen by so much in 20 steps does not stay
RISES = 1.5  # times its start: a loss is thrown up, by more than batches differ
PEAK = 10.0  # times its start, on the way: a loss that came down again was thrown up all the same
# Of the end at the compiled rate: another rate ends lower by more than batches differ.
ENDS_LOWER = 0.8
SAME = 1e-3  # of what outputs differed by: they are the same for all samples, but for rounding
THROWN = 3.0  # times its start does a loss pass on the way; once it may be chance
# Ten times below a rate at which the loss stays, 20 steps make it fall by this; three times as many
# steps of both then tell.
BEGINS, RETRIED = FALLS / 4, 3
# Times as far as the compiled rate does a larger one make the loss fall; more than it has is not
# to be asked for.
FASTER = 20
# How far below a rate that holds for some steps the one is that is advised: a longer training meets
# steeper places (Smith 2017, arXiv:1506.01186: a third or a fourth of the largest that converges).
MARGIN = 3.0
ADAPTIVE = ("Adam", "AdamW", "Nadam", "Adamax", "RMSprop", "Lion", "Lamb", "Adafactor", "Adagrad")


def fall(trial: Trial) -> float:
    """Returns by which share of its start the loss fell."""
    return 1 - trial.end / trial.start if trial.start > 0 else 0.0


def collapsed(trial: Trial) -> bool:
    """Returns whether the outputs no longer differ between samples (limit `SAME`)."""
    return trial.spread < SAME


def only_added_rises(trial: Trial) -> bool:
    """Returns whether what layers add to the loss is all that rises.

    The distance of a code from what it stands for, and the divergence of a latent from its prior,
    begin near 0 because nothing is encoded yet, and rise in trainings that go well.
    """
    start, end = trial.not_added
    return trial.added[1] > 0 and bool(end <= RISES * start)


def _comes_back(own: Trial, attempt: Attempt) -> bool:
    """Returns whether outputs that were the same for all samples differ again, and teach.

    Before codes tell samples apart all meet the same few, and a net learns the mean of its targets.
    """
    longer = attempt(own.rate, steps=RETRIED * len(own.losses))
    start, end = longer.not_added
    calm = longer.end <= RISES * longer.start or only_added_rises(longer)
    return not collapsed(longer) and longer.spread > 1 and calm and bool(end <= HALF * start)


def span(own: Trial, attempt: Attempt) -> tuple[float, float]:
    """Returns the least and the largest rate that make half of the best fall, or more, in decades.

    NaN where the loss falls at none.

    Args:
        own: the trial at the compiled rate.
        attempt: returns the trial at another: two decades to each side are tried.
    """
    trials = [own, *(attempt(own.rate * factor) for factor in (0.01, 0.1, 10.0, 100.0))]
    best = max(map(fall, trials))
    good = [each.rate for each in trials if fall(each) >= best / 2 > 0 and not collapsed(each)]
    return (min(good), max(good)) if good else (math.nan, math.nan)


def too_high(
    own: Trial,
    attempt: Attempt,
    *,
    scheduled: bool = False,
    momentum: float = 0.0,
) -> Finding | None:
    """Returns the finding that the loss rises, or stays, where smaller rates make it fall.

    Or that it came down again to where all samples have nearly the same outputs.

    Args:
        own: the trial at the compiled rate.
        attempt: returns the trial at another, or of more `steps`.
        scheduled: whether the rate is that of a schedule.
        momentum: of the optimizer.
    """
    peak = max(own.losses, default=0.0)
    thrown_far = not peak <= PEAK * own.start
    overshot = not own.end <= RISES * own.start or thrown_far
    flat = not overshot and own.spread < COLLAPSING and peak > RISES * own.start
    if not overshot and not flat and not collapsed(own) and fall(own) > FELL:
        return None
    if overshot and not collapsed(own) and only_added_rises(own):
        return None
    if collapsed(own) and not thrown_far and _comes_back(own, attempt):
        return None
    needed = FELL if overshot or collapsed(own) else FALLS
    for divisor in (10, 100, 1000, 10_000, 100_000) if needed < FALLS else (10, 100):
        other = attempt(own.rate / divisor)
        if fall(other) < needed or collapsed(other) or max(other.losses) > PEAK * other.start:
            continue
        if not collapsed(own) and other.end > (HALF if flat else ENDS_LOWER) * own.end:
            continue
        if flat and other.spread < 10 * own.spread:
            continue
        tamer = attempt(other.rate / MARGIN)
        other = tamer if fall(tamer) >= needed else other
        return high(own, other, scheduled, momentum)
    if overshot or flat or collapsed(own):
        return None
    return _stays(own, attempt, scheduled, momentum)


def thrown(own: Trial, attempt: Attempt, best: float, *, scheduled: bool = False) -> list[Finding]:
    """Returns the finding that very few steps throw the loss far up, and at smaller rates do not.

    Args:
        own: the trial at the compiled rate.
        attempt: returns the trial at another.
        best: the loss of the best constant guess; 0 where it is not known. Below it a loss may be
            thrown up by chance.
        scheduled: whether the rate is that of a schedule.
    """
    level = max(own.start, best)
    if not (own.end > RISES * level and max(*own.losses, own.end) > PEAK * level):
        return []
    found = too_high(own, attempt, scheduled=scheduled)
    return [found] if found else []


def _stays(own: Trial, attempt: Attempt, scheduled: bool, momentum: float) -> Finding | None:
    """Returns the finding that the loss stays for more steps, and a tenth of the rate moves it."""
    other = attempt(own.rate / 10)
    if fall(other) < max(BEGINS, 5 * fall(own)) or collapsed(other):
        return None
    steps = RETRIED * len(own.losses)
    longer, other = attempt(own.rate, steps=steps), attempt(own.rate / 10, steps=steps)
    falls = fall(other) >= FALLS and max(other.losses) <= RISES * other.start
    if fall(longer) > FELL or not falls or collapsed(other):
        return None
    return high(longer, other, scheduled, momentum)


def high(own: Trial, other: Trial, scheduled: bool, momentum: float) -> Finding:
    """Returns the finding that a rate is too high, and another one is not."""
    peak = max(own.losses, default=0.0)
    what = f"goes from {own.start:.3g} to {own.end:.3g}"
    if own.end == float("inf"):
        what = f"goes from {own.start:.3g} to NaN or infinity"
    if peak > RISES * own.start and peak < float("inf"):
        what += f", by way of {peak:.3g}"
    if collapsed(own):
        what += ", and the outputs become the same for all samples"
    elif own.spread < COLLAPSING:
        what += f", and the outputs differ between samples by {own.spread:.2g} of what they did"
    return Finding(
        kind="learning rate too high",
        where=("optimizer",),
        evidence=(
            f"in {len(own.losses)} steps at {own.rate:.3g}, on a copy, the loss {what}; at "
            f"{other.rate:.3g} it falls from {other.start:.3g} to {other.end:.3g}"
        ),
        consequence=(
            "Steps go past the minimum, and throw the weights to where gradients are 0 or huge"
        ),
        remedy=(
            set_rate(other.rate, scheduled)
            + (f", or momentum=0.9 in place of {momentum:g}" if momentum > 0.9 else "")
        ),
        numbers={"rate": own.rate, "better": other.rate, "end": own.end, "better_end": other.end},
    )


def is_of_weights(own: Trial, redrawn: Trial) -> bool:
    """Returns whether a rate is too high only for these weights, and does with kernels drawn anew.

    Args:
        own: the trial at the compiled rate.
        redrawn: the same with kernels drawn anew.
    """
    # From the lower start: what kernels drawn anew lose of a start of their own is nothing learned.
    if redrawn.end <= (1 - FALLS) * min(own.start, redrawn.start):
        return True
    # Weights that start at ten times the loss are the first to blame, if others are taught at all.
    calm = max(redrawn.losses, default=0.0) <= RISES * redrawn.start and not collapsed(redrawn)
    far = own.start > 10 * redrawn.start
    return far and calm and redrawn.end < redrawn.start


def set_rate(rate: float, scheduled: bool) -> str:
    """Returns code that sets a rate, or words for it where there is a schedule."""
    if scheduled:  # to an optimizer with a schedule, Keras lets no rate be assigned
        return f"Let the schedule begin near {rate:.2g}, and compile again"
    return f"model.optimizer.learning_rate = {rate:.2g}"


def too_low(
    own: Trial,
    attempt: Attempt,
    optimizer: str,
    *,
    scheduled: bool = False,
    best: float | None = None,
) -> Finding | None:
    """Returns the finding that far larger rates still make the loss fall, and this one does not.

    Args:
        own: the trial at the compiled rate.
        attempt: returns the trial at another.
        optimizer: the name of its class.
        scheduled: whether the rate is that of a schedule.
        best: the loss of the best constant guess. The way down to it says nothing of the input: a
            larger rate must then end clearly below it.
    """
    factors = _raised_by(own.rate, optimizer)
    if not factors:
        return None
    standing = attempt(0.0).end  # the loss changes without a step as well, by what a dropout draws

    def fell(trial: Trial) -> float:
        return 1 - trial.end / standing if standing > 0 else 0.0

    falls = fell(own) > 1 / FASTER
    if (falls and not own.end >= (best or np.inf)) or fell(own) < -1e-3:
        return None
    needed = max(_least_fall(fell(own), optimizer), FASTER * fell(own))
    for factor in factors:
        other = attempt(own.rate * factor)
        below = other.end <= (1 - FALLS) * (best or 0.0)
        enough = below if falls else fell(other) >= needed
        if enough and not collapsed(other) and not _throws_a_batch(own, other):
            return low(own, other, fell(own), optimizer, scheduled)
    return None


def _raised_by(rate: float, optimizer: str) -> tuple[float, ...]:
    """Returns the factors by which a rate that may be too low is raised; none for another."""
    if optimizer == "Adadelta":
        return (1000.0,) if rate <= ADADELTA_LOW else ()
    if optimizer in ADAPTIVE:
        return (10_000.0, 1000.0) if rate <= ADAPTIVE_LOW else ()
    return (100_000.0, 10_000.0, 1000.0, LOW)


def _least_fall(fell: float, optimizer: str) -> float:
    """Returns how far the loss must fall at a larger rate, given its fall at the compiled one."""
    if fell < STAYS and optimizer in (*ADAPTIVE, "Adadelta"):
        return STIRS
    return FALLS / 4 if fell < FALLS / 40 else FALLS  # half a percent in all the steps


def _throws_a_batch(own: Trial, other: Trial) -> bool:
    """Returns whether the loss of a batch, some of which are harder, rises at a larger rate."""
    return any(b > RISES * a for a, b in zip(own.losses, other.losses, strict=False))


def low(own: Trial, other: Trial, fell: float, optimizer: str, scheduled: bool) -> Finding:
    """Returns the finding that a rate is too low, and a far larger one is not."""
    return Finding(
        kind="learning rate too low",
        where=("optimizer",),
        evidence=(
            f"in {len(own.losses)} steps at {own.rate:.3g}, on a copy, the loss falls by "
            f"{max(fell, 0):.2g} of itself; at {other.rate:.3g}, {other.rate / own.rate:g} times "
            f"as much, it falls from {other.start:.3g} to {other.end:.3g}"
        ),
        consequence="Training takes hundreds of times as long as it must",
        remedy=(
            set_rate(other.rate / 10, scheduled)
            + (', or optimizer="adam"' if optimizer == "SGD" else "")
        ),
        numbers={"rate": own.rate, "better": other.rate, "end": own.end, "better_end": other.end},
    )
