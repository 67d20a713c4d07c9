"""What the Keras at hand, or its backend, lacks of what others have."""

import inspect

import keras
import pytest

# Keras 3.15 is the first to tell initializers the axes of an EinsumDense or attention kernel.
HANDS_AXES = tuple(map(int, keras.__version__.split(".")[:2])) >= (3, 15)
needs_axes = pytest.mark.skipif(not HANDS_AXES, reason="Keras < 3.15 hands over the bare shape")
HAS_RENORM = "renorm" in inspect.signature(keras.layers.BatchNormalization).parameters


def without_jax(dtype):
    """Returns a parameter that JAX skips: it has no float64 by default."""
    on_jax = keras.backend.backend() == "jax"
    return pytest.param(dtype, marks=pytest.mark.skipif(on_jax, reason=f"JAX without {dtype}"))
