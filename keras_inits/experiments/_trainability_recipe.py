"""Nets, data and measure of "Deep information propagation", figure 5, small."""

import keras

from keras_inits._compare.data import TrainingData
from keras_inits.datasets import ImageDataset
from keras_inits.experiments._deep_nets import CLASSES, standardized

TITLE = "What depth can be trained"
BIAS_VARIANCE = 0.05  # of the hidden layers, as in the paper
BATCH, LEARNING_RATE = 64, 0.01
RECORDED_EVERY = 100  # steps between two measurements
EVALUATED = 2000  # training images on which the accuracy is measured: a standard error of 1 %
TRAINED = 0.5  # accuracy from which on a net is called trained; chance is 0.11


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


def _normal(variance: float) -> keras.initializers.Initializer:
    return keras.initializers.VarianceScaling(variance, "fan_in", "untruncated_normal")


def training_data(images: ImageDataset) -> TrainingData:
    """Returns the training images, the first of which are evaluated on, too."""
    x, _ = standardized(images)
    y = images.train_labels
    evaluation = {"train": (x[:EVALUATED], y[:EVALUATED])}
    return TrainingData(x, y, evaluation, images.description)
