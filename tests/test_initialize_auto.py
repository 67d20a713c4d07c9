"""`initialize(model, "auto")`: what comes out of each kernel is what was asked for."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_inits as ki
from keras_inits._audit.orthogonality import gram_error
from keras_inits._initialize.drawing import drawn_by
from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._layers import owned_weights
from keras_inits._moments.seen import positions_seen

WHITE = np.random.default_rng(0).normal(size=(64, 64)).astype("float32")
IMAGES = np.random.default_rng(1).normal(size=(8, 16, 16, 3)).astype("float32")


def sequence(shape, *stack):
    return keras.Sequential([keras.Input(shape), *stack])


def rows(model, **arguments):
    return ki.initialize(model, "auto", seed=1, **arguments).rows


def kernels(model, **arguments):
    return [row for row in rows(model, **arguments) if row.geometry]


def arrays(model, x=WHITE, **options):
    """What a model makes, as arrays: the tensors of a backend are not NumPy's."""
    return keras.tree.map_structure(ops.convert_to_numpy, model(x, **options))


def residual_net(blocks, relu=False, width=64):
    x = inputs = keras.Input((width,))
    for _ in range(blocks):
        x = x + layers.Dense(width)(layers.Dense(width, "relu")(x))
        x = layers.ReLU()(x) if relu else x
    return keras.Model(inputs, x)


def stds(model, scheme, seeds):
    found = []
    for seed in range(seeds):
        ki.initialize(model, scheme, seed=seed)
        found.append(float(np.std(arrays(model))))
    return np.array(found)


@pytest.mark.parametrize("relu", [False, True])
def test_a_residual_net_of_24_blocks_keeps_its_scale(relu):
    found = stds(model := residual_net(24, relu), "auto", 5)
    assert found.min() > 0.5
    assert found.max() < 2
    assert stds(model, "initkit_he", 1).min() > 100  # what the scaled ends make up for


def damped(x, branch):
    return (x + branch) / 2**0.5


@pytest.mark.parametrize("add", [damped, lambda x, y: layers.Average()([x, y])])
def test_a_stream_with_constant_factors_keeps_its_scale(add):
    x = inputs = keras.Input((64,))
    for _ in range(12):
        x = add(x, layers.Dense(64)(layers.Dense(64, "relu")(x)))
    found = stds(keras.Model(inputs, x), "auto", 3)
    assert found.min() > 0.2  # 2^-6 and 2^-12 without
    assert found.max() < 4


@pytest.mark.parametrize("factor", [lambda x: 0.1 * x, lambda x: x / 8.0])
def test_a_factor_behind_the_last_sum_is_no_loss_of_the_stream(factor):
    def net(before_the_head, between=lambda x: x):
        x = inputs = keras.Input((64,))
        for _ in range(3):
            x = between(x + layers.Dense(64)(layers.Dense(64, "relu")(x)))
        x = x + layers.Dense(64)(layers.Dense(64, "relu")(x))
        return keras.Model(inputs, layers.Dense(10)(before_the_head(x)))

    def ends(model):
        return [row.target_stddev for row in kernels(model)[1:-1:2]]

    plain = ends(net(lambda x: x))
    assert ends(net(factor)) == pytest.approx(plain)
    # Between sums it is one, for the branches to make up for: by no more than of a mean of both.
    assert ends(net(lambda x: x, factor))[0] == pytest.approx(12**0.5 * plain[0])


def test_a_tower_that_several_inputs_go_through_is_scaled_as_one_alone():
    def ends(count):
        x = inputs = keras.Input((64,))
        for _ in range(2):
            x = x + layers.Dense(64)(layers.Dense(64, "relu")(x))
        tower, several = keras.Model(inputs, x), [keras.Input((64,)) for _ in range(count)]
        outputs = [layers.Dense(1)(tower(each)) for each in several]
        return [row.target_stddev for row in kernels(keras.Model(several, outputs))[1:4:2]]

    assert ends(2) == pytest.approx(ends(1), rel=0.05)  # other random values carry it


def test_a_branch_that_a_stream_passes_many_times_is_scaled_for_all():
    hidden, end = layers.Dense(64, "relu"), layers.Dense(64)
    x = inputs = keras.Input((64,))
    for _ in range(24):
        x = x + end(hidden(x))
    found = stds(keras.Model(inputs, x), "auto", 3)
    assert found.min() > 0.5
    assert found.max() < 5  # 30 and more if each time were another kernel


def test_a_table_that_an_operation_multiplies_by_makes_logits():
    class Tied(keras.Model):
        def __init__(self):
            super().__init__()
            self.table, self.hidden = layers.Embedding(200, 32), layers.Dense(32)

        def call(self, tokens):
            return ops.matmul(self.hidden(self.table(tokens)), ops.transpose(self.table.embeddings))

    model = Tied()
    model(np.zeros((2, 5), "int32"))
    found = ki.wiring(model)
    assert not found.unknown
    assert found.tied(found.embeddings[0])
    table = next(row for row in rows(model) if "embeddings" in row.path)
    assert table.target_stddev == pytest.approx((0.3 / 32) ** 0.5)


class WithPositions(layers.Layer):
    def __init__(self):
        super().__init__()
        self.table = layers.Embedding(6, 32)

    def build(self, shape):
        self.table.build()

    def call(self, x):
        return x * 32**0.5 + self.table(ops.arange(6))


