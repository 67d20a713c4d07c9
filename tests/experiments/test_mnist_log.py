import dataclasses
import functools
import json
import os
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from keras_inits._compare import Comparison, chunks
from keras_inits._compare.weights import draw
from keras_inits.datasets import load_mnist
from keras_inits.experiments import MnistLogConfig, MnistLogResult, mnist_log
from keras_inits.experiments._article_log import distances, log_lines, overtaking
from keras_inits.experiments._mnist_log_page import log_text
from keras_inits.experiments._published import MNIST_LOG
from keras_inits.experiments.mnist_log import run


def quiet(*_):
    pass


def digits(**options):
    return MnistLogConfig(source="digits", **{"seeds": 1, "epochs": 3, "trainer": "fit"} | options)


@functools.cache
def trained(config):
    """A run that tests share: it follows from its configuration alone, as one of them checks."""
    return run(config, report=quiet)


def article_result(seeds=2, epochs=20, shift=0.0, **config):
    """A result whose runs lie to both sides of the article's log, 0.001 away, and `shift` off."""

    def runs(metric):
        values = np.array([getattr(log, metric)[:epochs] for log in MNIST_LOG.values()])
        sides = 1e-3 * np.where(np.arange(seeds) % 2, 1, -1)
        return values[:, None, :] + sides[:, None] + shift

    return MnistLogResult(
        MnistLogConfig(seeds=seeds, epochs=epochs, **config),
        {},
        {"source": "idx", "description": "MNIST", "comparable": True},
        Comparison(
            schemes=("random", "xavier"),
            seeds=tuple(range(seeds)),
            history={"loss": runs("cost"), "test_accuracy": runs("accuracy")},
            metric="test_accuracy",
            chance={},
            samples={},
            trainer="population",
            notes=(),
            settings={"seed": 0},
        ),
    )


def one_epoch_late(result):
    """The same runs, each value an epoch later."""
    history = {
        metric: np.concatenate([values[..., :1], values[..., :-1]], axis=-1)
        for metric, values in result.comparison.history.items()
    }
    comparison = dataclasses.replace(result.comparison, history=history)
    return dataclasses.replace(result, comparison=comparison)


def numpy_run(config, scheme, seed, order_seed):
    """Cost and accuracy of each epoch of softmax regression, written out."""
    data = load_mnist("digits", report=quiet)
    x, labels = data.train_images, data.train_labels
    model = mnist_log.build(x.shape[1])
    drawn = draw(model, keras.initializers.get(f"initkit_{scheme}"), config.seed, seed)
    kernel, bias = (w.astype("float64") for w in drawn)
    costs, accuracies = [], []
    for epoch in range(config.epochs):
        order = np.random.default_rng([config.seed, order_seed, epoch]).permutation(len(x))
        total = 0.0
        for start in range(0, len(x), config.batch_size):
            rows = order[start : start + config.batch_size]
            logits = x[rows] @ kernel + bias
            share = np.exp(logits - logits.max(axis=1, keepdims=True))
            share /= share.sum(axis=1, keepdims=True)
            total -= np.log(share[np.arange(len(rows)), labels[rows]]).sum()
            share[np.arange(len(rows)), labels[rows]] -= 1
            kernel -= config.learning_rate * x[rows].T @ share / len(rows)
            bias -= config.learning_rate * share.mean(axis=0)
        costs.append(total / len(x))
        guesses = (data.test_images @ kernel + bias).argmax(axis=1)
        accuracies.append(np.mean(guesses == data.test_labels))
    return costs, accuracies


def test_fit_gives_the_numbers_of_a_plain_numpy_loop():
    result, config = trained(digits(seeds=2)), digits(seeds=2, epochs=2)
    assert result.comparison.trainer == "fit"

    def first(scheme, metric, seed):
        return result.values(scheme, metric)[seed, : config.epochs]

    for scheme in config.schemes:
        for seed in range(2):
            cost, accuracy = numpy_run(config, scheme, seed, order_seed=seed)
            np.testing.assert_allclose(first(scheme, "cost", seed), cost, rtol=4e-7)
            np.testing.assert_allclose(first(scheme, "accuracy", seed), accuracy, atol=1e-6)
    other, _ = numpy_run(config, "random", 1, order_seed=0)  # batches of another seed
    assert np.abs(first("random", "cost", 1) / other - 1).max() > 1e-5


