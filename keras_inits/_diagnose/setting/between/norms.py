"""Norms of the gradients of penalties, and of the rest of the loss, at the start of a training."""

import math
from collections.abc import Sequence
from typing import Any

from keras_inits._diagnose.backends import backend
from keras_inits._diagnose.setting.trials.steps import Copy, norm
from keras_inits._keras_internals import all_layers


def of_penalties(
    copy: Copy, x: Any, y: Any, sample_weight: Any = None
) -> tuple[float, float, float]:
    """Returns the gradient norms of the data and of the penalties on weights, and their sum.

    Over the penalized weights alone, at the start; zeros where there are none.
    """
    copy.reset()
    owned = [
        (i, v.regularizer)
        for i, v in enumerate(copy.trained)
        if getattr(v, "regularizer", None) is not None
    ]
    if not owned:
        return 0.0, 0.0, 0.0

    def penalties(values: Sequence[Any]) -> tuple[Any, Any]:
        return sum(penalty(v) for v, (_, penalty) in zip(values, owned, strict=True)), ()

    own = [copy.shadows[i].value for i, _ in owned]
    total, of_penalty, _ = backend.gradients(penalties, own)
    _, gradients = copy.gradients(x, y, sample_weight)
    copy.reset()
    of_data = [gradients[i] - g for (i, _), g in zip(owned, of_penalty, strict=True)]
    norms = [math.hypot(*map(norm, parts)) for parts in (of_data, of_penalty)]
    return norms[0], norms[1], float(total)


def of_activity(
    copy: Copy, x: Any, y: Any, sample_weight: Any = None
) -> tuple[float, float, float]:
    """Returns the gradient norms of the rest of the loss and of the penalties on activity.

    And the sum of these. Zeros where there are none, or the model adds other losses as well.
    """
    owners = [la for la in all_layers(copy.model) if la.activity_regularizer is not None]
    if not owners:
        return 0.0, 0.0, 0.0
    copy.reset()
    made: list[int] = []

    def penalties(values: Sequence[Any]) -> tuple[Any, Any]:
        with copy.inside(values) as scope:
            copy.model(x, training=True)
            made.append(len(scope.losses))
            return sum(scope.losses), ()

    values = [v.value for v in copy.shadows]
    total, of_penalty, _ = backend.gradients(penalties, values)
    if made[0] != len(owners):
        return 0.0, 0.0, 0.0
    _, gradients = copy.gradients(x, y, sample_weight)
    copy.reset()
    pairs = zip(gradients, of_penalty, strict=True)
    norms = [math.hypot(*(norm(g - p) for g, p in pairs))]
    norms += [math.hypot(*(norm(p) for p in of_penalty))]
    return norms[0], norms[1], float(total)
