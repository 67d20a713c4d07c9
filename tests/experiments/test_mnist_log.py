import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from rich.console import Console

from keras_inits._compare import chunks
from keras_inits.datasets import load_mnist
from keras_inits.experiments.mnist_log import (
    MnistLogConfig,
    MnistLogResult,
    TrainingRun,
    fit,
    run,
    views,
)
from keras_inits.experiments.page import printed, write
from keras_inits.experiments.published import MNIST_LOG


def quiet(*_):
    pass


def digits(**options):
    return MnistLogConfig(source="digits", **{"seeds": 1, "epochs": 3, "trainer": "fit"} | options)


def article_result(seeds=2, epochs=20, shift=0.0, **config):
    """A result whose runs lie to both sides of the article's log, 0.001 away, and `shift` off."""
    runs = []
    for seed in range(seeds):
        for name, log in MNIST_LOG.items():
            side = (1 if seed % 2 else -1) * 1e-3 + shift
            runs.append(
                TrainingRun(
                    name.removeprefix("initkit_"),
                    seed,
                    tuple(np.array(log.cost[:epochs]) + side),
                    tuple(np.array(log.accuracy[:epochs]) + side),
                )
            )
    return MnistLogResult(
        MnistLogConfig(seeds=seeds, epochs=epochs, **config),
        {"source": "idx", "description": "MNIST", "comparable": True},
        {},
        tuple(runs),
    )


@pytest.fixture(scope="module")
def digits_data():
    return load_mnist("digits", report=quiet)


def test_runs_are_repeatable_and_paired_by_seed():
    config = digits(seeds=2)
    result = run(config, report=quiet)
    again = run(config, report=quiet)
    assert again == result
    assert [(r.scheme, r.seed) for r in result.runs] == [
        ("random", 0),
        ("xavier", 0),
        ("random", 1),
        ("xavier", 1),
    ]
    assert result.stacked("random", "cost").shape == (2, 3)
    assert len({r.cost for r in result.runs}) == 4
    other = run(dataclasses.replace(config, root_seed=1), report=quiet)
    assert all(a.cost != b.cost for a, b in zip(result.runs, other.runs, strict=True))


def test_the_population_gives_the_log_of_fit_for_the_first_seed():
    side_by_side = run(digits(seeds=2, trainer="population"), report=quiet)
    one_by_one = run(digits(seeds=2), report=quiet)
    assert [(r.scheme, r.seed) for r in side_by_side.runs] == [
        (r.scheme, r.seed) for r in one_by_one.runs
    ]
    for ours, theirs in zip(side_by_side.runs[:2], one_by_one.runs[:2], strict=True):
        np.testing.assert_allclose(ours.cost, theirs.cost, atol=1e-4)
        np.testing.assert_allclose(ours.accuracy, theirs.accuracy, atol=1e-4)
    # later seeds: the same weights, other batches
    assert side_by_side.runs[2].cost != one_by_one.runs[2].cost
    np.testing.assert_allclose(side_by_side.runs[3].cost, one_by_one.runs[3].cost, rtol=0.2)


def test_a_population_goes_on_from_its_finished_runs(tmp_path, monkeypatch):
    first = run(digits(trainer="population", seeds=2, out=tmp_path), report=quiet)
    trained = []
    original = chunks.train_population

    def watch(plan, members, *rest):
        trained.extend(members)
        return original(plan, members, *rest)

    monkeypatch.setattr(chunks, "train_population", watch)
    more = run(digits(trainer="population", seeds=3, out=tmp_path), report=quiet)
    assert trained == [("random", 2), ("xavier", 2)]
    assert more.runs[:4] == first.runs
    fresh = run(digits(trainer="population", seeds=3), report=quiet)
    np.testing.assert_allclose(more.runs[-1].cost, fresh.runs[-1].cost, atol=1e-5)
    with pytest.raises(ValueError, match=r"other settings.*batch_size=100.*Received.*=50"):
        run(digits(trainer="population", batch_size=50, out=tmp_path), report=quiet)


def test_training_lowers_the_cost_and_random_starts_worse():
    result = run(digits(epochs=5), report=quiet)
    random, xavier = result.runs
    assert np.all(np.diff(random.cost) < 0)
    assert np.all(np.diff(xavier.cost) < 0)
    assert random.cost[0] > xavier.cost[0]
    assert all(0 <= a <= 1 for r in result.runs for a in r.accuracy)


