"""Small populations, for any backend: `python other_backends.py NET ...` prints what they did.

Keras has one backend a process, so that another one's numbers come from a process of its own.
"""

import json
import sys

import keras
import numpy as np
from keras import layers

from keras_inits import Execution, compare
from keras_inits._compare.engines import population_class
from keras_inits._compare.vectorizing import CannotVectorizeError

CONSTRAINT = keras.constraints.MaxNorm(0.5)
# The first four are compared with TensorFlow's too; random numbers differ between backends.
NETS = {
    "dense": (
        lambda: layers.Flatten(),
        lambda: layers.Dense(8, "relu", kernel_constraint=CONSTRAINT, kernel_regularizer="l2"),
        lambda: layers.Dense(8, "tanh", kernel_constraint=CONSTRAINT),
    ),
    # more weights than JAX computes as one
    "wide": (lambda: layers.Flatten(), lambda: layers.Dense(900, "relu")),
    "convolution": (
        lambda: layers.Conv2D(4, 3, use_bias=False),
        lambda: layers.BatchNormalization(),
        lambda: layers.ReLU(),
        lambda: layers.MaxPooling2D(2),
        lambda: layers.Flatten(),
    ),
    "frames": (
        lambda: layers.Reshape((4, 4, 4, 2)),
        lambda: layers.Bidirectional(layers.ConvLSTM2D(2, 3)),
        lambda: layers.Flatten(),
    ),
    "dropout": (lambda: layers.Flatten(), lambda: layers.Dropout(0.3)),
    "sequence": (
        lambda: layers.Reshape((4, 32)),
        lambda: layers.EinsumDense("abc,cd->abd", (4, 6), activation="gelu", bias_axes="d"),
        lambda: layers.GRU(4),
    ),
}
CHANGES = {
    "dense": {"optimizer": "adam", "batches": "own", "schemes": ["he"], "seeds": [0, 3]},
    "wide": {"optimizer": keras.optimizers.SGD(0.02), "schemes": ["he"], "seeds": [0, 3]},
    "convolution": {"optimizer": keras.optimizers.SGD(0.05, momentum=0.9)},
    "frames": {"optimizer": "adam", "schemes": ["he"]},
    "dropout": {"optimizer": "rmsprop"},
    "sequence": {"optimizer": keras.optimizers.SGD(0.05, momentum=0.9), "schemes": ["he"]},
}


def build(*parts):
    return lambda: keras.Sequential(
        [keras.Input((8, 8, 2)), *(part() for part in parts), layers.Dense(3)]
    )


def trained(parts, trainer, schemes=("he", "xavier"), **changes):
    """Returns the comparison of two runs over two epochs."""
    random = np.random.default_rng(0)
    y = random.integers(0, 3, 150).astype("int32")
    x = (random.normal(size=(150, 8, 8, 2)) + y[:, None, None, None]).astype("float32")
    return compare(
        build(*parts),
        schemes,
        ((x, y), (x[:70], y[:70])),
        **{
            "seeds": 1,
            "epochs": 2,
            "batch_size": 32,  # does not divide 150: the last batch is smaller
            "loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            "metrics": ["accuracy"],
            "execution": Execution(trainer=trainer),
        }
        | changes,
    )


def numbers(result):
    return {metric: result.values(metric).tolist() for metric in result.metrics}


def measured(net, trainer):
    """Returns the numbers of a net, or why it is refused."""
    try:
        return numbers(trained(NETS[net], trainer, **CHANGES[net]))
    except CannotVectorizeError as error:
        return str(error)


def at_once(net):
    """Returns how many of two models of a net are computed as one, by one thread."""
    return population_class().part_size(build(*NETS[net])(), 2, 1)


def refused():
    """Returns why a layer that assigns to its kernel is refused."""
    parts = (
        lambda: layers.Flatten(),
        lambda: layers.SpectralNormalization(layers.Dense(4)),
    )
    try:
        trained(parts, "population", optimizer="sgd", epochs=1)
    except CannotVectorizeError as error:
        return str(error)
    return "not refused"


if __name__ == "__main__":
    population = {name: measured(name, "population") for name in sys.argv[1:]}
    # where a process of TensorFlow has the numbers too, those are enough
    elsewhere = ("convolution", "frames")
    alone = [n for n, found in population.items() if n not in elsewhere or isinstance(found, str)]
    found = {
        "backend": keras.backend.backend(),
        "refused": refused(),
        "at once": {name: at_once(name) for name in sys.argv[1:]},
        "population": population,
        "fit": {name: measured(name, "fit") for name in alone},
    }
    print(json.dumps(found))
