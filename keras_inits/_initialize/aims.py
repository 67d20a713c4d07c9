"""The second moment that each kernel is to give its output: from what follows it."""

import functools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from keras_inits._gains import Activation, gaussian_moments
from keras_inits._layers.activations import activation_of_operation
from keras_inits._layers.kinds import Kind
from keras_inits._layers.pooling import statistic
from keras_inits._moments import resolved, softmax_behind, summed_count
from keras_inits._wiring import Call, Following, Wiring
from keras_inits._wiring.graph import PASSED
from keras_inits._working_point import WorkingPoint, working_point

# Second moment of the logits. Equal classes have the least cross-entropy, log(classes); logits of
# variance v add v / 2 on average (the second order of log sum exp), so 0.15; binary ones v / 8.
# What comes back to the layers before is as small as the head: in 314 steps of SGD eight normalized
# convolutions reached 0.43 of MNIST with 0.1, 0.54 with 0.3 and 0.65 with 1, whose loss starts half
# a nat too high (8 seeds, when this was chosen). The same where the table is a lookup too: GPT-2
# (Radford et al. 2019) draws N(0, 0.02^2) at width 768, which makes 0.31.
HEAD = 0.3
# Outputs for which a guess is the same for all classes if they are small.
_GUESSES = frozenset({"linear", "softmax", "Softmax", "log_softmax", "sigmoid"})
# Behind these a chain of layers ends: the signal's scale is set anew.
_RESTARTS = frozenset({Kind.NORMALIZATION, Kind.RECURRENT, Kind.CELL, Kind.EMBEDDING,
                       Kind.CONTRACTION, Kind.ATTENTION})  # fmt: skip
# Where two activations are compared; away from 0 and each other.
_POINTS = np.array([-7.3, -3.1, -1.7, -0.9, -0.31, -0.012, 0.012, 0.31, 0.9, 1.7, 3.1, 7.3])

# Where a function that saturates has done so.
_FAR = np.array([-1e4, 1e4])


@dataclass(frozen=True)
class Aim:
    """What one kernel's output is to be.

    Attributes:
        variance: its second moment, $q$.
        why: a short text for the report.
        activation: what follows, if it is a function of single values and not linear.
        is_guess: whether the output is linear, or probabilities.
    """

    variance: float
    why: str
    activation: Activation | None = None
    is_guess: bool = False


@dataclass(frozen=True)
class _Met:
    """What a kernel's output meets, and with how many others it is added before."""

    activation: Activation | None
    name: str
    problem: str
    operands: int = 1
    is_gate: bool = False


def find_aims(wiring: Wiring) -> dict[int, Aim]:
    """Returns an aim for each call with a kernel, as if no residual sum followed it."""
    known: dict[tuple[float, ...], Activation] = {}
    met = {call.index: _met(wiring, call, known) for call in wiring.maps}
    before, after = _neighbours(wiring, met)
    # A gate is no part of the chain of layers: it multiplies what comes out of one.
    in_chains = {i: None if each.is_gate else each.activation for i, each in met.items()}
    depths = _depths(in_chains, before, after)
    gates = _gates({i: each.is_gate for i, each in met.items()}, before, after)
    even = not any(call.kind in (Kind.DEPTHWISE, Kind.SEPARABLE) for call in wiring.maps)
    return {i: _among(_aim(each, depths[i], even), gates[i]) for i, each in met.items()}


def _among(aim: Aim, gates: int) -> Aim:
    """Returns the aim of a kernel that makes one of several gates in a row.

    A signal that has grown opens its gates further, which make it grow more: a gate of second
    moment q multiplies the signal's by 1/4 + q/16 or so, and where the gate follows from a mean
    over places, q goes as the square of the signal. Gates share one opening, as the branches of a
    stream do: of second moment 1 / gates each they change the signal together by what one does.
    """
    if gates < 2:
        return aim
    return replace(aim, variance=aim.variance / gates, why=f"{aim.why}, one of {gates} gates")


def _aim(met: _Met, depth: int, even: bool) -> Aim:
    guess = met.name in _GUESSES
    if met.activation is None:
        return Aim(1.0 / met.operands, _with_operands(met.problem, met), None, guess)
    if met.activation.slopes is not None:
        # Any variance is as good as any other: the one at which 1 comes out (He et al. 2015).
        variance = 1 / gaussian_moments(met.activation).second_moment
        return Aim(variance / met.operands, _with_operands(met.name, met), met.activation, guess)
    point = _point(met.activation, depth, even)
    if point is None:
        return Aim(1.0 / met.operands, f"no working point known for {met.name}", None, guess)
    said = f"{met.name} at {point}" if depth > 1 else met.name
    return Aim(point.q / met.operands, _with_operands(said, met), met.activation, guess)


