"""Shapes of targets that are not those of the output."""

from dataclasses import replace

import numpy as np

from keras_inits._diagnose.setting.plain import End, LossKind, Targets
from keras_inits._reporting import Finding


def aligned(target: tuple[int, ...], output: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Returns both shapes as Keras's losses align them: ranks one apart, where the last axis is 1.

    >>> aligned((8,), (8, 1)), aligned((8,), (8, 3))
    (((8, 1), (8, 1)), ((8,), (8, 3)))
    """
    long, short = (target, output) if len(target) > len(output) else (output, target)
    if len(long) == len(short) + 1 and long[-1] == 1:
        if len(short) == 1:
            short = (*short, 1)
        else:
            long = long[:-1]
    return (long, short) if len(target) > len(output) else (short, long)


def check_of_indices(targets: Targets, end: End, loss: LossKind) -> Finding | None:
    """Sparse cross-entropy: another shape than that of the output without its classes."""
    if end.units == 1 or loss.axis % len(end.shape) != len(end.shape) - 1:
        return None
    return check(targets, replace(end, shape=(*end.shape[:-1], 1)), loss, classes=end.units)


def check(targets: Targets, end: End, loss: LossKind, classes: int = 0) -> Finding | None:
    """Returns the finding that targets and outputs differ in shape.

    Where each output tells of `classes` classes, `end` has them as one unit.
    """
    target, output = aligned(targets.values.shape, end.shape)
    if target == output:
        return None
    consequence = "The loss cannot be computed"
    if not classes and (both := _broadcast(target, output)):
        consequence = f"Both are broadcast to {both}: all outputs of a sample learn one number"
    shape = (*end.shape[:-1], classes) if classes else end.shape
    return Finding(
        kind="target shape",
        where=("targets",),
        evidence=f"the targets have shape {targets.values.shape}, the output {shape}",
        consequence=consequence,
        remedy=_other_shape(targets, end, shape),
        numbers={"targets": targets.values.size, "outputs": float(np.prod(end.shape))},
    )


def _broadcast(target: tuple[int, ...], output: tuple[int, ...]) -> tuple[int, ...] | None:
    try:
        return np.broadcast_shapes(target, output)
    except ValueError:
        return None


def _other_shape(targets: Targets, end: End, shape: tuple[int, ...]) -> str:
    """Returns how to give targets the shape of the output, or the reverse."""
    if len(targets.values) != end.shape[0]:
        return "Give as many targets as samples"
    if targets.values.size == end.shape[0] and len(end.shape) > 2:
        return (
            "Let the last recurrent layer return its last step alone (return_sequences=False), "
            "or put keras.layers.Flatten() before the last Dense"
        )
    if targets.values.size == end.shape[0]:
        return "End in one unit, Dense(1)"
    if len(end.shape) > targets.values.ndim and shape[-1] == targets.values.shape[-1]:
        return "Put keras.layers.Flatten() before the first Dense, or pool over the other axes"
    wanted = end.shape if shape == end.shape else end.shape[:-1]
    values = " x ".join(map(str, targets.values.shape[1:])) or "one"
    return f"Give y the shape {wanted}, or let the model put out {values} for each sample"
