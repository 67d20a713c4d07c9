"""Kernels that pass their input on unchanged."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._registry import scheme
from keras_inits._schemes import checks
from keras_inits._schemes.base import Scheme


@scheme
class IdentityInit(Scheme, keras.initializers.Identity):
    """Identity matrix times gain, as Keras's Identity.

    Args:
        gain: the value on the diagonal; 1 if None.
        activation: as in `VarianceScalingInit`.

    Raises:
        ValueError: at the call, a shape that is not that of a matrix.

    >>> float(IdentityInit()((3, 3))[1, 1])
    1.0
    """

    def __init__(self, gain: float | None = None, *, activation: Any = None) -> None:
        super().__init__()
        self.gain, self.activation, self.effective_gain = checks.gain_or_activation(
            gain, activation
        )

    def sample(self, shape: tuple[int, ...], dtype: str) -> Any:
        if len(shape) != 2:
            raise ValueError(
                "IdentityInit fills matrices: `shape` must have two axes. "
                f"Received: shape={shape}. For convolution kernels there is DiracInit."
            )
        return self.effective_gain * ops.eye(*shape, dtype=dtype)


@scheme
class DiracInit(Scheme):
    """Convolution kernel that copies its first input channels to its outputs, as torch's dirac_.

    With `padding="same"` and stride 1 output channel i of each group is input channel i of that
    group; output channels beyond the inputs are zero.

    Args:
        groups: the groups of the convolution.

    Raises:
        ValueError: at the call, a shape that is not that of a 1D to 3D convolution kernel, or
            outputs that do not fall into `groups`.

    Reference:
        Zagoruyko & Komodakis 2017. https://arxiv.org/abs/1706.00388

    >>> float(DiracInit()((3, 3, 4, 8))[1, 1, 2, 2])
    1.0
    """

    def __init__(self, groups: int = 1) -> None:
        self.groups = checks.positive_integer("groups", groups)

    def sample(self, shape: tuple[int, ...], dtype: str) -> Any:
        if not 3 <= len(shape) <= 5:
            raise ValueError(
                "DiracInit fills convolution kernels, such as (3, 3, inputs, outputs): `shape` "
                f"must have 3 to 5 axes. Received: shape={shape}. For matrices there is "
                "IdentityInit."
            )
        geometry = KernelGeometry.from_shape(shape)
        *_, inputs, outputs = shape
        if outputs % self.groups:
            raise ValueError(
                "The outputs of a kernel must fall into equal groups. "
                f"Received: groups={self.groups} for {outputs} outputs in shape={shape}"
            )
        kernel = np.zeros((geometry.taps, inputs, outputs), dtype)
        if kernel.size:
            copies = np.tile(np.eye(inputs, outputs // self.groups), self.groups)
            kernel[geometry.center_tap] = copies
        return ops.convert_to_tensor(kernel.reshape(shape), dtype)
