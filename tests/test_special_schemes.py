"""Schemes for special layers: what each is for, next to its paper, and that `audit` knows it."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from scipy import stats
from versions import WIDEST

import keras_inits as ki
from keras_inits import InputError, KernelGeometry

RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.standard_normal(shape).astype("float32")


def audited(model):
    return [found.kind for found in ki.audit(model).findings]


# --- ICNR


def depth_to_space(x, factor, order):
    batch, height, width, depth = x.shape
    channels = depth // factor**2
    if order == "depth_to_space":
        x = x.reshape(batch, height, width, factor, factor, channels)
        x = x.transpose(0, 1, 3, 2, 4, 5)
    else:
        x = x.reshape(batch, height, width, channels, factor, factor)
        x = x.transpose(0, 1, 4, 2, 5, 3)
    return x.reshape(batch, height * factor, width * factor, channels)


def checkerboard(image, factor):
    """The part of an enlarged image's variance that lies within its blocks of factor x factor."""
    batch, height, width, channels = image.shape
    blocks = image.reshape(batch, height // factor, factor, width // factor, factor, channels)
    return float(blocks.var(axis=(2, 4)).mean() / image.var())


@pytest.mark.parametrize("order", ["depth_to_space", "pixel_shuffle"])
@pytest.mark.parametrize("factor", [2, 3])
def test_icnr_starts_as_a_nearest_neighbour_enlargement(order, factor):
    scheme = ki.IcnrInit(factor=factor, order=order, seed=1)
    layer = layers.Conv2D(5 * factor**2, 3, padding="same", kernel_initializer=scheme)
    x = normal(2, 8, 8, 4)
    assert (
        checkerboard(depth_to_space(ops.convert_to_numpy(layer(x)), factor, order), factor) < 1e-10
    )
    plain = layers.Conv2D(5 * factor**2, 3, padding="same", kernel_initializer="initkit_xavier")
    assert checkerboard(depth_to_space(ops.convert_to_numpy(plain(x)), factor, order), factor) > 0.5


def test_icnr_agrees_with_tensorflow_on_the_order_of_channels():
    tf = pytest.importorskip("tensorflow")
    kernel = np.asarray(ki.IcnrInit(seed=1)((3, 3, 4, 12)))
    out = tf.nn.depth_to_space(tf.nn.conv2d(normal(1, 8, 8, 4), kernel, 1, "SAME"), 2)
    assert checkerboard(out.numpy(), 2) < 1e-10
    shuffled = np.asarray(ki.IcnrInit(order="pixel_shuffle", seed=1)((3, 3, 4, 12)))
    out = tf.nn.depth_to_space(tf.nn.conv2d(normal(1, 8, 8, 4), shuffled, 1, "SAME"), 2)
    assert checkerboard(out.numpy(), 2) > 0.1


@pytest.mark.parametrize(("rank", "copies"), [(1, 2), (2, 4), (3, 8)])
def test_all_sub_pixel_filters_are_equal_and_drawn_in_their_own_fans(rank, copies):
    shape = (*[3] * rank, 32, 64 * copies)
    kernel = np.asarray(ki.IcnrInit(mode="fan_out", seed=1)(shape))
    parts = np.split(kernel, copies, axis=-1)
    for part in parts[1:]:
        np.testing.assert_array_equal(part, parts[0])
    assert len(np.unique(parts[0])) > 0.99 * parts[0].size
    values = parts[0].ravel() * (3**rank * 64) ** 0.5  # fan_out of 64 channels, not of all
    assert stats.kstest(values, "norm").pvalue > 1e-3
    assert stats.kstest(values * copies**-0.5, "norm").pvalue < 1e-3  # the control


def test_icnr_refuses_what_is_no_sub_pixel_kernel():
    with pytest.raises(InputError, match=r"4 equal parts.*Received: factor=2 for 6 outputs"):
        ki.IcnrInit()((3, 3, 4, 6))
    with pytest.raises(InputError, match=r"fills kernels of convolutions.*Received: shape=\(4, 8"):
        ki.IcnrInit()((4, 8))
    grouped = KernelGeometry.from_shape((3, 3, 4, 8), blocks=2)
    with pytest.raises(InputError, match="in 2 groups"):
        ki.IcnrInit().draw(grouped, "float32", 1)


class DepthToSpace(layers.Layer):
    def call(self, x):
        batch, height, width = ops.shape(x)[0], x.shape[1], x.shape[2]
        x = ops.reshape(x, (batch, height, width, 2, 2, x.shape[3] // 4))
        x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
        return ops.reshape(x, (batch, 2 * height, 2 * width, x.shape[-1]))


def test_audit_takes_equal_sub_pixel_filters_for_what_they_are():
    def model():
        return keras.Sequential(
            [
                keras.Input((8, 8, 3)),
                layers.Conv2D(16, 3, padding="same", activation="relu", name="first"),
                layers.Conv2D(12, 3, padding="same", name="enlarge"),
                DepthToSpace(),
                layers.Conv2D(3, 3, padding="same", name="last"),
            ]
        )

    net = model()
    ki.initialize(net, "initkit_he", overrides={"*/enlarge/kernel": "initkit_icnr"}, seed=1)
    assert audited(net) == []
    # Alone, a layer does not show that its units are parted by their places in the image.
    layer = net.get_layer("enlarge")
    assert audited(layer) == []
    values = np.asarray(layer.kernel).copy()
    values[..., 1] = values[..., 0]  # control: two channels, not two pixels of one
    layer.kernel.assign(values)
    assert audited(layer) == ["equal units"]
    layer.kernel_initializer = ki.XavierInit()  # and pixels that no scheme made equal
    layer.kernel.assign(ki.IcnrInit(seed=1)(layer.kernel.shape))
    assert audited(layer) == ["equal units"]


# --- SIREN


def siren(depth=6, width=512, omega=30.0, hidden="initkit_siren", first="initkit_siren_first"):
    sine = lambda z: ops.sin(omega * z)  # noqa: E731
    net = [layers.Dense(width, sine, name=f"layer_{i}") for i in range(depth)]
    model = keras.Sequential([keras.Input((2,)), *net])
    ki.initialize(model, hidden, overrides={"*/layer_0/kernel": first}, seed=3)
    return model, net


def test_siren_activations_are_arcsine_and_sums_normal_at_every_depth():
    _model, net = siren()
    v = 1.0
    x = RNG.uniform(-1, 1, (512, 2)).astype("float32")
    for layer in net:
        z = 30 * (x @ np.asarray(layer.kernel) + np.asarray(layer.bias))
        x = np.sin(z)
        if layer is net[0]:
            assert x.std() == pytest.approx(0.5**0.5, rel=0.1)
            continue
        # Theorem 1.8 has 1 and .71, for inputs of the arcsine law, as behind layer 0. A sine
        # of N(0, v) has the second moment (1 - exp(-2 v)) / 2; v = 1 - exp(-2 v) at .797.
        assert z.std() == pytest.approx(v**0.5, rel=0.08)
        assert x.std() == pytest.approx((0.5 - 0.5 * np.exp(-2 * v)) ** 0.5, rel=0.08)
        v = 1 - np.exp(-2 * v)
        # a few values of each unit, since those of one unit depend on each other
        assert stats.kstest(z[::64, ::16].ravel(), "norm").statistic < 0.12
    _wrong, net = siren(hidden="initkit_he")  # the control: hundreds of periods
    x = RNG.uniform(-1, 1, (512, 2)).astype("float32")
    x = np.sin(30 * x @ np.asarray(net[0].kernel))
    assert (30 * x @ np.asarray(net[1].kernel)).std() > 10


def test_siren_draws_within_the_papers_bounds():
    assert ki.SirenFirstInit().limit((4, 64)) == 0.25
    assert ki.SirenInit(first=True).limit((4, 64)) == 0.25
    assert ki.SirenInit(omega=10).limit((6, 64)) == pytest.approx(0.1)
    values = np.asarray(ki.SirenInit(seed=1)((600, 400))).ravel()
    assert 0.999 * (0.01**0.5 / 30) < np.abs(values).max() <= 0.01**0.5 / 30 * (1 + 1e-6)
    law = stats.uniform(-0.1 / 30, 0.2 / 30)
    assert stats.kstest(values, law.cdf).pvalue > 1e-3
    assert stats.kstest(1.05 * values, law.cdf).pvalue < 1e-3


def test_audit_finds_nothing_in_a_siren():
    model, net = siren(depth=4, width=64)
    assert audited(model) == []
    net[2].kernel.assign(30 * net[2].kernel)
    assert audited(model) == ["scale"]


# --- chrono


def log_u(max_steps):
    """The law of log u, u ~ U(1, T - 1)."""
    return lambda x: (np.exp(x) - 1) / (max_steps - 2)


@pytest.mark.parametrize("max_steps", [50.0, 784.0])
def test_chrono_is_the_papers_formula(max_steps):
    lstm = np.asarray(ki.ChronoInit(max_steps, seed=1)((4 * 4096,))).reshape(4, 4096)
    input_, forget, candidate, output = lstm
    np.testing.assert_array_equal(input_, -forget)
    assert not candidate.any()
    assert not output.any()
    gru = np.asarray(ki.ChronoInit(max_steps, seed=1)((2, 3 * 4096)))
    update = gru[0, :4096]
    assert np.count_nonzero(gru) == 4096
    for gate in (forget, update):
        assert stats.kstest(gate, log_u(max_steps)).pvalue > 1e-3
        assert stats.kstest(1.05 * gate, log_u(max_steps)).pvalue < 1e-3


@pytest.mark.parametrize("shape", [(4 * 2**14,), (2, 3 * 2**14), (3 * 2**14,)])
def test_chrono_has_the_standard_deviation_that_it_says(shape):
    scheme = ki.ChronoInit(200, cell="gru" if shape[-1] % 4 else None, seed=2)
    if shape == (3 * 2**14,):
        scheme = ki.ChronoInit(200, cell="gru", seed=2)
    values = np.asarray(scheme(shape, WIDEST))
    expected = scheme.expected_stddev(KernelGeometry.from_shape(shape))
    assert values.std() == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize(
    ("layer", "cell"),
    [
        (layers.LSTM(32, name="rnn"), "lstm"),
        (layers.GRU(32, name="rnn"), "gru"),
        (layers.GRU(32, reset_after=False, name="rnn"), "gru"),
        (layers.Bidirectional(layers.LSTM(32, name="rnn")), "lstm"),
    ],
    ids=["lstm", "gru", "gru_one_bias", "bidirectional"],
)
def test_initialize_gives_each_cell_its_chrono_bias_and_keeps_it(layer, cell):
    model = keras.Sequential([keras.Input((40, 3)), layer, layers.Dense(1)])
    overrides = {"*rnn*/bias": ki.ChronoInit(40), "*": None}
    rows = ki.initialize(model, overrides=overrides, seed=1).rows
    done = [row for row in rows if row.scheme.startswith("ChronoInit")]
    assert len(done) == (2 if isinstance(layer, layers.Bidirectional) else 1)
    biases = [np.asarray(w) for w in layer.weights if w.name == "bias"]
    for bias in biases:
        gates = bias.reshape(-1, 4 if cell == "lstm" else 3, 32)[0]
        remember = gates[1] if cell == "lstm" else gates[0]
        assert remember.min() >= 0
        assert remember.max() <= np.log(39)
        assert remember.std() > 0.3
    assert audited(model) == []
    again = keras.Sequential.from_config(model.get_config())
    for bias in [np.asarray(w) for w in again.layers[0].weights if w.name == "bias"]:
        gates = bias.reshape(-1, 4 if cell == "lstm" else 3, 32)[0]
        remember = gates[1] if cell == "lstm" else gates[0]
        assert remember.min() >= 0
        assert remember.std() > 0.3
        np.testing.assert_array_equal(gates[-1], 0)


def test_the_memory_of_a_chrono_lstm_is_as_long_as_asked_for():
    forget = 1 / (1 + np.exp(-np.asarray(ki.ChronoInit(1000, seed=1)((4 * 4096,)))[4096:8192]))
    # A forget gate of u / (1 + u) has the time constant 1 + u: uniform up to T.
    times = 1 / (1 - forget)
    assert times.mean() == pytest.approx(501, rel=0.05)
    assert times.max() == pytest.approx(1000, rel=0.01)


@pytest.mark.parametrize(
    ("arguments", "shape"), [({}, (6,)), ({}, (3, 8)), ({"cell": "lstm"}, (2, 12)), ({}, (2, 8))]
)
def test_chrono_refuses_what_is_no_such_bias(arguments, shape):
    with pytest.raises(InputError, match=r"fills the bias of an LSTM.*Received: shape="):
        ki.ChronoInit(**arguments)(shape)


def test_chrono_is_for_cells_with_gates():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(8)])
    with pytest.raises(InputError, match="biases of LSTM and GRU cells"):
        ki.initialize(model, overrides={"*/bias": "initkit_chrono"})
    with pytest.raises(InputError, match=r"max_steps.*Received"):
        ki.ChronoInit(2)


def test_audit_sees_a_chrono_bias_that_keras_made_of_pieces():
    def model(**arguments):
        return keras.Sequential(
            [
                keras.Input((40, 3)),
                layers.LSTM(32, bias_initializer="initkit_chrono", name="rnn", **arguments),
                layers.Dense(1),
            ]
        )

    assert audited(model(unit_forget_bias=False)) == []
    broken = model()
    (found,) = ki.audit(broken).findings
    assert "unit_forget_bias" in found.evidence
    exec(found.remedy, {"keras_inits": ki, "model": broken})
    assert audited(broken) == []


# --- biases by the fan of their kernel


def test_biases_are_drawn_by_the_fan_of_the_kernel_beside():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 16)),
            layers.Conv2D(4096, 3, name="conv"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2048, name="dense"),
        ]
    )
    kernels = {name: np.asarray(model.get_layer(name).kernel).copy() for name in ("conv", "dense")}
    overrides = {"*/bias": "initkit_bias_uniform", "*": None}
    ki.initialize(model, overrides=overrides, seed=1)
    for name, fan_in in (("conv", 144), ("dense", 4096)):
        layer = model.get_layer(name)
        np.testing.assert_array_equal(kernels[name], np.asarray(layer.kernel))
        values = np.asarray(layer.bias) * fan_in**0.5
        assert stats.kstest(values, stats.uniform(-1, 2).cdf).pvalue > 1e-3
        assert stats.kstest(1.1 * values, stats.uniform(-1, 2).cdf).pvalue < 1e-3
        assert layer.bias_initializer == ki.BiasUniformInit(fan_in)
    assert audited(model) == []


