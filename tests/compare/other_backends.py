"""Small populations, to be trained on any backend: `python other_backends.py` prints what they did.

Keras has one backend a process, so that another one's numbers come from a process of its own.
"""

import json

import keras
import numpy as np
from keras import layers

from keras_inits import Execution, compare
from keras_inits._compare.vectorizing import CannotVectorizeError

CONSTRAINT = keras.constraints.MaxNorm(0.5)
# Those of the first are compared with TensorFlow's too; random numbers differ between backends.
NETS = {
    "dense": (
        lambda: layers.Flatten(),
        lambda: layers.Dense(8, "relu", kernel_constraint=CONSTRAINT, kernel_regularizer="l2"),
        lambda: layers.Dense(8, "tanh", kernel_constraint=CONSTRAINT),
    ),
    "convolution": (
        lambda: layers.Conv2D(4, 3, use_bias=False),
        lambda: layers.BatchNormalization(),
        lambda: layers.ReLU(),
        lambda: layers.MaxPooling2D(2),
        lambda: layers.Flatten(),
    ),
    "dropout": (lambda: layers.Flatten(), lambda: layers.Dropout(0.3)),
}
CHANGES = {
    "dense": {"optimizer": "adam", "batches": "own"},
    "convolution": {"optimizer": keras.optimizers.SGD(0.05, momentum=0.9)},
    "dropout": {"optimizer": "rmsprop"},
}


class Eager(layers.Layer):
    """Works as Python, and over no stack of models."""

    def call(self, x):
        return x * float(keras.ops.max(x))

    def compute_output_shape(self, shape):  # without which Keras traces the call to build
        return shape


def build(*parts):
    return lambda: keras.Sequential(
        [keras.Input((8, 8, 2)), *(part() for part in parts), layers.Dense(3)]
    )


def trained(parts, trainer, **changes):
    """Returns by metric what 2 schemes x 2 seeds measured in two epochs."""
    random = np.random.default_rng(0)
    y = random.integers(0, 3, 150).astype("int32")
    x = (random.normal(size=(150, 8, 8, 2)) + y[:, None, None, None]).astype("float32")
    return compare(
        build(*parts),
        ["he", "xavier"],
        ((x, y), (x[:70], y[:70])),
        **{
            "seeds": 2,
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


def refused():
    """Returns why a net that cannot be vectorized is not, and how it is trained then."""

    def eager():
        model = build(Eager, layers.Flatten)()
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("sgd", loss, run_eagerly=True)
        return model

    options = {"optimizer": None, "loss": None, "metrics": (), "epochs": 1, "seeds": 1}
    random = np.random.default_rng(0)
    data = random.normal(size=(40, 8, 8, 2)).astype("float32"), random.integers(0, 3, 40)
    try:
        compare(eager, ["he"], data, execution=Execution(trainer="population"), **options)
    except CannotVectorizeError as error:
        return [str(error), compare(eager, ["he"], data, **options).trainer]
    return ["not refused", ""]


if __name__ == "__main__":
    print(
        json.dumps(
            {
                "backend": keras.backend.backend(),
                "refused": refused(),
                **{
                    trainer: {
                        name: numbers(trained(parts, trainer, **CHANGES[name]))
                        for name, parts in NETS.items()
                    }
                    for trainer in ("population", "fit")
                },
            }
        )
    )
