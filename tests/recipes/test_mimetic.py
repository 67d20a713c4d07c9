"""Self-attention whose kernels start in pairs (Trockman & Kolter 2023)."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_inits as ki
from keras_inits import InputError, MimeticInit

WIDTH, HEADS = 48, 4


def block(x, name, attention=None, **arguments):
    attention = attention or layers.MultiHeadAttention(HEADS, WIDTH // HEADS, name=name)
    h = layers.LayerNormalization()(x)
    x = x + attention(h, h, **arguments)
    h = layers.Dense(2 * WIDTH, "gelu")(layers.LayerNormalization()(x))
    return x + layers.Dense(WIDTH)(h)


def vit(depth=2):
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(WIDTH, 4, 4)(image)
    x = layers.Reshape((16, WIDTH))(x)
    for i in range(depth):
        x = block(x, f"attention_{i}")
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x))
    return keras.Model(image, layers.Dense(10)(x))


def products(model, i):
    """Returns W_Q W_K' of each head, `(heads, d, d)`, and W_V W_O."""
    attention = model.get_layer(f"attention_{i}")
    named = {w.path.split("/")[-2]: np.asarray(w, "float64") for w in attention.weights
             if w.name == "kernel"}  # fmt: skip
    scores = np.einsum("ahk,bhk->hab", named["query"], named["key"])
    mixed = np.einsum("ahk,hkb->ab", named["value"], named["attention_output"])
    return scores, mixed


def coefficient(product):
    """Returns the mean of the diagonal, and the standard deviation of all the rest."""
    off = product[~np.eye(len(product), dtype=bool)]
    return float(np.trace(product) / len(product)), float(off.std())


def best_of_rank(matrix, rank):
    u, s, vt = np.linalg.svd(matrix)
    return (u[:, :rank] * s[:rank]) @ vt[:rank]


@pytest.mark.parametrize("name", ["mimetic", "initkit_mimetic"])
def test_products_are_near_the_identity_and_its_negative(name):
    model = vit()
    rows = ki.initialize(model, name, seed=1).rows
    assert sum(row.scheme.startswith("MimeticInit") for row in rows) == 8
    for i in range(2):
        scores, mixed = products(model, i)
        for head in scores:
            # of rank 12 of 48: the identity's share of what the 12 largest directions hold
            diagonal, off = coefficient(head)
            assert diagonal > 0.25
            assert off < 0.5 * diagonal
        diagonal, off = coefficient(mixed)
        assert diagonal == pytest.approx(-0.4, abs=0.08)  # .4 Z / sqrt d: 0.4/48 for the mean
        assert off == pytest.approx(0.4 / WIDTH**0.5, rel=0.1)
    ki.initialize(model, "initkit_xavier", seed=1)  # the control
    scores, mixed = products(model, 0)
    assert abs(coefficient(scores[0])[0]) < 0.1
    assert abs(coefficient(mixed)[0]) < 0.1


@pytest.mark.parametrize("width", [24, 48])
def test_each_head_is_the_papers_matrix_cut_to_its_rank(width):
    z = np.asarray(keras.random.normal((HEADS, 48, 48), dtype="float32", seed=7), "float64")
    q, k = (
        np.asarray(
            MimeticInit(part, seed=7, input_axes=0, output_axes=(1, 2))((48, HEADS, width)),
            "float64",
        )
        for part in ("query", "key")
    )
    for head in range(HEADS):
        wanted = best_of_rank(0.7 * z[head] / 48**0.5 + 0.7 * np.eye(48), width)
        np.testing.assert_allclose(q[:, head] @ k[:, head].T, wanted, atol=1e-5)


@pytest.mark.parametrize("inner", [16, 32, 80])
def test_value_and_out_are_one_matrix_for_all_heads(inner):
    z = np.asarray(keras.random.normal((1, 32, 32), dtype="float32", seed=3), "float64")[0]
    value = np.asarray(MimeticInit("value", seed=3)((32, inner)), "float64")
    out = np.asarray(MimeticInit("out", seed=3)((inner, 32)), "float64")
    wanted = best_of_rank(0.4 * z / 32**0.5 - 0.4 * np.eye(32), min(inner, 32))
    np.testing.assert_allclose(value @ out, wanted, atol=1e-5)
    assert (np.abs(value).max(axis=0) > 0).all()  # no unit without weights
    other = np.asarray(MimeticInit("out", seed=4)((inner, 32)), "float64")
    assert np.abs(value @ other - wanted).max() > 0.05  # the control: another seed is no pair


def test_all_else_starts_by_its_own_and_audit_finds_nothing():
    model = vit()
    ki.initialize(model, "mimetic", seed=1)
    assert ki.audit(model).findings == ()
    theirs = vit()
    ki.initialize(theirs, "own", seed=1)
    for one, other in zip(model.weights, theirs.weights, strict=True):
        alike = np.array_equal(np.asarray(one), np.asarray(other))
        assert alike != ("attention" in one.path and one.name == "kernel")


