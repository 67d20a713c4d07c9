"""Checks of single layers: dead and saturated units, samples grown alike."""

import math
from typing import Any

import keras
import numpy as np

from keras_inits._diagnose.seen.calls import Call
from keras_inits._diagnose.seen.measuring import NEAR, within
from keras_inits._diagnose.seen.traits import has_kernel, is_judged, rectifies, saturation_bounds
from keras_inits._diagnose.signal.evidence import Evidence, Found
from keras_inits._diagnose.signal.remedies import (
    activation_name,
    fits,
    kernel_before,
    redraw,
    reference,
)
from keras_inits._gains import resolve
from keras_inits._reporting import Finding

# Of the distance of its bounds: where the slope of a sigmoid is a thousandth, and lost.
STUCK = 0.001
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
