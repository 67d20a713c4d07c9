"""A ReLU at the end that is 0 for all samples, from where no step leads away."""

from keras_inits._diagnose.setting.remedies import new_activation, on_activation
from keras_inits._diagnose.setting.trials.tries import Tries
from keras_inits._reporting import Finding


def check(tries: Tries) -> list[Finding]:
    """Returns the finding that a ReLU at the end is 0 for all samples, and a guess would be better.

    Seen after the longer trial: what begins with some units below 0 may rise.
    """
    case = tries.case
    if len(case.parts) != 1 or case.outputs != 1 or not tries.untaught:
        return []
    goal, end, _ = case.parts[0]
    if end.activation != "relu" or tries.own_longer.end <= tries.untaught:
        return []
    tries.attempt(tries.rate.value, steps=tries.longer)  # leaves the copies at its end
    (made,) = case.predict(case.x)
    if made.any():
        return []
    steps = len(tries.own_longer.losses)
    return [
        on_activation(
            f"after {steps} steps on a copy the ReLU of {end.layer} is 0 for all "
            f"{len(made)} samples, and the loss {tries.own_longer.end:.3g}, that of a constant "
            f"guess {tries.untaught:.3g}",
            "The derivative of a ReLU at 0 is 0: no step changes anything any more",
            new_activation(end, "sigmoid" if goal.binary else "linear"),
            {"end": tries.own_longer.end},
        )
    ]
