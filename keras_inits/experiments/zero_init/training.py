"""Zero-init, trained: nets with hidden units, and three models without them."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits._compare import Comparison, Execution, compare
from keras_inits._compare.data import TrainingData
from keras_inits._compare.weights import draw, labelled
from keras_inits._progress import Progress, part_of
from keras_inits._schemes import ConstantInit, HeInit, ZerosInit
from keras_inits.datasets import ImageDataset, load_mnist
from keras_inits.experiments.record import decimal, versions
from keras_inits.experiments.zero_init.result import ZeroInitConfig, ZeroInitResult, ZeroInitRun

UNITS, CLASSES, BATCH = 100, 10, 100
SCHEMES = {"zeros": ZerosInit(), "he": HeInit(), "constant": ConstantInit(0.5)}
CONVEX_EPOCHS = 5


@dataclass(frozen=True)
class ConvexModel:
    """A model without hidden units.

    Attributes:
        outputs: how many.
        target: what it is to say of a digit.
        loss: convex in the weights.
        metric: measured on the test images. A function that makes it, since a metric has variables,
            and with the first of them TensorFlow starts.
    """

    outputs: int
    target: Callable[[NDArray[Any]], NDArray[Any]]
    loss: keras.losses.Loss
    metric: Callable[[], keras.metrics.Metric]


def _digit(labels: NDArray[Any]) -> NDArray[Any]:
    return labels


def _odd(labels: NDArray[Any]) -> NDArray[Any]:
    return (labels % 2).astype("float32")


def _value(labels: NDArray[Any]) -> NDArray[Any]:
    return labels.astype("float32")


CONVEX = {
    "softmax": ConvexModel(
        CLASSES,
        _digit,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        functools.partial(keras.metrics.SparseCategoricalAccuracy, "accuracy"),
    ),
    "logistic": ConvexModel(
        1,
        _odd,
        keras.losses.BinaryCrossentropy(from_logits=True),
        functools.partial(keras.metrics.BinaryAccuracy, "accuracy", threshold=0.0),
    ),
    "linear": ConvexModel(
        1,
        _value,
        keras.losses.MeanSquaredError(),
        functools.partial(keras.metrics.MeanSquaredError, "squared_error"),
    ),
}


def run(
    config: ZeroInitConfig,
    *,
    report: Callable[[str], object] = print,
    on_progress: Callable[[Progress], object] = lambda progress: None,
) -> ZeroInitResult:
    """Trains the nets and the models without hidden units.

    Args:
        config: what to do. With `config.out`, each finished epoch is kept there, and a later call
            goes on from it.
        report: takes lines for people about the data.
        on_progress: takes how far the whole is.

    Raises:
        DataError: MNIST could not be had.
        ValueError: `config.out` holds runs of another recipe.
    """
    images = load_mnist(config.source, config.data_dir, report=report)
    report(images.description)
    net_epochs = len(SCHEMES) * config.epochs
    convex_epochs = 2 * config.seeds * min(CONVEX_EPOCHS, config.epochs)
    total = net_epochs + len(CONVEX) * convex_epochs

    net = functools.partial(build, images.train_images.shape[1])
    compared = compare(
        net,
        SCHEMES,
        _data(images, _digit),
        seeds=1,
        epochs=config.epochs,
        batch_size=BATCH,
        optimizer="adam",
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        seed=config.root_seed,
        keep_weights=True,
        execution=Execution(
            # Two nets for one thread, and the constant, which is last, alone in the other: in the
            # products of several nets at once its equal units might be rounded apart.
            threads=2,
            out=None if config.out is None else config.out / "state" / "net",
            on_progress=part_of(on_progress, 0, total),
        ),
    )
    convex = {
        name: _convex(
            images, name, config, part_of(on_progress, net_epochs + number * convex_epochs, total)
        )
        for number, name in enumerate(CONVEX)
    }
    return ZeroInitResult(
        config=config,
        data=images.provenance(),
        versions=versions(),
        runs=tuple(_run(compared, net(), scheme) for scheme in compared.schemes),
        frequencies=np.bincount(images.train_labels, minlength=CLASSES) / len(images.train_labels),
        last_bias=np.asarray(compared.weights["zeros", 0][3], float),
        convex=convex,
    )


def build(pixels: int) -> keras.Model:
    """Returns the net with hidden units; its outputs are logits."""
    return keras.Sequential(
        [
            keras.Input((pixels,)),
            keras.layers.Dense(UNITS, "relu", name="hidden"),
            keras.layers.Dense(CLASSES, name="output"),
        ]
    )


def build_convex(pixels: int, outputs: int) -> keras.Model:
    """Returns one layer without activation."""
    return keras.Sequential([keras.Input((pixels,)), keras.layers.Dense(outputs)])


def _convex(
    images: ImageDataset,
    name: str,
    config: ZeroInitConfig,
    on_progress: Callable[[Progress], object],
) -> Comparison:
    model = CONVEX[name]
    return compare(
        functools.partial(build_convex, images.train_images.shape[1], model.outputs),
        labelled(["zeros", "xavier"]),
        _data(images, model.target),
        seeds=config.seeds,
        epochs=min(CONVEX_EPOCHS, config.epochs),
        batch_size=BATCH,
        optimizer="adam",
        loss=model.loss,
        metrics=[model.metric()],
        seed=config.root_seed,
        execution=Execution(
            out=None if config.out is None else config.out / "state" / name,
            on_progress=on_progress,
        ),
    )


def _data(images: ImageDataset, target: Callable[[NDArray[Any]], NDArray[Any]]) -> TrainingData:
    return TrainingData(
        images.train_images,
        target(images.train_labels),
        {"test": (images.test_images, target(images.test_labels))},
        images.description,
    )


def _run(compared: Comparison, model: keras.Model, scheme: str) -> ZeroInitRun:
    start = draw(model, SCHEMES[scheme], compared.seed, 0)
    end = compared.weights[scheme, 0]
    kernel = end[0]
    index = compared.schemes.index(scheme)
    return ZeroInitRun(
        scheme,
        0,
        tuple(compared.values("loss")[index, 0].tolist()),
        tuple(decimal(value) for value in compared.values("test_accuracy")[index, 0]),
        units_apart=float((kernel.max(axis=1) - kernel.min(axis=1)).max()),
        moved={
            variable.path.partition("/")[2]: float(np.abs(after - before).max())
            for variable, before, after in zip(model.trainable_variables, start, end, strict=True)
        },
    )
