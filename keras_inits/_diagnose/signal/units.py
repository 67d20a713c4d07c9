"""Checks of single layers: finite values, equal, dead and saturated units, samples grown alike."""

import math
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits._diagnose.seen.calls import Call
from keras_inits._diagnose.seen.measuring import NEAR, within
from keras_inits._diagnose.seen.statistics import equal_columns
from keras_inits._diagnose.seen.traits import has_kernel, is_judged, rectifies, saturation_bounds
from keras_inits._diagnose.signal.evidence import Evidence
from keras_inits._diagnose.signal.lost import stuck_with
from keras_inits._diagnose.signal.remedies import (
    activation_name,
    fits,
    kernel_before,
    redraw,
    reference,
    scale_input,
)
from keras_inits._gains import resolve
from keras_inits._reporting import Finding, refill

Found = Iterator[tuple[int | None, Finding]]

# Of the distance of its bounds: where the slope of a sigmoid is a thousandth, and lost.
STUCK = 0.001
_UNDEFINED = (
    "Look in it for a logarithm, a root or a quotient of what may be 0 or negative: "
    "keras.ops.log(x + 1e-6), or keras.ops.maximum(x, 1e-6), in the place of x"
)

# Where kernels are of the right size already, to draw them again amends nothing.
_DEPTH = (
    "Its kernel has the right size: it is depth that makes samples alike. Put "
    "keras.layers.BatchNormalization() between kernel and activation of these layers, or add what "
    "goes into each block to what comes out of it (skip connections)"
)
_LEAKY = (
    "Its kernel has the right size: samples are so alike that units are off for all of them. "
    "Standardize the input, put keras.layers.BatchNormalization() before the activation, or take "
    'activation="leaky_relu"'
)


def not_finite(evidence: Evidence) -> Found:
    """Yields the first layer whose output is not finite, or else the last such gradient."""
    calls = evidence.calls
    first = next((i for i, call in enumerate(calls) if not call.output.finite), None)
    if first is not None:
        yield first, _output_not_finite(evidence, first)
        return
    bad = (i for i, call in enumerate(calls) if call.gradient and not call.gradient.finite)
    last = max(bad, default=None)  # the gradient comes from the end
    if last is not None:
        yield last, _gradient_not_finite(evidence, last)


def _output_not_finite(evidence: Evidence, index: int) -> Finding:
    call = evidence.calls[index]
    bad = [w for w in call.layer.weights if not _all_finite(w)] if not call.composite else []
    if call.composite:  # by something outside of any layer inside it
        origin, remedy = "computed inside it", "Look for a division by 0 or an overflow in it."
    elif bad:
        origin = f"weights {', '.join(w.path for w in bad)}"
        few = all(np.isfinite(w.numpy().astype("float64")).mean() > 0.5 for w in bad)
        remedy = "\n".join(refill(w.path) for w in bad) if few else redraw(evidence, index)
    else:
        origin = "from finite weights and inputs"
        if call.inputs is not None and call.inputs.zeros > 0:
            origin += f", {call.inputs.zeros:.0%} of which are 0"
        remedy = scale_input(evidence, limit=1e6) or redraw(evidence, index) or _UNDEFINED
    return Finding(
        kind="not finite",
        where=(call.name,),
        evidence=f"its output has NaN or infinity: {origin}",
        consequence="All that follows it is NaN, and so is every weight after one step",
        remedy=remedy,
        numbers={} if call.composite or bad else {"overflow": 1.0},
    )


def _gradient_not_finite(evidence: Evidence, index: int) -> Finding:
    name, last = evidence.calls[index].name, index in evidence.ends
    return Finding(
        kind="not finite",
        where=(name, "loss") if last else (name,),
        evidence=(
            "its output is finite, the gradient there is not"
            + (": it comes from the loss" if last else "")
        ),
        consequence="Every weight before it is NaN after one step",
        remedy=(
            "Look at the loss, or at the layers after it, for 0/0 or a root at 0: "
            "keras.ops.sqrt(x + 1e-7) has a gradient where x is 0."
        ),
        numbers={"overflow": 1.0},
    )


