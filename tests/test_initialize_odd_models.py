"""`"auto"` on models of which a part is not what it seems: said, never taken for numbers."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_inits as ki
from keras_inits._layers.scales import scale_offset


def rows(model):
    found = ki.initialize(model, "auto", seed=0).rows
    return {row.path.rpartition("/")[0]: row for row in found if row.geometry}


def chain(first, dtype="float32"):
    inputs = keras.Input((8,), dtype=dtype)
    x = first(inputs)
    x = layers.GlobalAveragePooling1D()(x) if len(x.shape) == 3 else x
    return keras.Model(inputs, layers.Dense(3, name="head")(x))


@pytest.mark.parametrize(
    ("first", "dtype"),
    [(lambda: layers.Dense(16, "relu", name="first"), "float32"),
     (lambda: layers.EinsumDense("ab,bc->ac", 16, name="first"), "float32"),
     (lambda: layers.Embedding(50, 16, name="first"), "int32")],
    ids=["dense", "einsum", "embedding"],
)  # fmt: skip
def test_the_integers_of_a_quantized_layer_are_not_taken_for_its_kernel(first, dtype):
    model = chain(layer := first(), dtype)
    layer.quantize("int8")
    kept = [ops.convert_to_numpy(weight) for weight in layer.weights]
    head = rows(model)["head"]
    assert "'first' is not understood, so that 1 is assumed" in head.note
    # Integers of up to 127 would ask for a head of a hundredth.
    assert 0.1 < head.target_stddev * 4 < 1
    for weight, values in zip(layer.weights, kept, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(weight), values)


def test_a_kernel_with_lora_passes_what_it_passes_without():
    model = chain(layer := layers.Dense(16, "relu", name="first"), "float32")
    layer.kernel.assign(3 * ki.HeInit(seed=1)(layer.kernel.shape))
    layer.enable_lora(2)
    head = rows(model)["head"]
    # The factor that starts at 0 takes nothing away: 3 squared behind the ReLU.
    assert "nothing but zeros" not in head.note
    assert head.target_stddev == pytest.approx((0.3 / 9 / 16) ** 0.5, rel=0.2)


def test_what_comes_in_as_integers_is_said_to_be_unknown():
    inputs = keras.Input((8,), dtype="uint8")
    x = layers.Dense(16, "relu", name="first")(ops.cast(inputs, "float32"))
    found = rows(keras.Model(inputs, layers.Dense(3, name="head")(x)))
    assert "'first' is not followed, so that 1 is assumed" in found["first"].note
    assert found["head"].second_moment == pytest.approx(0.3, rel=1e-6)
    assert found["head"].target_stddev == pytest.approx((0.3 / 16) ** 0.5, rel=0.05)


def test_cells_that_are_stacked_get_what_the_ones_before_them_make():
    cells = [layers.LSTMCell(64), layers.GRUCell(64), layers.SimpleRNNCell(64)]
    inputs = keras.Input((16, 32))
    model = keras.Model(inputs, layers.Dense(8)(layers.RNN(cells)(inputs)))
    found = rows(model)
    notes = {path.rpartition("/")[2]: row.note for path, row in found.items()}
    assert "second moment 1 from 1" in notes["lstm_cell"] or "gain 1" in notes["lstm_cell"]
    assert not any("not known" in note or "not understood" in note for note in notes.values())
    data = np.random.default_rng(0).normal(size=(256, 16, 32))
    head = ops.convert_to_numpy(model(data))
    assert np.mean(head**2) == pytest.approx(found["dense"].second_moment, rel=0.4)


def test_the_input_kernel_behind_a_cell_without_a_rule_is_not_called_recurrent():
    class Own(layers.GRUCell):
        pass

    class Plain(layers.Layer):
        state_size = output_size = 8

        def call(self, x, states):
            return x, states

    inputs = keras.Input((5, 8))
    model = keras.Model(inputs, layers.Dense(2)(layers.RNN([Plain(), Own(9)])(inputs)))
    notes = {row.path: row.note for row in ki.initialize(model, "auto", seed=0).rows}
    (second,) = (note for path, note in notes.items() if path.endswith("own/kernel"))
    assert "not known" in second


def test_a_wrapper_that_renews_a_kernel_is_named_in_its_row():
    inputs = keras.Input((8,))
    x = layers.SpectralNormalization(layers.Dense(16, "relu", name="inner"))(inputs)
    model = keras.Model(inputs, layers.Dense(3, name="head")(x))
    notes = {row.path: row.note for row in ki.initialize(model, "auto", seed=0).rows}
    assert ["SpectralNormalization" in notes[p] for p in notes if p.endswith("/kernel")] == [
        True,
        False,
    ]


def test_a_kernel_of_no_inputs_is_set():
    inputs = keras.Input((0,))
    model = keras.Model(inputs, layers.Dense(3)(inputs))
    assert ki.initialize(model, "auto", seed=0).rows[0].shape == (0, 3)


def test_a_softmax_of_constants_is_no_attention():
    """Routing by agreement starts from equal weights (Sabour et al. 2017)."""
    inputs = keras.Input((6, 8))
    votes = layers.EinsumDense("bid,ijdo->bijo", output_shape=(6, 3, 4), name="votes")(inputs)
    logits = ops.zeros_like(votes[..., :1])
    for _ in range(2):
        made = ops.sum(ops.softmax(logits, axis=2) * votes, axis=1, keepdims=True)
        logits = logits + ops.sum(votes * made, axis=-1, keepdims=True)
    model = keras.Model(inputs, ops.squeeze(made, 1))
    assert ki.wiring(model).attentions == ()
    assert rows(model)["votes"].second_moment == pytest.approx(1, rel=1e-6)


def test_a_recipe_sets_a_convolution_of_integers():
    inputs = keras.Input((8, 8, 3), dtype="uint8")
    x = layers.Conv2D(8, 3, activation="relu")(ops.cast(inputs, "float32"))
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))
    report = ki.initialize(model, "dcgan", seed=0)
    assert report.rows[0].scheme


class OffsetNormalization(layers.Layer):
    """As Gemma's: times 1 + scale, with a scale of 0 at the start."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), initializer="zeros", name="scale")

    def call(self, x):
        size = ops.mean(ops.square(x), axis=-1, keepdims=True)
        return x * ops.rsqrt(size + 1e-6) * (1 + self.scale)


class PlainNormalization(OffsetNormalization):
    def call(self, x):
        return x * ops.rsqrt(ops.mean(ops.square(x), axis=-1, keepdims=True)) * self.scale


@pytest.mark.parametrize("normalization", [OffsetNormalization, PlainNormalization])
def test_a_scale_of_0_lets_a_signal_pass_where_it_is_added_to_1(normalization):
    layer = normalization()
    layer.build((None, 16))
    assert scale_offset(layer, (2, 16)) == (normalization is OffsetNormalization)
    assert not np.any(ops.convert_to_numpy(layer.scale))


def test_gemma_is_not_taken_to_be_silent():
    hub = pytest.importorskip("keras_hub")
    sizes = {"vocabulary_size": 50, "num_layers": 2, "num_query_heads": 2}
    sizes |= {"num_key_value_heads": 1, "hidden_dim": 16, "intermediate_dim": 32, "head_dim": 8}
    found = ki.initialize(hub.models.GemmaBackbone(**sizes), "auto", seed=0).rows
    queries = [row for row in found if row.path.endswith("query/kernel")]
    assert [row.second_moment for row in queries] == pytest.approx([1, 1], rel=0.05)
    assert not any("nothing but zeros" in row.note for row in found)
