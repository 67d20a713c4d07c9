import dataclasses
import json

import numpy as np
import pytest

from keras_inits.experiments import PretrainingConfig, PretrainingResult, pretraining
from keras_inits.experiments import _sigmoid_nets as nets


def quiet(*_):
    pass


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    config = PretrainingConfig(
        seeds=2,
        epochs=10,
        images=1500,
        pretraining_epochs=6,
        labels_per_class=30,
        source="digits",
        out=tmp_path_factory.mktemp("pretraining"),
    )
    told = []
    result = pretraining.run(config, report=quiet, on_progress=told.append)
    assert [p.done for p in told] == sorted(p.done for p in told)
    assert told[-1].done == told[-1].total
    return result


def test_a_pre_trained_net_learns_and_standard_weights_stay_at_chance(digits):
    assert digits.stuck("standard") == 2
    assert digits.stuck("pretrained") == 0
    pretrained, standard = digits.accuracy("pretrained"), digits.accuracy("standard")
    assert pretrained.shape == (2, 10)
    assert pretrained[:, -1].min() > 0.4
    assert standard.max() < 0.3


def test_pre_training_brings_more_than_the_random_weights_that_it_starts_from(digits):
    for few in (False, True):
        gap = digits.accuracy("pretrained", few=few) - digits.accuracy("glorot_4", few=few)
        assert gap[:, -1].min() > 0.05


def test_it_reconstructs_and_reports_what_it_costs(digits):
    assert digits.errors.shape == (2, 5)
    assert 0 < digits.errors.max() < 0.1
    assert digits.seconds.min() > 0
    assert digits.epoch_seconds > 0
    early = dataclasses.replace(digits, seconds=np.array([3.0, 5.0]), epoch_seconds=0.5)
    history = {"loss": np.ones((4, 2, 2)), "test_accuracy": np.zeros((4, 2, 2))}
    history["test_accuracy"][3] = [[0.5, 0.95], [0.95, 0.95]]
    costs = dataclasses.replace(early, many=dataclasses.replace(digits.many, history=history))
    assert costs.cost("pretrained") == 3 + 2 * 0.5  # the earlier one of the middle two
    assert costs.cost("glorot") == np.inf


def test_random_starts_have_their_law():
    assert list(nets.TITLES) == [*nets.LAWS, "pretrained"]
    for scheme, bound in {
        "standard": 200**-0.5,
        "glorot": (6 / 400) ** 0.5,
        "glorot_4": 4 * (6 / 400) ** 0.5,
    }.items():
        second = nets.build(64, scheme).layers[1].kernel.numpy()
        assert np.abs(second).max() <= bound + 1e-6
        assert np.abs(second).max() > 0.98 * bound


def test_it_resumes_from_what_is_there(digits, monkeypatch):
    def train(*_, **__):
        raise AssertionError("trained again")

    monkeypatch.setattr("keras_inits._compare.chunks.train_population", train)
    monkeypatch.setattr(nets, "pretrain", train)
    assert pretraining.run(digits.config, report=quiet) == digits
    longer = dataclasses.replace(digits.config, pretraining_epochs=7)
    with pytest.raises(ValueError, match=r"seed-0.npz holds runs with other settings: epochs=6"):
        pretraining.run(longer, report=quiet)


def test_a_killed_run_keeps_the_nets_that_are_pre_trained(tmp_path, monkeypatch):
    config = PretrainingConfig(
        seeds=2, epochs=1, images=200, pretraining_epochs=1, source="digits", out=tmp_path
    )

    class KilledError(Exception):
        pass

    def kill(progress):
        if progress.done == 7:
            raise KilledError

    with pytest.raises(KilledError):
        pretraining.run(config, report=quiet, on_progress=kill)
    assert [p.name for p in (tmp_path / "state" / "pretrained").iterdir()] == ["seed-0.npz"]


def test_what_the_papers_say_and_the_seeds_do_not_show_is_a_finding(digits):
    digits.assert_ok()  # digits are not MNIST: nothing is claimed of them
    config = dataclasses.replace(digits.config, epochs=20, images=10_000, pretraining_epochs=8)
    mnist = dataclasses.replace(digits, config=config, data={**digits.data, "comparable": True})
    mnist.assert_ok()
    swapped = dataclasses.replace(digits.many, schemes=digits.many.schemes[::-1])
    wrong = dataclasses.replace(mnist, many=swapped)
    assert [finding.where for finding in wrong.findings] == [("standard",), ("pre-trained",)]


def test_the_page_fits_80_columns_and_its_files_are_written(digits, tmp_path):
    page = digits.page()
    assert max(map(len, page.summary().splitlines())) <= 80
    assert "…" not in page.summary()
    assert "NOT comparable" in " ".join(page.unsupported)
    digits.write(tmp_path, page)
    assert {p.name for p in tmp_path.iterdir()} == {"result.json", "curves.png"}
    stored = json.loads((tmp_path / "result.json").read_text())
    assert PretrainingResult.from_dict(stored) == digits


def test_its_figure_shows_all_starts_with_many_and_with_few_labels(digits):
    many, few = digits.page().pictures[0].draw().axes
    assert (many.get_title(), few.get_title()) == ("all labels", "30 labels a class")
    np.testing.assert_allclose(
        few.lines[3].get_ydata(), digits.accuracy("pretrained", few=True).mean(axis=0)
    )


def test_the_labelled_images_are_the_first_of_each_class():
    labels = np.array([1, 0, 1, 1, 0, 0, 2])
    assert nets.some_a_class(labels, 2).tolist() == [0, 1, 2, 4, 6]


@pytest.mark.parametrize(
    "wrong", [{"seeds": 0}, {"epochs": 0}, {"labels_per_class": 0}, {"pretraining_epochs": 0}]
)
def test_a_wrong_configuration_is_refused(wrong):
    with pytest.raises(ValueError, match="Received"):
        PretrainingConfig(**wrong)


@pytest.mark.slow
def test_mnist_gives_the_gap_that_the_papers_describe(mnist_dir):
    config = PretrainingConfig(seeds=2, epochs=3, source="idx", data_dir=mnist_dir)
    result = pretraining.run(config, report=quiet)
    assert result.stuck("standard") == result.stuck("glorot") == 2
    assert result.accuracy("pretrained")[:, 0].min() > 0.8
    assert result.accuracy("glorot_4")[:, 0].max() < 0.6