@pytest.mark.parametrize("tied", [True, False])
def test_rows_added_to_those_of_a_table_that_makes_logits_have_their_scale(tied):
    inputs, segments = (keras.Input((6,), dtype="int32") for _ in range(2))
    table, kinds = layers.ReversibleEmbedding(50, 32, tie_weights=tied), layers.Embedding(2, 32)
    x = WithPositions()(table(inputs))
    x = layers.Add()([layers.Dropout(0.0)(kinds(segments)), x])
    outputs = table(layers.LayerNormalization()(x), reverse=True)
    found = kernels(keras.Model([inputs, segments], outputs))
    added = [row.target_stddev for row in found if row.shape[0] in (2, 6)]
    if tied:  # rows of 0.3 / 32, times 32
        (made,) = [row.target_stddev for row in found if row.shape[0] == 50]
        assert made == pytest.approx((0.3 / 32) ** 0.5)
        assert max(added) < 0.8
        assert added[::-1] == pytest.approx([0.3**0.5, 0.6**0.5], rel=0.05)
    else:
        assert added == [1, 1]


def test_what_a_constraint_will_change_is_said():
    model = sequence((8,), layers.Dense(8, kernel_constraint="non_neg"), layers.Dense(2))
    first, last = kernels(model)
    assert first.note.endswith("NonNeg changes it at the first step")
    assert "first step" not in last.note


def test_a_constraint_that_raises_is_noted_behind_weights_that_are_set():
    class Broken(keras.constraints.Constraint):
        def __call__(self, w):
            raise RuntimeError("no such axis")

    (row,) = kernels(sequence((8,), layers.Dense(8, kernel_constraint=Broken())))
    assert row.note.endswith("Broken cannot take it: RuntimeError: no such axis")


def test_maxout_is_carried():
    x = inputs = keras.Input((64,))
    x = ops.max(ops.reshape(layers.Dense(256)(x), (-1, 64, 4)), axis=-1)
    model = keras.Model(inputs, layers.Dense(64)(x))
    rows(model)
    assert 0.1 < float(np.mean(np.square(arrays(model)))) < 0.9  # 0.3 is asked of a head


@pytest.mark.slow
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("blocks", [24, 60, 200])
def test_deep_residual_nets_keep_their_scale_over_20_seeds(blocks, relu):
    found = stds(residual_net(blocks, relu), "auto", 20)
    assert found.min() > 0.5
    assert found.max() < 2


def test_branches_add_what_was_asked():
    model = residual_net(4)
    ends = [row.second_moment for row in kernels(model)][1::2]
    assert ends == pytest.approx([1 / 4] * 4, rel=0.1)
    ends = [row.second_moment for row in kernels(model, residual="depth")][1::2]
    assert ends == pytest.approx([1 / 2, 1 / 4, 1 / 6, 1 / 8], rel=0.1)
    report = kernels(model, residual="zero")
    assert [row.second_moment for row in report][1::2] == [0] * 4
    np.testing.assert_array_equal(arrays(model), WHITE)
    with pytest.raises(ValueError, match=r"`residual`(?s:.*)'half'"):
        rows(model, residual="half")


def test_a_branch_that_ends_in_a_normalization_is_scaled_there():
    x = inputs = keras.Input((8, 8, 4))
    for i in range(4):
        y = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
        y = layers.BatchNormalization(name=f"norm_{i}")(layers.Conv2D(4, 3, padding="same")(y))
        x = layers.Add()([x, y])
    model = keras.Model(inputs, x)
    scales = {row.path: row for row in rows(model, residual="sqrt") if row.path.endswith("gamma")}
    assert len(scales) == 4
    for row in scales.values():
        assert row.note.startswith("end of a branch")
    np.testing.assert_allclose(model.get_layer("norm_3").gamma, 0.5, rtol=0.1)
    assert np.all(model.get_layer("norm_3").moving_variance.numpy() == 1)
    rows(model, residual="zero")
    assert np.all(model.get_layer("norm_3").gamma.numpy() == 0)
    rows(model, overrides={"*norm_3/gamma": None})
    assert np.all(model.get_layer("norm_3").gamma.numpy() == 0)
    rows(model)  # a normalized branch makes its stream grow as sqrt(1 + sums) only
    for i in range(4):
        np.testing.assert_array_equal(model.get_layer(f"norm_{i}").gamma, 1)
    rows(model, residual="sqrt")
    again = keras.models.clone_model(model)
    np.testing.assert_allclose(again.get_layer("norm_2").gamma, 0.5, rtol=0.1)


@pytest.mark.parametrize("relu", [False, True])
def test_a_head_takes_the_growth_of_normalized_branches_away(relu):
    x = inputs = keras.Input((64,))
    for _ in range(24):
        x = x + layers.BatchNormalization()(layers.Dense(64)(layers.Dense(64, "relu")(x)))
        x = layers.ReLU()(x) if relu else x
    model = keras.Model(inputs, [x, layers.Dense(10)(x)])
    rows(model)
    stream, logits = (float(np.mean(np.square(made))) for made in arrays(model, training=True))
    assert stream < 2 * (1 + 24)  # not exponential
    assert 0.3 / 4 < logits < 0.3 * 4


def test_a_plain_cell_shares_its_inputs_among_its_steps():
    def inputs_of(layer, steps=25, width=64):
        row, *_ = kernels(keras.Sequential([keras.Input((steps, width)), layer]))
        return row.target_stddev * width**0.5

    assert inputs_of(layers.SimpleRNN(8)) == pytest.approx(1 / 5)
    assert inputs_of(layers.RNN(layers.SimpleRNNCell(8))) == pytest.approx(1 / 5)
    assert inputs_of(layers.Bidirectional(layers.SimpleRNN(8))) == pytest.approx(1 / 5)
    assert inputs_of(layers.SimpleRNN(8), steps=None) == pytest.approx(1 / 4)
    assert inputs_of(layers.LSTM(8)) == pytest.approx(1)  # its gates forget


