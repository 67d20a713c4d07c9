"""Losses that are added to that of the data, and leave nothing to be learned from these.

Penalties on weights, and what layers add by `add_loss`, such as the divergence of a code from its
prior. Gradients at the start say little: nothing is encoded yet, and all of many small penalties
pull in the directions that the data have no part in. What they cost is seen by longer trials, and
whether it is worth that, on samples these did not see.
"""

from collections.abc import Sequence

import keras

from keras_inits._diagnose.setting.rate import rates
from keras_inits._diagnose.setting.remedies import weaker_regularizers
from keras_inits._diagnose.setting.trials.tries import FEWEST_PARTED, UNTAUGHT, Tries
from keras_inits._keras_internals import all_layers
from keras_inits._reporting import Finding

WEAKENED = 0.999  # the share of what is added that is left out for comparison
# Of the loss of the best constant guess: what is gained with weakened losses, at the least.
WORTH_OF_GUESS = 0.2
# Of that, what is gained with the losses as they are, at the most: a strong regularizer costs some.
HALF = 0.5
# Times what is gained of the data does what is added cost in its whole weight. By steps that follow
# both it would be less, hence a choice far above 1.
COSTS = 10.0
FASTER = 10.0  # times the rate, where the steps of a trial are too few to learn at the rate itself


def check(tries: Tries) -> list[Finding]:
    """Returns the finding that what is added to the loss outweighs the data, by longer trials.

    They are done where what is added is no less than what would be gained of the loss of a guess,
    and little has been. How much a code costs at the start is chance: what it says comes later.
    """
    best, own = tries.best, tries.own
    added = [sum(pair) for pair in zip(own.added, own.penalties, strict=True)]
    if not best or max(added) < WORTH_OF_GUESS * best or own.of_data < HALF * best:
        return []
    if not _can_be_left_out(tries):
        return []
    weak, cost = _weakened(tries)
    if _teaches(weak, best) and cost >= COSTS * (best - weak):
        return _outweighing(tries, best, weak, cost)
    return _collapsing(tries, best) or _faster(tries, best)


def _outweighing(
    tries: Tries, best: float, weak: float, cost: float, times: float = 1.0
) -> list[Finding]:
    """Returns the finding that with the whole of what is added little of the gain is left."""
    whole, _ = tries.left_out(times=times)
    harmless = _harmless(whole, weak, best)
    return [] if harmless else [_finding(tries, best, weak, whole, cost, times)]


def _faster(tries: Tries, best: float) -> list[Finding]:
    """Returns the same by steps at `FASTER` times the rate; of the guess they take a tenth."""
    weak, cost = _weakened(tries, FASTER)
    if not weak < UNTAUGHT * best or not cost >= COSTS * (best - weak):
        return []
    return _outweighing(tries, best, weak, cost, FASTER)


def _collapsing(tries: Tries, best: float) -> list[Finding]:
    """Returns the finding that all outputs become the same, and half of the loss goes without.

    On the samples of the steps: of a few ratings of each person, what was left out says nothing.
    """
    own = tries.own_longer
    if not rates.collapsed(own) or not own.penalties[0] > best:
        return []
    other = tries.longer_with(weakened=WEAKENED)
    if rates.collapsed(other) or not other.of_data <= HALF * best:
        return []
    names = _penalized(tries.case.model)
    return [
        Finding(
            kind="regularization",
            where=("loss", *names),
            evidence=(
                f"in {tries.longer} steps on a copy the outputs become the same for all samples, "
                f"and the loss of the data {own.of_data:.3g} (a constant guess has {best:.3g}); "
                f"with penalties on weights weakened to {1 - WEAKENED:.1g} of them it falls to "
                f"{other.of_data:.3g}; their sum is {own.penalties[0]:.3g} at the start"
            ),
            consequence="It pays to let the weights go to 0",
            remedy=weaker_regularizers(),
            numbers={"data": own.of_data, "weakened": other.of_data, "guess": best},
        )
    ]


