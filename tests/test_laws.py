"""What the random schemes draw, against SciPy's laws and JAX's formulas."""

import keras
import numpy as np
import pytest
from scipy import stats
from versions import WIDEST

import keras_inits as ki

DENSE, CONV = (512, 256), (3, 3, 64, 128)  # 2^17 and 73,728 values
TRUNCATED = stats.truncnorm(-2, 2)


def as_numpy(tensor):
    return keras.ops.convert_to_numpy(tensor).astype("float64")


def normal(stddev, mean=0.0):
    return stats.norm(mean, stddev)


def truncated(stddev):
    return stats.truncnorm(-2, 2, scale=stddev / TRUNCATED.std())


def uniform(stddev):
    return stats.uniform(-np.sqrt(3) * stddev, 2 * np.sqrt(3) * stddev)


CASES = [
    (ki.RandomInit(seed=1), DENSE, normal(1)),
    (ki.RandomSmallInit(seed=1), DENSE, normal(0.01)),
    (ki.RandomLargeInit(seed=1), DENSE, normal(10)),
    (ki.RandomInit(2.0, 3.0, seed=1), DENSE, normal(2, 3)),
    (ki.UniformInit(seed=1), DENSE, stats.uniform(-0.05, 0.1)),
    (ki.UniformInit(1, 4, seed=1), DENSE, stats.uniform(1, 3)),
    (ki.TruncatedNormalInit(seed=1), DENSE, stats.truncnorm(-2, 2, scale=0.05)),
    (ki.TruncatedNormalInit(2.0, 0.5, seed=1), DENSE, stats.truncnorm(-2, 2, 2.0, 0.5)),
    (ki.TruncatedNormalInit(0, 1, minval=0.5, maxval=3, seed=1), DENSE, stats.truncnorm(0.5, 3)),
    (ki.TruncatedNormalInit(0, 1, minval=-4, maxval=-3, seed=1), DENSE, stats.truncnorm(-4, -3)),
    (ki.XavierInit(seed=1), DENSE, normal(512**-0.5)),
    (ki.XavierInit(2.0, seed=1), CONV, normal(2 * 576**-0.5)),
    (ki.XavierUniformInit(seed=1), DENSE, uniform(512**-0.5)),
    (ki.GlorotInit(seed=1), DENSE, normal((2 / 768) ** 0.5)),
    (ki.GlorotUniformInit(seed=1), CONV, uniform((2 / (576 + 1152)) ** 0.5)),
    (ki.HeInit(seed=1), DENSE, normal((2 / 512) ** 0.5)),
    (ki.HeInit(0.5, seed=1), CONV, normal((2 / 1.25 / 576) ** 0.5)),
    (ki.HeInit(mode="fan_out", seed=1), CONV, normal((2 / 1152) ** 0.5)),
    (ki.HeInit(distribution="truncated_normal", seed=1), DENSE, truncated((2 / 512) ** 0.5)),
    (ki.HeUniformInit(seed=1), DENSE, uniform((2 / 512) ** 0.5)),
    (ki.LecunInit(seed=1), CONV, normal(576**-0.5)),
    (ki.LecunUniformInit(seed=1), CONV, uniform(576**-0.5)),
    (ki.VarianceScalingInit(3, mode="fan_geo_avg", seed=1), DENSE, normal(3 / 362.0387**0.5)),
    (ki.HeInit(input_axes=1, output_axes=0, seed=1), DENSE, normal((2 / 256) ** 0.5)),
    (ki.HeInit(batch_axes=0, seed=1), (4, 128, 256), normal((2 / 128) ** 0.5)),
    (ki.CutNormalInit(0.5, 3.0, seed=1), DENSE, stats.truncnorm(-3, 3, scale=0.5)),
    (
        ki.LecunInit(distribution="truncated_normal", cut=3.0, seed=1),
        DENSE,
        stats.truncnorm(-3, 3, scale=512**-0.5 / stats.truncnorm(-3, 3).std()),
    ),
    (ki.SirenInit(20.0, seed=1), CONV, uniform((2 / 576) ** 0.5 / 20)),
    (ki.SirenFirstInit(seed=1), DENSE, uniform(1 / 512 / 3**0.5)),
    (ki.BiasUniformInit(100, seed=1), DENSE, uniform(1 / 300**0.5)),
    (ki.SpectralInit(distribution="normal", seed=1), DENSE, normal(512**-0.5 * 0.5**0.5)),
]


def departures(values, law):
    """Names the checks that `values` fail as independent draws of `law`."""
    failed = []
    if stats.kstest(values, law.cdf).pvalue <= 1e-3 / len(CASES):
        failed.append("law")
    n, std = len(values), law.std()
    if abs(values.mean() - law.mean()) > 5 * std / n**0.5:
        failed.append("mean")
    # var(s^2) = (kurtosis + 2) sigma^4 / n, and half of that relative error for s
    std_error = std * ((law.stats("k") + 2) / n) ** 0.5 / 2
    if abs(values.std() - std) > 5 * std_error:
        failed.append("std")
    return failed


@pytest.mark.parametrize(("scheme", "shape", "law"), CASES, ids=lambda v: repr(v)[:60])
def test_draws_follow_the_stated_law(scheme, shape, law):
    values = as_numpy(scheme(shape, WIDEST)).ravel()
    assert len(values) >= 2**16
    assert departures(values, law) == []
    low, high = law.support()
    assert values.min() >= low
    assert values.max() <= high
    # the same checks must notice a scale that is 5 % off
    assert {"law", "std"} <= set(departures(law.mean() + 1.05 * (values - law.mean()), law))


