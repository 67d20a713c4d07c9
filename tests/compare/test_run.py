import sys

import joblib
import keras
import numpy as np
import pytest
from compare.small_models import BUILD, SCHEMES, same, sequential, small_plan
from keras import layers
from versions import ON_JAX, ON_TORCH

import keras_inits
from keras_inits import Execution, compare
from keras_inits._compare.chunks import cut
from keras_inits._compare.data import as_training_data, epoch_rows
from keras_inits._compare.memory import free_memory, members_in_memory
from keras_inits._compare.models import compiled_model, starting_weights
from keras_inits._compare.plan import CompileOptions, Plan
from keras_inits._compare.population import train_population
from keras_inits._compare.starts import labelled
from keras_inits._compare.weights import draw
from keras_inits._errors import InputError, InputTypeError, MissingPackageError


def test_runs_are_paired_and_follow_from_the_root_seed(images, options, whole):
    random_state = np.random.get_state()[1].copy()  # noqa: NPY002
    # a scheme's runs do not depend on what it is compared with
    assert same(compare(BUILD, ["he"], images, **options), whole)
    assert not same(compare(BUILD, ["he"], images, **options, seed=1), whole)
    assert np.all(np.random.get_state()[1] == random_state)  # noqa: NPY002
    one = compare(BUILD, ["he"], images, **options | {"seeds": [1]})
    np.testing.assert_allclose(one.final()[0], whole.final()[0, 1:], atol=1e-5)


def test_two_layers_of_one_shape_start_apart_and_biases_keep_their_initializer(images):
    def build():
        return keras.Sequential(
            [
                keras.Input((4,)),
                layers.Dense(4, bias_initializer="ones"),
                layers.Dense(4, bias_initializer=keras.initializers.RandomNormal(seed=1)),
            ]
        )

    plan = Plan(build, labelled(SCHEMES), images, 1, 1, CompileOptions("sgd", "mse"))
    model = compiled_model(plan)
    kernel, bias, other, random_bias = starting_weights(plan, model, "he", 0)
    assert np.all(kernel != other)
    assert np.all(bias == 1)
    zeros = starting_weights(plan, model, "zeros", 0)
    assert np.all(zeros[0] == 0)
    np.testing.assert_array_equal(zeros[3], random_bias)  # the same under every scheme
    assert np.all(starting_weights(plan, model, "he", 1)[3] != random_bias)
    keras_inits.initialize(model, "he", seed=0)
    np.testing.assert_array_equal(kernel, model.trainable_variables[0])


def test_a_build_that_takes_the_scheme_is_given_it(images, options):
    def build(scheme):
        return sequential(layers.Flatten, lambda: layers.Dense(8, kernel_initializer=scheme))()

    result = compare(build, SCHEMES, images, **options)
    assert result.trainer == "population"
    fit = compare(build, ["zeros"], images, execution=Execution(trainer="fit"), **options)
    assert np.all(np.isfinite(fit.final()))


