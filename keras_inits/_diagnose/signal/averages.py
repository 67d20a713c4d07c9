"""Normalizations and poolings that make one value, or a sign, of whatever they are given.

A mean takes one degree of freedom away, a size another one. Of a single value a normalization
leaves 0, or its sign where no mean is taken away; of two values, which of them is larger. So do a
group normalization with a group for each channel at one place, a layer normalization over an axis
of size 1, and a batch normalization, in training, on a batch of one sample.
"""

import math
from typing import Any

import keras
import numpy as np

from keras_inits._diagnose.seen.calls import Call
from keras_inits._diagnose.seen.traits import together
from keras_inits._diagnose.signal.evidence import Evidence, Found
from keras_inits._diagnose.signal.remedies import reference, replaced
from keras_inits._layers.kinds import Kind, is_a
from keras_inits._layers.scales import epsilon_of
from keras_inits._reporting import Finding

# Of the mean, and of the deviation before: what a pooling leaves of samples that differ.
_ONE_VALUE, _LEFT = 0.01, 0.1
# Of the variance: an epsilon above it makes x / sqrt(x^2 + epsilon) a curve, not a sign.
_SIGN = 0.01
_NEAR = 0.05  # of gamma: float16 through x * scale + shift, and epsilon
FEWEST = 8  # values of a group, where groups can be fewer: the mean of less is noise
_OF_SIZE = keras.layers.RMSNormalization | keras.layers.UnitNormalization


def too_few(evidence: Evidence) -> Found:
    """Yields normalizations over a single value, or over two of which a mean is taken away."""
    for index, call in enumerate(evidence.calls):
        layer, given = getattr(call.layer, "layer", call.layer), call.inputs
        values = None if given is None or call.composite else together(call.layer, given.shape)
        if given is None or values not in (1, 2):
            continue
        centred = not isinstance(layer, _OF_SIZE)
        size = given.std**2 if centred else given.second_moment
        nothing = centred and values == 1
        sign = (values == 1 + centred) and epsilon_of(layer) <= _SIGN * size
        if not nothing and not sign:
            continue
        if isinstance(layer, keras.layers.BatchNormalization) and not _is_of_batch(layer, call):
            continue
        what = "its means and variances" if centred else "the sizes that it divides by"
        over = "a single value" if values == 1 else "two values"
        yield (
            index,
            Finding(
                kind="no gradient",
                where=(call.name,),
                evidence=f"it takes {what} over {over} each: {_of_what(layer, given.shape)}",
                consequence=(
                    "Whatever it is given, it puts out its beta: nothing comes through it, and no "
                    "gradient back"
                    if nothing
                    else ("The sign" if values == 1 else "Which of them is larger")
                    + " is all that comes through it, and no gradient comes back"
                ),
                remedy=_of_more(evidence, call, layer),
                numbers={"values": float(values)},
            ),
        )


def _is_of_batch(layer: Any, call: Call) -> bool:
    """Returns whether a batch normalization over one or two values used those of the batch."""
    if call.columns is None or call.inputs is None:
        return False
    beta = 0.0 if layer.beta is None else keras.ops.convert_to_numpy(layer.beta)
    gamma = 1.0 if layer.gamma is None else np.abs(keras.ops.convert_to_numpy(layer.gamma))
    made = np.asarray(call.columns, np.float64)
    if made.size != np.prod(call.inputs.shape) or made.shape[-1] != call.inputs.shape[layer.axis]:
        return False
    values = together(layer, call.inputs.shape) or 1
    off = np.abs(np.abs(made - beta) - (values - 1) * gamma)
    return bool(np.median(off / np.maximum(1, gamma)) <= _NEAR)


def _of_what(layer: Any, shape: tuple[int, ...]) -> str:
    """Returns what makes the values of a mean so few."""
    if isinstance(layer, keras.layers.BatchNormalization):
        samples = "one sample" if shape[0] == 1 else f"{shape[0]} samples"
        return f"the batch holds {samples}" + (" at one place" if len(shape) > 2 else "")
    axes = layer.axis if isinstance(layer.axis, list | tuple) else [layer.axis]
    if isinstance(layer, keras.layers.GroupNormalization):
        channels = shape[layer.axis]
        groups = channels if layer.groups == -1 else layer.groups
        return f"{groups} groups of {channels} channels" + (" at one place" * (len(shape) > 2))
    sizes = " x ".join(str(shape[axis]) for axis in axes)
    names = ", ".join(map(str, axes))
    return f"axis {names} has size {sizes}" if len(axes) == 1 else f"axes {names} have {sizes}"


def _of_more(evidence: Evidence, call: Call, layer: Any) -> str:
    """Returns the remedy: more values for each mean."""
    assert call.inputs is not None
    if isinstance(layer, keras.layers.BatchNormalization):
        return (
            "Batches of more samples: model.fit(x, y, batch_size=32); where they hold more "
            "already, give diagnose as many"
        )
    expression, total = reference(evidence.model, call), math.prod(call.inputs.shape[1:])
    if isinstance(layer, keras.layers.GroupNormalization) and expression and total > 2:
        channels = call.inputs.shape[layer.axis]
        fewer = [g for g in range(1, channels) if channels % g == 0 and total // g >= FEWEST]
        again = "; model.compile(model.optimizer, loss=model.loss)"
        groups = max(fewer, default=1)
        return f"{expression}.groups = {groups}" + (again if evidence.model.compiled else "")
    return replaced(evidence.model, call, "keras.layers.BatchNormalization()")


def constant(evidence: Evidence) -> Found:
    """Yields other normalizations, and poolings, that make one value of samples that differ.

    The largest value of a whole picture is the same in most; of poolings those before any weight
    are looked at.
    """
    for index, call in enumerate(evidence.calls):
        given = call.inputs
        several = given is not None and given.shape[0] > 1 and given.std > 0
        pools = is_a(call.layer, Kind.POOLING) and not any(map(evidence.own_weights, range(index)))
        if not several or not (pools or is_a(call.layer, Kind.NORMALIZATION)):
            continue
        left = min(_ONE_VALUE * abs(call.output.mean), _LEFT * given.std) if pools and given else 0
        if call.output.std > left:
            continue
        gamma = getattr(call.layer, "gamma", None)
        if gamma is not None and not np.any(keras.ops.convert_to_numpy(gamma)):
            continue  # drawn so: the branch it ends is learned from 0 on
        axis = getattr(call.layer, "axis", None)
        yield (
            index,
            Finding(
                kind="no gradient",
                where=(call.name,),
                evidence=(
                    f"its output is {call.output.mean:.3g} for every sample, whatever it is given"
                    + (f": along axis {axis} entries are equal" if axis is not None else "")
                ),
                consequence="Nothing of the input comes through it: what follows learns a constant",
                remedy=(
                    "Pool over smaller windows, or behind layers that learn what to look for."
                    if pools
                    else "Normalize over an axis of entries that differ, or by "
                    "keras.layers.BatchNormalization."
                ),
                numbers={"std": call.output.std},
            ),
        )
