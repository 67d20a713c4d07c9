import numpy as np
import pytest
from keras import ops

from keras_inits._gains import gain, resolve
from keras_inits._working_point import working_point

WIDTH, DEPTH, SAMPLES, SEEDS = 256, 50, 8, 3


@pytest.fixture(scope="module")
def kernels():
    """Of each seed and layer, with variance 1 / WIDTH: `(SEEDS, DEPTH, WIDTH, WIDTH)`."""
    shape = (SEEDS, DEPTH, WIDTH, WIDTH)
    return np.random.default_rng(0).standard_normal(shape, np.float32) / np.float32(WIDTH**0.5)


def worst(activation, q, sigma_w, kernels):
    """How far signal or gradient drift from the first layer to the last: the larger factor."""
    rng, function = np.random.default_rng(1), resolve(activation).function
    step = 1e-4 * max(1.0, q**0.5)
    h, sizes, slopes = rng.standard_normal((SEEDS, SAMPLES, WIDTH)), [], []
    for layer in range(DEPTH):
        z = h @ kernels[:, layer] * (sigma_w if layer else q**0.5)
        values = function(np.concatenate([z, z + step, z - step]).ravel())
        h, above, below = values.reshape(3, *z.shape)
        sizes.append(rms(z))
        slopes.append((above - below) / (2 * step))
    gradient, back = rng.standard_normal(h.shape), []
    for layer in reversed(range(DEPTH)):
        gradient = gradient * slopes[layer]
        back.append(rms(gradient))
        gradient = gradient @ kernels[:, layer].transpose(0, 2, 1) * sigma_w
    drifts = np.log([sizes[-1] / sizes[0], back[-1] / back[0]])
    return np.exp(np.abs(np.median(drifts, axis=1)).max())


def rms(tensor):
    return np.sqrt(np.mean(tensor**2, axis=(1, 2)))


@pytest.mark.parametrize(
    "activation", ["relu", "selu", "gelu", "silu", "softplus", "tanh", "sigmoid"]
)
def test_fifty_layers_keep_signal_and_gradient_within_a_factor_3(activation, kernels):
    point = working_point(activation, DEPTH)
    assert point.keeps
    assert worst(activation, point.q, point.gain, kernels) < 3


@pytest.mark.parametrize("activation", ["silu", "tanh", "sigmoid"])
def test_a_variance_of_1_does_not_keep_them(activation, kernels):
    with np.errstate(over="ignore", invalid="ignore"):
        assert not worst(activation, 1.0, gain(activation), kernels) < 3


def test_one_layer_and_straight_lines_work_at_1():
    assert working_point("tanh", 1).q == working_point("relu", 1000).q == 1
    assert working_point("tanh", 1).gain == pytest.approx(gain("tanh"))
    assert working_point("relu", 1000).gain == pytest.approx(2**0.5)


def test_a_deeper_net_works_nearer_to_where_the_gradient_keeps_its_size():
    depths = (5, 20, 80, 320)
    points = [working_point("tanh", depth) for depth in depths]
    assert [p.q for p in points] == sorted((p.q for p in points), reverse=True)
    for depth, point in zip(depths, points, strict=True):
        assert 1 / 4.5 < point.chi ** (depth - 1) < 4.5


def test_a_sine_of_30_works_where_siren_draws_it():
    # Sitzmann et al. 2020: U(+-sqrt(6 / n) / 30), whose pre-activations have variance 1 / 900.
    point = working_point(lambda x: ops.sin(30 * x), 5)
    assert 0.5 < point.q * 900 < 2


def test_what_no_variance_keeps_is_said():
    point = working_point("exponential", 20)
    assert not point.keeps
    assert "no variance keeps" in str(point)
    assert "no variance" not in str(working_point("tanh", 20))


def test_no_point_is_chosen_at_which_the_signal_is_lost():
    # exp: chi = 1 at q = 1, where a signal twice as large becomes boundless within a few layers.
    point = working_point("exponential", 50)
    assert point.slope < 1
    assert not point.keeps


@pytest.mark.parametrize("depth", [4, 20])
def test_where_all_variances_lose_the_signal_alike_it_is_1(depth):
    point = working_point(lambda x: ops.square(ops.relu(x)), depth)
    assert not point.keeps
    assert point.q == pytest.approx(1.0)
