"""What the Keras at hand, or its backend, lacks of what others have."""

import inspect

import keras
import pytest

# Keras 3.15 is the first to tell initializers the axes of an EinsumDense or attention kernel.
HANDS_AXES = tuple(map(int, keras.__version__.split(".")[:2])) >= (3, 15)
needs_axes = pytest.mark.skipif(not HANDS_AXES, reason="Keras < 3.15 hands over the bare shape")
HAS_RENORM = "renorm" in inspect.signature(keras.layers.BatchNormalization).parameters

ON_JAX, ON_TORCH = (keras.backend.backend() == name for name in ("jax", "torch"))
WIDEST = "float32" if ON_JAX else "float64"  # JAX has no float64 by default


def of_tensorflow(reason):
    """Returns a mark of tests of what other backends do not have, or do themselves."""
    return pytest.mark.skipif(ON_JAX or ON_TORCH, reason=f"of TensorFlow: {reason}")


def without_jax(dtype):
    """Returns a parameter that JAX skips."""
    return pytest.param(dtype, marks=pytest.mark.skipif(ON_JAX, reason=f"JAX without {dtype}"))
