"""Predictions of single layers, and the bands that finite width puts around them."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_inits as ki

rng = np.random.default_rng(0)
SEQUENCES = rng.standard_normal((16, 12, 32), dtype="float32")
IMAGES = rng.standard_normal((8, 11, 11, 32), dtype="float32")


def he(seed=0):
    return ki.HeInit(seed=seed)


LAYERS = {
    "depthwise": (lambda: layers.DepthwiseConv2D(3, padding="same"), IMAGES),
    "depthwise, strided": (lambda: layers.DepthwiseConv2D(3, 2, depth_multiplier=2), IMAGES),
    "separable": (lambda: layers.SeparableConv2D(64, 3, padding="same"), IMAGES),
    "transposed": (lambda: layers.Conv2DTranspose(64, 3, strides=2, padding="same"), IMAGES),
    "transposed, valid": (lambda: layers.Conv2DTranspose(64, 4, strides=2), IMAGES),
    "transposed, kernel below stride": (lambda: layers.Conv1DTranspose(64, 2, 3), SEQUENCES),
    "einsum": (
        lambda: layers.EinsumDense("abc,cde->abde", (None, 8, 16), bias_axes="de"),
        SEQUENCES,
    ),
    "grouped": (lambda: layers.Conv2D(64, 3, groups=4, padding="same"), IMAGES),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_map_multiplies_signal_and_gradient_as_predicted(name):
    make, x = LAYERS[name]
    inputs = keras.Input(x.shape[1:])
    # a layer before it, so that the gradient at its input is seen
    h = layers.LayerNormalization(name="before")(inputs)
    model = keras.Model(inputs, make()(h))
    report = ki.diagnose(model, x, jacobian_samples=0)
    layer, before = report.layers[1], report["before"]
    # Over 32 channels and thousands of values; a law that were wrong would be off by 2 and more.
    assert layer.output.second_moment == pytest.approx(layer.predicted_second_moment, rel=0.2)
    assert before.gradient.second_moment == pytest.approx(before.predicted_gradient, rel=0.2)


@pytest.mark.parametrize("batch", [12, 64])
@pytest.mark.parametrize(
    "norm", [layers.BatchNormalization, lambda: layers.LayerNormalization(axis=-1)]
)
def test_normalizations_take_their_directions_from_the_gradient(norm, batch):
    ratios = []
    for seed in range(3):
        inputs = keras.Input((512,))
        h = layers.Dense(64, name="before", kernel_initializer=he(seed))(inputs)
        x = np.random.default_rng(seed).standard_normal((batch, 512), dtype="float32")
        before = ki.diagnose(keras.Model(inputs, norm()(h)), x, seed=seed)["before"]
        ratios.append(before.gradient.second_moment / before.predicted_gradient)
    # of 12 samples a sixth of the directions is lost, and the mean of 1 / variance is 1.22 times
    assert 0.85 < np.mean(ratios) < 1.2


class OneMore(layers.RMSNormalization):
    """Gemma's normalization: by the root mean square, times 1 + scale, which starts at 0."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), initializer="zeros", name="scale")
        self.built = True

    def call(self, x):
        return x * keras.ops.rsqrt(keras.ops.mean(x**2, -1, keepdims=True)) * (1 + self.scale)


class OneMoreCentred(layers.LayerNormalization):
    """A layer normalization that multiplies by 1 + gamma, which starts at 0."""

    def build(self, shape):
        self.gamma = self.add_weight(shape=(shape[-1],), initializer="zeros", name="gamma")
        self.beta = None
        self.built = True

    def call(self, x):
        x = x - keras.ops.mean(x, -1, keepdims=True)
        return x * keras.ops.rsqrt(keras.ops.mean(x**2, -1, keepdims=True)) * (1 + self.gamma)


@pytest.mark.parametrize("norm", [OneMore, OneMoreCentred])
@pytest.mark.parametrize("scale", [0.0, 0.5])
def test_a_normalization_by_one_plus_its_scale_is_read_so(norm, scale):
    model = keras.Sequential(
        [keras.Input((64,)), layers.Dense(64, name="before"), norm(name="norm"), layers.Dense(64)]
    )
    weight = model.get_layer("norm").weights[0]
    weight.assign(keras.ops.full(weight.shape, scale))
    x = np.random.default_rng(0).normal(size=(64, 64)).astype("float32")
    report = ki.diagnose(model, x, jacobian_samples=0)
    norm, before = report["norm"], report["before"]
    assert norm.predicted_second_moment == pytest.approx((1 + scale) ** 2, rel=3e-3)
    assert norm.output.second_moment == pytest.approx(norm.predicted_second_moment, rel=3e-3)
    assert before.gradient.second_moment == pytest.approx(before.predicted_gradient, rel=0.3)


def test_a_plain_recurrence_is_followed_to_its_last_step():
    model = keras.Sequential([keras.Input((12, 32)), layers.SimpleRNN(256, name="rnn")])
    layer = ki.diagnose(model, SEQUENCES, jacobian_samples=0)["rnn"]
    assert layer.output.second_moment == pytest.approx(layer.predicted_second_moment, rel=0.1)


def deviations(batch, seeds, *, depth=4, width=32, activation="relu"):
    """Measured over predicted, in predicted standard deviations, for signal and gradient."""
    forward, back = [], []
    for seed in range(seeds):
        dense = [
            layers.Dense(
                width,
                activation,
                kernel_initializer=ki.XavierInit(activation=activation, seed=1000 * seed + i),
            )
            for i in range(depth)
        ]
        model = keras.Sequential([keras.Input((width,)), *dense])
        x = np.random.default_rng(seed).standard_normal((batch, width), dtype="float32")
        report = ki.diagnose(model, x, jacobian_samples=0, seed=seed)
        for layer in report.layers:
            ratio = layer.output.second_moment / layer.predicted_second_moment
            forward.append(np.log(ratio) / layer.predicted_deviation)
        for layer in report.layers[:-1]:
            ratio = layer.gradient.second_moment / layer.predicted_gradient
            back.append(np.log(ratio) / layer.predicted_gradient_deviation)
    return np.array(forward), np.array(back)


def covers(values):
    """Whether as many values lie within one and two deviations as of a normal law."""
    one, two = np.mean(np.abs(values) < 1), np.mean(np.abs(values) < 2)
    return 0.5 < one < 0.85 and two > 0.85


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 32])
def test_the_band_holds_the_share_of_nets_that_it_should(batch):
    for values in deviations(batch, 40):
        assert covers(values)
        assert not covers(2.5 * values)  # a band that is too narrow is noticed, and one too wide
        assert not covers(values / 2.5)


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["relu", "gelu", "leaky_relu"])
def test_the_band_holds_its_share_over_many_seeds(activation):
    for values in deviations(32, 120, depth=6, width=64, activation=activation):
        assert covers(values)
        assert not covers(2.0 * values)


def test_the_band_of_one_sample_is_that_of_hanin_and_nica():
    dense = [layers.Dense(500, "relu", kernel_initializer=he(i)) for i in range(10)]
    model = keras.Sequential([keras.Input((500,)), *dense])
    report = ki.diagnose(model, rng.standard_normal((1, 500)), jacobian_samples=0)
    last = report.layers[-1]
    assert last.predicted_deviation == pytest.approx((10 * 5 / 500) ** 0.5, rel=0.01)
    assert "±16%" in report.summary()  # half of that, of the root mean square
    first = report.layers[0]
    assert first.predicted_gradient_deviation == pytest.approx((9 * 5 / 500) ** 0.5, rel=0.05)
