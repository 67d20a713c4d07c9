"""Checks of sizes: signals and gradients that grow or shrink, over layers and over time steps."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras

from keras_inits._diagnose.seen.calls import UNKNOWN, Call
from keras_inits._diagnose.seen.traits import elementwise, is_judged, saturation_bounds
from keras_inits._diagnose.signal.evidence import Evidence
from keras_inits._diagnose.signal.remedies import redraw, reference, scale_input
from keras_inits._layers.kinds import Kind, is_a
from keras_inits._reporting import Finding

Found = Iterator[tuple[int | None, Finding]]
# Of each judged call: its index, by how much a size changed, and words for that.
Sizes = Iterator[tuple[int, float, str]]
# Numbers of a finding about the gradient over the steps of a sequence.
OVER_TIME = frozenset({"first step", "last step", "steps"})
DEFAULT_RATE = 0.01  # of SGD in Keras
_GROWS = "One learning rate does not fit the layers on both sides"


def exploding(evidence: Evidence) -> Found:
    """Yields what multiplies signal or gradient, and gradients that replace a kernel in a step."""
    for index, finding in _all(evidence):
        if finding.kind == "exploding":
            yield index, finding
    yield from _large_steps(evidence)


def vanishing(evidence: Evidence) -> Found:
    """Yields what makes signal or gradient fade."""
    for index, finding in _all(evidence):
        if finding.kind == "vanishing":
            yield index, finding


def amplifying(evidence: Evidence) -> Found:
    """Yields recurrent layers whose gradient grows from the last time step back to the first."""
    return (pair for pair in _steps(evidence) if pair[1].kind == "exploding")


def forgetting(evidence: Evidence) -> Found:
    """Yields recurrent layers whose gradient fades from the last time step back to the first."""
    return (pair for pair in _steps(evidence) if pair[1].kind == "vanishing")


def factor(evidence: Evidence, name: str, what: str) -> float:
    """Returns by how much a size changed up to a call, or at it where that is far too much.

    Args:
        evidence: of the pass.
        name: of the call.
        what: one of `FOLLOWED`.
    """
    every = _FOLLOWERS[what](evidence)
    return next((each for i, each, _ in every if evidence.calls[i].name == name), math.nan)


def _all(evidence: Evidence) -> Found:
    limit = evidence.thresholds.growth
    for what, follow in _FOLLOWERS.items():
        for index, total, grounds in follow(evidence):
            if _far(total, limit):
                yield index, _finding(evidence, index, total, what, grounds)


def _signal(evidence: Evidence) -> Sizes:
    calls = evidence.calls

    def ratio(index: int) -> float:
        call = calls[index]
        if call.inputs is None or call.is_learned:
            return math.nan
        factor, size = _root(call.output, call.inputs, "second_moment"), call.output.std
        # By what differs: a sigmoid of next to nothing is one half.
        if (behind := _function(evidence, index)) is not None and size > 0:
            return _restored(factor, behind.output.std / size)
        if (taker := _sole_taker(evidence, index)) is not None and taker.inputs and size > 0:
            return _restored(factor, taker.inputs.std / size)  # operations between
        return factor

    def before(index: int) -> Sequence[int]:
        return () if calls[index].given_anew else calls[index].before

    return _drift(evidence, range(len(calls)), before, ratio, anew=True)


def _gradient(evidence: Evidence) -> Sizes:
    calls, consumers = evidence.calls, evidence.consumers

    def ratio(index: int) -> float:
        # What this layer makes of a gradient is seen where it alone takes its input, operations
        # such as that of a residual included. By length, not per entry: 10 numbers spread over
        # 2,048 are smaller, and no less of a gradient.
        call = calls[index]
        source = call.sources[0] if len(call.sources) == 1 else UNKNOWN
        if source < 0 or len(evidence.leads_to[source]) > 1:
            return math.nan
        before, after = calls[source].gradient, call.gradient
        if before is None or after is None:
            return math.nan
        factor, behind = _root(before, after, "squared_length"), _function(evidence, index)
        if behind is None or behind.gradient is None:
            return factor
        return _restored(factor, _root(after, behind.gradient, "squared_length"))

    order = range(len(calls) - 1, -1, -1)
    return _drift(evidence, order, consumers.__getitem__, ratio)


_FOLLOWERS = {"the signal": _signal, "the length of the gradient": _gradient}
FOLLOWED = tuple(_FOLLOWERS)


def _width(call: Call) -> float:
    """Returns how many units a call makes of each that it is given."""
    return call.output.units / max(1, call.inputs.units) if call.inputs else 1.0


def _sole_taker(evidence: Evidence, index: int) -> Call | None:
    """Returns the call that alone takes an output, in its shape, and nothing else with it."""
    takers = [evidence.calls[i] for i in evidence.leads_to[index]]
    if len(takers) != 1 or takers[0].composite or takers[0].inputs is None:
        return None
    alone = frozenset[int]().union(*takers[0].origins) == {index}
    same = takers[0].inputs.shape == evidence.calls[index].output.shape
    return takers[0] if alone and same else None


def _function(evidence: Evidence, index: int) -> Call | None:
    """Returns the layer without weights, of a kind that is not known, that alone takes an output.

    Such as sin(30 x) between the kernels of a SIREN: kernel and factor are one.
    """
    taker = _sole_taker(evidence, index)
    if taker is None or taker.layer.weights or taker.inputs is None:
        return None
    same = taker.output.shape == taker.inputs.shape
    return taker if same and is_a(taker.layer, Kind.UNKNOWN, Kind.FUNCTION) else None


def _amplified(evidence: Evidence, index: int) -> float:
    """Returns by how much a function behind a kernel makes what differs larger, at least 1."""
    call, behind = evidence.calls[index], _function(evidence, index)
    if behind is None or not call.output.std > 0:
        return 1.0
    return max(1.0, behind.output.std / call.output.std)


def _restored(factor: float, behind: float) -> float:
    """Returns the factor of a layer that shrinks a size, with what a function behind makes up."""
    return min(1.0, factor * behind) if factor < 1 < behind < math.inf else factor


def _drift(
    evidence: Evidence,
    order: Sequence[int],
    before: Callable[[int], Sequence[int]],
    ratio: Callable[[int], float],
    *,
    anew: bool = False,
) -> Sizes:
    """Follows a size through `order`: jumps, and what has become of it where it drifts slowly.

    It fades where it does both per entry and by length, which differ where widths do: the next
    kernel sums over all units, so that a signal that is spread over more of them may be smaller;
    and of a gradient that was spread over many units, few take a part, however they are drawn.

    Args:
        evidence: of the pass.
        order: of the calls, such that `before` is known of each.
        before: the calls that a call takes the signal, or the gradient, from.
        ratio: by how much a call multiplies it; NaN where that is not known.
        anew: whether it begins anew behind a quantizer, whose codes have sizes of their own. A
            straight-through estimate hands the gradient on as it is. So does the signal of layers
            that were frozen matter, where it is far off, and no gradient does.
    """
    calls, limit = evidence.calls, evidence.thresholds.growth
    # The ratios of judged layers along the best path, by call, both ways; their product drifts.
    counted: list[dict[int, tuple[float, float]]] = [{}] * len(calls)
    for index in order:
        call = calls[index]
        if is_a(call.layer, Kind.NORMALIZATION):
            continue
        ways = before(index)
        # Where a branch comes in, or goes off, a stream is judged as a whole (streams.py).
        if len(ways) < 2 or not any(evidence.around[i] for i in ways):
            paths = [counted[i] for i in ways]
            counted[index] = min(paths, key=lambda path: abs(math.log(_product(path))), default={})
        if call.made_anew:
            counted[index] = {} if anew else counted[index]
            continue
        each = ratio(index)
        if not (0 < each < math.inf) or call.composite or not is_judged(call.layer):
            continue
        # Of a signal `each` is the ratio per entry, of a gradient, which goes back, by length.
        ratios = (each, each * math.sqrt(_width(call)))
        factor = _product({index: ratios})
        if _fewest_units(call) < evidence.thresholds.units:
            continue
        # What is bounded, as gates are, does not grow: it is what comes in that is small.
        if anew and factor > limit and saturation_bounds(elementwise(call.layer)):
            continue
        if evidence.settled[index] and not (anew and _far(factor, limit**2)):
            continue
        if _far(factor, limit):
            if not evidence.is_normalized(index):
                yield index, factor, "it multiplies {what} by {factor:.2g}"
            continue
        if evidence.around[index]:
            continue
        path = {**counted[index], index: ratios}
        if _far(_product(path), limit):  # what a normalization takes away does not count
            path = {i: each for i, each in path.items() if not evidence.is_normalized(i)}
        counted[index] = path
        yield index, _product(path), "{what} is {factor:.2g} times what it was where its path began"


def _product(path: Mapping[int, tuple[float, float]]) -> float:
    """Returns by how much a path multiplies a size: where it fades, by what less of it fades."""
    first, second = (
        (math.prod(ratios) for ratios in zip(*path.values(), strict=True)) if path else (1.0, 1.0)
    )
    return first if first >= 1 else min(1.0, max(first, second))


def _far(factor: float, limit: float) -> bool:
    return not 1 / limit <= factor <= limit


def _finding(evidence: Evidence, index: int, factor: float, what: str, grounds: str) -> Finding:
    limit = evidence.thresholds.growth
    return Finding(
        kind="exploding" if factor > 1 else "vanishing",
        where=(evidence.calls[index].name,),
        evidence=(
            grounds.format(what=what, factor=factor) + f" (limits 1/{limit:g} and {limit:g})"
        ),
        consequence=_GROWS,
        remedy=redraw(evidence, index),
        numbers={"factor": factor, "limit": limit},
    )


def _steps(evidence: Evidence) -> Found:
    """Yields recurrent layers whose gradient at the first step is not of the last one's size."""
    thresholds = evidence.thresholds
    for index, call in enumerate(evidence.calls):
        if len(call.steps) != 2 or not 0 < call.steps[1] < math.inf:
            continue
        ratio = call.steps[0] / call.steps[1]
        grounds = f"the gradient at its first step is {ratio:.2g} times that at its last one"
        length = call.inputs.shape[1] if call.inputs else 100
        gates = float(gate_of_memory(getattr(call.layer, "cell", None)) is not None)
        numbers = {
            "first step": call.steps[0],
            "last step": call.steps[1],
            "steps": length,
            "gates": gates,
        }
        if ratio < 1 / thresholds.forgotten:
            yield (
                index,
                Finding(
                    kind="vanishing",
                    where=(call.name,),
                    evidence=f"{grounds} (limit {1 / thresholds.forgotten:g})",
                    consequence="What the first steps hold is not learned",
                    remedy=_longer_memory(evidence, call, length),
                    numbers=numbers,
                ),
            )
        elif not ratio <= thresholds.amplified:
            yield (
                index,
                Finding(
                    kind="exploding",
                    where=(call.name,),
                    evidence=f"{grounds} (limit {thresholds.amplified:g})",
                    consequence=(
                        "A step that fits the last time steps is far too large for the first"
                    ),
                    remedy=_orthogonal(evidence, call),
                    numbers=numbers,
                ),
            )


