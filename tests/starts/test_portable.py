"""A saved model opens in a process that never imports this package, by the same laws."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers
from versions import needs_axes

import keras_inits
from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._schemes.laws import expected_stddev
from keras_inits._starts.counterparts import NoCounterpartError, keras_counterpart

SCHEMES = {type(keras_inits.get(name)).__name__: name for name in keras_inits.names()}
PORTABLE = ["HeInit", "HeUniformInit", "XavierInit", "GlorotUniformInit", "LecunInit"]
PORTABLE += ["ZerosInit", "OnesInit", "RandomInit", "UniformInit", "TruncatedNormalInit"]


def values(weight):
    return np.array(keras.ops.convert_to_numpy(weight))


def net():
    inputs = keras.Input((8, 8, 4))
    x = layers.Conv2D(8, 3, kernel_initializer="initkit_he", padding="same")(inputs)
    x = layers.DepthwiseConv2D(3, depthwise_initializer="initkit_he_uniform")(x)
    x = layers.Reshape((9, 32))(x)
    x = layers.MultiHeadAttention(2, 4, kernel_initializer="initkit_xavier")(x, x)
    x = layers.LSTM(6, kernel_initializer="initkit_glorot_uniform")(x)
    x = layers.Dense(6, "relu", kernel_initializer=keras_inits.OrthogonalInit(1.4))(x)
    outputs = layers.Dense(3, kernel_initializer=keras_inits.ConstantInit(0.1))(x)
    return keras.Model(inputs, outputs)


OPEN = """
import sys, keras, numpy as np
model = keras.models.load_model(sys.argv[1])
np.save(sys.argv[2], keras.ops.convert_to_numpy(model(np.ones((2, 8, 8, 4), "float32"))))
clone = keras.models.clone_model(model)
print([float(np.std(w)) for w in map(keras.ops.convert_to_numpy, clone.weights)])
assert not [name for name in sys.modules if name.startswith("keras_inits")]
"""


def test_a_saved_model_opens_in_a_process_without_this_package(tmp_path):
    model = net()
    report = keras_inits.portable(model)
    assert report.ok, report
    model.save(tmp_path / "model.keras")
    done = subprocess.run(
        [sys.executable, "-c", OPEN, tmp_path / "model.keras", tmp_path / "out.npy"],
        capture_output=True, text=True, env=os.environ, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    expected = values(model(np.ones((2, 8, 8, 4), "float32")))
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), expected, rtol=1e-5)


@pytest.mark.slow
def test_without_it_the_saved_model_does_not_open(tmp_path):
    net().save(tmp_path / "model.keras")
    done = subprocess.run(
        [sys.executable, "-c", OPEN, tmp_path / "model.keras", tmp_path / "out.npy"],
        capture_output=True, text=True, env=os.environ, check=False,
    )  # fmt: skip
    assert done.returncode != 0


def test_weights_stay_and_the_law_is_the_same_after_initialize():
    model = net()
    keras_inits.initialize(model, "initkit_he", seed=0)  # leaves GeometricInit behind
    before = [values(w) for w in model.weights]
    report = keras_inits.portable(model)
    for one, other in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(one, values(other))
    assert report.ok, report
    depthwise = model.layers[2]
    stddev = expected_stddev(
        depthwise.depthwise_initializer, KernelGeometry.from_shape(depthwise.kernel.shape)
    )
    assert stddev == pytest.approx(np.sqrt(2 / 9), rel=1e-6)  # its true fan, not that of the shape
    assert any("its scale is a number" in row.note for row in report.rows)
    keras_inits.initialize(model, "auto", seed=0)
    report = keras_inits.portable(model)
    assert report.ok, report
    assert any("taps independent" in row.note for row in report.rows)


@pytest.mark.parametrize("name", PORTABLE)
@pytest.mark.parametrize("shape", [(256, 300), (3, 3, 32, 40)])
def test_the_replacement_draws_by_the_law_of_the_scheme(name, shape):
    scheme = getattr(keras_inits, name)()
    made, _ = keras_counterpart(scheme, KernelGeometry.from_shape(shape))
    assert type(made).__module__.startswith("keras.")
    geometry = KernelGeometry.from_shape(shape)
    wanted = scheme.expected_stddev(geometry)
    drawn = values(made(shape))
    assert drawn.std() == pytest.approx(wanted, rel=0.02, abs=1e-7)
    if wanted:
        assert np.abs(drawn.std() / (1.1 * wanted) - 1) > 0.02
        ours = np.sort(np.abs(values(scheme(shape)).reshape(-1)))[::97]
        theirs = np.sort(np.abs(drawn.reshape(-1)))[::97]
        np.testing.assert_allclose(ours[50:-50], theirs[50:-50], rtol=0.1, atol=0.01 * wanted)


@pytest.mark.parametrize("positive", [False, True])
def test_balanced_taps_become_independent_ones_of_their_mean_and_variance(positive):
    scheme = keras_inits.BalancedInit(1.5, positive=positive)
    geometry = KernelGeometry.from_shape((3, 3, 256, 64), (), -1, 2)
    made, note = keras_counterpart(scheme, geometry)
    drawn = values(type(made).from_config({**made.get_config(), "seed": 1})(geometry.shape))
    assert drawn.mean() == pytest.approx(1.5 / 9 if positive else 0, abs=0.01)
    assert drawn.std() == pytest.approx(scheme.expected_stddev(geometry), rel=0.02)
    assert "independent" in note


def test_what_keras_has_no_law_for_stays_and_is_reported():
    sparse = layers.Dense(4, kernel_initializer="initkit_sparse", name="sparse")
    lstm = layers.LSTM(4, recurrent_initializer="initkit_orthogonal", name="lstm")
    model = keras.Sequential([keras.Input((5, 30)), sparse, lstm])
    keras_inits.initialize(model, "own", seed=0)
    report = keras_inits.portable(model)
    assert [row.layer for row in report.rows if row.reason] == ["sparse"]
    keras_inits.initialize(model, "initkit_orthogonal", seed=0)  # gates: a geometry of their own
    report = keras_inits.portable(model)
    assert not report.ok
    assert "one matrix" in str(report.findings[0])
    assert "stays" in report.summary()
    assert keras_inits.PortableReport.from_dict(report.to_dict()) == report


@needs_axes
@pytest.mark.parametrize(
    ("heads", "scheme", "wanted"),
    [
        (8, "initkit_hadamard_orthogonal", 256**-0.5),
        (4, "initkit_orthogonal", 256**-0.5),  # 256 -> 128 -> 256
        (4, "initkit_suo", None),  # the last one has another fan, as it should
    ],
)
def test_orthogonal_kernels_of_attention_keep_their_scale(heads, scheme, wanted):
    inputs = keras.Input((12, 256))
    model = keras.Model(inputs, layers.MultiHeadAttention(heads, 32)(inputs, inputs))
    keras_inits.initialize(model, scheme, seed=0)
    before = [values(w).std() for w in model.weights if w.path.endswith("kernel")]
    report = keras_inits.portable(model)
    clone = keras.models.clone_model(model)
    after = [values(w).std() for w in clone.weights if w.path.endswith("kernel")]
    if report.ok:
        assert after == pytest.approx(before, rel=0.03)
    if wanted:
        assert after == pytest.approx([wanted] * 4, rel=0.03)
    assert report.ok or heads == 4


def test_a_scheme_has_a_counterpart_of_keras_or_a_reason():
    geometry = KernelGeometry.from_shape((3, 3, 8, 8))
    without = set()
    for name in keras_inits.names():
        try:
            made, _ = keras_counterpart(keras_inits.get(name), geometry)
        except NoCounterpartError:
            without.add(name)
        else:
            assert "keras_inits" not in str(keras.saving.serialize_keras_object(made))
    assert {"initkit_sparse", "initkit_dirac"} <= without
    assert not without & {"initkit_he", "initkit_orthogonal", "initkit_zeros"}


def test_seeds_are_kept():
    made, _ = keras_counterpart(keras_inits.HeInit(seed=4), None)
    assert made.seed == 4


def test_a_model_that_is_not_built_is_refused():
    with pytest.raises(keras_inits.InputError, match="before it can be made portable"):
        keras_inits.portable(keras.Sequential([layers.Dense(3)]))
