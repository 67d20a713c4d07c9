"""Every kernel has the size that was asked for, measured from outside in a second pass."""

import contextlib
import io

import keras
import numpy as np
import pytest
from keras import layers

import keras_inits
from keras_inits._starts.blocks import layout
from keras_inits.datasets import _idx

RNG = np.random.default_rng(0)


def data(*shape, mean=1.0, stddev=3.0):
    return RNG.normal(mean, stddev, shape).astype("float32")


def values(weight):
    return np.array(keras.ops.convert_to_numpy(weight))


def functional(shape, *stack):
    inputs = keras.Input(shape)
    x = inputs
    for layer in stack:
        x = layer(x)
    return keras.Model(inputs, x)


def sizes_without_activation(model, x, wanted):
    """Returns the root mean square that layers give before their activation, by no hook of ours."""
    found = {}
    for layer in model._flatten_layers():
        if isinstance(layer, layers.Dropout):
            layer.rate = 0  # as in the pass
    for layer in wanted:
        activation, layer.activation = layer.activation, None
        call = layer.call

        def watched(*args, call=call, layer=layer, activation=activation, **kwargs):
            output = call(*args, **kwargs)
            found.setdefault(layer.name, keras.ops.convert_to_numpy(output))
            return output if activation is None else activation(output)

        layer.__dict__["call"] = watched
        layer.__dict__["_before"] = activation
    try:
        model(x, training=True)
    finally:
        for layer in wanted:
            del layer.__dict__["call"]
            layer.activation = layer.__dict__.pop("_before")
    return {name: float(np.sqrt(np.mean(z.astype("float64") ** 2))) for name, z in found.items()}


def kernels(model):
    return [each for each in model._flatten_layers() if hasattr(each, "kernel") and each.built]


def check(model, x, target=1.0, **arguments):
    report = keras_inits.calibrate(model, x, target, seed=3, **arguments)
    wanted = [each for each in kernels(model) if not hasattr(each, "state_size")]
    measured = sizes_without_activation(model, x, wanted)
    assert len(measured) == len(wanted)
    for name, size in measured.items():
        assert size == pytest.approx(target, rel=0.01), name
    assert report.ok, report
    return report


def branches():
    inputs = keras.Input((12,))
    x = layers.Dense(16, "relu")(inputs)
    for _ in range(6):
        inner = layers.Dense(16)(layers.Dense(32, "tanh")(layers.LayerNormalization()(x)))
        x = layers.Add()([x, inner])
    a, b = layers.Dense(8, "gelu")(x), layers.Dense(8)(x)
    return keras.Model(inputs, layers.Dense(3, "softmax")(layers.Concatenate()([a, b])))


def convolutions():
    return functional(
        (8, 8, 3),
        layers.Conv2D(8, 3, activation="relu"),
        layers.BatchNormalization(),
        layers.Dropout(0.5),
        layers.DepthwiseConv2D(3, activation="relu"),
        layers.Conv2DTranspose(4, 2, strides=2, activation=layers.LeakyReLU()),
        layers.Flatten(),
        layers.Dense(2, use_bias=False),
    )


def nested():
    inner = functional((6,), layers.Dense(5, "relu"), layers.Dense(6, "relu"))
    return functional((6,), layers.Dense(6), inner, layers.Dense(1, "sigmoid"))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.first = layers.Dense(16, "relu")
        self.attention = layers.MultiHeadAttention(4, 8, dropout=0.3)
        self.blocks = [layers.Dense(16, "gelu") for _ in range(2)]

    def call(self, x):
        x = self.first(x)
        x = x + self.attention(x, x)
        for block in self.blocks:
            x = x + block(x)
        return x


def subclassed():
    model = Subclassed()
    model(np.zeros((1, 5, 6), "float32"))
    return model


@pytest.mark.parametrize(
    ("make", "shape"),
    [(branches, (12,)), (convolutions, (8, 8, 3)), (nested, (6,)), (subclassed, (5, 6))],
)
@pytest.mark.parametrize("target", [1.0, 0.3])
def test_every_kernel_has_the_size_asked_for(make, shape, target):
    check(make(), data(64, *shape), target)


def test_sizes_are_off_without_calibration():
    model, x = branches(), data(64, 12)
    keras_inits.initialize(model, "initkit_orthogonal", seed=3)
    sizes = sizes_without_activation(model, x, kernels(model)).values()
    assert max(abs(size - 1) for size in sizes) > 0.5