def test_what_comes_back_over_a_sequence_survives():
    x = np.random.default_rng(0).normal(size=(8, 25, 64))

    def jacobian(scheme):
        """Of the last state with respect to the first, as a root mean square."""
        layer = layers.SimpleRNN(64)
        ki.initialize(sequence((25, 64), layer), scheme, seed=1)
        fed, again = (ops.convert_to_numpy(w).astype("float64") for w in layer.weights[:2])
        state, back = np.zeros((8, 64)), np.tile(np.eye(64), (8, 1, 1))
        for step in range(25):
            state = np.tanh(x[:, step] @ fed + state @ again)
            back = back @ again * (1 - state**2)[:, None]
        return np.sqrt(np.mean(np.sum(back**2, axis=-1)))

    assert jacobian("auto") > 0.03
    assert jacobian(ki.XavierInit()) < 0.01  # inputs of second moment 1


def test_a_branch_behind_an_activation_is_solved_for():
    x = inputs = keras.Input((64,))
    for _ in range(4):
        x = x + layers.Dense(64, "tanh")(x)
    model = keras.Model(inputs, x)
    ki.initialize(model, "auto", seed=1)
    assert np.mean(np.square(arrays(model))) == pytest.approx(2, rel=0.3)


WAYS = {
    "argument": lambda x: layers.Dense(64, "relu")(x),
    "layer": lambda x: layers.ReLU()(layers.Dense(64)(x)),
    "named layer": lambda x: layers.Activation("relu")(layers.Dense(64)(x)),
    "operation": lambda x: ops.relu(layers.Dense(64)(x)),
    "maximum": lambda x: ops.maximum(layers.Dense(64)(x), 0.0),
    "lambda": lambda x: layers.Lambda(keras.activations.relu)(layers.Dense(64)(x)),
    "nested": lambda x: layers.ReLU()(sequence((32,), layers.Dense(64))(x)),
    "wrapper": lambda x: layers.ReLU()(layers.SpectralNormalization(layers.Dense(64))(x)),
    "dropout": lambda x: layers.ReLU()(layers.Dropout(0.3)(layers.Dense(64)(x))),
    "time": lambda x: layers.ReLU()(
        layers.TimeDistributed(layers.Dense(64))(layers.RepeatVector(3)(x))
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_one_function_gets_one_scale_however_it_is_written(way):
    inputs = keras.Input((32,))
    row = kernels(keras.Model(inputs, WAYS[way](inputs)))[0]
    assert row.target_stddev == pytest.approx((2 / 32) ** 0.5)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda x: x * ops.sigmoid(x), layers.Activation("silu")),
        (lambda x: ops.leaky_relu(x, negative_slope=0.3), layers.LeakyReLU(0.3)),
        (lambda x: ops.maximum(x, 0.3 * x), layers.LeakyReLU(0.3)),
    ],
)
def test_what_operations_make_together_is_one_activation(one, other):
    targets = []
    for function in (one, other):
        x = inputs = keras.Input((32,))
        for _ in range(3):
            x = function(layers.Dense(64)(x))
        targets.append([row.target_stddev for row in kernels(keras.Model(inputs, x))])
    np.testing.assert_allclose(*targets, rtol=1e-3)


def test_pooling_before_and_after_an_activation_is_the_same():
    one = sequence((16, 16, 3), layers.Conv2D(8, 3), layers.ReLU(), layers.MaxPooling2D())
    other = sequence((16, 16, 3), layers.Conv2D(8, 3), layers.MaxPooling2D(), layers.ReLU())
    assert kernels(one)[0].target_stddev == kernels(other)[0].target_stddev


def test_a_gate_is_not_taken_for_an_activation():
    inputs = keras.Input((32,))
    one, other = ops.split(layers.Dense(128)(inputs), 2, axis=-1)
    gated = one * ops.sigmoid(other)
    first, last = kernels(keras.Model(inputs, layers.Dense(3)(gated)))
    assert "gate" in first.note
    # E[x^2] E[sigmoid(y)^2] = 0.293 of independent normals; x sigmoid(x) would have 0.356.
    assert last.second_moment / (last.target_stddev**2 * 64) == pytest.approx(0.293, rel=0.05)


def test_heads_start_from_the_loss_of_a_guess():
    model = sequence((64,), layers.Dense(64, "relu"), layers.Dense(10, "softmax"))
    excess = []
    for seed in range(10):
        report = ki.initialize(model, "auto", seed=seed)
        labels = np.random.default_rng(seed).integers(0, 10, 64)
        loss = keras.losses.sparse_categorical_crossentropy(labels, arrays(model))
        excess.append(float(ops.mean(loss)) - np.log(10))
    assert np.mean(excess) == pytest.approx(0.15, abs=0.06)
    assert report.rows[2].note.startswith("head")
    # A feature behind a ReLU is no guess.
    assert "head" not in kernels(sequence((64,), layers.Dense(8, "relu")))[0].note


def rms_ratios(model, data, seeds=3, training=False):
    """What each kernel's output has, divided by what was asked of it: root mean squares."""
    outputs = {}

    def recording(layer):
        plain = layer.activation

        def activation(z):
            size = np.sqrt(np.mean(np.square(ops.convert_to_numpy(z))))
            outputs.setdefault(id(layer), float(size))
            return z if plain is None else plain(z)

        return activation

    wanted = {
        owned.path: owned.layer
        for owned in owned_weights(model)
        if owned.weight.name in ("kernel", "pointwise_kernel")
        and not hasattr(owned.layer, "state_size")
    }
    watched = {id(layer): (layer, layer.activation) for layer in wanted.values()}
    found = []
    for seed in range(seeds):
        report = ki.initialize(model, "auto", seed=seed)
        outputs.clear()
        for layer, _ in watched.values():
            layer.activation = recording(layer)
        model(data, training=training)
        for layer, plain in watched.values():
            layer.activation = plain
        asked = {row.path: row.second_moment**0.5 for row in report.rows if row.path in wanted}
        found.append([outputs[id(wanted[path])] / value for path, value in asked.items()])
    return np.median(found, axis=0)


