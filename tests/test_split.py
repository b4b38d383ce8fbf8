"""A split by group never parts a group, and depends on nothing but the videos and the seed."""

from collections import Counter
from pathlib import Path
from random import Random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mofore.errors import UserError
from mofore.split import check_split, fold_count, split_by_group

LABELS_AND_GROUPS = st.lists(
    st.tuples(st.sampled_from(["", "run", "jump", "wave"]), st.integers(0, 9).map(str)), min_size=2, max_size=40
)


def split_rows(rows: list[tuple[str, str]], held_out: int, seed: int) -> list[str]:
    return split_by_group([label for label, _ in rows], [group for _, group in rows], held_out, seed)


@settings(max_examples=200, deadline=None)
@given(LABELS_AND_GROUPS, st.integers(1, 3), st.integers(0, 2**31 - 1), st.randoms(use_true_random=False))
def test_groups_stay_whole_in_any_order(rows: list[tuple[str, str]], held_out: int, seed: int, random: Random) -> None:
    folds = fold_count([group for _, group in rows])
    assume(folds >= max(2, held_out))
    sides = split_rows(rows, held_out, seed)
    sides_of = {group: {side for side, (_, g) in zip(sides, rows, strict=True) if g == group} for _, group in rows}
    assert all(len(both) == 1 for both in sides_of.values())
    assert set(sides) == {"train", "test"}
    shuffled = list(rows)
    random.shuffle(shuffled)
    again = split_rows(shuffled, held_out, seed)
    assert Counter(zip(shuffled, again, strict=True)) == Counter(zip(rows, sides, strict=True))


def test_a_quarter_of_each_label_is_held_out() -> None:
    labels = [label for label in "abc" for _ in range(16)]
    groups = [f"{label}{i // 2}" for label in "abc" for i in range(16)]  # 8 groups of 2 a label
    held = Counter(
        label for label, side in zip(labels, split_by_group(labels, groups, 1, 0), strict=True) if side == "test"
    )
    assert held == {"a": 4, "b": 4, "c": 4}


def test_the_splits_hold_out_different_videos() -> None:
    labels, groups = ["x"] * 12, [str(i) for i in range(12)]
    held = [
        {i for i, side in enumerate(split_by_group(labels, groups, number, 0)) if side == "test"}
        for number in (1, 2, 3)
    ]
    assert all(len(one) == 3 for one in held)
    assert len(set.union(*held)) == 9


def test_the_seed_decides() -> None:
    labels, groups = ["x"] * 40, [str(i) for i in range(40)]
    assert split_by_group(labels, groups, 1, 0) != split_by_group(labels, groups, 1, 1)


@pytest.mark.parametrize(("groups", "folds"), [("a", 1), ("ab", 2), ("abc", 3), ("abcde", 4), ("aaabb", 2)])
def test_fewer_groups_make_fewer_folds(groups: str, folds: int) -> None:
    assert fold_count(list(groups)) == folds


def test_a_group_on_both_sides_is_named() -> None:
    groups, split = ["a", "b", "c", "c"], ["train", "test", "train", "train"]
    check_split(Path("videos.csv"), groups, split)
    split[3] = "test"
    with pytest.raises(UserError, match=r"^videos.csv: group 'c' is in train and in test.*run `dvc repro`$"):
        check_split(Path("videos.csv"), groups, split)
    with pytest.raises(UserError, match=r"group 'b' \(and 1 more\) is in train"):
        check_split(Path("videos.csv"), [*groups, "b"], [*split, "train"])