@pytest.mark.parametrize("scheme", ["auto", "own"])
def test_auto_and_own_start_as_initialize_sets_them(images, options, scheme):
    def build():
        return sequential(
            lambda: layers.Conv2D(4, 3, activation="tanh", kernel_initializer="ones"),
            layers.Flatten,
            lambda: layers.Dense(8, "relu", kernel_initializer=keras.initializers.HeUniform(3)),
        )()

    plan = Plan(build, labelled([scheme]), images, 1, 32, CompileOptions("sgd", "mse"))
    model = compiled_model(plan)
    start = starting_weights(plan, model, scheme, 0)
    report = keras_inits.initialize(model, scheme, seed=0)
    assert any(row.note.startswith("tanh") for row in report.rows) == (scheme == "auto")
    for ours, variable in zip(start, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(ours, variable)
    assert np.all(start[0] == 1) == (scheme == "own")
    assert np.all(starting_weights(plan, model, scheme, 1)[2] != start[2])


def test_auto_and_own_are_compared_and_kept(images, options, tmp_path):
    execution = Execution(out=tmp_path)
    result = compare(BUILD, ["auto", "own", "he"], images, execution=execution, **options)
    assert result.schemes == ("auto", "own", "he")
    assert len(np.unique(result.final("loss"))) == 6
    again = compare(BUILD, {"he": "own", "x": "auto"}, images, **options)
    np.testing.assert_allclose(again.final("loss"), result.final("loss")[[1, 0]], atol=1e-5)
    with pytest.raises(InputError, match="other settings"):
        compare(BUILD, {"own": "he"}, images, execution=execution, **options)
    with pytest.raises(InputError, match="need a `build` without arguments"):
        compare(lambda scheme: BUILD(), ["he", "own"], images, **options)


def test_a_metric_that_is_not_measured_is_refused_before_training(images, options, monkeypatch):
    monkeypatch.setattr("keras_inits._compare.run.train_chunks", None)
    says = r"one of 'loss', 'test_\w+', 'test_\w+'\. Did you mean 'test_accuracy'\? .*acuracy"
    with pytest.raises(InputError, match=says):
        compare(BUILD, ["he"], images, **options, metric="test_acuracy")
    with pytest.raises(TypeError):  # one that is measured goes on to training
        compare(BUILD, ["he"], images, **options, metric="test_accuracy")


def test_what_no_scheme_draws_is_said(images, options):
    class Scale(layers.Layer):
        def build(self, shape):
            self.scale = self.add_weight(shape=(shape[-1],), initializer="ones", name="scale")

        def call(self, x):
            return x * self.scale

    build = sequential(lambda: layers.DepthwiseConv2D(3), layers.Flatten, Scale)
    notes = compare(build, ["he"], images, **options).notes
    (note,) = (each for each in notes if "equal in every run" in each)
    assert "scale" in note
    assert "depthwise_conv2d" not in note


def test_kernels_are_drawn_in_the_geometry_of_their_layer():
    model = keras.Sequential([keras.Input((8, 8, 512)), layers.DepthwiseConv2D(3)])
    kernel, bias = draw(model, keras_inits.HeInit(), root_seed=0, seed=0)
    assert np.std(kernel) == pytest.approx((2 / 9) ** 0.5, rel=0.05)
    assert np.all(bias == 0)


@pytest.mark.parametrize("size", [1, 2])
def test_chunks_give_the_same_numbers(images, options, whole, size):
    execution = Execution(chunk_size=size)
    assert same(compare(BUILD, SCHEMES, images, **options, execution=execution), whole)


def test_schemes_of_a_seed_stay_together():
    members = [(label, seed) for seed in range(3) for label in "ab"]
    assert [len(chunk) for chunk in cut(members, 5, 2)] == [4, 2]
    assert [len(chunk) for chunk in cut(members, 1, 2)] == [1] * 6
    assert cut(members, 100, 2) == [members]


def test_bigger_models_go_in_smaller_chunks(images):
    def members(units, memory=1e8):
        build = sequential(layers.Flatten, lambda: layers.Dense(units))
        plan = Plan(build, labelled(["he"]), images, 1, 32, CompileOptions("sgd", "mse"))
        return members_in_memory(plan, compiled_model(plan), memory)

    assert members(10) > 5 * members(1000)
    assert members(1000) == pytest.approx(members(1000, 2e8) / 2, abs=1)
    assert members(100_000) == 1
    assert free_memory() > 2**20


def test_progress_counts_to_the_end_and_estimates_what_is_left(images, options):
    seen = []
    compare(
        BUILD,
        SCHEMES,
        images,
        **options | {"epochs": 3},
        execution=Execution(on_progress=seen.append),
    )
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


def test_data_comes_in_many_forms(images, options, whole):
    import tensorflow as tf

    test = images.evaluation["test"]
    dataset = tf.data.Dataset.from_tensor_slices((images.x, images.y)).batch(50)
    tests = tf.data.Dataset.from_tensor_slices(test).batch(50)
    assert same(compare(BUILD, ["he"], (dataset, tests), **options), whole)
    assert same(compare(BUILD, ["he"], ((images.x, images.y), test), **options), whole)
    only = compare(BUILD, ["he"], dataset, **options)
    assert only.metrics == ("loss",)
    np.testing.assert_allclose(only.final(), whole.final("loss")[:1], atol=1e-5)
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
def test_processes_of_joblib_share_the_chunks(images, options, whole, tmp_path):
    with joblib.parallel_config("loky"):
        shared = compare(
            BUILD, SCHEMES, images, **options, execution=Execution(n_jobs=2, out=tmp_path)
        )
    assert same(shared, whole)
    assert len(list((tmp_path / "runs").iterdir())) == 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Dask's and Tornado's own
def test_a_dask_cluster_of_two_workers_shares_the_chunks(images, options, whole, tmp_path):
    distributed = pytest.importorskip("distributed")
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    )
    with cluster, distributed.Client(cluster) as client:
        with joblib.parallel_config("dask"):
            shared = compare(
                BUILD, SCHEMES, images, **options, execution=Execution(n_jobs=2, out=tmp_path)
            )
        used = client.run(lambda: "keras_inits._compare.chunks" in sys.modules)
    assert same(shared, whole)
    assert list(used.values()) == [True, True]
    assert len(list((tmp_path / "runs").iterdir())) == 2


@pytest.mark.parametrize("count", [4, 5])  # parts of one size share what is traced
def test_threads_give_the_same_numbers(images, count):
    plan = small_plan(images, 1)
    members = [(label, seed) for seed in range(3) for label in SCHEMES][:count]
    alone, dealt = (train_population(plan, members, threads=n) for n in (1, 2))
    assert [(r.scheme, r.seed) for r in dealt] == members
    for one, other in zip(alone, dealt, strict=True):
        for metric, values in one.history.items():
            np.testing.assert_allclose(other.history[metric], values, rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"trainer": "fti"}, "`trainer` must be one of 'auto', 'population', 'fit'"),
        ({"threads": 0}, "`threads` must be at least 1"),
        ({"chunk_size": 1.5}, "`chunk_size` must be an integer"),
    ],
)
def test_a_mistake_in_the_execution_is_named(change, says):
    with pytest.raises(InputError, match=says):
        Execution(**change)


