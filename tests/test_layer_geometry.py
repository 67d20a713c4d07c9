"""Each kind of layer keeps a white signal forward (fan_in) and backward (fan_out).

The proof of a geometry: values of variance 1/fan_in make an output of variance 1 from an input of
variance 1, within 5 %. The control is the same law with the fans that Keras reads off the shape.
"""

from dataclasses import dataclass, field
from inspect import signature

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_inits
from keras_inits import Default, KernelGeometry, LeftAlone, VarianceScalingInit, geometry
from keras_inits._diagnose.backends import backend
from keras_inits._layers import owned_weights, role
from keras_inits._layers.core import einsum_geometry

TOLERANCE = 0.05

# Keras 3.12 has no gate in its attention.
GATED = {"use_gate": True} if "use_gate" in signature(layers.MultiHeadAttention).parameters else {}


@dataclass(frozen=True)
class Case:
    """A layer that is linear in its input, and what Keras's fans do to it.

    `forward` and `backward` are the variances by the fans of the shape: 1 where these are right.
    `margin` is how many entries to cut off each end of the space axes, where padding is felt.
    """

    make: object
    shape: tuple
    forward: float = 1.0
    backward: float = 1.0
    margin: int = 0
    call: dict = field(default_factory=dict)


LINEAR = {
    "Dense": Case(lambda: layers.Dense(96), (512, 128)),
    "EinsumDense": Case(
        lambda: layers.EinsumDense("abc,cd->abd", (None, 96)), (128, 4, 128)
    ),
    "EinsumDense into heads": Case(
        lambda: layers.EinsumDense("abc,cde->abde", (None, 8, 16)), (128, 4, 64), 1 / 8, 1 / 8
    ),
    "EinsumDense out of heads": Case(
        lambda: layers.EinsumDense("...cd,cde->...e", (64,)), (512, 8, 16), 1.0, 1 / 8
    ),
    "EinsumDense of experts": Case(
        lambda: layers.EinsumDense("ebd,edf->ebf", (None, 128)), (4, 512, 64), 1 / 4, 1 / 4
    ),
    "EinsumDense with the kernel transposed": Case(
        lambda: layers.EinsumDense("ab,cb->ac", (192,)), (512, 48), 48 / 192, 192 / 48
    ),
    "Conv1D": Case(lambda: layers.Conv1D(64, 5, padding="same"), (32, 64, 32), margin=5),
    "Conv1D causal": Case(lambda: layers.Conv1D(64, 5, padding="causal"), (32, 64, 32), margin=5),
    "Conv2D": Case(lambda: layers.Conv2D(64, 3, padding="same"), (8, 24, 24, 32), margin=3),
    "Conv3D": Case(lambda: layers.Conv3D(32, 3, padding="same"), (4, 12, 12, 12, 16), margin=3),
    "Conv2D groups": Case(
        lambda: layers.Conv2D(128, 3, groups=4, padding="same"), (8, 24, 24, 64), 1.0, 1 / 4, 3
    ),
    "Conv2D stride": Case(
        lambda: layers.Conv2D(128, 3, strides=2, padding="same"), (8, 48, 48, 32), 1.0, 1 / 4, 6
    ),
    "Conv1D stride beyond the kernel": Case(
        lambda: layers.Conv1D(128, 2, strides=3), (64, 96, 64), 1.0, 1 / 3, 6
    ),
    "Conv2D dilation": Case(
        lambda: layers.Conv2D(64, 3, dilation_rate=2, padding="same"), (8, 24, 24, 32), margin=5
    ),
    "Conv1DTranspose": Case(
        lambda: layers.Conv1DTranspose(32, 4, strides=2, padding="same"),
        (64, 32, 64),
        64 / 32 / 2,
        32 / 64,
        margin=6,
    ),
    "Conv2DTranspose": Case(
        lambda: layers.Conv2DTranspose(32, 3, padding="same"), (8, 24, 24, 64), 2.0, 1 / 2, 4
    ),
    "Conv2DTranspose stride": Case(
        lambda: layers.Conv2DTranspose(32, 4, strides=2, padding="same"),
        (8, 24, 24, 64),
        2 / 4,
        1 / 2,
        margin=6,
    ),
    "Conv2DTranspose stride that does not divide the kernel": Case(
        lambda: layers.Conv2DTranspose(32, 3, strides=2, padding="same"),
        (8, 24, 24, 64),
        2 / 4,
        1 / 2,
        margin=6,
    ),
    "Conv3DTranspose": Case(
        lambda: layers.Conv3DTranspose(16, 2, strides=2), (4, 8, 8, 8, 32), 2 / 8, 1 / 2, 2
    ),
    "DepthwiseConv1D": Case(
        lambda: layers.DepthwiseConv1D(5, padding="same"), (32, 48, 1024), 1 / 1024, 1.0, 5
    ),
    "DepthwiseConv2D": Case(
        lambda: layers.DepthwiseConv2D(3, padding="same"), (4, 16, 16, 640), 1 / 640, 1.0, 3
    ),
    "DepthwiseConv2D multiplier and stride": Case(
        lambda: layers.DepthwiseConv2D(3, strides=2, depth_multiplier=2, padding="same"),
        (4, 32, 32, 512),
        1 / 512,
        1 / 4,
        margin=6,
    ),
    "SeparableConv1D": Case(
        lambda: layers.SeparableConv1D(128, 5, padding="same"), (16, 48, 512), 1 / 512, 1.0, 5
    ),
    "SeparableConv2D": Case(
        lambda: layers.SeparableConv2D(128, 3, strides=2, padding="same"),
        (4, 32, 32, 512),
        1 / 512,
        1 / 4,
        margin=6,
    ),
    "SimpleRNN": Case(lambda: layers.SimpleRNN(128, activation="linear"), (512, 1, 64)),
    "TimeDistributed": Case(lambda: layers.TimeDistributed(layers.Dense(96)), (128, 4, 128)),
    "ReversibleEmbedding, tied": Case(
        lambda: layers.ReversibleEmbedding(1024, 64), (512, 64), 64 / 1024, 16.0,
        call={"reverse": True},
    ),
    "ReversibleEmbedding, untied": Case(
        lambda: layers.ReversibleEmbedding(1024, 64, tie_weights=False), (512, 64),
        call={"reverse": True},
    ),
}  # fmt: skip
every_linear_layer = pytest.mark.parametrize("kind", LINEAR)


