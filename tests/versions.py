"""What the Keras at hand lacks of what newer ones have."""

import inspect

import keras
import pytest

# Keras 3.15 is the first to tell initializers the axes of an EinsumDense or attention kernel.
HANDS_AXES = tuple(map(int, keras.__version__.split(".")[:2])) >= (3, 15)
needs_axes = pytest.mark.skipif(not HANDS_AXES, reason="Keras < 3.15 hands over the bare shape")
HAS_RENORM = "renorm" in inspect.signature(keras.layers.BatchNormalization).parameters
