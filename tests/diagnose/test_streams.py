"""What is judged of the whole net: streams that grow from sum to sum, scales that do not matter."""

import keras
import numpy as np
import pytest
from keras import layers
from versions import ON_TORCH

import keras_inits as ki

X = np.random.default_rng(0).standard_normal((32, 64), dtype="float32")


def run(code, model, x=X):
    names = {"keras": keras, "keras_inits": ki, "model": model, "x": x}
    exec(code, names)
    return names["x"]


def residual(blocks, *, relu=False, raw=True, head=True, final=None, scale=2.0):
    inputs = h = keras.Input((64,))
    for i in range(blocks):
        hidden = layers.Dense(64, "relu", kernel_initializer=ki.HeInit(seed=2 * i))(h)
        end = ki.XavierInit(scale**0.5, seed=2 * i + 1)
        branch = layers.Dense(64, kernel_initializer=end, name=f"end{i}")(hidden)
        h = h + branch if raw else layers.Add(name=f"sum{i}")([h, branch])
        if relu:
            h = keras.ops.relu(h) if raw else layers.ReLU()(h)
    if final is not None:
        h = final(h)
    end = layers.Dense(64, kernel_initializer=ki.XavierInit(seed=99))
    return keras.Model(inputs, end(h) if head else h)


