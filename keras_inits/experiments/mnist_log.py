"""MNIST, random against Xavier: the 20-epoch log of the first article, re-run.

The article does not say which network it trained. It is softmax regression: `Dense(10)` on 784
pixels scaled to [0, 1], biases from N(0, 1), plain SGD with learning rate 0.01 on batches of 100.
That recipe gives all 80 of its numbers.

It is trained in one of two ways. `fit` is Keras as anybody would write it, one run after another.
The population trains all runs side by side, from the same weights; the runs of a seed see the same
batches as the first seed's under `fit`, so that the log of the first seed is the same in both.
"""

import dataclasses
import functools
import io
import itertools
import json
import platform
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits import registry
from keras_inits.comparing import Progress, compare
from keras_inits.comparing.data import from_images
from keras_inits.comparing.progress import Clock
from keras_inits.comparing.weights import derived_seeds, seeded
from keras_inits.datasets import ImageDataset, Source, load_mnist
from keras_inits.files import write_whole
from keras_inits.initializers import RandomInit

CLASSES = 10


@dataclass(frozen=True)
class MnistLogConfig:
    """What to train: softmax regression on MNIST, once for each scheme and seed."""

    schemes: tuple[str, ...] = ("random", "xavier")
    """Initializers of the kernel: any registered name; `initkit_` may be left out."""
    seeds: int = 20
    """Runs of each scheme; run k of every scheme has the same batches and biases."""
    trainer: Literal["population", "fit"] = "population"
    """All runs side by side on the first seed's batches, or by `fit`, each seed on its own."""
    epochs: int = 20
    """Passes over the training images."""
    batch_size: int = 100
    """Images a step."""
    learning_rate: float = 0.01
    """Step size of plain SGD."""
    root_seed: int = 0
    """The number from which every random number of the experiment follows."""
    source: Source = "auto"
    """Where MNIST comes from."""
    data_dir: Path | None = None
    """Folder with the four IDX files of MNIST, gzipped or not."""
    out: Path | None = None
    """Folder for result.json, log.txt and curves.png; a killed run goes on from it."""

    def __post_init__(self) -> None:
        for name in ("seeds", "epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be at least 1. Received: {getattr(self, name)}")
        if not 0 < self.learning_rate < float("inf"):
            raise ValueError(
                f"`learning_rate` must be positive. Received: learning_rate={self.learning_rate}"
            )
        if self.root_seed < 0:
            raise ValueError(f"`root_seed` must not be negative. Received: {self.root_seed}")
        if not self.schemes or len(set(self.schemes)) < len(self.schemes):
            raise ValueError(
                f"`schemes` must name one scheme or more, each once. Received: {self.schemes}"
            )
        for scheme in self.schemes:
            registry.get(scheme)

    def recipe(self) -> dict[str, Any]:
        """Returns what decides the numbers of a run, besides its scheme, its seed and the data."""
        return {
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "root_seed": self.root_seed,
        }


@dataclass(frozen=True)
class TrainingRun:
    """One model trained.

    Attributes:
        scheme: the scheme, as the configuration names it.
        seed: the number of the run, from 0.
        cost: mean training cross-entropy of each epoch, as the weights move, in nats.
        accuracy: share of the test images classified rightly after each epoch.
    """

    scheme: str
    seed: int
    cost: tuple[float, ...]
    accuracy: tuple[float, ...]


@dataclass(frozen=True)
class MnistLogResult:
    """What the experiment measured.

    Attributes:
        config: what was asked for.
        data: `source`, `description` and `comparable` of the images.
        versions: of the packages that computed it.
        runs: seed by seed, in each the schemes in their order.
    """

    config: MnistLogConfig
    data: dict[str, Any]
    versions: dict[str, str]
    runs: tuple[TrainingRun, ...]

    @property
    def follows_the_article(self) -> bool:
        """Whether data and recipe are the article's, so that its numbers may stand beside."""
        article = MnistLogConfig()
        same = ("batch_size", "learning_rate")
        return bool(self.data["comparable"]) and all(
            getattr(self.config, name) == getattr(article, name) for name in same
        )

    def stacked(self, scheme: str, metric: str) -> NDArray[np.float64]:
        """Returns `"cost"` or `"accuracy"` of the runs of a scheme: `(seeds, epochs)`."""
        return np.array([getattr(run, metric) for run in self.runs if run.scheme == scheme])

    def to_dict(self) -> dict[str, Any]:
        """Returns plain data for JSON."""
        config = dataclasses.asdict(self.config)
        return {
            "experiment": "mnist-log",
            "config": {k: str(v) if isinstance(v, Path) else v for k, v in config.items()},
            "root_seed": self.config.root_seed,
            "data": self.data,
            "versions": self.versions,
            "runs": [dataclasses.asdict(run) for run in self.runs],
        }


