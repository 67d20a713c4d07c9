"""A loss of the user's own, or one whose name tells nothing, tried on answers that are made up.

What a function does to targets and outputs is measured: whether each sample is compared with its
own target, whether the targets have a part in it at all, whether right answers cost less than
wrong ones, whether sure mistakes cost less than doubts, and whether it sees answers outside of 0 to
1, or is lowest there. It is called as `fit` would.
"""

from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from keras_inits._diagnose.setting.end.asked import (
    CLOSE,
    SEED,
    TELLS_APART,
    Asked,
    RefusedError,
    answers,
    same,
)
from keras_inits._diagnose.setting.end.direction import cut_off, of_logits, turned_round
from keras_inits._diagnose.setting.end.minima import (
    bottomless,
    forgiving,
    indifferent,
    out_of_reach,
    unbounded,
)
from keras_inits._diagnose.setting.end.places import half_heard, ordered
from keras_inits._diagnose.setting.plain import PROBABILITIES
from keras_inits._diagnose.setting.remedies import on_loss
from keras_inits._reporting import Finding

EXCHANGED = 6  # samples that exchange their targets
# Those that take logarithms of the second argument alone; of one unit the first is one.
_ONE_SIDED = ("binary_crossentropy", "categorical_crossentropy", "kl_divergence")


def check(asked: Asked) -> list[Finding]:
    """Returns what is wrong with a loss of one output, the only one of its model."""
    y, _, end, _, _ = asked
    if len(y) != end.shape[0] or len(y) < EXCHANGED:
        return []
    is_compared = y.size == np.prod(end.shape)  # else it is not known what with what
    checks = _CHECKS if is_compared else _CHECKS[:2]
    try:
        with np.errstate(all="ignore"):
            found = next(filter(None, (look(asked) for look in checks)), None)
    except RefusedError:  # `fit` says so, or takes them
        return []
    return [found] if found else []


def _swapped(asked: Asked) -> Finding | None:
    """Returns the finding that a loss is one of Keras's with targets and outputs exchanged.

    Its values are those of that loss of (output, target), and not those of (target, output).
    """
    y, targets, end, loss, _ = asked
    if end.activation not in PROBABILITIES or not targets.binary:
        return None  # of shares, the divergence from targets may be meant
    some = asked.some
    made = answers(len(y), end)[: len(some)]
    truth = some.astype(made.dtype).reshape(made.shape)
    value = loss(some, made)
    for name in _ONE_SIDED if end.units > 1 else _ONE_SIDED[:1]:
        known = getattr(keras.losses, name)
        right, turned = [
            float(ops.convert_to_numpy(ops.mean(known(*map(ops.convert_to_tensor, pair)))))
            for pair in ((truth, made), (made, truth))
        ]
        if same(value, turned) and not same(right, turned):
            return on_loss(
                evidence=(
                    f"of {len(some)} samples and made up outputs it is {value:.4g}: that is {name} "
                    f"of (outputs, targets), and of (targets, outputs) it would be {right:.4g}"
                ),
                consequence=(
                    "It takes the logarithm of the targets: it is linear in the outputs, and "
                    "hardly sees how wrong a sure answer is"
                ),
                remedy=f'model.compile(model.optimizer, loss="{name}")  # of (y_true, y_pred)',
                numbers={"given": value, "meant": right},
            )
    return None


def _crossed(asked: Asked) -> Finding | None:
    """Returns the finding that targets of all samples are compared with outputs of all.

    Then the loss does not change where samples change their targets, and does so with targets in
    the shape of the outputs.
    """
    y, _, end, loss, _ = asked
    shape = (EXCHANGED, *end.shape[1:])
    if y[:EXCHANGED].shape == shape:
        return None
    # Apart from each other, since the first samples may have the same target.
    some = (y[:EXCHANGED].astype(float).T + np.arange(EXCHANGED)).T.astype(y.dtype)
    made = answers(len(some), end)
    orders = [np.roll(np.arange(EXCHANGED), by) for by in range(EXCHANGED)]
    as_given = [loss(some[order], made) for order in orders]
    fitting = [loss(some[order].reshape(shape), made) for order in orders]
    if not np.isfinite(fitting).all() or not all(same(as_given[0], v) for v in as_given):
        return None
    if np.ptp(fitting) <= TELLS_APART * np.abs(fitting).max():
        return None
    given, changed, right, moved = *as_given[:2], fitting[0], max(fitting, key=_from(fitting[0]))
    number = end.shape[0]
    return Finding(
        kind="target shape",
        where=("targets",),
        evidence=(
            f"the targets have shape {(number, *y.shape[1:])}, the output {end.shape}, and the "
            f"loss compares each with all: of {EXCHANGED} samples it is {given:.4g}, and "
            f"{changed:.4g} with their targets exchanged; with targets of shape {shape} "
            f"{right:.4g} and {moved:.4g}"
        ),
        consequence="The best answer is the same for all samples, such as the mean of the targets",
        remedy=f"y = y.reshape({(-1, *end.shape[1:])})",
        numbers={"given": given, "meant": right},
    )


def _from(value: float) -> Callable[[float], float]:
    return lambda other: abs(other - value)


def _has_targets(asked: Asked) -> bool:
    """Returns whether the loss is known to compare outputs with targets.

    Zeros, or one number for all, stand in for targets where the model computes the loss.
    """
    _, targets, end, _, _ = asked
    known = end.activation in (*PROBABILITIES, "linear")
    return known and targets.distinct >= 2 and bool(end.reference)


