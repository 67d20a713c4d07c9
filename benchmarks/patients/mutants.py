"""How `diagnose` judges mutants: programs that train, each spoiled by one operator.

    python benchmarks/patients/mutants.py [BASE ...] [--draws 4] [--keep mutants.jsonl]
        [--scores first.jsonl ...]

Mutation, as research on testing does it: programs of `mutation/bases.py` that train well, operators
of `mutation/operators.py` at strengths drawn by chance. Training decides what a mutant is: `broken`
if its score on samples held out is at least .1 below that of its base with each of three seeds,
`harmless` if it is within .03 on average, `slight` between, `refused` where `fit` raises an error.
Seeds end with the first that is not that much worse, but of mutants that are alarmed. An
interrupted run goes on; scores of runs before are read from `--scores` and not computed again.
"""

import argparse
import os
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from judge import Journal, judged
from mutation.bases import BASES, REFUSED
from mutation.operators import OPERATORS
from page import MUTANTS
from program import Program
from tables import wilson

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
SEEDS = 3
WORSE, ALIKE = 0.1, 0.03


def mutants(name: str, count: int) -> list[Program]:
    """Returns some mutants by an operator: of bases and strengths drawn by chance, none twice."""
    pairs = [(key, strength) for key in BASES for strength in OPERATORS[name][1]]
    random.Random(name).shuffle(pairs)
    found: list[Program] = []
    for key, strength in pairs:
        if len(found) < count:
            found += mutant(key, name, strength)
    return found


def mutant(key: str, name: str, strength: str) -> list[Program]:
    """Returns the mutant of a base by an operator, on both sides; none where it has no place."""
    apply, strengths = OPERATORS[name]

    def made(data: Any) -> Any:
        chance = random.Random(f"{name} {key} {strength}")
        return apply(BASES[key](data), strengths[strength], chance)

    try:
        _, faults = made(np.random.default_rng(0))
    except LookupError:
        return []
    whole = f"{key} / {name} / {strength}"
    return [Program(whole, (key, name), faults, lambda data: (made(data)[0],) * 2)]


def scored(program: Program, scores: Iterable[float], *, alarmed: bool) -> list[float]:
    """Returns the scores of a mutant, of as many seeds as decide what it is.

    Args:
        program: the mutant on both sides.
        scores: of its base, one a seed.
        alarmed: whether all seeds are wanted.
    """
    own: list[float] = []
    for seed, score in enumerate(scores):
        own.append(program.build(seed)[0].train(seed))
        keras.backend.clear_session()
        if own[-1] == REFUSED or not (alarmed or own[-1] <= score - WORSE):
            break
    return own


def of_base(key: str) -> list[float]:
    """Returns the scores of a base."""
    program = Program(key, (key,), (), lambda data: (BASES[key](data),) * 2)
    return scored(program, [0.0] * SEEDS, alarmed=True)


def what(scores: list[float], of_base: list[float]) -> str:
    """Returns what a mutant is, by its scores and those of its base."""
    if REFUSED in scores:
        return "refused"
    worse = np.array(of_base[: len(scores)]) - scores
    if len(worse) == SEEDS and (worse >= WORSE).all():
        return "broken"
    return "harmless" if worse.mean() <= ALIKE else "slight"


def examined(program: Program, base: list[float], known: list[float] | None) -> dict[str, Any]:
    """Returns what a mutant is, and what `diagnose` says of it unless Keras refuses it.

    Args:
        program: the mutant on both sides.
        base: the scores of its base.
        known: its own, if they were computed before.
    """
    scores = known or scored(program, base, alarmed=False)
    row: dict[str, Any] = {"key": program.key, "seed": 0}
    if REFUSED not in scores:
        row = judged(program, 0)
    if row.get("found") and what(scores, base) != "broken" and len(scores) < SEEDS:
        scores = scored(program, base, alarmed=True)
    own = {"operator": program.sources[1], "scores": scores, "what": what(scores, base)}
    return {**row, **own}


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


def main() -> None:
    """Runs what is asked for and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bases", nargs="*")
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--keep", type=Path, default=Path("mutants.jsonl"))
    parser.add_argument("--scores", type=Path, nargs="*", default=[])
    parser.add_argument("--page", type=Path)
    given = parser.parse_args()
    journal, known = Journal(given.keep), {}
    for row in [row for file in given.scores for row in Journal(file).rows.values()]:
        known[row["key"]] = row["scores"]
    each = [mutants(name, given.draws) for name in OPERATORS]
    for program in [made[i] for i in range(given.draws) for made in each if i < len(made)]:
        key = program.sources[0]
        if (given.bases and key not in given.bases) or (program.key, 0) in journal.rows:
            continue
        if (key, 0) not in journal.rows:
            journal.add({"key": key, "seed": 0, "scores": known.get(key) or of_base(key)})
        row = examined(program, journal.rows[key, 0]["scores"], known.get(program.key))
        journal.add(row)
        print(f"{row['key']:64} {row['what']:9} {row.get('findings', '')}", flush=True)
    rows = [row for row in journal.rows.values() if "what" in row]
    print("", *table(rows), "", shares(rows), sep="\n")
    if given.page:
        write(given.page, rows)


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


if __name__ == "__main__":
    main()