def white(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, "float32")


def built(case):
    layer = case.make()
    layer.build(case.shape)
    return layer


def inside(values, margin):
    """Cuts `margin` entries off both ends of the space axes."""
    values = ops.convert_to_numpy(values)
    space = range(1, values.ndim - 1) if margin else ()
    return values[
        tuple(slice(margin, -margin) if a in space else slice(None) for a in range(values.ndim))
    ]


def forward_variance(layer, case):
    return inside(layer(white(case.shape), **case.call), case.margin).var()


def backward_variance(layer, case):
    (y,), take_back = backend.jacobian(
        lambda x: [layer(x, **case.call)], ops.convert_to_tensor(white(case.shape))
    )
    (back,) = take_back([ops.convert_to_tensor(white(tuple(y.shape), seed=1))])
    return inside(back, case.margin).var()


def draw_by_shape(layer, mode):
    """Sets the kernels by Keras's own law of that mode, which sees the shape alone."""
    for seed, weight in enumerate(layer.weights):
        if len(weight.shape) > 1:
            law = keras.initializers.VarianceScaling(1.0, mode, "untruncated_normal", seed=seed)
            weight.assign(law(weight.shape))


@every_linear_layer
@pytest.mark.parametrize(
    ("mode", "variance"), [("fan_in", forward_variance), ("fan_out", backward_variance)]
)
def test_a_white_signal_keeps_its_variance(kind, mode, variance):
    case = LINEAR[kind]
    layer = built(case)
    keras_inits.initialize(layer, VarianceScalingInit(mode=mode), seed=1)
    assert variance(layer, case) == pytest.approx(1, abs=TOLERANCE)
    # control: the same law by shape is off by just the factor of the fans
    draw_by_shape(layer, mode)
    off = case.forward if mode == "fan_in" else case.backward
    assert variance(layer, case) == pytest.approx(off, rel=2 * TOLERANCE)
    assert (abs(variance(layer, case) - 1) < TOLERANCE) == (off == 1)


@pytest.mark.parametrize("make", [layers.Embedding, layers.ReversibleEmbedding])
def test_a_lookup_keeps_the_variance(make):
    arguments = {} if make is layers.Embedding else {"tie_weights": False}
    layer = make(1000, 64, **arguments)
    layer.build()
    keras_inits.initialize(layer, VarianceScalingInit(), seed=1)
    tokens = np.random.default_rng(0).integers(0, 1000, (64, 32))
    assert np.var(ops.convert_to_numpy(layer(tokens))) == pytest.approx(1, abs=TOLERANCE)
    draw_by_shape(layer, "fan_in")
    assert np.var(ops.convert_to_numpy(layer(tokens))) == pytest.approx(1 / 1000, rel=2 * TOLERANCE)


RECURRENT = {
    "SimpleRNN": (lambda: layers.SimpleRNN(128), 1),
    "GRU": (lambda: layers.GRU(128), 3),
    "GRU, reset before": (lambda: layers.GRU(128, reset_after=False), 3),
    "LSTM": (lambda: layers.LSTM(128), 4),
    "RNN of an LSTMCell": (lambda: layers.RNN(layers.LSTMCell(128)), 4),
    "RNN of stacked cells": (lambda: layers.RNN([layers.GRUCell(128), layers.GRUCell(96)]), 3),
    "Bidirectional": (lambda: layers.Bidirectional(layers.LSTM(128)), 4),
}


