"""Schemes and recipes as hyperparameters of Keras Tuner, as docs/tuning.md has it."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

import keras_inits

pytestmark = [
    # what Keras Tuner 1.4.8 imports
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

X = np.random.default_rng(0).normal(size=(64, 8)).astype("float32")
Y = (X.sum(axis=1) > 0).astype("int32")


@pytest.fixture(scope="module")
def tuner():
    return pytest.importorskip("keras_tuner")


def by_layer(hp):
    """Every kernel by one name, as the layers take it."""
    init = hp.Choice("init", keras_inits.names())
    hidden = [layers.Dense(8, "relu", kernel_initializer=init) for _ in range(2)]
    model = keras.Sequential([keras.Input((8,)), *hidden, layers.Dense(2, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def by_recipe(hp):
    """The whole net by a recipe, or by the graph, or as the layers have it."""
    x = inputs = keras.Input((8,))
    for _ in range(3):
        x = layers.add([x, layers.Dense(8)(layers.Dense(16, "relu")(x))])
    model = keras.Model(inputs, layers.Dense(2, "softmax")(x))
    keras_inits.initialize(model, hp.Choice("start", ["own", "auto", "fixup"]), seed=1)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def test_every_name_is_a_choice(tuner):
    refused = set()
    for name in keras_inits.names():
        hp = tuner.HyperParameters()
        hp.Fixed("init", name)
        try:
            model = by_layer(hp)
        except keras_inits.InputError:  # for kernels of another shape alone
            refused.add(name)
        else:
            assert type(model.layers[0].kernel_initializer) is type(keras_inits.get(name)), name
    assert len(keras_inits.names()) > 20
    assert "initkit_delta_orthogonal" in refused
    assert len(refused) < len(keras_inits.names()) / 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "name", "count"), [(by_layer, "init", 4), (by_recipe, "start", 3)]
)
def test_a_search_tries_them_and_says_which_was_best(tuner, build, name, count, tmp_path):
    search = tuner.GridSearch(
        build, objective="loss", max_trials=count, directory=tmp_path, project_name="p"
    )
    search.search(X, Y, epochs=1, verbose=0)
    tried = {trial.hyperparameters.get(name) for trial in search.oracle.trials.values()}
    assert len(tried) == count
    (best,) = search.get_best_hyperparameters()
    assert best.get(name) in tried
    (model,) = search.get_best_models()
    assert np.isfinite(model.evaluate(X, Y, verbose=0)[0])


def test_starts_differ_between_the_choices(tuner):
    ends = {}
    for name in ("own", "fixup"):
        hp = tuner.HyperParameters()
        hp.Fixed("start", name)
        ends[name] = float(np.abs(by_recipe(hp).layers[2].get_weights()[0]).max())
    assert ends["fixup"] == 0 < ends["own"]


@pytest.mark.slow
def test_the_page_runs(tuner, tmp_path, monkeypatch):
    page = (Path(__file__).parents[1] / "docs" / "tuning.md").read_text()
    monkeypatch.chdir(tmp_path)
    known = {"x": X, "y": Y}
    for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(code, known)
    assert known["search"].oracle.trials
