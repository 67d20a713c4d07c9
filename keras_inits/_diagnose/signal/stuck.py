"""Kernels of zeros that wait for each other: neither ever gets a gradient."""

from keras_inits._diagnose.seen.statistics import WeightReport
from keras_inits._diagnose.seen.traits import has_kernel
from keras_inits._diagnose.signal.evidence import Evidence, Found
from keras_inits._diagnose.signal.remedies import redraw
from keras_inits._reporting import Finding


def check(evidence: Evidence) -> Found:
    """Yields kernels of zeros whose outputs are multiplied by what starts at 0 as well."""
    for index, call in enumerate(evidence.calls):
        other = stuck_with(evidence, index)
        # Of queries and keys each is the other's: named once.
        if other is None or (other < index and stuck_with(evidence, other) == index):
            continue
        name = evidence.calls[other].name
        yield (
            index,
            Finding(
                kind="no gradient",
                where=(call.name, name),
                evidence=(
                    f"its kernel is 0, and so is {name}, by which what it makes is multiplied: the "
                    "gradient of each is 0 because of the other"
                ),
                consequence="Neither ever moves; only one of them may start at 0",
                remedy=redraw(evidence, index),
            ),
        )


def stuck_with(evidence: Evidence, index: int) -> int | None:
    """Returns the call that takes the gradient of a kernel of zeros, and stays at 0 itself.

    So do a factor that starts at 0 (ReZero, Bachlechner et al. 2021) behind a kernel that does too,
    and the keys' kernel of an attention for that of its queries.
    """
    if not _is_still(evidence, index):
        return None
    for taker in evidence.leads_to[index]:
        scales = scales_of(evidence, taker)
        still = any(weight.gradient_norm == 0 for weight in scales)
        zeros = still and all(weight.norm == 0 for weight in scales)
        if zeros and evidence.is_alive(taker) and not has_kernel(evidence.calls[taker].layer):
            return taker
    other = _scored_against(evidence, index)
    return other if other is not None and _is_still(evidence, other) else None


def _scored_against(evidence: Evidence, index: int) -> int | None:
    """Returns the keys of an attention for its queries, and the reverse; None of other calls."""
    if evidence.picture is None or index not in evidence.picture.places:
        return None
    place = evidence.picture.places[index]
    recorded = {at: call for call, at in evidence.picture.places.items()}
    for attention in evidence.picture.wiring.attentions:
        if place == attention.query != attention.key:
            return recorded.get(-1 if attention.key is None else attention.key)
        if place == attention.key != attention.query:
            return recorded.get(-1 if attention.query is None else attention.query)
    return None


def waits_for_partner(evidence: Evidence, index: int) -> bool:
    """Returns whether queries are scored against keys of zeros, or keys against such queries.

    They take the gradient of the others for one step alone. Where both do, `stuck` says so.
    """
    other = _scored_against(evidence, index)
    if other is None or evidence.calls[other].output.second_moment != 0:
        return False
    return bool(evidence.own_weights(other))


def _is_still(evidence: Evidence, index: int) -> bool:
    """Returns whether a call has a kernel of zeros, puts out zeros, and gets no gradient."""
    call = evidence.calls[index]
    if call.composite or call.gradient is None or not has_kernel(call.layer):
        return False
    weights = evidence.own_weights(index)
    still = bool(weights) and not any(weight.norm or weight.gradient_norm for weight in weights)
    return still and call.output.second_moment == 0 and call.gradient.second_moment == 0


def scales_of(evidence: Evidence, index: int) -> list[WeightReport]:
    bias = getattr(evidence.calls[index].layer, "bias", None)
    weights = evidence.calls[index].layer.trainable_weights
    return [evidence.weights[id(w)] for w in weights if id(w) in evidence.weights and w is not bias]
