import os
import subprocess
import sys
import types
from importlib.util import find_spec

import keras
import numpy as np
import pytest

import keras_inits
from keras_inits import _registry
from keras_inits._errors import InputError, InputTypeError
from keras_inits._foreign_names import FOREIGN, plain
from keras_inits._keras_internals import strings_are_custom_objects


def test_names_are_sorted_and_begin_with_the_prefix():
    names = keras_inits.names()
    assert list(names) == sorted(names)
    assert all(name.startswith("initkit_") for name in names)


@pytest.mark.parametrize("name", keras_inits.names())
def test_class_name_and_string_say_the_same(name):
    cls = type(keras_inits.get(name))
    assert cls.__name__.removesuffix("Init").lower() == name.removeprefix("initkit_").replace(
        "_", ""
    )
    assert getattr(keras_inits, cls.__name__) is cls
    assert not hasattr(keras.initializers, cls.__name__)


@pytest.mark.parametrize("name", keras_inits.names())
def test_every_way_of_asking_gives_the_same_scheme(name):
    scheme = keras_inits.get(name)
    stem = name.removeprefix("initkit_")
    for spec in (
        type(scheme),
        scheme,
        f"initkit>{stem}",
        {"class_name": name, "config": scheme.get_config()},
        {"class_name": f"initkit>{stem}", "config": {}},
        keras.saving.serialize_keras_object(scheme),
    ):
        assert keras_inits.get(spec) == scheme
        assert keras.initializers.get(spec) == scheme


def test_the_prefix_may_be_left_out_where_keras_has_no_such_name():
    assert type(keras_inits.get("he")) is keras_inits.HeInit
    assert keras_inits.get({"class_name": "he", "config": {"negative_slope": 0.5}}) == (
        keras_inits.HeInit(0.5)
    )
    assert type(keras_inits.get("orthogonal")) is keras.initializers.Orthogonal
    # Keras's own "constant" cannot be made from its name alone
    assert keras_inits.get("constant") == keras_inits.ConstantInit(0.01)


@pytest.mark.parametrize(
    ("typo", "meant"),
    [("initkit_hee", "initkit_he"), ("xaver", "initkit_xavier"), ("he_norml", "he_normal")],
)
@pytest.mark.parametrize("as_config", [False, True])
def test_a_typo_is_answered_with_near_matches(typo, meant, as_config):
    spec = {"class_name": typo, "config": {}} if as_config else typo
    with pytest.raises(ValueError, match=rf"Received: '{typo}'.*Did you mean.*'{meant}'"):
        keras_inits.get(spec)


@pytest.mark.parametrize(
    ("given", "first"),
    [
        ("HeInit", "initkit_he"),
        ("He_Normal", "initkit_he' or 'he_normal"),
        ("initkit-he", "initkit_he"),
        ("XavierUniformInit", "initkit_xavier_uniform"),
        ("kaimming_normal", "initkit_he"),
        ("lecun_norml", "initkit_lecun"),
        ("hadamard", "initkit_hadamard_orthogonal"),
        ("orthognal", "initkit_orthogonal"),
    ],
)
def test_the_name_that_is_meant_comes_first(given, first):
    with pytest.raises(InputError, match=f"Did you mean '{first}'"):
        keras_inits.get(given)


@pytest.mark.parametrize(
    ("given", "call"),
    [("fixup", "initialize\\(model, 'fixup'\\)"), ("LSUV", "calibrate"), ("auto", '"auto"')],
)
def test_a_start_for_a_whole_net_is_told_from_a_scheme(given, call):
    with pytest.raises(InputError, match=f"starts a whole net.*{call}"):
        keras_inits.get(given)


def test_a_wrong_argument_is_not_taken_for_a_wrong_name():
    with pytest.raises(ValueError, match="`gain` must be positive"):
        keras_inits.get({"class_name": "initkit_xavier", "config": {"gain": -1}})


@pytest.mark.parametrize("spec", [3, None, 1.5, ["initkit_he"], {"config": {}}])
def test_what_cannot_be_an_initializer_is_refused(spec):
    with pytest.raises(InputTypeError, match="Received: spec="):
        keras_inits.get(spec)


