"""Recurrent cells: gates are independent maps that lie side by side along the outputs."""

import math
from typing import Any

from keras import initializers, layers, ops

from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._layers.dispatch import Default, Role, geometry, unknown


def cell_role(layer: Any, weight: Any, *, gates: int, stride: int = 1) -> Role:
    """Returns what `weight` is in a cell whose kernels hold `gates` maps each."""
    if weight.name == "kernel":  # (*taps, inputs, gates x units)
        return KernelGeometry.from_shape(weight.shape, blocks=gates, output_stride=stride)
    if weight.name == "recurrent_kernel":  # (*taps, units, gates x units)
        return KernelGeometry.from_shape(weight.shape, blocks=gates)
    if weight.name == "bias":
        forget = getattr(layer, "unit_forget_bias", False)
        return Default(unit_forget_bias(layer) if forget else layer.bias_initializer)
    return unknown(layer, weight)


def unit_forget_bias(cell: Any) -> Any:
    """Returns the initializer of an LSTM's bias: that of the cell, and 1 for the forget gate."""

    def unit_forget_bias(shape: Any, dtype: Any = None) -> Any:
        (size,) = shape
        units = size // 4
        bias = cell.bias_initializer
        # The gates are input, forget, candidate, output (Jozefowicz et al. 2015, section 2.3).
        parts = [
            bias((units,), dtype=dtype),
            initializers.Ones()((units,), dtype=dtype),
            bias((2 * units,), dtype=dtype),
        ]
        return ops.concatenate(parts)

    return unit_forget_bias


@geometry.register(layers.SimpleRNNCell)
def _simple(layer: Any, weight: Any) -> Role:
    return cell_role(layer, weight, gates=1)


@geometry.register(layers.GRUCell)
def _gru(layer: Any, weight: Any) -> Role:
    return cell_role(layer, weight, gates=3)


@geometry.register(layers.LSTMCell)
def _lstm(layer: Any, weight: Any) -> Role:
    return cell_role(layer, weight, gates=4)


def conv_lstm(layer: Any, weight: Any) -> Role:
    """Returns what `weight` is in the cell of a ConvLSTM; its strides are those of the input."""
    return cell_role(layer, weight, gates=4, stride=math.prod(layer.strides))
