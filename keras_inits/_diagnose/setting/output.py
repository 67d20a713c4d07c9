"""The end of a model against its loss and its targets."""

import numpy as np

from keras_inits._diagnose.setting.endings import new_activation, new_end, new_loss
from keras_inits._diagnose.setting.plain import (
    BINARY,
    CATEGORICAL,
    DIRECTIONS,
    RANGES,
    REGRESSION,
    SHARES,
    SPARSE,
    End,
    LossKind,
    Targets,
)
from keras_inits._reporting import Finding

_PROBABILITIES = ("sigmoid", "softmax", "hard_sigmoid")
# A share of the targets' variance; a hundredth is what a wrong range may cost unseen.
UNREACHED = 0.01
# Of a label's 1, what label smoothing leaves as its lead over the others, at the least. Szegedy et
# al. 2016 (https://arxiv.org/abs/1512.00567) took 0.1; a lead of 0.1 is a smoothing of 0.9.
LEAD = 0.1
_ROUNDED = 1e-3  # of probabilities in float16


def check(targets: Targets, end: End, loss: LossKind) -> list[Finding]:
    """Returns what is wrong with the end of one output, for its targets and its loss."""
    if end.activation == "softmax" and end.units == 1:
        return [_one_softmax(targets, end, loss)]
    if end.activation == "softmax" and end.before == "softmax":
        return [_twice(end)]
    if end.activation == "softmax" and (found := _other_axis(end, loss)):
        return [found]
    if loss.name in (*SHARES, *DIRECTIONS) and end.units == 1:
        return [_one_number(targets, end, loss)]
    if loss.smoothing > 1 - LEAD:
        return [_smoothed(loss)]
    if bounded := _bounded(targets, end, loss):
        return [bounded]
    if loss.name in BINARY:
        return _binary(targets, end, loss)
    if loss.name in (*CATEGORICAL, *SPARSE):
        return _exclusive(targets, end, loss)
    if loss.name in REGRESSION:
        return _regression(targets, end, loss)
    return []


def _one_softmax(targets: Targets, end: End, loss: LossKind) -> Finding:
    consequence = "Its output is 1 for every input"
    if loss.name in (*BINARY, "other"):
        consequence += "; only the loss may change, where Keras computes it from the logits"
    else:
        consequence += ", and its gradient 0: nothing is learned"
    return Finding(
        "output activation",
        ("output",),
        f"softmax over the single unit of {end.layer}: e^z / e^z = 1",
        consequence,
        new_end(end, targets),
        {"units": 1},
    )


def _twice(end: End) -> Finding:
    k = end.units
    most = np.e / (np.e + k - 1)
    return Finding(
        "output activation",
        ("output",),
        f"softmax of a softmax: {end.layer} takes probabilities for logits",
        f"No probability can pass e / (e + {k - 1}) = {most:.3g}, and gradients are flat",
        "Leave one of them out",
        {"largest": float(most)},
    )


def _smoothed(loss: LossKind) -> Finding:
    left = 1 - loss.smoothing
    name = "".join(part.capitalize() for part in loss.name.split("_"))
    given = "from_logits=True, " if loss.from_logits else ""
    given += f"axis={loss.axis}, " if loss.axis != -1 else ""
    return Finding(
        "loss",
        ("loss",),
        f"label_smoothing={loss.smoothing:g} spreads that share of each label evenly over the "
        f"classes: {left:.3g} tells them apart (limit {LEAD:g})",
        "The targets of all samples are the same, and so are the best answers"
        if left <= 0
        else "The best answers are nearly the same for all samples",
        f"model.compile(model.optimizer, loss=keras.losses.{name}({given}label_smoothing=0.1))",
        {"smoothing": loss.smoothing},
    )


