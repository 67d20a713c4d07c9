"""Gains and Gaussian moments, against published constants, closed forms and SciPy."""

import inspect
import math

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops
from scipy import integrate, stats

import keras_inits as ki

# E[phi(z)^2], to the seven digits at which they are known from elsewhere.
SECOND_MOMENTS = {
    "linear": 1.0,
    "relu": 0.5,
    "tanh": 0.3942945,
    "gelu": 1 / 3 + 1 / (2 * math.sqrt(3) * math.pi),
    "silu": 0.3557755,
    "elu": 0.6449454,
    "selu": 1.0,  # what its constants were chosen for (Klambauer et al. 2017)
    "sigmoid": 0.2933790,
    "exponential": math.exp(2),
}


@keras.saving.register_keras_serializable("keras_inits_tests")
def twice_relu(x):
    return 2 * ops.relu(x)


@pytest.mark.parametrize(("name", "value"), SECOND_MOMENTS.items())
def test_second_moments_are_the_known_ones(name, value):
    moments = ki.gaussian_moments(name)
    assert moments.second_moment == pytest.approx(value, abs=1e-7, rel=1e-7)
    assert ki.gain(name) == pytest.approx(value**-0.5, rel=1e-6)
    assert abs(ki.gaussian_moments(name, 1.05).second_moment - value) > 1e-4 or name == "selu"


NUMPY = {
    "tanh": (np.tanh, lambda x: 1 / np.cosh(x) ** 2),
    "gelu": (lambda x: x * stats.norm.cdf(x), lambda x: stats.norm.cdf(x) + x * stats.norm.pdf(x)),
    "relu6": (lambda x: np.clip(x, 0, 6), lambda x: (x > 0) * (x < 6.0)),
    "softplus": (lambda x: np.logaddexp(0, x), lambda x: 1 / (1 + np.exp(-x))),
    "elu": (lambda x: np.where(x > 0, x, np.expm1(x)), lambda x: np.where(x > 0, 1, np.exp(x))),
    "hard_sigmoid": (lambda x: np.clip(x / 6 + 0.5, 0, 1), lambda x: (abs(x) < 3) / 6.0),
}


@pytest.mark.parametrize("name", NUMPY)
@pytest.mark.parametrize("q", [0.01, 1.0, 7.3])
def test_moments_at_any_variance_are_those_of_scipy(name, q):
    function, derivative = NUMPY[name]

    def expectation(f):
        kinks = np.array([-3, 0, 3, 6]) / math.sqrt(q)
        return integrate.quad(
            lambda z: f(math.sqrt(q) * z) * stats.norm.pdf(z),
            *(-12, 12),
            points=kinks[abs(kinks) < 12],
            limit=200,
            epsabs=1e-10,
        )[0]

    moments = ki.gaussian_moments(name, q)
    assert moments.mean == pytest.approx(expectation(function), abs=1e-6)
    assert moments.second_moment == pytest.approx(expectation(lambda x: function(x) ** 2), abs=1e-6)
    slope = expectation(lambda x: derivative(x) ** 2)
    assert moments.derivative_second_moment == pytest.approx(slope, abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.floats(-2.0, 2.0), st.floats(0.1, 10.0))
def test_leaky_relu_has_its_closed_form(slope, q):
    moments = ki.gaussian_moments(lambda x: np.where(x < 0, slope * x, x), q)
    assert moments.second_moment == pytest.approx(q * (1 + slope**2) / 2, rel=1e-12)
    assert moments.derivative_second_moment == pytest.approx((1 + slope**2) / 2, rel=1e-12)
    assert moments.mean == pytest.approx(math.sqrt(q / 2 / math.pi) * (1 - slope), abs=1e-12)


@pytest.mark.parametrize(
    "activation",
    [
        np.tanh,
        math.tanh,
        ops.tanh,
        keras.activations.tanh,
        keras.layers.Activation("tanh"),
        {"class_name": "Activation", "config": {"activation": "tanh"}, "module": "keras.layers"},
        lambda x: 2 / (1 + ops.exp(-2 * x)) - 1,
    ],
)
def test_whatever_computes_tanh_has_its_gain(activation):
    assert ki.gain(activation) == pytest.approx(ki.gain("tanh"), rel=1e-6)


@pytest.mark.parametrize(
    ("activation", "gain"),
    [
        (None, 1.0),
        (keras.layers.ReLU(), 2**0.5),
        (keras.layers.LeakyReLU(0.5), 1.6**0.5),
        (keras.layers.PReLU(), 2**0.5),
        (keras.layers.PReLU("ones"), 1.0),
        (lambda x: x if x > 0 else 0.5 * x, 1.6**0.5),
        (twice_relu, 0.5**0.5),
        (lambda x: np.where(x > 0.3337, 1.0, 0.0), stats.norm.sf(0.3337) ** -0.5),
    ],
)
def test_layers_and_callables_have_gains(activation, gain):
    assert ki.gain(activation) == pytest.approx(gain, rel=1e-6)


@pytest.mark.parametrize(
    ("activation", "error", "says"),
    [
        ("softmax", ValueError, "elementwise"),
        (keras.layers.Softmax(), ValueError, "elementwise"),
        (keras.layers.Dense(3), ValueError, "elementwise"),
        ("gellu", ValueError, "'gelu'"),
        (lambda x: 0 * x, ValueError, "0 everywhere"),
        (lambda x: ops.exp(x * x), ValueError, "finite moments"),
        (3, TypeError, "function of one array"),
        (keras.layers.ReLU, TypeError, "function of one array"),
        (lambda x, y: x, TypeError, "missing 1 required"),
    ],
)
def test_what_has_no_gain_is_refused_with_the_reason(activation, error, says):
    with pytest.raises(error, match=says) as raised:
        ki.gain(activation)
    assert "Received: activation=" in str(raised.value)


