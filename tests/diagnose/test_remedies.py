"""Each remedy that is code runs, and makes its finding go away without bringing another."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_inits
import keras_inits as ki

X = np.random.default_rng(0).standard_normal((64, 64), dtype="float32")


def net(activation, middle):
    def dense(name, **options):
        return layers.Dense(64, activation, name=name, **options)

    scheme = keras_inits.XavierInit(activation=activation, seed=1)
    return keras.Sequential(
        [
            *(keras.Input((64,)), dense("first", kernel_initializer=scheme)),
            *(dense("middle", **middle), layers.Dense(8, name="last")),
        ]
    )


FAULTS = {
    "dying": ("relu", {"bias_initializer": keras.initializers.Constant(-30.0)}),
    "symmetric": ("tanh", {"kernel_initializer": keras.initializers.Constant(0.02)}),
    "saturated": ("tanh", {"kernel_initializer": keras.initializers.RandomNormal(stddev=30.0)}),
    "exploding": ("relu", {"kernel_initializer": keras.initializers.RandomNormal(stddev=30.0)}),
    "vanishing": ("tanh", {"kernel_initializer": keras.initializers.RandomNormal(stddev=1e-4)}),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_the_remedy_runs_and_helps(kind):
    model = net(*FAULTS[kind])
    if kind == "symmetric":  # else the next layer still tells the units apart
        model.layers[-1].kernel.assign(np.full((64, 8), 0.1))
    report = ki.diagnose(model, X, jacobian_samples=0, confirm=True)
    assert report.verdict == kind
    for finding in report.findings:
        assert finding.numbers["confirmed"] == 1
        assert finding.remedy.startswith("keras_inits.initialize(model.get_layer(")
        exec(finding.remedy, {"keras": keras, "keras_inits": keras_inits, "model": model})
    assert ki.diagnose(model, X, jacobian_samples=0).ok


def test_the_remedies_of_recurrent_layers_run_and_help():
    x = np.random.default_rng(0).standard_normal((8, 60, 8), dtype="float32")
    loud = keras.initializers.RandomNormal(stddev=1.0, seed=0)
    for layer, kind in (
        (layers.SimpleRNN(32, name="rnn", recurrent_initializer=loud), "exploding"),
        (layers.LSTM(32, name="rnn", unit_forget_bias=False), "vanishing"),
    ):
        model = keras.Sequential([keras.Input((60, 8)), layer, layers.Dense(1)])
        steps = [
            f
            for f in ki.diagnose(model, x, jacobian_samples=0, confirm=True).findings_of("rnn")
            if f.kind == kind and "first step" in f.evidence
        ]
        assert steps
        assert steps[0].numbers["confirmed"] == 1
        exec(steps[0].remedy, {"keras": keras, "model": model})
        after = ki.diagnose(model, x, jacobian_samples=0).findings_of("rnn")
        assert not [f for f in after if f.kind == kind and "first step" in f.evidence]


def test_no_remedy_asks_for_the_kernel_of_a_layer_that_has_none():
    model = keras.Sequential(
        [
            *(keras.Input((64,)), layers.Dense(64, name="kernel")),
            *(layers.Rescaling(-1000.0), layers.ReLU(name="rectifier"), layers.Dense(8)),
        ]
    )
    model.layers[0].bias.assign(np.full(64, 50.0))
    report = ki.diagnose(model, X, jacobian_samples=0)
    (dying,) = [f for f in report.findings if f.kind == "dying"]
    assert dying.where == ("rectifier",)
    assert '"rectifier"' not in dying.remedy
    assert '"kernel"' in dying.remedy


def test_findings_of_layers_inside_of_another_model_print_one_loop():
    small = keras.initializers.RandomNormal(stddev=0.01, seed=1)
    inner = keras.Sequential(
        [
            keras.Input((64,)),
            *(layers.Dense(32, "tanh", kernel_initializer=small) for _ in "abcde"),
        ],
        name="inner",
    )
    model = keras.Sequential([keras.Input((64,)), layers.Rescaling(1.0), inner])
    said = ki.diagnose(model, X, jacobian_samples=0).summary()
    assert said.count("get_layer(") == 2
    assert 'model.get_layer("inner").get_layer(name)' in " ".join(said.split())
    names = [layer.name for layer in inner.layers]
    assert all(f'"{name}"' in said for name in names)
