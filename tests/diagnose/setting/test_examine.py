"""`examine`: whole programs, healthy and with one fault put in."""

import random

import keras
import numpy as np
import pytest
from keras import layers

from keras_inits._diagnose.setting.entrance import entrances
from keras_inits._diagnose.setting.rate import rates
from keras_inits._diagnose.setting.run import examine
from keras_inits._diagnose.setting.trials.steps import Trial

RNG = np.random.default_rng(0)
X = RNG.normal(size=(128, 8)).astype("float32")
CURVED = np.tanh(2 * X[:, 0] * X[:, 1]) + 0.5 * np.abs(X[:, 2])
CURVED = ((CURVED - CURVED.mean()) / CURVED.std()).astype("float32")
CLASSES = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(0)


def _net(*, units=1, end=None, hidden="relu", inner=(), **options):
    return keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(32, hidden, **options),
            layers.Dense(16, hidden, **options),
            *inner,
            layers.Dense(units, end, **options),
        ]
    )


def _kinds(model, x, y, loss, optimizer="adam"):
    model.compile(optimizer=optimizer, loss=loss)
    setting = examine(model, x, y)
    assert not [note for note in setting.notes if "Error" in note]
    return [finding.kind for finding in setting.findings]


SPARSE = "sparse_categorical_crossentropy"


@pytest.mark.parametrize(
    "optimizer",
    [
        "adam",
        "sgd",
        keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
        *(
            pytest.param(optimizer, marks=pytest.mark.slow)
            for optimizer in (
                "rmsprop",
                keras.optimizers.AdamW(3e-4),
                keras.optimizers.Adadelta(1.0),
                keras.optimizers.Lion(1e-4),
            )
        ),
    ],
    ids=lambda o: o if isinstance(o, str) else o.name,
)
def test_usual_optimizers_are_left_in_peace(optimizer):
    assert _kinds(_net(units=3, end="softmax"), X, CLASSES, SPARSE, optimizer) == []
    fresh = (
        optimizer
        if isinstance(optimizer, str)
        else type(optimizer).from_config(optimizer.get_config())
    )
    assert _kinds(_net(), X, CURVED, "mse", fresh) == []


@pytest.mark.parametrize("rate", [30.0, 3.0])
def test_a_rate_that_is_too_high_is_found_with_one_that_helps(rate):
    model = _net()
    model.compile(keras.optimizers.SGD(rate), "mse")
    (found,) = examine(model, X, CURVED).findings
    assert found.kind == "learning rate too high"
    exec(found.remedy, {"model": model})
    before = model.evaluate(X, CURVED, verbose=0)
    model.fit(X, CURVED, epochs=5, verbose=0)
    assert model.evaluate(X, CURVED, verbose=0) < before


def _trials(**ends):
    """Returns trials of 20 and 60 steps by rate: each loss goes straight from 1 to its end."""

    def attempt(rate, steps=20):
        end, spread, peak = ends[f"{'at' if rate == 1.0 else 'below'}_{steps}"]
        losses = (1.0, peak, *np.linspace(1, end, steps - 2))
        return Trial(rate, losses, 1.0, end, (), (), spread)

    return attempt


@pytest.mark.parametrize(
    ("ends", "found"),
    [
        # Thrown up, and down again to the loss of one answer for all.
        ({"at_20": (0.7, 0.01, 3.0), "below_20": (0.1, 1.0, 1.0)}, True),
        ({"at_20": (0.7, 0.01, 3.0), "below_20": (0.6, 1.0, 1.0)}, False),  # hardly better
        ({"at_20": (0.7, 0.01, 3.0), "below_20": (0.1, 0.01, 1.0)}, False),  # as alike
        ({"at_20": (0.7, 0.01, 1.0), "below_20": (0.1, 1.0, 1.0)}, False),  # calm
        ({"at_20": (0.7, 0.9, 3.0), "below_20": (0.1, 1.0, 1.0)}, False),  # they differ
        # A loss that stays for 60 steps, and with a tenth of the rate only begins in 20.
        (
            {
                "at_20": (1.0, 1.0, 1.0),
                "below_20": (0.9, 2.0, 1.0),
                "at_60": (1.0, 1.0, 1.0),
                "below_60": (0.4, 3.0, 1.0),
            },
            True,
        ),
        (
            {
                "at_20": (1.0, 1.0, 1.0),
                "below_20": (0.9, 2.0, 1.0),
                "at_60": (0.8, 1.0, 1.0),  # it was only later
                "below_60": (0.4, 3.0, 1.0),
            },
            False,
        ),
        ({"at_20": (1.0, 1.0, 1.0), "below_20": (0.99, 1.0, 1.0)}, False),
    ],
)
def test_a_rate_too_high_for_the_loss_to_fall_is_told_from_a_slow_one(ends, found):
    attempt = _trials(**ends)
    judged = rates.too_high(attempt(1.0), attempt)
    assert (judged is not None) == found
    if judged:
        assert judged.numbers["better"] < 1


