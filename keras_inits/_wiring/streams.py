"""Sums, the streams that pass them, and the branches that end at them.

A residual net is a stream x, x + f(x), x + f(x) + g(x), ... The variance of each branch is added to
the stream's, so that what a branch should start with depends on how many there are (He et al. 2016;
Zhang, Dauphin and Ma 2019). A normalization on the stream itself sets its scale anew: behind it a
new stream starts.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from keras_inits._layers.kinds import Kind
from keras_inits._wiring.graph import PASSED, Call, Graph

_LINEAR = PASSED | {Kind.NORMALIZATION, Kind.SCALING}
_NEW_SIGNAL = frozenset({Kind.RECURRENT, Kind.CELL, Kind.ATTENTION})
_ENDS_THROUGH = PASSED | {Kind.ACTIVATION, Kind.ELEMENTWISE, Kind.SCALING, Kind.PRODUCT}


@dataclass(frozen=True)
class Branch:
    """What comes into a sum at one of its operands.

    Attributes:
        source: the call, or input, whose output is added.
        calls: those between the place where the ways part and the sum.
        end: the call whose weights set the branch's scale: its last kernel, or the normalization
            or learned factor behind that; None if there is none, or it is not understood.
        kernel: its last kernel; None if there is none, or it is not understood.
    """

    source: int
    calls: tuple[int, ...]
    end: int | None
    kernel: int | None


@dataclass(frozen=True)
class Sum:
    """One place where branches are added to a stream.

    Attributes:
        call: the sum.
        fork: the call, or input, from which the shortcut and the branches part.
        shortcut: the operand that the stream comes through.
        branches: the other operands. Sums of sums count as one, with all their branches.
        stream: which of `Wiring.streams` it belongs to.
        place: how many sums that stream has passed before.
    """

    call: int
    fork: int
    shortcut: Branch
    branches: tuple[Branch, ...]
    stream: int
    place: int

    @property
    def branch_ends(self) -> tuple[int, ...]:
        """The calls whose weights set the scale of its branches."""
        return tuple(branch.end for branch in self.branches if branch.end is not None)


@dataclass(frozen=True)
class Stream:
    """A signal that branches are added to, from where its scale is set to its last sum.

    Attributes:
        start: the call, or input, that sets its scale.
        sums: the sums that it passes, in order.
        branches: how many branches these add.
    """

    start: int
    sums: tuple[int, ...]
    branches: int


@dataclass(frozen=True)
class _Residual:
    call: int
    fork: int
    shortcut: int
    branches: tuple[int, ...]


def find_streams(graph: Graph) -> tuple[tuple[Sum, ...], tuple[Stream, ...]]:
    """Returns the sums that add branches to a stream, and the streams."""
    residual = {found.call: found for found in _residuals(graph)}
    places: dict[int, tuple[int, int]] = {}  # stream and place of each sum
    starts: dict[int, int] = {}
    sums = []
    for call, found in residual.items():
        at = _stream_source(graph, found.shortcut, residual)
        if at in residual:
            stream, place = places[at][0], places[at][1] + 1
        else:
            stream, place = starts.setdefault(at, len(starts)), 0
        places[call] = (stream, place)
        sums.append(
            Sum(
                call=call,
                fork=found.fork,
                shortcut=_branch(graph, found.fork, found.shortcut),
                branches=tuple(_branch(graph, found.fork, other) for other in found.branches),
                stream=stream,
                place=place,
            )
        )
    streams = []
    for start, index in starts.items():
        passed = [each for each in sums if each.stream == index]
        streams.append(
            Stream(start, tuple(s.call for s in passed), sum(len(s.branches) for s in passed))
        )
    return tuple(sums), tuple(streams)


def _operands(graph: Graph, call: Call) -> Iterator[int]:
    """Yields what a sum adds, seen through sums that go nowhere else."""
    for source in call.signals:
        inner = graph.calls[source] if source >= 0 else None
        if inner and inner.kind is Kind.SUM and graph.consumers[source] == (call.index,):
            yield from _operands(graph, inner)
        else:
            yield source


def _is_part(graph: Graph, call: Call) -> bool:
    """Returns whether a sum goes into another sum and nowhere else."""
    following = graph.consumers.get(call.index, ())
    only = len(following) == 1 and call.index not in graph.outputs
    return only and graph.calls[following[0]].kind is Kind.SUM


def _residuals(graph: Graph) -> Iterator[_Residual]:
    for call in graph.calls:
        if call.kind is not Kind.SUM or not call.carries or _is_part(graph, call):
            continue
        operands = tuple(dict.fromkeys(_operands(graph, call)))
        fork = graph.last_common(operands) if len(operands) > 1 else None
        if fork is None:
            continue
        ways = {operand: graph.between(fork, operand) for operand in operands}
        kernels = {operand: sum(map(_is_own, way)) for operand, way in ways.items()}
        shortcut, *others = sorted(operands, key=kernels.__getitem__)
        least = kernels[shortcut]
        if kernels[others[0]] == least:
            continue  # branches side by side, or one signal mixed with itself
        if not all(_on_shortcut(c, least) for c in ways[shortcut]):
            continue
        if least and not all(graph.comes_from(o, fork) for o in operands):
            continue  # the shift of FiLM, say, which the fork makes for a signal from elsewhere
        branches = tuple(o for o in operands if o != shortcut)
        yield _Residual(call.index, fork, shortcut, branches)


def _is_own(call: Call) -> bool:
    """Returns whether a call makes a new signal of what it takes, so that its way is a branch."""
    return call.is_map or call.is_unknown or call.kind in _NEW_SIGNAL


def _on_shortcut(call: Call, kernels: int) -> bool:
    """Returns whether a stream may go through a call: one with a kernel of its own stays linear."""
    if kernels:
        return (call.is_map and not call.activation) or call.kind in _LINEAR
    return call.kind in _LINEAR | {Kind.ACTIVATION, Kind.ELEMENTWISE}


def _stream_source(graph: Graph, at: int, residual: Mapping[int, _Residual]) -> int:
    """Returns the sum that a stream comes from, or the call or input at which it starts."""
    while at >= 0 and at not in residual:
        call = graph.calls[at]
        source = graph.main_source(call)
        if call.kind is Kind.NORMALIZATION or source is None:
            break
        at = source
    return at


def _branch(graph: Graph, fork: int, source: int) -> Branch:
    way = graph.between(fork, source)
    end = kernel = None
    at: int | None = source
    while at is not None and at >= 0 and at != fork:
        call = graph.calls[at]
        if call.is_map or call.kind in (Kind.EMBEDDING, Kind.RECURRENT):
            kernel = at
            break
        if call.kind is Kind.NORMALIZATION or (call.kind is Kind.SCALING and call.weights):
            end = at if end is None and call.weights else end
        elif call.kind not in _ENDS_THROUGH:
            break
        at = graph.main_source(call)
    return Branch(source, tuple(c.index for c in way), kernel if end is None else end, kernel)
