"""From figures to verdicts: what is wrong, and with which layer.

A verdict names the layer that does the harm, not those that suffer from it: a layer is judged by
what it makes of its own input, and slow growth or decay over many layers by what is left after the
layers that were already named are divided out.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from keras_inits._diagnose.recording import UNKNOWN, Call
from keras_inits._diagnose.report import SEVERITY, Finding
from keras_inits._diagnose.traits import activation_of, is_judged, rectifies
from keras_inits._layers.kinds import Kind, is_a


@dataclass(frozen=True)
class Thresholds:
    """Where a figure becomes a verdict.

    Attributes:
        growth: by how much one layer, or the layers since the last normalization, may multiply the
            root mean square of the signal, or of the gradient, or divide it. 10, because a step of
            one learning rate then fits the first and the last layer no longer, and because tanh
            under its best scale still loses a factor of 5 over 50 layers without harm.
        saturated: the share of units that may be within 3 % of the bounds of a bounded activation.
            0.5: tanh' is below 0.06 there, so that past one half most of a gradient is lost.
        dead: the share of units that may be 0 on the whole batch. 0.6: of a healthy ReLU layer, as
            the samples grow alike with depth, up to one half comes to be.
        correlation: the mean correlation between samples up to which they are still told apart.
            0.99: what differs is then a tenth of the signal's size.
        equal: the share of units that may equal another one in output and in gradient. 0: training
            never parts them again.
        units: the fewest units of which root mean squares are judged. 8: with random weights, one
            layer in a thousand misses its size by 10 by chance even then.
    """

    growth: float = 10.0
    saturated: float = 0.5
    dead: float = 0.6
    correlation: float = 0.99
    equal: float = 0.0
    units: int = 8

    def __post_init__(self) -> None:
        if not self.growth > 1:
            raise ValueError(f"`growth` must be above 1. Received: growth={self.growth!r}")
        for name in ("saturated", "dead", "correlation", "equal"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ValueError(f"`{name}` must be from 0 to 1. Received: {name}={value!r}")


def judge(
    calls: Sequence[Call], around: Sequence[bool], thresholds: Thresholds
) -> list[tuple[Finding, ...]]:
    """Returns what is wrong with each of `calls`, the worst first.

    Args:
        calls: of one pass.
        around: whether the signal has a way around each; there it may vanish or grow alike.
        thresholds: where a figure becomes a verdict.
    """
    found: list[list[Finding]] = [[] for _ in calls]
    for check in (_not_finite, _symmetric, _dying, _saturated, _sizes, _gradient_sizes, _alike):
        for index, finding in check(calls, around, thresholds):
            if not (around[index] and finding.verdict in ("vanishing", "rank-collapsed")):
                found[index].append(finding)
    return [
        tuple(sorted(findings, key=lambda finding: SEVERITY.index(finding.verdict)))
        for findings in found
    ]


Found = list[tuple[int, Finding]]


def _not_finite(calls: Sequence[Call], around: Sequence[bool], thresholds: Thresholds) -> Found:
    for index, call in enumerate(calls):
        if not call.output.finite:
            if call.composite:  # by something outside of any layer inside it
                where = "computed inside it"
            else:
                bad = [w.path for w in call.layer.weights if not _all_finite(w)]
                where = f"weights {', '.join(bad)}" if bad else "from finite weights and inputs"
            remedy = "Set those weights again, or lower their scale, and look at its input's range"
            return [
                (index, Finding("not finite", f"its output has NaN or infinity: {where}", remedy))
            ]
    for index in reversed(range(len(calls))):  # the gradient comes from the end
        gradient = calls[index].gradient
        if gradient is not None and not gradient.finite:
            remedy = "Look at the loss, or at the layers after it, for 0/0 or a root at 0"
            evidence = "its output is finite, the gradient there is not"
            return [(index, Finding("not finite", evidence, remedy))]
    return []


def _symmetric(calls: Sequence[Call], around: Sequence[bool], thresholds: Thresholds) -> Found:
    found = []
    for index, call in enumerate(calls):
        back, units = call.gradient, call.output.units
        if call.composite or not call.output.finite or back is None or not back.finite:
            continue
        if not _has_kernel(call) or units < 2:
            continue
        silent = call.output.second_moment == 0 and back.second_moment == 0
        constant = silent and _equal_columns(call)
        both = min(call.output.equal_units, 1.0 if back.second_moment == 0 else back.equal_units)
        if constant or both > thresholds.equal:
            count = units if constant else round(both * units)
            evidence = f"{count} of {units} units equal others, in output and in gradient"
            remedy = "Draw its kernel at random (initkit_he, initkit_xavier): only that parts them"
            found.append((index, Finding("symmetric", evidence, remedy)))
    return found


def _dying(calls: Sequence[Call], around: Sequence[bool], thresholds: Thresholds) -> Found:
    found = []
    for index, call in enumerate(calls):
        share = call.output.dead_units
        if _of_its_own(call) and rectifies(call.activation) and share > thresholds.dead:
            evidence = (
                f"{share:.0%} of its units are 0 on the whole batch (at most {thresholds.dead:.0%})"
            )
            remedy = "Raise its bias to 0 or 0.01, draw its kernel by initkit_he, or use leaky ReLU"
            found.append((index, Finding("dying", evidence, remedy)))
    return found


def _saturated(calls: Sequence[Call], around: Sequence[bool], thresholds: Thresholds) -> Found:
    found = []
    for index, call in enumerate(calls):
        share = call.output.saturated
        if _of_its_own(call) and share > thresholds.saturated:
            evidence = (
                f"{share:.0%} of its outputs are near a bound (at most {thresholds.saturated:.0%})"
            )
            name = getattr(activation_of(call.layer), "__name__", "tanh")
            remedy = (
                f'Draw the kernel before it by XavierInit(activation="{name}"), set the bias to 0, '
                "or normalize its input"
            )
            found.append((index, Finding("saturated", evidence, remedy)))
    return found


def _sizes(calls: Sequence[Call], around: Sequence[bool], thresholds: Thresholds) -> Found:
    def ratio(index: int) -> float:
        call = calls[index]
        before = 0.0 if call.inputs is None else call.inputs.second_moment
        return _root_ratio(call.output.second_moment, before)

    def sources(index: int) -> Sequence[int]:
        return [source for source in calls[index].sources if source >= 0]

    order = range(len(calls))
    return _drift(order, sources, ratio, calls, around, thresholds, "the signal", "fan_in")


def _gradient_sizes(calls: Sequence[Call], around: Sequence[bool], thresholds: Thresholds) -> Found:
    consumers: list[list[int]] = [[] for _ in calls]
    for index, call in enumerate(calls):
        for source in () if call.composite else call.sources:
            if source >= 0:
                consumers[source].append(index)

    def ratio(index: int) -> float:
        # What this layer makes of a gradient is seen where it alone takes its input.
        call = calls[index]
        source = call.sources[0] if len(call.sources) == 1 else UNKNOWN
        if source < 0 or len(consumers[source]) > 1:
            return math.nan
        before, after = calls[source].gradient, call.gradient
        if before is None or after is None:
            return math.nan
        return _root_ratio(before.second_moment, after.second_moment)

    order = range(len(calls) - 1, -1, -1)
    following = consumers.__getitem__
    return _drift(order, following, ratio, calls, around, thresholds, "the gradient", "fan_out")


def _drift(
    order: Sequence[int],
    before: Callable[[int], Sequence[int]],
    ratio: Callable[[int], float],
    calls: Sequence[Call],
    around: Sequence[bool],
    thresholds: Thresholds,
    what: str,
    mode: str,
) -> Found:
    """Follows a root mean square through `order`: names jumps, and what drifts away slowly.

    Args:
        order: of the calls, such that `before` is known of each.
        before: the calls that a call takes the signal, or the gradient, from.
        ratio: by how much a call multiplies it; NaN where that cannot be told.
        calls: of one pass.
        around: whether there is a way around each.
        thresholds: for the limit.
        what: is followed, for the evidence.
        mode: the fan that keeps it, for the remedy.
    """
    found: Found = []
    total = [1.0] * len(calls)  # the product of the ratios of judged layers, along the best path
    limits = f"(limits 1/{thresholds.growth:g} and {thresholds.growth:g})"
    for index in order:
        call = calls[index]
        if is_a(call.layer, Kind.NORMALIZATION):
            continue
        paths = [total[i] for i in before(index)]
        total[index] = min(paths, key=lambda product: abs(math.log(product)), default=1.0)
        factor = ratio(index)
        if not (0 < factor < math.inf) or call.composite or not is_judged(call.layer):
            continue
        if min(call.inputs.units if call.inputs else 0, call.output.units) < thresholds.units:
            continue
        if not 1 / thresholds.growth <= factor <= thresholds.growth:
            evidence = f"it multiplies {what} by {factor:.2g} {limits}"
            found.append((index, _size_finding(factor, evidence, mode, call)))
            continue
        if around[index]:
            continue
        total[index] *= factor
        if not 1 / thresholds.growth <= total[index] <= thresholds.growth:
            evidence = f"{what} is {total[index]:.2g} times what it was where its path began"
            found.append((index, _size_finding(total[index], f"{evidence} {limits}", mode, call)))
    return found


def _size_finding(factor: float, evidence: str, mode: str, call: Call) -> Finding:
    activation = activation_of(call.layer)
    name = getattr(activation, "__name__", None)
    gain = f'activation="{name}"' if name not in (None, "linear") else "activation= what follows it"
    remedy = (
        f'Draw its kernel by VarianceScalingInit({gain}, mode="{mode}"), or normalize its output'
    )
    return Finding("exploding" if factor > 1 else "vanishing", evidence, remedy)


def _alike(calls: Sequence[Call], around: Sequence[bool], thresholds: Thresholds) -> Found:
    found = []
    for index, call in enumerate(calls):
        if not _of_its_own(call) or call.inputs is None or not is_judged(call.layer):
            continue
        before, after = call.inputs.correlation, call.output.correlation
        if before <= thresholds.correlation < after and call.output.units >= thresholds.units:
            evidence = (
                f"its samples correlate by {after:.4f} (at most {thresholds.correlation:g}), "
                f"its input's by {before:.4f}"
            )
            remedy = (
                "Lower its bias, set its scale to the edge of chaos (critical_sigma_w), add skip "
                "connections, or normalize"
            )
            found.append((index, Finding("rank-collapsed", evidence, remedy)))
    return found


def _of_its_own(call: Call) -> bool:
    """Says whether a call is of one innermost layer that was given a signal and is finite."""
    given = call.inputs is None or (call.inputs.finite and call.inputs.second_moment > 0)
    return not call.composite and call.output.finite and given


def _has_kernel(call: Call) -> bool:
    return any(len(weight.shape) > 1 for weight in call.layer.weights)


def _equal_columns(call: Call) -> bool:
    kernels = [weight.numpy() for weight in call.layer.weights if len(weight.shape) > 1]
    return all(bool((kernel == kernel[..., :1]).all()) for kernel in kernels)


def _all_finite(weight: object) -> bool:
    value = weight.numpy()  # type: ignore[attr-defined]
    return bool((abs(value.astype("float64")) < math.inf).all())


def _root_ratio(after: float, before: float) -> float:
    return math.sqrt(after / before) if before > 0 else math.nan
