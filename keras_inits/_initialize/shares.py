"""What each branch of a residual stream adds to it: from the graph and its constants alone."""

import math
from typing import Literal

import keras
import numpy as np

from keras_inits._layers.kinds import Kind
from keras_inits._wiring import Branch, Call, Sum, Wiring

Residual = Literal["auto", "sqrt", "depth", "zero"]

_UNDAMPED = 0.999  # factors nearer to 1 are rounding
# What a stream may pass between two of its sums, behind the factors that damp it.
_PASSED = frozenset({Kind.ACTIVATION, Kind.NOISE, Kind.IDENTITY, Kind.RESHAPING})


class Shares:
    """What the branches of a model's streams add to them.

    Args:
        wiring: the model.
        residual: how branches start, as in `initialize`.
    """

    def __init__(self, wiring: Wiring, residual: Residual) -> None:
        self.wiring, self.residual = wiring, residual
        self._losses: dict[int, float] = {}
        self._added: dict[int, float] = {}

    def normalized(self, branch: Branch) -> bool:
        """Returns whether a branch adds what a normalization makes, whose scale stays 1.

        Of second moment 1 each, L branches make a stream grow as sqrt(1 + L), not exponentially,
        and the one at place l adds 1 / (l + 1) of what is there (De & Smith 2020, section 3).

        Reference:
            De & Smith 2020. https://arxiv.org/abs/2002.10444
        """
        end = branch.end
        if self.residual != "auto" or end is None:
            return False
        return self.wiring.calls[end].kind is Kind.NORMALIZATION

    def share(self, each: Sum) -> float:
        """Returns what one branch adds to a stream, as a share of what it started with."""
        stream = self.wiring.streams[each.stream]
        if self.residual == "zero":
            return 0.0
        if self.residual == "depth":
            attentions = {a.out for a in self.wiring.attentions}
            of_block = 2 if attentions & self._branch_kernels(each.stream) else 1
            return 1 / (2 * (each.place // of_block + 1))
        share = 1 / (stream.branches * self._repeats(each))
        # No more than a mean takes off: branches do not make up for a factor that puts all out.
        count = len(each.branches)
        return max(share, min((1 + count) ** 2 - 1.0, self._lost(each)) / count)

    def _repeats(self, each: Sum) -> int:
        """Returns how often the stream passes the kernels of a sum: what one adds, all add."""
        passed = self._branch_kernels(each.stream)
        own = (branch.kernel for branch in each.branches if branch.kernel is not None)
        paths = {path for kernel in own for path in self.wiring.calls[kernel].weights[:1]}
        return max(
            (sum(call.index in passed for call in self.wiring.of(p)) for p in paths), default=1
        )

    def _branch_kernels(self, stream: int) -> set[int | None]:
        """Returns the last kernels of all branches that are added to a stream."""
        return {b.kernel for s in self.wiring.sums if s.stream == stream for b in s.branches}

    def _lost(self, each: Sum) -> float:
        """Returns what constant factors take off a stream at a sum, for its branches to bring.

        As a share of the stream: of (h + f) / sqrt(2) it is 1, of 0.9 h + f 0.19, as
        behind^2 (own^2 + share) = 1. What stands behind the last sum takes nothing off the stream:
        a head takes it as it comes.
        """
        if each.call not in self._losses:
            on_way = (
                constant_factor(self.wiring, self.wiring.calls[i]) for i in each.shortcut.calls
            )
            own = math.prod(factor for factor in on_way if factor is not None)
            behind = self._behind(each)
            damped = 0 < behind * own < _UNDAMPED
            self._losses[each.call] = 1 / behind**2 - own**2 if damped else 0.0
        return self._losses[each.call]

    def _behind(self, each: Sum) -> float:
        """Returns the constant between a sum and the next one of its stream; 1 behind the last."""
        summing, graph = self.wiring.calls[each.call], self.wiring.graph
        behind = 1.0 / len(set(summing.signals)) if summing.type == "Average" else 1.0
        forks = {
            s.fork for s in self.wiring.sums if s.stream == each.stream and s.place > each.place
        }
        at, on_factors = each.call, True
        while at not in forks:
            following = graph.consumers.get(at, ())
            if len(following) != 1:
                return 1.0
            (at,) = following
            call = self.wiring.calls[at]
            factor = constant_factor(self.wiring, call) if on_factors else None
            if factor is not None:
                behind *= factor
            elif call.kind in _PASSED:
                on_factors = False
            else:
                return 1.0
        return behind

    def adds(self, each: Sum) -> float:
        """Returns what the branches of a sum add to a stream, as a share of its start."""
        if each.call not in self._added:
            count = sum(not self.normalized(branch) for branch in each.branches)
            self._added[each.call] = self.share(each) * count
        return self._added[each.call]

    def is_damped(self, each: Sum) -> bool:
        """Returns whether branches make up at a sum for what constant factors take off."""
        return self.residual in ("auto", "sqrt") and self._lost(each) > 0


def constant_factor(wiring: Wiring, call: Call) -> float | None:
    """Returns the constant that an operation multiplies by; None if it does something else."""
    if call.kind is not Kind.SCALING or call.weights or len(call.signals) != 1:
        return None
    if isinstance(wiring.subjects[call.index], keras.layers.Layer):
        return None
    try:
        made = np.asarray(wiring.computed((call.index,), np.ones(1, "float32")))
    except Exception:  # whatever an operation says of one number
        return None
    return abs(float(made[0])) if made.size == 1 else None
