"""Kernels of few taps, each of which passes as much of a constant as of noise."""

import math
from typing import Any

import keras
from keras import ops

from keras_inits import _checks as checks
from keras_inits._kernel_geometry import Axes, KernelGeometry
from keras_inits._registry import scheme
from keras_inits._schemes.base import GainScheme


@scheme
class BalancedInit(GainScheme):
    r"""Random taps whose squares and whose sum are exact: for depthwise kernels.

    A depthwise convolution makes each channel of a few taps, nine as a rule, so that under
    independent ones some channels are several times as large as others: by
    $\sum_i w_i^2$ of white noise, by $(\sum_i w_i)^2$ of a constant image. Both have mean $g^2$
    under variance $g^2 / n$. Here both *are* $g^2$, for each output:

    $$w = g \left( \frac{s}{n} \mathbf 1 + \sqrt{1 - \tfrac1n}\, u \right), \quad
    s = \pm 1, \quad \lVert u \rVert = 1, \quad u \perp \mathbf 1$$

    with $s$ and $u$ uniform, so that a tap has mean 0 and variance $g^2 / n$, as under
    `XavierInit`. $n$ counts all weights of an output, in a depthwise kernel its taps.

    With `positive` every $s$ is 1. A channel behind a ReLU that is nearly constant then stays
    positive, where under random signs the ReLU behind the kernel silences half of them, and a
    net's scale depends on which: of $n$ such channels the second moment of what is left varies by
    $6 / n$, relative and squared, and by nothing with positive sums. A tap has mean $g / n$.

    `keras_inits.initialize(model, "auto")` draws depthwise kernels so. As the scheme of a layer it
    reads the shape: `initialize` gives it the geometry.

    Args:
        gain: $g$; 1 if None.
        positive: whether the taps of every output have a positive sum.

    Raises:
        ValueError: at the call, a shape with fewer than two axes.

    >>> import numpy as np
    >>> taps = np.asarray(BalancedInit(2.0, seed=1)((9, 32)))
    >>> bool(np.allclose((taps**2).sum(0), 4)), bool(np.allclose(abs(taps.sum(0)), 2, atol=1e-5))
    (True, True)
    """

    def __init__(
        self,
        gain: float | None = None,
        *,
        activation: Any = None,
        positive: bool = False,
        seed: Any = None,
        input_axes: Axes = None,
        output_axes: Axes = None,
        batch_axes: Axes = None,
    ) -> None:
        super().__init__(
            gain,
            activation=activation,
            seed=seed,
            input_axes=input_axes,
            output_axes=output_axes,
            batch_axes=batch_axes,
        )
        self.positive = checks.boolean("positive", positive)

    def sample(self, geometry: KernelGeometry, dtype: str, seed: Any) -> Any:
        _, rows, _ = geometry.matrix_shape
        if 0 in geometry.shape:
            return geometry.from_matrices(ops.zeros(geometry.matrix_shape, dtype))
        normal = keras.random.normal(geometry.matrix_shape, dtype=dtype, seed=seed)
        gain = self.effective_gain
        # The mean of normal values is independent of what is left without it.
        mean = ops.mean(normal, axis=1, keepdims=True)
        sign = 1 - 2 * ops.cast(mean < 0, dtype)
        if self.positive:
            sign = ops.ones_like(sign)
        if rows == 1:
            return geometry.from_matrices(gain * sign)
        rest = normal - mean
        # Equal values, which float32 can hold, leave nothing.
        size = ops.clip(ops.sqrt(ops.sum(ops.square(rest), axis=1, keepdims=True)), 1e-20, math.inf)
        values = sign * (gain / rows) + rest * (gain * math.sqrt(1 - 1 / rows) / size)
        return geometry.from_matrices(values)

    def expected_stddev(self, geometry: KernelGeometry) -> float:
        rows = max(1, geometry.matrix_shape[1])
        variance = (1 - 1 / rows) / rows if self.positive else 1 / rows
        return self.effective_gain * math.sqrt(variance)
