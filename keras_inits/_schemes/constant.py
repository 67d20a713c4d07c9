"""Constants: zeros, ones, and the small bias."""

from typing import Any

import keras
from keras import ops

from keras_inits._registry import scheme
from keras_inits._schemes import checks
from keras_inits._schemes.base import Scheme


class _Constant(Scheme):
    """A scheme that draws nothing, and so fills any type."""

    def working_dtype(self, dtype: str) -> str:
        return dtype


@scheme
class ZerosInit(_Constant):
    """Zeros.

    Right for biases and for linear, logistic and softmax regression. Wrong for the kernels of a
    network with hidden units: all units of a layer then stay equal to each other.

    >>> ZerosInit()((2,)).shape
    TensorShape([2])
    """

    def sample(self, shape: tuple[int, ...], dtype: str) -> Any:
        return ops.zeros(shape, dtype)


@scheme
class OnesInit(_Constant):
    """Ones.

    Right for the scales of normalization layers.

    >>> float(OnesInit()(()))
    1.0
    """

    def sample(self, shape: tuple[int, ...], dtype: str) -> Any:
        return ops.ones(shape, dtype)


@scheme
class ConstantInit(_Constant):
    """Every entry `value`, 0.01 unless told: a small positive bias keeps ReLU units alive.

    Args:
        value: the value.

    >>> float(ConstantInit(0.5)(()))
    0.5
    """

    def __init__(self, value: float = 0.01) -> None:
        self.value = checks.real("value", value)

    def sample(self, shape: tuple[int, ...], dtype: str) -> Any:
        return ops.full(shape, self.value, dtype)

    def working_dtype(self, dtype: str) -> str:
        if not keras.backend.is_float_dtype(dtype) and not self.value.is_integer():
            raise ValueError(
                f"ConstantInit cannot put {self.value} into dtype={dtype!r}: give a whole `value` "
                "or a floating type"
            )
        return dtype