def loss_not_finite(evidence: Evidence) -> Found:
    """Yields that the loss is not finite although all that the model puts out is."""
    if evidence.loss is not None and not math.isfinite(evidence.loss):
        yield (
            None,
            Finding(
                kind="not finite",
                where=("loss",),
                evidence=f"the loss is {evidence.loss:g}, of finite outputs",
                consequence="Every weight is NaN after one step",
                remedy=(
                    "Look in the loss for a logarithm, a root or a quotient of what may be 0 or "
                    "negative: keras.ops.softplus(x) + 1e-6 in the place of x makes it positive."
                ),
            ),
        )


def symmetric(evidence: Evidence) -> Found:
    """Yields layers with units that are equal in weights, output and gradient."""
    for index, call in enumerate(evidence.calls):
        back, units = call.gradient, call.output.units
        if call.composite or not call.output.finite or back is None or not back.finite:
            continue
        if not has_kernel(call.layer) or units < 2:
            continue
        silent = call.output.second_moment == 0 and back.second_moment == 0
        if silent and (_wakes(evidence, index) or stuck_with(evidence, index) is not None):
            continue
        count = units if silent and _one_column(call) else _equal_units(call)
        if count > evidence.thresholds.equal * units:
            # A kernel of zeros behind gets no gradient either, of the zeros that it is given.
            behind = [i for i in evidence.leads_to[index] if silent and _is_zero(evidence, i)]
            yield (
                index,
                Finding(
                    kind="symmetric",
                    where=(call.name,),
                    evidence=(
                        f"{count} of {units} units equal others, in output and in gradient"
                        + "".join(
                            f", and the kernel of {evidence.calls[i].name} is 0" for i in behind
                        )
                    ),
                    consequence="Equal units get equal steps: training never makes them differ",
                    remedy=redraw(evidence, index),
                    numbers={"equal": count, "units": units},
                ),
            )


def _is_zero(evidence: Evidence, index: int) -> bool:
    """Returns whether a call has a kernel of zeros."""
    kernels = [w for w in evidence.calls[index].layer.trainable_weights if len(w.shape) > 1]
    return bool(kernels) and not any(np.any(keras.ops.convert_to_numpy(w)) for w in kernels)


def _wakes(evidence: Evidence, index: int) -> bool:
    """Returns whether a silent layer gets no gradient only for as long as a head of zeros stands.

    So Fixup starts: branches and head end in zeros (Zhang et al. 2019). At the first step the head
    learns from a stream that is not zero, a row for each unit, and at the second one gradients come
    through it, others to each unit.
    """
    return any(
        call.gradient is not None
        and call.gradient.finite
        and call.gradient.second_moment > 0
        and call.inputs is not None
        and call.inputs.second_moment > 0
        and call.inputs.dead_units == 0
        and has_kernel(call.layer)
        and all(not np.any(keras.ops.convert_to_numpy(w)) for w in call.layer.weights)
        for call in evidence.calls[index + 1 :]
        if not call.composite
    )


def dying(evidence: Evidence) -> Found:
    """Yields layers most of whose units are 0 on the whole batch behind a rectifier."""
    limit = evidence.thresholds.dead
    for index, call in enumerate(evidence.calls):
        shares = [s.dead_units for s in call.squashed]
        if not call.composite and rectifies(call.activation):
            shares.append(call.output.dead_units)
        if _has_signal(call):
            shares.append(_dead_by_operations(evidence, index))
        share = np.nanmax([0.0, *shares])
        if _has_signal(call) and share > _dead_limit(call, limit):
            yield (
                index,
                Finding(
                    kind="dying",
                    where=(call.name,),
                    evidence=(
                        f"{share:.0%} of its units are 0 on the whole batch (at most {limit:.0%})"
                    ),
                    consequence="A unit that is 0 for every sample gets no gradient and stays so",
                    remedy=_revived(evidence, index),
                    numbers={"dead": float(share), "limit": limit},
                ),
            )


