"""Intervals by bootstrap over groups: against a slow reference, and coverage on data with a known mean."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mofore.evaluation.bootstrap import RESAMPLES, group_interval, with_interval


def slow_interval(values: list[float], groups: list[int], seed: int) -> tuple[float, float]:
    """The interval in plain loops over resamples and groups."""
    rng = np.random.default_rng(seed)
    names = sorted(set(groups))
    means = []
    for _ in range(RESAMPLES):
        drawn = [
            value for g in rng.choice(names, len(names)) for value, own in zip(values, groups, strict=True) if own == g
        ]
        means.append(sum(drawn) / len(drawn))
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def test_equals_drawing_groups_one_by_one() -> None:
    rng = np.random.default_rng(0)
    groups = np.sort(rng.integers(12, size=60)).tolist()
    values = rng.normal(size=60) + np.array(groups) / 5
    low, high = slow_interval(values.tolist(), groups, seed=1)
    found = group_interval(values, groups)
    assert found.mean == pytest.approx(values.mean())
    width = high - low
    assert found.low == pytest.approx(low, abs=0.08 * width)  # equal only up to chance, because the draws differ
    assert found.high == pytest.approx(high, abs=0.08 * width)


@pytest.mark.slow
def test_covers_the_true_mean_if_videos_of_a_group_are_alike() -> None:
    """Videos of a group share most of their noise, so an interval over single videos is far too narrow."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 10)
    covered = narrow = 0
    for _ in range(200):
        values = np.repeat(rng.normal(size=40), 10) + 0.1 * rng.normal(size=400)
        low, high = group_interval(values, groups)[1:]
        covered += low <= 0 <= high
        low, high = group_interval(values, np.arange(400))[1:]
        narrow += low <= 0 <= high
    assert covered >= 0.89 * 200
    assert narrow < 0.6 * 200


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.sampled_from("abc")), min_size=1, max_size=30))
def test_bounds_lie_around_the_mean_and_within_the_values(rows: list[tuple[bool, str]]) -> None:
    values, groups = [value for value, _ in rows], [group for _, group in rows]
    found = group_interval(values, groups)
    assert 0 <= found.low <= found.high <= 1
    if len(set(groups)) == 1:
        assert found.low == found.high == pytest.approx(found.mean)


def test_the_same_input_gives_the_same_interval() -> None:
    values, groups = np.arange(50.0), np.arange(50) // 2
    assert group_interval(values, groups) == group_interval(values, groups)
    assert group_interval(values, groups, seed=1) != group_interval(values, groups, seed=0)


def test_no_values_are_an_error() -> None:
    with pytest.raises(ValueError, match="no values"):
        group_interval([], [])


def test_a_score_for_a_metrics_file() -> None:
    score = with_interval("top1", [True, False, True, True], ["a", "a", "b", "b"])
    assert list(score) == ["top1", "top1_low", "top1_high"]
    assert score["top1"] == 0.75
    assert score["top1_low"] == 0.5
    assert score["top1_high"] == 1
