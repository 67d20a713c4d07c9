"""Kernels that an operation reads the other way round: the decoders of tied autoencoders."""

import math

from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._wiring import Call, Wiring

# Operations that read each number of a kernel once for each place that they make.
_PRODUCTS = frozenset({"Matmul", "Dot", "Conv", "ConvTranspose"})


def summed_weights(wiring: Wiring, call: Call, geometry: KernelGeometry) -> float:
    """Returns over how many weights of a kernel each output of a call sums.

    That is its fan, or the fan of what reads it transposed. A table sums over its units where it
    makes the logits.
    """
    own = geometry.fan_in if geometry.input_axes or geometry.tap_axes else geometry.fan_out
    subject = wiring.subjects[call.index]
    name = type(subject).__name__
    axes = len(geometry.shape) - 2
    if name not in _PRODUCTS or call.shape[-1:] not in [(n,) for n in geometry.shape[axes:]]:
        return own  # of a kernel that is reshaped, say
    strides = getattr(subject, "strides", 1) if name == "ConvTranspose" else 1
    places = math.prod(strides) if isinstance(strides, tuple | list) else int(strides) ** axes
    return max(1.0, math.prod(geometry.shape) / (call.shape[-1] * places))


def summed_weights_of_uses(wiring: Wiring, path: str, geometry: KernelGeometry) -> set[float]:
    """Returns over how many weights of a kernel its calls sum; two numbers if it is read both ways.

    Args:
        wiring: of the model.
        path: of the kernel.
        geometry: its own.
    """
    calls = (each for each in wiring.of(path) if each.is_map and each.weights[:1] == (path,))
    return {summed_weights(wiring, each, geometry) for each in calls}
