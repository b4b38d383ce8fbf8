"""Folds never part a group, hold every video out once, and depend on nothing but the videos and the seed."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mofore.folds import group_folds

VIDEOS = st.lists(st.tuples(st.sampled_from(["run", "jump", "wave", "sit"]), st.integers(0, 9).map(str)), min_size=1)


def make(videos: list[tuple[str, str]], folds: int, seed: int) -> list[np.ndarray]:
    return group_folds([label for label, _ in videos], [group for _, group in videos], folds, seed)


@settings(max_examples=100, deadline=None)
@given(VIDEOS, st.integers(0, 12), st.integers(0, 2**31 - 1))
def test_each_video_is_held_out_once_and_groups_stay_whole(
    videos: list[tuple[str, str]], folds: int, seed: int
) -> None:
    held = make(videos, folds, seed)
    groups = {group for _, group in videos}
    possible = min(folds, len(groups))
    assert len(held) == (possible if possible >= 2 else 0)
    for mask in held:
        inside = {group for (_, group), out in zip(videos, mask, strict=True) if out}
        outside = {group for (_, group), out in zip(videos, mask, strict=True) if not out}
        assert inside
        assert outside
        assert not inside & outside
    if held:
        assert (np.sum(held, axis=0) == 1).all()


@settings(max_examples=50, deadline=None)
@given(VIDEOS, st.integers(2, 5), st.randoms(use_true_random=False))
def test_the_order_of_videos_does_not_matter(videos: list[tuple[str, str]], folds: int, random: Random) -> None:
    order = random.sample(range(len(videos)), len(videos))
    shuffled = [videos[i] for i in order]
    for mask, again in zip(make(videos, folds, 0), make(shuffled, folds, 0), strict=True):
        same = sorted(video for video, out in zip(videos, mask, strict=True) if out)
        assert same == sorted(video for video, out in zip(shuffled, again, strict=True) if out)


def test_each_label_is_spread_evenly() -> None:
    videos = [(label, f"{label}{i // 2}") for label in "abc" for i in range(16)]  # 8 groups of 2 a label
    for mask in make(videos, 4, seed=0):
        held = [label for (label, _), out in zip(videos, mask, strict=True) if out]
        assert [held.count(label) for label in "abc"] == [4, 4, 4]


def test_the_seed_decides() -> None:
    videos = [("x", str(i)) for i in range(40)]
    one, other = make(videos, 4, seed=0), make(videos, 4, seed=1)
    assert not all((a == b).all() for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("folds", [5, 100])
def test_as_many_folds_as_groups_leave_one_group_out(folds: int) -> None:
    videos = [(label, group) for group in "vwxyz" for label in "ab"]
    held = {"".join(sorted({videos[i][1] for i in np.flatnonzero(mask)})) for mask in make(videos, folds, seed=3)}
    assert held == set("vwxyz")
