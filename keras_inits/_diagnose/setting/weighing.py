"""Findings of the signal, weighed by trial steps: whether what is seen matters.

A gradient that shrinks, or units that are dead or saturated, need not hinder a training. Kernels of
a copy are drawn anew at the scale that keeps the signal, and a few steps are done from there; where
these do not bring the loss clearly lower, a finding is a note.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_inits._diagnose.setting.rates import fall
from keras_inits._diagnose.setting.steps import Copy, Trial
from keras_inits._diagnose.sizes import OVER_TIME, gate_of_memory
from keras_inits._keras_internals import all_layers
from keras_inits._reporting import Finding, grouped

# What other weights can amend. Not among them: what learns nothing at all or is not finite.
SCALES = ("exploding", "vanishing", "dying", "saturated", "rank-collapsed")
# Of the distance between the lower start and the lower end: more than two draws of one scheme
# differ by. What a start loses by weights that are too large is soon made up, and is no measure.
GAIN = 0.2
LOWER = 0.2  # of the loss itself, where next to no distance was made
STILL, MOVES = 0.005, 0.05  # the falls of a loss that stays, and of one that does not
# Below the loss of a constant guess, a part that only what was learned of the inputs brings: how
# much of the guess it must be, and how many times that of the other start.
LEARNED, TIMES = 0.1, 5
# Kernels that are a little too small for their depth cost some steps at the start and nothing more:
# what others win must be seen after this many times as many steps, too. Not so of kernels that are
# too large: such nets do fit a batch at last, by features that they never learn (Chizat, Oyallon,
# Bach 2019, https://arxiv.org/abs/1812.07956).
LONGER = 10
FADES = ("vanishing", "rank-collapsed")
NEARLY_ALL = 0.9  # of the units


def redrawn(copy: Copy, *, seed: int = 0) -> list[Any]:
    """Returns the trained variables, kernels drawn from N(0, 2 / fan_in) and biases 0.

    He et al. 2015, equation 10. Each gate's recurrent kernel is orthogonal, as by default in Keras;
    embeddings and all other weights stay.
    """
    rng = np.random.default_rng(seed)
    values: list[Any] = []
    for variable in copy.trained:
        shape = tuple(variable.shape)
        if variable.name == "kernel" and len(shape) > 1:
            fan_in = int(np.prod(shape[:-1]))
            values.append(rng.normal(0, np.sqrt(2 / fan_in), shape).astype("float32"))
        elif variable.name == "recurrent_kernel" and len(shape) == 2 and shape[1] % shape[0] == 0:
            gates = rng.normal(size=(shape[1] // shape[0], shape[0], shape[0]))
            values.append(np.concatenate(np.linalg.qr(gates)[0], axis=1).astype("float32"))
        elif variable.name == "bias":
            values.append(np.zeros(shape, "float32"))
        else:
            values.append(variable)
    return values


def rectified(model: keras.Model) -> keras.Model | None:
    """Returns a copy with ReLU in the place of hidden sigmoids, kernels and biases as `redrawn`.

    None where there are none, or the model cannot be copied layer by layer.
    """
    changed = hidden_sigmoids(model)
    if not changed:
        return None

    def clone(layer: Any) -> Any:
        config = layer.get_config()
        if layer in changed:
            config |= {"activation": "relu", "kernel_initializer": "he_normal"}
        return type(layer).from_config(config)

    try:
        other = keras.models.clone_model(model, clone_function=clone)
        for old, new in zip(model.layers, other.layers, strict=True):
            if old not in changed:
                new.set_weights(old.get_weights())
    except Exception:  # a layer of the user's own that its configuration does not make
        return None
    return other


def hidden_sigmoids(model: keras.Model) -> list[keras.Layer]:
    """Returns the layers with a kernel and a sigmoid before the last; none of subclassed models."""
    if not isinstance(model, keras.Sequential) and not hasattr(model, "operations"):
        return []
    return [layer for layer in model.layers[:-1] if _sigmoid(layer)]


def _sigmoid(layer: Any) -> bool:
    name = getattr(getattr(layer, "activation", None), "__name__", "")
    plain = isinstance(layer, keras.layers.Dense | keras.layers.Conv1D | keras.layers.Conv2D)
    return name in ("sigmoid", "hard_sigmoid") and plain


def remembering(copy: Copy, steps: Mapping[str, float], *, seed: int = 0) -> list[Any] | None:
    """Returns the trained variables, changed so that the first steps of a sequence are not lost.

    Gates keep what they hold for a whole sequence: Tallec & Ollivier 2018,
    https://arxiv.org/abs/1804.11188, a bias of log(steps) at those that keep the state. Without
    gates the recurrent kernel is orthogonal: Le, Jaitly, Hinton 2015,
    https://arxiv.org/abs/1504.00941. None where no layer is of either kind.

    Args:
        copy: of the model.
        steps: how many each recurrent layer takes that forgets, by its name.
        seed: of orthogonal kernels.
    """
    rng = np.random.default_rng(seed)
    gates: dict[int, tuple[slice, float]] = {}
    plain: set[int] = set()
    for layer in all_layers(copy.model):
        cell: Any = getattr(layer, "cell", None)
        if layer.name not in steps:
            continue
        keeps = gate_of_memory(cell)
        if keeps is not None and cell.bias is not None:
            gates[id(cell.bias)] = keeps, float(np.log(max(steps[layer.name], 2)))
        elif isinstance(cell, keras.layers.SimpleRNNCell):
            plain.add(id(cell.recurrent_kernel))
    if not gates and not plain:
        return None
    values: list[Any] = []
    for variable in copy.trained:
        if id(variable) in gates:
            place, bias = gates[id(variable)]
            value = keras.ops.convert_to_numpy(variable).copy()
            rows = value.reshape(-1, value.shape[-1])  # a GRU may have a second one
            rows[0, place] = bias
            values.append(value)
        elif id(variable) in plain:
            values.append(np.linalg.qr(rng.normal(size=variable.shape))[0].astype("float32"))
        else:
            values.append(variable)
    return values


@dataclasses.dataclass(frozen=True)
class Trials:
    """Trials by which findings of the signal are weighed, done when they are asked for.

    Attributes:
        own: of the model as it is.
        redrawn: with its kernels drawn anew.
        rectified: of the net with ReLU for its hidden sigmoids; None if it has none. For sigmoids
            no scale of kernels keeps the gradient.
        remembering: with recurrent layers that keep what they hold, given the steps of each by its
            name; None without such layers.
        guess: the loss of the best constant guess; None where it is not known.
        sigmoids: the names of the layers that `rectified` changes.
    """

    own: Trial
    redrawn: Callable[[], Trial]
    rectified: Callable[[], Trial | None]
    remembering: Callable[[Mapping[str, float]], Trial | None]
    guess: float | None = None
    sigmoids: tuple[str, ...] = ()

    def prefer(self, other: Trial) -> bool:
        """Says whether another start ends so much lower that what is seen of this one matters."""
        return clearly_lower(other, self.own) or self._learns_alone(other)

    def _learns_alone(self, other: Trial) -> bool:
        lower = np.isfinite(other.end) and other.end < self.own.end
        if self.guess is None or not self.guess > 0 or not lower:
            return False
        known, more = (1 - each.end / self.guess for each in (self.own, other))
        return more >= max(LEARNED, TIMES * known)


def weighed(
    findings: Sequence[Finding],
    trials: Trials,
    longer: Callable[[], Trials] | None = None,
    *,
    lost: bool = False,
) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    """Returns the findings of the signal that matter, and the others as notes.

    Args:
        findings: of the signal.
        trials: by which they are weighed.
        longer: returns longer ones, done where the first leave an alarm that a signal fades.
        lost: whether next to nothing of the input reaches the output. Trials acquit such a net
            where they show that it learns; not where nothing learns in so few steps.
    """
    kept, notes = _weighed(findings, trials, lost)
    if longer is None:
        return _left(findings, kept), notes
    fading = [f for f in findings if id(f) in kept and (f.kind in FADES or _silent(f))]
    if not kept and (late := [f for f in findings if _shows_late(f)]):
        still, more = _weighed(late, longer(), lost)
        # What the first trials said of what is kept now is no longer so.
        return _left(findings, still), more if still else (*notes, *more)
    if not fading:
        return _left(findings, kept), notes
    if any(map(_far_gone, fading)) and clearly_lower(trials.redrawn(), trials.own):
        return _left(findings, kept), notes
    still, more = _weighed(fading, longer(), lost)
    others = {id(f): kept[id(f)] for f in findings if id(f) in kept and f not in fading}
    return _left(findings, others | still), (*notes, *more)


def _left(findings: Sequence[Finding], kept: Mapping[int, Finding]) -> tuple[Finding, ...]:
    """Returns what is kept of findings, in their order, each once."""
    return tuple({id(kept[id(f)]): kept[id(f)] for f in findings if id(f) in kept}.values())


def _far_gone(finding: Finding) -> bool:
    """Says whether a size faded past the square of its limit, which no few steps make up for."""
    numbers = finding.numbers
    return numbers.get("factor", 1.0) * numbers.get("limit", 1.0) ** 2 < 1


def _silent(finding: Finding) -> bool:
    """Says whether all units of a layer are dead: nothing passes it, and no kernel need be why."""
    return finding.kind == "dying" and finding.numbers.get("dead", 0.0) >= 1


def _shows_late(finding: Finding) -> bool:
    """Says whether what a finding costs may show in longer trials alone.

    What saturated units leave to the layers behind is learned first; what was long ago, of a layer
    without gates, last.
    """
    numbers = finding.numbers
    return numbers.get("saturated", 0.0) >= NEARLY_ALL or numbers.get("gates") == 0


def _weighed(
    findings: Sequence[Finding], trials: Trials, lost: bool
) -> tuple[dict[int, Finding], tuple[str, ...]]:
    """Returns what is kept of findings by their `id`, and notes on the others."""
    own = trials.own
    doubtful = [finding for finding in findings if finding.kind in SCALES]
    kept = {id(f): f for f in findings if f.kind not in SCALES}
    if not doubtful or not np.isfinite(own.end):
        return {id(f): f for f in findings}, ()
    # That the first steps of a sequence are forgotten is no question of kernels.
    forgetting = [f for f in doubtful if f.kind == "vanishing" and f.numbers.keys() >= OVER_TIME]
    notes: list[str] = []
    if forgetting:
        lengths = {_layer(f.where[0]): f.numbers["steps"] for f in forgetting}
        other = trials.remembering(lengths)
        if other is not None:
            doubtful = [f for f in doubtful if f not in forgetting]
            if trials.prefer(other):
                kept |= {id(f): f for f in forgetting}
            left_out = [f for f in forgetting if id(f) not in kept]
            notes += _no_alarms(left_out, own, other, "recurrent layers that keep what they hold")
    if doubtful:
        other = trials.redrawn()
        if preferred := trials.prefer(other):
            kept |= {id(f): f for f in doubtful}
        if any(finding.kind == "vanishing" for finding in doubtful):
            changed = trials.rectified()
            better = changed is not None and (not preferred or clearly_lower(changed, other))
            if changed is not None and better and trials.prefer(changed):
                kept |= _of_sigmoids(doubtful, trials.sigmoids, own, changed)
        if _mute(own, other):
            mute = [f for f in doubtful if _silent(f) or (lost and f.kind == "vanishing")]
            kept |= {id(f): f for f in mute if id(f) not in kept}
        left_out = [f for f in doubtful if id(f) not in kept]
        notes += _no_alarms(left_out, own, other, "kernels drawn anew")
    return kept, tuple(notes)


def _layer(path: str) -> str:
    """Returns the name of the layer at the end of a path such as `"block/lstm:2"`."""
    return path.split("/")[-1].split(":")[0]


def _no_alarms(findings: Sequence[Finding], own: Trial, other: Trial, change: str) -> Iterator[str]:
    """Yields a note on the findings of each kind that are no alarm."""
    for kind, (first, *others) in grouped(findings, lambda finding: finding.kind).items():
        more = f" and {len(others)} more" if others else ""
        yield (
            f"no alarm: {kind}, {', '.join(first.where)}{more}: {first.evidence}; with {change}, "
            f"{len(other.losses)} steps lead to {other.end:.3g}, as it is to {own.end:.3g}"
        )


def clearly_lower(other: Trial, own: Trial) -> bool:
    """Says whether a trial ends lower than another by more than two draws of one scheme differ."""
    if not np.isfinite(other.end) or other.end >= own.end:
        return False
    first, second = fall(own), fall(other)
    if first < STILL and second >= max(MOVES, 20 * first):
        return True
    start = min(own.start, other.start)
    return other.end <= own.end - max(GAIN * (start - other.end), LOWER * own.end)


def _mute(own: Trial, other: Trial) -> bool:
    """Says whether no trial came below where the better one started."""
    return min(own.end, other.end) > (1 - MOVES) * min(own.start, other.start)


def _of_sigmoids(
    findings: Sequence[Finding], layers: tuple[str, ...], own: Trial, changed: Trial
) -> dict[int, Finding]:
    """Returns what is kept of findings, by their `id`: for all that fades one, of all sigmoids."""
    first = next(f for f in findings if f.kind == "vanishing")
    remedy = (
        f"for name in {layers!r}:\n"
        "    model.get_layer(name).activation = keras.activations.relu  # or tanh\n"
        "    keras_inits.initialize(model.get_layer(name), keras_inits.HeInit())\n"
        "model.compile(model.optimizer, loss=model.loss)"
    )
    together = dataclasses.replace(
        first,
        where=layers or first.where,
        evidence=f"{first.where[0]}: {first.evidence}; with ReLU for the hidden sigmoids, "
        f"{len(own.losses)} steps lead to {changed.end:.3g}, as it is to {own.end:.3g}",
        consequence="The derivative of a sigmoid is 1/4 at most, whatever its kernel: what comes "
        "before it learns slowly or not at all",
        remedy=remedy,
    )
    return {id(f): together if f.kind in FADES else f for f in findings}