def recurrent_kernels(kind):
    """Builds a recurrent layer; returns it, its kernels, and the number of gates."""
    make, gates = RECURRENT[kind]
    layer = make()
    layer.build((None, 3, 64))
    kernels = [w for w in layer.weights if "kernel" in w.name]
    assert kernels
    return layer, kernels, gates


@pytest.mark.parametrize("kind", RECURRENT)
def test_each_gate_keeps_the_variance_of_inputs_states_and_gradients(kind):
    layer, kernels, gates = recurrent_kernels(kind)
    keras_inits.initialize(layer, VarianceScalingInit(), seed=1)
    for kernel in kernels:
        for gate in np.split(ops.convert_to_numpy(kernel), gates, axis=1):
            assert np.var(white((512, gate.shape[0])) @ gate) == pytest.approx(1, abs=TOLERANCE)
    keras_inits.initialize(layer, VarianceScalingInit(mode="fan_out"), seed=1)
    for kernel in kernels:
        for gate in np.split(ops.convert_to_numpy(kernel), gates, axis=1):
            assert np.var(white((512, gate.shape[1])) @ gate.T) == pytest.approx(1, abs=TOLERANCE)
        # control: by shape the fan_out counts all gates
        by_shape = keras.initializers.VarianceScaling(1.0, "fan_out", "untruncated_normal", seed=1)
        gate = np.split(ops.convert_to_numpy(by_shape(kernel.shape)), gates, axis=1)[0]
        variance = np.var(white((512, gate.shape[1])) @ gate.T)
        assert variance == pytest.approx(1 / gates, rel=2 * TOLERANCE)


@pytest.mark.parametrize("kind", RECURRENT)
def test_orthogonal_makes_each_gate_orthogonal(kind):
    layer, kernels, gates = recurrent_kernels(kind)
    keras_inits.initialize(layer, "initkit_orthogonal", seed=1)
    for kernel in kernels:
        blocks = np.split(ops.convert_to_numpy(kernel), gates, axis=1)
        assert max(map(gram_error, blocks)) < 1e-5
        # control: orthogonal by shape, as Keras draws it, is not so gate by gate
        by_shape = np.split(
            ops.convert_to_numpy(keras.initializers.Orthogonal(seed=1)(kernel.shape)), gates, 1
        )
        if gates > 1:
            assert min(map(gram_error, by_shape)) > 0.1


def gram_error(block):
    q = block if block.shape[0] >= block.shape[1] else block.T
    return np.abs(q.T @ q - np.eye(q.shape[1])).max()


@pytest.mark.parametrize(
    ("make", "space"),
    [(layers.ConvLSTM1D, (16,)), (layers.ConvLSTM2D, (8, 8)), (layers.ConvLSTM3D, (4, 4, 4))],
)
def test_the_gates_of_a_convolutional_lstm_are_blocks(make, space):
    layer = make(12, 2, strides=2)
    layer.build((None, 3, *space, 5))
    taps = 2 ** len(space)
    fans = {w.weight.name: role(w.layer, w.weight) for w in owned_weights(layer)}
    assert fans["kernel"].matrix_shape == (4, 5 * taps, 12)
    assert fans["kernel"].fan_out == 12  # the stride is as large as the kernel
    assert fans["recurrent_kernel"].matrix_shape == (4, 12 * taps, 12)
    assert fans["recurrent_kernel"].fan_out == 12 * taps
    keras_inits.initialize(layer, "initkit_orthogonal", seed=1)
    for gate in np.split(ops.convert_to_numpy(layer.cell.recurrent_kernel), 4, axis=-1):
        assert gram_error(gate.reshape(-1, 12)) < 1e-5


ATTENTION = {
    "MultiHeadAttention": (lambda: layers.MultiHeadAttention(8, 16), [(4, 6, 64)] * 2),
    "MultiHeadAttention, all arguments": (
        lambda: layers.MultiHeadAttention(
            8, 16, value_dim=24, output_shape=(6, 20), attention_axes=(1, 2), **GATED
        ),
        [(4, 6, 3, 64), (4, 5, 3, 96), (4, 5, 3, 48)],
    ),
    "MultiHeadAttention of one head, no bias": (
        lambda: layers.MultiHeadAttention(1, 64, use_bias=False),
        [(4, 6, 96)] * 2,
    ),
    "GroupQueryAttention": (
        lambda: layers.GroupQueryAttention(16, 8, 4),
        [(4, 6, 128)] * 2,
    ),
}


