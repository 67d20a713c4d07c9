"""The findings of another backend on the same programs, with the weights that TensorFlow drew.

    python benchmarks/patients/backends.py torch [--programs 30] [--seed 16]
    python benchmarks/patients/backends.py jax

Of a random sample, a healthy program for two that do not train; both sides of the latter. Prints
each side whose findings, or their order, are others, and how many are the same.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
from judge import look
from program import Program, Training
from sets import SETS


def main() -> None:
    """Runs a process for each backend, and compares what they found."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("backend", choices=("jax", "torch"))
    parser.add_argument("--programs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=16, help="of the sample")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)  # of such a process
    given = parser.parse_args()
    if given.folder is not None:
        _find(sample(given.programs, given.seed), given.folder)
        return
    with tempfile.TemporaryDirectory() as folder:
        for backend in ("tensorflow", given.backend):
            environment = os.environ | {"KERAS_BACKEND": backend}
            command = [sys.executable, *sys.argv, "--folder", folder]
            subprocess.run(command, env=environment, check=True)
        here, there = (
            json.loads(Path(folder, f"{backend}.json").read_text())
            for backend in ("tensorflow", given.backend)
        )
    others = [key for key, findings in here.items() if there[key] != findings]
    for key in others:
        print(f"{key}\n  tensorflow: {here[key]}\n  {given.backend}: {there[key]}")
    print(f"{len(here) - len(others)} of {len(here)} have the same findings in the same order")


def _find(programs: dict[str, Program], folder: Path) -> None:
    """Writes what this backend finds; TensorFlow keeps its weights in `folder`."""
    backend, found = keras.backend.backend(), {}
    for key, program in programs.items():
        for side, training in enumerate(dict.fromkeys(program.build(seed=0))):
            _share_weights(training, folder / f"{key.replace('/', '_')}-{side}.npz")
            report, error = look(training)
            found[f"{key} {side}"] = error or [[f.kind, *f.where] for f in report.findings]
        keras.backend.clear_session()
        (folder / f"{backend}.json").write_text(json.dumps(found))


def _share_weights(training: Training, file: Path) -> None:
    """Keeps the weights in a file on TensorFlow, and takes them from there on another backend."""
    if not training.model.weights:
        training.model(keras.tree.map_structure(lambda part: np.asarray(part)[:2], training.x))
    if keras.backend.backend() == "tensorflow":
        np.savez(file, *training.model.get_weights())
        return
    with np.load(file) as kept:
        training.model.set_weights([kept[name] for name in kept.files])


def sample(count: int, seed: int) -> dict[str, Program]:
    """Returns programs by their keys: a healthy one, then two that do not train, and so on."""
    healthy, broken = [], []
    for part, programs in SETS.items():
        (healthy if "healthy" in part else broken).extend(programs)
    every = {key: program for programs in SETS.values() for key, program in programs.items()}
    chance, keys = random.Random(seed), []
    for part in (healthy, broken):
        part.sort()
        chance.shuffle(part)
    while len(keys) < count:
        keys += [healthy.pop(), broken.pop(), broken.pop()]
    return {key: every[key] for key in keys[:count]}


if __name__ == "__main__":
    main()