def test_sixty_residual_blocks_in_one_pass():
    inputs = keras.Input((16,))
    x = inputs
    for _ in range(60):
        x = x + layers.Dense(16)(layers.Dense(16, "relu")(x))
    model = keras.Model(inputs, x)
    report = check(model, data(64, 16))
    assert len(report.rows) == 120


def test_each_head_each_group_and_each_expert_is_scaled_by_itself():
    x = data(64, 6, 8)
    x[..., 4:] *= 100  # the second group gets a hundred times as much
    model = functional((6, 8), layers.Conv1D(8, 3, groups=2, name="conv"))
    report = keras_inits.calibrate(model, x, seed=0)
    assert len(report.rows[0].factors) == 2
    output = keras.ops.convert_to_numpy(model(x))
    for group in (output[..., :4], output[..., 4:]):
        assert np.sqrt(np.mean(group**2)) == pytest.approx(1, rel=0.01)
    expert = functional((6, 8), layers.EinsumDense("bed,edf->bef", (6, 5)))
    scale = np.arange(1, 7, dtype="float32")[:, None]
    keras_inits.calibrate(expert, x * scale, seed=0)
    output = keras.ops.convert_to_numpy(expert(x * scale))
    np.testing.assert_allclose(np.sqrt(np.mean(output**2, axis=(0, 2))), 1, rtol=0.01)
    heads = functional((6, 8), layers.EinsumDense("...td,dhk->...htk", (3, None, 4)))
    report = keras_inits.calibrate(heads, x, seed=0)
    output = keras.ops.convert_to_numpy(heads(x))
    np.testing.assert_allclose(np.sqrt(np.mean(output**2, axis=(0, 2, 3))), 1, rtol=0.01)
    assert len(report.rows[0].factors) == 3