def _longer_memory(evidence: Evidence, call: Call, steps: int) -> str:
    layer = reference(evidence.model, call)
    cell: Any = getattr(call.layer, "cell", None)
    place = gate_of_memory(cell)
    if layer is not None and isinstance(cell, keras.layers.SimpleRNNCell):
        return _orthogonal(evidence, call)
    if layer is None or place is None or getattr(cell, "bias", None) is None:
        return (
            "Shorten the sequences, or use keras.layers.LSTM with a forget bias of log(steps), or "
            "attention."
        )
    # Chrono initialization, Tallec & Ollivier 2018, https://arxiv.org/abs/1804.11188
    row = "0, " if len(cell.bias.shape) > 1 else ""
    return (
        f"import numpy as np; b = {layer}.cell.bias.numpy(); "
        f"b[{row}{place.start}:{place.stop}] = np.log({steps}); {layer}.cell.bias.assign(b)"
    )


def gate_of_memory(cell: object) -> slice | None:
    """Returns where in a cell's bias the gate stands that keeps its state; None if it has none.

    Of an LSTM the forget gate, the second; of a GRU the update gate, the first.
    """
    if isinstance(cell, keras.layers.LSTMCell):
        return slice(cell.units, 2 * cell.units)
    return slice(0, cell.units) if isinstance(cell, keras.layers.GRUCell) else None


