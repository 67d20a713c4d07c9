"""The contract of every registered scheme; the cases follow from the registry."""

import copy
import inspect

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

import keras_inits
from keras_inits._schemes.sampling import DISTRIBUTIONS
from keras_inits._schemes.variance_scaling import MODES

SHAPES = {"initkit_identity": (4, 6)}  # a matrix; every other scheme fills a convolution kernel
CHOICES = {*MODES, *DISTRIBUTIONS}


def fitting_shape(name):
    return SHAPES.get(name, (3, 3, 4, 6))


def seeded(name, seed=7):
    """An instance of the scheme with that seed, if it takes one."""
    cls = type(keras_inits.get(name))
    return cls(seed=seed) if "seed" in inspect.signature(cls).parameters else cls()


every_scheme = pytest.mark.parametrize("name", keras_inits.names())
random_schemes = [n for n in keras_inits.names() if "seed" in keras_inits.get(n).get_config()]


@every_scheme
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", None])
def test_shape_and_dtype_are_those_asked_for(name, dtype):
    value = seeded(name)(fitting_shape(name), dtype)
    assert value.shape == fitting_shape(name)
    assert keras.backend.standardize_dtype(value.dtype) == (dtype or "float32")
    assert np.all(np.isfinite(ops.convert_to_numpy(ops.cast(value, "float32"))))


@every_scheme
def test_low_precision_is_the_rounded_float32_draw(name):
    scheme, shape = seeded(name), fitting_shape(name)
    rounded = ops.cast(scheme(shape, "float32"), "bfloat16")
    assert bool(ops.all(scheme(shape, "bfloat16") == rounded))


@every_scheme
def test_the_config_holds_the_arguments_and_makes_an_equal_scheme(name):
    scheme = seeded(name)
    config = scheme.get_config()
    assert list(config) == list(inspect.signature(type(scheme)).parameters)
    again = type(scheme).from_config(config)
    assert again == scheme
    assert hash(again) == hash(scheme)
    assert again.get_config() == config
    assert again != keras.initializers.Zeros()
    np.testing.assert_array_equal(again(fitting_shape(name)), scheme(fitting_shape(name)))


@every_scheme
def test_the_representation_tells_the_arguments_that_were_given(name):
    scheme = seeded(name)
    assert eval(repr(scheme), dict(vars(keras_inits))) == scheme
    assert repr(type(scheme)()) == f"{type(scheme).__name__}()"


@every_scheme
def test_the_docstring_begins_with_a_line_for_the_tables(name):
    first, _, rest = inspect.getdoc(type(keras_inits.get(name))).partition("\n")
    assert first.endswith(".")
    assert rest.startswith("\n")


@pytest.mark.parametrize("name", random_schemes)
def test_different_arguments_are_different_schemes(name):
    cls = type(keras_inits.get(name))
    assert cls(seed=1) != cls(seed=2)
    assert cls(seed=1) != cls()


@pytest.mark.parametrize("name", random_schemes)
def test_unseeded_instances_and_their_clones_draw_afresh(name):
    scheme, shape = keras_inits.get(name), fitting_shape(name)
    first = np.asarray(scheme(shape))
    np.testing.assert_array_equal(first, scheme(shape))
    assert np.any(first != np.asarray(keras_inits.get(name)(shape)))
    assert np.any(first != np.asarray(scheme.clone()(shape)))
    np.testing.assert_array_equal(first, copy.deepcopy(scheme)(shape))


@pytest.mark.parametrize("name", random_schemes)
def test_a_seed_generator_gives_new_values_at_each_call_and_the_same_sequence_again(name):
    cls, shape = type(keras_inits.get(name)), fitting_shape(name)
    scheme = cls(seed=keras.random.SeedGenerator(3))
    first, second = np.asarray(scheme(shape)), np.asarray(scheme(shape))
    assert np.any(first != second)
    again = cls(seed=keras.random.SeedGenerator(3))
    np.testing.assert_array_equal(first, again(shape))
    np.testing.assert_array_equal(second, again(shape))


@every_scheme
@pytest.mark.parametrize("dtype", ["int32", "bool", "uint8"])
def test_integers_are_for_constants_alone(name, dtype):
    if name in {"initkit_zeros", "initkit_ones"}:
        value = keras_inits.get(name)((2, 3), dtype)
        assert keras.backend.standardize_dtype(value.dtype) == dtype
        return
    with pytest.raises(ValueError, match="floating type") as error:
        keras_inits.get(name)(fitting_shape(name), dtype)
    assert f"{dtype!r}" in str(error.value)


