"""What `audit` found, as plain data and as text."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.table import Table

from keras_inits._reporting import Finding, Report, plain_text


@dataclass(frozen=True, eq=False)
class AuditReport(Report):
    """What `audit` found in a model.

    Attributes:
        model: the name of the model.
        weights: how many weights it has.
        findings: what is wrong, in the order of the model's weights; empty if nothing is.
        skipped: paths of weights that are not known, frozen or quantized, with the reason; of
            these only NaN and infinities are looked for.
        remarks: what is worth knowing and no fault, or cannot be judged.

    >>> import keras
    >>> import keras_inits
    >>> same = keras.initializers.HeNormal(seed=1)
    >>> twins = [keras.layers.Dense(8, kernel_initializer=same) for _ in range(2)]
    >>> report = keras_inits.audit(keras.Sequential([keras.Input((8,)), *twins]))
    >>> report.ok, [finding.kind for finding in report.findings]
    (False, ['equal weights'])
    """

    model: str
    weights: int
    findings: tuple[Finding, ...]
    skipped: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[Finding, ...] = ()

    def heading(self) -> str:
        """Returns the model and how many findings it has in how many weights."""
        count = len(self.findings)
        return f"{self.model}: {count} finding{'s' * (count != 1)} in {self.weights} weights"

    def table(self) -> Table:
        """Returns findings and remarks as a table that is legible at 80 columns."""
        table = Table(
            title=plain_text(self.heading()),
            box=None,
            pad_edge=False,
            show_header=False,
            title_justify="left",
        )
        table.add_column("", style="bold", justify="right", no_wrap=True)
        table.add_column("", overflow="fold")
        for finding in self.findings:
            _add(table, finding, finding.kind, "red")
        for remark in self.remarks:
            _add(table, remark, "remark", "yellow")
        if self.skipped:
            table.add_row("skipped", f"{len(self.skipped)} weights, unknown or frozen: `skipped`")
        return table


def _add(table: Table, finding: Finding, title: str, style: str) -> None:
    where = plain_text(", ".join(finding.where))
    table.add_row(title, where if title == finding.kind else finding.kind, style=style)
    if title != finding.kind and finding.where:
        table.add_row("where", where)
    for name, text in (
        ("evidence", finding.evidence),
        ("effect", finding.consequence),
        ("fix", finding.remedy),
    ):
        if text:
            table.add_row(name, plain_text(text))
    table.add_row()
