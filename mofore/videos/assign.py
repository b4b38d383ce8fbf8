"""Assign a label, a group and a split to each listed video.

Label and group come from the folders, from the user's `videos.csv` or from UCF101's split lists, and so does the split
if one of these has it. Else the videos are split by group.

`data.split: random` is the split of the MoFore paper: a fifth of the videos, drawn at random, is for testing, so clips
of one recording are in both splits. It is there for comparison with the paper only. Each video is then a group of its
own, since nothing else in the pipeline would accept a group in both splits.
"""

from dataclasses import replace
from pathlib import Path, PurePosixPath

from mofore.catalog import RAW, Video, read_video_list
from mofore.config import Params
from mofore.errors import UserError
from mofore.videos.folder import read_folder
from mofore.videos.grouping import RANDOM, add_groups_and_splits, held_out_fold, random_split
from mofore.videos.ucf101_splits import read_split


def assign(params: Params) -> tuple[list[Video], list[Video]]:
    """Assign label, group and split to the videos that the stage download listed.

    Returns:
        The videos sorted by path, as `data.split` asks for; and the same videos with the groups and the split of their
        source, which never divides a group. Both are the same unless `data.split` is random.

    Raises:
        UserError: the videos cannot be split, or a listed video has vanished from the user's folder or the split lists.
    """
    data, fold = params.data, held_out_fold(params.data.split)
    paths = [file.path for file in read_video_list()]
    if data.source == "folder":
        root = Path(data.path)
        known = {v.path: v for v in add_groups_and_splits(read_folder(root).videos, root, fold, params.seed)}
        names = {path: path for path in paths}
    else:  # a copy of UCF101 may spell folders differently from the lists, but the names of its files are unique
        known = {_name(video.path): video for video in read_split(RAW / "splits", fold)}
        names = {path: _name(path) for path in paths}
    where = f"folder {data.path}" if data.source == "folder" else f"lists of split {fold} in {RAW}/splits"
    for path, name in names.items():
        if name not in known:
            raise UserError(f"{path}: no longer in the {where}: run `dvc repro` again")
    grouped = [replace(known[names[path]], path=path) for path in paths]
    return (random_split(grouped, params.seed) if data.split == RANDOM else grouped), grouped


def _name(path: str) -> str:
    return PurePosixPath(path).name.lower()
