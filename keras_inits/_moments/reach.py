"""How much of its window a kernel sees: padding holds zeros."""

from typing import Any

import numpy as np


def seen(layer: Any, given: tuple[int, ...], made: tuple[int, ...]) -> float:
    """Returns the mean share of a convolution's taps that lie on the input, not on its padding.

    At 224 pixels nearly all do; of 3 x 3 taps on a map of 7 x 7 it is 0.82, and on one of 1 x 1 a
    ninth.

    Args:
        layer: any layer; what is no convolution with `padding="same"` sees all.
        given: the shape of its input.
        made: the shape of its output.
    """
    if getattr(layer, "padding", "valid") != "same" or not hasattr(layer, "dilation_rate"):
        return 1.0
    spatial = slice(1, -1) if layer.data_format != "channels_first" else slice(2, None)
    share = 1.0
    for n, m, k, stride, dilation in zip(
        given[spatial],
        made[spatial],
        layer.kernel_size,
        layer.strides,
        layer.dilation_rate,
        strict=True,
    ):
        if m > n:  # transposed: it writes over the edge instead
            return 1.0
        padding = max(0, (m - 1) * stride + (k - 1) * dilation + 1 - n)
        positions = np.arange(m)[:, None] * stride + np.arange(k) * dilation - padding // 2
        share *= float(np.mean((positions >= 0) & (positions < n)))
    return share