@pytest.mark.parametrize("kind", [layers.SimpleRNN, layers.GRU, layers.LSTM])
def test_each_gate_of_a_recurrent_kernel_is_scaled_and_the_recurrent_kernel_is_not(kind):
    model, x = functional((7, 5), kind(6), layers.Dense(2)), data(64, 7, 5)
    report = keras_inits.calibrate(model, x, seed=0)
    cell = model.layers[1].cell
    product = x @ keras.ops.convert_to_numpy(cell.kernel)
    for gate in np.split(product, product.shape[-1] // 6, axis=-1):
        assert np.sqrt(np.mean(gate**2)) == pytest.approx(1, rel=0.01)
    recurrent = report.rows[1]
    assert "its own output" in recurrent.left_alone
    assert recurrent.meant
    assert report.ok
    assert report.rows[2].after == pytest.approx(1, rel=0.01)


def test_stacked_bidirectional_convolutional_and_repeated_layers_are_calibrated():
    stacked = layers.RNN(layers.StackedRNNCells([layers.LSTMCell(4), layers.GRUCell(3)]))
    model = functional(
        (5, 6, 6, 2),
        layers.ConvLSTM2D(3, 3, return_sequences=True),
        layers.TimeDistributed(layers.Conv2D(2, 3, activation="relu")),
        layers.Reshape((5, 8)),
        layers.Bidirectional(layers.GRU(4, return_sequences=True)),
        stacked,
    )
    report = keras_inits.calibrate(model, data(32, 5, 6, 6, 2), seed=0)
    assert report.ok, report
    assert all(row.after == pytest.approx(1, rel=0.01) for row in report.rows if row.factors)
    assert sum(bool(row.factors) for row in report.rows) == 6


def test_a_separable_convolution_has_both_kernels_scaled():
    model, x = functional((9, 9, 4), layers.SeparableConv2D(5, 3)), data(32, 9, 9, 4)
    report = check(model, x)
    assert [len(row.factors) for row in report.rows] == [1, 1]


def test_an_embedding_has_its_lookup_scaled_and_a_tied_table_is_left_alone():
    inputs = keras.Input((7,), dtype="int32")
    table = layers.Embedding(20, 8)
    tied = layers.ReversibleEmbedding(20, 8)
    x = tied(inputs)
    model = keras.Model(inputs, [table(inputs), tied(x, reverse=True)])
    tokens = RNG.integers(0, 20, (32, 7))
    report = keras_inits.calibrate(model, tokens, seed=0)
    looked_up = keras.ops.convert_to_numpy(model(tokens)[0])
    assert np.sqrt(np.mean(looked_up**2)) == pytest.approx(1, rel=0.01)
    (row,) = [row for row in report.rows if row.path.startswith(tied.name)]
    assert "makes logits" in row.left_alone
    assert report.ok


@pytest.mark.parametrize("cap", [None, 5.0])
def test_an_untied_table_that_makes_logits_is_scaled_by_itself(cap):
    inputs = keras.Input((7,), dtype="int32")
    table = layers.ReversibleEmbedding(20, 8, tie_weights=False, logit_soft_cap=cap)
    looked_up = table(inputs)
    model = keras.Model(inputs, [looked_up, table(looked_up * 7.0, reverse=True)])
    tokens = RNG.integers(0, 20, (32, 7))
    report = keras_inits.calibrate(model, tokens, seed=0)
    assert report.ok, report
    assert [row.after for row in report.rows] == pytest.approx([1, 1], rel=1e-3)
    found, logits = map(keras.ops.convert_to_numpy, model(tokens))
    before_cap = logits if cap is None else cap * np.arctanh(logits / cap)
    for output in (found, before_cap):
        assert np.sqrt(np.mean(output**2)) == pytest.approx(1, rel=0.01)


def test_a_shared_layer_is_scaled_at_its_first_call():
    shared = layers.Dense(8)
    inputs = keras.Input((8,))
    first = shared(inputs)
    model = keras.Model(inputs, [first, shared(first * 7.0)])
    x = data(64, 8)
    report = keras_inits.calibrate(model, x, seed=0)
    first, second = map(keras.ops.convert_to_numpy, model(x))
    assert np.sqrt(np.mean(first**2)) == pytest.approx(1, rel=0.01)
    assert np.sqrt(np.mean(second**2)) > 2
    assert len(report.rows) == 1


def test_biases_that_are_not_zero_are_taken_into_account():
    model = functional(
        (8,),
        layers.Dense(16, "relu", bias_initializer=keras.initializers.RandomNormal(stddev=0.3)),
        layers.Dense(16, bias_initializer="ones"),
    )
    x = data(64, 8)
    report = keras_inits.calibrate(model, x, seed=0)
    assert report.rows[0].after == pytest.approx(1, rel=0.01)
    sizes = sizes_without_activation(model, x, model.layers[1:2])
    assert next(iter(sizes.values())) == pytest.approx(1, rel=0.01)
    assert "its bias alone" in report.rows[1].left_alone
    assert not report.ok


def test_center_gives_each_unit_mean_0_and_the_size_asked_for():
    model, x = branches(), data(256, 12)
    report = check(model, x, 0.7, center=True)
    first = model.layers[1]
    first.activation = None
    output = keras.ops.convert_to_numpy(first(x))
    np.testing.assert_allclose(output.mean(axis=0), 0, atol=1e-3)
    assert {row.note for row in report.rows} == {""}


def test_frozen_weights_and_moving_statistics_stay():
    model = convolutions()
    model.layers[1].trainable = False
    before = [values(w) for w in model.layers[1].weights + model.layers[2].weights]
    report = keras_inits.calibrate(model, data(32, 8, 8, 3), seed=0)
    after = [values(w) for w in model.layers[1].weights + model.layers[2].weights]
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)
    assert "frozen" in report.rows[0].left_alone
    assert report.ok


def test_a_seed_gives_the_same_weights_and_none_keeps_the_directions_of_the_present_ones():
    x = data(32, 6)
    model = nested()
    keras_inits.calibrate(model, x, seed=5)
    first = [values(w) for w in model.weights]
    keras_inits.calibrate(model, x, seed=6)
    assert not np.allclose(values(model.weights[0]), first[0])
    keras_inits.calibrate(model, x, seed=5)
    for one, other in zip(first, model.weights, strict=True):
        np.testing.assert_array_equal(one, values(other))
    report = keras_inits.calibrate(model, x, 2.0, scheme=None)
    np.testing.assert_allclose(values(model.weights[0]), 2 * first[0], rtol=1e-5)
    assert report.scheme == ""


