import json
import os
import signal
import subprocess
import sys
import time

import joblib
import keras
import numpy as np
import pytest
from compare.small_models import sequential
from keras import layers

import keras_inits
from keras_inits import compare
from keras_inits._compare import chunks
from keras_inits._compare.chunks import cut, members_in_memory
from keras_inits._compare.data import as_training_data, epoch_rows
from keras_inits._compare.plan import Plan
from keras_inits._compare.population import train_population
from keras_inits._compare.store import Store
from keras_inits._compare.weights import draw, labelled

BUILD = sequential(layers.Flatten, lambda: layers.Dense(8, "relu"))
SCHEMES = ["he", "zeros"]


def small_plan(images, epochs):
    return Plan(
        BUILD,
        labelled(SCHEMES),
        images,
        epochs,
        32,
        optimizer="adam",
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )


def same(ours, theirs):
    return all(
        np.allclose(ours.values(m), theirs.values(m), atol=1e-5, rtol=0) for m in theirs.metrics
    )


def test_runs_are_paired_and_follow_from_the_root_seed(images, options):
    random_state = np.random.get_state()[1].copy()  # noqa: NPY002
    first = compare(BUILD, SCHEMES, images, **options)
    assert same(compare(BUILD, SCHEMES, images, **options), first)
    assert not same(compare(BUILD, SCHEMES, images, **options, root_seed=1), first)
    assert np.all(np.random.get_state()[1] == random_state)  # noqa: NPY002
    # a scheme's runs do not depend on what it is compared with
    alone = compare(BUILD, ["he"], images, **options)
    np.testing.assert_allclose(alone.final()[0], first.final()[0], atol=1e-5)
    one = compare(BUILD, ["he"], images, **options | {"seeds": [1]})
    np.testing.assert_allclose(one.final()[0], first.final()[0, 1:], atol=1e-5)


def test_two_layers_of_one_shape_start_apart_and_biases_keep_their_initializer(images):
    def build():
        return keras.Sequential(
            [
                keras.Input((4,)),
                layers.Dense(4, bias_initializer="ones"),
                layers.Dense(4, bias_initializer=keras.initializers.RandomNormal(seed=1)),
            ]
        )

    plan = Plan(build, labelled(SCHEMES), images, 1, 1, loss="mse", optimizer="sgd")
    model = plan.model()
    kernel, bias, other, random_bias = plan.starting_weights(model, "he", 0)
    assert np.all(kernel != other)
    assert np.all(bias == 1)
    zeros = plan.starting_weights(model, "zeros", 0)
    assert np.all(zeros[0] == 0)
    np.testing.assert_array_equal(zeros[3], random_bias)  # the same under every scheme
    assert np.all(plan.starting_weights(model, "he", 1)[3] != random_bias)
    keras_inits.initialize(model, "he", seed=0)
    np.testing.assert_array_equal(kernel, model.trainable_variables[0])


def test_a_build_that_takes_the_scheme_is_given_it(images, options):
    def build(scheme):
        return sequential(layers.Flatten, lambda: layers.Dense(8, kernel_initializer=scheme))()

    result = compare(build, SCHEMES, images, **options)
    assert result.trainer == "population"
    fit = compare(build, ["zeros"], images, trainer="fit", **options)
    assert np.all(np.isfinite(fit.final()))


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
        compare(build, SCHEMES, images, **options, out=tmp_path, on_progress=stop_after_two)
    assert len(list((tmp_path / "runs").glob("epoch-*.npz"))) == 1
    resumed = compare(
        build, SCHEMES, images, **options, out=tmp_path, on_progress=lambda p: told.append(p.done)
    )
    assert len(told) == 3  # one epoch was left
    assert same(resumed, whole)
    assert not list((tmp_path / "runs").glob("epoch-*.npz"))


def test_a_damaged_epoch_is_told(images, options, tmp_path):
    plan = Plan(BUILD, labelled(SCHEMES), images, 1, 1)
    state = Store(tmp_path, {}, {}).state([("he", 0)], plan.epochs)
    state.save([np.ones(3)], [{"loss": [1.0]}])
    (values,), histories = state.load()
    np.testing.assert_array_equal(values, np.ones(3))
    assert histories == [{"loss": [1.0]}]
    (file,) = (tmp_path / "runs").iterdir()
    file.write_bytes(b"half a fi")
    with pytest.raises(ValueError, match=r"is damaged.*Delete it"):
        state.load()


def test_what_no_scheme_draws_is_said(images, options):
    class Scale(layers.Layer):
        def build(self, shape):
            self.scale = self.add_weight(shape=(shape[-1],), initializer="ones", name="scale")

        def call(self, x):
            return x * self.scale

    build = sequential(lambda: layers.DepthwiseConv2D(3), layers.Flatten, Scale)
    (note,) = compare(build, ["he"], images, **options).notes
    assert "equal in every run" in note
    assert "scale" in note
    assert "depthwise_conv2d" not in note


