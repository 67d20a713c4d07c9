"""Heads: outputs that several make together, and what each is to put out."""

import math
from dataclasses import replace

from keras_inits._initialize.aims import HEAD, Aim
from keras_inits._initialize.carrying import Carrier
from keras_inits._initialize.scores import summands
from keras_inits._layers.kinds import KEEPS_SCALE, Kind
from keras_inits._layers.pooling import statistic
from keras_inits._moments import carried, normal
from keras_inits._wiring import Call, Wiring
from keras_inits._wiring.graph import PASSED


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


def _summed_up(carrier: Carrier, call: Call) -> float:
    """Returns by what the sums along axes behind a head multiply its second moment."""
    place, wiring = carrier.place(call), carrier.wiring
    alike = place.given[0].alike * place.reach.shared if place.given else 1.0
    mapped = any(geometry.batch_axes for _, geometry in carrier.kernels(call))
    if mapped and call.kind is not Kind.DEPTHWISE:
        alike = 0.0  # each place has a kernel of its own
    signals, growth = {**carrier.signals, call.index: normal(1.0, alike, call.index)}, 1.0
    while len(following := wiring.graph.consumers.get(call.index, ())) == 1:
        call = wiring.calls[following[0]]
        sums = call.kind is Kind.POOLING and statistic(wiring.subjects[call.index]) == "sum"
        if not sums and (call.kind not in KEEPS_SCALE or len(call.signals) != 1):
            break
        signals[call.index] = carried(carrier.place(call, signals))
        growth = max(growth, signals[call.index].second_moment)
    return growth


def aim_of_head(carrier: Carrier, call: Call, aim: Aim) -> Aim:
    """Returns the aim of a head: for the loss of a guess, and for a gradient to what is before.

    A mean over places of what has a mean itself, as behind ReLU, is nearly the same for all
    examples: in residual nets with batch normalization 6 % of the logits' second moment differ
    between them. What all share is a bias, which the first steps take away; `HEAD` is asked of
    what differs, up to 1 in all (half a nat above the loss of a guess).
    """
    given = carrier.place(call).given
    if (growth := _summed_up(carrier, call)) > 1:
        why = "head whose outputs are summed, for the loss of a guess"
        return replace(aim, variance=HEAD / growth, why=why)
    if not given or not _is_mean_of_places(carrier.wiring, call):
        return replace(aim, variance=HEAD, why="head, for the loss of a guess")
    signal = given[0]
    shared = signal.mean**2 / signal.second_moment if signal.second_moment else 0.0
    variance = min(1.0, HEAD / max(1 - shared, HEAD))
    why = f"head, of a mean over places, {shared:.0%} of which all examples share"
    return replace(aim, variance=variance, why=why)


def _is_mean_of_places(wiring: Wiring, call: Call) -> bool:
    """Returns whether a kernel reads means over all places, through noise or reshaping."""
    at = call.signals[0] if call.signals else -1
    while at >= 0:
        source = wiring.calls[at]
        if source.kind is Kind.POOLING:
            shapes = wiring.shapes_into(source)
            channels = {shapes[0][1], shapes[0][-1]} if shapes else set()
            is_mean = statistic(wiring.subjects[at]) == "mean"
            return is_mean and math.prod(source.shape[1:]) in channels
        if source.kind not in PASSED or len(source.signals) != 1:
            return False
        (at,) = source.signals
    return False
