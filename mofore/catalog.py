"""Path, label, group and split of a video, and the list of videos that the stage download writes.

The list holds paths and hashes only. Label, group and split are assigned after the frames are extracted (see
videos/assign.py), so another label, split or seed decodes no video again.
"""

import csv
import io
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from mofore.config import Data
from mofore.errors import UserError
from mofore.utils.files import writing

RAW = Path("data/raw")
VIDEO_LIST = RAW / "files.csv"
RAW_VIDEOS = RAW / "videos"
PACKS = Path("data/frames/packs")
GROUPED_SPLIT = Path("data/frames/grouped_split.csv")


@dataclass(frozen=True, slots=True)
class Video:
    """One video, and how it is used.

    Attributes:
        path: relative to the video root, with forward slashes.
        label: the class; empty if the video is unlabelled.
        group: the source (recording, actor or scene); never empty. All videos of a group are in the same split.
        split: `train` or `test`.
    """

    path: str
    label: str
    group: str
    split: str


COLUMNS = [field.name for field in fields(Video)]


@dataclass(frozen=True, slots=True)
class VideoFile:
    """One line of the list of videos.

    Attributes:
        path: as in `Video`.
        size: bytes; 0 if the file is empty or cannot be read.
        blake2b: hash of these bytes, 32 hexadecimal digits; empty where `size` is 0.
    """

    path: str
    size: int
    blake2b: str


def video_root(data: Data) -> Path:
    """Return the folder to which the listed paths are relative.

    This is the user's own folder (`data.path`), or the folder that the stage download filled.
    """
    own = Path(data.path)
    if data.source == "folder":
        return own
    return (data.source == "ucf101" and unpacked_root(own)) or RAW_VIDEOS


def unpacked_root(folder: Path) -> Path | None:
    """Return the folder that holds UCF101's class folders, or None if there is none.

    It is `folder` itself or a direct subfolder (usually `UCF-101`). If several qualify, the one with the most videos is
    returned, because a copy of UCF101 may contain stray folders of a similar form.
    """
    roots = [folder, *sorted(path for path in folder.glob("*") if path.is_dir())]
    counts = [sum(1 for _ in root.glob("*/v_*_g??_c??.avi")) for root in roots]
    return roots[counts.index(max(counts))] if any(counts) else None


def csv_bytes(rows: Iterable[Iterable[object]]) -> bytes:
    """Encode rows as CSV in UTF-8. All text is quoted, so names with commas, quotes and newlines survive."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerows(rows)
    return text.getvalue().encode("utf-8")


def write_video_table(videos: Iterable[Video], path: Path) -> None:
    """Write a `videos.csv` that describes a user's folder (see videos/folder.py), sorted by path."""
    with writing(path) as file:
        file.write(csv_bytes([COLUMNS, *map(astuple, sorted(videos, key=lambda video: video.path))]))


def write_video_list(files: Iterable[VideoFile], path: Path = VIDEO_LIST) -> None:
    """Write the list of videos, sorted by path.

    An existing list is removed first, because it may be a link into DVC's cache.
    """
    path.unlink(missing_ok=True)
    with writing(path) as opened:
        columns = [field.name for field in fields(VideoFile)]
        opened.write(csv_bytes([columns, *map(astuple, sorted(files, key=lambda file: file.path))]))


def read_video_list(path: Path = VIDEO_LIST) -> list[VideoFile]:
    """Read the list that `write_video_list` wrote, in the order of its rows.

    Raises:
        UserError: the file does not exist.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [VideoFile(row["path"], int(row["size"]), row["blake2b"]) for row in csv.DictReader(file)]
    except FileNotFoundError:
        raise UserError(f"{path}: no such file: run the stage download first, or `dvc repro`") from None