def test_runs_are_repeatable_and_paired_by_seed():
    config = digits(seeds=2)
    result = trained(config)
    assert run(config, report=quiet) == result
    costs = np.stack([result.values(scheme, "cost") for scheme in config.schemes])
    assert costs.shape == (2, 2, 3)
    assert len(np.unique(costs)) == costs.size
    other = run(dataclasses.replace(config, seed=1, seeds=1), report=quiet)
    assert np.all(other.values("random", "cost") != costs[0, :1])


def test_the_population_gives_the_log_of_fit_for_the_first_seed():
    side_by_side = run(digits(seeds=2, trainer="population"), report=quiet)
    one_by_one = trained(digits(seeds=2))
    for scheme in ("random", "xavier"):
        for metric in ("cost", "accuracy"):
            ours, theirs = side_by_side.values(scheme, metric), one_by_one.values(scheme, metric)
            np.testing.assert_allclose(ours[0], theirs[0], atol=1e-4)
        # later seeds: the same weights, other batches
        ours, theirs = (r.values(scheme, "cost")[1] for r in (side_by_side, one_by_one))
        assert np.all(ours != theirs)
        np.testing.assert_allclose(ours, theirs, rtol=0.2)


def test_a_population_resumes_from_its_finished_runs(tmp_path, monkeypatch):
    first = run(digits(trainer="population", seeds=2, out=tmp_path), report=quiet)
    trained = []
    original = chunks.train_population

    def watch(plan, members, *rest):
        trained.extend(members)
        return original(plan, members, *rest)

    monkeypatch.setattr(chunks, "train_population", watch)
    more = run(digits(trainer="population", seeds=3, out=tmp_path), report=quiet)
    assert trained == [("random", 2), ("xavier", 2)]
    for scheme in ("random", "xavier"):
        np.testing.assert_array_equal(more.values(scheme, "cost")[:2], first.values(scheme, "cost"))
    fresh = run(digits(trainer="population", seeds=3), report=quiet)
    np.testing.assert_allclose(
        more.values("xavier", "cost")[-1], fresh.values("xavier", "cost")[-1], atol=1e-5
    )


def test_training_lowers_the_cost_and_random_starts_worse():
    result = run(digits(epochs=5), report=quiet)
    random, xavier = (result.values(scheme, "cost")[0] for scheme in ("random", "xavier"))
    assert np.all(np.diff(random) < 0)
    assert np.all(np.diff(xavier) < 0)
    assert random[0] > xavier[0]


def test_finished_runs_of_fit_are_not_trained_again(tmp_path, monkeypatch):
    first = run(digits(epochs=2, out=tmp_path), report=quiet)
    monkeypatch.setattr(keras.Model, "fit", None)
    assert run(digits(epochs=2, out=tmp_path), report=quiet) == first
    fewer = run(digits(epochs=1, out=tmp_path), report=quiet)
    np.testing.assert_array_equal(
        fewer.values("random", "cost"), first.values("random", "cost")[:, :1]
    )


def test_a_folder_with_another_recipe_is_refused(tmp_path):
    run(digits(epochs=1, out=tmp_path), report=quiet)
    for change in ({"learning_rate": 0.1}, {"batch_size": 50}, {"seed": 5}):
        with pytest.raises(ValueError, match=r"other settings.*Received"):
            run(digits(epochs=1, out=tmp_path, **change), report=quiet)


