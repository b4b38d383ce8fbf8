"""Join what is known of each video: the outcome of its decoding, and its label, group and split.

`data/frames/` then holds, beside the packs,
- `videos.csv`: one row per listed video, used or not;
- `grouped_split.csv`: group and split as the source of the videos has them; no group is in both splits. It differs from
  `videos.csv` with `data.split: random` only, where it is needed to measure how much that split inflates scores.
"""

import csv
from collections.abc import Iterable
from pathlib import Path

from mofore.catalog import GROUPED_SPLIT, PACKS, Video, csv_bytes, read_video_list
from mofore.config import Params
from mofore.errors import UserError
from mofore.splits import groups_on_both_sides
from mofore.utils.files import writing
from mofore.utils.text import counted, some_names
from mofore.videos.assign import assign
from mofore.videos.grouping import RANDOM
from mofore.videos.hashes import find_copies

FRAMES = Path("data/frames")
COLUMNS = ["video", "label", "group", "split", "frames", "fps", "width", "height", "status", "reason"]


def write_manifest(params: Params) -> str:
    """Write `data/frames/videos.csv` and `grouped_split.csv`.

    Returns:
        The stage's closing line: the sizes of the splits, and warnings about copies and recordings in both.

    Raises:
        UserError: a file is missing, or the videos cannot be split.
    """
    videos, grouped = assign(params)
    outcomes = _read(PACKS / "outcomes.csv")
    if [row.pop("video") for row in outcomes] != [video.path for video in videos]:  # frames are found by this order
        raise UserError(f"{PACKS}/outcomes.csv: not of the videos listed now: run `dvc repro extract_frames`")
    rows = [
        (v.path, v.label, v.group, v.split, *map(_number, row.values()))
        for v, row in zip(videos, outcomes, strict=True)
    ]
    _write(FRAMES / "videos.csv", [COLUMNS, *rows])
    _write(GROUPED_SPLIT, [["video", "group", "split"], *((v.path, v.group, v.split) for v in grouped)])

    train = sum(video.split == "train" for video in videos)
    parts = [f"manifest: train {train}, test {len(videos) - train}"]
    if train == len(videos):
        parts.append("no video is for testing, so there will be no scores")
    unseen = sorted({v.label for v in videos} - {v.label for v in videos if v.split == "train"} - {""})
    if unseen and params.data.split != RANDOM:
        parts.append(
            f"warning: no training video of {counted(len(unseen), 'class', 'classes')}, {some_names(unseen)}, so "
            "their test videos count as wrong: give their videos more than one group, or a split in videos.csv"
        )
    if params.data.split == RANDOM:
        parts.append(_recordings(videos, grouped))
    if across := _copies_across(videos):
        parts.append(
            f"warning: {len(across)} with the same bytes as another on the other side of the split, "
            f"{some_names(across)}: this makes scores too high, remove them"
        )
    return "; ".join(parts)


def _recordings(videos: list[Video], grouped: list[Video]) -> str:
    groups = [video.group for video in grouped]
    number, both = len(set(groups)), len(groups_on_both_sides(groups, [video.split for video in videos]))
    if number == len(videos):
        return (
            "warning: data.split is random, and no two videos have a group in common, so it is not known whether "
            "recordings are in train and in test: for comparison with the paper only"
        )
    return (
        f"warning: data.split is random, so {both} of {number} recordings (groups) are in train and in test, which "
        "makes scores too high: for comparison with the paper only"
    )


def _copies_across(videos: list[Video]) -> list[str]:
    split_of = {video.path: video.split for video in videos}
    return [
        f"{copy} = {first} ({split_of[copy]}, {split_of[first]})"
        for first, copy in find_copies(read_video_list())
        if split_of[copy] != split_of[first]
    ]


def _read(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file: run `dvc repro extract_frames`") from None


def _write(path: Path, rows: Iterable[Iterable[object]]) -> None:
    path.unlink(missing_ok=True)  # removed, not overwritten: it may be a link into DVC's cache
    with writing(path) as file:
        file.write(csv_bytes(rows))


def _number(cell: str) -> object:
    """A cell as `csv_bytes` takes it: numbers as numbers, so that only text is quoted."""
    try:
        return float(cell) if "." in cell else int(cell)
    except ValueError:
        return cell
