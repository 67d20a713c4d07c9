"""Signals and gradients that grow or shrink from layer to layer."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from keras_inits._diagnose.seen.calls import UNKNOWN, Call
from keras_inits._diagnose.seen.traits import elementwise, is_judged, saturation_bounds
from keras_inits._diagnose.signal.evidence import Evidence, Found
from keras_inits._diagnose.signal.remedies import redraw
from keras_inits._layers.kinds import Kind, is_a
from keras_inits._reporting import Finding

# By call on the way, what it multiplies a size by: per entry, and by length.
_Path = dict[int, tuple[float, float]]
# Of each judged call: its index, by how much a size changed, and words for that.
_Sizes = Iterator[tuple[int, float, str]]
_GROWS = "One learning rate does not fit the layers on both sides"


def exploding(evidence: Evidence) -> Found:
    """Yields what multiplies signal or gradient."""
    return (pair for pair in _all(evidence) if pair[1].kind == "exploding")


def vanishing(evidence: Evidence) -> Found:
    """Yields what makes signal or gradient fade."""
    return (pair for pair in _all(evidence) if pair[1].kind == "vanishing")


def factor(evidence: Evidence, name: str, what: str) -> float:
    """Returns by how much a size changed up to a call, or at it where that is far too much.

    Args:
        evidence: of the pass.
        name: of the call.
        what: one of `FOLLOWED`.
    """
    every = _FOLLOWERS[what](evidence)
    return next((each for i, each, _ in every if evidence.calls[i].name == name), math.nan)


def _all(evidence: Evidence) -> Found:
    limit = evidence.thresholds.growth
    for what, follow in _FOLLOWERS.items():
        for index, total, grounds in follow(evidence):
            if _far(total, limit):
                yield index, _finding(evidence, index, total, what, grounds)


def _signal(evidence: Evidence) -> _Sizes:
    calls = evidence.calls

    def ratio(index: int) -> float:
        call = calls[index]
        if call.inputs is None or call.is_learned:
            return math.nan
        factor, size = _root(call.output, call.inputs, "second_moment"), call.output.std
        # By what differs: a sigmoid of next to nothing is one half.
        if (behind := _function(evidence, index)) is not None and size > 0:
            return _restored(factor, behind.output.std / size)
        if (taker := _sole_taker(evidence, index)) is not None and taker.inputs and size > 0:
            return _restored(factor, taker.inputs.std / size)  # operations between
        return factor

    def before(index: int) -> Sequence[int]:
        return () if calls[index].given_anew else calls[index].before

    return _Drift(evidence, range(len(calls)), before, ratio, anew=True).sizes()


def _gradient(evidence: Evidence) -> _Sizes:
    calls = evidence.calls

    def alone(source: int) -> bool:
        return _sole_taker(evidence, source) is not None

    def after(index: int) -> Sequence[int]:
        taken = evidence.consumers[index]
        return taken or (evidence.leads_to[index] if alone(index) else ())

    def ratio(index: int) -> float:
        # What this layer makes of a gradient is seen where it alone takes its input, operations
        # such as that of a residual included. By length, not per entry: 10 numbers spread over
        # 2,048 are smaller, and no less of a gradient.
        call = calls[index]
        source = call.sources[0] if len(call.sources) == 1 else UNKNOWN
        if source == UNKNOWN and len(call.before) == 1 and alone(call.before[0]):
            source = call.before[0]  # operations between
        if source < 0 or len(evidence.leads_to[source]) > 1:
            return math.nan
        made, given = calls[source].gradient, call.gradient
        if made is None or given is None:
            return math.nan
        factor, behind = _root(made, given, "squared_length"), _function(evidence, index)
        if behind is None or behind.gradient is None:
            return factor
        back = _root(given, behind.gradient, "squared_length")
        return factor * back if back < 1 else _restored(factor, back)

    order = range(len(calls) - 1, -1, -1)
    return _Drift(evidence, order, after, ratio).sizes()


_FOLLOWERS = {"the signal": _signal, "the length of the gradient": _gradient}
FOLLOWED = tuple(_FOLLOWERS)


def _width(call: Call) -> float:
    """Returns how many units a call makes of each that it is given."""
    return call.output.units / max(1, call.inputs.units) if call.inputs else 1.0


def _sole_taker(evidence: Evidence, index: int) -> Call | None:
    """Returns the call that alone takes an output, in its shape, and nothing else with it."""
    takers = [evidence.calls[i] for i in evidence.leads_to[index]]
    if len(takers) != 1 or takers[0].composite or takers[0].inputs is None:
        return None
    alone = frozenset[int]().union(*takers[0].origins) == {index}
    same = takers[0].inputs.shape == evidence.calls[index].output.shape
    return takers[0] if alone and same else None


def _function(evidence: Evidence, index: int) -> Call | None:
    """Returns the layer without weights, of a kind that is not known, that alone takes an output.

    Such as sin(30 x) between the kernels of a SIREN: kernel and factor are one.
    """
    taker = _sole_taker(evidence, index)
    if taker is None or taker.layer.weights or taker.inputs is None:
        return None
    same = taker.output.shape == taker.inputs.shape
    return taker if same and is_a(taker.layer, Kind.UNKNOWN, Kind.FUNCTION) else None


def amplified(evidence: Evidence, index: int) -> float:
    """Returns by how much a function behind a kernel makes what differs larger, at least 1."""
    call, behind = evidence.calls[index], _function(evidence, index)
    if behind is None or not call.output.std > 0:
        return 1.0
    return max(1.0, behind.output.std / call.output.std)


def _restored(factor: float, behind: float) -> float:
    """Returns the factor of a layer that shrinks a size, with what a function behind makes up."""
    return min(1.0, factor * behind) if factor < 1 < behind < math.inf else factor


@dataclass(frozen=True, eq=False)
class _Drift:
    """A size that is followed from call to call: it jumps, or drifts away slowly.

    It fades where it does both per entry and by length, which differ where widths do: the next
    kernel sums over all units, so that a signal that is spread over more of them may be smaller;
    and of a gradient that was spread over many units, few take a part, however they are drawn.

    Attributes:
        evidence: of the pass.
        order: of the calls, such that `before` is known of each.
        before: the calls that a call takes the signal, or the gradient, from.
        ratio: by how much a call multiplies it; NaN where that is not known.
        anew: whether it begins anew behind a quantizer, whose codes have sizes of their own. A
            straight-through estimate hands the gradient on as it is. So does the signal of layers
            that were frozen matter, where it is far off, and no gradient does.
    """

    evidence: Evidence
    order: Sequence[int]
    before: Callable[[int], Sequence[int]]
    ratio: Callable[[int], float]
    anew: bool = False

    def sizes(self) -> _Sizes:
        """Yields the calls that multiply the size, and what has become of it at the others."""
        evidence, limit = self.evidence, self.evidence.thresholds.growth
        paths: list[_Path] = [{}] * len(evidence.calls)
        for index in self.order:
            if is_a(evidence.calls[index].layer, Kind.NORMALIZATION):
                continue
            paths[index] = self._path_before(index, paths)
            ratios = self._ratios(index)
            if ratios is None:
                continue
            factor = _product({index: ratios})
            if _far(factor, limit):
                if not evidence.is_normalized(index, faded=factor < 1):
                    yield index, factor, "it multiplies {what} by {factor:.2g}"
                continue
            if evidence.around[index]:
                continue
            path = {**paths[index], index: ratios}
            total = _product(path)
            if _far(total, limit):  # what a normalization takes away does not count
                faded = total < 1
                path = {i: p for i, p in path.items() if not evidence.is_normalized(i, faded=faded)}
            paths[index], total = path, _product(path)
            yield index, total, "{what} is {factor:.2g} times what it was where its path began"

    def _path_before(self, index: int, paths: Sequence[_Path]) -> _Path:
        """Returns the path to a call on which the size drifts least; none where it begins anew."""
        ways = self.before(index)
        # Where a branch comes in, or goes off, a stream is judged as a whole (streams.py).
        branches = len(ways) > 1 and any(self.evidence.around[i] for i in ways)
        if branches or (self.anew and self.evidence.calls[index].made_anew):
            return {}
        known = (paths[i] for i in ways)
        return min(known, key=lambda path: abs(math.log(_product(path))), default={})

    def _ratios(self, index: int) -> tuple[float, float] | None:
        """Returns what a call multiplies the size by, both ways; None where it is not judged."""
        call, thresholds = self.evidence.calls[index], self.evidence.thresholds
        if call.made_anew or call.composite or not is_judged(call.layer):
            return None
        each = self.ratio(index)
        if not 0 < each < math.inf or _fewest_units(call) < thresholds.units:
            return None
        # Of a signal `each` is the ratio per entry, of a gradient, which goes back, by length.
        ratios = (each, each * math.sqrt(_width(call)))
        factor, limit = _product({index: ratios}), thresholds.growth
        # What is bounded, as gates are, does not grow: it is what comes in that is small.
        if self.anew and factor > limit and saturation_bounds(elementwise(call.layer)):
            return None
        if self.evidence.settled[index] and not (self.anew and _far(factor, limit**2)):
            return None
        return ratios


def _product(path: _Path) -> float:
    """Returns by how much a path multiplies a size: where it fades, by what less of it fades."""
    first, second = (
        (math.prod(ratios) for ratios in zip(*path.values(), strict=True)) if path else (1.0, 1.0)
    )
    return first if first >= 1 else min(1.0, max(first, second))


def _far(factor: float, limit: float) -> bool:
    return not 1 / limit <= factor <= limit


def _finding(evidence: Evidence, index: int, factor: float, what: str, grounds: str) -> Finding:
    limit = evidence.thresholds.growth
    return Finding(
        kind="exploding" if factor > 1 else "vanishing",
        where=(evidence.calls[index].name,),
        evidence=(
            grounds.format(what=what, factor=factor) + f" (limits 1/{limit:g} and {limit:g})"
        ),
        consequence=_GROWS,
        remedy=redraw(evidence, index),
        numbers={"factor": factor, "limit": limit},
    )


def _fewest_units(call: Call) -> int:
    return min(call.inputs.units if call.inputs else 0, call.output.units)


def _root(after: object, before: object, name: str) -> float:
    size = getattr(before, name)
    return math.sqrt(getattr(after, name) / size) if size > 0 else math.nan
