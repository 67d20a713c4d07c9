"""What weights that are drawn make of a signal: kernels and tables."""

import math
from dataclasses import replace

import numpy as np

from keras_inits._layers.kinds import Kind
from keras_inits._moments.place import Place
from keras_inits._moments.signal import ENTRIES, Array, Signal, normal

_TWINS = 3 * 10**6  # other random values than those of calls and inputs


def of_kernel(place: Place) -> Signal:
    """Returns what a kernel of independent weights of mean 0 makes of a signal."""
    if not place.given:
        return place.not_understood()
    (signal, *_) = place.given
    # Two places are as alike as what they see.
    power, alike = place.power * place.reach.seen, signal.alike * place.reach.shared
    if place.call.kind is Kind.DEPTHWISE and signal.second_moment > 0:
        # Each channel is a map of its own, so that a large one stays large.
        sizes = np.sqrt(power * np.mean(signal.values**2, axis=0))
        made = signal.with_values(_directions(place, alike) * sizes)
        made = made.with_second_moment(power * signal.second_moment)
    else:  # weights of mean 0 make a normal sum
        made = normal(power * place.second_moment, alike, place.call.index, signal.reason)
        made = _with_twin(place, made, min(signal.common, alike))
    return replace(made, constant=min(signal.common, alike))


def _with_twin(place: Place, made: Signal, constant: float) -> Signal:
    """Returns what a kernel made, with the constants of channels that its first call has.

    Of the two inputs of a tower it makes the same of what all examples have in common, so that a
    difference of the two is small. In a loop a kernel reads what it made itself, which is other.

    Args:
        place: the call.
        made: normal values.
        constant: the share of their second moment that is a constant of its channel.
    """
    call, wiring = place.call, place.wiring
    calls = wiring.of(call.weights[0]) if constant and call.weights else ()
    in_loop = any(wiring.graph.descends(c.index, calls[0].index) for c in calls[1:])
    if len(calls) < 2 or in_loop or not made.variance:
        return made
    shared = normal(1.0, 1.0, _TWINS + calls[0].index).values
    alike = max(0.0, (made.alike - constant) / (1 - constant)) if constant < 1 else 0.0
    own = normal(1.0, alike, call.index).values
    values = math.sqrt(constant) * shared + math.sqrt(1 - constant) * own
    return replace(made, values=values * math.sqrt(made.variance / np.mean(values**2)))


def biased(place: Place, signal: Signal) -> Signal:
    """Returns what a kernel made, with its bias added."""
    if place.shift is None:
        return signal
    order = np.random.default_rng([place.call.index, 8]).permutation(ENTRIES)
    shift = np.resize(place.shift, ENTRIES)[order]
    return signal.with_function(lambda z: z + shift)


def _directions(place: Place, alike: float) -> Array:
    """Returns what the taps of a depthwise kernel make of a channel of second moment 1.

    Balanced taps keep the size of what the places of a channel have in common; independent ones do
    not.

    Args:
        place: the call and what reaches it.
        alike: the share of the second moment that two places have in common.
    """
    key = place.call.index
    if place.taps == "independent":
        return normal(1.0, alike, key).values
    constant = place.given[0] if place.taps == "positive" else normal(1.0, 1.0, key)
    signs = np.where(np.mean(constant.values, axis=0) < 0, -1.0, 1.0)
    own = normal(1.0, 0.0, key).values
    values: Array = math.sqrt(alike) * signs + math.sqrt(1 - alike) * own
    return values


def of_table(place: Place) -> Signal:
    """Returns rows of a table.

    Two places meet the same row in one of `rows` cases: of a large vocabulary hardly ever, of two
    kinds of segments in half. Positions are no two alike.
    """
    looked_up = place.call.kind is Kind.EMBEDDING and place.call.sources
    rows = int(getattr(place.subject, "input_dim", 0) or 0) if looked_up else 0
    return normal(place.power, 1 / rows if rows else 0.0, place.call.index)
