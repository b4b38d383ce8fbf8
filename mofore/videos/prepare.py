"""Find or make the videos of `data.source`, and write their catalog, `data/raw/videos.csv`.

- `demo`: synthetic videos, in UCF101's layout and with split lists of UCF101's format.
- `folder`: the user's own videos, used in place and never copied.
- `ucf101`: UCF101 from the user's disk or from its servers.
"""

from dataclasses import replace
from pathlib import Path

from mofore.catalog import CATALOG, Video, write_catalog
from mofore.config import Params
from mofore.errors import UserError
from mofore.splits import fold_count, split_by_group
from mofore.utils.text import counted, some_names
from mofore.utils.workers import worker_count
from mofore.videos.folder import Folder, read_folder
from mofore.videos.synthetic.make import make_demo
from mofore.videos.ucf101_splits import read_split


def download(params: Params) -> str:
    """Write `data/raw`: the catalog, and the videos unless the user has them in a folder.

    Returns:
        The stage's closing line: what was found, what was left out, and warnings.

    Raises:
        UserError: the source is missing or wrong, or its videos cannot be split into train and test.
    """
    raw = CATALOG.parent
    raw.mkdir(parents=True, exist_ok=True)
    CATALOG.unlink(missing_ok=True)  # it may be a link into DVC's cache; writing to it would change the cached file
    if params.data.source == "folder":
        root = Path(params.data.path)
        folder = read_folder(root)
        videos = add_groups_and_splits(folder.videos, root, params.data.split, params.seed)
        notes = _notes(folder)
    elif params.data.source == "ucf101":
        from mofore.videos.ucf101 import get_ucf101  # here, since it imports an HTTP client

        videos, notes = get_ucf101(params.data, raw)
    else:
        make_demo(raw, params.demo.groups, params.demo.clips, params.seed, worker_count(params.runtime.workers))
        videos, notes = read_split(raw / "splits", params.data.split), []
    write_catalog(videos)
    return "; ".join([f"download: {_counts(videos)}", *notes])


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


def _counts(videos: list[Video]) -> str:
    """The numbers of videos, classes, groups and sides, for the closing line."""
    labels = [video.label for video in videos]
    train = sum(video.split == "train" for video in videos)
    test = len(videos) - train
    parts = [
        counted(len(videos), "video"),
        counted(len(set(labels) - {""}), "class", "classes")
        + (f" ({labels.count('')} unlabelled)" if "" in labels else ""),
        counted(len({video.group for video in videos}), "group"),
    ]
    warning = "" if test else "; no video is for testing, so there will be no scores"
    return f"{', '.join(parts)} (train {train}, test {test}){warning}"


def _notes(folder: Folder) -> list[str]:
    """What the user should know about the folder, for the closing line."""
    notes = []
    n_without_group = sum(not video.group for video in folder.videos)
    if n_without_group:
        notes.append(
            f"{counted(n_without_group, 'video')} without a group, treated as one group each: if some are of the same "
            "recording, give them a group in videos.csv, or they may be on both sides of the split"
        )
    if folder.unlisted:
        notes.append(
            f"left out: {counted(len(folder.unlisted), 'video')} not in videos.csv, {some_names(folder.unlisted)}"
        )
    if folder.others:
        notes.append(
            f"left out: {counted(len(folder.others), 'file')} without a video suffix, {some_names(folder.others)}"
        )
    return notes
