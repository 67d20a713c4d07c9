"""Kernels that several calls of a layer read: which of these calls decide their scale."""

from collections.abc import Iterator
from typing import NamedTuple

from keras_inits._wiring import Call, Wiring


class Deciding(NamedTuple):
    """The calls that decide the scale of a kernel: their indices, and why these."""

    indices: tuple[int, ...]
    why: str


def deciding_calls(wiring: Wiring) -> dict[str, Deciding]:
    """Returns for each kernel that a layer applies more than once the calls that decide its scale.

    Where a call sees what an earlier call of the same kernel made, as in a loop, these calls do:
    what a loop starts from it meets once, and what it makes itself at every other turn, so that
    with a scale for the start a signal would grow or fade at each. Else all calls do.
    """
    calls: dict[str, list[Call]] = {}
    for call in wiring.calls:
        if call.is_map and call.weights:
            calls.setdefault(call.weights[0], []).append(call)
    found = {}
    for path, all_ in calls.items():
        # A table read backwards is another map.
        same = [c for c in all_ if wiring.subjects[c.index] is wiring.subjects[all_[0].index]]
        own = {call.index for call in same}
        fed = [call.index for call in same if own.intersection(_before(wiring, call))]
        if fed:
            found[path] = Deciding(tuple(fed), "in a loop: by what it makes itself")
        elif len(same) > 1:
            found[path] = Deciding(tuple(own), f"shared: by its {len(same)} calls")
    return found


def _before(wiring: Wiring, call: Call) -> Iterator[int]:
    """Yields the calls whose signals reach a call."""
    seen: set[int] = set()
    open_ = list(call.signals)
    while open_:
        index = open_.pop()
        if index >= 0 and index not in seen:
            seen.add(index)
            yield index
            open_ += wiring.calls[index].signals