@pytest.mark.parametrize("dtype", ["int32", "uint8"])
def test_a_whole_constant_fills_integers(dtype):
    assert int(keras_inits.ConstantInit(3)((), dtype)) == 3


@every_scheme
@pytest.mark.parametrize("shape", [(-1, 3), (None, 3), (2.0, 3), "ab", 3, None])
def test_an_undefined_shape_is_refused(name, shape):
    with pytest.raises((TypeError, ValueError), match="`shape` must be"):
        keras_inits.get(name)(shape)


def arguments(*named):
    """Pairs of a class and an argument of that name, for every scheme that has it."""
    classes = [type(keras_inits.get(name)) for name in keras_inits.names()]
    return pytest.mark.parametrize(
        ("cls", "argument"),
        [(c, a) for c in classes for a in named if a in inspect.signature(c).parameters],
    )


@arguments("gain", "stddev", "mean", "minval", "maxval", "negative_slope", "value", "sparsity")
@pytest.mark.parametrize("wrong", ["big", 1j, True, float("nan"), float("inf"), [1.0]])
def test_what_is_no_finite_number_is_refused(cls, argument, wrong):
    with pytest.raises((TypeError, ValueError), match=f"Received: {argument}="):
        cls(**{argument: wrong})


@given(value=st.floats(max_value=0, allow_nan=False))
@arguments("gain", "stddev")
def test_a_scale_must_be_positive(cls, argument, value):
    if cls is keras_inits.IdentityInit:  # a negative identity is a map like any other
        return
    with pytest.raises(ValueError, match=f"`{argument}` must be (positive|finite). Received"):
        cls(**{argument: value})


@arguments("mode", "distribution")
@given(value=st.one_of(st.text().filter(lambda s: s not in CHOICES), st.none(), st.integers()))
def test_an_unknown_choice_is_refused(cls, argument, value):
    with pytest.raises(ValueError, match=f"`{argument}` must be one of .* Received: {argument}="):
        cls(**{argument: value})


@arguments("input_axes", "output_axes", "batch_axes")
@pytest.mark.parametrize("wrong", ["0", 1.0, (0, 0), (0, 1.5), (None,), {0}])
def test_axes_must_be_integers_named_once(cls, argument, wrong):
    with pytest.raises(ValueError, match=f"Received: {argument}="):
        cls(**{argument: wrong})


@arguments("batch_axes")
@pytest.mark.parametrize(
    ("axes", "says"),
    [
        ({"input_axes": 0}, "together"),
        ({"input_axes": 0, "output_axes": (0, 1)}, "overlap"),
        ({"input_axes": 0, "output_axes": -4}, "overlap"),
        ({"input_axes": 0, "output_axes": 1, "batch_axes": (1, 2)}, "overlap"),
        ({"input_axes": 4, "output_axes": 1}, "from -4 to 3"),
        ({"batch_axes": -5}, "from -4 to 3"),
    ],
)
def test_axes_that_do_not_fit_the_shape_are_refused_at_the_call(cls, argument, axes, says):
    with pytest.raises(ValueError, match=says) as error:
        cls(**axes)((3, 3, 4, 6))
    assert "Received" in str(error.value)


@arguments("seed")
@pytest.mark.parametrize("wrong", [1.5, "7", [1]])
def test_a_seed_must_be_an_integer_or_a_generator(cls, argument, wrong):
    with pytest.raises(ValueError, match="seed"):
        cls(**{argument: wrong})


@pytest.mark.parametrize(
    ("cls", "wrong"),
    [
        (keras_inits.DiracInit, {"groups": 0}),
        (keras_inits.DiracInit, {"groups": 1.5}),
        (keras_inits.SparseInit, {"connections": 0}),
        (keras_inits.SparseInit, {"connections": 3, "sparsity": 0.5}),
        (keras_inits.SparseInit, {"sparsity": 1.0}),
        (keras_inits.SparseInit, {"sparsity": -0.1}),
        (keras_inits.UniformInit, {"minval": 1.0, "maxval": 0.0}),
        (keras_inits.TruncatedNormalInit, {"minval": 1.0, "maxval": 1.0}),
        (keras_inits.TruncatedNormalInit, {"minval": 9.0}),
        (keras_inits.HeInit, {"mode": "fan_avg"}),
    ],
)
def test_arguments_that_contradict_are_refused(cls, wrong):
    with pytest.raises((TypeError, ValueError), match="Received"):
        cls(**wrong)
