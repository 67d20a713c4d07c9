"""What follows a kernel: its activation, what lies between, and normalization of its scale."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from keras_inits._layers.activations import HOMOGENEOUS
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
# Of single values each: no gradient comes through, but what they select does.
_SELECTING = frozenset(
    {"greater", "greater_equal", "less", "less_equal", "equal", "not_equal", "logical_and",
     "logical_or", "logical_not", "logical_xor", "sign", "signbit", "heaviside", "zeros_like",
     "ones_like", "full_like"}
)  # fmt: skip
_SOFTMAX = frozenset({"softmax", "log_softmax"})
_NEXT = frozenset({Kind.ATTENTION, Kind.RECURRENT, Kind.CONTRACTION, Kind.EMBEDDING})
_HOMOGENEOUS = HOMOGENEOUS | {""}  # or no activation at all
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
            return _several(consumers, tuple(between))
        (at,) = consumers
        if at.kind is Kind.CONCATENATION:
            # All parts meet one activation, if there is one.
            behind = find_following(graph, at)
            if behind.activation not in ("", "linear"):
                return replace(behind, between=(*between, at.index, *behind.between))
        if at.kind not in _SEEN_THROUGH and not _is_linear(at):
            linear = at.is_map or at.kind in _NEXT
            met = "" if linear else f"{at.type} ({at.kind})"
            return Following("linear" if linear else "", (), tuple(between), met)
        between.append(at.index)


def _ending(ends: bool, consumers: list[Call]) -> str:
    if ends:
        return ""
    return "the model's output, and other calls" if consumers else "nothing: it is not used"


def _several(consumers: list[Call], between: tuple[int, ...]) -> Following:
    """Returns what follows where a signal goes several ways: one answer if all ways agree."""
    if all(c.is_map or c.kind in _NEXT for c in consumers):
        return Following("linear", (), between)
    kinds = dict.fromkeys(f"{c.type} ({c.kind})" for c in consumers)
    return Following("", (), between, " and ".join(kinds))


def _region(graph: Graph, start: int) -> tuple[int, ...]:
    """Returns the calls that make one function of single values out of a signal, or none.

    So `x * sigmoid(x)`, `maximum(x, 0.1 * x)` or `where(x > 0, x, 0)`: every way from `start` goes
    through these calls, and ends in the last of them, which is the first where all ways meet again
    and nothing that bends follows: of `relu(x) ** 2` the square. Of a function that takes several
    calls constant factors and shifts behind it are a part.
    """
    inside, chosen, first = {start}, set[int](), graph.calls[start]  # chosen: comparisons
    region: tuple[int, ...] = ()
    for call in graph.calls[start + 1 :]:
        uses = inside.intersection(call.signals)
        if _selects(call, first, inside | chosen):
            chosen.add(call.index)
            continue
        if not uses or (call.kind is Kind.CUT or not call.carries):
            continue
        if not _is_inside(call, first, inside, chosen):
            return region
        before = set(inside)
        inside.add(call.index)
        reached = {c for i in before for c in graph.consumers.get(i, ())}
        if not reached <= inside or before.intersection(graph.outputs):
            continue
        made = inside - {start}
        bends = [i for i in made if _bends(graph.calls[i]) or chosen & set(graph.calls[i].sources)]
        if not bends:
            continue
        if not region or call.index in bends or len(region) > 1:
            needed = {s for i in made for s in graph.calls[i].sources} & chosen
            needed |= {s for i in needed for s in graph.calls[i].sources} & chosen
            region = tuple(sorted(made | needed))
        if graph.calls[region[-1]].activation.lower() in _SOFTMAX:
            return region
    return region


def _selects(call: Call, first: Call, known: set[int]) -> bool:
    """Returns whether a call compares values of a signal, or casts such a comparison."""
    if not call.sources or not known.issuperset(call.sources) or not _same_shape(first, call):
        return False
    return call.type in _SELECTING or (call.kind is Kind.IDENTITY and not call.signals)


def _is_inside(call: Call, first: Call, inside: set[int], chosen: set[int]) -> bool:
    """Returns whether a call goes on with a function of single values of one signal."""
    learned = call.weights and call.kind is not Kind.ACTIVATION
    selected = bool(chosen.intersection(call.sources)) and call.type == "where"
    single = call.kind in _SINGLE_VALUES or selected
    own = inside.issuperset(call.signals) and (inside | chosen).issuperset(call.sources)
    return single and own and not learned and _same_shape(first, call)


def _is_linear(call: Call) -> bool:
    """Returns whether a call is an activation that does nothing, as `Activation("linear")` is."""
    return call.kind is Kind.ACTIVATION and not call.activation


def _same_shape(call: Call, other: Call) -> bool:
    if call.over_time and not other.over_time:  # the other has the steps of time too
        return call.shape == (*other.shape[:1], *other.shape[2:])
    return call.shape == other.shape


def _bends(call: Call) -> bool:
    return (call.kind in _BENDS and not _is_linear(call)) or call.type.lower() in _BENDING_SUMS


def _name(calls: tuple[Call, ...]) -> str:
    # Of a softmax what comes before, such as a temperature, does not change what it is.
    if len(calls) == 1 or calls[-1].activation.lower() in _SOFTMAX:
        return calls[-1].activation or calls[-1].type
    return " of ".join(c.activation or c.type for c in reversed(calls))


def find_normalizations(
    graph: Graph,
    call: Call,
    through: Callable[[Call], bool] = lambda _: False,
    written_out: Collection[int] = (),
) -> tuple[int, ...]:
    """Returns the normalizations that take a call's scale away, on every way; else none.

    Args:
        graph: the calls of a model.
        call: whose scale it is.
        through: says which calls hand it on besides those that do by what they are.
        written_out: the operations of which normalizations consist that are no single call.
    """
    known: dict[int, tuple[int, ...]] = {}

    def behind(at: Call) -> tuple[int, ...]:
        bends = at.activation not in _HOMOGENEOUS and not through(at)
        if bends or at.index in graph.outputs:
            return ()
        if at.index not in known:
            found: list[int] = []
            for index in graph.consumers.get(at.index, ()):
                following = graph.calls[index]
                if following.kind is Kind.NORMALIZATION or index in written_out:
                    found.append(index)
                elif (_keeps_factor(following) or through(following)) and (
                    more := behind(following)
                ):
                    found += more
                else:
                    found = []
                    break
            known[at.index] = tuple(dict.fromkeys(found))
        return known[at.index]

    return behind(call)


def _keeps_factor(call: Call) -> bool:
    if call.kind is Kind.ACTIVATION:
        return call.activation in _HOMOGENEOUS
    unbiased = call.is_map and not any(path.split("/")[-1] == "bias" for path in call.weights)
    return unbiased or call.kind in _KEEPS_FACTOR
