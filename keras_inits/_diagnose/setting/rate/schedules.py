"""The rate that an optimizer goes on with: its schedule, its momentum, how long to look at it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

STEPS = 20  # Adam's running means have passed their start (beta_1 = 0.9) by twice


@dataclass(frozen=True)
class Rate:
    """The learning rate that a training begins with.

    Attributes:
        value: of a schedule, that at the start; where it warms up, that after `STEPS` steps.
        scheduled: whether there is a schedule.
        rises: whether it becomes larger by half or more.
    """

    value: float
    scheduled: bool = False
    rises: bool = False


def inner(optimizer: Any) -> Any:
    """Returns the optimizer that has the rate, inside one that scales losses (mixed precision)."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def written(optimizer: Any) -> str:
    """Returns how a user writes the optimizer that has the rate."""
    return "model.optimizer" if inner(optimizer) is optimizer else "model.optimizer.inner_optimizer"


def schedule_of(optimizer: Any) -> Callable[[int], float] | None:
    """Returns an optimizer's rate at each step; None without a schedule, or with an unknown one."""
    config = inner(optimizer).get_config().get("learning_rate")
    if not isinstance(config, dict):
        return None
    try:
        schedule = keras.optimizers.schedules.deserialize(config)
        schedule(0)
    except Exception:  # a schedule of the user's own, which only its class can make
        return None
    return lambda step: float(schedule(step))


def rate_of(optimizer: Any) -> Rate:
    """Returns the rate that an optimizer goes on with."""
    optimizer = inner(optimizer)
    now = float(optimizer.learning_rate)
    if not isinstance(optimizer.get_config().get("learning_rate"), dict):
        return Rate(now)
    schedule = schedule_of(optimizer)
    if schedule is None:
        return Rate(now, True, True)
    step = int(optimizer.iterations)
    ahead = {n: schedule(step + n) for n in (0, STEPS, 100, 1000, 10_000)}
    rises = max(ahead.values()) > 1.5 * ahead[0]
    return Rate(ahead[STEPS] if rises else ahead[0], True, rises)


def momentum_of(optimizer: Any) -> float:
    """Returns the momentum of gradient descent; 0 of other optimizers."""
    value = getattr(inner(optimizer), "momentum", 0.0)
    return float(value) if isinstance(value, int | float) else 0.0


def steps_of(optimizer: Any) -> int:
    """Returns how many steps a trial takes: twice the memory of a momentum, 20 to 200."""
    memory = 1 / max(1 - momentum_of(optimizer), 1e-3)
    return int(min(max(STEPS, round(2 * memory)), 10 * STEPS))