def test_as_the_scheme_it_is_torchs_default_for_kernels_and_biases():
    torch = pytest.importorskip("torch")
    model = keras.Sequential([keras.Input((300,)), layers.Dense(2000), layers.LSTM(64)][:2])
    ki.initialize(model, "initkit_bias_uniform", seed=1)
    theirs = torch.nn.Linear(300, 2000)
    kernel, bias = (np.asarray(w) for w in model.layers[0].weights)
    assert stats.ks_2samp(kernel.ravel(), theirs.weight.detach().numpy().ravel()).pvalue > 1e-3
    assert stats.ks_2samp(bias, theirs.bias.detach().numpy()).pvalue > 1e-3
    assert audited(model) == []


def test_the_bias_of_a_cell_has_the_fan_of_its_recurrent_kernel():
    model = keras.Sequential([keras.Input((5, 3)), layers.LSTM(64, name="rnn")])
    ki.initialize(model, overrides={"*/bias": "initkit_bias_uniform", "*": None}, seed=1)
    bias = np.asarray(model.layers[0].cell.bias)
    assert 0.115 < np.abs(bias).max() <= 0.125


def test_a_bias_alone_does_not_show_the_fan():
    with pytest.raises(InputError, match=r"does not show the fan.*Received: shape=\(8,\)"):
        layers.Dense(8, bias_initializer="initkit_bias_uniform").build((None, 4))