def _unused(asked: Asked) -> Finding | None:
    """Returns the finding that the loss, or its gradient, is the same for other targets."""
    if not _has_targets(asked):
        return None
    end, loss, some, turned = asked.end, asked.loss, asked.some, asked.opposite
    made = answers(len(some), end)
    values = [loss(some, made), loss(some[::-1], made), loss(turned, made)]
    others = [loss(given, made[::-1] * 0.5) for given in (some, some[::-1], turned)]
    if not np.ptp(some) or not np.isfinite([*values, *others]).all():
        return None
    # Of two answers the one is as much better whatever the targets: the gradient is the same.
    better = [a - b for a, b in zip(values, others, strict=True)]
    if not abs(better[0]) > TELLS_APART * max(map(abs, values)):
        return None
    if np.ptp(better) > CLOSE * abs(better[0]):
        return None
    return on_loss(
        evidence=(
            f"the loss of made up outputs is {values[0]:.4g} for the targets, {values[1]:.4g} for "
            f"those of other samples, and {values[2]:.4g} for their opposites; of other outputs it "
            f"is {others[0]:.4g}, {others[1]:.4g} and {others[2]:.4g}, as much apart each time"
        ),
        consequence="Its gradient does not depend on the targets: nothing can be learned of them",
        remedy="Look at the loss; it is called with (y_true, y_pred)",
        numbers={"given": values[0], "other": values[2]},
    )


def _deaf(asked: Asked) -> Finding | None:
    """Returns the finding that a loss sees the targets, and its gradient does not.

    So it is where the gradient of the outputs is stopped in the part that compares.
    """
    if not _has_targets(asked):
        return None
    end, loss, some, turned = asked.end, asked.loss, asked.some, asked.opposite
    # Among the targets: of those that are far away an absolute error has one gradient.
    if end.activation == "linear":
        made = np.roll(asked.truth, 1, 0).astype(keras.config.floatx())
    else:
        made = answers(len(some), end)
    slopes = [loss.slope(given, made) for given in (some, some[::-1], turned)]
    size = np.abs(slopes[0]).max()
    apart = max(np.abs(slopes[0] - other).max() for other in slopes[1:])
    if not np.isfinite(size + apart) or not size or apart > CLOSE * size:
        return None
    values = loss(some, made), loss(turned, made)
    return on_loss(
        evidence=(
            f"the loss of made up outputs is {values[0]:.4g} for the targets and {values[1]:.4g} "
            "for their opposites, and its gradient is the same"
        ),
        consequence="Its gradient does not depend on the targets: nothing can be learned of them",
        remedy="Look for outputs behind stop_gradient, or for .numpy(), where they are compared",
        numbers={"given": values[0], "other": values[1]},
    )


def _mixed(asked: Asked) -> Finding | None:
    """Returns the finding that each sample is compared with the targets of all, in one shape.

    The loss stays as it is where samples exchange their targets, and is a sum over samples of what
    their outputs cost: what is best for one is best for all. (Distances of distributions, such as
    label proportions, also stay, and are no such sum.)
    """
    y, _, end, loss, _ = asked
    if y.shape[1:] != end.shape[1:]:
        return None
    _, places = np.unique(y.reshape(len(y), -1), axis=0, return_index=True)
    some = y[np.sort(places)[:EXCHANGED]]
    number = len(some)
    one, two = (answers(number, end, seed) for seed in (SEED, SEED + 1))
    given = [loss(np.roll(some, by, 0), one) for by in range(number)]
    first = loss(np.repeat(some[:1], number, 0), one)
    if number < 2 or not all(same(given[0], v) for v in given) or _near(first, given[0]):
        return None
    half = (np.arange(number) < number // 2).reshape(-1, *[1] * (one.ndim - 1))
    whole = given[0], loss(some, two)
    parts = [loss(some, np.where(half, *pair)) for pair in ((one, two), (two, one))]
    # Nor is it the same for all answers.
    if not same(sum(whole), sum(parts)) or _near(*whole) or _near(whole[0], parts[0]):
        return None
    return on_loss(
        evidence=(
            f"of {number} samples and made up outputs the loss is {given[0]:.4g}, whichever of "
            f"their targets each of them has, and {first:.4g} where all have that of the first; it "
            "is a sum of what the output of each sample costs"
        ),
        consequence=(
            "Each sample is compared with the targets of all: the best answer is the same for all "
            "samples"
        ),
        remedy=(
            "Give one value for each sample, of its own target: keras.ops.sum(y_true * ..., "
            "axis=-1) in the place of a product of matrices or of a mean over the batch"
        ),
        numbers={"given": given[0], "first": first},
    )


def _near(a: float, b: float) -> bool:
    """Returns whether two losses do not differ by enough to say that they are two."""
    return not abs(a - b) > TELLS_APART * max(abs(a), abs(b))


# In the order in which they are asked: what explains comes before what it explains.
_CHECKS: tuple[Callable[[Asked], Finding | None], ...] = (
    half_heard,
    ordered,
    _swapped,
    _crossed,
    _unused,
    _deaf,
    _mixed,
    turned_round,
    out_of_reach,
    unbounded,
    forgiving,
    indifferent,
    cut_off,
    of_logits,
    bottomless,
)
