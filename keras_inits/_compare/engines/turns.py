"""Which models a step computes one after another, inside of the compiled step, and not as one.

K convolutions of K inputs are K convolutions at best. What is faster for products, one wide product
or one over a batch of matrices, would first need each window copied out: forward and backward, 20
models' convolutions of 4 to 32 channels took 4 to 15 times as long so as one by one, on TensorFlow
and one processor. In K groups of one convolution they took .8 to 1.25 of it there, where the
library for its gradients is at hand, and on JAX many times as long.
"""

import keras

from keras_inits._keras_internals import all_layers
from keras_inits._layers.kinds import Kind, by_name, classes

_CONVOLUTIONS = classes(Kind.CONVOLUTION, Kind.DEPTHWISE, Kind.SEPARABLE, Kind.TRANSPOSED)
_CELLS = {"keras>ConvLSTMCell": True}  # which has no public name


def convolves(model: keras.Model) -> bool:
    """Returns whether a layer at any depth of a model, or a cell of a recurrent one, convolves.

    >>> frames = keras.Input((5, 8, 8, 1))
    >>> convolves(keras.Model(frames, keras.layers.ConvLSTM2D(2, 3)(frames)))
    True
    >>> convolves(keras.Model(frames, keras.layers.Dense(2)(frames)))
    False
    """
    return any(
        isinstance(layer, _CONVOLUTIONS) or by_name(type(layer), _CELLS)
        for layer in all_layers(model)
    )
