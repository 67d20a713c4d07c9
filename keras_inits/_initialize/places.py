"""What reaches a kernel by way of a mean or a maximum over places, which nothing is known of.

How much two places of an image or of a sequence have in common is the data's affair. Of white noise
a mean over many of them leaves next to nothing, of a smooth image all.
"""

from dataclasses import replace

import numpy as np

from keras_inits._initialize.carrying import FAR, Carrier
from keras_inits._layers.kinds import Kind
from keras_inits._moments import Signal, carried
from keras_inits._wiring import Call
from keras_inits._wiring.graph import PASSED

_OVER_PLACES = frozenset({Kind.POOLING, Kind.CONTRACTION})


def in_common(carrier: Carrier, call: Call) -> float | None:
    """Returns which share of a signal two places are taken to have in common.

    Only where it matters: places with nothing in common, or that are all the same, would make what
    reaches the kernel larger or smaller by a factor of more than 2. Else None.
    """
    at = call.signals[0] if call.signals else -1
    while at >= 0 and (source := carrier.wiring.calls[at]).kind not in _OVER_PLACES:
        if source.kind not in PASSED or len(source.signals) != 1:
            return None
        (at,) = source.signals
    if at < 0:
        return None
    place = carrier.place(source)
    supposed = (
        place,
        replace(place, given=tuple(map(_independent, place.given))),
        replace(place, given=tuple(map(_same, place.given))),
    )
    taken, *others = (carried(each).second_moment for each in supposed)
    matters = max(taken, *others) > FAR * taken or taken > FAR * min(others)
    return place.given[0].alike if matters else None


def _independent(signal: Signal) -> Signal:
    """Returns a signal of the same values, whose places have nothing but their mean in common."""
    return signal.with_values(np.random.default_rng(8).permuted(signal.values, axis=1))


def _same(signal: Signal) -> Signal:
    """Returns a signal that is one of its places everywhere."""
    return signal.with_values(np.broadcast_to(signal.values[:1], signal.values.shape))