# --- balanced taps


def departures(taps, gain):
    """Names what of `BalancedInit` does not hold for taps of shape (maps, taps, outputs)."""
    count = taps.shape[1]
    failed = []
    if not np.allclose(np.sum(taps**2, axis=1), gain**2, rtol=1e-4):
        failed.append("squares")
    if not np.allclose(np.sum(taps, axis=1) ** 2, gain**2, rtol=1e-3):
        failed.append("sum")
    errors = taps.mean(axis=(0, 2)) / (gain / count**0.5) * (taps.shape[0] * taps.shape[2]) ** 0.5
    if np.abs(errors).max() > 5:
        failed.append("mean")
    if not np.allclose(np.mean(taps**2, axis=(0, 2)) * count / gain**2, 1, atol=0.1):
        failed.append("variance of each tap")
    return failed


@pytest.mark.parametrize("shape", [(3, 3, 512, 8), (7, 512, 8)])
def test_balanced_taps_have_exact_squares_and_sums_and_the_law_of_xavier(shape):
    axes = len(shape) - 2
    geometry = KernelGeometry.from_shape(shape, (), -1, axes)
    assert geometry.taps == np.prod(shape[:-2])
    scheme = ki.BalancedInit(1.5, seed=3)
    taps = np.asarray(geometry.to_matrices(scheme.draw(geometry, "float32", 3)))
    assert departures(taps, 1.5) == []
    assert taps.std() == pytest.approx(scheme.expected_stddev(geometry), rel=0.02)
    control = ki.XavierInit(1.5).draw(geometry, "float32", 3)
    assert departures(np.asarray(geometry.to_matrices(control)), 1.5)[:2] == ["squares", "sum"]
    assert "variance of each tap" in departures(1.1 * taps, 1.5)


