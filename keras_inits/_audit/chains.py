"""Kernels one behind the other of which each is in bounds, and all together are not."""

from collections.abc import Collection, Iterator, Sequence

import numpy as np

from keras_inits._audit.context import root_mean_square
from keras_inits._audit.kernel import Judgement, Kernels
from keras_inits._audit.signal import Signal
from keras_inits._reporting import Finding
from keras_inits._wiring import Call, Wiring

# Of a start that Keras's users train with by Adam, AlexNet's N(0, 0.01), 2e-4 is left at the head
# (Krizhevsky et al. 2012, section 5); Glorot's with ReLU loses half of the variance a layer, and
# stalls at 30 of them, where 3e-5 is left (He et al. 2015, section 2.2).
_LEAST, _MOST = 1e-4, 1e4
_OWN_SHARE = 0.8  # a kernel whose output is that much of its input, or less, takes part in a fading


def chains(
    wiring: Wiring, kernels: Kernels, signals: Sequence[Signal | None]
) -> Iterator[Judgement]:
    """Yields a finding if the signal fades or explodes over layers without a way around them.

    None where a normalization stands behind, or where a stream goes past.

    Args:
        wiring: that of the model.
        kernels: those of the model.
        signals: the predicted one of each call.
    """
    sizes = {i: root_mean_square(s) for i, s in enumerate(signals) if s is not None}
    last = None
    for call in wiring.maps:
        if wiring.stream_of(call) is not None or not call.signals:
            continue
        found = kernels.at(call.weights)
        size = sizes.get(call.signals[0], 1.0)
        off = 0 < size < _LEAST or size > _MOST
        if off and found and not any(k.context.normalized_later for k in found):
            last = call
    if last is None:
        return
    size = sizes[last.signals[0]]
    fades = size < 1
    factors = {
        call.index: factor
        for call in wiring.maps
        if wiring.graph.descends(last.signals[0], call.index)
        and (factor := _factor(wiring, call, sizes)) is not None
        and (0 < factor <= _OWN_SHARE if fades else factor >= 1 / _OWN_SHARE)
    }
    paths = [k.path for i in factors for k in kernels.at(wiring.calls[i].weights)]
    way = _longest(wiring, factors)
    if len(way) < 2:
        return  # one that is off by so much is judged by itself
    each = float(np.exp(np.mean([np.log(factors[i]) for i in way])))
    yield Judgement(
        Finding(
            kind="scale",
            where=tuple(dict.fromkeys(paths)),
            evidence=(
                f"{len(way)} layers one behind the other multiply the scale of their signal by "
                f"{each:.3g} each: {size:.3g} reaches {last.path}"
            ),
            consequence=(
                "the signal fades with depth, and with it the gradient of all kernels"
                if fades
                else "the signal explodes with depth, and with it the gradient of all kernels"
            ),
            remedy='keras_inits.initialize(model, "auto")',
            numbers={"layers": len(way), "size": size},
        )
    )


def _longest(wiring: Wiring, calls: Collection[int]) -> list[int]:
    """Returns the longest chain among some calls: one behind the other, not side by side."""
    ways: dict[int, list[int]] = {}
    for index in sorted(calls):
        (source, *_) = wiring.calls[index].signals
        before = [way for end, way in ways.items() if wiring.graph.descends(source, end)]
        ways[index] = [*max(before, key=len, default=[]), index]
    return max(ways.values(), key=len, default=[])


def _factor(wiring: Wiring, call: Call, sizes: dict[int, float]) -> float | None:
    """Returns what a layer and the activation behind it make of the scale of their signal."""
    if not call.signals:
        return None
    following = wiring.activation_after(call)
    end = following.calls[-1] if following.calls else call.index
    given = sizes.get(call.signals[0], 1.0 if call.signals[0] < 0 else 0.0)
    return sizes[end] / given if given and end in sizes else None
