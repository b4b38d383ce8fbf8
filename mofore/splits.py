"""Splits by group: into train and test, and into folds for cross-validation.

The videos of one group (recording, actor, scene) always stand on one side together.

Shapes: N videos.
"""

import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mofore.errors import UserError


def group_folds(labels: Sequence[str], groups: Sequence[str], folds: int, seed: int) -> list[npt.NDArray[np.bool_]]:
    """Part the videos into folds, groups whole, with each label's share as even as groups allow.

    The same videos in another order get the same folds. (scikit-learn's StratifiedGroupKFold does the work.)

    Args:
        labels: of N videos.
        groups: of the same N videos.
        folds: how many; with as many groups or fewer, each group is a fold (leave one group out).
        seed: decides which groups of like composition go where.

    Returns:
        One mask [N] a fold, True where held out; each video is held out once, no fold is empty. None at all where there
        are fewer than two groups, or fewer than two folds are asked for.
    """
    folds = min(folds, len(set(groups)))
    if folds < 2:
        return []
    from sklearn.model_selection import StratifiedGroupKFold  # 1 s: only where folds have to be made

    if max(Counter(labels).values()) < folds:
        labels = [""] * len(labels)  # every label is rarer than there are folds: nothing to even out
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        rows = [held_out for _, held_out in splitter.split(np.zeros(len(labels)), labels, groups)]
    masks = np.zeros((folds, len(labels)), dtype=bool)
    for mask, held_out in zip(masks, rows, strict=True):
        mask[held_out] = True
    return list(masks)


FOLDS = 4  # one of them is held out: 75/25


def fold_count(groups: Sequence[str]) -> int:
    """How many folds these groups can make: 4, or one a group where there are fewer."""
    return min(FOLDS, len(set(groups)))


def split_by_group(labels: Sequence[str], groups: Sequence[str], held_out: int, seed: int) -> list[str]:
    """Hold out one fold of the groups, about a quarter of the videos, with each label's share as even as groups allow.

    The same videos in another order get the same split.

    Args:
        labels: of N videos.
        groups: of the same N videos, of at least two different values.
        held_out: which fold is for testing, from 1 to `fold_count(groups)`.
        seed: decides which groups of like composition go where.

    Returns:
        N times `train` or `test`; both occur, and no group has both.
    """
    test_N = group_folds(labels, groups, fold_count(groups), seed)[held_out - 1]
    return ["test" if test else "train" for test in test_N]


def check_split(path: Path, group_N: npt.ArrayLike, split_N: npt.ArrayLike) -> None:
    """Check that no group stands on both sides: its test videos would be found by their scene, not by what they show.

    Args:
        path: the file that says so, for the error.
        group_N: group of each video.
        split_N: `train` or `test`.

    Raises:
        UserError: one does; names it.
    """
    group, split = np.asarray(group_N), np.asarray(split_N)
    both = np.intersect1d(group[split == "train"], group[split == "test"])
    if len(both):
        more = f" (and {len(both) - 1} more)" if len(both) > 1 else ""
        raise UserError(
            f"{path}: group '{both[0]}'{more} is in train and in test, so scores would be too good to be true: put all "
            "videos of a group on one side, and run `dvc repro`"
        )
