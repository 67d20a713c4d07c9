"""Second moments carried through a graph, next to what random weights make."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_inits as ki
from keras_inits._moments import Signal, normal
from keras_inits._moments.pooling import extreme_of_places


def rms_of_last(model, data, seeds=4):
    """The last kernel's output over what was asked of it: a median of root mean squares."""
    found = []
    for seed in range(seeds):
        row = [row for row in ki.initialize(model, "auto", seed=seed).rows if row.geometry][-1]
        output = ops.convert_to_numpy(model(data, training=True))
        found.append(np.sqrt(np.mean(output**2) / row.second_moment))
    return np.median(found)


def mean_of_rows(count):
    inputs = keras.Input((32,), dtype="int32")
    x = layers.GlobalAveragePooling1D()(layers.Embedding(count, 64)(inputs))
    return keras.Model(inputs, layers.Dense(16)(x))


def test_two_places_meet_a_row_of_a_small_table():
    data = {n: np.random.default_rng(0).integers(0, n, (32, 32)) for n in (2, 500)}
    for count, tokens in data.items():
        assert rms_of_last(mean_of_rows(count), tokens) == pytest.approx(1, abs=0.25)
    # Rows of a large vocabulary are taken to differ: of two of them another mean is left.
    assert rms_of_last(mean_of_rows(500), data[2]) > 2


def normalized_blocks(normalization):
    x = inputs = keras.Input((8, 8, 4))
    for _ in range(5):
        x = layers.Conv2D(16, 3, padding="same", use_bias=False)(x)
        x = layers.ReLU()(normalization()(x))
    return keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def test_a_batch_normalization_takes_constants_of_channels_off(monkeypatch):
    rng = np.random.default_rng(0)
    # Places as alike as inputs are taken to be.
    images = rng.normal(size=(64, 8, 8, 4)) + rng.normal(size=(64, 1, 1, 4))
    images = (images / 2**0.5).astype("float32")
    model = normalized_blocks(layers.BatchNormalization)
    assert rms_of_last(model, images) == pytest.approx(1, abs=0.15)
    monkeypatch.setattr(Signal, "common", 0.0)
    assert rms_of_last(model, images) < 0.85


@pytest.mark.parametrize("weights", ["mean", "sum", "difference"])
def test_sums_over_neighbours_leave_what_their_weights_leave(weights):
    rng = np.random.default_rng(0)
    graph = (rng.uniform(size=(24, 24)) < 0.2) | np.eye(24, dtype=bool)
    graph = graph.astype("float32")
    if weights == "mean":
        graph /= graph.sum(axis=1, keepdims=True)
    elif weights == "difference":
        graph = np.eye(24, dtype="float32") - graph / graph.sum(axis=1, keepdims=True)
    inputs = keras.Input((24, 32))
    x = ops.relu(ops.matmul(graph, layers.Dense(64)(inputs)))
    model = keras.Model(inputs, layers.Dense(64)(x))
    found = ki.wiring(model)
    assert not found.unknown
    # Nodes as alike as two places of an input are taken to be.
    nodes = rng.normal(size=(64, 24, 32)) + rng.normal(size=(64, 1, 32))
    assert rms_of_last(model, (nodes / 2**0.5).astype("float32")) == pytest.approx(1, abs=0.2)


def test_sums_over_segments_leave_what_the_sizes_of_segments_leave():
    rng = np.random.default_rng(0)
    made, given = (rng.integers(0, 60, 300).astype("int32") for _ in range(2))
    inputs = keras.Input((32,))
    neighbours = ops.take(layers.Dense(64)(inputs), given, axis=0)
    x = ops.relu(ops.segment_sum(neighbours, ops.convert_to_tensor(made), num_segments=60))
    model = keras.Model(inputs, layers.Dense(64)(x))
    assert not ki.wiring(model).unknown
    # Neighbours as alike as two places of an input are taken to be.
    nodes = rng.normal(size=(60, 32)) + rng.normal(size=(1, 32))
    assert rms_of_last(model, (nodes / 2**0.5).astype("float32")) == pytest.approx(1, abs=0.25)


def test_a_category_as_one_among_zeros_is_known():
    inputs = keras.Input((12,), dtype="int32")
    tokens = layers.Flatten()(ops.one_hot(inputs, 50))
    one = keras.Input((), dtype="int32")
    category = layers.CategoryEncoding(20, output_mode="one_hot")(one)
    outputs = [layers.Dense(64)(tokens), layers.Dense(64)(category)]
    model = keras.Model([inputs, one], outputs)
    rows = [row for row in ki.initialize(model, "auto", seed=0).rows if row.geometry]
    assert not any("not understood" in row.note for row in rows)
    rng = np.random.default_rng(0)
    made = model([rng.integers(0, 50, (512, 12)), rng.integers(0, 20, 512)])
    for row, output in zip(rows, made, strict=True):
        square = np.mean(ops.convert_to_numpy(output) ** 2)
        assert square == pytest.approx(row.second_moment, rel=0.2)


_FUNCTIONS = {
    "linear": lambda z: z,
    "relu": lambda z: np.maximum(z, 0),
    "silu": lambda z: z / (1 + np.exp(-z)),
    "tanh": np.tanh,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
}


def largest_rms(function, count, alike):
    """The root mean square of the largest of so many values, of 8,192 draws."""
    rng = np.random.default_rng(count)
    common, own = rng.normal(size=(8192, 1)), rng.normal(size=(8192, count))
    values = function(np.sqrt(alike) * common + np.sqrt(1 - alike) * own)
    return np.sqrt(np.mean(values.max(axis=1) ** 2))


