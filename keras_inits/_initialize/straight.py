"""Straight-through sums: the values of one signal, with the gradient of another.

x + stop_gradient(q - x) puts out q, such as the nearest code or what x is rounded to, and hands its
gradient to x (Bengio et al. 2013, https://arxiv.org/abs/1308.3432; van den Oord et al. 2017, eq. 3,
https://arxiv.org/abs/1711.00937).
"""

from collections import Counter
from typing import NamedTuple

from keras_inits._wiring import Call, Wiring

_SUMS = {"add": (1, 1), "subtract": (1, -1)}
_CUT = "stop_gradient"
_DEPTH = 4  # of sums and differences inside each other; as they are written there are three


class Straight(NamedTuple):
    """What a straight-through sum is made of.

    Attributes:
        values: the source of its values.
        is_learned: whether weights make these, which are to become what they stand for.
    """

    values: int
    is_learned: bool


def straight_through(wiring: Wiring, call: Call) -> Straight | None:
    """Returns what a sum puts out whose other terms cancel; None for other calls."""
    if call.type.lower() not in _SUMS or len(call.signals) != 1:
        return None
    terms: Counter[int] = Counter()
    if not _add_terms(wiring, call.index, 1, terms, _DEPTH):
        return None
    left = [source for source, count in terms.items() if count]
    if len(terms) != 2 or len(left) != 1 or terms[left[0]] != 1:
        return None
    (other,) = terms.keys() - set(left)
    made = _behind(wiring, left[0]) - _behind(wiring, other)
    return Straight(left[0], any(wiring.calls[each].weights for each in made))


def _add_terms(wiring: Wiring, at: int, sign: int, terms: Counter[int], depth: int) -> bool:
    """Counts the terms of a sum; returns whether a gradient is kept from one of them."""
    call = wiring.calls[at] if at >= 0 else None
    if call is not None and call.type == _CUT:
        _add_terms(wiring, call.sources[0], sign, terms, depth)
        return True
    signs = _SUMS.get(call.type.lower()) if call is not None and depth else None
    if call is None or signs is None or len(call.sources) != len(signs):
        terms[at] += sign
        return False
    is_cut = False
    for source, own in zip(call.sources, signs, strict=True):
        is_cut |= _add_terms(wiring, source, sign * own, terms, depth - 1)
    return is_cut


def _behind(wiring: Wiring, at: int) -> set[int]:
    """Returns a call and all that it is made of."""
    found: set[int] = set()
    open_ = [at]
    while open_:
        if (source := open_.pop()) >= 0 and source not in found:
            found.add(source)
            open_ += wiring.calls[source].sources
    return found
