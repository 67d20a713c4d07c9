"""A net whose last kernel is silent has exactly the loss that the report says."""

import keras
import numpy as np
import pytest
from keras import layers
from versions import of_tensorflow

import keras_inits

RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 6)).astype("float32")
LABELS = RNG.choice(4, 400, p=[0.7, 0.2, 0.08, 0.02])
RATES = (RNG.random((400, 3)) < [0.9, 0.3, 0.02]).astype("float32")
VALUES = RNG.normal([5.0, -2.0], [1.0, 3.0], (400, 2)).astype("float32")


def net(units, activation=None, kernel="zeros", **arguments):
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(8, "relu"),
            layers.Dense(units, activation, kernel_initializer=kernel, **arguments),
        ]
    )


def one_hot(labels):
    return np.eye(4, dtype="float32")[labels]


CASES = {
    "sparse": (4, "softmax", "sparse_categorical_crossentropy", LABELS),
    "logits": (4, None, keras.losses.SparseCategoricalCrossentropy(from_logits=True), LABELS),
    "one-hot": (4, "softmax", "categorical_crossentropy", one_hot(LABELS)),
    "smoothed": (
        4,
        "softmax",
        keras.losses.CategoricalCrossentropy(label_smoothing=0.2),
        one_hot(LABELS),
    ),
    "binary": (3, "sigmoid", "binary_crossentropy", RATES),
    "binary smoothed": (
        3,
        None,
        keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.1),
        RATES,
    ),
    "one unit": (1, "sigmoid", "binary_crossentropy", RATES[:, 1]),
    "squares": (2, None, "mse", VALUES),
    "absolute": (2, None, keras.losses.MeanAbsoluteError(), VALUES),
    "positive": (2, "softplus", "mse", np.abs(VALUES)),
    "exponential": (2, "exponential", "mse", np.abs(VALUES)),
}


@pytest.mark.parametrize("case", CASES)
def test_the_first_loss_is_that_of_the_base_rate_and_the_least_of_all_constants(case):
    units, activation, loss, y = CASES[case]
    model = net(units, activation)
    model.compile(loss=loss, run_eagerly=True)
    report = keras_inits.fit_output_bias(model, y)
    measured = model.evaluate(X, y, verbose=0, batch_size=400)
    assert report.rows[0].loss == pytest.approx(measured, rel=1e-4)
    bias = model.layers[-1].bias
    fitted = keras.ops.convert_to_numpy(bias)
    np.testing.assert_allclose(report.rows[0].bias, fitted, rtol=1e-5)
    for unit in range(units):
        for step in (-0.1, 0.1):
            moved = np.array(fitted)
            moved[unit] += step
            bias.assign(moved)
            assert model.evaluate(X, y, verbose=0, batch_size=400) > measured


@pytest.mark.parametrize("case", ["sparse", "one-hot", "binary", "squares"])
def test_without_a_loss_the_activation_says_what_the_targets_are(case):
    units, activation, loss, y = CASES[case]
    compiled, bare = net(units, activation), net(units, activation)
    compiled.compile(loss=loss)
    first = keras_inits.fit_output_bias(compiled, y).rows[0]
    second = keras_inits.fit_output_bias(bare, y).rows[0]
    assert first.bias == second.bias
    assert first.rule == second.rule


def test_a_random_kernel_starts_nearer_to_the_base_rate_than_before():
    model = net(4, "softmax", kernel="glorot_uniform")
    model.compile(loss="sparse_categorical_crossentropy", run_eagerly=True)
    before = model.evaluate(X, LABELS, verbose=0)
    loss = keras_inits.fit_output_bias(model, LABELS).rows[0].loss
    after = model.evaluate(X, LABELS, verbose=0)
    assert abs(after - loss) < 0.5 * abs(before - loss)


def test_a_class_without_an_example_has_a_finite_bias_and_is_noted():
    model = net(6, "softmax")
    row = keras_inits.fit_output_bias(model, LABELS).rows[0]
    assert np.all(np.isfinite(row.bias))
    assert "2 classes without an example" in row.note


def test_a_convolution_over_pixels_and_an_activation_layer():
    model = keras.Sequential(
        [
            keras.Input((4, 4, 2)),
            layers.Conv2D(3, 1, kernel_initializer="zeros"),
            layers.Activation("softmax"),
        ]
    )
    model.compile(loss="sparse_categorical_crossentropy", run_eagerly=True)
    y = RNG.choice(3, (20, 4, 4), p=[0.5, 0.4, 0.1])
    report = keras_inits.fit_output_bias(model, y)
    shares = np.bincount(y.reshape(-1)) / y.size
    np.testing.assert_allclose(np.exp(report.rows[0].bias), shares, rtol=1e-6)


