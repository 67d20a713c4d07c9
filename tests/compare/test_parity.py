"""Every kind of layer gives the numbers of `fit` side by side, or is refused with its reason."""

import re

import keras
import numpy as np
import pytest
from compare.small_models import sequential
from keras import layers
from versions import ON_TORCH

from keras_inits import Execution, compare
from keras_inits._compare.vectorizing import CannotVectorizeError

FLAT = layers.Flatten


def reshaped():
    return layers.Reshape((8, 16))


class Attention(layers.Layer):
    def __init__(self):
        super().__init__()
        self.attention = layers.MultiHeadAttention(2, 4, dropout=0.1)

    def build(self, shape):
        self.attention.build(shape, shape)

    def call(self, x, training=False):
        return self.attention(x, x, training=training)


class Tokens(layers.Layer):
    """Integers from 0 to 9 of the first features."""

    def call(self, x):
        return keras.ops.cast(keras.ops.clip(keras.ops.abs(x[:, :, 0]) * 3, 0, 9), "int32")


class ConvolvingCell(layers.Layer):
    """A recurrent step of one's own, with a layer of convolution inside."""

    def __init__(self):
        super().__init__()
        self.convolution = layers.Conv1D(3, 3, padding="same")
        self.state_size = 12

    def build(self, shape):
        self.convolution.build((None, 4, shape[-1] // 4 + 3))

    def call(self, x, states, training=False):
        both = [keras.ops.reshape(t, (-1, 4, t.shape[-1] // 4)) for t in (x, states[0])]
        state = keras.ops.tanh(self.convolution(keras.ops.concatenate(both, axis=-1)))
        state = keras.ops.reshape(state, (-1, 12))
        return state, [state]


def frames(*shape):
    return lambda: layers.Reshape(shape)


QUICK = {
    "convolutional lstm": (frames(4, 4, 4, 2), lambda: layers.ConvLSTM2D(2, 3), FLAT),
    "depthwise": (lambda: layers.DepthwiseConv2D(3), FLAT),
    "group normalization": (lambda: layers.GroupNormalization(2), FLAT),
    "constraint": (
        FLAT,
        lambda: layers.Dense(8, "relu", kernel_constraint=keras.constraints.MaxNorm(0.5)),
        lambda: layers.Dense(8, kernel_constraint=keras.constraints.UnitNorm()),
    ),
}
SLOW = {
    "dense": (FLAT, lambda: layers.Dense(8, "tanh")),
    "convolution": (lambda: layers.Conv2D(4, 3), FLAT),
    "transposed convolution": (lambda: layers.Conv2DTranspose(4, 3), FLAT),
    "separable convolution": (lambda: layers.SeparableConv2D(4, 3), FLAT),
    "batch normalization": (
        lambda: layers.Conv2D(4, 3, use_bias=False),
        layers.BatchNormalization,
        FLAT,
    ),
    "layer normalization": (layers.LayerNormalization, FLAT),
    "unit normalization": (FLAT, layers.UnitNormalization),
    "dropout": (FLAT, lambda: layers.Dropout(0.3)),
    "spatial dropout": (lambda: layers.SpatialDropout2D(0.3), FLAT),
    "gaussian noise": (lambda: layers.GaussianNoise(0.3), FLAT),
    "prelu": (FLAT, layers.PReLU),
    "embedding": (reshaped, Tokens, lambda: layers.Embedding(10, 4), FLAT),
    "recurrent dropout": (
        lambda: layers.Reshape((4, 32)),
        lambda: layers.SimpleRNN(4, dropout=0.2, recurrent_dropout=0.2),
    ),
    "lstm with dropout": (reshaped, lambda: layers.LSTM(4, dropout=0.2, recurrent_dropout=0.2)),
    "lstm": (reshaped, lambda: layers.LSTM(4)),
    "lstm, masked": (reshaped, layers.Masking, lambda: layers.LSTM(4)),
    "gru": (reshaped, lambda: layers.GRU(4)),
    "simple rnn": (reshaped, lambda: layers.SimpleRNN(4)),
    "bidirectional": (reshaped, lambda: layers.Bidirectional(layers.GRU(4))),
    "convolutional lstm, 1d, with dropout": (
        frames(4, 8, 4),
        lambda: layers.ConvLSTM1D(2, 3, dropout=0.2, recurrent_dropout=0.2),
        FLAT,
    ),
    "convolutional lstm, 3d": (
        frames(2, 4, 4, 4, 1),
        lambda: layers.ConvLSTM3D(2, 2),
        layers.BatchNormalization,
        FLAT,
    ),
    "convolutional lstm, both ways": (
        frames(4, 8, 4),
        lambda: layers.Bidirectional(layers.ConvLSTM1D(2, 3, return_sequences=True)),
        lambda: layers.ConvLSTM1D(2, 3),
        FLAT,
    ),
    "convolutional lstm, at each time": (
        frames(2, 4, 4, 4),
        lambda: layers.TimeDistributed(layers.ConvLSTM1D(2, 3)),
        FLAT,
    ),
    "a convolving cell": (frames(4, 32), lambda: layers.RNN(ConvolvingCell())),
    "attention": (reshaped, Attention, FLAT),
    "time distributed": (reshaped, lambda: layers.TimeDistributed(layers.Dense(3)), FLAT),
    "einsum": (
        reshaped,
        lambda: layers.EinsumDense("abc,cd->abd", (None, 4), bias_axes="d"),
        layers.GlobalAveragePooling1D,
    ),
    "pooling": (lambda: layers.AveragePooling2D(2), layers.GlobalMaxPooling2D),
}

# Convolutions with channels last, in-place sums, `item()`, and random numbers.
NO_RULE_ON_TORCH = {
    *("convolution", "depthwise", "separable convolution", "batch normalization"),
    *("convolutional lstm", "convolutional lstm, 1d, with dropout", "convolutional lstm, 3d"),
    *("dropout", "spatial dropout", "gaussian noise", "attention"),
    *("recurrent dropout", "lstm with dropout"),
}


@pytest.mark.parametrize(
    "kind", [*QUICK, *(pytest.param(kind, marks=pytest.mark.slow) for kind in SLOW)]
)
def test_a_kind_of_layer_has_the_numbers_of_fit(kind, images, options):
    # Two epochs: what an evaluation leaves behind shows in the second.
    build, options = sequential(*{**QUICK, **SLOW}[kind]), {**options, "seeds": 1, "epochs": 2}
    if ON_TORCH and kind in NO_RULE_ON_TORCH:
        with pytest.raises(
            CannotVectorizeError, match=r"cannot train .* since .* while vectorizing"
        ):
            compare(build, ["he"], images, execution=Execution(trainer="population"), **options)
        assert "while vectorizing" in compare(build, ["he"], images, **options).notes[0]
        return
    ours, theirs = (
        compare(build, ["he", "xavier"], images, execution=Execution(trainer=trainer), **options)
        for trainer in ("population", "fit")
    )
    for metric in ours.metrics:
        np.testing.assert_allclose(ours.values(metric), theirs.values(metric), atol=2e-5, rtol=1e-5)


def test_a_layer_that_assigns_to_its_kernel_is_refused_with_the_reason(images, options):
    build = sequential(FLAT, lambda: layers.SpectralNormalization(layers.Dense(4)))
    reason = "data-dependent control flow" if ON_TORCH else "a call in training assigns to .*kernel"
    with pytest.raises(CannotVectorizeError, match=reason):
        compare(build, ["he"], images, execution=Execution(trainer="population"), **options)
    result = compare(build, ["he"], images, **options | {"seeds": 1})
    assert result.trainer == "fit"
    assert re.search(reason, result.notes[0])