@pytest.mark.parametrize("mode", ["fan_in", "fan_out", "fan_avg", "fan_geo_avg"])
@pytest.mark.parametrize("distribution", ["normal", "truncated_normal", "uniform"])
@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        (CONV, (-2, -1, ())),
        (CONV, (3, 2, ())),
        ((64, 8, 128), (0, (1, 2), ())),
        ((8, 64, 128), (1, 2, 0)),
    ],
)
def test_scale_agrees_with_jax(mode, distribution, shape, axes):
    jax = pytest.importorskip("jax")
    ours = ki.VarianceScalingInit(
        2**0.5,
        mode=mode,
        distribution=distribution,
        input_axes=axes[0],
        output_axes=axes[1],
        batch_axes=axes[2],
        seed=1,
    )
    theirs = np.asarray(
        jax.nn.initializers.variance_scaling(2.0, mode, distribution, *axes)(
            jax.random.key(1), shape
        )
    )
    # 5 standard errors of a normal's standard deviation, the widest of the three laws
    margin = 5 / (2 * theirs.size) ** 0.5
    assert theirs.std() == pytest.approx(ours.stddev(shape), rel=margin)
    assert np.asarray(ours(shape)).std() == pytest.approx(ours.stddev(shape), rel=margin)


def test_truncation_is_at_two_standard_deviations_of_the_wider_normal():
    values = np.asarray(ki.HeInit(distribution="truncated_normal", seed=1)(DENSE))
    bound = 2 * (2 / 512) ** 0.5 / TRUNCATED.std()
    assert 0.99 * bound < np.abs(values).max() <= bound * (1 + 1e-6)


def test_bfloat16_uniform_has_no_bias():
    values = as_numpy(ki.UniformInit(-1.0, 1.0, seed=1)(DENSE, "bfloat16"))
    assert abs(values.mean()) < 5 / (3 * values.size) ** 0.5


def test_articles_xavier_is_not_the_papers():
    assert ki.XavierInit().stddev((784, 10)) == pytest.approx(784**-0.5)
    assert ki.GlorotInit().stddev((784, 10)) == pytest.approx((2 / 794) ** 0.5)


BOUNDS = [(0.0, 0.02, -2.0, 2.0), (2.79, 0.491, 2.7125, 3.6078), (0.0, 1.0, 0.5, 3.0)]
BOUNDS += [(0.0, 1.0, -4.0, -3.0), (1.0, 0.3, 0.9, 50.0), (0.0, 1.0, 0.1, 0.101), (3.0, 2.0, -7, 2)]


@pytest.mark.parametrize(("mean", "stddev", "low", "high"), BOUNDS)
def test_a_truncated_normal_has_the_exact_moments_and_keeps_its_bounds(mean, stddev, low, high):
    scheme = ki.TruncatedNormalInit(mean, stddev, minval=low, maxval=high, seed=0)
    law = stats.truncnorm((low - mean) / stddev, (high - mean) / stddev, mean, stddev)
    expected = scheme.expected_stddev(ki.KernelGeometry.from_shape((8, 8)))
    # SciPy's variance is a difference, which loses digits in a narrow interval
    assert expected == pytest.approx(law.std(), rel=1e-5 if high - low < 0.01 else 1e-9)
    for dtype in ("float32", WIDEST):
        values = as_numpy(scheme((512, 512), dtype))
        assert values.min() >= low
        assert values.max() <= high
        # Of 2^18 values none is where the law has one in 10^11.
        assert values.min() >= law.ppf(1e-11) - 1e-6 * law.std()
        assert values.max() <= law.isf(1e-11) + 1e-6 * law.std()
        assert departures(values.ravel(), law) == []


@pytest.mark.parametrize("seed", [0, 1])
def test_no_value_is_a_hundred_standard_deviations_out(seed):
    values = np.asarray(
        ki.TruncatedNormalInit(0, 0.02, minval=-2, maxval=2, seed=seed)((4096, 4096))
    )
    # 2^24 values of a normal reach 5.2 standard deviations; 6 is one draw of them in 30
    assert 4.8 < np.abs(values).max() / 0.02 < 6


@pytest.mark.parametrize(
    ("bounds", "dtype"),
    [
        ((2.7125, 3.6078), "bfloat16"),
        ((-7.31, -7.27), "bfloat16"),
        ((-7.31, -7.27), "float16"),
        ((-0.001, 0.001), "float16"),
    ],
)
def test_half_precision_keeps_the_bounds_that_were_given(bounds, dtype):
    low, high = bounds
    scheme = ki.TruncatedNormalInit((low + high) / 2, high - low, minval=low, maxval=high, seed=0)
    values = as_numpy(scheme((300, 300), dtype))
    assert low <= values.min() <= values.max() <= high
    # Rounded without a look at them, values are past them.
    rounded = as_numpy(keras.ops.cast(scheme((300, 300)), dtype))
    assert rounded.min() < low or rounded.max() > high


@pytest.mark.parametrize(
    "scheme",
    [
        ki.TruncatedNormalInit(2.79, 0.491, minval=2.7125, maxval=3.6078, seed=0),
        ki.UniformInit(2.7125, 3.6078, seed=0),
    ],
    ids=["truncated", "uniform"],
)
def test_bounds_that_float32_does_not_hold_are_kept(scheme):
    assert not {2.7125, 3.6078} & {float(np.float32(x)) for x in (2.7125, 3.6078)}
    values = np.asarray(scheme((2000, 2000))).astype("float64")
    assert values.min() >= 2.7125
    assert values.max() <= 3.6078