def test_batches_are_joined_until_there_are_enough_examples():
    import tensorflow as tf

    x = data(96, 6)
    arrays, batches = nested(), nested()
    keras_inits.calibrate(arrays, x, seed=0, examples=64)
    dataset = tf.data.Dataset.from_tensor_slices((x, x)).batch(10)
    report = keras_inits.calibrate(batches, dataset, seed=0, examples=64)
    assert report.examples == 64
    for one, other in zip(arrays.weights, batches.weights, strict=True):
        np.testing.assert_allclose(values(one), values(other), rtol=1e-5)


def test_a_model_of_several_named_inputs_takes_a_dict():
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    joined = layers.Concatenate()([layers.Dense(5)(a), layers.Dense(5)(b)])
    model = keras.Model({"a": a, "b": b}, layers.Dense(2)(joined))
    report = keras_inits.calibrate(model, {"a": data(32, 4), "b": data(32, 3)}, seed=0)
    assert [row.after for row in report.rows] == pytest.approx([1, 1, 1], rel=0.01)


def test_mixed_precision_is_calibrated():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = functional((8,), layers.Dense(64, "relu"), layers.Dense(32))
    finally:
        keras.config.set_dtype_policy(policy)
    report = keras_inits.calibrate(model, data(64, 8), seed=0)
    assert all(row.after == pytest.approx(1, rel=0.02) for row in report.rows)


class Opaque(layers.Layer):
    def build(self, shape):
        self.mixer = self.add_weight(shape=(shape[-1], 4), name="mixer")

    def call(self, x):
        return keras.ops.tanh(x @ self.mixer)


def test_what_cannot_be_scaled_is_reported_with_the_reason():
    model = functional(
        (8,),
        layers.Dense(8, kernel_initializer="zeros", name="silent"),
        Opaque(),
    )
    report = keras_inits.calibrate(model, data(16, 8), scheme=None)
    silent, opaque = report.rows
    assert silent.left_alone == "its output is 0 for every example"
    assert "register" in opaque.left_alone
    assert len(report.findings) == 1
    assert "silent" in report.summary()


def test_a_failed_pass_leaves_the_model_as_it_was():
    model = nested()
    before = [values(w) for w in model.weights]
    with pytest.raises(keras_inits.InputError, match="does not take `x`"):
        keras_inits.calibrate(model, data(16, 7), seed=0)
    for one, other in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(one, values(other))


@pytest.mark.parametrize(
    ("x", "arguments", "message"),
    [
        (None, {}, "must be data"),
        (np.zeros((0, 6)), {}, "at least 1"),
        ([], {}, "at least 1"),
        (iter([]), {}, "at least one batch"),
        ("digits", {}, "type str"),
        ({"a": np.zeros((3, 2)), "b": np.zeros((4, 2))}, {}, "same number"),
        (np.zeros((3, 6)), {"target": 0}, "`target` must be positive"),
        (np.zeros((3, 6)), {"examples": 0}, "`examples` must be"),
    ],
)
def test_bad_input_gets_a_sentence(x, arguments, message):
    with pytest.raises(keras_inits.InputError, match=message):
        keras_inits.calibrate(nested(), x, **arguments)


def test_a_model_that_is_not_built_is_refused():
    with pytest.raises(keras_inits.InputError, match="before it can be calibrated"):
        keras_inits.calibrate(keras.Sequential([layers.Dense(3)]), np.zeros((2, 2)))


def test_the_report_survives_json():
    report = keras_inits.calibrate(nested(), data(16, 6), seed=0)
    assert keras_inits.CalibrationReport.from_dict(report.to_dict()) == report


def test_layout_of_a_channels_first_convolution_has_its_channels_first():
    layer = layers.Conv2D(8, 3, groups=2, data_format="channels_first")
    layer.build((None, 4, 9, 9))
    geometry = keras_inits.geometry(layer, layer.kernel)
    found = layout(layer, geometry, (2, 8, 7, 7))
    assert found.bias_shape == (1, 8, 1, 1)
    assert found.axes[0].output == 1


# --- the first patient: the convolution net of the LSUV lesson of fast.ai, on MNIST


def lesson_net():
    """Convolutions of stride 2 and a shifted, leaky ReLU, as in fast.ai's notebook 07a_lsuv."""

    def general_relu(z):  # leak .1, shifted by .4
        return keras.ops.leaky_relu(z, 0.1) - 0.4

    net = [keras.Input((28, 28, 1))]
    for i, (units, kernel) in enumerate([(8, 5), (16, 3), (32, 3), (64, 3), (64, 3)]):
        net.append(
            layers.Conv2D(units, kernel, 2, "same", activation=general_relu, name=f"conv_{i}")
        )
    return keras.Sequential([*net, layers.GlobalAveragePooling2D(), layers.Dense(10, name="head")])


