"""Nets whose answers are the same for all samples, before and after steps: nothing reaches them.

So it is where sigmoids between layers, or gates of a softmax, shrink what differs, where the sum
over a softmax is taken, or where two inputs that are the same are compared.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_inits._diagnose.seen.traits import has_kernel
from keras_inits._diagnose.seen.watching import watching_values
from keras_inits._diagnose.setting.order import UNHEARD
from keras_inits._diagnose.setting.reading import Bend
from keras_inits._diagnose.setting.remedies import other_activation
from keras_inits._diagnose.setting.trials.starts import SIGMOIDS
from keras_inits._diagnose.setting.trials.tries import Tries
from keras_inits._reporting import Finding

# Of what targets differ by, or of probabilities and logits: answers differ by less.
SAME = 1e-4
FASTER = 10.0  # times the rate, as good as a far longer trial
# Of what a layer is given, what of it differs between samples behind the layer.
SHRINKS = 0.1


def check(tries: Tries) -> tuple[Finding, ...]:
    """Returns the finding that the answers never differ between samples.

    To be asked where nothing else was found that explains it. Weights that start at 0 let nothing
    through either, and do so after some steps.
    """
    case = tries.case
    scale, given = _scale(tries), [ops.convert_to_numpy(t) for t in keras.tree.flatten(case.x)]
    if not any((each != each[:1]).any() for each in given):
        return ()
    case.copy.reset()
    heard = Heard()
    with watching_values(heard):
        before = _differ(case.predict(case.x))
    if before > SAME * scale or not tries.longer:
        return ()
    after = []
    for factor in (1.0, FASTER):
        tries.attempt(factor * tries.rate.value, steps=tries.longer)  # leaves the copies at its end
        after.append(_differ(case.predict(case.x)))
        if not after[-1] <= SAME * scale:
            return ()
    proof = (
        f"answers differ between samples by {before:.2g}, after {tries.longer} steps on a copy by "
        f"{after[0]:.2g}, at {FASTER:g} times the rate by {after[1]:.2g} (limit {SAME * scale:.2g})"
    )
    numbers = {UNHEARD: before, "differ after": after[0]}
    return (
        _of_twins(given, proof, numbers)
        or _of_sigmoids(case.model, case.bends, heard, proof, numbers)
        or _of_layers(heard, proof, numbers),
    )


def _of_twins(given: list[np.ndarray], proof: str, numbers: dict[str, float]) -> Finding | None:
    """Returns the finding that the model compares two inputs that are one; None where none are."""
    for (i, one), (j, other) in itertools.combinations(enumerate(given), 2):
        if one.shape == other.shape and (one == other).all():
            return Finding(
                kind="input constant",
                where=("input", f"input {i}", f"input {j}"),
                evidence=f"inputs {i} and {j} are the same for each sample; {proof}",
                consequence="What they differ by is 0 for all samples",
                remedy="Give each input its own data",
                numbers=numbers,
            )
    return None


def _of_sigmoids(
    model: keras.Model, bends: Sequence[Bend], heard: "Heard", proof: str, numbers: dict[str, float]
) -> Finding | None:
    """Returns the finding that sigmoids between layers leave a tenth of what differs, or less."""
    ratios = {bend: heard.between(bend.kernel.name) for bend in bends if bend.name in SIGMOIDS}
    squashed = [bend for bend, ratio in ratios.items() if ratio < 1]
    left = math.prod(ratios[bend] for bend in squashed)
    if left > SHRINKS:
        return None
    return Finding(
        kind="hidden activation",
        where=tuple(bend.place for bend in squashed),
        evidence=f"{proof}; behind these layers what differs is {left:.2g} times what it was",
        consequence=(
            "A sigmoid's slope is 1/4 at most, and its mean is 1/2: of several in a row nothing "
            "of the input reaches the answers, and no gradient comes back"
        ),
        remedy=other_activation(model, squashed, "relu"),
        numbers=numbers | {"left": left},
    )


def _of_layers(heard: "Heard", proof: str, numbers: dict[str, float]) -> Finding:
    names = heard.shrinking()
    look = "Look at the operations behind the last layer: what they give does not depend on what "
    look += "they are given, such as the sum over a softmax"
    if names:
        look = f"Look at what {' and '.join(names)} make of their input: gates of a softmax pass a "
        look += "share of 1 each, those of a sigmoid up to 1"
    return Finding(
        kind="no gradient",
        where=names or ("output",),
        evidence=f"{proof}; {heard.worst()}" if names else proof,
        consequence="Nothing of the input reaches the answers, and no gradient comes back",
        remedy=look,
        numbers=numbers,
    )


def _scale(tries: Tries) -> float:
    """Returns what the targets differ by between samples, where they are measured; else 1."""
    known = [goal for goal, _, _ in tries.case.parts if not goal.classes]
    return min((float(goal.values.std()) for goal in known), default=1.0)


def _differ(made: list[np.ndarray]) -> float:
    """Returns the largest standard deviation of an output over samples; NaN is none."""
    return max(float(np.sqrt(part.var(0).mean())) for part in made)


@dataclass(frozen=True)
class _Heard:
    """What differs between samples, by root mean square, in front of a layer and behind it."""

    name: str
    given: float
    made: float
    kernel: bool  # whether it has one by itself, and holds no other layer

    @property
    def ratio(self) -> float:
        return self.made / self.given


class Heard:
    """Measures what differs between samples, in front of each layer and behind it."""

    def __init__(self) -> None:
        self._calls: list[_Heard] = []

    def run(self, original: Any, layer: keras.Layer, args: Any, kwargs: Any) -> Any:
        """Calls the layer."""
        before = len(self._calls)
        made = original(layer, *args, **kwargs)
        if not isinstance(layer, keras.Model):
            given, behind = _spread(args), _spread(made)
            if given > 0 and behind >= 0:
                alone = len(self._calls) == before
                self._calls.append(_Heard(layer.name, given, behind, alone and has_kernel(layer)))
        return made

    def shrinking(self) -> tuple[str, ...]:
        """Returns the names of the layers behind which a tenth of what differs is left, or less."""
        return tuple(dict.fromkeys(each.name for each in self._calls if each.ratio < SHRINKS))

    def between(self, name: str) -> float:
        """Returns by how much what differs shrinks from a kernel to the next; 1 of one not run."""
        kernels = [each for each in self._calls if each.kernel]
        following = itertools.pairwise(kernels)
        return min((b.given / a.given for a, b in following if a.name == name), default=1.0)

    def worst(self) -> str:
        """Returns words for the layer that shrinks it most."""
        worst = min(self._calls, key=lambda each: each.ratio)
        return f"behind {worst.name} what differs is {worst.ratio:.2g} times what it was before"


def _spread(nest: Any) -> float:
    """Returns the largest root mean square of what differs between samples; -1 of no numbers."""
    found = [-1.0]
    for tensor in keras.tree.flatten(nest):
        if hasattr(tensor, "shape") and len(tensor.shape) > 1:
            values = np.asarray(ops.convert_to_numpy(tensor))
            if values.dtype.kind in "fV":  # V: bfloat16
                found.append(float(np.sqrt(values.astype(float).var(0).mean())))
    return max(found)
