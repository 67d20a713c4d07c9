"""Steps that are smaller than the rate says.

By a schedule that ends soon, or hardly begins, by an epsilon above the gradients, by clipping them
to next to nothing, or since those of many batches are gathered.
"""

import dataclasses
import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from keras_inits._diagnose.setting.rate.rates import (
    ADAPTIVE,
    ADAPTIVE_LOW,
    FALLS,
    HALF,
    RISES,
    STAYS,
    STIRS,
    collapsed,
    fall,
    too_low,
)
from keras_inits._diagnose.setting.rate.schedules import STEPS, inner, schedule_of, written
from keras_inits._diagnose.setting.remedies import COMPILE
from keras_inits._diagnose.setting.trials.steps import BATCH, Attempt, Trial
from keras_inits._reporting import Finding

# Of the whole of a schedule, counted in steps at its highest rate: 30 batches of 32 are fewer
# samples than most trainings look at once.
WORTH = 30.0
HORIZON = 10_000  # steps; what comes later comes too late
# A small data set has 100 steps an epoch. Transformers warm up over 4,000 (Vaswani et al. 2017) to
# 10,000 steps (Devlin et al. 2019, to 1e-4), whose first 1,000 are still above `ADAPTIVE_LOW`.
BEGIN = 1000
MORE_STEPS = 5  # times as many steps, to see whether there was more to learn
# The default of Keras. Adam's authors have 1e-8, https://arxiv.org/abs/1412.6980.
EPSILON = 1e-7
_CLIPPING = ("clipnorm", "global_clipnorm", "clipvalue")
# RMSprop for Inception has 1, Adam for BERT 1e-6: looked at is what is far above the default, and
# called too large only where steps are `SHORT` times as short by it.
FAR_EPSILON, SHORT = 1e-4, 30.0
# Samples of one step up to which larger batches were seen to make fewer steps do: Goyal et al.
# 2017, https://arxiv.org/abs/1706.02677, figure 1.
LARGEST_BATCH = 8192
# Of float16, below the least number with all of its digits: divided by it, a gradient of which the
# square is rounded to 0 makes a step without a bound.
LEAST = 6.1e-5


def worth(schedule: Callable[[int], float]) -> tuple[float, float]:
    """Returns how many steps at its highest rate a schedule is worth, and that rate.

    The sum of its rates over `HORIZON` steps from the first one, over the highest. A half at every
    4 steps makes 8:

    >>> round(worth(lambda step: 0.1 * 0.5 ** (step // 4))[0], 2)
    8.0
    """
    places = [*range(65)]
    while places[-1] < HORIZON:  # a curve is summed by the trapezoids between some of its points
        places.append(min(HORIZON, math.ceil(1.2 * places[-1])))
    values = [schedule(place) for place in places]
    peak = max(values)
    total = values[0] + sum(
        # Of the steps a + 1 to b, on the line between both.
        (b - a) * (before + after) / 2 + (after - before) / 2
        for (a, b), (before, after) in zip(pairwise(places), pairwise(values), strict=True)
    )
    return (total / peak, peak) if 0 < peak < math.inf else (math.nan, peak)


def over_soon(optimizer: Any, attempt: Attempt) -> Finding | None:
    """Returns the finding that a schedule ends before something is learned.

    Args:
        optimizer: the compiled one.
        attempt: returns the trial at a rate, of `steps`.
    """
    schedule = schedule_of(optimizer)
    if schedule is None:
        return None
    count, peak = worth(schedule)
    if not count < WORTH:
        return None
    own = attempt(peak, steps=max(1, round(count)))
    longer = attempt(peak, steps=round(MORE_STEPS * max(count, STEPS)))
    if not longer.end < (1 - FALLS) * own.end or collapsed(longer):
        return None
    return Finding(
        kind="learning rate too low",
        where=("optimizer",),
        evidence=(
            f"all rates of the schedule, of {HORIZON} steps, are together worth {count:.3g} steps "
            f"at its highest, {peak:.3g} (limit {WORTH:g}); on a copy {len(own.losses)} such steps "
            f"take the loss from {own.start:.3g} to {own.end:.3g}, {len(longer.losses)} to "
            f"{longer.end:.3g}"
        ),
        consequence=(
            "The weights stop where these few steps leave them (schedules count batches, not "
            "epochs)"
        ),
        remedy=_with_schedule(optimizer, f"{peak:.3g}, {HORIZON}"),
        numbers={"rate": peak, "worth": count, "end": own.end, "better_end": longer.end},
    )


