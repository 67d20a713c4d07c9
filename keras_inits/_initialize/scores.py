"""Scores: outputs that are products of two signals, summed over their units.

Factors of a matrix, towers of a retrieval model, words next to words: no kernel makes their logits.
Of n units of second moment 1 these would have n, and probabilities would start at 0 and 1.
"""

import math
from collections.abc import Iterator

from keras_inits._initialize.aims import HEAD
from keras_inits._layers.kinds import KEEPS_SCALE, Kind
from keras_inits._moments import summed_count
from keras_inits._wiring import Call, Wiring

# Between a score and an output.
_BEHIND = KEEPS_SCALE | {Kind.SHIFT}
_PROBABILITIES = frozenset({"sigmoid", "softmax", "log_softmax", "log_sigmoid"})


def score_parts(wiring: Wiring) -> dict[int, float]:
    """Returns the second moments of what makes scores, at which these have `HEAD`.

    Each operand of a product of n units gets sqrt(HEAD / n). Operands of a sum that is the output,
    such as a bias of each user, share `HEAD` among them.

    Returns:
        For each kernel or lookup in a table whose output goes into a score, by index of the call.
    """
    found: dict[int, float] = {}
    for output in wiring.outputs:
        for index, variance, among in _operands(wiring, output, HEAD, False):
            call = wiring.calls[index]
            if (product := _product(wiring, call)) is not None:
                one, two, count = product
                parts = [_maker(wiring, source) for source in (one, two)]
                if None not in parts and parts[0] != parts[1]:
                    found |= {p: math.sqrt(variance / count) for p in parts if p is not None}
            elif among and call.kind is Kind.EMBEDDING and not call.backwards:
                found[index] = variance
    return found


def _operands(
    wiring: Wiring, at: int, variance: float, among: bool
) -> Iterator[tuple[int, float, bool]]:
    """Yields what an output is the sum of, each with its share, and whether there are several."""
    while at >= 0:
        call = wiring.calls[at]
        if call.kind is Kind.SUM and len(call.signals) > 1:
            for source in call.signals:
                yield from _operands(wiring, source, variance / len(call.signals), True)
            return
        passes = call.kind in _BEHIND or (
            call.kind is Kind.ACTIVATION and call.activation.lower() in _PROBABILITIES
        )
        if not passes or len(call.signals) != 1:
            yield at, variance, among
            return
        (at,) = call.signals


def _product(wiring: Wiring, call: Call) -> tuple[int, int, int] | None:
    """Returns the operands of a product of two signals, and over how many units it is summed."""
    shapes = wiring.shapes_into(call)
    if call.kind is Kind.POOLING and call.type.partition(" ")[0] == "sum" and call.signals[0] >= 0:
        inner = wiring.calls[call.signals[0]]
        if inner.kind is Kind.PRODUCT and len(inner.signals) == 2 and shapes:
            count = math.prod(shapes[0][1:]) // max(1, math.prod(call.shape[1:]))
            return (*inner.signals, count)
        return None
    normalizes = getattr(wiring.subjects[call.index], "normalize", False)
    if call.kind not in (Kind.CONTRACTION, Kind.PRODUCT) or len(call.signals) != 2 or normalizes:
        return None
    count = summed_count(wiring, call)
    return None if not count else (*call.signals, count)


def _maker(wiring: Wiring, source: int) -> int | None:
    """Returns the kernel or the lookup that makes a signal, up to its shape."""
    while source >= 0:
        call = wiring.calls[source]
        if call.is_map:
            return None if call.activation else source
        if call.kind is Kind.EMBEDDING:
            return source
        if call.kind not in KEEPS_SCALE or len(call.signals) != 1:
            return None
        (source,) = call.signals
    return None
