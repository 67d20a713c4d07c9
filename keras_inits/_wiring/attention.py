"""Attention, found by what it computes: softmax(query · key) · value, then a projection.

So it is the same for Keras's layers, for Keras Hub's own, and for one that is written with
`keras.ops`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from keras_inits._layers.kinds import Kind
from keras_inits._wiring.graph import PASSED, Call, Graph

_SOFTMAX = frozenset({"softmax", "Softmax"})
# Between the scores and the softmax, and between the weights and the values.
_ALONG = PASSED | {Kind.SCALING, Kind.ELEMENTWISE, Kind.ACTIVATION, Kind.CONCATENATION}


@dataclass(frozen=True)
class Attention:
    """The projections of one attention.

    Attributes:
        call: the softmax, or the operation that is all of the attention.
        query: the call that projects the queries; None if it is not one.
        key: the same for the keys. Where one kernel makes queries, keys and values, all three are
            that call.
        value: the same for the values.
        out: the call that projects the result; None if no kernel follows.
    """

    call: int
    query: int | None
    key: int | None
    value: int | None
    out: int | None


def find_attentions(graph: Graph) -> tuple[Attention, ...]:
    """Returns every attention among the calls."""
    return tuple(_attentions(graph))


def _attentions(graph: Graph) -> Iterator[Attention]:
    for call in graph.calls:
        if call.kind is Kind.ATTENTION and len(call.signals) >= 3 and not call.problem:
            query, key, value = call.sources[:3]
            yield _found(graph, call, query, key, value, call)
        elif call.kind is Kind.ACTIVATION and call.activation in _SOFTMAX:
            scores = _scores(graph, call)
            mixed = _mixed(graph, call)
            if scores is None or mixed is None:
                continue
            weights, product = mixed
            values = [s for s in product.signals if s != weights]
            if len(values) == 1 and len(scores.sources) == 2:
                query, key = _query_and_key(scores)
                yield _found(graph, call, query, key, values[0], product)


def _found(graph: Graph, call: Call, query: int, key: int, value: int, product: Call) -> Attention:
    return Attention(
        call=call.index,
        query=_kernel_behind(graph, query),
        key=_kernel_behind(graph, key),
        value=_kernel_behind(graph, value),
        out=_next_kernel(graph, product),
    )


def _scores(graph: Graph, softmax: Call) -> Call | None:
    """Returns the product of queries and keys that a softmax is taken of."""
    if not softmax.signals:  # of constants, as routing by agreement starts from
        return None
    stop = graph.behind(softmax.signals[0], lambda c: c.kind is Kind.CONTRACTION or c.is_map)
    products = [i for i in stop if graph.calls[i].kind is Kind.CONTRACTION]
    return graph.calls[products[-1]] if products else None


def _mixed(graph: Graph, softmax: Call) -> tuple[int, Call] | None:
    """Returns the product of weights and values, with the call that hands the weights to it."""
    at = softmax
    while True:
        following = [graph.calls[i] for i in graph.consumers.get(at.index, ())]
        if len(following) != 1:
            return None
        if following[0].kind is Kind.CONTRACTION:
            return at.index, following[0]
        if following[0].kind not in _ALONG:
            return None
        (at,) = following


def _query_and_key(scores: Call) -> tuple[int, int]:
    """Returns which operand of the scores comes from the queries and which from the keys.

    Softmax is taken along the last axis, over the keys: in an equation the label of that axis is
    the keys'. In a matrix product the keys are the second operand, transposed.
    """
    first, second = scores.sources
    _, _, equation = scores.type.partition(" ")
    if "->" not in equation:
        return first, second
    operands, result = equation.replace(" ", "").split("->")
    return (second, first) if result[-1] in operands.split(",")[0] else (first, second)


def _kernel_behind(graph: Graph, source: int) -> int | None:
    kernels = graph.behind(source, lambda call: call.is_map)
    return kernels[0] if len(kernels) == 1 else None


def _next_kernel(graph: Graph, call: Call) -> int | None:
    at = call
    while True:
        following = [graph.calls[i] for i in graph.consumers.get(at.index, ())]
        if len(following) != 1:
            return None
        (at,) = following
        if at.is_map:
            return at.index
        if at.kind not in _ALONG | {Kind.NORMALIZATION, Kind.PRODUCT}:
            return None
