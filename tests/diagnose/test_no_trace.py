"""A diagnosis leaves model, process and other threads as they were."""

import random
import subprocess
import sys
import threading

import keras
import numpy as np
import pytest
from keras import layers
from versions import ON_TORCH, of_tensorflow

import keras_inits as ki

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

if ON_TORCH:
    import torch

    class _NoWayBack(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1.0

        @staticmethod
        def backward(ctx, gradient):
            raise RuntimeError("no way back")


X = np.random.default_rng(0).standard_normal((16, 8), dtype="float32")


class Unbuilt(keras.Model):
    def __init__(self):
        super().__init__()
        self.norm = layers.BatchNormalization()
        self.hidden = {"in a dict": layers.BatchNormalization()}
        self.drop, self.head = layers.Dropout(0.5), layers.Dense(2)

    def call(self, x, training=False):
        x = self.hidden["in a dict"](self.norm(x, training=training), training=training)
        return self.head(self.drop(x, training=training))


def test_the_statistics_of_an_unbuilt_model_stay_as_they_start():
    model = Unbuilt()
    model.compile("adam", "mse", metrics=["mae"])
    ki.diagnose(model, 5 + X, np.ones((16, 2)))
    for norm in (model.norm, *model.hidden.values()):
        np.testing.assert_array_equal(norm.moving_mean, np.zeros(8))
        np.testing.assert_array_equal(norm.moving_variance, np.ones(8))
    assert not any(v.numpy().any() for v in model.metrics_variables)
    assert int(model.optimizer.iterations) == 0
    assert model.train_function is None


def test_a_layer_that_no_model_lists_is_put_back_too():
    norm = layers.BatchNormalization()
    norm.build((None, 8))

    class Hides(layers.Layer):
        def call(self, x):
            return norm(x, training=True)

    model = keras.Sequential([keras.Input((8,)), Hides(), layers.Dense(2)])
    norm.moving_mean.assign(np.zeros(8))
    ki.diagnose(model, 5 + X)
    np.testing.assert_array_equal(norm.moving_mean, np.zeros(8))


def test_weights_that_a_call_assigns_are_put_back():
    model = keras.Sequential([keras.Input((8,)), layers.SpectralNormalization(layers.Dense(4))])
    before = [v.numpy() for v in model.variables]
    ki.diagnose(model, X)
    for value, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(value, variable.numpy())


def compiled_block(decorate):
    """Returns a compiled model of which a layer's call is decorated."""

    class Block(layers.Layer):
        def __init__(self):
            super().__init__(name="block")
            self.inner, self.drop = layers.Dense(16, "relu"), layers.Dropout(0.5, seed=1)

        def build(self, shape):
            self.inner.build(shape)

        @decorate
        def call(self, x, training=False):
            return self.drop(self.inner(x), training=training)

    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((8,)), Block(), layers.Dense(1, name="head")])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


