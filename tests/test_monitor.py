import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_inits as ki
from keras_inits._monitor import course
from keras_inits._reporting import Finding


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
    keras.utils.set_random_seed(1)  # torch orders samples by its global generator
    alone.fit(*data, epochs=3, verbose=0)
    keras.utils.set_random_seed(1)
    watched.fit(*data, epochs=3, verbose=0, callbacks=[ki.SignalMonitor(*data)])
    for a, b in zip(alone.weights, watched.weights, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_tensorboard_gets_scalars_histograms_and_a_figure(data, tmp_path):
    pytest.importorskip("tensorboard")
    compiled().fit(*data, verbose=0, callbacks=[ki.SignalMonitor(*data, log_dir=tmp_path)])
    (path,) = tmp_path.glob("events*")
    tags = {
        value.tag
        for record in tf.data.TFRecordDataset(str(path))
        for value in tf.compat.v1.Event.FromString(record.numpy()).summary.value
    }
    assert {"signal/d/std", "gradient/d/std", "signal/d", "depth"} <= tags


def test_a_log_without_tensorboard_is_refused_before_the_training(data, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(ki.InputError, match=r'pip install "keras-inits\[tensorboard\]"'):
        ki.SignalMonitor(*data, log_dir=tmp_path)


@pytest.mark.parametrize("every", [0, -1, 1.5, True])
def test_every_is_a_number_of_epochs(data, every):
    with pytest.raises(ValueError, match="`every` must be"):
        ki.SignalMonitor(*data, every=every)


def regression(activation="relu", rate=0.01):
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(32, activation, name="hidden"),
            keras.layers.Dense(4, name="head"),
        ]
    )
    model.compile(keras.optimizers.SGD(rate), "mse")
    return model


def kinds(monitor):
    return {finding.kind for finding in monitor.findings}


def test_a_sound_training_has_no_findings(data):
    monitor = ki.SignalMonitor(*data, every=4, stop=True)
    history = regression(rate=0.05).fit(*data, epochs=8, verbose=0, callbacks=[monitor])
    assert monitor.findings == []
    assert len(history.history["loss"]) == 8


def test_a_loss_that_is_not_finite_is_named_with_its_layer_and_stops(data):
    x, y = data
    monitor = ki.SignalMonitor(x, y, stop=True)
    history = regression(rate=30.0).fit(
        x, y, epochs=60, batch_size=8, verbose=0, callbacks=[monitor]
    )
    assert len(history.history["loss"]) < 60
    finding = next(f for f in monitor.findings if f.kind == "not finite")
    assert set(finding.where) & {"hidden", "head"}
    assert "the loss is not finite" in finding.evidence
    assert finding.numbers["epoch"] >= 1
    assert all(layer.output.finite for layer in monitor.report.layers[:1])


