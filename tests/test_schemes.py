"""The contract of every registered scheme; the cases follow from the registry."""

import copy
import inspect
import json
import re
from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops
from saved_models import make
from test_saving import fresh_process
from versions import WIDEST, without_jax

import keras_inits
from keras_inits import KernelGeometry
from keras_inits._errors import InputError
from keras_inits._schemes.base import Scheme
from keras_inits._schemes.sampling import DISTRIBUTIONS
from keras_inits._schemes.variance_scaling import MODES

CHOICES = {*MODES, *DISTRIBUTIONS}


def seeded(name, seed=7):
    """An instance of the scheme with that seed, if it takes one."""
    cls = type(keras_inits.get(name))
    return cls(seed=seed) if "seed" in inspect.signature(cls).parameters else cls()


every_scheme = pytest.mark.parametrize("name", keras_inits.names())
random_schemes = [n for n in keras_inits.names() if "seed" in keras_inits.get(n).get_config()]


@every_scheme
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", without_jax("float64"), None])
def test_shape_and_dtype_are_those_asked_for(name, dtype):
    value = seeded(name)(make.fitting_shape(name), dtype)
    assert value.shape == make.fitting_shape(name)
    assert keras.backend.standardize_dtype(value.dtype) == (dtype or "float32")
    assert np.all(np.isfinite(ops.convert_to_numpy(ops.cast(value, "float32"))))


@every_scheme
def test_low_precision_is_the_rounded_float32_draw(name):
    scheme, shape = seeded(name), make.fitting_shape(name)
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
    np.testing.assert_array_equal(again(make.fitting_shape(name)), scheme(make.fitting_shape(name)))


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
    scheme, shape = keras_inits.get(name), make.fitting_shape(name)
    first = np.asarray(scheme(shape))
    np.testing.assert_array_equal(first, scheme(shape))
    assert np.any(first != np.asarray(keras_inits.get(name)(shape)))
    assert np.any(first != np.asarray(scheme.clone()(shape)))
    np.testing.assert_array_equal(first, copy.deepcopy(scheme)(shape))


@pytest.mark.parametrize("name", random_schemes)
def test_a_seed_generator_gives_new_values_at_each_call_and_the_same_sequence_again(name):
    cls, shape = type(keras_inits.get(name)), make.fitting_shape(name)
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
        keras_inits.get(name)(make.fitting_shape(name), dtype)
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
    if argument == "value" and wrong == [1.0]:  # a constant may be an array
        return
    with pytest.raises((TypeError, ValueError), match=f"Received: {argument}="):
        cls(**{argument: wrong})


@settings(deadline=None)  # machines may be busy
@given(value=st.floats(max_value=0, allow_nan=False))
@arguments("gain", "stddev")
def test_a_scale_must_be_positive(cls, argument, value):
    if cls is keras_inits.IdentityInit:  # a negative identity is a map like any other
        return
    with pytest.raises(ValueError, match=f"`{argument}` must be (positive|finite). Received"):
        cls(**{argument: value})


@arguments("mode", "distribution")
@settings(deadline=None)  # machines may be busy
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
@pytest.mark.parametrize("wrong", [1.5, "7", [1], True])
def test_a_seed_must_be_an_integer_or_a_generator(cls, argument, wrong):
    with pytest.raises(ValueError, match="seed"):
        cls(**{argument: wrong})