@pytest.mark.parametrize("blocks", [16, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("raw", [False, True])
def test_a_stream_that_grows_at_each_sum_explodes_and_its_remedy_helps(blocks, relu, raw):
    model = residual(blocks, relu=relu, raw=raw, head=not raw)
    report = ki.diagnose(model, X)
    assert report.verdict == "exploding"
    finding = report.findings[0]
    assert finding.numbers["sums"] == blocks
    assert finding.numbers["growth"] > 100
    assert f"{blocks} sums" in finding.evidence
    if not raw:
        assert finding.where[0] == "sum0"
    run(finding.remedy, model)
    after = ki.diagnose(model, X)
    assert after.ok, after.findings
    assert 0.3 < keras.ops.std(model(X)) < 3


def test_sums_of_branches_of_one_size_are_no_explosion():
    model = residual(24, scale=2 / 24)
    assert ki.diagnose(model, X).ok

    inputs = h = keras.Input((64,))
    for i in range(24):  # as a pre-norm transformer: each branch starts from a normalization
        inner = layers.LayerNormalization()(h)
        h = h + layers.Dense(64, "relu", kernel_initializer=ki.HeInit(seed=i))(inner)
    small = keras.Model(inputs, layers.Dense(4)(layers.LayerNormalization()(h)))
    assert ki.diagnose(small, 0.02 * X).ok


def test_a_stream_that_a_normalization_ends_may_grow_as_long_as_it_is_finite():
    assert ki.diagnose(residual(24, final=layers.LayerNormalization()), X).ok


def test_a_branch_between_two_normalizations_of_the_stream_starts_anew():
    inputs = h = keras.Input((64,))
    for i in range(24):
        hidden = layers.Dense(64, "relu", kernel_initializer=ki.HeInit(seed=i))(h)
        h = layers.LayerNormalization()(h + layers.Dense(64)(hidden))
    assert ki.diagnose(keras.Model(inputs, layers.Dense(4)(h)), X).ok


class Growing(keras.Model):
    def __init__(self):
        super().__init__()
        self.inner = [layers.Dense(64, kernel_initializer=ki.HeInit(seed=i)) for i in range(24)]

    def call(self, x):
        if float(keras.ops.stop_gradient(x)[0, 0]) > 1e9:  # which cannot be traced
            return x
        for layer in self.inner:
            x = x + layer(x)
        return x


def test_what_cannot_be_traced_is_judged_by_its_jacobian():
    report = ki.diagnose(Growing(), X)
    assert report.verdict == "exploding"
    assert "Jacobian" in report.findings[0].evidence
    assert report.jacobian.response > 1e3


def scaled(factor, *between, norm):
    inputs = keras.Input((12, 12, 64))
    h = layers.DepthwiseConv2D(
        3, use_bias=False, depthwise_initializer=ki.RandomInit(factor, seed=1), name="kernel"
    )(inputs)
    for layer in (*between, norm):
        h = layer(h)
    h = layers.GlobalAveragePooling2D()(layers.ReLU()(h))
    return keras.Model(inputs, layers.Dense(5)(h))


IMAGES = np.random.default_rng(1).standard_normal((8, 12, 12, 64), dtype="float32")
NORMS = {
    "batch": lambda: layers.BatchNormalization(epsilon=1e-9),
    "layer": lambda: layers.LayerNormalization(epsilon=1e-9),
    "group": lambda: layers.GroupNormalization(8, epsilon=1e-9),
    "rms": lambda: layers.RMSNormalization(epsilon=1e-9),
    "unit": layers.UnitNormalization,
}
BETWEEN = {
    "nothing": (),
    "pooling": (layers.AveragePooling2D(2, name="between"),),
    "rectifier": (layers.ReLU(name="between"),),
    "reshaping and dropout": (
        layers.Reshape((100, 64), name="flattened"),
        layers.Dropout(0.3, name="dropped"),
        layers.Reshape((10, 10, 64), name="as_it_was"),
    ),
}


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("between", BETWEEN)
@pytest.mark.parametrize("factor", [1e-3, pytest.param(300.0, marks=pytest.mark.slow)])
def test_a_scale_that_a_normalization_takes_away_is_no_fault(norm, between, factor):
    model = scaled(factor, *BETWEEN[between], norm=NORMS[norm]())
    found = [f for f in ki.diagnose(model, IMAGES).findings if "kernel" in f.where]
    assert not found, found


def prenormalized(stddev, *, normalized=True, blocks=3):
    """Small kernels with GELU in front of a stream whose branches begin with a normalization."""
    h = inputs = keras.Input((64,))
    for i in range(2):
        scheme = ki.RandomInit(stddev, seed=i)
        h = layers.Dense(64, "gelu", kernel_initializer=scheme, name=f"small{i}")(h)
    for i in range(blocks):
        branch = layers.LayerNormalization(epsilon=1e-5)(h) if normalized else h
        h = layers.Add()(
            [h, layers.Dense(64, kernel_initializer=ki.XavierInit(seed=9 + i))(branch)]
        )
    h = layers.LayerNormalization(epsilon=1e-5)(h) if normalized else h
    return keras.Model(inputs, layers.Dense(4, kernel_initializer=ki.XavierInit(seed=5))(h))


def test_what_fades_in_front_of_a_normalized_stream_is_no_fault():
    """As the first convolutions of Moonshine, which learn faster than larger ones."""
    assert ki.diagnose(prenormalized(0.03), X).ok
    assert ki.diagnose(prenormalized(0.03, normalized=False), X).verdict == "vanishing"
    # What is below the epsilon does not come back.
    assert ki.diagnose(prenormalized(0.001), X).verdict == "vanishing"


def test_a_scale_below_the_epsilon_of_the_normalization_is_one():
    model = scaled(1e-4, norm=layers.BatchNormalization(epsilon=1e-3))
    assert "kernel" in ki.diagnose(model, IMAGES).findings[0].where
    assert ki.diagnose(scaled(1e-3, norm=layers.ReLU()), IMAGES).verdict == "vanishing"


def test_an_activation_as_an_operation_is_read_from_what_it_does():
    def model(function, scheme):
        h = inputs = keras.Input((64,))
        h = layers.Dense(64, kernel_initializer=scheme, name="hidden")(h)
        return keras.Model(inputs, layers.Dense(4)(layers.Lambda(function)(h)))

    ops, wild = keras.ops, ki.RandomInit(20.0, seed=0)
    for function in (
        lambda x: ops.clip(x, -1.0, 1.0),
        lambda x: x / (1 + ops.abs(x)),
        lambda x: 1 / (1 + ops.exp(-x / 10)),
        ops.softsign,
    ):
        report = ki.diagnose(model(function, wild), X)
        assert report.verdict == "saturated"
        # Near one bound and near the other: half of them are near each.
        assert int(report.findings[0].evidence.partition("%")[0]) > 75
        calm = ki.diagnose(model(function, ki.XavierInit(0.5, seed=0)), X)
        assert "saturated" not in {f.kind for f in calm.findings}
    dead = model(lambda x: ops.maximum(x, 0.0), "initkit_he")
    assert ki.diagnose(dead, X).ok
    dead.layers[1].bias.assign(np.full(64, -50.0))
    assert ki.diagnose(dead, X).verdict == "dying"


@pytest.mark.skipif(not ON_TORCH, reason="functions of torch")
def test_bounds_are_read_by_their_names_in_any_order():
    torch = pytest.importorskip("torch")

    def kinds(function, scheme):
        h = inputs = keras.Input((64,))
        h = layers.Dense(64, kernel_initializer=scheme, name="hidden")(h)
        model = keras.Model(inputs, layers.Dense(4)(layers.Lambda(function)(h)))
        return {f.kind for f in ki.diagnose(model, X).findings}

    calm, wild = ki.XavierInit(0.5, seed=0), ki.RandomInit(20.0, seed=0)
    for function in (lambda x: torch.clamp(x, max=1.0, min=-1.0), lambda x: x.clamp(-1.0, 1.0)):
        assert "saturated" not in kinds(function, calm)
        assert "saturated" in kinds(function, wild)
    for function in (lambda x: x.clamp(min=-1.0), lambda x: torch.clamp(x, None, 1.0)):
        assert "saturated" not in kinds(function, calm)


@pytest.mark.parametrize("raw", [False, True])
def test_large_parts_of_one_sum_are_no_fault_in_front_of_a_normalization(raw):
    large, uneven = (100.0, 80.0), (100.0, 1.0)
    model = summed(large, raw=raw, norm=layers.BatchNormalization())
    assert ki.diagnose(model, X, jacobian_samples=0).ok
    # Unlike those whose scale nothing takes away, and one that drowns the other.
    bare = summed(large, raw=raw, norm=layers.ReLU())
    assert ki.diagnose(bare, X, jacobian_samples=0).verdict == "exploding"
    drowned = summed(uneven, raw=raw, norm=layers.BatchNormalization())
    assert ki.diagnose(drowned, X, jacobian_samples=0).verdict == "exploding"


def summed(factors, *, raw, norm):
    inputs = keras.Input((64,))
    first, second = (
        layers.Dense(64, use_bias=False, kernel_initializer=ki.XavierInit(f**2, seed=i))(inputs)
        for i, f in enumerate(factors)
    )
    h = norm(first + second if raw else layers.Add()([first, second]))
    return keras.Model(inputs, layers.Dense(4)(h))


@pytest.mark.parametrize(("activation", "found"), [("sigmoid", False), ("relu", True)])
def test_a_gate_of_a_small_signal_does_not_explode_but_a_large_kernel_does(activation, found):
    keras.utils.set_random_seed(0)
    start = 1.0 if activation == "sigmoid" else 30.0
    kernel = keras.initializers.VarianceScaling(start**2, mode="fan_in")
    inputs = keras.Input((32,))
    hidden = keras.layers.Dense(32)(inputs)
    gate = keras.layers.Dense(32, activation, kernel_initializer=kernel)(hidden)
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Multiply()([hidden, gate])))
    x = 0.01 * np.random.default_rng(0).normal(size=(64, 32)).astype("float32")
    findings = ki.diagnose(model, x).findings
    assert any(f.kind == "exploding" and "signal" in f.evidence for f in findings) is found
