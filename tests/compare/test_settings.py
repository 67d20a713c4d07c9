"""What decides the numbers belongs to the key of kept runs, and nothing else does."""

import dataclasses
import functools
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from compare.small_models import BUILD, sequential, small_plan
from keras import layers

import keras_inits
from keras_inits import Execution, compare
from keras_inits._compare.code import code_digest
from keras_inits._compare.models import compiled_model
from keras_inits._compare.plan import CompileOptions
from keras_inits._compare.settings import run_settings, scheme_settings
from keras_inits._errors import InputError


def settings(images, build=BUILD, **changes):
    plan = small_plan(images, 1, build, **changes)
    return run_settings(plan, compiled_model(plan))


def flat(*own):
    return sequential(layers.Flatten, *own)


def dense(**arguments):
    return flat(lambda: layers.Dense(8, **arguments))


def convolution(**arguments):
    return sequential(lambda: layers.Conv2D(4, 3, **arguments), layers.GlobalAveragePooling2D)


def scaled(factor):
    class Scaled(layers.Layer):
        def call(self, x):
            return x * factor

    return flat(Scaled)


def doubled():
    class Scaled(layers.Layer):
        def call(self, x):
            return x + x + 1

    return flat(Scaled)


def squared(x):
    return x * x


def cubed(x):
    return x * x * x


def frozen(value):
    return flat(
        lambda: layers.Dense(8, kernel_initializer=keras.initializers.Constant(value)),
        lambda: layers.Dense(8, trainable=False, kernel_initializer="glorot_uniform"),
    )


def pretrained(value):
    def build():
        model = flat(lambda: layers.Dense(8, trainable=False))()
        model.layers[1].kernel.assign(np.full(model.layers[1].kernel.shape, value, "float32"))
        return model

    return build


class Net(keras.Model):
    def __init__(self, activation, **arguments):
        super().__init__(**arguments)
        self.flat, self.out = layers.Flatten(), layers.Dense(3)
        self.activation = activation

    def call(self, x):
        return self.out(keras.activations.get(self.activation)(self.flat(x)))


def subclassed(activation):
    return lambda: Net(activation)


CHANGES = {
    "activation": (dense(activation="relu"), dense(activation="tanh")),
    "bias": (dense(bias_initializer="zeros"), dense(bias_initializer="ones")),
    "regularizer": (dense(), dense(kernel_regularizer="l2")),
    "padding": (convolution(dilation_rate=1), convolution(dilation_rate=2)),
    "rate": (flat(lambda: layers.Dropout(0.1)), flat(lambda: layers.Dropout(0.2))),
    "epsilon": (
        flat(lambda: layers.BatchNormalization(epsilon=1e-3)),
        flat(lambda: layers.BatchNormalization(epsilon=1e-5)),
    ),
    "dtype": (dense(dtype="float32"), dense(dtype="bfloat16")),
    "another layer": (flat(layers.ReLU), flat(layers.ELU)),
    "value in a closure": (scaled(2.0), scaled(3.0)),
    "code of a layer": (scaled(2.0), doubled()),
    "code of a lambda": (
        flat(lambda: layers.Lambda(lambda x: x * 2)),
        flat(lambda: layers.Lambda(lambda x: x * 3)),
    ),
    "activation of the user": (dense(activation=squared), dense(activation=cubed)),
    "subclassed model": (subclassed("relu"), subclassed("tanh")),
    "values of frozen weights": (pretrained(1.0), pretrained(2.0)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_another_model_has_another_key(change, images):
    before, after = CHANGES[change]
    first, again, other = (settings(images, build) for build in (before, before, after))
    assert first == again  # however many layers Keras has counted meanwhile
    assert first != other


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (CompileOptions("sgd", "mse"), CompileOptions("adam", "mse")),
        (
            CompileOptions("sgd", "mse"),
            CompileOptions("sgd", "mae"),
        ),
        (
            CompileOptions("sgd", keras.losses.BinaryCrossentropy(from_logits=True)),
            CompileOptions("sgd", keras.losses.BinaryCrossentropy(from_logits=False)),
        ),
        (CompileOptions("sgd", lambda y, p: p - y), CompileOptions("sgd", lambda y, p: p + y)),
        (
            CompileOptions("sgd", "mse", [keras.metrics.BinaryAccuracy(threshold=0.5)]),
            CompileOptions("sgd", "mse", [keras.metrics.BinaryAccuracy(threshold=0.0)]),
        ),
    ],
)
def test_other_arguments_of_compile_have_another_key(before, after, images):
    assert settings(images, options=before) == settings(images, options=before)
    assert settings(images, options=before) != settings(images, options=after)


