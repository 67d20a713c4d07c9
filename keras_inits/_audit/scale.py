"""The scale of a kernel: off its law, or off what its activation can take."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from keras_inits._audit.context import EPSILON, root_mean_square
from keras_inits._audit.kernel import Judgement, Kernel, Kernels, activated, remedy
from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._layers.activations import activation_name
from keras_inits._quadrature import normal_quantiles
from keras_inits._reporting import Finding
from keras_inits._schemes import OrthogonalInit
from keras_inits._schemes.laws import expected_stddev

# How far a measured scale may be off its law, and beyond how many standard errors that counts.
SCALE_TOLERANCE = 0.10
_STANDARD_ERRORS = 4.0
# Keras reads the gates of a cell, the groups and strides of a convolution and the taps of a
# transposed one off the shape. Values that follow the law so read are what Keras's users train
# with: they are reported only where that reading is off by more than this factor (gates: by 2 at
# most) and the scale of the signal changes by more than it, too.
_READING_TOLERANCE = 2.0
# A scheme of fixed scale is reported only where it is off by an order of magnitude.
GAIN_BOUNDS = (0.1, 10.0)
# A normalization takes the scale of a kernel away as long as the variance is above its epsilon.
_NORMALIZABLE_GAIN = math.sqrt(EPSILON)
_QUANTILES = 512  # of the standard normal law that an activation is tried on
_SLOPE = 1e-3  # step of the difference that tells whether an activation is flat
# With their losses (mean squared error, cross-entropy) a model of one such layer is convex.
_CONVEX = (None, keras.activations.linear, keras.activations.sigmoid, keras.activations.softmax)


def scale(kernel: Kernel, kernels: Kernels) -> Iterator[Judgement]:
    """Yields a finding if the scale does not fit the true fans of the kernel.

    None for a scale that a normalization takes away, and none for one below the law at the end of a
    residual branch or in a head: there it is meant so (GPT-2, Fixup, zero heads). Of a linear model
    it is a remark: its loss is convex, so that any start learns, and a few trained values cannot be
    told from drawn ones.
    """
    measured = float(kernel.values.std(dtype="float64"))
    if measured == 0.0 or isinstance(kernel.scheme, OrthogonalInit):
        return
    gain = root_mean_square(kernel.values) * math.sqrt(max(1.0, kernel.geometry.fan_in))
    if kernel.context.normalized and gain > math.sqrt(kernel.context.epsilon):
        return
    meant = None if kernel.scheme is None else expected_stddev(kernel.scheme, kernel.geometry)
    found: Iterator[Judgement] = iter(())
    if meant:
        found = _off_the_law(kernel, measured, meant, gain)
    elif not kernel.is_lookup and kernel.cell != "recurrent":
        found = _fixed_scale(kernel, kernels, measured, gain)
    around = kernel.context
    linear = around.is_head and len(kernels.all) == 1 and around.activation in _CONVEX
    for judgement in found:
        yield replace(judgement, is_fault=judgement.is_fault and not linear)


def _off_the_law(kernel: Kernel, measured: float, meant: float, gain: float) -> Iterator[Judgement]:
    true, shape = kernel.geometry, KernelGeometry.from_shape(kernel.geometry.shape)
    tolerance = max(SCALE_TOLERANCE, _STANDARD_ERRORS / math.sqrt(2 * kernel.values.size))
    ratio = measured / meant
    if abs(ratio - 1) <= tolerance:
        return
    readings = [expected_stddev(kernel.scheme, each) for each in (shape, *_by_axes(true))]
    as_read = any(read and abs(measured / read - 1) <= tolerance for read in readings)
    if ratio < 1 and not as_read and (kernel.context.is_branch_end or kernel.context.is_head):
        return  # made small on purpose
    # Half the measured ratio's tolerance comes on top of the factor.
    limit = _READING_TOLERANCE * (1 + tolerance / 2)
    if as_read and (1 / limit <= ratio <= limit or 1 / limit <= gain <= limit):
        return
    yield Judgement(
        Finding(
            kind="scale",
            where=(kernel.path,),
            evidence=(
                f"standard deviation {measured:.3g}, {ratio:.2f} of the {meant:.3g} that "
                f"{type(kernel.initializer).__name__} has for fans "
                f"{true.fan_in:g}/{true.fan_out:g} (the shape reads as "
                f"{shape.fan_in:g}/{shape.fan_out:g})"
            ),
            consequence=(
                f"the layer scales its signal or gradient by {ratio:.2f} of what the scheme is "
                "made for"
            ),
            remedy=remedy(kernel),
            numbers={"stddev": measured, "expected": meant, "ratio": ratio},
        ),
        not (as_read and (_is_unseen(kernel) or (ratio < 1 and _may_be_small(kernel, gain)))),
    )


def _may_be_small(kernel: Kernel, gain: float) -> bool:
    """Returns whether what stands around a kernel lets it be small.

    A stream goes on without the branch that adds little to it; a table of small rows is as Keras's
    own; and what is normalized further on, as the patches of a transformer, becomes large again.
    """
    around = kernel.context
    return (
        around.on_branch
        or around.is_table
        or (around.normalized_later and gain > _NORMALIZABLE_GAIN)
    )


def _by_axes(true: KernelGeometry) -> tuple[KernelGeometry, ...]:
    """Returns how Keras 3.15 reads the kernel of an EinsumDense that has independent maps.

    It knows inputs, which are summed over, and takes all other axes for outputs.
    """
    if not true.batch_axes or not true.input_axes:
        return ()
    outputs = tuple(sorted((*true.batch_axes, *true.output_axes)))
    return (replace(true, batch_axes=(), output_axes=outputs),)


def _fixed_scale(
    kernel: Kernel, kernels: Kernels, measured: float, gain: float
) -> Iterator[Judgement]:
    """Yields a finding if a scheme of fixed scale makes the signal fade, explode or saturate."""
    low, high = GAIN_BOUNDS
    of_mean = _gain_of_mean(kernel)
    gain = max(gain, of_mean)
    # The length of a signal is kept where there are more outputs than inputs: of an orthogonal
    # kernel of 10 inputs and 1000 outputs the single values are a tenth, and their sum is not.
    length = gain * math.sqrt(max(1.0, kernel.geometry.fan_out / max(1.0, kernel.geometry.fan_in)))
    if gain <= high and (length >= low or _may_fade(kernel, kernels, gain)):
        return
    effect = _effect(kernel.context.activation, gain)
    if not effect:
        return
    yield Judgement(
        Finding(
            kind="scale",
            where=(kernel.path,),
            evidence=(
                f"{_law(kernel, measured, of_mean < gain)} with fan_in "
                f"{kernel.geometry.fan_in:g}: the layer multiplies the scale of its signal by "
                f"{gain:.3g}{', if that is of one sign' * (of_mean == gain)}"
            ),
            consequence=f"the signal {effect}",
            remedy=remedy(kernel),
            numbers={"stddev": measured, "gain": gain},
        ),
        not _is_unseen(kernel),
    )


def _gain_of_mean(kernel: Kernel) -> float:
    """Returns what the mean of a kernel makes of a signal of one sign, such as one behind a ReLU.

    It adds up over all inputs, and not over the root of their number. 0 for a mean within three
    standard errors.
    """
    mean, stddev = (float(f(kernel.values, dtype="float64")) for f in (np.mean, np.std))
    chance = 3.0 * stddev / math.sqrt(kernel.values.size)
    return kernel.geometry.fan_in * math.sqrt(max(0.0, mean**2 - chance**2))


def _law(kernel: Kernel, stddev: float, centred: bool) -> str:
    mean = "" if centred else f"mean {float(kernel.values.mean(dtype='float64')):.3g}, "
    return f"{mean}standard deviation {stddev:.3g}"


def _may_fade(kernel: Kernel, kernels: Kernels, gain: float) -> bool:
    """Returns whether it is no fault that a kernel makes its signal small.

    What a cell takes in is summed over the steps, however many there are, and of a head that starts
    small the loss is that of a guess.
    """
    return bool(
        kernel.cell
        or _may_be_small(kernel, gain)
        or _makes_logits(kernel)
        or (kernel.context.is_head and len(kernels.all) > 1)
        or _is_unseen(kernel)
    )


def _effect(activation: Any, gain: float) -> str:
    """Returns what a kernel of this gain does to a normal signal, as a verb; empty if nothing.

    It is compared with what comes out behind a kernel of gain 1: SIREN's sine of 30 z wants a gain
    of 1/30.
    """
    low, high = GAIN_BOUNDS
    z = normal_quantiles(_QUANTILES)
    ours, usual = (activated(activation, g * z) for g in (gain, 1.0))
    if ours is None or usual is None:
        return ""
    scale, reference = root_mean_square(ours), max(root_mean_square(usual), 1e-6)
    if gain < low:
        return "fades" if scale < low * reference else ""
    steeper = activated(activation, gain * z + _SLOPE)
    slope = np.abs((steeper - ours) / _SLOPE) if steeper is not None else np.ones(1)
    if gain > high and np.mean(slope < 0.1 * max(1e-6, float(slope.max()))) > 0.5:
        return "saturates the activation"
    return "explodes" if gain > high and scale > high * reference else ""


def _is_unseen(kernel: Kernel) -> bool:
    return not (kernel.context.meetings or kernel.context.alone)


def _makes_logits(kernel: Kernel) -> bool:
    name = activation_name(kernel.context.activation).lower()
    return kernel.context.is_head and name in ("linear", "softmax", "sigmoid")
