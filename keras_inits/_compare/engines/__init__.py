"""Populations by backend: one class for each that can compute many models at once."""

import keras

from keras_inits._compare.engines.base import Population, Shared
from keras_inits._compare.engines.on_jax import JaxPopulation
from keras_inits._compare.engines.on_tensorflow import TensorFlowPopulation
from keras_inits._compare.engines.on_torch import TorchPopulation

__all__ = ["ENGINES", "Population", "Shared", "population_class"]

ENGINES: dict[str, type[Population]] = {
    "tensorflow": TensorFlowPopulation,
    "jax": JaxPopulation,
    "torch": TorchPopulation,
}


def population_class() -> type[Population]:
    """Returns the population of the backend that Keras runs on."""
    return ENGINES[keras.backend.backend()]
