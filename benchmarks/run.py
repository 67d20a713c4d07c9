"""Every benchmark that has a rival, in one table of Markdown: what, ours, the rival, the ratio.

    python benchmarks/run.py                    # all of them
    python benchmarks/run.py hadamard population  # a row by its name, others by a part of theirs
    python benchmarks/run.py --quick            # small sizes, few repeats: does it run?
    python benchmarks/run.py --list
    python benchmarks/run.py --out table.md

Both sides of a row are timed in turn on the machine at hand (`timing.py`); a ratio below 1 means
that ours is faster. Each row is measured in a process of its own, since compiled functions, threads
and memory of one would change another. The table appears when all rows are measured. What has more
than one number to show has a program of its own next to this one. A row that fails is named in the
table, and the others stay; the exit status is then 1.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from rows import ROWS, Measured


def table(measured: dict[str, Measured | str]) -> str:
    """Returns rows of the README's table, in Markdown; a text says why one was not measured.

    >>> print(table({"import": "failed"}).splitlines()[-1])
    | `import keras_inits` | | `import keras`: failed | |
    """
    lines = ["| what | ours | rival | ratio |", "|---|---|---|---|"]
    for name, found in measured.items():
        row = ROWS[name]
        if isinstance(found, str):
            lines.append(f"| {row.what} | | {row.rival}: {found} | |")
            continue
        ours, rival, ratio = found
        lines.append(
            f"| {row.what} | {_time(ours)} | {row.rival}: {_time(rival)} | {_short(ratio)} |"
        )
    return "\n".join(lines)


def _short(number: float) -> str:
    """Returns three significant digits, without an exponent.

    >>> _short(0.0288), _short(3941.7)
    ('0.0288', '3,942')
    """
    return f"{number:,.0f}" if number >= 999.5 else f"{number:.3g}"


def _time(seconds: float) -> str:
    return f"{_short(1e3 * seconds)}\u00a0ms" if seconds < 1 else f"{_short(seconds)}\u00a0s"


def _in_a_process(name: str, quick: bool) -> Measured | str:
    """Returns what a row measures; else why it was not measured: the other rows stay."""
    if ROWS[name].missing():
        return "not installed"
    command = [sys.executable, __file__, "--only", name, *(["--quick"] if quick else [])]
    folder = Path(__file__).parent
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode:
        print(f"{done.stderr}\n`{name}` failed", file=sys.stderr, flush=True)
        return "failed"
    ours, rival, ratio = json.loads(done.stdout.splitlines()[-1])
    return ours, rival, ratio


def _chosen(words: list[str]) -> list[str]:
    """Returns the rows that are named, or contain a word that names none; all without words."""
    parts = [word for word in words if word not in ROWS]
    return [n for n in ROWS if not words or n in words or any(part in n for part in parts)]


def _load() -> str:
    """Returns how many programs want a processor, over a minute, and how many there are."""
    return f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} processors"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("words", nargs="*", help="parts of names; all if there are none")
    parser.add_argument("--quick", action="store_true", help="small sizes, few repeats")
    parser.add_argument("--list", action="store_true", help="the names, and stop")
    parser.add_argument("--out", type=Path, help="a file for the table, written when all is done")
    parser.add_argument("--only", choices=ROWS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        print(json.dumps(ROWS[given.only].measure(given.quick)))
        return
    chosen = _chosen(given.words)
    if given.list or not chosen:
        print("\n".join(ROWS))
        raise SystemExit(0 if given.list else "no benchmark has such a name; these are all")
    load, measured = _load(), {}
    for name in chosen:
        begun = time.perf_counter()
        measured[name] = _in_a_process(name, given.quick)
        print(f"{name}: {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
    text = f"{table(measured)}\n\nLoad average before: {load}; a quiet machine has less than 1.\n"
    if given.quick:
        text += "Quick: small sizes in place of those named, timed once.\n"
    print(text)
    if given.out:
        part = given.out.with_name(given.out.name + ".part")
        part.write_text(text)
        part.replace(given.out)
    if failed := [name for name, found in measured.items() if found == "failed"]:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