def test_balanced_taps_of_positive_sums_differ_in_the_sign_alone():
    geometry = KernelGeometry.from_shape((3, 3, 512, 8), (), -1, 2)
    scheme = ki.BalancedInit(1.5, positive=True, seed=3)
    taps = np.asarray(geometry.to_matrices(scheme.draw(geometry, "float32", 3)))
    np.testing.assert_allclose(np.sum(taps, axis=1), 1.5, rtol=1e-3)
    np.testing.assert_allclose(np.sum(taps**2, axis=1), 1.5**2, rtol=1e-4)
    assert taps.std() == pytest.approx(scheme.expected_stddev(geometry), rel=0.02)
    control = np.asarray(geometry.to_matrices(ki.BalancedInit(1.5).draw(geometry, "float32", 3)))
    assert 0.4 < np.mean(np.sum(control, axis=1) > 0) < 0.6
    assert type(scheme).from_config(scheme.get_config()) == scheme
    with pytest.raises(InputError, match="`positive` must be True or False"):
        ki.BalancedInit(positive="yes")


# --- spectral norms


def spectral_norms(kernel, geometry):
    matrices = np.asarray(geometry.to_matrices(kernel))
    return np.linalg.svd(matrices, compute_uv=False)


@pytest.mark.parametrize("shape", [(64, 256), (256, 64), (3, 3, 16, 32), (3, 3, 8, 128)])
@pytest.mark.parametrize("gain", [1.0, 2.0])
def test_spectral_and_suo_have_the_singular_values_of_their_papers(shape, gain):
    geometry = KernelGeometry.from_shape(shape)
    _, rows, outputs = geometry.matrix_shape
    spectral = spectral_norms(ki.SpectralInit(gain, seed=1)(shape), geometry)
    np.testing.assert_allclose(spectral, gain * (outputs / rows) ** 0.5, rtol=1e-4)
    suo = spectral_norms(ki.SuoInit(gain, seed=1)(shape), geometry)
    np.testing.assert_allclose(suo, gain * max(1, (outputs / rows) ** 0.5), rtol=1e-4)


