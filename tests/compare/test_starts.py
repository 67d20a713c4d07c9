"""Starts from data and from other models, compared with random ones."""

import functools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from compare.small_models import BUILD, same, sequential, small_plan
from keras import layers

import keras_inits as ki
from keras_inits import Execution, InputError, Start, compare
from keras_inits._compare.models import compiled_model, started
from keras_inits._compare.settings import scheme_settings
from keras_inits._compare.starts import labelled
from keras_inits._compare.vectorizing import CannotVectorizeError
from keras_inits._initialize.seeds import run_seed


def shift(model, seed, by=1.0):
    """A user's start: the biases of the first layer, and a state."""
    model.layers[-2].bias.assign(model.layers[-2].bias + by + seed % 7)


def test_starts_and_random_schemes_stand_in_one_comparison(images, options, whole):
    schemes = {
        "he": "initkit_he",
        "auto": "auto",
        "lsuv": ki.calibrate,
        "pretrained": Start(functools.partial(ki.pretrain, epochs=2), scheme="initkit_xavier"),
        "mine": shift,
    }
    result = compare(BUILD, schemes, images, **options)
    assert result.trainer == "population"
    assert result.schemes == tuple(schemes)
    assert set(result.costs) == {"lsuv", "pretrained", "mine"}
    for label, passes in (("lsuv", 1), ("pretrained", 3), ("mine", 0)):
        seconds, counted = result.costs[label].T
        assert result.costs[label].shape == (len(result.seeds), 2)
        assert (seconds > 0).all()
        assert (counted == passes).all()
    text = result.summary()
    assert "seconds" in text
    assert "forward passes" in text
    assert type(result).from_dict(result.to_dict()) == result
    # What does not cost anything has no such columns.
    assert "passes" not in whole.summary()


