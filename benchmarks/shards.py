"""What one process draws of a weight of which it holds an eighth, against the whole.

    python benchmarks/shards.py

A weight of 16384 x 4096 normal numbers in float32, by what `initialize` draws shards with:
processor seconds, and memory at the peak beyond what the process held before. Each case has a
process of its own, which runs it once small and once in full.
"""

import argparse
import resource
import subprocess
import sys
import time

from keras_inits._initialize.writing import independent_parts

ROWS, COLUMNS, SHARE = 16384, 4096, 8
CASES = {
    "the whole": ((0, ROWS), (0, COLUMNS)),
    "the eighth, cut along the first axis": ((0, ROWS // SHARE), (0, COLUMNS)),
    "the eighth, cut along the last axis": ((0, ROWS), (0, COLUMNS // SHARE)),
}


def peak_mebibytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(case: str) -> None:
    shape, part = (ROWS, COLUMNS), CASES[case]
    small = tuple((first, first + (end - first) // 64) for first, end in part)
    independent_parts("normal", shape, 0.02, "float32", 1, [small])
    before, start = peak_mebibytes(), time.process_time()
    (values,) = independent_parts("normal", shape, 0.02, "float32", 1, [part])
    seconds, peak = time.process_time() - start, peak_mebibytes() - before
    per_number = seconds / values.size * 1e9
    print(
        f"{case:37} {seconds:6.2f} s  {peak:5.0f} MiB  {per_number:5.1f} ns a number of its own",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--case", choices=CASES)
    case = parser.parse_args().case
    if case is not None:
        measure(case)
        return
    for each in CASES:
        subprocess.run([sys.executable, __file__, "--case", each], check=True)


if __name__ == "__main__":
    main()
