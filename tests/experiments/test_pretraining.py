import dataclasses
import json

import numpy as np
import pytest

from keras_inits import Comparison, PretrainReport, PretrainRow
from keras_inits._progress import Progress
from keras_inits.experiments import PretrainingConfig, PretrainingResult, pretraining
from keras_inits.experiments import _sigmoid_nets as nets


def quiet(*_):
    pass


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A real run on the digits, which takes half a minute."""
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


@pytest.mark.slow
def test_a_pre_trained_net_learns_and_standard_weights_stay_at_chance(trained):
    assert trained.stuck("standard") == 2
    assert trained.stuck("pretrained") == 0
    pretrained, standard = trained.accuracy("pretrained"), trained.accuracy("standard")
    assert pretrained.shape == (2, 10)
    assert pretrained[:, -1].min() > 0.4
    assert standard.max() < 0.3


@pytest.mark.slow
def test_it_reconstructs_and_says_how_long_it_took(trained):
    assert trained.errors.shape == (2, 5)
    assert 0 < trained.errors.max() < 0.1
    assert trained.seconds.min() > 0
    assert trained.epoch_seconds > 0


@pytest.mark.slow
def test_it_resumes_from_what_is_there(trained, monkeypatch):
    def train(*_, **__):
        raise AssertionError("trained again")

    monkeypatch.setattr("keras_inits._compare.chunks.train_population", train)
    monkeypatch.setattr(nets, "pretrain", train)
    assert pretraining.run(trained.config, report=quiet) == trained


def comparison(accuracy):
    """What `compare` would give for final accuracies `(schemes, seeds, epochs)`."""
    accuracy = np.asarray(accuracy, float)
    return Comparison(
        schemes=tuple(nets.TITLES),
        seeds=tuple(range(accuracy.shape[1])),
        history={"loss": 1 - accuracy, "test_accuracy": accuracy},
        metric="test_accuracy",
        chance={"test": 0.1135},
        samples={"test": 10_000},
        trainer="population",
        notes=(),
        settings={"seed": 0},
    )


@pytest.fixture
def made():
    """A result such as MNIST gives, made by hand: two seeds, twenty epochs."""
    stuck, scaled, ahead = (
        np.repeat([first, second], [1, 1, 18], axis=1)
        for first, second in (
            ([0.10, 0.1135, 0.1135], [0.098, 0.1135, 0.10]),
            ([0.2, 0.6, 0.85], [0.3, 0.7, 0.91]),
            ([0.87, 0.89, 0.92], [0.86, 0.91, 0.93]),
        )
    )
    return PretrainingResult(
        PretrainingConfig(seeds=2, epochs=20),
        {"keras": "3"},
        data={"source": "idx", "description": "MNIST", "comparable": True},
        many=comparison([stuck, stuck, scaled, ahead]),
        few=comparison([stuck, stuck, np.multiply(scaled, 0.8), np.multiply(ahead, 0.95)]),
        errors=np.full((2, 5), 0.02),
        seconds=np.array([3.0, 5.0]),
        epoch_seconds=0.5,
    )


def test_the_cost_of_the_target_counts_pre_training(made):
    assert made.epochs_to_target("pretrained").tolist() == [3, 2]
    assert made.cost("pretrained") == min(3 + 3 * 0.5, 5 + 2 * 0.5)  # the earlier of the middle two
    assert made.cost("glorot_4") == 3 * 0.5
    assert made.cost("standard") == np.inf


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


def test_a_killed_run_keeps_the_nets_that_are_pre_trained(tmp_path, monkeypatch):
    calls = []

    def pretrain(model, x, *, epochs, on_progress, **options):
        calls.append(options["seed"])
        model.trainable_variables[0].assign(model.trainable_variables[0] + 1)
        on_progress(Progress(epochs, epochs, None))
        return PretrainReport("net", 0, len(x), epochs, "", (PretrainRow("hidden_1", seconds=2.0),))

    monkeypatch.setattr(nets, "pretrain", pretrain)
    config = PretrainingConfig(
        seeds=2, epochs=1, images=200, pretraining_epochs=1, source="digits", out=tmp_path
    )

    class KilledError(Exception):
        pass

    def kill(progress):
        if progress.done == 10:
            raise KilledError

    with pytest.raises(KilledError):
        pretraining.run(config, report=quiet, on_progress=kill)
    file = tmp_path / "state" / "pretrained" / "seed-0.npz"
    assert file.exists()
    assert len(set(calls)) == 2
    kept = file.read_bytes()
    again = {
        "epochs": 1,
        "root": 0,
        "seed": 0,
        "file": file,
        "settings": json.loads(str(np.load(file)["settings"])),
        "tell": quiet,
    }
    net = nets.pre_trained(np.zeros((1, 64), "float32"), **again)
    assert 0 <= net.seconds < 60
    assert net.weights[0].mean() == pytest.approx(1, abs=0.05)
    assert file.read_bytes() == kept
    with pytest.raises(ValueError, match=r"seed-0.npz holds runs with other settings: epochs=1"):
        pretraining.run(dataclasses.replace(config, pretraining_epochs=2), report=quiet)


def test_what_the_papers_say_and_the_seeds_do_not_show_is_a_finding(made):
    made.assert_ok()
    swapped = dataclasses.replace(made.many, schemes=made.many.schemes[::-1])
    wrong = dataclasses.replace(made, many=swapped)
    assert [finding.where for finding in wrong.findings] == [("standard",), ("pre-trained",)]
    with pytest.raises(AssertionError, match="it stays at chance, say the papers; 0 of 2 runs"):
        wrong.assert_ok()
    short = dataclasses.replace(wrong, config=PretrainingConfig(seeds=2, epochs=2))
    short.assert_ok()  # of two epochs nothing is claimed


def test_the_page_fits_80_columns_and_its_files_are_written(made, tmp_path):
    page = made.page()
    assert max(map(len, page.summary().splitlines())) <= 80
    assert "…" not in page.summary()
    assert "With 100 labels a class, the pre-trained net ends +0.1" in " ".join(page.supported)
    epochs, costs, labels = page.tables
    assert [row[1] for row in epochs.rows] == ["stays at chance", "", "", "learns"]
    assert [row[3] for row in costs.rows] == ["not reached", "not reached", "1.5", "4.5"]
    assert labels.columns[2] == "100 labels a class"
    made.write(tmp_path, page)
    assert {p.name for p in tmp_path.iterdir()} == {"result.json", "curves.png"}
    stored = json.loads((tmp_path / "result.json").read_text())
    assert PretrainingResult.from_dict(stored) == made
    digits = dataclasses.replace(made, data={**made.data, "comparable": False})
    assert "NOT comparable" in " ".join(digits.page().unsupported)


def test_its_figure_shows_all_starts_with_many_and_with_few_labels(made):
    many, few = made.page().pictures[0].draw().axes
    assert (many.get_title(), few.get_title()) == ("all labels", "100 labels a class")
    np.testing.assert_allclose(
        few.lines[3].get_ydata(), made.accuracy("pretrained", few=True).mean(axis=0)
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