def branches_of_all_kinds():
    x = inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(32, 3, padding="same", activation="silu")(x)
    x = layers.MaxPooling2D()(x)
    parts = [
        layers.Conv2D(16, 1, activation="relu")(x),
        layers.SeparableConv2D(16, 3, padding="same", activation="tanh")(x),
        layers.AveragePooling2D(2, 1, padding="same")(x),
    ]
    x = layers.Concatenate()(parts)
    x = layers.Dropout(0.5)(layers.Conv2D(32, 3, padding="same")(x))
    squeezed = layers.Dense(8, "relu")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    x = layers.Multiply()([x, layers.Dense(32, "sigmoid")(squeezed)])
    x = layers.ReLU()(layers.Conv2D(32, 3, padding="same")(x) + layers.Conv2D(32, 1)(x))
    x = layers.Conv2DTranspose(16, 4, strides=2, padding="same", activation="gelu")(x)
    return keras.Model(inputs, layers.Dense(5)(layers.GlobalMaxPooling2D()(x)))


def vgg():
    stack = []
    for width in (16, 16, 32, 32):
        stack += [layers.Conv2D(width, 3, padding="same", activation="relu") for _ in range(3)]
        stack += [layers.MaxPooling2D()]
    return sequence((16, 16, 3), *stack[:-1], layers.Flatten(), layers.Dense(10, "softmax"))


def unnormalized_resnet():
    x = inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(16, 3, padding="same", activation="relu")(x)
    for width in (16, 32, 64):
        shortcut = layers.Conv2D(width, 1, strides=2)(x)
        for i in range(4):
            y = layers.Conv2D(width, 3, strides=1 + (i == 0), padding="same")(x)
            y = layers.Conv2D(width, 3, padding="same")(layers.ReLU()(y))
            x = layers.ReLU()(layers.Add()([shortcut if i == 0 else x, y]))
    return keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def smooth(images):
    return np.repeat(np.repeat(images[:, ::4, ::4], 4, 1), 4, 2)


def squeezed():
    """Depthwise kernels and gates on small maps, as in EfficientNet and MobileNetV3."""
    x = inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(32, 3, strides=2, padding="same", activation="silu")(x)
    for width in (24, 32, 48):
        y = layers.Conv2D(4 * width, 1, activation="silu")(x)
        y = layers.DepthwiseConv2D(3, padding="same", activation="silu")(y)
        gate = layers.Conv2D(width, 1, activation="silu")(
            layers.GlobalAveragePooling2D(keepdims=True)(y)
        )
        y = layers.Multiply()([y, layers.Conv2D(4 * width, 1, activation="sigmoid")(gate)])
        x = layers.Conv2D(width, 1)(y)
    return keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def pooled_on_small_maps():
    """Maximum pooling of maps of which padding is a good part, as at the end of VGG."""
    stack = []
    for _ in range(4):
        stack += [layers.Conv2D(64, 3, padding="same", activation="relu") for _ in range(4)]
        stack += [layers.MaxPooling2D(2, strides=1)]
    return sequence((7, 7, 3), *stack, layers.Flatten(), layers.Dense(10))


@pytest.mark.parametrize("net", [squeezed, pooled_on_small_maps])
@pytest.mark.parametrize("smoothed", [False, True])
def test_each_kernel_gives_what_was_asked_of_it_on_small_maps(net, smoothed):
    model = net()
    side = model.inputs[0].shape[1]
    images = np.random.default_rng(1).normal(size=(8, side, side, 3)).astype("float32")
    images = np.repeat(np.repeat(images[:, ::4, ::4], 4, 1), 4, 2) if smoothed else images
    ratios = rms_ratios(model, images[:, :side, :side], seeds=5)
    assert ratios.min() > 0.5
    assert ratios.max() < 2


def test_zeros_that_a_layer_pads_are_made_up_for():
    inside = layers.Conv2D(16, 3, padding="same")
    targets = []
    for stack in ([inside], [layers.ZeroPadding2D(1), layers.Conv2D(16, 3)]):
        model = sequence((4, 4, 8), *stack, layers.ReLU())
        targets.append(kernels(model)[0].target_stddev)
    # 3 x 3 taps on 4 x 4 pixels: 0.69 of them see the image; of 6 x 6 values 0.44 are no zeros.
    plain = (2 / (9 * 8)) ** 0.5
    np.testing.assert_allclose(targets, [plain / 0.694**0.5, plain / 0.444**0.5], rtol=0.02)


def test_chains_of_layers_go_on_along_a_stream():
    x = inputs = keras.Input((64,))
    for _ in range(6):
        x = layers.Dense(64, "silu")(x)
        x = x + layers.Dense(64)(layers.Dense(64, "silu")(x))
    on_stream = kernels(keras.Model(inputs, layers.Dense(3)(x)))[:-1:3]
    assert len(on_stream) == 6
    # As many as there are, and the last branch's.
    assert all("for 7 layers" in r.note or "for 6 layers" in r.note for r in on_stream)


@pytest.mark.parametrize("net", [vgg, branches_of_all_kinds, unnormalized_resnet])
@pytest.mark.parametrize("data", [IMAGES, smooth(IMAGES)], ids=["white", "smooth"])
def test_each_kernel_gives_what_was_asked_of_it(net, data):
    model = net()
    ratios = rms_ratios(model, data, seeds=5, training=net is branches_of_all_kinds)
    assert ratios.min() > 0.5
    assert ratios.max() < 2


