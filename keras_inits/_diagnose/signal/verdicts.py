"""From figures to verdicts: what is wrong, and with which layer.

A verdict names the layer that does the harm, not those that suffer from it: a layer is judged by
what it makes of its own input, and slow growth or decay over many layers by what is left after the
layers that were already named are divided out.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from keras_inits._diagnose.signal import (
    averages,
    finite,
    large_steps,
    lost,
    memory,
    outside,
    sizes,
    streams,
    stuck,
    symmetry,
    units,
)
from keras_inits._diagnose.signal.evidence import Evidence, Found
from keras_inits._diagnose.signal.severity import by_severity
from keras_inits._finding_kinds import SignalKind
from keras_inits._reporting import Finding


@dataclass(frozen=True)
class Check:
    """One way to be wrong.

    Attributes:
        verdict: what it is called.
        find: yields the index of the call, or None where no layer is to blame, and what was found.
        excused_by_bypass: whether it does no harm where the signal has a way around the layer.
        explained_by: kinds of findings about the same layer of which it is a mere consequence.
        unless: kinds of findings about any layer of which it is a mere consequence.
        excused_if_settled: whether it is meant of layers that were frozen, unless nothing is left.
    """

    verdict: SignalKind
    find: Callable[[Evidence], Found]
    excused_by_bypass: bool = False
    explained_by: frozenset[SignalKind] = frozenset()
    unless: frozenset[SignalKind] = frozenset()
    excused_if_settled: bool = False


_BROKEN: frozenset[SignalKind] = frozenset({"not finite", "symmetric", "dying", "saturated"})
_NO_GRADIENT: frozenset[SignalKind] = frozenset({"no gradient"})

# In the order in which they are asked: what explains comes before what it explains.
CHECKS = (
    Check("exploding", streams.exploding),
    Check("not finite", finite.inside),
    Check("not finite", finite.of_loss, unless=frozenset({"not finite"})),
    Check("no gradient", averages.too_few),
    Check("symmetric", symmetry.check, explained_by=_NO_GRADIENT),
    Check("dying", units.dying, explained_by=_NO_GRADIENT | {"symmetric"}, excused_if_settled=True),
    Check("saturated", units.saturated, excused_if_settled=True),
    Check("no gradient", stuck.check),
    Check("no gradient", lost.check, explained_by=_BROKEN | _NO_GRADIENT),
    Check("no gradient", outside.check, explained_by=_NO_GRADIENT),
    Check("no gradient", averages.constant, excused_by_bypass=True, explained_by=_NO_GRADIENT),
    Check("exploding", sizes.exploding, explained_by=_BROKEN),
    Check("exploding", large_steps.check, explained_by=_BROKEN),
    Check("exploding", memory.amplifying),
    Check("vanishing", sizes.vanishing, excused_by_bypass=True, explained_by=_BROKEN),
    Check("vanishing", streams.vanishing),
    Check("vanishing", memory.forgetting),
    Check("exploding", streams.responding, unless=frozenset({"exploding", "not finite"})),
    Check("rank-collapsed", units.alike, excused_by_bypass=True),
)


def judge(evidence: Evidence) -> tuple[Finding, ...]:
    """Returns all that is wrong, the worst first."""
    found: list[Finding] = []
    kinds: dict[str, set[SignalKind]] = defaultdict(set)
    for check in CHECKS:
        if any(finding.kind in check.unless for finding in found):
            continue
        for index, finding in check.find(evidence):
            if check.excused_by_bypass and index is not None and evidence.around[index]:
                continue
            settled = index is not None and evidence.settled[index]
            if check.excused_if_settled and settled and finding.numbers.get("dead", 0.0) < 1:
                continue
            if any(kinds[name] & check.explained_by for name in finding.where):
                continue
            if "overflow" in finding.numbers and any("overflow" in f.numbers for f in found):
                continue  # what grows until it overflows was named already
            for name in finding.where:
                kinds[name].add(check.verdict)
            found.append(finding)
    return by_severity(found)
