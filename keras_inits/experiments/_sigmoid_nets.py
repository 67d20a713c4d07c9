"""A deep sigmoid net from random starts and from pre-training, and what the latter cost."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits._compare.models import compiled_by_xla
from keras_inits._compare.weights import Weights, derived_seeds, draw
from keras_inits._files import (
    read_arrays,
    read_json,
    refuse_other_settings,
    write_arrays,
    write_whole,
)
from keras_inits._starts import pretrain

TITLE = "Pre-training against random starts"
CLASSES, HIDDEN, UNITS, BATCH, LEARNING_RATE = 10, 5, 200, 100, 0.1

# By scheme, the law of the hidden kernels: equation 1, equation 16 and section 4.2.1 of Glorot &
# Bengio 2010. https://proceedings.mlr.press/v9/glorot10a.html
LAWS: Mapping[str, Callable[[], keras.initializers.Initializer]] = {
    # U(-1/sqrt(fan_in), 1/sqrt(fan_in)) has the variance 1 / (3 fan_in).
    "standard": lambda: keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform"),
    "glorot": lambda: keras.initializers.GlorotUniform(),
    "glorot_4": lambda: keras.initializers.VarianceScaling(4.0**2, "fan_avg", "uniform"),
}
BEFORE = "glorot_4"  # what pre-training starts from

# Denoising autoencoders; the recipe was found by trial.
LEVEL, AUTOENCODER_BATCH = 0.25, 50  # share of the inputs masked; images a step

PRETRAINED = "pretrained"
TITLES = {
    "standard": "standard",
    "glorot": "Glorot",
    "glorot_4": "Glorot × 4",
    PRETRAINED: "pre-trained",
}
TARGET = 0.90  # test accuracy whose cost is reported
STEPS = 100  # between two measurements, with few labels: one epoch of 10,000 images


@dataclass(frozen=True, eq=False)
class PreTrained:
    """What pre-training made of one net.

    Attributes:
        weights: in the order of `trainable_variables`.
        errors: mean squared reconstruction error of each hidden layer, `(5,)`.
        seconds: what it took, in processor seconds: another program's do not count.
    """

    weights: Weights
    errors: NDArray[np.float64]
    seconds: float


def build(pixels: int, scheme: str = "glorot") -> keras.Model:
    """Returns 784-200-200-200-200-200-10, sigmoid; its outputs are logits, its last kernel is 0."""
    hidden = [
        keras.layers.Dense(
            UNITS, "sigmoid", kernel_initializer=LAWS[scheme](), name=f"hidden_{number}"
        )
        for number in range(1, HIDDEN + 1)
    ]
    head = keras.layers.Dense(CLASSES, kernel_initializer="zeros", name="head")
    return keras.Sequential([keras.Input((pixels,)), *hidden, head])


def pre_trained(
    x: NDArray[np.float32],
    *,
    epochs: int,
    root: int,
    seed: int,
    file: Path | None,
    settings: Mapping[str, Any],
    tell: Callable[[int], object],
) -> PreTrained:
    """Returns a net pre-trained on images without labels, read from `file` if that holds it.

    Args:
        x: the images.
        epochs: how often each layer sees them.
        root: the root seed.
        seed: the number of the run.
        file: where the net is kept; nowhere if None.
        settings: what decides the numbers.
        tell: takes the number of epochs of layers that are done.

    Raises:
        InputError: the file is damaged, or holds a net of other settings.
    """
    if file is not None and file.exists():
        kept = read_arrays(file)
        refuse_other_settings(file, json.loads(str(kept["settings"])), settings)
        weights = [kept[f"arr_{number}"] for number in range(2 * (HIDDEN + 1))]
        return PreTrained(weights, kept["errors"], float(kept["seconds"]))
    model = build(x.shape[1], BEFORE)
    for variable, value in zip(
        model.trainable_variables, draw(model, "own", root, seed), strict=True
    ):
        variable.assign(value)
    start = time.process_time()
    done = pretrain(
        model,
        x,
        epochs=epochs,
        batch_size=AUTOENCODER_BATCH,
        noise="masking",
        level=LEVEL,
        optimizer=keras.optimizers.SGD(LEARNING_RATE),
        seed=derived_seeds(root, seed, 1)[0],
        on_progress=lambda progress: tell(progress.done),
    )
    seconds = time.process_time() - start
    trained = [row for row in done.rows if not row.left_alone]
    found = PreTrained(
        [keras.ops.convert_to_numpy(variable) for variable in model.trainable_variables],
        np.array([row.error for row in trained]),
        seconds,
    )
    if file is not None:
        write_arrays(
            file,
            *found.weights,
            errors=found.errors,
            seconds=found.seconds,
            settings=json.dumps(settings),
        )
    return found


def given(nets: Sequence[Weights], model: keras.Model, seed: int) -> Weights:
    """Returns what the net of run `seed` starts from."""
    return nets[seed]


def epoch_seconds(x: NDArray[np.float32], y: NDArray[np.int32], file: Path | None) -> float:
    """Returns the processor seconds of an epoch of one net, read from `file` if that holds them."""
    if file is not None and file.exists():
        return float(read_json(file)["seconds"])
    model = build(x.shape[1])
    model.compile(
        optimizer=keras.optimizers.SGD(LEARNING_RATE),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=compiled_by_xla(),
    )
    order = {"batch_size": BATCH, "shuffle": False, "verbose": 0}
    model.fit(x[:BATCH], y[:BATCH], **order)  # traced
    start = time.process_time()
    model.fit(x, y, **order)
    seconds = time.process_time() - start
    if file is not None:
        write_whole(file, json.dumps({"seconds": seconds}) + "\n")
    return seconds


def some_a_class(labels: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    """Returns the rows of the first `count` samples of each class, in their order.

    >>> some_a_class(np.array([1, 0, 1, 1, 0, 0]), 2).tolist()
    [0, 1, 2, 4]
    """
    firsts = [np.flatnonzero(labels == label)[:count] for label in np.unique(labels)]
    return np.sort(np.concatenate(firsts))