def test_a_rate_that_is_too_low_is_found_with_one_that_helps():
    model = _net()
    model.compile(keras.optimizers.SGD(1e-6), "mse")
    (found,) = examine(model, X, CURVED).findings
    assert found.kind == "learning rate too low"
    exec(found.remedy.split(", or ")[0], {"model": model})
    before = model.evaluate(X, CURVED, verbose=0)
    model.fit(X, CURVED, epochs=5, verbose=0)
    assert model.evaluate(X, CURVED, verbose=0) < 0.98 * before


def test_batches_of_unlike_loss_hide_no_rate_that_is_too_low():
    hard = np.where(np.arange(20) == 7, 5.0, 1.0)  # whatever the rate is

    def attempt(rate):
        end = 1 - min(rate * 100, 0.9)
        return Trial(rate, tuple(hard * np.linspace(1, end, 20)), 1.0, end, (), (), 1.0)

    own = attempt(1e-7)
    assert rates.too_low(own, attempt, "AdamW")
    assert not rates.too_low(attempt(1e-5), attempt, "AdamW")


def test_an_input_that_is_not_scaled_is_found_and_its_remedy_helps():
    x = X * np.array([1, 1, 1, 1, 1, 1, 1, 3000], "float32")
    model = _net()
    model.compile("adam", "mse")
    (found,) = examine(model, x, CURVED).findings
    assert found.kind == "input scale"
    names = {"keras": keras, "model": model, "x": x}
    exec(found.remedy.removeprefix("Scale the input: ").split(", and ")[0], names)
    scaled = names["model"]
    scaled.compile("adam", "mse")
    assert examine(scaled, x, CURVED).findings == ()
    raw, good = (m.fit(x, CURVED, epochs=5, verbose=0) for m in (model, scaled))
    assert good.history["loss"][-1] < raw.history["loss"][-1]


@pytest.mark.parametrize("first", [layers.Rescaling(1 / 255), layers.BatchNormalization()])
def test_an_input_that_the_model_scales_is_left_in_peace(first):
    x = RNG.integers(0, 256, (64, 8, 8, 3)).astype("float32")
    y = RNG.integers(0, 3, 64)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            first,
            layers.Conv2D(8, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(3, "softmax"),
        ]
    )
    assert _kinds(model, x, y, SPARSE) == []


def test_tokens_are_no_unscaled_input():
    x = RNG.integers(0, 500, (64, 6))
    model = keras.Sequential(
        [
            keras.Input((6,), dtype="int32"),
            layers.Embedding(500, 8),
            layers.GlobalAveragePooling1D(),
            layers.Dense(1, "sigmoid"),
        ]
    )
    assert _kinds(model, x, x[:, 0] % 2, "binary_crossentropy") == []


@pytest.mark.parametrize("size", [2000.0, 1e-5])
def test_targets_of_another_scale_are_found(size):
    y = (CURVED + 3) * size if size > 1 else CURVED * size
    assert _kinds(_net(), X, y, "mse") == ["target scale"]


def test_a_linear_chain_is_found_where_the_task_is_curved():
    model = _net(hidden=None)
    assert _kinds(model, X, CURVED, "mse") == ["missing activation"]
    assert _kinds(_net(hidden=None), X, X @ np.arange(8, dtype="float32") / 8, "mse") == []


def test_softmax_between_layers_is_found():
    inner = [layers.Dense(8, "softmax")]
    assert _kinds(_net(units=3, end="softmax", inner=inner), X, CLASSES, SPARSE) == [
        "hidden activation"
    ]


def test_penalties_that_outweigh_the_data_are_found():
    def kinds(strength):
        penalty = keras.regularizers.L2(strength)
        return _kinds(_net(units=3, end="softmax", kernel_regularizer=penalty), X, CLASSES, SPARSE)

    assert kinds(5.0) == ["regularization"]
    assert kinds(1e-3) == []


def test_weights_far_too_large_show_in_the_loss_at_the_start():
    wide = keras.initializers.RandomNormal(stddev=5.0)
    model = _net(units=3, end="softmax", kernel_initializer=wide)
    assert _kinds(model, X, CLASSES, SPARSE) == ["loss at the start"]


def test_labels_that_the_loss_refuses_are_a_finding_and_no_error():
    model = _net(units=3, end="softmax")
    assert _kinds(model, X, CLASSES + 1, SPARSE) == ["labels"]
    assert _kinds(_net(units=3, end="softmax"), X, CLASSES, "categorical_crossentropy") == [
        "labels"
    ]


def test_findings_come_in_the_order_of_what_to_change_first():
    model = _net(end="sigmoid")
    kinds = _kinds(model, 1000 * X, CURVED, "mse", keras.optimizers.SGD(10.0))
    assert kinds == ["output activation", "input scale"]


