import numpy as np
import pytest

from keras_inits._compare.aggregates import interquartile_mean, mean_of_tasks, profile


def test_the_interquartile_mean_is_scipys_trimmed_mean():
    stats = pytest.importorskip("scipy.stats")
    scores = np.random.default_rng(0).normal(size=(3, 5, 7))
    expected = [stats.trim_mean(one, 0.25, axis=None) for one in scores]
    np.testing.assert_allclose(interquartile_mean(scores), expected)


def test_a_quarter_of_failures_does_not_move_it_and_half_do():
    scores = np.full((4, 5), 0.8)
    scores[:, :1] = 0.0
    assert interquartile_mean(scores) == pytest.approx(0.8)
    scores[:, :3] = 0.0
    assert interquartile_mean(scores) < 0.4


def test_the_interval_covers_the_true_value_as_often_as_it_says():
    rng = np.random.default_rng(1)
    draws = [rng.normal(rng.permutation(4)[:, None], 1.0, (4, 10)) for _ in range(200)]
    large = np.arange(4)[:, None] + rng.normal(size=(4, 100_000))
    true = float(interquartile_mean(large))
    found = [mean_of_tasks(scores, seed=2) for scores in draws]
    covered = np.mean([one.low <= true <= one.high for one in found])
    assert covered > 0.85  # of 0.95; percentile intervals of ten seeds are somewhat short
    assert np.mean([one.low <= true + 1 <= one.high for one in found]) < 0.1


def test_tasks_are_no_source_of_spread_and_pairs_share_their_seeds():
    scores = np.array([[0.0] * 4, [1.0] * 4])
    one = mean_of_tasks(scores)
    assert (one.low, one.mean, one.high) == (0.5, 0.5, 0.5)
    noisy = np.random.default_rng(0).normal(size=(1, 8))
    paired = mean_of_tasks(noisy + 0.5, minus=noisy)
    assert paired.high - paired.low < 1e-12
    alone = mean_of_tasks(noisy + 0.5)
    assert alone.high - alone.low > 0.1
    assert np.isnan(mean_of_tasks(scores[:, :1]).low)


def test_a_profile_falls_from_all_to_none_within_its_band():
    scores = np.random.default_rng(0).uniform(0.2, 0.8, (3, 6))
    share, low, high = profile(scores, np.linspace(0, 1, 11))
    assert (share[0], share[-1]) == (1.0, 0.0)
    assert (np.diff(share) <= 0).all()
    assert ((low <= share) & (share <= high)).all()
    assert (high - low)[5] > 0.1