@pytest.mark.parametrize("kind", ATTENTION)
def test_each_projection_of_attention_keeps_the_variance(kind):
    make, shapes = ATTENTION[kind]
    layer = make()
    layer.build(*((None, *shape[1:]) for shape in shapes))
    projections = {w.layer.name: w.layer for w in owned_weights(layer)}
    assert {"query", "key", "value", "attention_output"} <= set(projections)
    for mode in ("fan_in", "fan_out"):
        keras_inits.initialize(layer, VarianceScalingInit(mode=mode), seed=1)
        for dense in projections.values():
            kernel = geometry(dense, dense.kernel)
            matrix = ops.convert_to_numpy(kernel.to_matrices(dense.kernel))[0]
            matrix = matrix if mode == "fan_in" else matrix.T
            signal = white((2048, len(matrix)))
            assert np.var(signal @ matrix) == pytest.approx(1, abs=TOLERANCE)
    kernels = [ops.convert_to_numpy(dense.kernel).ravel()[:32] for dense in projections.values()]
    assert all(np.any(kernels[0] != other) for other in kernels[1:])


@pytest.mark.parametrize(
    "equation", ["ab,bc->ac", "abc,cde->abde", "abcd,cde->abe", "a...x,xy->a...y"]
)
def test_the_matrix_of_an_equation_is_the_map_of_the_layer(equation):
    operands, result = equation.replace("...", "").split("->")
    inputs, kernel_labels = operands.split(",")
    sizes = dict(zip("abcdexy", (7, 1, 3, 4, 5, 6, 2), strict=True))
    summed = [label for label in kernel_labels if label not in result]
    sizes["b"] = 3 if "b" in summed else 1
    kernel = white([sizes[label] for label in kernel_labels])
    x = white([sizes[label] for label in inputs], seed=1)
    y = np.einsum(f"{inputs},{kernel_labels}->{result}", x, kernel)
    matrices = ops.convert_to_numpy(einsum_geometry(equation, kernel.shape).to_matrices(kernel))
    np.testing.assert_allclose(x.reshape(7, -1) @ matrices[0], y.reshape(7, -1), rtol=1e-4)


def test_the_scale_of_additive_attention_is_a_sum():
    layer = layers.AdditiveAttention()
    layer.build([(None, 4, 8192), (None, 4, 8192)])
    keras_inits.initialize(layer, VarianceScalingInit(), seed=1)
    scores = white((2048, 8192)) @ ops.convert_to_numpy(layer.scale)[:, None]
    assert np.var(scores) == pytest.approx(1, abs=TOLERANCE)


@pytest.mark.parametrize("equation", ["ab,bb->ab", "ab,bc->a", "abc,cd->ad"])
def test_an_equation_that_hides_the_fan_is_not_guessed(equation):
    _, kernel = equation.partition("->")[0].split(",")
    assert isinstance(einsum_geometry(equation, (4,) * len(kernel)), LeftAlone)


def test_an_unknown_layer_is_never_guessed_and_can_be_registered():
    class Mixer(layers.Layer):
        def build(self, shape):
            self.mixer = self.add_weight(name="mixer", shape=(6, shape[-1]))
            self.offset = self.add_weight(name="offset", shape=(6,))

    layer = Mixer(name="mixer")
    layer.build((None, 4))
    before = layer.get_weights()
    report = keras_inits.initialize(layer)
    assert [row.path for row in report.left_alone] == ["mixer/mixer", "mixer/offset"]
    assert all("geometry.register(Mixer)" in row.left_alone for row in report.rows)
    for one, other in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)

    @keras_inits.geometry.register(Mixer)
    def _(layer, weight):
        if weight.name == "mixer":
            return KernelGeometry.from_shape(weight.shape, 1, 0)
        return Default("zeros")

    report = keras_inits.initialize(layer, "initkit_orthogonal")
    assert report.left_alone == ()
    assert report.rows[0].geometry.fan_in == 4
    assert np.all(ops.convert_to_numpy(layer.offset) == 0)


def test_a_registered_geometry_that_returns_something_else_is_named():
    class Wrong(layers.Layer):
        def build(self, shape):
            self.offset = self.add_weight(name="offset", shape=(6,))

    @keras_inits.geometry.register(Wrong)
    def _(layer, weight):
        return "zeros"

    layer = Wrong()
    layer.build((None, 4))
    with pytest.raises(ValueError, match=r"geometry registered for Wrong.*Received: 'zeros'"):
        keras_inits.initialize(layer)


def test_geometry_of_a_bias_that_is_not_there_says_so():
    layer = layers.Dense(3, use_bias=False)
    layer.build((None, 2))
    with pytest.raises(TypeError, match=r"`weight` must be a variable of the layer.*NoneType"):
        keras_inits.geometry(layer, layer.bias)
