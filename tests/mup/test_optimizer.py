"""The optimizers of muP: each of Keras's, with a factor on its rate for each variable."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import keras
import numpy as np
import pytest
from keras import layers, ops
from versions import ON_JAX

import keras_inits
from keras_inits import mup

FACTORS = {"sgd": [4, 4, 1, 4, 0.25, 1], "adam": [1, 1, 0.25, 1, 0.25, 1]}
OPTIMIZERS = {
    "SGD": ("sgd", keras.optimizers.SGD(0.1)),
    "momentum": ("sgd", keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True)),
    "Adam": ("adam", keras.optimizers.Adam(0.1, amsgrad=True)),
    "AdamW": ("adam", keras.optimizers.AdamW(0.1, weight_decay=0.0)),
    "Adamax": ("adam", keras.optimizers.Adamax(0.1)),
    "Nadam": ("adam", keras.optimizers.Nadam(0.1)),
    "Lion": ("adam", keras.optimizers.Lion(0.1)),
    "schedule": ("sgd", keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(
        0.1, 1, 0.5))),
    "clipped": ("sgd", keras.optimizers.SGD(0.1, clipvalue=0.01)),
    "averaged": ("adam", keras.optimizers.Adam(0.1, use_ema=True, ema_overwrite_frequency=2)),
    "accumulated": ("sgd", keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)),
}  # fmt: skip


def net(width):
    keras.utils.clear_session(free_memory=False)
    hidden = [layers.Dense(width), layers.Dense(width)]
    return keras.Sequential([keras.Input((4,)), *hidden, layers.Dense(3, name="head")])


def moved(optimizer, model, steps):
    """How far steps along fixed gradients move each variable."""
    variables = model.trainable_variables
    before = [np.array(ops.convert_to_numpy(v)) for v in variables]
    rng = np.random.default_rng(0)
    gradients = [ops.convert_to_tensor(rng.normal(size=v.shape), "float32") for v in variables]
    for _ in range(steps):
        optimizer.apply(gradients, variables)
    return [ops.convert_to_numpy(v) - b for v, b in zip(variables, before, strict=True)]


@pytest.mark.parametrize(
    "name",
    [
        name if name in ("SGD", "Adam", "clipped") else pytest.param(name, marks=pytest.mark.slow)
        for name in OPTIMIZERS
    ],
)
def test_each_step_is_that_of_the_optimizer_times_the_factor_of_the_variable(name):
    family, like = OPTIMIZERS[name]
    ours = moved(mup.optimizer(like, net(16), net(4)), net(16), 4)
    plain = moved(type(like).from_config(like.get_config()), net(16), 4)
    for one, other, factor in zip(ours, plain, FACTORS[family], strict=True):
        np.testing.assert_allclose(one, factor * other, rtol=1e-4, atol=1e-6)
        assert np.abs(other).max() > 1e-4


def test_decay_is_that_of_the_base_in_every_variable():
    # Yang et al.'s code: rate / m and decay x m, of which the product is what a step takes off.
    model = net(16)
    optimizer = mup.optimizer(keras.optimizers.AdamW(0.1, weight_decay=0.5), model, net(4))
    start = [np.array(ops.convert_to_numpy(v)) for v in model.trainable_variables]
    optimizer.apply([ops.zeros(v.shape) for v in model.trainable_variables],
                    model.trainable_variables)  # fmt: skip
    for variable, before in zip(model.trainable_variables, start, strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(variable), 0.95 * before, atol=1e-6)


def test_a_norm_is_clipped_before_the_factors():
    optimizer = mup.optimizer(keras.optimizers.SGD(1.0, global_clipnorm=1.0), net(16), net(4))
    steps = moved(optimizer, net(16), 1)
    scaled_back = [s / f for s, f in zip(steps, FACTORS["sgd"], strict=True)]
    assert np.sqrt(sum(np.sum(s**2) for s in scaled_back)) == pytest.approx(1.0, rel=1e-4)


@pytest.mark.skipif(ON_JAX, reason="there Keras scales losses in compiled steps alone")
def test_mixed_precision_wraps_it():
    inner = mup.optimizer(keras.optimizers.SGD(0.1), net(16), net(4))
    outer = keras.optimizers.LossScaleOptimizer(inner, initial_scale=8.0)
    ours, plain = moved(outer, net(16), 1), moved(keras.optimizers.SGD(0.1 / 8), net(16), 1)
    for one, other, factor in zip(ours, plain, FACTORS["sgd"], strict=True):
        np.testing.assert_allclose(one, factor * other, rtol=1e-4, atol=1e-6)


@keras.saving.register_keras_serializable("test_mup")
class Net(keras.Model):
    """Names its layers as Keras does: by how many there were before."""

    def __init__(self, width, **kwargs):
        super().__init__(**kwargs)
        self.width = width
        self.hidden = [layers.Dense(width), layers.Dense(width)]
        self.head = layers.Dense(3)

    def build(self, shape):
        size = shape[-1]
        for layer in (*self.hidden, self.head):
            layer.build((None, size))
            size = self.width
        super().build(shape)

    def call(self, x):
        for layer in self.hidden:
            x = layer(x)
        return self.head(x)

    def get_config(self):
        return {**super().get_config(), "width": self.width}


def built(width):
    model = Net(width)
    model.build((None, 4))
    return model


DATA = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")


@pytest.mark.filterwarnings("ignore:.*different from the inputs")
def test_a_loaded_model_whose_layers_got_other_names_goes_on_as_before(tmp_path):
    model = built(16)
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 100)
    like = keras.optimizers.SGD(schedule, momentum=0.9)
    model.compile(mup.optimizer(like, model, built(4)), "mse", jit_compile=False)
    model.fit(DATA, DATA[:, :3], epochs=2, shuffle=False, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert {v.path for v in again.weights}.isdisjoint({v.path for v in model.weights})
    for each in (model, again):
        each.fit(DATA, DATA[:, :3], shuffle=False, verbose=0)
    for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_frozen_layers_are_left_out():
    model = net(16)
    optimizer = mup.optimizer("adam", model, net(4))
    model.layers[0].trainable = False
    steps = moved(optimizer, model, 1)
    assert len(steps) == 4
    assert np.abs(steps[0]).max() == pytest.approx(0.25 * 1e-3, rel=1e-2)


def test_the_variables_of_another_model_are_refused():
    optimizer = mup.optimizer("adam", net(16), net(4))
    other = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="else")])
    with pytest.raises(keras_inits.InputError, match=r"without '.*else/kernel'.*2 variables"):
        optimizer.build(other.trainable_variables)


SCRIPT = """
import json, sys
import keras, numpy as np
from keras import layers
import keras_inits
from keras_inits import mup
assert keras.backend.backend() == sys.argv[1]

