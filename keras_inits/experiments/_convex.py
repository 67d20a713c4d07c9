"""Three models without hidden units on MNIST, whose losses are convex in the weights."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
from numpy.typing import NDArray

from keras_inits._compare.data import TrainingData
from keras_inits.datasets import ImageDataset

CLASSES = 10
Target = Callable[[NDArray[Any]], NDArray[Any]]


@dataclass(frozen=True)
class ConvexModel:
    """A model without hidden units.

    Attributes:
        title: what it is and what is measured.
        outputs: how many.
        target: what it is to say about a digit, from the labels.
        loss: convex in the weights.
        metric: makes the metric of the test images. A metric has variables, and with the first of
            them TensorFlow starts.
    """

    title: str
    outputs: int
    target: Target
    loss: keras.losses.Loss
    metric: Callable[[], keras.metrics.Metric]


def digit(labels: NDArray[Any]) -> NDArray[Any]:
    """Returns the labels as they are."""
    return labels


def _odd(labels: NDArray[Any]) -> NDArray[Any]:
    return (labels % 2).astype("float32")


def _value(labels: NDArray[Any]) -> NDArray[Any]:
    return labels.astype("float32")


CONVEX: Mapping[str, ConvexModel] = {
    "softmax": ConvexModel(
        "softmax regression, accuracy",
        CLASSES,
        digit,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        functools.partial(keras.metrics.SparseCategoricalAccuracy, "accuracy"),
    ),
    "logistic": ConvexModel(
        "logistic regression (odd?), accuracy",
        1,
        _odd,
        keras.losses.BinaryCrossentropy(from_logits=True),
        functools.partial(keras.metrics.BinaryAccuracy, "accuracy", threshold=0.0),
    ),
    "linear": ConvexModel(
        "linear regression (value), squared error",
        1,
        _value,
        keras.losses.MeanSquaredError(),
        functools.partial(keras.metrics.MeanSquaredError, "squared_error"),
    ),
}


def build_convex(pixels: int, outputs: int) -> keras.Model:
    """Returns one layer without activation."""
    return keras.Sequential([keras.Input((pixels,)), keras.layers.Dense(outputs)])


def training_data(images: ImageDataset, target: Target) -> TrainingData:
    """Returns images with what a model is to say about them."""
    return TrainingData(
        images.train_images,
        target(images.train_labels),
        {"test": (images.test_images, target(images.test_labels))},
        images.description,
    )
