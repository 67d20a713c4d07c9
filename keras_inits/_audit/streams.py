"""Residual streams whose branches start at full size: how much they make the stream grow."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from keras_inits._audit.context import root_mean_square
from keras_inits._audit.kernel import Judgement, Kernel, Kernels
from keras_inits._audit.signal import Signal
from keras_inits._layers.kinds import Kind
from keras_inits._reporting import Finding
from keras_inits._wiring import Stream, Sum, Wiring

# The stream grows by an order of magnitude from its start to its end.
_MOST_GROWTH = 10.0
# With a normalization in each branch all of them add the same, so that a stream grows as the root
# of their number and such nets train. GPT-2 scales the ends all the same (Radford et al. 2019,
# section 2.3): a remark from 8 such blocks, a fault from 24 blocks, those of its medium size, where
# the stream grows much more than the root of any such number.
_REMARK = (16, 5.0)  # branches and growth
_REPORT = (48, 20.0)
_FEWEST_SUMS = 4  # a stream of fewer is not looked at


def growing_streams(
    wiring: Wiring, kernels: Kernels, signals: Sequence[Signal | None]
) -> Iterator[Judgement]:
    """Yields what is said of streams that grow by the branches added to them.

    Args:
        wiring: that of the model.
        kernels: those of the model.
        signals: the predicted one of each call; see `predicted_signals`.
    """
    streams = [s for s in wiring.streams if len(s.sums) >= _FEWEST_SUMS]
    sums = {each.call: each for each in wiring.sums}
    for stream in streams:
        yield from _judged(wiring, kernels, stream, [sums[i] for i in stream.sums], signals)


def _judged(
    wiring: Wiring,
    kernels: Kernels,
    stream: Stream,
    sums: Sequence[Sum],
    signals: Sequence[NDArray[np.floating] | None],
) -> Iterator[Judgement]:
    """Yields the judgement on one stream; `sums` are those that it passes."""
    first = _size(signals, sums[0].fork)
    last = _size(signals, stream.sums[-1])
    ends = [k for s in sums for k in _ends(wiring, kernels, s)]
    if not first or not last or not ends:
        return
    growth = min(1e30, last / first)
    branches = [b for s in sums for b in s.branches]
    count = len(branches)
    normalized = all(
        any(wiring.calls[i].kind is Kind.NORMALIZATION for i in b.calls) for b in branches
    )
    fewest, least = _REMARK if normalized else (0, _MOST_GROWTH)
    if count < fewest or growth <= least:
        return
    if normalized and _are_scaled(wiring, kernels, sums, ends, count):
        return
    if normalized:
        is_fault = count >= _REPORT[0] and growth > _REPORT[1]
        factor = 1 / math.sqrt(count)
    else:
        is_fault = not _is_normalized_behind(wiring, stream.sums[-1])
        factor = _needed_factor(sums, signals)
    start = wiring.calls[stream.start].path if stream.start >= 0 else "the input"
    end = wiring.calls[stream.sums[-1]].path
    yield Judgement(
        Finding(
            kind="residual stream",
            where=tuple(dict.fromkeys(k.path for k in ends)),
            evidence=(
                f"{count} branches add to the stream from {start} to {end}: its root mean square "
                f"grows by a factor of {growth:.3g}"
            ),
            consequence=_effect(normalized, is_fault),
            remedy=_remedy(factor),
            numbers={"sums": len(sums), "branches": count, "growth": growth, "factor": factor},
        ),
        is_fault,
    )


def _needed_factor(sums: Sequence[Sum], signals: Sequence[NDArray[np.floating] | None]) -> float:
    """Returns the factor on the branches at which all of them together add what the stream has."""
    branches = [
        (_size(signals, b.source), _size(signals, s.fork)) for s in sums for b in s.branches
    ]
    shares = [added / stream for added, stream in branches if added and stream]
    if not shares:
        return 1.0
    return min(1.0, 1 / (math.sqrt(len(branches)) * float(np.median(shares))))


def _effect(normalized: bool, is_fault: bool) -> str:
    if normalized:
        return (
            "late branches hardly change the stream, and early ones get small gradients; GPT-2 "
            "starts the last kernel of each branch 1/sqrt(branches) as large"
        )
    if is_fault:
        return "outputs and gradients explode with depth"
    return "a normalization behind the stream takes this away, unless the numbers overflow"


def _remedy(factor: float) -> str:
    return (
        "import keras\n"
        "wiring = keras_inits.wiring(model)\n"
        "ends = {path for each in wiring.sums for branch in each.branches\n"
        "        if branch.kernel is not None for path in wiring.calls[branch.kernel].weights}\n"
        "smaller = {\n"
        "    w.path: keras.initializers.RandomNormal(\n"
        f"        stddev={factor:.3g} * float(keras.ops.std(keras.ops.cast(w, 'float32'))))\n"
        "    for w in model.weights\n"
        '    if w.path in ends and len(w.shape) > 1 and w.name != "depthwise_kernel"}\n'
        'keras_inits.initialize(model, overrides={**smaller, "*": None})'
    )


def _size(signals: Sequence[NDArray[np.floating] | None], source: int) -> float:
    """Returns the root mean square of a predicted signal; 0 if it is not known."""
    if source < 0:
        return 1.0
    signal = signals[source]
    return 0.0 if signal is None else root_mean_square(signal)


def _ends(wiring: Wiring, kernels: Kernels, at: Sum) -> Iterator[Kernel]:
    """Yields the last kernels of the branches of a sum, at most one for each."""
    for branch in at.branches:
        if branch.kernel is not None:
            yield from kernels.at(wiring.calls[branch.kernel].weights)[-1:]


def _are_scaled(
    wiring: Wiring, kernels: Kernels, sums: Sequence[Sum], ends: Sequence[Kernel], count: int
) -> bool:
    """Returns whether the ends are small next to the other kernels of the branches."""
    last = {k.path for k in ends}
    calls = {i for s in sums for b in s.branches for i in b.calls}
    others = [k for i in calls for k in kernels.at(wiring.calls[i].weights) if k.path not in last]
    if not others:
        return False
    small, usual = (float(np.median([k.values.std() for k in ks])) for ks in (ends, others))
    return small <= 2 / math.sqrt(count) * usual


def _is_normalized_behind(wiring: Wiring, call: int) -> bool:
    """Returns whether each way from a call to an output passes a normalization."""
    if call in wiring.graph.outputs:
        return False
    following = [wiring.calls[i] for i in wiring.graph.consumers.get(call, ())]
    return bool(following) and all(
        one.kind is Kind.NORMALIZATION or _is_normalized_behind(wiring, one.index)
        for one in following
    )
