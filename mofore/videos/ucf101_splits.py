"""Read UCF101's split lists, `trainlist01.txt` to `testlist03.txt`. The demo videos have lists of the same format.

A line of a train list is `CLASS/v_CLASS_g08_c01.avi 1`, where 1 is the number of the class. A line of a test list has
no such number. A group is the set of clips of one source video. Group numbers start again in each class, so
`g08` of two classes are different groups. Format: README of UCF101TrainTestSplits-RecognitionTask.zip,
https://www.crcv.ucf.edu/data/UCF101.php
"""

import re
from pathlib import Path

from mofore.catalog import Video
from mofore.errors import UserError

# The class in a file name is not always spelt like its folder: HandstandPushups/v_HandStandPushups_g01_c01.avi
LINE = re.compile(r"(?P<path>(?P<label>[^/\s]+)/v_[^/\s]+_(?P<group>g\d\d)_c\d\d\.avi)(?: \d+)?")


def read_split(lists: Path, split: int) -> list[Video]:
    """Read the videos of one of the three splits.

    Args:
        lists: the folder of the split lists.
        split: 1-3.

    Returns:
        All videos of the train list, then of the test list; the group is `CLASS_gNN`.

    Raises:
        UserError: a list is missing, or a line has another format.
    """
    return [video for side in ("train", "test") for video in _read_list(lists / f"{side}list{split:02}.txt", side)]


def _read_list(path: Path, side: str) -> list[Video]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file: run `dvc repro download` to write it again") from None
    videos = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        parts = LINE.fullmatch(line.strip())
        if parts is None:
            raise UserError(f"{path}: line {number}: '{line}' does not have the form CLASS/v_CLASS_gNN_cNN.avi")
        videos.append(Video(parts["path"], parts["label"], f"{parts['label']}_{parts['group']}", side))
    return videos