@pytest.mark.parametrize(
    ("cls", "wrong"),
    [
        (keras_inits.ConstantInit, {"value": [1.0, "a"]}),
        (keras_inits.ConstantInit, {"value": [1.0, float("nan")]}),
        (keras_inits.ConstantInit, {"value": [[1.0], [2.0, 3.0]]}),
        (keras_inits.ConstantInit, {"value": np.array([True])}),
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
    with pytest.raises(InputError, match="Received"):
        cls(**wrong)


# --- what a new scheme must bring along (CONTRIBUTING.md)


@every_scheme
def test_every_argument_has_a_sample_value(name):
    missing = inspect.signature(type(keras_inits.get(name))).parameters.keys() - make.ARGUMENTS
    assert not missing, (
        f"ARGUMENTS in tests/saved_models/make.py has no value for {sorted(missing)} of {name}: "
        "enter one that is not the default, or nothing tests that it is saved"
    )


@every_scheme
def test_every_argument_is_described_in_full(name):
    cls = type(keras_inits.get(name))
    (section,) = re.findall(r"^Args:\n((?: +.*\n?)+)", inspect.getdoc(cls), re.MULTILINE) or [""]
    described = re.findall(r"^    (\w+): \S", section, re.MULTILINE)
    assert described == list(inspect.signature(cls).parameters)
    assert "as in `" not in cls.__doc__


def of_that_scale(stddevs, expected):
    """Returns whether the mean of the standard deviations of several draws is the one expected."""
    error = 5 * np.std(stddevs, ddof=1) / len(stddevs) ** 0.5
    return (
        abs(np.mean(stddevs) - expected) <= error + 1e-6 * expected + 1e-15
    )  # NumPy's own rounding


LAWS = {"as it comes": {}, "with arguments": make.ARGUMENTS}


@every_scheme
@pytest.mark.parametrize("arguments", LAWS)
def test_the_law_of_a_scheme_is_that_of_its_draws(name, arguments):
    cls = type(keras_inits.get(name))
    assert cls.expected_stddev is not Scheme.expected_stddev, (
        f"{cls.__name__} must say by which standard deviation it draws: implement "
        "`expected_stddev(geometry)`, which may return None where there is no such law"
    )
    takes = inspect.signature(cls).parameters
    scheme = cls(**{a: v for a, v in LAWS[arguments].items() if a in takes})
    shape = (64, 384) if name in make.NEEDS_MATRIX else (3, 3, 16, 1024)
    geometry = scheme.geometry((2**16,) if name in make.NEEDS_VECTOR else shape)
    expected = scheme.expected_stddev(geometry)
    if expected is None:
        return
    draws = (scheme.draw(geometry, WIDEST, seed) for seed in range(6))
    stddevs = np.array([np.asarray(draw, "float64").std() for draw in draws])
    assert of_that_scale(stddevs, expected)
    # control: the same check must notice a scale that is 5 % off
    assert expected == 0 or not of_that_scale(1.05 * stddevs, expected)


@every_scheme
def test_initialize_reports_the_law_as_the_target(name):
    scheme = keras_inits.get(name)
    layer, *_ = make.layers(name, name, "audited")
    model = make.chain(layer)
    overrides = {"*/bias": name} if name in make.NEEDS_VECTOR else {}
    if overrides:  # no bias of a Dense layer
        return
    (row, *_) = keras_inits.initialize(model, name, seed=1).rows
    assert row.target_stddev == scheme.expected_stddev(KernelGeometry.from_shape(row.shape))


# --- classes with fixed arguments


def test_a_fixed_argument_is_gone_from_signature_configuration_and_description():
    cls = keras_inits.HeUniformInit
    assert "distribution" not in inspect.signature(cls).parameters
    assert "distribution" not in cls().get_config()
    assert "distribution:" not in inspect.getdoc(cls)
    assert cls().distribution == "uniform"
    with pytest.raises(TypeError, match=r"HeUniformInit.* unexpected .* 'distribution'"):
        cls(distribution="uniform")
    with pytest.raises(TypeError, match="too many positional"):
        cls(0.1, "relu")
    assert cls(0.1).negative_slope == 0.1
    rest = keras_inits.HeInit(distribution="uniform", seed=1)
    np.testing.assert_array_equal(cls(seed=1)((4, 6)), rest((4, 6)))


def test_only_inherited_arguments_can_be_fixed():
    with pytest.raises(TypeError, match=r"can fix .*Received: colour='red'"):

        class Red(keras_inits.HeInit, colour="red"):
            """Red."""

    with pytest.raises(TypeError, match="can fix arguments"):

        class Own(keras_inits.HeInit, mode="fan_in"):
            """Own."""

            def __init__(self):
                super().__init__()


def test_a_class_of_a_user_may_fix_arguments_too():
    class Backward(keras_inits.HeInit, mode="fan_out"):
        """He's scale for the gradient."""

    assert Backward().stddev((2, 8)) == 0.5
    assert "negative_slope: $a$" in Backward.__doc__


# --- seeds


SEEDS = [0, 1, 2**31 - 3, 2**31 - 2, 2**31 - 1, 2**31, 2**32, 2**32 + 1, 2**64, 2**127 + 1]
SEEDS += [2**128 - 1, 10**60, -1, -(2**40)]


@pytest.mark.parametrize("name", random_schemes)
def test_every_integer_has_a_stream_of_its_own(name):
    cls, shape = type(keras_inits.get(name)), make.fitting_shape(name)
    drawn = [np.asarray(cls(seed=seed)(shape)).tobytes() for seed in SEEDS]
    assert len({*drawn}) == len(SEEDS)
    again = cls.from_config(json.loads(json.dumps(cls(seed=SEEDS[-5]).get_config())))
    assert np.asarray(again(shape)).tobytes() == drawn[-5]


def test_seeds_that_keras_can_hold_mean_what_they_mean_there():
    for seed in (0, 1, 7, 2**31 - 3):
        theirs = keras.initializers.RandomNormal(0.0, 1.0, seed=seed)((3, 4))
        np.testing.assert_array_equal(keras_inits.RandomInit(seed=seed)((3, 4)), theirs)
    if keras.backend.backend() == "tensorflow":  # control: Keras has one stream for these two
        one, other = (keras.initializers.RandomNormal(seed=s)((3, 4)) for s in (1, 2**31 - 1))
        np.testing.assert_array_equal(one, other)


def test_a_scalar_array_is_a_seed_as_it_is_elsewhere():
    np.testing.assert_array_equal(
        keras_inits.HeInit(seed=np.array(3))((4, 8)), keras_inits.HeInit(seed=3)((4, 8))
    )


@pytest.mark.parametrize("kind", [np.int64, np.int32, np.uint8])
def test_integers_of_numpy_are_integers(kind):
    def same(cls, **arguments):
        ours = cls(**{k: kind(v) for k, v in arguments.items()})
        assert json.loads(json.dumps(ours.get_config())) == cls(**arguments).get_config()
        np.testing.assert_array_equal(ours((4, 8)), cls(**arguments)((4, 8)))

    same(keras_inits.RandomInit, seed=3)
    same(keras_inits.UniformInit, seed=3)
    same(keras_inits.TruncatedNormalInit, seed=3)
    same(keras_inits.HeInit, seed=3, input_axes=0, output_axes=1)
    same(keras_inits.SparseInit, seed=3, connections=2)
    assert keras_inits.DiracInit(kind(2)) == keras_inits.DiracInit(2)
    gates = keras_inits.GeometricInit("initkit_he", blocks=kind(4), output_stride=kind(2))
    assert gates == keras_inits.GeometricInit("initkit_he", blocks=4, output_stride=2)


@pytest.mark.parametrize("inner", [lambda shape: ops.zeros(shape), np.ones((2, 3), "float32")])
def test_what_cannot_fill_a_kernel_in_its_geometry_is_said(inner):
    scheme = keras_inits.GeometricInit(inner, batch_axes=0)
    with pytest.raises(InputError, match=r"cannot fill a kernel of shape \(4, 5\)"):
        scheme((4, 5))


# --- constants


@pytest.mark.parametrize(
    "value", [[1.0, 2.0, 3.0], [[1], [2]], np.arange(6.0).reshape(2, 3), (1, 2, 3), np.float32(0.5)]
)
def test_a_constant_may_be_an_array(value, tmp_path):
    scheme = keras_inits.ConstantInit(value)
    theirs = keras.initializers.Constant(np.asarray(value))
    np.testing.assert_array_equal(scheme((2, 3)), theirs((2, 3)))
    assert scheme((2, 3)).shape == (2, 3)
    assert type(scheme).from_config(json.loads(json.dumps(scheme.get_config()))) == scheme
    assert eval(repr(scheme), dict(vars(keras_inits))) == scheme
    assert scheme != keras_inits.ConstantInit([1.0, 2.0, 4.0])
    geometry = KernelGeometry.from_shape((2, 3))
    assert scheme.expected_stddev(geometry) == pytest.approx(
        np.std(keras.ops.convert_to_numpy(theirs((2, 3))))
    )
    if np.ndim(value):
        with pytest.raises(InputError, match=r"must broadcast.*Received"):
            scheme((3, 5))
        assert keras.backend.standardize_dtype(scheme((2, 3), "int32").dtype) == "int32"


# --- in graphs

# AutoGraph warns once a process of what it cannot read, so the process is a fresh one.
IN_GRAPHS = """
import json, logging
import tensorflow as tf
import keras_inits
import test_schemes
from saved_models import make

seen = []

class Keep(logging.Handler):
    def emit(self, record):
        if "AutoGraph" in record.getMessage():
            seen.append(record.getMessage())

tf.get_logger().addHandler(Keep())
for name in keras_inits.names():
    shape = (3, 3, 4, 4) if name in make.NEEDS_TAPS else (4, 4)
    shape = (8,) if name in make.NEEDS_VECTOR else shape
    cls, config = type(keras_inits.get(name)), make.with_arguments(name).get_config()
    if "activation" in config:
        config = {k: v for k, v in config.items() if k not in ("gain", "negative_slope")}
        config["activation"] = "gelu"
    scheme = cls(**config)
    tf.function(test_schemes.drawn)(cls, scheme, shape)
schemes = len(seen)
tf.function(test_schemes.annotated)(1)
print(json.dumps([seen[:schemes], len(seen) - schemes]))
"""


def drawn(cls, scheme, shape):
    """What a user's graph does; in a file, since AutoGraph reads the source."""
    return scheme(shape), cls()(shape)


def annotated(x):
    """What AutoGraph cannot read: a name with an annotation, assigned in a branch."""
    if x > 0:
        y: int = 1
    else:
        y = 2
    return y


@pytest.mark.slow
def test_graphs_are_built_without_a_warning():
    warnings, control = fresh_process(IN_GRAPHS, directory=Path(__file__).parent)
    assert warnings == []
    assert control == 1


# --- the recipe of CONTRIBUTING.md

RECIPE = """
import json, re, sys
from pathlib import Path

[example] = re.findall(r"```python\\n(.*?)```", Path(sys.argv[1]).read_text(), re.DOTALL)
exec(example)
import keras, keras_inits

dense = [keras.layers.Dense(96, "tanh"), keras.layers.Dense(9)]
model = keras.Sequential([keras.Input((64,)), *dense])
(row, *_) = keras_inits.initialize(model, "initkit_arcsine", seed=1).rows
before = len(keras_inits.audit(model).findings)
kernel = model.layers[0].kernel
kernel.assign(2 * kernel)
kinds = [f.kind for f in keras_inits.audit(model).findings]
print(json.dumps([row.target_stddev, row.stddev, before, kinds]))
"""


@pytest.mark.slow
def test_the_scheme_of_the_recipe_has_a_target_and_is_audited():
    path = Path(__file__).parents[1] / "CONTRIBUTING.md"
    target, drawn, before, kinds = fresh_process(RECIPE, path, directory=Path(__file__).parent)
    assert target == pytest.approx(1 / 8)
    assert drawn == pytest.approx(target, rel=0.05)
    assert (before, kinds) == (0, ["scale"])


@pytest.mark.parametrize("name", ["he", "truncated_normal", "sparse", "hadamard_orthogonal"])
def test_a_compiled_function_draws_what_an_eager_call_does(name):
    tf = pytest.importorskip("tensorflow")
    scheme, shape = seeded(f"initkit_{name}"), (96, 80)
    eager = np.asarray(scheme(shape))
    compiled = np.asarray(tf.function(lambda: scheme(shape))())
    np.testing.assert_allclose(compiled, eager, rtol=1e-5, atol=1e-6)  # one seed, one stream
    assert np.abs(np.asarray(seeded(f"initkit_{name}", 8)(shape)) - eager).max() > 1e-3  # control
