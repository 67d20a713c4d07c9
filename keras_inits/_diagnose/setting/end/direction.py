"""Which answers cost least under a loss of the user's own: those that are right, or wrong ones."""

from collections.abc import Sequence

import keras
import numpy as np

from keras_inits._diagnose.setting.end.asked import (
    CLOSE,
    SEED,
    TELLS_APART,
    Asked,
    Loss,
    same,
)
from keras_inits._diagnose.setting.plain import PROBABILITIES
from keras_inits._diagnose.setting.remedies import new_activation, on_activation, on_loss
from keras_inits._reporting import Finding

VALUES = 10  # a measurement has more than so many values
NOISE = (0.0, 0.1, 0.3, 1.0, 3.0)  # standard deviations of the targets that answers are off
DRAWS = 3
UNSURE = 0.02  # of a probability that is sure of itself
WAY = (0.0, 0.25, 0.5, 0.75, 1.0)  # from the right answer to the opposite one
# Answers outside of 0 to 1, as their distance from 1/2 in halves, and how alike the loss must be
# for them, as a share of what it costs to be wrong.
OUTSIDE, INDIFFERENT = (9.0, 3.0, 1.2), 1e-3
# Right answers, as their distance from a guess, from where that is no probability on: where logits
# are, of which most of what a loss of them can fall by is not `REACHED` by probabilities.
SURER, REACHED = (0.0, 1.0, 3.0, 10.0, 30.0, 100.0), 0.75
# Of what it costs to be wrong; a loss that does not fall so at each step is not said to fall.
LEAST_FALL = 1e-3


def turned_round(asked: Asked) -> Finding | None:
    """Returns the finding that right answers cost more than wrong ones.

    Classes and masks: along the way from the right answer to the opposite one, and what costs more
    is meant to be right (`_on_purpose` says where it may not be). Measurements: the truth is the
    most expensive answer, compared with noise added to it and taken from it. A loss that is linear
    or convex in the outputs, as a critic's, cannot rise on both sides.
    """
    _, targets, end, loss, inputs = asked
    truth = asked.truth
    softmax = end.activation == "softmax"
    if end.activation in PROBABILITIES and targets.binary:
        if (np.prod(truth.shape[1:]) == 1 and inputs > 1) or (softmax and not targets.one_hot):
            return None
        right, wrong = shares(truth, softmax), shares(opposite(truth, softmax), softmax)
        ways, what = [[(1 - t) * right + t * wrong for t in WAY]], "from right to wrong answers"
    elif not softmax and targets.distinct > VALUES:
        low, high = (0.0, 1.0) if end.activation in PROBABILITIES else (-np.inf, np.inf)
        if targets.low < low or targets.high > high:
            return None
        draws = np.random.default_rng(SEED).standard_normal((DRAWS, *truth.shape)) * truth.std()
        signed = [sign * d for d in draws for sign in (1, -1)]
        ways = [[np.clip(truth + s * d, low, high) for s in NOISE] for d in signed]
        what = "from the truth to noise"
    else:
        return None
    values: list[float] = []
    for way in ways:
        values = [asked.cost(made) for made in way]
        steps = -np.diff(values)
        if not np.isfinite(values).all() or not (steps > LEAST_FALL * np.ptp(values)).all():
            return None
        if not np.ptp(values) > CLOSE * np.abs(values).max():
            return None
    if targets.binary and _on_purpose(asked.some, truth, loss, values, softmax):
        return None
    return on_loss(
        evidence=f"the loss falls {what}: {', '.join(f'{v:.4g}' for v in values)}",
        consequence="Training makes the answers worse, and the loss says that all goes well",
        remedy="Turn its sign, or give 1 - it where it is a share of what is right",
        numbers={"right": values[0], "wrong": values[-1]},
    )


def cut_off(asked: Asked) -> Finding | None:
    """Returns the finding that a loss of probabilities gets any number, and cuts off what is none.

    For targets of 0 and 1 it is then the same however far outside of 0 to 1 an answer is, right or
    wrong, and not the same for answers inside.
    """
    _, targets, end, _, _ = asked
    if end.activation != "linear" or not asked.has_both:
        return None
    side = asked.truth - 0.5

    def cost(to: float) -> float:
        return asked.cost(0.5 + to * side)

    right, wrong = [[cost(sign * far) for far in OUTSIDE] for sign in (1, -1)]
    inside = cost(0.5), cost(-0.5)
    if not np.isfinite([*right, *wrong, *inside]).all() or not right[0] < inside[0] < inside[1]:
        return None
    flat = all(np.ptp(values) <= INDIFFERENT * abs(wrong[0]) for values in (right, wrong))
    if not flat or not inside[1] < wrong[0]:
        return None
    fit = "softmax" if targets.one_hot else "sigmoid"
    return on_activation(
        evidence=(
            f"the loss is {wrong[-1]:.4g} for answers {OUTSIDE[-1] / 2 - 0.5:.2g} outside of 0 to "
            f"1 on the wrong side and {wrong[0]:.4g} for those {OUTSIDE[0] / 2 - 0.5:.2g} outside, "
            f"and {end.layer} with no activation gives any number"
        ),
        consequence="What is outside is cut off, and has no gradient",
        remedy=new_activation(end, fit),
        numbers={"near": wrong[-1], "far": wrong[0]},
    )


