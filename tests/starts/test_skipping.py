"""Nothing is drawn inside, what the file sets is there, what it does not set is named."""

import keras
import numpy as np
import pytest
from keras import layers
from versions import of_tensorflow

import keras_inits


def values(weight):
    return np.array(keras.ops.convert_to_numpy(weight))


class Counting(keras.initializers.Initializer):
    """Counts its draws."""

    drawn = 0

    def __call__(self, shape, dtype=None):
        Counting.drawn += 1
        return keras.random.normal(shape, dtype=dtype)


def net(extra=False):
    inputs = keras.Input((6, 4))
    x = layers.Dense(5, "relu", kernel_initializer=Counting(), name="first")(inputs)
    x = layers.MultiHeadAttention(2, 3, name="attention")(x, x)
    x = layers.LSTM(3, name="lstm")(x)
    x = layers.BatchNormalization(name="norm")(x)
    if extra:
        x = layers.Dense(3, name="extra")(x)
    return keras.Model(inputs, layers.Dense(2, name="head")(x))


@pytest.fixture
def trained():
    model = net()
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.uniform(size=weight.shape))
    return model


def test_a_model_that_is_loaded_inside_is_the_same_and_draws_nothing(trained, tmp_path):
    trained.save(tmp_path / "model.keras")
    custom = {"Counting": Counting}
    Counting.drawn = 0
    with keras_inits.skip_initialization() as skipped:
        model = keras.models.load_model(tmp_path / "model.keras", custom_objects=custom)
    assert Counting.drawn == 0
    for one, other in zip(trained.weights, model.weights, strict=True):
        np.testing.assert_array_equal(values(one), values(other))
    report = skipped.report()
    assert report.ok
    assert report.skipped == 9  # kernels of first, q, k, v, out, lstm (2), head; the LSTM's bias
    assert isinstance(model.get_layer("first").kernel_initializer, Counting)
    keras.models.load_model(tmp_path / "model.keras", custom_objects=custom)
    assert Counting.drawn == 1  # a load outside draws


def test_a_model_built_and_loaded_by_weights(trained, tmp_path):
    trained.save_weights(tmp_path / "model.weights.h5")
    Counting.drawn = 0
    with keras_inits.skip_initialization() as skipped:
        model = net()
        assert len(skipped.unset) == 9
        model.load_weights(tmp_path / "model.weights.h5")
    assert Counting.drawn == 0
    assert skipped.unset == ()
    np.testing.assert_array_equal(values(model.weights[0]), values(trained.weights[0]))


def test_a_weight_that_the_file_does_not_set_is_named_and_can_be_drawn(trained):
    known = {layer.name: layer.get_weights() for layer in trained.layers[1:]}

    def load():
        with keras_inits.skip_initialization() as skipped:
            model = net(extra=True)
            for name, weights in known.items():
                model.get_layer(name).set_weights(weights)
        return model, skipped

    with pytest.warns(UserWarning, match="1 weights were neither drawn nor loaded.*extra/kernel"):
        model, skipped = load()
    assert skipped.unset == ("extra/kernel",)
    assert not skipped.report().ok
    assert "extra/kernel" in skipped.report().summary()
    kernel = model.get_layer("extra").kernel
    assert np.all(values(kernel) == 0)
    skipped.draw(seed=3)
    first = values(kernel)
    assert np.all(first != 0)
    assert np.abs(first).max() < np.sqrt(6 / 6)  # Glorot's uniform, its own
    assert skipped.report().ok


def test_models_are_drawn_as_ever_after_the_block_even_after_an_error():
    plain = keras.layers.Layer.add_weight, keras.Variable.assign
    with pytest.raises(ZeroDivisionError), keras_inits.skip_initialization():
        1 / 0  # noqa: B018
    assert (keras.layers.Layer.add_weight, keras.Variable.assign) == plain
    assert np.all(values(net().get_layer("head").kernel) != 0)


def test_blocks_do_not_nest():
    with (
        keras_inits.skip_initialization(),
        pytest.raises(keras_inits.InputError, match="active already"),
        keras_inits.skip_initialization(),
    ):
        pass


@of_tensorflow("a checkpoint of TensorFlow")
def test_what_a_checkpoint_sets_without_an_assign_of_keras_is_set(trained, tmp_path):
    tensorflow = pytest.importorskip("tensorflow")
    trained.get_layer("head").kernel.assign(np.zeros_like(values(trained.get_layer("head").kernel)))
    tensorflow.train.Checkpoint(model=trained).write(str(tmp_path / "all"))
    with keras_inits.skip_initialization() as skipped:
        model = net()
        tensorflow.train.Checkpoint(model=model).read(str(tmp_path / "all")).expect_partial()
    assert skipped.report().ok
    skipped.draw(seed=0)
    for one, other in zip(model.weights, trained.weights, strict=True):
        np.testing.assert_array_equal(values(one), values(other))


@pytest.mark.parametrize("unset", [(), ("dense/kernel",)])
def test_the_heading_is_one_line_however_narrow_the_table(unset):
    report = keras_inits.SkipReport(4, 9472, unset)
    assert report.summary().splitlines()[0].strip() == report.heading()
