"""Gradients that are lost where values leave the backend, and layers that are meant to get none."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from versions import of_tensorflow

import keras_inits as ki

pytestmark = of_tensorflow("JAX and torch raise an error there themselves")
X = np.random.default_rng(0).standard_normal((16, 6), dtype="float32")


class Net(keras.Model):
    """A net whose parts `a`, `b` and `c` a function puts together."""

    def __init__(self, function):
        super().__init__()
        self.a, self.b, self.c = (layers.Dense(6, name=name) for name in "abc")
        for each in (self.a, self.b, self.c):
            each.build(X.shape)
        self.function = function

    def call(self, x):
        return self.function(self, x)


def by_numpy(x):
    return ops.convert_to_tensor(np.sort(x.numpy(), axis=1))


def by_a_numpy_function(x):
    import tensorflow as tf

    made = tf.numpy_function(lambda v: 2 * v, [x], tf.float32)
    made.set_shape(x.shape)
    return made


@pytest.mark.parametrize("outside", [by_numpy, by_a_numpy_function])
@pytest.mark.parametrize("y", [X, None])
def test_a_gradient_that_stays_behind_in_numpy_is_named(outside, y):
    model = Net(lambda net, x: net.b(outside(ops.relu(net.a(x)))))
    model.compile("sgd", "mse", run_eagerly=True)
    finding = ki.diagnose(model, X, y).findings[0]
    assert finding.kind == "no gradient"
    assert finding.where == ("b", "a")
    assert "Between a and b compute by keras.ops" in finding.remedy


def with_an_unused_layer(net, x):
    net.c(x)
    return net.b(ops.relu(net.a(x)))


def with_a_target(net, x):
    return net.a(x) * ops.stop_gradient(net.b(x))


def with_a_target_in_a_loss(net, x):
    made = net.a(x)
    net.add_loss(ops.mean((ops.stop_gradient(net.b(x)) - made) ** 2))
    return made


def by_itself_elsewhere(net, x):
    return net.a(x) * ops.stop_gradient(net.a(2 * x))


@pytest.mark.parametrize(
    "function",
    [with_an_unused_layer, with_a_target, with_a_target_in_a_loss, by_itself_elsewhere],
)
def test_layers_that_are_unused_or_held_still_are_left_in_peace(function):
    report = ki.diagnose(Net(function), X, X, loss="mse")
    assert "no gradient" not in {finding.kind for finding in report.findings}


class Two(layers.Layer):
    """A layer of two outputs."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 6))

    def call(self, x):
        made = ops.matmul(x, self.kernel)
        return ops.stop_gradient(made), made


@pytest.mark.parametrize(
    "make",
    [
        lambda x: layers.GRU(6, return_state=True)(x)[1],
        lambda x: layers.LSTM(6, return_state=True)(x)[2],
        lambda x: layers.RNN(layers.SimpleRNNCell(6), return_state=True)(x)[1],
        lambda x: Two()(x[:, 0])[1],
    ],
)
def test_a_layer_whose_state_alone_is_used_is_left_in_peace(make):
    given = keras.Input((3, 6))
    model = keras.Model(given, layers.Dense(1)(make(given)))
    model.compile("adam", "mse")
    x = np.random.default_rng(0).standard_normal((16, 3, 6), dtype="float32")
    report = ki.diagnose(model, x, x[:, 0, :1])
    assert "no gradient" not in {finding.kind for finding in report.findings}
