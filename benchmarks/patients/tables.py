"""From results to shares with intervals, and the page of the manual."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from program import Program

Rows = Sequence[dict[str, Any]]
FIGURES = ("found", "named", "located", "alarmed")

# Of the programs that each paper looked at: how many of how many.
PUBLISHED = """\
| tool | programs | detected | right cause | located |
|---|---|---|---|---|
| DeepFD | 52 of its own collection | 47 | 27 | 22 |
| DeepDiagnosis | the same | 46 | | 34 |
| DeepLocalize | the same | 36 | | 7 |
| AutoTrainer | the same | 12 | 10 | |
| UMLAUT | the same | 50 | 14 | |
| deepmufl | 109 of its own collection | 53 | | |
| DeepDiagnosis | the same | 30 | | |
| DeepLocalize | the same | 26 | | |
| UMLAUT | the same | 25 | | |
| NeuraLint | the same | 21 | | |
"""


def wilson(count: int, total: int, z: float = 1.96) -> tuple[float, float]:
    """Returns the 95 % interval of a share (Wilson 1927).

    >>> [round(v, 2) for v in wilson(49, 50)]
    [0.9, 1.0]
    """
    if not total:
        return 0.0, 1.0
    share, spread = count / total, z**2 / total
    middle = (share + spread / 2) / (1 + spread)
    half = z * ((share * (1 - share) + spread / 4) / total) ** 0.5 / (1 + spread)
    return max(0.0, middle - half), middle + half


def majority(rows: Rows, figure: str) -> dict[str, bool]:
    """Returns of each program whether more than half of its seeds have a figure."""
    found: dict[str, list[bool]] = {}
    for row in rows:
        found.setdefault(row["key"], []).append(row[figure])
    return {key: float(np.mean(values)) > 0.5 for key, values in found.items()}


def counted(rows: Rows) -> dict[str, tuple[int, int]]:
    """Returns each figure: of how many programs it is so, and how many there are."""
    values = {figure: majority(rows, figure) for figure in FIGURES}
    return {figure: (sum(found.values()), len(found)) for figure, found in values.items()}


def overview(parts: Iterable[tuple[str, dict[str, Any], dict[str, Any]]]) -> list[str]:
    """Returns the lines of a table of sets, each with its first run and with the run of now."""
    lines = [
        "| set | run | found | cause first | and place | repaired alarmed | healthy alarmed |",
        "|---|---|---|---|---|---|---|",
    ]
    for part, first, now in parts:
        for run, figures in (("first", first), ("now", now)):
            cells = [_share(figures.get(f), interval=run == "first") for f in (*FIGURES, "healthy")]
            if figures:
                lines.append(f"| {' | '.join([part, run, *cells])} |")
    return lines


def _share(figure: tuple[int, int] | None, *, interval: bool) -> str:
    if figure is None:
        return ""
    low, high = wilson(*figure)
    return f"{figure[0]} of {figure[1]}" + f" ({low:.2f} to {high:.2f})" * interval


def summary(rows: Rows) -> list[str]:
    """Returns a line for each figure: its count, its interval, and its range over seeds."""
    lines = []
    seeds = sorted({row["seed"] for row in rows})
    for figure, (count, total) in counted(rows).items():
        each = [sum(row[figure] for row in rows if row["seed"] == seed) for seed in seeds]
        span = f", {min(each)} to {max(each)} over seeds" if len(each) > 1 else ""
        lines.append(f"{figure:8} {_share((count, total), interval=True)}{span}")
    return lines


def each_program(programs: dict[str, Program], rows: Rows) -> list[str]:
    """Returns a table of the programs that are judged wrongly, and behind a fold the others."""
    right, wrong = [], []
    for key, program in programs.items():
        mine = [row for row in rows if row["key"] == key]
        if not mine:
            continue
        known = "; ".join(dict.fromkeys(f"{f.kind} ({f.where})" for f in program.faults))
        found, named, located, alarmed = (majority(mine, f)[key] for f in FIGURES)
        verdict = (
            "missed"
            if not found
            else "another cause first"
            if not named
            else "another place first"
            if not located
            else ""
        )
        alarm = next((row["repaired"] for row in mine if row["alarmed"]), "")
        if alarmed:
            verdict += f"; repaired alarmed: {alarm.split('; ')[0]}"
        said = mine[0]["findings"].split("; ")[0] or "nothing"
        cells = [key, known, said]
        (wrong if verdict else right).append([*cells, verdict.removeprefix("; ")])
    lines = []
    if wrong:
        lines += ["| program | known to be wrong | first said | |", "|---|---|---|---|"]
        lines += [f"| {' | '.join(cells)} |" for cells in wrong]
    lines += ["", '<details markdown="1">', f"<summary>{len(right)} judged rightly</summary>", ""]
    lines += ["| program | known to be wrong | first said |", "|---|---|---|"]
    lines += [f"| {' | '.join(cells[:3])} |" for cells in right]
    return [*lines, "", "</details>"]
