"""From results to shares with intervals, and the page of the manual."""

from collections.abc import Sequence
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
    return middle - half, middle + half


def majority(rows: Rows, figure: str) -> dict[str, bool]:
    """Returns of each program whether more than half of its seeds have a figure."""
    found: dict[str, list[bool]] = {}
    for row in rows:
        found.setdefault(row["key"], []).append(row[figure])
    return {key: float(np.mean(values)) > 0.5 for key, values in found.items()}


def summary(rows: Rows) -> list[str]:
    """Returns the lines of a table: each figure with its interval, and its range over seeds."""
    lines = ["| | programs | 95 % interval | over seeds |", "|---|---|---|---|"]
    names = {
        "found": "broken programs found (recall)",
        "named": "with the right cause named first",
        "located": "and the right place",
        "alarmed": "repaired programs alarmed",
    }
    seeds = sorted({row["seed"] for row in rows})
    counts = {}
    for figure in FIGURES:
        values = majority(rows, figure)
        count, total = sum(values.values()), len(values)
        counts[figure] = count
        low, high = wilson(count, total)
        each = [sum(row[figure] for row in rows if row["seed"] == seed) for seed in seeds]
        span = f"{min(each)} to {max(each)}" if len(each) > 1 else "one seed"
        lines.append(f"| {names[figure]} | {count} of {total} | {low:.2f} to {high:.2f} | {span} |")
    alarms = counts["found"] + counts["alarmed"]
    low, high = wilson(counts["found"], alarms)
    share = counts["found"] / max(alarms, 1)
    lines.append(
        f"| alarms that are of a broken one (precision) | {share:.2f} | {low:.2f} to {high:.2f} | |"
    )
    return lines


def each_program(programs: dict[str, Program], rows: Rows) -> list[str]:
    """Returns the lines of a table with one row for each program."""
    lines = [
        "| program | known to be wrong | found | cause | place | first said | repaired |",
        "|---|---|---|---|---|---|---|",
    ]
    done = {row["key"] for row in rows}
    for key, program in programs.items():
        if key not in done:
            continue
        mine = [row for row in rows if row["key"] == key]
        known = "; ".join(dict.fromkeys(f"{f.kind} @ {f.where}" for f in program.faults))
        marks = [f"{sum(row[figure] for row in mine)}/{len(mine)}" for figure in FIGURES]
        said = mine[0]["findings"].split("; ")[0] or "nothing"
        calm = "left in peace" if not any(row["alarmed"] for row in mine) else ""
        alarm = next((row["repaired"] for row in mine if row["alarmed"]), "")
        after = calm or f"{marks[3]}: {alarm.split('; ')[0]}"
        lines.append(
            f"| {key} | {known} | {marks[0]} | {marks[1]} | {marks[2]} | {said} | {after} |"
        )
    return lines
