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


class Product(layers.Layer):
    """Multiplies a signal by a weight of its own, by an operation."""

    def __init__(self, shape, call, initializer="random_normal", **kwargs):
        super().__init__(**kwargs)
        self.shape, self.function, self.initializer = shape, call, initializer

    def build(self, _):
        self.w = self.add_weight(shape=self.shape, initializer=self.initializer, name="w")

    def call(self, x):
        return self.function(x, self.w)


IMAGE = (8, 8, 6)
PRODUCTS = {
    "matmul": ((6,), (6, 16), ops.matmul, lambda: layers.Dense(16)),
    "weight first": ((6,), (16, 6), lambda x, w: ops.transpose(ops.matmul(w, ops.transpose(x))),
                     lambda: layers.Dense(16)),
    "einsum": ((5, 6), (6, 4, 4), lambda x, w: ops.einsum("btd,dhe->bthe", x, w),
               lambda: layers.EinsumDense("btd,dhe->bthe", (5, 4, 4))),
    "convolution": (IMAGE, (3, 3, 6, 16), lambda x, w: ops.conv(x, w, padding="same"),
                    lambda: layers.Conv2D(16, 3, padding="same")),
}  # fmt: skip


def between_relus(shape, layer):
    """A layer that follows on a ReLU, and is followed by one."""
    inputs = keras.Input(shape)
    x = layers.ReLU()(layer(layers.ReLU()(inputs)))
    return keras.Model(inputs, layers.Dense(3, name="head")(layers.Flatten()(x)))


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_weight_that_an_operation_multiplies_by_starts_as_the_kernel_of_a_layer(name):
    shape, weight, call, layer = PRODUCTS[name]
    bare = rows(between_relus(shape, Product(weight, call, name="it")))["it"]
    known = rows(between_relus(shape, layer()))
    assert bare.target_stddev == pytest.approx(next(iter(known.values())).target_stddev, rel=0.02)
    assert bare.note.startswith("ReLU: second moment 2 from ")


@pytest.mark.parametrize("start", ["zeros", "identity", "ones"])
def test_a_weight_that_does_not_start_at_random_keeps_its_start(start):
    model = between_relus((16,), Product((16, 16), ops.matmul, start, name="it"))
    before = ops.convert_to_numpy(model.get_layer("it").w)
    assert "it" not in rows(model)
    np.testing.assert_array_equal(ops.convert_to_numpy(model.get_layer("it").w), before)


def test_a_weight_that_is_used_in_another_way_too_is_left_alone():
    twice = Product((6, 6), lambda x, w: ops.matmul(x, w) + w[0] + ops.sum(w * x[:, None]))
    assert set(rows(between_relus((6,), twice))) == {"head"}


def test_a_frozen_weight_of_an_own_layer_stays():
    layer = Product((6, 16), ops.matmul, name="it")
    layer.build((None, 6))
    layer.w.trainable = False
    assert "it" not in rows(between_relus((6,), layer))


class Queries(layers.Layer):
    """Attention whose queries are learned."""

    def __init__(self, stddev, **kwargs):
        super().__init__(**kwargs)
        self.start = keras.initializers.RandomNormal(stddev=stddev, seed=0)
        self.attention = layers.MultiHeadAttention(2, 16, name="attention")

    def build(self, shape):
        self.queries = self.add_weight(shape=(1, 4, 32), initializer=self.start, name="queries")
        self.attention.build((None, 4, 32), shape)

    def call(self, x):
        return self.attention(ops.repeat(self.queries, ops.shape(x)[0], 0), x)


@pytest.mark.parametrize("stddev", [0.02, 3.0])
def test_learned_queries_are_as_large_as_they_start(stddev):
    inputs = keras.Input((10, 32))
    outputs = layers.Dense(3, name="head")(Queries(stddev, name="pool")(inputs))
    query = rows(keras.Model(inputs, outputs))["pool/attention/query"]
    assert "not understood" not in query.note
    assert query.target_stddev == pytest.approx(1 / stddev / 32**0.5, rel=0.2)