def test_each_epoch_shows_every_image_once_in_a_new_order(digits_data):
    feed = fit._Feed(digits_data, digits(batch_size=400))
    assert feed.steps == 4
    batches = [(np.asarray(x), np.asarray(y)) for x, y in feed.batches(0, range(2))]
    assert [len(y) for _, y in batches] == [400, 400, 400, 300] * 2
    epochs = [np.concatenate([x for x, _ in part]) for part in (batches[:4], batches[4:])]
    assert np.any(epochs[0] != epochs[1])
    for epoch in epochs:
        np.testing.assert_array_equal(
            np.sort(epoch.sum(axis=1)), np.sort(digits_data.train_images.sum(axis=1))
        )
    later = [np.asarray(x) for x, _ in feed.batches(0, range(1, 2))]
    np.testing.assert_array_equal(np.concatenate(later), epochs[1])
    other = [np.asarray(x) for x, _ in feed.batches(1, range(1))]
    assert np.any(np.concatenate(other) != epochs[0])


def test_a_run_that_was_stopped_goes_on_with_the_same_numbers(tmp_path):
    whole = run(digits(epochs=4), report=quiet)
    config = digits(epochs=4, out=tmp_path)

    def stop(progress):
        if (progress.scheme, len(progress.cost)) == ("xavier", 2):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(config, report=quiet, on_epoch=stop)
    kept = {p.name for p in (tmp_path / "state").iterdir()}
    assert kept == {"random-0.npz", "xavier-0.npz"}
    trained = []
    resumed = run(config, report=quiet, on_epoch=lambda r: trained.append(len(r.cost)))
    assert resumed.runs == whole.runs
    assert trained == [1, 2, 3, 4, 1, 2, 3, 4]  # what was kept is shown again


def test_finished_epochs_are_not_trained_again(tmp_path, monkeypatch):
    config = digits(out=tmp_path)
    first = run(config, report=quiet)
    monkeypatch.setattr(fit.keras.Model, "fit", None)
    assert run(config, report=quiet).runs == first.runs
    fewer = run(dataclasses.replace(config, epochs=2), report=quiet)
    assert [r.cost for r in fewer.runs] == [r.cost[:2] for r in first.runs]


def test_more_epochs_go_on_from_fewer(tmp_path):
    run(digits(epochs=2, out=tmp_path), report=quiet)
    assert run(digits(out=tmp_path), report=quiet).runs == run(digits(), report=quiet).runs


@pytest.mark.parametrize("change", [{"learning_rate": 0.1}, {"batch_size": 50}, {"root_seed": 5}])
def test_a_folder_with_another_recipe_is_refused(tmp_path, change):
    run(digits(epochs=1, out=tmp_path), report=quiet)
    (name, value) = next(iter(change.items()))
    with pytest.raises(ValueError, match=rf"other settings.*{name}=.*Received.*{name}={value}"):
        run(digits(epochs=1, out=tmp_path, **change), report=quiet)


def test_a_damaged_state_is_told(tmp_path):
    run(digits(epochs=1, out=tmp_path), report=quiet)
    (tmp_path / "state" / "xavier-0.npz").write_bytes(b"half a fi")
    with pytest.raises(ValueError, match=r"xavier-0\.npz is damaged.*[Dd]elete it"):
        run(digits(epochs=1, out=tmp_path), report=quiet)


@pytest.mark.slow
def test_a_killed_process_goes_on_from_its_last_epoch(tmp_path):
    command = [sys.executable, "-m", "keras_inits", "reproduce", "mnist-log"]
    command += ["--source", "digits", "--epochs", "400", "--out", str(tmp_path)]
    command += ["--trainer", "fit", "--seeds", "1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    state = tmp_path / "state" / "random-0.npz"
    try:
        deadline = time.monotonic() + 60
        while not state.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.3)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    with np.load(state) as kept:
        finished = len(kept["cost"])
    assert 0 < finished < 400
    assert not (tmp_path / "result.json").exists()
    subprocess.run(command, check=True, capture_output=True)
    runs = json.loads((tmp_path / "result.json").read_text())["runs"]
    whole = run(digits(epochs=400), report=quiet)
    assert [tuple(r["cost"]) for r in runs] == [r.cost for r in whole.runs]


@pytest.mark.parametrize(
    "wrong",
    [
        {"seeds": 0},
        {"epochs": 0},
        {"batch_size": -1},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"root_seed": -1},
        {"schemes": ()},
        {"schemes": ("he", "he")},
        {"schemes": ("xaver",)},
    ],
)
def test_a_wrong_configuration_is_refused_before_anything_runs(wrong):
    with pytest.raises(ValueError, match="Received"):
        MnistLogConfig(**wrong)


def test_any_registered_name_is_a_scheme():
    result = run(digits(epochs=1, schemes=("zeros", "initkit_he", "he_normal")), report=quiet)
    assert [r.scheme for r in result.runs] == ["zeros", "initkit_he", "he_normal"]


def test_lines_are_those_of_the_article():
    log = MNIST_LOG["initkit_random"]
    shown = TrainingRun("random", 0, log.cost, log.accuracy)
    assert views.epoch_lines(shown, 1) == "Epoch:0001cost=8.209401439\nAccuracy:0.2899"
    assert views.epoch_lines(shown, 3) == "Epoch:0003cost=3.084369575\nAccuracy:0.56"
    assert views.banner(dataclasses.replace(shown, scheme="xavier")) == (
        "*****************xavier initialize w************************"
    )


