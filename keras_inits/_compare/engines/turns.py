"""Which models are computed one after another, and not as one.

K convolutions of K inputs are K convolutions at best. What is faster for products, one wide product
or one over a batch of matrices, would first need each window copied out: forward and backward, 20
models' convolutions of 4 to 32 channels took 4 to 15 times as long so as one by one, on TensorFlow
and one processor. In K groups of one convolution they took .8 to 1.25 of it there, where the
library for its gradients is at hand, and on JAX many times as long.

On JAX recurrent and attention nets gain as well: K small products of one step are a batch of
products, of which XLA makes K at best, and models that are apart share the processors better.
"""

import keras

from keras_inits._keras_internals import all_layers
from keras_inits._layers.kinds import Kind, by_name, classes

_CONVOLUTIONS = classes(Kind.CONVOLUTION, Kind.DEPTHWISE, Kind.SEPARABLE, Kind.TRANSPOSED)
_SEQUENCES = classes(Kind.RECURRENT, Kind.ATTENTION)
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


def reads_sequences(model: keras.Model) -> bool:
    """Returns whether a layer at any depth of a model is recurrent or an attention.

    >>> words = keras.Input((5, 8))
    >>> reads_sequences(keras.Model(words, keras.layers.GRU(2)(words)))
    True
    """
    return any(isinstance(layer, _SEQUENCES) for layer in all_layers(model))