@pytest.mark.parametrize("shape", [(64, 1024), (1024, 64)])
def test_random_spectral_kernels_are_of_that_order(shape):
    target = (shape[1] / shape[0]) ** 0.5
    for distribution in ("normal", "truncated_normal", "uniform"):
        scheme = ki.SpectralInit(distribution=distribution, seed=1)
        norm = spectral_norms(scheme(shape), KernelGeometry.from_shape(shape)).max()
        assert target < norm < 2 * target
    he = spectral_norms(ki.GlorotInit(seed=1)(shape), KernelGeometry.from_shape(shape)).max()
    assert not target < he < 2 * target  # the control


@pytest.mark.parametrize("width", [16, 256])
def test_suo_keeps_the_second_moment_of_each_output(width):
    x = normal(4000, 64)
    z = x @ np.asarray(ki.SuoInit(seed=1)((64, width)))
    assert np.mean(z**2) == pytest.approx(1, rel=0.03)
    z = x @ np.asarray(ki.OrthogonalInit(seed=1)((64, 256)))
    assert np.mean(z**2) < 0.3  # the control


@pytest.mark.parametrize("scheme", ["initkit_suo", "initkit_spectral"])
def test_audit_finds_nothing_in_nets_of_given_spectral_norm(scheme):
    model = keras.Sequential(
        [
            keras.Input((16,)),
            layers.Dense(96, "relu"),
            layers.Dense(32, "relu", name="middle"),
            layers.Dense(32),
        ]
    )
    ki.initialize(model, scheme, seed=1)
    assert audited(model) == []
    if scheme == "initkit_suo":
        kernel = model.get_layer("middle").kernel
        kernel.assign(np.asarray(ki.XavierInit(seed=1)(kernel.shape)))
        assert audited(model) == ["not orthogonal"]


