import numpy as np
import pytest

from keras_inits._compare.statistics import (
    epochs_to,
    holm,
    mean_interval,
    median_epoch,
    paired_differences,
    sign_flip_p,
)


def test_intervals_cover_the_mean_about_as_often_as_they_say():
    random = np.random.default_rng(0)
    inside = 0
    for trial in range(200):
        interval = mean_interval(random.exponential(size=30), trial)
        inside += interval.low <= 1 <= interval.high
    assert 0.86 * 200 <= inside <= 0.99 * 200
    # negative control: half as wide, they must not
    narrow = 0
    for trial in range(200):
        interval = mean_interval(random.exponential(size=30), trial)
        half = (interval.high - interval.low) / 4
        narrow += abs(interval.mean - 1) <= half
    assert narrow < 0.86 * 200


def test_intervals_leave_out_what_is_not_finite_and_say_how_many_remain():
    interval = mean_interval([1.0, 2.0, 3.0, np.nan, np.inf])
    assert (interval.mean, interval.count) == (2.0, 3)
    assert np.isnan(mean_interval([1.0]).low)
    assert np.isnan(mean_interval([]).mean)


def test_p_values_are_those_of_all_sign_patterns():
    # of the 8 patterns of three equal differences, two have a mean as far from 0
    assert sign_flip_p([1.0, 1.0, 1.0]) == pytest.approx(2 / 8)
    assert sign_flip_p([1.0, -1.0]) == 1.0
    assert sign_flip_p(np.zeros(5)) == 1.0
    assert np.isnan(sign_flip_p([1.0, np.nan]))


def test_p_values_are_uniform_where_there_is_no_difference():
    random = np.random.default_rng(1)
    p = np.array([sign_flip_p(random.normal(size=9)) for _ in range(300)])
    assert np.mean(p < 0.05) < 0.1
    shifted = np.array([sign_flip_p(random.normal(1.0, size=9)) for _ in range(50)])
    assert np.mean(shifted < 0.05) > 0.5


def test_holm_is_the_textbooks():
    np.testing.assert_allclose(holm([0.01, 0.02, 0.03, 0.2]), [0.04, 0.06, 0.06, 0.2])
    np.testing.assert_allclose(holm([0.5, np.nan, 0.9]), [1.0, np.nan, 1.0])


def test_pairs_are_formed_seed_by_seed():
    common = np.array([0.0, 10.0, 20.0, 30.0, 40.0, 50.0])  # what the seeds have in common
    values = np.stack([common + 1, common, common + np.array([1, -1] * 3)])
    first, second, third = paired_differences(values, ["a", "b", "c"])
    assert (first.a, first.b, first.interval.mean, first.interval.low) == ("a", "b", 1.0, 1.0)
    assert first.p == pytest.approx(2 / 2**6)
    assert first.p_holm == pytest.approx(3 * first.p)
    assert third.p_holm == 1.0
    assert second.interval.count == 6


def test_a_diverged_run_leaves_only_its_pair_out():
    (difference,) = paired_differences(
        np.array([[1.0, np.nan, 3.0], [0.0, 0.0, np.inf]]), ["a", "b"]
    )
    assert difference.interval.count == 1


def test_epochs_to_a_target_are_infinite_where_it_was_not_seen():
    values = np.array([[0.1, 0.5, 0.4], [0.1, 0.2, np.nan]])
    assert epochs_to(values, 0.4, higher_is_better=True).tolist() == [2.0, np.inf]
    assert epochs_to(values, 0.1, higher_is_better=False).tolist() == [1.0, 1.0]
    assert median_epoch(np.array([np.inf, 2.0, np.inf])) == np.inf
