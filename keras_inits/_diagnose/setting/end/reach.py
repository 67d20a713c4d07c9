"""The end of a model against measurements: whether its outputs can reach them, and at what cost."""

import numpy as np

from keras_inits._diagnose.setting.plain import PROBABILITIES, End, LossKind, Targets
from keras_inits._diagnose.setting.remedies import new_activation, new_end, on_activation, on_loss
from keras_inits._reporting import Finding

# A share of the targets' variance; a hundredth is what a wrong range may cost unseen.
UNREACHED = 0.01
# Of samples weighted by 1 / |target|, the share that counts (Kish 1965: (sum w)**2 / sum w**2).
# Targets of a log-normal distribution with a deviation of 1 have 0.37, 256 standard normal ones
# some 0.05.
COUNTED = 0.15


def check(targets: Targets, end: End, loss: LossKind) -> list[Finding]:
    """Returns what is wrong with an end under a loss of distances, such as squares."""
    short = loss.name
    yes_no = targets.binary and targets.values.size == len(targets.values)
    if targets.one_hot or (yes_no and end.activation in PROBABILITIES):
        return _classes_by_distance(targets, end, loss)
    if short == "mean_absolute_percentage_error" and (zeros := (targets.values == 0).mean()) > 0:
        return [
            on_loss(
                evidence=(
                    f"{zeros:.0%} of the targets are 0, and {short} divides by them (by 1e-7 there)"
                ),
                consequence="These samples outweigh all others, by up to 10 million",
                remedy=new_end(end, targets),
                numbers={"zeros": float(zeros)},
            )
        ]
    if short == "mean_absolute_percentage_error" and (near := _near_zero(targets)):
        return [near]
    if short in ("poisson", "mean_squared_logarithmic_error") and targets.low < 0:
        share = float((targets.values < 0).mean())
        what = "counts" if short == "poisson" else "values above -1"
        return [
            *unreached(targets, end),
            on_loss(
                evidence=(
                    f"{share:.0%} of the targets are negative, to {targets.low:.4g}; {short} is "
                    f"for {what}"
                ),
                consequence="The loss has no minimum for them, or does not see them",
                remedy=new_activation(end, "linear", "mse"),
                numbers={"negative": share, "low": targets.low},
            ),
        ]
    if short == "poisson" and end.activation in ("linear", "tanh"):
        return [
            on_activation(
                evidence=(
                    f"{short} takes the logarithm of the output, and {end.layer} with "
                    f"{end.activation} gives negative numbers, too"
                ),
                consequence="The loss is NaN where an output is below 0",
                remedy=new_activation(end, "softplus"),
            )
        ]
    return unreached(targets, end)


def _near_zero(targets: Targets) -> Finding | None:
    """Returns the finding that targets of both signs pass 0, where a share of them has no bound."""
    if not targets.low < 0 < targets.high:
        return None
    weights = 1 / np.maximum(np.abs(targets.values), 1e-7)  # as in Keras
    counted = float(weights.sum() ** 2 / (weights**2).sum() / weights.size)
    if counted > COUNTED:
        return None
    return on_loss(
        evidence=(
            f"the targets go from {targets.low:.4g} to {targets.high:.4g}, and their percentage "
            f"error divides by them: with these weights {counted:.2g} of the samples count (limit "
            f"{COUNTED})"
        ),
        consequence=(
            "The few that are nearest to 0 outweigh all others, and are best answered by 0 for all"
        ),
        remedy=(
            'model.compile(model.optimizer, loss="mae")  # or give targets that are not centered'
        ),
        numbers={"counted": counted, "low": targets.low, "high": targets.high},
    )


def one_sided(targets: Targets, end: End, loss: LossKind) -> list[Finding]:
    """Returns the finding that outputs cannot be negative where a hinge asks one class to be."""
    low, high = end.range
    share = float((targets.values <= 0).mean()) if targets.values.size else 0.0
    if low < 0 or not 0 < share < 1:
        return []
    values = f"values from {low:g} to {high:g}" if high < np.inf else f"values above {low:g}"
    return [
        on_activation(
            evidence=(
                f"{loss.name} asks for outputs of -1 and less of one class ({share:.0%} of the "
                f"targets), and {end.activation} in {end.layer} gives {values}"
            ),
            consequence=(
                "The loss of that class cannot fall below 1, and metrics that ask for the sign "
                "never see it"
            ),
            remedy=new_activation(end, "linear", loss.name),
            numbers={"low": low, "high": high, "share": share},
        )
    ]


def _classes_by_distance(targets: Targets, end: End, loss: LossKind) -> list[Finding]:
    if loss.name in ("mean_absolute_error", "mean_absolute_percentage_error"):
        return [
            on_loss(
                evidence=(
                    f"the targets are classes, and {loss.name} compares them with {end.activation} "
                    "outputs"
                ),
                consequence=(
                    "Its minimum is the median, the commonest class alone"
                    if loss.name == "mean_absolute_error"
                    else "It divides by the zeros (by 1e-7): the ones do not count"
                ),
                remedy=new_end(end, targets),
            )
        ]
    if targets.one_hot and targets.rows().shape[1] > 2 and end.activation in ("linear", "relu"):
        return [
            on_activation(
                evidence=(
                    f"the targets are one-hot rows of {targets.rows().shape[1]} classes, and "
                    f"{end.layer} with {end.activation} is fitted to them by {loss.name}"
                ),
                consequence=(
                    "Outputs past the target cost as much as those short of it, and are no "
                    "probabilities"
                ),
                remedy=new_end(end, targets),
                numbers={"units": end.units},
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


def unreached(targets: Targets, end: End) -> list[Finding]:
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
        on_activation(
            evidence=(
                f"{end.activation} in {end.layer} gives {what}, the targets go from "
                f"{targets.low:.4g} to {targets.high:.4g} ({outside:.0%} outside)"
            ),
            consequence=(
                f"{missed / max(total, 1e-30):.3g} of the targets' variance stays as error "
                f"whatever is learned (limit {UNREACHED:g}); outputs saturate at the bound"
            ),
            remedy=(
                f"Scale and shift it: Dense(1) behind {end.layer}; or leave normalize=True out"
                if end.activation == "cosine"
                else new_activation(end, "linear")
            ),
            numbers={"outside": outside, "unreached": missed / max(total, 1e-30)},
        )
    ]
