"""Inputs that are drowned in training, or of which nothing is learned for other reasons."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from versions import ON_JAX, of_tensorflow

import keras_inits
from keras_inits._diagnose.setting.between import dropouts
from keras_inits._diagnose.setting.end import linearity

RNG = np.random.default_rng(7)
SPARSE = "sparse_categorical_crossentropy"
KINDS = RNG.permutation(128) % 4
X = (0.5 + 0.2 * RNG.normal(size=(4, 12))[KINDS] + 0.02 * RNG.normal(size=(128, 12))).clip(0, 1)
X = X.astype("float32")


class Shaken(layers.Layer):
    """Adds noise of one's own in training."""

    def __init__(self, size):
        super().__init__()
        self.size = size

    def call(self, x, training=False):
        return x + self.size * keras.random.normal(ops.shape(x)) if training else x


def _diagnosed(model, x=X, y=KINDS, loss=SPARSE, optimizer="adam"):
    model.compile(optimizer, loss)
    return keras_inits.diagnose(model, x, y).findings


def _sequential(*inner, shape=(12,)):
    keras.utils.set_random_seed(0)
    inner = [*inner, layers.Flatten(), layers.Dense(32, "relu"), layers.Dense(4, "softmax")]
    return keras.Sequential([keras.Input(shape), *inner])


@pytest.mark.skipif(ON_JAX, reason="JAX refuses noise without a generator, in `fit` as well")
def test_noise_that_drowns_the_data_is_found_and_little_is_not():
    layer = Shaken(25.0)
    (found,) = _diagnosed(_sequential(layer), optimizer=keras.optimizers.Adam(0.01))
    assert (found.kind, found.where) == ("input scale", (layer.name, "input"))
    assert not _diagnosed(_sequential(Shaken(0.05)), optimizer=keras.optimizers.Adam(0.01))


@of_tensorflow("elsewhere probabilities are cut off, and the loss at the start comes first")
def test_a_range_of_bytes_for_fractions_is_found_and_its_remedy_amends_it():
    pictures = X.reshape(128, 2, 2, 3)
    layer = layers.RandomBrightness(0.5, seed=1)
    model = _sequential(layer, shape=(2, 2, 3))
    (found,) = _diagnosed(model, pictures, optimizer=keras.optimizers.Adam(0.01))
    assert (found.kind, found.where) == ("input scale", (layer.name, "input"))
    exec(found.remedy, {"model": model, "keras": keras})
    assert max(layer.value_range) <= 1
    assert not keras_inits.diagnose(model, pictures, KINDS).findings


def test_gradients_gathered_over_a_whole_data_set_are_a_rate_too_low():
    def adam(batches):
        return keras.optimizers.Adam(0.01, gradient_accumulation_steps=batches)

    model = _sequential()
    (found,) = _diagnosed(model, optimizer=adam(1000))
    assert (found.kind, found.where) == ("learning rate too low", ("optimizer",))
    exec(found.remedy, {"model": model, "keras": keras})
    assert not keras_inits.diagnose(model, X, KINDS).findings
    assert not _diagnosed(_sequential(), optimizer=adam(8))


class Own(layers.Layer):
    """A dense layer of one's own, which may forget its activation."""

    def __init__(self, units, apply):
        super().__init__()
        self.units, self.apply, self.activation = units, apply, keras.activations.relu

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], self.units), initializer="he_normal")

    def call(self, x):
        made = ops.matmul(x, self.kernel)
        return self.activation(made) if self.apply else made


@pytest.mark.parametrize("apply", [False, True])
def test_an_activation_that_is_held_and_not_applied_is_missing(apply):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((2,)), Own(16, apply), Own(16, apply), layers.Dense(1)])
    assert not linearity.curved_by_name(model)
    x = RNG.normal(size=(200, 2)).astype("float32")
    findings = _diagnosed(model, x, np.abs(x[:, :1]) - 0.8, "mse")
    kinds = [f.kind for f in findings]
    assert ("missing activation" in kinds) == (not apply)
    assert apply or "self.activation" in findings[0].remedy


def _gated(gate, blocks=5, seed=0):
    keras.utils.set_random_seed(seed)
    h = given = keras.Input((12,))
    for _ in range(blocks):
        h = layers.Dense(32, "relu")(h)
        h = layers.Multiply()([h, layers.Dense(32, gate)(h)])
    return keras.Model(given, layers.Dense(4, "softmax")(h))