def test_a_portable_suo_kernel_has_keras_orthogonal_with_the_number():
    model = keras.Sequential([keras.Input((16,)), layers.Dense(64)])
    ki.initialize(model, "initkit_suo", seed=1)
    ki.portable(model)
    kept = model.layers[0].kernel_initializer
    assert type(kept) is keras.initializers.Orthogonal
    assert kept.gain == pytest.approx(2.0)


# --- a cut anywhere


@pytest.mark.parametrize("cut", [0.3, 1.0, 3.0, 5.0])
def test_a_cut_normal_has_the_variance_asked_for_and_no_value_beyond(cut):
    law = stats.truncnorm(-cut, cut)
    absolute = ki.CutNormalInit(0.5, cut, before_cut=False)
    for scheme, stddev in (
        (absolute, 0.5),
        (ki.HeInit(distribution="truncated_normal", cut=cut), (2 / 512) ** 0.5),
    ):
        geometry = KernelGeometry.from_shape((512, 256))
        assert scheme.expected_stddev(geometry) == pytest.approx(stddev)
        model = keras.Sequential([keras.Input((512,)), layers.Dense(256)])
        ki.initialize(model, scheme, seed=1)
        for values in (scheme.draw(geometry, WIDEST, 1), model.layers[0].kernel):
            values = np.asarray(values, "float64").ravel() / stddev
            assert np.abs(values).max() <= cut / law.std() * (1 + 1e-6)
            assert stats.kstest(values * law.std(), law.cdf).pvalue > 1e-4
            assert stats.kstest(1.05 * values * law.std(), law.cdf).pvalue < 1e-4
        if scheme is not absolute:
            assert audited(model) == []


def test_a_cut_needs_a_distribution_that_is_cut():
    with pytest.raises(InputError, match=r"of the truncated normal.*Received: cut=3.0"):
        ki.HeInit(cut=3.0)


def test_a_cut_that_keras_lacks_is_reported_by_portable():
    model = keras.Sequential([keras.Input((16,)), layers.Dense(64)])
    ki.initialize(model, ki.HeInit(distribution="truncated_normal", cut=3.0), seed=1)
    report = ki.portable(model)
    assert any("two standard deviations" in str(row) for row in report.rows)


@pytest.mark.parametrize(
    ("scheme", "overrides", "bound"),
    [
        ("initkit_siren", {}, (6 / 16) ** 0.5 / 30),
        ("initkit_he", {"*/bias": "initkit_bias_uniform"}, 0.25),
    ],
)
def test_uniform_laws_of_a_fan_are_portable_as_numbers(scheme, overrides, bound):
    model = keras.Sequential([keras.Input((16,)), layers.Dense(4096)])
    ki.initialize(model, scheme, overrides=overrides, seed=1)
    ki.portable(model)
    layer = model.layers[0]
    kept = layer.bias_initializer if overrides else layer.kernel_initializer
    assert type(kept) is keras.initializers.RandomUniform
    assert kept.maxval == -kept.minval == pytest.approx(bound)


def test_a_cut_at_two_is_keras_truncated_normal():
    for given in ({}, {"before_cut": False}):
        model = keras.Sequential([keras.Input((512,)), layers.Dense(512)])
        scheme = ki.CutNormalInit(0.05, 2.0, **given)
        ki.initialize(model, scheme, seed=1)
        ki.portable(model)
        kept = model.layers[0].kernel_initializer
        assert type(kept) is keras.initializers.TruncatedNormal
        drawn = np.asarray(kept((512, 512)))
        expected = scheme.expected_stddev(KernelGeometry.from_shape((512, 512)))
        assert drawn.std() == pytest.approx(expected, rel=0.01)
