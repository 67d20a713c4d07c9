"""How many programs that do not train `diagnose` finds, and how many good ones it leaves in peace.

    python benchmarks/patients [KEY ...] [--seeds 3] [--part blind blind-healthy]
        [--keep results.jsonl] [--page docs/patients.md] [--train]

The parts are described in `sets/__init__.py`. Results are kept in `--keep` line by line: an
interrupted run goes on, and several may share the work by other files, read with `--with`.
`--train` trains both sides of each program and prints their scores instead: the proof that the one
is broken and the other is not.
"""

import argparse
import itertools
import os
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from judge import Journal, judged
from page import write
from program import Program
from sets import SETS
from tables import each_program, summary


def main() -> None:
    """Runs what is asked for and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("keys", nargs="*")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--part", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--keep", type=Path, default=Path("patients.jsonl"))
    parser.add_argument("--with", type=Path, nargs="*", default=[], dest="others")
    parser.add_argument("--page", type=Path)
    parser.add_argument("--train", action="store_true")
    given = parser.parse_args()
    parts = {part: _chosen(SETS[part], given.keys) for part in given.part}
    if given.train:
        for programs in parts.values():
            _train(programs, given.seeds)
        return
    journal = Journal(given.keep)
    rows = [row for other in given.others for row in Journal(other).rows.values()]
    known = {(row["key"], row["seed"]) for row in rows}
    every = {key: program for programs in parts.values() for key, program in programs.items()}
    for seed, key in itertools.product(range(given.seeds), every):
        if (key, seed) not in journal.rows and (key, seed) not in known:
            journal.add(judged(every[key], seed))
            print(_line(journal.rows[key, seed]), flush=True)
    rows += journal.rows.values()
    by_part = {p: [row for row in rows if row["key"] in programs] for p, programs in parts.items()}
    for part, mine in by_part.items():
        print(f"\n{part}\n", *summary(mine), "", *each_program(parts[part], mine), sep="\n")
    if given.page:
        write(given.page, parts, by_part)


def _chosen(programs: dict[str, Program], keys: list[str]) -> dict[str, Program]:
    return {key: p for key, p in programs.items() if not keys or key in keys}


def _line(row: dict) -> str:
    marks = " ".join(figure if row[figure] else "-" for figure in ("found", "named", "located"))
    alarm = f"ALARM {row['repaired']}" if row["alarmed"] else ""
    return f"{row['key']:34} {row['seed']} {marks:22} {row['findings']} | {alarm}"


def _train(programs: dict[str, Program], seeds: int) -> None:
    for key, program in programs.items():
        scores = [[side.train(seed) for side in program.build(seed)] for seed in range(seeds)]
        better = sum(after >= before + 0.1 for before, after in scores)
        text = ", ".join(f"{before:.2f} -> {after:.2f}" for before, after in scores)
        print(f"{key:34} {text}  ({better} of {seeds} better by .1)", flush=True)


if __name__ == "__main__":
    main()
