"""A by-group split into train and test."""

import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np

FOLDS = 4  # one of them is held out: 75/25


def fold_count(groups: Sequence[str]) -> int:
    """How many folds these groups can make: 4, or one a group where there are fewer."""
    return min(FOLDS, len(set(groups)))


def split_by_group(labels: Sequence[str], groups: Sequence[str], held_out: int, seed: int) -> list[str]:
    """Hold out one fold of the groups, about a quarter of the videos, with each label's share as even as groups allow.

    The same videos in another order get the same split. (scikit-learn's StratifiedGroupKFold does the work.)

    Args:
        labels: of N videos.
        groups: of the same N videos, of at least two different values.
        held_out: which fold is for testing, from 1 to `fold_count(groups)`.
        seed: decides which groups of like composition go where.

    Returns:
        N times `train` or `test`; both occur, and no group has both.
    """
    from sklearn.model_selection import StratifiedGroupKFold  # 2 s: only where a split has to be made

    folds = fold_count(groups)
    if max(Counter(labels).values()) < folds:
        labels = [""] * len(labels)  # every label is rarer than there are folds: nothing to even out
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        held_outs = [test for _, test in splitter.split(np.zeros(len(labels)), labels, groups)]
    split = np.full(len(labels), "train")
    split[held_outs[held_out - 1]] = "test"
    return [str(side) for side in split]
