"""Where a loss of the user's own is least: not at answers that are right, as it should be."""

from collections.abc import Sequence
from dataclasses import replace

import keras
import numpy as np

from keras_inits._diagnose.setting.end import reach
from keras_inits._diagnose.setting.end.asked import SEED, Asked, same
from keras_inits._diagnose.setting.end.direction import (
    LEAST_FALL,
    UNSURE,
    VALUES,
    WAY,
    opposite,
    shares,
)
from keras_inits._diagnose.setting.plain import PROBABILITIES
from keras_inits._diagnose.setting.remedies import new_activation, on_activation, on_loss
from keras_inits._reporting import Finding

# Of the span of a loss along the way from right to wrong: by so much do wrong answers that are sure
# of themselves cost less than unsure ones. Losses that no longer rise there (the absolute error, a
# generalized cross-entropy, Zhang & Sabuncu 2018, arXiv:1805.07836) do not fall either.
FORGIVEN = 0.25
# Of one class along that way, the answers up to three quarters of it, and by how much of the span
# they must cost more than right ones.
FLAT = 1e-3
BEYOND = (1.0, 3.0, 9.0)  # right answers, as their distance from 1/2 in halves; logits lie outside
# One answer for all samples and units: a quotient of sums has a pole near minus the share of ones.
CONSTANTS = np.geomspace(0.01, 5.0, 60)
# Shares of the range of an output: answers that it can give, and such that it cannot.
WITHIN, OUTSIDE = (0.05, 0.25, 0.5, 0.75, 0.95), (0.5, 1.2, 1.5, 2.0)
FAR = (0.0, 1.0, 10.0, 100.0)  # standard deviations of the targets that answers are off
CHEAPER = 0.25  # of what it costs to be wrong


def forgiving(asked: Asked) -> Finding | None:
    """Returns the finding that wrong answers cost less the surer they are.

    Such is a focal loss that weighs by what is right in the place of what is wrong: where the net
    is wrong for sure, it is not taught otherwise.
    """
    _, targets, end, _, inputs = asked
    softmax = end.activation == "softmax"
    if end.activation not in PROBABILITIES or not asked.has_both:
        return None
    if (np.prod(end.shape[1:]) == 1 and inputs > 1) or (softmax and not targets.one_hot):
        return None
    right, wrong = shares(asked.truth, softmax), shares(opposite(asked.truth, softmax), softmax)
    values = [asked.cost((1 - t) * right + t * wrong) for t in WAY]
    peak = max(values)
    forgiven = np.isfinite(values).all() and peak - values[-1] > FORGIVEN * np.ptp(values)
    if not forgiven or values[0] >= peak:
        return None
    return on_loss(
        evidence=(
            "along the way from right to wrong answers the loss rises and falls again: "
            + ", ".join(f"{v:.4g}" for v in values)
        ),
        consequence="An answer that is wrong and sure of it costs little, and is not changed",
        remedy=(
            "Weigh by what is wrong, not by what is right: of the probability p of the truth, "
            "(1 - p)**gamma * -log(p)"
        ),
        numbers={"right": values[0], "unsure": peak, "wrong": values[-1]},
    )


def indifferent(asked: Asked) -> Finding | None:
    """Returns the finding that answers on the wrong side of 1/2 cost no more than right ones.

    Of one class, while answers that are quite wrong do: the loss is cut off in between, such as
    where outputs are multiplied by weights of classes and clipped to probabilities.
    """
    _, _, end, _, inputs = asked
    if end.activation not in PROBABILITIES or end.activation == "softmax" or inputs > 1:
        return None
    if not asked.has_both:
        return None
    truth = asked.truth
    right, wrong = shares(truth, False), shares(opposite(truth, False), False)

    for label in (1, 0):
        ways = [np.where(truth == label, (1 - t) * right + t * wrong, right) for t in WAY]
        values = [asked.cost(made) for made in ways]
        if not np.isfinite(values).all() or not values[-1] > max(values[:-1]):
            continue
        if np.ptp(values[:-1]) <= FLAT * np.ptp(values):
            doubtful = abs(label - (WAY[-2] * (1 - 2 * UNSURE) + UNSURE))
            return on_loss(
                evidence=(
                    f"where the truth is {label}, answers from {label} to {doubtful:.2g} cost the "
                    f"same, and {values[-1] - values[0]:.3g} less than the opposite"
                ),
                consequence=f"Answers for {label} stay on the wrong side of 1/2, with no gradient",
                remedy=(
                    "Weigh what each answer costs, not the answer: weights * "
                    "keras.ops.binary_crossentropy(y_true, y_pred)"
                ),
                numbers={"right": values[0], "doubtful": values[-2], "wrong": values[-1]},
            )
    return None


