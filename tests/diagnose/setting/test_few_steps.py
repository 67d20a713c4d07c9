"""Models that are too large for a whole trial: a few steps show a rate that is far too high."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_inits._diagnose.setting.case import Case
from keras_inits._diagnose.setting.run import examine
from keras_inits._diagnose.setting.trials import tries

RNG = np.random.default_rng(5)
X = RNG.normal(size=(64, 16)).astype("float32")
Y = X[:, :4].argmax(1)


def _of(optimizer, depth=6, normalized=False):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((16,))])
    for _ in range(depth):
        model.add(layers.Dense(32, kernel_initializer="he_normal"))
        if normalized:
            model.add(layers.BatchNormalization())
        model.add(layers.ReLU())
    model.add(layers.Dense(4, "softmax"))
    model.compile(optimizer, "sparse_categorical_crossentropy")
    return examine(model, X, Y)


@pytest.mark.parametrize(
    ("name", "limit", "normalized"),
    [("LAYERS", 3, False), ("LAYERS", 3, True), ("BUDGET", 1e6, False)],
)
def test_a_rate_that_throws_the_loss_up_is_found(monkeypatch, name, limit, normalized):
    monkeypatch.setattr(tries, name, limit)
    for good, bad in (
        (keras.optimizers.Adam(1e-3), keras.optimizers.Adam(5.0)),
        (keras.optimizers.SGD(0.1, momentum=0.9), keras.optimizers.SGD(100.0)),
    ):
        sound, setting = _of(good, normalized=normalized), _of(bad, normalized=normalized)
        assert sound.findings == ()
        assert sound.notes[0].startswith("4 steps on 8 samples were tried")
        (finding,) = setting.findings
        assert finding.kind == "learning rate too high"
        remedy = type(bad)(finding.numbers["better"])
        assert _of(remedy, normalized=normalized).findings == ()


def test_a_few_steps_take_what_a_trial_takes(monkeypatch):
    monkeypatch.setattr(tries, "LAYERS", 3)
    model = keras.Sequential([keras.Input((16,)), layers.Dense(4, "softmax")])
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    case = Case.of(model, X, Y, model.loss, own=True)
    few = tries.Tries(case, None).few
    assert [len(few(0.1, steps=steps).losses) for steps in (0, 7)] == [tries.FEW_STEPS, 7]
    assert few(0.1, optimizer=keras.optimizers.Adam()).end != few(0.1).end


def test_of_what_is_larger_still_no_step_is_tried(monkeypatch):
    monkeypatch.setattr(tries, "BUDGET", 1.0)
    setting = _of(keras.optimizers.Adam(0.5))
    assert setting.findings == ()
    assert setting.notes[0].startswith("no steps were tried")


def test_a_frozen_base_costs_one_pass_and_no_graph_of_gradients():
    base = keras.Sequential([keras.Input((16,)), layers.Dense(32, "relu"), layers.Dense(32)])
    model = keras.Sequential([keras.Input((16,)), base, layers.Dense(4)])
    trained, whole = tries.work(model)
    base.trainable = False
    left, cost = tries.work(model)
    assert (trained, left) == (3, 1)
    assert whole - cost == pytest.approx(2 * (16 * 32 + 32 * 32))
