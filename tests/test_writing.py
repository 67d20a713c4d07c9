import math

import keras
import numpy as np
import pytest
from scipy import stats

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


def test_a_large_weight_is_in_memory_once():
    tensor, values = writing._allocate((2**10, 2**10), "float32")
    values[:] = 1.0
    weight = keras.Variable(np.zeros((2**10, 2**10), "float32"))
    weight.assign(tensor)
    values[5] = 7.0  # the variable has taken the memory over, and made no copy of it
    assert float(weight[0, 5]) == 7.0