@functools.lru_cache(maxsize=256)
def _point(activation: Activation, depth: int, even: bool) -> WorkingPoint | None:
    try:
        return working_point(activation, depth, even=even)
    except (TypeError, ValueError):  # without finite moments
        return None


def _with_operands(text: str, met: _Met) -> str:
    return text if met.operands == 1 else f"{text} of a sum of {met.operands}"


def _met(wiring: Wiring, call: Call, known: dict[tuple[float, ...], Activation]) -> _Met:
    following, operands = wiring.activation_after(call), 1
    start = call
    summed = _plain_sum(wiring, call, following)
    if summed is not None:
        start, operands = summed, len(set(summed.signals))
        following = wiring.activation_after(summed)
    name = following.activation
    if name in ("", "linear"):
        problem = _problem(wiring, start, following)
        if not problem:  # a kernel follows, or nothing
            name, problem = "linear", f"linear{_until(wiring, start, following)}"
        return _Met(None, name, problem, operands * _times(wiring, start, following))
    if _is_gate(wiring, following):
        return _Met(None, "gate", f"a gate, {name}, follows", operands, is_gate=True)
    if name.lower() in ("softmax", "log_softmax"):
        return _Met(None, name, f"{name} follows", operands)
    try:
        activation = resolved(_function(wiring, start, following))
    except (TypeError, ValueError):
        return _Met(None, "", f"not understood: {name} follows", operands)
    with np.errstate(all="ignore"):
        fingerprint = tuple(np.round(activation.function(_POINTS), 5).tolist())
    activation = known.setdefault(fingerprint, activation)
    if activation.slopes == (1.0, 1.0):
        return _Met(None, "linear", "linear", operands)
    opens = _saturates(activation) and _multiplies(wiring, start, following)
    return _Met(activation, name, "", operands, opens)


def _function(wiring: Wiring, start: Call, following: Following) -> Any:
    """Returns what follows as a layer or function that is met again and again, where it is one."""
    if not following.calls:
        return wiring.subjects[start.index].activation
    computing = [i for i in following.calls if wiring.calls[i].kind is not Kind.IDENTITY]
    if len(computing) == 1:
        subject = wiring.subjects[computing[0]]
        if isinstance(subject, keras.layers.Layer):
            return subject
        if (function := activation_of_operation(subject)) not in (None, subject):
            return function
    return wiring.activation_function(start)


def _problem(wiring: Wiring, call: Call, following: Following) -> str:
    """Returns what stopped the search for an activation; empty if nothing follows but kernels."""
    at = wiring.calls[following.between[-1]] if following.between else call
    next_ = [wiring.calls[i] for i in wiring.graph.consumers.get(at.index, ())]
    unknown = [c for c in next_ if c.is_unknown]
    if unknown:
        return f"not understood: {unknown[0].type} {unknown[0].path!r} follows"
    several = " and " in following.met
    return f"{following.met} follow{'' if several else 's'}" if following.met else ""


def _until(wiring: Wiring, start: Call, following: Following) -> str:
    """Returns what bends a signal that meets no activation: a maximum, or a product with another.

    Empty for nothing, and for the products of an attention.
    """
    for index in following.between:
        call = wiring.calls[index]
        if call.kind is Kind.POOLING and statistic(wiring.subjects[index]) == "max":
            return f" until {call.type}"
    at = following.between[-1] if following.between else start.index
    for index in wiring.graph.consumers.get(at, ()):
        if wiring.calls[index].kind is Kind.CONTRACTION and not wiring.attention_role(start):
            return f" until {wiring.calls[index].type}"
    return ""


def _times(wiring: Wiring, start: Call, following: Following) -> int:
    """Returns how many values a kernel's output multiplies, each, where it is a matrix for them.

    A net that makes the weights of another has to make them as small as these would be drawn.
    """
    at = following.between[-1] if following.between else start.index
    for index in wiring.graph.consumers.get(at, ()):
        count = _multiplied_by_matrix(wiring, start, wiring.calls[index], at)
        if count is not None:
            return count
    return 1


def _multiplied_by_matrix(wiring: Wiring, start: Call, call: Call, at: int) -> int | None:
    """Returns over how many values a product is summed that takes a signal as a matrix; else None.

    A matrix has more axes than what it multiplies, or is made of one vector for each example and
    leaves more than one value for each sum.
    """
    shapes, count = wiring.shapes_into(call), summed_count(wiring, call)
    if len(call.signals) != 2 or not count:
        return None
    mine = call.signals.index(at)
    if softmax_behind(wiring.graph, call.signals[1 - mine]) is not None:
        return None
    matrix, other = shapes[mine], shapes[1 - mine]
    left = math.prod(call.shape[1:]) * count / math.prod(other[1:])
    is_matrix = len(matrix) > len(other) or (len(start.shape) == 2 and left > 1)
    return count if is_matrix else None