@pytest.mark.parametrize(
    ("given", "ours", "law"),
    [
        ("kaiming_normal", "initkit_he", "truncated_normal"),
        ("KaimingUniform", "initkit_he_uniform", "a=√5"),
        ("kaiming_uniform_", "initkit_he_uniform", "a=√5"),
        ("xavier_normal_", "initkit_glorot", "Glorot's law"),
        ("initkit_xavier_normal", "initkit_glorot", "Glorot's law"),
        ("xavier_uniform_", "initkit_glorot_uniform", "Glorot's law"),
        ("trunc_normal_", "initkit_truncated_normal", "-2 and 2"),
        ("orthogonal_", "initkit_orthogonal", "same law"),
        ("initkit_lecun_normal", "initkit_lecun", "truncated_normal"),
        ("msra", "initkit_he", "Caffe"),
        ("MSRAFill", "initkit_he", "Caffe"),
        ("c2_xavier_fill", "initkit_xavier_uniform", "Caffe"),
    ],
)
def test_a_name_of_another_library_is_answered_with_ours_and_the_law(given, ours, law):
    with pytest.raises(InputError, match=f"Did you mean '{ours}'\\?.*{law}"):
        keras_inits.get(given)


def test_every_name_of_another_library_leads_to_a_scheme_and_stands_as_it_is_looked_up():
    for name, foreign in FOREIGN.items():
        assert plain(name) == name
        assert foreign.ours in keras_inits.names()


# torch's call, and ours of the same law, for a layer of 300 inputs and 100 outputs
SAME_LAW = {
    "kaiming_normal_": keras_inits.HeInit(seed=0),
    "kaiming_uniform_": keras_inits.HeUniformInit(seed=0),
    "xavier_normal_": keras_inits.GlorotInit(seed=0),
    "xavier_uniform_": keras_inits.GlorotUniformInit(seed=0),
    "normal_": keras_inits.RandomInit(seed=0),
}


@pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed")
@pytest.mark.parametrize("name", SAME_LAW)
def test_the_law_of_torch_is_the_one_that_the_table_names(name):
    import torch

    assert type(SAME_LAW[name]) is type(keras_inits.get(FOREIGN[plain(name)].ours))
    theirs = torch.empty(100, 300)
    getattr(torch.nn.init, name)(theirs, generator=torch.Generator().manual_seed(0))
    ours = np.asarray(SAME_LAW[name]((300, 100)))
    # 30,000 values: the standard error of a standard deviation is 0.4 %
    assert ours.std() == pytest.approx(float(theirs.std()), rel=0.03)
    assert np.abs(ours).max() == pytest.approx(float(theirs.abs().max()), rel=0.25)
    xavier = np.asarray(keras_inits.XavierInit(seed=0)((300, 100)))
    if name == "xavier_normal_":  # the control: the articles' Xavier is another law
        assert xavier.std() != pytest.approx(float(theirs.std()), rel=0.1)


def test_a_string_that_another_package_registered_is_known():
    @keras.saving.register_keras_serializable("elsewhere", "spiral")
    class Spiral(keras.initializers.Initializer):
        def __call__(self, shape, dtype=None):
            return keras.ops.zeros(shape, dtype)

    try:
        assert isinstance(keras_inits.get("elsewhere>spiral"), Spiral)
    finally:
        keras.saving.get_custom_objects().pop("elsewhere>spiral")


# A Keras to come that keeps strings where nobody can reach them: a `get` that forgets what it
# was taught, whichever way it is taught.
HIDDEN = """
import sys, types, warnings
import keras
real = keras.initializers.get
known = {n for n in dir(keras.initializers) if not n.startswith("_")}

def get(identifier):
    if isinstance(identifier, str) and identifier not in known:
        raise ValueError(f"Could not interpret initializer identifier: {identifier}")
    return real(identifier)

keras.initializers.get = get
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import keras_inits
    keras_inits.register()
ours = [str(w.message) for w in caught if "keras_inits" in str(w.message)]
assert len(ours) == 1, ours
assert 'keras_inits.get("initkit_he")' in ours[0], ours
# what the warning says still works does
assert keras_inits.get("initkit_he") == keras_inits.get("he") == keras_inits.HeInit()
layer = keras.layers.Dense(3, kernel_initializer=keras_inits.get("initkit_he"))
model = keras.Sequential([keras.Input((4,)), layer])
keras_inits.initialize(model, "initkit_he", seed=0)
model.save(sys.argv[1])
loaded = keras.saving.load_model(sys.argv[1])
assert loaded.layers[0].kernel_initializer == keras_inits.HeInit()
"""


