import math
import tracemalloc
from importlib.metadata import version

import keras
import numpy as np
import pytest
from keras import ops
from scipy import stats
from versions import ON_TORCH

import keras_inits
from keras_inits._initialize import writing
from keras_inits._schemes.sampling import TRUNCATED_STDDEV

LAWS = {
    "normal": stats.norm(0, 0.5),
    "truncated_normal": stats.truncnorm(-2, 2, scale=0.5 / TRUNCATED_STDDEV),
    "uniform": stats.uniform(-0.5 * math.sqrt(3), math.sqrt(3)),
}


@pytest.mark.parametrize("distribution", LAWS)
def test_values_follow_their_law_and_not_one_of_5_percent_more(distribution):
    values = writing.independent_values(distribution, (2**17,), 0.5, "float32", 1)
    assert stats.kstest(values, LAWS[distribution].cdf).pvalue > 1e-3
    assert stats.kstest(1.05 * values, LAWS[distribution].cdf).pvalue < 1e-3
    assert abs(values.std() - 0.5) < 5 * 0.5 / math.sqrt(2 * values.size)


def test_pieces_differ_and_do_not_depend_on_the_threads(monkeypatch):
    monkeypatch.setattr(writing, "_PIECE", 1000)
    shape = (7, 500)
    threaded = np.asarray(writing.independent_values("normal", shape, 1.0, "float32", 1))
    monkeypatch.setattr(writing.os, "cpu_count", lambda: 1)
    alone = writing.independent_values("normal", shape, 1.0, "float32", 1)
    np.testing.assert_array_equal(threaded, alone)
    pieces = threaded.reshape(-1)[:3000].reshape(3, 1000)
    assert abs(np.corrcoef(pieces) - np.eye(3)).max() < 5 / math.sqrt(1000)


@pytest.mark.skipif(
    tuple(map(int, version("tensorflow").split(".")[:2])) < (2, 19),
    reason="TensorFlow 2.18 does not hand out its memory: a copy is made",
)
@pytest.mark.skipif(ON_TORCH, reason="torch copies into the memory that a variable has")
def test_a_large_weight_is_in_memory_once():
    tensor, values = writing._allocate((2**10, 2**10), "float32")
    values[:] = 1.0
    weight = keras.Variable(np.zeros((2**10, 2**10), "float32"))
    weight.assign(tensor)
    values[5] = 7.0  # the variable has taken the memory over, and made no copy of it
    assert ops.convert_to_numpy(weight)[0, 5] == 7.0


@pytest.mark.parametrize("shape", [(7,), (5, 9), (64, 3), (2, 50, 4), (3, 3, 4, 8), ()])
def test_parts_are_those_of_the_whole(monkeypatch, shape):
    monkeypatch.setattr(writing, "_PIECE", 37)
    rng = np.random.default_rng(0)
    whole = np.asarray(writing.independent_values("normal", shape, 1.0, "float32", 5))
    for _ in range(20):
        ends = [
            (0, size) if rng.random() < 0.4 else tuple(np.sort(rng.integers(0, size + 1, 2)))
            for size in shape
        ]
        parts = (tuple(ends), tuple((0, size) for size in shape))
        made = writing.independent_parts("normal", shape, 1.0, "float32", 5, parts)
        np.testing.assert_array_equal(made[0], whole[tuple(slice(*end) for end in ends)])
        np.testing.assert_array_equal(made[1], whole)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_part_takes_its_own_memory_and_a_piece_for_each_thread(monkeypatch, axis):
    monkeypatch.setattr(writing, "_PIECE", 2**14)
    monkeypatch.setattr(writing.os, "cpu_count", lambda: 2)
    shape, part = (1024, 1024), [(0, 1024), (0, 1024)]
    part[axis] = (256, 384)  # an eighth: 512 KiB in float32; a piece has 64 KiB
    tracemalloc.start()
    try:
        writing.independent_parts("uniform", shape, 1.0, "float32", 5, [tuple(part)])
        own = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        everything = tuple((0, size) for size in shape)
        writing.independent_parts("uniform", shape, 1.0, "float32", 5, [everything])
        whole = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert own < 2**20  # the part, pieces and their copies
    assert whole > 2**21  # control


class Halved(keras_inits.HeInit):
    def sample(self, geometry, dtype, seed):
        return 0.5 * super().sample(geometry, dtype, seed)

    def expected_stddev(self, geometry):
        return 0.5 * super().expected_stddev(geometry)


class Shifted(Halved):  # its law does not tell what `sample` adds
    def sample(self, geometry, dtype, seed):
        return super().sample(geometry, dtype, seed) + 3.0


class ShiftedOrthogonal(keras_inits.OrthogonalInit):
    def draw(self, geometry, dtype, seed):
        return super().draw(geometry, dtype, seed) + 3.0


class ShiftedHadamard(keras_inits.HadamardOrthogonalInit):
    def draw(self, geometry, dtype, seed):
        return super().draw(geometry, dtype, seed) + 3.0


@pytest.mark.parametrize("scheme", [Shifted, ShiftedOrthogonal, ShiftedHadamard])
def test_a_subclass_that_draws_in_its_own_way_is_asked_for_it(scheme):
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(64)])
    keras_inits.initialize(model, scheme(), seed=1)
    assert abs(float(np.mean(model.layers[0].kernel)) - 3) < 0.1
    assert not Shifted.independent
    assert keras_inits.HeUniformInit.independent
