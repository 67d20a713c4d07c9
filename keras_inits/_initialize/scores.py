"""Scores: outputs that are products of two signals, summed over their units.

Factors of a matrix, towers of a retrieval model, words next to words: no kernel makes their logits.
Of n units of second moment 1 these would have n, and probabilities would start at 0 and 1.
"""

import functools
import math
import operator
from collections.abc import Iterator
from typing import NamedTuple

from keras_inits._initialize.aims import HEAD
from keras_inits._initialize.shares import constant_factor
from keras_inits._layers.kinds import KEEPS_SCALE, Kind
from keras_inits._layers.pooling import statistic
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
            product = _product(wiring, wiring.calls[index])
            if product is not None and not math.isnan(share):
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
    one, other = (_makers(wiring, side) for side in sides)
    made = one | other
    tables = all(wiring.calls[each].kind is Kind.EMBEDDING for each in made)
    if one and other and not one.keys() & other.keys():
        square = math.sqrt((_FACTORS if tables else HEAD) * share / units)
    elif made and any(_is_activated(wiring, side) for side in sides):
        square = HEAD * share / units
    else:
        return {}
    return {each: part.of(square) for each, part in made.items()}


def summands(wiring: Wiring, at: int, share: float) -> Iterator[tuple[int, float]]:
    """Yields the calls that an output is the sum of, each with its share; NaN if it is not known.

    What stands behind probabilities does not scale the scores before them.
    """
    while at >= 0:
        call = wiring.calls[at]
        if call.kind is Kind.SUM and len(call.signals) > 1:
            for source in call.signals:
                yield from summands(wiring, source, share / len(call.signals))
            return
        if call.kind is Kind.ACTIVATION and call.activation.lower() in _PROBABILITIES:
            share = 1.0
        elif call.kind is Kind.SCALING:
            share /= (constant_factor(wiring, call) or math.nan) ** 2
        elif call.kind not in _BEHIND:
            yield at, share
            return
        if len(call.signals) != 1:
            return
        (at,) = call.signals


def _product(wiring: Wiring, call: Call) -> tuple[int, int, int] | None:
    """Returns the operands of a product of two signals, and over how many units it is summed."""
    shapes = wiring.shapes_into(call)
    summed = call.kind is Kind.POOLING and statistic(wiring.subjects[call.index]) == "sum"
    if summed and call.signals[0] >= 0:
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


def _is_activated(wiring: Wiring, at: int) -> bool:
    """Returns whether a signal has a second moment of 1 or so whatever the kernel that makes it.

    An activation other than a softmax or sigmoid stands behind that.
    """
    activated = False
    while at >= 0:
        call = wiring.calls[at]
        if call.activation.lower() in _PROBABILITIES:
            break
        activated = activated or bool(call.activation)
        if call.is_map or call.kind is Kind.EMBEDDING:
            return activated
        passes = call.kind in KEEPS_SCALE or call.kind is Kind.ACTIVATION
        if not passes or len(call.signals) != 1:
            break
        (at,) = call.signals
    return False


class _Part(NamedTuple):
    """What a signal of second moment q needs of one that makes it: share q^power.

    Attributes:
        power: 1/2 of each of two factors.
        share: 1/n of each of n that are added up.
    """

    power: float = 1.0
    share: float = 1.0

    def of(self, square: float) -> float:
        """Returns the second moment that it needs."""
        return self.share * float(square**self.power)


_WHOLE = _Part()


def _makers(wiring: Wiring, at: int, part: _Part = _WHOLE) -> dict[int, _Part]:
    """Returns the kernels and lookups whose sums and products a signal is; none if others are.

    In a sum or product, only those that nothing else takes.
    """
    while at >= 0:
        call = wiring.calls[at]
        if part is not _WHOLE and len(wiring.graph.consumers.get(at, ())) > 1:
            return {}
        if call.is_map or call.kind is Kind.EMBEDDING:
            return {} if call.is_map and call.activation else {at: part}
        count = len(call.signals)
        if call.kind is Kind.SUM and count > 1:
            part = _Part(part.power, part.share / count)
        elif call.kind is Kind.PRODUCT and count == 2:
            part = _Part(part.power / 2, math.sqrt(part.share))
        elif count != 1 or call.weights or call.kind not in _BEHIND | {Kind.SCALING}:
            return {}
        if count > 1:
            each = [_makers(wiring, source, part) for source in call.signals]
            return functools.reduce(operator.or_, each) if all(each) else {}
        (at,) = call.signals
    return {}
