"""Kernels that pass their input on unchanged."""

import math
from dataclasses import replace
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_inits._checks import integer
from keras_inits._errors import InputError
from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._registry import scheme
from keras_inits._schemes import checks
from keras_inits._schemes.base import Scheme


@scheme
class IdentityInit(Scheme, keras.initializers.Identity):
    """Identity matrix times gain, as Keras's Identity.

    In a geometry of several maps side by side, such as the gates of a recurrent layer, each map is
    an identity.

    Args:
        gain: the value on the diagonal; 1 if None.
        activation: instead of `gain`, the activation that follows: `keras_inits.gain` of it. A
            name, a Keras layer or a function that a saved model can name.

    Raises:
        ValueError: at the call, a shape that is not that of a matrix.

    >>> float(IdentityInit()((3, 3))[1, 1])
    1.0
    """

    def __init__(self, gain: float | None = None, *, activation: Any = None) -> None:
        super().__init__()
        self.gain, self.activation, squared = checks.gain_or_activation(gain, activation)
        self.effective_gain = math.sqrt(squared) if self.gain is None else self.gain

    def sample(self, geometry: KernelGeometry, dtype: str, seed: Any) -> Any:
        shape = geometry.shape
        if len(shape) < 2 or geometry.tap_axes:
            raise InputError(
                "IdentityInit fills matrices: `shape` must have two axes. "
                f"Received: shape={shape}. For convolution kernels there is DiracInit."
            )
        if not geometry.input_axes:  # a table of rows to look up
            return self.effective_gain * ops.eye(*shape, dtype=dtype)
        count, rows, columns = geometry.matrix_shape
        matrix = self.effective_gain * ops.eye(rows, columns, dtype=dtype)
        if shape == (rows, columns):
            return matrix
        return geometry.from_matrices(ops.broadcast_to(matrix, (count, rows, columns)))

    def expected_stddev(self, geometry: KernelGeometry) -> float:
        if not geometry.input_axes:
            geometry = KernelGeometry.from_shape(geometry.shape)
        _, rows, columns = geometry.matrix_shape
        return abs(self.effective_gain) * _stddev_of_ones(min(rows, columns), rows * columns)

    def draws_alike(self, one: KernelGeometry, other: KernelGeometry) -> bool:
        return not other.input_axes or one.has_maps_of(other)


@scheme
class DiracInit(Scheme):
    """Convolution kernel that copies its first input channels to its outputs, as torch's dirac_.

    With `padding="same"` and stride 1 output channel i of each group is input channel i of that
    group; output channels beyond the inputs are zero. Where the geometry is known, as in
    `keras_inits.initialize`, each channel of a depthwise convolution is a group.

    Args:
        groups: the groups of the convolution, where the geometry does not say.

    Raises:
        ValueError: at the call, a shape that is not that of a 1D to 3D convolution kernel, or
            outputs that do not fall into `groups`.

    Reference:
        Zagoruyko & Komodakis 2017. https://arxiv.org/abs/1706.00388

    >>> float(DiracInit()((3, 3, 4, 8))[1, 1, 2, 2])
    1.0
    """

    def __init__(self, groups: int = 1) -> None:
        self.groups = integer("groups", groups, minimum=1)

    def sample(self, geometry: KernelGeometry, dtype: str, seed: Any) -> Any:
        shape = geometry.shape
        if not 3 <= len(shape) <= 5 or not geometry.tap_axes:
            raise InputError(
                "DiracInit fills convolution kernels, such as (3, 3, inputs, outputs): `shape` "
                f"must have 3 to 5 axes. Received: shape={shape}. For matrices there is "
                "IdentityInit."
            )
        geometry = self._grouped(geometry)
        count, fan_in, outputs = geometry.matrix_shape
        inputs = fan_in // max(1, geometry.taps)
        matrices = np.zeros((count, geometry.taps, inputs, outputs), dtype)
        if matrices.size:
            matrices[:, geometry.center_tap] = np.eye(inputs, outputs)
        return ops.convert_to_tensor(
            geometry.from_matrices(matrices.reshape(geometry.matrix_shape)), dtype
        )

    def expected_stddev(self, geometry: KernelGeometry) -> float:
        _, fan_in, outputs = self._grouped(geometry).matrix_shape
        inputs = fan_in // max(1, geometry.taps)
        return _stddev_of_ones(min(inputs, outputs), fan_in * outputs)

    def draws_alike(self, one: KernelGeometry, other: KernelGeometry) -> bool:
        return self._grouped(one).has_maps_of(self._grouped(other))

    def _grouped(self, geometry: KernelGeometry) -> KernelGeometry:
        """Returns `geometry` with the groups that were given, if it has none of its own."""
        if geometry.blocks > 1 or geometry.batch_axes:
            return geometry
        *_, outputs = geometry.shape
        if outputs % self.groups:
            raise InputError(
                "The outputs of a kernel must fall into equal groups. "
                f"Received: groups={self.groups} for {outputs} outputs in shape={geometry.shape}"
            )
        return replace(geometry, blocks=self.groups)


def _stddev_of_ones(ones: int, size: int) -> float:
    """Returns the standard deviation of `size` numbers of which `ones` are 1 and the others 0."""
    share = ones / max(1, size)
    return math.sqrt(share * (1 - share))