def _bounded(targets: Targets, end: End, loss: LossKind) -> Finding | None:
    """Returns the finding that of two activations in a row the first bounds the logits.

    Under softmax any logits but those of one value will do; where they are not below 0, a class
    whose logit is 0 has no gradient.
    """
    if loss.name not in (*BINARY, *CATEGORICAL, *SPARSE) or end.before not in RANGES:
        return None
    low, high = RANGES[end.before]
    twice = (
        f"{end.layer} takes {end.activation} of the outputs of {end.before}, {low:g} to {high:g}"
    )
    if end.activation == "softmax" and end.units > 1:
        most = 1.0
        if high < np.inf:
            most = float(1 / (1 + (end.units - 1) * np.exp(low - high)))
            consequence = f"No probability can pass {most:.3g}, and gradients are flat"
        else:
            consequence = (
                "A class whose logit is 0 has no gradient, and no class can be pushed below the "
                "one that says nothing"
            )
        numbers = {"largest": most}
    elif end.activation == "sigmoid":
        values = np.clip(targets.values, *end.range)
        total = float(((targets.values - targets.values.mean(0)) ** 2).sum())
        if float(((targets.values - values) ** 2).sum()) <= UNREACHED * max(total, 1e-30):
            return None
        least, most = end.range
        consequence = f"No probability is below {least:.3g} or above {most:.3g}"
        numbers = {"lowest": least, "largest": most}
    else:
        return None
    return Finding(
        "output activation",
        ("output",),
        twice,
        consequence,
        f"Leave out the {end.before}: the layer before {end.layer} has no activation",
        numbers,
    )


def _other_axis(end: End, loss: LossKind) -> Finding | None:
    """Returns the finding that a softmax makes shares along another axis than the loss takes."""
    classes = loss.axis % len(end.shape)
    if not end.axes or classes in end.axes or loss.name not in (*BINARY, *CATEGORICAL, *SPARSE):
        return None
    axes = ", ".join(map(str, end.axes))
    return Finding(
        "output activation",
        ("output",),
        f"the softmax of {end.layer} goes along axis {axes} of {end.shape}, and {loss.name} takes "
        f"axis {classes} for the classes",
        "The outputs of one place are no probabilities of its classes: they sum to 1 over others",
        f"axis={loss.axis} in {end.layer}",
        {"axis": end.axes[0], "classes": classes},
    )


def _one_number(targets: Targets, end: End, loss: LossKind) -> Finding:
    what, consequence = "distributions", "Targets of 0 have no part in it: the outputs only grow"
    if loss.name in DIRECTIONS:
        what = "directions of vectors"
        consequence = "Of one number it sees the sign alone: the gradient is 0"
    return Finding(
        "loss",
        ("loss",),
        f"{loss.name} compares {what}, and {end.layer} has one unit",
        consequence,
        new_end(end, targets),
        {"units": 1},
    )


def _logits_of_probabilities(end: End, loss: LossKind) -> Finding:
    return Finding(
        "output activation",
        ("output",),
        f"{end.layer} ends in {end.activation}, and the loss was told from_logits=True",
        "It takes probabilities for logits: the gradient is flat, and the loss cannot come near 0. "
        "(Where Keras finds the logits next to the output, as on TensorFlow, it uses them and "
        "warns; on other backends and after any operation on the output it does not)",
        new_activation(end, "linear"),
    )


def _no_probabilities(targets: Targets, end: End, loss: LossKind) -> Finding:
    fit = "sigmoid" if loss.name in BINARY else "softmax"
    what = "no activation" if end.activation == "linear" else end.activation
    low, high = RANGES.get(end.activation, (-np.inf, np.inf))
    values = "any number" if low == -np.inf else f"values from {low:g} to {high:g}"
    logits = "".join(part.capitalize() for part in loss.name.split("_"))
    return Finding(
        "output activation",
        ("output",),
        f"{loss.name} takes probabilities, and {end.layer} with {what} gives {values}",
        "What is outside of 0 to 1 is cut off, and has no gradient",
        new_activation(end, fit)
        + (
            f"; or loss=keras.losses.{logits}(from_logits=True)"
            if end.activation == "linear"
            else ""
        ),
        {"low": low, "high": high},
    )


def outside(made: np.ndarray, end: End, loss: LossKind) -> Finding | None:
    """Returns the finding that outputs, as `fit` computes them, are no probabilities.

    Args:
        made: the outputs of a batch.
        end: of the output, whose activation is not known.
        loss: a cross-entropy of probabilities.
    """
    share = float(((made < -_ROUNDED) | (made > 1 + _ROUNDED)).mean())
    if share <= UNREACHED:
        return None
    fit = "a sigmoid" if loss.name in BINARY else "a softmax"
    return Finding(
        "output activation",
        ("output",),
        f"{loss.name} takes probabilities, and {share:.0%} of the outputs of {end.layer} are "
        f"outside of 0 to 1 ({made.min():.3g} to {made.max():.3g})",
        "What is outside is cut off, and has no gradient",
        f"Let {fit} be the last layer, with nothing behind it; or from_logits=True in the loss",
        {"outside": share},
    )


def _gives_probabilities(end: End) -> bool | None:
    """Says whether the end gives numbers from 0 to 1; None if that is not known."""
    if end.activation in _PROBABILITIES:
        return True
    if end.activation == "unknown":
        return None
    return False