def test_without_targets_or_loss_the_data_alone_are_looked_at():
    assert [f.kind for f in examine(_net(), 1000 * X).findings] == ["input scale"]
    assert examine(_net(), X).findings == ()
    assert examine(_net(), X, CURVED).first_steps is None


class Own(keras.Model):
    def __init__(self, units, end, first=None):
        super().__init__()
        self.first = first or layers.Dense(16, "relu")
        self.last = layers.Dense(units)
        self.end = keras.activations.get(end)

    def call(self, x):
        return self.end(self.last(self.first(x)))


@pytest.mark.filterwarnings("ignore:You are using a softmax")
@pytest.mark.parametrize(
    ("units", "end", "y", "loss", "kind"),
    [
        (1, "softmax", CLASSES > 0, "binary_crossentropy", "output activation"),
        (1, "sigmoid", CURVED, "mse", "output activation"),
        (3, "relu", CLASSES, SPARSE, "output activation"),
        (3, "softmax", CLASSES, SPARSE, None),
        (1, None, CURVED, "mse", None),
    ],
)
def test_the_end_of_a_subclassed_model_is_read(units, end, y, loss, kind):
    model = Own(units, end)
    model(X)
    assert _kinds(model, X, np.asarray(y, "float32"), loss) == ([kind] if kind else [])


@pytest.mark.parametrize(
    ("end", "kinds"),
    [
        (lambda: [layers.Dense(3, "softmax"), layers.BatchNormalization()], ["output activation"]),
        (lambda: [layers.Dense(3), layers.Lambda(lambda t: 2 * t)], ["output activation"]),
        (lambda: [layers.Dense(3), layers.BatchNormalization(), layers.Softmax()], []),
        (lambda: [layers.Dense(3, "softmax"), layers.Lambda(lambda t: t + 0.0)], []),
    ],
)
def test_what_stands_behind_the_last_activation_is_measured(end, kinds):
    model = keras.Sequential([keras.Input((8,)), layers.Dense(16, "relu"), *end()])
    assert _kinds(model, X, CLASSES, SPARSE) == kinds


def test_the_entrance_of_a_subclassed_model_is_read():
    plain, scaled = Own(3, "softmax"), Own(3, "softmax", layers.BatchNormalization())
    for model in (plain, scaled):
        model(X)
    assert _kinds(plain, 1000 * X, CLASSES, SPARSE) == ["input scale"]
    assert _kinds(scaled, 1000 * X, CLASSES, SPARSE) == []