def _revived(evidence: Evidence, index: int) -> str:
    """Returns the remedy for dead units of a call."""
    call = evidence.calls[index]
    expression = reference(evidence.model, call)
    if isinstance(call.layer, keras.layers.ReLU) and call.layer.threshold > 0 and expression:
        return f"{expression}.threshold = 0.0; model.compile(model.optimizer, loss=model.loss)"
    if _given_alike(call) and fits(evidence, index):
        return _LEAKY
    return redraw(evidence, index, "keras_inits.HeInit()")


def _dead_by_operations(evidence: Evidence, index: int) -> float:
    """Returns the share of units that several operations behind a kernel make 0, and teach nothing.

    So does `where(x > 0, x, 0)`. They are run on the part of the output that was kept.
    """
    call = evidence.calls[index]
    output, back = call.columns, call.gradient_columns
    if call.composite or not has_kernel(call.layer) or output is None or back is None:
        return 0.0
    silent = ~back.any(axis=0) & output.any(axis=0)
    # Only then is it worth to look at the wiring.
    picture = evidence.picture if silent.mean() > evidence.thresholds.dead else None
    if picture is None or index not in picture.places:
        return 0.0
    following = picture.wiring.activation_after(picture.wiring.calls[picture.places[index]])
    if following.between or len(following.calls) < 2:
        return 0.0
    made = keras.ops.convert_to_numpy(picture.wiring.computed(following.calls, output))
    return float((silent & ~made.any(axis=0)).mean())


def _dead_limit(call: Call, limit: float) -> float:
    """Returns the share of dead units that is more than chance.

    Of samples that are alike, and of a single one, half of the units are 0 for all at once, give or
    take: the binomial deviation, of which three happen once in 700 layers.
    """
    if not _given_alike(call):
        return limit
    chance = 0.5 + 3 * math.sqrt(0.25 / max(1, call.output.units))
    return min(max(limit, chance), 1 - 1e-9)


def _given_alike(call: Call) -> bool:
    given = call.inputs
    return given is not None and (given.correlation > 0.9 or math.prod(given.shape) == given.units)


def saturated(evidence: Evidence) -> Found:
    """Yields layers most of whose outputs, or gates, are at a bound of their activation."""
    limit = evidence.thresholds.saturated
    for index, call in enumerate(evidence.calls):
        shares = [s.saturated for s in call.squashed]
        if not call.composite:
            shares.append(call.output.saturated)
        share = np.nanmax([0.0, *shares])
        if _has_signal(call) and share > _dead_limit(call, limit):
            held = _held_by_bias(evidence, index)
            share = (share - held) / (1 - held) if held < 1 else 0.0
        if _has_signal(call) and share > _dead_limit(call, limit):
            loud = call.inputs is not None and call.inputs.second_moment > 100  # 10 deviations
            remedy = redraw(evidence, index)
            yield (
                index,
                Finding(
                    kind="saturated",
                    where=(call.name,),
                    evidence=f"{share:.0%} of its values are near a bound (at most {limit:.0%})",
                    consequence=(
                        "The derivative is nearly 0 there, and with it the gradient before the "
                        "layer"
                    ),
                    remedy=(
                        "x = (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-7)"
                        if loud and not any(s >= 0 for s in call.before)
                        else remedy
                    ),
                    numbers={"saturated": float(share), "limit": limit},
                ),
            )


