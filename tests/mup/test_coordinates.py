"""Coordinate checks: flat over the width in muP, and not where something is missing."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_inits
from keras_inits import mup
from keras_inits.plots import coordinate_figure

X = np.random.default_rng(0).normal(size=(32, 16)).astype("float32")
Y = np.random.default_rng(1).integers(0, 4, 32)
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
WIDTHS = [32, 128, 512]


def net(width):
    keras.utils.clear_session(free_memory=False)
    hidden = [layers.Dense(width, "relu", name=f"hidden_{i}") for i in (1, 2)]
    return keras.Sequential([keras.Input((16,)), *hidden, layers.Dense(4, name="head")])


def check(parametrization, build=net, data=(X, Y), widths=WIDTHS, **options):
    return mup.coordinate_check(
        build, widths, data, loss=LOSS, parametrization=parametrization, steps=3, seeds=3, **options
    )


def where(result):
    return {name for finding in result.findings for name in finding.where}


def test_steps_of_adam_are_flat_in_mup_and_grow_without():
    flat, growing = check("mup"), check("standard")
    assert flat.ok, flat.summary()
    assert where(growing) >= {"hidden_2", "head", "output"}  # the control
    assert "hidden_1" not in where(growing)  # its inputs do not widen
    assert np.nanmean(growing.exponents()[:, -1]) > 0.4
    assert "move more at one learning rate" in " ".join(growing.summary().split())


@pytest.mark.slow
def test_steps_of_sgd_are_flat_in_mup_and_the_first_layer_stands_still_without():
    flat = check("mup", optimizer=keras.optimizers.SGD(0.05))
    assert flat.ok, flat.summary()
    shrinking = check("standard", optimizer=keras.optimizers.SGD(0.05))
    assert "hidden_1" in where(shrinking)
    assert np.nanmean(shrinking.exponents()[:, 0]) < -0.3
    assert "move less" in " ".join(shrinking.summary().split())


def language(divided):
    def build(width):
        keras.utils.clear_session(free_memory=False)
        tokens = keras.Input((4,), dtype="int32")
        table = layers.ReversibleEmbedding(20, width, name="table")
        logits = table(layers.Dense(width, name="hidden")(table(tokens)), reverse=True)
        return keras.Model(tokens, logits * (16 / width if divided else 1.0))

    return build


@pytest.mark.slow
def test_a_multiplier_that_the_model_does_not_bring_shows():
    data = np.arange(32).reshape(8, 4) % 20, np.arange(32).reshape(8, 4) * 7 % 20
    right, wrong = (
        check("mup", language(divided), data, [16, 64, 256]) for divided in (True, False)
    )
    # Not flat either: at width 16 a part of the logits' change is of random signs, and fades.
    assert right.exponents()[-1, -1] < 0, right.summary()
    assert wrong.exponents()[-1, -1] > 0.2
    assert "output" in where(wrong)
    assert mup.scaling(language(False)(64), language(False)(16)).multipliers[0].factor == 0.25


class Odd(keras.Model):
    """Calls a layer twice, draws noise, and keeps averages."""

    def __init__(self, width):
        super().__init__()
        self.enter = layers.Dense(width, name="enter")
        self.norm = layers.BatchNormalization()
        self.noise = layers.Dropout(0.5)
        self.shared = layers.Dense(width, name="shared")
        self.cells = layers.LSTM(width, name="cells")
        self.head = layers.Dense(4, name="head")

    def call(self, x):
        x = self.noise(self.norm(self.enter(x)))
        return self.head(self.cells(self.shared(self.shared(x))))


def odd(width):
    keras.utils.clear_session(free_memory=False)
    model = Odd(width)
    model(np.zeros((2, 3, 16), "float32"))
    return model


@pytest.mark.slow
def test_calls_of_shared_layers_count_each_and_noise_does_not():
    data = np.random.default_rng(0).normal(size=(8, 3, 16)).astype("float32"), np.arange(8) % 4
    result = mup.coordinate_check(odd, [4, 8], data, loss=LOSS, steps=1, seeds=1, optimizer="sgd")
    assert result.layers == ("enter", "shared", "shared#2", "cells", "head", "output")
    # With dropout the sizes of two passes would differ where no weight has moved.
    assert result.changes[0, 0, 0, 0] < 0.05 * result.sizes[0, 0, 0, 0]


@pytest.mark.parametrize(("true", "most", "least"), [(-0.2, 0.06, 0.0), (1.0, 1.0, 0.9)])
def test_few_seeds_are_no_proof_that_a_layer_moves_with_width(true, most, least):
    """Of layers that finite widths move a little some are found by chance; of others most are."""
    rng = np.random.default_rng(0)
    widths = np.array([32.0, 64.0, 128.0])
    layers, seeds = 300, 3
    exponents = true + 0.15 * rng.standard_normal((seeds, 1, layers))
    changes = widths[:, None, None, None] ** exponents
    result = mup.CoordinateCheck(
        "mup", (32, 64, 128), tuple(map(str, range(layers))), changes, changes
    )
    assert least <= len(result.findings) / layers <= most


def test_a_check_is_plain_data_and_draws_itself():
    result = check("mup", widths=[8, 16])
    assert mup.CoordinateCheck.from_dict(result.to_dict()) == result
    assert result.sizes.shape == (2, 3, 4, 4)
    assert result.changes.shape == (2, 3, 3, 4)
    (axes,) = coordinate_figure(result).axes
    assert axes.get_xlabel() == "width"
    assert len(axes.get_legend().get_texts()) == 4
    again = check("mup", widths=[16, 8])
    np.testing.assert_allclose(again.changes, result.changes, rtol=1e-3, atol=1e-7)


def made(changes):
    changes = np.asarray(changes, float)[:, None, None, :]
    return mup.CoordinateCheck("mup", (10, 100), ("a",), np.ones((2, 1, 2, 1)), changes)


def test_the_exponent_is_the_slope_of_the_logarithms():
    assert made([[1.0], [10.0]]).exponents() == pytest.approx(1.0)
    assert made([[1.0], [1.5]]).ok
    assert made([[1.0], [0.1]]).findings[0].numbers["exponent"] == pytest.approx(-1.0)
    assert not made([[1.0], [np.inf]]).ok  # it diverged
    assert made([[0.0], [0.0]]).ok  # it did not move at any width


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"widths": [8]}, "two or more"),
        ({"parametrization": "ntk"}, "parametrization"),
        ({"steps": 0}, "steps"),
        ({"optimizer": "rmsprop"}, "RMSprop"),
    ],
)
def test_wrong_arguments_are_named(options, says):
    given = {"widths": [4, 8], "loss": LOSS} | options
    widths = given.pop("widths")
    with pytest.raises(keras_inits.InputError, match=says):
        mup.coordinate_check(net, widths, (X, Y), **given)


def attention(width, heads):
    keras.utils.clear_session(free_memory=False)
    x = keras.Input((5, width))
    return keras.Model(x, x + layers.MultiHeadAttention(heads, width // heads, name="mix")(x, x))


def by_hand(width):
    keras.utils.clear_session(free_memory=False)
    x = keras.Input((5, width))
    q, k, v = (layers.Dense(width)(x) for _ in range(3))
    weights = ops.softmax(ops.matmul(q, ops.swapaxes(k, 1, 2)) / width**0.5)
    return keras.Model(x, layers.Dense(width)(ops.matmul(weights, v)))


@pytest.mark.parametrize(
    ("wide", "base"),
    [
        pytest.param(lambda: attention(64, 2), lambda: attention(16, 2), id="layer"),
        pytest.param(lambda: by_hand(32), lambda: by_hand(8), id="operations"),
    ],
)
def test_attention_whose_heads_widen_has_to_bring_its_multiplier(wide, base):
    found = mup.scaling(wide(), base())
    (one,) = found.multipliers
    assert one.factor == 0.5
    assert "its heads widen from 8 to 32" in " ".join(found.summary().split())


def test_attention_with_more_heads_of_one_size_has_nothing_to_bring():
    assert mup.scaling(attention(64, 8), attention(16, 2)).multipliers == ()
