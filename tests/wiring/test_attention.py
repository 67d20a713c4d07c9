"""Attention: its four projections, in whatever way it is written."""

import keras
import pytest
from keras import layers, ops

from keras_inits import wiring


class ByHand(layers.Layer):
    """Attention of one head by matrix products."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.q, self.k, self.v, self.o = (layers.Dense(units, name=name) for name in "qkvo")

    def build(self, shape):
        for layer in (self.q, self.k, self.v, self.o):
            layer.build(shape)

    def call(self, x):
        scores = ops.matmul(self.q(x), ops.transpose(self.k(x), (0, 2, 1))) / 2.0
        return self.o(ops.matmul(ops.softmax(scores), self.v(x)))


class Fused(layers.Layer):
    """Attention whose queries, keys and values come from one kernel."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.qkv, self.o = layers.Dense(3 * units, name="qkv"), layers.Dense(units, name="o")

    def build(self, shape):
        self.qkv.build(shape)
        self.o.build((*shape[:-1], self.o.units))

    def call(self, x):
        q, k, v = ops.split(self.qkv(x), 3, axis=-1)
        scores = ops.einsum("bqd,bkd->bqk", q, k)
        return self.o(ops.einsum("bqk,bkd->bqd", ops.softmax(scores), v))


MADE = {
    "MultiHeadAttention": lambda: layers.MultiHeadAttention(2, 4, name="mha"),
    "MultiHeadAttention with scores": lambda: layers.MultiHeadAttention(2, 4, dropout=0.1),
    "MultiHeadAttention of wider values": lambda: layers.MultiHeadAttention(2, 4, 6),
    "GroupQueryAttention": lambda: layers.GroupQueryAttention(4, 4, 2, name="gqa"),
}


@pytest.mark.parametrize("name", MADE)
def test_the_projections_of_keras_layers(name):
    inputs, memory = keras.Input((5, 8)), keras.Input((6, 8))
    found = wiring(keras.Model([inputs, memory], MADE[name]()(inputs, memory)))
    roles = {call.path.split("/")[-1]: found.attention_role(call) for call in found.maps}
    assert roles == {
        "query": "query", "key": "key", "value": "value", "attention_output": "out"
    }  # fmt: skip


def test_the_projections_of_a_layer_by_hand():
    inputs = keras.Input((5, 8))
    found = wiring(keras.Model(inputs, ByHand(8)(inputs)))
    roles = {call.path.split("/")[-1]: found.attention_role(call) for call in found.maps}
    assert roles == {"q": "query", "k": "key", "v": "value", "o": "out"}


def test_one_kernel_may_make_queries_keys_and_values():
    inputs = keras.Input((5, 8))
    found = wiring(keras.Model(inputs, Fused(8)(inputs)))
    roles = {call.path.split("/")[-1]: found.attention_role(call) for call in found.maps}
    assert roles == {"qkv": "query+key+value", "o": "out"}


def test_a_softmax_elsewhere_is_no_attention():
    inputs = keras.Input((5, 8))
    gate = ops.softmax(layers.Dense(8)(inputs))
    model = keras.Model(inputs, layers.Dense(2, "softmax")(gate * inputs))
    assert wiring(model).attentions == ()


def test_embeddings_and_heads_that_share_a_table_are_tied():
    hub = pytest.importorskip("keras_hub")
    tokens = keras.Input((5,), dtype="int32")
    for tied in (True, False):
        table = hub.layers.ReversibleEmbedding(20, 8, tie_weights=tied)
        hidden = layers.Dense(8)(table(tokens))
        found = wiring(keras.Model(tokens, table(hidden, reverse=True)))
        (embedding,) = found.embeddings
        (head,) = found.heads
        assert head.backwards
        assert found.tied(embedding) == tied
