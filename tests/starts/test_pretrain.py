"""Layers learn to reconstruct what comes into them, resume, and say why they do not."""

import random

import keras
import numpy as np
import pytest
from keras import layers

import keras_inits
from keras_inits._starts.autoencoder import Decoder, DenoisingAutoencoder

RNG = np.random.default_rng(0)


def values(weight):
    return np.array(keras.ops.convert_to_numpy(weight))


def patterns(count=300, size=16):
    """Binary data of four kinds: four hidden units know all of it."""
    kinds = RNG.random((4, size)) < 0.5
    return kinds[RNG.integers(0, 4, count)].astype("float32")


X = patterns()


def dense(activation="sigmoid", extra=()):
    stack = [layers.Dense(8, activation), *extra, layers.Dense(6, activation)]
    model = keras.Sequential([keras.Input((16,)), *stack, layers.Dense(3, "softmax")])
    keras_inits.initialize(model, "initkit_glorot_uniform", seed=1)
    return model


def shallow():
    stack = [layers.Dense(8, "sigmoid"), layers.Dense(3, "softmax")]
    model = keras.Sequential([keras.Input((16,)), *stack])
    keras_inits.initialize(model, "initkit_glorot_uniform", seed=1)
    return model


def run(model, x=X, **arguments):
    arguments = {
        "epochs": 6,
        "batch_size": 20,
        "seed": 0,
        "optimizer": keras.optimizers.Adam(0.02),
    } | arguments
    return keras_inits.pretrain(model, x, **arguments)


@pytest.mark.parametrize("activation", ["sigmoid", "relu", "tanh"])
def test_each_layer_but_the_last_reconstructs_better_than_before_and_than_the_mean(activation):
    model = dense(activation)
    head = values(model.layers[-1].kernel)
    report = run(model)
    assert report.ok, report
    first, second, last = report.rows
    assert first.error < 0.5 * first.error_before
    assert first.error < 0.5 * X.var(axis=0).mean()
    assert second.error < second.error_before
    assert (first.decoder, first.loss) == ("sigmoid", "cross-entropy")
    wanted = (
        ("sigmoid", "cross-entropy") if activation == "sigmoid" else ("linear", "squared error")
    )
    assert (second.decoder, second.loss) == wanted
    assert "the last layer" in last.left_alone
    np.testing.assert_array_equal(values(model.layers[-1].kernel), head)


def test_the_decoder_is_the_transposed_kernel():
    layer = layers.Dense(3, "tanh")
    layer.build((None, 5))
    layer.bias.assign(RNG.normal(size=3))
    encoder = DenoisingAutoencoder(
        layer, layer.activation, Decoder("linear", "squared error"), (5,), "masking", 0.5, 0
    )
    encoder.decoder_bias.assign(RNG.normal(size=5))
    x = RNG.normal(size=(7, 5)).astype("float32")
    kernel = values(layer.kernel)
    expected = np.tanh(x @ kernel + values(layer.bias)) @ kernel.T + values(encoder.decoder_bias)
    np.testing.assert_allclose(values(encoder(x)), expected, rtol=1e-5, atol=1e-6)
    assert encoder.error(x, 3) == pytest.approx(np.mean((expected - x) ** 2), rel=1e-5)
    loss = values(encoder.loss_of(keras.ops.convert_to_tensor(x), encoder(x)))
    np.testing.assert_allclose(loss, ((expected - x) ** 2).sum(axis=1) / 2, rtol=1e-4)
    noisy = values(encoder._noisy(keras.ops.ones((2000, 5))))
    assert noisy.mean() == pytest.approx(0.5, abs=0.03)
    assert set(np.unique(noisy)) == {0.0, 1.0}
    assert [w.name for w in encoder.trainable_variables].count("kernel") == 1


def test_cross_entropy_is_that_of_keras():
    layer = layers.Dense(3)
    layer.build((None, 5))
    encoder = DenoisingAutoencoder(
        layer, None, Decoder("sigmoid", "cross-entropy"), (5,), "masking", 0.1, 0
    )
    x = RNG.random((7, 5)).astype("float32")
    ours = values(encoder.loss_of(keras.ops.convert_to_tensor(x), encoder(x)))
    theirs = keras.losses.binary_crossentropy(x, encoder(x), from_logits=True)
    np.testing.assert_allclose(ours, 5 * values(theirs), rtol=1e-4)


