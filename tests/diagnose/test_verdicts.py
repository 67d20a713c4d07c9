"""Known nets get their verdicts; planted faults are found where they are, and nothing else is."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_inits as ki

WIDTH = 128


def batch(size=128, width=WIDTH):
    return np.random.default_rng(0).standard_normal((size, width), dtype="float32")


def net(activation="relu", scheme=None, depth=10, width=WIDTH, **options):
    make = scheme or (lambda i: ki.XavierInit(activation=activation, seed=i))
    dense = [
        layers.Dense(width, activation, name=f"d{i}", kernel_initializer=make(i), **options)
        for i in range(depth)
    ]
    return keras.Sequential([keras.Input((width,)), *dense])


def found(report):
    """The names of the unhealthy layers with all that was found there."""
    names = {name for finding in report.findings for name in finding.where}
    return {name: {finding.kind for finding in report.findings_of(name)} for name in names}


# RECIPES.md, section 4: ten layers of 500 units without bias on N(0, 1) features.
ARTICLE = {
    "tanh, N(0, 0.01²)": ("tanh", lambda i: ki.RandomSmallInit(seed=i), "vanishing"),
    "tanh, N(0, 1)": ("tanh", lambda i: ki.RandomInit(seed=i), "saturated"),
    "tanh, Xavier": ("tanh", lambda i: ki.XavierInit(seed=i), "healthy"),
    "ReLU, Xavier": ("relu", lambda i: ki.XavierInit(seed=i), "vanishing"),
    "ReLU, He": ("relu", lambda i: ki.HeInit(seed=i), "healthy"),
}


@pytest.mark.parametrize(("activation", "scheme", "verdict"), ARTICLE.values(), ids=ARTICLE)
def test_the_articles_nets_get_the_articles_verdicts(activation, scheme, verdict):
    report = ki.diagnose(net(activation, scheme, width=500, use_bias=False), batch(1000, 500))
    assert report.verdict == verdict
    last = report.layers[-1]
    assert last.verdict == verdict
    # The logarithm of a ReLU net has variance 5 depth / width: 3 deviations are a factor of 2.6.
    assert 1 / 2.6 < last.output.second_moment / last.predicted_second_moment < 2.6


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
def test_a_layer_100_times_too_large_or_too_small_is_named_alone(activation):
    large, small = net(activation), net(activation)
    for model, factor in ((large, 100.0), (small, 0.01)):
        kernel = model.get_layer("d5").kernel
        kernel.assign(kernel * factor)
    expected = "saturated" if activation == "tanh" else "exploding"
    report = ki.diagnose(large, batch())
    assert set(found(report)) == {"d5"}
    assert report.verdict == expected
    assert found(ki.diagnose(small, batch())) == {"d5": {"vanishing"}}
    assert found(ki.diagnose(net(activation), batch())) == {}


def test_a_dead_relu_block_is_named_alone():
    model = net()
    model.get_layer("d4").bias.assign(np.full(WIDTH, -30.0))
    report = ki.diagnose(model, batch())
    assert found(report) == {"d4": {"dying"}}
    assert report["d4"].output.dead_units == 1
    assert "100%" in report.findings_of("d4")[0].evidence


def test_a_nan_is_named_where_it_comes_from_with_the_weight():
    model = net()
    kernel = model.get_layer("d6").kernel
    values = kernel.numpy()
    values[3, 4] = np.nan
    kernel.assign(values)
    report = ki.diagnose(model, batch())
    assert found(report) == {"d6": {"not finite"}}
    assert kernel.path in report.findings_of("d6")[0].evidence


def test_a_gradient_that_is_not_finite_is_named_where_it_comes_from():
    inputs = keras.Input((WIDTH,))
    hidden = layers.Dense(16, "relu", name="before", kernel_initializer="initkit_he")(inputs)
    # of a root at 0 the slope is infinite, and 0 times it is not a number
    outputs = layers.Lambda(lambda x: keras.ops.sqrt(x), name="root")(hidden)
    report = ki.diagnose(keras.Model(inputs, layers.Dense(8, name="after")(outputs)), batch())
    assert found(report)["before"] == {"not finite"}


def test_two_equal_units_are_named():
    model = net()
    into, out = model.get_layer("d5").kernel, model.get_layer("d6").kernel
    values, outgoing = into.numpy(), out.numpy()
    values[:, 4], outgoing[4] = values[:, 7], outgoing[7]
    into.assign(values)
    assert found(ki.diagnose(model, batch())) == {}  # the next layer still tells them apart
    out.assign(outgoing)
    report = ki.diagnose(model, batch())
    assert found(report) == {"d5": {"symmetric"}}
    assert "1 of 128" in report.findings_of("d5")[0].evidence


def test_zeros_are_symmetric_in_a_hidden_layer_and_no_fault_in_the_only_one():
    labels = np.random.default_rng(0).integers(0, 10, 128)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    head = layers.Dense(10, kernel_initializer="zeros", name="head")
    alone = keras.Sequential([keras.Input((WIDTH,)), head])
    assert ki.diagnose(alone, batch(), labels, loss=loss).ok
    deep = net("relu", lambda i: ki.ZerosInit(), depth=2)
    deep.add(layers.Dense(10, kernel_initializer="zeros", name="head"))
    report = ki.diagnose(deep, batch(), labels, loss=loss)
    assert report.verdict == "symmetric"
    assert "head" not in found(report)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "softsign", "hard_sigmoid"])
def test_a_saturated_layer_is_named_alone(activation):
    model = net("tanh", lambda i: ki.XavierInit(seed=i), depth=5)
    scheme = ki.RandomInit(100.0, seed=9)
    model.add(layers.Dense(64, activation, name="stuck", kernel_initializer=scheme))
    model.add(layers.Dense(16, name="after", kernel_initializer=ki.XavierInit(seed=10)))
    report = ki.diagnose(model, batch())
    assert set(found(report)) == {"stuck"}
    assert report["stuck"].verdict == "saturated"


def test_a_relu6_is_not_saturated_by_its_zeros():
    report = ki.diagnose(net("relu6", lambda i: ki.HeInit(seed=i), depth=3), batch())
    assert report.ok
    assert all(layer.output.saturated < 0.01 for layer in report.layers)


def test_samples_that_grow_alike_are_rank_collapsed_from_one_layer_on():
    # tanh with a large bias: deep in the ordered phase, where the correlation map draws to 1
    def wide_bias(i):
        return ki.XavierInit(0.5, seed=i)

    bias = ki.RandomInit(1.0, seed=3)
    report = ki.diagnose(net("tanh", wide_bias, bias_initializer=bias), batch())
    collapsed = [name for name, verdicts in found(report).items() if "rank-collapsed" in verdicts]
    assert collapsed == ["d2"]
    correlations = [layer.output.correlation for layer in report.layers]
    assert correlations[0] < 0.99 < correlations[-1]
    assert report.layers[-1].output.effective_rank < 3


def residual(scale, raw):
    """Blocks with scaled branches between two plain layers, summed by a layer or by +."""
    inputs = keras.Input((WIDTH,))
    x = layers.Dense(WIDTH, "relu", name="first", kernel_initializer=ki.HeInit(seed=0))(inputs)
    for i in range(3):
        scheme = ki.XavierInit(scale, seed=i + 1)
        branch = layers.Dense(WIDTH, name=f"branch{i}", kernel_initializer=scheme)(x)
        x = x + branch if raw else layers.Add(name=f"sum{i}")([x, branch])
    head = layers.Dense(16, name="head", kernel_initializer=ki.XavierInit(seed=9))(x)
    return keras.Model(inputs, head)


@pytest.mark.parametrize("raw", [False, True])
def test_a_branch_beside_a_skip_may_be_silent_but_not_loud(raw):
    assert found(ki.diagnose(residual(0.01, raw), batch())) == {}
    loud = ki.diagnose(residual(100.0, raw), batch())
    assert loud.verdict == "exploding"
    assert {"branch0", "branch1", "branch2"} <= set(found(loud))


def test_thresholds_move_the_verdicts():
    model = net("relu", lambda i: ki.XavierInit(seed=i))
    assert ki.diagnose(model, batch()).verdict == "vanishing"
    assert ki.diagnose(model, batch(), thresholds=ki.Thresholds(growth=1e3)).ok
    with pytest.raises(ValueError, match=r"`growth` must be above 1. Received: growth=0.5"):
        ki.Thresholds(growth=0.5)
    with pytest.raises(ValueError, match=r"`dead` must be from 0 to 1. Received: dead=2"):
        ki.Thresholds(dead=2)


# Width 500, He's gain for each activation, biases zero; 20 seeds.
@pytest.mark.slow
@pytest.mark.parametrize("activation", ["tanh", "relu", "gelu", "silu", "elu", "selu"])
def test_theory_and_measurement_agree_over_20_seeds(activation):
    forward, back, expected_forward, expected_back = [], [], [], []
    for seed in range(20):

        def scheme(i, seed=seed):
            return ki.XavierInit(activation=activation, seed=1000 * seed + i)

        x = np.random.default_rng(seed).standard_normal((128, 500), dtype="float32")
        model = net(activation, scheme, depth=5, width=500)
        report = ki.diagnose(model, x, jacobian_samples=0, seed=seed)
        forward.append([layer.output.second_moment for layer in report.layers])
        expected_forward.append([layer.predicted_second_moment for layer in report.layers])
        inner = report.layers[:-1]
        back.append([layer.gradient.second_moment for layer in inner])
        expected_back.append([layer.predicted_gradient for layer in inner])
    for measured, predicted in ((forward, expected_forward), (back, expected_back)):
        mean, expected = np.mean(measured, axis=0), np.mean(predicted, axis=0)
        error = np.std(measured, axis=0, ddof=1) / 20**0.5
        # of 54 such numbers the farthest may be 4 standard errors away (t of 19, Bonferroni, 5 %)
        assert np.all(np.abs(mean - expected) < 4 * error)
        # a prediction that is 5 % off is noticed
        assert np.any(np.abs(mean - 1.05 * expected) > 4 * error)


def test_units_of_zeros_that_no_gradient_reaches_are_not_called_equal():
    """As of the transformation in PointNet: what multiplies features that are 0 moves nothing."""
    inputs = keras.Input((30, 8))
    lean = np.where(np.arange(16) < 2, -50.0, 0.0)
    start = keras.initializers.Constant(lean)
    features = layers.Conv1D(16, 1, activation="relu", bias_initializer=start)(inputs)
    code = layers.GlobalMaxPooling1D()(layers.Conv1D(64, 1, activation="relu")(features))
    identity = keras.initializers.Constant(np.eye(16).ravel())
    made = layers.Dense(256, kernel_initializer="zeros", bias_initializer=identity)(code)
    turned = layers.Dot((2, 1))([features, layers.Reshape((16, 16))(made)])
    h = layers.GlobalMaxPooling1D()(layers.Conv1D(64, 1, activation="relu")(turned))
    model = keras.Model(inputs, layers.Dense(4)(h))
    x = np.random.default_rng(0).normal(size=(32, 30, 8)).astype("float32")
    y = np.arange(32) % 4
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    report = ki.diagnose(model, x, y, loss=loss)
    assert "symmetric" not in {finding.kind for finding in report.findings}
