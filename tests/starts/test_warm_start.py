"""Weights from a trained model: taken, cut evenly, or widened without a change of function."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_inits
from keras_inits._starts.alike import computes_alike

RNG = np.random.default_rng(0)


def values(weight):
    return np.array(keras.ops.convert_to_numpy(weight))


def dense(*widths, classes=3, **arguments):
    hidden = [layers.Dense(width, "relu", **arguments) for width in widths]
    return keras.Sequential([keras.Input((6,)), *hidden, layers.Dense(classes, "softmax")])


def convolutional(channels, classes=3, extra=0):
    stack = [keras.Input((8, 8, 2)), layers.Conv2D(channels, 3, activation="relu")]
    stack += [layers.BatchNormalization(), layers.MaxPooling2D()]
    stack += [layers.Conv2D(channels + 1, 3, padding="same"), layers.ReLU()]
    stack += [layers.Conv2D(channels + 1, 3, padding="same", activation="relu")] * extra
    stack += [layers.Flatten(), layers.Dense(2 * channels, "relu"), layers.Dropout(0.5)]
    return keras.Sequential([*stack, layers.Dense(classes)])


def scattered(model):
    """Gives every weight a value of its own, statistics too, as training would."""
    for weight in model.weights:
        weight.assign(RNG.uniform(0.2, 0.9, weight.shape))
        if weight.name == "kernel":
            weight.assign(RNG.normal(size=weight.shape) / np.sqrt(np.prod(weight.shape[:-1])))
    return model


@pytest.mark.parametrize(
    ("bigger", "small", "shape"),
    [
        (lambda: dense(9, 16), lambda: dense(5, 7), (6,)),
        (lambda: convolutional(5), lambda: convolutional(3), (8, 8, 2)),
        (lambda: convolutional(3, extra=1), lambda: convolutional(3), (8, 8, 2)),
        (lambda: dense(5, 7, 7, 7), lambda: dense(5, 7), (6,)),
        (lambda: dense(5, 9, 9), lambda: dense(5, 7), (6,)),
    ],
    ids=["wider", "wider convolutions", "deeper convolutions", "deeper", "both"],
)
def test_a_wider_or_deeper_chain_computes_what_the_source_does(bigger, small, shape):
    source, model = scattered(small()), bigger()
    x = RNG.normal(size=(16, *shape)).astype("float32")
    report = keras_inits.warm_start(model, source, seed=1)
    np.testing.assert_allclose(values(model(x)), values(source(x)), atol=1e-5)
    assert report.preserves
    assert {row.how for row in report.rows} <= {"taken", "widened", "identity"}


def test_noise_tells_copies_apart_and_is_said_to_change_the_function():
    source, model = scattered(dense(5)), dense(9)
    report = keras_inits.warm_start(model, source, seed=1, noise=0.1)
    kernel = values(model.weights[0])
    assert len(np.unique(kernel, axis=1).T) == 9
    np.testing.assert_array_equal(kernel[:, :5], values(source.weights[0]))
    assert report.preserves is False
    exact = dense(9)
    keras_inits.warm_start(exact, source, seed=1)
    assert len(np.unique(values(exact.weights[0]), axis=1).T) == 5


def test_a_smaller_net_is_selected_from_a_bigger_one_evenly():
    source, model = scattered(dense(8, 12)), dense(4, 5)
    report = keras_inits.warm_start(model, source, seed=0)
    first, second = values(source.weights[0]), values(source.weights[2])
    np.testing.assert_array_equal(values(model.weights[0]), first[:, ::2])
    steps = np.round(np.linspace(0, 11, 5)).astype(int)
    np.testing.assert_array_equal(values(model.weights[2]), second[::2][:, steps])
    np.testing.assert_array_equal(values(model.weights[3]), values(source.weights[3])[steps])
    assert [row.how for row in report.rows] == ["cut"] * 5 + ["taken"]
    assert report.preserves is False


def test_gates_are_cut_each_by_themselves():
    def net(units):
        return keras.Sequential([keras.Input((5, 3)), layers.LSTM(units), layers.Dense(2)])

    source, model = scattered(net(6)), net(3)
    keras_inits.warm_start(model, source, seed=0)
    gates = np.split(values(source.layers[0].cell.recurrent_kernel), 4, axis=1)
    expected = np.concatenate([gate[::2, ::2] for gate in gates], axis=1)
    np.testing.assert_array_equal(values(model.layers[0].cell.recurrent_kernel), expected)
    biases = np.split(values(source.layers[0].cell.bias), 4)
    np.testing.assert_array_equal(
        values(model.layers[0].cell.bias), np.concatenate([bias[::2] for bias in biases])
    )


def test_a_head_of_other_classes_is_drawn_afresh_and_the_rest_taken():
    source, model = scattered(dense(5, 7)), dense(5, 7, classes=10)
    report = keras_inits.warm_start(model, source, seed=0)
    assert [row.how for row in report.rows] == ["taken"] * 4 + ["drawn"] * 2
    assert "10 units, not 3" in report.rows[-1].reason
    assert len(report.unused) == 2
    again = dense(5, 7, classes=10)
    keras_inits.warm_start(again, source, seed=0)
    for one, other in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(values(one), values(other))


def test_widening_outside_of_a_chain_is_not_claimed():
    def residual(width):
        inputs = keras.Input((6,))
        x = layers.Dense(width, name="in")(inputs)
        x = x + layers.Dense(width, "relu", name="branch")(x)
        return keras.Model(inputs, layers.Dense(2, name="head")(x))

    source, model = scattered(residual(4)), residual(6)
    report = keras_inits.warm_start(model, source, seed=0)
    ways = {row.path: row.how for row in report.rows}
    assert ways["branch/kernel"] == "drawn"
    assert "in no chain" in report.rows[0].reason
    assert report.preserves is not True


def test_frozen_weights_stay_and_names_can_be_mapped():
    source, model = scattered(dense(5, 5)), dense(5)
    model.layers[0].trainable = False
    before = values(model.weights[0])
    report = keras_inits.warm_start(model, source, seed=0)
    np.testing.assert_array_equal(values(model.weights[0]), before)
    assert report.rows[0].how == "left alone"
    source, model = scattered(dense(6, 6)), dense(6)
    names = {model.layers[0].name: source.layers[1].name}
    report = keras_inits.warm_start(model, source, layers=names, seed=0)
    assert report.rows[0].source == source.layers[1].kernel.path
    np.testing.assert_array_equal(values(model.weights[0]), values(source.weights[2]))


def test_a_saved_model_is_a_source(tmp_path):
    source, model = scattered(dense(5)), dense(5)
    source.save(tmp_path / "source.keras")
    report = keras_inits.warm_start(model, tmp_path / "source.keras", seed=0)
    assert [row.how for row in report.rows] == ["taken"] * 4
    assert keras_inits.WarmStartReport.from_dict(report.to_dict()) == report
    assert "4 taken" in report.summary()


def our_loss(y, output):
    return keras.ops.mean(keras.ops.square(y - output))


def test_the_loss_of_a_saved_source_is_not_asked_for(tmp_path):
    source = scattered(dense(5))
    source.compile("sgd", our_loss)
    source.save(tmp_path / "source.keras")
    report = keras_inits.warm_start(dense(5), tmp_path / "source.keras", seed=0)
    assert [row.how for row in report.rows] == ["taken"] * 4


def test_a_source_that_shares_nothing_is_refused():
    source = keras.Sequential([keras.Input((4,)), layers.LayerNormalization()])
    with pytest.raises(keras_inits.InputError, match="No weight of the source"):
        keras_inits.warm_start(dense(5), source)
    with pytest.raises(keras_inits.InputError, match="`source` must be"):
        keras_inits.warm_start(dense(5), np.zeros(3))
    with pytest.raises(keras_inits.InputError, match="before it can be started"):
        keras_inits.warm_start(keras.Sequential([layers.Dense(2)]), source)


# --- vocabulary -----------------------------------------------------------------------------------


def language_model(tokens, tied):
    inputs = keras.Input((7,), dtype="int32")
    if tied:
        table = layers.ReversibleEmbedding(tokens, 16)
        return keras.Model(inputs, table(layers.Dense(16)(table(inputs)), reverse=True))
    x = layers.Dense(16)(layers.Embedding(tokens, 16)(inputs))
    # A hidden layer with as many units as there are tokens is no head.
    x = layers.Dense(16)(layers.Dense(tokens, "relu")(x))
    return keras.Model(inputs, layers.Dense(tokens)(x))


@pytest.mark.parametrize("tied", [True, False])
def test_new_tokens_are_about_the_mean_and_old_ones_keep_their_logits(tied):
    model = scattered(language_model(30, tied))
    larger, report = keras_inits.extend_vocabulary(model, 34, seed=0)
    tokens = RNG.integers(0, 30, (4, 7))
    old, new = values(model(tokens)), values(larger(tokens))
    assert new.shape == (4, 7, 34)
    np.testing.assert_allclose(new[..., :30], old, rtol=1e-4, atol=1e-4)
    mean = old.mean(axis=-1, keepdims=True)
    np.testing.assert_allclose(new[..., 30:], np.repeat(mean, 4, -1), rtol=0.01, atol=0.01)
    assert np.all(new[..., 30:].max(axis=-1) < old.max(axis=-1))
    assert len(report.extended) == (1 if tied else 3)
    assert larger(np.full((1, 7), 33)).shape == (1, 7, 34)


def test_new_rows_have_a_thousand_millionth_of_the_covariance():
    from keras_inits._starts.vocabulary import new_rows

    rows = RNG.normal(size=(500, 3)) @ np.array([[3, 0, 0], [1, 1, 0], [0, 0, 0.1]]) + 5
    drawn = new_rows(rows, 40_000, np.random.default_rng(0))
    expected = np.cov(rows.T, bias=True)
    found = np.cov((drawn - rows.mean(axis=0)).T) * 1e9
    np.testing.assert_allclose(found, expected, rtol=0.05, atol=0.02)
    assert not np.allclose(found, 1.2 * expected, rtol=0.05, atol=0.02)


def test_a_model_without_tokens_or_with_enough_of_them_is_refused():
    with pytest.raises(keras_inits.InputError, match="no Embedding"):
        keras_inits.extend_vocabulary(dense(4), 10)
    with pytest.raises(keras_inits.InputError, match="larger than the 30 tokens"):
        keras_inits.extend_vocabulary(language_model(30, True), 30)


def test_a_bias_is_not_taken_without_its_kernel():
    dense = keras.Sequential([keras.Input((12,)), layers.Dense(8), layers.Dense(3)])
    other = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(3, 3)])
    before = [np.asarray(w).copy() for w in dense.weights]
    with pytest.raises(keras_inits.InputError, match="No weight of the source"):
        keras_inits.warm_start(dense, other)
    for one, now in zip(before, dense.weights, strict=True):
        np.testing.assert_array_equal(one, np.asarray(now))


def test_a_file_that_is_none_is_named(tmp_path):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    with pytest.raises(keras_inits.InputError, match=r"Received: source='.*nope\.keras'"):
        keras_inits.warm_start(model, tmp_path / "nope.keras")
    (tmp_path / "half.keras").write_bytes(b"PK half a file")
    with pytest.raises(keras_inits.InputError, match=r"half\.keras"):
        keras_inits.warm_start(model, tmp_path / "half.keras")


def rows_of_reshaped(width):
    return keras.Sequential(
        [keras.Input((6, 4)), layers.Dense(width, "relu"), layers.Permute((2, 1)),
         layers.Dense(6, "relu"), layers.Flatten(), layers.Dense(3)]
    )  # fmt: skip


def minus_mean(x):
    return x - keras.ops.mean(x, axis=-1, keepdims=True)


def mixed_by(layer):
    return lambda width: keras.Sequential(
        [keras.Input((6,)), layers.Dense(width), layer(), layers.Dense(3)]
    )


@pytest.mark.parametrize(
    ("small", "bigger", "why"),
    [
        (rows_of_reshaped(3), rows_of_reshaped(6), "permute"),
        *(
            (mixed_by(layer)(4), mixed_by(layer)(9), "mixes units")
            for layer in (layers.Softmax, lambda: layers.Activation("log_softmax"),
                          lambda: layers.Activation(minus_mean))
        ),
    ],
    ids=["permuted", "softmax", "log softmax", "a mean is taken off"],
)  # fmt: skip
def test_what_mixes_units_is_not_widened(small, bigger, why):
    report = keras_inits.warm_start(bigger, scattered(small), seed=1)
    assert report.preserves is False
    assert why in report.rows[0].reason


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("relu", layers.GlobalAveragePooling1D), ("tanh", layers.GlobalAveragePooling1D)),
        (("relu", layers.GlobalAveragePooling1D), ("relu", layers.GlobalMaxPooling1D)),
    ],
    ids=["activation", "pooling"],
)
def test_models_that_differ_in_more_than_weights_are_not_said_to_agree(one, other):
    def net(width, activation, pooling):
        return keras.Sequential(
            [keras.Input((8, 3)), layers.Conv1D(width, 3, activation=activation), pooling(),
             layers.Dense(2)]
        )  # fmt: skip

    source = scattered(net(4, *one))
    for width in (4, 7):
        assert keras_inits.warm_start(net(width, *other), source, seed=1).preserves is False
        assert keras_inits.warm_start(net(width, *one), source, seed=1).preserves is True


def test_a_head_in_float32_is_compared_by_what_half_precision_before_it_rounds():
    def net(width):
        hidden = layers.Dense(width, "relu", dtype="mixed_float16")
        return keras.Sequential([keras.Input((64,)), hidden, layers.Dense(4)])

    source, model = scattered(net(256)), net(700)
    assert keras_inits.warm_start(model, source, seed=1).preserves
    model.layers[-1].kernel.assign(1.2 * model.layers[-1].kernel)
    assert not computes_alike(model, source)


def test_running_two_models_leaves_their_seeds_where_they_were():
    class Noisy(layers.Layer):
        def __init__(self):
            super().__init__()
            self.generator = keras.random.SeedGenerator(1)

        def call(self, x):
            return x + 0 * keras.random.normal((1,), seed=self.generator)

    model = keras.Sequential([keras.Input((4,)), Noisy()])
    before = values(model.layers[0].generator.state)
    assert computes_alike(model, model)
    np.testing.assert_array_equal(values(model.layers[0].generator.state), before)


def test_scales_of_units_are_widened_with_them():
    source, model = (scattered(mixed_by(layers.PReLU)(width)) for width in (4, 9))
    assert keras_inits.warm_start(model, source, seed=1).preserves
    assert keras_inits.warm_start(mixed_by(layers.PReLU)(4), source, seed=1).preserves


def test_a_residual_net_whose_weights_are_taken_agrees():
    def net():
        inputs = keras.Input((6,))
        x = inputs + layers.Dense(6, "relu", name="branch")(inputs)
        return keras.Model(inputs, layers.Dense(2, name="head")(x))

    report = keras_inits.warm_start(net(), scattered(net()))
    assert report.preserves
    assert "computes what the source does" in " ".join(report.summary().split())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": {"hidden": "x"}}, "names of layers of the model"),
        ({"layers": {"one": "hidden"}}, "names of layers of the source"),
        ({"noise": -1.0}, "`noise` must be"),
        ({"noise": "x"}, "`noise` must be"),
    ],
)
def test_names_and_noise_that_mean_nothing_are_refused(options, message):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, name="one")])
    with pytest.raises(keras_inits.InputError, match=message):
        keras_inits.warm_start(model, keras.models.clone_model(model), **options)


@keras.saving.register_keras_serializable("test_warm_start")
class Language(keras.Model):
    def __init__(self, vocabulary_size=10, **options):
        super().__init__(**options)
        self.vocabulary_size = vocabulary_size
        self.table, self.head = layers.Embedding(vocabulary_size, 4), layers.Dense(vocabulary_size)

    def call(self, tokens):
        return self.head(self.table(tokens))

    def get_config(self):
        return {**super().get_config(), "vocabulary_size": self.vocabulary_size}


def with_lambda():
    tokens = keras.Input((5,), dtype="int32")
    x = layers.Lambda(lambda t: 2 * t)(layers.Embedding(10, 4)(tokens))
    return keras.Model(tokens, layers.Dense(10)(x))


def subclassed():
    model = Language()
    model(np.zeros((1, 5), "int32"))
    return model


@pytest.mark.parametrize("make", [with_lambda, subclassed])
def test_code_of_the_model_is_kept_in_one_with_more_tokens(make):
    model, tokens = make(), RNG.integers(0, 10, (3, 5))
    larger, report = keras_inits.extend_vocabulary(model, 12, seed=0)
    np.testing.assert_allclose(values(larger(tokens))[..., :10], values(model(tokens)), atol=1e-6)
    assert len(report.extended) == 3


def test_a_model_that_its_configuration_does_not_make_is_refused():
    class Closed(Language):
        def get_config(self):
            return {"unknown": 1}

    model = Closed()
    model(np.zeros((1, 5), "int32"))
    with pytest.raises(keras_inits.InputError, match="cannot be made from its configuration"):
        keras_inits.extend_vocabulary(model, 12)