def not_yet(optimizer: Any, attempt: Attempt) -> Finding | None:
    """Returns the finding that a schedule rises so slowly that its first 1,000 steps teach nothing.

    Args:
        optimizer: the compiled one.
        attempt: returns the trial at a rate.
    """
    schedule = schedule_of(optimizer)
    if schedule is None:
        return None
    step = int(inner(optimizer).iterations)
    places = range(step, step + BEGIN, BEGIN // 50)
    mean = sum(map(schedule, places)) / len(places)
    name = type(inner(optimizer)).__name__
    if not 0 < mean < math.inf or (name in ADAPTIVE and mean > ADAPTIVE_LOW):
        return None
    found = too_low(attempt(mean), attempt, name, scheduled=True)
    if found is None:
        return None
    better = found.numbers["better"] / 10
    return dataclasses.replace(
        found,
        evidence=f"the schedule rises slowly: the mean of its first {BEGIN} rates is {mean:.3g}; "
        + found.evidence,
        remedy=_with_schedule(
            optimizer,
            f"0.0, {HORIZON}, warmup_target={better:.2g}, warmup_steps={BEGIN // 10}",
        ),
    )


def muted(own: Trial, optimizer: Any, attempt: Attempt) -> Finding | None:
    """Returns the finding that an argument of the optimizer leaves next to nothing of its steps.

    Adam's step is the rate times m / (sqrt(v) + epsilon). Where epsilon is far above the gradient
    that is gradient descent at the rate over epsilon. Gradients may be clipped to next to nothing.

    Args:
        own: the trial with the optimizer.
        optimizer: the compiled one.
        attempt: returns the trial at a rate with another `optimizer`.
    """
    compiled = inner(optimizer)
    epsilon, config = getattr(compiled, "epsilon", None), compiled.get_config()
    if fall(own) > FALLS / 10 or own.end > 1.001 * own.start:
        return None
    if isinstance(epsilon, float | int) and epsilon >= FAR_EPSILON:
        name, usual, what = "epsilon", EPSILON, "so far above the gradients"
    else:
        name = next((name for name in _CLIPPING if config.get(name)), "")
        usual, what = None, "so far below the gradients"
    if not name:
        return None
    if isinstance(config.get("learning_rate"), dict):
        config["learning_rate"] = own.rate
    other = attempt(own.rate, optimizer=type(compiled).from_config({**config, name: usual}))
    ratios = [a / b for a, b in zip(own.moved, other.moved, strict=True) if b > 0]
    share = sorted(ratios)[len(ratios) // 2] if ratios else 1.0
    needed = STIRS if fall(own) < STAYS else FALLS / 4
    if share > 1 / SHORT or fall(other) < max(needed, 20 * fall(own)) or collapsed(other):
        return None
    instead = f"{name}={usual}" if usual is None else f"{usual:g}"
    return Finding(
        kind="learning rate too low",
        where=("optimizer",),
        evidence=(
            f"{name}={config[name]:g} is {what} that steps are {share:.2g} of what they are with "
            f"{instead} (limit {1 / SHORT:.2g}); in {len(own.losses)} steps at {own.rate:.3g}, on "
            f"a copy, the loss falls by {max(fall(own), 0):.2g} of itself, with {instead} by "
            f"{fall(other):.2g}"
        ),
        consequence="Training takes many times as long as it must",
        remedy=f"{written(optimizer)}.{name} = {usual}; {COMPILE}",
        numbers={
            name: float(config[name]),
            "share": share,
            "end": own.end,
            "better_end": other.end,
        },
    )


def gathered(optimizer: Any, own: Trial) -> Finding | None:
    """Returns the finding that gradients are gathered over so many batches that no step is made.

    Args:
        optimizer: the compiled one.
        own: the trial at its rate, with a step for each batch.
    """
    batches = getattr(inner(optimizer), "gradient_accumulation_steps", None) or 1
    if batches * BATCH <= LARGEST_BATCH or fall(own) < FALLS or collapsed(own):
        return None
    return Finding(
        kind="learning rate too low",
        where=("optimizer",),
        evidence=(
            f"gradient_accumulation_steps={batches}: of {BATCH} samples each, a step is made after "
            f"{batches * BATCH} (limit {LARGEST_BATCH}); with a step for each batch the loss falls "
            f"in {len(own.losses)} of them, on a copy, from {own.start:.3g} to {own.end:.3g}"
        ),
        consequence="No weight moves before that, in many epochs of a small data set",
        remedy=(
            f"optimizer = type({written(optimizer)}).from_config({{**{written(optimizer)}"
            '.get_config(), "gradient_accumulation_steps": None}); '
            "model.compile(optimizer, loss=model.loss)"
        ),
        numbers={"batches": float(batches), "better_end": own.end},
    )


def rounded(own: Trial, optimizer: Any, attempt: Attempt) -> Finding | None:
    """Returns the finding that steps have no bound since an optimizer's epsilon is none in float16.

    Some trainings are thrown to NaN by them, others far up and on: at the same rate, another
    epsilon must leave at most half of the loss where it stays finite.

    Args:
        own: the trial with the optimizer, of weights in float16.
        optimizer: the compiled one.
        attempt: returns the trial at a rate with another `optimizer`.
    """
    compiled = inner(optimizer)
    epsilon = getattr(compiled, "epsilon", None)
    # The end first: behind NaN, which ends the losses then, `max` sees nothing larger.
    thrown = max(own.end, *own.losses) > RISES * own.start
    if not thrown or not isinstance(epsilon, float) or epsilon >= LEAST:
        return None
    config = {**compiled.get_config(), "epsilon": FAR_EPSILON, "learning_rate": own.rate}
    other = attempt(own.rate, optimizer=type(compiled).from_config(config))
    if not other.end < other.start or not other.end <= HALF * own.end:
        return None
    reached = "NaN or infinity" if own.end == math.inf else f"{own.end:.3g}"
    peak = max(own.losses)
    if own.end < peak < math.inf:
        reached += f", by way of {peak:.3g}"
    return Finding(
        kind="not finite",
        where=("optimizer",),
        evidence=(
            f"weights are float16, where epsilon={epsilon:g} is next to nothing; in "
            f"{len(own.losses)} steps on a copy the loss goes from {own.start:.3g} to {reached}; "
            f"with {FAR_EPSILON:g} to {other.end:.3g}"
        ),
        consequence=(
            "The square of a small gradient is rounded to 0, and the step is that gradient over "
            "epsilon"
        ),
        remedy=(
            'keras.config.set_dtype_policy("mixed_float16") before the model is made, which '
            "keeps weights in float32; or "
            f"{written(optimizer)}.epsilon = {FAR_EPSILON:g}; {COMPILE}"
        ),
        numbers={"epsilon": epsilon, "better_end": other.end},
    )


def _with_schedule(optimizer: Any, arguments: str) -> str:
    """Returns code that compiles again with a cosine schedule of these arguments."""
    own = written(optimizer)
    return (
        f"schedule = keras.optimizers.schedules.CosineDecay({arguments}); "
        f"optimizer = type({own}).from_config("
        f'{{**{own}.get_config(), "learning_rate": schedule}}); '
        "model.compile(optimizer, loss=model.loss)"
    )
