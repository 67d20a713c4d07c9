"""`confirm=True`: the remedy is tried on the weights, and the report says what came of it."""

import keras
import numpy as np
from keras import layers

import keras_inits as ki

X = np.random.default_rng(0).standard_normal((32, 64), dtype="float32")


def deep(scheme, activation="relu", depth=12):
    dense = [
        layers.Dense(64, activation, kernel_initializer=scheme(i), name=f"d{i}")
        for i in range(depth)
    ]
    return keras.Sequential([keras.Input((64,)), *dense])


def test_a_fading_signal_is_confirmed_and_the_weights_are_put_back():
    model = deep(lambda i: ki.RandomInit(0.02, seed=i))
    before = model.get_weights()
    report = ki.diagnose(model, X, confirm=True)
    assert report.verdict == "vanishing"
    for finding in report.findings:
        assert finding.numbers["confirmed"] == 1
        assert "; confirmed by its remedy" in finding.evidence
    first = report.findings[0]
    assert first.numbers["before"] < 1e-6
    assert abs(np.log(first.numbers["after"])) < abs(np.log(first.numbers["before"]))
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert "confirmed" not in str(ki.diagnose(model, X))


def test_layers_keep_the_initializers_that_they_had():
    model = deep(lambda i: ki.RandomInit(0.02, seed=i))
    before = [layer.kernel_initializer for layer in model.layers]
    assert "initialize(" in ki.diagnose(model, X, confirm=True).findings[0].remedy
    assert all(
        layer.kernel_initializer is kept for layer, kept in zip(model.layers, before, strict=True)
    )


def test_a_growing_stream_is_confirmed_by_the_size_of_its_output():
    inputs = h = keras.Input((64,))
    for i in range(16):
        hidden = layers.Dense(64, "relu", kernel_initializer=ki.HeInit(seed=2 * i))(h)
        h = h + layers.Dense(64, kernel_initializer=ki.HeInit(seed=2 * i + 1))(hidden)
    (finding,) = ki.diagnose(keras.Model(inputs, h), X, confirm=True).findings
    assert finding.numbers["confirmed"] == 1
    assert finding.numbers["before"] > 100 > 10 > finding.numbers["after"]


def test_dead_units_are_confirmed_and_what_no_weight_amends_is_not():
    model = deep(lambda i: ki.HeInit(seed=i), depth=3)
    model.get_layer("d1").bias.assign(np.full(64, -50.0))
    (finding,) = ki.diagnose(model, X, confirm=True).findings
    assert (finding.numbers["before"], finding.numbers["confirmed"]) == (1, 1)
    assert finding.numbers["after"] < 0.6

    inputs = keras.Input((64,))
    h = layers.Dense(64, name="kernel")(inputs)
    h = layers.Lambda(lambda x: x * 0 - 1.0 + 0 * x)(h)  # whatever the weights, all are negative
    report = ki.diagnose(keras.Model(inputs, layers.Dense(4)(layers.ReLU()(h))), X, confirm=True)
    tried = [f for f in report.findings if "confirmed" in f.numbers]
    assert tried
    assert all(f.numbers["confirmed"] == 0 and "; not confirmed" in f.evidence for f in tried)


def test_names_of_layers_are_literals_in_remedies():
    model = deep(lambda i: ki.HeInit(seed=i), depth=2)
    name = "a' + \"b\\"
    middle = layers.Dense(64, "relu", kernel_initializer=ki.RandomInit(30.0, seed=1), name=name)
    model = keras.Sequential([keras.Input((64,)), *model.layers[:1], middle, model.layers[1]])
    report = ki.diagnose(model, X, confirm=True)
    assert report.verdict == "exploding"
    assert report.findings[0].numbers["confirmed"] == 1
