"""What findings of the signal say and advise: true texts, and remedies that amend something."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_inits as ki
from keras_inits._diagnose.setting.trials import weighing
from keras_inits._diagnose.setting.trials.steps import Trial
from keras_inits._reporting import Finding

X = np.random.default_rng(0).standard_normal((64, 32), dtype="float32")


def of_kind(report, kind):
    return [finding for finding in report.findings if finding.kind == kind]


def single(operation, x):
    model = keras.Sequential([keras.Input((32,)), layers.Lambda(operation, name="odd")])
    (finding,) = of_kind(ki.diagnose(model, x, jacobian_samples=0), "not finite")
    return finding


def test_what_is_not_finite_says_of_what_it_was_computed():
    half = np.maximum(X, 0)
    of_zeros = single(ops.log, half)
    assert of_zeros.evidence == (
        "its output has NaN or infinity: from finite weights and inputs, "
        f"{(half == 0).mean():.0%} of which are 0"
    )
    assert "keras.ops.log(x + 1e-6)" in of_zeros.remedy
    # Of negative numbers alone no zero is to blame.
    of_negative = single(ops.sqrt, -np.abs(X) - 1)
    assert of_negative.evidence.endswith(": from finite weights and inputs")


def deep(depth, between=()):
    inner = [
        part
        for i in range(depth)
        for part in (
            layers.Dense(64, name=f"d{i}"),
            *(make() for make in between),
            layers.ReLU(),
        )
    ]
    model = keras.Sequential([keras.Input((32,)), *inner])
    ki.initialize(model, "he", seed=0)  # the same values on every backend: one draw of eight passes
    return model


def test_samples_grown_alike_by_depth_are_not_advised_to_be_drawn_again():
    # Alike from the start, by 0.985, and the more so after each ReLU.
    common = np.random.default_rng(1).standard_normal(32).astype("float32")
    x = (common - common.mean()) / common.std() + 0.123 * X
    collapsed = of_kind(ki.diagnose(deep(20), x, jacobian_samples=0), "rank-collapsed")
    assert collapsed
    assert not any("initialize" in finding.remedy for finding in collapsed)
    assert all("BatchNormalization" in finding.remedy for finding in collapsed)
    advised = ki.diagnose(deep(20, [layers.BatchNormalization]), x, jacobian_samples=0)
    assert not of_kind(advised, "rank-collapsed")


def test_samples_grown_alike_by_biases_are_drawn_again_and_confirmed():
    bias = ki.RandomInit(2.0, seed=3)
    dense = [
        layers.Dense(
            64, "tanh", kernel_initializer=ki.XavierInit(0.5, seed=i), bias_initializer=bias
        )
        for i in range(6)
    ]
    model = keras.Sequential([keras.Input((32,)), *dense])
    found = of_kind(ki.diagnose(model, X, jacobian_samples=0, confirm=True), "rank-collapsed")
    assert found
    assert found[0].remedy.startswith("keras_inits.initialize(")
    assert found[0].numbers["confirmed"] == 1


@pytest.mark.parametrize(("rate", "named"), [(0.01, True), (1e-6, False)])
def test_a_rate_that_was_chosen_for_large_gradients_is_left_in_peace(rate, named):
    model = keras.Sequential([keras.Input((32,)), *(layers.Dense(16), layers.Dense(1))])
    model.compile(keras.optimizers.SGD(rate), "mse")
    y = 1e4 * X[:, :1]
    report = ki.diagnose(model, X, y, loss="mse", jacobian_samples=0)
    large = [f for f in of_kind(report, "exploding") if "own norm" in f.evidence]
    # With the setting's own findings in the way the signal is not weighed, so that it is seen.
    assert bool(large) == named


@pytest.mark.parametrize(("late", "kept"), [(0.05, 0), (1.2, 1)])
def test_a_head_start_is_no_fault(late, kept):
    # Kernels drawn anew: from 1.4 to 0.8 in the first steps, to 0.01 in ten times as many.
    def trials(own_end, other_end):
        own, other = (
            Trial(0.1, (1.4,) * 20, 1.4, end, (), (), 1.0) for end in (own_end, other_end)
        )
        return weighing.Trials(own, lambda: other, lambda: None, lambda lengths: None)

    finding = Finding("vanishing", ("dense",), "the signal is 0.08 times what it was", "", "")
    assert len(weighing.weighed([finding], trials(1.3, 0.8))[0]) == 1
    findings, notes = weighing.weighed([finding], trials(1.3, 0.8), lambda: trials(late, 0.01))
    assert (len(findings), len(notes)) == (kept, 1 - kept)


@pytest.mark.parametrize(
    ("own", "lost", "kept"), [(1.38, True, 1), (1.38, False, 0), (0.9, True, 0)]
)
def test_trials_in_which_nothing_learns_do_not_acquit_a_net_that_loses_its_input(own, lost, kept):
    def trial(start, end):
        return Trial(0.1, (start,) * 20, start, end, (), (), 1.0)

    # What is drawn anew starts worse, and comes to a constant guess.
    trials = weighing.Trials(
        trial(1.39, own), lambda: trial(1.9, 1.38), lambda: None, lambda lengths: None
    )
    finding = Finding("vanishing", ("dense",), "it multiplies the signal by 0.03", "", "")
    findings, notes = weighing.weighed([finding], trials, lost=lost)
    assert (len(findings), len(notes)) == (kept, 1 - kept)


def test_the_remedy_of_several_layers_is_code_for_all_of_them():
    model = keras.Sequential(
        [keras.Input((32,)), *(layers.Dense(32, "relu") for _ in range(4)), layers.Dense(1)]
    )
    hidden = model.layers[:4]
    for layer in hidden:
        layer.kernel.assign(layer.kernel * 0.05)
    text = str(ki.diagnose(model, X, jacobian_samples=0))
    loop = " ".join(text[text.index("for name in ") :].split())
    exec(
        loop.partition(' keras_inits.initialize(model.get_layer("')[0],
        {"keras_inits": ki, "model": model},
    )
    deviations = [float(np.std(layer.kernel)) for layer in hidden]
    np.testing.assert_allclose(deviations, (2 / 32) ** 0.5, rtol=0.2)
