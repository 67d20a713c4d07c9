import keras
import numpy as np
import pytest
from keras import layers
from versions import ON_TORCH

from keras_inits._compare.plan import CompileOptions, Plan
from keras_inits._compare.starts import labelled

# for what Keras's convolutions and draws do there, which train by `fit`
not_on_torch = pytest.mark.skipif(ON_TORCH, reason="torch.func.vmap has no rule for it")


def sequential(*layers):
    """A `build` for small images whose last layer gives three logits."""

    def build():
        return keras.Sequential(
            [keras.Input((8, 8, 2)), *(layer() for layer in layers), keras.layers.Dense(3)]
        )

    return build


BUILD = sequential(layers.Flatten, lambda: layers.Dense(8, "relu"))
SCHEMES = ["he", "zeros"]


def small_plan(images, epochs, build=BUILD, **changes):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    options = CompileOptions("adam", loss)
    return Plan(build, labelled(SCHEMES), images, epochs, 32, **{"options": options} | changes)


def same(ours, theirs):
    """Whether the runs of `ours` have the same numbers in `theirs`, which may have more schemes."""
    rows = [theirs.row(scheme) for scheme in ours.schemes]
    return all(
        np.allclose(ours.values(m), theirs.values(m)[rows], atol=1e-5, rtol=0)
        for m in theirs.metrics
    )
