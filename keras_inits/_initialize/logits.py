"""Outputs that heads make together: sums of several heads, and of what one head makes."""

import math

from keras_inits._initialize.carrying import Carrier
from keras_inits._initialize.scores import summands
from keras_inits._layers.kinds import KEEPS_SCALE, Kind
from keras_inits._moments import carried, normal
from keras_inits._wiring import Call, Wiring


def logit_shares(wiring: Wiring) -> dict[int, float]:
    """Returns which share of an output's second moment each kernel is to bring that it sums.

    So the linear and the deep part of one model. Sums of maps may be features as well as logits,
    and so may a stream that its branches start from.

    Returns:
        By index of the kernel's call, for outputs `(batch, units)` that are sums of kernels alone.
    """
    found: dict[int, float] = {}
    for output in wiring.outputs:
        parts = dict(summands(wiring, output, 1.0))
        of_heads = all(_is_head(wiring, wiring.calls[index]) for index in parts)
        if of_heads and len(parts) > 1 and math.isclose(sum(parts.values()), 1):
            found |= parts
    return found


def _is_head(wiring: Wiring, call: Call) -> bool:
    """Returns whether a call makes a vector, by a kernel alone, and for one other call."""
    makes = call.is_map and not call.activation and len(call.shape) == 2
    return makes and len(wiring.graph.consumers.get(call.index, ())) == 1


def summed_up(carrier: Carrier, call: Call) -> float:
    """Returns by what the sums along axes behind a head multiply its second moment."""
    place, wiring = carrier.place(call), carrier.wiring
    alike = place.given[0].alike * place.reach.shared if place.given else 1.0
    mapped = any(geometry.batch_axes for _, geometry in carrier.kernels(call))
    if mapped and call.kind is not Kind.DEPTHWISE:
        alike = 0.0  # each place has a kernel of its own
    signals, growth = {**carrier.signals, call.index: normal(1.0, alike, call.index)}, 1.0
    while len(following := wiring.graph.consumers.get(call.index, ())) == 1:
        call = wiring.calls[following[0]]
        sums = call.kind is Kind.POOLING and call.type == "sum"
        if not sums and (call.kind not in KEEPS_SCALE or len(call.signals) != 1):
            break
        signals[call.index] = carried(carrier.place(call, signals))
        growth = max(growth, signals[call.index].second_moment)
    return growth