@pytest.mark.parametrize("alike", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("count", [4, 16, 64, 256])
@pytest.mark.parametrize("name", _FUNCTIONS)
def test_the_largest_of_many_places_is_that_of_a_simulation(name, count, alike):
    function = _FUNCTIONS[name]
    places = Signal(function(normal(1.0, alike, 3).values))
    made = np.sqrt(extreme_of_places(places, count, np.max, 7).second_moment)
    assert made == pytest.approx(largest_rms(function, count, alike), rel=0.06)
    smallest = extreme_of_places(places.with_values(-places.values), count, np.min, 7)
    assert np.sqrt(smallest.second_moment) == pytest.approx(made)
    if alike == 0.9 and count > 4:  # a negative control
        assert made < 0.94 * largest_rms(function, count, 0.5)


def test_what_two_inputs_of_one_tower_have_in_common_cancels():
    tower = keras.Sequential([keras.Input((32,)), *(layers.Dense(64, "relu") for _ in range(3))])
    one, other = keras.Input((32,)), keras.Input((32,))
    distance = ops.abs(tower(one) - tower(other))
    model = keras.Model([one, other], layers.Dense(16)(distance))
    rng = np.random.default_rng(0)
    data = [rng.normal(size=(64, 32)).astype("float32") for _ in range(2)]
    assert rms_of_last(model, data, seeds=6) == pytest.approx(1, abs=0.12)
    # Of two towers nothing cancels.
    twice = [
        keras.Sequential([keras.Input((32,)), *(layers.Dense(64, "relu") for _ in range(3))])
        for _ in range(2)
    ]
    distance = ops.abs(twice[0](one) - twice[1](other))
    model = keras.Model([one, other], layers.Dense(16)(distance))
    assert rms_of_last(model, data, seeds=6) == pytest.approx(1, abs=0.12)


def half_alike(*shape, seed=0):
    """Standard normal values; two places have half in common, as inputs are taken to have."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=shape) + rng.normal(
        size=(shape[0], *(1,) * (len(shape) - 2), shape[-1])
    )
    return (values / 2**0.5).astype("float32")


def compared_images():
    tower = [layers.Conv2D(32, 5, activation="relu"), layers.MaxPooling2D()]
    tower += [layers.Conv2D(64, 5, activation="relu"), layers.MaxPooling2D(), layers.Flatten()]
    tower = keras.Sequential([keras.Input((28, 28, 1)), *tower, layers.Dense(64)])
    one, other = keras.Input((28, 28, 1)), keras.Input((28, 28, 1))
    distance = ops.abs(tower(one) - tower(other))
    return keras.Model([one, other], layers.Dense(64)(distance))


def test_what_examples_have_in_common_grows_over_layers(monkeypatch):
    model, data = compared_images(), [half_alike(16, 28, 28, 1, seed=seed) for seed in (0, 1)]
    assert rms_of_last(model, data, seeds=6) == pytest.approx(1, abs=0.2)
    monkeypatch.setattr(Signal, "examples", property(lambda self: (self.values,)))
    assert rms_of_last(model, data, seeds=6) < 0.7


def test_another_example_is_as_alike_as_the_constants_of_channels_say():
    made = Signal(normal(3.0, 0.6, 1).values, 3.0, constant=0.4)
    one, other = made.examples
    assert np.mean(other**2) == pytest.approx(3, rel=0.1)
    assert np.mean(one * other) == pytest.approx(0.4 * 3, rel=0.1)
    assert np.mean(one[0] * other[1]) == pytest.approx(0.4 * 3, rel=0.15)
    assert np.mean(other[0] * other[1]) == pytest.approx(0.6 * 3, rel=0.15)
    behind = made.with_function(lambda z: np.maximum(z, 0))
    cosine = 0.4  # of two normal values: the arc-cosine kernel (Cho & Saul 2009)
    angle = np.arccos(cosine)
    expected = (np.sin(angle) + (np.pi - angle) * cosine) / np.pi
    assert behind.common == pytest.approx(expected, abs=0.05)


def running_means(x):
    weights = ops.exp(layers.Dense(32)(x))
    values = layers.Dense(32)(x)
    return ops.cumsum(weights * values, axis=1) / ops.cumsum(weights, axis=1)


def linear_attention(x):
    query, key = (ops.elu(layers.Dense(32)(x)) + 1 for _ in range(2))
    seen = ops.einsum("btd,bsd->bts", query, key)
    return ops.matmul(seen / ops.sum(seen, axis=-1, keepdims=True), layers.Dense(32)(x))


def pooled_products(x):
    x = layers.Dense(32, "relu")(x)
    return layers.Flatten()(ops.einsum("bni,bnj->bij", x, x) / x.shape[1])


def differences(x):
    return x[:, 1:] - x[:, :-1]


def rolled(x):
    return ops.roll(x, 1, axis=1) - x


@pytest.mark.parametrize(
    "mixes", [running_means, linear_attention, pooled_products, differences, rolled]
)
def test_what_mixes_places_leaves_what_they_have_in_common(mixes):
    inputs = keras.Input((40, 32))
    model = keras.Model(inputs, layers.Dense(64)(mixes(inputs)))
    assert not ki.wiring(model).unknown
    assert rms_of_last(model, half_alike(64, 40, 32), seeds=6) == pytest.approx(1, abs=0.15)


def test_a_product_of_what_is_above_zero_has_a_mean():
    one, other = keras.Input((64,)), keras.Input((64,))
    products = layers.Dot(1)([ops.relu(one), ops.relu(other)])
    model = keras.Model([one, other], layers.Dense(256)(products / 10 - 1))
    data = [np.random.default_rng(i).normal(size=(512, 64)).astype("float32") for i in range(2)]
    # 1.02 - 1 and not -1: the mean of 64 products of 0.399^2 is 10.2.
    assert rms_of_last(model, data, seeds=6) == pytest.approx(1, abs=0.2)
