"""UCF101's split lists: `trainlist01.txt` to `testlist03.txt`, which the demo videos share.

A line of a train list is `CLASS/v_CLASS_g08_c01.avi 1`, of a test list the same without the class's number. The group
number counts the sources of one class, so `g08` of two classes are different sources. Format: README of
UCF101TrainTestSplits-RecognitionTask.zip, https://www.crcv.ucf.edu/data/UCF101.php
"""

import re
from pathlib import Path

from mofore.catalog import Video
from mofore.errors import UserError

# The class in the file's name is not always spelt like the folder: HandstandPushups/v_HandStandPushups_g01_c01.avi
LINE = re.compile(r"(?P<path>(?P<label>[^/\s]+)/v_[^/\s]+_(?P<group>g\d\d)_c\d\d\.avi)(?: \d+)?")


def read_split(lists: Path, split: int) -> list[Video]:
    """The videos of one of the three splits.

    Args:
        lists: the folder of the lists.
        split: 1-3.

    Returns:
        All videos of the train list, then of the test list; the group is `CLASS_gNN`.

    Raises:
        UserError: if a list is missing or a line is of another form.
    """
    return [video for side in ("train", "test") for video in _read_list(lists / f"{side}list{split:02}.txt", side)]


def _read_list(path: Path, side: str) -> list[Video]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file: run the stage download again") from None
    videos = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        parts = LINE.fullmatch(line.strip())
        if parts is None:
            raise UserError(f"{path}: line {number}: '{line}' is not of the form CLASS/v_CLASS_gNN_cNN.avi")
        videos.append(Video(parts["path"], parts["label"], f"{parts['label']}_{parts['group']}", side))
    return videos