class First(layers.Layer):
    """A layer without weights at the entrance of a model."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def call(self, x):
        return self.function(keras.ops.cast(x, "float32"))


FIRST = [
    (First(lambda x: x), True),
    (lambda x: keras.ops.cast(x, "float32"), True),
    (layers.Lambda(lambda x: keras.ops.cast(x, "float32")), True),
    (First(lambda x: x / 255), False),
    (First(lambda x: keras.ops.log(1 + x)), False),
]


@pytest.mark.parametrize(("first", "alarm"), FIRST)
def test_a_layer_that_casts_pixels_and_does_not_scale_them_is_looked_behind(first, alarm):
    pixels = RNG.integers(0, 256, (128, 8)).astype("uint8")
    inputs = keras.Input((8,), dtype="uint8")
    hidden = layers.Dense(16, "relu")(first(inputs))
    model = keras.Model(inputs, layers.Dense(3, "softmax")(hidden))
    model.compile("sgd", SPARSE)
    found = [f.kind for f in examine(model, pixels, CLASSES).findings]
    assert ("input scale" in found) is alarm


def test_an_unknown_layer_at_the_entrance_is_run_once(monkeypatch):
    asked = []
    monkeypatch.setattr(entrances, "hands_on", lambda layer: asked.append(layer.name) or True)
    inputs = keras.Input((8,))
    hidden = layers.Dense(16, "relu")(First(lambda x: x)(inputs))
    model = keras.Model(inputs, layers.Dense(3, "softmax")(hidden))
    assert _kinds(model, X, CLASSES, SPARSE) == []
    assert len(asked) == 1


@pytest.mark.parametrize(("x", "found"), [(0.1, True), (1, False), (3, True)])
def test_numbers_that_an_embedding_cannot_look_up_are_found(x, found):
    given = x * RNG.integers(0, 30, (64, 6))
    model = keras.Sequential(
        [keras.Input((6,)), layers.Embedding(31, 8), layers.Flatten(), layers.Dense(1, "sigmoid")]
    )
    kinds = _kinds(model, given, given[:, 0] > 10 * x, "binary_crossentropy")
    assert ("input values" in kinds) == found


@pytest.mark.parametrize(("start", "kinds"), [(5.0, ["learning rate too high"]), (0.05, [])])
def test_a_rate_with_a_schedule_is_judged_by_its_start(start, kinds):
    decay = keras.optimizers.schedules.ExponentialDecay(start, 1000, 0.9)
    assert _kinds(_net(), X, CURVED, "mse", keras.optimizers.SGD(decay)) == kinds


def test_a_rate_that_warms_up_is_not_called_too_low():
    warm = keras.optimizers.schedules.CosineDecay(
        1e-9, 1000, warmup_target=1e-3, warmup_steps=100_000
    )
    assert _kinds(_net(), X, CURVED, "mse", keras.optimizers.Adam(warm)) == []


def test_momentum_that_overshoots_later_is_seen():
    high = keras.optimizers.SGD(0.1, momentum=0.99)
    assert _kinds(_net(), X, CURVED, "mse", high) == ["learning rate too high"]


def test_a_model_without_anything_to_train_is_found():
    model = _net()
    model.trainable = False
    assert _kinds(model, X, CURVED, "mse") == ["no gradient"]


def test_one_large_target_among_several_outputs_is_found():
    given = keras.Input((8,))
    h = layers.Dense(16, "relu")(given)
    model = keras.Model(given, [layers.Dense(1)(h), layers.Dense(1)(h)])
    model.compile("adam", ["mse", "mse"])
    found = examine(model, X, [30_000 + 9000 * CURVED, CURVED]).findings
    assert [finding.kind for finding in found] == ["target scale"]


def test_the_rates_that_would_do_are_told_where_all_is_well():
    model = _net(units=3, end="softmax")
    model.compile("adam", SPARSE)
    steps = examine(model, X, CLASSES).first_steps
    assert steps.lowest <= 0.1
    assert steps.highest >= 0.001


def test_nothing_of_the_model_moves():
    model = _net(
        units=3,
        end="softmax",
        inner=[layers.BatchNormalization(), layers.Dropout(0.3)],
        kernel_regularizer="l2",
    )
    model.compile(keras.optimizers.Adam(0.01), SPARSE)
    model.fit(X, CLASSES, epochs=1, verbose=0)
    before = [v.numpy().copy() for v in (*model.variables, *model.optimizer.variables)]
    states = random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    setting = examine(model, X, CLASSES)
    assert setting.first_steps is not None
    assert setting.first_steps.steps >= 20
    after = [v.numpy() for v in (*model.variables, *model.optimizer.variables)]
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)
    assert random.getstate() == states[0]
    assert (np.random.get_state()[1] == states[1]).all()  # noqa: NPY002
    draw = np.asarray(keras.random.normal((3,)))
    keras.utils.set_random_seed(0)
    assert draw.shape == (3,)


def test_the_trial_is_the_training():
    model = _net(units=3, end="softmax")
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), SPARSE)
    from keras_inits._diagnose.setting.case import Case
    from keras_inits._diagnose.setting.trials.steps import _batches

    case = Case.of(model, X, CLASSES, SPARSE, own=True)
    trial = case.copy.trial(case.x, case.y, model.optimizer, 0.1, steps=6)
    losses = [model.train_on_batch(X[rows], CLASSES[rows]) for rows in _batches(128, 6, 0)]
    model.reset_metrics()
    np.testing.assert_allclose(trial.losses[0], losses[0], rtol=1e-5)
    for shadow, own in zip(case.copy.shadows, model.trainable_variables, strict=True):
        np.testing.assert_allclose(shadow.numpy(), own.numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("scale", "found"), [(1 / 30, True), (1.0, False)])
def test_numbers_that_are_cut_to_whole_ones_inside_of_a_model_are_found(scale, found):
    codes = RNG.integers(0, 30, (64, 1))
    given = keras.Input((1,))
    h = layers.Flatten()(layers.Embedding(31, 8)(keras.ops.cast(given, "int32")))
    model = keras.Model(given, layers.Dense(1, "sigmoid")(h))
    x = (scale * codes).astype("float32")
    assert ("input values" in _kinds(model, x, codes > 10, "binary_crossentropy")) == found


@pytest.mark.parametrize("mode", ["int", "one_hot"])
@pytest.mark.parametrize(("scale", "found"), [(0.02, True), (1.0, False)])
def test_bins_that_all_values_fall_into_one_of_are_found(mode, scale, found):
    ages = RNG.uniform(16, 80, (64, 1))
    bins = layers.Discretization([20.0, 35.0, 50.0, 65.0], output_mode=mode)
    inner = [layers.Embedding(5, 4), layers.Flatten()] if mode == "int" else []
    model = keras.Sequential([keras.Input((1,)), bins, *inner, layers.Dense(1, "sigmoid")])
    x = (scale * ages).astype("float32")
    assert ("input values" in _kinds(model, x, ages > 40, "binary_crossentropy")) == found
