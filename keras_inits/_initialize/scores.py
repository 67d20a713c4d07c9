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

# Second moment of logits that two tables make. A head's sees features, and hands a gradient back to
# what makes them; a product of random rows is noise that has to be unlearned (docs/auto.md, by
# benchmarks/auto_tables.py). At 0 no gradient would come.
_FACTORS = 1e-3
# Between a score and an output.
_BEHIND = KEEPS_SCALE | {Kind.SHIFT}
_PROBABILITIES = frozenset({"sigmoid", "softmax", "log_softmax", "log_sigmoid"})


def score_parts(wiring: Wiring) -> dict[int, float]:
    """Returns the second moments of what makes scores, at which these are those of a guess.

    Each operand of a product of n units gets sqrt(q / n), for logits of `HEAD`, or less if both are
    rows of tables. Tables whose rows are added to a product, such as a bias of each user, get 0.

    Returns:
        For each kernel or lookup in a table whose output goes into a score, by index of the call.
    """
    found: dict[int, float] = {}
    for output in wiring.outputs:
        parts = list(summands(wiring, output, 1.0))
        products: dict[int, float] = {}
        for index, share in parts:
            if (product := _product(wiring, wiring.calls[index])) is None:
                continue
            products |= _of_product(wiring, product, share)
        found |= products
        for index, _ in parts if products else ():
            call = wiring.calls[index]
            if call.kind is Kind.EMBEDDING and not call.backwards:
                found[index] = 0.0
    return found


def _of_product(wiring: Wiring, product: tuple[int, int, int], share: float) -> dict[int, float]:
    """Returns the second moments of what makes the operands of one product."""
    *sides, units = product
    makers = [_maker(wiring, side) for side in sides]
    linear = {index for index, is_linear in makers if index is not None and is_linear}
    if None in (index for index, _ in makers) or makers[0] == makers[1] or not linear:
        return {}
    tables = all(wiring.calls[each].kind is Kind.EMBEDDING for each in linear)
    square = (_FACTORS if tables and len(linear) == 2 else HEAD) * share / units
    # Of units behind an activation it is 1 or so, whatever their kernel.
    return dict.fromkeys(linear, math.sqrt(square) if len(linear) == 2 else square)


def summands(wiring: Wiring, at: int, share: float) -> Iterator[tuple[int, float]]:
    """Yields the calls that an output is the sum of, each with its share."""
    while at >= 0:
        call = wiring.calls[at]
        if call.kind is Kind.SUM and len(call.signals) > 1:
            for source in call.signals:
                yield from summands(wiring, source, share / len(call.signals))
            return
        passes = call.kind in _BEHIND or (
            call.kind is Kind.ACTIVATION and call.activation.lower() in _PROBABILITIES
        )
        if not passes or len(call.signals) != 1:
            yield at, share
            return
        (at,) = call.signals


def _product(wiring: Wiring, call: Call) -> tuple[int, int, int] | None:
    """Returns the operands of a product of two signals, and over how many units it is summed."""
    shapes = wiring.shapes_into(call)
    if call.kind is Kind.POOLING and call.type.partition(" ")[0] == "sum" and call.signals[0] >= 0:
        inner = wiring.calls[call.signals[0]]
        if inner.kind is Kind.PRODUCT and len(inner.signals) == 2 and shapes:
            count = math.prod(shapes[0][1:]) // max(1, math.prod(call.shape[1:]))
            one, two = inner.signals
            return one, two, count
        return None
    normalizes = getattr(wiring.subjects[call.index], "normalize", False)
    if call.kind not in (Kind.CONTRACTION, Kind.PRODUCT) or len(call.signals) != 2 or normalizes:
        return None
    units = summed_count(wiring, call)
    one, two = call.signals
    return (one, two, units) if units else None


def _maker(wiring: Wiring, at: int) -> tuple[int | None, bool]:
    """Returns the kernel or the lookup that makes a signal, up to its shape and an activation.

    Returns:
        The call, or None; and whether there is no activation.
    """
    is_linear = True
    while at >= 0:
        call = wiring.calls[at]
        if call.activation.lower() in _PROBABILITIES:
            break
        is_linear = is_linear and not call.activation
        if call.is_map or call.kind is Kind.EMBEDDING:
            return at, is_linear
        passes = call.kind in KEEPS_SCALE or call.kind is Kind.ACTIVATION
        if not passes or len(call.signals) != 1:
            break
        (at,) = call.signals
    return None, False
