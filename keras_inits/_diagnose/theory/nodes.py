"""What theory walks over: the recorded calls, and the operations between them where they matter."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from keras_inits._diagnose.seen.calls import INPUT, UNKNOWN, Call
from keras_inits._diagnose.seen.picture import Picture
from keras_inits._diagnose.theory import spread
from keras_inits._layers.kinds import KERNELS, Kind, kind
from keras_inits._wiring import Call as Place
from keras_inits._wiring import Wiring

# A signal does not come out of these as a function of what went in, entry by entry.
_ROOTS = KERNELS | {Kind.EMBEDDING, Kind.POSITION, Kind.RECURRENT, Kind.CELL, Kind.CONTRACTION}


@dataclass(frozen=True, eq=False)
class Node:
    """A call of a layer, or an operation between layers.

    Attributes:
        index: its place in the order of the run.
        subject: the layer or operation.
        kind: what it does.
        sources: for each signal that it takes the node that made it; below 0 for an input of the
            model, None where it is not known.
        shape: of its output.
        shapes: of the signals; empty where they are not known.
        call: what was recorded of it; None of an operation.
        place: its call in the wiring; None where the model's wiring was not asked for.
    """

    index: int
    subject: Any
    kind: Kind
    sources: tuple[int | None, ...]
    shape: tuple[int, ...]
    shapes: tuple[tuple[int, ...], ...]
    call: Call | None
    place: Place | None = None


@dataclass(frozen=True, eq=False)
class Net:
    """All nodes of a model.

    Attributes:
        nodes: in the order of the run.
        by_call: for each recorded call its node; None for one that holds others.
        ends: the nodes that are outputs of the model.
        hidden: up to which node a consumer may be missing: what takes a tensor outside of layers
            is not seen in recorded calls alone.
        wiring: of the model, if it was asked for.
        training: whether the model was run as in training.
    """

    nodes: Sequence[Node]
    by_call: Mapping[int, int]
    ends: frozenset[int]
    hidden: int
    wiring: Wiring | None
    training: bool
    _roots: dict[int, frozenset[int]] = field(default_factory=dict)

    @cached_property
    def consumers(self) -> Mapping[int, tuple[tuple[Node, int], ...]]:
        """For each node those that take its output, with the place among their signals."""
        found: dict[int, list[tuple[Node, int]]] = {}
        for node in self.nodes:
            for place, source in enumerate(node.sources):
                if source is not None:
                    found.setdefault(source, []).append((node, place))
        return {source: tuple(takers) for source, takers in found.items()}

    def roots(self, source: int | None) -> frozenset[int | None]:
        """Returns the last kernels, inputs and unknown tensors that a signal is made from."""
        if source is None or source < 0 or self.nodes[source].kind in _ROOTS:
            return frozenset({source})
        if source not in self._roots:
            found: frozenset[Any] = frozenset()
            for each in self.nodes[source].sources:
                found |= self.roots(each)
            self._roots[source] = found
        return self._roots[source]

    def are_independent(self, sources: Sequence[int | None]) -> bool:
        """Returns whether no two of these signals are made from one kernel, or something unknown.

        Signals behind different random kernels have unrelated entries.
        """
        seen: set[int | None] = set()
        for source in sources:
            roots = self.roots(source)
            if None in roots or roots & seen:
                return False
            seen |= roots
        return True

    def sites(self, node: Node) -> spread.Sites:
        """Returns the sites of a node; those of an operation are the ones of what it takes."""
        if node.call is not None:
            return spread.sites_of(node.call)
        source = node.sources[0] if node.sources else None
        while source is not None and source >= 0:
            before = self.nodes[source]
            if before.call is not None:
                return spread.sites_between(node.shape, before.call.columns)
            source = before.sources[0] if len(before.sources) == 1 else None
        return spread.sites_between(node.shape, None)


def find_net(
    calls: Sequence[Call],
    picture: Callable[[], Picture | None],
    *,
    training: bool,
) -> Net:
    """Returns the nodes of a run.

    The wiring is asked for only where something happens between layers.
    """
    between = any(not c.composite and UNKNOWN in c.sources for c in calls)
    if between and (drawn := picture()) is not None and _holds_all(drawn, calls):
        return _drawn(drawn, training)
    return _recorded(calls, training)


def _holds_all(picture: Picture, calls: Sequence[Call]) -> bool:
    subjects = picture.wiring.subjects
    return all(
        call.composite or (i in picture.places and subjects[picture.places[i]] is call.layer)
        for i, call in enumerate(calls)
    )


def _drawn(picture: Picture, training: bool) -> Net:
    wiring, calls = picture.wiring, picture.calls
    recorded = {place: i for i, place in picture.places.items() if not calls[i].composite}
    nodes = []
    for place in wiring.calls:
        call = calls[recorded[place.index]] if place.index in recorded else None
        shapes = wiring.shapes_into(place)
        shape = place.shape if call is None else call.output.shape
        nodes.append(
            Node(place.index, wiring.subjects[place.index], place.kind, place.signals, shape,
                 shapes, call, place)
        )  # fmt: skip
    by_call = {i: place for place, i in recorded.items()}
    return Net(nodes, by_call, frozenset(wiring.outputs), -1, wiring, training)


def _recorded(calls: Sequence[Call], training: bool) -> Net:
    nodes: list[Node] = []
    by_call: dict[int, int] = {}
    hidden = -1
    for i, call in enumerate(calls):
        if call.composite:
            continue
        sources = tuple(
            -1 if source == INPUT else by_call.get(source) if source != UNKNOWN else None
            for source in call.sources
        )
        if None in sources:
            hidden = len(nodes)
        shapes = tuple(
            calls[s].output.shape if s >= 0 else call.inputs.shape if call.inputs else ()
            for s in call.sources
        )
        by_call[i] = len(nodes)
        nodes.append(
            Node(len(nodes), call.layer, kind(call.layer), sources, call.output.shape, shapes, call)
        )
    taken = {source for node in nodes for source in node.sources}
    ends = frozenset(range(len(nodes))) - taken
    return Net(nodes, by_call, ends, hidden, None, training)


def entries(shape: Sequence[int]) -> int:
    """Returns how many values one sample has."""
    return max(1, math.prod(shape[1:]))
