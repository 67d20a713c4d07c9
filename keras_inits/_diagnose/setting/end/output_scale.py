"""Constants between the last kernel and the loss, which no weight makes up for.

A factor that no weight of usual size does, or one behind vectors of length 1, which none can.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_inits._diagnose.backends import backend
from keras_inits._diagnose.setting.plain import BINARY, CROSS_ENTROPIES, End
from keras_inits._diagnose.setting.remedies import on_activation
from keras_inits._diagnose.setting.trials.steps import norm
from keras_inits._diagnose.setting.trials.tries import UNTAUGHT, Tries
from keras_inits._keras_internals import all_layers
from keras_inits._reporting import Finding

# What a change of the last bias by 1 moves the logits by. Temperatures of contrastive losses are
# 0.01 at the least (CLIP stops there, https://arxiv.org/abs/2103.00020, section 2.5): a factor of
# 100; divisions by the width of a net, as in muP, stay above its inverse.
FAINT, LOUD = 1e-3, 1e3
HARDLY_TAUGHT = 0.95  # of the loss of a guess, or of the start
ONE_FACTOR = 1e-2  # relative: the factor is the same for all samples
SIZES, VISIBLE = (1.0, 1e3, 1e6), 1e-2  # of changes of the bias; what of them float32 shows
# What is bounded by no normalization grows with the weights, by a factor of their size at least;
# what fades on the way to the logits, by far more than `GROWS`.
LARGER, GROWS = 10.0, 3.0


def check(tries: Tries) -> list[Finding]:
    """Returns the finding that logits are a tiny or a huge multiple of what the last kernel makes.

    Or that they are bounded, so closely that the loss can hardly be below that of a guess.

    Args:
        tries: of a training of one output by a cross-entropy; of others nothing is said.
    """
    case, own = tries.case, tries.own
    if len(case.parts) != 1 or case.outputs != 1 or case.parts[0][2].name not in CROSS_ENTROPIES:
        return []
    if own.end < HARDLY_TAUGHT * min(tries.best or np.inf, own.start):
        return []
    _, end, _ = case.parts[0]
    last = _last(case.model, end)
    factor = None if last is None else _factor(tries, end, last)
    if last is None or factor is None or FAINT < abs(factor) < LOUD:
        return _bounded(tries, end)
    return [
        Finding(
            kind="output activation",
            where=("output", last.name),
            evidence=(
                f"a change of the bias of {last.name} by 1 moves the logits by {factor:.3g} "
                f"(limits {FAINT:g} and {LOUD:g}): a constant stands between them; in "
                f"{len(own.losses)} steps on a copy the loss goes from {own.start:.4g} to "
                f"{own.end:.4g}"
            ),
            consequence=(
                "All classes are about equally probable whatever the weights are, and gradients "
                "are as small as the factor"
                if abs(factor) <= FAINT
                else "One class is sure from the start whatever the weights are, and has no "
                "gradient"
            ),
            remedy=f"Leave out the factor {factor:.3g} behind {last.name}",
            numbers={"factor": factor, "start": own.start, "end": own.end},
        )
    ]


def _bounded(tries: Tries, end: End) -> list[Finding]:
    """Returns the finding that the logits of classes differ too little, however large weights are.

    After a longer trial, of all weights as they are and times `LARGER`, or of those at the start if
    it shrank them. The logits of K classes that differ by d at most have a cross-entropy of
    log(1 + (K - 1) exp(-d)) at least.
    """
    case, guess = tries.case, tries.untaught
    if end.units < 2 or case.parts[0][2].name in BINARY or not guess:
        return []
    longer = tries.attempt(tries.rate.value, steps=tries.longer)  # leaves the copies at its end
    if longer.end < HARDLY_TAUGHT * guess:
        return []
    pairs = [*zip(case.copy.shadows, case.copy.trained, strict=True)]
    weights = [max(shadow, start, key=norm).value for shadow, start in pairs]  # a decay shrinks
    reached = []
    for factor in (1.0, LARGER):
        for (shadow, _), weight in zip(pairs, weights, strict=True):
            larger = factor * weight
            shadow.assign(shadow.constraint(larger) if shadow.constraint else larger)
        reached.append(np.ptp(_logits(tries, end), axis=1).max())
    case.copy.reset()
    before, differ = map(float, reached)
    least = float(np.log1p((end.units - 1) * np.exp(-differ)))
    if not (least > UNTAUGHT * min(guess, np.log(end.units)) and differ <= GROWS * before):
        return []
    return [
        on_activation(
            evidence=(
                f"the logits of a sample differ by {differ:.3g} at most, with all weights "
                f"{LARGER:g} times as large as before or after {tries.longer} steps on a copy "
                f"({before:.3g} with weights as they are): with {end.units} classes the loss is "
                f"{least:.4g} at least, that of a guess {guess:.4g}"
            ),
            consequence="All classes stay about equally probable, whatever is learned",
            remedy=(
                "Divide the products of vectors of length 1 by a temperature, such as 0.1, or "
                "multiply them by a weight that is trained"
            ),
            numbers={"differ": differ, "least": least, "guess": guess},
        )
    ]


def _last(model: keras.Model, end: End) -> Any:
    """Returns the last layer with a kernel, if its bias has an entry for each class."""
    for layer in reversed(all_layers(model)):
        if not isinstance(layer, keras.Model) and any(len(w.shape) > 1 for w in layer.weights):
            bias = getattr(layer, "bias", None)
            fits = bias is not None and tuple(bias.shape) == (end.units,) and bias.trainable
            return layer if fits else None
    return None


def _factor(tries: Tries, end: End, layer: Any) -> float | None:
    """Returns by how much one logit moves if its bias does by 1; None if samples differ in that."""
    copy = tries.case.copy
    place = next((i for i, v in enumerate(copy.trained) if v is layer.bias), None)
    if place is None:
        return None
    step = np.zeros(end.units, "float32")
    for size in SIZES:
        made = []
        for by in (0.0, size):
            step[0] = by
            copy.reset()
            copy.shadows[place].assign(copy.shadows[place] + ops.convert_to_tensor(step))
            made.append(_logits(tries, end))
        copy.reset()
        moved = (made[1] - made[0])[:, 0]
        if end.units > 1:
            moved = moved - (made[1] - made[0])[:, -1]
        even = np.isfinite(moved).all() and np.ptp(moved) <= ONE_FACTOR * abs(moved.mean())
        if even and abs(moved.mean()) >= VISIBLE:
            return float(moved.mean()) / size
    return None


def _logits(tries: Tries, end: End) -> np.ndarray:
    """Returns the logits, `(places, classes)`."""

    def run() -> Any:
        return tries.case.copy.outputs(tries.case.x, training=False)

    logits, out = (
        np.asarray(ops.convert_to_numpy(made), np.float64).reshape(-1, end.units)
        for made in (backend.with_logits(run)[0], run())
    )
    if np.array_equal(logits, out):  # computed by operations that leave no logits
        with np.errstate(divide="ignore", invalid="ignore"):
            if end.activation == "softmax":
                logits = np.log(out)
            elif end.activation == "sigmoid":
                logits = np.log(out) - np.log1p(-out)
    return np.asarray(logits)