def _held_by_bias(evidence: Evidence, index: int) -> float:
    """Returns the share of units, or gates, that a bias holds near a bound, and that still learn.

    So start the logits of what is rare (Lin et al. 2017, section 4.1) and gates that are to
    remember (chrono, Tallec & Ollivier 2018): their slope is a hundredth, and meant.
    """
    found = kernel_before(evidence, index)
    if found is None:
        return 0.0
    layer = evidence.calls[found].layer
    cell: Any = getattr(layer, "cell", layer)
    gated = hasattr(cell, "recurrent_activation") and hasattr(cell, "recurrent_kernel")
    name = activation_name(evidence, found)
    activation = cell.recurrent_activation if gated else name and keras.activations.get(name)
    bias = getattr(cell, "bias", None)
    bounds = saturation_bounds(resolve(activation)) if activation and bias is not None else None
    if bias is None or bounds is None:
        return 0.0
    values = keras.ops.convert_to_numpy(bias).astype("float64")
    values = values.reshape(-1, values.shape[-1]).sum(axis=0)
    if gated:  # all but the candidate, the third piece of LSTM and GRU
        units = int(cell.recurrent_kernel.shape[-2])
        values = np.delete(values, slice(2 * units, 3 * units))
    made = resolve(activation).function(values)
    near, stuck = (within(made, bounds, share) for share in (NEAR, STUCK))
    return float(np.mean(near & ~stuck))


def alike(evidence: Evidence) -> Found:
    """Yields the layers from which on samples can hardly be told apart."""
    limit = evidence.thresholds.correlation
    for index, call in enumerate(evidence.calls):
        if call.composite or not _has_signal(call) or call.inputs is None or call.is_learned:
            continue
        if not is_judged(call.layer) or call.output.units < evidence.thresholds.units:
            continue
        before, after = call.inputs.correlation, call.output.correlation
        if before <= limit < after:
            name = activation_name(evidence, index) or "tanh"
            yield (
                index,
                Finding(
                    kind="rank-collapsed",
                    where=(call.name,),
                    evidence=(
                        f"its samples correlate by {after:.4f} (at most {limit:g}), its input's by "
                        f"{before:.4f}"
                    ),
                    consequence=(
                        f"What differs between samples is lost (the edge of chaos of {name}: "
                        "keras_inits.critical_sigma_w)"
                    ),
                    remedy=_DEPTH if fits(evidence, index) else redraw(evidence, index),
                    numbers={"correlation": after, "limit": limit},
                ),
            )


def _has_signal(call: Call) -> bool:
    """Returns whether a call was given a signal and is finite."""
    given = call.inputs is None or (call.inputs.finite and call.inputs.second_moment > 0)
    return call.output.finite and given


def _equal_units(call: Call) -> int:
    """Returns how many units equal another one in output, in gradient, and in their weights."""
    output, back = call.columns, call.gradient_columns
    if output is None or back is None:
        return 0
    # Both on one scale, so that neither hides in the tolerance of the other.
    size, back_size = np.abs(output).max(initial=0.0), np.abs(back).max(initial=0.0)
    if size == 0:  # heads of zeros, such as those of a mixture, whose loss tells no unit apart
        return int(equal_columns(back[:, _answered(back)]).sum()) if _one_column(call) else 0
    scaled = back * (size / back_size) if back_size > 0 else back
    equal = int(equal_columns(np.concatenate([output, scaled])).sum())
    if not equal:
        return 0
    units = call.output.units
    weights = [
        np.asarray(w.numpy(), np.float64).reshape(-1, units)
        for w in call.layer.weights
        if w.shape and w.shape[-1] == units
    ]
    return min(equal, int(equal_columns(np.concatenate(weights)).sum())) if weights else equal


def _answered(back: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Returns which units have a gradient that the targets decide, `(units,)`.

    Logits of 0 of the classes that no sample of the batch has get one gradient, whatever the
    sample; other batches tell them apart.
    """
    lowest = np.where(back == 0, np.inf, back).min(axis=0, initial=np.inf)
    highest = np.where(back == 0, -np.inf, back).max(axis=0, initial=-np.inf)
    return np.asarray(highest - lowest > 1e-5 * np.abs(highest))


def _one_column(call: Call) -> bool:
    kernels = [weight.numpy() for weight in call.layer.weights if len(weight.shape) > 1]
    return all(bool((kernel == kernel[..., :1]).all()) for kernel in kernels)


def _all_finite(weight: object) -> bool:
    value = weight.numpy()  # type: ignore[attr-defined]
    return value.dtype.kind not in "fV" or bool(np.isfinite(value.astype("float64")).all())
