import keras
import pytest
from keras import layers

from keras_inits.gains import gain


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        (None, 1.0),
        ("linear", 1.0),
        ("relu", 2**0.5),
        (keras.activations.relu, 2**0.5),
        (layers.ReLU(), 2**0.5),
        (layers.ReLU(negative_slope=0.5), (2 / 1.25) ** 0.5),
        (layers.LeakyReLU(negative_slope=0.5), (2 / 1.25) ** 0.5),
        ("leaky_relu", (2 / 1.04) ** 0.5),
        (layers.Activation("tanh"), 5 / 3),
        ("selu", 1.0),
    ],
)
def test_gains_are_the_published_ones(activation, expected):
    assert gain(activation) == pytest.approx(expected)


@pytest.mark.parametrize("activation", ["softmax", keras.activations.gelu, layers.Softmax()])
def test_a_gain_that_is_not_known_is_not_guessed(activation):
    with pytest.raises(ValueError, match="known for linear"):
        gain(activation)
