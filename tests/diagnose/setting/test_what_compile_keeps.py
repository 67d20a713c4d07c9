"""A remedy that compiles again keeps all that it is not about."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_inits
from keras_inits._diagnose.setting.compiling import with_other_arguments
from keras_inits._diagnose.setting.run import examine
from keras_inits._reporting import Finding

RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 8)).astype("float32")
KINDS = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)
ROWS = np.eye(3, dtype="float32")[KINDS]


def own_metric(truth, made):
    return keras.ops.mean(keras.ops.abs(truth - made))


def net(*units_and_ends):
    given = keras.Input((8,))
    h = layers.Dense(16, "relu")(given)
    made = [layers.Dense(k, end, name=f"o{i}")(h) for i, (k, end) in enumerate(units_and_ends)]
    return keras.Model(given, made[0] if len(made) == 1 else made)


def mended(model, y):
    """Returns the namespace after the remedy of the first finding has run."""
    first = examine(model, X, y, trials=False).findings[0]
    names = {"keras": keras, "np": np, "model": model, "x": X, "y": y, "own_metric": own_metric}
    exec(first.remedy.split("; or ")[0], names)
    after = examine(names["model"], X, names["y"], trials=False)
    assert first.kind not in [finding.kind for finding in after.findings]
    return names


L = keras.losses
LOSSES = {
    "smoothing is kept by rows": (
        L.CategoricalCrossentropy(label_smoothing=0.2),
        (3, "softmax"),
        KINDS,
        {"label_smoothing": 0.2},
    ),
    "focal is kept by rows": (
        L.CategoricalFocalCrossentropy(alpha=0.7, gamma=3.0),
        (3, "softmax"),
        KINDS,
        {"alpha": 0.7, "gamma": 3.0},
    ),
    "logits stay logits": (
        L.CategoricalCrossentropy(from_logits=True, reduction="sum"),
        (3, None),
        KINDS,
        {"from_logits": True, "reduction": "sum"},
    ),
    "focal is kept by the other family": (
        L.BinaryFocalCrossentropy(gamma=3.0, label_smoothing=0.1),
        (3, "sigmoid"),
        ROWS,
        {"gamma": 3.0, "label_smoothing": 0.1, "from_logits": False},
    ),
}


@pytest.mark.parametrize("case", LOSSES)
def test_a_new_loss_is_told_what_the_old_one_was(case):
    loss, end, y, told = LOSSES[case]
    model = net(end)
    model.compile("adam", loss)
    config = mended(model, y)["model"].loss.get_config()
    assert {key: config[key] for key in told} == told
    if "focal" in case:
        assert "Focal" in type(model.loss).__name__


@pytest.mark.parametrize("nest", ["dict", "list", "one"])
def test_the_other_outputs_keep_their_losses_and_weights(nest):
    ends = [(1, None), (3, "softmax")] if nest != "one" else [(3, "softmax"), (3, "softmax")]
    model = net(*ends)
    cce = "categorical_crossentropy"
    loss = {"dict": {"o1": cce, "o0": "mae"}, "list": ["mae", cce], "one": cce}[nest]
    weights = {"dict": {"o1": 3.0, "o0": 1.0}, "list": [1.0, 3.0], "one": [1.0, 3.0]}[nest]
    first = X[:, :1] if nest != "one" else ROWS
    y = {"o0": first, "o1": KINDS} if nest == "dict" else [first, KINDS]
    model.compile("adam", loss, loss_weights=weights, metrics=[["mae"], ["accuracy"]])
    model = mended(model, y)["model"]
    sparse = "sparse_categorical_crossentropy"
    assert keras.tree.flatten(model.loss) == [cce if nest == "one" else "mae", sparse]
    config = model.get_compile_config()
    assert config["loss_weights"] == weights
    assert config["metrics"] == [["mae"], ["accuracy"]]


def test_what_else_compile_was_given_is_repeated():
    model = net((3, "softmax"))
    metric = keras.metrics.TopKCategoricalAccuracy(k=2, name="two")
    given = {"weighted_metrics": [own_metric], "steps_per_execution": 4, "run_eagerly": True}
    model.compile("adam", "binary_crossentropy", metrics=[metric], **given)
    before = model.get_compile_config()
    after = mended(model, ROWS)["model"].get_compile_config()
    changed = {key for key in before if before[key] != after[key]}
    assert changed == {"loss"}


def test_what_has_no_name_is_said_and_the_rest_is_kept():
    model = net((3, "softmax"))
    model.compile(loss="mse", loss_weights=[0.5], metrics=[lambda truth, made: 0.0])
    given = Finding("loss", ("loss",), "", "", 'model.compile(model.optimizer, loss="mae"); x')
    remedy = with_other_arguments(given, model).remedy
    assert "loss_weights=[0.5]); x" in remedy
    assert remedy.endswith("as before")


def test_the_whole_report_has_the_remedies_that_keep():
    model = net((3, "softmax"))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"], loss_weights=[2.0])
    first = keras_inits.diagnose(model, X, ROWS, jacobian_samples=0).findings[0]
    assert 'loss_weights=[2.0], metrics=["accuracy"])' in first.remedy
