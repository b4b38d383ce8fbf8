"""The catalog: which videos there are, what they show, and on which side of the split they stand."""

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
        path: posix, relative to the video root.
        label: its class; empty when unlabelled.
        group: its source (recording, actor, scene), never empty; a group stands on one side of the split only.
        split: `train` or `test`.
    """

    path: str
    label: str
    group: str
    split: str


COLUMNS = [field.name for field in fields(Video)]


def video_root(data: Data) -> Path:
    """The folder that the catalog's paths are relative to: the user's own, or the one that download has filled."""
    own = Path(data.path)
    if data.source == "folder":
        return own
    return (data.source == "ucf101" and unpacked_root(own)) or RAW_VIDEOS


def unpacked_root(folder: Path) -> Path | None:
    """The folder that holds UCF101's class folders: `folder` itself or one in it (`UCF-101`); None if neither does.

    Of several the one with the most videos, since folders that stray into copies of UCF101 may look alike.
    """
    roots = [folder, *sorted(path for path in folder.glob("*") if path.is_dir())]
    counts = [sum(1 for _ in root.glob("*/v_*_g??_c??.avi")) for root in roots]
    return roots[counts.index(max(counts))] if any(counts) else None


def csv_bytes(rows: Iterable[Iterable[object]]) -> bytes:
    """Lines of CSV in UTF-8, all text in quotes: names with commas, quotes and newlines come back as they were."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerows(rows)
    return text.getvalue().encode("utf-8")


def write_catalog(videos: Iterable[Video], path: Path = CATALOG) -> None:
    """Write the catalog, sorted by path."""
    with writing(path) as file:
        file.write(csv_bytes([COLUMNS, *map(astuple, sorted(videos, key=lambda video: video.path))]))


def read_catalog(path: Path = CATALOG) -> list[Video]:
    """Read a catalog that `write_catalog` wrote, in its order.

    Raises:
        UserError: if it is not there.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [Video(**row) for row in csv.DictReader(file)]
    except FileNotFoundError:
        raise UserError(f"{path}: no such file: run the stage download first, or `dvc repro`") from None
