"""The setting in the report of `diagnose`."""

import keras
import numpy as np
from keras import layers

import keras_inits as ki

RNG = np.random.default_rng(0)
X = RNG.normal(size=(128, 20)).astype("float32")
Y = (X[:, :1] > 0).astype("float32")


def _net(stddev):
    keras.utils.set_random_seed(0)
    kernel = keras.initializers.RandomNormal(stddev=stddev)
    hidden = [layers.Dense(64, "tanh", kernel_initializer=kernel) for _ in range(4)]
    model = keras.Sequential([keras.Input((20,)), *hidden, layers.Dense(1, "sigmoid")])
    model.compile("adam", "binary_crossentropy")
    return model


def test_setting_comes_first_and_survives_json():
    model, rng = _net(0.1), np.random.default_rng(1)
    # By NumPy, whose numbers are the same on every backend.
    model.set_weights([rng.normal(0, 0.1, w.shape) * (w.ndim > 1) for w in model.get_weights()])
    report = ki.diagnose(model, 1000 * X, Y)
    assert report.findings[0].kind == "input scale"
    assert report.first_steps is not None
    assert type(report).from_dict(report.to_dict()) == report
    assert "First steps" in report.summary()


def test_a_signal_that_fades_is_an_alarm_only_where_other_kernels_learn_faster():
    fades = ki.diagnose(_net(0.02), X, Y)
    assert "vanishing" in {finding.kind for finding in fades.findings}
    noise = RNG.integers(0, 2, (128, 1)).astype("float32")
    in_vain = ki.diagnose(_net(0.02), X[:, :1] * np.ones((1, 20), "float32"), noise)
    assert "vanishing" not in {finding.kind for finding in in_vain.findings}
    assert any(note.startswith("no alarm: vanishing") for note in in_vain.notes)


def test_targets_that_the_loss_refuses_do_not_end_the_diagnosis():
    model = keras.Sequential([keras.Input((20,)), layers.Dense(3, "softmax")])
    model.compile("adam", "categorical_crossentropy")
    report = ki.diagnose(model, X, RNG.integers(0, 3, 128))
    assert report.findings[0].kind == "labels"
    assert report.loss is None
