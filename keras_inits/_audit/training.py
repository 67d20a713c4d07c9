"""Whether a model has been trained: then its weights have left the laws that drew them."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from keras import initializers, layers, ops
from numpy.typing import NDArray

from keras_inits._audit.kernel import Judgement, Kernel, copies
from keras_inits._layers import OwnedWeight
from keras_inits._reporting import Finding
from keras_inits._schemes import ConstantInit, OnesInit, VarianceScalingInit, ZerosInit
from keras_inits._schemes.sampling import TRUNCATED_STDDEV

_CONSTANT = (
    initializers.Zeros,
    initializers.Ones,
    initializers.Constant,
    ZerosInit,
    OnesInit,
    ConstantInit,
)
_PROBED = 2**14  # values of a kernel whose distribution is looked at
# A draw passes this bound of the Kolmogorov distance with probability 2 exp(-2 * 3^2) = 3e-8.
_KOLMOGOROV = 3.0


def evidence_of_training(
    model: Any,
    starts: Sequence[tuple[OwnedWeight, Any]],
    kernels: Sequence[Kernel],
) -> str:
    """Returns what shows that a model has been trained; empty if nothing does.

    That is an optimizer that has made steps, statistics of a batch normalization that have moved,
    several weights of constant start (biases, scales) that no longer are, or kernels that no random
    law draws.

    Args:
        model: a model or layer.
        starts: weights that are no kernels, each with the initializer that its layer gives it.
        kernels: the finite, not constant kernels.
    """
    optimizer = getattr(model, "optimizer", None)
    steps = 0 if optimizer is None else int(optimizer.iterations)
    if steps:
        return f"its optimizer has made {steps} steps"
    moved = [
        (owned, initializer)
        for owned, initializer in starts
        if isinstance(initializer, _CONSTANT) and _has_moved(owned.weight, initializer)
    ]
    statistics = [
        owned.path
        for owned, _ in moved
        if isinstance(owned.layer, layers.BatchNormalization) and "moving" in owned.weight.name
    ]
    if statistics:
        return f"{statistics[0]} has moved from its start"
    constant = [one for one in starts if isinstance(one[1], _CONSTANT) and one[0].weight.trainable]
    # One bias may have been set by hand, such as that of the output to the base rate.
    if len(moved) > 1 and len(moved) > len(constant) / 2:
        return f"{len(moved)} of {len(constant)} biases and scales have moved from their start"
    judged = [kernel for kernel in kernels if _independent(kernel) and kernel.values.size >= 256]
    strange = [kernel for kernel in judged if not _is_drawn(kernel.values)]
    if len(strange) > 1 and len(strange) > len(judged) / 2:
        return f"the values of {len(strange)} of {len(judged)} kernels follow no law of a scheme"
    return ""


def dead_units(kernels: Sequence[Kernel]) -> Iterator[Judgement]:
    """Yields what trained kernels must not have: units without weights, and equal units.

    At most one finding of each kind, for all kernels together.
    """
    zero: dict[str, int] = {}
    equal: dict[str, int] = {}
    for kernel in kernels:
        maps, rows, outputs = kernel.geometry.matrix_shape
        if kernel.is_lookup or rows < 2:
            continue
        columns = kernel.matrices.transpose(0, 2, 1)
        alive = np.any(columns != 0, axis=2)
        if count := int(np.count_nonzero(~alive)):
            zero[kernel.path] = count
        if outputs > 1:
            count = sum(copies(columns[index, alive[index]]) for index in range(maps))
            if count:
                equal[kernel.path] = count
    for found, kind, evidence, consequence in (
        (zero, "dead units", "all incoming weights of {} are zero", "they ignore their input"),
        (
            equal,
            "equal units",
            "{} have the incoming weights of another",
            "they have learned as one unit, and go on so unless what stands behind parts them",
        ),
    ):
        if found:
            units = sum(found.values())
            yield Judgement(
                Finding(
                    kind,
                    tuple(found),
                    evidence.format(f"{units} unit{'s' * (units != 1)}"),
                    consequence,
                    "",
                    {"units": units, "kernels": len(found)},
                )
            )


def _has_moved(weight: Any, initializer: Any) -> bool:
    start = ops.convert_to_numpy(initializer(tuple(weight.shape), dtype=weight.dtype))
    return not np.array_equal(ops.convert_to_numpy(weight), start)


def _independent(kernel: Kernel) -> bool:
    return isinstance(kernel.scheme, VarianceScalingInit)


def _is_drawn(values: NDArray[Any]) -> bool:
    """Returns whether values are uniform, normal or truncated normal, whatever their scale."""
    flat = values.reshape(-1)
    sample = np.sort(flat[:: max(1, flat.size // _PROBED)].astype("float64"))
    sample /= sample.std()
    limit = _KOLMOGOROV / math.sqrt(sample.size)
    normal = _normal_cdf(sample)
    low, high = _normal_cdf(np.array([-2.0, 2.0]))
    laws = (
        (sample + math.sqrt(3.0)) / math.sqrt(12.0),
        normal,
        (_normal_cdf(sample * TRUNCATED_STDDEV) - low) / (high - low),
    )
    return any(_distance(np.clip(share, 0.0, 1.0)) <= limit for share in laws)


def _distance(shares: NDArray[Any]) -> float:
    """Returns the Kolmogorov distance of a sample from the law that gives it these shares."""
    count = shares.size
    below, above = np.arange(count) / count, np.arange(1, count + 1) / count
    return float(max(np.abs(shares - below).max(), np.abs(shares - above).max()))


def _normal_cdf(z: NDArray[Any]) -> NDArray[Any]:
    return np.array([0.5 * math.erfc(-value / math.sqrt(2.0)) for value in z])