@pytest.mark.slow
def test_a_keras_that_hides_its_strings_is_said_in_one_warning(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", HIDDEN, str(tmp_path / "model.keras")],
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_keras_at_hand_gives_no_warning_and_keeps_no_probe():
    script = (
        "import keras, warnings; warnings.simplefilter('error', UserWarning); import keras_inits"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    assert "initkit_probe" not in keras.saving.get_custom_objects()


def test_keras_2_says_that_our_strings_are_not_for_it(monkeypatch):
    # What tf_keras does with a string: its table of custom objects, then `from_config`.
    objects = {}
    tf_keras = types.ModuleType("tf_keras")
    tf_keras.utils = types.SimpleNamespace(get_custom_objects=lambda: objects)
    monkeypatch.setitem(sys.modules, "tf_keras", tf_keras)
    keras_inits.register()
    assert {*keras_inits.names()} < {*objects}
    for string in ("initkit_he", "initkit>he"):
        for make in (objects[string], lambda string=string: objects[string].from_config({})):
            with pytest.raises(InputError, match=f"'{string}' .* of Keras 3.* `import keras`"):
                make()
    assert not isinstance(keras_inits.get("initkit_he"), objects["initkit_he"])


@pytest.mark.slow  # a process with two Keras
def test_the_real_keras_2_says_so_too():
    pytest.importorskip("tf_keras")
    code = """
import keras_inits, tensorflow as tf
for make in (
    lambda: tf.keras.layers.Dense(3, kernel_initializer="initkit_he"),
    lambda: keras_inits.initialize(tf.keras.Sequential([tf.keras.layers.Dense(3)])),
):
    try:
        make()
    except keras_inits.InputError as error:
        assert "Keras 2" in str(error)
    else:
        raise AssertionError("no error")
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"TF_USE_LEGACY_KERAS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_no_builtin_is_shadowed():
    builtin = {n for n in dir(keras.initializers) if not n.startswith("_")}
    assert builtin.isdisjoint(keras_inits.names())
    for name in ("glorot_uniform", "HeNormal", "zeros", "orthogonal", "uniform"):
        assert type(keras_inits.get(name)).__module__.startswith("keras.")


def test_names_return_after_somebody_cleared_the_registry():
    objects = keras.saving.get_custom_objects()
    before = dict(objects)
    try:
        objects.clear()
        if strings_are_custom_objects():  # Keras 3.15 and before
            with pytest.raises(ValueError, match="Could not interpret"):
                keras.initializers.get("initkit_he")
        keras_inits.register()
        assert type(keras.initializers.get("initkit_he")) is keras_inits.HeInit
        assert type(keras.initializers.get("initkit>he")) is keras_inits.HeInit
        gates = keras_inits.GeometricInit("initkit_he", blocks=4)
        assert keras.initializers.deserialize(keras.initializers.serialize(gates)) == gates
    finally:
        objects.update(before)


@pytest.mark.parametrize(
    ("name", "says"),
    [("Zeros", "ends in 'Init'"), ("lowerInit", "CamelCase"), ("HeInit", "already names")],
)
def test_the_decorator_refuses_a_bad_or_taken_name(name, says):
    cls = type(name, (keras.initializers.Initializer,), {"__qualname__": f"elsewhere.{name}"})
    with pytest.raises(ValueError, match=says):
        _registry.scheme(cls)
    assert keras_inits.get("initkit_he") == keras_inits.HeInit()


def test_the_decorator_refuses_the_name_of_a_keras_class(monkeypatch):
    cls = type("SpiralInit", (keras.initializers.Initializer,), {})
    monkeypatch.setattr(keras.initializers, "SpiralInit", cls, raising=False)
    with pytest.raises(ValueError, match="Keras has an initializer named SpiralInit"):
        _registry.scheme(cls)
