"""Splits into train and test, and folds for cross-validation, both by group."""

from collections import Counter
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mofore.errors import UserError
from mofore.splits import (
    check_split,
    draw_labelled,
    few_label_draws,
    fold_count,
    group_folds,
    groups_on_both_sides,
    sample_rows,
    split_by_group,
    these_or_all,
)

LABELS_AND_GROUPS = st.lists(
    st.tuples(st.sampled_from(["", "run", "jump", "wave"]), st.integers(0, 9).map(str)), min_size=2, max_size=40
)


def split_rows(rows: list[tuple[str, str]], held_out: int, seed: int) -> list[str]:
    return split_by_group([label for label, _ in rows], [group for _, group in rows], held_out, seed)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(LABELS_AND_GROUPS, st.integers(1, 3), st.integers(0, 2**31 - 1), st.randoms(use_true_random=False))
def test_no_group_is_split_and_the_order_does_not_matter(
    rows: list[tuple[str, str]], held_out: int, seed: int, random: Random
) -> None:
    folds = fold_count([group for _, group in rows])
    assume(folds >= max(2, held_out))
    splits = split_rows(rows, held_out, seed)
    splits_of = {group: {split for split, (_, g) in zip(splits, rows, strict=True) if g == group} for _, group in rows}
    assert all(len(found) == 1 for found in splits_of.values())
    assert set(splits) == {"train", "test"}
    shuffled = list(rows)
    random.shuffle(shuffled)
    again = split_rows(shuffled, held_out, seed)
    assert Counter(zip(shuffled, again, strict=True)) == Counter(zip(rows, splits, strict=True))


def test_a_quarter_of_each_label_is_held_out() -> None:
    labels = [label for label in "abc" for _ in range(16)]
    groups = [f"{label}{i // 2}" for label in "abc" for i in range(16)]  # 8 groups of 2 a label
    held = Counter(
        label for label, split in zip(labels, split_by_group(labels, groups, 1, 0), strict=True) if split == "test"
    )
    assert held == {"a": 4, "b": 4, "c": 4}


def test_different_splits_hold_out_different_videos() -> None:
    labels, groups = ["x"] * 12, [str(i) for i in range(12)]
    held = [
        {i for i, split in enumerate(split_by_group(labels, groups, number, 0)) if split == "test"}
        for number in (1, 2, 3)
    ]
    assert all(len(one) == 3 for one in held)
    assert len(set.union(*held)) == 9


def test_the_split_depends_on_the_seed() -> None:
    labels, groups = ["x"] * 40, [str(i) for i in range(40)]
    assert split_by_group(labels, groups, 1, 0) != split_by_group(labels, groups, 1, 1)


@pytest.mark.parametrize(("groups", "folds"), [("a", 1), ("ab", 2), ("abc", 3), ("abcde", 4), ("aaabb", 2)])
def test_fewer_groups_make_fewer_folds(groups: str, folds: int) -> None:
    assert fold_count(list(groups)) == folds


def test_groups_on_both_sides() -> None:
    groups, split = ["b", "a", "b", "c", "a", "d"], ["train", "train", "test", "test", "test", "train"]
    assert groups_on_both_sides(groups, split) == ["a", "b"]
    assert groups_on_both_sides(groups, ["train"] * 6) == []


def test_these_or_all() -> None:
    mask = np.array([False, True, False])
    assert these_or_all(mask).tolist() == [False, True, False]
    assert these_or_all(mask & False).tolist() == [True] * 3


