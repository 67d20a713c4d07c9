"""Targets of another scale than outputs begin with: how long the way to them is, by trial steps.

An optimizer such as Adam moves each weight by about its rate, whatever the loss, and the output by
that times the last layer's inputs: targets a thousand times as large are a thousand times as far.
Under gradient descent the step grows with the targets instead, until it is too long.
"""

import functools

import keras
import numpy as np
from keras import ops

from keras_inits._diagnose.setting.plain import LossKind, Targets, targets_of
from keras_inits._diagnose.setting.rate.rates import RISES, collapsed
from keras_inits._diagnose.setting.target.guess import guess
from keras_inits._diagnose.setting.trials.steps import Trial
from keras_inits._diagnose.setting.trials.tries import Tries
from keras_inits._reporting import Finding

SIZE = 30.0  # root mean square of targets from which on the pace is looked at
# A sweep over nets of 2 hidden layers of 16 and 64 (Adam, RMSprop, 1,250 steps of 32) shows R2
# lost where some thousands of steps are ahead; the limit is a choice within that range.
AHEAD = 3000.0
HUGE = 100.0  # root mean square of targets that throw a net of unit outputs off
SLOWER = 50.0  # times as many steps as with scaled targets
TINY_TARGET = 1e-3  # Adam's first step moves an output by more
# Times the loss of a guess, after the first trial: the mean of the targets is three deviations away
# and more, and all that was learned is a part of the way to it. Where the longer trial is no better
# than a guess, and explains half of scaled targets, that way is what is wrong.
STILL_FAR, HALF = 10.0, 0.5
_SQUARED = "mean_squared_error"


def check(tries: Tries) -> list[Finding]:
    """Returns the findings that targets are too large or too small to be reached."""
    if not tries.best:
        return []
    case = tries.case
    outputs = zip(case.places, case.parts, case.weights, strict=True)
    found = (
        _of_output(tries, place, goal, kind, weights)
        for place, (goal, _, kind), weights in outputs
        if kind.name in (_SQUARED, "mean_absolute_error") and not goal.one_hot
    )
    return [finding for finding in found if finding]


def _of_output(
    tries: Tries, place: int, goal: Targets, kind: LossKind, weights: np.ndarray | None
) -> Finding | None:
    own, best = tries.own, tries.best or 0.0
    is_far = functools.partial(far, goal, best=best, squared=kind.name == _SQUARED)
    later = None
    if tries.longer and is_far(own) and is_far(tries.own_longer, times=1.0):
        later = tries.own_longer
    if later is None and not suspicious(goal):
        return None
    scaled = standardized(goal)
    y = keras.tree.flatten(tries.case.y)
    y[place] = ops.cast(ops.convert_to_tensor(scaled), y[place].dtype)
    y = keras.tree.pack_sequence_as(tries.case.y, y)
    other = tries.attempt(own.rate, y=y, steps=tries.longer if later else 0)
    best_scaled = best - (guess(goal, kind, weights) or 0.0)
    best_scaled += guess(targets_of(scaled), kind, weights) or 1.0
    if later and other.end > HALF * best_scaled and not is_far(later):
        later = None
    return finding(goal, own, best, other, best_scaled, later)


def suspicious(targets: Targets) -> bool:
    """Returns whether the size of the targets calls for a trial."""
    rms = size(targets)
    return rms >= SIZE or 0 < rms <= TINY_TARGET


def far(
    targets: Targets, trial: Trial, best: float, *, squared: bool, times: float = STILL_FAR
) -> bool:
    """Returns whether a trial ends far from targets whose mean is far from 0, for what they vary.

    Args:
        targets: as they are.
        trial: of them.
        best: the loss of the best constant guess.
        squared: whether the loss is that of squares, not of distances.
        times: the best squared loss, from which on it is far.
    """
    power = 1.0 if squared else 0.5
    near = trial.start <= 2 * size(targets) ** (2 * power)  # else outputs are what is large
    left = times**power * best < trial.of_data < trial.start
    return bool(distant(targets) and near and left)


def distant(targets: Targets) -> bool:
    """Returns whether the mean of targets is three deviations from 0, and more."""
    mean, variance = targets.values.mean(0), targets.values.var(0)
    return bool((mean**2).mean() >= STILL_FAR * variance.mean() > 0)


def standardized(targets: Targets) -> np.ndarray:
    """Returns the targets at mean 0 and standard deviation 1 in each column."""
    std = targets.values.std(0)
    return np.asarray((targets.values - targets.values.mean(0)) / np.where(std > 0, std, 1))


def finding(
    targets: Targets,
    own: Trial,
    best: float,
    other: Trial,
    best_scaled: float,
    later: Trial | None = None,
) -> Finding | None:
    """Returns the finding that targets are too large or too small to be reached.

    Args:
        targets: as they are.
        own: the trial with them.
        best: the loss of the best constant guess.
        other: the trial with standardized targets.
        best_scaled: the loss of the best guess there.
        later: the longer trial, where it still is `far` from them.
    """
    if other.end > 0.98 * other.start or collapsed(other):
        return None  # it does not help: the reason is another
    ahead, scaled = steps_ahead(own, best), steps_ahead(other, best_scaled)
    rms, instead = size(targets), _number(scaled)
    if rms >= HUGE and (not own.end <= RISES * own.start or collapsed(own)):
        what = f"the loss goes from {own.start:.3g} to {own.end:.3g}"
        if collapsed(own):
            what += " and all outputs become equal"
    elif later is not None:
        what = f"{_left(later, later.of_data / best)}, since the mean of the targets is not reached"
        instead = f"after {len(other.losses)} {other.end / best_scaled:.3g} times"
    elif rms <= TINY_TARGET and own.end > 10 * best:
        what = _left(own, own.end / best)
    elif ahead >= AHEAD and ahead >= SLOWER * scaled:
        what = (
            f"at the pace of {len(own.losses)} steps on a copy, {_number(ahead)} steps are needed "
            f"to explain half of their variance (limit {AHEAD:.0f})"
        )
    else:
        return None
    return Finding(
        kind="target scale",
        where=("targets",),
        evidence=(
            f"the targets go from {targets.low:.4g} to {targets.high:.4g}, root mean square "
            f"{rms:.3g}; {what}; with targets of mean 0 and standard deviation 1, {instead}"
        ),
        consequence=(
            "Outputs begin near 0 with a size near 1: the whole way is left to the steps of the "
            "optimizer, or its steps become too long"
        ),
        remedy=(
            "mean, std = y.mean(0), y.std(0); model.fit(x, (y - mean) / std), and "
            "model.predict(x) * std + mean"
        ),
        numbers={"size": rms, "ahead": ahead, "ahead_scaled": scaled},
    )


def steps_ahead(trial: Trial, best: float) -> float:
    """Returns how many steps it takes, at a trial's mean pace, to half the loss of a guess."""
    pace = (trial.start - trial.end) / max(len(trial.losses), 1)
    left = trial.start - 0.5 * best
    if left <= 0:
        return 0.0
    return left / pace if pace > 0 else np.inf


def size(targets: Targets) -> float:
    """Returns the root mean square of targets."""
    return float(np.sqrt((targets.values**2).mean()))


def _left(trial: Trial, times: float) -> str:
    return (
        f"after {len(trial.losses)} steps on a copy the loss is {times:.3g} times that of a "
        "constant guess"
    )


def _number(steps: float) -> str:
    return "no number of" if np.isinf(steps) else f"{steps:.3g}"