def test_the_measure_of_what_was_asked_fails_for_another_law():
    model = vgg()
    first, last = (rms_ratios(model, factor * IMAGES) for factor in (1.0, 3.0))
    np.testing.assert_allclose(last / first, 3.0, rtol=0.05)


@pytest.mark.parametrize("cell", [layers.LSTM, layers.GRU, layers.SimpleRNN])
def test_what_comes_out_of_a_recurrent_layer_is_known(cell):
    model = sequence((20, 16), layers.Bidirectional(cell(64)), layers.Dense(64), layers.Dense(3))
    data = np.random.default_rng(0).normal(size=(64, 20, 16)).astype("float32")
    assert 0.5 < rms_ratios(model, data)[0] < 2


@pytest.mark.parametrize("activation", ["tanh", "silu", "selu"])
def test_twenty_layers_work_where_their_activation_keeps_signal_and_gradient(activation):
    model = sequence((64,), *[layers.Dense(64, activation) for _ in range(20)], layers.Dense(3))
    report = kernels(model)
    assert all("for 20 layers" in row.note for row in report[:-1])
    assert rms_ratios(model, WHITE)[:-1].min() > 0.5
    assert "for 20 layers" not in kernels(sequence((64,), layers.Dense(64, activation)))[0].note


def test_a_normalization_ends_a_chain_of_layers():
    stack = [f() for _ in range(20)
             for f in (lambda: layers.Dense(64, "tanh"), layers.LayerNormalization)]  # fmt: skip
    model = sequence((64,), *stack)
    assert {row.note.split(" at ")[0][:5] for row in kernels(model)[1:]} == {"tanh:"}


def test_siren_works_where_its_paper_draws_it():
    stack = [layers.Dense(256, lambda x: ops.sin(30 * x)) for _ in range(4)]
    found = kernels(sequence((2,), *stack, layers.Dense(1)))
    for row in found[1:-1]:  # U(+-sqrt(6 / n) / 30), Sitzmann et al. 2020
        assert row.target_stddev == pytest.approx((2 / 256) ** 0.5 / 30, rel=0.5)


def test_inputs_that_the_model_rescales_are_pixels():
    model = sequence((8, 8, 3), layers.Rescaling(1 / 127.5, -1), layers.Conv2D(4, 3), layers.ReLU())
    assert kernels(model)[0].target_stddev ** 2 * 27 == pytest.approx(2 * 3, rel=0.02)


def test_a_shared_layer_is_set_by_all_its_calls():
    shared = layers.Dense(64, "relu")
    inputs = keras.Input((64,))
    model = keras.Model(inputs, [shared(inputs), shared(0.1 * inputs)])
    (row,) = kernels(model)
    assert "shared: by its 2 calls" in row.note
    # The geometric mean of second moments of 1 and 0.01.
    assert row.target_stddev == pytest.approx((2 / 0.1 / 64) ** 0.5, rel=0.01)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_a_loop_is_set_by_what_it_makes_itself(activation):
    turned = layers.Dense(256, activation, name="turned")
    x = inputs = keras.Input((256,))
    turns = [x := turned(x) for _ in range(12)]
    model = keras.Model(inputs, [*turns, layers.Dense(3)(x)])
    # ReLU hands on what comes in, here a tenth of what was expected; tanh forgets it.
    start = 0.1 if activation == "relu" else 1.0
    rng = np.random.default_rng(0)
    data = (start * rng.normal(size=(64, 256))).astype("float32")
    made = []
    for seed in range(40):  # 9 in 10 loops of ReLU end within a factor of 4 of their median
        row, head = (row for row in ki.initialize(model, "auto", seed=seed).rows if row.geometry)
        made.append(np.mean(arrays(model, data)[11] ** 2))
    assert "in a loop" in row.note
    assert "in a loop" not in head.note
    normal = ops.convert_to_tensor(rng.normal(size=10**5) * row.second_moment**0.5)
    expected = np.mean(ops.convert_to_numpy(turned.activation(normal)) ** 2) * start**2
    # Set by its first call, a loop of tanh would end with a seventh of this. Backends draw other
    # kernels: medians of 15 loops of ReLU were 0.4 to 1.8 of it on them, of 60 loops 0.9 to 1.3.
    assert 0.5 < np.median(made) / expected < 2


def matrix_factors():
    """Users and items with a bias each, as in recommenders."""
    one, two = keras.Input((), dtype="int32"), keras.Input((), dtype="int32")
    rows = [layers.Embedding(500, 50)(each) for each in (one, two)]
    biases = [layers.Embedding(500, 1)(each) for each in (one, two)]
    logits = layers.Add()([layers.Dot(1)(rows), *biases])
    return [one, two], logits, [np.arange(500), np.arange(500)[::-1]]


def towers(product):
    rng = np.random.default_rng(0)
    inputs = [keras.Input((32,)), keras.Input((16,))]
    made = [layers.Dense(64)(layers.Dense(64, "relu")(each)) for each in inputs]
    data = [rng.normal(size=(256, each.shape[1])).astype("float32") for each in inputs]
    return inputs, product(*made), data


