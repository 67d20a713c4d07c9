"""Trained nets are known by all their weights together, fresh ones of a wrong scale are not."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_inits as ki


def biasless(*units, initializer="glorot_uniform"):
    options = {"use_bias": False, "kernel_initializer": initializer}
    return keras.Sequential(
        [
            keras.Input((16,)),
            *(layers.Dense(n, "relu", **options) for n in units),
            layers.Dense(4, **options),
        ]
    )


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(512, 16)).astype("float32")
    return x, np.argmax(x[:, :4] @ rng.normal(size=(4, 4)), 1)


@pytest.mark.parametrize(
    "make",
    [
        lambda: biasless(32, 32),
        lambda: biasless(64, initializer="he_normal"),
        lambda: biasless(32, initializer="orthogonal"),
        lambda: biasless(32, 32, initializer="random_uniform"),
    ],
)
def test_a_net_without_biases_or_optimizer_is_known_as_trained(make, data):
    keras.utils.set_random_seed(1)
    model = make()
    model.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(True))
    model.fit(*data, epochs=5, verbose=0)
    copy = make()
    assert ki.audit(copy).remarks == ()
    copy.set_weights(model.get_weights())
    report = ki.audit(copy)
    assert report.ok, str(report)
    assert [remark.kind for remark in report.remarks] == ["trained"]


@pytest.mark.parametrize("initializer", ["glorot_uniform", "he_normal", "lecun_uniform"])
@pytest.mark.parametrize("factor", [0.2, 3.0])
def test_a_fresh_net_of_a_wrong_scale_is_not_taken_for_a_trained_one(initializer, factor):
    for seed in range(5):
        keras.utils.set_random_seed(seed)
        model = biasless(24, 48, initializer=initializer)
        for weight in model.weights:
            weight.assign(factor * weight)
        report = ki.audit(model)
        assert {finding.kind for finding in report.findings} == {"scale"}
        assert report.remarks == ()


def orthogonal(*units):
    options = {"kernel_initializer": "initkit_orthogonal", "use_bias": False}
    return keras.Sequential([keras.Input((8,)), *(layers.Dense(n, **options) for n in units)])


def test_random_numbers_in_the_place_of_one_orthogonal_kernel_are_a_finding_and_no_training():
    rng, model = np.random.default_rng(0), orthogonal(7, 7, 8, 8)
    for _ in range(100):
        kernel = model.layers[1].kernel
        kernel.assign(rng.normal(size=kernel.shape) * 7**-0.5)
        report = ki.audit(model)
        assert report.remarks == ()
        assert [found.kind for found in report.findings] == ["not orthogonal"]


def test_one_kernel_between_orthogonal_and_random_is_training():
    model = orthogonal(32, 32, 32, 32)
    kernel = model.layers[1].kernel
    noise = np.random.default_rng(0).normal(size=kernel.shape) * 32**-0.5
    kernel.assign(np.sqrt(0.7) * kernel + np.sqrt(0.3) * noise)
    assert [remark.kind for remark in ki.audit(model).remarks] == ["trained"]


def test_gammas_of_zero_set_by_hand_are_no_training():
    model = keras.Sequential(
        [keras.Input((8,)), layers.BatchNormalization(), layers.BatchNormalization()]
    )
    for layer in model.layers:
        layer.gamma.assign(0 * layer.gamma)
        layer.beta.assign(layer.beta + 1)
    assert ki.audit(model).remarks == ()


@pytest.mark.parametrize(("units", "loss"), [(1, "sigmoid"), (4, "softmax"), (1, None)])
def test_a_trained_linear_model_without_bias_has_no_finding(units, loss, data):
    x, labels = data
    target = {"sigmoid": labels % 2, "softmax": keras.utils.to_categorical(labels, 4)}
    y = target.get(loss, 3.0 * x[:, 0])
    model = keras.Sequential([keras.Input((16,)), layers.Dense(units, loss, use_bias=False)])
    kernel = np.linalg.lstsq(x, 10.0 * np.reshape(y, (len(y), -1)), rcond=None)[0]
    model.set_weights([kernel])
    assert ki.audit(model).ok
    # A hidden kernel as far off its law is a finding.
    net = keras.Sequential([keras.Input((16,)), layers.Dense(32, "relu"), layers.Dense(1)])
    net.layers[0].kernel.assign(3.0 * net.layers[0].kernel)
    assert [found.kind for found in ki.audit(net).findings] == ["scale"]
