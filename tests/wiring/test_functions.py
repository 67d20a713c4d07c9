"""Functions of TensorFlow in the `call` of a layer are understood as Keras's own are."""

import operator

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops
from versions import of_tensorflow

from keras_inits import initialize, wiring
from keras_inits._wiring.functions import Function, answer

pytestmark = of_tensorflow("its functions")

X = np.random.default_rng(0).normal(size=(2, 4, 6)).astype("float32")
W = np.random.default_rng(1).normal(size=(6, 6)).astype("float32")
KNOWN = [
    (tf.matmul, (X, W), {}),
    (tf.matmul, (X, W), {"transpose_b": True}),
    (tf.matmul, (X, X), {"transpose_a": True}),
    (tf.einsum, ("abc,cd->abd", X, W), {}),
    (tf.tensordot, (X, W, 1), {}),
    (tf.concat, ([X, X], -1), {}),
    (tf.stack, ([X, X],), {"axis": 1}),
    (tf.unstack, (X,), {"axis": 1}),
    (tf.split, (X, 3), {"axis": -1}),
    (tf.split, (X, [1, 2, 3]), {"axis": 2}),
    (tf.reshape, (X, tf.constant([2, -1])), {}),
    (tf.transpose, (X, [0, 2, 1]), {}),
    (tf.transpose, (X,), {}),
    (tf.expand_dims, (X, 1), {}),
    (tf.squeeze, (X[:1],), {"axis": 0}),
    (tf.gather, (X, [1, 0]), {}),
    (tf.gather, (X, [1, 0]), {"axis": 2}),
    (tf.tile, (X, [1, 2, 1]), {}),
    (tf.pad, (X, [[0, 0], [1, 2], [0, 1]]), {}),
    (tf.where, (X > 0, X, -X), {}),
    (tf.clip_by_value, (X, -1.0, 0.5), {}),
    (tf.cast, (X, "float64"), {}),
    (tf.cast, (X, tf.float16), {}),
    (tf.identity, (X,), {}),
    (tf.rank, (X,), {}),
    (tf.stop_gradient, (X,), {}),
    (tf.reduce_mean, (X,), {"axis": -1, "keepdims": True}),
    (tf.reduce_sum, (X, [1, 2]), {}),
    (tf.math.reduce_variance, (X,), {"axis": 0}),
    (tf.math.reduce_std, (X,), {"axis": 0}),
    (tf.norm, (X,), {"axis": -1, "keepdims": True}),
    (tf.math.l2_normalize, (X,), {"axis": -1}),
    (tf.math.unsorted_segment_sum, (X[0], [0, 1, 0, 2], 3), {}),
    (tf.math.unsorted_segment_mean, (X[0], [0, 1, 0, 2], 4), {}),
    (tf.nn.relu, (X,), {}),
    (tf.nn.leaky_relu, (X,), {}),
    (tf.nn.leaky_relu, (X,), {"alpha": 0.1}),
    (tf.nn.gelu, (X,), {}),
    (tf.nn.gelu, (X,), {"approximate": True}),
    (tf.nn.silu, (X,), {}),
    (tf.nn.softmax, (X,), {}),
    (tf.nn.softmax, (X,), {"axis": 1}),
    (tf.nn.log_softmax, (X,), {}),
    (tf.math.log, (X**2,), {}),
    (tf.negative, (X,), {}),
    (tf.pow, (X, 2.0), {}),
    (tf.add, (X, 1.0), {}),
    (tf.argmax, (X,), {"axis": -1}),
    (tf.greater, (X, 0.5), {}),
    (tf.math.floormod, (X, 0.5), {}),
    (tf.nn.depth_to_space, (X.reshape(2, 2, 3, 4), 2), {}),
]
UNKNOWN = [
    (tf.math.l2_normalize, (X,), {}),  # over the whole tensor, as Keras's does not
    (tf.gather, (X, [[0], [1]]), {"axis": 1, "batch_dims": 1}),
    (tf.reduce_euclidean_norm if hasattr(tf, "reduce_euclidean_norm") else tf.signal.fft,
     (X.astype("complex64"),), {}),
    (tf.pad, (X, [[0, 0], [1, 2], [0, 1]]), {"mode": "REFLECT"}),
]  # fmt: skip


def _numbers(structure):
    return [np.asarray(part, "complex128") for part in keras.tree.flatten(structure)]


def _named(case):
    return case[0].__name__


