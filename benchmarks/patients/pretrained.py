"""A small pretrained net for the programs on transfer learning, in place of one of ImageNet."""

from functools import cache

import keras
import numpy as np
from data import pictures
from keras import layers

SIZE = 24


def _layers():
    """Returns convolutions with fixed seeds: to build them draws nothing from the global seed."""
    image = h = keras.Input((SIZE, SIZE, 3))
    for number, filters in enumerate((16, 32, 48)):
        start = keras.initializers.HeNormal(seed=number)
        h = layers.Conv2D(filters, 3, padding="same", use_bias=False, kernel_initializer=start)(h)
        h = layers.ReLU(6.0)(layers.BatchNormalization(momentum=0.9)(h))
        h = layers.MaxPooling2D()(h) if number < 2 else h
    return keras.Model(image, h, name="base")


@cache
def _weights():
    """Returns the weights after a training on eight classes of pictures in [-1, 1]."""
    x, y = pictures(np.random.default_rng(11), 640, SIZE, 3, 8)
    base = _layers()
    start = keras.initializers.GlorotUniform(seed=9)
    end = layers.Dense(8, "softmax", kernel_initializer=start)
    whole = keras.Sequential([base, layers.GlobalAveragePooling2D(), end])
    whole.compile(keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy")
    whole.fit(2 * x - 1, y, batch_size=32, epochs=8, shuffle=False, verbose=0)
    return base.get_weights()


def pretrained(trainable=False):
    """Returns the base, which expects pixels in [-1, 1], with its weights, frozen or not."""
    base = _layers()
    base.set_weights(_weights())
    base.trainable = trainable
    return base
