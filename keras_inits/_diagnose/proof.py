"""Proof by change: whether what is blamed is to blame, by changing it and looking again.

Two proofs. `confirmed` applies a finding's own remedy to the weights, measures the signal, and puts
the weights back: it shows that the remedy does what it says. `weighed` draws every kernel of a copy
anew at the scale that keeps the signal and does a few steps of training from there: it shows that
what is seen matters. A gradient that shrinks, or units that are dead or saturated, need not hinder
a training; where such steps do not bring the loss clearly lower, the finding is a note.
"""

import dataclasses
import importlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_inits._diagnose.evidence import Evidence
from keras_inits._diagnose.setting.rates import fall
from keras_inits._diagnose.setting.steps import Copy, Trial
from keras_inits._diagnose.sizes import OVER_TIME, gate_of_memory
from keras_inits._diagnose.state import State
from keras_inits._keras_internals import all_layers
from keras_inits._reporting import Finding

# What is measured of one layer, by verdict.
_SHARES = {"dying": "dead units", "saturated": "saturated", "rank-collapsed": "correlation"}
# A remedy of these changes values alone, which are put back. Others are not tried.
_VALUES = ("keras_inits.initialize(", ".assign(", "x = ")
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


def confirmed(
    findings: Sequence[Finding],
    evidence: Evidence,
    state: State,
    judge: Callable[[Evidence], Sequence[Finding]],
    again: Callable[[Any], Evidence],
) -> tuple[Finding, ...]:
    """Returns the findings, each with what its remedy was seen to do.

    Findings of one kind and consequence are tried together, with all of their remedies: one pass
    forward and back for each kind. A remedy that changes more than values is not tried.

    Args:
        findings: of the signal.
        evidence: they were found in.
        state: puts all values back.
        judge: returns what is wrong.
        again: returns the evidence of another pass, given the input.
    """
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.kind, finding.consequence), []).append(finding)
    proofs: dict[tuple[str, str], tuple[str, dict[str, float]]] = {}
    for key, group in groups.items():
        remedies = list(dict.fromkeys(f.remedy for f in group if _changes_values(f.remedy)))
        if not remedies:
            continue
        try:
            after = again(_applied(remedies, evidence))
            proofs[key] = _proof(group, evidence, after, judge(after))
        finally:
            state.restore()
    return tuple(_marked(f, proofs.get((f.kind, f.consequence))) for f in findings)


def _changes_values(remedy: str) -> bool:
    return any(part in remedy for part in _VALUES) and ".activation" not in remedy.split("=")[0]


def _applied(remedies: Sequence[str], evidence: Evidence) -> Any:
    """Runs remedies, and returns the input that they ask for.

    They are code that this package wrote; of the model it holds names alone, as literals.
    """
    # The whole package, by name: a remedy is written for its users, and stands above this module.
    package = importlib.import_module("keras_inits")
    names = {"keras": keras, "keras_inits": package, "model": evidence.model}
    single = not keras.tree.is_nested(evidence.inputs)
    if single:
        names["x"] = keras.ops.convert_to_numpy(evidence.inputs)
    for remedy in remedies:
        if single or "x = " not in remedy:
            exec(remedy, names)
    return keras.ops.convert_to_tensor(names["x"]) if single else evidence.inputs


def _proof(
    group: Sequence[Finding], before: Evidence, after: Evidence, left: Sequence[Finding]
) -> tuple[str, dict[str, float]]:
    kind = group[0].kind
    gone = not any(f.kind == kind and set(f.where) & set(group[0].where) for f in left)
    new = [f for f in left if f.kind not in {g.kind for g in group} and f.kind == "not finite"]
    name, first, second = _measured(group[0], before, after)
    better = not new and (gone or _improved(name, first, second))
    text = "confirmed" if better else "not confirmed"
    how = f"{name} {first:.2g} -> {second:.2g}" if name else "the finding is gone" if gone else ""
    numbers = {"confirmed": float(better)}
    if name:
        numbers |= {"before": first, "after": second}
    return f"{text} by its remedy on a copy of the weights" + (f": {how}" if how else ""), numbers


