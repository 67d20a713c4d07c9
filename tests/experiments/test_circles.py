import contextlib
import dataclasses
import io
import json

import keras
import numpy as np
import pytest
from rich.console import Console

from keras_inits.experiments import circles
from keras_inits.experiments.circles import CirclesConfig, training
from keras_inits.experiments.page import printed, write

# Costs at iteration 14,000, train and test accuracy of a plain NumPy program from the published
# draw. The cost of random x 10 depends on the order of additions from its fifth decimal on.
PUBLISHED = {
    "zeros": (0.693147, 1e-5, 0.50, 0.50),
    "random_large": (0.382792, 1e-4, 0.83, 0.86),
    "random_small": (0.693147, 1e-5, 139 / 300, 0.48),
    "xavier": (0.108507, 1e-5, 0.99, 0.93),
    "he": (0.073579, 1e-5, 298 / 300, 0.96),
}


def quiet(*_):
    pass


def numpy_cost(weights, iterations):
    """Cost after so many iterations of gradient descent, written out."""
    x, y = training.points(1, 300)
    layers = [[np.array(w) for w in weights[i : i + 2]] for i in (0, 2, 4)]

    def forward():
        values = [x]
        for number, (kernel, bias) in enumerate(layers):
            z = values[-1] @ kernel + bias
            values.append(z if number == 2 else np.maximum(0, z))
        return values

    for _ in range(iterations):
        *values, logit = forward()
        back = (1 / (1 + np.exp(-logit)) - y[:, None]) / len(x)
        for value, layer in zip(values[::-1], layers[::-1], strict=True):
            kernel_back = value.T @ back, back.sum(axis=0)
            back = (back @ layer[0].T) * (value > 0)
            layer[0] -= 0.01 * kernel_back[0]
            layer[1] -= 0.01 * kernel_back[1]
    logit = forward()[-1][:, 0]
    return float(np.mean(np.logaddexp(0, logit) - y * logit))


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    out = tmp_path_factory.mktemp("circles")
    return circles.run(CirclesConfig(seeds=3, iterations=2000, out=out), report=quiet)


def test_the_published_draw_gives_the_published_digits():
    result = circles.run(CirclesConfig(seeds=1), report=quiet)
    for scheme, (cost, tolerance, train, test) in PUBLISHED.items():
        run = result.published(scheme)
        assert len(run.cost) == 15
        assert run.cost[-1] == pytest.approx(cost, abs=tolerance)
        assert run.train_accuracy == pytest.approx(train, abs=1e-9)
        assert run.test_accuracy == pytest.approx(test, abs=1e-9)
    assert "6 of 6 numbers of the article's table" in " ".join(circles.page(result).supported)
    assert keras.config.floatx() == "float32"
    assert keras.config.dtype_policy().name == "float32"


def test_costs_are_those_of_a_plain_numpy_program(short):
    model = training.build()
    for scheme in ("he", "xavier", "random_small"):
        start = training.published_draw(training.SCALES[scheme], model)
        run = short.published(scheme)
        for record, cost in enumerate(run.cost):
            assert cost == pytest.approx(numpy_cost(start, 1000 * record), abs=1e-8)
    other = [w + 1e-3 for w in training.published_draw(training.SCALES["he"], model)]
    assert abs(numpy_cost(other, 1000) - short.published("he").cost[1]) > 1e-6


def test_a_learning_rate_in_float32_would_be_another_one(monkeypatch, short):
    model = training.build()
    start = training.published_draw(training.SCALES["he"], model)
    monkeypatch.setattr(training, "_float64", contextlib.nullcontext)
    rounded = circles.run(CirclesConfig(seeds=1, iterations=2000), report=quiet)
    error = abs(rounded.published("he").cost[1] - numpy_cost(start, 1000))
    assert error > 1e-10
    assert abs(short.published("he").cost[1] - numpy_cost(start, 1000)) < 1e-12


def test_every_seed_has_its_own_draw_and_is_kept(short):
    assert [(r.scheme, r.seed) for r in short.runs[:5]] == [(s, "published") for s in PUBLISHED]
    assert [r.seed for r in short.runs[5::5]] == [0, 1, 2]
    he = short.stacked("he", "cost")
    assert he.shape == (3, 2)
    assert len(set(he[:, 0])) == 3
    assert np.all(he[:, 1] < he[:, 0])
    np.testing.assert_allclose(short.stacked("zeros", "cost"), np.log(2), rtol=1e-15)
    assert set(short.boundaries) == set(PUBLISHED)
    assert np.all(short.boundaries["zeros"] == 0.5)
    assert np.ptp(short.boundaries["he"]) > 0.01


def test_it_goes_on_and_refuses_another_recipe(short, monkeypatch):
    def train(*_, **__):
        raise AssertionError("trained again")

    monkeypatch.setattr("keras_inits._compare.chunks.train_population", train)
    again = circles.run(short.config, report=quiet)
    assert again.runs == short.runs
    for scheme, values in again.boundaries.items():
        np.testing.assert_array_equal(values, short.boundaries[scheme])
    with pytest.raises(ValueError, match=r"other settings.*seed=0"):
        circles.run(dataclasses.replace(short.config, root_seed=1), report=quiet)


@pytest.mark.parametrize("wrong", [{"seeds": 0}, {"iterations": 1500}, {"root_seed": -1}])
def test_a_wrong_configuration_is_refused(wrong):
    with pytest.raises(ValueError, match="Received"):
        CirclesConfig(**wrong)


def test_the_page_fits_80_columns_and_its_files_are_written(short, tmp_path):
    page = circles.page(short)
    text = io.StringIO()
    Console(width=80, file=text).print(printed(page))
    text = text.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    assert "numbers of the article's table" not in text  # 2,000 iterations are not its recipe
    write(short, page, tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"result.json", "boundaries.png", "costs.png"}
    stored = json.loads((tmp_path / "result.json").read_text())
    assert stored["experiment"] == "circles"
    assert stored["runs"][0] == {
        "scheme": "zeros",
        "seed": "published",
        "cost": list(short.runs[0].cost),
        "train_accuracy": 0.5,
        "test_accuracy": 0.5,
    }