def test_several_outputs_by_name_and_batches_of_a_dataset():
    import tensorflow as tf

    inputs = keras.Input((6,))
    a = layers.Dense(4, "softmax", name="a")(inputs)
    b = layers.Dense(2, name="b")(inputs)
    model = keras.Model(inputs, {"a": a, "b": b})
    model.compile(loss={"a": "sparse_categorical_crossentropy", "b": "mse"})
    y = {"a": LABELS, "b": VALUES}
    report = keras_inits.fit_output_bias(model, y)
    assert {row.path: row.rule for row in report.rows} == {
        "a/bias": "log p",
        "b/bias": "mean of y",
    }
    data = tf.data.Dataset.from_tensor_slices((X, y)).batch(64)
    again = keras_inits.fit_output_bias(model, data)
    np.testing.assert_allclose(again.rows[1].bias, report.rows[1].bias, rtol=1e-5)


def compiled(model, loss):
    model.compile(loss=loss, run_eagerly=True)
    return model


def frozen():
    model = net(4, "softmax")
    model.layers[-1].trainable = False
    return model


def normalized():
    return keras.Sequential([keras.Input((6,)), layers.Dense(3), layers.LayerNormalization()])


def scaled():
    return keras.Sequential([keras.Input((6,)), layers.Dense(3), layers.PReLU()])


