"""Layers that are bypassed by a skip connection."""

from collections.abc import Sequence

from keras_inits._diagnose.calls import INPUT, UNKNOWN, Call
from keras_inits._layers.kinds import Kind, is_a


def bypassed(
    calls: Sequence[Call], given: Sequence[tuple[int, ...]], outputs: Sequence[int]
) -> list[bool]:
    """Says of each call whether the signal reaches every output of the model without it.

    So it does around the branch of a residual block. What a layer computes outside of the layers
    inside it may be a sum with what that layer was given, and is taken for one.

    Args:
        calls: in the order of the pass.
        given: the sources of what each entered layer was given; `Call.inside` points into it.
        outputs: the sources of the model's outputs; of unknown ones the last call stands for all.
    """
    ends = {source for source in outputs if source >= 0} or {len(calls) - 1}
    result = []
    for without in range(len(calls)):
        reached: list[bool] = []
        for index, call in enumerate(calls):
            reached.append(index != without and _reaches(call, given, reached))
        result.append(without not in ends and all(reached[end] for end in ends))
    return result


def _reaches(call: Call, given: Sequence[tuple[int, ...]], reached: Sequence[bool]) -> bool:
    def known(source: int, origins: frozenset[int]) -> bool:
        if source == UNKNOWN:  # computed outside of layers, as a sum may be, from these
            found = origins or given[call.inside]
            return any(s in (INPUT, UNKNOWN) or reached[s] for s in found)
        return source == INPUT or reached[source]

    if not call.sources:
        return True
    several = call.composite or is_a(call.layer, Kind.SUM)
    parts = [known(*pair) for pair in zip(call.sources, call.origins, strict=True)]
    return (any if several else all)(parts)
