import dataclasses
import json

import keras
import numpy as np
import pytest
from versions import of_tensorflow

from keras_inits.experiments import CirclesConfig, CirclesResult, circles
from keras_inits.experiments import _circles_recipe as recipe

# Costs at iteration 14,000, train and test accuracy of a plain NumPy program from the published
# draw. The cost of random x 10 depends on the order of additions from its fifth decimal on.
PUBLISHED = {
    "zeros": (0.693147, 1e-5, 0.50, 0.50),
    "random_large": (0.382792, 1e-4, 0.83, 0.86),
    "random_small": (0.693147, 1e-5, 139 / 300, 0.48),
    "xavier": (0.108507, 1e-5, 0.99, 0.93),
    "he": (0.073579, 1e-5, 298 / 300, 0.96),
}


pytestmark = of_tensorflow("float64 losses")


def quiet(*_):
    pass


def numpy_cost(weights, iterations):
    """Cost after so many iterations of gradient descent, written out."""
    x, y = recipe.points(1, 300)
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
    def called(*_):
        raise AssertionError("the global float type is left alone while it trains")

    out = tmp_path_factory.mktemp("circles")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.config, "set_floatx", called)
        return circles.run(CirclesConfig(seeds=3, iterations=2000, out=out), report=quiet)


def check_published_digits(result):
    for scheme, (cost, tolerance, train, test) in PUBLISHED.items():
        costs = result.published_costs(scheme)
        assert costs.shape == (15,)
        assert costs[-1] == pytest.approx(cost, abs=tolerance)
        assert result.published_accuracy(scheme, "train") == pytest.approx(train, abs=1e-9)
        assert result.published_accuracy(scheme, "test") == pytest.approx(test, abs=1e-9)
    assert "6 of 6 numbers of the article's table" in " ".join(circles.page(result).supported)
    result.assert_ok()


@pytest.mark.slow
def test_the_published_draw_gives_the_published_digits(short):
    config = CirclesConfig(seeds=3)
    # The seeds of 2,000 iterations stand in for those of 15,000, of which nothing was published.
    result = dataclasses.replace(
        short, config=config, published=circles._from_published_draw(config)
    )
    check_published_digits(result)
    assert not dataclasses.replace(result, published=result.seeded).ok


@pytest.mark.slow
def test_a_whole_run_gives_the_published_digits():
    result = circles.run(CirclesConfig(seeds=1), report=quiet)
    check_published_digits(result)
    assert not dataclasses.replace(result, published=result.seeded).ok


def test_costs_are_those_of_a_plain_numpy_program(short):
    model = recipe.build()
    for scheme in ("he", "xavier", "random_small"):
        start = recipe.published_draw(recipe.SCALES[scheme], model)
        for record, cost in enumerate(short.published_costs(scheme)):
            assert cost == pytest.approx(numpy_cost(start, 1000 * record), abs=1e-8)
    other = [w + 1e-3 for w in recipe.published_draw(recipe.SCALES["he"], model)]
    assert abs(numpy_cost(other, 1000) - short.published_costs("he")[1]) > 1e-6


def test_a_learning_rate_in_float32_would_be_another_one(monkeypatch, short):
    model = recipe.build()
    start = recipe.published_draw(recipe.SCALES["he"], model)
    assert abs(short.published_costs("he")[1] - numpy_cost(start, 1000)) < 1e-12
    monkeypatch.setattr(recipe, "DoubleRate", float)
    rounded = circles._from_published_draw(CirclesConfig(iterations=1000))
    after = rounded.final("train_crossentropy")[rounded.schemes.index("he"), 0]
    assert abs(after - numpy_cost(start, 1000)) > 1e-10


def test_every_seed_has_its_own_draw_and_is_kept(short):
    assert short.schemes == tuple(PUBLISHED)
    assert short.seeded.seeds == (0, 1, 2)
    he = short.costs("he")
    assert he.shape == (3, 2)
    assert len(set(he[:, 0])) == 3
    assert np.all(he[:, 1] < he[:, 0])
    np.testing.assert_allclose(short.costs("zeros"), np.log(2), rtol=1e-15)
    assert set(short.weights) == set(PUBLISHED)
    assert np.all(recipe.probability(short.weights["zeros"]) == 0.5)
    assert np.ptp(recipe.probability(short.weights["he"])) > 0.01


def test_the_net_of_the_pictures_is_the_one_that_was_trained(short):
    model = recipe.build()
    model.set_weights(short.weights["he"])
    x, y = short.points
    np.testing.assert_allclose(recipe.logits(short.weights["he"], x), np.asarray(model(x))[:, 0])
    assert np.mean((recipe.logits(short.weights["he"], x) > 0) == y) == pytest.approx(
        short.published_accuracy("he", "train")
    )


def test_it_resumes_and_refuses_another_recipe(short, monkeypatch):
    def train(*_, **__):
        raise AssertionError("trained again")

    monkeypatch.setattr("keras_inits._compare.chunks.train_population", train)
    assert circles.run(short.config, report=quiet) == short
    with pytest.raises(ValueError, match=r"other settings.*seed=0"):
        circles.run(dataclasses.replace(short.config, seed=1), report=quiet)


@pytest.mark.parametrize("wrong", [{"seeds": 0}, {"iterations": 1500}, {"seed": -1}])
def test_a_wrong_configuration_is_refused(wrong):
    with pytest.raises(ValueError, match="Received"):
        CirclesConfig(**wrong)


def test_the_page_fits_80_columns_and_its_files_are_written(short, tmp_path):
    text = short.summary()
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    assert "numbers of the article's table" not in text  # 2,000 iterations are not its recipe
    short.write(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"result.json", "boundaries.png", "costs.png"}
    stored = json.loads((tmp_path / "result.json").read_text())
    assert stored["experiment"] == "circles"
    assert stored["published"]["schemes"][0] == "zeros"
    assert stored["published"]["history"]["test_accuracy"][0][0][-1] == 0.5
    assert CirclesResult.from_dict(stored) == short


def test_its_figures_show_every_scheme(short):
    boundaries, costs = (picture.draw() for picture in short.page().pictures)
    assert boundaries.axes[0].get_title() == "zeros: 50% of the test"
    assert len(boundaries.axes) == len(PUBLISHED)
    for ax in boundaries.axes:
        assert sum(len(line.get_xdata()) for line in ax.lines) == 300
    (ax,) = costs.axes
    assert ax.get_xlabel() == "iteration (thousands)"
    assert ax.get_ylabel() == "training cross-entropy (nats)"
    lines = [line for line in ax.lines if len(line.get_xdata())]
    assert len(lines) == 2 * len(PUBLISHED)  # the mean of the seeds, and the published draw
    np.testing.assert_array_equal(lines[-1].get_ydata(), short.published_costs("he"))
