"""Weights in half precision and integers: figures as in float32, or an error; never infinities."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_inits
from keras_inits import mup
from keras_inits._float_range import beyond
from keras_inits._reporting import refill

X = np.random.default_rng(0).normal(size=(64, 20)).astype("float32")
Y = np.arange(64) % 4


def values(weight):
    return np.asarray(ops.convert_to_numpy(weight), "float64")


def dense(dtype, width=32, units=4):
    hidden = [layers.Dense(width, "relu", dtype=dtype) for _ in range(2)]
    return keras.Sequential([keras.Input((20,)), *hidden, layers.Dense(units, dtype=dtype)])


def quantized(model, mode="int8"):
    for layer in model.layers:
        layer.quantize(mode)
    return model


@pytest.mark.parametrize(("value", "word"), [(1e6, "above 65504"), (1e-9, "below 6e-08")])
def test_a_scheme_that_float16_cannot_hold_is_refused_and_nothing_has_changed(value, word):
    model = dense("float16")
    before = [values(w) for w in model.weights]
    for scheme in (keras_inits.ConstantInit(value), keras.initializers.RandomNormal(0, value)):
        with pytest.raises(keras_inits.InputError, match=word):
            keras_inits.initialize(model, overrides={"*/kernel": scheme}, seed=0)
        for weight, old in zip(model.weights, before, strict=True):
            np.testing.assert_array_equal(values(weight), old)
    keras_inits.initialize(dense("bfloat16"), keras_inits.ConstantInit(value), seed=0)
    assert not beyond([0.0, 1.0, np.inf], "float16")


def test_calibrate_leaves_a_kernel_alone_whose_factor_float16_cannot_hold():
    model = dense("float16")
    report = keras_inits.calibrate(model, 1e-7 * X, seed=0)
    assert "float16 holds no number above 65504" in report.rows[0].left_alone
    assert all(np.isfinite(values(w)).all() for w in model.weights)
    assert not keras_inits.calibrate(dense("mixed_float16"), 1e-4 * X, seed=0).rows[0].left_alone


def test_a_bias_that_float16_cannot_hold_is_refused():
    model = dense("float16", units=1)
    model.compile("sgd", "mse")
    with pytest.raises(keras_inits.InputError, match=r"65504.*Divide the targets"):
        keras_inits.fit_output_bias(model, np.linspace(1e5, 2e5, 64))
    assert not values(model.layers[-1].bias).any()


def test_a_coordinate_check_in_which_nothing_moved_is_no_verdict():
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    options = {"loss": loss, "seeds": 1, "steps": 2}
    with pytest.raises(keras_inits.InputError, match="half precision round"):
        mup.coordinate_check(lambda n: dense("bfloat16", n), [8, 16, 32], (X, Y), **options)
    mup.coordinate_check(lambda n: dense("mixed_bfloat16", n), [8, 16, 32], (X, Y), **options)


def test_the_slope_of_a_bfloat16_prelu_is_that_of_float32():
    found = []
    for dtype in ("float32", "bfloat16"):
        layer = layers.PReLU(dtype=dtype, alpha_initializer=keras.initializers.Constant(1.0))
        layer.build((None, 2**14))
        found.append(keras_inits.gain(layer))
    assert found[1] == pytest.approx(found[0], rel=1e-3)


def test_added_units_of_a_bfloat16_kernel_get_the_noise_asked_for():
    source, model = (dense("bfloat16", width) for width in (256, 512))
    keras_inits.warm_start(model, source, noise=0.5, seed=0)
    kernel = values(model.layers[0].kernel)
    copies = kernel[:, 256:, None] - kernel[:, None, :256]
    off = np.sqrt(np.square(copies).mean(0).min(1)).mean()
    assert off == pytest.approx(0.5 * values(source.layers[0].kernel).std(), rel=0.1)


def test_entries_of_a_bfloat16_weight_are_refilled_at_the_scale_of_the_others():
    model = dense("bfloat16", width=512)
    weight = model.layers[1].kernel
    old = values(weight)
    weight.assign(np.where(np.arange(512) < 100, np.nan, old))
    exec(refill(weight.path), {"model": model})
    filled = values(weight)[:, :100]
    assert filled.std() == pytest.approx(old.std(), rel=0.05)


def test_quantized_layers_are_taken_as_they_are_or_not_at_all():
    plain, source = dense("float32"), quantized(dense("float32"))
    with pytest.raises(keras_inits.InputError, match=r"quantized \(int8\) in the source"):
        keras_inits.warm_start(plain, source)
    with pytest.raises(keras_inits.InputError, match="before `quantize`"):
        keras_inits.warm_start(source, plain)
    with pytest.raises(keras_inits.InputError, match="before `quantize`"):
        keras_inits.warm_start(quantized(dense("float32", 48)), source)
    assert keras_inits.warm_start(quantized(dense("float32")), source).preserves
    model = dense("float32")
    source = dense("float32")
    source.layers[1].quantize("int8")
    report = keras_inits.warm_start(model, source, seed=0)
    ways = [row.how for row in report.rows]
    assert ways == ["taken", "taken", "drawn", "drawn", "taken", "taken"]
    assert values(model.layers[1].kernel).std() < 1
    before = [values(w) for w in source.layers[1].weights]
    report = keras_inits.warm_start(source, model, seed=0)
    assert [row.how for row in report.rows].count("left alone") == len(before)
    for weight, old in zip(source.layers[1].weights, before, strict=True):
        np.testing.assert_array_equal(values(weight), old)


def test_scalars_of_float8_layers_are_taken():
    model, source = (quantized(dense("float32"), "float8") for _ in range(2))
    report = keras_inits.warm_start(model, source, seed=0)
    assert {row.how for row in report.rows} == {"taken"}


def test_a_larger_vocabulary_keeps_the_digits_of_the_weights_and_refuses_integers():
    def build(dtype):
        stack = [layers.Embedding(30, 16, dtype=dtype), layers.Dense(3, dtype=dtype)]
        return keras.Sequential([keras.Input((8,)), *stack])

    # JAX has no float64 but on request.
    model = build("float32" if keras.backend.backend() == "jax" else "float64")
    larger, _ = keras_inits.extend_vocabulary(model, 40, seed=0)
    np.testing.assert_array_equal(values(larger.weights[0])[:30], values(model.weights[0]))
    np.testing.assert_array_equal(values(larger.weights[1]), values(model.weights[1]))
    model = build("float32")
    model.layers[0].quantize("int8")
    with pytest.raises(keras_inits.InputError, match="before `quantize`"):
        keras_inits.extend_vocabulary(model, 40, seed=0)


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_a_missing_activation_is_seen_through_the_rounding_of_half_precision(dtype):
    x = np.random.default_rng(1).normal(size=(256, 2)).astype("float32")
    y = (x[:, 0] * x[:, 1] > 0).astype(int)
    for bent in (False, True):
        keras.utils.set_random_seed(1)
        hidden = [layers.Dense(32, dtype=dtype) for _ in range(2)]
        between = [layers.Lambda(lambda t: ops.where(t > 0, t, 0.5 * t), dtype=dtype)] * bent
        head = layers.Dense(2, "softmax", dtype=dtype)
        model = keras.Sequential([keras.Input((2,)), hidden[0], *between, hidden[1], head])
        model.compile("sgd", "sparse_categorical_crossentropy")
        kinds = {f.kind for f in keras_inits.diagnose(model, x, y).findings}
        assert ("missing activation" in kinds) is not bent