def test_a_sample_of_rows_is_sorted_and_depends_on_the_seed() -> None:
    rows = np.arange(100, 200)
    assert sample_rows(rows, 100, 1).tolist() == rows.tolist()
    drawn = [sample_rows(rows, 10, seed).tolist() for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert drawn[0] == sorted(np.random.default_rng(1).choice(rows, 10, replace=False)), "the draws of earlier versions"


def test_a_group_in_both_splits_is_named() -> None:
    groups, split = ["a", "b", "c", "c"], ["train", "test", "train", "train"]
    check_split(Path("videos.csv"), groups, split)
    split[3] = "test"
    with pytest.raises(UserError, match=r"^videos.csv: group 'c' is in train and in test.*run `dvc repro`$"):
        check_split(Path("videos.csv"), groups, split)
    with pytest.raises(UserError, match=r"group 'b' \(and 1 more\) is in train"):
        check_split(Path("videos.csv"), [*groups, "b"], [*split, "train"])


VIDEOS = st.lists(st.tuples(st.sampled_from(["run", "jump", "wave", "sit"]), st.integers(0, 9).map(str)), min_size=1)


def make_folds(videos: list[tuple[str, str]], folds: int, seed: int) -> list[np.ndarray]:
    return group_folds([label for label, _ in videos], [group for _, group in videos], folds, seed)


@settings(max_examples=100, deadline=None)
@given(VIDEOS, st.integers(0, 12), st.integers(0, 2**31 - 1))
def test_each_video_is_held_out_once_and_no_group_is_split(
    videos: list[tuple[str, str]], folds: int, seed: int
) -> None:
    held = make_folds(videos, folds, seed)
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
    for mask, again in zip(make_folds(videos, folds, 0), make_folds(shuffled, folds, 0), strict=True):
        same = sorted(video for video, out in zip(videos, mask, strict=True) if out)
        assert same == sorted(video for video, out in zip(shuffled, again, strict=True) if out)


def test_each_label_is_spread_evenly() -> None:
    videos = [(label, f"{label}{i // 2}") for label in "abc" for i in range(16)]  # 8 groups of 2 a label
    for mask in make_folds(videos, 4, seed=0):
        held = [label for (label, _), out in zip(videos, mask, strict=True) if out]
        assert [held.count(label) for label in "abc"] == [4, 4, 4]


def test_the_folds_depend_on_the_seed() -> None:
    videos = [("x", str(i)) for i in range(40)]
    one, other = make_folds(videos, 4, seed=0), make_folds(videos, 4, seed=1)
    assert not all((a == b).all() for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("folds", [5, 100])
def test_as_many_folds_as_groups_leave_one_group_out(folds: int) -> None:
    videos = [(label, group) for group in "vwxyz" for label in "ab"]
    held = {"".join(sorted({videos[i][1] for i in np.flatnonzero(mask)})) for mask in make_folds(videos, folds, seed=3)}
    assert held == set("vwxyz")


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 4)), min_size=1, max_size=40), st.integers(1, 6))
def test_labelled_videos_come_from_as_many_groups_as_possible(found: list[tuple[str, int]], labels: int) -> None:
    label, group = (np.array(column).astype(str) for column in zip(*found, strict=True))
    chosen = draw_labelled(label, group, labels, 0)
    assert (np.diff(chosen) > 0).all()
    for name in set(label):
        of_class = chosen[label[chosen] == name]
        assert len(of_class) == min(labels, (label == name).sum())
        assert len(set(group[of_class])) == min(labels, len(set(group[label == name])))


def test_draws_are_of_the_numbers_below_that_of_the_largest_class_and_differ() -> None:
    label, group = np.repeat(["a", "b"], (12, 4)), np.array([f"g{v}" for v in range(16)])
    draws = few_label_draws(label, group, 8, 3)
    assert {labels: [len(rows) for rows in of_labels] for labels, of_labels in draws.items()} == {
        1: [2] * 8,
        2: [4] * 8,
        5: [9] * 8,
        10: [14] * 8,
    }
    assert len({rows.tobytes() for rows in draws[2]}) > 4
    assert (few_label_draws(label, group, 2, 4)[2][0] == draws[2][1]).all(), "draw n + 1 has the next seed"
    assert list(few_label_draws(label[:5], group[:5], 1, 0)) == [1, 2]
    assert few_label_draws(label[:0], group[:0], 1, 0) == {}