def _binary(targets: Targets, end: End, loss: LossKind) -> list[Finding]:
    gives = _gives_probabilities(end)
    if loss.from_logits:
        if gives:
            return [_logits_of_probabilities(end, loss)]
        if end.activation in ("relu", "softplus", "exponential", "relu6"):
            return [_half(end)]
        return []
    if gives is False:
        return [_no_probabilities(targets, end, loss)]
    if targets.values.shape != end.shape or end.units == 1 or not _many(targets):
        return []
    if end.activation == "sigmoid" and targets.one_hot and end.units > 2:
        return [_not_exclusive(targets, end, loss)]
    if end.activation == "softmax" and targets.one_hot and end.units > 2:
        return [_yes_or_no_of_shares(targets, end, loss)]
    if end.activation == "softmax" and targets.binary and not targets.exclusive:
        return _several_of_shares(targets, end)
    return []


def _many(targets: Targets) -> bool:
    return len(targets.rows()) >= 16  # that all rows have one label by chance is no longer likely


def _half(end: End) -> Finding:
    return Finding(
        "output activation",
        ("output",),
        f"{end.layer} ends in {end.activation}, and the loss takes its outputs for logits",
        "No logit is below 0, so that no probability falls below one half",
        new_activation(end, "linear"),
    )


def _not_exclusive(targets: Targets, end: End, loss: LossKind) -> Finding:
    k = end.units
    return Finding(
        "output activation",
        ("output",),
        f"all {len(targets.rows())} rows of targets have exactly one 1 of {k}, and the {k} units "
        f"of {end.layer} are independent sigmoids",
        "They do not compete, and their sum is no 1; under binary cross-entropy the "
        f"{k - 1} zeros of each row outweigh its one",
        new_activation(end, "softmax", "categorical_crossentropy"),
        {"units": k, "rows": len(targets.rows())},
    )


def _yes_or_no_of_shares(targets: Targets, end: End, loss: LossKind) -> Finding:
    k = end.units
    return Finding(
        "loss",
        ("loss",),
        f"{loss.name} asks {k} questions of yes or no, and {end.layer} gives shares of {k} classes "
        "that exclude each other",
        f"Of the mean over {k} units {k - 1} are zeros: the loss is small from the start, its "
        f'gradient {k} times smaller, and metrics="accuracy" counts the zeros as right',
        new_loss("categorical_crossentropy"),
        {"units": k, "rows": len(targets.rows())},
    )


def _several_of_shares(targets: Targets, end: End) -> list[Finding]:
    sums = targets.rows().sum(1)
    several = float((sums > 1).mean())
    if several <= UNREACHED:
        return []
    return [
        Finding(
            "output activation",
            ("output",),
            f"{several:.0%} of the rows of targets have several 1s (up to {sums.max():g} of "
            f"{end.units}), and softmax in {end.layer} gives shares that sum to 1",
            "Where one output rises others fall: two labels get one half each at most",
            new_activation(end, "sigmoid"),
            {"several": several},
        )
    ]


def _exclusive(targets: Targets, end: End, loss: LossKind) -> list[Finding]:
    gives = _gives_probabilities(end)
    if end.units == 1:
        return [
            Finding(
                "output units",
                ("output",),
                f"{loss.name} compares the shares of classes, and {end.layer} has one unit: its "
                "share is 1 for every input",
                "The gradient is 0 and nothing is learned",
                new_end(end, targets),
                {"units": 1},
            )
        ]
    if loss.from_logits:
        if gives:
            return [_logits_of_probabilities(end, loss)]
        return [_half(end)] if end.activation in ("relu", "relu6", "exponential") else []
    if gives is False:
        return [_no_probabilities(targets, end, loss)]
    if end.activation == "sigmoid":
        return [_not_exclusive_shares(targets, end, loss)]
    return []


def _not_exclusive_shares(targets: Targets, end: End, loss: LossKind) -> Finding:
    several = not targets.exclusive and targets.values.shape == end.shape and targets.binary
    remedy = new_loss("binary_crossentropy") if several else new_activation(end, "softmax")
    return Finding(
        "output activation",
        ("output",),
        f"{loss.name} compares shares that sum to 1, and the {end.units} units of {end.layer} are "
        "independent sigmoids",
        "The outputs are no probabilities of the classes, and all may saturate at 1 together",
        remedy,
        {"units": end.units},
    )


