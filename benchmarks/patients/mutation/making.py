"""Mutants: a program that trains, spoiled by one operator."""

import random
from typing import Any

import numpy as np
from program import Program

from mutation.bases import BASES
from mutation.operators import OPERATORS


def mutants(name: str, count: int) -> list[Program]:
    """Returns some mutants by an operator: of bases and strengths drawn by chance, none twice."""
    pairs = [(key, strength) for key in BASES for strength in OPERATORS[name][1]]
    random.Random(name).shuffle(pairs)
    found: list[Program] = []
    for key, strength in pairs:
        if len(found) < count:
            found += mutant(key, name, strength)
    return found


def mutant(key: str, name: str, strength: str) -> list[Program]:
    """Returns the mutant of a base by an operator, on both sides; none where it has no place."""
    apply, strengths = OPERATORS[name]

    def made(data: Any) -> Any:
        chance = random.Random(f"{name} {key} {strength}")
        return apply(BASES[key](data), strengths[strength], chance)

    try:
        _, faults = made(np.random.default_rng(0))
    except LookupError:
        return []
    whole = f"{key} / {name} / {strength}"
    return [Program(whole, (key, name), faults, lambda data: (made(data)[0],) * 2)]
