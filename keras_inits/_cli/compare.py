"""`keras-inits compare`: which scheme is better for a model on data, from the command line."""

import functools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import keras
import numpy as np
from rich.console import Console

from keras_inits import compare, datasets
from keras_inits._checks import integer
from keras_inits._cli import models
from keras_inits._cli.names import by_name, set_rate
from keras_inits._cli.progress import progress_bar
from keras_inits._compare import Comparison, Execution, one_thread_per_operation
from keras_inits._compare.data import Batches, from_images
from keras_inits._compare.execution import Trainer
from keras_inits._compare.starts import labelled
from keras_inits._compare.store import settings_file
from keras_inits._files import refuse_experiment, refuse_other_result, write_all
from keras_inits.datasets import Source


@dataclass(frozen=True)
class CompareConfig:
    """What to train: a model on data, once for each scheme and seed."""

    schemes: tuple[str, ...] = ("he", "xavier", "random_small")
    """Initializers of the kernels: any registered name; `initkit_` may be left out."""
    data: Literal["mnist", "digits"] = "mnist"
    """What to train on; digits is scikit-learn's small set, for a quick look."""
    model: models.Name = "mlp"
    """Two hidden layers of 128, 20 of 100, LeNet-5, the net of fastai's LSUV lesson, or none."""
    seeds: int = 20
    """Runs of each scheme; run k of every scheme has the same batches and derived seeds."""
    epochs: int = 5
    """Passes over the training images."""
    batch_size: int = 100
    """Images per step."""
    optimizer: str = "sgd"
    """Any name that Keras knows."""
    learning_rate: float | None = None
    """Step size; the optimizer's own by default."""
    batches: Batches = "shared"
    """Whether all seeds see the same batches, or each its own."""
    trainer: Trainer = "auto"
    """All side by side where the model allows it, or insist on that, or on `fit`."""
    seed: int = 0
    """The root seed, from which every random number follows."""
    jobs: int | None = None
    """Processes that share the work."""
    source: Source = "auto"
    """Where MNIST comes from."""
    data_dir: Path | None = None
    """Folder with the four IDX files of MNIST, gzipped or not."""
    out: Path | None = None
    """Folder for the results and the finished chunks; a killed run resumes from it."""


def run(config: CompareConfig, console: Console) -> Comparison:
    """Returns what was asked for, trained; prints progress and result, and writes files.

    Raises:
        DataError: MNIST is not to be had.
        InputError: an argument out of range, or `config.out` holds something else.
    """
    for option in ("seeds", "epochs", "batch_size"):  # before a download
        integer(f"--{option.replace('_', '-')}", getattr(config, option), minimum=1)
    integer("--seed", config.seed)
    labelled(config.schemes)
    execution = Execution(trainer=config.trainer, n_jobs=config.jobs, out=config.out)
    optimizer = by_name("--optimizer", config.optimizer, keras.optimizers)
    set_rate(optimizer, config.learning_rate)
    if config.out is not None:
        refuse_experiment(config.out)
        refuse_other_result(config.out / "result.json", settings_file(config.out).exists())
    if config.trainer != "fit":
        one_thread_per_operation()
    images = datasets.load_mnist(
        "digits" if config.data == "digits" else config.source,
        config.data_dir,
        report=functools.partial(console.print, markup=False),
    )
    console.print(images.description, markup=False)
    pixels = images.train_images.shape[1]
    side = int(np.sqrt(pixels))
    shape = (side, side, 1) if models.needs_images(config.model) else (pixels,)
    build = models.builder(config.model, shape, int(images.train_labels.max()) + 1)
    with progress_bar(console) as show:
        result = compare(
            build,
            config.schemes,
            from_images(images, (None, *shape)),
            seeds=config.seeds,
            epochs=config.epochs,
            batch_size=config.batch_size,
            optimizer=optimizer,
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
            batches=config.batches,
            seed=config.seed,
            execution=replace(execution, on_progress=show),
        )
    console.print(result.summary(), markup=False, highlight=False, soft_wrap=True)
    if config.out is not None:
        for path in write(result, config.out):
            console.print(f"wrote {path}", soft_wrap=True, markup=False)
    return result


def write(result: Comparison, out: Path) -> list[Path]:
    """Writes result.json, summary.txt and comparison.png to a folder, each whole."""
    # matplotlib is not needed by the plugin, and slow to load
    from keras_inits.plots import comparison_figure, figure_bytes

    return write_all(
        out,
        {
            "result.json": result.to_json(),
            "summary.txt": result.summary() + "\n",
            "comparison.png": figure_bytes(comparison_figure(result)),
        },
    )
