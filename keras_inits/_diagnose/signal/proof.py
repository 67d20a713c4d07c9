"""Proof by change: what a finding's own remedy does, measured on the weights and taken back."""

import dataclasses
import importlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from keras_inits._diagnose.seen.state import State, initializers_kept
from keras_inits._diagnose.signal import sizes
from keras_inits._diagnose.signal.evidence import Evidence
from keras_inits._finding_kinds import FindingKind
from keras_inits._reporting import Finding, alike

# What is measured of one layer, by verdict.
_SHARES: Mapping[FindingKind, str] = {
    "dying": "dead units",
    "saturated": "saturated",
    "rank-collapsed": "correlation",
}
_OVER_TIME = "gradient at the first step over the last"
# A remedy of these changes values and initializers, which are put back. Others are not tried.
_VALUES = ("keras_inits.initialize(", ".assign(", "x = ")


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
    proofs: dict[tuple[FindingKind, str], tuple[str, dict[str, float]]] = {}
    for key, group in alike(findings).items():
        remedies = list(dict.fromkeys(f.remedy for f in group if _changes_values(f.remedy)))
        if not remedies:
            continue
        try:
            with initializers_kept(evidence.model):
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
    better = not new and (_improved(name, first, second, gone) if name else gone)
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
        _OVER_TIME: [_steps(e, finding.where[0]) for e in (before, after)],
    }
    if "factor" in finding.numbers:  # of a path: that of the whole net may be fair
        what = next(each for each in sizes.FOLLOWED if each in finding.evidence)
        places = [sizes.factor(e, finding.where[0], what) for e in (before, after)]
        figures[f"{what} at {finding.where[0]}"] = places
    # What was furthest from 1 says most.
    known = {n: v for n, v in figures.items() if all(0 < each < math.inf for each in v)}
    if not known:
        return "", math.nan, math.nan
    name = max(known, key=lambda name: abs(math.log(known[name][0])))
    return name, known[name][0], known[name][1]


def _improved(name: str, before: float, after: float, gone: bool) -> bool:
    """Returns whether half of what is wrong is gone: of a share, or of the decades off 1.

    Or whether a finding is gone with half as much again of what is left, such as of living units: a
    share just below its limit is no better than one just above it.
    """
    if math.isnan(before) or math.isnan(after):
        return False
    if name in _SHARES.values():
        return after <= before / 2 or (gone and 1 - after >= 1.5 * (1 - before))
    if name == _OVER_TIME and before > 1:  # through bounded cells it fades, however drawn
        return after <= math.sqrt(before)
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
