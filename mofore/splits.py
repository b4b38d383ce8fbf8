"""Splits videos by group: into train and test, and into folds for cross-validation. Draws samples of videos.

All videos of one group (recording, actor or scene) go to the same split or fold.

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
    """Divide the videos into folds, stratified by label, without splitting a group.

    Each label's videos are spread over the folds as evenly as the groups allow. The folds do not depend on the order
    of the videos. Uses scikit-learn's StratifiedGroupKFold.

    Args:
        labels: of N videos.
        groups: of the same N videos.
        folds: number of folds. If there are no more groups than folds, each group becomes a fold (leave one group out).
        seed: chooses between groups that have the same label counts.

    Returns:
        One mask [N] per fold, True where the video is held out. Each video is held out exactly once, and no fold is
        empty. The list is empty if there are fewer than two groups, or if `folds` is less than two.
    """
    folds = min(folds, len(set(groups)))
    if folds < 2:
        return []
    from sklearn.model_selection import StratifiedGroupKFold  # imported here because the import takes 1 s

    if max(Counter(labels).values()) < folds:
        labels = [""] * len(labels)  # no label has a video for every fold, so stratifying is impossible
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
    """Return the number of folds that `split_by_group` makes: 4, or the number of groups if that is smaller."""
    return min(FOLDS, len(set(groups)))


def split_by_group(labels: Sequence[str], groups: Sequence[str], held_out: int, seed: int) -> list[str]:
    """Split the videos into train and test by holding out one fold of groups, about a quarter of the videos.

    The split is stratified by label as far as the groups allow. It does not depend on the order of the videos.

    Args:
        labels: of N videos.
        groups: of the same N videos; at least two different values.
        held_out: number of the fold used for testing, from 1 to `fold_count(groups)`.
        seed: chooses between groups that have the same label counts.

    Returns:
        `train` or `test` for each of the N videos. Both occur, and all videos of a group have the same value.
    """
    test_N = group_folds(labels, groups, fold_count(groups), seed)[held_out - 1]
    return ["test" if test else "train" for test in test_N]


def these_or_all(chosen_N: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """A mask of videos, such as the training videos; if it chooses none, all are chosen."""
    return chosen_N if chosen_N.any() else np.ones(len(chosen_N), bool)


def sample_rows(rows: npt.NDArray[np.int64], most: int, seed: int) -> npt.NDArray[np.int64]:
    """At most so many row numbers, drawn at random if there are more; in the order of a rising input."""
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


FEW_LABELS = (1, 2, 5, 10)  # labels of each class


def draw_labelled(
    label_N: npt.NDArray[np.str_], group_N: npt.NDArray[np.str_], labels: int, seed: int
) -> npt.NDArray[np.int64]:
    """Choose videos at random to be labelled: so many of each class, of as many different groups as possible.

    Somebody who labels a few videos would not choose them all from one recording.

    Returns:
        Row numbers, sorted.
    """
    import pandas as pd  # imported here because commands that only check a split need not wait for it

    order = np.random.default_rng(seed).permutation(len(label_N))
    table = pd.DataFrame({"label": label_N[order], "group": group_N[order], "row": order})
    table["of_group"] = table.groupby(["label", "group"]).cumcount()  # 0 for the first one of each group
    chosen = table.sort_values("of_group", kind="stable").groupby("label").head(labels)
    return np.sort(chosen["row"].to_numpy())


def few_label_draws(
    label_N: npt.NDArray[np.str_], group_N: npt.NDArray[np.str_], draws: int, seed: int
) -> dict[int, list[npt.NDArray[np.int64]]]:
    """Draws of few labels, the same for all that is compared.

    Args:
        label_N, group_N: of the labelled training videos.
        draws: how often each number of labels is drawn.
        seed: of the first draw.

    Returns:
        By number of labels of each class: for each draw the rows that `draw_labelled` chooses. These are the numbers of
        FEW_LABELS that are smaller than the number of videos of the largest class. A class with fewer has all labelled.
    """
    most = np.unique(label_N, return_counts=True)[1].max(initial=0)
    return {
        labels: [draw_labelled(label_N, group_N, labels, seed + draw) for draw in range(draws)]
        for labels in FEW_LABELS
        if labels < most
    }


def groups_on_both_sides(group_N: npt.ArrayLike, split_N: npt.ArrayLike) -> list[str]:
    """The groups with videos in both train and test, sorted.

    Args:
        group_N: group of each video.
        split_N: `train` or `test` for each video.
    """
    group, split = np.asarray(group_N), np.asarray(split_N)
    both: list[str] = np.intersect1d(group[split == "train"], group[split == "test"]).tolist()
    return both


def check_split(path: Path, group_N: npt.ArrayLike, split_N: npt.ArrayLike) -> None:
    """Check that no group has videos in both train and test.

    Such a leak inflates scores: a classifier can recognise the scene of a test video instead of its action.

    Args:
        path: the file that holds the groups and splits, for the error message.
        group_N: group of each video.
        split_N: `train` or `test` for each video.

    Raises:
        UserError: a group is in both; the message names it.
    """
    both = groups_on_both_sides(group_N, split_N)
    if both:
        more = f" (and {len(both) - 1} more)" if len(both) > 1 else ""
        raise UserError(
            f"{path}: group '{both[0]}'{more} is in train and in test, which inflates the scores: put all videos of a "
            "group in one split, and run `dvc repro`"
        )