def of_logits(asked: Asked) -> Finding | None:
    """Returns the finding that a loss of logits gets probabilities.

    On the way from a guess through the right answers and beyond them, to where no probability is,
    it falls on towards a bound, and most of its fall lies beyond. (An overlap, or a critic's mean,
    falls there without a bound; the sum of squares rises.)
    """
    _, targets, end, _, _ = asked
    softmax = end.activation == "softmax"
    if end.activation not in PROBABILITIES or not asked.has_both:
        return None
    if softmax and not targets.one_hot:
        return None
    truth = asked.truth
    guess = 1 / truth.shape[-1] if softmax else 0.5
    values = [asked.cost(guess + far * (truth - guess)) for far in SURER]
    falls, span = -np.diff(values), values[0] - values[-1]
    if not np.isfinite(values).all() or not (falls >= -LEAST_FALL * abs(span)).all() or span <= 0:
        return None
    if falls[-1] > LEAST_FALL * span or falls[0] > REACHED * span:
        return None
    return on_activation(
        evidence=(
            f"the loss of a guess is {values[0]:.4g} and of the right answers {values[1]:.4g}, and "
            f"of answers {SURER[-1]:g} times as far from a guess {values[-1]:.4g}: it takes the "
            f"{end.activation} of {end.layer} for logits"
        ),
        consequence="No answer can be sure of itself: the loss stays high, and gradients are flat",
        remedy=new_activation(end, "linear"),
        numbers={"guess": values[0], "right": values[1], "beyond": values[-1]},
    )


def opposite(truth: np.ndarray, softmax: bool) -> np.ndarray:
    """Returns the wrong answers of a truth: the next class, or what is not so."""
    return np.roll(truth, 1, -1) if softmax else 1 - truth


def shares(truth: np.ndarray, softmax: bool, unsure: float = UNSURE) -> np.ndarray:
    """Returns answers that are nearly sure of some truth."""
    made = unsure + (1 - 2 * unsure) * truth
    return np.asarray(made / made.sum(-1, keepdims=True) if softmax else made)


def _on_purpose(
    some: np.ndarray, truth: np.ndarray, loss: Loss, values: Sequence[float], softmax: bool
) -> bool:
    """Returns whether a loss that falls from right to wrong answers may be meant so.

    - It has no bound at the truth: a logarithm of what is not true, as of complementary labels,
      which say what a sample is not (Ishida et al. 2017, https://arxiv.org/abs/1705.07541).
    - Only answers of 1, or only those of 0, have a part in it: the cost of an action.
    - One row for each sample, a mean over samples, and nowhere concave along the way, as no
      distance is whose sign was turned: the output may be a distance where the target says "same",
      or the target may be a cost.

    Args:
        some: the targets.
        truth: the same in the shape of the outputs.
        loss: of the user.
        values: of the loss, along the way.
        softmax: whether the outputs are shares of classes.
    """

    def cost(made: np.ndarray, rows: slice = slice(None)) -> float:
        return loss(some[rows], made[rows].astype(keras.config.floatx()))

    right, span = shares(truth, softmax), np.ptp(values)
    sure = cost(shares(truth, softmax, 1e-6))
    if not np.isfinite(sure) or sure - values[0] > 0.5 * span:
        return True
    if not softmax:
        for which in (truth == 1, truth == 0):
            part = cost(np.where(which, shares(1 - truth, softmax), right))
            if which.any() and values[0] - part <= LEAST_FALL * span:
                return True
    if truth.ndim > 2:
        return False
    middle = values[len(values) // 2]
    if middle - (values[0] + values[-1]) / 2 > TELLS_APART * span:
        return False
    few = len(truth) // 4
    mixed = right.copy()
    mixed[:few] = 0.9 if not softmax else 1 / truth.shape[-1]
    whole = cost(mixed)
    parts = cost(mixed, slice(few)), cost(mixed, slice(few, None))
    mean = np.average(parts, weights=(few, len(truth) - few))
    return bool(same(whole, mean) or same(whole, sum(parts)))
