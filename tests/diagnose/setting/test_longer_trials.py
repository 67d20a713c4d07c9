"""What longer trials show, and what stands between the last kernel and the loss."""

import types

import keras
import numpy as np
import pytest
from keras import layers, ops
from versions import ON_TORCH

import keras_inits
from keras_inits._diagnose.seen.objective import objective
from keras_inits._diagnose.seen.watching import watching
from keras_inits._diagnose.setting import by_steps
from keras_inits._diagnose.setting.between import dropouts, noise
from keras_inits._diagnose.setting.end import asked, linearity, own_loss
from keras_inits._diagnose.setting.entrance import masked
from keras_inits._diagnose.setting.plain import End, targets_of
from keras_inits._diagnose.setting.rate import small_steps
from keras_inits._diagnose.setting.rate.schedules import Rate
from keras_inits._diagnose.setting.run import examine
from keras_inits._diagnose.setting.target import sample_weights
from keras_inits._diagnose.setting.trials import weighing
from keras_inits._diagnose.setting.trials.steps import Copy, Trial
from keras_inits._reporting import Finding

RNG = np.random.default_rng(4)
X = RNG.normal(size=(128, 6)).astype("float32")
CLASSES = X[:, :3].argmax(1)
SPARSE = "sparse_categorical_crossentropy"
KINDS = np.eye(4, dtype="float32")[np.arange(32) % 4]
MEASURED = RNG.normal(size=(32, 1)).astype("float32")


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(0)


def _tries(rate, attempt, best):
    """A training whose trials, of 20 steps and of 200, are recorded numbers."""
    return types.SimpleNamespace(
        own=attempt(rate),
        own_longer=attempt(rate, 200),
        attempt=attempt,
        steps=20,
        longer=200,
        best=best,
        untaught=0.0,
        rate=Rate(rate),
        optimizer=keras.optimizers.Adam(rate),
    )


def _kinds(model, x, y, loss, optimizer):
    model.compile(optimizer, loss)
    return [finding.kind for finding in examine(model, x, y).findings]


@pytest.mark.parametrize(("factor", "kinds"), [(1e-4, ["output activation"]), (0.1, [])])
def test_a_constant_behind_the_last_kernel_is_found(factor, kinds):
    given = keras.Input((6,))
    z = layers.Dense(3)(layers.Dense(16, "relu")(given)) * factor
    model = keras.Model(given, ops.softmax(z))
    assert _kinds(model, X, CLASSES, SPARSE, keras.optimizers.Adam(0.01)) == kinds


def test_a_mean_of_targets_that_the_bias_soon_learns_is_no_fault():
    y = 12 + 0.5 * X[:, :1]
    for rate, kinds in ((0.02, []), (1e-4, ["target scale"])):
        model = keras.Sequential(
            [keras.Input((6,)), layers.Dense(32, "relu"), layers.Dense(32, "relu"), layers.Dense(1)]
        )
        assert _kinds(model, X, y, "mse", keras.optimizers.Adam(rate)) == kinds


def _with_a_branch(penalized):
    """Returns a net with a penalty on the kernels of all its layers, or of a branch alone."""
    strong = {"kernel_regularizer": keras.regularizers.L2(1.0)}
    given = keras.Input((6,))
    h = layers.Dense(32, "relu", **(strong if penalized == "all" else {}))(given)
    branch = layers.Dense(128, "relu", **strong)(h)
    h = layers.Add()([h, layers.Dense(32, **strong)(branch)])
    end = layers.Dense(3, "softmax", **(strong if penalized == "all" else {}))
    return keras.Model(given, end(h))


@pytest.mark.parametrize(("penalized", "kinds"), [("all", ["regularization"]), ("branch", [])])
def test_a_penalty_with_which_a_net_learns_all_the_same_is_a_note(penalized, kinds):
    model = _with_a_branch(penalized)
    model.compile(keras.optimizers.Adam(0.01), SPARSE)
    found = examine(model, X, CLASSES)
    assert [finding.kind for finding in found.findings] == kinds
    noted = [note for note in found.notes if "no alarm: regularization" in note]
    assert bool(noted) == (not kinds)


@pytest.mark.parametrize(("limit", "kinds"), [(0.005, ["regularization"]), (3.0, [])])
def test_constraints_that_leave_nothing_of_kernels_are_found(limit, kinds):
    narrow = {"kernel_constraint": keras.constraints.MaxNorm(limit)}
    inner = [layers.Dense(32, "tanh", **narrow) for _ in range(3)]
    model = keras.Sequential([keras.Input((6,)), *inner, layers.Dense(3, "softmax")])
    assert _kinds(model, X, CLASSES, SPARSE, keras.optimizers.Adam(0.01)) == kinds


