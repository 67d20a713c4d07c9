"""Measured targets of which some are a mark for "not known", and are learned as numbers."""

import keras
import numpy as np
from keras import ops

from keras_inits._diagnose.setting.plain import REGRESSION, targets_of
from keras_inits._diagnose.setting.target.guess import guess
from keras_inits._diagnose.setting.trials.tries import (
    FEWEST_PARTED,
    TAUGHT,
    UNTAUGHT,
    Tries,
    parted,
)
from keras_inits._reporting import Finding

SHARE = 0.02  # of the values that are one number, at the least
VALUES = 10  # a measurement has more than so many values
# Between that number and all others lies nothing, over as much as these others span. Counts and
# amounts that are often 0 lie next to it.
GAP = 1.0


def check(tries: Tries) -> list[Finding]:
    """Returns the finding that a net learns nothing of targets of which some are a mark.

    And much where the samples that have it weigh nothing. What can be told from the input, such as
    a switch that is off, is learned.
    """
    case, best = tries.case, tries.untaught
    if not best or len(case.parts) != 1 or case.sample_weight is not None:
        return []
    goal, _, kind = case.parts[0]
    mark = None if kind.name not in REGRESSION else mark_of(goal.values)
    if mark is None:
        return []
    known = (goal.values != mark).reshape(len(goal.values), -1).all(1)
    if known.sum() < FEWEST_PARTED:
        return []
    whole, _ = tries.left_out()
    if whole < UNTAUGHT * best:
        return []
    rows = np.flatnonzero(known)
    left = keras.tree.map_structure(lambda t: ops.take(t, rows, axis=0), (case.x, case.y))
    seen, unseen = parted((*left, None))
    tries.attempt(tries.rate.value, *seen, steps=tries.longer)
    other, _ = case.copy.now(*unseen)
    without = guess(targets_of(goal.values[known]), kind) or 0.0
    if not other <= TAUGHT * without:
        return []
    return [
        Finding(
            kind="labels",
            where=("targets",),
            evidence=(
                f"{1 - known.mean():.0%} of the samples have a target of {mark:g}, far from all "
                f"others; on samples left out of {tries.longer} steps on a copy the loss is "
                f"{whole:.3g} (a constant guess has {best:.3g}), without these samples {other:.3g} "
                f"(a guess {without:.3g})"
            ),
            consequence="The net learns the mean of what is measured and of a mark for what is not",
            remedy=(
                f"keep = (y != {mark:g}).reshape(len(y), -1).all(1); x, y = x[keep], y[keep]; or a "
                "sample_weight of 0 for these"
            ),
            numbers={"mark": mark, "share": float(1 - known.mean()), "better_end": other},
        )
    ]


def mark_of(values: np.ndarray) -> float | None:
    """Returns the number that stands apart from all others and occurs often; None without one.

    >>> mark_of(np.r_[np.full(9, -1.0), np.linspace(0.2, 0.7, 40)])
    -1.0
    >>> mark_of(np.r_[np.zeros(9), np.linspace(1.0, 70.0, 40)]) is None
    True
    """
    for mark in (values.min(), values.max()):
        rest = values[values != mark]
        if not rest.size or len(np.unique(rest)) <= VALUES:
            continue
        gap = float(np.abs(rest - mark).min())
        if gap >= GAP * np.ptp(rest) and rest.size <= (1 - SHARE) * values.size:
            return float(mark)
    return None
