"""What training makes of a mutant, and what `diagnose` says of it."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from judge import judged
from program import Program

from mutation.bases import BASES, REFUSED

SEEDS = 3
WORSE, ALIKE = 0.1, 0.03


def scored(program: Program, scores: Iterable[float], *, alarmed: bool) -> list[float]:
    """Returns the scores of a mutant, of as many seeds as decide what it is.

    Args:
        program: the mutant on both sides.
        scores: of its base, one a seed.
        alarmed: whether all seeds are wanted.
    """
    own: list[float] = []
    for seed, score in enumerate(scores):
        own.append(program.build(seed)[0].train(seed))
        keras.backend.clear_session()
        if own[-1] == REFUSED or not (alarmed or own[-1] <= score - WORSE):
            break
    return own


def of_base(key: str) -> list[float]:
    """Returns the scores of a base."""
    program = Program(key, (key,), (), lambda data: (BASES[key](data),) * 2)
    return scored(program, [0.0] * SEEDS, alarmed=True)


def what(scores: list[float], of_base: list[float]) -> str:
    """Returns what a mutant is, by its scores and those of its base."""
    if REFUSED in scores:
        return "refused"
    worse = np.array(of_base[: len(scores)]) - scores
    if len(worse) == SEEDS and (worse >= WORSE).all():
        return "broken"
    return "harmless" if worse.mean() <= ALIKE else "slight"


def examined(program: Program, base: list[float], known: list[float] | None) -> dict[str, Any]:
    """Returns what a mutant is, and what `diagnose` says of it unless Keras refuses it.

    Args:
        program: the mutant on both sides.
        base: the scores of its base.
        known: its own, if they were computed before.
    """
    scores = known or scored(program, base, alarmed=False)
    row: dict[str, Any] = {"key": program.key, "seed": 0}
    if REFUSED not in scores:
        row = judged(program, 0)
    if row.get("found") and what(scores, base) != "broken" and len(scores) < SEEDS:
        scores = scored(program, base, alarmed=True)
    own = {"operator": program.sources[1], "scores": scores, "what": what(scores, base)}
    return {**row, **own}
