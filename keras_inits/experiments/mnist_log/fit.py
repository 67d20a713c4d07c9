"""The MNIST log by Keras's `fit`, as anybody would write it, one run after another."""

import dataclasses
import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_inits import _registry
from keras_inits._compare.weights import derived_seeds
from keras_inits._files import read_arrays, refuse_other_settings, write_arrays
from keras_inits._progress import Clock, Progress
from keras_inits._schemes import RandomInit
from keras_inits._schemes.geometric import with_seed
from keras_inits.datasets import ImageDataset
from keras_inits.experiments.mnist_log.result import (
    EpochListener,
    MnistLogConfig,
    TrainingRun,
)
from keras_inits.experiments.record import decimal

CLASSES = 10


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


def train_one_by_one(
    data: ImageDataset,
    config: MnistLogConfig,
    on_epoch: EpochListener,
    on_progress: Callable[[Progress], object],
) -> list[TrainingRun]:
    """Trains every scheme with every seed; a state on disk is taken up after its last epoch."""
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
    initializer = with_seed(_registry.get(scheme), kernel_seed)
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
        state = read_arrays(self._file)
        refuse_other_settings(self._file, json.loads(str(state["settings"])), self._settings)
        model.set_weights([state["kernel"], state["bias"]])
        for cost, accuracy in zip(state["cost"][:epochs], state["accuracy"], strict=False):
            self._append(float(cost), float(accuracy))
            self._on_epoch(self.run)
        return len(self.run.cost)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Notes the epoch and writes the state down."""
        assert logs is not None
        self._append(decimal(logs["loss"]), decimal(logs["val_accuracy"]))
        if self._file is not None:
            self._save(self._file)
        self._on_epoch(self.run)  # what has been shown has been kept

    def _append(self, cost: float, accuracy: float) -> None:
        self.run = dataclasses.replace(
            self.run, cost=(*self.run.cost, cost), accuracy=(*self.run.accuracy, accuracy)
        )

    def _save(self, file: Path) -> None:
        kernel, bias = self.model.get_weights()
        write_arrays(
            file,
            settings=json.dumps(self._settings),
            kernel=kernel,
            bias=bias,
            cost=self.run.cost,
            accuracy=self.run.accuracy,
        )


def _state_file(out: Path | None, scheme: str, seed: int) -> Path | None:
    if out is None:
        return None
    return out / "state" / f"{re.sub(r'[^0-9A-Za-z_]', '-', scheme)}-{seed}.npz"
