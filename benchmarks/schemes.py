"""Each scheme against Keras's own of the same law, on the backend that is set.

    python benchmarks/schemes.py

Prints milliseconds and the ratio (below 1: ours is faster), and how far the orthogonal kernels are
from QᵀQ = I.
"""

import keras
import numpy as np
from keras.initializers import VarianceScaling
from rich.console import Console
from rich.table import Table
from timing import paired_ratio

import keras_inits

SHAPES = {(784, 100): 200, (1024, 1024): 20, (4096, 4096): 5, (3, 3, 512, 512): 10}
SAME_LAW = {
    "zeros": keras.initializers.Zeros(),
    "ones": keras.initializers.Ones(),
    "constant": keras.initializers.Constant(0.01),
    "random": keras.initializers.RandomNormal(0.0, 1.0),
    "uniform": keras.initializers.RandomUniform(),
    "truncated_normal": keras.initializers.TruncatedNormal(),
    "xavier": VarianceScaling(1.0, "fan_in", "untruncated_normal"),
    "glorot": VarianceScaling(1.0, "fan_avg", "untruncated_normal"),
    "glorot_uniform": keras.initializers.GlorotUniform(),
    "he": VarianceScaling(2.0, "fan_in", "untruncated_normal"),
    "he_uniform": keras.initializers.HeUniform(),
    "lecun_uniform": keras.initializers.LecunUniform(),
    "orthogonal": keras.initializers.Orthogonal(),
    "hadamard_orthogonal": keras.initializers.Orthogonal(),  # its moments up to the second
    "identity": keras.initializers.Identity(),
}


def main() -> None:
    table = Table("scheme", "shape", "ours, ms", "Keras, ms", "ours / Keras")
    for name, theirs in SAME_LAW.items():
        ours = keras_inits.get(f"initkit_{name}")
        for shape, repeats in SHAPES.items():
            if name == "identity" and len(shape) > 2:
                continue
            seconds = paired_ratio(
                lambda ours=ours, shape=shape: np.asarray(ours(shape)),
                lambda theirs=theirs, shape=shape: np.asarray(theirs(shape)),
                repeats=repeats,
            )
            table.add_row(
                name,
                "x".join(map(str, shape)),
                f"{1e3 * seconds[0]:.3g}",
                f"{1e3 * seconds[1]:.3g}",
                f"{seconds[2]:.2f}",
            )
    console = Console()
    console.print(f"keras {keras.__version__} on {keras.backend.backend()}")
    console.print(table)
    for size in (784, 4096):
        for cls in (keras_inits.OrthogonalInit, keras_inits.HadamardOrthogonalInit):
            q = np.asarray(cls(seed=1)((size, size)))
            error = np.abs(q.T @ q - np.eye(size)).max()
            console.print(f"{cls.__name__}, largest entry of QᵀQ - I at {size}²: {error:.1e}")


if __name__ == "__main__":
    main()
