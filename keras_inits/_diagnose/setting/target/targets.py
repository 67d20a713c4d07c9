"""Targets against the loss: labels that are none."""

from collections.abc import Callable, Mapping

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
from keras_inits._diagnose.setting.target import shapes
from keras_inits._reporting import Finding

FEWEST_COLUMNS = 3  # of which one alone says something
ENOUGH_SAMPLES = 16  # samples from which on it says something that all belong to one class


def check(targets: Targets, end: End, loss: LossKind) -> list[Finding]:
    """Returns the first thing that is wrong with the targets of one output, if any is."""
    rules = (_not_finite, *_RULES.get(loss.name, ()), _alone)
    found = next(filter(None, (rule(targets, end, loss) for rule in rules)), None)
    return [found] if found else []


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


def _not_finite(targets: Targets, end: End, loss: LossKind) -> Finding | None:
    count = int((~np.isfinite(targets.values)).sum())
    if not count:
        return None
    return _on_labels(
        evidence=f"{count} of {targets.values.size} targets are NaN or infinite",
        consequence="The loss is NaN, and all weights after the first step",
        remedy="keep = np.isfinite(y).reshape(len(y), -1).all(1); x, y = x[keep], y[keep]",
        numbers={"count": count},
    )


def _indices_for_answers(targets: Targets, end: End, loss: LossKind) -> Finding | None:
    """Binary cross-entropy: class indices where each unit takes 0 or 1."""
    low, high, k = targets.low, targets.high, end.units
    if not (targets.integral and low >= 0 and high >= 2 and targets.classes):
        return None
    return _on_labels(
        evidence=(
            f"the targets are class indices ({_listed(targets)}), and binary "
            f"cross-entropy takes 0 or 1 for each of {k} output unit{'s' * (k > 1)}"
        ),
        consequence=(
            "The loss has no minimum for targets above 1: its gradient pushes the outputs to "
            "1 for all of these"
        ),
        remedy=new_end(end, targets),
        numbers={"low": low, "high": high, "units": k},
    )


def _outside_of_answers(targets: Targets, end: End, loss: LossKind) -> Finding | None:
    """Binary cross-entropy: two other values than 0 and 1, or measurements."""
    low, high = targets.low, targets.high
    if low >= 0 and high <= 1:
        return None
    signs = targets.integral and targets.distinct == 2
    what = "two values" if signs else "measurements"
    return _on_labels(
        evidence=(
            f"the targets are {what} from {low:.4g} to {high:.4g}, binary cross-entropy takes "
            "0 to 1"
        ),
        consequence="Outside of it the loss has no minimum, and goes below 0",
        remedy=(
            f"y = (y - {low:g}) / {high - low:g}" if signs else new_activation(end, "linear", "mse")
        ),
        numbers={"low": low, "high": high},
    )


def _index_for_all_units(targets: Targets, end: End, loss: LossKind) -> Finding | None:
    """Binary cross-entropy: one class index a sample, against several units."""
    fewer_axes = targets.values.ndim < len(end.shape)
    if not (end.units > 1 and targets.classes and fewer_axes and shapes.check(targets, end, loss)):
        return None
    return _on_labels(
        evidence=(
            f"one class index for each sample, {targets.values.shape}, is compared with each "
            f"of {end.units} outputs, {end.shape}"
        ),
        consequence="It is broadcast: all outputs learn the same number",
        remedy=new_loss(SPARSE[0]),
        numbers={"units": end.units},
    )


def _may_be_classes(targets: Targets, end: End) -> bool:
    """Returns whether targets of another shape than the output may be classes in another form."""
    apart = targets.values.shape != end.shape
    return apart and targets.integral and targets.low >= 0 and end.units > 1


def _in_rows(targets: Targets, end: End) -> bool:
    """Returns whether targets have several entries along the axis of the output's units."""
    shape = targets.values.shape
    return len(shape) == len(end.shape) and shape[-1] > 1


def _other_number_of_classes(targets: Targets, end: End, loss: LossKind) -> Finding | None:
    """Categorical cross-entropy: one-hot rows of more or fewer classes than there are units."""
    if not (_may_be_classes(targets, end) and targets.one_hot and _in_rows(targets, end)):
        return None
    classes = targets.values.shape[-1]
    return _on_labels(
        evidence=f"the targets have {classes} classes, the output {end.units}",
        consequence="The loss cannot be computed",
        remedy=new_end(end, targets),
        numbers={"classes": classes, "units": end.units},
    )


def _indices_for_rows(targets: Targets, end: End, loss: LossKind) -> Finding | None:
    """Categorical cross-entropy: class indices, or one-hot rows in another shape."""
    if not _may_be_classes(targets, end) or (_in_rows(targets, end) and not targets.one_hot):
        return None
    if targets.one_hot or targets.values.size % end.shape[0]:
        return shapes.check(targets, end, loss)
    return _on_labels(
        evidence=(
            f"the targets are class indices {targets.values.shape}, categorical cross-entropy "
            f"compares one-hot rows {end.shape}"
        ),
        consequence="The loss cannot be computed, or is that of numbers that are no shares",
        remedy=new_loss(SPARSE[0]),
        numbers={"units": end.units},
    )


