"""Constants: zeros, ones, and the small bias."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_inits._errors import InputError
from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._registry import scheme
from keras_inits._schemes import checks
from keras_inits._schemes.base import Scheme


class _Constant(Scheme):
    """A scheme that draws nothing, and so fills any type."""

    independent = True

    def working_dtype(self, dtype: str) -> str:
        return dtype

    def draw_sharded(self, geometry: KernelGeometry, dtype: Any, seed: Any, by: Any) -> Any:
        return super().draw_sharded(geometry, dtype, 0, by)  # a seed of None would be drawn

    def expected_stddev(self, geometry: KernelGeometry) -> float:
        return 0.0


@scheme
class ZerosInit(_Constant):
    """Zeros.

    Right for biases and for linear, logistic and softmax regression. Wrong for the kernels of a
    network with hidden units: all units of a layer then stay equal to each other.

    >>> ZerosInit()((2,)).shape
    TensorShape([2])
    """

    def sample(self, geometry: KernelGeometry, dtype: str, seed: Any) -> Any:
        return ops.zeros(geometry.shape, dtype)


@scheme
class OnesInit(_Constant):
    """Ones.

    Right for the scales of normalization layers.

    >>> float(OnesInit()(()))
    1.0
    """

    def sample(self, geometry: KernelGeometry, dtype: str, seed: Any) -> Any:
        return ops.ones(geometry.shape, dtype)


@scheme
class ConstantInit(_Constant):
    """Every entry `value`, default 0.01: a small positive bias keeps ReLU units alive.

    Args:
        value: a number, or an array of numbers that broadcasts to the shape of the weight.

    Raises:
        ValueError: at the call, an array that does not broadcast to the shape, or numbers that an
            integer type cannot hold.

    >>> float(ConstantInit(0.5)(()))
    0.5
    >>> ConstantInit([1.0, 2.0])((3, 2)).shape
    TensorShape([3, 2])
    """

    def __init__(self, value: Any = 0.01) -> None:
        self.value = checks.numbers_of("value", value)

    def sample(self, geometry: KernelGeometry, dtype: str, seed: Any) -> Any:
        if isinstance(self.value, float):
            return ops.full(geometry.shape, self.value, dtype)
        values = ops.convert_to_tensor(self.value, dtype)
        return ops.broadcast_to(values, self._broadcast(geometry).shape)

    def expected_stddev(self, geometry: KernelGeometry) -> float:
        return 0.0 if isinstance(self.value, float) else float(np.std(self._broadcast(geometry)))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of `__init__`, an array as nested lists."""
        return {"value": self.value if isinstance(self.value, float) else self.value.tolist()}

    def working_dtype(self, dtype: str) -> str:
        whole = np.all(np.mod(self.value, 1) == 0)
        if not keras.backend.is_float_dtype(dtype) and not whole:
            raise InputError(
                f"ConstantInit cannot put {self.value} into dtype={dtype!r}: give a whole `value` "
                "or a floating type"
            )
        return dtype

    def _broadcast(self, geometry: KernelGeometry) -> Any:
        try:
            return np.broadcast_to(self.value, geometry.shape)
        except ValueError:
            raise InputError(
                "The array `value` must broadcast to the shape of the weight. Received: value of "
                f"shape {np.shape(self.value)} for shape={geometry.shape}"
            ) from None