def test_units_that_die_in_training_are_named(data):
    class Kills(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                self.model.get_layer("hidden").bias.assign(np.full(32, -50.0))

    monitor = ki.SignalMonitor(*data, stop=True)
    model = regression()
    history = model.fit(*data, epochs=5, verbose=0, callbacks=[Kills(), monitor])
    assert len(history.history["loss"]) == 2
    finding = next(f for f in monitor.findings if f.kind == "dying")
    assert finding.where == ("hidden",)
    assert "before the training it was healthy" in finding.evidence
    exec(finding.remedy, {"keras_inits": ki, "keras": keras, "model": model})
    assert model.get_layer("hidden").bias.numpy().max() == 0


@pytest.mark.parametrize(
    ("losses", "kind"),
    [
        ([1.0, 3.0, 1.1, 2.8, 1.0, 3.1], "oscillating"),
        ([2.0, 1.0, 3.0, 1.1, 2.8, 1.0, 3.1], "oscillating"),
        ([2.0, 1e-12, 3e-12, 1.1e-12, 2.8e-12, 1e-12, 3.1e-12], None),
        ([2.3, 2.3, 2.301, 2.299, 2.3, 2.3], "stalled"),
        ([1.0, 0.8, 0.85, 0.6, 0.62, 0.5], None),
        ([2.3, 1.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5], None),
        ([3.0, 1.0, 2.0, 0.7, 1.4, 0.4], None),
    ],
)
def test_the_course_of_the_loss_is_judged_over_epochs(losses, kind):
    found = course.of_loss(losses, 6)
    assert (found and found.kind) == kind


def test_a_loss_no_lower_than_a_guess_is_stalled_and_a_lower_one_is_learned():
    still = [0.25, 0.2502, 0.2501, 0.2499, 0.25, 0.25]
    stalled = course.of_loss(still, 6, 0.25)
    assert stalled is not None
    assert stalled.kind == "stalled"
    assert course.of_loss(still, 6, 0.5) is None


def test_the_guess_is_the_variance_of_the_targets(data):
    x, _ = data
    monitor = ki.SignalMonitor(x, x[:, :4])
    regression().fit(x, x[:, :4], epochs=1, verbose=0, callbacks=[monitor])
    assert monitor._guess == pytest.approx(x[:, :4].var(0).mean(), rel=1e-4)


class From(keras.callbacks.Callback):
    """Calls a function of the model before an epoch, the first of which is 0."""

    def __init__(self, epoch, function):
        super().__init__()
        self.epoch, self.function = epoch, function

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            self.function(self.model)


def set_rate(value):
    return lambda model: model.optimizer.learning_rate.assign(value)


def test_a_loss_of_another_name_is_watched(data):
    class Named(keras.Model):
        def train_step(self, *args):
            logs = super().train_step(*args)
            logs, *state = logs if isinstance(logs, tuple) else (logs,)
            logs = {"g_loss": logs["loss"]}
            return (logs, *state) if state else logs

    inputs = keras.Input((8,))
    model = Named(inputs, keras.layers.Dense(4)(inputs))
    model.compile(keras.optimizers.SGD(0.01), "mse")
    monitor = ki.SignalMonitor(*data)
    model.fit(*data, epochs=4, verbose=0, callbacks=[From(1, set_rate(1e30)), monitor])
    (finding,) = monitor.findings
    assert finding.kind == "not finite"
    assert "the g_loss is not finite" in finding.evidence


class Batches(keras.utils.PyDataset):
    """Batches of which the last has one value that is not finite."""

    def __init__(self, x, y, value):
        super().__init__()
        self.x, self.y = x.copy(), y
        self.x[-1, 3] = value

    def __len__(self):
        return 4

    def __getitem__(self, index):
        rows = slice(8 * index, 8 * index + 8)
        return self.x[rows], self.y[rows]


@pytest.mark.parametrize(("value", "rate", "where"), [(np.nan, 0.01, "input"), (0.5, 1e12, "")])
def test_data_that_are_not_finite_are_told_from_steps_that_explode(data, value, rate, where):
    x, y = data
    monitor = ki.SignalMonitor(x[:16], y[:16])
    regression("tanh", rate).fit(Batches(x, y, value), epochs=2, verbose=0, callbacks=[monitor])
    finding = next(f for f in monitor.findings if f.kind == "not finite")
    assert ("input" in finding.where) == bool(where)
    assert ("samples of this batch" in finding.evidence) == bool(where)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_weights_that_somebody_set_to_nan_are_named(data, activation):
    def spoil(model):
        kernel = keras.ops.convert_to_numpy(model.get_layer("hidden").kernel).copy()
        kernel[2, 3] = np.nan
        model.get_layer("hidden").kernel.assign(kernel)

    monitor = ki.SignalMonitor(*data)
    model = regression(activation)
    model.fit(*data, epochs=3, verbose=0, callbacks=[From(1, spoil), monitor])
    finding = next(f for f in monitor.findings if f.kind == "not finite")
    assert [place.split("/", 1)[1] for place in finding.where] == ["hidden/kernel"]
    assert finding.numbers["epoch"] == 2


def test_history_counts_the_epochs_of_an_earlier_training(data):
    monitor = ki.SignalMonitor(*data)
    regression().fit(*data, initial_epoch=5, epochs=7, verbose=0, callbacks=[monitor])
    assert [epoch for epoch, _ in monitor.history] == [5, 6, 7]


@pytest.mark.parametrize("solved", [True, False])
def test_what_saturates_is_reported_only_while_the_loss_is_not_gone(solved):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, (128, 1)).astype("float32")
    x = (rng.normal(size=(128, 8)) + 6 * labels - 3).astype("float32")
    y = labels if solved else rng.permutation(labels)
    keras.utils.set_random_seed(0)
    small = keras.initializers.RandomNormal(stddev=0.05)  # not saturated from the start
    hidden = keras.layers.Dense(16, "tanh", kernel_initializer=small)
    model = keras.Sequential([keras.Input((8,)), hidden, keras.layers.Dense(1, "sigmoid")])
    model.compile(keras.optimizers.SGD(0.3), "binary_crossentropy")

    def saturate(model):
        layer = model.layers[0]
        layer.kernel.assign(20 * keras.ops.sign(layer.kernel))

    monitor = ki.SignalMonitor(x, y)
    calls = [From(12, saturate), monitor]
    model.fit(x, y, epochs=14, batch_size=8, verbose=0, callbacks=calls)
    assert monitor.report.layers[0].output.saturated > 0.5
    assert ("saturated" in kinds(monitor)) == (not solved)


def test_each_layer_that_dies_has_a_remedy_of_its_own():
    layers = [
        SimpleNamespace(name=name, verdict="healthy", output=SimpleNamespace(dead_units=0.0))
        for name in "ab"
    ]
    first = SimpleNamespace(layers=layers, findings=[])
    now = SimpleNamespace(findings=[Finding("dying", (n,), "", remedy=f"fix {n}") for n in "ab"])
    found = course.newly_found(first, now, 3)
    assert [f.remedy.partition(";")[0] for f in found] == ["fix a", "fix b"]
    assert all("learning_rate = 0.1" in f.remedy and f.numbers["epoch"] == 3 for f in found)
