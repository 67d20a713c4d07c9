import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_inits as ki


def compiled():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((8,)), keras.layers.Dropout(0.2), keras.layers.Dense(4, "relu", name="d")]
    )
    model.compile("sgd", "mse")
    return model


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    return rng.standard_normal((32, 8), dtype="float32"), np.ones((32, 4), "float32")


def test_the_history_has_a_report_before_training_and_each_n_epochs(data):
    monitor = ki.SignalMonitor(*data, every=2)
    compiled().fit(*data, epochs=5, verbose=0, callbacks=[monitor])
    assert [epoch for epoch, _ in monitor.history] == [0, 2, 4]
    losses = [report.loss for _, report in monitor.history]
    assert losses == sorted(losses, reverse=True)


def test_training_goes_on_as_without_it(data):
    alone, watched = compiled(), compiled()
    alone.fit(*data, epochs=3, verbose=0)
    watched.fit(*data, epochs=3, verbose=0, callbacks=[ki.SignalMonitor(*data)])
    for a, b in zip(alone.weights, watched.weights, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_tensorboard_gets_scalars_histograms_and_a_figure(data, tmp_path):
    compiled().fit(*data, verbose=0, callbacks=[ki.SignalMonitor(*data, log_dir=tmp_path)])
    (path,) = tmp_path.glob("events*")
    tags = {
        value.tag
        for record in tf.data.TFRecordDataset(str(path))
        for value in tf.compat.v1.Event.FromString(record.numpy()).summary.value
    }
    assert {"signal/d/std", "gradient/d/std", "signal/d", "depth"} <= tags


@pytest.mark.parametrize("every", [0, -1, 1.5, True])
def test_every_is_a_number_of_epochs(data, every):
    with pytest.raises(ValueError, match="`every` must be a number of epochs"):
        ki.SignalMonitor(*data, every=every)
