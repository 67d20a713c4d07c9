"""Remedies of the setting are code: run, they make the finding go away and the training better."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_inits
from keras_inits._diagnose.setting.run import examine

RNG = np.random.default_rng(0)
X = RNG.normal(size=(128, 8)).astype("float32")
CURVED = np.tanh(2 * X[:, 0] * X[:, 1]) + np.abs(X[:, 2])
CURVED = ((CURVED - CURVED.mean()) / CURVED.std()).astype("float32")
YES = (X[:, 0] + X[:, 1] > 0).astype("float32")
KINDS = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)
SEVERAL = (X[:, :3] > 0).astype("float32")
BCE, CCE = "binary_crossentropy", "categorical_crossentropy"
SPARSE = "sparse_categorical_crossentropy"


def net(units, end=None, hidden="relu", inner=(), **options):
    return keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(32, hidden, name="first", **options),
            *inner,
            layers.Dense(units, end, name="last", **options),
        ]
    )


# Kind of finding: the net, the targets, the loss and the optimizer.
SETTINGS = {
    "output activation, one softmax": (lambda: net(1, "softmax"), YES, BCE, "adam"),
    "output activation, no probabilities": (lambda: net(1, "tanh"), YES, BCE, "adam"),
    "output activation, regression": (lambda: net(1, "sigmoid"), CURVED, "mse", "adam"),
    "output activation, several labels": (lambda: net(3, "softmax"), SEVERAL, BCE, "adam"),
    "output activation, no shares": (lambda: net(3, "sigmoid"), np.eye(3)[KINDS], CCE, "adam"),
    "output units": (lambda: net(1, "sigmoid"), KINDS, SPARSE, "adam"),
    "labels, numbers": (lambda: net(3, "softmax"), KINDS, CCE, "adam"),
    "labels, one-hot": (lambda: net(3, "softmax"), np.eye(3)[KINDS], SPARSE, "adam"),
    "labels, for one sigmoid": (lambda: net(1, "sigmoid"), KINDS, BCE, "adam"),
    "labels, from one": (lambda: net(3, "softmax"), KINDS + 1, SPARSE, "adam"),
    "labels, signs": (lambda: net(1, "sigmoid"), 2 * YES - 1, BCE, "adam"),
    "loss, of questions": (lambda: net(3, "softmax"), np.eye(3)[KINDS], BCE, "adam"),
    "loss, of shares": (lambda: net(1, "sigmoid"), YES, "kl_divergence", "adam"),
    "loss, of directions": (lambda: net(1), CURVED, "cosine_similarity", "adam"),
    "missing activation": (lambda: net(1, None, None), CURVED, "mse", "adam"),
    "hidden activation": (
        lambda: net(3, "softmax", inner=[layers.Dense(8, "softmax", name="middle")]),
        KINDS,
        SPARSE,
        "adam",
    ),
    "dropout": (
        lambda: net(3, "softmax", inner=[layers.Dropout(0.95, name="drop")]),
        KINDS,
        SPARSE,
        "adam",
    ),
    "regularization": (
        lambda: net(1),
        CURVED,
        "mse",
        keras.optimizers.AdamW(0.001, weight_decay=50.0),
    ),
    "learning rate too high": (lambda: net(1), CURVED, "mse", keras.optimizers.SGD(5.0)),
    "learning rate too low": (
        lambda: net(3, "softmax"),
        KINDS,
        SPARSE,
        keras.optimizers.Adam(1e-8),
    ),
}


# The default run mends these in test_examine.py, by the rates that are told, and by other layers.
ELSEWHERE = {"learning rate too high", "learning rate too low", "hidden activation"}


def _quality(model, y):
    """Returns the share of right classes, or of explained variance, after some training."""
    # Faster than many of the rates: the remedies are about other things.
    model.optimizer.learning_rate = max(0.01, float(model.optimizer.learning_rate))
    model.fit(X, y, epochs=15, verbose=0)
    made = model.predict(X, verbose=0)
    if np.ndim(y) > 1 and made.shape[-1] == y.shape[-1] > 1 and (y.sum(1) == 1).all():
        return float((made.argmax(1) == y.argmax(1)).mean())
    if made.shape[-1] > 1 and np.ndim(y) == 1:
        return float((made.argmax(1) == y).mean())
    if set(np.unique(y)) <= {0, 1}:
        return float(((made > 0.5) == y.reshape(made.shape)).mean())
    return float(1 - ((made[:, 0] - y) ** 2).sum() / ((y - y.mean()) ** 2).sum())


# Keras itself warns of some: of one unit under softmax, of shapes under cross-entropy.
@pytest.mark.filterwarnings("ignore:You are using a softmax", "ignore:In loss")
@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, marks=pytest.mark.slow) if case in ELSEWHERE or "," in case else case
        for case in SETTINGS
    ],
)
def test_the_remedy_runs_and_helps(case):
    keras.utils.set_random_seed(0)
    build, y, loss, optimizer = SETTINGS[case]
    model = build()
    optimizer = keras.optimizers.get(optimizer)
    model.compile(type(optimizer).from_config(optimizer.get_config()), loss)
    first = examine(model, X, y).findings[0]
    assert first.kind == case.split(",")[0]
    code = first.remedy.split(": ", 1)[1] if first.remedy.startswith("End in") else first.remedy
    names = {"keras": keras, "np": np, "model": model, "x": X, "y": y}
    exec(code.split("; or ")[0].split(", or ")[0], names)
    after = examine(names["model"], X, names["y"])
    assert first.kind not in [finding.kind for finding in after.findings]
    names["model"].optimizer.learning_rate = max(
        0.01, float(names["model"].optimizer.learning_rate)
    )
    assert _quality(names["model"], names["y"]) > 0.6


def _cut(operation):
    given = keras.Input((8,))
    h = layers.Dense(8, name="before")(given)
    return keras.Model(given, layers.Dense(1, name="after")(operation(h)))


CUTS = {
    "round": (ops.round, lambda x: x + ops.stop_gradient(ops.round(x) - x)),
    "sign": (ops.sign, lambda x: x + ops.stop_gradient(ops.sign(x) - x)),
    "argmax": (lambda x: ops.one_hot(ops.argmax(x, -1), 8), lambda x: ops.softmax(x / 0.5)),
    "x > a": (
        lambda x: ops.cast(x > 0.1, "float32"),
        lambda x: ops.sigmoid((x - 0.1) / 0.1),
    ),
    "stop_gradient": (ops.stop_gradient, lambda x: x),
}


@pytest.mark.parametrize("name", CUTS)
def test_a_cut_gradient_has_a_remedy_that_hands_it_back(name):
    operation, instead = CUTS[name]
    broken = keras_inits.diagnose(_cut(operation), X, jacobian_samples=0)
    (found,) = [f for f in broken.findings if f.kind == "no gradient"]
    assert name in found.remedy
    mended = keras_inits.diagnose(_cut(instead), X, jacobian_samples=0)
    assert not [f for f in mended.findings if f.kind == "no gradient"]
