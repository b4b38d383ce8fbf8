"""Give videos groups and splits: by group, or at random as the MoFore paper does."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from mofore.catalog import Video
from mofore.errors import UserError
from mofore.splits import fold_count, split_by_group

RANDOM = "random"  # value of data.split
RANDOM_TEST_SHARE = 0.2  # of the videos, as in the paper


def held_out_fold(split: int | str) -> int:
    """The number of the source's split, 1-3, that goes with a value of `data.split`; with random it is 1."""
    return 1 if split == RANDOM else int(split)


def random_split(videos: list[Video], seed: int) -> list[Video]:
    """Draw a fifth of the videos for testing, at least one; each video becomes a group of its own.

    Raises:
        UserError: there are fewer than two videos.
    """
    if len(videos) < 2:
        raise UserError("params.yaml: data.split is random, but there is only one video: add another to hold out")
    n_test = max(1, round(RANDOM_TEST_SHARE * len(videos)))
    test = set(np.random.default_rng(seed).permutation(len(videos))[:n_test].tolist())
    return [replace(v, group=v.path, split="test" if i in test else "train") for i, v in enumerate(videos)]


def add_groups_and_splits(videos: list[Video], root: Path, held_out: int, seed: int) -> list[Video]:
    """Give each video without a group its own group, and split by group if the user gives no split.

    Args:
        videos: the videos that `read_folder` returns.
        root: their folder, for messages.
        held_out: which fold is for testing, 1-3 (`data.split`).
        seed: seed of the split.

    Raises:
        UserError: no video is for training, or there are too few groups.
    """
    videos = [video if video.group else replace(video, group=video.path) for video in videos]
    if videos[0].split:
        if all(video.split == "test" for video in videos):
            raise UserError(f"{root}/videos.csv: all videos have split test: set split to train in some lines")
        return videos
    labels, groups = [video.label for video in videos], [video.group for video in videos]
    folds = fold_count(groups)
    if folds < 2:
        raise UserError(
            f"{root}: all videos are in one group, so none can be held out: add videos of another group, or give the "
            "split in videos.csv"
        )
    if held_out > folds:
        raise UserError(
            f"params.yaml: data.split is {held_out}, but the videos have only {folds} groups and so {folds} splits: "
            "lower it"
        )
    sides = split_by_group(labels, groups, held_out, seed)
    return [replace(video, split=side) for video, side in zip(videos, sides, strict=True)]
