"""The end of a model against its loss and its targets."""

import numpy as np

from keras_inits._diagnose.setting.end import probabilities, reach
from keras_inits._diagnose.setting.end.reach import UNREACHED
from keras_inits._diagnose.setting.plain import (
    BINARY,
    CROSS_ENTROPIES,
    DIRECTIONS,
    MARGINS,
    OF_CLASSES,
    RANGES,
    REGRESSION,
    SHARES,
    End,
    LossKind,
    Targets,
)
from keras_inits._diagnose.setting.remedies import new_end, on_activation, on_loss
from keras_inits._reporting import Finding

# Of a label's 1, what label smoothing leaves as its lead over the others, at the least. Szegedy et
# al. 2016 (https://arxiv.org/abs/1512.00567) took 0.1; a lead of 0.1 is a smoothing of 0.9.
LEAD = 0.1


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
        return probabilities.binary(targets, end, loss)
    if loss.name in OF_CLASSES:
        return probabilities.exclusive(targets, end, loss)
    if loss.name in SHARES:
        return probabilities.shares(targets, end, loss)
    if loss.name in REGRESSION:
        return reach.check(targets, end, loss)
    return reach.one_sided(targets, end, loss) if loss.name in MARGINS else []


def _one_softmax(targets: Targets, end: End, loss: LossKind) -> Finding:
    consequence = "Its output is 1 for every input"
    if loss.name in (*BINARY, "other"):
        consequence += "; only the loss may change, where Keras computes it from the logits"
    else:
        consequence += ", and its gradient 0: nothing is learned"
    return on_activation(
        evidence=f"softmax over the single unit of {end.layer}: e^z / e^z = 1",
        consequence=consequence,
        remedy=new_end(end, targets),
        numbers={"units": 1},
    )


def _twice(end: End) -> Finding:
    k = end.units
    most = np.e / (np.e + k - 1)
    return on_activation(
        evidence=f"softmax of a softmax: {end.layer} takes probabilities for logits",
        consequence=(
            f"No probability can pass e / (e + {k - 1}) = {most:.3g}, and gradients are flat"
        ),
        remedy="Leave one of them out",
        numbers={"largest": float(most)},
    )


def _smoothed(loss: LossKind) -> Finding:
    left = 1 - loss.smoothing
    given = "from_logits=True, " if loss.from_logits else ""
    given += f"axis={loss.axis}, " if loss.axis != -1 else ""
    return on_loss(
        evidence=(
            f"label_smoothing={loss.smoothing:g} spreads that share of each label evenly over the "
            f"classes: {left:.3g} tells them apart (limit {LEAD:g})"
        ),
        consequence=(
            "The targets of all samples are the same, and so are the best answers"
            if left <= 0
            else "The best answers are nearly the same for all samples"
        ),
        remedy=(
            f"model.compile(model.optimizer, loss=keras.losses.{loss.class_name}"
            f"({given}label_smoothing=0.1))"
        ),
        numbers={"smoothing": loss.smoothing},
    )


def _bounded(targets: Targets, end: End, loss: LossKind) -> Finding | None:
    """Returns the finding that of two activations in a row the first bounds the logits.

    Under softmax any logits but those of one value will do; where they are not below 0, a class
    whose logit is 0 has no gradient.
    """
    if loss.name not in CROSS_ENTROPIES or end.before not in RANGES:
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
    return on_activation(
        evidence=twice,
        consequence=consequence,
        remedy=f"Leave out the {end.before}: the layer before {end.layer} has no activation",
        numbers=numbers,
    )


def _other_axis(end: End, loss: LossKind) -> Finding | None:
    """Returns the finding that a softmax makes shares along another axis than the loss takes."""
    classes = loss.axis % len(end.shape)
    of_shares = loss.name in (*CROSS_ENTROPIES, *SHARES)
    if not end.axes or classes in end.axes or not of_shares:
        return None
    axes = ", ".join(map(str, end.axes))
    return on_activation(
        evidence=(
            f"the softmax of {end.layer} goes along axis {axes} of {end.shape}, and {loss.name} "
            f"takes axis {classes} for the classes"
        ),
        consequence=(
            "The outputs of one place are no probabilities of its classes: they sum to 1 over "
            "others"
        ),
        remedy=f"axis={loss.axis} in {end.layer}",
        numbers={"axis": end.axes[0], "classes": classes},
    )


def _one_number(targets: Targets, end: End, loss: LossKind) -> Finding:
    what, consequence = "distributions", "Targets of 0 have no part in it: the outputs only grow"
    if loss.name in DIRECTIONS:
        what = "directions of vectors"
        consequence = "Of one number it sees the sign alone: the gradient is 0"
    return on_loss(
        evidence=f"{loss.name} compares {what}, and {end.layer} has one unit",
        consequence=consequence,
        remedy=new_end(end, targets),
        numbers={"units": 1},
    )