@pytest.mark.parametrize("noise", ["masking", "normal"])
def test_convolutions_strided_and_not_are_pre_trained(noise):
    images = np.repeat(np.repeat(patterns(60, 16).reshape(60, 4, 4, 1), 2, 1), 2, 2)
    stack = [layers.Conv2D(4, 3, padding="same"), layers.ReLU(), layers.MaxPooling2D()]
    stack += [layers.Conv2D(4, 2, strides=2, activation="relu"), layers.Flatten()]
    model = keras.Sequential([keras.Input((8, 8, 1)), *stack, layers.Dense(3)])
    report = run(model, images, noise=noise, level=0.2)
    assert report.ok, report
    assert all(row.error < row.error_before for row in report.rows[:2])
    assert report.rows[1].decoder == "linear"


def test_a_seed_gives_the_same_weights_and_no_global_seed_is_touched():
    first, second = shallow(), shallow()
    before = random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    run(first, epochs=1)
    assert random.getstate() == before[0]
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    run(second, epochs=1)
    for one, other in zip(first.weights, second.weights, strict=True):
        np.testing.assert_allclose(values(one), values(other), rtol=1e-5)
    third = shallow()
    run(third, epochs=1, seed=1)
    assert not np.allclose(values(first.weights[0]), values(third.weights[0]))


class KilledError(Exception):
    pass


def test_a_killed_run_resumes_after_the_layers_that_are_done(tmp_path):
    whole = dense()
    full = run(whole, epochs=2)

    def kill(progress):
        if progress.done == 3:
            raise KilledError

    with pytest.raises(KilledError):
        run(dense(), epochs=2, out=tmp_path, on_progress=kill)
    seen = []
    resumed = dense()
    report = run(resumed, epochs=2, out=tmp_path, on_progress=seen.append)
    assert report.rows[0].seconds == 0
    assert (seen[-1].done, seen[-1].total) == (4, 4)
    for one, other in zip(whole.weights, resumed.weights, strict=True):
        np.testing.assert_allclose(values(one), values(other), rtol=1e-5)
    assert report.rows[0].error == pytest.approx(full.rows[0].error, rel=1e-5)
    with pytest.raises(keras_inits.InputError, match="other settings"):
        run(dense(), epochs=3, out=tmp_path)
    with pytest.raises(keras_inits.InputError, match="other settings"):
        run(dense(), X + 1, epochs=2, out=tmp_path)
    other = dense()
    other.layers[1].activation = keras.activations.tanh
    with pytest.raises(keras_inits.InputError, match="tanh"):
        run(other, epochs=2, out=tmp_path)


def test_what_cannot_be_pre_trained_says_why():
    inputs = keras.Input((16,))
    x = layers.Dense(8, name="frozen", trainable=False)(inputs)
    x = layers.Dense(8, name="normalized")(x)
    x = layers.ReLU()(layers.BatchNormalization(name="between")(x))
    x = layers.Reshape((4, 2))(x)
    x = layers.LSTM(3, name="lstm")(x)
    x = layers.Dense(4, "relu", name="good")(x)
    model = keras.Model(inputs, layers.Dense(2, name="head")(x))
    report = run(model, epochs=1)
    reasons = {row.layer: row.left_alone for row in report.rows}
    assert "frozen" in reasons["frozen"]
    assert "'between' stands between" in reasons["normalized"]
    assert "LSTM" in next(reason for layer, reason in reasons.items() if "lstm" in layer)
    assert reasons["good"] == ""
    assert len(report.findings) == 2
    assert keras_inits.PretrainReport.from_dict(report.to_dict()) == report
    assert "left alone" in report.summary()


def test_the_model_keeps_no_trace_but_its_weights():
    model = dense()
    model.compile("sgd", "sparse_categorical_crossentropy")
    nodes = len(model.layers[0]._outbound_nodes)
    run(model, epochs=1)
    assert len(model.layers[0]._outbound_nodes) == nodes
    assert len(model.weights) == 6
    assert model.fit(X, RNG.integers(0, 3, len(X)), verbose=0, epochs=1)