EpochListener = Callable[[TrainingRun], object]


def run(
    config: MnistLogConfig,
    *,
    report: Callable[[str], object] = print,
    on_epoch: EpochListener = lambda run: None,
    on_progress: Callable[[Progress], object] = lambda progress: None,
) -> MnistLogResult:
    """Trains every scheme with every seed, and goes on where an earlier call stopped.

    Args:
        config: what to do. With `config.out`, the state of the runs is kept there after each epoch,
            and a later call continues from it with the same numbers.
        report: takes lines for people about the data.
        on_epoch: takes the run as far as it has come, after each epoch, those that an earlier call
            finished included. Of a population, whose runs come side by side, it gets one run after
            another when all are there.
        on_progress: takes how far the whole is.

    Raises:
        DataError: MNIST could not be had.
        ValueError: `config.out` holds runs of another recipe.
    """
    data = load_mnist(config.source, config.data_dir, report=report)
    report(data.description)
    if config.trainer == "population":
        runs = _train_population(data, config, on_epoch, on_progress)
    else:
        runs = _train_one_by_one(data, config, on_epoch, on_progress)
    packages = ("keras-inits", "keras", "tensorflow", "numpy")
    return MnistLogResult(
        config=config,
        data={
            "source": data.source,
            "description": data.description,
            "comparable": data.comparable,
        },
        versions={"python": platform.python_version()}
        | {package: metadata.version(package) for package in packages},
        runs=tuple(runs),
    )