def _plain_sum(wiring: Wiring, call: Call, following: Following) -> Call | None:
    """Returns the sum that a call goes into and nowhere else, if it is of branches side by side."""
    at = following.between[-1] if following.between else call.index
    consumers = wiring.graph.consumers.get(at, ())
    if following.activation or len(consumers) != 1:
        return None
    found = wiring.calls[consumers[0]]
    residual = any(each.call == found.index for each in wiring.sums)
    return found if found.kind is Kind.SUM and not residual else None


def _is_gate(wiring: Wiring, following: Following) -> bool:
    """Returns whether an activation multiplies one part of a signal by a function of another."""
    taken: dict[int, set[int]] = {}
    for index in following.calls:
        call = wiring.calls[index]
        for source, output in zip(call.signals, wiring.outputs_into(call), strict=False):
            taken.setdefault(source, set()).add(output)
    return any(len(outputs) > 1 for outputs in taken.values())


def _saturates(activation: Activation) -> bool:
    """Returns whether a function has a limit on both sides, as those of gates have."""
    with np.errstate(all="ignore"):
        near, far = activation.function(_FAR), activation.function(10 * _FAR)
    return bool(np.allclose(near, far, rtol=1e-3))


def _multiplies(wiring: Wiring, start: Call, following: Following) -> bool:
    """Returns whether what follows a kernel multiplies another signal (squeeze and excitation)."""
    open_ = [following.calls[-1] if following.calls else start.index]
    while open_:
        for index in wiring.graph.consumers.get(open_.pop(), ()):
            call = wiring.calls[index]
            if call.kind is Kind.PRODUCT and len(set(call.signals)) > 1:
                return True
            if call.kind in PASSED and len(call.signals) == 1:
                open_.append(index)
    return False


_Neighbours = Mapping[int, Sequence[int]]


def _neighbours(wiring: Wiring, kernels: Iterable[int]) -> tuple[_Neighbours, _Neighbours]:
    """Returns, for each kernel, those before and those behind it in a chain of layers.

    A chain ends at a normalization, attention or a recurrent layer. Through a residual sum it goes
    along the stream, whose scale each branch is made for; what a branch adds is small.
    """
    shortcuts = {each.call: each.shortcut.source for each in wiring.sums}
    before = {index: tuple(_kernels_before(wiring, index, shortcuts)) for index in kernels}
    after: dict[int, list[int]] = {index: [] for index in before}
    for index, earlier in before.items():
        for each in earlier:
            after[each].append(index)
    return before, after


def _gates(is_gate: Mapping[int, bool], before: _Neighbours, after: _Neighbours) -> dict[int, int]:
    """Returns, for each kernel that makes a gate, how many gates there are in a row; else 0."""
    counts = []
    for order, neighbours in ((sorted(is_gate), before), (sorted(is_gate)[::-1], after)):
        found: dict[int, int] = {}
        for index in order:
            found[index] = max((found[i] for i in neighbours[index]), default=0) + is_gate[index]
        counts.append(found)
    back, ahead = counts
    return {index: back[index] + ahead[index] - 1 if own else 0 for index, own in is_gate.items()}


def _depths(
    activations: Mapping[int, Activation | None], before: _Neighbours, after: _Neighbours
) -> dict[int, int]:
    """Returns, for each kernel, how many layers of its activation follow each other around it.

    Linear kernels in between do not count.
    """
    back = _chains(activations, sorted(activations), before)
    ahead = _chains(activations, sorted(activations, reverse=True), after)
    return {
        index: 1 if a is None else back[index][a] + ahead[index][a] - 1
        for index, a in activations.items()
    }


def _chains(
    activations: Mapping[int, Activation | None],
    order: list[int],
    neighbours: _Neighbours,
) -> dict[int, dict[Activation, int]]:
    chains: dict[int, dict[Activation, int]] = {}
    for index in order:
        known = [chains[each] for each in neighbours[index]]
        longest: dict[Activation, int] = {}
        for chain in known:
            for activation, length in chain.items():
                longest[activation] = max(length, longest.get(activation, 0))
        own = activations[index]
        chains[index] = longest if own is None else {own: longest.get(own, 0) + 1}
    return chains


def _kernels_before(wiring: Wiring, index: int, shortcuts: Mapping[int, int]) -> Iterator[int]:
    seen: set[int] = set()
    open_ = list(wiring.calls[index].signals)
    while open_:
        at = open_.pop()
        if at < 0 or at in seen:
            continue
        seen.add(at)
        call = wiring.calls[at]
        if call.is_map:
            yield at
        elif at in shortcuts:
            open_.append(shortcuts[at])
        elif call.kind not in _RESTARTS:
            open_ += call.signals