def test_a_convolutional_lstm_gives_what_is_said_of_it():
    inputs = keras.Input((6, 8, 8, 4))
    x = layers.ConvLSTM2D(32, 3, padding="same", name="memory")(inputs)
    model = keras.Model(inputs, layers.Conv2D(32, 1, name="head")(x))
    head = rows(model)["head"]
    assert "not understood" not in head.note
    rng = np.random.default_rng(0)
    made = model.predict(rng.normal(size=(4, 6, 8, 8, 4)), verbose=0)
    assert 0.5 < (np.mean(made**2) / head.second_moment) ** 0.5 < 2


@pytest.mark.parametrize("cell", [layers.GRUCell, layers.LSTMCell, layers.SimpleRNNCell])
def test_a_cell_that_a_model_steps_through_itself_is_understood(cell):
    class Stepped(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.cell = cell(32)

        def build(self, shape):
            self.cell.build((None, shape[-1]))

        def call(self, x):
            states = self.cell.get_initial_state(batch_size=ops.shape(x)[0])
            states = states if isinstance(states, list) else [states]
            for step in range(10):
                made, states = self.cell(x[:, step], states)
            return made

    inputs = keras.Input((10, 16))
    model = keras.Model(inputs, layers.Dense(64, name="head")(Stepped(name="memory")(inputs)))
    head = rows(model)["head"]
    assert "not understood" not in head.note
    made = model.predict(np.random.default_rng(0).normal(size=(64, 10, 16)), verbose=0)
    assert 0.5 < (np.mean(made**2) / head.second_moment) ** 0.5 < 2


def test_a_reciprocal_of_what_comes_near_0_is_said_to_be_unknown():
    inputs = keras.Input((16,))
    x = ops.reciprocal(layers.Dense(16, name="first")(inputs))
    head = rows(keras.Model(inputs, layers.Dense(3, name="head")(x)))["head"]
    assert "reciprocal 'reciprocal' is not understood, so that 1 is assumed" in head.note


def test_gates_that_a_bias_starts_nearly_shut_let_little_through():
    inputs = x = keras.Input((64,))
    for _ in range(10):
        shut = keras.initializers.Constant(-2.0)
        gate = layers.Dense(64, "sigmoid", bias_initializer=shut)(x)
        x = gate * layers.Dense(64, "relu")(x) + (1 - gate) * x
    model = keras.Model(inputs, [x, layers.Dense(3, name="head")(x)])
    head = rows(model)["head"]
    stream, _ = model.predict(np.random.default_rng(0).normal(size=(500, 64)), verbose=0)
    # What the head is drawn for: 0.3 over the variance of its kernel's sums.
    assert 0.3 / (64 * head.target_stddev**2) == pytest.approx(np.mean(stream**2), rel=0.3)


def test_a_stream_that_starts_at_0_does_not_silence_its_branches():
    inputs = keras.Input((10, 32))
    x = Zeros(name="queries")(inputs)
    x = x + layers.MultiHeadAttention(2, 16, name="first")(x, x)
    x = x + layers.MultiHeadAttention(2, 16, name="cross")(x, inputs)
    found = rows(keras.Model(inputs, layers.Dense(3, name="head")(x)))
    assert found["cross/attention_output"].target_stddev > 0.05
    assert "nothing but zeros" in found["first/query"].note


class Zeros(layers.Layer):
    """Four learned rows that start at 0."""

    def build(self, shape):
        self.rows = self.add_weight(shape=(1, 4, shape[-1]), initializer="zeros", name="rows")

    def call(self, x):
        return ops.repeat(self.rows, ops.shape(x)[0], 0)


def test_what_grows_out_of_an_assumption_is_not_believed():
    inputs = keras.Input((16,))
    (x,) = ops.while_loop(lambda x: ops.sum(x) < 0, lambda x: (x,), (inputs,))
    for _ in range(5):
        x = 50.0 * x
    head = rows(keras.Model(inputs, layers.Dense(3, name="head")(x)))["head"]
    assert "while_loop' is not understood, so that 1 is assumed" in head.note
    assert head.target_stddev > 1e-4


@pytest.mark.parametrize(("encoding", "share"), [("one_hot", 0.01), ("count", 1)])
def test_a_kernel_that_reads_ones_among_zeros_has_short_rows(encoding, share):
    inputs = keras.Input((1,), dtype="int32")
    codes = layers.CategoryEncoding(50, output_mode=encoding)(inputs)
    x = layers.Dense(64, "relu", name="first")(codes)
    x = layers.Dense(64, "relu", name="second")(x)
    found = rows(keras.Model(inputs, layers.Dense(3, name="head")(x)))
    assert found["first"].second_moment == pytest.approx(2 * share, rel=0.01)
    assert found["second"].second_moment == pytest.approx(2, rel=0.01)


def standard(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def second_moment_out(model, *inputs):
    ki.initialize(model, "auto", seed=0)
    made = ops.convert_to_numpy(model(list(inputs) if len(inputs) > 1 else inputs[0]))
    return float(np.mean(np.square(made)))


def test_a_mean_weighted_by_a_softmax_over_places_is_a_mean():
    inputs = keras.Input((30, 32))
    features = layers.Dense(64, "relu")(inputs)
    scores = layers.Dense(1)(layers.Dense(32, "tanh")(features))
    pooled = ops.sum(ops.softmax(scores, axis=1) * features, axis=1)
    model = keras.Model(inputs, layers.Dense(3, name="head")(pooled))
    # Not more than a guess costs: 30 places of 1/30 each are no 30th of a place.
    assert 0.03 < second_moment_out(model, standard(64, 30, 32)) < 1


class Experts(layers.Layer):
    """Eight experts, of which each token takes two."""

    def build(self, shape):
        width = shape[-1]
        self.router = layers.Dense(8, use_bias=False, name="router")
        self.router.build(shape)
        shapes = {"up": (8, width, 128), "down": (8, 128, width)}
        made = {
            n: self.add_weight(shape=s, initializer="normal", name=n) for n, s in shapes.items()
        }
        self.up, self.down = made["up"], made["down"]

    def call(self, x):
        weights, chosen = ops.top_k(ops.softmax(self.router(x)), 2)
        weights = weights / ops.sum(weights, axis=-1, keepdims=True)
        gates = ops.sum(ops.one_hot(chosen, 8) * weights[..., None], axis=-2)
        hidden = ops.relu(ops.einsum("btd,edf->btef", x, self.up))
        return ops.einsum("bted,bte->btd", ops.einsum("btef,efd->bted", hidden, self.down), gates)


def test_experts_that_a_router_chooses_keep_the_stream():
    inputs = x = keras.Input((12, 64))
    for _ in range(4):
        x = x + Experts()(layers.LayerNormalization()(x))
    model = keras.Model(inputs, x)
    made = second_moment_out(model, standard(16, 12, 64))
    assert 1.2 < made < 4  # 1 + 4 / 4


def parts_of_logits(inputs, case):
    deep = layers.Dense(64, "relu")(inputs)
    if case == "linear and deep":
        return layers.Dense(5)(inputs) + layers.Dense(5)(deep)
    if case == "several heads":
        return sum(layers.Dense(5)(layers.Dense(64, "tanh")(deep)) for _ in range(4))
    each = layers.EinsumDense("bfi,fio->bfo", (32, 5))(layers.Reshape((32, 2))(deep))
    return ops.sum(each, axis=1)


@pytest.mark.parametrize("case", ["linear and deep", "several heads", "a sum over features"])
def test_what_several_heads_sum_up_to_has_the_loss_of_a_guess(case):
    inputs = keras.Input((64,))
    model = keras.Model(inputs, parts_of_logits(inputs, case))
    assert 0.07 < second_moment_out(model, standard(256, 64)) < 0.6


def test_a_stream_that_ends_in_its_last_sum_is_no_sum_of_heads():
    inputs = keras.Input((8, 8, 16))
    maps = layers.Conv2D(32, 1)(inputs) + layers.Conv2D(32, 3, padding="same")(inputs)
    assert second_moment_out(keras.Model(inputs, maps), standard(16, 8, 8, 16)) > 0.8
    inputs = keras.Input((64,))
    x = layers.Dense(64)(inputs)
    for _ in range(2):
        x = x + layers.Dense(64)(layers.Dense(64, "relu")(x))
    assert second_moment_out(keras.Model(inputs, x), standard(256, 64)) > 1.5


def test_a_score_of_units_behind_an_activation_has_the_loss_of_a_guess():
    function, at = keras.Input((50,)), keras.Input((20, 2))
    one = layers.Dense(64)(layers.Dense(64, "relu")(function))
    two = layers.Dense(64, "tanh")(layers.Dense(64, "tanh")(at))
    model = keras.Model([function, at], ops.einsum("bp,bqp->bq", one, two))
    assert 0.03 < second_moment_out(model, standard(64, 50), standard(64, 20, 2)) < 0.6


def test_a_net_that_makes_the_weights_of_another_makes_them_small():
    inputs, condition = keras.Input((32,)), keras.Input((8,))
    code = layers.Dense(64, "relu")(condition)
    x = inputs
    for _ in range(5):
        made = layers.Reshape((x.shape[-1], 64))(layers.Dense(x.shape[-1] * 64)(code))
        x = ops.relu(ops.einsum("bi,bio->bo", x, made))
    model = keras.Model([inputs, condition], x)
    # Without that it is 32 * 64^4 / 32.
    assert second_moment_out(model, standard(64, 32), standard(64, 8)) < 10


@pytest.mark.parametrize("product", ["Dot", "matmul"])
def test_a_matrix_that_a_net_makes_for_a_set_of_points_is_small(product):
    """As the T-nets of PointNet."""
    points, code = keras.Input((50, 32)), keras.Input((64,))
    made = layers.Reshape((32, 32))(layers.Dense(32 * 32, name="makes")(code))
    turned = layers.Dot((2, 1))([points, made]) if product == "Dot" else ops.matmul(points, made)
    found = rows(keras.Model([points, code], layers.Dense(8, "relu", name="reads")(turned)))
    assert found["makes"].second_moment == pytest.approx(1 / 32, rel=0.01)
    assert "second moment 2 from 1," in found["reads"].note


def turned_points(kernel, bias):
    """Points, turned by a matrix that a net makes of them, as in PointNet."""
    points = keras.Input((50, 16))
    code = layers.GlobalMaxPooling1D()(layers.Conv1D(64, 1, activation="relu")(points))
    made = layers.Dense(256, kernel_initializer=kernel, bias_initializer=bias, name="makes")(code)
    turned = layers.Dot((2, 1))([points, layers.Reshape((16, 16))(made)])
    return keras.Model(points, layers.Dense(8, "relu", name="reads")(turned))


def test_what_a_bias_starts_with_is_part_of_a_matrix():
    identity = keras.initializers.Constant(np.eye(16).ravel())
    found = rows(turned_points("glorot_uniform", identity))
    # 1 of the kernel and 1 of the bias.
    assert "second moment 2 from 2" in found["reads"].note
    assert "second moment 2 from 1," in rows(turned_points("glorot_uniform", "zeros"))["reads"].note


def test_a_kernel_of_zeros_beside_a_bias_of_unlike_values_is_somebodys_decision():
    model = turned_points("zeros", keras.initializers.Constant(np.eye(16).ravel()))
    for _ in range(2):
        found = rows(model)
        assert "starts as its bias" in found["makes"].note
        assert "second moment 2 from 1," in found["reads"].note
        assert not np.any(ops.convert_to_numpy(model.get_layer("makes").kernel))
    # Beside equal values it has nothing to say, and random ones are no decision.
    for bias in ("ones", "random_normal"):
        model = turned_points("zeros", bias)
        assert "starts as its bias" not in rows(model)["makes"].note
        assert np.any(ops.convert_to_numpy(model.get_layer("makes").kernel))


def test_one_query_for_each_head_is_no_matrix():
    code, keys = keras.Input((64,)), keras.Input((20, 4, 16))
    query = layers.Reshape((4, 16))(layers.Dense(64, name="query")(code))
    scores = ops.einsum("bhe,bthe->bht", query, keys)
    found = rows(keras.Model([code, keys], layers.Dense(8, name="reads")(scores)))
    assert found["query"].second_moment == pytest.approx(1)


def test_a_kernel_behind_a_maximum_says_what_places_are_taken_to_have_in_common():
    inputs = keras.Input((128, 16))
    x = layers.Conv1D(32, 1, activation="relu", name="first")(inputs)
    head = layers.Dense(3, name="head")(layers.GlobalMaxPooling1D()(x))
    found = rows(keras.Model(inputs, head))
    assert "two places are taken to have" in found["head"].note
    # Of four places the largest is about the same whatever they have in common.
    few = layers.Dense(3, name="head")(layers.GlobalMaxPooling1D()(x[:, :4]))
    assert "in common" not in rows(keras.Model(inputs, few))["head"].note


def test_kernels_behind_small_rows_say_that_these_have_to_grow():
    inputs = keras.Input((20,), dtype="int32")
    x = layers.Embedding(500, 32, name="table")(inputs)
    x = layers.GlobalMaxPooling1D()(layers.Conv1D(32, 3, activation="relu", name="first")(x))
    found = rows(keras.Model(inputs, layers.Dense(3, name="head")(x)))
    words = "less until the small rows before it have grown"
    assert words in found["first"].note
    assert words in found["head"].note
    assert words not in found["table"].note


def test_what_small_rows_reach_among_others_says_so():
    words, image = keras.Input((8,), dtype="int32"), keras.Input((16,))
    table, cells = layers.Embedding(50, 32, name="table"), layers.GRU(32, name="cells")
    second = keras.Input((8,), dtype="int32")
    codes = [cells(table(each)) for each in (words, second)]
    factors = layers.Dense(16, name="factors")(codes[0] - codes[1])
    x = layers.Dense(16, name="other")(image) * (1 + factors)
    outputs = layers.Dense(3, name="head")(layers.Dense(16, "relu", name="mixed")(x))
    model = keras.Model([words, second, image], outputs)
    found, fed = rows(model), {row.path: row for row in ki.initialize(model, "auto", seed=0).rows}
    said = "less until the small rows before it have grown"
    assert said in fed["cells/gru_cell/kernel"].note
    assert f"; {said}" in found["factors"].note
    assert f"; some of it {said}" in found["mixed"].note
    assert f"; some of it {said}" in found["head"].note
    assert said not in found["other"].note


@pytest.mark.parametrize(("function", "says"), [("gelu", True), ("relu", False)])
def test_a_head_behind_a_mean_says_what_places_are_taken_to_have_in_common(function, says):
    inputs = keras.Input((64, 16))
    x = layers.Dense(32, function, name="first")(inputs)
    x = layers.LayerNormalization()(x) if function == "gelu" else x
    head = layers.Dense(3, name="head")(layers.GlobalAveragePooling1D()(x))
    note = rows(keras.Model(inputs, head))["head"].note
    assert ("two places are taken to have" in note) is says


class Codes(layers.Layer):
    """The nearest of some codes, with the gradient of what it stands for (VQ-VAE)."""

    def build(self, shape):
        start = keras.initializers.RandomUniform(-1 / 32, 1 / 32)
        self.codes = self.add_weight(shape=(32, shape[-1]), initializer=start, name="codes")

    def call(self, x):
        squares = ops.sum(self.codes**2, 1) - 2 * ops.matmul(x, ops.transpose(self.codes))
        codes = ops.take(self.codes, ops.argmin(squares, -1), axis=0)
        return x + ops.stop_gradient(codes - x)


def test_a_kernel_behind_codes_says_that_these_are_to_become_what_they_stand_for():
    inputs = keras.Input((16,))
    x = Codes(name="codes")(layers.Dense(8, name="encoder")(inputs))
    x = layers.Dense(32, "relu", name="decoder")(x)
    found = rows(keras.Model(inputs, layers.Dense(16, name="out")(x)))
    words = "for what stands behind a straight-through sum, whose values have second moment 0.000"
    assert "second moment 2 from 1, gain" in found["decoder"].note
    assert words in found["decoder"].note
    assert words in found["out"].note
    assert words not in found["encoder"].note


@pytest.mark.parametrize("written", ["around", "apart"])
def test_a_straight_through_sum_is_carried_as_its_values(written):
    inputs = keras.Input((16,))
    z = layers.Dense(64, "sigmoid", name="encoder")(inputs)
    q = ops.sign(z - 0.5)
    x = z + ops.stop_gradient(q - z) if written == "around" else q - ops.stop_gradient(z) + z
    found = rows(keras.Model(inputs, layers.Dense(8, "relu", name="reads")(x)))
    assert "second moment 2 from 1," in found["reads"].note
    # Without what cancels it is a sum of two signals.
    plain = layers.Dense(8, "relu", name="reads")(z + ops.stop_gradient(q - 0.5 * z))
    assert "from 1," not in rows(keras.Model(inputs, plain))["reads"].note


def graph_convolutions(nodes):
    x, neighbours = keras.Input((nodes, 16)), keras.Input((nodes, nodes))
    h = x
    for i in range(4):
        h = ops.relu(ops.matmul(neighbours, layers.Dense(32, use_bias=False, name=f"g{i}")(h)))
    return keras.Model([x, neighbours], layers.Dense(5, name="head")(ops.mean(h, axis=1)))


def test_a_matrix_of_neighbours_that_comes_in_is_taken_to_keep_a_signal():
    model = graph_convolutions(24)
    found = rows(model)
    words = "if the matrix that comes in keeps the size of what it multiplies"
    assert [words in found[name].note for name in ("g0", "g1", "g3", "head")] == [
        False, True, True, True,
    ]  # fmt: skip
    rng = np.random.default_rng(0)
    near = (rng.uniform(size=(32, 24, 24)) < 0.2) + np.eye(24)
    near = (near / near.sum(axis=-1, keepdims=True)).astype("float32")
    features = rng.normal(size=(32, 24, 16)) + rng.normal(size=(32, 1, 16))
    logits = model([(features / 2**0.5).astype("float32"), near])
    # As 24 independent values each, neighbours would take a signal to 24^-2 of it.
    assert 0.1 < np.std(ops.convert_to_numpy(logits)) < 1


class Transposed(layers.Layer):
    """Reads the kernel of another layer the other way round."""

    def __init__(self, tied, activation=None):
        super().__init__()
        self.tied, self.activation = tied, keras.activations.get(activation)

    def call(self, x):
        kernel = self.tied.kernel
        if isinstance(self.tied, layers.Dense):
            return self.activation(ops.matmul(x, ops.transpose(kernel)))
        return self.activation(ops.conv_transpose(x, kernel, self.tied.strides, "same"))


def tied_autoencoder(shape, one, two):
    inputs = keras.Input(shape)
    code = two(one(inputs))
    return keras.Model(inputs, Transposed(one)(Transposed(two, "relu")(code)))


@pytest.mark.parametrize("strides", [0, 1, 2])
def test_a_decoder_tied_to_its_encoder_does_not_put_out_more_than_came_in(strides):
    if strides:
        kind = {"padding": "same", "activation": "relu", "strides": strides}
        encoder = layers.Conv2D(32, 3, **kind), layers.Conv2D(64, 3, **kind)
        model, x = tied_autoencoder((16, 16, 3), *encoder), standard(64, 16, 16, 3)
    else:
        encoder = layers.Dense(256, "relu"), layers.Dense(32, "relu")
        model, x = tied_autoencoder((64,), *encoder), standard(64, 64)
    losses = []
    for seed in range(3):
        ki.initialize(model, "auto", seed=seed)
        losses.append(np.mean((ops.convert_to_numpy(model(x)) - x) ** 2))
    # Each kernel for its encoder alone: 1.8, 460 and 5.4.
    assert np.mean(losses) < 1.4
    assert sum("since it is read transposed too" in row.note for row in rows(model).values()) == 2