def test_a_run_starts_where_the_function_leaves_the_model(images, options):
    plan = small_plan(images, 1)
    plan = type(plan)(**{**vars(plan), "schemes": labelled({"lsuv": ki.calibrate})})
    template = compiled_model(plan)
    before = template.get_weights()
    for run in (0, 1):
        found = started(plan, template, "lsuv", run)
        model = compiled_model(plan)
        ki.calibrate(model, plan.data.x, seed=run_seed(plan.seed, run))
        for ours, theirs in zip(found.weights, model.trainable_variables, strict=True):
            np.testing.assert_array_equal(ours, np.asarray(theirs))
    for one, other in zip(before, template.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_population_and_fit_train_starts_alike(images, options):
    schemes = {"lsuv": ki.calibrate, "mine": functools.partial(shift, by=0.5)}
    side_by_side = compare(BUILD, schemes, images, **options)
    one_by_one = compare(BUILD, schemes, images, **options, execution=Execution(trainer="fit"))
    assert side_by_side.trainer == "population"
    assert one_by_one.trainer == "fit"
    assert same(side_by_side, one_by_one)
    assert not same(side_by_side, compare(BUILD, {"lsuv": "own", "mine": "own"}, images, **options))


def test_a_start_may_set_the_states_of_the_model_too(images, options):
    build = sequential(layers.Flatten, lambda: layers.Dense(8), layers.BatchNormalization)
    donor = build()
    for weight in donor.weights:
        weight.assign(weight + 0.5)
    start = {"warm": functools.partial(ki.warm_start, source=donor)}
    both = [
        compare(
            build, start, images, **options, keep_weights=True, execution=Execution(trainer=which)
        )
        for which in ("population", "fit")
    ]
    assert same(*both)
    plan = small_plan(images, 1, build)
    plan = type(plan)(**{**vars(plan), "schemes": labelled(start)})
    found = started(plan, compiled_model(plan), "warm", 0)
    np.testing.assert_allclose(found.states[0], 0.5)  # the moving mean of the source
    np.testing.assert_allclose(found.states[1], 1.5)


def test_several_functions_set_a_model_one_after_the_other(images, options):
    start = Start(ki.calibrate, ki.fit_output_bias, scheme="auto")
    plan = small_plan(images, 1)
    plan = type(plan)(**{**vars(plan), "schemes": labelled({"both": start})})
    found = started(plan, compiled_model(plan), "both", 0)
    shares = np.bincount(np.asarray(plan.data.y).ravel().astype(int)) / len(plan.data.y)
    bias = np.exp(found.weights[-1]) / np.exp(found.weights[-1]).sum()
    np.testing.assert_allclose(bias, shares, atol=1e-5)


@pytest.mark.slow
def test_a_model_that_cannot_be_vectorized_is_trained_by_fit_with_the_reason(images, options):
    build = sequential(layers.Flatten, lambda: layers.SpectralNormalization(layers.Dense(8)))
    result = compare(build, {"mine": lambda model, seed: None}, images, **options)
    assert result.trainer == "fit"
    assert any("one by one" in note for note in result.notes)
    with pytest.raises(CannotVectorizeError, match="spectral_normalization"):
        compare(
            build,
            {"mine": lambda model, seed: None},
            images,
            **options,
            execution=Execution(trainer="population"),
        )


def test_a_start_is_kept_by_all_that_decides_its_numbers(images):
    donor = BUILD()
    warm = functools.partial(ki.warm_start, source=donor)

    def settings(function, scheme="own"):
        return scheme_settings(Start(function, scheme=scheme))

    assert settings(warm) == settings(warm)
    assert settings(ki.calibrate) == settings(ki.calibrate)
    assert settings(ki.calibrate) != settings(ki.pretrain)
    assert settings(ki.calibrate) != settings(ki.calibrate, "initkit_he")
    assert settings(ki.calibrate) != settings(functools.partial(ki.calibrate, target=2.0))
    before = settings(warm), settings(lambda model: ki.warm_start(model, donor))
    donor.layers[-1].bias.assign(donor.layers[-1].bias + 1)
    after = settings(warm), settings(lambda model: ki.warm_start(model, donor))
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_kept_runs_keep_their_cost_and_another_start_is_refused(images, options, tmp_path):
    execution = Execution(out=tmp_path)
    first = compare(BUILD, {"lsuv": ki.calibrate}, images, **options, execution=execution)
    again = compare(BUILD, {"lsuv": ki.calibrate}, images, **options, execution=execution)
    np.testing.assert_array_equal(first.costs["lsuv"], again.costs["lsuv"])
    assert not list(tmp_path.rglob("*start*"))
    other = {"lsuv": functools.partial(ki.calibrate, target=2.0)}
    with pytest.raises(InputError, match="lsuv"):
        compare(BUILD, other, images, **options, execution=execution)


def test_a_comparison_killed_between_starts_does_not_repeat_them(images, options, tmp_path):
    log = tmp_path / "log"  # a file, since what a function refers to is part of what it is
    log.write_text("")

    def start(model, seed):
        made = log.read_text().split()
        if len(made) == 2:
            log.write_text(" ".join([*made, "stopped"]))
            raise KeyboardInterrupt
        log.write_text(" ".join([*made, str(seed)]))
        shift(model, seed)

    settings = {**options, "seeds": 3}
    execution = Execution(out=tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        compare(BUILD, {"s": start}, images, **settings, execution=execution)
    assert len(list(tmp_path.rglob("*-start-*.npz"))) == 2
    whole = compare(BUILD, {"s": start}, images, **settings, execution=execution)
    assert len({*log.read_text().split()}) == 4  # three starts and the stop
    assert not list(tmp_path.rglob("*-start-*.npz"))
    assert same(whole, compare(BUILD, {"s": shift}, images, **settings))


@pytest.mark.parametrize(
    ("schemes", "says"),
    [
        ({"a": lambda model: BUILD()}, "sets the model that it is given"),
        ({"a": lambda model: model.add(layers.Dense(3))}, "as many and as large"),
        ({"a": functools.partial(ki.calibrate, target=-1)}, "`target` must be positive"),
        ({"a": functools.partial(ki.warm_start, source="no_such_file.keras")}, "no_such_file"),
    ],
)
def test_a_start_that_fails_says_why(schemes, says, images, options):
    with pytest.raises(ValueError, match=says):
        compare(BUILD, schemes, images, **options)


def test_what_is_no_start_is_refused(images, options):
    with pytest.raises(InputError, match="needs a function"):
        Start()
    with pytest.raises(TypeError, match="`functions` must be functions of a model"):
        Start("initkit_he")
    with pytest.raises(InputError, match="No initializer has this name"):
        Start(ki.calibrate, scheme="initkit_hee")
    with pytest.raises(InputError, match="need a `build` without arguments"):
        compare(lambda scheme: BUILD(), {"a": ki.calibrate}, images, **options)


KILLED = """
import sys, time
import numpy as np
import keras_inits as ki
import keras
from compare.small_models import BUILD

rng = np.random.default_rng(0)
images = (rng.normal(size=(64, 8, 8, 2)).astype("float32"), rng.integers(0, 3, 64))

def start(model, seed):
    print("start", flush=True)
    time.sleep(0.2)
    model.layers[-1].bias.assign(model.layers[-1].bias + seed % 5)

result = ki.compare(
    BUILD, {"slow": start}, images, epochs=1, seeds=6, optimizer="sgd",
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), seed=1,
    execution=ki.Execution(out=sys.argv[1], threads=1),
)
print("done", float(result.final("loss").sum()))
"""


@pytest.mark.slow
def test_a_killed_process_resumes_after_the_starts_that_it_made(tmp_path):
    folder = str(Path(__file__).parents[1])
    command = [sys.executable, "-c", KILLED, str(tmp_path / "out")]
    environment = {**os.environ, "PYTHONPATH": f"{folder}:{os.environ.get('PYTHONPATH', '')}"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        for _ in range(3):
            process.stdout.readline()
        time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    kept = len(list((tmp_path / "out").rglob("*-start-*.npz")))
    assert kept >= 2
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.count("start") == 6 - kept
    whole = subprocess.run(
        [*command[:-1], str(tmp_path / "new")],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    assert done.stdout.split()[-1] == whole.stdout.split()[-1]
