"""What follows a kernel: its activation, what lies between, and normalization of its scale."""

from dataclasses import dataclass

from keras_inits._layers.kinds import Kind
from keras_inits._wiring.graph import PASSED, Call, Graph

# One value out for each value in, whatever lies around it.
_SINGLE_VALUES = frozenset(
    {Kind.ACTIVATION, Kind.ELEMENTWISE, Kind.SCALING, Kind.SHIFT, Kind.PRODUCT, Kind.SUM,
     Kind.IDENTITY}
)  # fmt: skip
_BENDS = frozenset({Kind.ACTIVATION, Kind.ELEMENTWISE, Kind.PRODUCT})
_BENDING_SUMS = frozenset({"maximum", "minimum", "fmax", "fmin", "logaddexp", "logaddexp2"})
_SEEN_THROUGH = PASSED | {Kind.NORMALIZATION}
_NEXT = frozenset({Kind.ATTENTION, Kind.RECURRENT, Kind.CONTRACTION, Kind.EMBEDDING})
# f(a x) = a f(x) for a > 0.
_HOMOGENEOUS = frozenset({"relu", "leaky_relu", "ReLU", "LeakyReLU", "PReLU", ""})
_KEEPS_FACTOR = (PASSED - {Kind.SHIFT, Kind.PREPROCESSING}) | {Kind.SCALING}


@dataclass(frozen=True)
class Following:
    """What the output of a call meets.

    Attributes:
        activation: the name of the activation that it meets first; `"linear"` if the next kernel
            or the model's output comes first; empty if neither is sure.
        calls: the calls that compute the activation; empty where the layer has its own.
        between: what lies between, seen through: pooling, noise, normalization, ...
        met: in words, what stopped the search where no activation is known; else empty.
    """

    activation: str
    calls: tuple[int, ...] = ()
    between: tuple[int, ...] = ()
    met: str = ""


def find_following(graph: Graph, call: Call) -> Following:
    """Returns what follows a call."""
    if call.activation:
        return Following(call.activation)
    between: list[int] = []
    at = call
    while True:
        consumers = [graph.calls[i] for i in graph.consumers.get(at.index, ())]
        if at.index in graph.outputs or not consumers:
            ends = at.index in graph.outputs and not consumers
            return Following("linear" if ends else "", (), tuple(between), _ending(ends, consumers))
        if region := _region(graph, at.index):
            calls = tuple(graph.calls[i] for i in region)
            return Following(_name(calls), region, tuple(between))
        if len(consumers) > 1:
            return _several(graph, consumers, tuple(between))
        (at,) = consumers
        if at.kind not in _SEEN_THROUGH and not _is_linear(at):
            linear = at.is_map or at.kind in _NEXT
            met = "" if linear else f"{at.type} ({at.kind})"
            return Following("linear" if linear else "", (), tuple(between), met)
        between.append(at.index)


def _ending(ends: bool, consumers: list[Call]) -> str:
    if ends:
        return ""
    return "the model's output, and other calls" if consumers else "nothing: it is not used"


def _several(graph: Graph, consumers: list[Call], between: tuple[int, ...]) -> Following:
    """Returns what follows where a signal goes several ways: one answer if all ways agree."""
    if all(c.is_map or c.kind in _NEXT for c in consumers):
        return Following("linear", (), between)
    kinds = dict.fromkeys(f"{c.type} ({c.kind})" for c in consumers)
    return Following("", (), between, " and ".join(kinds))


def _region(graph: Graph, start: int) -> tuple[int, ...]:
    """Returns the calls that make one function of single values out of a signal, or none.

    So `x * sigmoid(x)` or `maximum(x, 0.1 * x)`: every way from `start` goes through these calls,
    and ends in the last of them, which is the first where all ways meet again.
    """
    inside, first = {start}, graph.calls[start]
    for call in graph.calls[start + 1 :]:
        if not inside.intersection(call.signals):
            continue
        learned = call.weights and call.kind is not Kind.ACTIVATION
        if learned or call.kind not in _SINGLE_VALUES or not _same_shape(first, call):
            return ()
        if not inside.issuperset(call.signals):
            return ()
        before = set(inside)
        inside.add(call.index)
        reached = {c for i in before for c in graph.consumers.get(i, ())}
        meet = reached <= inside and not before.intersection(graph.outputs)
        if meet and any(_bends(graph.calls[i]) for i in inside - {start}):
            return tuple(sorted(inside - {start}))
    return ()


def _is_linear(call: Call) -> bool:
    """Says whether a call is an activation that does nothing, as `Activation("linear")` is."""
    return call.kind is Kind.ACTIVATION and not call.activation


def _same_shape(call: Call, other: Call) -> bool:
    if call.over_time and not other.over_time:  # the other has the steps of time too
        return call.shape == (*other.shape[:1], *other.shape[2:])
    return call.shape == other.shape


def _bends(call: Call) -> bool:
    return (call.kind in _BENDS and not _is_linear(call)) or call.type.lower() in _BENDING_SUMS


def _name(calls: tuple[Call, ...]) -> str:
    if len(calls) == 1:
        return calls[0].activation or calls[0].type
    return " of ".join(c.activation or c.type for c in reversed(calls))


def find_normalizations(graph: Graph, call: Call) -> tuple[int, ...]:
    """Returns the normalizations that take a call's scale away, on every way; else none."""
    if call.activation not in _HOMOGENEOUS or call.index in graph.outputs:
        return ()
    found: list[int] = []
    for index in graph.consumers.get(call.index, ()):
        following = graph.calls[index]
        if following.kind is Kind.NORMALIZATION:
            found.append(index)
        elif _keeps_factor(following) and (behind := find_normalizations(graph, following)):
            found += behind
        else:
            return ()
    return tuple(dict.fromkeys(found))


def _keeps_factor(call: Call) -> bool:
    if call.kind is Kind.ACTIVATION:
        return call.activation in _HOMOGENEOUS
    unbiased = call.is_map and not any(path.split("/")[-1] == "bias" for path in call.weights)
    return unbiased or call.kind in _KEEPS_FACTOR