@pytest.mark.parametrize("seed", [0, 1, 3])  # of which logits fade differently
def test_gates_that_let_nothing_through_are_found(seed):
    model = _gated("softmax", seed=seed)
    (found,) = _diagnosed(model)
    names = {layer.name for layer in model.layers if isinstance(layer, layers.Multiply)}
    assert found.kind == "no gradient"
    assert names <= {*found.where}
    assert not _diagnosed(_gated("sigmoid", 2), optimizer=keras.optimizers.Adam(0.005))


@pytest.mark.parametrize("end", [ops.softmax, ops.sigmoid])
def test_a_sum_over_a_softmax_is_no_answer(end):
    keras.utils.set_random_seed(0)
    given = keras.Input((12,))
    h = end(layers.Dense(6)(layers.Dense(16, "relu")(given)))
    model = keras.Model(given, ops.sum(h, -1, keepdims=True))
    y = X[:, :1] - X[:, :1].mean() + 1
    findings = _diagnosed(model, X, y, "mse", keras.optimizers.Adam(0.01))
    wrong = end is ops.softmax
    assert [f.kind for f in findings if f.kind == "no gradient"] == ["no gradient"] * wrong


def test_answers_that_are_all_the_same_explain_a_loss_at_the_start():
    keras.utils.set_random_seed(0)
    given = keras.Input((12,))
    h = ops.softmax(layers.Dense(6)(layers.Dense(16, "relu")(given)))
    model = keras.Model(given, ops.sum(h, -1, keepdims=True))
    findings = _diagnosed(model, X, 8 + X[:, :1], "mse", "adam")
    assert [f.kind for f in findings] == ["no gradient", "loss at the start"]


@pytest.mark.parametrize("twins", [True, False])
def test_two_inputs_that_are_one_are_named_where_they_are_compared(twins):
    keras.utils.set_random_seed(0)
    two = [keras.Input((12,)), keras.Input((12,))]
    encoder = keras.Sequential([keras.Input((12,)), layers.Dense(16, "relu"), layers.Dense(8)])
    gap = ops.abs(encoder(two[0]) - encoder(two[1]))
    model = keras.Model(two, layers.Dense(1, "sigmoid")(gap))
    other = X if twins else np.roll(X, 1, 0) * (np.arange(128) % 2)[:, None]
    same = (np.arange(128) % 2).astype("float32")[:, None]
    adam = keras.optimizers.Adam(0.01)
    findings = _diagnosed(model, [X, other], same, "binary_crossentropy", adam)
    assert [f.kind for f in findings] == ["input constant"] * twins
    assert not twins or findings[0].where[0] == "input"


@pytest.mark.parametrize("hidden", ["sigmoid", "tanh"])
def test_sigmoids_in_a_row_that_nothing_gets_through_are_named(hidden):
    """Of a wave that other activations do not learn in the few steps of a trial either."""
    keras.utils.set_random_seed(0)
    x = np.linspace(0, 1, 256, dtype="float32")[:, None]
    narrow = keras.initializers.RandomUniform(-0.05, 0.05, seed=1)
    inner = [layers.Dense(20, hidden, kernel_initializer=narrow) for _ in range(3)]
    model = keras.Sequential([keras.Input((1,)), *inner, layers.Dense(1)])
    found = _diagnosed(model, x, 0.5 + 0.5 * np.sin(20 * x - 10), "mse", "sgd")
    told = [f.where for f in found if f.kind == "hidden activation"]
    assert told == [tuple(layer.name for layer in inner)] * (hidden == "sigmoid")


def test_heads_that_start_at_zero_answer_after_some_steps():
    keras.utils.set_random_seed(0)
    inner = [layers.Dense(32, "relu"), layers.Dense(4, "softmax", kernel_initializer="zeros")]
    assert not _diagnosed(keras.Sequential([keras.Input((12,)), *inner]))


def test_a_branch_that_is_left_out_as_a_whole_leaves_what_it_is_added_to():
    given = keras.Input((12,))
    branch = layers.Dropout(0.2, noise_shape=(None, 1))(layers.Dense(12)(given))
    residual = keras.Model(given, layers.Dense(1)(given + branch))
    alone = keras.Model(given, layers.Dense(1)(branch))
    assert not dropouts.by_rate(residual)
    assert len(dropouts.by_rate(alone)) == 1


