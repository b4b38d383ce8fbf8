"""Means over pairs of videos of different groups, and their intervals, against plain loops over pairs and resamples."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mofore.evaluation.across_groups import Reals, means_of, sum_across_groups, sums_by_class, with_intervals
from mofore.evaluation.bootstrap import resamples

NAMES = ("any", "same", "different")


def slow_means(x_VD: Reals, label_V: np.ndarray, group_V: np.ndarray, weight_G: np.ndarray) -> dict[str, float]:
    """Mean of each kind of pair, where a pair of groups a and b counts weight_a * weight_b times."""
    total = {name: np.zeros(2) for name in NAMES}
    for a, b in combinations(range(len(x_VD)), 2):
        if group_V[a] == group_V[b]:
            continue
        times = weight_G[group_V[a]] * weight_G[group_V[b]]
        kinds = ["any"]
        if label_V[a] and label_V[b]:
            kinds.append("same" if label_V[a] == label_V[b] else "different")
        for kind in kinds:
            total[kind] += times * np.array([x_VD[a] @ x_VD[b], 1])
    return {name: value / number if number else np.nan for name, (value, number) in total.items()}


def fast_means(x_VD: Reals, label_V: np.ndarray, group_V: np.ndarray, weight_RG: Reals) -> dict[str, Reals]:
    same_2R, different_2R = sums_by_class(x_VD, label_V, group_V, weight_RG)
    any_2R = sum_across_groups(x_VD, group_V, weight_RG)
    return means_of({"any": any_2R, "same": same_2R, "different": different_2R})


def videos(seed: int, number: int, groups: int) -> tuple[Reals, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    group_V = np.unique(rng.integers(groups, size=number), return_inverse=True)[1]
    return rng.normal(size=(number, 4)), rng.choice(["", "a", "b"], number), group_V


@settings(max_examples=50)
@given(seed=st.integers(0, 999), number=st.integers(1, 8), groups=st.integers(1, 5))
def test_means_equal_a_loop_over_pairs(seed: int, number: int, groups: int) -> None:
    x_VD, label_V, group_V = videos(seed, number, groups)
    weight_RG = np.random.default_rng(seed).integers(0, 4, (3, group_V.max() + 1)).astype(np.float64)
    found = fast_means(x_VD, label_V, group_V, weight_RG)
    for r, weight_G in enumerate(weight_RG):
        wanted = slow_means(x_VD, label_V, group_V, weight_G)
        assert [found[name][r] for name in NAMES] == pytest.approx([wanted[name] for name in NAMES], nan_ok=True)


def test_intervals_are_quantiles_over_resamples_of_groups() -> None:
    x_VD, label_V, group_V = videos(0, 8, 4)
    groups = int(group_V.max()) + 1
    found = with_intervals(lambda weight_RG: fast_means(x_VD, label_V, group_V, weight_RG), groups)
    drawn = [slow_means(x_VD, label_V, group_V, weight_G) for block in resamples(groups) for weight_G in block]
    once = slow_means(x_VD, label_V, group_V, np.ones(groups))
    for name in NAMES:
        low, high = np.nanquantile([means[name] for means in drawn], (0.025, 0.975))
        ends = [found[f"{name}{end}"] for end in ("", "_low", "_high")]
        assert ends == pytest.approx([once[name], low, high])
        assert low < high


def test_kinds_without_pairs_are_absent() -> None:
    x_VD, group_V = np.ones((3, 2)), np.array([0, 0, 1])
    label_V = np.array(["a", "b", ""])
    found = with_intervals(lambda weight_RG: fast_means(x_VD, label_V, group_V, weight_RG), 2)
    assert set(found) == {"any", "any_low", "any_high"}
