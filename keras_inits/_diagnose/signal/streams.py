"""Checks of the whole net: streams that grow from sum to sum, and responses out of proportion.

In a residual net every layer has a way around, and no single one is at fault: what grows is the
stream x, x + f(x), x + f(x) + g(f(x) + x), ..., by a factor at each sum.
"""

import math
from collections.abc import Sequence

from keras_inits._diagnose.seen.picture import Picture, takes_scale_away
from keras_inits._diagnose.signal.evidence import Evidence, Found
from keras_inits._diagnose.signal.remedies import scale_input
from keras_inits._layers.kinds import Kind, is_a
from keras_inits._reporting import Finding
from keras_inits._wiring import Stream

# Numbers of a finding about a whole net, of which no single layer is the cause.
WHOLE = frozenset({"sums", "response"})
# Each batch normalization before a rectifier multiplies the gradient by 1.21 at the start (Yang et
# al. 2019, section 3, https://arxiv.org/abs/1902.08129), 1e4 in InceptionV3; training undoes that.
_NORMALIZED = 100.0


def exploding(evidence: Evidence) -> Found:
    """Yields streams that grow by a factor at each sum."""
    return (pair for pair in _drifting(evidence) if pair[1].kind == "exploding")


def vanishing(evidence: Evidence) -> Found:
    """Yields streams that shrink by a factor at each sum."""
    return (pair for pair in _drifting(evidence) if pair[1].kind == "vanishing")


def _drifting(evidence: Evidence) -> Found:
    sizes = [call.output.second_moment for call in evidence.calls]
    known = [size for size in sizes if 0 < size < math.inf]
    limit = evidence.thresholds.growth**2
    all_finite = len(known) == len([s for s in sizes if s != 0])
    if not known or (all_finite and max(known) / min(known) < limit):
        return  # nothing drifts that far: no need to look how the model is wired
    picture = evidence.picture
    for number, stream in enumerate(picture.wiring.streams if picture else ()):
        finding = _judged(evidence, picture, number, stream) if picture else None
        if finding is not None:
            yield None, finding


def _judged(evidence: Evidence, picture: Picture, number: int, stream: Stream) -> Finding | None:
    """Returns what is wrong with a stream.

    Branches of one size that are added up make its second moment grow in proportion to their
    number, as in a pre-norm transformer: that is by design, and divided out.
    """
    sizes = [(call, picture.size(call)) for call in stream.sums]
    finite = [(c, s) for c, s in sizes if s is not None and 0 < s < math.inf]
    if len(finite) < 2:
        return None
    (first, before), (last, after) = finite[0], finite[-1]
    steps = stream.sums.index(last) - stream.sums.index(first)
    ratio, limit = after / before, evidence.thresholds.growth**2
    overflows = any(s is not None and not math.isfinite(s) for _, s in sizes)
    if not overflows and _is_normalized(evidence, picture, stream.sums[-1]):
        return None
    if 1 / limit <= ratio <= limit * (steps + 1):
        return None
    growth = ratio**0.5
    each = ratio ** (1 / (2 * steps))
    name = picture.wiring.calls[first].path, picture.wiring.calls[last].path
    count = len(stream.sums)
    overflow = {"overflow": 1.0} if overflows else {}
    more = "and overflows behind it" if overflows else f"{each:.3g} at each"
    most, least = (limit * (steps + 1)) ** 0.5, limit**-0.5
    bound = f"at most {most:.3g}" if ratio > 1 else f"at least {least:.3g}"
    ends = dict.fromkeys((*_branch_ends(picture, first), *_branch_ends(picture, last)))
    return Finding(
        kind="exploding" if ratio > 1 else "vanishing",
        where=(*name, *ends),
        evidence=(
            f"the stream of {count} sums from {name[0]} to {name[1]} has root mean square "
            f"{before**0.5:.3g} at the first of them and {after**0.5:.3g} at the last, "
            f"{growth:.3g} times as much ({more}; {bound})"
        ),
        consequence=(
            "Every layer has a way around and none is at fault alone: what each branch adds is in "
            "proportion to the stream, and so are its output and its gradient"
        ),
        remedy=_scale_ends(number, each, stream.branches),
        numbers={
            "sums": count,
            "growth": growth,
            "growth at each sum": each,
            "first": before**0.5,
            "last": after**0.5,
            **overflow,
        },
    )


def _branch_ends(picture: Picture, place: int) -> list[str]:
    """Returns the layers at the end of the branches of a sum: what they add is to become less."""
    found = next((each for each in picture.wiring.sums if each.call == place), None)
    return [picture.wiring.calls[end].path for end in found.branch_ends] if found else []


def _is_normalized(evidence: Evidence, picture: Picture, place: int) -> bool:
    after = [each.index for each in picture.wiring.normalized_after(picture.wiring.calls[place])]
    recorded = {at: call for call, at in picture.places.items()}
    found = [recorded.get(index) for index in after]
    return takes_scale_away(picture.calls, found, evidence.thresholds.growth)


def _scale_ends(stream: int, each: float, branches: int) -> str:
    """Returns code that scales the end of each branch of a stream, so that all sum up to it once.

    A branch adds (each² - 1) times the stream's second moment, and should add 1/branches of it: the
    product (1 + 1/L)^L stays below e.
    """
    if each <= 1:
        return ""
    factor = (branches * max(each**2 - 1, 1.0)) ** -0.5
    return (
        "wiring = keras_inits.wiring(model)\n"
        f"for place in wiring.streams[{stream}].sums:\n"
        "    for end in next(s for s in wiring.sums if s.call == place).branch_ends:\n"
        "        kernel = wiring.subjects[end].weights[0]\n"
        f"        kernel.assign(kernel * {factor:.3g})"
    )


def responding(evidence: Evidence) -> Found:
    """Yields that the whole net answers a change of its input out of all proportion."""
    jacobian, limit = evidence.jacobian, evidence.thresholds.response
    if any(is_a(call.layer, Kind.NORMALIZATION) for call in evidence.calls):
        limit *= _NORMALIZED
    if jacobian is None or not math.isfinite(jacobian.response) or jacobian.response <= limit:
        return
    names = _ends(evidence)
    yield (
        None,
        Finding(
            kind="exploding",
            where=names,
            evidence=(
                "a change of each input by its standard deviation moves the output by a root mean "
                f"square of {jacobian.response:.3g} (at most {limit:g}): the mean squared singular "
                f"value of the Jacobian is {jacobian.mean_squared_singular_value:.3g}"
            ),
            consequence=(
                "Gradients grow by as much on their way back, and samples that hardly differ get "
                "unlike outputs"
            ),
            remedy=scale_input(evidence, limit=10.0),
            numbers={"response": jacobian.response, "limit": limit},
        ),
    )


def _ends(evidence: Evidence) -> tuple[str, ...]:
    calls: Sequence[int] = [i for i, c in enumerate(evidence.calls) if evidence.own_weights(i)]
    ends = (calls[0], calls[-1]) if calls else (0, len(evidence.calls) - 1)
    return tuple(dict.fromkeys(evidence.calls[i].name for i in ends)) if evidence.calls else ()
