"""Finished runs on disk, and the calls that resume from them."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
from compare.small_models import BUILD, SCHEMES, not_on_torch, same, sequential, small_plan
from keras import layers
from versions import ON_TORCH

from keras_inits import Execution, compare
from keras_inits._compare import chunks
from keras_inits._compare.population import train_population
from keras_inits._compare.store import Store


def test_a_damaged_epoch_is_reported(tmp_path):
    state = Store(tmp_path, {}, {}).state([("he", 0)], epochs=1)
    state.save([np.ones(3)], [{"loss": [1.0]}])
    (values,), histories = state.load([(3,)])
    np.testing.assert_array_equal(values, np.ones(3))
    assert histories == [{"loss": [1.0]}]
    assert state.load([(1, 3)]) is None
    (file,) = (tmp_path / "runs").iterdir()
    file.write_bytes(b"half a fi")
    with pytest.raises(ValueError, match=r"is damaged.*Delete it"):
        state.load([(3,)])


def test_finished_chunks_are_kept_and_not_trained_again(
    images, options, whole, tmp_path, monkeypatch
):
    original, trained = chunks.train_population, []

    def stop_at_the_second(plan, members, *rest):
        if trained:
            raise KeyboardInterrupt
        trained.extend(members)
        return original(plan, members, *rest)

    monkeypatch.setattr(chunks, "train_population", stop_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        compare(BUILD, SCHEMES, images, **options, execution=Execution(chunk_size=2, out=tmp_path))
    assert trained == [("he", 0), ("zeros", 0)]

    def watch(plan, members, *rest):
        trained.extend(members)
        return original(plan, members, *rest)

    monkeypatch.setattr(chunks, "train_population", watch)
    resumed = compare(
        BUILD, SCHEMES, images, **options, execution=Execution(chunk_size=2, out=tmp_path)
    )
    assert trained == [("he", 0), ("zeros", 0), ("he", 1), ("zeros", 1)]
    assert same(resumed, whole)
    trained.clear()
    options |= {"execution": Execution(out=tmp_path)}
    more = compare(BUILD, [*SCHEMES, "lecun"], images, **options)
    assert trained == [("lecun", 0), ("lecun", 1)]
    assert same(compare(BUILD, SCHEMES, images, **options), whole)
    assert more.schemes == ("he", "zeros", "lecun")


def test_a_run_of_fit_that_was_stopped_resumes_with_the_same_numbers(
    images, options, tmp_path, monkeypatch
):
    build = sequential(lambda: layers.Dropout(0.2), layers.Flatten)
    options |= {"optimizer": "adam", "epochs": 3, "seeds": 1, "keep_weights": True}
    whole = compare(build, SCHEMES, images, **options, execution=Execution(trainer="fit"))

    def stop(progress):
        if progress.done == 5:  # of 3 epochs of each of two schemes
            raise KeyboardInterrupt

    execution = Execution(trainer="fit", out=tmp_path, on_progress=stop)
    with pytest.raises(KeyboardInterrupt):
        compare(build, SCHEMES, images, **options, execution=execution)
    original, resumed_at = keras.Model.fit, []

    def fit(self, *args, initial_epoch=0, **kwargs):
        resumed_at.append(initial_epoch)
        return original(self, *args, initial_epoch=initial_epoch, **kwargs)

    monkeypatch.setattr(keras.Model, "fit", fit)
    execution = Execution(trainer="fit", out=tmp_path)
    resumed = compare(build, SCHEMES, images, **options, execution=execution)
    assert resumed_at == [2]
    for metric in whole.metrics:
        np.testing.assert_array_equal(resumed.values(metric), whole.values(metric))
    for run, weights in whole.weights.items():
        for ours, theirs in zip(resumed.weights[run], weights, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert not list(tmp_path.glob("runs/epoch-*"))


@pytest.mark.skipif(not ON_TORCH, reason="of torch: a dropout that draws from a global generator")
def test_random_numbers_follow_from_the_seed_and_leave_the_global_generator_alone(images, options):
    import torch

    build, execution = (
        sequential(lambda: layers.Dropout(0.5), layers.Flatten),
        Execution(trainer="fit"),
    )
    found = []
    for number in (1, 2):
        torch.manual_seed(number)
        found.append(compare(build, SCHEMES, images, **options, execution=execution))
        assert torch.equal(torch.get_rng_state(), torch.manual_seed(number).get_state())
    assert same(*found)


def test_fit_feeds_several_inputs_in_every_structure_and_cuts_epochs_by_steps(images, options):
    x = images.x.reshape(len(images.x), -1)[:100]
    data = {"list": ([x[:, :64], x[:, 64:]], images.y[:100])}
    data["dict"] = ({"a": x[:, :64], "b": x[:, 64:]}, images.y[:100])

    def build():
        inputs = [keras.Input((64,), name=name) for name in "ab"]
        return keras.Model(inputs, layers.Dense(3)(layers.Concatenate()(inputs)))

    options |= {"epochs": 2, "seeds": 1, "steps_per_epoch": 5}  # of 3 full batches and one of 4
    side_by_side = compare(build, ["he"], data["dict"], **options)
    assert side_by_side.trainer == "population"
    options["execution"] = Execution(trainer="fit")
    for pair in data.values():
        assert same(compare(build, ["he"], pair, **options), side_by_side)
    options["steps_per_epoch"] = 4
    assert not same(compare(build, ["he"], data["dict"], **options), side_by_side)


def test_deleting_a_chunk_costs_that_chunk_alone(images, options, tmp_path, monkeypatch):
    execution = Execution(chunk_size=2, out=tmp_path)
    options |= {"seeds": 3}
    whole = compare(BUILD, SCHEMES, images, **options, execution=execution)
    files = sorted((tmp_path / "runs").iterdir())
    assert len(files) == 3
    files[0].unlink()
    contents = {file: file.read_bytes() for file in files[1:]}
    original, trained = chunks.train_population, []

    def watch(plan, members, *rest):
        trained.extend(members)
        return original(plan, members, *rest)

    monkeypatch.setattr(chunks, "train_population", watch)
    for _ in range(2):
        assert same(compare(BUILD, SCHEMES, images, **options, execution=execution), whole)
        assert len(trained) == 2  # and none in the second call
        assert {file: file.read_bytes() for file in files[1:]} == contents
        assert sorted((tmp_path / "runs").iterdir()) == files


def test_a_trainer_that_is_asked_for_is_not_answered_by_another(images, options, tmp_path):
    options |= {"seeds": 1}
    for trainer in ("population", "fit", "population"):
        execution = Execution(trainer=trainer, out=tmp_path)
        result = compare(BUILD, ["he"], images, **options, execution=execution)
        assert result.trainer == trainer
    assert len(list((tmp_path / "runs").iterdir())) == 2


def test_what_killed_writes_leave_behind_is_removed(images, options, tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (tmp_path / "runs").mkdir()
    host = re.sub(r"\W", "_", socket.gethostname())
    left = tmp_path / "runs" / f".chunk-1.json.{host}-{dead.pid}-0.tmp"
    elsewhere = tmp_path / "runs" / ".chunk-1.json.elsewhere-1-0.tmp"
    mine = tmp_path / f".settings.json.{host}-{os.getpid()}-0.tmp"
    notes = tmp_path / ".notes"
    for file in (left, elsewhere, mine, notes):
        file.write_text("half")
    Store(tmp_path, {}, {})
    assert not left.exists()
    assert elsewhere.exists()  # it may still be written
    assert mine.exists()
    assert notes.exists()
    two_days_ago = time.time() - 2 * 24 * 60 * 60
    os.utime(elsewhere, (two_days_ago, two_days_ago))
    Store(tmp_path, {}, {})
    assert not elsewhere.exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"batch_size": 16}, "batch_size=32.*Received.*batch_size=16"),
        ({"optimizer": "adam"}, "optimizer=.*SGD.*Received.*optimizer=.*Adam"),
        ({"seed": 3}, "seed=0.*Received.*seed=3"),
    ],
)
def test_a_folder_of_another_comparison_is_refused(change, says, images, options, tmp_path):
    compare(BUILD, ["he"], images, **options | {"seeds": 1}, execution=Execution(out=tmp_path))
    with pytest.raises(ValueError, match=f"(?s)other settings.*{says}"):
        compare(
            BUILD,
            ["he"],
            images,
            **options | {"seeds": 1} | change,
            execution=Execution(out=tmp_path),
        )


def test_other_data_and_another_scheme_of_one_label_are_refused(images, options, tmp_path):
    options["seeds"] = 1
    compare(BUILD, {"mine": "he"}, images, **options, execution=Execution(out=tmp_path))
    with pytest.raises(ValueError, match="data="):
        compare(
            BUILD,
            {"mine": "he"},
            (images.x + 1, images.y),
            **options,
            execution=Execution(out=tmp_path),
        )
    with pytest.raises(ValueError, match=r"mine='HeInit'.*Received.*mine='LecunInit'"):
        compare(BUILD, {"mine": "lecun"}, images, **options, execution=Execution(out=tmp_path))


@pytest.mark.slow
def test_a_killed_process_goes_on_from_its_finished_chunks(tmp_path):
    script = (
        "import sys, keras\nfrom keras_inits import Execution, compare\n"
        "from keras_inits._cli.models import builder\n"
        "compare(builder('softmax', (64,), 10), ['he', 'zeros'], 'digits', seeds=4, epochs=30,\n"
        "  loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), optimizer='sgd',\n"
        "  execution=Execution(chunk_size=2, out=sys.argv[1])\n"
        ").to_json(sys.argv[1] + '/result.json')\n"
    )
    command = [sys.executable, "-c", script]
    process = subprocess.Popen([*command, str(tmp_path)], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("runs/*.json")) and time.monotonic() < deadline:
            time.sleep(0.02)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    kept = list(tmp_path.glob("runs/*.json"))
    assert 0 < len(kept) < 4
    times = {file: file.stat().st_mtime_ns for file in kept}
    subprocess.run([*command, str(tmp_path)], check=True, capture_output=True)
    assert times == {file: file.stat().st_mtime_ns for file in kept}
    whole = tmp_path / "whole"
    subprocess.run([*command, str(whole)], check=True, capture_output=True)
    ours, theirs = (
        json.loads((folder / "result.json").read_text())["history"] for folder in (tmp_path, whole)
    )
    assert ours == theirs


@pytest.mark.parametrize(
    "trainer",
    [
        pytest.param("population", marks=not_on_torch),
        pytest.param("fit", marks=pytest.mark.slow),
    ],
)
def test_kept_weights_are_those_that_the_run_ended_with(images, options, tmp_path, trainer):
    build = sequential(
        layers.BatchNormalization,
        layers.Flatten,
        lambda: layers.Dense(4),
        layers.BatchNormalization,
    )
    options |= {"execution": Execution(trainer=trainer, out=tmp_path)}
    result = compare(build, SCHEMES, images, **options, keep_weights=True)
    x, y = images.evaluation["test"]
    for i, scheme in enumerate(result.schemes):
        for seed in result.seeds:
            model = build()
            model.set_weights(result.weights[scheme, seed])
            model.compile(loss=options["loss"], metrics=["accuracy"])
            loss, accuracy = model.evaluate(x, y, verbose=0)
            assert loss == pytest.approx(result.final("test_loss")[i, seed], rel=1e-4)
            assert accuracy == pytest.approx(result.final("test_accuracy")[i, seed], abs=1e-6)
    again = compare(build, SCHEMES, images, **options, keep_weights=True)
    for key, weights in result.weights.items():
        for one, other in zip(weights, again.weights[key], strict=True):
            np.testing.assert_array_equal(one, other)
    assert compare(build, SCHEMES, images, **options).weights == {}
    longer = compare(build, SCHEMES, images, **options | {"epochs": 2}, keep_weights=True)
    assert not np.array_equal(longer.weights["he", 0][4], result.weights["he", 0][4])


def test_a_state_of_other_threads_is_trained_again(images, tmp_path):
    plan = small_plan(images, 2)
    members = [(label, seed) for seed in range(2) for label in SCHEMES]
    state = Store(tmp_path, {}, {}).state(members, plan.epochs)
    whole, epochs = train_population(plan, members, threads=1), []

    def stop(epoch):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_population(plan, members, stop, state, threads=2)
    resumed = train_population(plan, members, epochs.append, state, threads=1)
    # the parts of a population on JAX are the same for any number of threads
    assert epochs == ([2] if keras.backend.backend() == "jax" else [1, 2])
    np.testing.assert_allclose(resumed[0].history["loss"], whole[0].history["loss"], rtol=1e-5)


@pytest.mark.slow
@not_on_torch
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_population_that_was_stopped_goes_on_from_its_last_epoch(
    images, options, tmp_path, optimizer
):
    options |= {"epochs": 3, "optimizer": optimizer}
    build = sequential(layers.Flatten, layers.BatchNormalization, lambda: layers.Dense(8))
    whole = compare(build, SCHEMES, images, **options)
    told = []

    def stop_after_two(progress):
        told.append(progress.done)
        if len(told) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare(
            build,
            SCHEMES,
            images,
            **options,
            execution=Execution(out=tmp_path, on_progress=stop_after_two),
        )
    assert len(list((tmp_path / "runs").glob("epoch-*.npz"))) == 1
    execution = Execution(out=tmp_path, on_progress=lambda p: told.append(p.done))
    resumed = compare(build, SCHEMES, images, **options, execution=execution)
    assert len(told) == 3  # one epoch was left
    assert same(resumed, whole)
    assert not list((tmp_path / "runs").glob("epoch-*.npz"))