def bottomless(asked: Asked) -> Finding | None:
    """Returns the finding that one answer for all, of any number, costs less than right answers.

    Overlaps are quotients of sums of probabilities. Of numbers without a bound the sums pass 0, and
    the loss falls without end.
    """
    _, targets, end, _, _ = asked
    if end.activation != "linear" or not asked.has_both:
        return None
    side = asked.truth - 0.5
    right, wrong = [asked.cost(0.5 + far * side) for far in BEYOND], asked.cost(0.5 - side)
    if not np.isfinite([*right, wrong]).all() or not right[0] < wrong:
        return None
    tried = {c: asked.cost(np.full(side.shape, c)) for c in (*-CONSTANTS, *CONSTANTS)}
    least = min((c for c in tried if np.isfinite(tried[c])), key=tried.__getitem__, default=None)
    if least is None or not tried[least] < min(right) - CHEAPER * (wrong - right[0]):
        return None
    return on_activation(
        evidence=(
            f"the loss of {least:.3g} for all samples is {tried[least]:.4g}, of the right answers "
            f"{right[0]:.4g}, and {end.layer} with no activation gives any number"
        ),
        consequence="The loss falls far below that of right answers, and says that all goes well",
        remedy=new_activation(end, "softmax" if targets.one_hot else "sigmoid"),
        numbers={"constant": tried[least], "right": right[0], "wrong": wrong},
    )


def out_of_reach(asked: Asked) -> Finding | None:
    """Returns the finding that an end has not the range of targets that a loss compares it with.

    That it compares them is asked of targets within the range: it is least where answers are equal
    to them. (Of an output that the loss scales, or of advantages that weigh answers, it is not.)
    """
    _, targets, end, _, _ = asked
    found = reach.unreached(targets, end) if targets.distinct > VALUES else []
    if not found or end.activation == "softmax" or not np.isfinite(end.range).all():
        return None
    if not all(_is_compared(asked, share, WITHIN) for share in WITHIN[1:-1:2]):
        return None
    if _is_compared(asked, OUTSIDE[2], OUTSIDE):
        return found[0]
    return replace(found[0], remedy=new_activation(end, "linear", "mse"))


def _is_compared(asked: Asked, share: float, answers: Sequence[float]) -> bool:
    """Returns whether for one target the same answer costs less than others.

    Args:
        asked: a loss of an end with a range.
        share: of the range, where the target lies.
        answers: shares of it, that of the target among them.
    """
    low, high = asked.end.range
    shape, real = (len(asked.some), *asked.end.shape[1:]), keras.config.floatx()
    goal = np.full(asked.some.shape, low + share * (high - low), real)
    costs = [asked.loss(goal, np.full(shape, low + a * (high - low), real)) for a in answers]
    return bool(np.isfinite(costs).all()) and answers[int(np.argmin(costs))] == share


def unbounded(asked: Asked) -> Finding | None:
    """Returns the finding that a loss of errors falls the more, the farther off the answers are.

    A loss of errors stays as it is where targets and answers are moved by the same amount; a
    critic's, or the gain of an action, does not.
    """
    _, targets, end, loss, _ = asked
    if end.activation in PROBABILITIES or targets.distinct <= VALUES:
        return None
    some = asked.some.astype(keras.config.floatx())
    shape = (len(some), *end.shape[1:])
    truth, spread = some.reshape(shape), float(some.std())
    off = truth + spread * np.random.default_rng(SEED).standard_normal(shape).astype(some.dtype)
    if not spread or not same(loss(some, off), loss(some + spread, off + spread)):
        return None
    for side in (1, -1):
        way = [loss(some, truth + side * far * spread) for far in FAR]
        if np.isfinite(way).all() and (np.diff(way) < -LEAST_FALL * abs(way[0])).all():
            break
    else:
        return None
    return on_loss(
        evidence=(
            f"the loss of the truth is {way[0]:.4g}, and of answers that are {FAR[1]:g}, "
            f"{FAR[2]:g} and {FAR[3]:g} standard deviations too {'high' if side > 0 else 'low'} "
            f"{', '.join(f'{value:.4g}' for value in way[1:])}"
        ),
        consequence="It has no minimum: the farther off the outputs are, the less they cost",
        remedy=(
            "Look at the signs of both sides; a quantile is a share, 0.9 and not 90: "
            "keras.ops.maximum(share * error, (share - 1) * error)"
        ),
        numbers={"truth": way[0], "far": way[-1]},
    )