def _measured(finding: Finding, before: Evidence, after: Evidence) -> tuple[str, float, float]:
    """Returns what tells most of a finding, before the remedy and after it."""
    if (name := _SHARES.get(finding.kind)) is not None:
        first, second = (_share(e, finding.where[0], name) for e in (before, after))
        if not first > 0:  # the units die in operations behind the layer
            return "", math.nan, math.nan
        return name, first, second
    if finding.kind not in ("exploding", "vanishing"):
        return "", math.nan, math.nan
    figures = {
        "output rms": [_output(e) for e in (before, after)],
        "gradient ratio": [_gradient_ratio(e) for e in (before, after)],
        "gradient at the first step over the last": [
            _steps(e, finding.where[0]) for e in (before, after)
        ],
    }
    # What was furthest from 1 says most.
    known = {n: v for n, v in figures.items() if all(0 < each < math.inf for each in v)}
    if not known:
        return "", math.nan, math.nan
    name = max(known, key=lambda name: abs(math.log(known[name][0])))
    return name, known[name][0], known[name][1]


def _improved(name: str, before: float, after: float) -> bool:
    """Says whether at least half of what is wrong is gone: of a share, or of the decades off 1."""
    if not name or math.isnan(before) or math.isnan(after):
        return False
    if name in _SHARES.values():
        return after <= before / 2
    return before > 0 < after and abs(math.log(after)) <= abs(math.log(before)) / 2


def _share(evidence: Evidence, name: str, what: str) -> float:
    for call in evidence.calls:
        if call.name == name:
            attribute = what.replace(" ", "_")
            inside = [getattr(s, attribute, math.nan) for s in call.squashed]
            known = [v for v in (getattr(call.output, attribute), *inside) if not math.isnan(v)]
            return max(known, default=math.nan)
    return math.nan


def _output(evidence: Evidence) -> float:
    sizes = evidence.outputs or [c.output.second_moment for c in evidence.calls[-1:]]
    return math.sqrt(sizes[0]) if sizes and sizes[0] >= 0 else math.nan


def _gradient_ratio(evidence: Evidence) -> float:
    """Returns the length of the gradient at the first layer over that at the last one."""
    known = [c.gradient.squared_length for c in evidence.calls if c.gradient is not None]
    return math.sqrt(known[0] / known[-1]) if known and known[-1] > 0 else math.nan


def _steps(evidence: Evidence, name: str) -> float:
    """Returns the gradient at the first time step of a layer over that at the last one."""
    for call in evidence.calls:
        if call.name == name and len(call.steps) == 2 and call.steps[1] > 0:
            return call.steps[0] / call.steps[1]
    return math.nan


def _marked(finding: Finding, proof: tuple[str, dict[str, float]] | None) -> Finding:
    if proof is None:
        return finding
    text, numbers = proof
    return dataclasses.replace(
        finding,
        evidence=f"{finding.evidence}; {text}",
        numbers={**finding.numbers, **numbers},
    )


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
    if not isinstance(model, keras.Sequential) and not hasattr(model, "operations"):
        return None
    changed = [la for la in model.layers[:-1] if _sigmoid(la)]
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


def _sigmoid(layer: Any) -> bool:
    name = getattr(getattr(layer, "activation", None), "__name__", "")
    plain = isinstance(layer, keras.layers.Dense | keras.layers.Conv1D | keras.layers.Conv2D)
    return name in ("sigmoid", "hard_sigmoid") and plain


