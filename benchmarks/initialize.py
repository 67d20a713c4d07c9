"""`keras_inits.initialize` against building the model, and against NumPy's normal.

    python benchmarks/initialize.py [--layers 8]

The stack has `--layers` Dense layers of 4096 x 4096; 60 of them are a billion parameters. Prints
ratios, and how much memory the process took beyond what it held before.
"""

import argparse
import resource
import time

import keras
import numpy as np
from rich.console import Console
from rich.table import Table
from timing import paired_ratio

import keras_inits

UNITS = 4096


def stack(layers: int) -> keras.Model:
    model = keras.Sequential([keras.Input((UNITS,))], name="stack")
    for _ in range(layers):
        model.add(keras.layers.Dense(UNITS, use_bias=False, kernel_initializer="zeros"))
    return model


def against_numpy(
    layers: int, dtype: str = "float64", repeats: int = 3
) -> tuple[float, float, float]:
    """Returns seconds of `initialize` on the stack, of NumPy's normal, and the ratio."""
    model = stack(layers)
    generator = np.random.default_rng(0)

    def numpy_normal() -> None:
        for _ in range(layers):
            generator.standard_normal((UNITS, UNITS), dtype=dtype)

    return paired_ratio(
        lambda: keras_inits.initialize(model, seed=1), numpy_normal, repeats=repeats
    )


def peak_mebibytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--layers", type=int, default=8)
    layers = parser.parse_args().layers

    model = stack(layers)
    before = peak_mebibytes()
    start = time.perf_counter()
    keras_inits.initialize(model, seed=1)
    first = time.perf_counter() - start
    extra = peak_mebibytes() - before
    weight = UNITS * UNITS * 4 / 2**20

    parameters = model.count_params()
    del model
    table = Table("ours", "against", "ours, s", "theirs, s", "ours / theirs")
    for dtype in ("float32", "float64"):
        seconds = against_numpy(layers, dtype)
        table.add_row(
            f"initialize, {parameters:.3g} parameters",
            f"NumPy standard_normal, {dtype}",
            *(f"{value:.3g}" for value in seconds),
        )
    resnet = keras.applications.ResNet50(weights=None)
    seconds = paired_ratio(
        lambda: keras_inits.initialize(resnet, seed=1),
        lambda: keras.applications.ResNet50(weights=None),
        repeats=9,
    )
    table.add_row("initialize, ResNet50", "building it", *(f"{value:.3g}" for value in seconds))

    console = Console()
    console.print(f"keras {keras.__version__} on {keras.backend.backend()}")
    console.print(table)
    console.print(
        f"first call on the stack: {first:.3g} s, {extra:.0f} MiB beyond the model, "
        f"{extra / weight:.1f} times its largest weight"
    )


if __name__ == "__main__":
    main()