def test_distances_are_in_standard_deviations_of_the_runs():
    apart = views.distances(article_result())
    assert len(np.concatenate(list(apart.values()))) == 80
    for sizes in apart.values():
        np.testing.assert_allclose(sizes, 0, atol=1e-6)
    for sizes in views.distances(article_result(shift=0.01)).values():
        # two runs at +-a have a standard deviation of sqrt(2) a
        np.testing.assert_allclose(sizes, -0.01 / (2**0.5 * 1e-3))
    said = "\n".join(views.conclusions(article_result()))
    assert "80 of 80 published numbers within 3 standard deviations" in said
    shifted = "\n".join(views.conclusions(article_result(shift=0.1)))
    assert "0 of 80 published numbers within 3 standard deviations" in shifted


def test_the_articles_own_log_says_13_and_1():
    cost_accuracy = [(np.array(log.cost), np.array(log.accuracy)) for log in MNIST_LOG.values()]
    assert views.overtaking(*cost_accuracy) == (13, 1)
    said = "\n".join(views.conclusions(article_result(seeds=1)))
    assert "at epoch 13; the article's log: 13, its text: 11." in said
    never = "\n".join(views.conclusions(article_result(seeds=1, epochs=5)))
    assert "at epoch later than 5;" in never


@pytest.mark.parametrize("seeds", [1, 2])
def test_the_summary_fits_80_columns_and_holds_the_numbers(seeds):
    console = Console(width=80, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(printed(views.page(article_result(seeds))))
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    for number in ("8.2094", "0.2899", "0.9796", "0.8094", "0.3465", "0.9110"):
        assert number in text
    console.file.close()


def test_numbers_of_another_recipe_or_data_are_called_not_comparable():
    other = article_result(learning_rate=0.1)
    assert views.distances(other) == {}
    assert "NOT comparable" in "\n".join(views.page(other).unsupported)
    not_mnist = dataclasses.replace(
        article_result(), data={"source": "digits", "description": "d", "comparable": False}
    )
    assert views.log_text(not_mnist).startswith("These numbers are NOT comparable")
    assert "NOT comparable" not in "\n".join(views.conclusions(article_result()))


def test_the_files_hold_the_whole_result(tmp_path):
    result = run(digits(seeds=2), report=quiet)
    write(result, views.page(result), tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"result.json", "log.txt", "curves.png"}
    stored = json.loads((tmp_path / "result.json").read_text())
    assert stored["root_seed"] == 0
    assert stored["data"]["source"] == "digits"
    assert stored["config"]["schemes"] == ["random", "xavier"]
    assert {"keras", "tensorflow", "numpy", "python", "keras-inits"} == set(stored["versions"])
    for kept, measured in zip(stored["runs"], result.runs, strict=True):
        assert kept == {
            "scheme": measured.scheme,
            "seed": measured.seed,
            "cost": list(measured.cost),
            "accuracy": list(measured.accuracy),
        }
    assert (tmp_path / "log.txt").read_text().count("Epoch:0003cost=") == 4
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_real_mnist_gives_the_articles_numbers_from_the_first_epochs(mnist_dir):
    config = MnistLogConfig(seeds=1, epochs=2, data_dir=mnist_dir, trainer="fit")
    result = run(config, report=quiet)
    assert result.follows_the_article
    random, xavier = result.runs
    # mean and standard deviation of 20 seeds of a plain NumPy program
    assert abs(random.cost[0] - 8.27) < 4 * 0.84
    assert abs(random.accuracy[0] - 0.290) < 4 * 0.040
    assert abs(xavier.cost[0] - 1.236) < 4 * 0.040
    assert abs(xavier.accuracy[0] - 0.834) < 4 * 0.012


@pytest.mark.slow
@pytest.mark.parametrize("trainer", ["population", "fit"])
def test_all_80_published_numbers_are_within_3_standard_deviations_of_20_seeds(mnist_dir, trainer):
    result = run(MnistLogConfig(seeds=20, data_dir=mnist_dir, trainer=trainer), report=quiet)
    sizes = np.abs(np.concatenate(list(views.distances(result).values())))
    assert sizes.size == 80
    assert sizes.max() <= 3
    # the same runs must not fit a log that is one epoch late
    late = [
        TrainingRun(r.scheme, r.seed, (r.cost[0], *r.cost[:-1]), (r.accuracy[0], *r.accuracy[:-1]))
        for r in result.runs
    ]
    wrong = views.distances(dataclasses.replace(result, runs=tuple(late)))
    assert np.abs(np.concatenate(list(wrong.values()))).max() > 10