@of_tensorflow("a tf.function")
class TestFunctionsOfLayers:
    """A `tf.function` keeps the graph of its first call: it must not be one of ours."""

    Y = X[:, :1] + X[:, 1:2]

    @pytest.mark.parametrize("look", [ki.diagnose, ki.calibrate, ki.audit])
    def test_a_model_trains_on_as_without_it(self, look):
        model, alone = (compiled_block(tf.function) for _ in range(2))
        look(*{ki.diagnose: (model, X, self.Y), ki.calibrate: (model, X)}.get(look, (model,)))
        model.set_weights(alone.get_weights())
        assert np.abs(model(X, training=True) - model(X, training=False)).max() > 0.1  # drops out
        for each in (model, alone):
            each.layers[0].drop.seed_generator.state.assign([1, 0])
            each.train_on_batch(X, self.Y)
        for here, there in zip(model.get_weights(), alone.get_weights(), strict=True):
            np.testing.assert_allclose(here, there, atol=1e-6)

    def test_the_report_is_that_of_plain_code(self):
        traced, plain = (
            ki.diagnose(compiled_block(decorate), X, self.Y)
            for decorate in (tf.function, lambda function: function)
        )
        assert traced.verdict == plain.verdict == "healthy"
        assert traced.loss == pytest.approx(plain.loss, rel=1e-5)
        for row in (0, -1):
            here, there = (report.layers[row].output for report in (traced, plain))
            assert here.second_moment == pytest.approx(there.second_moment, rel=1e-4)
        assert all(w.gradient_norm > 0 for row in traced.layers for w in row.weights)

    def test_state_that_a_function_assigns_moves_in_the_first_steps(self):
        def tried(decorate):
            class Centered(layers.Layer):
                def build(self, shape):
                    self.mean = self.add_weight(shape=(8,), initializer="zeros", trainable=False)

                @decorate
                def call(self, x):
                    self.mean.assign(0.5 * self.mean + 0.5 * tf.reduce_mean(x, axis=0))
                    return x - self.mean

            keras.utils.set_random_seed(0)
            head = layers.Dense(1, kernel_initializer=keras.initializers.HeNormal(seed=1))
            model = keras.Sequential([keras.Input((8,)), Centered(), head])
            model.compile(keras.optimizers.SGD(0.1), "mse")
            return ki.diagnose(model, X + 3, self.Y).first_steps

        plain = tried(lambda function: function)
        signature = [tf.TensorSpec((None, 8), tf.float32)]
        for decorate in (tf.function, tf.function(input_signature=signature)):
            assert tried(decorate).after == pytest.approx(plain.after, rel=1e-4)
        assert plain.after < 0.9 * plain.start


def test_random_generators_go_on_as_without_it():
    class Noisy(layers.Layer):
        def call(self, x):
            # Keras refuses draws without a seed where JAX traces.
            drawn = 0 if keras.backend.backend() == "jax" else keras.random.normal((8,))
            return x + drawn + random.random() + np.random.random()  # noqa: NPY002

    model = keras.Sequential([keras.Input((8,)), Noisy(), layers.Dense(2)])

    def draws():
        return (
            random.random(),
            np.random.random(),  # noqa: NPY002
            keras.ops.convert_to_numpy(keras.random.normal((3,))).tolist(),
        )

    keras.utils.set_random_seed(3)
    keras.random.normal((3,))
    expected = draws()
    keras.utils.set_random_seed(3)
    keras.random.normal((3,))
    ki.diagnose(model, X)
    assert draws() == expected


def nets():
    return [
        keras.Sequential([keras.Input((8,)), layers.Dense(5 + i, "relu", name=f"d{i}")])
        for i in range(2)
    ]


