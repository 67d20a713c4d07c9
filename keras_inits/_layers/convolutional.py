"""Convolutions: plain, grouped, strided, transposed, depthwise and separable.

Dilation spreads the taps and changes no fan. Border effects of `padding="same"` are left out, as
in every initialization paper.
"""

import math
from typing import Any

from keras import layers

from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._layers.dispatch import Default, Role, geometry, unknown


def _stride(layer: Any) -> int:
    strides = layer.strides
    return int(strides if isinstance(strides, int) else math.prod(strides))


@geometry.register(layers.Conv1D)
@geometry.register(layers.Conv2D)
@geometry.register(layers.Conv3D)
def _convolution(layer: Any, weight: Any) -> Role:
    if weight.name == "kernel":  # (*taps, inputs of a group, groups x outputs of a group)
        return KernelGeometry.from_shape(
            weight.shape, blocks=layer.groups, output_stride=_stride(layer)
        )
    return Default(layer.bias_initializer) if weight.name == "bias" else unknown(layer, weight)


@geometry.register(layers.Conv1DTranspose)
@geometry.register(layers.Conv2DTranspose)
@geometry.register(layers.Conv3DTranspose)
def _transposed(layer: Any, weight: Any) -> Role:
    if weight.name == "kernel":  # (*taps, outputs, inputs)
        return KernelGeometry.from_shape(weight.shape, -1, -2, input_stride=_stride(layer))
    return Default(layer.bias_initializer) if weight.name == "bias" else unknown(layer, weight)


def _each_channel(layer: Any, weight: Any) -> KernelGeometry:
    """The geometry of `(*taps, channels, multiplier)`: each channel is a map of its own."""
    return KernelGeometry.from_shape(weight.shape, (), -1, -2, output_stride=_stride(layer))


@geometry.register(layers.DepthwiseConv1D)
@geometry.register(layers.DepthwiseConv2D)
def _depthwise(layer: Any, weight: Any) -> Role:
    if weight.name == "kernel":
        return _each_channel(layer, weight)
    return Default(layer.bias_initializer) if weight.name == "bias" else unknown(layer, weight)


@geometry.register(layers.SeparableConv1D)
@geometry.register(layers.SeparableConv2D)
def _separable(layer: Any, weight: Any) -> Role:
    if weight.name == "depthwise_kernel":
        return _each_channel(layer, weight)
    if weight.name == "pointwise_kernel":
        return KernelGeometry.from_shape(weight.shape)
    return Default(layer.bias_initializer) if weight.name == "bias" else unknown(layer, weight)
