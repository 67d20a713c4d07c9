"""Units that are equal in weights, output and gradient, and so stay equal."""

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits._diagnose.seen.calls import Call
from keras_inits._diagnose.seen.statistics import equal_columns
from keras_inits._diagnose.seen.traits import has_kernel
from keras_inits._diagnose.signal.evidence import Evidence, Found
from keras_inits._diagnose.signal.remedies import redraw
from keras_inits._diagnose.signal.stuck import stuck_with
from keras_inits._reporting import Finding


def check(evidence: Evidence) -> Found:
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
    # Without a gradient units take no step: what they lack is something else.
    moved = np.any(back, axis=0) if back_size > 0 else np.ones(back.shape[1], bool)
    equal = int(equal_columns(np.concatenate([output, scaled])[:, moved]).sum())
    if not equal:
        return 0
    units = call.output.units
    weights = [
        np.asarray(w.numpy(), np.float64).reshape(-1, units)[:, moved]
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
