import keras
import numpy as np
import pytest
from keras import layers

import keras_inits as ki

x = np.random.default_rng(0).standard_normal((128, 8), dtype="float32")
y = (x[:, 0] > 0).astype("int64")

CASES = {
    "batch": (lambda epsilon: layers.BatchNormalization(epsilon=epsilon), 1e4, 0.5),
    "layer": (lambda epsilon: layers.LayerNormalization(epsilon=epsilon), 1e4, 0.5),
    "root mean square": (lambda epsilon: layers.RMSNormalization(epsilon=epsilon), 1e4, 0.5),
}


def kinds(normalization):
    stack = [layers.Dense(16), normalization, layers.ReLU(), layers.Dense(2, "softmax")]
    model = keras.Sequential([keras.Input((8,)), *stack])
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    findings = ki.diagnose(model, x, y, jacobian_samples=0).findings
    return model, {finding.kind: finding for finding in findings}


@pytest.mark.parametrize(
    "name", ["batch", *(pytest.param(n, marks=pytest.mark.slow) for n in list(CASES)[1:])]
)
def test_an_epsilon_above_the_variance_is_found_and_its_remedy_helps(name):
    make, drowns, leaves = CASES[name]
    model, found = kinds(make(drowns))
    assert found["normalization"].where == (model.layers[1].name,)
    exec(found["normalization"].remedy, {"model": model})
    assert model.layers[1].epsilon == 1e-3
    assert "normalization" not in {f.kind for f in ki.diagnose(model, x, y).findings}
    assert "normalization" not in kinds(make(leaves))[1]