def build_model(
    pixels: int, scheme: Any, learning_rate: float, bias_seed: int, **compile_options: Any
) -> keras.Model:
    """Returns softmax regression, compiled, with its kernel drawn by `scheme`."""
    model = keras.Sequential(
        [
            keras.Input((pixels,)),
            keras.layers.Dense(
                CLASSES, kernel_initializer=scheme, bias_initializer=RandomInit(seed=bias_seed)
            ),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.SGD(learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        **compile_options,
    )
    return model


def _train_population(
    data: ImageDataset,
    config: MnistLogConfig,
    on_epoch: EpochListener,
    on_progress: Callable[[Progress], object],
) -> list[TrainingRun]:
    compared = compare(
        # The scheme and the derived seeds take the place of those that are given here.
        functools.partial(
            build_model, data.train_images.shape[1], "zeros", config.learning_rate, bias_seed=0
        ),
        config.schemes,
        from_images(data, None),
        seeds=config.seeds,
        epochs=config.epochs,
        batch_size=config.batch_size,
        root_seed=config.root_seed,
        trainer="population",
        out=None if config.out is None else config.out / "state",
        on_progress=on_progress,
    )
    runs = [
        TrainingRun(
            scheme,
            seed,
            tuple(compared.values("loss")[i, seed].tolist()),
            tuple(_decimal(value) for value in compared.values("test_accuracy")[i, seed]),
        )
        for seed in range(config.seeds)
        for i, scheme in enumerate(config.schemes)
    ]
    for run in runs:
        for epoch in range(1, config.epochs + 1):
            on_epoch(dataclasses.replace(run, cost=run.cost[:epoch], accuracy=run.accuracy[:epoch]))
    return runs


def _train_one_by_one(
    data: ImageDataset,
    config: MnistLogConfig,
    on_epoch: EpochListener,
    on_progress: Callable[[Progress], object],
) -> list[TrainingRun]:
    feed = _Feed(data, config)
    clock = Clock(0, len(config.schemes) * config.seeds * config.epochs, on_progress)
    done = itertools.count(1)

    def tell(run: TrainingRun) -> None:
        on_epoch(run)
        clock.tell(next(done))

    return [
        _train(scheme, seed, feed, config, tell)
        for seed in range(config.seeds)
        for scheme in config.schemes
    ]


class _Feed:
    """The images in memory, and the batches of any run cut from them."""

    def __init__(self, data: ImageDataset, config: MnistLogConfig) -> None:
        import tensorflow as tf  # not needed by the plugin, and slow to load

        self.data, self.batch_size, self.root_seed = data, config.batch_size, config.root_seed
        self.steps = -(-len(data.train_labels) // config.batch_size)
        self.test = tf.data.Dataset.from_tensors((data.test_images, data.test_labels))
        self._images = tf.constant(data.train_images)
        self._labels = tf.constant(data.train_labels)
        self._tf = tf

    def batches(self, seed: int, epochs: range) -> Any:
        """Returns a `tf.data.Dataset` of the batches of these epochs, each in an order of its own.

        The order follows from the root seed, the seed and the epoch, so that a run that goes on
        sees what it would have seen.
        """
        tf, size, count = self._tf, self.batch_size, len(self.data.train_labels)
        full = count - count % size
        orders = [
            np.random.default_rng([self.root_seed, seed, epoch]).permutation(count)
            for epoch in epochs
        ]

        def cut(order: Any) -> Any:
            # An epoch looked up at once, and then cut, is quicker than batch after batch.
            parts = [tf.gather(values, order) for values in (self._images, self._labels)]
            batches = [tf.reshape(x[:full], (-1, size, *x.shape[1:])) for x in parts]
            epoch = tf.data.Dataset.from_tensor_slices(tuple(batches))
            if full < count:
                rest = tf.data.Dataset.from_tensors(tuple(x[full:] for x in parts))
                epoch = epoch.concatenate(rest)
            return epoch

        return tf.data.Dataset.from_tensor_slices(np.stack(orders)).flat_map(cut)


def _train(
    scheme: str, seed: int, feed: _Feed, config: MnistLogConfig, on_epoch: EpochListener
) -> TrainingRun:
    kernel_seed, bias_seed = derived_seeds(config.root_seed, seed, 2)
    initializer = seeded(registry.get(scheme), kernel_seed)
    model = build_model(
        feed.data.train_images.shape[1],
        initializer,
        config.learning_rate,
        bias_seed,
        steps_per_execution=feed.steps,  # the whole epoch in one call
        jit_compile=False,  # on a CPU a step this small costs more through XLA than without
    )
    recorder = _Recorder(
        TrainingRun(scheme, seed, (), ()),
        on_epoch,
        _state_file(config.out, scheme, seed),
        settings={
            **config.recipe(),
            "data": feed.data.name,
            "initializer": keras.saving.serialize_keras_object(initializer),
        },
    )
    finished = recorder.resume(model, config.epochs)
    if finished < config.epochs:
        model.fit(
            feed.batches(seed, range(finished, config.epochs)),
            steps_per_epoch=feed.steps,
            initial_epoch=finished,
            epochs=config.epochs,
            validation_data=feed.test,
            callbacks=[recorder],
            shuffle=False,  # the batches come shuffled
            verbose=0,
        )
    return recorder.run


class _Recorder(keras.callbacks.Callback):
    """Keeps the log of a run and, after each epoch, the state from which it can go on."""

    def __init__(
        self,
        run: TrainingRun,
        on_epoch: EpochListener,
        file: Path | None,
        settings: dict[str, Any],
    ) -> None:
        super().__init__()
        self.run, self._on_epoch, self._file = run, on_epoch, file
        self._settings = json.loads(json.dumps(settings))  # as it comes back from the file

    def resume(self, model: keras.Model, epochs: int) -> int:
        """Takes up the state on disk, if there is one; returns how many epochs are finished."""
        if self._file is None or not self._file.exists():
            return 0
        try:
            with np.load(self._file) as archive:
                state = dict(archive)
        except (ValueError, OSError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"The state {self._file} is damaged ({error}). Delete it to train that run again."
            ) from error
        saved = json.loads(str(state["settings"]))
        if different := [k for k in saved if saved[k] != self._settings.get(k)]:
            raise ValueError(
                f"{self._file} is the state of a run with other settings: "
                + ", ".join(f"{k}={saved[k]!r}" for k in different)
                + ". Choose another `out`, or delete that folder. Received: "
                + ", ".join(f"{k}={self._settings.get(k)!r}" for k in different)
            )
        model.set_weights([state["kernel"], state["bias"]])
        for cost, accuracy in zip(state["cost"][:epochs], state["accuracy"], strict=False):
            self._append(float(cost), float(accuracy))
            self._on_epoch(self.run)
        return len(self.run.cost)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Notes the epoch and writes the state down."""
        assert logs is not None
        self._append(_decimal(logs["loss"]), _decimal(logs["val_accuracy"]))
        if self._file is not None:
            self._save(self._file)
        self._on_epoch(self.run)  # what has been shown has been kept

    def _append(self, cost: float, accuracy: float) -> None:
        self.run = dataclasses.replace(
            self.run, cost=(*self.run.cost, cost), accuracy=(*self.run.accuracy, accuracy)
        )

    def _save(self, file: Path) -> None:
        kernel, bias = self.model.get_weights()
        buffer = io.BytesIO()
        np.savez(
            buffer,
            settings=json.dumps(self._settings),
            kernel=kernel,
            bias=bias,
            cost=self.run.cost,
            accuracy=self.run.accuracy,
        )
        write_whole(file, buffer.getvalue())


def _state_file(out: Path | None, scheme: str, seed: int) -> Path | None:
    if out is None:
        return None
    return out / "state" / f"{re.sub(r'[^0-9A-Za-z_]', '-', scheme)}-{seed}.npz"


def _decimal(value: float) -> float:
    """Returns the shortest decimal that means this float32: 0.2899 for 0.28990000486."""
    return float(str(np.float32(value)))
