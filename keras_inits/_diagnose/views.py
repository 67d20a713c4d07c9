"""A report as a table for the terminal."""

import math
from typing import Any

from rich.console import Console
from rich.table import Table

from keras_inits._diagnose.report import LayerReport, SignalReport

_WIDTH = 80


def print_summary(report: SignalReport, file: Any = None) -> None:
    """Prints one line a layer, then what is wrong, within 80 columns."""
    console = Console(force_jupyter=False, file=file, width=_WIDTH, highlight=False)
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("layer", no_wrap=True, overflow="ellipsis", max_width=25)
    for head in ("std", "rms", "theory", "grad rms", "theory"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for layer in report.layers:
        back = math.nan if layer.gradient is None else layer.gradient.second_moment
        table.add_row(
            _tail(layer.name, 25),
            _short(layer.output.std),
            _short(_root(layer.output.second_moment)),
            _short(_root(layer.predicted_second_moment)),
            _short(_root(back)),
            _short(_root(layer.predicted_gradient)),
            _colored(layer.verdict),
        )
    console.print(table)
    console.print()
    loss = "a random cotangent" if report.loss is None else f"loss {report.loss:.4g}"
    console.print(f"{report.model}, {report.batch} samples, {loss}: {_colored(report.verdict)}")
    if (jacobian := report.jacobian) is not None:
        console.print(
            f"Jacobian: mean squared singular value {jacobian.mean_squared_singular_value:.3g}, "
            f"largest {jacobian.largest_singular_value:.3g}"
        )
    for note in report.notes:
        console.print(note)
    for name, verdict, evidence, remedy, count in _grouped(report):
        more = f" and {count - 1} more" if count > 1 else ""
        console.print(f"\n[bold]{name}{more}[/]: {_colored(verdict)}, {evidence}.\n  {remedy}.")


def _grouped(report: SignalReport) -> list[tuple[str, str, str, str, int]]:
    """Returns each kind of finding once, with its first layer and how many share it."""
    groups: dict[tuple[str, str], list[LayerReport]] = {}
    for layer in report.layers:
        for finding in layer.findings:
            groups.setdefault((finding.verdict, finding.remedy), []).append(layer)
    rows = []
    for (verdict, remedy), layers in groups.items():
        finding = next(f for f in layers[0].findings if f.verdict == verdict)
        rows.append((layers[0].name, verdict, finding.evidence, remedy, len(layers)))
    return rows


def _root(value: float | None) -> float:
    return math.nan if value is None else math.sqrt(value) if value >= 0 else math.nan


def _short(value: float) -> str:
    """Returns a number in at most 8 characters, or a dot where there is none."""
    if math.isnan(value):
        return "·"
    return f"{value:.3f}" if 1e-3 <= value < 1e3 else f"{value:.0e}" if value else "0"


def _tail(name: str, width: int) -> str:
    return name if len(name) <= width else "…" + name[1 - width :]


def _colored(verdict: str) -> str:
    return f"[green]{verdict}[/]" if verdict == "healthy" else f"[bold red]{verdict}[/]"
