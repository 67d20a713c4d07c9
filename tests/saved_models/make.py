"""Small models of every scheme, and the files of them that every later version must load.

`README.md` tells when and how to run it; what it wrote is never written again.
"""

import inspect
from pathlib import Path
from typing import Any

import keras
import numpy as np

import keras_inits

FOLDER = Path(__file__).parent / ("v" + ".".join(keras_inits.__version__.split(".")[:2]))

# Every argument of every scheme, with a value that is not the default and that fits a (4, 4) and a
# (3, 3, 4, 4) kernel, in the form that the scheme stores. A new argument has to be entered here:
# until it is, schemes keep its default, and a test of test_schemes.py fails that says so.
ARGUMENTS: dict[str, Any] = {
    "activation": None,  # excludes `gain`
    "batch_axes": (),
    "before_cut": False,
    "cell": "lstm",
    "connections": 2,
    "cut": 1.5,
    "distribution": "truncated_normal",
    "factor": 1,
    "fan_in": 50.0,
    "first": True,
    "gain": 1.5,
    "groups": 2,
    "input_axes": (-2,),
    "max_steps": 30.0,
    "maxval": 0.4,
    "mean": 0.1,
    "minval": -0.3,
    "mode": "fan_out",
    "negative_slope": 0.2,
    "omega": 20.0,
    "order": "pixel_shuffle",
    "output_axes": (-1,),
    "positive": True,
    "seed": 7,
    "sparsity": None,  # excludes `connections`
    "stddev": 0.3,
    "value": 0.25,
}
NEEDS_TAPS = {"initkit_delta_orthogonal", "initkit_dirac", "initkit_icnr"}
NEEDS_MATRIX = {"initkit_identity"}
NEEDS_VECTOR = {"initkit_chrono"}


def fitting_shape(name: str) -> tuple[int, ...]:
    """Returns a shape that the scheme of that name fills."""
    if name in NEEDS_VECTOR:
        return (24,)
    return (4, 6) if name in NEEDS_MATRIX else (3, 3, 4, 8)


def filled_weight(name: str, layer: keras.Layer) -> keras.Variable:
    """Returns the weight of one of `layers` that the scheme fills."""
    return layer.bias if name in NEEDS_VECTOR else layer.kernel


def filling_scheme(name: str, layer: keras.Layer) -> keras.initializers.Initializer:
    """Returns the initializer of that weight."""
    return layer.bias_initializer if name in NEEDS_VECTOR else layer.kernel_initializer


def with_arguments(name: str, **arguments: Any) -> keras.initializers.Initializer:
    """Returns the scheme with no argument left at its default, but for `arguments`."""
    cls = type(keras_inits.get(name))
    samples = {**ARGUMENTS, **arguments}
    return cls(**{a: samples[a] for a in inspect.signature(cls).parameters if a in samples})


def layers(name: str, spec: Any, label: str) -> list[keras.Layer]:
    """Returns a Conv2D and a Dense layer, if the scheme fits both, that `spec` fills.

    They map `(batch, 3, 3, 4)` to the same shape and are named `conv_{label}` and `dense_{label}`.
    Schemes that ask nothing of the shape fill the bias too.

    Args:
        name: the scheme.
        spec: any way of asking for that scheme.
        label: what sets these layers apart from others in the same model.
    """
    if name in NEEDS_VECTOR:
        return [keras.layers.Dense(4, "tanh", True, "zeros", spec, name=f"dense_{label}")]
    cls = type(keras_inits.get(name))
    of_kernels = issubclass(cls, keras.initializers.VarianceScaling)
    bias = "zeros" if of_kernels or name in NEEDS_TAPS | NEEDS_MATRIX else spec
    made = []
    if name not in NEEDS_MATRIX:
        made.append(
            keras.layers.Conv2D(
                4,
                3,
                padding="same",
                kernel_initializer=spec,
                bias_initializer=bias,
                name=f"conv_{label}",
            )
        )
    if name not in NEEDS_TAPS:
        made.append(
            keras.layers.Dense(
                4, kernel_initializer=spec, bias_initializer=bias, name=f"dense_{label}"
            )
        )
    return made


def chain(*made: keras.Layer) -> keras.Sequential:
    """Returns the model that applies `made` one after the other."""
    return keras.Sequential([keras.Input((3, 3, 4)), *made], name="saved")


def save_all(folder: Path) -> None:
    """Writes what a later version has to load.

    Each scheme gets a `.keras` and a `.json` with one layer. HDF5's groups take 13 KB a file, so
    that the schemes share one `.h5`. `weights.npz` holds the weights, as `layer/weight`.

    Args:
        folder: is made here.

    Raises:
        FileExistsError: there is such a folder: what a version wrote stays as it was.
    """
    folder.mkdir()
    every = []
    for name in keras_inits.names():
        layer, *_ = layers(name, with_arguments(name), name)
        model = chain(layer)
        model.save(folder / f"{name}.keras")
        (folder / f"{name}.json").write_text(model.to_json() + "\n")
        every.append(layer)
    model = chain(*every)
    model.save(folder / "every_scheme.h5")
    weights = {f"{e.name}/{weight.name}": weight.numpy() for e in every for weight in e.weights}
    np.savez_compressed(folder / "weights.npz", **weights)


if __name__ == "__main__":
    save_all(FOLDER)