def test_batches_of_a_dataset_are_data():
    import tensorflow as tf

    one, other = shallow(), shallow()
    run(one, epochs=1)
    run(other, tf.data.Dataset.from_tensor_slices((X, X)).batch(7), epochs=1)
    np.testing.assert_allclose(values(one.weights[0]), values(other.weights[0]), rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": 0}, "`epochs` must be"),
        ({"batch_size": 0}, "`batch_size` must be"),
        ({"noise": "salt"}, "`noise` must be one of"),
        ({"level": 1.0}, "from 0 below 1"),
        ({"level": -1, "noise": "normal"}, "at least 0"),
        ({"x": X[:, :3]}, "does not take `x`"),
        ({"x": None}, "must be data"),
    ],
)
def test_bad_input_gets_a_sentence(arguments, message):
    with pytest.raises(keras_inits.InputError, match=message):
        run(dense(), **arguments)


@pytest.mark.slow
def test_the_recipe_on_mnist_gives_the_errors_and_the_accuracy_found_by_trial(mnist_dir):
    from keras_inits.datasets import load_mnist

    data = load_mnist("idx", mnist_dir, report=lambda _: None)
    # the first 10,000 of the original file, of which 5,000 are set aside for validation
    x = np.concatenate([data.validation_images, data.train_images])[:10_000]
    y = np.concatenate([data.validation_labels, data.train_labels])[:10_000]
    hidden = [layers.Dense(200, "sigmoid") for _ in range(5)]
    head = layers.Dense(10, "softmax")
    model = keras.Sequential([keras.Input((784,)), *hidden, head])
    # "glorot x 4", and an output kernel of 0
    scheme = keras_inits.GlorotUniformInit(4.0)
    zeros = {f"{head.kernel.path}": "initkit_zeros"}
    keras_inits.initialize(model, scheme, overrides=zeros, seed=0)
    report = keras_inits.pretrain(
        model, x, epochs=8, batch_size=50, level=0.25, optimizer=keras.optimizers.SGD(0.1), seed=0
    )
    # A NumPy program found these, of the noisy inputs that it trained on, with other draws.
    errors = [row.error_noisy for row in report.rows[:5]]
    np.testing.assert_allclose(errors, [0.012, 0.030, 0.020, 0.014, 0.011], rtol=0.2)
    assert all(row.error < row.error_noisy for row in report.rows[:5])
    model.compile(
        keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    model.fit(x, y, batch_size=100, epochs=1, verbose=0)
    accuracy = model.evaluate(data.test_images, data.test_labels, verbose=0)[1]
    assert accuracy > 0.83  # .869; random starts are at chance then


@pytest.mark.parametrize("optimizer", ["addam", 3])
def test_an_optimizer_that_is_none_is_refused_before_anything_is_done(optimizer):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, "tanh"), layers.Dense(2)])
    with pytest.raises(keras_inits.InputError, match="`optimizer` must be one that `compile`"):
        keras_inits.pretrain(model, np.zeros((8, 4), "float32"), optimizer=optimizer)


def test_numbers_that_are_not_finite_are_refused():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, "tanh"), layers.Dense(2)])
    x = np.zeros((8, 4), "float32")
    x[2, 1] = np.nan
    for start in (keras_inits.pretrain, keras_inits.calibrate):
        with pytest.raises(keras_inits.InputError, match=r"finite.*Received.* 1 that are NaN"):
            start(model, x)


def test_a_table_of_pandas_is_data_and_causal_padding_is_no_autoencoder():
    pandas = pytest.importorskip("pandas")
    report = run(shallow(), pandas.DataFrame(X), epochs=1)
    assert report.rows[0].decoder
    stack = [layers.Conv1D(3, 3, padding="causal"), layers.Flatten(), layers.Dense(2)]
    model = keras.Sequential([keras.Input((8, 2)), *stack])
    report = run(model, X[:8, :16].reshape(8, 8, 2), epochs=1)
    assert "causal" in report.rows[0].left_alone


@pytest.mark.parametrize("policy", ["mixed_float16", "float16", "bfloat16", "float64"])
def test_a_model_of_any_precision_is_trained_in_single_precision_or_its_own(policy, tmp_path):
    if policy == "float64" and keras.backend.backend() == "jax":
        pytest.skip("JAX has no float64 by default")

    def net():
        stack = [layers.Dense(5, "sigmoid", dtype=policy), layers.Dense(2)]
        return keras.Sequential([keras.Input(X.shape[1:]), *stack])

    keras.config.set_dtype_policy(policy)
    try:
        report = run(net(), epochs=2, out=tmp_path)
        kept = run(net(), epochs=2, out=tmp_path)
    finally:
        keras.config.set_dtype_policy("float32")
    assert report.rows[0].error < report.rows[0].error_before
    assert kept.rows[0].error == report.rows[0].error
