"""The wide net's maps, against published constants, closed forms and Monte Carlo."""

import math

import numpy as np
import pytest

from keras_inits import _mean_field


@pytest.mark.parametrize(
    ("bias_variance", "weight_variance", "q"), [(2.01e-5, 1.0500, 0.0259), (0.05, 1.7610, 0.570)]
)
def test_the_edge_of_chaos_of_tanh_is_the_known_one(bias_variance, weight_variance, q):
    sigma_b = bias_variance**0.5
    sigma_w = _mean_field.critical_sigma_w("tanh", sigma_b=sigma_b)
    assert sigma_w**2 == pytest.approx(weight_variance, abs=6e-5)
    assert _mean_field.fixed_point("tanh", sigma_w=sigma_w, sigma_b=sigma_b) == pytest.approx(
        q, abs=5e-4
    )
    assert _mean_field.chi("tanh", sigma_w=sigma_w, sigma_b=sigma_b) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("activation", "sigma_w"), [("relu", 2**0.5), ("tanh", 1.0), ("linear", 1.0), ("gelu", 2.0)]
)
def test_critical_weights_without_bias(activation, sigma_w):
    assert _mean_field.critical_sigma_w(activation) == pytest.approx(sigma_w, abs=1e-4)


@pytest.mark.parametrize("activation", ["silu", "elu", "selu"])
def test_critical_weights_with_bias_have_chi_1_at_their_variance(activation):
    sigma_w = _mean_field.critical_sigma_w(activation, sigma_b=0.2)
    q = _mean_field.fixed_point(activation, sigma_w=sigma_w, sigma_b=0.2)
    if math.isinf(q):  # the critical variance of SiLU repels
        assert activation == "silu"
        return
    assert _mean_field.chi(activation, sigma_w=sigma_w, sigma_b=0.2) == pytest.approx(1, abs=1e-5)


@pytest.mark.slow
def test_an_activation_without_an_edge_of_chaos_is_told():
    with pytest.raises(ValueError, match=r"no edge of chaos.*Received: activation=softplus"):
        _mean_field.critical_sigma_w("softplus")


@pytest.mark.parametrize(
    ("activation", "sigma_w", "sigma_b", "q"),
    [
        ("relu", 2**0.5, 0.0, 1.0),  # any variance stays
        ("relu", 1.0, 0.0, 0.0),
        ("relu", 1.0, 1.0, 2.0),  # q = q / 2 + 1
        ("relu", 1.5, 0.1, math.inf),
        ("linear", 0.5, 1.0, 4 / 3),
        ("tanh", 0.9, 0.0, 0.0),
        ("selu", 1.0, 0.0, 1.0),
    ],
)
def test_fixed_points(activation, sigma_w, sigma_b, q):
    found = _mean_field.fixed_point(activation, sigma_w=sigma_w, sigma_b=sigma_b)
    assert found == pytest.approx(q, rel=1e-6)


@pytest.mark.parametrize("c", [-1.0, -0.3, 0.0, 0.5, 0.9, 0.999, 1.0])
def test_relu_series_agrees_with_the_arc_cosine_kernel(c):
    closed = _mean_field.correlation_map("relu", c, sigma_w=2**0.5)
    kernel = (math.sqrt(1 - c * c) + c * (math.pi - math.acos(c))) / math.pi
    assert closed == pytest.approx(kernel, abs=1e-12)
    # not quite two straight lines, hence by the series
    bent = _mean_field.correlation_map(
        lambda x: np.maximum(x, 0) + 1e-5 * np.sin(x), c, sigma_w=2**0.5, q=1.0
    )
    assert bent == pytest.approx(kernel, abs=1e-4)


@pytest.mark.parametrize("activation", ["tanh", "gelu"])
def test_the_correlation_map_is_that_of_a_draw(activation):
    q, c, size = 1.3, 0.6, 2**20
    rng = np.random.default_rng(0)
    z1, z2 = rng.standard_normal((2, size)) * q**0.5
    phi = _mean_field.resolve(activation).function
    products = phi(z1) * phi(c * z1 + math.sqrt(1 - c * c) * z2)
    expected = 1.5**2 * products.mean() + 0.2**2
    expected /= _mean_field.variance_map(activation, q, sigma_w=1.5, sigma_b=0.2)
    found = _mean_field.correlation_map(activation, c, sigma_w=1.5, sigma_b=0.2, q=q)
    assert found == pytest.approx(expected, abs=5 * 1.5**2 * products.std() / size**0.5)
    assert found != pytest.approx(c, abs=0.01)


def test_chi_is_the_slope_of_the_correlation_map_at_one():
    keys = {"sigma_w": 1.3, "sigma_b": 0.3}
    step = 1e-4
    slope = (1 - _mean_field.correlation_map("tanh", 1 - step, **keys)) / step
    assert slope == pytest.approx(_mean_field.chi("tanh", **keys), abs=1e-3)


def test_depth_scales_are_longest_at_the_edge():
    edge = _mean_field.critical_sigma_w("tanh", sigma_b=0.3)
    scales = [
        _mean_field.depth_scale("tanh", sigma_w=edge * factor, sigma_b=0.3)
        for factor in (0.7, 0.95, 1.05, 1.4)
    ]
    assert scales[0] < scales[1] > 10
    assert scales[3] < scales[2] > 10
    chi = _mean_field.chi("tanh", sigma_w=0.7 * edge, sigma_b=0.3)
    assert scales[0] == pytest.approx(-1 / math.log(chi))
    assert math.isinf(_mean_field.depth_scale("tanh", sigma_w=edge, sigma_b=0.3))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: _mean_field.correlation_map("tanh", 1.1, sigma_w=1.5), "from -1 to 1"),
        (lambda: _mean_field.correlation_map("tanh", 0.5, sigma_w=0.5), "dies out"),
        (lambda: _mean_field.chi("gelu", sigma_w=3.0), "grows without bound"),
        (lambda: _mean_field.critical_sigma_w("tanh", -1.0), "`sigma_b` must be from 0"),
    ],
)
def test_impossible_questions_are_refused(call, says):
    with pytest.raises(ValueError, match=says) as error:
        call()
    assert "Received" in str(error.value)


def test_the_bias_of_the_edge_may_be_positional_as_in_version_0_1():
    named = _mean_field.critical_sigma_w("tanh", sigma_b=0.3)
    assert _mean_field.critical_sigma_w("tanh", 0.3) == named
