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
    """Returns what takes the progress of a part and tells that of the whole.

    Args:
        listener: takes the whole's; `seconds_left` is still the part's.
        before: what other parts have done.
        total: of the whole.
    """

    def tell(part: Progress) -> None:
        listener(Progress(before + part.done, total, part.seconds_left))

    return tell


def weighed(listener: Callable[[Progress], object], work: int) -> Callable[[Progress], None]:
    """Returns what takes the progress of nets and tells that of their work.

    Args:
        listener: takes the progress of the work.
        work: of one net.
    """

    def tell(nets: Progress) -> None:
        listener(Progress(nets.done * work, nets.total * work, nets.seconds_left))

    return tell


class Clock:
    """Tells how far it is and how long it will take, by the pace of this call.

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
