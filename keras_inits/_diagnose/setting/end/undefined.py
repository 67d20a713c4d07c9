"""A loss, or a penalty, that is no number although outputs and targets are."""

import numpy as np

from keras_inits._diagnose.setting.between import regularizers
from keras_inits._diagnose.setting.remedies import on_loss
from keras_inits._diagnose.setting.trials.tries import Tries
from keras_inits._reporting import Finding


def check(tries: Tries) -> list[Finding]:
    """Returns the finding that the loss is not finite although outputs and targets are."""
    case, own = tries.case, tries.own
    if not np.isfinite(own.added[0] + own.penalties[0]):
        found = regularizers.undefined(case.model, own.added[0], own.penalties[0])
        return [found] if found else []
    case.copy.reset()
    values = [*case.predict(case.x), *(goal.values for goal, _, _ in case.parts)]
    if not all(np.isfinite(part).all() for part in values):
        return []
    start = own.start
    return [
        on_loss(
            evidence=f"the loss is {start:g} before the first step, of finite outputs and targets",
            consequence="Every weight is NaN after one step",
            remedy=(
                "Look in the loss for a logarithm, a root or a quotient of what may be 0 or "
                "negative, such as targets in the place of predictions (Keras calls loss(y_true, "
                "y_pred)): keras.ops.softplus(x) + 1e-6 in the place of x makes it positive"
            ),
            numbers={"start": start},
        )
    ]