def net(width):
    keras.utils.clear_session(free_memory=False)
    hidden = [layers.Dense(width, "relu"), layers.Dense(width, "relu")]
    return keras.Sequential([keras.Input((4,)), *hidden, layers.Dense(3)])

x = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")
y = np.arange(16) % 3
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
found = {}
for name in ("SGD", "AdamW"):
    like = getattr(keras.optimizers, name)(0.01)
    moves = []
    for factors in (True, False):
        model = net(16)
        keras_inits.initialize(model, "he", seed=1)
        plain = getattr(keras.optimizers, name)(0.01)
        model.compile(mup.optimizer(like, model, net(4)) if factors else plain, loss)
        model.optimizer.weight_decay = None
        before = model.get_weights()
        model.fit(x, y, batch_size=16, verbose=0)
        after = model.get_weights()
        moves.append([float(np.abs(a - b).max()) for a, b in zip(after, before)])
    found[name] = [a / b for a, b in zip(*moves)]
check = mup.coordinate_check(net, [8, 64], (x, y), loss=loss, steps=2, seeds=1)
found["check"] = [list(check.changes.shape), bool(np.isfinite(check.changes).all())]
print(json.dumps(found))
"""


# jax comes with the dev extra; torch, which is large, is tested where somebody has it
@pytest.mark.parametrize(
    "backend",
    [pytest.param(name, marks=pytest.mark.slow) for name in ("jax", "torch") if find_spec(name)],
)
def test_other_backends_scale_the_rates_too(backend):
    process = subprocess.run(
        [sys.executable, "-c", SCRIPT, backend],
        env=os.environ | {"KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    found = json.loads(process.stdout.splitlines()[-1])
    np.testing.assert_allclose(found["SGD"], FACTORS["sgd"], rtol=1e-3)
    np.testing.assert_allclose(found["AdamW"], FACTORS["adam"], rtol=1e-2)
    assert found["check"] == [[2, 1, 2, 4], True]
