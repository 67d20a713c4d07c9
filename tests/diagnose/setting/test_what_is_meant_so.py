"""What looks like a fault and is meant so, and remedies in models that hold others."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_inits._diagnose.setting import by_steps, order
from keras_inits._diagnose.setting.case import Case
from keras_inits._diagnose.setting.end import asked, direction, output, own_loss
from keras_inits._diagnose.setting.entrance import data, scales
from keras_inits._diagnose.setting.plain import End, loss_kind, targets_of
from keras_inits._diagnose.setting.run import examine
from keras_inits._diagnose.setting.target import sample_weights
from keras_inits._diagnose.setting.target.guess import guess
from keras_inits._diagnose.setting.trials.steps import Trial
from keras_inits._reporting import Finding

RNG = np.random.default_rng(8)
X = RNG.normal(size=(64, 6)).astype("float32")
Y = (X[:, 0] > 0).astype("float32")[:, None]
BCE = "binary_crossentropy"
KINDS = np.eye(4, dtype="float32")[np.arange(32) % 4]
PAIRS = (np.arange(32) % 2).astype("float32")[:, None]


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(0)


def _found(y, activation, loss, inputs=1):
    end = End(activation, y.shape, "last", reference='model.get_layer("last")')
    return own_loss.check(asked.Asked(y, targets_of(y), end, asked.Loss(loss), inputs))


def _complementary(y, p):
    return -ops.mean(ops.log(1 - ops.sum(y * p, -1) + 1e-7))


def _likelihood(y, p):
    return ops.mean(ops.log(ops.sum(y * p, -1) + 1e-7))


def _contrastive(same, distance):
    return ops.mean(same * distance**2 + (1 - same) * ops.maximum(1 - distance, 0) ** 2)


@pytest.mark.parametrize(
    ("y", "activation", "loss", "wrong"),
    [
        (KINDS, "softmax", _complementary, False),
        (KINDS, "softmax", lambda y, p: ops.mean(ops.sum(y * p, -1)), False),
        (KINDS, "softmax", _likelihood, True),
        (PAIRS, "sigmoid", _contrastive, False),
        (PAIRS, "sigmoid", lambda y, p: ops.mean(y * p), False),
        (PAIRS, "sigmoid", lambda y, p: -ops.mean((y - p) ** 2), True),
        (PAIRS, "sigmoid", lambda y, p: -keras.losses.binary_crossentropy(y, p), True),
    ],
)
def test_a_loss_that_falls_from_right_to_wrong_may_be_meant_so(y, activation, loss, wrong):
    assert bool(_found(y, activation, loss)) == wrong


def test_a_loss_that_is_linear_in_the_outputs_has_no_wrong_sign():
    for seed in range(50):
        y = np.random.default_rng(seed).standard_normal((16, 1)).astype("float32")
        end = End("tanh", y.shape, "last")

        def linear(truth, made):
            return float((truth * made).mean())

        def turned(truth, made):
            return -float(((truth - made) ** 2).mean())

        assert direction.turned_round(asked.Asked(y, targets_of(y), end, linear, 1)) is None
        assert direction.turned_round(asked.Asked(y, targets_of(y), end, turned, 1)) is not None


class _Counting(keras.losses.Loss):
    def __init__(self):
        super().__init__()
        self.n = keras.Variable(0.0)
        self.draws = keras.random.SeedGenerator(1)

    def call(self, y, p):
        self.n.assign(self.n + 1)
        noise = keras.random.normal(ops.shape(p), seed=self.draws)
        return ops.mean((y - p + 0.001 * noise) ** 2)


def test_a_loss_that_counts_its_calls_is_left_as_it_was():
    loss = _Counting()
    before = [ops.convert_to_numpy(v) for v in (loss.n, loss.draws.state)]
    assert _found(X[:, :1], "linear", loss) == []
    for old, new in zip(before, (loss.n, loss.draws.state), strict=True):
        np.testing.assert_array_equal(old, ops.convert_to_numpy(new))


@pytest.mark.parametrize("nest", [lambda w: w, lambda w: [w], lambda w: {"a": w}, "second"])
def test_weights_in_any_nest_are_tried_with_mean_1(nest):
    weights = np.full(64, 1e-9, "float32")
    given = keras.Input((6,))
    if nest == "second":
        two = [layers.Dense(1, "sigmoid")(given) for _ in range(2)]
        model = keras.Model(given, two)
        loss, y, weights = [None, BCE], [Y, Y], [None, weights]
    else:
        model = keras.Model(given, layers.Dense(1, "sigmoid")(given))
        loss, y, weights = BCE, Y, nest(weights)
    model.compile("adam", loss)
    case = Case.of(model, X, y, loss, own=True, sample_weight=weights)
    scaled = []

    def attempt(rate, sample_weight):
        scaled.extend(keras.tree.flatten(sample_weight))
        return Trial(rate, (1.0,), 1.0, 0.1, (), (), 1.0)

    own = Trial(0.001, (1e-9,), 1e-9, 1e-9, (), (), 1.0)
    assert len(sample_weights.size(SimpleNamespace(case=case, own=own, attempt=attempt))) == 1
    (last,) = [w for w in scaled if w is not None]
    np.testing.assert_allclose(ops.convert_to_numpy(last), 1.0, rtol=1e-3)


def test_the_reason_why_no_steps_were_tried_is_one_short_line(monkeypatch):
    def broken(*args):
        raise ValueError("no " * 200 + "\nand more")

    monkeypatch.setattr(by_steps, "judged", broken)
    model = keras.Sequential([keras.Input((6,)), layers.Dense(1, "sigmoid")])
    model.compile("adam", BCE)
    (note,) = examine(model, X, Y).notes
    assert note.startswith("no steps were tried: ValueError: no no")
    assert "\n" not in note
    assert len(note) < 250


def test_the_guess_under_absolute_errors_is_the_weighted_median():
    y, weights = RNG.normal(size=(40, 2)), RNG.exponential(size=40)
    grid = np.linspace(-3, 3, 3001)
    costs = [np.abs(grid[:, None] - y[:, i]) @ weights / weights.sum() for i in (0, 1)]
    least = np.mean([cost.min() for cost in costs]) * weights.mean()
    assert guess(targets_of(y), loss_kind("mae"), weights) == pytest.approx(least, rel=1e-3)


def test_negative_weights_that_vary_may_be_returns():
    returns = -np.arange(1.0, 65)
    assert sample_weights.check(returns, targets_of(Y)) == []
    assert len(sample_weights.check(-np.ones(64), targets_of(Y))) == 1


def test_rolls_of_notes_with_silence_are_no_bytes():
    rolls = (RNG.random((64, 16, 8, 1)) < 0.06).astype("float32")
    rolls[::2] = 0
    assert data.blank(rolls) is None
    bare = (RNG.random((64, 16, 8, 1)) < 0.005).astype("float32")
    bare[::2] = 0
    assert data.blank(bare) is not None
    assert scales.is_target(bare, bare)
    assert not scales.is_target(bare, Y)


WORDS = RNG.integers(2, 50, (32, 12))
WORDS[:, 7:] = 0


def _attending(shown, more=True):
    tokens, padding = keras.Input((12,), dtype="int32"), keras.Input((12,))
    h = layers.Embedding(50, 4)(tokens)
    h = layers.MultiHeadAttention(1, 4, name="attend")(h, h, attention_mask=shown(tokens, padding))
    h = layers.GlobalAveragePooling1D()(h)
    model = keras.Model([tokens, padding], layers.Dense(1, "sigmoid")(h))
    model.compile("adam", BCE)
    given = [WORDS, (WORDS == 0).astype("float32")]
    return examine(model, given, Y[:32], trials=False).findings


def test_an_input_that_says_what_is_filling_is_not_taken_for_what_is_real():
    assert _attending(lambda t, p: ops.equal(p, 0)[:, None]) == ()
    (wrong,) = _attending(lambda t, p: ops.equal(p, 1)[:, None])
    assert "0% of the real steps" in wrong.evidence
    (none,) = _attending(lambda t, p: ops.equal(p, 2)[:, None])
    assert "averages over all steps" in none.consequence


def _nested(*inner):
    inside = keras.Sequential([keras.Input((6,)), *inner], name="inside")
    model = keras.Sequential([keras.Input((6,)), inside, layers.Dense(1, "sigmoid")])
    model.compile("adam", BCE)
    return model


@pytest.mark.parametrize(
    ("inner", "x", "kind"),
    [
        (lambda: [layers.Dense(8), layers.BatchNormalization(momentum=0.99999)], 5 * X,
         "moving statistics"),
        (lambda: [layers.Dense(16), layers.Dropout(0.95)], X, "dropout"),
        (lambda: [layers.Dense(8, "relu", activity_regularizer=keras.regularizers.L1(9.0))], X,
         "regularization"),
        (lambda: [layers.Rescaling(2.0), layers.Normalization(), layers.Dense(4)], 1e4 + 1e3 * X,
         "input scale"),
    ],
)  # fmt: skip
def test_remedies_reach_layers_inside_of_other_models(inner, x, kind):
    model = _nested(*inner())
    tried = kind == "regularization"  # the others are found without steps
    for layer in model.layers[0].layers:
        if isinstance(layer, layers.Normalization):
            layer.finalize_state()
    (found,) = [f for f in examine(model, x, Y, trials=tried).findings if f.kind == kind]
    exec(found.remedy, {"model": model, "x": x, "keras": keras})
    assert kind not in [f.kind for f in examine(model, x, Y, trials=tried).findings]


def test_a_normalization_is_told_to_adapt_to_what_it_is_given():
    far = 1e4 + 1e3 * X
    fixed = layers.Normalization(mean=0.0, variance=1.0, name="fixed")
    (found,) = examine(_nested(fixed, layers.Dense(4)), far, Y, trials=False).findings
    assert found.remedy.startswith("Leave out mean= and variance= of fixed")
    one, two = keras.Input((6,)), keras.Input((6,))
    untold = layers.Normalization(name="untold")
    h = layers.Concatenate()([layers.Dense(4)(one), layers.Dense(4)(untold(two))])
    model = keras.Model([one, two], layers.Dense(1, "sigmoid")(h))
    untold.finalize_state()
    model.compile("adam", BCE)
    (found,) = examine(model, [X, far], Y, trials=False).findings
    exec(found.remedy, {"model": model, "x": [X, far]})
    assert examine(model, [X, far], Y, trials=False).findings == ()


def test_dropout_has_no_part_in_what_moving_statistics_miss():
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.BatchNormalization(momentum=0.9999),
            layers.Dense(16, "relu"),
            layers.Dropout(0.5),
            layers.Dense(1, "sigmoid"),
        ]
    )
    model.compile("adam", BCE)
    x = (X - X.mean(0)) / X.std(0)
    assert examine(model, x, Y, trials=False).findings == ()
    kinds = [f.kind for f in examine(model, 5 + x, Y, trials=False).findings]
    assert kinds == ["moving statistics"]


def test_label_smoothing_keeps_the_other_arguments_of_the_loss():
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=1.0, axis=1)
    (found,) = output.check(targets_of(KINDS), End("linear", KINDS.shape, "last"), loss_kind(loss))
    assert "(from_logits=True, axis=1, label_smoothing=0.1)" in found.remedy


def test_a_layer_named_output_is_not_taken_for_the_end():
    dropout = Finding("dropout", ("output",), "", "", "")
    broken = Finding("not finite", ("first",), "", "", "")
    labels = Finding("labels", ("targets",), "", "", "")
    ordered = order.with_signal(order.Setting((labels, dropout)), (broken,))
    assert [f.kind for f in ordered] == ["labels", "not finite", "dropout"]


def test_one_target_for_all_is_meant_so_where_pairs_are_compared_or_a_judge_is_frozen():
    ones = np.ones(64, "float32")

    def labels(model, x, loss=BCE, y=ones):
        model.compile("adam", loss)
        return [f.kind for f in examine(model, x, y, trials=False).findings]

    tower = keras.Sequential([keras.Input((6,)), layers.Dense(4, "relu"), layers.Dense(1)])
    a, b = keras.Input((6,)), keras.Input((6,))
    assert labels(keras.Model([a, b], ops.sigmoid(tower(a) - tower(b))), [X, X[::-1].copy()]) == []
    judge = keras.Sequential([keras.Input((6,)), layers.Dense(1, "sigmoid")])
    judge.trainable = False
    maker = keras.Sequential([keras.Input((6,)), layers.Dense(6)])
    assert labels(keras.Sequential([keras.Input((6,)), maker, judge]), X) == []
    judge.trainable = True
    assert labels(keras.Sequential([keras.Input((6,)), maker, judge]), X) == ["labels"]
    towers = keras.Sequential([keras.Input((6,)), layers.Dense(4)])

    def contrast(y, made):
        return ops.mean(made**2) + 0 * ops.mean(y)

    assert labels(towers, X, contrast, np.zeros((64, 1), "float32")) == []


@pytest.mark.parametrize(("rest", "kinds"), [(0.0, []), (0.5, ["labels", "labels"])])
def test_the_condition_at_the_edge_of_an_equation_is_one_number(rest, kinds):
    time = keras.Input((1,))
    inner = [layers.Dense(16, "tanh"), layers.Dense(1)]

    def u(t):
        return inner[1](inner[0](t))

    slope = (u(time + 0.01) - u(time - 0.01)) / 0.02
    model = keras.Model(time, [slope + u(time), u(0 * time)])
    model.compile("adam", "mse")
    x = np.random.default_rng(0).random((64, 1)).astype("float32")
    found = examine(model, x, [np.full((64, 1), rest), np.ones((64, 1))], trials=False)
    assert [f.kind for f in found.findings] == kinds