def test_kernels_that_may_not_be_negative_are_found_where_nothing_is_learned_so():
    given = [layers.Dense(32, "relu", kernel_constraint="non_neg") for _ in range(2)]
    end = layers.Dense(1, "sigmoid", kernel_constraint="non_neg")
    model = keras.Sequential([keras.Input((6,)), *given, end])
    y = X[:, 0] + X[:, 1] < 0
    assert _kinds(model, X, y, "binary_crossentropy", "adam") == ["regularization"]


@pytest.mark.parametrize(("offset", "kinds"), [(20.0, ["target scale"]), (1.0, [])])
def test_targets_whose_mean_is_far_are_found_where_a_guess_is_as_good(offset, kinds):
    model = keras.Sequential([keras.Input((6,)), layers.Dense(48, "relu"), layers.Dense(1)])
    y = X[:, 0] + X[:, 1] + offset
    assert _kinds(model, X, y, "mse", keras.optimizers.Adam(3e-3)) == kinds


def test_steps_without_a_bound_in_float16_are_put_down_to_epsilon():
    half = [layers.Dense(32, "relu", dtype="float16"), layers.Dense(3, "softmax", dtype="float16")]
    model = keras.Sequential([keras.Input((6,), dtype="float16"), *half])
    model.compile(keras.optimizers.Adam(0.01), SPARSE)
    (found,) = examine(model, X.astype("float16"), CLASSES).findings
    assert (found.kind, found.where) == ("not finite", ("optimizer",))
    assert "model.optimizer.epsilon = 0.0001" in found.remedy


@pytest.mark.parametrize(("better", "found"), [(0.4, True), (8.0, False)])
def test_steps_that_throw_float16_far_up_are_put_down_to_epsilon_where_another_tames_them(
    better, found
):
    def trial(losses, end):
        return Trial(0.01, losses, 1.2, end, (), (), 1.0)

    def attempt(rate, optimizer):
        assert optimizer.epsilon == pytest.approx(1e-4)
        return trial((1.2, 1.0), better)

    own = trial((1.2, 13.1), 10.7)  # finite: whether such steps meet NaN is chance
    at_once = trial((float("nan"),), float("inf"))
    for thrown, words in ((own, "10.7, by way of 13.1"), (at_once, "NaN or infinity")):
        finding = small_steps.rounded(thrown, keras.optimizers.Adam(0.01), attempt)
        assert (finding is not None) == found
        assert finding is None or f"from 1.2 to {words}; with 0.0001 to 0.4" in finding.evidence


@pytest.mark.parametrize(
    "optimizer",
    [keras.optimizers.Adam(0.01), keras.optimizers.RMSprop(1e-4), None],
    ids=["1 - 0.999 is 0", "steps below the last digit", "steps far above it"],
)
def test_weights_whose_steps_are_rounded_away_are_found_and_mixed_precision_helps(optimizer):
    def trained(policy):
        keras.utils.set_random_seed(0)
        stack = [layers.Dense(32, "relu", dtype=policy), layers.Dense(3, "softmax", dtype=policy)]
        model = keras.Sequential([keras.Input((6,)), *stack])
        given = optimizer or keras.optimizers.SGD(0.1)
        model.compile(type(given).from_config(given.get_config()), SPARSE)
        found = examine(model, X, CLASSES).findings
        losses = model.fit(X, CLASSES, epochs=100, verbose=0).history["loss"]
        return found, losses[-1] / losses[0]

    found, reached = trained("bfloat16")
    assert [f.kind for f in found] == (["weight precision"] if optimizer else [])
    if found:
        assert 'set_dtype_policy("mixed_bfloat16")' in found[0].remedy
        mended, better = trained("mixed_bfloat16")
        assert mended == ()
        assert 1 - better > 2 * (1 - reached)


def test_two_outputs_of_one_linear_map_are_found():
    given = keras.Input((6,))
    h = layers.Dense(32, name="inner")(given)
    ends = [layers.Dense(3, "softmax", name="kind")(h), layers.Dense(1, name="value")(h)]
    model = keras.Model(given, ends)
    model.compile("adam", [SPARSE, "mse"])
    (found,) = examine(model, X, [CLASSES, X[:, :1] ** 2]).findings
    assert found.kind == "missing activation"
    assert 'get_layer("inner").activation' in found.remedy
    assert 'get_layer("value").activation' not in found.remedy


