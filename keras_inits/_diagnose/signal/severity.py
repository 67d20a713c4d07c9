"""Which finding is worse; read by reports, so that it loads no backend."""

from collections.abc import Iterable
from typing import Literal, get_args

from keras_inits._finding_kinds import FindingKind, SignalKind
from keras_inits._reporting import Finding

Verdict = Literal[FindingKind, "healthy"]
SEVERITY = get_args(SignalKind)  # from the worst


def rank(finding: Finding) -> int:
    """Returns the place of a finding in the order of severity; 0 is the worst.

    Findings of other kinds than `SignalKind` come after those that learn nothing.
    """
    known = finding.kind in SEVERITY
    return SEVERITY.index(finding.kind if known else "exploding")


def by_severity(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Returns findings, the worst first, those of equal severity in their order."""
    return tuple(sorted(findings, key=rank))


def worst(findings: Iterable[Finding]) -> Verdict:
    """Returns the kind of the worst of some findings, `"healthy"` if there are none."""
    return next((finding.kind for finding in by_severity(findings)), "healthy")