def _no_shares(targets: Targets, end: End, loss: LossKind) -> Finding | None:
    """Categorical cross-entropy: rows that do not sum to 1; of one unit `end` says more."""
    if end.units == 1 or targets.values.shape != end.shape or targets.exclusive:
        return None
    sums = targets.rows().sum(1)
    wrong = float((np.abs(sums - 1) > 1e-3).mean())
    # Rows of zeros alone are samples left out on purpose.
    if wrong <= 0.01 or (np.isclose(sums, 0) | np.isclose(sums, 1)).all():
        return None
    if targets.low < 0:
        remedy = new_activation(end, "linear", "mse")
    elif targets.binary:
        remedy = new_activation(end, "sigmoid", "binary_crossentropy")
    else:
        remedy = "y = y / y.sum(-1, keepdims=True)"
    return _on_labels(
        evidence=(
            f"{wrong:.0%} of the rows of targets do not sum to 1 (sums {sums.min():.4g} "
            f"to {sums.max():.4g}), and softmax can only give shares of 1"
        ),
        consequence="The loss has no minimum where the outputs equal the targets",
        remedy=remedy,
        numbers={"share": wrong},
    )


def _fractions_for_indices(targets: Targets, end: End, loss: LossKind) -> Finding | None:
    """Sparse cross-entropy: fractions, which are cut to whole numbers."""
    if targets.integral:
        return None
    return _on_labels(
        evidence=(
            f"the targets are fractions, {targets.low:.4g} to {targets.high:.4g}, and sparse "
            "cross-entropy takes whole class numbers"
        ),
        consequence="They are cut to whole numbers: most samples become class 0",
        remedy="Give y as it was before it was scaled: class numbers from 0",
        numbers={"low": targets.low, "high": targets.high},
    )


def _rows_for_indices(targets: Targets, end: End, loss: LossKind) -> Finding | None:
    """Sparse cross-entropy: one-hot rows."""
    shape = targets.values.shape
    if not targets.one_hot or shape != end.shape:
        return None
    return _on_labels(
        evidence=f"the targets are one-hot rows {shape}, sparse cross-entropy takes class numbers",
        consequence="The loss cannot be computed",
        remedy=new_loss("categorical_crossentropy"),
        numbers={"units": end.units},
    )


def _indices_out_of_range(targets: Targets, end: End, loss: LossKind) -> Finding | None:
    """Sparse cross-entropy: class numbers that no unit stands for."""
    k, counted = end.units, targets.values[targets.values != loss.ignored]
    if k == 1 or not counted.size or (counted.max() < k and counted.min() >= 0):
        return None
    renumbered = len(np.unique(counted)) <= k
    return _on_labels(
        evidence=(
            f"class numbers go from {counted.min():g} to {counted.max():g}, those of {k} "
            f"outputs from 0 to {k - 1}"
        ),
        consequence="The loss is NaN, or cannot be computed",
        remedy="y = np.unique(y, return_inverse=True)[1]" if renumbered else new_end(end, targets),
        numbers={"low": targets.low, "high": targets.high, "units": k},
    )


def _one_of_each_row(targets: Targets, end: End, loss: LossKind) -> Finding | None:
    """Squares and the like: each row has one number among zeros, as for an action that was taken.

    One-hot rows are answers of their own, and two columns may be two parts of one number.
    """
    rows = targets.rows()
    if targets.binary or rows.shape[1] < FEWEST_COLUMNS or len(rows) < ENOUGH_SAMPLES:
        return None
    given = rows != 0
    if not (given.sum(-1) == 1).all() or not (given.sum(0) >= 2).all():
        return None
    if len(np.unique(rows[given])) < len(rows) / 4:
        return None
    return _on_labels(
        evidence=(
            f"each of {len(rows)} rows of {rows.shape[1]} targets has one number, and 0 for all "
            "others, another column from row to row"
        ),
        consequence=(
            "If the zeros stand for what is not known, as of actions that were not taken, all "
            f"outputs are drawn to 0: they learn about 1 / {rows.shape[1]} of what they should"
        ),
        remedy=(
            "Leave the others out of the loss: give what the net predicts itself as their target, "
            "or the sum of outputs times a one-hot input as the output"
        ),
        numbers={"columns": rows.shape[1]},
    )


def is_alone(finding: Finding) -> bool:
    """Returns whether a finding is that all samples have one target."""
    return finding.kind == "labels" and finding.numbers.keys() == {"samples"}


def are_none(targets: Targets, loss: LossKind) -> bool:
    """Returns whether zeros stand in for targets: what is to vanish is computed inside."""
    own = loss.name in (*REGRESSION, "other")
    return own and not targets.one_hot and targets.low == targets.high == 0


def _alone(targets: Targets, end: End, loss: LossKind) -> Finding | None:
    """Any loss: one target for all samples."""
    if not targets.values.size or len(targets.values) < ENOUGH_SAMPLES:
        return None
    rows = targets.values.reshape(len(targets.values), -1)
    if (rows.shape[1] > 1 and not targets.one_hot) or (rows != rows[0]).any():
        return None
    if are_none(targets, loss):
        return None
    value = int(rows[0].argmax()) if targets.one_hot else float(rows[0, 0])
    return _on_labels(
        evidence=f"all {len(rows)} samples have the target {value:g}",
        consequence="Only a constant can be learned from them",
        remedy="Give samples of all classes: shuffle x and y together before they are split",
        numbers={"samples": len(rows)},
    )


_RULES: Mapping[str, tuple[Callable[[Targets, End, LossKind], Finding | None], ...]] = {
    **dict.fromkeys(
        BINARY, (_indices_for_answers, _outside_of_answers, _index_for_all_units, shapes.check)
    ),
    **dict.fromkeys(CATEGORICAL, (_other_number_of_classes, _indices_for_rows, _no_shares)),
    **dict.fromkeys(
        SPARSE,
        (_fractions_for_indices, _rows_for_indices, _indices_out_of_range, shapes.check_of_indices),
    ),
    **dict.fromkeys(REGRESSION, (shapes.check, _one_of_each_row)),
}
