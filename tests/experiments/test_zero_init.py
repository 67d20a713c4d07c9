import dataclasses
import json

import numpy as np
import pytest

from keras_inits.experiments import ZeroInitConfig, ZeroInitResult, zero_init


def quiet(*_):
    pass


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    out = tmp_path_factory.mktemp("zero-init")
    config = ZeroInitConfig(epochs=3, seeds=4, source="digits", out=out)
    return zero_init.run(config, report=quiet)


def test_from_zeros_only_the_last_bias_moves(digits):
    zeros, he = digits.cost("zeros"), digits.cost("he")
    assert digits.units_apart["zeros"] == 0
    moved = digits.moved
    assert [name for name, distance in moved["zeros"].items() if distance] == ["output/bias"]
    assert digits.units_apart["he"] > 0.1
    assert all(distance > 0 for distance in moved["he"].values())
    assert he[-1] < 0.9 * he[0]
    assert zeros[-1] > 0.99 * np.log(10)
    assert np.ptp(digits.last_bias) > 0


def test_from_one_constant_all_units_stay_equal_and_move(digits):
    assert digits.units_apart["constant"] == 0
    assert digits.moved["constant"]["hidden/kernel"] > 0
    assert digits.moved["constant"]["output/kernel"] > 0


def test_models_without_hidden_units_learn_from_zeros(digits):
    assert list(digits.convex) == ["softmax", "logistic", "linear"]
    for compared in digits.convex.values():
        assert compared.schemes == ("zeros", "xavier")
        loss = compared.values("loss")
        assert loss.shape == (2, 4, 3)
        assert np.all(loss[0, :, -1] < loss[0, :, 0])


def test_it_resumes_from_what_is_there(digits, monkeypatch):
    def train(*_, **__):
        raise AssertionError("trained again")

    monkeypatch.setattr("keras_inits._compare.chunks.train_population", train)
    again = zero_init.run(digits.config, report=quiet)
    assert again.to_dict() == digits.to_dict()


def test_the_page_fits_80_columns_and_its_files_are_written(digits, tmp_path):
    page = zero_init.page(digits)
    assert max(map(len, page.summary().splitlines())) <= 80
    assert "…" not in page.summary()
    assert "NOT comparable" in " ".join(page.unsupported)
    assert "0.1135" not in page.tables[0].rows[0]  # the article's number is MNIST's
    digits.write(tmp_path, page)
    assert {p.name for p in tmp_path.iterdir()} == {"result.json", "curves.png"}
    stored = json.loads((tmp_path / "result.json").read_text())
    assert stored["net"]["schemes"] == ["zeros", "he", "constant"]
    for metric in ("loss", "test_accuracy"):
        assert np.array(stored["net"]["history"][metric]).shape == (3, 1, 3)
    assert ZeroInitResult.from_dict(stored) == digits


def test_its_figure_shows_cost_and_accuracy_of_every_net(digits):
    figure = digits.page().pictures[0].draw()
    assert [ax.get_ylabel() for ax in figure.axes] == [
        "training cross-entropy (nats)",
        "test accuracy",
    ]
    assert [len(ax.lines) for ax in figure.axes] == [3, 3]
    np.testing.assert_array_equal(figure.axes[1].lines[1].get_ydata(), digits.accuracy("he"))


def test_another_accuracy_than_the_published_one_is_a_finding(digits):
    digits.assert_ok()  # digits are not MNIST: nothing is compared
    mnist = dataclasses.replace(digits, data={**digits.data, "comparable": True})
    (finding,) = mnist.findings
    assert "0.1135 was printed" in finding.evidence


@pytest.mark.parametrize("wrong", [{"seeds": 0}, {"epochs": 0}, {"seed": -1}])
def test_a_wrong_configuration_is_refused(wrong):
    with pytest.raises(ValueError, match="Received"):
        ZeroInitConfig(**wrong)


@pytest.mark.slow
def test_mnist_gives_the_articles_numbers(mnist_dir):
    config = ZeroInitConfig(epochs=4, seeds=10, source="idx", data_dir=mnist_dir)
    result = zero_init.run(config, report=quiet)
    result.assert_ok()
    assert result.accuracy("zeros").tolist() == [0.1135] * 4
    assert result.cost("zeros") == pytest.approx([2.301] * 4, abs=1e-3)
    assert result.units_apart["zeros"] == 0
    assert result.units_apart["constant"] == 0
    assert result.accuracy("constant")[-1] < 0.5
    assert result.accuracy("he")[-1] > 0.95
    frequencies = np.log(result.frequencies)
    learnt = result.last_bias - result.last_bias.mean()
    np.testing.assert_allclose(learnt, frequencies - frequencies.mean(), atol=0.03)
    assert np.abs(learnt - np.roll(frequencies - frequencies.mean(), 1)).max() > 0.06
    softmax = result.convex["softmax"].intervals()
    assert softmax["zeros"].mean > 0.92
    assert abs(softmax["zeros"].mean - softmax["xavier"].mean) < 0.003