def rows_of_parts():
    """Rows that are products of two tables, against sums of a table and what a kernel makes."""
    one, two = keras.Input((), dtype="int32"), keras.Input((16,))
    rows = layers.Embedding(25, 64)(one // 20) * layers.Embedding(20, 64)(one % 20)
    sums = layers.Embedding(500, 64)(one) + layers.Dense(64)(two)
    numbers = np.random.default_rng(0).normal(size=(500, 16)).astype("float32")
    return [one, two], layers.Dot(1)([rows, sums]), [np.arange(500), numbers]


def ratings():
    inputs, logits, data = matrix_factors()
    return inputs, 5 * ops.sigmoid(logits), data


def tempered():
    return towers(lambda x, y: layers.Dot(1)([x, y]) / 0.05)


SCORES = {
    "factors": matrix_factors,
    "ratings": ratings,
    "parts": rows_of_parts,
    "tempered": tempered,
    "tensordot": lambda: towers(lambda x, y: ops.tensordot(x, ops.transpose(y), 1)),
    "sum": lambda: towers(lambda x, y: ops.sum(x * y, axis=-1, keepdims=True)),
    "einsum": lambda: towers(lambda x, y: ops.einsum("ai,bi->ab", x, y)),
    "sigmoid": lambda: towers(lambda x, y: ops.sigmoid(layers.Dot(1)([x, y]))),
}


@pytest.mark.parametrize("name", SCORES)
def test_scores_that_no_kernel_makes_start_from_the_loss_of_a_guess(name):
    inputs, scores, data = SCORES[name]()
    model = keras.Model(inputs, scores)
    notes = [row.note for row in ki.initialize(model, "auto", seed=0).rows]
    count = {"factors": 4, "ratings": 4, "parts": 4}.get(name, 2)
    assert sum("part of a score" in note for note in notes) == count
    made = ops.convert_to_numpy(model(data)) / (5 if name == "ratings" else 1)
    made = np.log(made / (1 - made)) if name in ("sigmoid", "ratings") else made
    # With operands of second moment 1 it would be 50 or 64.
    expected = 1e-3 / 3 if name in ("factors", "ratings") else 0.3
    assert np.mean(made**2) == pytest.approx(expected, rel=0.4)


def test_what_others_take_as_well_is_no_part_of_a_score():
    one, two = keras.Input((16,)), keras.Input((16,))
    stream = layers.Dense(16)(one)
    stream = stream + layers.Dense(16)(layers.Dense(16, "relu")(stream))
    model = keras.Model([one, two], layers.Dot(1)([stream, layers.Dense(16)(two)]))
    notes = [row.note for row in ki.initialize(model, "auto", seed=0).rows]
    assert not any("part of a score" in note for note in notes)


def test_rows_that_kernels_alone_read_start_a_tenth_as_long_as_what_follows_is_drawn_for():
    one, tokens = keras.Input((1,), dtype="int32"), keras.Input((12,), dtype="int32")
    number = keras.Input((6,))
    category = layers.Flatten()(layers.Embedding(20, 8, name="category")(one))
    sequence = layers.Embedding(20, 8, name="sequence")(tokens)
    pooled = layers.GlobalAveragePooling1D()(layers.Embedding(20, 8, name="pooled")(tokens))
    outputs = [
        layers.Dense(64, "relu", name="beside")(layers.Concatenate()([number, category])),
        layers.Dense(64, "relu", name="alone")(category),
        layers.LSTM(16)(sequence),
        layers.Dense(64, "relu", name="flat")(layers.Flatten()(sequence)),
        layers.Dense(64)(pooled),
    ]
    model = keras.Model([one, tokens, number], outputs)
    rows = {row.path: row for row in ki.initialize(model, "auto", seed=0).rows if row.geometry}
    for name in ("category", "sequence"):
        assert rows[f"{name}/embeddings"].second_moment == pytest.approx(0.01)
        assert rows[f"{name}/embeddings"].target_stddev == pytest.approx(0.1)
    assert rows["pooled/embeddings"].second_moment == 1.0
    for name, fan_in in (("alone", 8), ("beside", 14), ("flat", 96)):
        wanted = pytest.approx((2 / fan_in) ** 0.5, rel=0.02)
        assert rows[f"{name}/kernel"].target_stddev == wanted


def test_tables_that_make_a_sum_alone_are_no_part_of_a_score():
    inputs = keras.Input((6,), dtype="int32")
    tables = [layers.Embedding(50, 16)(inputs), layers.Embedding(50, 16)(inputs)]
    report = ki.initialize(keras.Model(inputs, layers.Add()(tables)), "auto", seed=0)
    assert [row.second_moment for row in report.rows] == [1.0, 1.0]


def test_what_sees_a_product_of_two_towers_gets_what_is_asked():
    inputs, product, data = SCORES["sum"]()
    model = keras.Model(inputs, layers.Dense(64, "relu", name="last")(product))
    row = kernels(model)[-1]
    made = ops.convert_to_numpy(model(data))
    assert 2 * np.mean(made**2) == pytest.approx(row.second_moment, rel=0.4)


def test_a_model_that_cannot_be_traced_is_judged_layer_by_layer():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.first, self.last = layers.Dense(8, "relu"), layers.Dense(2)

        def call(self, x):
            return self.last(self.first(np.asarray(x) * 1.0))

    model = Own()
    model.first.build((None, 4))
    model.last.build((None, 8))
    model.built = True
    first, last = kernels(model)
    assert first.target_stddev == pytest.approx((2 / 4) ** 0.5)
    assert "judged by its layer alone, relu: gain 1.414; " in first.note
    assert last.target_stddev == pytest.approx(8**-0.5)


def test_weights_that_stay_are_carried_as_they_are():
    model = sequence((64,), layers.Dense(64, name="kept"), layers.Dense(64), layers.Dense(2))
    model.get_layer("kept").trainable = False
    model.get_layer("kept").kernel.assign(5 * np.eye(64))
    second, _ = kernels(model)  # a frozen kernel has no geometry in the report
    assert second.target_stddev == pytest.approx(1 / 5 / 8, rel=0.02)


@pytest.mark.parametrize("masked", [True, False])
def test_what_a_mask_leaves_of_attention_is_known(masked):
    x = inputs = keras.Input((64, 32))
    x = layers.LayerNormalization()(x)
    x = layers.MultiHeadAttention(2, 16)(x, x, use_causal_mask=masked)
    model = keras.Model(inputs, layers.Dense(8, "relu")(x))
    asked = next(r for r in kernels(model) if "output/kernel" in r.path).second_moment
    found = []
    for seed in range(5):
        ki.initialize(model, "auto", seed=seed)
        data = np.random.default_rng(seed).normal(size=(8, 64, 32)).astype("float32")
        # Tokens as alike as inputs are taken to be.
        data = np.sqrt(0.5) * (data + data[:, :1])
        out = keras.Model(inputs, model.layers[-2].output)
        found.append(float(np.mean(np.square(arrays(out, data)))))
    assert np.median(found) == pytest.approx(asked, rel=0.3)


@pytest.mark.parametrize(
    ("mask", "seen"),
    [
        (lambda x: np.tril(np.ones((8, 8), bool))[None], list(range(1, 9))),
        (lambda x: ops.arange(8)[None, :] <= ops.arange(8)[:, None], list(range(1, 9))),
        (lambda x: ops.ones_like(x[..., :1], dtype="bool") & np.eye(8, dtype=bool), [1] * 16),
        (lambda x: None, [8]),
    ],
)
def test_positions_see_what_a_mask_says(mask, seen):
    x = inputs = keras.Input((8, 4))
    scores = ops.einsum("btd,bsd->bts", layers.Dense(4)(x), layers.Dense(4)(x))
    weights = layers.Softmax()(scores, mask=mask(x))
    outputs = ops.einsum("bts,bsd->btd", weights, layers.Dense(4)(x))
    wiring = ki.wiring(keras.Model(inputs, outputs))
    (attention,) = wiring.attentions
    found = positions_seen(wiring, wiring.calls[attention.call], 8)
    np.testing.assert_array_equal(found, seen)


def channel_sizes(kernel, image):
    """The second moment of each channel that a depthwise kernel makes of one image."""
    channels = kernel.shape[2]
    made = ops.depthwise_conv(np.repeat(image, channels, axis=3), kernel, 1, "valid")
    return np.mean(np.square(ops.convert_to_numpy(made)), axis=(0, 1, 2))


def test_auto_makes_depthwise_channels_of_one_size():
    model = sequence((16, 16, 64), layers.DepthwiseConv2D(3, name="own"), layers.ReLU())
    (row,) = kernels(model)
    assert "balanced" in row.note
    kernel = ops.convert_to_numpy(model.get_layer("own").kernel)
    assert kernel.std() == pytest.approx(row.target_stddev, rel=0.02)
    control = ops.convert_to_numpy(ki.XavierInit(seed=1)((9, 64))).reshape(3, 3, 64, 1)
    noise = np.random.default_rng(0).normal(size=(1, 128, 128, 1)).astype("float32")
    for image in (np.ones_like(noise), noise):
        sizes, others = channel_sizes(kernel, image), channel_sizes(control, image)
        np.testing.assert_allclose(sizes / 2, 1.0, rtol=0.1, atol=0.05)
        assert np.std(others) / np.mean(others) > 0.3  # independent taps
    again = keras.models.clone_model(model).get_layer("own")
    kernel = ops.convert_to_numpy(again.kernel)
    np.testing.assert_allclose(np.sum(kernel, (0, 1)) ** 2, 2.0, rtol=1e-3)


def narrow(first="relu", second="relu", normalized=False):
    x = inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(32, 3, activation=first, name="stem")(x)
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.BatchNormalization()(x) if normalized else x
    x = layers.Activation(second, name="behind")(x)
    return keras.Model(inputs, layers.Conv2D(16, 1)(x))


def test_depthwise_taps_keep_the_sign_of_what_is_constant():
    """Which channels a ReLU silences would decide the scale of all that follows."""
    model = narrow()
    image = np.ones((1, 8, 8, 3), "float32")
    seen = keras.Model(model.input, [model.get_layer(n).output for n in ("stem", "behind")])
    kept, control = [], []
    for seed in range(20):
        rows = ki.initialize(model, "auto", seed=seed).rows
        (note,) = (row.note for row in rows if "balanced" in row.note)
        assert "sums positive" in note
        for found in (kept, control):
            before, behind = (np.mean(np.square(t)[:, 1:-1, 1:-1]) for t in arrays(seen, image))
            found.append(np.log(behind / before))
            taps = model.get_layer("depthwise").kernel
            signs = np.random.default_rng(seed).choice([-1.0, 1.0], 32)
            taps.assign(taps * signs[:, None])
    assert np.std(kept) < 0.05
    assert np.std(control) > 0.2


@pytest.mark.parametrize(
    ("net", "positive"),
    [
        ({"first": "silu", "second": "hard_silu"}, True),
        ({"first": "tanh"}, False),  # what comes in has no sign of its own
        ({"second": "tanh"}, False),  # and this silences none
        ({"normalized": True}, False),  # which takes the constant away
    ],
    ids=str,
)
def test_sums_of_taps_are_positive_where_a_sign_would_be_lost_alone(net, positive):
    (row,) = (row for row in kernels(narrow(**net)) if "balanced" in row.note)
    assert ("sums positive" in row.note) is positive


def gated(blocks):
    x = inputs = keras.Input((64,))
    for _ in range(blocks):
        x = layers.Dense(64)(x)
        x = x * layers.Dense(64, "sigmoid")(x)
    return keras.Model(inputs, layers.Dense(8)(x))


def test_gates_in_a_row_share_one_opening():
    gates = [row for row in kernels(gated(5)) if "sigmoid" in row.note]
    assert [row.second_moment for row in gates] == pytest.approx([1 / 5] * 5, rel=0.02)
    assert all("one of 5 gates" in row.note for row in gates)
    (alone,) = (row for row in kernels(gated(1)) if "sigmoid" in row.note)
    assert alone.second_moment == pytest.approx(1, rel=0.02)
    # What is gated by a function without a limit is none.
    assert not any("gates" in row.note for row in kernels(squeezed()) if "depthwise" in row.path)


def test_kernels_are_orthogonal_and_of_the_mean_square_asked_for():
    x = inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(64, 3, activation="relu")(x)  # more outputs than inputs
    x = layers.Conv2D(16, 3, groups=2, activation="relu")(x)
    x = layers.Conv2DTranspose(12, 4, strides=2, activation="tanh")(x)
    x = layers.Reshape((100, 12))(x)
    x = layers.MultiHeadAttention(2, 8)(x, x)
    x = layers.Dense(300, "gelu")(layers.LSTM(6)(x))
    model = keras.Model(inputs, layers.Dense(200)(x))
    report = ki.initialize(model, "auto", seed=1)
    weights = {owned.path: owned.weight for owned in owned_weights(model)}
    found = [row for row in report.rows if row.geometry]
    assert len(found) == 11
    for row in found:
        values = np.array(keras.ops.convert_to_numpy(weights[row.path]), np.float64)
        assert np.mean(values**2) == pytest.approx(row.target_stddev**2, rel=1e-4), row.path
        for matrix in row.geometry.to_matrices(values):
            square = min(matrix.shape) / np.sum(matrix**2)  # one over the squared singular values
            assert gram_error(matrix * square**0.5) < 1e-4, row.path
    control = np.random.default_rng(0).normal(size=(64, 64)) / 8
    assert gram_error(control) > 0.1


@pytest.mark.parametrize(
    ("geometry", "drawn"),
    [
        (KernelGeometry.from_shape((8, 32)), "SuoInit"),
        (KernelGeometry.from_shape((4, 4, 8, 6), input_stride=4), "SuoInit"),
        (KernelGeometry.from_shape((512, 300)), "HadamardOrthogonalInit"),
        (KernelGeometry.from_shape((300, 512)), "HadamardOrthogonalInit"),
        (KernelGeometry.from_shape((3, 3, 64, 1), (), (2, 3), blocks=64), "BalancedInit"),
        (KernelGeometry.from_shape((4096, 4096)), "HadamardOrthogonalInit"),
        (KernelGeometry.from_shape((4096, 4097)), "XavierInit"),  # never whole in memory
    ],
    ids=str,
)
def test_what_draws_a_kernel_has_the_mean_square_of_its_gain(geometry, drawn):
    scheme, _ = drawn_by(geometry, 1.3)
    assert type(scheme).__name__ == drawn
    stddev = scheme.expected_stddev(geometry)
    assert stddev == pytest.approx(1.3 / geometry.fan_in**0.5, rel=1e-9)


def test_thirty_narrow_layers_pass_all_directions_alike():
    """Of the Jacobian: isometry, not variance alone, decides at depth (Saxe et al. 2014)."""

    def spread(scheme):
        model = sequence((48,), *[layers.Dense(48, "tanh") for _ in range(30)], layers.Dense(10))
        ki.initialize(model, scheme, seed=1)
        jacobian = np.eye(48)
        x = np.random.default_rng(0).normal(size=48)
        for layer in model.layers[:-1]:
            kernel = ops.convert_to_numpy(layer.kernel).astype("float64")
            x = np.tanh(x @ kernel)
            jacobian = jacobian @ kernel * (1 - x**2)
        values = np.linalg.svd(jacobian, compute_uv=False)
        return values[0] / np.median(values)

    # Found by NumPy alone over 12 seeds: 26 to 53, and 7e5 to 3e6 of normal kernels.
    assert spread("auto") < 200
    assert spread(ki.XavierInit(1.24)) > 1e5  # the same gain, normal


def test_kernels_before_a_normalization_have_gain_1_whatever_follows():
    stack = [
        layers.Conv2D(8, 3, use_bias=False), layers.BatchNormalization(), layers.ReLU(),
        layers.Conv2D(8, 3, use_bias=False), layers.BatchNormalization(),
        layers.Activation("tanh"), layers.Flatten(), layers.Dense(3),
    ]  # fmt: skip
    first, second, _ = kernels(sequence((8, 8, 3), *stack))
    assert first.target_stddev == pytest.approx(27**-0.5)
    assert second.target_stddev == pytest.approx(72**-0.5)
    assert "takes the scale away" in second.note


@pytest.mark.parametrize(
    "mean",
    [
        layers.GlobalAveragePooling2D(),
        lambda x: ops.mean(x, axis=(1, 2)),
        lambda x: ops.nanmean(x, axis=(1, 2)),
    ],
)
def test_a_head_behind_a_mean_over_places_counts_what_differs_between_examples(mean):
    def head(activation, pooled=mean):
        x = inputs = keras.Input((8, 8, 4))
        x = layers.Conv2D(32, 3, padding="same", activation=activation)(x)
        return kernels(keras.Model(inputs, layers.Dense(10)(pooled(x))))[-1]

    assert head("relu").second_moment > 0.6
    assert "all examples share" in head("relu").note
    assert head("tanh").second_moment == pytest.approx(0.3, rel=0.05)  # of mean 0
    assert head("relu", layers.Flatten()).second_moment == pytest.approx(0.3)