def test_integers_of_numpy_are_integers(images, options, whole):
    numpy = {name: np.int64(options[name]) for name in ("seeds", "epochs", "batch_size")}
    assert same(compare(BUILD, ["he"], images, **options | numpy, seed=np.int32(0)), whole)
    some = compare(BUILD, ["he"], images, **options | {"seeds": np.array([1])})
    assert some.seeds == (1,)
    assert isinstance(some.to_json(), str)
    with pytest.raises(InputTypeError, match="`epochs` must be an integer"):
        compare(BUILD, ["he"], images, **options | {"epochs": 1.5})


def test_a_model_that_nothing_compiles_is_refused(images, options):
    with pytest.raises(InputError, match="needs an optimizer"):
        compare(BUILD, ["he"], images, **options | {"optimizer": None})


def test_a_dataset_without_batches_and_an_endless_one_are_refused(images, options):
    import tensorflow as tf

    single = tf.data.Dataset.from_tensor_slices((images.x, images.y))
    with pytest.raises(InputError, match=r"of batches.*call `\.batch\(100\)`"):
        compare(BUILD, ["he"], single, **options)
    with pytest.raises(InputError, match="endless"):
        compare(BUILD, ["he"], single.batch(10).repeat(), **options)


def test_without_joblib_one_process_does_all(images, options, monkeypatch):
    monkeypatch.setitem(sys.modules, "joblib", None)  # importing it fails
    with pytest.raises(MissingPackageError, match=r'pip install "keras-inits\[compare\]"'):
        compare(BUILD, ["he"], images, execution=Execution(n_jobs=2), **options)


def test_without_scipy_an_interval_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.delitem(sys.modules, "scipy.stats", raising=False)
    with pytest.raises(MissingPackageError, match=r'pip install "keras-inits\[compare\]"'):
        keras_inits.mean_interval([1.0, 2.0])


def test_scipy_that_several_seeds_need_is_missed_before_the_training(monkeypatch):
    monkeypatch.setattr("keras_inits._optional._installed", lambda module: module != "scipy")
    x = np.zeros((8, 2), "float32")

    def build():
        return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])

    options = {"epochs": 1, "batch_size": 4, "optimizer": "sgd", "loss": "mse"}
    with pytest.raises(MissingPackageError, match="scipy"):
        compare(build, ["zeros"], (x, x[:, 0]), seeds=2, **options)
    assert compare(build, ["zeros"], (x, x[:, 0]), seeds=1, **options).epochs == 1


@pytest.mark.skipif(ON_TORCH, reason="`fit` of a stateful layer fails on torch")
def test_stateful_layers_are_trained_by_fit_in_batches_of_their_size():
    def build():
        layer = layers.SimpleRNN(3, stateful=True, name="cell")
        return keras.Sequential([keras.Input(batch_shape=(8, 4, 2)), layer, layers.Dense(1)])

    x = np.random.default_rng(0).normal(size=(32, 4, 2)).astype("float32")
    data = (x[:16], x[:16, -1, :1]), (x[16:], x[16:, -1, :1])
    options = {"epochs": 1, "seeds": 2, "batch_size": 8, "optimizer": "sgd", "loss": "mse"}
    result = compare(build, ["he"], data, **options)
    assert np.isfinite(result.final("test_loss")).all()
    assert any("rnn_state moves, which is in no list" in note for note in result.notes)


@pytest.mark.skipif(not ON_JAX, reason="of JAX: what its compiler makes of an assignment")
def test_an_assignment_in_a_branch_is_refused_in_a_sentence():
    class Assigns(layers.Layer):
        def build(self, shape):
            self.scale = self.add_weight(name="scale", initializer="ones", trainable=False)

        def call(self, x, training=False):
            def moved():
                self.scale.assign(0.5 * self.scale + 0.5 * keras.ops.mean(keras.ops.abs(x)))
                return self.scale + 0.0

            if not training:
                return x / self.scale
            return x / keras.ops.cond(keras.ops.mean(x) > -9, moved, lambda: self.scale + 0.0)

    def build():
        return keras.Sequential([keras.Input((4,)), Assigns(), layers.Dense(1)])

    x = np.random.default_rng(0).normal(size=(32, 4)).astype("float32")
    options = {"epochs": 1, "seeds": 2, "batch_size": 8, "optimizer": "sgd", "loss": "mse"}
    with pytest.raises(InputError, match="assigns to a variable where JAX traces it"):
        compare(build, ["he"], (x, x[:, :1]), **options, execution=Execution(trainer="population"))
