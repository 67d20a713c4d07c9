"""Targets of many magnitudes under squared errors, of which only the largest count."""

from collections.abc import Iterator

import keras
import numpy as np
from keras import ops

from keras_inits._diagnose.backends import backend
from keras_inits._diagnose.setting.case import Case
from keras_inits._diagnose.setting.end.linearity import explained
from keras_inits._reporting import Finding

MAGNITUDES = 100.0  # between the 5 % of the least targets and the 5 % of the largest
# Of the variance, on samples left out: what a fit explains more of logarithms than of the targets.
GAP = 0.3
LARGEST = 0.02  # of the samples, for the evidence


def check(case: Case) -> Iterator[Finding]:
    """Yields the finding that logarithms of targets can be learned, and the targets cannot.

    Both by the same fits on samples left out (`explained`).
    """
    flat = keras.tree.flatten(case.x)
    if len(flat) != 1 or len(case.parts) != 1 or not backend.is_floating(flat[0]):
        return
    goal, _, kind = case.parts[0]
    y = goal.rows()
    if kind.name != "mean_squared_error" or goal.low <= 0 or len(y) != len(flat[0]) or len(y) < 20:
        return
    low, high = np.quantile(y, (0.05, 0.95))
    if high < MAGNITUDES * low:
        return
    x = ops.convert_to_numpy(flat[0])
    plain, logarithms = (max(explained(x, values)) for values in (y, np.log(y)))
    if logarithms - plain < GAP:
        return
    squares = np.sort(np.square(y - y.mean(0)).sum(1))[::-1]
    share = squares[: max(1, round(LARGEST * len(y)))].sum() / squares.sum()
    yield Finding(
        kind="target scale",
        where=("targets",),
        evidence=(
            f"nine in ten targets lie between {low:.3g} and {high:.3g}, and {LARGEST:.0%} of the "
            f"samples make {share:.0%} of the squared error of a guess; on samples left out a fit "
            f"explains {plain:.2f} of the variance of the targets, and {logarithms:.2f} of that of "
            f"their logarithms (limit {GAP:g} more)"
        ),
        consequence="A few samples decide each step, and the others are not learned",
        remedy="import numpy as np; y = np.log(y)  # and np.exp of what is predicted",
        numbers={"plain": plain, "logarithms": logarithms, "share": float(share)},
    )
