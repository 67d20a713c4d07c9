"""Models without a `call`, which only a `train_step` puts together."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_inits


class _Pair(keras.Model):
    def __init__(self, first, second):
        super().__init__(name="pair")
        self.first, self.second = first, second

    def train_step(self, data):
        raise NotImplementedError


class _PairWithCall(_Pair):
    def call(self, x):
        return self.second(self.first(x))


def _net(name, inputs, outputs):
    return keras.Sequential(
        [
            keras.Input((inputs,)),
            layers.Dense(256, name=f"{name}_in"),
            layers.LeakyReLU(0.2),
            layers.Dense(256, name=f"{name}_hidden"),
            layers.LeakyReLU(0.2),
            layers.Dense(outputs, name=f"{name}_out"),
        ],
        name=name,
    )


def test_auto_sets_the_models_that_a_model_without_a_call_is_made_of_as_each_by_itself():
    model = _Pair(_net("encoder", 32, 8), _net("decoder", 8, 32))
    model.build((None, 32))
    keras_inits.initialize(model, "auto", seed=3)
    for part in (model.first, model.second):
        x = np.random.default_rng(0).normal(size=(512, *part.input_shape[1:])).astype("float32")
        for at in (0, 2):  # second moment 1 behind the LeakyReLU, and so 2 / (1 + .04) before it
            x = np.asarray(keras.ops.convert_to_numpy(part.layers[at](x)))
            assert np.mean(x**2) == pytest.approx(2 / 1.04, rel=0.15)
            x = np.where(x > 0, x, 0.2 * x)
        out = np.asarray(keras.ops.convert_to_numpy(part.layers[4](x)))
        assert np.mean(out**2) == pytest.approx(0.3, rel=0.4)  # a head, with 8 units


def test_wiring_names_the_parts_of_a_model_without_a_call_and_traces_one_with():
    parts = _net("encoder", 32, 8), _net("decoder", 8, 32)
    model = _Pair(*parts)
    model.build((None, 32))
    with pytest.raises(keras_inits.InputError, match=r"has no `call`.*: encoder, decoder"):
        keras_inits.wiring(model)
    whole = _PairWithCall(*parts)
    whole(np.zeros((2, 32), "float32"))
    assert len(keras_inits.wiring(whole).maps) == 6
