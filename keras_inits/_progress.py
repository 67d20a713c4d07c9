"""How far a comparison has come, and how long the rest will take."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """How far a comparison has come.

    Attributes:
        done: epochs that models have been trained, summed over the runs; the resumed ones too.
        total: how many that will be.
        seconds_left: an estimate from the pace of this call; None before its first epoch.
    """

    done: int
    total: int
    seconds_left: float | None


def part_of(
    listener: Callable[[Progress], object], before: int, total: int
) -> Callable[[Progress], None]:
    """Returns a listener for one part of some work that passes on the progress of the whole.

    Args:
        listener: takes the progress of the whole, with the `seconds_left` of the part.
        before: epochs that the parts before this one have.
        total: epochs of the whole.
    """

    def tell(part: Progress) -> None:
        listener(Progress(before + part.done, total, part.seconds_left))

    return tell


def weighed(listener: Callable[[Progress], object], work: int) -> Callable[[Progress], None]:
    """Returns a listener for epochs of nets that passes on epochs times the work of a net.

    Args:
        listener: takes the weighted progress.
        work: weight of an epoch of one net.
    """

    def tell(nets: Progress) -> None:
        listener(Progress(nets.done * work, nets.total * work, nets.seconds_left))

    return tell


class Clock:
    """Reports how many epochs are done, and estimates the rest by the pace of this call.

    Args:
        resumed: epochs that an earlier call has trained.
        total: epochs in all.
        listener: takes a `Progress`.
    """

    def __init__(self, resumed: int, total: int, listener: Callable[[Progress], object]) -> None:
        self._resumed, self._total, self._listener = resumed, total, listener
        self._start, self._told = time.monotonic(), -1

    def tell(self, done: int) -> None:
        """Notes how many epochs of models this call has trained."""
        if done == self._told:
            return
        self._told = done
        left = self._total - self._resumed - done
        pace = (time.monotonic() - self._start) / done if done else None
        self._listener(
            Progress(self._resumed + done, self._total, None if pace is None else pace * left)
        )
