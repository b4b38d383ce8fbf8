"""Folds for cross-validation by group: where no official split exists, every labelled video is tested once.

Shapes: N videos.
"""

import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


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
