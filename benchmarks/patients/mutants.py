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
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from judge import Journal
from mutation.judging import examined, of_base
from mutation.making import mutants
from mutation.operators import OPERATORS
from mutation.report import shares, table, write


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


if __name__ == "__main__":
    main()
