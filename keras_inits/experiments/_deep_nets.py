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
BIAS_VARIANCE = 0.05  # of the tanh nets' hidden layers; Schoenholz et al. 2017, figure 5


def tanh_net(pixels: int, depth: int, units: int, variance: float = 1.0) -> keras.Model:
    """Returns a tanh net; its outputs are logits.

    Args:
        pixels: inputs.
        depth: hidden layers.
        units: of each.
        variance: of the hidden weights, times fan_in.
    """
    hidden = [
        keras.layers.Dense(
            units,
            "tanh",
            kernel_initializer=_normal(variance),
            bias_initializer=keras.initializers.RandomNormal(stddev=BIAS_VARIANCE**0.5),
            name=f"hidden_{number}",
        )
        for number in range(1, depth + 1)
    ]
    head = keras.layers.Dense(CLASSES, kernel_initializer=_normal(1.0), name="head")
    return keras.Sequential([keras.Input((pixels,)), *hidden, head])


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


def _normal(variance: float) -> keras.initializers.Initializer:
    return keras.initializers.VarianceScaling(variance, "fan_in", "untruncated_normal")


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
