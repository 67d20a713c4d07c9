"""The factors that give a layer's output the size that is asked for."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_inits._starts.blocks import Layout, library

_SMALL = 2**20  # numbers: 4 MiB in float32; of larger outputs the statistics run on the device


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
    values = _float32(output)
    xp = library(values)
    added = None if bias is None else _float32(bias, xp)
    kernel_part = values if added is None else values - added
    sized = kernel_part - layout.unit_mean(kernel_part) if center else kernel_part
    second = layout.mean(xp.square(sized))
    if not np.all(np.isfinite(second)):
        raise CannotScaleError("its output is not finite")
    if not np.any(second > 0):
        raise CannotScaleError("its output is 0 for every example")
    factors = _factors(second, sized, None if center else added, layout, target)
    spread = layout.over_output(factors, tuple(values.shape)).astype("float32")
    corrected = kernel_part * (spread if xp is np else ops.convert_to_tensor(spread))
    if center:
        added = -layout.unit_mean(corrected)
    if added is not None:
        corrected = corrected + added
    return Scaling(
        factors=factors,
        output=ops.convert_to_tensor(corrected, dtype=output.dtype),
        bias=added if center else None,
        before=_root_mean_square(values),
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
    xp = library(kernel_part)
    full = bias + xp.zeros_like(kernel_part)
    product, own = layout.mean(kernel_part * full), layout.mean(xp.square(full))
    if np.any(own >= target**2):
        raise CannotScaleError(
            f"its bias alone has a root mean square of {np.sqrt(own.max()):.3g}, the target or more"
        )
    root = np.sqrt(product**2 + safe * (target**2 - own))
    return np.where(silent, 1.0, (root - product) / safe)


def _root_mean_square(values: Any) -> float:
    xp = library(values)
    mean = xp.mean(xp.square(values))
    return math.sqrt(float(mean if xp is np else ops.convert_to_numpy(mean)))


def _float32(tensor: Any, xp: Any = None) -> Any:
    """Returns a tensor in float32; a small one as an array, for which NumPy needs less time."""
    if xp is np or (xp is None and math.prod(tensor.shape) <= _SMALL):
        return np.asarray(ops.convert_to_numpy(tensor), "float32")
    return ops.cast(tensor, "float32")