def test_kernels_are_drawn_in_the_geometry_of_their_layer():
    model = keras.Sequential([keras.Input((8, 8, 512)), layers.DepthwiseConv2D(3)])
    kernel, bias = draw(model, keras_inits.HeInit(), root_seed=0, seed=0)
    assert np.std(kernel) == pytest.approx((2 / 9) ** 0.5, rel=0.05)
    assert np.all(bias == 0)


def test_chunks_give_the_same_numbers(images, options):
    whole = compare(BUILD, SCHEMES, images, **options)
    assert same(compare(BUILD, SCHEMES, images, **options, chunk_size=2), whole)
    assert same(compare(BUILD, SCHEMES, images, **options, chunk_size=1), whole)


def test_schemes_of_a_seed_stay_together():
    members = [(label, seed) for seed in range(3) for label in "ab"]
    assert [len(chunk) for chunk in cut(members, 5, 2)] == [4, 2]
    assert [len(chunk) for chunk in cut(members, 1, 2)] == [1] * 6
    assert cut(members, 100, 2) == [members]


def test_bigger_models_go_in_smaller_chunks(images):
    def members(units, memory=1e8):
        build = sequential(layers.Flatten, lambda: layers.Dense(units))
        plan = Plan(build, labelled(["he"]), images, 1, 32, loss="mse", optimizer="sgd")
        return members_in_memory(plan, plan.model(), memory)

    assert members(10) > 5 * members(1000)
    assert members(1000) == pytest.approx(members(1000, 2e8) / 2, abs=1)
    assert members(100_000) == 1
    assert chunks.free_memory() > 2**20


def test_finished_chunks_are_kept_and_not_trained_again(images, options, tmp_path, monkeypatch):
    whole = compare(BUILD, SCHEMES, images, **options)
    original, trained = chunks.train_population, []

    def stop_at_the_second(plan, members, *rest):
        if trained:
            raise KeyboardInterrupt
        trained.extend(members)
        return original(plan, members, *rest)

    monkeypatch.setattr(chunks, "train_population", stop_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        compare(BUILD, SCHEMES, images, **options, chunk_size=2, out=tmp_path)
    assert trained == [("he", 0), ("zeros", 0)]

    def watch(plan, members, *rest):
        trained.extend(members)
        return original(plan, members, *rest)

    monkeypatch.setattr(chunks, "train_population", watch)
    resumed = compare(BUILD, SCHEMES, images, **options, chunk_size=2, out=tmp_path)
    assert trained == [("he", 0), ("zeros", 0), ("he", 1), ("zeros", 1)]
    assert same(resumed, whole)
    trained.clear()
    more = compare(BUILD, [*SCHEMES, "lecun"], images, **options, out=tmp_path)
    assert trained == [("lecun", 0), ("lecun", 1)]
    assert same(compare(BUILD, SCHEMES, images, **options, out=tmp_path), whole)
    assert more.schemes == ("he", "zeros", "lecun")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"batch_size": 16}, "batch_size=32.*Received.*batch_size=16"),
        ({"optimizer": "adam"}, "optimizer=.*SGD.*Received.*Adam"),
        ({"root_seed": 3}, "root_seed=0.*Received.*root_seed=3"),
    ],
)
def test_a_folder_of_another_comparison_is_refused(change, says, images, options, tmp_path):
    compare(BUILD, ["he"], images, **options | {"seeds": 1}, out=tmp_path)
    with pytest.raises(ValueError, match=f"(?s)other settings.*{says}"):
        compare(BUILD, ["he"], images, **options | {"seeds": 1} | change, out=tmp_path)


def test_other_data_and_another_scheme_of_one_label_are_refused(images, options, tmp_path):
    options["seeds"] = 1
    compare(BUILD, {"mine": "he"}, images, **options, out=tmp_path)
    with pytest.raises(ValueError, match="data="):
        compare(BUILD, {"mine": "he"}, (images.x + 1, images.y), **options, out=tmp_path)
    with pytest.raises(ValueError, match="mine="):
        compare(BUILD, {"mine": "lecun"}, images, **options, out=tmp_path)
    (tmp_path / "runs" / "chunk-0000.json").write_text("[half")
    with pytest.raises(ValueError, match=r"chunk-0000\.json is damaged.*Delete it"):
        compare(BUILD, {"mine": "he"}, images, **options, out=tmp_path)


