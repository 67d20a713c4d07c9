import dataclasses
import json

import numpy as np
import pytest

from keras_inits.experiments import DepthConfig, DepthResult, depth

VERDICTS = {
    ("tanh", "random_small"): "vanishing",
    ("tanh", "random"): "saturated",
    ("tanh", "xavier"): "healthy",
    ("relu", "xavier"): "vanishing",
    ("relu", "he"): "healthy",
}


def quiet(*_):
    pass


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return depth.run(DepthConfig(seeds=2, out=tmp_path_factory.mktemp("depth")), report=quiet)


def test_every_net_gets_the_verdict_that_the_article_describes(result):
    assert result.cases == tuple(VERDICTS)
    assert result.verdicts == tuple((verdict, verdict) for verdict in VERDICTS.values())
    result.assert_ok()
    wrong = dataclasses.replace(result, verdicts=(("healthy", "healthy"), *result.verdicts[1:]))
    with pytest.raises(AssertionError, match=r"tanh, N\(0, 0.01².*collapses.*healthy 2 of 2"):
        wrong.assert_ok()


def test_the_measured_sizes_are_those_of_the_wide_net(result):
    for case in result.cases:
        rms, theory = result.values(case, "rms"), result.values(case, "theory")
        assert rms.shape == (2, 10)
        np.testing.assert_allclose(rms, theory, rtol=0.25)
        np.testing.assert_allclose(rms[:, :3], theory[:, :3], rtol=0.05)
    alive, shrinking = (
        result.values(("relu", "he"), "rms"),
        result.values(("relu", "xavier"), "theory"),
    )
    assert np.all(np.abs(alive[:, 3:] / shrinking[:, 3:] - 1) > 1)  # another net's theory


def test_gradients_and_shares_are_reported(result):
    saturated, he, small = ("tanh", "random"), ("relu", "he"), ("tanh", "random_small")
    assert result.values(saturated, "saturated").min() > 0.9
    gradient = {case: result.values(case, "gradient")[0] for case in (saturated, he, small)}
    assert gradient[saturated][0] > 1e4 * gradient[saturated][-1]
    assert np.isnan(result.values(he, "saturated")).all()
    assert 0.3 < gradient[he][0] / gradient[he][-1] < 3
    assert gradient[small][0] < 1e-5 * gradient[small][-1]


def test_it_resumes_and_refuses_what_does_not_belong(result, monkeypatch):
    def look(*_, **__):
        raise AssertionError("diagnosed again")

    monkeypatch.setattr("keras_inits._diagnose.diagnose", look)
    assert depth.run(result.config, report=quiet) == result
    with pytest.raises(ValueError, match=r"other settings: units=500.*Received: units=100"):
        depth.run(dataclasses.replace(result.config, units=100), report=quiet)
    file = result.config.out / "state" / "tanh-xavier-1.json"
    whole = file.read_text()
    file.write_text(whole[:100])
    with pytest.raises(ValueError, match=r"tanh-xavier-1.json is damaged"):
        depth.run(result.config, report=quiet)
    file.write_text(whole)


@pytest.mark.slow
def test_the_page_fits_80_columns_and_its_files_are_written(result, tmp_path):
    page = depth.page(result)
    assert max(map(len, result.summary().splitlines())) <= 80
    assert "…" not in result.summary()
    assert "Weight initialization" in result.summary()
    assert ("tanh, N(0, 1)", "saturates at ±1", "saturated 2 of 2") in page.tables[0].rows
    result.write(tmp_path, page)
    expected = {"result.json", "histograms.png", "signal.png"}
    assert {p.name for p in tmp_path.iterdir()} == expected
    stored = json.loads((tmp_path / "result.json").read_text())
    assert stored["cases"][0] == ["tanh", "random_small"]
    assert np.array(stored["figures"]["std"]).shape == (5, 2, 10)
    assert stored["figures"]["saturated"][-1][0] == ["NaN"] * 10  # ReLU has no upper bound
    assert DepthResult.from_dict(stored) == result


def test_its_figures_show_every_net_and_layer(result):
    histograms, sizes = (picture.draw() for picture in result.page().pictures)
    assert len(histograms.axes) == len(VERDICTS) * 10
    signal, gradient = sizes.axes
    assert signal.get_xlabel() == "layer"
    assert signal.get_ylabel() == "root mean square of the outputs"
    assert gradient.get_ylabel() == "root mean square of the gradient"
    lines = [line for line in signal.lines if len(line.get_xdata()) == 10]
    assert len(lines) == 2 * len(VERDICTS)  # measured, and infinitely wide
    np.testing.assert_allclose(
        lines[0].get_ydata(), result.values(("tanh", "random_small"), "rms").mean(axis=0)
    )
    assert len([line for line in gradient.lines if len(line.get_xdata()) == 10]) == len(VERDICTS)


@pytest.mark.parametrize("wrong", [{"seeds": 0}, {"layers": 0}, {"units": 1}, {"seed": -1}])
def test_a_wrong_configuration_is_refused(wrong):
    with pytest.raises(ValueError, match="Received"):
        DepthConfig(**wrong)
