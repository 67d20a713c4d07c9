"""Weights in half precision, which round away what steps would add to them."""

import math

from keras_inits._diagnose.setting.rate.rates import BEGINS, HALF, collapsed, fall
from keras_inits._diagnose.setting.trials.steps import Trial
from keras_inits._reporting import Finding


def check(own: Trial, wide: Trial, dtype: str) -> Finding | None:
    """Returns the finding that weights in half precision learn less than half, for that alone.

    In bfloat16, 0.999 is 1: the moments of Adam and its like are then divided by infinity, or by 0.
    And a step of less than half of a weight's last digit, 1/512 of it, changes nothing.

    Args:
        own: the trial of the training as it is.
        wide: the same with weights in float32.
        dtype: of the weights.
    """
    if collapsed(wide) or not fall(wide) >= BEGINS or fall(own) >= HALF * fall(wide):
        return None
    reached = "NaN or infinity" if own.end == math.inf else f"{own.end:.3g}"
    return Finding(
        kind="weight precision",
        where=("optimizer",),
        evidence=(
            f"weights are {dtype}; in {len(own.losses)} steps at {own.rate:.3g}, on a copy, the "
            f"loss goes from {own.start:.3g} to {reached}; with weights in float32 it falls to "
            f"{wide.end:.3g}"
        ),
        consequence="What the optimizer adds to weights, or computes for it, is rounded away",
        remedy=(
            f'keras.config.set_dtype_policy("mixed_{dtype}") before the model is made, which '
            "keeps weights in float32"
        ),
        numbers={"end": own.end, "better_end": wide.end},
    )
