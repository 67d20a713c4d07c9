"""What a diagnosis asks of Keras's backend: gradients, operations one by one, and reductions.

The three modules load their library and are loaded where it is the backend.
"""

import importlib
from typing import Any

import keras

from keras_inits._diagnose.backends.base import Backend

_CLASSES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "Torch"}


def _chosen() -> Backend:
    name = keras.backend.backend()
    module: Any = importlib.import_module(f"{__name__}.on_{name}")
    made: Backend = getattr(module, _CLASSES[name])()
    return made


# One for the process, as Keras's.
backend = _chosen()
