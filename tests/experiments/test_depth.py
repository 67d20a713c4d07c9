import dataclasses
import io
import json

import numpy as np
import pytest
from rich.console import Console

from keras_inits.experiments import depth
from keras_inits.experiments.depth import DepthConfig
from keras_inits.experiments.page import printed, write

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
    for case, verdict in VERDICTS.items():
        assert [run.report.verdict for run in result.of(case)] == [verdict] * 2


def test_the_measured_sizes_are_those_of_the_wide_net(result):
    for case in result.cases:
        rms, theory = result.stacked(case, "rms"), result.stacked(case, "theory")
        assert rms.shape == (2, 10)
        np.testing.assert_allclose(rms, theory, rtol=0.25)
        np.testing.assert_allclose(rms[:, :3], theory[:, :3], rtol=0.05)
    alive, shrinking = result.stacked(("relu", "he"), "rms"), result.of(("relu", "xavier"))[0]
    assert np.all(np.abs(alive[:, 3:] / shrinking.theory[3:] - 1) > 1)  # another net's theory


def test_gradients_and_shares_are_told(result):
    saturated = result.of(("tanh", "random"))[0]
    assert min(saturated.saturated) > 0.9
    assert saturated.gradient[0] > 1e4 * saturated.gradient[-1]
    he = result.of(("relu", "he"))[0]
    assert np.isnan(he.saturated[0])
    assert 0.3 < he.gradient[0] / he.gradient[-1] < 3
    small = result.of(("tanh", "random_small"))[0]
    assert small.gradient[0] < 1e-5 * small.gradient[-1]


def test_it_goes_on_and_refuses_what_does_not_belong(result, monkeypatch):
    def look(*_, **__):
        raise AssertionError("diagnosed again")

    monkeypatch.setattr("keras_inits.experiments.depth.running.diagnose", look)
    again = depth.run(result.config, report=quiet)
    assert [run.report for run in again.runs] == [run.report for run in result.runs]
    with pytest.raises(ValueError, match=r"other settings: units=500.*Received: units=100"):
        depth.run(dataclasses.replace(result.config, units=100), report=quiet)
    file = result.config.out / "state" / "tanh-xavier-1.json"
    whole = file.read_text()
    file.write_text(whole[:100])
    with pytest.raises(ValueError, match=r"tanh-xavier-1.json is damaged"):
        depth.run(result.config, report=quiet)
    file.write_text(whole)


def test_the_page_fits_80_columns_and_its_files_are_written(result, tmp_path):
    page = depth.page(result)
    text = io.StringIO()
    Console(width=80, file=text).print(printed(page))
    assert max(map(len, text.getvalue().splitlines())) <= 80
    assert "…" not in text.getvalue()
    assert ("tanh, N(0, 1)", "saturates at ±1", "saturated 2 of 2") in page.tables[0].rows
    write(result, page, tmp_path)
    expected = {"result.json", "histograms.png", "signal.png"}
    assert {p.name for p in tmp_path.iterdir()} == expected
    stored = json.loads((tmp_path / "result.json").read_text())
    run = stored["runs"][0]
    assert (run["activation"], run["scheme"], run["seed"]) == ("tanh", "random_small", 0)
    assert len(run["std"]) == 10
    assert stored["runs"][-1]["saturated"] == ["NaN"] * 10  # ReLU has no upper bound


@pytest.mark.parametrize("wrong", [{"seeds": 0}, {"layers": 0}, {"units": 1}, {"root_seed": -1}])
def test_a_wrong_configuration_is_refused(wrong):
    with pytest.raises(ValueError, match="Received"):
        DepthConfig(**wrong)