def remembering(copy: Copy, steps: Mapping[str, float]) -> list[Any] | None:
    """Returns the trained variables, with gates that keep what they hold for a whole sequence.

    Tallec & Ollivier 2018, https://arxiv.org/abs/1804.11188: a bias of log(steps) at the gates that
    keep the state. None where no LSTM or GRU has a bias.

    Args:
        copy: of the model.
        steps: how many each recurrent layer takes that forgets, by its name.
    """
    gates: dict[int, tuple[slice, float]] = {}
    for layer in all_layers(copy.model):
        cell: Any = getattr(layer, "cell", None)
        keeps = gate_of_memory(cell)
        if layer.name in steps and keeps is not None and cell.bias is not None:
            gates[id(cell.bias)] = keeps, float(np.log(max(steps[layer.name], 2)))
    if not gates:
        return None
    values: list[Any] = []
    for variable in copy.trained:
        if id(variable) in gates:
            place, bias = gates[id(variable)]
            value = keras.ops.convert_to_numpy(variable).copy()
            rows = value.reshape(-1, value.shape[-1])  # a GRU may have a second one
            rows[0, place] = bias
            values.append(value)
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
        remembering: with gates that keep what they hold, given the steps of each layer by its name;
            None without such gates.
        guess: the loss of the best constant guess; None where it is not known.
    """

    own: Trial
    redrawn: Callable[[], Trial]
    rectified: Callable[[], Trial | None]
    remembering: Callable[[Mapping[str, float]], Trial | None]
    guess: float | None = None

    def prefer(self, other: Trial) -> bool:
        """Says whether another start ends so much lower that what is seen of this one matters."""
        own = self.own
        if not np.isfinite(other.end) or other.end >= own.end:
            return False
        first, second = fall(own), fall(other)
        if first < STILL and second >= max(MOVES, 20 * first):
            return True
        if self.guess is not None and self.guess > 0:
            known, more = (1 - each.end / self.guess for each in (own, other))
            if more >= max(LEARNED, TIMES * known):
                return True
        start = min(own.start, other.start)
        return other.end <= own.end - max(GAIN * (start - other.end), LOWER * own.end)


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
    left, notes = _weighed(findings, trials, lost)
    fading = {(f.kind, f.where) for f in left if f.kind in FADES}
    beyond_doubt = any(map(_far_gone, left)) and dataclasses.replace(trials, guess=None).prefer(
        trials.redrawn()
    )
    if longer is None or not fading or beyond_doubt:
        return left, notes
    still, more = _weighed([f for f in findings if (f.kind, f.where) in fading], longer(), lost)
    dismissed = fading - {(f.kind, f.where) for f in still}
    return tuple(f for f in left if (f.kind, f.where) not in dismissed), notes + more


def _far_gone(finding: Finding) -> bool:
    """Says whether a size faded past the square of its limit, which no few steps make up for."""
    numbers = finding.numbers
    return numbers.get("factor", 1.0) * numbers.get("limit", 1.0) ** 2 < 1


def _weighed(
    findings: Sequence[Finding], trials: Trials, lost: bool
) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    own = trials.own
    doubtful = [finding for finding in findings if finding.kind in SCALES]
    if not doubtful or not np.isfinite(own.end):
        return tuple(findings), ()
    # That the first steps of a sequence are forgotten is no question of kernels.
    forgetting = [f for f in doubtful if f.kind == "vanishing" and f.numbers.keys() >= OVER_TIME]
    kept: dict[int, Finding] = {}
    notes: list[str] = []
    if forgetting:
        lengths = {_layer(f.where[0]): f.numbers["steps"] for f in forgetting}
        other = trials.remembering(lengths)
        if other is not None:
            doubtful = [f for f in doubtful if f not in forgetting]
            if trials.prefer(other):
                kept |= {id(f): f for f in forgetting}
            left_out = [f for f in forgetting if id(f) not in kept]
            notes += _no_alarms(left_out, own, other, "gates that keep what they hold")
    if doubtful:
        other = trials.redrawn()
        if trials.prefer(other):
            kept |= {id(f): f for f in doubtful}
        elif any(finding.kind == "vanishing" for finding in doubtful):
            changed = trials.rectified()
            if changed is not None and trials.prefer(changed):
                kept |= {id(f): _of_sigmoids(f, own, changed) for f in doubtful}
        if lost and _mute(own, other):
            kept |= {id(f): f for f in doubtful if f.kind == "vanishing"}
        left_out = [f for f in doubtful if id(f) not in kept]
        notes += _no_alarms(left_out, own, other, "kernels drawn anew")
    left = [kept.get(id(f), f) for f in findings if f.kind not in SCALES or id(f) in kept]
    return tuple(left), tuple(notes)


def _layer(path: str) -> str:
    """Returns the name of the layer at the end of a path such as `"block/lstm:2"`."""
    return path.split("/")[-1].split(":")[0]


def _no_alarms(findings: Sequence[Finding], own: Trial, other: Trial, change: str) -> Iterator[str]:
    """Yields a note on the findings of each kind that are no alarm."""
    kinds: dict[str, list[Finding]] = {}
    for finding in findings:
        kinds.setdefault(finding.kind, []).append(finding)
    for kind, (first, *others) in kinds.items():
        more = f" and {len(others)} more" if others else ""
        yield (
            f"no alarm: {kind}, {', '.join(first.where)}{more}: {first.evidence}; with {change}, "
            f"{len(other.losses)} steps lead to {other.end:.3g}, as it is to {own.end:.3g}"
        )


def _mute(own: Trial, other: Trial) -> bool:
    """Says whether no trial came below where the better one started."""
    return min(own.end, other.end) > (1 - MOVES) * min(own.start, other.start)


def _of_sigmoids(finding: Finding, own: Trial, changed: Trial) -> Finding:
    if finding.kind != "vanishing":
        return finding
    return dataclasses.replace(
        finding,
        evidence=f"{finding.evidence}; with ReLU for the hidden sigmoids, {len(own.losses)} steps "
        f"lead to {changed.end:.3g}, as it is to {own.end:.3g}",
        remedy='activation="relu", or "tanh", in the hidden layers: the derivative of a sigmoid is '
        "1/4 at most, whatever its kernel",
    )
