"""The end of a model against a cross-entropy: whether it gives probabilities, and of what."""

import numpy as np

from keras_inits._diagnose.setting.end.reach import UNREACHED
from keras_inits._diagnose.setting.plain import (
    BINARY,
    PROBABILITIES,
    RANGES,
    UNREAD,
    End,
    LossKind,
    Targets,
)
from keras_inits._diagnose.setting.remedies import (
    new_activation,
    new_end,
    new_loss,
    on_activation,
    on_loss,
)
from keras_inits._reporting import Finding


def binary(targets: Targets, end: End, loss: LossKind) -> list[Finding]:
    """Returns what is wrong with an end under binary cross-entropy."""
    gives = _gives_probabilities(end)
    if loss.from_logits:
        if gives:
            return [_logits_of_probabilities(end)]
        if end.activation in ("relu", "softplus", "exponential", "relu6"):
            return [_half(end)]
        return []
    if gives is False:
        return [_no_probabilities(end, loss)]
    if targets.values.shape != end.shape or end.units == 1 or not _many(targets):
        return []
    if end.activation == "sigmoid" and targets.one_hot and end.units > 2:
        return [_not_exclusive(targets, end)]
    if end.activation == "softmax" and targets.one_hot and end.units > 2:
        return [_yes_or_no_of_shares(targets, end, loss)]
    if end.activation == "softmax" and targets.binary and not targets.exclusive:
        return _several_of_shares(targets, end)
    return []


def exclusive(targets: Targets, end: End, loss: LossKind) -> list[Finding]:
    """Returns what is wrong with an end under the cross-entropy of exclusive classes."""
    gives = _gives_probabilities(end)
    if end.units == 1:
        return [
            Finding(
                kind="output units",
                where=("output",),
                evidence=(
                    f"{loss.name} compares the shares of classes, and {end.layer} has one unit: "
                    "its share is 1 for every input"
                ),
                consequence="The gradient is 0 and nothing is learned",
                remedy=new_end(end, targets),
                numbers={"units": 1},
            )
        ]
    if loss.from_logits:
        if gives:
            return [_logits_of_probabilities(end)]
        return [_flat_at_zero(end)] if end.activation in ("relu", "relu6") else []
    if gives is False:
        return [_no_probabilities(end, loss)]
    if end.activation == "sigmoid":
        return [_not_exclusive_shares(targets, end, loss)]
    return []


def shares(targets: Targets, end: End, loss: LossKind) -> list[Finding]:
    """Returns what is wrong with an end of several units under the divergence of distributions.

    Its gradient with respect to an output is -y / output: only a sum that is fixed holds them back.
    """
    if end.activation in ("softmax", *UNREAD):
        return []
    grow = "Its gradient only makes outputs larger, whatever the targets are: all end at 1 or above"
    if targets.exclusive:
        return [
            on_activation(
                evidence=(
                    f"{loss.name} compares distributions, and the {end.units} units of {end.layer} "
                    f"with {_named(end)} do not sum to 1"
                ),
                consequence=grow,
                remedy=new_activation(end, "softmax"),
                numbers={"units": end.units},
            )
        ]
    sums = targets.rows().sum(1)
    return [
        on_loss(
            evidence=(
                f"{loss.name} compares distributions; the targets of a sample sum to "
                f"{sums.min():.3g} to {sums.max():.3g}, and the {end.units} units of {end.layer} "
                f"with {_named(end)} to any number"
            ),
            consequence=grow,
            remedy=(
                new_loss("binary_crossentropy")
                if end.activation == "sigmoid" and targets.low >= 0 and targets.high <= 1
                else new_loss("mse")
            ),
            numbers={"lowest sum": float(sums.min()), "highest sum": float(sums.max())},
        )
    ]


def _named(end: End) -> str:
    return "no activation" if end.activation == "linear" else end.activation


def _logits_of_probabilities(end: End) -> Finding:
    return on_activation(
        evidence=f"{end.layer} ends in {end.activation}, and the loss was told from_logits=True",
        consequence=(
            "It takes probabilities for logits: the gradient is flat, and the loss cannot come "
            "near 0. (Where Keras finds the logits next to the output, as on TensorFlow, it uses "
            "them and warns; on other backends and after any operation on the output it does not)"
        ),
        remedy=new_activation(end, "linear"),
    )