def test_a_dropout_at_the_end_is_named_and_not_the_activation_in_front_of_it():
    model = keras.Sequential(
        [keras.Input((6,)), layers.Dense(6, "sigmoid"), layers.Dropout(0.5, name="drop")]
    )
    y = (X > 0).astype("float32")
    assert _kinds(model, X, y, "binary_crossentropy", "adam") == ["dropout"]


@pytest.mark.parametrize(("hidden_layers", "kinds"), [(2, ["learning rate too low"]), (0, [])])
def test_an_optimizer_that_forgets_where_kernels_start_is_found_behind_hidden_layers(
    hidden_layers, kinds
):
    inner = [layers.Dense(24, "tanh") for _ in range(hidden_layers)]
    model = keras.Sequential([keras.Input((6,)), *inner, layers.Dense(3, "softmax")])
    assert _kinds(model, X, CLASSES, SPARSE, keras.optimizers.Ftrl(0.01)) == kinds


@pytest.mark.parametrize(
    ("optimizer", "kinds"),
    [(keras.optimizers.SGD(0.05), ["input scale"]), (keras.optimizers.Adam(0.01), [])],
    ids=["SGD", "Adam"],
)
def test_small_inputs_of_which_nothing_is_learned_are_found(optimizer, kinds):
    model = keras.Sequential(
        [keras.Input((6,)), layers.Dense(32, "relu"), layers.Dense(3, "softmax")]
    )
    assert _kinds(model, 0.03 * X, CLASSES, SPARSE, optimizer) == kinds


@pytest.mark.parametrize(
    ("loss", "wrong"),
    [
        (lambda y, p: keras.losses.categorical_crossentropy(p, y), True),
        (lambda y, p: keras.losses.categorical_crossentropy(y, p), False),
        (lambda y, p: keras.losses.mean_squared_error(p, y), False),
    ],
)
def test_a_loss_of_exchanged_arguments_is_recognized(loss, wrong):
    end = End("softmax", KINDS.shape, "last")
    found = own_loss.check(asked.Asked(KINDS, targets_of(KINDS), end, asked.Loss(loss), 1))
    assert [f.kind for f in found] == (["loss"] if wrong else [])
    assert not wrong or "categorical_crossentropy of (outputs, targets)" in found[0].evidence


@pytest.mark.parametrize(
    ("loss", "wrong"),
    [
        (lambda y, p: ops.mean(y - p), True),
        (lambda y, p: ops.mean(ops.abs(y - p)), False),
        (lambda y, p: ops.mean(y * p), False),
    ],
)
def test_a_gradient_that_does_not_depend_on_the_targets_is_found(loss, wrong):
    end = End("linear", MEASURED.shape, "last", reference='model.get_layer("last")')
    found = own_loss.check(asked.Asked(MEASURED, targets_of(MEASURED), end, asked.Loss(loss), 1))
    assert bool(found) == wrong


@pytest.mark.parametrize(("learned", "wrong"), [(0.69, True), (0.3, False)])
def test_a_rate_that_throws_the_loss_up_is_too_high_where_nothing_is_learned_later(learned, wrong):
    """Not where a loss that was thrown up comes down: 20 steps of a tenth tell neither."""
    ends = {(0.03, 0): 0.7, (0.003, 0): 0.69, (0.03, 200): learned, (0.003, 200): 0.01}

    def attempt(rate, steps=0):
        peak = 8.0 if rate == 0.03 else 0.75
        return Trial(rate, (0.7, peak), 0.7, ends[round(rate, 6), steps], (), (), 1.0)

    tries = _tries(0.03, attempt, best=0.69)
    assert bool(by_steps._unsteady(tries)) == wrong


class _Draw(layers.Layer):
    def __init__(self):
        super().__init__()
        self.noise = keras.random.SeedGenerator(3)

    def call(self, moments):
        mean, log_var = moments
        return mean + ops.exp(log_var / 2) * keras.random.normal(ops.shape(mean), seed=self.noise)


@pytest.mark.parametrize(("activation", "found"), [("relu", ["log_var"]), (None, [])])
def test_a_deviation_that_cannot_become_small_is_found(activation, found):
    given = keras.Input((6,))
    mean, log_var = layers.Dense(4)(given), layers.Dense(4, activation, name="log_var")(given)
    model = keras.Model(given, layers.Dense(6)(_Draw()([mean, log_var])))
    assert [f.where[0] for f in noise.check(model)] == found


def test_steps_between_others_are_no_filling():
    middle, tail = np.zeros((2, 8, 12, 2))
    middle[:, 5], tail[:, :5] = 1, 1
    assert masked.hidden_steps(middle, 0.0) is not None
    assert masked.hidden_steps(tail, 0.0) is None
    assert masked.hidden_steps(tail[:, ::-1], 0.0) is None


