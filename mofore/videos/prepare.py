"""Find or make the videos of `data.source`, and list them in `data/raw/files.csv`.

- `demo`: synthetic videos, in UCF101's layout and with split lists of UCF101's format.
- `folder`: the user's own videos, used in place and never copied.
- `ucf101`: UCF101 from the user's disk or from its servers.
"""

import os
from pathlib import Path

from mofore.catalog import RAW, Video, video_root, write_video_list
from mofore.config import Params
from mofore.utils.text import counted, some_names
from mofore.utils.workers import worker_count
from mofore.videos.folder import Folder, look_alike, read_folder
from mofore.videos.grouping import add_groups_and_splits, held_out_fold
from mofore.videos.hashes import find_copies, hash_files
from mofore.videos.synthetic.make import make_demo
from mofore.videos.temporary_copy import is_in_copies, link_originals
from mofore.videos.ucf101_splits import read_split


def download(params: Params) -> str:
    """Write `data/raw`: the list of videos, and the videos unless the user has them in a folder.

    Returns:
        The stage's closing line: what was found, what was left out, and warnings.

    Raises:
        UserError: the source is missing or wrong, or its videos cannot be split into train and test.
    """
    RAW.mkdir(parents=True, exist_ok=True)
    root = Path(params.data.path)
    if params.data.source != "demo":
        link_originals(root)
    if params.data.source == "folder":
        folder = read_folder(root)
        # Only a check that a split is possible, before hours of decoding. The stage manifest makes the split.
        videos = add_groups_and_splits(folder.videos, root, held_out_fold(params.data.split), seed=0)
        notes = _notes(folder)
    elif params.data.source == "ucf101":
        from mofore.videos.ucf101 import get_ucf101  # here, since it imports an HTTP client

        videos, notes = get_ucf101(params.data, RAW)
    else:
        demo = params.demo
        make_demo(RAW, demo.groups, demo.clips, demo.seed, worker_count(params.runtime.workers))
        videos, notes = read_split(RAW / "splits", 1), []
    if params.data.source != "demo" and not is_in_copies(root):
        notes.append(
            f"data.path is a relative path: for dvc exp run --temp and the queue, set it to {os.path.abspath(root)}"
        )
    files = hash_files(video_root(params.data), [v.path for v in videos], worker_count(params.runtime.workers))
    write_video_list(files)
    if copies := find_copies(files):
        names = some_names([f"{later} = {first}" for first, later in copies])
        notes.append(f"warning: {counted(len(copies), 'video')} with the same bytes as another: {names}")
    return "; ".join([f"download: {_counts(videos)}", *notes])


def _counts(videos: list[Video]) -> str:
    """The numbers of videos, classes and groups, for the closing line."""
    labels = [video.label for video in videos]
    parts = [
        counted(len(videos), "video"),
        counted(len(set(labels) - {""}), "class", "classes")
        + (f" ({labels.count('')} unlabelled)" if "" in labels else ""),
        counted(len({video.group for video in videos}), "group"),
    ]
    return ", ".join(parts)


def _notes(folder: Folder) -> list[str]:
    """What the user should know about the folder, for the closing line."""
    notes = []
    n_without_group = sum(not video.group for video in folder.videos)
    if n_without_group:
        notes.append(
            f"{counted(n_without_group, 'video')} without a group, treated as one group each: if some are of the same "
            "recording, give them a group in videos.csv, or they may be on both sides of the split"
        )
    if alike := look_alike(video.label for video in folder.videos):
        names = some_names([" = ".join(f"'{name}'" for name in group) for group in alike])
        notes.append(f"warning: classes that differ only in case or look: {names}")
    if folder.unlisted:
        notes.append(
            f"left out: {counted(len(folder.unlisted), 'video')} not in videos.csv, {some_names(folder.unlisted)}"
        )
    if folder.others:
        notes.append(
            f"left out: {counted(len(folder.others), 'file')} without a video suffix, {some_names(folder.others)}"
        )
    return notes