@pytest.mark.slow
def test_a_killed_process_resumes_from_its_last_epoch(tmp_path):
    command = [sys.executable, "-m", "keras_inits", "reproduce", "mnist-log"]
    command += ["--source", "digits", "--epochs", "400", "--out", str(tmp_path), "--seeds", "1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while not (kept := list(tmp_path.glob("state/runs/epoch-*.npz"))):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(0.3)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    with np.load(kept[0]) as state:
        finished = len(json.loads(str(state["histories"]))[0]["loss"])
    assert 0 < finished < 400
    assert not (tmp_path / "result.json").exists()
    subprocess.run(command, check=True, capture_output=True)
    resumed = MnistLogResult.from_dict(json.loads((tmp_path / "result.json").read_text()))
    whole = run(digits(epochs=400, trainer="auto"), report=quiet)
    np.testing.assert_allclose(
        resumed.values("random", "cost"), whole.values("random", "cost"), rtol=1e-5
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"seeds": 0},
        {"epochs": 0},
        {"batch_size": -1},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"seed": -1},
        {"schemes": ()},
        {"schemes": ("he", "he")},
        {"schemes": ("xaver",)},
        {"schemes": "xavier"},
        {"schemes": (None,)},
        {"trainer": "fti"},
    ],
)
def test_a_wrong_configuration_is_refused_before_anything_runs(wrong):
    with pytest.raises(ValueError, match="Received"):
        MnistLogConfig(**wrong)


def test_any_registered_name_is_a_scheme():
    result = run(digits(epochs=1, schemes=("zeros", "initkit_he", "he_normal")), report=quiet)
    assert result.comparison.schemes == ("zeros", "initkit_he", "he_normal")


def test_lines_are_those_of_the_article():
    log = MNIST_LOG["initkit_random"]
    lines = log_lines("random", 0, log.cost, log.accuracy).splitlines()
    assert lines[:3] == [
        "*****************random initialize w************************",
        "Epoch:0001cost=8.209401439",
        "Accuracy:0.2899",
    ]
    assert lines[5:7] == ["Epoch:0003cost=3.084369575", "Accuracy:0.56"]
    assert log_lines("xavier", 2, log.cost, log.accuracy).startswith(
        "*****************xavier (seed 2) initialize w**"
    )


def test_distances_are_in_standard_deviations_of_the_runs():
    apart = distances(article_result())
    assert len(np.concatenate(list(apart.values()))) == 80
    for sizes in apart.values():
        np.testing.assert_allclose(sizes, 0, atol=1e-6)
    # two runs at +-a have a standard deviation of sqrt(2) a; float32 holds 7 digits of 8.2
    for (_, metric), sizes in distances(article_result(shift=0.01)).items():
        expected = -0.01 / (2**0.5 * 1e-3)
        np.testing.assert_allclose(sizes, expected, rtol=1e-3 if metric == "accuracy" else 1e-7)


def test_numbers_that_do_not_come_out_are_said_and_found():
    said = "\n".join(article_result().page().supported)
    assert "80 of 80 published numbers lie within 3 standard deviations" in said
    article_result().assert_ok()
    shifted = article_result(shift=0.1)
    assert "0 of 80 published numbers lie within 3" in "\n".join(shifted.page().supported)
    assert len(shifted.findings) == 80
    assert "cost of epoch 1 lies -70.7 standard deviations" in shifted.findings[0].evidence


def test_the_articles_own_log_says_13_and_1():
    cost_accuracy = [(np.array(log.cost), np.array(log.accuracy)) for log in MNIST_LOG.values()]
    assert overtaking(*cost_accuracy) == (13, 1)
    said = "\n".join(article_result(seeds=1).page().supported)
    assert "at epoch 13; the article's log: 13, its text: 11." in said
    never = "\n".join(article_result(seeds=1, epochs=5).page().supported)
    assert "at epoch later than 5;" in never


@pytest.mark.parametrize("seeds", [1, 2])
def test_the_summary_fits_80_columns_and_holds_the_numbers(seeds):
    text = article_result(seeds).summary()
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    for number in ("8.2094", "0.2899", "0.9796", "0.8094", "0.3465", "0.9110"):
        assert number in text
    assert "RJ, “DL function”, 2019-11-29" in text