def _orthogonal(evidence: Evidence, call: Call) -> str:
    layer = reference(evidence.model, call)
    if layer is None or not hasattr(call.layer, "cell"):
        return "Draw its recurrent kernel as an orthogonal matrix."
    kernel = f"{layer}.cell.recurrent_kernel"
    return f"{kernel}.assign(keras.initializers.Orthogonal()({kernel}.shape))"


def _large_steps(evidence: Evidence) -> Found:
    """Yields kernels that one step of plain gradient descent would replace."""
    if evidence.loss is None or not _plain_descent(evidence.model):
        return
    limit = evidence.thresholds.step
    for index, call in enumerate(evidence.calls):
        large = [
            report
            for weight in call.layer.trainable_weights
            if (report := evidence.weights.get(id(weight))) is not None
            and len(weight.shape) > 1
            and limit < report.ratio < math.inf
        ]
        if call.composite or not large:
            continue
        most = max(large, key=lambda report: report.ratio)
        # Of a kernel with its factor, as in sin(30 x), the gradient is less, and the norm more.
        if most.ratio / _amplified(evidence, index) ** 2 <= limit:
            continue
        # A compiled rate that is lower was chosen for such gradients. One that is higher is judged
        # by what it does to the loss.
        own = _rate(evidence.model)
        if most.ratio * min(own, DEFAULT_RATE) <= limit * DEFAULT_RATE:
            continue
        rate = DEFAULT_RATE * limit / most.ratio
        yield (
            index,
            Finding(
                kind="exploding",
                where=(call.name,),
                evidence=(
                    f"the gradient of {most.path} is {most.ratio:.3g} times its own norm "
                    f"(at most {limit:g})"
                ),
                consequence=(
                    "A step of rate 0.01, SGD's default, replaces the kernel"
                    if own >= DEFAULT_RATE
                    else f"A step of the rate {own:.2g} replaces the kernel"
                ),
                remedy=_calmer(evidence, rate),
                numbers={"ratio": most.ratio, "limit": limit},
            ),
        )


def _rate(model: keras.Model) -> float:
    """Returns the compiled learning rate, or SGD's default."""
    optimizer = getattr(model, "optimizer", None)
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    return DEFAULT_RATE if optimizer is None else float(optimizer.learning_rate)


def _plain_descent(model: keras.Model) -> bool:
    """Returns whether a gradient's size is the step's: not in Adam, nor with clipping."""
    optimizer = getattr(model, "optimizer", None)
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    if optimizer is None:
        return True
    clips = (optimizer.clipnorm, optimizer.clipvalue, optimizer.global_clipnorm)
    return isinstance(optimizer, keras.optimizers.SGD) and not any(clips)


def _calmer(evidence: Evidence, rate: float) -> str:
    # 10 times what layers expect
    return scale_input(evidence, limit=10.0) or f"model.optimizer.learning_rate = {rate:.1g}"


def _fewest_units(call: Call) -> int:
    return min(call.inputs.units if call.inputs else 0, call.output.units)


def _root(after: object, before: object, name: str) -> float:
    size = getattr(before, name)
    return math.sqrt(getattr(after, name) / size) if size > 0 else math.nan
