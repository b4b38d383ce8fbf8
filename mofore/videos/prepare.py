"""Find the videos of `data.source` and write the catalog of them, `data/raw/videos.csv`.

- `demo`: videos drawn here, in UCF101's layout and with UCF101's split lists.
- `folder`: the user's own videos, listed where they are, never copied.
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
    """Write `data/raw`: the catalog and, unless they are in a folder of the user, the videos.

    Returns:
        The stage's closing line: what was found and left out, and warnings.

    Raises:
        UserError: the source holds no videos that can be split into train and test, or is wrong otherwise.
    """
    raw = CATALOG.parent
    raw.mkdir(parents=True, exist_ok=True)
    CATALOG.unlink(missing_ok=True)  # it may be a link into DVC's cache, whose file must not change
    if params.data.source == "folder":
        root = Path(params.data.path)
        folder = read_folder(root)
        videos = complete(folder.videos, root, params.data.split, params.seed)
        notes = _notes(folder)
    elif params.data.source == "ucf101":
        from mofore.videos.ucf101 import get_ucf101  # here, since it loads an HTTP client

        videos, notes = get_ucf101(params.data, raw)
    else:
        make_demo(raw, params.demo.groups, params.demo.clips, params.seed, worker_count(params.runtime.workers))
        videos, notes = read_split(raw / "splits", params.data.split), []
    write_catalog(videos)
    return "; ".join([f"download: {_counts(videos)}", *notes])


def complete(videos: list[Video], root: Path, held_out: int, seed: int) -> list[Video]:
    """Give each video without a group a group of its own; split by group if the user gave no split.

    Args:
        videos: as `read_folder` gives them.
        root: their folder, for messages.
        held_out: `data.split`, 1-3: which fold is for testing.
        seed: of the split.

    Raises:
        UserError: no video is for training, or there are too few groups.
    """
    videos = [video if video.group else replace(video, group=video.path) for video in videos]
    if videos[0].split:
        if all(video.split == "test" for video in videos):
            raise UserError(f"{root}/videos.csv: no video is for training: set split to train in some lines")
        return videos
    labels, groups = [video.label for video in videos], [video.group for video in videos]
    folds = fold_count(groups)
    if folds < 2:
        raise UserError(
            f"{root}: all videos are of one group, so none can be held out: add videos of another group, or give the "
            "split yourself in videos.csv"
        )
    if held_out > folds:
        raise UserError(
            f"params.yaml: data.split is {held_out}, but {folds} groups of videos make only {folds} splits: lower it"
        )
    sides = split_by_group(labels, groups, held_out, seed)
    return [replace(video, split=side) for video, side in zip(videos, sides, strict=True)]


def _counts(videos: list[Video]) -> str:
    labels = [video.label for video in videos]
    train = sum(video.split == "train" for video in videos)
    test = len(videos) - train
    parts = [
        counted(len(videos), "video"),
        counted(len(set(labels) - {""}), "class", "classes")
        + (f" ({labels.count('')} unlabelled)" if "" in labels else ""),
        counted(len({video.group for video in videos}), "group"),
    ]
    beware = "" if test else "; no video is for testing, so there will be no scores"
    return f"{', '.join(parts)} (train {train}, test {test}){beware}"


def _notes(folder: Folder) -> list[str]:
    notes = []
    lone = sum(not video.group for video in folder.videos)
    if lone:
        notes.append(
            f"{counted(lone, 'video')} without a group, so a group each: if some are of one recording, name groups in "
            "videos.csv, or they may stand on both sides of the split"
        )
    if folder.unlisted:
        notes.append(
            f"left out: {counted(len(folder.unlisted), 'video')} not in videos.csv, {some_names(folder.unlisted)}"
        )
    if folder.others:
        notes.append(
            f"left out: {counted(len(folder.others), 'file')} not of a video's type, {some_names(folder.others)}"
        )
    return notes
