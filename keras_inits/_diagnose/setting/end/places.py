"""A loss for which it matters at which place of the batch a sample stands.

`fit` shuffles: what stands at a place is chance.
"""

import numpy as np

from keras_inits._diagnose.setting.end.asked import CLOSE, SEED, Asked, answers, same
from keras_inits._diagnose.setting.remedies import on_loss
from keras_inits._reporting import Finding

DRAWS = 4  # of made up outputs: a hinge is 0 for some


def half_heard(asked: Asked) -> Finding | None:
    """Returns the finding that half of the places of a batch have no part in the loss.

    Whichever samples stand there. Of samples that a hinge or a mask leaves out, others would be
    heard at their places.
    """
    whole = len(asked.some)
    front = np.arange(whole) < whole // 2
    for silent, name in ((~front, "last"), (front, "first")):
        changes = [_change(asked, silent, seed) for seed in range(DRAWS)]
        heard = [_change(asked, ~silent, seed) for seed in range(DRAWS)]
        if not any(changes) and any(heard):
            return on_loss(
                evidence=(
                    f"of {whole} samples the loss stays as it is where other outputs stand at the "
                    f"{name} {silent.sum()} places, whichever samples these are, and changes with "
                    f"those at the others"
                ),
                consequence="The first axis is that of the samples: most of a batch is not learned",
                remedy=(
                    "Take the parts of a sample along a later axis, such as y_pred[:, 0] and "
                    "y_pred[:, 1] in the place of y_pred[0] and y_pred[1], and give one value for "
                    "each sample"
                ),
                numbers={"silent": float(silent.sum()), "samples": float(whole)},
            )
    return None


def _change(asked: Asked, places: np.ndarray, seed: int) -> bool:
    """Returns whether the loss changes with what stands at some places, of either half."""
    some, end, loss = asked.some, asked.end, asked.loss
    made, other = (answers(len(some), end, SEED + 2 * seed + by) for by in (0, 1))
    moved = np.roll(np.arange(len(some)), len(some) // 2)
    at = places.reshape(-1, *[1] * (made.ndim - 1))
    pairs = [
        (loss(y, a), loss(y, np.where(at, b, a)))
        for y, a, b in ((some, made, other), (some[moved], made[moved], other[moved]))
    ]
    return not all(given == changed for given, changed in pairs)


def ordered(asked: Asked) -> Finding | None:
    """Returns the finding that the loss is another one for the same samples in another order."""
    _, _, end, loss, _ = asked
    some = asked.some
    made = answers(len(some), end)
    orders = [np.random.default_rng(SEED + by).permutation(len(some)) for by in range(3)]
    given, again = loss(some, made), loss(some, made)
    others = [loss(some[order], made[order]) for order in orders]
    if not np.isfinite([given, *others]).all() or given != again:
        return None
    if any(same(given, other) for other in others) or not np.ptp(others) > CLOSE * abs(given):
        return None
    return on_loss(
        evidence=(
            f"of {len(some)} samples and made up outputs the loss is {given:.4g}, and of the same "
            f"in other orders {', '.join(f'{other:.4g}' for other in others)}"
        ),
        consequence=(
            "fit shuffles the samples: what the loss takes for their order, such as that of time, "
            "is chance"
        ),
        remedy=(
            "Let the loss sort the batch by its targets (keras.ops.argsort), or compare samples by "
            "their targets; or, where batches come in order, model.fit(..., shuffle=False)"
        ),
        numbers={"given": given, "other": others[0]},
    )