def test_progress_counts_to_the_end_and_estimates_what_is_left(images, options):
    seen = []
    compare(BUILD, SCHEMES, images, **options | {"epochs": 3}, on_progress=seen.append)
    assert [p.done for p in seen] == [4, 8, 12]
    assert {p.total for p in seen} == {12}
    assert seen[-1].seconds_left == 0
    assert seen[0].seconds_left > 0


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"seeds": 0}, ValueError, "`seeds` must be at least 1"),
        ({"seeds": [1, 1]}, ValueError, "different numbers"),
        ({"epochs": 0}, ValueError, "`epochs` must be at least 1"),
        ({"trainer": "fti"}, ValueError, "`trainer` must be one of"),
        ({"schemes": "he"}, TypeError, "a sequence of names"),
        ({"schemes": ["hee"]}, ValueError, "initkit_he"),
        ({"schemes": []}, ValueError, "one scheme or more"),
        ({"schemes": ["he", "he"]}, ValueError, "each scheme once"),
        ({"data": 3}, TypeError, "`data` must be"),
        ({"data": "mnits"}, ValueError, "mnits"),
        ({"data": (np.ones((3, 8, 8, 2)), np.ones(2))}, ValueError, "as many targets as inputs"),
        ({"metric": "speed"}, ValueError, "`metric` must be one of"),
    ],
)
def test_a_mistake_is_named(change, error, says, images, options):
    arguments = {"schemes": SCHEMES, "data": images} | options | change
    with pytest.raises(error, match=says):
        compare(BUILD, **arguments)


def test_data_comes_in_many_forms(images, options):
    import tensorflow as tf

    test = images.evaluation["test"]
    whole = compare(BUILD, ["he"], images, **options)
    dataset = tf.data.Dataset.from_tensor_slices((images.x, images.y)).batch(50)
    tests = tf.data.Dataset.from_tensor_slices(test).batch(50)
    assert same(compare(BUILD, ["he"], (dataset, tests), **options), whole)
    assert same(compare(BUILD, ["he"], ((images.x, images.y), test), **options), whole)
    only = compare(BUILD, ["he"], dataset, **options)
    assert only.metrics == ("loss",)
    np.testing.assert_allclose(only.final(), whole.final("loss"), atol=1e-6)
    flat = as_training_data("digits", (None, 8, 8, 1))
    assert flat.x.shape[1:] == (8, 8, 1)
    assert not as_training_data("digits", (None, 64)).evaluation["test"][0].shape[2:]


def test_every_sample_is_in_one_batch_of_an_epoch():
    blocks = epoch_rows(10, 4, [0], shuffle=True, steps=None)
    assert [b.shape for b in blocks] == [(2, 4), (1, 2)]
    assert sorted(np.concatenate([b.ravel() for b in blocks])) == list(range(10))
    longer = epoch_rows(8, 4, [0], shuffle=True, steps=5)
    assert [b.shape for b in longer] == [(5, 4)]
    odd = epoch_rows(5, 4, [0], shuffle=False, steps=3)
    assert [b.tolist() for b in odd] == [[[0, 1, 2, 3]], [[4]], [[0, 1, 2, 3]]]


@pytest.mark.slow
def test_processes_of_joblib_share_the_chunks(images, options, tmp_path):
    whole = compare(BUILD, SCHEMES, images, **options)
    with joblib.parallel_config("loky"):
        shared = compare(BUILD, SCHEMES, images, **options, n_jobs=2, out=tmp_path)
    assert same(shared, whole)
    assert len(list((tmp_path / "runs").iterdir())) == 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Dask's and Tornado's own
def test_a_dask_cluster_of_two_workers_shares_the_chunks(images, options, tmp_path):
    distributed = pytest.importorskip("distributed")
    whole = compare(BUILD, SCHEMES, images, **options)
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    )
    with cluster, distributed.Client(cluster) as client:
        with joblib.parallel_config("dask"):
            shared = compare(BUILD, SCHEMES, images, **options, n_jobs=2, out=tmp_path)
        used = client.run(lambda: "keras_inits._compare.chunks" in sys.modules)
    assert same(shared, whole)
    assert list(used.values()) == [True, True]
    assert len(list((tmp_path / "runs").iterdir())) == 2


@pytest.mark.slow
def test_a_killed_process_goes_on_from_its_finished_chunks(tmp_path):
    script = (
        "import sys, keras\nfrom keras_inits import compare\n"
        "from keras_inits._cli.models import builder\n"
        "compare(builder('softmax', (64,), 10), ['he', 'zeros'], 'digits', seeds=4, epochs=30,\n"
        "  loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), optimizer='sgd',\n"
        "  chunk_size=2, out=sys.argv[1]).to_json(sys.argv[1] + '/result.json')\n"
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


@pytest.mark.parametrize("trainer", ["population", "fit"])
def test_kept_weights_are_those_that_the_run_ended_with(images, options, tmp_path, trainer):
    build = sequential(
        layers.BatchNormalization,
        layers.Flatten,
        lambda: layers.Dense(4),
        layers.BatchNormalization,
    )
    options |= {"trainer": trainer, "out": tmp_path}
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


def test_threads_give_the_same_numbers(images):
    plan = small_plan(images, 1)
    members = [(label, seed) for seed in range(3) for label in SCHEMES][:5]
    alone, dealt = (train_population(plan, members, threads=n) for n in (1, 2))
    assert [(r.scheme, r.seed) for r in dealt] == members
    for one, other in zip(alone, dealt, strict=True):
        for metric, values in one.history.items():
            np.testing.assert_allclose(other.history[metric], values, rtol=1e-5)


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
    assert epochs == [1, 2]
    np.testing.assert_allclose(resumed[0].history["loss"], whole[0].history["loss"], rtol=1e-5)
