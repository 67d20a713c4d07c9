"""The results of all mutants: their figures, a table of operators, a section of the manual."""

from pathlib import Path
from typing import Any

from page import MUTANTS
from tables import wilson

from mutation.operators import OPERATORS

_TEXT = """
Programs that train, each spoiled by one operator: mutation, after DeepCrime (Humbatova, Jahangirova
& Tonella 2021, doi:10.1145/3460319.3464825), DeepMutation (Ma et al. 2018, arXiv:1805.05206) and
the faults that DeepFD is trained on (Cao et al. 2022, arXiv:2205.01938). Fourteen bases, operators
and strengths drawn by chance (`python benchmarks/patients/mutants.py --page docs/patients.md`).
Nobody chose what is broken: training does, each time with three seeds. A mutant is broken if its
score on samples held out is at least .1 below that of its base with all of them, harmless if within
.03 on average, slight between, refused if Keras raises an error. What only the meaning of the data
tells is among them (samples dealt anew, half of the values lost, a class left out), as are small
costs that show late (a tenth of the rate, a narrow code, noise). Of the harmless ones that are
alarmed most have the fault that is named, and learn in spite of it: so three softmaxes and sigmoids
with `from_logits=True`, which TensorFlow sees through.

What the first run showed is found now, each as a kind: targets whose mean is far, though the way
there takes fewer steps; an epsilon of a hundred times shorter steps; weights in float16 under Adam;
constraints that take less of the kernels; linear nets of several outputs; a dropout at the end,
which hid the activation. Exponentials as logits of a softmax are left in peace. Layers frozen as
they were drawn are, where those behind them learn something: random features are a method.

First run, 190 of 192 mutants: {first}.

Now, all of them: {now}.
"""
_FIRST = (  # of commit 9249900
    "found 43 of 63 (0.56 to 0.78);\ncause first 37 of 63 (0.46 to 0.70);\n"
    "and place 37 of 63 (0.46 to 0.70);\nharmless alarmed 12 of 82 (0.09 to 0.24)"
)


def shares(rows: list[dict[str, Any]]) -> str:
    """Returns the figures of all operators together, with their intervals."""
    broken = [row for row in rows if row["what"] == "broken"]
    harmless = [row for row in rows if row["what"] == "harmless"]
    figures = (
        ("found", "found", broken),
        ("cause first", "named", broken),
        ("and place", "located", broken),
        ("harmless alarmed", "found", harmless),
    )
    said = []
    for words, figure, part in figures:
        count = sum(row[figure] for row in part)
        low, high = wilson(count, len(part))
        said.append(f"{words} {count} of {len(part)} ({low:.2f} to {high:.2f})")
    return ";\n".join(said)


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Returns the lines of a table of operators."""
    lines = [
        "| operator | broken | found | cause first | and place | harmless | alarmed | slight "
        "| alarmed | refused |",
        f"|{'---|' * 10}",
    ]
    lines += [_line(name, [r for r in rows if r["operator"] == name]) for name in OPERATORS]
    return [*lines, _line("all", rows)]


def _line(name: str, rows: list[dict[str, Any]]) -> str:
    cells: list[Any] = [name]
    figures = {
        "broken": ("found", "named", "located"),
        "harmless": ("found",),
        "slight": ("found",),
    }
    for kind, shown in figures.items():
        mine = [row for row in rows if row["what"] == kind]
        cells += [len(mine) or "", *((sum(r[f] for r in mine) if mine else "") for f in shown)]
    cells.append(sum(row["what"] == "refused" for row in rows) or "")
    return f"| {' | '.join(map(str, cells))} |"


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Writes the section of the page that is on mutants, which is its last."""
    text = path.read_text().partition(MUTANTS)[0]
    lines = [_TEXT.format(first=_FIRST, now=shares(rows)), *table(rows), "", *_misses(rows)]
    path.write_text(text + MUTANTS + "\n".join(lines) + "\n")


def _misses(rows: list[dict[str, Any]]) -> list[str]:
    rows = sorted(rows, key=lambda row: str(row["key"]))
    wrong = [row for row in rows if row["what"] == "broken" and not row["located"]]
    wrong += [row for row in rows if row["what"] == "harmless" and row["found"]]
    lines = ["| mutant | is | first said |", "|---|---|---|"]
    for row in wrong:
        said = row["findings"].splitlines()[0].split("; ")[0] if row["findings"] else "nothing"
        lines.append(f"| {row['key']} | {row['what']} | {said} |")
    return lines
