"""Orthogonal, identity and sparse kernels: their identities, and their laws."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import stats
from versions import WIDEST

import keras_inits as ki
from keras_inits._schemes import hadamard, orthogonal

EXACT = 1e-13 if WIDEST == "float64" else 5e-6


def gram_error(matrix, gain=1.0):
    """Largest entry of QᵀQ - g²I, or of QQᵀ - g²I for a wide matrix."""
    q = np.asarray(ops.convert_to_numpy(matrix), "float64")
    q = q if q.shape[0] >= q.shape[1] else q.T
    return np.abs(q.T @ q - gain**2 * np.eye(q.shape[1])).max()


@pytest.mark.parametrize("shape", [(50, 20), (20, 50), (1, 1), (1, 7), (900, 800), (385, 385)])
@pytest.mark.parametrize("gain", [1.0, 2.5])
def test_orthogonal_columns_or_rows(shape, gain):
    assert gram_error(ki.OrthogonalInit(gain, seed=1)(shape), gain) < 5e-6 * gain**2


def test_orthogonal_is_exact_to_the_widest_type():
    assert gram_error(ki.OrthogonalInit(seed=1)((500, 400), WIDEST)) < EXACT


def test_orthogonal_bfloat16_is_rounded_not_computed():
    kernel = ki.OrthogonalInit(seed=1)((64, 64), "bfloat16")
    assert gram_error(ops.cast(kernel, "float32")) < 2 * 2**-8


def test_orthogonal_sees_a_convolution_as_its_taps_and_inputs():
    kernel = np.asarray(ki.OrthogonalInit(seed=1)((3, 3, 16, 32)))
    assert gram_error(kernel.reshape(144, 32)) < 5e-6


def test_orthogonal_follows_explicit_axes():
    kernel = np.asarray(ki.OrthogonalInit(input_axes=0, output_axes=(1, 2), seed=1)((64, 8, 4)))
    assert gram_error(kernel.reshape(64, 32)) < 5e-6
    kernel = np.asarray(ki.OrthogonalInit(batch_axes=1, seed=1)((8, 5, 8)))
    assert max(gram_error(kernel[:, i]) for i in range(5)) < 5e-6
    assert np.abs(kernel[:, 0] - kernel[:, 1]).max() > 0.1


def test_orthogonal_is_the_product_of_the_reflections(monkeypatch):
    """The panels are an order of summation only: any width gives the textbook product."""
    shape, dtype = (1, 7, 5), WIDEST
    x = np.tril(np.asarray(keras.random.normal(shape, dtype=dtype, seed=3))[0])
    expected, signs = np.eye(7), np.ones(5)
    for k in range(5):
        u = x[:, k].copy()
        signs[k] = -np.sign(u[k])
        u[k] += np.sign(u[k]) * np.linalg.norm(u)
        expected = expected @ (np.eye(7) - 2 * np.outer(u, u) / (u @ u))
    expected = expected[:, :5] * signs
    for panel in (1, 2, 3, 5, 384):
        monkeypatch.setattr(orthogonal, "_PANEL", panel)
        drawn = np.asarray(orthogonal.haar_orthogonal(shape, 1.0, dtype, 3))[0]
        np.testing.assert_allclose(drawn, expected, atol=10 * EXACT)


def haar_departures(q):
    """Names the checks that matrices `(count, n, n)` fail as Haar draws of O(n)."""
    count, n, _ = q.shape
    failed = []
    # one entry of a uniform unit vector: (q + 1) / 2 is Beta((n-1)/2, (n-1)/2)
    law = stats.beta((n - 1) / 2, (n - 1) / 2, loc=-1, scale=2)
    for i, j in [(0, 0), (0, n - 1), (n - 1, 0), (n - 1, n - 1), (1, 1)]:
        if stats.kstest(q[:, i, j], law.cdf).pvalue < 1e-4:
            failed.append(f"entry {i, j}")
    # E tr Q = 0 and E (tr Q)^2 = 1 (Diaconis & Shahshahani 1994); det is +-1 evenly
    trace = np.trace(q, axis1=1, axis2=2)
    for name, values, mean in [
        ("trace", trace, 0.0),
        ("trace squared", trace**2, 1.0),
        ("determinant", np.linalg.det(q), 0.0),
        ("product of entries", q[:, 0, 0] * q[:, 1, 1] * q[:, 0, 1] * q[:, 1, 0], _four(n)),
    ]:
        if abs(values.mean() - mean) > 5 * values.std() / count**0.5:
            failed.append(name)
    return failed


def _four(n):
    """E q11 q12 q21 q22 under Haar (Weingarten calculus)."""
    return -1 / ((n - 1) * n * (n + 2))


@pytest.mark.parametrize("panel", [2, 384])
def test_orthogonal_is_haar_uniform(monkeypatch, panel):
    monkeypatch.setattr(orthogonal, "_PANEL", panel)
    q = np.asarray(ki.OrthogonalInit(batch_axes=0, seed=11)((2**15, 4, 4), WIDEST))
    assert haar_departures(q) == []


def test_the_haar_check_notices_a_missing_sign():
    normal = np.random.default_rng(0).normal(size=(2**15, 4, 4))
    q, r = np.linalg.qr(normal)
    assert haar_departures(q) != []
    signs = np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None]
    assert haar_departures(q * signs) == []


# a power of 2 and of 4, factors beside it, a prime past the direct ones, a wide one, few columns
SIZES = [(128, 128), (100, 300), (201, 150), (134, 134), (1009, 3), (8192, 2), (9, 4)]


@pytest.mark.parametrize("shape", SIZES)
def test_hadamard_orthogonal_columns_or_rows(shape):
    assert gram_error(ki.HadamardOrthogonalInit(2.5, seed=1)(shape), 2.5) < 5e-6 * 2.5**2
    assert gram_error(ki.HadamardOrthogonalInit(seed=1)(shape, WIDEST)) < EXACT


# factors, a wide one, two panels and a part of one, a prime past the direct ones, several maps
@pytest.mark.parametrize("shape", [(1, 576, 130), (1, 100, 300), (1, 134, 70), (2, 128, 65)])
def test_hadamard_orthogonal_by_numpy_is_the_same_matrix(shape):
    made = [
        np.asarray(hadamard.hadamard_orthogonal(shape, 1.5, "float32", 3, by_numpy=by_numpy))
        for by_numpy in (True, False)
    ]
    np.testing.assert_allclose(*made, atol=1e-5)
    assert made[0].shape == shape
    other = np.asarray(hadamard.hadamard_orthogonal(shape, 1.5, "float32", 4, by_numpy=True))
    assert np.abs(made[0] - other).max() > 0.05  # control: entries are of 1.5 / sqrt(n)


def test_hadamard_orthogonal_rounds_nothing_at_powers_of_4():
    assert gram_error(ki.HadamardOrthogonalInit(seed=1)((256, 256))) == 0.0
    assert gram_error(ki.OrthogonalInit(seed=1)((256, 256))) > 0.0  # control


def test_hadamard_orthogonal_draws_each_map_by_itself():
    kernel = np.asarray(ki.HadamardOrthogonalInit(batch_axes=1, seed=1)((80, 3, 70)))
    assert max(gram_error(kernel[:, i]) for i in range(3)) < 5e-6
    assert np.abs(kernel[:, 0] - kernel[:, 1]).max() > 0.1
    kernel = np.asarray(ki.HadamardOrthogonalInit(seed=1)((3, 3, 16, 32)))
    assert gram_error(kernel.reshape(144, 32)) < 5e-6


def moment_departures(q, fourth):
    """Names the moments of matrices `(count, n, n)` that are not those of the docstring."""
    count, n, _ = q.shape
    failed = []
    fourths = (q**4).mean(axis=(1, 2))
    if abs(fourths.mean() - fourth) > 5 * fourths.std(ddof=1) / count**0.5 + 1e-9 * fourth:
        failed.append("fourth")
    for one, other in [((0, 0), (1, 0)), ((0, 0), (0, 1)), ((n - 1, 2), (1, 0))]:
        products = q[:, *one] * q[:, *other]
        if abs(products.mean()) > 5 / n / count**0.5:
            failed.append(f"product of {one} and {other}")
    squares = n * (q**2).mean(axis=0)  # of each entry over the draws; 1 with a variance of 2/count
    if abs((squares**2).mean() - 1 - 2 / count) > 0.3 / count:
        failed.append("second")
    return failed


@pytest.mark.parametrize("n", [128, 66])
def test_hadamard_orthogonal_has_the_moments_that_it_says(n):
    q = np.asarray(ki.HadamardOrthogonalInit(batch_axes=0, seed=11)((300, n, n), WIDEST))
    fourth = 3 / n**2 - 6 / n**3 + 4 / n**4
    if n == 128:
        assert moment_departures(q, fourth) == []
    else:  # no power of 2: the second moments alone
        assert {*moment_departures(q, fourth)} <= {"fourth"}
        assert (q**4).mean() == pytest.approx(3 / (n * (n + 2)), rel=0.04)


def test_the_moment_check_notices_one_transform_without_a_permutation():
    rng = np.random.default_rng(0)
    t = np.asarray(hadamard.transform(ops.eye(66, dtype=WIDEST)[None]))[0]
    once = t * rng.choice([-1.0, 1.0], (300, 1, 66))
    assert {"fourth", "second"} <= {*moment_departures(once, 3 / 66**2)}


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("size", [2, 3, 4])
def test_delta_orthogonal_keeps_the_norm(rank, size):
    scheme = ki.DeltaOrthogonalInit(2.0, seed=1)
    layer = _convolution(rank, size, 7, scheme)
    x = np.random.default_rng(0).normal(size=(2, *[6] * rank, 5)).astype("float32")
    y = ops.convert_to_numpy(layer(x))
    np.testing.assert_allclose(np.linalg.norm(y), 2 * np.linalg.norm(x), rtol=1e-5)


def test_delta_orthogonal_refuses_what_would_lose_signal():
    with pytest.raises(ValueError, match="at least as many outputs"):
        ki.DeltaOrthogonalInit()((3, 3, 8, 4))
    with pytest.raises(ValueError, match="convolution kernels"):
        ki.DeltaOrthogonalInit()((4, 4))


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_dirac_passes_its_input_on(rank, size):
    layer = _convolution(rank, size, 7, ki.DiracInit())
    x = np.random.default_rng(0).normal(size=(2, *[6] * rank, 5)).astype("float32")
    y = ops.convert_to_numpy(layer(x))
    np.testing.assert_array_equal(y[..., :5], x)
    assert np.all(y[..., 5:] == 0)


def test_dirac_passes_each_group_on():
    layer = keras.layers.Conv2D(
        6, 3, padding="same", groups=2, kernel_initializer=ki.DiracInit(groups=2)
    )
    x = np.random.default_rng(0).normal(size=(1, 5, 5, 4)).astype("float32")
    y = ops.convert_to_numpy(layer(x))
    np.testing.assert_array_equal(y[..., [0, 1, 3, 4]], x)
    assert np.all(y[..., [2, 5]] == 0)
    with pytest.raises(ValueError, match="equal groups"):
        ki.DiracInit(groups=4)((3, 3, 4, 6))


@pytest.mark.parametrize("multiplier", [1, 3])
@pytest.mark.parametrize("kind", ["DepthwiseConv1D", "DepthwiseConv2D"])
def test_dirac_passes_each_channel_of_a_depthwise_convolution_on(kind, multiplier):
    layer = getattr(keras.layers, kind)(3, padding="same", depth_multiplier=multiplier)
    x = np.random.default_rng(0).normal(size=(1, *[5] * int(kind[-2]), 4)).astype("float32")
    layer(x)
    ki.initialize(layer, "initkit_dirac", seed=0)
    y = ops.convert_to_numpy(layer(x))
    np.testing.assert_array_equal(y[..., ::multiplier], x)
    assert np.count_nonzero(layer.kernel) == 4
    # what the layer keeps draws the same in a clone
    clone = type(layer).from_config(layer.get_config())
    clone.build(x.shape)
    np.testing.assert_array_equal(clone.kernel, layer.kernel)


def test_dirac_passes_each_group_on_without_being_asked():
    layer = keras.layers.Conv2D(6, 3, padding="same", groups=2)
    x = np.random.default_rng(0).normal(size=(1, 5, 5, 4)).astype("float32")
    layer(x)
    ki.initialize(layer, "initkit_dirac", seed=0)
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(x))[..., [0, 1, 3, 4]], x)


def test_identity_is_one_for_each_map():
    layer = keras.layers.LSTM(5)
    layer.build((1, 3, 4))
    ki.initialize(layer, ki.IdentityInit(2.0), seed=0)
    for gate in np.split(ops.convert_to_numpy(layer.cell.recurrent_kernel), 4, axis=1):
        np.testing.assert_array_equal(gate, 2 * np.eye(5))


def test_identity_is_the_gain_on_the_diagonal():
    np.testing.assert_array_equal(ki.IdentityInit(-2.0)((3, 4)), -2 * np.eye(3, 4))
    with pytest.raises(ValueError, match="two axes"):
        ki.IdentityInit()((3, 3, 4, 4))


@pytest.mark.parametrize(
    ("scheme", "shape", "nonzero"),
    [
        (ki.SparseInit(seed=1), (100, 40), 15),
        (ki.SparseInit(3, seed=1), (100, 40), 3),
        (ki.SparseInit(seed=1), (10, 40), 10),
        (ki.SparseInit(sparsity=0.9, seed=1), (100, 40), 10),
        (ki.SparseInit(sparsity=0.85, seed=1), (10, 40), 1),
        (ki.SparseInit(sparsity=0.0, seed=1), (10, 40), 10),
        (ki.SparseInit(4, seed=1), (3, 3, 8, 40), 4),
    ],
)
def test_sparse_outputs_hear_that_many_inputs(scheme, shape, nonzero):
    kernel = np.asarray(scheme(shape)).reshape(-1, shape[-1])
    assert set(np.count_nonzero(kernel, axis=0)) == {nonzero}


def test_sparse_inputs_are_a_uniform_choice_and_weights_are_normal():
    kernel = np.asarray(ki.SparseInit(5, stddev=2.0, seed=1)((20, 2**15)))
    chosen = np.count_nonzero(kernel, axis=1)
    assert stats.chisquare(chosen).pvalue > 1e-3
    pairs = np.count_nonzero((kernel[:10] != 0) & (kernel[10:] != 0))
    expected = 10 * 2**15 * (5 / 20) * (4 / 19)
    assert abs(pairs - expected) < 5 * expected**0.5
    weights = kernel[kernel != 0]
    assert stats.kstest(weights, stats.norm(0, 2).cdf).pvalue > 1e-3
    assert stats.kstest(1.05 * weights, stats.norm(0, 2).cdf).pvalue < 1e-3


def test_sparse_follows_explicit_axes():
    kernel = np.asarray(ki.SparseInit(3, input_axes=(1, 2), output_axes=0, seed=1)((6, 4, 5)))
    assert set(np.count_nonzero(kernel.reshape(6, 20), axis=1)) == {3}


def _convolution(rank, size, filters, initializer):
    layer = {1: keras.layers.Conv1D, 2: keras.layers.Conv2D, 3: keras.layers.Conv3D}[rank]
    return layer(filters, size, padding="same", kernel_initializer=initializer)
