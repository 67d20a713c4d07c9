"""The inputs of a training: what is wrong with their values, and scales that trial steps judge."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_inits._diagnose.setting.entrance import data
from keras_inits._diagnose.setting.entrance.entrances import Entrance
from keras_inits._diagnose.setting.entrance.rescaled import Behind
from keras_inits._diagnose.setting.rate import rates
from keras_inits._diagnose.setting.target import pace
from keras_inits._diagnose.setting.trials.steps import Trial
from keras_inits._diagnose.setting.trials.tries import TAUGHT, UNTAUGHT, Tries
from keras_inits._reporting import Finding

# Of the loss that trial steps end at with an input as it is: that with the input scaled, by how
# suspicious the scale is.
WORSE = {"strong": 0.95, "weak": 0.5}
STILL, LESS = 0.98, 0.8  # of the loss of a guess: nothing was learned, and surely something
LITTLE = 0.1  # of the loss without scaling that has learned something: what is left once scaled


@dataclass(frozen=True, eq=False)
class Suspect:
    """An input of a suspicious scale.

    Attributes:
        index: among the inputs.
        name: for findings; empty for a single one.
        scale: as its first kernel sees it.
        behind: the layers that set scales before that; None without.
        doubtful: whether operations meet it first, which may scale it themselves.
        by_sample: whether a layer meets it first that sets the scale of each sample, by which
            small columns are as small beside large ones as before.
    """

    index: int
    name: str
    scale: data.Scale
    behind: Behind | None
    doubtful: bool = False
    by_sample: bool = False

    @property
    def suspicion(self) -> str:
        """How suspicious its scale is, and so what proves it."""
        return "small" if self.by_sample else str(self.scale.suspicion)

    def standardized(self, x: np.ndarray) -> np.ndarray:
        """Returns the input as it should be."""
        return self.behind.standardized(x) if self.behind else data.standardized(x)

    def finding(self, proof: str = "") -> Finding:
        """Returns the finding that it is not scaled; `proof` is what trial steps measured."""
        if self.behind:
            return self.behind.finding(proof, self.name)
        return data.scale_finding(self.scale, proof, self.name)


def check(
    inputs: list[np.ndarray],
    names: list[str],
    meets: list[set[Entrance]],
    scaled: list[Behind | None],
    y: Any,
) -> tuple[list[Finding], list[Suspect]]:
    """Returns what is wrong with the values of inputs, and those of a suspicious scale.

    Args:
        inputs: arrays `(samples, ...)`.
        names: of them, for findings; empty for a single one.
        meets: by what each is read first.
        scaled: the rescaling layers that each meets first.
        y: the targets.
    """
    found: list[Finding] = []
    suspects: list[Suspect] = []
    for index, (x, first, past) in enumerate(zip(inputs, meets, scaled, strict=True)):
        if x.dtype.kind not in "fiub" or not x.size:
            continue
        if x.dtype.kind == "f" and not np.isfinite(x).all():
            found.append(data.not_finite(x, names[index]))
            continue
        if first & {"lookup"}:
            continue
        alone = data.constant(x) if len(inputs) == 1 else None
        if len(inputs) == 1 and not alone and not is_target(x, y):
            alone = data.blank(x)
        gap = None if first & {"masked"} else data.padding(x)
        found += [f for f in (alone, gap) if f is not None]
        scale = past.scale if past else data.scale_of(x)
        if gap or alone or scale is None or not scale.suspicion:
            continue
        apart = np.ndim(x) == 2 and (scale.spread >= data.SPREAD or scale.lost > 0)
        if first == {"by sample"} and apart:
            suspects.append(Suspect(index, names[index], scale, past, by_sample=True))
        elif past or first <= {"kernel", "masked"}:
            suspects.append(Suspect(index, names[index], scale, past))
        elif first <= {"kernel", "masked", "unknown"} and scale.suspicion == "strong":
            suspects.append(Suspect(index, names[index], scale, past, doubtful=True))
    return found, suspects


def is_target(x: np.ndarray, y: Any) -> bool:
    """Returns whether the targets are the input: what an autoencoder is given is meant so."""
    flat = keras.tree.flatten(y)
    if len(flat) != 1 or flat[0] is None or np.shape(flat[0])[1:] != x.shape[1:]:
        return False
    return bool(np.array_equal(ops.convert_to_numpy(flat[0])[: len(x)], x))


def unproved(suspects: Sequence[Suspect]) -> list[Finding]:
    """Returns the findings on scale that need no proof."""
    strong = [each for each in suspects if each.suspicion == "strong"]
    return [each.finding() for each in strong if not each.doubtful]


def overflowing(tries: Tries, suspects: Sequence[Suspect]) -> list[Finding]:
    """Returns the findings on scales at which the loss is no number, where it is one once scaled.

    Such is a loss with exponentials of the outputs, which grow with the input.
    """
    if not suspects:
        return []
    scaled = tries.attempt(tries.rate.value, _standardized(tries, suspects), steps=1)
    if not np.isfinite(scaled.start):
        return []
    proof = (
        f"the loss is {tries.own.start:g} before the first step with it, and {scaled.start:.3g} "
        "where it is scaled"
    )
    return [each.finding(proof) for each in suspects]


def proved(tries: Tries, suspects: Sequence[Suspect]) -> list[Finding]:
    """Returns the findings on scales that trial steps teach worse than scaled inputs."""
    far = [each for each in suspects if each.suspicion != "small"]
    return _far(tries, far) if far else _small(tries, suspects)


def _standardized(tries: Tries, suspects: Sequence[Suspect]) -> Any:
    """Returns the inputs of the training, some of them as they should be."""
    flat = keras.tree.flatten(tries.case.x)
    for each in suspects:
        made = each.standardized(ops.convert_to_numpy(flat[each.index]))
        flat[each.index] = ops.convert_to_tensor(made)
    return keras.tree.pack_sequence_as(tries.case.x, flat)


def _proof(own: Trial, other: Trial) -> str:
    return (
        f"in {len(own.losses)} steps on a copy the loss goes from {own.start:.3g} to {own.end:.3g} "
        f"with it, and from {other.start:.3g} to {other.end:.3g} where it is scaled"
    )


def _small(tries: Tries, suspects: Sequence[Suspect]) -> list[Finding]:
    """Returns the findings on small inputs of which little is learned, and much once scaled.

    And on inputs that differ little beside their mean. Such tables often have targets of the same
    kind: what is measured is standardized in both trials.
    """
    guess = tries.own.start if tries.best is None else tries.best
    level = TAUGHT * guess
    if not suspects or not tries.longer or tries.own.end < min(level, 0.8 * tries.own.start):
        return []
    own, y = tries.own_longer, _measured(tries)
    if own.end < level or rates.collapsed(own):
        return []
    if y is not None:
        own, guess = tries.attempt(own.rate, y=y, steps=tries.longer), 1.0
        if own.end < TAUGHT or rates.collapsed(own):
            return []
    other = tries.attempt(own.rate, _standardized(tries, suspects), y, steps=tries.longer)
    # Of noisy targets, such as returns, no net explains one half.
    limits = {STILL: LESS, UNTAUGHT: TAUGHT, TAUGHT: LITTLE}
    needed = next(limit for least, limit in limits.items() if own.end >= least * guess)
    if not other.end <= needed * min(own.end, guess) or rates.collapsed(other):
        return []
    both = "" if y is None else "with targets of mean 0 and standard deviation 1, "
    return [each.finding(both + _proof(own, other)) for each in suspects]


def _measured(tries: Tries) -> Any:
    """Returns standardized targets of squares that are far from 0, or small; None for others."""
    case = tries.case
    if len(case.parts) != 1 or case.outputs != 1:
        return None
    goal, _, kind = case.parts[0]
    if kind.name != "mean_squared_error" or goal.one_hot:
        return None
    if not pace.distant(goal) and not 0 < pace.size(goal) <= data.SMALL_INPUT:
        return None
    (given,) = keras.tree.flatten(case.y)
    scaled = ops.cast(ops.convert_to_tensor(pace.standardized(goal)), given.dtype)
    return keras.tree.pack_sequence_as(case.y, [ops.reshape(scaled, given.shape)])


def _far(tries: Tries, suspects: Sequence[Suspect]) -> list[Finding]:
    """Returns the findings on large or shifted inputs."""
    own = tries.own
    other = tries.attempt(own.rate, _standardized(tries, suspects))
    proof = _proof(own, other)
    # Where the raw input has taught something in these steps, it must be the worse teacher; where
    # it has not, or the loss was thrown far up on the way, its scale stands as the reason.
    learned = rates.fall(own) > rates.FALLS and own.end < UNTAUGHT * (tries.best or own.end)
    learned = learned and not max(own.losses, default=0.0) > rates.PEAK * own.start
    limit = {**WORSE, "strong": WORSE["strong"] if learned else np.inf}

    def is_worse(each: Suspect) -> bool:
        kind = "weak" if each.doubtful else each.suspicion
        return other.end < limit[kind] * own.end

    if any(each.doubtful for each in suspects) and learned:
        return []
    return [each.finding(proof) for each in suspects if is_worse(each)]