def _regression(targets: Targets, end: End, loss: LossKind) -> list[Finding]:
    short = loss.name
    yes_no = targets.binary and targets.values.size == len(targets.values)
    if targets.one_hot or (yes_no and end.activation in _PROBABILITIES):
        return _classes_by_distance(targets, end, loss)
    if short == "mean_absolute_percentage_error" and (zeros := (targets.values == 0).mean()) > 0:
        return [
            Finding(
                "loss",
                ("loss",),
                f"{zeros:.0%} of the targets are 0, and {short} divides by them (by 1e-7 there)",
                "These samples outweigh all others, by up to 10 million",
                new_end(end, targets),
                {"zeros": float(zeros)},
            )
        ]
    if short in ("poisson", "mean_squared_logarithmic_error") and targets.low < 0:
        share = float((targets.values < 0).mean())
        what = "counts" if short == "poisson" else "values above -1"
        return [
            *_unreached(targets, end),
            Finding(
                "loss",
                ("loss",),
                f"{share:.0%} of the targets are negative, to {targets.low:.4g}; {short} is for "
                f"{what}",
                "The loss has no minimum for them, or does not see them",
                new_activation(end, "linear", "mse"),
                {"negative": share, "low": targets.low},
            ),
        ]
    if short == "poisson" and end.activation in ("linear", "tanh"):
        return [
            Finding(
                "output activation",
                ("output",),
                f"{short} takes the logarithm of the output, and {end.layer} with "
                f"{end.activation} gives negative numbers, too",
                "The loss is NaN where an output is below 0",
                new_activation(end, "softplus"),
            )
        ]
    return _unreached(targets, end)


def _classes_by_distance(targets: Targets, end: End, loss: LossKind) -> list[Finding]:
    if loss.name in ("mean_absolute_error", "mean_absolute_percentage_error"):
        return [
            Finding(
                "loss",
                ("loss",),
                f"the targets are classes, and {loss.name} compares them with {end.activation} "
                "outputs",
                "Its minimum is the median, the commonest class alone"
                if loss.name == "mean_absolute_error"
                else "It divides by the zeros (by 1e-7): the ones do not count",
                new_end(end, targets),
            )
        ]
    if targets.one_hot and targets.rows().shape[1] > 2 and end.activation in ("linear", "relu"):
        return [
            Finding(
                "output activation",
                ("output",),
                f"the targets are one-hot rows of {targets.rows().shape[1]} classes, and "
                f"{end.layer} with {end.activation} is fitted to them by {loss.name}",
                "Outputs past the target cost as much as those short of it, and are no "
                "probabilities",
                new_end(end, targets),
                {"units": end.units},
            )
        ]
    return []


def _to_shares(rows: np.ndarray) -> np.ndarray:
    """Returns the nearest rows of shares that sum to 1 (Held, Wolfe, Crowder 1974)."""
    ordered = -np.sort(-rows, -1)
    excess = np.cumsum(ordered, -1) - 1
    count = np.arange(1, rows.shape[-1] + 1)
    number = (ordered > excess / count).sum(-1, keepdims=True)
    threshold = np.take_along_axis(excess, number - 1, -1) / number
    return np.asarray(np.maximum(rows - threshold, 0))


def _unreached(targets: Targets, end: End) -> list[Finding]:
    """Returns the finding that targets are out of the range of the last activation."""
    low, high = end.range
    values = targets.values
    if end.activation == "softmax" and end.units > 1:
        if targets.values.shape != end.shape or targets.exclusive:
            return []
        nearest = _to_shares(values)
    else:
        nearest = np.clip(values, low, high)
    total = float(((values - values.mean(0)) ** 2).sum())
    missed = float(((values - nearest) ** 2).sum())
    if missed <= UNREACHED * max(total, 1e-30):
        return []
    outside = float(((values < low) | (values > high)).mean())
    what = (
        "rows that sum to 1"
        if end.activation == "softmax"
        else f"values from {low:g} to {high:g}"
        if high < np.inf
        else f"values above {low:g}"
    )
    return [
        Finding(
            "output activation",
            ("output",),
            f"{end.activation} in {end.layer} gives {what}, the targets go from "
            f"{targets.low:.4g} to {targets.high:.4g} ({outside:.0%} outside)",
            f"{missed / max(total, 1e-30):.3g} of the targets' variance stays as error whatever "
            f"is learned (limit {UNREACHED:g}); outputs saturate at the bound",
            new_activation(end, "linear"),
            {"outside": outside, "unreached": missed / max(total, 1e-30)},
        )
    ]
