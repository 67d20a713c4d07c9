"""Steps that are smaller than the rate says: schedules that end soon, epsilons above gradients."""

import keras
import numpy as np
import pytest
from keras import layers
from keras.optimizers import schedules

from keras_inits._diagnose.setting.rate.small_steps import WORTH, worth
from keras_inits._diagnose.setting.run import examine

RNG = np.random.default_rng(3)
X = RNG.normal(size=(128, 8)).astype("float32")
Y = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)


def _found(optimizer):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((8,)), layers.Dense(32, "relu"), layers.Dense(3, "softmax")]
    )
    model.compile(optimizer, "sparse_categorical_crossentropy")
    setting = examine(model, X, Y)
    assert not setting.notes
    return model, setting.findings


@pytest.mark.parametrize(
    ("schedule", "steps"),
    [
        (schedules.ExponentialDecay(0.01, 4, 0.5, staircase=True), 8),
        (schedules.ExponentialDecay(0.01, 1, 0.9), 10),
        (schedules.CosineDecay(0.01, 40), 20.5),
        (schedules.PolynomialDecay(0.01, 400, end_learning_rate=0.0), 200.5),
        (schedules.PiecewiseConstantDecay([5], [0.1, 1e-30]), 6),
    ],
)
def test_a_schedule_is_worth_the_sum_of_its_rates_over_the_highest(schedule, steps):
    assert worth(lambda step: float(schedule(step)))[0] == pytest.approx(steps, rel=0.02)


@pytest.mark.parametrize(
    "schedule",
    [
        schedules.ExponentialDecay(0.001, 1000, 0.96),
        schedules.CosineDecay(0.0, 200, warmup_target=0.01, warmup_steps=100),
        schedules.CosineDecayRestarts(0.01, 100),
        schedules.PolynomialDecay(0.01, 10_000),
    ],
    ids=lambda schedule: type(schedule).__name__,
)
def test_usual_schedules_are_worth_enough_steps(schedule):
    assert worth(lambda step: float(schedule(step)))[0] > 2 * WORTH


def _warmed(steps):
    return schedules.CosineDecay(0.0, 10_000, warmup_target=0.001, warmup_steps=steps)


# Each an optimizer whose steps are too small, and one of the same kind that does.
@pytest.mark.parametrize(
    ("poor", "good", "word"),
    [
        (
            lambda: keras.optimizers.Adam(schedules.ExponentialDecay(0.003, 4, 0.5)),
            lambda: keras.optimizers.Adam(schedules.ExponentialDecay(0.003, 500, 0.5)),
            "schedule",
        ),
        (
            lambda: keras.optimizers.Adam(0.001, epsilon=100.0),
            lambda: keras.optimizers.Adam(0.001, epsilon=1e-3),
            "epsilon=100",
        ),
        (
            lambda: keras.optimizers.SGD(0.1, clipnorm=1e-5),
            lambda: keras.optimizers.SGD(0.1, clipnorm=1.0),
            "clipnorm=1e-05",
        ),
        (
            lambda: keras.optimizers.SGD(0.1, clipvalue=1e-6),
            lambda: keras.optimizers.Adam(0.001, clipvalue=1e-3),
            "clipvalue=1e-06",
        ),
        (
            lambda: keras.optimizers.Adam(_warmed(10_000_000)),
            lambda: keras.optimizers.Adam(_warmed(4000)),
            "rises slowly",
        ),
    ],
    ids=["schedule", "epsilon", "clipped norm", "clipped values", "warmup"],
)
def test_steps_that_are_too_small_are_found_and_the_remedy_lengthens_them(poor, good, word):
    model, (finding,) = _found(poor())
    assert (finding.kind, finding.where) == ("learning rate too low", ("optimizer",))
    assert word in finding.evidence
    exec(finding.remedy, {"model": model, "keras": keras})
    assert not examine(model, X, Y).findings
    assert not _found(good())[1]


def test_a_large_epsilon_with_the_rate_to_it_is_left_in_peace():
    # RMSprop as for Inception: epsilon 1, which makes of it gradient descent.
    assert not _found(keras.optimizers.RMSprop(0.1, epsilon=1.0))[1]
