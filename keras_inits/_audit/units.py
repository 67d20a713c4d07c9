"""Units, or maps, that start equal: whether anything tells them apart."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_inits._audit.kernel import (
    Judgement,
    Kernel,
    Kernels,
    activated,
    copies,
    equal_rows,
    remedy,
)
from keras_inits._audit.meetings import Meeting
from keras_inits._reporting import Finding
from keras_inits._schemes import IcnrInit

_SLOPE = 1e-3  # step of the difference that tells whether an activation is flat


def constant(kernel: Kernel, kernels: Kernels) -> Iterator[Judgement]:
    """Yields what follows from a kernel whose entries all are the same number.

    Units that start equal part at the first step if what stands behind them tells them apart: the
    targets of a head, or a next kernel with other weights for each. They do not if their activation
    lets no gradient through.
    """
    value = float(kernel.values.flat[0])
    # A map of one output has no other unit to be equal to, and entries of a table get the
    # gradients of their own samples.
    outputs = kernel.geometry.matrix_shape[2]
    silenced = value == 0.0 and kernel.context.silenced
    dead = value == 0.0 and not kernel.cell and (silenced or _is_dead(kernel))
    if not dead and (outputs == 1 or kernel.context.is_head):
        return
    apart = told_apart(kernel, None, kernels)
    if not dead and apart:
        return
    # With no random kernel in the whole model, nothing tells its units apart.
    nothing = not any(each.is_random for each in kernels.all)
    symmetric = dead or kernel.context.alone or apart is False or nothing
    effect = "all units of the layer start as one"
    if silenced:
        effect = "the factor behind it is 0 too, and neither gets a gradient: the branch is lost"
    elif dead:
        effect = "no unit fires and none gets a gradient: the layer learns nothing"
    elif symmetric:
        effect = (
            "all units of the layer compute the same and get the same gradient, unless what stands "
            "behind it tells them apart: it learns as one unit"
        )
    yield Judgement(
        Finding(
            kind="constant kernel",
            where=(kernel.path,),
            evidence=f"all {kernel.values.size} entries are {value:g}",
            consequence=(
                effect + (", and passes no gradient back" if value == 0 and not dead else "")
            ),
            remedy=remedy(kernel),
            numbers={"value": value, "entries": kernel.values.size},
        ),
        symmetric,
    )


def _is_dead(kernel: Kernel) -> bool:
    """Returns whether the activation is flat at every bias, as ReLU is at 0 and below."""
    return _is_flat(
        kernel.context.activation, np.zeros(1) if kernel.bias is None else np.unique(kernel.bias)
    )


def _is_flat(activation: Any, bias: NDArray[Any]) -> bool:
    """Returns whether an activation that is known has slope 0 below all of some values."""
    if activation is None:
        return False
    at, below = (activated(activation, bias + shift) for shift in (0.0, -_SLOPE))
    return at is not None and below is not None and bool(np.all(at == below))


def silent_units(kernel: Kernel, kernels: Kernels) -> Iterator[Judgement]:
    """Yields a finding if some units have no incoming weights, and their activation is flat there.

    A unit of zeros behind ReLU never fires and gets no gradient, whatever stands around it.
    """
    rows = kernel.geometry.matrix_shape[1]
    if kernel.is_lookup or kernel.cell or rows < 2 or kernel.context.alone:
        return
    zero = np.flatnonzero(~np.any(kernel.matrices, axis=1).reshape(-1))
    if not zero.size:
        return
    bias = kernel.bias.reshape(-1) if kernel.bias is not None else np.zeros(kernel.units)
    if bias.size != kernel.units or not _is_flat(kernel.context.activation, bias[zero]):
        return
    yield Judgement(
        Finding(
            kind="dead units",
            where=(kernel.path,),
            evidence=f"all incoming weights of {zero.size} of {kernel.units} units are zero",
            consequence="they never fire and get no gradient: they stay so",
            remedy=remedy(kernel),
            numbers={"units": int(zero.size), "kernels": 1},
        )
    )


def told_apart(kernel: Kernel, units: NDArray[Any] | None, kernels: Kernels) -> bool | None:
    """Returns whether what stands around some units treats them differently; None if unknown.

    Args:
        kernel: the kernel that makes the units.
        units: their numbers; None for all.
        kernels: those of the model.
    """
    if kernel.cell and any(
        other.is_random for other in kernels.by_layer[kernel.layer] if other is not kernel
    ):
        return True  # what the other kernel of the cell adds differs
    answers = [_parts(m, kernel, units, kernels) for m in kernel.context.meetings]
    if True in answers:
        return True
    return None if None in answers or not answers else False


def _parts(
    meeting: Meeting, kernel: Kernel, units: NDArray[Any] | None, kernels: Kernels
) -> bool | None:
    """Returns whether the units are told apart by what they meet on one way."""
    known = kernels.at(meeting.weights)
    match meeting.kind:
        case "output":
            return True  # each has a target of its own
        case "merging":
            return False
        case "noise":  # a dropout parts units that are not zero, slowly
            return False if _is_zero(kernel) else None
        case "factor":
            return False  # a gamma: one number a unit, all alike at the start
        case "other":
            inputs = "" in meeting.weights
            return inputs or not known or any(each.is_random for each in known)
        case "table":
            return any(each.is_random for each in known) if known else None
        case "kernel":
            if not known:
                return None
            # What comes in next to the units differs from one to the other (a stream, to which a
            # branch of zeros is added), and so does the first gradient of the kernel behind.
            added = "" in meeting.mixed or any(k.is_random for k in kernels.at(meeting.mixed))
            return added or any(_treats_differently(each, kernel, units, meeting) for each in known)
    return None


def _is_zero(kernel: Kernel) -> bool:
    return not kernel.values.any()


def _treats_differently(
    following: Kernel, kernel: Kernel, units: NDArray[Any] | None, meeting: Meeting
) -> bool:
    maps, rows, outputs = following.geometry.matrix_shape
    incoming = following.matrices
    if meeting.laid_out:  # the taps or places that the units come to lie at
        return following.is_random
    if rows == following.geometry.taps:  # depthwise: a map for each unit
        incoming = incoming.reshape(maps, -1)
    else:  # (inputs, taps x outputs)
        inputs = rows // following.geometry.taps
        incoming = incoming.reshape(maps, -1, inputs, outputs).transpose(2, 0, 1, 3)
        incoming = incoming.reshape(inputs, -1)
    if units is not None and len(incoming) == kernel.units:
        incoming = incoming[units]
    return bool((incoming != incoming[:1]).any())


def equal_units(kernel: Kernel, kernels: Kernels) -> Iterator[Judgement]:
    """Yields what follows if several units of a map start with equal weights."""
    groups = _equal_groups(kernel)
    equal = sum(len(group) - 1 for group in groups)
    apart = [told_apart(kernel, group, kernels) for group in groups]
    if equal and not all(apart):
        yield Judgement(
            Finding(
                kind="equal units",
                where=(kernel.path,),
                evidence=f"{equal} of {kernel.units} units have the incoming weights of another",
                consequence=(
                    "units that start equal get equal gradients and stay equal, unless what stands "
                    "behind them tells them apart"
                ),
                remedy=remedy(kernel),
                numbers={"equal": equal, "units": kernel.units},
            ),
            kernel.context.alone or False in apart,
        )


def _equal_groups(kernel: Kernel) -> Sequence[NDArray[Any]]:
    """Returns the numbers of units with equal weights and biases, in groups."""
    _, rows, outputs = kernel.geometry.matrix_shape
    if rows < 2 or outputs < 2:  # single numbers may be equal by chance
        return ()
    groups = [
        group + index * outputs
        for index, matrix in enumerate(kernel.matrices)
        for group in equal_rows(matrix.T)
    ]
    if isinstance(kernel.scheme, IcnrInit):
        # The pixels of a channel are equal by intention, and parted by their places in the image.
        groups = [group for each in groups if len(group := _channels(each, kernel)) > 1]
    if kernel.bias is None or kernel.bias.size != kernel.units:
        return groups
    bias = kernel.bias.reshape(-1)
    return [group for group in groups if (bias[group] == bias[group[0]]).all()]


def _channels(units: NDArray[np.intp], kernel: Kernel) -> NDArray[np.intp]:
    """Returns one unit for each channel that some units of a sub-pixel convolution belong to."""
    assert isinstance(kernel.scheme, IcnrInit)
    copies_of = kernel.scheme.copies(kernel.geometry)
    shuffled = kernel.scheme.order == "pixel_shuffle"
    channel = units // copies_of if shuffled else units % (kernel.units // copies_of)
    return np.asarray(units[np.unique(channel, return_index=True)[1]])


def equal_blocks(kernel: Kernel, kernels: Kernels) -> Iterator[Judgement]:
    """Yields a remark if several gates or groups start with equal weights."""
    maps, rows, outputs = kernel.geometry.matrix_shape
    if kernel.is_lookup or maps < 2 or rows * outputs < 2 or kernel.geometry.blocks < 2:
        return
    if equal := copies(kernel.matrices.reshape(maps, -1)):
        yield Judgement(
            Finding(
                kind="equal weights",
                where=(kernel.path,),
                evidence=f"{equal} of its {maps} blocks of {rows}x{outputs} equal another block",
                consequence="gates or groups start as one; their places in the layer part them",
                remedy=remedy(kernel),
                numbers={"equal": equal, "blocks": maps},
            ),
            is_fault=False,
        )