def test_exponentials_that_overflow_are_a_verdict_and_no_error():
    given = keras.Input((4,))
    h = layers.Dense(4)(given)
    model = keras.Model(given, layers.Dense(1)(layers.Activation("exponential")(h)))
    x = (2000 * RNG.normal(size=(32, 4))).astype("float32")
    kinds = [f.kind for f in keras_inits.diagnose(model, x).findings]
    assert "not finite" in kinds or "exploding" in kinds


MEASURED = np.stack([X[:, 0] * X[:, 1], np.abs(X[:, 2] - 0.5)], 1)
LOST = RNG.random(128) < 0.4


# Each of targets, and whether some of them are a mark that says nothing of the input.
@pytest.mark.parametrize(
    ("y", "found"),
    [
        (np.where(LOST[:, None], -1.0, MEASURED), True),
        (np.where(LOST[:, None], 99.0, MEASURED), True),
        (np.where((KINDS == 0)[:, None], -1.0, MEASURED), False),  # to be told from the input
        (np.where(LOST[:, None], 0.0, MEASURED), False),  # next to the others
        (MEASURED, False),
    ],
    ids=["minus one", "ninety-nine", "told", "next", "measured"],
)
def test_marks_among_measured_targets_are_found_where_nothing_tells_them(y, found):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((12,)), layers.Dense(32, "relu"), layers.Dense(2)])
    model.compile(keras.optimizers.Adam(0.01), "mse")
    (labels, *_) = [*keras_inits.diagnose(model, X, y).findings, None]
    assert bool(labels and labels.kind == "labels") == found
    if found:
        given = {"x": X, "y": y, "np": np}
        exec(labels.remedy.split("; or")[0], given)
        assert len(given["x"]) == (~LOST).sum()


class Added(layers.Layer):
    """Adds a share of what its input costs to the loss."""

    def __init__(self, cost, share):
        super().__init__()
        self.cost, self.share = cost, share

    def call(self, x):
        self.add_loss(self.share * ops.mean(self.cost(x)))
        return x


@pytest.mark.parametrize(
    ("cost", "share", "found"),
    [
        (ops.square, -0.1, True),
        (ops.square, 0.001, False),
        (ops.tanh, -0.001, False),  # a bonus that is bounded
    ],
    ids=["sign", "penalty", "bonus"],
)
def test_what_layers_add_to_the_loss_may_not_fall_without_end(cost, share, found):
    keras.utils.set_random_seed(0)
    inner = [layers.Dense(16, "tanh"), layers.Dense(8), Added(cost, share), layers.Dense(12)]
    model = keras.Sequential([keras.Input((12,)), *inner])
    adam = keras.optimizers.Adam(0.01)
    findings = _diagnosed(model, 5 * (X - 0.5), 5 * (X - X.mean(0)), "mse", adam)
    assert [f.where for f in findings if f.kind == "regularization"] == [("loss",)] * found


class Drawn(layers.Layer):
    """Draws a code about its input, and adds a share of its divergence from a normal prior."""

    def __init__(self, share):
        super().__init__()
        self.share, self.noise = share, keras.random.SeedGenerator(0)

    def call(self, mean):
        self.add_loss(0.5 * self.share * ops.mean(ops.sum(ops.square(mean), -1)))
        return mean + keras.random.normal(ops.shape(mean), seed=self.noise)


@pytest.mark.parametrize(("share", "rate"), [(1, 0.0002), (1, 0.01), (1 / 500, 0.0002)])
def test_a_code_that_costs_more_than_all_it_can_tell_is_found_at_a_low_rate_too(share, rate):
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(3)
    x = np.tanh(rng.standard_normal((256, 2)) @ rng.standard_normal((2, 24))) / 5
    inner = [layers.Dense(32, "relu"), layers.Dense(2), Drawn(share), layers.Dense(32, "relu")]
    model = keras.Sequential([keras.Input((24,)), *inner, layers.Dense(24)])
    findings = _diagnosed(model, 5 * x, x, "mse", keras.optimizers.Adam(rate))
    assert [f.where for f in findings if f.kind == "regularization"] == [("loss",)] * (share == 1)
