import keras
import pytest

import keras_inits
from keras_inits import _registry


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


def test_a_wrong_argument_is_not_taken_for_a_wrong_name():
    with pytest.raises(ValueError, match="`gain` must be positive"):
        keras_inits.get({"class_name": "initkit_xavier", "config": {"gain": -1}})


@pytest.mark.parametrize("spec", [3, None, 1.5, ["initkit_he"], {"config": {}}])
def test_what_cannot_be_an_initializer_is_refused(spec):
    with pytest.raises(TypeError, match="Received: spec="):
        keras_inits.get(spec)


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
