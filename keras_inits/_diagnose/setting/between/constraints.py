"""Weights that are held at 0, or near it: by constraints, or by penalties of the optimizer."""

import keras
import numpy as np
from keras import ops

from keras_inits._diagnose.setting.rate.rates import set_rate
from keras_inits._diagnose.setting.rate.schedules import inner
from keras_inits._diagnose.setting.remedies import on_weights
from keras_inits._diagnose.setting.trials.tries import TAUGHT, UNTAUGHT, Tries
from keras_inits._keras_internals import all_layers
from keras_inits._reporting import Finding

SAME_OUTPUTS = 1e-3  # of what outputs differed by, with float32's rounding
UNMOVED, LESS = 0.1, 0.8  # of a kernel at the start; of the loss, where it counts as learned
CUT = 0.1  # of what outputs differed by at the start
KEPT_NORM = 0.9  # of a kernel at the start, by a constraint; whether it matters steps tell
# FTRL's weights are its rate times the sum of their gradients over its root mean square: the rate
# is the size of a weight after the first step, and kernels have a tenth to one.
RATES = (0.1, 0.5, 1.0)
CONSEQUENCE = "Next to no signal and no gradient pass several layers of such kernels"


def check(tries: Tries) -> list[Finding]:
    """Returns the findings that weights are held so small that nothing is learned."""
    found = _zeroed(tries) or _started_over(tries)
    return [found] if found else _constrained(tries)


def _zeroed(tries: Tries) -> Finding | None:
    """Returns the finding that all weights that moved are exactly 0 after some steps."""
    own = tries.own
    kernels = [m for m, v in zip(own.moved, tries.case.copy.trained, strict=True) if v.ndim > 1]
    if (
        not kernels
        or not all(abs(moved - 1) < 1e-6 for moved in kernels)
        or own.spread > SAME_OUTPUTS
    ):
        return None
    optimizer = inner(tries.optimizer)
    name = type(optimizer).__name__
    given = {
        key: value
        for key, value in optimizer.get_config().items()
        if "regularization_strength" in key and value
    }
    what = ", ".join(f"{key}={value:g}" for key, value in given.items()) or name
    return Finding(
        kind="regularization",
        where=("optimizer",),
        evidence=(
            f"after {len(own.losses)} steps of {name} on a copy all kernels are exactly 0 ({what})"
        ),
        consequence="The outputs are the same for all samples, and nothing is learned",
        remedy='model.compile("adam", loss=model.loss)',
        numbers={key: float(value) for key, value in given.items()},
    )


def _started_over(tries: Tries) -> Finding | None:
    """Returns the finding that the optimizer puts all kernels near 0, whatever they start from.

    So does FTRL: a weight is computed anew from the sums of gradients, in which its start has no
    part (McMahan et al. 2013, https://doi.org/10.1145/2487575.2488200, algorithm 1). A single layer
    learns from there. Of several each has next to no signal and next to no gradient.
    """
    own, best = tries.own, tries.best
    kernels = [m for m, v in zip(own.moved, tries.case.copy.trained, strict=True) if v.ndim > 1]
    near = all(abs(moved - 1) <= UNMOVED for moved in kernels)  # not where a step ended in NaN
    if len(kernels) < 2 or not near or not own.spread <= CUT or not np.isfinite(own.end):
        return None
    if not best or not tries.longer or tries.own_longer.end < UNTAUGHT * best:
        return None
    name = type(inner(tries.optimizer)).__name__
    evidence = (
        f"after {len(own.losses)} steps of {name} on a copy all {len(kernels)} kernels are nearly "
        f"0, wherever they start; {tries.longer} steps lead to a loss of "
        f"{tries.own_longer.end:.3g}"
    )
    numbers = {"end": tries.own_longer.end}
    for rate in [rate for rate in RATES if rate > 3 * own.rate]:
        other = tries.attempt(rate, steps=tries.longer)
        if other.end <= LESS * tries.own_longer.end:
            return Finding(
                kind="learning rate too low",
                where=("optimizer",),
                evidence=f"{evidence}, at a rate of {rate:g} to {other.end:.3g}",
                consequence=CONSEQUENCE,
                remedy=set_rate(rate, tries.rate.scheduled) + ', or optimizer="adam"',
                numbers={**numbers, "rate": own.rate, "better": rate, "better_end": other.end},
            )
    adam = keras.optimizers.Adam()
    other = tries.attempt(float(adam.learning_rate), optimizer=adam, steps=tries.longer)
    if not other.end <= LESS * tries.own_longer.end:
        return None
    return Finding(
        kind="regularization",
        where=("optimizer",),
        evidence=f"{evidence}, of Adam to {other.end:.3g}",
        consequence=CONSEQUENCE,
        remedy='model.compile("adam", loss=model.loss)',
        numbers={**numbers, "better_end": other.end},
    )


def _constrained(tries: Tries) -> list[Finding]:
    """Returns the finding that constraints leave nothing of kernels that would learn."""
    best = tries.untaught
    if not best:
        return []
    cut: dict[str, float] = {}
    names: dict[str, None] = {}
    for layer in all_layers(tries.case.model):
        for weight in [] if isinstance(layer, keras.Model) else layer.trainable_weights:
            constraint = getattr(weight, "constraint", None)
            if constraint is None or len(weight.shape) < 2:
                continue
            before, after = (
                float(np.linalg.norm(ops.convert_to_numpy(value).astype(np.float64).ravel()))
                for value in (weight, constraint(weight))
            )
            if after < KEPT_NORM * before:
                cut[weight.path], names[layer.name] = after / before, None
    if not cut or tries.own_longer.end < UNTAUGHT * best:
        return []
    free = tries.longer_with(constrained=False)
    if not free.end <= TAUGHT * best:
        return []
    return [
        Finding(
            kind="regularization",
            where=(*names, "loss"),
            evidence=(
                f"the first step cuts the kernels of {', '.join(names)} to {min(cut.values()):.2g} "
                f"of their size by their constraints (limit {KEPT_NORM:g}); {tries.longer} steps "
                f"on a copy lead to a loss of {tries.own_longer.end:.3g}, without them to "
                f"{free.end:.3g}"
            ),
            consequence="Signal and gradient fade, or kernels may not be what the task wants",
            remedy=on_weights(f"w.path in {(*cut,)}", "constraint", "keras.constraints.MaxNorm(3)"),
            numbers={"cut": min(cut.values()), "end": tries.own_longer.end, "better_end": free.end},
        )
    ]