@pytest.mark.parametrize("q", [0.0, -1.0, math.inf, math.nan])
def test_a_variance_must_be_positive(q):
    with pytest.raises(ValueError, match=r"`q` must be (positive|finite).*Received: q="):
        ki.gaussian_moments("relu", q)


def with_argument(*names):
    """The classes of the registered schemes that take one of these arguments."""
    classes = [type(ki.get(name)) for name in ki.names()]
    return [c for c in classes if {*names} & {*inspect.signature(c).parameters}]


GAINED = with_argument("activation")


def test_every_scheme_with_a_gain_takes_an_activation():
    assert with_argument("gain", "negative_slope") == GAINED
    assert {ki.HeUniformInit, ki.OrthogonalInit, ki.IdentityInit} < {*GAINED}


gained = pytest.mark.parametrize("cls", GAINED)


@gained
def test_an_activation_stands_for_its_gain(cls):
    shape = (8, 8) if cls is ki.IdentityInit else (3, 3, 8, 8)
    seed = {} if cls is ki.IdentityInit else {"seed": 3}
    one = {"negative_slope": 1.0} if issubclass(cls, ki.HeInit) else {"gain": 1.0}
    expected = ki.gain("gelu") * np.asarray(cls(**one, **seed)(shape))
    np.testing.assert_allclose(cls(activation="gelu", **seed)(shape), expected, 1e-5, 1e-7)


@gained
def test_an_activation_and_what_it_stands_for_are_not_both_taken(cls):
    name = "negative_slope" if issubclass(cls, ki.HeInit) else "gain"
    with pytest.raises(ValueError, match=f"`activation` stands in the place of `{name}`") as error:
        cls(**{name: 1.0}, activation="relu")
    assert f"Received: {name}=1.0, activation='relu'" in str(error.value)


@gained
@pytest.mark.parametrize(
    "activation",
    ["gelu", keras.activations.silu, keras.layers.LeakyReLU(0.3), twice_relu],
    ids=["name", "function", "layer", "registered"],
)
def test_an_activation_survives_the_configuration(cls, activation):
    scheme = cls(activation=activation)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(scheme))
    assert again == scheme
    assert cls.from_config(scheme.get_config()) == scheme
    assert again.effective_gain == pytest.approx(ki.gain(activation), rel=1e-7)
    assert scheme != cls()


def test_an_activation_survives_a_saved_model(tmp_path):
    layer = keras.layers.Dense(
        4, kernel_initializer=ki.XavierInit(activation=keras.layers.LeakyReLU(0.3))
    )
    model = keras.Sequential([keras.Input((3,)), layer])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.layers[0].kernel_initializer == layer.kernel_initializer


@pytest.mark.parametrize("function", [lambda x: x, np.tanh])
def test_a_function_that_no_file_can_name_is_refused_with_the_way_out(function):
    with pytest.raises(TypeError, match=r"gain=keras_inits.gain\(function\)"):
        ki.XavierInit(activation=function)
    assert ki.XavierInit(gain=ki.gain(function)).effective_gain == ki.gain(function)


def test_attention_takes_a_scheme_with_an_activation():
    attention = keras.layers.MultiHeadAttention(
        2, 4, kernel_initializer=ki.OrthogonalInit(activation="relu")
    )
    assert attention(np.ones((1, 3, 8)), np.ones((1, 3, 8))).shape == (1, 3, 8)


def test_the_scale_that_keras_reads_is_exact():
    for scheme in (ki.HeInit(), ki.HeUniformInit(), ki.XavierInit(activation="relu")):
        assert scheme.scale == 2.0
        assert scheme.effective_gain == math.sqrt(2.0)
    assert ki.HeInit(0.5).scale == 1.6
    assert ki.OrthogonalInit(3.0).scale == 9.0


class Single:
    """A function that computes in float32, as many of Keras's do on JAX."""

    def __init__(self, function):
        self.function = function

    def __call__(self, x):
        return ops.cast(self.function(ops.cast(x, "float32")), "float32")


@pytest.mark.parametrize("q", [0.01, 0.57, 9.0])
def test_a_smooth_function_in_float32_has_moments_to_1e_6(q):
    single, double = ki.gaussian_moments(Single(ops.tanh), q), ki.gaussian_moments("tanh", q)
    assert single.second_moment == pytest.approx(double.second_moment, abs=1e-6)
    slope = double.derivative_second_moment
    assert single.derivative_second_moment == pytest.approx(slope, abs=1e-6)
    sine = ki.gaussian_moments(Single(ops.sin), q)
    cosine = (1 + math.exp(-2 * q)) / 2
    assert sine.derivative_second_moment == pytest.approx(cosine, abs=1e-6)
    # control: the step of a function with kinks, which is too short for rounded values
    short = np.mean(
        [(math.sin(x + 3e-3) - math.sin(x - 3e-3)) ** 2 / 3.6e-5 for x in np.linspace(-0.1, 0.1)]
    )
    assert abs(short - np.mean(np.cos(np.linspace(-0.1, 0.1)) ** 2)) > 1e-6


def test_a_function_in_float32_with_kinks_has_moments_to_1e_3():
    moments = ki.gaussian_moments(Single(ops.relu6), 9.0)
    slope = ki.gaussian_moments("relu6", 9.0).derivative_second_moment
    assert moments.derivative_second_moment == pytest.approx(slope, abs=1e-3)