def falling(tries: Tries) -> list[Finding]:
    """Returns the finding that what layers add falls below 0, and the data are no longer learned.

    A divergence is never negative: with its sign turned it falls without end. A bonus that is
    bounded, such as for an entropy, leaves the data to be learned.
    """
    best, own = tries.best, tries.own
    if not best or not own.added[1] < min(0.0, own.added[0]) or not _can_be_left_out(tries):
        return []
    weak, _ = tries.left_out(tries.new_copy(weakened=1.0))  # of any weight it falls without end
    if not _teaches(weak, best):
        return []
    whole, _ = tries.left_out()
    if _harmless(whole, weak, best):
        return []
    return [
        Finding(
            kind="regularization",
            where=("loss",),
            evidence=(
                f"what layers add to the loss falls from {own.added[0]:.3g} to {own.added[1]:.3g} "
                f"in {len(own.losses)} steps on a copy; after {tries.longer} the loss of the data, "
                f"on samples left out, is {whole:.3g}, without it {weak:.3g} (a constant guess has "
                f"{best:.3g})"
            ),
            consequence="The loss can be made as low as one likes by what has no part in the data",
            remedy="Turn the sign of what is added: a divergence, or a penalty, is never below 0",
            numbers={"data": whole, "weakened": weak, "guess": best, "added": own.added[1]},
        )
    ]


def acquitted(tries: Tries, found: Sequence[Finding]) -> tuple[list[Finding], list[str]]:
    """Returns findings that hold in longer trials, and notes on those that do not.

    A penalty whose gradient at the start is the larger one does no harm where the data are learned
    with it as without: it may be on an attention that is learned later or not needed, on a branch,
    or in front of a normalization. Seen in steps that took most of what the penalty asks for.

    Args:
        tries: of the training.
        found: findings by gradients at the start that something added outweighs the data.
    """
    own = tries.own
    start = own.start - own.added[0] - own.penalties[0]
    best = tries.best or start
    if not found or not best > 0 or not _can_be_left_out(tries):
        return [*found], []
    whole, left = tries.left_out()
    if not _teaches(whole, best) or left > HALF * (own.added[0] + own.penalties[0]):
        return [*found], []
    weak, _ = _weakened(tries)
    if best - whole <= HALF * (best - weak):
        return [*found], []
    proof = (
        f"in {tries.longer} steps the loss of the data, on samples left out of them, goes from "
        f"{start:.3g} to {whole:.3g}, with it weakened to {1 - WEAKENED:.1g} to {weak:.3g}"
    )
    return [], [f"no alarm: {f.kind}, {', '.join(f.where)}: {f.evidence}; {proof}" for f in found]


def _can_be_left_out(tries: Tries) -> bool:
    """Returns whether longer trials on half of the samples say something of the others."""
    samples = keras.tree.flatten(tries.case.x)[0].shape[0]
    ours = type(tries.case.model).compute_loss is keras.Model.compute_loss
    return bool(tries.longer) and samples >= FEWEST_PARTED and ours


def _teaches(left: float, best: float) -> bool:
    """Returns whether so much loss of the data is clearly less than that of the best guess."""
    return best - left >= WORTH_OF_GUESS * best


def _harmless(whole: float, weak: float, best: float) -> bool:
    """Returns whether the losses as they are cost less than half of what is gained without."""
    return best - whole > HALF * (best - weak)


def _weakened(tries: Tries, times: float = 1.0) -> tuple[float, float]:
    """Returns what is left of the loss of the data with weakened losses, and what these cost.

    Of steps at so many times the rate.
    """
    return tries.left_out(tries.new_copy(weakened=WEAKENED), times)


def _finding(
    tries: Tries, best: float, weak: float, whole: float, cost: float, times: float
) -> Finding:
    own = tries.own
    gain = best - weak
    on_weights = own.penalties[0] >= own.added[0]
    what = "penalties on weights" if on_weights else "what layers add to the loss"
    names = _penalized(tries.case.model) if on_weights else ()
    return Finding(
        kind="regularization",
        where=("loss", *names),
        evidence=(
            f"on samples left out of {tries.longer} steps at {times * own.rate:.3g} on a copy the "
            f"loss of the data is {whole:.3g}, with {what} weakened to {1 - WEAKENED:.1g} of it "
            f"{weak:.3g}, and of a constant guess {best:.3g}; what is gained so would cost "
            f"{cost:.3g} in its whole weight, {cost / gain:.3g} times as much (limit {COSTS:g})"
        ),
        consequence="It pays to let the weights, or the code, say nothing of the input",
        remedy=(
            weaker_regularizers()
            if on_weights
            else f"Give it a weight of {gain / cost:.1g} or less; or, where the loss of the data "
            "is a mean over the values of a sample, take their sum"
        ),
        numbers={"data": whole, "weakened": weak, "guess": best, "cost": cost},
    )


def _penalized(model: keras.Model) -> tuple[str, ...]:
    """Returns the names of layers that penalize a weight."""
    return tuple(
        layer.name
        for layer in all_layers(model)
        if not isinstance(layer, keras.Model)
        and any(getattr(w, "regularizer", None) for w in layer.trainable_weights)
    )