def test_two_threads_do_not_meet():
    call, models = layers.Layer.__call__, nets()
    alone = [ki.diagnose(model, X) for model in models]
    found, start = {0: [], 1: []}, threading.Barrier(2)

    def run(which):
        start.wait()
        for _ in range(8):
            found[which].append(ki.diagnose(models[which], X))

    threads = [threading.Thread(target=run, args=(which,)) for which in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for which in (0, 1):
        assert found[which] == [alone[which]] * 8
    assert layers.Layer.__call__ is call


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupt_in_the_middle_leaves_nothing_patched(error):
    from tensorflow.python.framework import op_callbacks  # the only way to see what is left

    class Interrupts(layers.Layer):
        def call(self, x):
            if armed:
                raise error("stop")
            return x

    armed = False
    norm = layers.BatchNormalization()
    model = keras.Sequential([keras.Input((8,)), norm, Interrupts(), layers.Dense(2)])
    call, before, armed = layers.Layer.__call__, norm.moving_mean.numpy(), True
    with pytest.raises(error, match="stop"):
        ki.diagnose(model, 5 + X)
    assert layers.Layer.__call__ is call
    np.testing.assert_array_equal(norm.moving_mean, before)
    assert not op_callbacks.should_invoke_op_callbacks()
    armed = False
    assert ki.diagnose(model, X).ok


def test_the_optimizer_is_released_after_a_step_of_the_models_own():
    class OwnStep(keras.Model):
        def call(self, x):
            return x

        def train_step(self, *arguments):
            raise RuntimeError("stop")

    inputs = keras.Input((8,))
    model = OwnStep(inputs, layers.Dense(2)(inputs))
    model.compile("sgd", "mse")
    with pytest.raises(RuntimeError, match="stop"):
        ki.diagnose(model, X, X[:, :2])
    assert "apply" not in vars(model.optimizer)


def test_a_model_is_diagnosed_without_tensorflow():
    pytest.importorskip("jax")
    code = """
import os, sys
os.environ["KERAS_BACKEND"] = "jax"
sys.modules["tensorflow"] = None
import keras, keras_inits, numpy as np
from keras_inits import *
assert hasattr(keras_inits, "diagnose") and hasattr(keras_inits, "SignalMonitor")
assert "keras_inits._diagnose.backends" not in sys.modules  # loaded where it is used
model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
assert keras_inits.diagnose(model, np.eye(3)).layers[0].gradient is not None
keras.backend.backend = lambda: "openvino"
try:
    keras_inits.diagnose(model, np.eye(3))
except ValueError as error:
    assert "set KERAS_BACKEND to tensorflow, jax or torch" in str(error), error
else:
    raise AssertionError("nothing raised")
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@of_tensorflow("gradients of a stateful layer: on torch its own assignments forbid them")
@pytest.mark.parametrize("look", [ki.diagnose, ki.calibrate])
def test_the_states_of_recurrent_layers_are_put_back(look):
    x = np.random.default_rng(1).normal(size=(8, 5, 4)).astype("float32")
    cells = layers.RNN([layers.LSTMCell(3), layers.GRUCell(6)], stateful=True, name="cells")
    model = keras.Sequential([keras.Input(batch_shape=(8, 5, 4)), cells, layers.Dense(1)])
    model.compile("adam", "mse")
    states = keras.tree.flatten(cells.states)
    assert len(states) == 3
    states[0].assign(np.full((8, 3), 0.5))
    look(*{ki.diagnose: (model, x, x[:, -1, :1])}.get(look, (model, x)))
    np.testing.assert_array_equal(states[0], np.full((8, 3), 0.5, "float32"))
    assert not any(np.any(state) for state in states[1:])


def test_the_jacobian_is_of_runs_that_start_from_one_state():
    class Drifts(layers.Layer):
        def build(self, shape):
            self.shift = self.add_weight(name="shift", initializer="zeros", trainable=False)

        def call(self, x):
            self.shift.assign(self.shift + 1)
            return x * (1 + self.shift)

    model = keras.Sequential([keras.Input((8,)), Drifts()])
    found = ki.diagnose(model, X).jacobian
    assert found.largest_singular_value == pytest.approx(2, rel=1e-4)


@pytest.mark.skipif(not ON_TORCH, reason="of torch: it assigns in place, and has this rule")
@pytest.mark.parametrize(
    ("layer", "says"),
    [
        (lambda: layers.GRU(3, stateful=True), "stateful=True"),
        (
            lambda: layers.Lambda(lambda x: _NoWayBack.apply(x)),
            "Run it on TensorFlow or JAX .* no way back",
        ),
    ],
    ids=["in place", "no rule"],
)
def test_gradients_that_torch_cannot_take_are_said_in_a_sentence(layer, says):
    first, end = layers.Dense(4), layers.Dense(1)
    model = keras.Sequential([keras.Input(batch_shape=(8, 5, 4)), first, layer(), end])
    x = np.random.default_rng(1).normal(size=(8, 5, 4)).astype("float32")
    with pytest.raises(ki.InputError, match=rf"torch cannot take the gradients .*{says}"):
        ki.diagnose(model, x)
