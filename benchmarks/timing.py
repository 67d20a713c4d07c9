"""Pairs of calls timed in turn, so that a machine whose speed drifts slows both alike."""

import time
from collections.abc import Callable
from statistics import median


def paired_ratio(
    ours: Callable[[], object],
    theirs: Callable[[], object],
    *,
    repeats: int,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[float, float, float]:
    """Returns the median seconds of both, and the median of their ratios pair by pair.

    Each is called once before it is timed, and the order within a pair alternates.
    """
    calls = (ours, theirs)
    for call in calls:
        call()
    pairs = []
    for repeat in range(repeats):
        pair = [0.0, 0.0]
        for index in (0, 1) if repeat % 2 else (1, 0):
            start = clock()
            calls[index]()
            pair[index] = clock() - start
        pairs.append(pair)
    return (
        median(a for a, _ in pairs),
        median(b for _, b in pairs),
        median(a / b for a, b in pairs),
    )
