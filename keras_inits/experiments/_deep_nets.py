"""Deep plain nets on standardized images, whose layers know the law of their own weights."""

import functools

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits._compare import GivenWeights
from keras_inits._compare.weights import Weights, draw
from keras_inits.datasets import ImageDataset

Floats = NDArray[np.float32]

CLASSES = 10


def relu_net(pixels: int, layers: int, units: int) -> keras.Model:
    """Returns a ReLU net; its outputs are logits.

    Args:
        pixels: inputs.
        layers: Dense layers, the last one included.
        units: of each hidden layer.
    """
    hidden = [
        keras.layers.Dense(units, "relu", name=f"hidden_{number}") for number in range(1, layers)
    ]
    head = keras.layers.Dense(CLASSES, name="head")
    return keras.Sequential([keras.Input((pixels,)), *hidden, head])


def laws_of(net: keras.Model, root: int) -> GivenWeights:
    """Returns the scheme by which every weight starts as its layer in `net` says.

    Args:
        net: a model like those that are trained, with laws of its own.
        root: the root seed. The draws of all nets are the same but for their laws.
    """
    return GivenWeights(functools.partial(_drawn, net, root))


def _drawn(net: keras.Model, root: int, model: keras.Model, seed: int) -> Weights:
    """Returns what `model`, which is like `net`, starts from in run `seed`."""
    return draw(net, "own", root, seed)


def standardized(images: ImageDataset) -> tuple[Floats, Floats]:
    """Returns training and test images with mean 0 and deviation 1 over all training pixels."""
    pixels = images.train_images
    mean, deviation = pixels.mean(), pixels.std()
    return (pixels - mean) / deviation, (images.test_images - mean) / deviation