def measured_moments(model, x):
    """Returns the second moment of what each kernel gives, before its activation."""
    found = {}
    for layer in model.layers:
        if layer.weights:
            activation, layer.activation = layer.activation, None
            z = keras.ops.convert_to_numpy(layer(x)).astype("float64")
            layer.activation = activation
            found[layer.name] = float(np.mean(z**2))
        x = layer(x)
    return found


def test_the_net_of_the_lesson_is_calibrated_on_mnist(mnist_dir):
    images = _idx.load(mnist_dir)[0]
    # Standardized as in the lesson.
    x = (images[:512, ..., None].astype("float32") / 255 - 0.1306) / 0.3067
    model = lesson_net()
    before = measured_moments(model, x)
    assert min(before.values()) < 0.2  # Keras's own start fades
    report = keras_inits.calibrate(model, x, seed=0, examples=512)
    assert report.ok
    after = measured_moments(model, x)
    assert set(after) == set(before)
    for moment in after.values():
        assert moment == pytest.approx(1, rel=0.02)
    # What was fitted to one half holds on the other.
    other = (images[512:1024, ..., None].astype("float32") / 255 - 0.1306) / 0.3067
    for moment in measured_moments(model, other).values():
        assert moment == pytest.approx(1, rel=0.15)


def test_the_lsuv_package_gives_the_same_net_in_torch(mnist_dir):
    torch = pytest.importorskip("torch")
    lsuv = pytest.importorskip("lsuv.lsuvinit")
    images = _idx.load(mnist_dir)[0]
    x = (images[:256, ..., None].astype("float32") / 255 - 0.1306) / 0.3067
    model = lesson_net()
    keras_inits.calibrate(model, x, seed=0)
    nn = torch.nn
    body = []
    for inputs, units, kernel in [(1, 8, 5), (8, 16, 3), (16, 32, 3), (32, 64, 3), (64, 64, 3)]:
        body += [nn.Conv2d(inputs, units, kernel, 2, kernel // 2), nn.LeakyReLU(0.1)]
    theirs = nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
    batch = torch.tensor(x.transpose(0, 3, 1, 2))
    with contextlib.redirect_stdout(io.StringIO()):
        lsuv.LSUVinit(theirs, batch, std_tol=0.02, verbose=False)
    found = []
    for layer in theirs.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(lambda _, __, z: found.append(float(z.std())))
    with torch.no_grad():
        theirs(batch)
    ours = [row.after for row in keras_inits.calibrate(model, x, scheme=None).rows]
    assert len(found) == len(ours) == 6
    # Both end at 1 in what each measures: ours the root mean square, theirs the deviation.
    np.testing.assert_allclose(found, 1, atol=0.03)
    np.testing.assert_allclose(ours, 1, atol=0.02)


class Experts(layers.Layer):
    """A mixture as Keras Hub writes it: every token through all experts, in one product."""

    def __init__(self, units, scales):
        super().__init__()
        self.units, self.scales = units, scales

    def build(self, shape):
        self.kernel = self.add_weight(shape=(len(self.scales), shape[-1], self.units))

    def call(self, x):
        return keras.ops.mean(keras.ops.einsum("th,ehm->etm", x, self.kernel), axis=0)


@keras_inits.geometry.register(Experts)
def _(layer, weight):
    return keras_inits.KernelGeometry(weight.shape, (1,), (2,), batch_axes=(0,))


def test_experts_in_one_product_are_scaled_each_by_itself():
    model = keras.Sequential([keras.Input((16,)), Experts(8, (0.1, 1.0, 10.0))])
    (experts,) = model.layers
    drawn = RNG.normal(size=(3, 16, 8)) * np.array(experts.scales)[:, None, None]
    experts.kernel.assign(drawn)
    x = data(64, 16)
    (row,) = keras_inits.calibrate(model, x, scheme=None).rows
    assert len(row.factors) == 3
    sizes = np.square(np.einsum("th,ehm->etm", x, values(experts.kernel))).mean(axis=(1, 2))
    np.testing.assert_allclose(sizes, 1, rtol=1e-3)
    assert not np.allclose(np.square(np.einsum("th,ehm->etm", x, drawn)).mean(axis=(1, 2)), 1)
