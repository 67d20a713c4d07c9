"""Whether what is seen in the signal matters: its remedy, tried on a copy.

A gradient that shrinks, or units that are dead or saturated, need not hinder a training. Before a
finding of the signal becomes an alarm, every kernel of the copy is drawn anew at the scale that
keeps the signal, and the same steps are done from there: where that does not bring the loss
clearly lower, the finding is a note.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keras_inits._diagnose.setting.steps import Copy, Trial
from keras_inits._reporting import Finding

# What other weights can amend. Not among them: what learns nothing at all or is not finite.
SCALES = ("exploding", "vanishing", "dying", "saturated", "rank-collapsed")
# Of the distance between the start and the lower end: more than two draws of one scheme differ by.
GAIN = 0.2
LOWER = 0.2  # of the loss itself, where next to no distance was made


def redrawn(copy: Copy, *, seed: int = 0) -> list[Any]:
    """Returns the trained variables, kernels drawn from N(0, 2 / fan_in) and biases 0.

    He et al. 2015, equation 10; recurrent kernels, embeddings and all other weights stay.
    """
    rng = np.random.default_rng(seed)
    values: list[Any] = []
    for variable in copy.trained:
        shape = tuple(variable.shape)
        if variable.name == "kernel" and len(shape) > 1:
            fan_in = int(np.prod(shape[:-1]))
            values.append(rng.normal(0, np.sqrt(2 / fan_in), shape).astype("float32"))
        elif variable.name == "bias":
            values.append(np.zeros(shape, "float32"))
        else:
            values.append(variable)
    return values


def weighed(
    findings: Sequence[Finding], own: Trial, attempt: Callable[[], Trial]
) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    """Returns the findings of the signal that matter, and the others as notes.

    Args:
        findings: of the signal.
        own: the trial of the model as it is.
        attempt: returns that with its kernels drawn anew.
    """
    doubtful = [finding for finding in findings if finding.kind in SCALES]
    if not doubtful or not np.isfinite(own.end):
        return tuple(findings), ()
    other = attempt()
    low = min(own.end, other.end)
    if other.end <= own.end - max(GAIN * (own.start - low), LOWER * own.end):
        return tuple(findings), ()
    notes = tuple(
        f"no alarm: {finding.kind}, {', '.join(finding.where)}: {finding.evidence}; with kernels "
        f"drawn anew, {len(other.losses)} steps lead to {other.end:.3g}, as it is to {own.end:.3g}"
        for finding in doubtful
    )
    return tuple(f for f in findings if f not in doubtful), notes
