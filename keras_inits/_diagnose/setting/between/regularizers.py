"""Penalties on weights and on activity, and decay, that outweigh the data."""

import math
from typing import Any

import keras

from keras_inits._diagnose.setting.between import norms
from keras_inits._diagnose.setting.remedies import set_on, weaker_regularizers
from keras_inits._diagnose.setting.trials.steps import BATCH
from keras_inits._diagnose.setting.trials.tries import Tries
from keras_inits._keras_internals import all_layers
from keras_inits._reporting import Finding

PENALTY = 10.0  # the penalty's gradient over that of the data: the weights then only decay
L1_PENALTY = 3.0  # that of L1 does not become smaller as the weights do
DECAY = 0.01  # of each weight, each step: after 100 steps a third is left of what is not renewed


def outweighing(tries: Tries) -> list[Finding]:
    """Returns the findings that penalties on weights or activity outweigh the loss at the start.

    Penalties on activity are those of one batch of `fit`.
    """
    case = tries.case
    given = (case.x, case.y, case.sample_weight)
    some = keras.tree.map_structure(lambda t: None if t is None else t[:BATCH], given)
    of_weights = norms.of_penalties(case.copy, *given)
    of_activity = norms.of_activity(case.copy, *some)
    found = penalty(*of_weights, l1=_l1_of(case.model)), _activity(*of_activity, case.model)
    return [finding for finding in found if finding]


def penalty(data: float, penalized: float, value: float, *, l1: bool = False) -> Finding | None:
    """Returns the finding that a penalty on weights outweighs the data.

    Args:
        data: the norm of the gradient of the loss of the data, over the penalized weights.
        penalized: that of the penalties.
        value: the sum of the penalties.
        l1: whether absolute values are among them.
    """
    limit = L1_PENALTY if l1 else PENALTY
    if not 0 < data < float("inf") or penalized <= limit * data:
        return None
    times = penalized / data
    return Finding(
        kind="regularization",
        where=("loss",),
        evidence=(
            f"the gradient of the penalties on weights, {penalized:.3g}, is {times:.3g} times that "
            f"of the data (limit {limit:g}); their sum is {value:.3g}"
        ),
        consequence="The weights decay to 0 before anything is learned",
        remedy=weaker_regularizers(),
        numbers={"data": data, "penalty": penalized, "value": value},
    )


def _activity(rest: float, penalized: float, value: float, model: keras.Model) -> Finding | None:
    """Returns the finding that a penalty on what layers put out outweighs the rest of the loss.

    Args:
        rest: the norm of the gradient of all else.
        penalized: that of the penalties.
        value: the sum of the penalties.
        model: that has them.
    """
    if not 0 < rest < float("inf") or penalized <= PENALTY * rest:
        return None
    times = penalized / rest
    owners = [la for la in all_layers(model) if la.activity_regularizer is not None]
    names = tuple(layer.name for layer in owners)
    return Finding(
        kind="regularization",
        where=("loss", *names),
        evidence=(
            f"the gradient of the activity penalty of {' and '.join(names)}, {penalized:.3g}, is "
            f"{times:.3g} times that of the rest of the loss (limit {PENALTY:g}); its value is "
            f"{value:.3g}"
        ),
        consequence="It pays to put out nothing: what the layers should pass on goes to 0",
        remedy=set_on(model, owners, "activity_regularizer", "keras.regularizers.L1(1e-6)"),
        numbers={"data": rest, "penalty": penalized, "value": value},
    )


def undefined(model: keras.Model, added: float, penalties: float) -> Finding | None:
    """Returns the finding that a penalty is no number, of outputs and weights that are.

    Args:
        model: that has it.
        added: what layers add to the loss: penalties on activity, and `add_loss`.
        penalties: those on weights.
    """
    of_weights = not math.isfinite(penalties)
    owners = [
        layer
        for layer in all_layers(model)
        if (
            any(getattr(w, "regularizer", None) for w in layer.trainable_weights)
            if of_weights
            else layer.activity_regularizer is not None
        )
        and not isinstance(layer, keras.Model)
    ]
    if not owners:
        return None
    names = tuple(layer.name for layer in owners)
    what, value = ("weights", penalties) if of_weights else ("activity", added)
    return Finding(
        kind="regularization",
        where=("loss", *names),
        evidence=(
            f"the penalty on the {what} of {' and '.join(names)} is {value:g} before the first step"
        ),
        consequence=(
            "The loss is no number, and as a rule its gradient is none either"
            + ("" if of_weights else ": a logarithm of a mean activation wants it to be above 0")
        ),
        remedy=(
            weaker_regularizers()
            if of_weights
            else set_on(model, owners, "activity_regularizer", "keras.regularizers.L1(1e-6)")
        ),
        numbers={"value": value},
    )


def decay(optimizer: Any, rate: float) -> Finding | None:
    """Returns the finding that the optimizer's own decay leaves nothing of the weights.

    Decoupled decay (Loshchilov and Hutter 2019, https://arxiv.org/abs/1711.05101) takes the rate
    times `weight_decay` of each weight away in each step.

    Args:
        optimizer: the compiled one.
        rate: its learning rate.
    """
    weight = getattr(optimizer, "weight_decay", None)
    if not weight or rate * float(weight) < DECAY:
        return None
    share = rate * float(weight)
    return Finding(
        kind="regularization",
        where=("optimizer",),
        evidence=(
            f"weight_decay={float(weight):g} at a rate of {rate:.3g} takes {share:.2g} of each "
            f"weight away in each step (limit {DECAY:g})"
        ),
        consequence="The weights decay to 0 before anything is learned",
        remedy=f"model.optimizer.weight_decay = {1e-4 / rate:.2g}",
        numbers={"share": share},
    )


def _l1_of(model: keras.Model) -> bool:
    """Returns whether a weight has a penalty on its absolute value."""
    return any(
        bool(getattr(v.regularizer, "l1", 0))
        for v in model.trainable_variables
        if getattr(v, "regularizer", None) is not None
    )
