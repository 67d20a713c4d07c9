"""Every benchmark that has a rival, in one table of Markdown: what, ours, the rival, the ratio.

    python benchmarks/run.py                    # all of them
    python benchmarks/run.py orthogonal import  # those whose names contain one of these words
    python benchmarks/run.py --quick            # small sizes, few repeats: does it run?
    python benchmarks/run.py --list

Both sides of a row are timed in turn on the machine at hand (`timing.py`); a ratio below 1 means
that ours is faster. Each row is measured in a process of its own, since compiled functions, threads
and memory of one would change another. What has more than one number to show has a program of its
own next to this one.
"""

import argparse
import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from timing import paired_ratio

Measured = tuple[float, float, float]  # seconds of ours, of the rival; ratio


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        what: what is timed.
        rival: what it is compared with.
        measure: whether to be quick -> seconds of both and the ratio.
    """

    what: str
    rival: str
    measure: Callable[[bool], Measured]


def _scheme(name: str, theirs: str, shape: tuple[int, ...]) -> Callable[[bool], Measured]:
    def measure(quick: bool) -> Measured:
        import keras
        import numpy as np

        import keras_inits

        size = tuple(min(side, 256) for side in shape) if quick else shape
        ours, rival = keras_inits.get(f"initkit_{name}"), keras.initializers.get(theirs)
        return paired_ratio(
            lambda: np.asarray(ours(size)),
            lambda: np.asarray(rival(size)),
            repeats=1 if quick else 5,
        )

    return measure


def _initialize_stack(quick: bool) -> Measured:
    initialize = importlib.import_module("initialize")
    return initialize.against_numpy(1 if quick else 60, repeats=1 if quick else 3)


def _initialize_resnet(quick: bool) -> Measured:
    import keras

    import keras_inits

    build = keras.applications.MobileNetV2 if quick else keras.applications.ResNet50
    model = build(weights=None)
    return paired_ratio(
        lambda: keras_inits.initialize(model, seed=1),
        lambda: build(weights=None),
        repeats=1 if quick else 9,
    )


def _import(quick: bool) -> Measured:
    import_time = importlib.import_module("import_time")
    return paired_ratio(
        lambda: import_time.fresh_import("keras_inits"),
        lambda: import_time.fresh_import("keras"),
        repeats=1 if quick else 9,
    )


ROWS = {
    "orthogonal": Row(
        "`initkit_orthogonal`, 4096 x 4096",
        "Keras's `Orthogonal`",
        _scheme("orthogonal", "orthogonal", (4096, 4096)),
    ),
    "orthogonal-convolution": Row(
        "`initkit_orthogonal`, 3 x 3 x 512 x 512",
        "Keras's `Orthogonal`",
        _scheme("orthogonal", "orthogonal", (3, 3, 512, 512)),
    ),
    "hadamard": Row(
        "`initkit_hadamard_orthogonal`, 4096 x 4096",
        "Keras's `Orthogonal`",
        _scheme("hadamard_orthogonal", "orthogonal", (4096, 4096)),
    ),
    "normal": Row(
        "`initkit_he`, 4096 x 4096",
        "Keras's `he_normal`",
        _scheme("he", "he_normal", (4096, 4096)),
    ),
    "initialize": Row(
        "`initialize`, a billion parameters in Dense layers",
        "NumPy's `standard_normal`, float64, one thread",
        _initialize_stack,
    ),
    "initialize-resnet": Row("`initialize`, ResNet50", "building it", _initialize_resnet),
    "import": Row("`import keras_inits`", "`import keras`", _import),
}


def table(measured: dict[str, Measured]) -> str:
    """Returns rows of the README's table, in Markdown."""
    lines = ["| what | ours | rival | ratio |", "|---|---|---|---|"]
    for name, (ours, rival, ratio) in measured.items():
        row = ROWS[name]
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
    return f"{_short(1e3 * seconds)} ms" if seconds < 1 else f"{_short(seconds)} s"


def _in_a_process(name: str, quick: bool) -> Measured:
    command = [sys.executable, __file__, "--only", name, *(["--quick"] if quick else [])]
    folder = Path(__file__).parent
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=folder)
    ours, rival, ratio = json.loads(done.stdout.splitlines()[-1])
    return ours, rival, ratio


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("words", nargs="*", help="parts of names; all if there are none")
    parser.add_argument("--quick", action="store_true", help="small sizes, few repeats")
    parser.add_argument("--list", action="store_true", help="the names, and stop")
    parser.add_argument("--only", choices=ROWS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        print(json.dumps(ROWS[given.only].measure(given.quick)))
        return
    chosen = [n for n in ROWS if not given.words or any(word in n for word in given.words)]
    if given.list or not chosen:
        print("\n".join(ROWS))
        raise SystemExit(0 if given.list else "no benchmark has such a name; these are all")
    measured = {}
    for name in chosen:
        print(f"{name} ...", file=sys.stderr, flush=True)
        measured[name] = _in_a_process(name, given.quick)
    print(table(measured))
    if given.quick:
        print("\nQuick: small sizes in place of those named, timed once.")


if __name__ == "__main__":
    main()