def test_seeds_give_other_pairs_and_the_same_seed_the_same():
    model = vit(1)
    ki.initialize(model, "mimetic", seed=1)
    first = [np.asarray(w).copy() for w in model.weights]
    ki.initialize(model, "mimetic", seed=2)
    second = np.asarray(model.get_layer("attention_0").weights[0]).copy()
    ki.initialize(model, "mimetic", seed=1)
    for one, other in zip(first, model.weights, strict=True):
        np.testing.assert_array_equal(one, np.asarray(other))
    assert not np.array_equal(second, np.asarray(model.get_layer("attention_0").weights[0]))


def test_the_own_schemes_draw_pairs_again():
    model = vit(1)
    ki.initialize(model, "mimetic", seed=1)
    ki.initialize(model, "own", seed=5)
    scores, mixed = products(model, 0)
    assert coefficient(scores[0])[0] > 0.25
    assert coefficient(mixed)[0] == pytest.approx(-0.4, abs=0.08)


def test_compare_draws_the_same_pairs():
    from keras_inits._compare.starts import labelled
    from keras_inits._compare.weights import draw

    model = vit(1)
    drawn = draw(model, labelled(["mimetic"])["mimetic"], 3, 0)
    ki.initialize(model, "mimetic", seed=3)
    for one, other in zip(drawn, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(one, np.asarray(other))


def test_attention_to_another_signal_starts_by_its_own():
    x, other = keras.Input((6, WIDTH)), keras.Input((9, WIDTH))
    h = block(x, "self_attention")
    cross = layers.MultiHeadAttention(HEADS, WIDTH // HEADS, name="cross")(h, other)
    model = keras.Model([x, other], h + cross)
    rows = ki.initialize(model, "mimetic", seed=1).rows
    notes = {row.path: row.note for row in rows if row.geometry}
    crossed = [note for path, note in notes.items() if "cross" in path]
    assert len(crossed) == 4
    assert all("another signal" in note for note in crossed)
    assert not any("another signal" in n for path, n in notes.items() if "self_att" in path)


def test_fewer_heads_of_keys_start_by_their_own():
    x = keras.Input((6, WIDTH))
    attention = layers.GroupQueryAttention(12, HEADS, 2, name="grouped")
    model = keras.Model(x, block(x, "", attention))
    rows = ki.initialize(model, "mimetic", seed=1).rows
    notes = {row.path.split("/")[-2]: row.note for row in rows
             if "grouped" in row.path and row.geometry}  # fmt: skip
    assert "number of heads" in notes["query"]
    assert "number of heads" in notes["key"]


class Plain(layers.Layer):
    """Attention of plain matrices, which do not show their heads."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.q, self.k, self.v, self.o = (layers.Dense(WIDTH, name=n) for n in "qkvo")

    def call(self, x):
        def heads(z):
            return ops.transpose(ops.reshape(z, (-1, x.shape[1], HEADS, 12)), (0, 2, 1, 3))

        q, k, v = (heads(each(x)) for each in (self.q, self.k, self.v))
        weights = ops.softmax(ops.matmul(q, ops.transpose(k, (0, 1, 3, 2))) / 12**0.5)
        mixed = ops.transpose(ops.matmul(weights, v), (0, 2, 1, 3))
        return self.o(ops.reshape(mixed, (-1, x.shape[1], WIDTH)))


def test_plain_matrices_need_to_be_told_their_heads():
    x = keras.Input((6, WIDTH))
    layer = Plain(name="plain")
    model = keras.Model(x, x + layer(layers.LayerNormalization()(x)))
    rows = ki.initialize(model, "mimetic", seed=1).rows
    assert sum("heads=" in row.note for row in rows) == 2
    ki.initialize(model, ki.recipe("mimetic", heads=HEADS), seed=1)
    q, k = (np.asarray(w.kernel).reshape(WIDTH, HEADS, 12) for w in (layer.q, layer.k))
    for head in range(HEADS):
        assert coefficient(q[:, head] @ k[:, head].T)[0] > 0.25


def test_it_is_for_models_with_attention():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    with pytest.raises(InputError, match="for models with query"):
        ki.initialize(model, "initkit_mimetic")
    with pytest.raises(InputError, match="Received"):
        MimeticInit("keys")
    with pytest.raises(InputError, match="projections of one attention"):
        MimeticInit("key")((3, 3, 4, 4))


def test_a_saved_model_with_mimetic_kernels_loads(tmp_path):
    model = vit(1)
    ki.initialize(model, "mimetic", seed=1)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    for one, other in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))