@pytest.mark.parametrize("case", KNOWN, ids=_named)
def test_the_operation_of_keras_computes_what_the_function_does(case):
    function, args, kwargs = case
    args = keras.tree.map_structure(
        lambda part: tf.constant(part) if isinstance(part, np.ndarray) else part, args
    )
    expected = _numbers(function(*args, **kwargs))
    found = _numbers(answer(function, args, kwargs))
    assert [part.shape for part in found] == [part.shape for part in expected]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("case", KNOWN, ids=_named)
def test_no_known_function_is_left_as_one_that_is_not_understood(case, monkeypatch):
    monkeypatch.setattr(Function, "__init__", lambda *_: pytest.fail("not translated"))
    answer(*case)


@pytest.mark.parametrize("case", UNKNOWN, ids=_named)
def test_a_function_with_arguments_of_another_meaning_is_not_translated(case):
    function, args, kwargs = case
    for one, other in zip(
        _numbers(answer(function, args, kwargs)), _numbers(function(*args, **kwargs)), strict=True
    ):
        np.testing.assert_array_equal(one, other)


class Block(layers.Layer):
    """Two kernels, a weight and a sum, written by TensorFlow or by Keras."""

    def __init__(self, by_keras, foreign=None):
        super().__init__()
        self.by_keras, self.foreign = by_keras, foreign
        self.up, self.down = layers.Dense(64, name="up"), layers.Dense(16, name="down")

    def build(self, shape):
        self.up.build(shape)
        self.down.build((*shape[:-1], 64))
        self.mixing = self.add_weight(shape=(16, 16), name="mixing")

    def call(self, x):
        if self.by_keras:
            low = self.down(ops.relu(self.up(x)))
            return ops.concatenate(ops.split(ops.matmul(low, self.mixing), 2, axis=-1), axis=-1) + x
        low = self.down(tf.nn.relu(self.up(x)))
        if self.foreign:
            low = self.foreign(low)
        return tf.concat(tf.split(tf.matmul(low, self.mixing), 2, axis=-1), -1) + x


def _net(*arguments):
    inputs = keras.Input((16,))
    return keras.Model(inputs, layers.Dense(4, name="head")(Block(*arguments)(inputs)))


def test_a_layer_written_by_tensorflow_is_wired_like_one_written_by_keras():
    one, other = wiring(_net(False)), wiring(_net(True))
    assert [call.kind for call in one.calls] == [call.kind for call in other.calls]
    assert [call.signals for call in one.calls] == [call.signals for call in other.calls]
    assert not one.unknown
    assert len(one.sums) == 1


def test_auto_starts_it_as_it_starts_the_other():
    one, other = initialize(_net(False), "auto", seed=0), initialize(_net(True), "auto", seed=0)
    rows = [(row.second_moment, row.target_stddev) for row in one.rows]
    assert rows == [(row.second_moment, row.target_stddev) for row in other.rows]
    assert sum(moment is not None for moment, _ in rows) == 4


@pytest.mark.parametrize("one", [tf.ones(16), np.ones(16, "float32"), np.sqrt(2.0)], ids=type)
@pytest.mark.parametrize("by", ["add", "sub", "mul", "truediv", "pow"])
def test_arithmetic_that_begins_with_an_array_is_the_tensors(one, by):
    class Left(layers.Layer):
        def call(self, x):
            return getattr(operator, by)(one, x)

    inputs = keras.Input((16,))
    found = wiring(keras.Model(inputs, Left()(layers.Dense(16)(inputs))))
    assert not found.unknown
    assert len(found.calls) == 2
    assert not hasattr(keras.KerasTensor, "__array_ufunc__")


def test_what_has_no_counterpart_is_named_and_the_rest_is_understood():
    found = wiring(_net(False, lambda low: tf.math.xlogy(low, low)))
    assert [call.path.split("/")[-1] for call in found.unknown] == ["xlogy"]
    assert len(found.sums) == 1


def test_a_subclassed_model_of_such_functions_is_traced():
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.one, self.two = layers.Dense(8), layers.Dense(8)

        def call(self, x):
            return tf.exp(self.one(x)) * self.two(x), tf.reduce_sum(self.one(x), [1])

    model = Net()
    model(X[0])
    assert len(wiring(model).maps) == 3


def test_outside_of_a_trace_tensorflow_refuses_symbolic_tensors_as_before():
    wiring(_net(False))
    with pytest.raises(ValueError, match="KerasTensor"):
        tf.nn.relu(keras.KerasTensor((2, 3)))
