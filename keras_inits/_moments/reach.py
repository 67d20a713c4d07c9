"""How much of its window a kernel sees: padding holds zeros."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray


class Reach(NamedTuple):
    """What padding leaves of a kernel's taps.

    Attributes:
        seen: the mean share of the taps that lie on the input.
        shared: of the taps that one place sees, the share that another one sees too, on average.
    """

    seen: float
    shared: float


WHOLE = Reach(1.0, 1.0)


def reach(
    layer: Any, window: Sequence[int], given: tuple[int, ...], made: tuple[int, ...]
) -> Reach:
    """Returns how much of a convolution's taps lies on the input, not on its padding.

    At 224 pixels nearly all do; of 3 x 3 taps on a map of 7 x 7 it is 0.82, and on one of 1 x 1 a
    ninth. The places at the edge add up fewer taps than those inside, so that two places are less
    alike than what they see: on 7 x 7 pixels by 0.84.

    Args:
        layer: any layer or operation; what is no convolution with `padding="same"` sees all.
        window: the sizes of its kernel's window.
        given: the shape of its input.
        made: the shape of its output.
    """
    if getattr(layer, "padding", "valid") != "same" or not hasattr(layer, "dilation_rate"):
        return WHOLE
    order = layer.data_format or keras.config.image_data_format()
    spatial = slice(1, -1) if order != "channels_first" else slice(2, None)
    seen = shared = 1.0
    for n, m, k, stride, dilation in zip(
        given[spatial],
        made[spatial],
        window,
        _each(layer.strides, window),
        _each(layer.dilation_rate, window),
        strict=True,
    ):
        if m > n:  # transposed: it writes over the edge instead
            return WHOLE
        on_input = on_input_at(n, m, k, stride, dilation)
        seen *= float(on_input.mean())
        shared *= float(np.sum(on_input**2) / np.sum(on_input))
    return Reach(seen, shared)


def _each(given: int | Sequence[int], window: Sequence[int]) -> Sequence[int]:
    """Returns a number for each axis of a window: operations take one for all."""
    return (given,) * len(window) if isinstance(given, int) else given


def on_input_at(
    size: int, made: int, taps: int, stride: int, dilation: int, *, padded: bool = True
) -> NDArray[np.float64]:
    """Returns for each tap along one axis at which share of the places it lies on the input.

    Args:
        size: how many values the input has along the axis.
        made: how many places the kernel is put at.
        taps: of the kernel.
        stride: between two places.
        dilation: between two taps.
        padded: whether the places are in the middle, as with `padding="same"`, or from the start.
    """
    padding = max(0, (made - 1) * stride + (taps - 1) * dilation + 1 - size) if padded else 0
    positions = np.arange(made)[:, None] * stride + np.arange(taps) * dilation - padding // 2
    shares: NDArray[np.float64] = np.mean((positions >= 0) & (positions < size), axis=0)
    return shares


def kept_of_padding(given: tuple[int, ...], made: tuple[int, ...]) -> float:
    """Returns the share of a padded signal that is signal, not padding."""
    return min(1.0, math.prod(given[1:]) / max(1, math.prod(made[1:])))
