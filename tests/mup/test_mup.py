"""muP: the same steps at every width, and without it others."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_inits
from keras_inits import mup


def net(width, depth=2):
    keras.utils.clear_session(free_memory=False)
    hidden = [layers.Dense(width, "relu") for _ in range(depth + 1)]
    return keras.Sequential([keras.Input((16,)), *hidden, layers.Dense(4, name="head")])


def kinds(found):
    return [one.kind for one in found.weights]


def test_kinds_follow_from_the_axes_that_widen():
    assert kinds(mup.scaling(net(64, 1), net(16, 1))) == [
        *("input", "vector", "hidden", "vector", "output", "fixed"),
    ]


# Yang et al. 2022, table 3, at four times the width: standard deviation, Adam, SGD
TABLE = {
    "input": (1, 1, 4),
    "vector": (1, 1, 4),
    "hidden": (0.5, 0.25, 1),
    "output": (0.25, 0.25, 0.25),
    "fixed": (1, 1, 1),
}


@pytest.mark.parametrize("kind", TABLE)
def test_factors_are_those_of_the_table(kind):
    found = mup.scaling(net(64), net(16)).weights
    one = next(weight for weight in found if weight.kind == kind)
    factors = (one.stddev_factor, one.rate_factor("adam"), one.rate_factor("sgd"))
    assert factors == TABLE[kind]


def test_the_rate_of_sgd_follows_both_axes_where_they_widen_apart():
    def net(first, second):
        keras.utils.clear_session(free_memory=False)
        hidden = [layers.Dense(first), layers.Dense(second)]
        return keras.Sequential([keras.Input((8,)), *hidden, layers.Dense(4)])

    hidden = mup.scaling(net(64, 32), net(16, 16)).weights[2]
    assert (hidden.kind, hidden.width, hidden.outputs) == ("hidden", 4, 2)
    assert (hidden.rate_factor("adam"), hidden.rate_factor("sgd")) == (1 / 4, 2 / 4)


def test_fans_are_the_true_ones():
    def attention(width):
        keras.utils.clear_session(free_memory=False)
        x = keras.Input((5, width))
        return keras.Model(x, layers.MultiHeadAttention(2, width // 2)(x, x))

    found = mup.scaling(attention(64), attention(16))
    kernels = [one for one in found.weights if one.geometry]
    assert [(one.kind, one.width) for one in kernels] == [("hidden", 4.0)] * 4


def test_a_table_that_is_embedding_and_head_does_not_start_at_zero():
    def language(width):
        keras.utils.clear_session(free_memory=False)
        tokens, table = keras.Input((5,), dtype="int32"), layers.ReversibleEmbedding(20, width)
        return keras.Model(tokens, table(layers.Dense(width)(table(tokens)), reverse=True))

    report = mup.initialize(language(64), language(16), seed=1)
    assert kinds(mup.scaling(language(64), language(16)))[0] == "input"
    assert report.rows[0].stddev == pytest.approx((2 / 16) ** 0.5, rel=0.1)


@pytest.mark.slow
def test_a_third_sibling_shows_what_widens_in_the_base_itself():
    assert set(kinds(mup.scaling(net(16), net(16)))) == {"fixed"}
    found = mup.scaling(net(16), net(16), net(32))
    assert kinds(found) == kinds(mup.scaling(net(64), net(16)))
    assert {one.width for one in found.weights} == {1.0}


def test_the_report_shows_every_weight():
    found = mup.scaling(net(64), net(16))
    assert "hidden" in found.summary()
    assert len(found.to_dict()["weights"]) == 8


def test_models_that_differ_by_more_than_width_are_refused():
    with pytest.raises(keras_inits.InputError, match="one model at several widths"):
        mup.scaling(net(64, 2), net(16, 1))


def test_an_optimizer_without_known_rates_is_refused():
    with pytest.raises(keras_inits.InputError, match="RMSprop"):
        mup.optimizer("rmsprop", net(64), net(16))


def test_the_start_is_that_of_the_base_scaled():
    rows = mup.initialize(net(512), net(32), "xavier", zero_output=False, seed=1).rows
    stddevs = [row.target_stddev for row in rows if row.geometry]
    assert stddevs == pytest.approx([1 / 4, 512**-0.5, 512**-0.5, 32**-0.5 / 16])
    rows = mup.initialize(net(512), net(32), "xavier", seed=1).rows
    assert [row.stddev for row in rows if row.geometry][-1] == 0


DATA = np.random.default_rng(0).normal(size=(64, 16)).astype("float32")
TARGETS = np.random.default_rng(1).integers(0, 4, 64)


def movement(width, like, rate, *, scaled):
    """How far five steps move the logits, as a root mean square."""
    model, base = net(width), net(32)
    like = keras.optimizers.get({"class_name": like, "config": {"learning_rate": rate}})
    if scaled:
        mup.initialize(model, base, delta=net(64), seed=1)
        like = mup.optimizer(like, model, base)
    else:
        keras_inits.initialize(model, "he", seed=1)
    before = model(DATA)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(like, loss, jit_compile=False)
    for _ in range(5):
        model.train_on_batch(DATA, TARGETS)
    return float(np.sqrt(np.mean(np.square(model(DATA) - before))))


@pytest.mark.slow
@pytest.mark.parametrize(("like", "rate"), [("adam", 1e-3), ("sgd", 0.05)])
def test_steps_move_the_output_alike_at_every_width(like, rate):
    scaled = [movement(width, like, rate, scaled=True) for width in (32, 512)]
    plain = [movement(width, like, rate, scaled=False) for width in (32, 512)]
    assert max(scaled) / min(scaled) < 2
    assert max(plain) / min(plain) > 2.5  # the control


def test_the_factors_are_saved_with_the_model(tmp_path):
    model = net(64)
    model.compile(mup.optimizer(keras.optimizers.AdamW(1e-3), model, net(16)), "mse")
    model.fit(DATA, np.zeros((64, 4)), verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert type(again.optimizer).__name__ == "MupAdamW"
    assert again.optimizer.rate_factors == model.optimizer.rate_factors
    assert len(again.optimizer.rate_factors) == 3


def test_a_kernel_for_each_channel_is_a_vector_of_channels():
    def net(width):
        stack = [layers.Conv2D(width, 1), layers.DepthwiseConv2D(3), layers.Conv2D(4, 1)]
        return keras.Sequential([keras.Input((8, 8, 2)), *stack])

    depthwise = mup.scaling(net(32), net(8)).weights[2]
    assert (depthwise.kind, depthwise.width) == ("vector", 4)
    assert (depthwise.rate_factor("sgd"), depthwise.rate_factor("adam")) == (4, 1)
    assert depthwise.stddev_factor == 1


def test_loss_scaling_goes_around_the_scaled_optimizer():
    like = keras.optimizers.LossScaleOptimizer(keras.optimizers.AdamW(), initial_scale=1024.0)
    made = mup.optimizer(like, net(64), net(16))
    assert type(made.inner_optimizer).__name__ == "MupAdamW"
    assert made.initial_scale == 1024.0
