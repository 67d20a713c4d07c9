"""Where the images come from: MNIST from whichever source answers, checked the same way."""

from keras_inits.datasets._image_dataset import DataError, ImageDataset
from keras_inits.datasets._mnist import MNIST_SOURCES, Source, load_mnist

__all__ = ["MNIST_SOURCES", "DataError", "ImageDataset", "Source", "load_mnist"]


def __dir__() -> list[str]:
    return sorted(__all__)
