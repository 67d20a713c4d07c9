"""The factors that give a layer's output the size that is asked for."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_inits._starts.blocks import Layout


class CannotScaleError(Exception):
    """A kernel has no factor: the message is the reason for the report."""


@dataclass(frozen=True)
class Scaling:
    """A correction of one kernel, and of a bias where that is centred.

    Attributes:
        factors: one for each block.
        output: the layer's output, before the activation, with the correction.
        bias: the new bias, in the shape of `Layout.bias_shape`; None to keep it.
        before: the root mean square of the output as it was.
        after: the same of `output`.
    """

    factors: NDArray[np.float64]
    output: Any
    bias: Any
    before: float
    after: float


def scaling(
    output: Any, bias: Any, layout: Layout, target: float, *, center: bool = False
) -> Scaling:
    r"""Returns what gives `output` a root mean square of `target` in each block.

    The output is $z = u + b$, and $u$ is linear in the kernel. Without a bias the factor is
    $f = t / \sqrt{E[u^2]}$; with one it solves $f^2 E[u^2] + 2 f E[u b] + E[b^2] = t^2$.

    Args:
        output: $z$ of a batch, before the activation.
        bias: $b$ in a shape that fits the output, or None.
        layout: where the blocks lie.
        target: $t$.
        center: give each unit a bias of $-f E[u]$ in place of its own, so that its mean is 0.

    Raises:
        CannotScaleError: there is no such factor.
    """
    values = ops.cast(output, "float32")
    kernel_part = values if bias is None else values - ops.cast(bias, "float32")
    sized = kernel_part - layout.unit_mean(kernel_part) if center else kernel_part
    second = layout.mean(ops.square(sized))
    if not np.all(np.isfinite(second)):
        raise CannotScaleError("its output is not finite")
    if not np.any(second > 0):
        raise CannotScaleError("its output is 0 for every example")
    factors = _factors(second, sized, None if center else bias, layout, target)
    spread = layout.over_output(factors, tuple(values.shape))
    corrected = kernel_part * ops.convert_to_tensor(spread, "float32")
    new_bias = -layout.unit_mean(corrected) if center else None
    if (added := new_bias if center else bias) is not None:
        corrected = corrected + ops.cast(added, "float32")
    return Scaling(
        factors=factors,
        output=ops.cast(corrected, output.dtype),
        bias=new_bias,
        before=_root_mean_square(values) if sized is not values else math.sqrt(second.mean()),
        after=_root_mean_square(corrected),
    )


def _factors(
    second: NDArray[np.float64], kernel_part: Any, bias: Any, layout: Layout, target: float
) -> NDArray[np.float64]:
    """Returns the factor of each block; 1 for a block that is silent."""
    silent = second == 0
    safe = np.where(silent, 1.0, second)
    if bias is None:
        return np.where(silent, 1.0, target / np.sqrt(safe))
    full = ops.cast(bias, "float32") + ops.zeros_like(kernel_part)
    product, own = layout.mean(kernel_part * full), layout.mean(ops.square(full))
    if np.any(own >= target**2):
        raise CannotScaleError(
            f"its bias alone has a root mean square of {np.sqrt(own.max()):.3g}, the target or more"
        )
    root = np.sqrt(product**2 + safe * (target**2 - own))
    return np.where(silent, 1.0, (root - product) / safe)


def _root_mean_square(values: Any) -> float:
    return float(ops.convert_to_numpy(ops.sqrt(ops.mean(ops.square(values)))))
