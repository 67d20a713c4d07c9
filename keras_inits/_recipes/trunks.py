"""Trunks: streams one behind the other, and which branch of which block a call belongs to.

A recipe counts the blocks of a net. The streams of `keras_inits.wiring` begin anew where a
normalization or a shortcut with a kernel sets the scale; a trunk goes on there.
"""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from keras_inits._wiring import Branch, Sum, Wiring


@dataclass(frozen=True)
class Spot:
    """The branch, or shortcut, that a call lies on.

    Attributes:
        sum: the sum that it comes into.
        way: the branch.
        is_shortcut: whether it is the sum's shortcut.
        trunk: which trunk.
        branch: how many branches the trunk was given before.
        block: how many blocks it has passed before.
    """

    sum: Sum
    way: Branch
    is_shortcut: bool
    trunk: int
    branch: int
    block: int


@dataclass(frozen=True)
class Trunk:
    """The sums of one trunk.

    Attributes:
        sums: in order.
        ends: those that close a block: with a branch without attention; all of them in a trunk
            that has no attention, or nothing else.
        branches: how many branches the sums add.
        attends: whether any of these is an attention.
    """

    sums: tuple[Sum, ...]
    ends: frozenset[int]
    branches: int
    attends: bool

    @property
    def blocks(self) -> int:
        """How many blocks it has."""
        return len(self.ends)


class Trunks:
    """The trunks of a wiring, and the spot of each call.

    Attributes:
        trunks: in the order of their first sums.
        spots: of the calls that lie on a way to a sum, the innermost.
    """

    def __init__(self, wiring: Wiring) -> None:
        self.wiring = wiring
        members: list[list[Sum]] = []
        of_sum: dict[int, int] = {}
        for each in wiring.sums:
            before = self._sum_before(each.fork, of_sum)
            if before is None:
                members.append([])
            of_sum[each.call] = len(members) - 1 if before is None else of_sum[before]
            members[of_sum[each.call]].append(each)
        self.trunks = tuple(self._trunk(sums) for sums in members)
        self.spots = dict(self._spots())

    @functools.cached_property
    def _attentions(self) -> frozenset[int]:
        """The calls that project what an attention has mixed, and the softmaxes."""
        found = ((each.call, each.out) for each in self.wiring.attentions)
        return frozenset(call for calls in found for call in calls if call is not None)

    def attends(self, way: Branch) -> bool:
        """Returns whether a branch has an attention."""
        return not self._attentions.isdisjoint(way.calls)

    def _sum_before(self, at: int, known: Mapping[int, int]) -> int | None:
        """Returns the sum that a fork's signal comes from, through whatever has one source."""
        while at >= 0 and at not in known:
            source = self.wiring.graph.main_source(self.wiring.calls[at])
            if source is None:
                return None
            at = source
        return at if at in known else None

    def _trunk(self, sums: list[Sum]) -> Trunk:
        others = [s for s in sums if any(not self.attends(branch) for branch in s.branches)]
        ends = frozenset(each.call for each in others or sums)
        ways = [branch for each in sums for branch in each.branches]
        return Trunk(tuple(sums), ends, len(ways), any(self.attends(way) for way in ways))

    def _spots(self) -> Iterator[tuple[int, Spot]]:
        found = []
        for index, trunk in enumerate(self.trunks):
            branch = block = 0
            for each in trunk.sums:
                found += [
                    Spot(each, way, way is each.shortcut, index, branch, block)
                    for way in (each.shortcut, *each.branches)
                ]
                branch += len(each.branches)
                block += each.call in trunk.ends
        # The longest first, so that a sum inside a branch has the last word.
        for spot in sorted(found, key=lambda s: s.sum.fork - s.sum.call):
            yield from ((call, spot) for call in spot.way.calls)
