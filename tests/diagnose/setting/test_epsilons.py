import keras
import numpy as np
import pytest
from keras import layers

import keras_inits as ki

x = np.random.default_rng(0).standard_normal((128, 8), dtype="float32")
y = (x[:, 0] > 0).astype("int64")


def kinds(normalization):
    stack = [layers.Dense(16), normalization, layers.ReLU(), layers.Dense(2, "softmax")]
    model = keras.Sequential([keras.Input((8,)), *stack])
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    findings = ki.diagnose(model, x, y, jacobian_samples=0).findings
    return model, {finding.kind: finding for finding in findings}


@pytest.mark.parametrize(
    "make",
    [
        layers.BatchNormalization,
        pytest.param(layers.LayerNormalization, marks=pytest.mark.slow),
        pytest.param(layers.RMSNormalization, marks=pytest.mark.slow),
    ],
)
def test_an_epsilon_above_the_variance_is_found_and_its_remedy_helps(make):
    model, found = kinds(make(epsilon=1e4))
    assert found["normalization"].where == (model.layers[1].name,)
    exec(found["normalization"].remedy, {"model": model})
    assert model.layers[1].epsilon == 1e-3
    assert "normalization" not in {f.kind for f in ki.diagnose(model, x, y).findings}
    assert "normalization" not in kinds(make(epsilon=0.5))[1]
