"""Short ways to write the nets and optimizers of the programs."""

import keras
from keras import layers

BCE, CCE = "binary_crossentropy", "categorical_crossentropy"
SPARSE = "sparse_categorical_crossentropy"


def normal(std):
    """Returns an initializer N(0, std**2) that draws anew at each call.

    Keras's own instances give the same values each time.
    """

    def draw(shape, dtype=None):
        return keras.random.normal(shape, stddev=std, dtype=dtype)

    return draw


def uniform(bound):
    """Returns an initializer U(-bound, bound) that draws anew at each call."""

    def draw(shape, dtype=None):
        return keras.random.uniform(shape, -bound, bound, dtype=dtype)

    return draw


NARROW = {"kernel_initializer": uniform(0.05)}  # Keras 1's default
NORMAL_05 = {"kernel_initializer": normal(0.05)}
NORMAL_1 = {"kernel_initializer": normal(1.0), "bias_initializer": normal(1.0)}


def sgd(rate=0.01, momentum=0.0, **options):
    """Returns plain gradient descent."""
    return keras.optimizers.SGD(rate, momentum=momentum, **options)


def nesterov(rate, momentum):
    """Returns gradient descent with Nesterov's momentum."""
    return keras.optimizers.SGD(rate, momentum=momentum, nesterov=True)


def adam(rate=0.001, **options):
    """Returns Adam."""
    return keras.optimizers.Adam(rate, **options)


def net(shape, *rest):
    """Returns a sequence of layers on an input of `shape`."""
    return keras.Sequential([keras.Input(shape), *rest])


def mlp(features, widths, units, end=None, hidden="relu", **options):
    """Returns a perceptron."""
    inner = [layers.Dense(width, hidden, **options) for width in widths]
    return net((features,), *inner, layers.Dense(units, end, **options))


def conv_blocks(filters, size=3, hidden="relu", **options):
    """Returns a convolution and a pooling for each number of filters."""
    found = []
    for number in filters:
        found.append(layers.Conv2D(number, size, activation=hidden, **options))
        found.append(layers.MaxPooling2D())
    return found


def cnn(shape, units, end=None, hidden="relu", inner=()):
    """Returns a small convolutional classifier."""
    return net(
        shape,
        *conv_blocks([16, 16], hidden=hidden),
        layers.Flatten(),
        *inner,
        layers.Dense(64, hidden),
        layers.Dense(units, end),
    )