def test_numbers_of_another_recipe_or_data_are_called_not_comparable():
    other = article_result(learning_rate=0.1)
    assert distances(other) == {}
    assert "NOT comparable" in "\n".join(other.page().unsupported)
    not_mnist = dataclasses.replace(
        article_result(), data={"source": "digits", "description": "d", "comparable": False}
    )
    assert log_text(not_mnist).startswith("These numbers are NOT comparable")
    assert "NOT comparable" not in "\n".join(article_result().page().supported)


def test_the_files_hold_the_whole_result(tmp_path):
    result = run(digits(seeds=2), report=quiet)
    result.write(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"result.json", "log.txt", "curves.png"}
    stored = json.loads((tmp_path / "result.json").read_text())
    assert stored["experiment"] == "mnist-log"
    assert stored["config"]["seed"] == 0
    assert stored["data"]["source"] == "digits"
    assert stored["config"]["schemes"] == ["random", "xavier"]
    assert {"keras", keras.backend.backend(), "numpy", "python", "keras-inits"} == set(
        stored["versions"]
    )
    assert MnistLogResult.from_dict(stored) == result
    assert (tmp_path / "log.txt").read_text().count("Epoch:0003cost=") == 4


def test_its_figure_shows_our_means_and_the_articles_numbers():
    result = article_result()
    cost, accuracy = result.page().pictures[0].draw().axes
    assert cost.get_ylabel() == "training cross-entropy (nats)"
    assert accuracy.get_ylabel() == "test accuracy"
    for ax, metric in ((cost, "cost"), (accuracy, "accuracy")):
        assert ax.get_xlabel() == "epoch"
        lines = [line for line in ax.lines if len(line.get_xdata()) == 20]
        assert len(lines) == 4  # of each scheme our mean, and the article's circles
        np.testing.assert_allclose(
            lines[0].get_ydata(), result.values("random", metric).mean(axis=0)
        )
        np.testing.assert_array_equal(
            lines[1].get_ydata(), getattr(MNIST_LOG["initkit_random"], metric)
        )
    not_mnist = dataclasses.replace(result, data={"description": "d", "comparable": False})
    bare = not_mnist.page().pictures[0].draw()
    assert [len(ax.lines) for ax in bare.axes] == [2, 2]


def test_real_mnist_gives_the_articles_numbers_from_the_first_epochs(mnist_dir):
    config = MnistLogConfig(seeds=10, epochs=2, data_dir=mnist_dir)
    result = run(config, report=quiet)
    assert result.follows_the_article
    # The mean of 20 seeds of a plain NumPy program, within 4 standard errors of that of 10 of ours
    for scheme, metric, mean, sd in (
        ("random", "cost", 8.27, 0.84),
        ("random", "accuracy", 0.290, 0.040),
        ("xavier", "cost", 1.236, 0.040),
        ("xavier", "accuracy", 0.834, 0.012),
    ):
        error = sd * (1 / 10 + 1 / 20) ** 0.5
        first, second = result.values(scheme, metric).mean(axis=0)
        assert abs(first - mean) < 4 * error
        assert abs(second - mean) > 4 * error  # an epoch later is told apart
    assert np.abs(np.concatenate(list(distances(result).values()))).max() < 3
    late = distances(one_epoch_late(result))
    assert np.abs(np.concatenate(list(late.values()))).max() > 10


@pytest.mark.slow
@pytest.mark.parametrize("trainer", ["population", "fit"])
def test_all_80_published_numbers_are_within_3_standard_deviations_of_20_seeds(mnist_dir, trainer):
    result = run(MnistLogConfig(seeds=20, data_dir=mnist_dir, trainer=trainer), report=quiet)
    sizes = np.abs(np.concatenate(list(distances(result).values())))
    assert sizes.size == 80
    assert sizes.max() <= 3
    result.assert_ok()
    # the same runs must not fit a log that is one epoch late
    wrong = distances(one_epoch_late(result))
    assert np.abs(np.concatenate(list(wrong.values()))).max() > 10
