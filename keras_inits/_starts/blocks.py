"""Where the independent maps of a kernel lie, in the kernel and in what its layer gives out.

Gates, groups, heads and experts are maps that share one array; each is scaled by itself. The
channels of a depthwise convolution are not: one map has a handful of weights, and a channel that
is nearly always 0 would be blown up.
"""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._layers.kinds import Kind, classes


def library(values: Any) -> Any:
    """Returns the module whose functions take `values`: NumPy for arrays, else `keras.ops`."""
    return np if isinstance(values, np.ndarray) else ops


@dataclass(frozen=True)
class BlockAxis:
    """Maps that lie side by side along one axis.

    Attributes:
        kernel: the axis of the kernel, from 0.
        output: the axis of the output, from 0.
        count: how many maps lie along it.
    """

    kernel: int
    output: int
    count: int


@dataclass(frozen=True)
class Layout:
    """How a kernel's maps, and the bias, lie in the output of a layer.

    Attributes:
        axes: those along which maps lie, in the order of the output.
        bias_shape: a shape with which the bias fits the output; None for a layer without one.
    """

    axes: tuple[BlockAxis, ...] = ()
    bias_shape: tuple[int, ...] | None = None

    def mean(self, values: Any) -> NDArray[np.float64]:
        """Returns the mean of an output over each block, of shape `(count, ...)`."""
        counts = {axis.output: axis.count for axis in self.axes}
        shape: list[int] = []
        kept: list[int] = []
        for axis, size in enumerate(values.shape):
            if axis in counts:
                kept.append(len(shape))
                shape += [counts[axis], size // counts[axis]]
            else:
                shape.append(size)
        others = [axis for axis in range(len(shape)) if axis not in kept]
        xp = library(values)
        means = xp.mean(xp.reshape(values, shape), axis=tuple(others))
        return np.asarray(means if xp is np else ops.convert_to_numpy(means), "float64")

    def over_output(self, factors: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
        """Returns a factor for each block in a shape that multiplies the output."""
        return _spread(factors, [(axis.output, axis.count) for axis in self.axes], shape)

    def over_kernel(self, factors: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
        """Returns a factor for each block in a shape that multiplies the kernel."""
        return _spread(factors, [(axis.kernel, axis.count) for axis in self.axes], shape)

    def unit_mean(self, values: Any) -> Any:
        """Returns the mean over all that one entry of the bias is added to."""
        assert self.bias_shape is not None
        over = [axis for axis, size in enumerate(self.bias_shape) if size == 1]
        return library(values).mean(values, axis=tuple(over), keepdims=True)


def _spread(
    factors: NDArray[Any], places: list[tuple[int, int]], shape: tuple[int, ...]
) -> NDArray[Any]:
    order = sorted(range(len(places)), key=lambda i: places[i][0])
    spread = np.transpose(factors, order) if places else np.asarray(factors)
    full = [1] * len(shape)
    for position, index in enumerate(order):
        axis, count = places[index]
        spread = np.repeat(spread, shape[axis] // count, axis=position)
        full[axis] = shape[axis]
    return spread.reshape(full)


@functools.singledispatch
def layout(layer: Any, geometry: KernelGeometry, output_shape: tuple[int, ...]) -> Layout:
    """Returns where the maps of a layer's kernel lie in its output.

    Args:
        layer: a layer with one kernel between what comes in and what goes out.
        geometry: that of the kernel.
        output_shape: the shape of the output, batch included.

    >>> layout(layers.Dense(4), KernelGeometry.from_shape((3, 4)), (2, 4)).bias_shape
    """
    return Layout()


@layout.register(layers.Dense)
def _dense(layer: Any, geometry: KernelGeometry, output_shape: tuple[int, ...]) -> Layout:
    return _along_channels(layer, geometry, output_shape, len(output_shape) - 1)


def _convolution(layer: Any, geometry: KernelGeometry, output_shape: tuple[int, ...]) -> Layout:
    last = layer.data_format == "channels_last"
    return _along_channels(layer, geometry, output_shape, len(output_shape) - 1 if last else 1)


for _kind in (Kind.CONVOLUTION, Kind.DEPTHWISE, Kind.SEPARABLE, Kind.TRANSPOSED):
    for _class in classes(_kind):
        layout.register(_class, _convolution)


def _along_channels(
    layer: Any, geometry: KernelGeometry, output_shape: tuple[int, ...], channels: int
) -> Layout:
    axes: tuple[BlockAxis, ...] = ()
    if geometry.blocks > 1:
        axes = (BlockAxis(geometry.output_axes[0], channels, geometry.blocks),)
    if getattr(layer, "bias", None) is None:
        return Layout(axes)
    shape = [1] * len(output_shape)
    shape[channels] = output_shape[channels]
    return Layout(axes, tuple(shape))


@layout.register(layers.EinsumDense)
def _einsum(layer: Any, geometry: KernelGeometry, output_shape: tuple[int, ...]) -> Layout:
    axes = einsum_axes(layer.equation, geometry, len(output_shape))
    if layer.bias is None:
        return Layout(axes)
    lacking = len(output_shape) - len(layer.bias.shape)
    return Layout(axes, (1,) * lacking + tuple(layer.bias.shape))


def einsum_axes(equation: str, geometry: KernelGeometry, rank: int) -> tuple[BlockAxis, ...]:
    """Returns where the maps of a kernel lie in the product of an einsum with it.

    Args:
        equation: of two operands, the kernel last.
        geometry: that of the kernel.
        rank: how many axes the product has.

    >>> experts = KernelGeometry((4, 3, 5), input_axes=(1,), output_axes=(2,), batch_axes=(0,))
    >>> einsum_axes("th,ehm->etm", experts, 3)
    (BlockAxis(kernel=0, output=0, count=4),)
    """
    operands, result = equation.replace(" ", "").split("->")
    kernel = operands.split(",")[1]
    front, _, back = result.partition("...")
    places = {label: axis for axis, label in enumerate(front)}
    if "..." in result:
        places |= {label: rank - len(back) + axis for axis, label in enumerate(back)}
    # Of several output axes the first counts the heads.
    heads = geometry.output_axes[:1] if len(geometry.output_axes) > 1 else ()
    counts = {axis: geometry.shape[axis] for axis in (*geometry.batch_axes, *heads)}
    if geometry.blocks > 1:  # side by side along the outputs, as gate and up-projection
        counts[geometry.output_axes[0]] = geometry.blocks
    found = (BlockAxis(axis, places[kernel[axis]], count) for axis, count in counts.items())
    return tuple(sorted(found, key=lambda axis: axis.output))


def gates(geometry: KernelGeometry) -> Layout:
    """Returns where the gates of a recurrent kernel lie in its product with a batch of steps."""
    axis = geometry.output_axes[0]  # the last one of both
    return Layout((BlockAxis(axis, axis, geometry.blocks),))
