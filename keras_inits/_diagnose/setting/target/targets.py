"""Targets against the loss and the shape of the output: labels that are none, shapes that meet by
accident.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from keras_inits._diagnose.setting.plain import (
    BINARY,
    CATEGORICAL,
    REGRESSION,
    SPARSE,
    End,
    LossKind,
    Targets,
)
from keras_inits._diagnose.setting.remedies import new_activation, new_end, new_loss
from keras_inits._reporting import Finding

FEW = 16  # samples from which on it says something that all belong to one class


def check(targets: Targets, end: End, loss: LossKind) -> list[Finding]:
    """Returns what is wrong with the targets of one output."""
    if not np.isfinite(targets.values).all():
        return [_not_finite(targets)]
    checks = {
        **dict.fromkeys(BINARY, _binary),
        **dict.fromkeys(CATEGORICAL, _categorical),
        **dict.fromkeys(SPARSE, _sparse),
        **dict.fromkeys(REGRESSION, _regression),
    }
    check = checks.get(loss.name)
    found = check(targets, end, loss) if check else []
    if not found and targets.values.size and len(targets.values) >= FEW:
        found = _alone(targets, loss)
    return found


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


def _listed(targets: Targets) -> str:
    """Returns the values of class targets in words."""
    values = np.unique(targets.values)
    text = ", ".join(f"{v:g}" for v in values[:6])
    return text + (f", ... {values[-1]:g}" if len(values) > 6 else "")


def _on_labels(
    evidence: str, consequence: str, remedy: str, numbers: Mapping[str, float]
) -> Finding:
    return Finding(
        kind="labels",
        where=("targets",),
        evidence=evidence,
        consequence=consequence,
        remedy=remedy,
        numbers=numbers,
    )


def _not_finite(targets: Targets) -> Finding:
    count = int((~np.isfinite(targets.values)).sum())
    return _on_labels(
        evidence=f"{count} of {targets.values.size} targets are NaN or infinite",
        consequence="The loss is NaN, and all weights after the first step",
        remedy="keep = np.isfinite(y).reshape(len(y), -1).all(1); x, y = x[keep], y[keep]",
        numbers={"count": count},
    )


def _binary(targets: Targets, end: End, loss: LossKind) -> list[Finding]:
    shape = _shape(targets, end)
    low, high, k = targets.low, targets.high, end.units
    if targets.integral and low >= 0 and high >= 2 and targets.classes:
        return [
            _on_labels(
                evidence=(
                    f"the targets are class indices ({_listed(targets)}), and binary "
                    f"cross-entropy takes 0 or 1 for each of {k} output unit{'s' * (k > 1)}"
                ),
                consequence=(
                    "The loss has no minimum for targets above 1: its gradient pushes the outputs "
                    "to 1 for all of these"
                ),
                remedy=new_end(end, targets),
                numbers={"low": low, "high": high, "units": k},
            )
        ]
    if low < 0 or high > 1:
        signs = targets.integral and targets.distinct == 2
        remedy = (
            f"y = (y - {low:g}) / {high - low:g}" if signs else new_activation(end, "linear", "mse")
        )
        what = "two values" if signs else "measurements"
        return [
            _on_labels(
                evidence=(
                    f"the targets are {what} from {low:.4g} to {high:.4g}, binary cross-entropy "
                    "takes 0 to 1"
                ),
                consequence="Outside of it the loss has no minimum, and goes below 0",
                remedy=remedy,
                numbers={"low": low, "high": high},
            )
        ]
    if shape and targets.values.ndim < len(end.shape) and targets.classes and k > 1:
        return [
            _on_labels(
                evidence=(
                    f"one class index for each sample, {targets.values.shape}, is compared with "
                    f"each of {k} outputs, {end.shape}"
                ),
                consequence="It is broadcast: all outputs learn the same number",
                remedy=new_loss(SPARSE[0]),
                numbers={"units": k},
            )
        ]
    return shape


def _categorical(targets: Targets, end: End, loss: LossKind) -> list[Finding]:
    k = end.units
    shape = targets.values.shape
    if shape != end.shape and targets.integral and targets.low >= 0 and k > 1:
        wide = len(shape) == len(end.shape) and shape[-1] > 1
        if wide and targets.one_hot:
            return [
                _on_labels(
                    evidence=f"the targets have {shape[-1]} classes, the output {k}",
                    consequence="The loss cannot be computed",
                    remedy=new_end(end, targets),
                    numbers={"classes": shape[-1], "units": k},
                )
            ]
        if targets.one_hot or (not wide and targets.values.size % end.shape[0]):
            return _shape(targets, end)
        if not wide:
            return [
                _on_labels(
                    evidence=(
                        f"the targets are class indices {shape}, categorical cross-entropy "
                        f"compares one-hot rows {end.shape}"
                    ),
                    consequence=(
                        "The loss cannot be computed, or is that of numbers that are no shares"
                    ),
                    remedy=new_loss(SPARSE[0]),
                    numbers={"units": k},
                )
            ]
    if k == 1:
        return []  # the end's own finding
    if shape == end.shape and not targets.exclusive:
        sums = targets.rows().sum(1)
        wrong = float((np.abs(sums - 1) > 1e-3).mean())
        if targets.low < 0:
            remedy = new_activation(end, "linear", "mse")
        elif targets.binary:
            remedy = new_activation(end, "sigmoid", "binary_crossentropy")
        else:
            remedy = "y = y / y.sum(-1, keepdims=True)"
        # Rows of zeros alone are samples left out on purpose.
        if wrong > 0.01 and not (np.isclose(sums, 0) | np.isclose(sums, 1)).all():
            return [
                _on_labels(
                    evidence=(
                        f"{wrong:.0%} of the rows of targets do not sum to 1 (sums "
                        f"{sums.min():.4g} to {sums.max():.4g}), and softmax can only give shares "
                        "of 1"
                    ),
                    consequence="The loss has no minimum where the outputs equal the targets",
                    remedy=remedy,
                    numbers={"share": wrong},
                )
            ]
    return []


def _sparse(targets: Targets, end: End, loss: LossKind) -> list[Finding]:
    k, shape = end.units, targets.values.shape
    if not targets.integral:
        return [
            _on_labels(
                evidence=(
                    f"the targets are fractions, {targets.low:.4g} to {targets.high:.4g}, and "
                    "sparse cross-entropy takes whole class numbers"
                ),
                consequence="They are cut to whole numbers: most samples become class 0",
                remedy="Give y as it was before it was scaled: class numbers from 0",
                numbers={"low": targets.low, "high": targets.high},
            )
        ]
    if targets.one_hot and shape == end.shape:
        return [
            _on_labels(
                evidence=(
                    f"the targets are one-hot rows {shape}, sparse cross-entropy takes class "
                    "numbers"
                ),
                consequence="The loss cannot be computed",
                remedy=new_loss("categorical_crossentropy"),
                numbers={"units": k},
            )
        ]
    counted = targets.values[targets.values != loss.ignored]
    if k > 1 and counted.size and (counted.max() >= k or counted.min() < 0):
        renumbered = len(np.unique(counted)) <= k
        remedy = "y = np.unique(y, return_inverse=True)[1]" if renumbered else new_end(end, targets)
        return [
            _on_labels(
                evidence=(
                    f"class numbers go from {counted.min():g} to {counted.max():g}, those of {k} "
                    f"outputs from 0 to {k - 1}"
                ),
                consequence="The loss is NaN, or cannot be computed",
                remedy=remedy,
                numbers={"low": targets.low, "high": targets.high, "units": k},
            )
        ]
    if k > 1 and loss.axis % len(end.shape) == len(end.shape) - 1:
        return _shape(targets, replace(end, shape=(*end.shape[:-1], 1)), classes=k)
    return []


def _regression(targets: Targets, end: End, loss: LossKind) -> list[Finding]:
    return _shape(targets, end)


def _shape(targets: Targets, end: End, classes: int = 0) -> list[Finding]:
    """Returns the finding that targets and outputs differ in shape.

    Where each output tells of `classes` classes, `end` has them as one unit.
    """
    target, output = aligned(targets.values.shape, end.shape)
    if target == output:
        return []
    try:
        both = np.broadcast_shapes(target, output)
    except ValueError:
        consequence = "The loss cannot be computed"
    else:
        consequence = f"Both are broadcast to {both}: all outputs of a sample learn one number"
    if classes:
        consequence = "The loss cannot be computed"
    shape = (*end.shape[:-1], classes) if classes else end.shape
    if len(targets.values) != end.shape[0]:
        remedy = "Give as many targets as samples"
    elif targets.values.size == end.shape[0] and len(end.shape) > 2:
        remedy = "Let the last recurrent layer return its last step alone (return_sequences=False)"
        remedy += ", or put keras.layers.Flatten() before the last Dense"
    elif targets.values.size == end.shape[0]:
        remedy = "End in one unit, Dense(1)"
    elif len(end.shape) > targets.values.ndim and shape[-1] == targets.values.shape[-1]:
        remedy = "Put keras.layers.Flatten() before the first Dense, or pool over the other axes"
    else:
        wanted = end.shape[:-1] if classes else end.shape
        values = " x ".join(map(str, targets.values.shape[1:])) or "one"
        remedy = f"Give y the shape {wanted}, or let the model put out {values} for each sample"
    return [
        Finding(
            kind="target shape",
            where=("targets",),
            evidence=f"the targets have shape {targets.values.shape}, the output {shape}",
            consequence=consequence,
            remedy=remedy,
            numbers={"targets": targets.values.size, "outputs": float(np.prod(end.shape))},
        )
    ]


def is_alone(finding: Finding) -> bool:
    """Says whether a finding is that all samples have one target."""
    return finding.kind == "labels" and finding.numbers.keys() == {"samples"}


def _alone(targets: Targets, loss: LossKind) -> list[Finding]:
    rows = targets.values.reshape(len(targets.values), -1)
    if rows.shape[1] > 1 and not targets.one_hot:
        return []
    own = loss.name in (*REGRESSION, "other")
    if own and not targets.one_hot and targets.low == targets.high == 0:
        return []  # zeros in the place of targets: the loss is computed from outputs, or inside
    if (rows != rows[0]).any():
        return []
    value = int(rows[0].argmax()) if targets.one_hot else float(rows[0, 0])
    return [
        _on_labels(
            evidence=f"all {len(rows)} samples have the target {value:g}",
            consequence="Only a constant can be learned from them",
            remedy="Give samples of all classes: shuffle x and y together before they are split",
            numbers={"samples": len(rows)},
        )
    ]
