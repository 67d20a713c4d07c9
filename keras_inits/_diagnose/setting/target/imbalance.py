"""Two classes of which one is rare, and never answered."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_inits._diagnose.setting.plain import BINARY
from keras_inits._diagnose.setting.trials.tries import Tries, parted
from keras_inits._reporting import Finding

RARE = 0.1  # of the labels
FEWEST = 5  # labels of the rare class: what is learned of fewer is chance
# Of the rare labels, those that are answered; and how much larger that share is than of all others
# with weights, which makes it no guess.
UNSEEN, TOLD = 0.2, 0.5
PATIENCE = 4  # times as many steps in which a class may still come to be answered


def check(tries: Tries) -> list[Finding]:
    """Returns the finding that a rare class is never answered, and is with weights of classes.

    Cross-entropy makes a probability above 1/2 only of what is more likely than not, which rare
    labels seldom are. Where probabilities are wanted, not answers, nothing is wrong with that.
    """
    case = tries.case
    if len(case.parts) != 1 or case.outputs != 1 or case.sample_weight is not None:
        return []
    goal, end, kind = case.parts[0]
    if kind.name != BINARY[0] or not goal.binary or end.units != 1 or not tries.longer:
        return []
    true = goal.values > 0.5
    rare = true if true.mean() < 0.5 else ~true
    if not FEWEST <= rare.sum() <= RARE * rare.size:
        return []
    if _answered(tries, rare, None, tries.longer)[0] > UNSEEN:
        return []
    share = float(rare.mean())
    each = ops.cast(np.where(rare, 0.5 / share, 0.5 / (1 - share)), keras.config.floatx())
    each = each[..., 0] if len(each.shape) > 1 else each
    seen, wrongly = _answered(tries, rare, each, tries.longer)
    if seen - wrongly < TOLD:
        return []
    steps = PATIENCE * tries.longer
    own, _ = _answered(tries, rare, None, steps)
    if own > UNSEEN:
        return []
    number = int(true.mean() < 0.5)
    weights = {number: round(0.5 / share, 3), 1 - number: round(0.5 / (1 - share), 3)}
    return [
        Finding(
            kind="class imbalance",
            where=("targets", "loss"),
            evidence=(
                f"{share:.2g} of the labels are {number}; {steps} steps on a copy answer it for "
                f"{own:.0%} of these, in samples left out of the steps, {tries.longer} with equal "
                f"weight for both classes for {seen:.0%}, and for {wrongly:.0%} of the others"
            ),
            consequence=f"It pays to answer {1 - number} always: accuracy is {1 - share:.0%} so",
            remedy=(
                f"class_weight = {weights} in fit (sample_weight for masks); or keep the "
                "probabilities, and choose another threshold than 1/2"
            ),
            numbers={"share": share, "answered": own, "weighed": seen, "wrongly": wrongly},
        )
    ]


def _answered(tries: Tries, rare: np.ndarray, weights: Any, steps: int) -> tuple[float, float]:
    """Returns the shares of rare and of other labels that are taken for rare ones.

    Each half of the samples is judged after steps on the other one.

    Args:
        tries: of the training.
        rare: which labels are.
        weights: of the samples; None for none.
        steps: how many.
    """
    case = tries.case
    goal, _, kind = case.parts[0]
    is_one = (goal.values > 0.5).mean() < 0.5
    middle = 0.0 if kind.from_logits else 0.5
    said = np.zeros(rare.shape, bool)
    halves = parted((case.x, case.y, weights))
    for half, (seen, unseen) in enumerate((halves[::-1], halves)):
        tries.attempt(tries.rate.value, *seen, steps=steps)
        (made,) = case.predict(unseen[0])
        said[half::2] = (made.reshape(said[half::2].shape) > middle) == is_one
    return float(said[rare].mean()), float(said[~rare].mean())
