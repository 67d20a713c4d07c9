"""Weights of samples, classes and outputs: what they leave of the loss, and whose it then is."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
from keras import ops

from keras_inits._diagnose.setting.plain import Targets
from keras_inits._diagnose.setting.rate import rates
from keras_inits._diagnose.setting.remedies import on_loss
from keras_inits._diagnose.setting.trials.tries import Tries
from keras_inits._reporting import Finding

ENOUGH_SAMPLES = 32  # samples from which on it says something that one of them holds all weight
ALONE = 2.0  # samples that count as many as those of a weight, (sum w)^2 / sum w^2 (Kish 1965)
# Balanced classes have equal sums of weights, unweighted ones the ratio of their frequencies. A
# rare class may be given more than its share, as far as a mistake in it costs more.
HEAVIER = 100.0
COMMON = 0.1  # of the samples: classes that are left out are no rare ones
# A mean weight outside of 1/100 to 100 changes the step as much as the rate would.
FACTOR = 100.0
_BALANCED = (
    "kinds, counts = np.unique(y if y.ndim < 2 or y.shape[1] == 1 else y.argmax(1), "
    "return_counts=True); class_weight = {int(k): len(y) / len(kinds) / n "
    "for k, n in zip(kinds, counts)}"
)


def left_out(weights: Sequence[np.ndarray | None]) -> Callable[[np.ndarray], bool]:
    """Returns what says whether an output has no weight while others have: on purpose, it seems."""
    others = any(w is None or w.any() for w in weights)
    return lambda own: others and not own.any()


def check(weights: np.ndarray, targets: Targets) -> list[Finding]:
    """Returns what is wrong with the weights of the samples of one output."""
    if not weights.size:
        return []
    if not np.isfinite(weights).all():
        return [_not_finite(weights)]
    if not weights.any():
        return [_nothing(weights)]
    if (weights <= 0).all():
        # Those that vary may be returns: the loss is then a policy gradient (Williams 1992).
        return [] if np.ptp(weights) else [_negative(weights)]
    worth = float(np.abs(weights).sum() ** 2 / (weights**2).sum())
    if worth < ALONE and weights.size >= ENOUGH_SAMPLES:
        return [_alone(weights, worth)]
    return _by_class(weights, targets)


def _not_finite(weights: np.ndarray) -> Finding:
    bad = int((~np.isfinite(weights)).sum())
    return _finding(
        evidence=f"{bad} of {weights.size} sample weights are NaN or infinite",
        consequence="The loss is NaN, and all weights of the model after the first step",
        numbers={"count": bad},
    )


def _nothing(weights: np.ndarray) -> Finding:
    return _finding(
        evidence=(
            f"all {weights.size} sample weights are 0 (a class without a weight of its own has 1)"
        ),
        consequence=(
            "The loss is 0 whatever the model does, and so is every gradient: nothing is learned"
        ),
        numbers={"count": weights.size},
    )


def _negative(weights: np.ndarray) -> Finding:
    return _finding(
        evidence=f"all {weights.size} sample weights are {weights.mean():.3g}, below 0",
        consequence="The loss falls as the answers become worse",
        numbers={"mean": float(weights.mean())},
    )


def _alone(weights: np.ndarray, worth: float) -> Finding:
    share = float(np.abs(weights).max() / np.abs(weights).sum())
    return _finding(
        evidence=(
            f"one of {weights.size} samples has {share:.0%} of all weight: they count as "
            f"{worth:.3g} equal samples (limit {ALONE:g})"
        ),
        consequence="Nothing is learned from the others",
        numbers={"share": share, "worth": worth},
    )


def _by_class(weights: np.ndarray, targets: Targets) -> list[Finding]:
    labels = classes_of(targets)
    if labels is None or labels.shape != weights.shape or (weights < 0).any():
        return []
    names, index = np.unique(labels, return_inverse=True)
    index = index.reshape(-1)
    if not 2 <= len(names) <= 1000:
        return []
    counts, sums = np.bincount(index), np.bincount(index, weights.reshape(-1))
    if (sums > 0).sum() == 1 and counts[sums <= 0].sum() > COMMON * counts.sum():
        return [_one_class(names, counts, int(sums.argmax()))]
    if not (sums > 0).all():
        return []  # classes that are left out on purpose
    high, low = int(sums.argmax()), int(sums.argmin())
    times = float(sums[high] / sums[low])
    by_weight = times / (counts[high] / counts[low])
    # What the frequencies do alone is not the weights' doing.
    if times < HEAVIER or by_weight < HEAVIER:
        return []
    mean, share = sums / counts, counts[high] / counts.sum()
    return [
        _finding(
            evidence=(
                f"a sample of class {names[high]:g} weighs {mean[high]:.4g}, one of class "
                f"{names[low]:g} {mean[low]:.4g}: all of the one together, {share:.0%} of the "
                f"samples, have {times:.3g} times the weight of all of the other (limit "
                f"{HEAVIER:g}; balanced is 1)"
            ),
            consequence=(
                f"It pays to answer {names[high]:g} always; and the steps are {weights.mean():.3g} "
                "times as long, under optimizers that follow the size of the gradient"
            ),
            numbers={"times": times, "mean": float(weights.mean())},
            remedy=_BALANCED,
        )
    ]


def _one_class(names: np.ndarray, counts: np.ndarray, left: int) -> Finding:
    return _finding(
        evidence=(
            f"samples of class {names[left]:g} alone, {counts[left]} of {counts.sum()}, have a "
            "weight above 0"
        ),
        consequence=f"It pays to answer {names[left]:g} always: no other class costs anything",
        numbers={"classes": len(names)},
    )


def classes_of(targets: Targets) -> np.ndarray | None:
    """Returns the class of each sample; None where the targets tell none."""
    if targets.one_hot and targets.values.ndim == 2:
        return np.asarray(targets.values.argmax(-1))
    if targets.classes and targets.values.size == len(targets.values):
        return np.asarray(targets.values.reshape(-1))
    return None


def _unusual(weights: Sequence[np.ndarray | None]) -> float | None:
    """Returns the mean weight if it calls for a trial with weights of mean 1."""
    known = [w for w in weights if w is not None]
    if len(known) != 1 or len(weights) != 1:
        return None
    mean = float(known[0].mean())
    return mean if 0 < mean < 1 / FACTOR or mean > FACTOR else None


def _size_finding(mean: float, proof: str) -> Finding:
    """Returns the finding that weights make the loss so large or small that steps do not fit."""
    return _finding(
        evidence=f"the mean sample weight is {mean:.3g}; {proof}",
        consequence=(
            "The gradient is as many times larger or smaller as that of a mean loss, for which "
            "learning rates are made"
        ),
        numbers={"mean": mean},
        remedy="sample_weight = sample_weight / sample_weight.mean()",
    )


def size(tries: Tries) -> list[Finding]:
    """Returns the finding that weights of mean 1 teach what these do not."""
    case, own = tries.case, tries.own
    mean = _unusual(case.weights)
    if mean is None:
        return []
    scaled = keras.tree.map_structure(
        lambda w: None if w is None else ops.cast(w, keras.config.floatx()) / mean,
        case.sample_weight,
    )
    other = tries.attempt(own.rate, sample_weight=scaled)
    if rates.fall(other) < rates.FALLS or rates.fall(own) > 0.25 * rates.fall(other):
        return []
    proof = (
        f"in {len(own.losses)} steps on a copy the loss goes from {own.start:.3g} to {own.end:.3g}"
        f", with weights of mean 1 from {other.start:.3g} to {other.end:.3g}"
    )
    return [_size_finding(mean, proof)]


def _finding(
    evidence: str, consequence: str, numbers: dict[str, float], remedy: str = ""
) -> Finding:
    look = "Look at how sample_weight is computed (integers are cut by //); or leave it out"
    return on_loss(
        evidence=evidence, consequence=consequence, remedy=remedy or look, numbers=numbers
    )