def _no_probabilities(end: End, loss: LossKind) -> Finding:
    fit = "sigmoid" if loss.name in BINARY else "softmax"
    low, high = RANGES.get(end.activation, (-np.inf, np.inf))
    values = "any number" if low == -np.inf else f"values from {low:g} to {high:g}"
    return on_activation(
        evidence=(
            f"{loss.name} takes probabilities, and {end.layer} with {_named(end)} gives {values}"
        ),
        consequence="What is outside of 0 to 1 is cut off, and has no gradient",
        remedy=(
            new_activation(end, fit)
            + (
                f"; or loss=keras.losses.{loss.class_name}(from_logits=True)"
                if end.activation == "linear"
                else ""
            )
        ),
        numbers={"low": low, "high": high},
    )


def _gives_probabilities(end: End) -> bool | None:
    """Returns whether the end gives numbers from 0 to 1; None if that is not known."""
    if end.activation in PROBABILITIES:
        return True
    if end.activation in UNREAD:
        return None
    return False


def _many(targets: Targets) -> bool:
    return len(targets.rows()) >= 16  # that all rows have one label by chance is no longer likely


def _half(end: End) -> Finding:
    return on_activation(
        evidence=f"{end.layer} ends in {end.activation}, and the loss takes its outputs for logits",
        consequence="No logit is below 0, so that no probability falls below one half",
        remedy=new_activation(end, "linear"),
    )


def _flat_at_zero(end: End) -> Finding:
    """Says it of a softmax in the loss, to which logits above 0 are as good as any others."""
    return on_activation(
        f"{end.layer} ends in {end.activation}, and the loss takes its outputs for logits",
        "A class whose logit is 0 has no gradient, and no class can be pushed below the one that "
        "says nothing",
        new_activation(end, "linear"),
    )


def _not_exclusive(targets: Targets, end: End) -> Finding:
    k = end.units
    return on_activation(
        evidence=(
            f"all {len(targets.rows())} rows of targets have exactly one 1 of {k}, and the {k} "
            f"units of {end.layer} are independent sigmoids"
        ),
        consequence=(
            "They do not compete, and their sum is no 1; under binary cross-entropy the "
            f"{k - 1} zeros of each row outweigh its one"
        ),
        remedy=new_activation(end, "softmax", "categorical_crossentropy"),
        numbers={"units": k, "rows": len(targets.rows())},
    )


def _yes_or_no_of_shares(targets: Targets, end: End, loss: LossKind) -> Finding:
    k = end.units
    return on_loss(
        evidence=(
            f"{loss.name} asks {k} questions of yes or no, and {end.layer} gives shares of {k} "
            "classes that exclude each other"
        ),
        consequence=(
            f"Of the mean over {k} units {k - 1} are zeros: the loss is small from the start, its "
            f'gradient {k} times smaller, and metrics="accuracy" counts the zeros as right'
        ),
        remedy=new_loss("categorical_crossentropy"),
        numbers={"units": k, "rows": len(targets.rows())},
    )


def _several_of_shares(targets: Targets, end: End) -> list[Finding]:
    sums = targets.rows().sum(1)
    several = float((sums > 1).mean())
    if several <= UNREACHED:
        return []
    return [
        on_activation(
            evidence=(
                f"{several:.0%} of the rows of targets have several 1s (up to {sums.max():g} of "
                f"{end.units}), and softmax in {end.layer} gives shares that sum to 1"
            ),
            consequence="Where one output rises others fall: two labels get one half each at most",
            remedy=new_activation(end, "sigmoid"),
            numbers={"several": several},
        )
    ]


def _not_exclusive_shares(targets: Targets, end: End, loss: LossKind) -> Finding:
    several = not targets.exclusive and targets.values.shape == end.shape and targets.binary
    remedy = new_loss("binary_crossentropy") if several else new_activation(end, "softmax")
    return on_activation(
        evidence=(
            f"{loss.name} compares shares that sum to 1, and the {end.units} units of {end.layer} "
            "are independent sigmoids"
        ),
        consequence=(
            "The outputs are no probabilities of the classes, and all may saturate at 1 together"
        ),
        remedy=remedy,
        numbers={"units": end.units},
    )
