"""Whether a model has been trained: then its weights have left the laws that drew them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from keras import initializers, layers, ops

from keras_inits._audit.drawn import LIMIT, surprise
from keras_inits._audit.kernel import Judgement, Kernel, copies
from keras_inits._audit.orthogonality import has_left_orthogonality
from keras_inits._finding_kinds import WeightKind
from keras_inits._layers import OwnedWeight
from keras_inits._reporting import Finding
from keras_inits._schemes import ConstantInit, OnesInit, ZerosInit

_CONSTANT = (
    initializers.Zeros,
    initializers.Ones,
    initializers.Constant,
    ZerosInit,
    OnesInit,
    ConstantInit,
)


def evidence_of_training(
    model: Any,
    starts: Sequence[tuple[OwnedWeight, Any]],
    kernels: Sequence[Kernel],
) -> str:
    """Returns what shows that a model has been trained; empty if nothing does.

    That is an optimizer that has made steps, statistics of a batch normalization that have moved,
    several weights of constant start (biases, scales) that no longer are, or kernels whose values
    are no independent draws of one law.

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
    near = [kernel.path for kernel in kernels if has_left_orthogonality(kernel)]
    if near:
        return f"{near[0]} is near an orthogonal start, and not at it"
    deviation, strange, judged = surprise(kernels)
    if deviation > LIMIT:
        many = f"{strange} of {judged} kernels" if judged > 1 else "its kernel"
        return f"the values of {many} are no longer independent draws of one law"
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
    if zero:
        yield _of_units(
            "dead units", zero, "all incoming weights of {} are zero", "they ignore their input"
        )
    if equal:
        yield _of_units(
            "equal units",
            equal,
            "{} have the incoming weights of another",
            "they have learned as one unit, and go on so unless what stands behind parts them",
        )


def _of_units(
    kind: WeightKind, counts: Mapping[str, int], evidence: str, consequence: str
) -> Judgement:
    """Returns the judgement on so many units of the kernels of these paths."""
    units = sum(counts.values())
    return Judgement(
        Finding(
            kind=kind,
            where=tuple(counts),
            evidence=evidence.format(f"{units} unit{'s' * (units != 1)}"),
            consequence=consequence,
            numbers={"units": units, "kernels": len(counts)},
        )
    )


def _has_moved(weight: Any, initializer: Any) -> bool:
    """Returns whether a weight has left its start, for values that no hand sets."""
    start = ops.convert_to_numpy(initializer(tuple(weight.shape), dtype=weight.dtype))
    values = ops.convert_to_numpy(weight)
    if np.array_equal(values, start):
        return False
    # A gamma of zeros at the end of a branch, a bias of -2: one number for all.
    return values.size == 1 or bool((values != values.flat[0]).any())
