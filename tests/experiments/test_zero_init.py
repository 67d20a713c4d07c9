import io
import json

import numpy as np
import pytest
from rich.console import Console

from keras_inits.experiments import zero_init
from keras_inits.experiments.page import printed, write
from keras_inits.experiments.zero_init import ZeroInitConfig


def quiet(*_):
    pass


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    out = tmp_path_factory.mktemp("zero-init")
    config = ZeroInitConfig(epochs=3, seeds=4, source="digits", out=out)
    return zero_init.run(config, report=quiet)


def test_from_zeros_only_the_last_bias_moves(digits):
    zeros, he = digits.of("zeros"), digits.of("he")
    assert zeros.units_apart == 0
    assert [name for name, distance in zeros.moved.items() if distance] == ["output/bias"]
    assert he.units_apart > 0.1
    assert all(distance > 0 for distance in he.moved.values())
    assert he.cost[-1] < 0.9 * he.cost[0]
    assert zeros.cost[-1] > 0.99 * np.log(10)
    assert np.ptp(digits.last_bias) > 0


def test_from_one_constant_all_units_stay_equal_and_move(digits):
    constant = digits.of("constant")
    assert constant.units_apart == 0
    assert constant.moved["hidden/kernel"] > 0
    assert constant.moved["output/kernel"] > 0


def test_models_without_hidden_units_learn_from_zeros(digits):
    assert list(digits.convex) == ["softmax", "logistic", "linear"]
    for compared in digits.convex.values():
        assert compared.schemes == ("zeros", "xavier")
        loss = compared.values("loss")
        assert loss.shape == (2, 4, 3)
        assert np.all(loss[0, :, -1] < loss[0, :, 0])


def test_it_goes_on_from_what_is_there(digits, monkeypatch):
    def train(*_, **__):
        raise AssertionError("trained again")

    monkeypatch.setattr("keras_inits._compare.chunks.train_population", train)
    again = zero_init.run(digits.config, report=quiet)
    assert again.to_dict() == digits.to_dict()


def test_the_page_fits_80_columns_and_its_files_are_written(digits, tmp_path):
    page = zero_init.page(digits)
    text = io.StringIO()
    Console(width=80, file=text).print(printed(page))
    assert max(map(len, text.getvalue().splitlines())) <= 80
    assert "…" not in text.getvalue()
    assert "NOT comparable" in " ".join(page.unsupported)
    assert "0.1135" not in page.tables[0].rows[0]  # the article's number is MNIST's
    write(digits, page, tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"result.json", "curves.png"}
    stored = json.loads((tmp_path / "result.json").read_text())
    assert [run["scheme"] for run in stored["runs"]] == ["zeros", "he", "constant"]
    assert all(len(run["cost"]) == len(run["accuracy"]) == 3 for run in stored["runs"])


@pytest.mark.parametrize("wrong", [{"seeds": 0}, {"epochs": 0}, {"root_seed": -1}])
def test_a_wrong_configuration_is_refused(wrong):
    with pytest.raises(ValueError, match="Received"):
        ZeroInitConfig(**wrong)


@pytest.mark.slow
def test_mnist_gives_the_articles_numbers(mnist_dir):
    config = ZeroInitConfig(epochs=4, seeds=10, source="idx", data_dir=mnist_dir)
    result = zero_init.run(config, report=quiet)
    zeros, he, constant = result.runs
    assert zeros.accuracy == (0.1135,) * 4
    assert zeros.cost == pytest.approx([2.301] * 4, abs=1e-3)
    assert zeros.units_apart == 0
    assert constant.units_apart == 0
    assert constant.accuracy[-1] < 0.5
    assert he.accuracy[-1] > 0.95
    frequencies = np.log(result.frequencies)
    learnt = result.last_bias - result.last_bias.mean()
    np.testing.assert_allclose(learnt, frequencies - frequencies.mean(), atol=0.03)
    assert np.abs(learnt - np.roll(frequencies - frequencies.mean(), 1)).max() > 0.06
    softmax = result.convex["softmax"].intervals()
    assert softmax["zeros"].mean > 0.92
    assert abs(softmax["zeros"].mean - softmax["xavier"].mean) < 0.003
