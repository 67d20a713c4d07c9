"""Sums, streams and branches, against nets whose counts are known."""

import keras
import pytest
from keras import layers, ops

from keras_inits import wiring


def residual(blocks, *, normalize=None, after=None):
    """A net of blocks h + Dense(Dense(h)), with a normalization before, after or inside."""
    h = inputs = keras.Input((8,))
    for i in range(blocks):
        x = layers.LayerNormalization(name=f"pre_{i}")(h) if normalize == "pre" else h
        x = layers.Dense(8, "relu", name=f"a_{i}")(x)
        x = layers.Dense(8, name=f"b_{i}")(x)
        if normalize == "end":
            x = layers.BatchNormalization(name=f"bn_{i}")(x)
        h = h + x
        if normalize == "post":
            h = layers.LayerNormalization(name=f"post_{i}")(h)
        if after is not None:
            h = after(h)
    return keras.Model(inputs, layers.Dense(1, name="head")(h))


def end_names(found):
    return [found.calls[end].path for each in found.sums for end in each.branch_ends]


@pytest.mark.parametrize("after", [None, ops.relu])
@pytest.mark.parametrize("normalize", [None, "pre", "end"])
def test_one_stream_passes_all_sums(normalize, after):
    found = wiring(residual(5, normalize=normalize, after=after))
    assert [len(stream.sums) for stream in found.streams] == [5]
    assert found.streams[0].start == -1
    assert [each.place for each in found.sums] == [0, 1, 2, 3, 4]
    end = "bn" if normalize == "end" else "b"
    assert end_names(found) == [f"{end}_{i}" for i in range(5)]
    kernels = [found.calls[branch.kernel].path for each in found.sums for branch in each.branches]
    assert kernels == [f"b_{i}" for i in range(5)]
    for i in range(5):
        (inside,) = found.of(f"a_{i}")
        assert found.passed(inside) == i
        assert found.sum_of(inside) == found.sums[i]
    assert [call.path for call in found.heads] == ["head"]
    assert found.passed(found.heads[0]) == 5


def test_a_normalization_on_the_stream_starts_a_new_one():
    found = wiring(residual(4, normalize="post"))
    assert [len(stream.sums) for stream in found.streams] == [1] * 4
    starts = [found.calls[s.start].path for s in found.streams[1:]]
    assert starts == ["post_0", "post_1", "post_2"]
    assert [found.passed(found.of(f"a_{i}")[0]) for i in range(4)] == [0] * 4


def test_a_shortcut_with_a_kernel_is_still_the_stream():
    h = inputs = keras.Input((8,))
    for i, width in enumerate((8, 16, 32)):
        x = layers.Dense(width, "relu")(h)
        x = layers.Dense(width, name=f"end_{i}")(x)
        h = layers.Dense(width, name=f"short_{i}")(h) + x
    found = wiring(keras.Model(inputs, h))
    assert end_names(found) == ["end_0", "end_1", "end_2"]
    assert [found.calls[s.shortcut.kernel].path for s in found.sums] == [
        "short_0", "short_1", "short_2"
    ]  # fmt: skip
    assert [len(stream.sums) for stream in found.streams] == [3]


def test_branches_side_by_side_are_one_sum_with_two_ends():
    inputs = keras.Input((8,))
    one, two = layers.Dense(8, name="one")(inputs), layers.Dense(8, name="two")(inputs)
    for total in (inputs + one + two, inputs + (one + two), layers.Add()([one, inputs, two])):
        found = wiring(keras.Model(inputs, total))
        assert len(found.sums) == 1
        assert sorted(end_names(found)) == ["one", "two"]
        assert found.streams[0].branches == 2


@pytest.mark.parametrize(
    "net",
    [
        lambda x: layers.Dense(8)(x) + layers.Dense(8)(x),  # side by side, no stream
        lambda x: layers.Dense(8)(x) + 1.0,
        lambda x: x + x,
        lambda x: (y := layers.Dense(8)(x)) - ops.mean(y, axis=-1, keepdims=True),
        lambda x: layers.Concatenate()([x, layers.Dense(8)(x)]),
        lambda x: (g := layers.Dense(8, "sigmoid")(x)) * x + (1 - g) * layers.Dense(8)(x),
    ],
)
def test_what_adds_no_branch_to_a_stream_is_no_sum(net):
    inputs = keras.Input((8,))
    assert wiring(keras.Model(inputs, net(inputs))).sums == ()


def test_the_shift_of_a_signal_by_what_a_condition_makes_is_no_stream():
    inputs, condition = keras.Input((8, 8, 4)), keras.Input((5,))
    x = layers.Conv2D(16, 3, padding="same")(inputs)
    for _ in range(3):
        scale, shift = (layers.Dense(16)(condition)[:, None, None] for _ in range(2))
        y = layers.Conv2D(16, 3, padding="same")(x)
        x = x + ops.relu((1 + scale) * y + shift)
    found = wiring(keras.Model([inputs, condition], x))
    assert [len(stream.sums) for stream in found.streams] == [3]


def test_an_end_behind_a_learned_factor_is_the_factor():
    class Scale(layers.Layer):
        def build(self, shape):
            self.gamma = self.add_weight(shape=(shape[-1],), name="gamma")

        def call(self, x):
            return x * self.gamma

    inputs = keras.Input((8,))
    branch = Scale(name="scale")(layers.Dense(8, name="kernel")(inputs))
    found = wiring(keras.Model(inputs, inputs + branch))
    assert end_names(found) == ["scale/multiply"]
    assert found.calls[found.sums[0].branches[0].kernel].path == "kernel"


def test_a_gated_branch_ends_at_its_kernel_and_not_at_the_gate():
    inputs = keras.Input((8, 8, 4))
    x = layers.Conv2D(4, 3, padding="same", name="kernel")(inputs)
    gate = layers.Dense(4, "sigmoid", name="gate")(layers.GlobalAveragePooling2D()(x))
    found = wiring(keras.Model(inputs, inputs + x * layers.Reshape((1, 1, 4))(gate)))
    assert end_names(found) == ["kernel"]


def test_a_branch_that_is_not_understood_has_no_end():
    inputs = keras.Input((8,))
    x = layers.Dense(8)(inputs)
    x = layers.Concatenate()([x[:, :4], layers.Dense(4)(x)])
    found = wiring(keras.Model(inputs, inputs + x))
    assert len(found.sums) == 1
    assert found.sums[0].branch_ends == ()
    assert "not understood" in found.summary()


def test_streams_of_an_encoder_and_a_decoder_are_two():
    def block(h, memory, name):
        h = h + layers.MultiHeadAttention(2, 4, name=f"{name}_attention")(h, memory)
        return h + layers.Dense(8, name=f"{name}_dense")(layers.Dense(8, "relu")(h))

    one, two = keras.Input((5, 8)), keras.Input((6, 8))
    memory = block(one, one, "encoder")
    h = block(block(two, memory, "decoder_0"), memory, "decoder_1")
    found = wiring(keras.Model([one, two], h))
    assert sorted(len(stream.sums) for stream in found.streams) == [2, 4]
    assert sorted(stream.start for stream in found.streams) == [-2, -1]
    assert {name.split("/")[-1] for name in end_names(found)} == {
        "attention_output", "encoder_dense", "decoder_0_dense", "decoder_1_dense"
    }  # fmt: skip