def test_data_versions_and_the_way_of_the_batches_belong_to_the_key(images, monkeypatch):
    first = settings(images)
    for change in ({"batch_size": 16}, {"steps": 3}, {"shuffle": False}, {"batches": "own"}):
        plan = dataclasses.replace(small_plan(images, 1), **change)
        assert run_settings(plan, compiled_model(plan)) != first
    other = dataclasses.replace(images, x=images.x + 1)
    assert settings(other) != first
    for package in (keras, keras_inits):
        with monkeypatch.context() as patch:
            patch.setattr(package, "__version__", "99.0")
            assert settings(images) != first
    assert settings(images) == first


def test_what_decides_no_numbers_is_not_in_the_key(images):
    def same_model_written_otherwise():
        first = layers.Flatten()
        rest = [layers.Dense(8, "relu"), layers.Dense(3)]
        return keras.Sequential([keras.Input((8, 8, 2)), first, *rest])

    assert settings(images, same_model_written_otherwise) == settings(images)


def test_names_of_layers_that_are_also_arguments_do_not_change_the_key(images):
    build = flat(lambda: layers.Activation("softmax"), layers.Softmax, lambda: layers.Dropout(0.1))
    # the first of a process are called activation, softmax, dropout
    keras.utils.clear_session(free_memory=False)
    first = settings(images, build)
    assert settings(images, build) == first
    assert settings(images, flat(lambda: layers.Activation("elu"), layers.ELU)) != first


def test_a_build_that_takes_the_scheme_has_one_key_for_all_schemes(images):
    def build(scheme):
        return flat(lambda: layers.Dense(8, kernel_initializer=scheme))()

    he, zeros = (
        dataclasses.replace(small_plan(images, 1, build), schemes={"one": scheme})
        for scheme in (keras_inits.HeInit(), keras.initializers.Zeros())
    )
    assert run_settings(he, compiled_model(he)) == run_settings(zeros, compiled_model(zeros))


def test_weights_that_every_build_draws_anew_do_not_forbid_to_resume(images):
    assert settings(images, frozen(0.1)) == settings(images, frozen(0.1))
    assert settings(images, frozen(0.1)) != settings(images, frozen(0.2))


def test_given_weights_count_by_their_code(images):
    def draw(value, model, seed):
        return [np.full(v.shape, value) for v in model.trainable_variables]

    one, again, two = (
        scheme_settings(keras_inits.GivenWeights(functools.partial(draw, value)))
        for value in (1.0, 1.0, 2.0)
    )
    assert one == again
    assert one != two


def test_a_digest_follows_globals_and_not_comments():
    source = "SCALE = {}\ndef inner(x):\n    return x * SCALE\ndef f(x):\n    return inner(x){}\n"

    def function(scale, comment=""):
        scope = {"__name__": "somewhere"}
        exec(source.format(scale, comment), scope)
        return scope["f"]

    assert code_digest(function(1)) == code_digest(function(1, "  # a comment"))
    assert code_digest(function(1)) != code_digest(function(2))


@pytest.mark.slow
def test_a_digest_is_that_of_every_process():
    source = (
        "from keras_inits._compare.code import code_digest\n"
        "class A:\n  kinds = {'a', 'b', 'c'}\n  def f(self, x): return x in {'u', 'v', 'w'}\n"
        "digest = code_digest(A, lambda x: (x, A))\n"
    )
    here = {"__name__": "__main__"}
    exec(source, here)
    there = subprocess.run(
        [sys.executable, "-c", f"{source}print(digest)"],
        env={**os.environ, "PYTHONHASHSEED": "1"},  # which orders sets another way
        capture_output=True,
        text=True,
        check=True,
    )
    assert there.stdout.splitlines()[-1] == here["digest"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("activation", r"model.*activation='relu'.*Received.*activation='tanh'"),
        ("rate", r"model.*rate=0\.1.*Received.*rate=0\.2"),
        ("code of a layer", r"code='.*Received.*code='"),
    ],
)
def test_compare_names_what_has_changed(change, says, images, options, tmp_path):
    before, after = CHANGES[change]
    options |= {"seeds": 1, "execution": Execution(out=tmp_path)}
    compare(before, ["he"], images, **options)
    kept = {file: file.read_bytes() for file in tmp_path.rglob("*.*")}
    with pytest.raises(InputError, match=f"other settings: {says}"):
        compare(after, ["he"], images, **options)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*.*")} == kept
