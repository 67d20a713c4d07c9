"""Normalizations that are written out as operations, such as `x / norm(x)`.

A function f is homogeneous of degree d if f(a x) = a^d f(x) for a > 0. A product of signals whose
degrees add up to 0 does not depend on the scale of what it is made of.
"""

from collections.abc import Mapping
from typing import Any

from keras_inits._layers.activations import HOMOGENEOUS
from keras_inits._layers.kinds import KEEPS_SCALE, Kind
from keras_inits._layers.pooling import statistic
from keras_inits._wiring.graph import Call, Graph
from keras_inits._wiring.steps import Step

# A constant that is added is an epsilon, and a bias is 0 at the start.
_KEPT = KEEPS_SCALE | {Kind.SHIFT, Kind.SCALING, Kind.CONCATENATION}
_DEGREES = {
    "square": 2.0, "sqrt": 0.5, "rsqrt": -0.5, "cbrt": 1 / 3, "reciprocal": -1.0, "absolute": 1.0,
    "abs": 1.0, "fabs": 1.0, "maximum": 1.0, "minimum": 1.0, "clip": 1.0,
}  # fmt: skip
_OF_POOLING = dict.fromkeys(("mean", "sum", "max", "min", "median", "std", "norm"), 1.0) | {
    "var": 2.0
}


def find_free_of_scale(graph: Graph, steps: tuple[Step, ...]) -> frozenset[int]:
    """Returns the products of signals that keep their values whatever the scale of these.

    With each product come the calls whose output goes into nothing else.

    Args:
        graph: the calls of a model.
        steps: the same calls, with their arguments.
    """
    found: set[int] = set()
    for product in graph.calls:
        inside = _made_free(graph, steps, product)
        if not inside:
            continue
        found.add(product.index)
        for index in sorted(inside, reverse=True):
            if index not in graph.outputs and found.issuperset(graph.consumers[index]):
                found.add(index)
    return frozenset(found)


def _made_free(graph: Graph, steps: tuple[Step, ...], product: Call) -> set[int]:
    """Returns the calls that make a product out of one signal, if it is of degree 0 in that."""
    if product.kind is not Kind.PRODUCT or len(product.signals) != 2:
        return set()
    fork = graph.last_common(product.signals)
    if fork is None:
        return set()
    degrees = {fork: 1.0}
    inside = {c.index for s in product.signals for c in graph.between(fork, s)}
    if not any(graph.calls[i].kind is Kind.POOLING for i in inside):
        return set()  # x / |x|, say, is a function of single values
    for index in sorted(inside | {product.index}):
        degree = _degree(graph.calls[index], steps[index], degrees)
        if degree is None:
            return set()
        degrees[index] = degree
    return inside if abs(degrees[product.index]) < 1e-6 else set()


def _degree(call: Call, step: Step, degrees: Mapping[int, float]) -> float | None:
    """Returns the degree of what a call makes; None if it has none, or it is not known."""
    given = [degrees[s] for s in call.signals if s in degrees]
    if not given or len(given) < len(call.signals) or call.is_unknown:
        return None
    first = given[0]
    match call.kind:
        case Kind.PRODUCT if len(given) == 2 and call.type in ("multiply", "Multiply"):
            return sum(given)
        case Kind.PRODUCT if len(given) == 2 and "divide" in call.type:
            return given[0] - given[1]
        case Kind.SUM if call.type.lower() in ("add", "subtract"):
            return first if len(set(given)) == 1 else None
        case Kind.ELEMENTWISE if call.type == "power":
            power = _exponent(step)
            return None if power is None else first * power
        case Kind.ELEMENTWISE if "divide" in call.type:
            return -first
        case Kind.ELEMENTWISE:
            return first * _DEGREES[call.type] if call.type in _DEGREES else None
        case Kind.ACTIVATION:
            return first if call.activation in HOMOGENEOUS else None
        case Kind.POOLING:
            degree = _OF_POOLING.get(statistic(step.subject))
            return None if degree is None else first * degree
    return first if call.kind in _KEPT else None


def _exponent(step: Step) -> float | None:
    """Returns the exponent of a power of a signal, if it is a number."""
    arguments: tuple[Any, ...] = (*step.arguments[0], *step.arguments[1].values())
    exponent = arguments[1] if len(arguments) > 1 else None
    try:
        return float(exponent)  # type: ignore[arg-type]
    except (TypeError, ValueError):  # the signal itself is the exponent
        return None
