"""What a first step mends, what is left out by design, and what a remedy has really made better."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from versions import ON_TORCH

import keras_inits as ki
from keras_inits._diagnose.signal import proof

X = np.random.default_rng(0).standard_normal((8, 6, 16), dtype="float32")


def kinds(report):
    return [finding.kind for finding in report.findings]


class Queries(layers.Layer):
    """Learned tokens, the same for each sample, as of a query transformer or a class token."""

    def __init__(self, tokens, initializer, **options):
        super().__init__(**options)
        self.tokens, self.initializer = tokens, initializer

    def build(self, shape):
        self.token = self.add_weight(
            shape=(1, self.tokens, shape[-1]), initializer=self.initializer, name="tokens"
        )

    def call(self, x):
        return ops.broadcast_to(self.token, (ops.shape(x)[0], *self.token.shape[1:]))


def query_transformer(end):
    """Learned queries that start at 0 read the input, then each other; `end` makes the output."""
    x = keras.Input((6, 16))
    q = Queries(4, "zeros")(x)
    q = layers.LayerNormalization()(q + layers.MultiHeadAttention(2, 8)(q, x))
    q = layers.LayerNormalization()(q + layers.MultiHeadAttention(2, 8, name="mutual")(q, q))
    return keras.Model(x, end(q))


def test_learned_queries_of_zeros_part_at_the_first_step():
    assert kinds(ki.diagnose(query_transformer(layers.Dense(4)), X)) == []


@pytest.mark.skipif(ON_TORCH, reason="of torch the gradient is rounding there, not 0")
def test_learned_queries_that_never_part_are_found():
    # A mean over the queries gives each of them one gradient: they stay as one.
    (finding,) = ki.diagnose(query_transformer(layers.GlobalAveragePooling1D()), X).findings
    assert finding.kind == "no gradient"
    assert any("mutual" in name for name in finding.where)


class Joint(layers.Layer):
    """Attention over a context and a sequence, of which the places of the sequence are kept."""

    def __init__(self, read_context, **options):
        super().__init__(**options)
        self.read_context = read_context
        self.key, self.value = layers.Dense(16), layers.Dense(16)
        self.query, self.query_of_context = layers.Dense(16), layers.Dense(16, name="of_context")
        self.softmax = layers.Softmax()

    def call(self, x, context):
        q = ops.concatenate([self.query_of_context(context), self.query(x)], 1)
        both = ops.concatenate([context, x], 1)
        scores = self.softmax(ops.einsum("btd,bsd->bts", q, self.key(both)) / 4)
        made = ops.einsum("bts,bsd->btd", scores, self.value(both))
        return made if self.read_context else made[:, 6:]


@pytest.mark.parametrize("read_context", [False, True])
def test_queries_whose_outputs_are_dropped_are_no_fault(read_context):
    x, context = keras.Input((6, 16)), keras.Input((6, 16))
    model = keras.Model([x, context], Joint(read_context)(x, context))
    assert kinds(ki.diagnose(model, [X, X[::-1].copy()])) == []


def test_attention_over_one_place_is_still_found():
    x = keras.Input((1, 16))
    model = keras.Model(x, layers.Dense(4)(layers.MultiHeadAttention(2, 8, name="alone")(x, x)))
    assert kinds(ki.diagnose(model, X[:, :1])) == ["no gradient"]


def test_an_output_that_is_rounded_is_still_found_with_its_operation():
    x = keras.Input((16,))
    h = layers.Dense(16, name="hidden")(x)
    model = keras.Model(x, layers.Dense(4)(ops.round(h)))
    (finding,) = ki.diagnose(model, X[:, 0]).findings
    assert finding.kind == "no gradient"
    assert "hidden" in finding.where


class Gated(layers.Layer):
    """down(gate(x) * up(x)) with kernels of its own."""

    def __init__(self, initializer, **options):
        super().__init__(**options)
        self.initializer = initializer

    def build(self, shape):
        self.kernels = [
            self.add_weight(shape=(16, 16), initializer=self.initializer, name=name)
            for name in ("gate", "up", "down")
        ]

    def call(self, x):
        gate, up, down = self.kernels
        return ops.matmul(ops.gelu(ops.matmul(x, gate)) * ops.matmul(x, up), down)


def test_kernels_of_zeros_that_are_multiplied_are_named_and_drawn():
    x = keras.Input((16,))
    h = layers.Dense(16)(x)
    model = keras.Model(x, layers.Dense(4)(h + Gated("zeros", name="gated")(h)))
    (finding,) = ki.diagnose(model, X[:, 0], confirm=True).findings
    assert finding.where == ("gated",)
    assert "gate, up, down are 0" in finding.evidence
    assert finding.numbers["confirmed"] == 1


@pytest.mark.parametrize("initializer", [keras.initializers.RandomNormal(0.01), "random_normal"])
def test_learned_tokens_are_no_signal_that_collapsed_or_faded(initializer):
    x = keras.Input((6, 16))
    h = layers.Dense(16)(x)
    tokens = ops.concatenate([h, Queries(1, initializer)(h)], 1)
    model = keras.Model(x, layers.Dense(4)(layers.LayerNormalization()(tokens)))
    assert kinds(ki.diagnose(model, X)) == []


def test_samples_that_a_kernel_makes_alike_are_still_found():
    x = keras.Input((16,))
    same = layers.Dense(16, bias_initializer=ki.RandomInit(1.0, seed=1), name="same")
    model = keras.Model(x, layers.Dense(16)(same(x)))
    same.kernel.assign(same.kernel * 0.03)
    assert "rank-collapsed" in kinds(ki.diagnose(model, X[:, 0]))


@pytest.mark.parametrize("samples", [1, 8])
def test_of_a_single_sample_half_of_the_units_are_off_by_chance(samples):
    x = keras.Input((16,))
    model = keras.Sequential([x, layers.Dense(16, "relu", name="d"), layers.Dense(4)])
    dense = model.get_layer("d")
    # 10 of 16 units are off, whatever the sample.
    dense.bias.assign(np.where(np.arange(16) < 10, -6.0, 1.0))
    assert ("dying" in kinds(ki.diagnose(model, X[:samples, 0]))) == (samples > 1)


@pytest.mark.parametrize(
    ("before", "after", "gone", "better"),
    [
        (0.62, 0.56, True, False),
        (0.62, 0.56, False, False),
        (0.9, 0.55, True, True),
        (0.9, 0.4, False, True),
        (0.995, 0.98, True, True),
        (0.995, 0.98, False, False),
    ],
)
def test_a_share_is_better_by_a_real_amount(before, after, gone, better):
    assert proof._improved("dead units", before, after, gone) is better


@pytest.mark.parametrize(
    ("before", "after", "better"), [(4.1, 5.3, False), (0.09, 0.12, False), (1e-4, 0.5, True)]
)
def test_a_ratio_is_better_when_half_of_its_decades_are_gone(before, after, better):
    assert proof._improved("gradient ratio", before, after, gone=True) is better


def test_a_path_that_fades_within_a_fair_net_is_proved_by_its_own_figure():
    x = keras.Input((16,))
    h = layers.Dense(16)(x)
    small = keras.initializers.RandomNormal(0.02, seed=1)
    for i in range(2):
        h = layers.Dense(16, kernel_initializer=small, name=f"small{i}")(h)
    model = keras.Model(x, layers.Dense(16)(layers.Rescaling(100.0)(h)))
    report = ki.diagnose(model, X[:, 0], confirm=True)
    first = next(f for f in report.findings if f.kind == "vanishing" and f.where == ("small1",))
    assert first.numbers["confirmed"] == 1
    assert " at small" in first.evidence
    assert first.numbers["before"] < 0.1 < 0.3 < first.numbers["after"] < 3
