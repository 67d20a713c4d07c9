"""What `audit` found, as plain data and as text."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

Kind = Literal[
    "not finite",
    "constant kernel",
    "equal units",
    "equal weights",
    "one seed",
    "scale",
    "not orthogonal",
    "dead embeddings",
    "not savable",
]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        kind: what it is.
        weights: the paths of the weights that have it.
        evidence: the proof in a sentence with numbers.
        consequence: what comes of it in training.
        remedy: a line of code that mends it, for a model called `model`.
        numbers: the numbers of the evidence by name.
    """

    kind: Kind
    weights: tuple[str, ...]
    evidence: str
    consequence: str
    remedy: str
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class AuditReport:
    """What `audit` found in a model.

    Attributes:
        model: the name of the model.
        weights: how many weights it has.
        findings: what is wrong, in the order of the model's weights; empty if nothing is.
        skipped: paths of weights that are not known, frozen or quantized, with the reason; of
            these only NaN and infinities are looked for.
    """

    model: str
    weights: int
    findings: tuple[Finding, ...]
    skipped: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as values that JSON can hold."""
        return dataclasses.asdict(self)

    def table(self) -> Table:
        """Returns the findings as a table that is legible at 80 columns."""
        count = len(self.findings)
        title = f"{self.model}: {count} finding{'s' * (count != 1)} in {self.weights} weights"
        table = Table(
            title=title, box=None, pad_edge=False, show_header=False, title_justify="left"
        )
        table.add_column("", style="bold", justify="right", no_wrap=True)
        table.add_column("", overflow="fold")
        for finding in self.findings:
            table.add_row(finding.kind, ", ".join(finding.weights), style="red")
            table.add_row("evidence", finding.evidence)
            table.add_row("so", finding.consequence)
            table.add_row("mend", finding.remedy, end_section=True)
            table.add_row()
        if self.skipped:
            table.add_row("skipped", f"{len(self.skipped)} weights, unknown or frozen: `skipped`")
        return table

    def __rich__(self) -> Table:
        return self.table()

    def __str__(self) -> str:
        console = Console(force_jupyter=False, width=80, color_system=None)
        with console.capture() as capture:
            console.print(self.table())
        return capture.get().rstrip("\n")
