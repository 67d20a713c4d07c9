"""What the last kernel of a branch is to put out, seen through what follows it on the branch."""

import math
from dataclasses import replace

from keras_inits._initialize.aims import Aim
from keras_inits._initialize.carrying import Carrier
from keras_inits._initialize.shares import Shares
from keras_inits._layers.kinds import Kind
from keras_inits._moments import INPUT_ALIKE, carried, normal, through_activation
from keras_inits._wiring import Branch, Call, Sum

_SOLVING, _CLOSE = 12, 0.01  # steps of the search for a branch's scale, and its relative error


class Ends:
    """The ends of a model's branches, and what each is to put out.

    Args:
        carrier: the signals so far.
        shares: what the branches add.
    """

    def __init__(self, carrier: Carrier, shares: Shares) -> None:
        self.carrier, self.shares, self.wiring = carrier, shares, carrier.wiring
        self._ends: dict[int, tuple[Sum, Branch]] = {
            branch.end: (each, branch)
            for each in self.wiring.sums
            for branch in each.branches
            if branch.end is not None
        }

    def __contains__(self, call: Call) -> bool:
        return call.index in self._ends

    def _reference(self, each: Sum) -> float | None:
        """Returns what the stream of a sum started with, as far as it is still of that scale.

        None where the stream starts only after the kernel that is asked about has been called.

        What earlier branches have added to it is taken off. A kernel on the stream itself, between
        two stages, sets another scale: hence not the start itself.
        """
        shortcut, earlier = each.shortcut, 0.0
        for other in self.wiring.sums:
            before = other.stream == each.stream and other.place < each.place
            if before and not self.shares.is_damped(other):
                earlier += self.shares.adds(other)
        if shortcut.source in self.carrier.signals:
            found = self.carrier.signals[shortcut.source].second_moment
        elif shortcut.end is not None and shortcut.end != shortcut.kernel:
            found = 1.0  # a normalization makes it
        elif each.fork in self.carrier.signals:
            found = self.carrier.signals[each.fork].second_moment
        else:
            return None
        # A stream that starts at 0, as some learned queries do, is what its branches make it.
        return (found or 1.0) / (1 + earlier)

    def _words(self, each: Sum) -> str:
        stream = self.wiring.streams[each.stream]
        return f"end of a branch, {each.place + 1} of {len(stream.sums)} sums"

    def aim(self, call: Call, aim: Aim) -> Aim:
        """Returns what the call at a branch's end is to put out.

        Args:
            call: the last kernel of a branch, or the normalization behind it.
            aim: what it would put out if no sum followed.
        """
        each, branch = self._ends[call.index]
        if self.shares.normalized(branch):
            return Aim(1.0, f"{self._words(each)}, normalized")
        if (reference := self._reference(each)) is None:
            return aim
        wanted, why = reference * self.shares.share(each), self._words(each)
        if wanted == 0:
            return Aim(0.0, why)
        variance = wanted
        for _ in range(_SOLVING):
            made = self._through(branch, call, variance)
            if made is None:
                return Aim(wanted, why)
            if not made > 0 or not math.isfinite(made):
                break
            if abs(made / wanted - 1) < _CLOSE:
                return Aim(variance, why)
            variance *= min(10.0, max(0.1, wanted / made))
        return Aim(aim.variance, f"{why}, which do not start small: {aim.why}")

    def _through(self, branch: Branch, end: Call, variance: float) -> float | None:
        """Returns a branch's second moment if its end has one; None behind kernels of a gate."""
        alike = self.carrier.signals[end.signals[0]].alike if end.signals else INPUT_ALIKE
        if end.kind is Kind.NORMALIZATION:
            given = self.carrier.place(end)
            start = carried(replace(given, power=variance))
        else:
            start = normal(variance, alike, end.index)
            start = through_activation(self.carrier.place(end), start)
        local = {**self.carrier.signals, end.index: start}
        reached = {end.index}
        for index in branch.calls:
            call = self.wiring.calls[index]
            if index <= end.index or not reached.intersection(call.signals):
                continue
            if call.is_map or any(s not in local for s in call.signals):
                return None
            local[index] = carried(self.carrier.place(call, local))
            reached.add(index)
        return local[branch.source].second_moment if branch.source in local else None
