"""Reads and writes the catalog: the path, label, group and split of every video."""

import csv
import io
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from mofore.config import Data
from mofore.errors import UserError
from mofore.utils.files import writing

CATALOG = Path("data/raw/videos.csv")
RAW_VIDEOS = Path("data/raw/videos")


@dataclass(frozen=True, slots=True)
class Video:
    """One video of the catalog.

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


def video_root(data: Data) -> Path:
    """Return the folder to which the catalog's paths are relative.

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


def write_catalog(videos: Iterable[Video], path: Path = CATALOG) -> None:
    """Write the catalog, sorted by path."""
    with writing(path) as file:
        file.write(csv_bytes([COLUMNS, *map(astuple, sorted(videos, key=lambda video: video.path))]))


def read_catalog(path: Path = CATALOG) -> list[Video]:
    """Read a catalog written by `write_catalog`, in the order of its rows.

    Raises:
        UserError: the file does not exist.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [Video(**row) for row in csv.DictReader(file)]
    except FileNotFoundError:
        raise UserError(f"{path}: no such file: run the stage download first, or `dvc repro`") from None
