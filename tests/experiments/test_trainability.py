import dataclasses
import json

import numpy as np
import pytest

from keras_inits.experiments import TrainabilityConfig, TrainabilityResult, trainability
from keras_inits.experiments import _deep_nets as nets
from keras_inits.experiments import _trainability_recipe as recipe
from keras_inits.experiments._trainability_page import ranges


def quiet(*_):
    pass


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    config = TrainabilityConfig(
        depths=(3, 25),
        variances=(0.4, 1.8, 16.0),
        units=32,
        seeds=2,
        source="digits",
        out=tmp_path_factory.mktemp("trainability"),
    )
    told = []
    result = trainability.run(config, report=quiet, on_progress=told.append)
    assert told[-1].done == told[-1].total
    return result


@pytest.mark.slow
def test_a_deep_net_trains_at_the_edge_of_chaos_alone_and_a_shallow_one_anywhere(digits):
    assert digits.accuracy.shape == (2, 3, 2, 3)
    shallow, deep = digits.final()
    assert shallow.min() > 0.5
    assert deep[1].min() > 0.6
    assert deep[[0, 2]].max() < 0.4
    assert digits.best_variance()[1].tolist() == [1.8, 1.8]


@pytest.mark.slow
def test_the_theory_tells_apart_what_trains_and_another_theory_does_not(digits):
    assert digits.agreement().all()
    at_edge = digits.scales[1]
    assert at_edge > 5 * digits.scales[[0, 2]].max()
    assert digits.critical == pytest.approx(1.761, abs=1e-3)
    mnist = dataclasses.replace(digits, data={**digits.data, "comparable": True})
    mnist.assert_ok()
    wrong = dataclasses.replace(mnist, scales=digits.scales[[1, 0, 1]])
    assert not wrong.agreement()[1].any()
    with pytest.raises(AssertionError, match=r"depth 25, variance 1.8: the net is trained"):
        wrong.assert_ok()
    assert dataclasses.replace(wrong, data=digits.data).findings == ()  # digits claim nothing


@pytest.mark.slow
def test_the_depth_scale_between_two_nets_is_interpolated(digits):
    np.testing.assert_allclose(digits.scale_at([0.4, 1.8, 16.0]), digits.scales)
    assert np.isinf(digits.scale_at(digits.critical))
    assert digits.scales[0] < digits.scale_at(1.0) < digits.scales[1]


def test_each_weight_starts_by_its_own_law_and_every_variance_from_the_same_draw():
    narrow, wide = (recipe.tanh_net(64, 2, 200, variance) for variance in (1.0, 4.0))
    model = recipe.tanh_net(64, 2, 200)
    ones = nets.laws_of(narrow, 7).draw(model, 0)
    fours = nets.laws_of(wide, 7).draw(model, 0)
    names = [variable.path.split("/")[-2:] for variable in model.trainable_variables]
    assert names[2:4] == [["hidden_2", "kernel"], ["hidden_2", "bias"]]
    np.testing.assert_allclose(fours[2], 2 * ones[2], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(fours[3], ones[3])
    assert ones[2].std() == pytest.approx(200**-0.5, rel=0.02)
    assert ones[3].std() == pytest.approx(0.05**0.5, rel=0.2)
    assert ones[4].std() == pytest.approx(200**-0.5, rel=0.1)
    assert np.abs(nets.laws_of(narrow, 7).draw(model, 1)[2] - ones[2]).max() > 0.01


@pytest.mark.slow
def test_it_resumes_from_what_is_there(digits, monkeypatch):
    def train(*_, **__):
        raise AssertionError("trained again")

    monkeypatch.setattr("keras_inits._compare.chunks.train_population", train)
    assert trainability.run(digits.config, report=quiet) == digits
    with pytest.raises(ValueError, match="other settings"):
        trainability.run(dataclasses.replace(digits.config, seed=1), report=quiet)


@pytest.mark.slow
def test_the_page_fits_80_columns_and_its_files_are_written(digits, tmp_path):
    page = digits.page()
    assert max(map(len, page.summary().splitlines())) <= 80
    assert "…" not in page.summary()
    assert "NOT comparable" in " ".join(page.unsupported)
    limits, _ = page.tables
    assert [row[:3] for row in limits.rows] == [
        ("3", "0.4 to 16", "0.4 to 16"),
        ("25", "1.8", "1.8"),
    ]
    digits.write(tmp_path, page)
    assert {p.name for p in tmp_path.iterdir()} == {"result.json", "trainability.png"}
    stored = json.loads((tmp_path / "result.json").read_text())
    assert TrainabilityResult.from_dict(stored) == digits


@pytest.mark.slow
def test_its_figure_shows_every_net_and_the_theory(digits):
    left, right, bar = digits.page().pictures[0].draw().axes
    assert left.get_ylabel() == "hidden layers"
    assert bar.get_ylabel() == "training accuracy"
    (mesh,) = left.collections
    np.testing.assert_allclose(mesh.get_array(), digits.final().mean(axis=-1))
    variances, limit = left.lines[0].get_data()
    shown = np.isfinite(limit)
    np.testing.assert_allclose(limit[shown], 6 * digits.scale_at(variances[shown]))
    assert right.get_xlabel() == "depth, in depth scales"
    assert len(right.containers) == 2


def test_a_range_with_gaps_says_so():
    which = np.array([False, True, False, True])
    assert ranges((1.0, 1.2, 1.4, 1.6), which) == "1.2 to 1.6 less 1"
    assert ranges((1.0, 1.2, 1.4, 1.6), ~which[:4] & False) == "none"


@pytest.mark.parametrize(
    "wrong",
    [
        {"seeds": 0},
        {"depths": ()},
        {"depths": (20, 10)},
        {"variances": (0.0,)},
        {"variances": 1.0},
        {"variances": (1.0, 1.0)},
        {"steps": 150},
        {"units": 0},
    ],
)
def test_a_wrong_configuration_is_refused(wrong):
    with pytest.raises(ValueError, match="Received"):
        TrainabilityConfig(**wrong)


@pytest.mark.slow
def test_mnist_gives_the_papers_limit(mnist_dir):
    config = TrainabilityConfig(
        depths=(10, 80), variances=(1.0, 1.8, 4.0), seeds=2, source="idx", data_dir=mnist_dir
    )
    result = trainability.run(config, report=quiet)
    result.assert_ok()
    shallow, deep = result.final().mean(axis=-1)
    assert shallow.min() > 0.7
    assert deep[1] > 0.4
    assert deep[[0, 2]].max() < 0.25