@pytest.mark.parametrize(
    ("make", "y", "message"),
    [
        (lambda: net(4, "softmax", use_bias=False), LABELS, "has no bias"),
        (frozen, LABELS, "frozen"),
        (normalized, VALUES, "does not end in one layer"),
        (lambda: net(3, "softmax"), LABELS, "class numbers from 0 to 2"),
        (lambda: net(2, "sigmoid"), RATES, "each of the 2 units"),
        (lambda: net(4), LABELS, "classes or values"),
        (lambda: net(3, "sigmoid"), 2 * RATES - 1, "0 to 1"),
        (lambda: compiled(net(4), "sparse_categorical_crossentropy"), LABELS, "from_logits"),
        (lambda: compiled(net(1, "tanh"), "hinge"), LABELS, "no rule for the loss hinge"),
        (lambda: net(1, "tanh"), VALUES[:, :1], "does not give out the mean"),
        (lambda: net(2, "relu"), -np.abs(VALUES), "does not give out the mean"),
        (lambda: net(2), np.full((3, 2), np.nan), "finite"),
        (lambda: net(2), [], "at least one target"),
        (lambda: net(2), 3, "must be targets"),
        (lambda: net(2), [VALUES, VALUES], "has 1 outputs"),
        (lambda: net(2), {"c": VALUES}, "keys must be"),
        (lambda: keras.Sequential([layers.Dense(2)]), VALUES, "before it can be"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_sentence(make, y, message):
    with pytest.raises(keras_inits.InputError, match=message):
        keras_inits.fit_output_bias(make(), y)


def test_the_report_survives_json():
    report = keras_inits.fit_output_bias(net(4, "softmax"), LABELS)
    assert keras_inits.OutputBiasReport.from_dict(report.to_dict()) == report
    assert "log p" in report.summary()


# --- checked by diagnose

RARE = (np.random.default_rng(1).random((512, 1)) < 0.01).astype("float32")
FEATURES = np.random.default_rng(2).normal(size=(512, 6)).astype("float32")


def rare_net(loss="binary_crossentropy", activation="sigmoid"):
    model = keras.Sequential(
        [keras.Input((6,)), layers.Dense(8, "relu"), layers.Dense(1, activation)]
    )
    keras_inits.initialize(model, "auto", seed=1)
    model.compile("adam", loss)
    return model


def test_diagnose_compares_the_start_with_the_base_rate():
    model = rare_net()
    before = keras_inits.diagnose(model, FEATURES, RARE)
    (found,) = [f for f in before.findings if f.kind == "loss at the start"]
    assert "equally frequent" in found.evidence
    assert before.first_steps.start > 8 * before.first_steps.guess
    report = keras_inits.fit_output_bias(model, RARE)
    after = keras_inits.diagnose(model, FEATURES, RARE)
    assert after.findings == ()
    # What fit_output_bias says is what diagnose measures, but for the kernel of the head.
    assert after.first_steps.guess == pytest.approx(report.rows[0].loss, rel=0.02)
    assert after.first_steps.start == pytest.approx(report.rows[0].loss, rel=0.3)


def test_the_remedy_that_diagnose_gives_is_the_one_that_helps():
    model = rare_net()
    (found,) = keras_inits.diagnose(model, FEATURES, RARE).findings
    exec(found.remedy, {"keras_inits": keras_inits, "model": model, "y": RARE})
    assert keras_inits.diagnose(model, FEATURES, RARE).findings == ()


def test_large_outputs_are_not_blamed_on_the_base_rate():
    model = rare_net()
    kernel = model.layers[-1].kernel
    kernel.assign(100 * kernel)
    found = keras_inits.diagnose(model, FEATURES, RARE).findings
    assert not any("fit_output_bias" in each.remedy for each in found)


@pytest.mark.parametrize("shape", [(10, 7), (10, 1, 1)])
def test_labels_of_another_shape_than_the_output_are_refused(shape):
    model = net(4, "softmax")
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(keras_inits.InputError, match=r"a class number for each.*Received: y of"):
        keras_inits.fit_output_bias(model, np.zeros(shape))
    keras_inits.fit_output_bias(model, np.zeros((10, 1)))


def first_loss(model, y, *, weights=None, class_weight=None):
    """Returns the loss of `fit` in one batch, of a net whose last kernel gives out 0."""
    model.layers[-1].kernel.assign(model.layers[-1].kernel * 0)
    x = np.zeros((len(y), *model.input_shape[1:]), "float32")
    options = {"sample_weight": weights, "class_weight": class_weight}
    history = model.fit(x, y, batch_size=len(y), verbose=0, **options)
    return history.history["loss"][0]


def head(units, activation, loss, shape=(4,)):
    model = keras.Sequential([keras.Input(shape), layers.Dense(units, activation)])
    model.compile(keras.optimizers.SGD(0.0), loss, run_eagerly=True)
    return model


CLASSES = np.random.default_rng(3).choice(3, 200, p=[0.7, 0.2, 0.1])


@pytest.mark.parametrize(
    ("make", "y", "options"),
    [
        (lambda: head(3, "softmax", "sparse_categorical_crossentropy"), CLASSES,
         {"class_weight": {0: 1.0, 1: 9.0, 2: 0.5}}),
        (lambda: head(3, "softmax", "categorical_crossentropy"), np.eye(3)[CLASSES],
         {"class_weight": {0: 1.0, 1: 9.0}}),
        (lambda: head(1, "sigmoid", "binary_crossentropy"), CLASSES > 0,
         {"class_weight": {0: 1.0, 1: 9.0}}),
        (lambda: head(2, None, "mse"), np.stack([CLASSES, 3 - CLASSES], 1),
         {"sample_weight": 1.0 + CLASSES}),
        (lambda: head(1, None, "mae"), CLASSES**2 + np.linspace(0, 1, 200),
         {"sample_weight": 1.0 + CLASSES}),
        (lambda: head(3, "softmax", "sparse_categorical_crossentropy", (5, 4)),
         CLASSES.reshape(40, 5), {"sample_weight": 1.0 + CLASSES.reshape(40, 5)}),
    ],
    ids=["labels", "shares", "rates", "values", "median", "a label a step"],
)  # fmt: skip
def test_weights_of_examples_count_as_they_do_in_fit(make, y, options):
    model = make()
    (row,) = keras_inits.fit_output_bias(model, y, **options).rows
    weights, by_class = options.get("sample_weight"), options.get("class_weight")
    assert first_loss(model, y, weights=weights, class_weight=by_class) == pytest.approx(
        row.loss, rel=1e-4
    )
    plain = make()
    keras_inits.fit_output_bias(plain, y)
    assert first_loss(plain, y, weights=weights, class_weight=by_class) > row.loss * 1.001


def test_weights_come_with_batches_and_ignored_classes_do_not_count():
    model = head(3, None, keras.losses.SparseCategoricalCrossentropy(True, ignore_class=-1))
    y = np.where(np.arange(200) % 4 == 0, -1, CLASSES)
    batches = [(np.zeros((50, 4)), part, np.ones(50)) for part in np.split(y, 4)]
    (row,) = keras_inits.fit_output_bias(model, batches).rows
    assert first_loss(model, y) == pytest.approx(row.loss, rel=1e-4)


def test_batches_without_weights_count_as_1_and_lists_of_lists_are_weights():
    def rates(y, **options):
        model = head(3, "softmax", "sparse_categorical_crossentropy")
        return keras_inits.fit_output_bias(model, y, **options).rows[0].bias

    weights = np.where(np.arange(200) < 100, 1.0, 1.0 + CLASSES)
    x = np.zeros((100, 4))
    batches = [(x, CLASSES[:100]), (x, CLASSES[100:], weights[100:])]
    wanted = rates(CLASSES, sample_weight=weights)
    assert rates(batches) == pytest.approx(wanted)
    assert rates(CLASSES, sample_weight=weights[:, None].tolist()) == pytest.approx(wanted)
    assert rates(CLASSES) != pytest.approx(wanted)


def test_outputs_without_a_loss_are_left_alone_and_keys_are_those_of_the_outputs():
    inputs = keras.Input((4,))
    z, a = layers.Dense(3, "softmax", name="q")(inputs), layers.Dense(1, name="r")(inputs)
    model = keras.Model(inputs, {"z": z, "a": a})
    model.compile("sgd", {"z": "sparse_categorical_crossentropy", "a": "mse"})
    y = {"z": np.array([0, 0, 1, 2]), "a": np.array([1.0, 2.0, 3.0, 4.0])}
    rows = {row.path: row for row in keras_inits.fit_output_bias(model, y).rows}
    assert rows["r/bias"].bias == (2.5,)
    model = keras.Model(inputs, [z, a])
    model.compile("sgd", ["sparse_categorical_crossentropy", None])
    assert len(keras_inits.fit_output_bias(model, [y["z"]]).rows) == 1
    assert len(keras_inits.fit_output_bias(model, [y["z"], y["a"]]).rows) == 1


def test_a_head_that_runs_over_time_takes_a_label_a_step():
    stack = [keras.Input((5, 4)), layers.TimeDistributed(layers.Dense(3, "softmax"))]
    model = keras.Sequential(stack)
    model.compile("sgd", "sparse_categorical_crossentropy")
    (row,) = keras_inits.fit_output_bias(model, CLASSES.reshape(40, 5)).rows
    np.testing.assert_allclose(np.exp(row.bias), np.bincount(CLASSES) / 200, rtol=1e-6)
    with pytest.raises(keras_inits.InputError, match="class number"):
        keras_inits.fit_output_bias(model, CLASSES)


@pytest.mark.parametrize(
    ("y", "options", "message"),
    [
        (np.array(["a", "b"]), {}, "finite numbers"),
        (CLASSES, {"sample_weight": np.ones(3)}, "a number for each example"),
        (CLASSES, {"sample_weight": -np.ones(200)}, "at least 0"),
        (CLASSES, {"sample_weight": "nonsense"}, "must be numbers"),
        ([(np.zeros((200, 4)), CLASSES, [[1.0], [1.0, 2.0]])], {}, "must be numbers"),
        ([(np.zeros((2, 4)), CLASSES[:2])], {"sample_weight": np.ones(2)}, "for arrays"),
    ],
)
def test_weights_and_targets_that_are_none_are_refused(y, options, message):
    with pytest.raises(keras_inits.InputError, match=message):
        keras_inits.fit_output_bias(
            head(3, "softmax", "sparse_categorical_crossentropy"), y, **options
        )


@of_tensorflow("a tf.data.Dataset")
def test_data_without_an_end_is_refused():
    tensorflow = pytest.importorskip("tensorflow")
    endless = tensorflow.data.Dataset.from_tensor_slices((np.zeros((8, 4)), CLASSES[:8])).batch(4)
    endless = endless.repeat()
    with pytest.raises(keras_inits.InputError, match="must end"):
        keras_inits.fit_output_bias(head(3, "softmax", "sparse_categorical_crossentropy"), endless)
    with pytest.raises(keras_inits.InputError, match="must end"):
        keras_inits.pretrain(head(3, "softmax", "mse"), endless)


def test_the_table_shows_the_bias_before_and_after():
    model = net(2, bias_initializer="ones")
    model.compile(loss="mse")
    report = keras_inits.fit_output_bias(model, np.array([[2.0, 4.0], [2.0, 6.0]]))
    assert " 1 2 to 5 " in " ".join(str(report).split())
