"""What a few runs show: filling, masks, scaling layers, moving statistics, penalties."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_inits
from keras_inits._diagnose.setting.entrance import data
from keras_inits._diagnose.setting.run import examine
from keras_inits._diagnose.setting.trials import steps, weighing
from keras_inits._reporting import Finding

RNG = np.random.default_rng(6)
X = RNG.normal(size=(128, 6)).astype("float32")
Y = (X[:, 0] * X[:, 1] > 0).astype("float32")
WORDS = RNG.integers(1, 50, (64, 14))
WORDS[:, 3:] = 0
LABELS = (WORDS[:, 0] % 2).astype("float32")
BCE = "binary_crossentropy"


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(0)


def _kinds(model, x, y, optimizer="adam", **options):
    model.compile(optimizer, BCE)
    setting = examine(model, x, y, **options)
    assert not [note for note in setting.notes if "Error" in note]
    return [finding.kind for finding in setting.findings]


def _net(*inner, end=()):
    return keras.Sequential(
        [keras.Input((6,)), *inner, layers.Dense(16, "relu"), *end, layers.Dense(1, "sigmoid")]
    )


def _reader(**options):
    return keras.Sequential(
        [
            keras.Input((14,)),
            layers.Embedding(50, 8, **options),
            layers.GRU(8),
            layers.Dense(1, "sigmoid"),
        ]
    )


def test_filling_that_makes_a_recurrent_net_forget_is_found():
    assert _kinds(_reader(), WORDS, LABELS) == ["input padding"]
    assert _kinds(_reader(mask_zero=True), WORDS, LABELS) == []


@pytest.mark.slow
def test_filling_in_front_is_no_fault():
    assert _kinds(_reader(), np.roll(WORDS, -3, 1), LABELS) == []


def _attending(shown):
    tokens = keras.Input((14,), dtype="int32")
    h = layers.Embedding(50, 8)(tokens)
    h = layers.MultiHeadAttention(2, 4, name="attend")(h, h, attention_mask=shown(tokens))
    h = layers.GlobalAveragePooling1D()(h)
    return keras.Model(tokens, layers.Dense(1, "sigmoid")(h))


@pytest.mark.parametrize(
    ("shown", "kinds"),
    [
        (lambda t: ops.equal(t, 0)[:, None, :], ["input padding"]),
        (lambda t: ops.not_equal(t, 0)[:, None, :], []),
    ],
)
def test_a_mask_that_hides_what_is_real_is_found(shown, kinds):
    model = _attending(shown)
    assert _kinds(model, WORDS, LABELS, trials=False) == kinds


def test_a_scaling_layer_is_judged_by_what_comes_out_of_it():
    x = (X * [1e4, 10, 300, 0.5, 900, 1] + 2e4).astype("float32")
    untold, told = layers.Normalization(name="scale"), layers.Normalization()
    untold.build((None, 6))
    untold.finalize_state()
    told.adapt(x)
    model = _net(untold)
    model.compile("adam", BCE)
    (found,) = examine(model, x, Y).findings
    assert (found.kind, found.where) == ("input scale", ("input", "scale"))
    exec(found.remedy, {"model": model, "x": x})
    assert examine(model, x, Y).findings == ()
    assert _kinds(_net(told), x, Y) == []
    pixels = np.abs(X / np.abs(X).max())
    assert _kinds(_net(layers.Rescaling(1 / 255)), pixels, Y) == ["input scale"]
    assert _kinds(_net(layers.Rescaling(1 / 255)), 255 * pixels, Y) == []


def test_an_offset_of_hundreds_of_deviations_is_found():
    assert _kinds(_net(), 3 + 0.005 * X, Y) == ["input scale"]
    assert _kinds(_net(), 3 + X, Y) == []


@pytest.mark.parametrize(("momentum", "kinds"), [(0.99999, ["moving statistics"]), (0.99, [])])
def test_moving_statistics_that_do_not_follow_are_found(momentum, kinds):
    model = _net(layers.Dense(16), layers.BatchNormalization(momentum=momentum))
    model.layers[0].kernel.assign(5 * model.layers[0].kernel)
    assert _kinds(model, X, Y, trials=False) == kinds


@pytest.mark.parametrize(("strength", "kinds"), [(10.0, ["regularization"]), (1e-5, [])])
def test_a_penalty_on_activity_that_outweighs_the_loss_is_found(strength, kinds):
    code = layers.Dense(8, "relu", activity_regularizer=keras.regularizers.L1(strength))
    assert _kinds(_net(code), X, Y) == kinds


def test_steps_are_tried_with_the_weights_of_the_samples():
    y = (X[:, 0] > 0).astype("float32")
    for weight, kinds in ((1e-9, ["loss"]), (0.5, [])):
        given = np.full(128, weight, "float32")
        assert _kinds(_net(), X, y, keras.optimizers.Adam(0.02), sample_weight=given) == kinds


def test_bytes_that_were_divided_as_whole_numbers_are_found():
    stored = (255 * np.clip(RNG.normal(0.4, 0.16, (64, 8, 8, 1)), 0, 1)).astype("uint8")
    assert data.blank(stored // 255) is not None
    assert data.blank(stored / 255) is None
    drawings = (RNG.random((64, 8, 8, 1)) < 0.05).astype("uint8")
    assert data.blank(drawings) is None


def test_kernels_are_weighed_without_the_weights_of_samples():
    rare = (X[:, 0] > 1.9).astype("float32")
    share = float(rare.mean())
    prior = keras.initializers.Constant(np.log(share / (1 - share)))
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(16, "relu"),
            layers.Dense(1, "sigmoid", bias_initializer=prior),
        ]
    )
    model.compile("adam", BCE)
    balanced = {0: 0.5 / (1 - share), 1: 0.5 / share}
    assert keras_inits.diagnose(model, X, rare, class_weight=balanced).ok


@pytest.mark.parametrize(("start", "end", "kept"), [(7.2, 0.78, 1), (0.7, 0.60, 0), (7.2, 0.60, 0)])
def test_what_bad_weights_lose_at_the_start_is_no_measure_of_what_others_gain(start, end, kept):
    # From kernels drawn anew a loss of 0.7 falls to 0.55.
    def trial(first, last):
        return steps.Trial(0.05, (first,) * 20, first, last, (), (), 1.0)

    finding = Finding("saturated", ("dense",), "97% of its values are near a bound", "", "")
    trials = weighing.Trials(
        trial(start, end), lambda: trial(0.7, 0.55), lambda: None, lambda lengths: None
    )
    findings, notes = weighing.weighed([finding], trials)
    assert (len(findings), len(notes)) == (kept, 1 - kept)


def _unit(axis):
    return lambda h: h / ops.sqrt(ops.sum(ops.square(h), axis, keepdims=True) + 1e-9)


def _drawn(h):
    return h + keras.random.normal(ops.shape(h))


@pytest.mark.parametrize(
    ("inner", "where"),
    [
        (layers.Lambda(_unit(None), name="unit"), ("unit",)),
        (layers.Lambda(_unit(0), name="unit"), ("unit",)),
        (layers.Softmax(axis=0, name="shares"), ("shares",)),
        (layers.Lambda(_unit(-1)), None),
        (layers.BatchNormalization(), None),
        (layers.LayerNormalization(), None),
        (layers.Dropout(0.5), None),
        (layers.Lambda(_drawn), None),
    ],
)
def test_outputs_that_depend_on_the_rest_of_the_batch_are_found(inner, where):
    model = _net(layers.Dense(16), inner)
    model.compile("adam", BCE)
    found = [f for f in examine(model, X, Y, trials=False).findings if f.kind == "normalization"]
    assert [f.where for f in found] == ([where] if where else [])


@pytest.mark.parametrize("add", [lambda a, b: a + b, ops.add], ids=["sum", "operation"])
@pytest.mark.parametrize(("axis", "found"), [(None, True), (-1, False)])
def test_samples_that_mix_in_operations_are_found(add, axis, found):
    given = keras.Input((6,))
    h = _unit(axis)(add(layers.Dense(16)(given), layers.Dense(16)(given)))
    model = keras.Model(given, layers.Dense(1, "sigmoid", name="last")(h))
    kinds = _kinds(model, X, Y, trials=False)
    assert ("normalization" in kinds) == found