def test_leaky_slopes_of_one_are_straight():
    assert linearity.is_straight(layers.LeakyReLU(negative_slope=1.0))
    assert not linearity.is_straight(layers.LeakyReLU(negative_slope=0.1))
    assert not linearity.is_straight(layers.ReLU())


def test_curves_of_one_feature_among_noise_are_seen():
    x = RNG.normal(size=(200, 6))
    linear, curved = linearity.explained(x, np.abs(x[:, 0]))
    assert curved - linear > 0.5
    linear, curved = linearity.explained(x, x[:, 0] + RNG.normal(size=200))
    assert curved - linear < linearity.GAP


def test_dropouts_that_are_noise_are_judged_by_their_rate():
    model = keras.Sequential([keras.Input((6,)), layers.GaussianDropout(0.98), layers.Dense(1)])
    assert len(dropouts.by_rate(model)) == 1


def test_one_class_that_has_all_weight_is_found():
    y = np.arange(40) % 2
    assert len(sample_weights.check((y == 1).astype(float), targets_of(y))) == 1
    assert sample_weights.check(np.where(y == 1, 1.0, 0.2), targets_of(y)) == []


def test_hidden_sigmoids_are_named_together():
    def trial(end, start=1.4):
        return Trial(0.01, (start,) * 20, start, end, (), (), 1.0)

    fading = [
        Finding("vanishing", (name,), "0.05", "", "", {"factor": 0.05, "limit": 10.0})
        for name in ("c", "b")
    ]
    trials = weighing.Trials(
        trial(1.39),
        lambda: trial(1.38),
        lambda: trial(0.2),
        lambda lengths: None,
        sigmoids=("a", "b", "c"),
        rectify="keras_inits.HeInit()",
    )
    (found,), _ = weighing.weighed(fading, trials)
    assert found.where == ("a", "b", "c")
    assert found.remedy == "keras_inits.HeInit()"


def test_dead_units_that_no_kernel_wakes_are_kept():
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(16),
            layers.ReLU(threshold=50.0),
            layers.Dense(3, "softmax"),
        ]
    )
    model.compile("adam", SPARSE)
    (found,) = keras_inits.diagnose(model, X, CLASSES).findings
    assert (found.kind, found.where) == ("dying", (model.layers[1].name,))
    exec(found.remedy, {"model": model, "keras": keras})
    assert model.layers[1].threshold == 0


def test_softmax_inside_of_a_recurrent_layer_is_a_finding_and_no_error():
    inner = [layers.LSTM(8, activation="softmax"), layers.Dense(1)]
    model = keras.Sequential([keras.Input((5, 2)), *inner])
    model.compile("adam", "mse")
    x = RNG.normal(size=(32, 5, 2)).astype("float32")
    kinds = [f.kind for f in keras_inits.diagnose(model, x, x[:, -1, :1]).findings]
    assert "hidden activation" in kinds


class _Counted(layers.Layer):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def call(self, x):
        self.calls += 1
        return x


class _Passes:
    def run(self, original, layer, args, kwargs):
        return original(layer, *args, **kwargs)


@pytest.mark.skipif(ON_TORCH, reason="torch traces nothing")
def test_a_trial_of_many_steps_traces_a_step_once_under_a_watcher_too():
    counted = _Counted()
    model = keras.Sequential([keras.Input((6,)), counted, layers.Dense(3, "softmax")])
    model.compile("sgd", SPARSE)
    with watching(_Passes()):
        copy, before = Copy(model, objective(model, None)), counted.calls
        copy.trial(X, CLASSES, model.optimizer, 0.1, steps=20)
    assert 0 < counted.calls - before < 20


@pytest.mark.parametrize("spread", [2e-5, 0.5])
def test_a_rate_that_ends_in_one_answer_to_all_is_found_where_a_hundredth_teaches(spread):
    """With the numbers of two graph convolutions of 32 units behind a dropout at Adam's 1."""
    ends = {(1.0, 20): 1.165, (1.0, 200): 1.113, (0.1, 20): 1.099, (0.1, 200): 0.638}
    ends |= {(0.01, 20): 0.941, (0.01, 200): 0.431}

    def attempt(rate, steps=20, seed=0):
        peak, own = (890.7, spread) if rate == 1 else (4.083, 9.48)
        return Trial(rate, (1.44, peak), 1.441, ends[round(rate, 6), steps], (), (), own)

    tries = _tries(1.0, attempt, best=1.09)
    assert (by_steps._unsteady(tries) is not None) == (spread < 1e-3)
