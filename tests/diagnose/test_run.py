"""What `diagnose` sees of any kind of model, and that it leaves no trace."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops
from versions import of_tensorflow

import keras_inits as ki
from keras_inits._diagnose import SignalReport, standard_input
from keras_inits._diagnose.seen.jacobian import estimate

rng = np.random.default_rng(0)


def names(report):
    return [layer.name for layer in report.layers]


def test_statistics_of_a_layer_are_those_of_its_output():
    model = keras.Sequential([keras.Input((16,)), layers.Dense(32, "relu", name="d")])
    x = rng.standard_normal((64, 16), dtype="float32")
    statistics = ki.diagnose(model, x)["d"].output
    y = ops.convert_to_numpy(model(x)).astype(np.float64)
    assert statistics.shape == (64, 32)
    assert statistics.mean == pytest.approx(y.mean(), rel=1e-5)
    assert statistics.std == pytest.approx(y.std(), rel=1e-5)
    assert statistics.second_moment == pytest.approx((y**2).mean(), rel=1e-5)
    assert statistics.zeros == pytest.approx((y[:32] == 0).mean())
    assert statistics.dead_units == np.mean((y == 0).all(0))
    assert statistics.correlation == pytest.approx(
        np.corrcoef(y[:32])[np.triu_indices(32, 1)].mean(), abs=1e-5
    )
    assert statistics.histogram.sum() == 32 * 32


def test_gradients_are_those_of_the_loss():
    model = keras.Sequential([keras.Input((8,)), layers.Dense(4, name="d")])
    x, y = rng.standard_normal((16, 8), dtype="float32"), np.ones((16, 4), "float32")
    report = ki.diagnose(model, x, y, loss="mse")
    error = ops.convert_to_numpy(model(x)) - y
    assert report.loss == pytest.approx(np.mean(error**2), rel=1e-5)
    expected = 2 * error / error.size
    assert report["d"].gradient.std == pytest.approx(expected.std(), rel=1e-4)
    kernel = report["d"].weights[0]
    assert kernel.gradient_norm == pytest.approx(np.linalg.norm(x.T @ expected), rel=1e-4)
    assert kernel.ratio == pytest.approx(kernel.gradient_norm / kernel.norm)


@pytest.mark.parametrize("scheme", [ki.OrthogonalInit(2.0, seed=1), ki.XavierInit(seed=1)])
def test_the_jacobian_of_a_linear_map_is_its_kernel(scheme):
    layer = layers.Dense(100, use_bias=False, kernel_initializer=scheme)
    model = keras.Sequential([keras.Input((100,)), layer])
    x = rng.standard_normal((32, 100), dtype="float32")
    jacobian = ki.diagnose(model, x, jacobian_samples=32).jacobian
    values = np.linalg.svd(ops.convert_to_numpy(layer.kernel), compute_uv=False)
    assert jacobian.mean_squared_singular_value == pytest.approx(np.mean(values**2), rel=0.1)
    assert 0.85 * values[0] < jacobian.largest_singular_value < 1.0001 * values[0]


def test_the_jacobian_of_a_single_output_is_exact():
    layer = layers.Dense(1, use_bias=False, kernel_initializer=ki.XavierInit(seed=1))
    model = keras.Sequential([keras.Input((20,)), layer])
    jacobian = ki.diagnose(model, rng.standard_normal((8, 20), dtype="float32")).jacobian
    length = np.linalg.norm(ops.convert_to_numpy(layer.kernel))
    assert jacobian.mean_squared_singular_value == pytest.approx(length**2, rel=1e-4)
    assert jacobian.largest_singular_value == pytest.approx(length, rel=1e-4)


def test_the_largest_singular_value_is_found_among_many_outputs():
    layer = layers.Dense(20_000, use_bias=False)
    model = keras.Sequential([keras.Input((16,)), layer])
    kernel = rng.standard_normal((16, 20_000), dtype="float32")
    kernel[:2] *= 5
    layer.set_weights([kernel])
    jacobian = ki.diagnose(model, rng.standard_normal((8, 16), dtype="float32")).jacobian
    largest = np.linalg.svd(kernel, compute_uv=False)[0]
    assert jacobian.largest_singular_value == pytest.approx(largest, rel=0.05)


def test_rounding_of_outputs_that_stay_gives_no_direction():
    layer = layers.Dense(30, use_bias=False)
    x = ops.convert_to_tensor(rng.standard_normal((2, 30), dtype="float32"))
    layer.build(x.shape)

    def largest(rounding):
        def straight_through(x):
            y = layer(x)
            y = y + ops.stop_gradient(1 - y + 1e-7 * ops.cos(rounding * y))
            return [y]

        options = {"samples": 2, "steps": 3, "rng": np.random.default_rng(0)}
        return estimate(straight_through, x, **options).largest_singular_value

    assert largest(1e3) == pytest.approx(largest(2e3), rel=1e-5)
    assert largest(1e3) > 0.8 * np.linalg.norm(ops.convert_to_numpy(layer.kernel)) / 30**0.5


class Block(layers.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.inner = layers.Dense(8, "relu", name="inner")

    def call(self, x):
        return x + self.inner(x)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__(name="subclassed")
        self.block, self.head = Block(name="block"), layers.Dense(2, name="head")

    def call(self, inputs):
        return {"score": self.head(self.block(inputs["a"]) + inputs["b"])}


def test_layers_inside_layers_and_models_are_reported_in_call_order():
    x = {name: rng.standard_normal((4, 8), dtype="float32") for name in "ab"}
    report = ki.diagnose(Subclassed(), x)
    assert names(report) == ["block/inner", "block", "head"]
    assert report["block"].predicted_second_moment is None  # a sum outside of any layer
    assert report["block/inner"].predicted_gradient is None

    nested = keras.Sequential([keras.Input((8,)), layers.Dense(8, name="d")], name="nested")
    inputs = keras.Input((8,))
    outer = keras.Model(inputs, layers.Dense(1, name="top")(nested(nested(inputs))))
    assert names(ki.diagnose(outer, x["a"])) == ["nested/d", "nested/d:2", "top"]


def test_shared_layers_and_several_inputs_are_reported_by_call():
    shared = layers.Dense(16, "relu", name="shared")
    a, b = keras.Input((8,)), keras.Input((8,))
    model = keras.Model([a, b], layers.Dense(1)(layers.Concatenate()([shared(a), shared(b)])))
    x = [rng.standard_normal((4, 8)), 5 * rng.standard_normal((4, 8))]
    report = ki.diagnose(model, x)
    assert names(report)[:2] == ["shared", "shared:2"]
    assert report["shared:2"].output.std > 2 * report["shared"].output.std
    assert report["shared"].weights
    assert not report["shared:2"].weights


def words_to_one_answer(*recurrent):
    inputs = keras.Input((12,), dtype="int32")
    x = layers.Embedding(50, 16, mask_zero=True, name="words")(inputs)
    x = layers.LayerNormalization(name="norm")(x)
    x = layers.Add(name="skip")([x, layers.MultiHeadAttention(2, 8, name="attention")(x, x)])
    for layer in recurrent:
        x = layer(x)
    x = layers.Bidirectional(layers.GRU(8, name="gru"), name="both")(x)
    x = layers.Dropout(0.5, name="dropout")(x)
    x = layers.BatchNormalization(name="batch_norm")(x)
    return keras.Model(inputs, layers.Dense(1, "sigmoid", name="head")(x))


@pytest.fixture
def language_model():
    return words_to_one_answer(layers.LSTM(16, return_sequences=True, name="lstm"))


def test_attention_and_recurrence_are_reported(language_model):
    report = ki.diagnose(language_model, rng.integers(0, 50, (8, 12)))
    told = names(report)
    assert {"words", "attention/query", "lstm", "both", "head"} <= set(told)
    assert told.index("norm") < told.index("attention/query") < told.index("skip")
    assert "dropout" not in told  # it is off, and hands its input on
    assert report.jacobian is None
    assert "integers" in report.notes[0]
    assert all(layer.gradient is not None for layer in report.layers if layer.name != "words:2")


def test_the_model_is_left_as_it_was():
    model, x = words_to_one_answer(), rng.integers(0, 50, (8, 12))
    y = rng.integers(0, 2, (8, 1))
    model.compile("sgd", "binary_crossentropy")
    model.train_on_batch(x, y)
    before = [v.numpy() for v in model.variables]
    trained, call = model.train_function, keras.layers.Layer.__call__
    first, second = ki.diagnose(model, x, y), ki.diagnose(model, x, y)
    assert first == second
    for value, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(value, variable.numpy())
    assert model.train_function is trained
    assert keras.layers.Layer.__call__ is call


def test_a_report_says_whether_normalization_used_the_batch():
    hidden = [layers.Dense(8, "relu"), layers.BatchNormalization()]
    model = keras.Sequential([keras.Input((4,)), *hidden, layers.Dense(1, "sigmoid")])
    x, y = rng.normal(size=(8, 4)), rng.integers(0, 2, (8, 1))
    model.compile("sgd", "binary_crossentropy")
    model.train_on_batch(x, y)
    assert ki.diagnose(model, x, y) == ki.diagnose(model, x, y)
    assert ki.diagnose(model, x, y) != ki.diagnose(model, x, y, training=False)


def test_the_layers_are_released_when_the_model_fails():
    call = keras.layers.Layer.__call__

    def fails(x):
        raise ValueError("incompatible")

    inner = layers.Lambda(fails, output_shape=(3,))
    model = keras.Sequential([layers.Dense(3), inner, layers.Dense(2)])
    with pytest.raises(ValueError, match="incompatible"):
        ki.diagnose(model, np.ones((2, 4)))
    assert keras.layers.Layer.__call__ is call


def test_a_report_survives_json(language_model):
    report = ki.diagnose(language_model, rng.integers(0, 50, (8, 12)))
    again = SignalReport.from_dict(json.loads(report.to_json()))
    assert again == report
    assert hash(again) == hash(report)
    assert report != "a report"
    assert json.loads(report.to_json())["verdict"] == report.verdict


def test_the_summary_fits_80_columns_and_names_every_layer(language_model):
    report = ki.diagnose(language_model, rng.integers(0, 50, (8, 12)))
    assert str(report) == report.summary()
    lines = report.summary().splitlines()
    assert max(map(len, lines)) <= 80
    assert {"words", "lstm", "head"} <= {line.split()[0] for line in lines if line}


def test_assert_ok_names_layer_evidence_and_remedy():
    model = keras.Sequential([keras.Input((16,)), layers.Dense(16, "relu", name="d")])
    x = rng.standard_normal((32, 16), dtype="float32")
    ki.diagnose(model, x).assert_ok()
    model.layers[0].bias.assign(np.full(16, -99.0))
    with pytest.raises(AssertionError, match=r"dying: d: 100% .*keras_inits.initialize"):
        ki.diagnose(model, x).assert_ok()


MODEL = keras.Sequential([keras.Input((3,)), layers.Dense(2)])


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ((layers.Dense(2), np.ones((2, 3))), TypeError, "keras.Sequential"),
        ((MODEL, np.ones((0, 3))), ValueError, "at least one sample"),
        ((MODEL, np.ones((2, 3)), np.ones((2, 2))), ValueError, "compile the model"),
    ],
)
def test_what_cannot_be_diagnosed_is_refused(arguments, error, says):
    with pytest.raises(error, match=says) as raised:
        ki.diagnose(*arguments)
    assert "Received" in str(raised.value)


@pytest.mark.parametrize("rows", [[5], range(16)], ids=["one", "all"])
def test_an_input_that_is_not_finite_is_a_finding_and_the_signal_is_seen_without_it(rows):
    x = rng.standard_normal((16, 3), dtype="float32")
    x[list(rows), 1] = np.nan
    report = ki.diagnose(MODEL, x)
    assert [finding.kind for finding in report.findings] == ["input not finite"]
    assert report.layers[0].output.finite
    assert any(note.startswith("signal: ") for note in report.notes)


@of_tensorflow("a tf.function")
def test_what_runs_in_a_tf_function_is_reported_as_unseen():
    class Traced(layers.Layer):
        def __init__(self):
            super().__init__(name="traced")
            self.inner = layers.Dense(16)

        @tf.function
        def call(self, x):
            return tf.nn.relu(self.inner(x))

    def notes(layer, shape=(3,)):
        model = keras.Sequential([keras.Input(shape), layer, layers.Dense(2)])
        return ki.diagnose(model, rng.standard_normal((8, *shape), dtype="float32")).notes

    assert any("tf.function, in traced" in note for note in notes(Traced()))
    assert not any("tf.function" in note for note in notes(layers.Dense(16, "relu")))
    # computed by a function of Keras's own
    assert not any(
        "tf.function" in note for note in notes(layers.Conv2D(4, 3, groups=2), (8, 8, 2))
    )


def test_half_precision_is_measured_in_float32():
    layer = layers.Dense(16, "relu", dtype="mixed_float16", name="d")
    model = keras.Sequential([keras.Input((8,)), layer])
    report = ki.diagnose(model, rng.standard_normal((32, 8), dtype="float32"))
    assert report["d"].output.finite
    assert report.ok


def test_standard_input_fits_the_model(language_model):
    x = standard_input(language_model, 4)
    assert x.shape == (4, 12)
    assert x.dtype == np.int32
    assert 0 <= x.min() <= x.max() < 50
    images = keras.Sequential([keras.Input((None, None, 3)), layers.Conv2D(4, 3)])
    assert standard_input(images, 2).shape == (2, 64, 64, 3)
    with pytest.raises(ValueError, match="give data"):
        standard_input(Subclassed())


def test_images_are_pixels_where_they_are_scaled_before_they_are_normalized():
    scaling = [layers.Rescaling(1 / 255), layers.Normalization(mean=0.5, variance=0.05)]
    for first, pixels in ((scaling, True), (scaling[1:], False)):
        model = keras.Sequential([keras.Input((16, 16, 3)), *first, layers.Conv2D(4, 3)])
        assert (standard_input(model, 8).max() > 100) == pixels


def test_tokens_are_those_of_their_own_embedding_and_segments_two():
    tokens, segments = (keras.Input((12,), dtype="int32", name=n) for n in ("token_ids", "segment"))
    known = layers.Embedding(50, 8, name="token_embedding")(tokens)
    which = layers.Embedding(2, 8, name="segment_embedding")(segments)
    x = standard_input(keras.Model({"token_ids": tokens, "segment": segments}, known + which), 16)
    assert 20 < x["token_ids"].max() < 50
    assert x["segment"].max() == 1


def test_a_convolution_at_a_border_is_predicted_exactly():
    kernel = ki.HeInit(seed=1)
    convolution = layers.Conv2D(64, 3, 2, padding="same", kernel_initializer=kernel, name="c")
    model = keras.Sequential([keras.Input((9, 9, 32)), convolution])
    report = ki.diagnose(model, rng.standard_normal((64, 9, 9, 32), dtype="float32"))
    layer = report["c"]
    assert layer.output.second_moment == pytest.approx(layer.predicted_second_moment, rel=0.02)
    assert ops.shape(convolution.kernel) == (3, 3, 32, 64)


def test_samples_that_are_sorted_by_class_are_mixed():
    """Of more samples than all checks look at, the first ones may be of one class alone."""
    y = np.repeat([0, 1], 400)
    x = (rng.standard_normal((800, 4)) + 2 * y[:, None]).astype("float32")
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(16, "relu"), layers.Dense(1, "sigmoid")]
    )
    model.compile("adam", "binary_crossentropy")
    assert ki.diagnose(model, x, y).ok
    assert [f.kind for f in ki.diagnose(model, x[:300], y[:300]).findings] == ["labels"]
